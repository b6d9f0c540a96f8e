//! The accepting side: handshakes off the accept thread, and a place where sessions meet.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use konsil_mpc::WireError;
use rustls::ServerConfig;

use crate::channel::Channel;
use crate::decode::{Decoder, Expect};
use crate::frame::{Kind, PROTOCOL_VERSION, Sender};
use crate::identity::{Identity, PublicKey};
use crate::options::Options;
use crate::secure;
use crate::session::Hello;
use crate::stream::{Stream, Wait};
use crate::sync::lock;
use crate::tls::{self, Allow};

/// Connections whose handshake is not complete; more are closed at once and may try again.
const PENDING_MAX: usize = 256;
/// Of these, connections from one address.
const PENDING_PER_ADDRESS_MAX: usize = 128;

/// Connections of one key that wait for their session.
const PENDING_PER_KEY_MAX: usize = 32;
/// How long a connection waits for its session.
const UNCLAIMED_MAX: Duration = Duration::from_secs(60);

/// How often a wait for a peer looks whether it was called off.
const TICK: Duration = Duration::from_millis(25);

/// The number that errors carry before a peer has said who it is.
const NOBODY: usize = usize::MAX;

/// A connection that was not let in: material for the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it came from.
    pub address: SocketAddr,
    /// The key it has proved to own, if it came that far.
    pub peer_key: Option<PublicKey>,
    /// Why.
    pub error: WireError,
}

/// An authenticated connection whose first frame has been read and not yet been answered.
pub struct Incoming {
    /// What the peer says about itself and the session. The key is proven, this is only claimed.
    pub hello: Hello,
    /// The key that the peer has proved to own.
    pub peer_key: PublicKey,
    stream: Stream,
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("hello", &self.hello)
            .field("peer_key", &self.peer_key)
            .finish_non_exhaustive()
    }
}

impl Incoming {
    /// Answers with our own first frame and makes a channel of the connection. `mine` is the hello
    /// as we would say it: from us, to the peer.
    ///
    /// # Errors
    /// [`WireError::SessionMismatch`] when the peer speaks of another session, study, network or
    /// party than `mine`; the peer is told the same. [`WireError::Io`] when the connection breaks.
    pub fn accept(mut self, mine: &Hello, options: &Options) -> Result<Channel, WireError> {
        let party = self.hello.from.index();
        if !mine.matches(&self.hello) {
            let error = WireError::SessionMismatch { party };
            self.refuse(error.name());
            return Err(error);
        }
        let wait = Wait::until(Instant::now() + options.handshake_deadline);
        let mut sender = Sender { tag: mine.tag(), seq: 0, version: mine.binding.version };
        self.stream.send(party, &mut sender, Kind::Hello, &mine.encode(), wait)?;
        secure::open(self.stream, sender, party, options)
    }

    /// Closes the connection with a reason that the peer gets. Names of errors become these errors
    /// there.
    pub fn refuse(mut self, reason: &str) {
        let tag = self.hello.reply_tag();
        self.stream.refuse(self.hello.from.index(), tag, reason);
    }
}

type Handler = dyn Fn(Result<Incoming, Refused>) + Send + Sync;

/// A listening socket and its threads. Dropping it closes the socket.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

struct Door {
    config: Arc<ServerConfig>,
    options: Options,
    handler: Box<Handler>,
    pending: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

impl Listener {
    /// Listens at `address` as `identity`, to the keys that `allow` names. Every connection ends
    /// in one call of `handler`, on a thread of its own, which the handler may keep for a while:
    /// neither it nor a slow peer delays others.
    ///
    /// # Errors
    /// [`WireError::Io`] when the address cannot be used or the system gives no thread.
    pub fn bind(
        address: impl ToSocketAddrs,
        identity: &Identity,
        allow: Allow,
        options: &Options,
        handler: impl Fn(Result<Incoming, Refused>) + Send + Sync + 'static,
    ) -> Result<Self, WireError> {
        let io = |error: std::io::Error| WireError::Io(error.kind());
        let config = tls::server_config(identity, allow)?;
        let socket = TcpListener::bind(address).map_err(io)?;
        let address = socket.local_addr().map_err(io)?;
        let closed = Arc::new(AtomicBool::new(false));
        let door = Arc::new(Door {
            config,
            options: options.clone(),
            handler: Box::new(handler),
            pending: AtomicUsize::new(0),
            by_address: Mutex::default(),
        });
        let flag = Arc::clone(&closed);
        let thread = thread::Builder::new().name("konsil-accept".to_owned());
        thread.spawn(move || watch(&door, &socket, &flag)).map_err(io)?;
        Ok(Self { address, closed })
    }

    /// Where it listens; the port is the real one even if 0 was asked for.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::SeqCst);
        // Wakes the accept thread. An unspecified address means every address, so our own as well.
        let mut address = self.address;
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
}

fn watch(door: &Arc<Door>, socket: &TcpListener, closed: &AtomicBool) {
    loop {
        let accepted = socket.accept();
        if closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok((peer, address)) = accepted else {
            // Out of descriptors, most likely: wait for some to come back.
            thread::sleep(TICK);
            continue;
        };
        if !door.admit(address.ip()) {
            continue;
        }
        let visitor = Arc::clone(door);
        let thread = thread::Builder::new().name("konsil-handshake".to_owned());
        let started = thread.spawn(move || {
            let met = visitor.greet(peer, address);
            visitor.dismiss(address.ip());
            (visitor.handler)(met);
        });
        if started.is_err() {
            door.dismiss(address.ip());
        }
    }
}

impl Door {
    fn admit(&self, address: IpAddr) -> bool {
        if self.pending.fetch_add(1, Ordering::SeqCst) >= PENDING_MAX {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        let mut by_address = lock(&self.by_address);
        let count = by_address.entry(address).or_default();
        if *count >= PENDING_PER_ADDRESS_MAX {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        *count += 1;
        true
    }

    fn dismiss(&self, address: IpAddr) {
        self.pending.fetch_sub(1, Ordering::SeqCst);
        let mut by_address = lock(&self.by_address);
        if let Some(count) = by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&address);
            }
        }
    }

    /// TLS handshake and first frame of one connection, before the deadline.
    fn greet(&self, socket: TcpStream, address: SocketAddr) -> Result<Incoming, Refused> {
        let refused = |error, peer_key| Refused { address, peer_key, error };
        let wait = Wait::until(Instant::now() + self.options.handshake_deadline);
        let _ = socket.set_nodelay(true);
        let tls = tls::server(Arc::clone(&self.config)).map_err(|error| refused(error, None))?;
        let decoder = Decoder::new(NOBODY, PROTOCOL_VERSION, Expect::FirstHello);
        let mut stream = Stream::new(socket, tls, decoder);
        stream.handshake(NOBODY, wait).map_err(|error| refused(error, None))?;
        let Some(peer_key) = tls::peer_key(&stream.tls) else {
            return Err(refused(WireError::IdentityMismatch, None));
        };
        match first_hello(&mut stream, wait) {
            Ok(hello) => Ok(Incoming { hello, peer_key, stream }),
            Err(error) => {
                // The header of the refusal tells a peer of another version ours.
                stream.refuse(NOBODY, 0, error.name());
                Err(refused(error, Some(peer_key)))
            }
        }
    }
}

fn first_hello(stream: &mut Stream, wait: Wait<'_>) -> Result<Hello, WireError> {
    let frame = stream.receive(NOBODY, wait)?;
    let foreign = WireError::SessionMismatch { party: NOBODY };
    let hello = Hello::decode(&frame.payload).ok_or_else(|| foreign.clone())?;
    let party = hello.from.index();
    // Nothing follows a hello before it is answered.
    if frame.tag != hello.tag() || stream.intake.unfinished() || !stream.ready.is_empty() {
        return Err(foreign);
    }
    stream.intake.decoder.expect(party, Expect::Tag(hello.tag()));
    Ok(hello)
}

/// Connections that wait for the session that they are meant for.
#[derive(Clone, Default)]
pub struct Switchboard {
    inner: Arc<Board>,
}

#[derive(Default)]
struct Board {
    waiting: Mutex<Vec<(Instant, Incoming)>>,
    arrived: Condvar,
}

impl fmt::Debug for Switchboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Switchboard").field("waiting", &lock(&self.inner.waiting).len()).finish()
    }
}

impl Switchboard {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A handler for [`Listener::bind`] that puts every connection here.
    pub fn handler(&self) -> impl Fn(Result<Incoming, Refused>) + Send + Sync + 'static {
        let board = self.clone();
        move |met| {
            if let Ok(incoming) = met {
                board.put(incoming);
            }
        }
    }

    /// Adds a connection. When 256 wait already, or 32 of the same key, it is refused with `busy`;
    /// connections that nobody has asked for in a minute are refused as well.
    pub fn put(&self, incoming: Incoming) {
        self.expire(UNCLAIMED_MAX);
        let mut waiting = lock(&self.inner.waiting);
        let same = |(_, other): &&(Instant, Incoming)| other.peer_key == incoming.peer_key;
        let of_key = waiting.iter().filter(same).count();
        if waiting.len() >= PENDING_MAX || of_key >= PENDING_PER_KEY_MAX {
            drop(waiting);
            incoming.refuse("busy");
            return;
        }
        waiting.push((Instant::now(), incoming));
        drop(waiting);
        self.inner.arrived.notify_all();
    }

    /// Refuses connections that nobody has asked for since `age`.
    pub fn expire(&self, age: Duration) {
        let mut waiting = lock(&self.inner.waiting);
        let old: Vec<_> = waiting.extract_if(.., |(since, _)| since.elapsed() >= age).collect();
        drop(waiting);
        for (_, incoming) in old {
            incoming.refuse("session-mismatch");
        }
    }

    /// Waits for a connection that `wanted` accepts, until `deadline`. Of several, the newest: the
    /// peer has given up the older ones.
    #[must_use]
    pub fn take(&self, deadline: Instant, wanted: impl Fn(&Incoming) -> bool) -> Option<Incoming> {
        self.take_while(Wait::until(deadline), wanted)
    }

    fn take_while(&self, wait: Wait<'_>, wanted: impl Fn(&Incoming) -> bool) -> Option<Incoming> {
        let mut waiting = lock(&self.inner.waiting);
        loop {
            if let Some(found) = waiting.iter().rposition(|(_, incoming)| wanted(incoming)) {
                return Some(waiting.swap_remove(found).1);
            }
            if wait.is_over() {
                return None;
            }
            let waited = self.inner.arrived.wait_timeout(waiting, TICK);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the peer of `mine` and links with it. Whoever calls itself the peer under another
    /// key than `key` is refused, also when the peer itself came later, and the wait goes on.
    ///
    /// # Errors
    /// [`WireError::PeerLost`] when the peer does not come, [`WireError::SessionMismatch`] when it
    /// speaks of another study or network.
    pub(crate) fn meet(
        &self,
        mine: &Hello,
        key: PublicKey,
        options: &Options,
        wait: Wait<'_>,
    ) -> Result<Channel, WireError> {
        let meant = |incoming: &Incoming| {
            let hello = &incoming.hello;
            let same = hello.binding.session == mine.binding.session;
            same && hello.from == mine.to && hello.to == mine.from
        };
        loop {
            let found = self.take_while(wait, meant);
            self.refuse_impostors(|incoming| meant(incoming) && incoming.peer_key != key);
            let Some(incoming) = found else {
                return Err(WireError::PeerLost { party: mine.to.index(), round: 0 });
            };
            if incoming.peer_key != key {
                incoming.refuse("identity-mismatch");
                continue;
            }
            match incoming.accept(mine, options) {
                // A connection that broke while it waited: the peer tries again.
                Err(WireError::Io(_)) => {}
                settled => return settled,
            }
        }
    }

    fn refuse_impostors(&self, impostor: impl Fn(&Incoming) -> bool) {
        let mut waiting = lock(&self.inner.waiting);
        let found: Vec<_> = waiting.extract_if(.., |(_, incoming)| impostor(incoming)).collect();
        drop(waiting);
        for (_, incoming) in found {
            incoming.refuse("identity-mismatch");
        }
    }
}
