//! The dealer's daemon: for each session it gives a fresh seed to every centre and the corrections
//! to one of them. It keeps nothing and writes nothing.

use crate::clock::Clock;
use crate::config::{DealerConfig, read_toml};
use crate::error::NodeError;
use crate::presence;
use konsil_governance::from_hex;
use konsil_mpc::{Dealer, Kind as Correlation, Seed, WireError};
use konsil_net::{
    Allow, Channel, Hello, Incoming, Kind, Listener, Options, PartyId, PublicKey, Role,
    send_corrections,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// What a centre tells the dealer first: how many parties, which one it is, digest of the list of
/// correlations, and at the party that receives corrections the list itself.
pub(crate) struct Order {
    pub(crate) parties: u16,
    pub(crate) me: u16,
    pub(crate) digest: [u8; 32],
    pub(crate) kinds: Vec<u8>,
}

impl Order {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = self.parties.to_le_bytes().to_vec();
        bytes.extend(self.me.to_le_bytes());
        bytes.extend(self.digest);
        bytes.extend(&self.kinds);
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (parties, rest) = bytes.split_first_chunk::<2>()?;
        let (me, rest) = rest.split_first_chunk::<2>()?;
        let (digest, kinds) = rest.split_first_chunk::<32>()?;
        let (parties, me) = (u16::from_le_bytes(*parties), u16::from_le_bytes(*me));
        let fits = (2..=1000).contains(&parties) && me < parties;
        fits.then(|| Self { parties, me, digest: *digest, kinds: kinds.to_vec() })
    }
}

type Waiting = HashMap<[u8; 16], Vec<(Order, Channel)>>;

/// Sessions whose centres have not all come yet.
const SESSIONS_MAX: usize = 64;

/// Runs the dealer until the process ends. `ready` is told the address it listens on.
///
/// # Errors
/// [`NodeError`] when configuration, key or address cannot be used.
pub fn serve_dealer(folder: &Path, ready: impl FnOnce(String)) -> Result<(), NodeError> {
    crate::process::no_core_dumps()?;
    let config: DealerConfig = read_toml(&folder.join("konsil.toml"))?;
    let identity = crate::centre::open_identity(folder)?;
    let centres = config.centre.iter();
    let keys: Vec<PublicKey> = centres.filter_map(|peer| key_of(&peer.key)).collect();
    let allow: Allow = Arc::new(move |key| keys.contains(key));
    let waiting: Mutex<Waiting> = Mutex::default();
    let options = Options::default();
    let network = crate::centre::network_id(&config.network);
    let handler = {
        let (options, clock) = (options.clone(), Clock::system());
        move |incoming: Result<Incoming, konsil_net::Refused>| {
            let Ok(incoming) = incoming else { return };
            if incoming.hello.binding.network != network {
                incoming.refuse(WireError::SessionMismatch { party: 0 }.name());
                return;
            }
            if incoming.hello.role == Role::Researcher {
                let _gone = presence::answer(incoming, (Role::Dealer, &clock), &options);
                return;
            }
            // a centre that misbehaves loses its session; the dealer goes on
            let _ended = join(incoming, &waiting, &options);
        }
    };
    let listener = Listener::bind(config.listen.as_str(), &identity, allow, &options, handler)
        .map_err(|error| NodeError::wire(error, &[]))?;
    ready(listener.local_address().to_string());
    crate::centre::wait_for_ever()
}

/// Adds a centre to its session, and deals when it is the last one.
fn join(incoming: Incoming, waiting: &Mutex<Waiting>, options: &Options) -> Result<(), WireError> {
    let theirs = incoming.hello;
    let mine = Hello { from: PartyId::DEALER, to: theirs.from, role: Role::Dealer, ..theirs };
    let channel = incoming.accept(&mine, options)?;
    let frame = channel.receive()?;
    let order = Order::decode(&frame.payload).filter(|order| order.me == theirs.from.0);
    let Some(order) = order else {
        channel.abort("dealer-order");
        return Err(WireError::DealerCorrupt);
    };
    let session = theirs.binding.session;
    let complete = {
        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= SESSIONS_MAX && !waiting.contains_key(&session) {
            // sessions whose centres went away make room
            waiting.retain(|_, centres| centres.iter().all(|(_, it)| it.alarm().is_none()));
        }
        let parties = usize::from(order.parties);
        let centres = waiting.entry(session).or_default();
        centres.push((order, channel));
        if centres.len() == parties { waiting.remove(&session) } else { None }
    };
    complete.map_or(Ok(()), deal)
}

/// Deals one session from beginning to end.
fn deal(mut centres: Vec<(Order, Channel)>) -> Result<(), WireError> {
    centres.sort_by_key(|(order, _)| order.me);
    let digest = centres.first().map(|(order, _)| order.digest).unwrap_or_default();
    let alike = centres
        .iter()
        .enumerate()
        .all(|(at, (order, _))| usize::from(order.me) == at && order.digest == digest);
    let lists: Vec<usize> =
        (0..centres.len()).filter(|at| !centres[*at].0.kinds.is_empty()).collect();
    let kinds = match lists.as_slice() {
        [] => Some(Vec::new()),
        [one] => kinds_of(&centres[*one].0),
        _ => None,
    };
    let Some(kinds) = kinds.filter(|_| alike) else {
        centres.iter().for_each(|(_, channel)| channel.abort("plans-differ"));
        return Err(WireError::DealerCorrupt);
    };
    let mut seeds = Vec::with_capacity(centres.len());
    for (_, channel) in &centres {
        let mut bytes = Zeroizing::new([0; 32]);
        if getrandom::fill(&mut *bytes).is_err() {
            centres.iter().for_each(|(_, channel)| channel.abort("no-randomness"));
            return Err(WireError::DealerIncomplete);
        }
        channel.send(Kind::Seed, &*bytes)?;
        seeds.push(Seed::new(*bytes));
    }
    let dealer = Dealer::new(&seeds);
    let Some(receiver) = lists.first().map(|at| &centres[*at].1) else {
        return Ok(());
    };
    for (counter, kind) in (0_u64..).zip(&kinds) {
        let corrections = dealer.deal(counter, kind);
        if !corrections.is_empty() {
            send_corrections(receiver, counter, bytemuck::cast_slice(&corrections))?;
        }
    }
    Ok(())
}

/// The list of correlations, if it is the one that all centres agree on.
fn kinds_of(order: &Order) -> Option<Vec<Correlation>> {
    if digest_of(&order.kinds) != order.digest {
        return None;
    }
    let mut rest = order.kinds.as_slice();
    let mut kinds = Vec::new();
    while !rest.is_empty() {
        kinds.push(Correlation::decode(&mut rest)?);
    }
    Some(kinds)
}

/// Digest of an encoded list of correlations.
pub(crate) fn digest_of(kinds: &[u8]) -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(kinds).into()
}

/// A public key from its hexadecimal form.
pub(crate) fn key_of(text: &str) -> Option<PublicKey> {
    let bytes: [u8; 32] = from_hex(text)?.try_into().ok()?;
    Some(PublicKey(bytes))
}
