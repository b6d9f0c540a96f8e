//! How links come about: the first frame, connecting, and the mesh of a session.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use konsil_mpc::WireError;

use crate::channel::Channel;
use crate::decode::{Decoder, Expect};
use crate::frame::{Binding, Kind, Sender};
use crate::identity::{Identity, PublicKey};
use crate::listener::Switchboard;
use crate::mesh::Mesh;
use crate::options::Options;
use crate::secure;
use crate::stream::{Stream, Wait};
use crate::tls;

/// Bytes of an encoded [`Hello`].
pub const HELLO_BYTES: usize = 72;

/// First pause between two tries to connect; later ones grow to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Longest pause between two tries: 20 tries take about 5 s.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// A party's number within a session. Centres count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(pub u16);

impl PartyId {
    /// The dealer of correlated randomness.
    pub const DEALER: Self = Self(u16::MAX);
    /// The researcher's client.
    pub const RESEARCHER: Self = Self(u16::MAX - 1);

    /// The number as an index.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a party does in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Holds patients' data.
    Centre,
    /// Deals correlated randomness and holds no data.
    Dealer,
    /// Asks, and receives the release.
    Researcher,
}

impl Role {
    fn code(self) -> u8 {
        match self {
            Self::Centre => 1,
            Self::Dealer => 2,
            Self::Researcher => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Centre),
            2 => Some(Self::Dealer),
            3 => Some(Self::Researcher),
            _ => None,
        }
    }
}

/// The first frame of each direction: who speaks to whom, about which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Version, network, study and session.
    pub binding: Binding,
    /// Who speaks.
    pub from: PartyId,
    /// To whom.
    pub to: PartyId,
    /// What the speaker does in the session.
    pub role: Role,
}

impl Hello {
    /// The bytes of the frame's payload: version (2), role (1), zero (1), from (2), to (2),
    /// network (16), session (16), study (32).
    #[must_use]
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let mut bytes = [0; HELLO_BYTES];
        bytes[0..2].copy_from_slice(&self.binding.version.to_le_bytes());
        bytes[2] = self.role.code();
        bytes[4..6].copy_from_slice(&self.from.0.to_le_bytes());
        bytes[6..8].copy_from_slice(&self.to.0.to_le_bytes());
        bytes[8..24].copy_from_slice(&self.binding.network);
        bytes[24..40].copy_from_slice(&self.binding.session);
        bytes[40..72].copy_from_slice(&self.binding.study);
        bytes
    }

    /// Reads the payload of a first frame; `None` when it is not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; HELLO_BYTES] = bytes.try_into().ok()?;
        let (version, rest) = bytes.split_first_chunk::<2>()?;
        let (&[role, zero], rest) = rest.split_first_chunk::<2>()?;
        let (from, rest) = rest.split_first_chunk::<2>()?;
        let (to, rest) = rest.split_first_chunk::<2>()?;
        let (network, rest) = rest.split_first_chunk::<16>()?;
        let (session, rest) = rest.split_first_chunk::<16>()?;
        let (study, _) = rest.split_first_chunk::<32>()?;
        let version = u16::from_le_bytes(*version);
        let binding = Binding { version, network: *network, study: *study, session: *session };
        let (from, to) = (u16::from_le_bytes(*from), u16::from_le_bytes(*to));
        let role = Role::from_code(role).filter(|_| zero == 0)?;
        Some(Self { binding, from: PartyId(from), to: PartyId(to), role })
    }

    /// The tag of frames in the hello's direction.
    pub(crate) fn tag(&self) -> u64 {
        self.binding.tag(self.from.0, self.to.0)
    }

    /// The tag of frames in the other direction.
    pub(crate) fn reply_tag(&self) -> u64 {
        self.binding.tag(self.to.0, self.from.0)
    }

    /// Whether `other` is the peer's view of the same link.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.binding == other.binding && self.from == other.to && self.to == other.from
    }
}

/// One member of a session, as the network's member list names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The only key under which the member may speak.
    pub key: PublicKey,
    /// Where it listens: `host:port`.
    pub address: String,
}

/// Connects to the party that listens at `address` and owns `key`, and agrees on `hello` with it.
/// While nobody answers or the connection breaks, it tries again, up to
/// [`Options::connect_tries`] times with growing pauses. The peer may take
/// [`Options::session_deadline`] to answer.
///
/// # Errors
/// [`WireError::PeerLost`] when the last try failed, [`WireError::PqRequired`],
/// [`WireError::IdentityMismatch`], [`WireError::VersionMismatch`], [`WireError::SessionMismatch`],
/// [`WireError::PeerTooSlow`] when the peer connects but does not finish the handshake.
pub fn connect(
    address: &str,
    identity: &Identity,
    key: PublicKey,
    hello: &Hello,
    options: &Options,
) -> Result<Channel, WireError> {
    let wait = Wait::until(Instant::now() + options.session_deadline);
    let target = Target { address, identity, key, hello };
    target.connect(options, options.connect_tries, wait)
}

/// Whom to connect to, and as whom.
struct Target<'a> {
    address: &'a str,
    identity: &'a Identity,
    key: PublicKey,
    hello: &'a Hello,
}

impl Target<'_> {
    fn connect(&self, options: &Options, tries: u32, wait: Wait<'_>) -> Result<Channel, WireError> {
        let lost = WireError::PeerLost { party: self.hello.to.index(), round: 0 };
        let mut pause = PAUSE_MIN;
        for _ in 0..tries {
            match self.try_connect(options, wait) {
                Err(WireError::Io(_)) if !wait.is_over() => {}
                Err(WireError::Io(_)) => return Err(lost),
                settled => return settled,
            }
            wait.sleep(pause);
            pause = (pause * 3 / 2).min(PAUSE_MAX);
        }
        Err(lost)
    }

    /// One try; every error of the operating system is worth another one.
    fn try_connect(&self, options: &Options, wait: Wait<'_>) -> Result<Channel, WireError> {
        let party = self.hello.to.index();
        let limit = options.handshake_deadline;
        let begin = Instant::now();
        let socket = dial(self.address, wait.at_most(limit))?;
        let dialled = begin.elapsed();
        socket.set_nodelay(true).map_err(|error| WireError::Io(error.kind()))?;
        let tls = tls::client(self.identity, self.key)?;
        let version = self.hello.binding.version;
        let decoder = Decoder::new(party, version, Expect::Tag(self.hello.reply_tag()));
        let mut stream = Stream::new(socket, tls, decoder);
        stream.handshake(party, wait.at_most(limit))?;
        let mut sender = Sender { tag: self.hello.tag(), seq: 0, version };
        stream.send(party, &mut sender, Kind::Hello, &self.hello.encode(), wait.at_most(limit))?;
        let frame = stream.receive(party, wait).map_err(|error| match error {
            // Nobody there took the session up in time.
            WireError::PeerTooSlow { .. } => WireError::PeerLost { party, round: 0 },
            other => plain(other),
        })?;
        let answer = Hello::decode(&frame.payload).filter(|_| frame.kind == Kind::Hello);
        if !answer.is_some_and(|answer| self.hello.matches(&answer)) {
            return Err(WireError::SessionMismatch { party });
        }
        let channel = secure::open(stream, sender, party, options)?;
        channel.note_dialled(dialled);
        Ok(channel)
    }
}

/// Connects a socket to the first of the address's meanings that answers.
fn dial(address: &str, wait: Wait<'_>) -> Result<TcpStream, WireError> {
    let io = |error: std::io::Error| WireError::Io(error.kind());
    let meanings: Vec<SocketAddr> = address.to_socket_addrs().map_err(io)?.collect();
    let mut refusal = WireError::Io(ErrorKind::AddrNotAvailable);
    for meaning in meanings {
        let left = wait.deadline.saturating_duration_since(Instant::now());
        match TcpStream::connect_timeout(&meaning, left.max(Duration::from_millis(1))) {
            Ok(socket) => return Ok(socket),
            Err(error) => refusal = io(error),
        }
    }
    Err(refusal)
}

/// The error that a refusal's reason names, where both sides have to know it by name.
fn plain(error: WireError) -> WireError {
    match error {
        WireError::Aborted { party, reason } if reason == SESSION_MISMATCH => {
            WireError::SessionMismatch { party }
        }
        WireError::Aborted { reason, .. } if reason == IDENTITY_MISMATCH => {
            WireError::IdentityMismatch
        }
        other => other,
    }
}

const SESSION_MISMATCH: &str = "session-mismatch";
const IDENTITY_MISMATCH: &str = "identity-mismatch";

/// Links this party with all other members of a session: it connects to those before it and
/// awaits those after it, all at once.
///
/// # Errors
/// [`WireError::PeerLost`] with the first member that is missing after
/// [`Options::session_deadline`]; any other error of one link ends the attempt at once.
pub fn connect_mesh(
    me: usize,
    identity: &Identity,
    members: &[Member],
    binding: &Binding,
    incoming: &Switchboard,
    options: &Options,
) -> Result<Mesh, WireError> {
    let cancelled = AtomicBool::new(false);
    let deadline = Instant::now() + options.session_deadline;
    let wait = Wait { deadline, cancelled: Some(&cancelled) };
    let mine = u16::try_from(me).map_err(|_| WireError::SessionMismatch { party: me })?;
    let meet = |party: usize, member: &Member| {
        let number = u16::try_from(party).map_err(|_| WireError::SessionMismatch { party })?;
        let hello = Hello {
            binding: *binding,
            from: PartyId(mine),
            to: PartyId(number),
            role: Role::Centre,
        };
        let linked = if party < me {
            let (address, key) = (member.address.as_str(), member.key);
            let target = Target { address, identity, key, hello: &hello };
            target.connect(options, u32::MAX, wait)
        } else {
            incoming.meet(&hello, member.key, options, wait)
        };
        if linked.is_err() {
            cancelled.store(true, Ordering::Relaxed);
        }
        linked
    };
    let linked = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (party, member) in members.iter().enumerate() {
            let meet = &meet;
            let thread = if party == me {
                None
            } else {
                let builder = thread::Builder::new().name(format!("konsil-meet-{party}"));
                Some(builder.spawn_scoped(scope, move || meet(party, member)))
            };
            threads.push(thread);
        }
        let join = |thread: Option<std::io::Result<Meeting<'_>>>| match thread {
            None => Ok(None),
            Some(Err(error)) => Err(WireError::Io(error.kind())),
            Some(Ok(thread)) => match thread.join() {
                Ok(linked) => linked.map(Some),
                Err(_) => Err(WireError::Io(ErrorKind::Other)),
            },
        };
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    collect(me, linked)
}

/// A thread that brings about one link.
type Meeting<'scope> = thread::ScopedJoinHandle<'scope, Result<Channel, WireError>>;

/// All links, or the error that says most: one that was called off says only that it is missing.
fn collect(me: usize, linked: Vec<Result<Option<Channel>, WireError>>) -> Result<Mesh, WireError> {
    let mut channels = Vec::with_capacity(linked.len());
    let mut failure = None;
    for link in linked {
        match link {
            Ok(channel) => channels.push(channel),
            Err(error) => match (&failure, &error) {
                (None | Some(WireError::PeerLost { .. }), error)
                    if failure.is_none() || !matches!(error, WireError::PeerLost { .. }) =>
                {
                    failure = Some(error.clone());
                }
                _ => {}
            },
        }
    }
    match failure {
        None => Ok(Mesh::new(me, channels)),
        Some(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_round_trips_and_refuses_everything_else() {
        let binding = Binding::new([1; 16], [2; 32], [3; 16]);
        let hello =
            Hello { binding, from: PartyId(4), to: PartyId::DEALER, role: Role::Researcher };
        let bytes = hello.encode();
        assert_eq!(Hello::decode(&bytes), Some(hello));
        assert_eq!(bytes[..10], [1, 0, 3, 0, 4, 0, 255, 255, 1, 1]);
        assert_eq!(Hello::decode(&bytes[1..]), None);
        let (mut unknown_role, mut reserved) = (bytes, bytes);
        unknown_role[2] = 9;
        reserved[3] = 1;
        assert_eq!(Hello::decode(&unknown_role), None);
        assert_eq!(Hello::decode(&reserved), None);
    }
}
