//! Whether a node is there: one question that a centre may ask of its peers at any time.

use crate::centre::network_id;
use crate::clock::Clock;
use crate::config::Peer;
use crate::control::{Answer, Ask, Presence, receive, send};
use crate::dealer::key_of;
use crate::error::NodeError;
use konsil_mpc::WireError;
use konsil_net::{Binding, Hello, Identity, Incoming, Options, PartyId, Role, connect};
use std::time::Duration;

/// How often a silent address is tried.
const TRIES: u32 = 2;

/// This node's own presence.
pub(crate) fn mine(clock: &Clock) -> Answer {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Answer::Presence(Presence { version, time: clock.now().as_second() })
}

/// Study and session of a knock: those of no run.
const NO_STUDY: [u8; 32] = [0; 32];
const NO_SESSION: [u8; 16] = [0; 16];

/// Whether a centre only asks for presence.
pub(crate) fn is_knock(hello: &Hello) -> bool {
    let Binding { study, session, .. } = hello.binding;
    hello.role == Role::Centre && (study, session) == (NO_STUDY, NO_SESSION)
}

/// Answers a peer that asks for nothing else.
pub(crate) fn answer(
    incoming: Incoming,
    (clock, options): (&Clock, &Options),
) -> Result<(), NodeError> {
    let theirs = incoming.hello;
    let role = if theirs.to == PartyId::DEALER { Role::Dealer } else { Role::Centre };
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

/// Asks a peer whether it is there: a full handshake with the key that the network lists. Gives also how
/// far its computer is, there and back.
///
/// # Errors
/// [`NodeError::Wire`] with what hindered it, [`NodeError::Message`].
pub fn knock(
    identity: &Identity,
    network: &str,
    (peer, dealer): (&Peer, bool),
) -> Result<(Presence, Duration), NodeError> {
    let key = key_of(&peer.key).ok_or(NodeError::Message("a peer's key"))?;
    let binding = Binding::new(network_id(network), NO_STUDY, NO_SESSION);
    let to = if dealer { PartyId::DEALER } else { PartyId(1) };
    let hello = Hello { binding, from: PartyId(0), to, role: Role::Centre };
    let options = Options { connect_tries: TRIES, ..Options::default() };
    let names = std::slice::from_ref(&peer.name);
    let named = |error: WireError| NodeError::wire(error, names);
    let channel = connect(&peer.address, identity, key, &hello, &options).map_err(named)?;
    send(&channel, &Ask::Presence)?;
    match receive::<Answer>(&channel)? {
        Answer::Presence(presence) => Ok((presence, channel.dialled())),
        _ => Err(NodeError::Message("presence")),
    }
}
