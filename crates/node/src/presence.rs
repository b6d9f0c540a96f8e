//! Whether a node is there: one question that a centre may ask of its peers at any time.

use crate::centre::network_id;
use crate::clock::Clock;
use crate::config::Peer;
use crate::control::{Answer, Ask, Presence, receive, send};
use crate::dealer::key_of;
use crate::error::NodeError;
use konsil_mpc::WireError;
use konsil_net::{Binding, Hello, Identity, Incoming, Options, PartyId, Role, connect};

/// How often a silent address is tried.
const TRIES: u32 = 2;

/// This node's own presence.
pub(crate) fn mine(clock: &Clock) -> Answer {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Answer::Presence(Presence { version, time: clock.now().as_second() })
}

/// Answers a peer that asks for nothing else.
pub(crate) fn answer(
    incoming: Incoming,
    (role, clock): (Role, &Clock),
    options: &Options,
) -> Result<(), NodeError> {
    let theirs = incoming.hello;
    let mine_hello = Hello { from: theirs.to, to: theirs.from, role, ..theirs };
    let channel =
        incoming.accept(&mine_hello, options).map_err(|error| NodeError::wire(error, &[]))?;
    match receive::<Ask>(&channel)? {
        Ask::Presence => send(&channel, &mine(clock)),
        _ => {
            let what = "centres ask each other for nothing outside a run".to_owned();
            let (code, text) = ("K0601".to_owned(), what);
            send(&channel, &Answer::Failed { code, text })
        }
    }
}

/// Asks a peer whether it is there: a full handshake with the key that the network lists.
///
/// # Errors
/// [`NodeError::Wire`] with what hindered it, [`NodeError::Message`].
pub fn knock(
    identity: &Identity,
    network: &str,
    (peer, dealer): (&Peer, bool),
) -> Result<Presence, NodeError> {
    let key = key_of(&peer.key).ok_or(NodeError::Message("a peer's key"))?;
    let binding = Binding::new(network_id(network), [0; 32], [0; 16]);
    let to = if dealer { PartyId::DEALER } else { PartyId(0) };
    let hello = Hello { binding, from: PartyId::RESEARCHER, to, role: Role::Researcher };
    let options = Options { connect_tries: TRIES, ..Options::default() };
    let names = std::slice::from_ref(&peer.name);
    let named = |error: WireError| NodeError::wire(error, names);
    let channel = connect(&peer.address, identity, key, &hello, &options).map_err(named)?;
    send(&channel, &Ask::Presence)?;
    match receive::<Answer>(&channel)? {
        Answer::Presence(presence) => Ok(presence),
        _ => Err(NodeError::Message("presence")),
    }
}
