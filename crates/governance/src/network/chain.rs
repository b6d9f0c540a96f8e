//! A network's history: verified from its first version, and held against what was accepted before.

use super::{Member, NETWORK, Network, NetworkError, check_rotation};
use crate::signing::{Signed, hash_of};

/// Verifies a network from its first version to its last and gives the last.
///
/// # Errors
/// [`NetworkError`] of the first version that does not hold.
pub fn verify(chain: &[Signed<Network>]) -> Result<&Network, NetworkError> {
    let mut before: Option<&Network> = None;
    for signed in chain {
        let network = &signed.body;
        let version = network.version;
        let last = before.map_or(0, |it| it.version);
        if version != last.saturating_add(1) {
            return Err(NetworkError::Gap { before: last, found: version });
        }
        let admins = before.map_or(&network.admins, |it| &it.admins);
        if !admins.contains(&signed.signer) || signed.verified(NETWORK).is_err() {
            return Err(NetworkError::Signature(version));
        }
        let previous = before.map(hash_of).transpose()?.unwrap_or_default();
        if network.previous != previous {
            return Err(NetworkError::Unlinked(version));
        }
        if let Some(what) = network.fault() {
            return Err(NetworkError::Malformed { version, what });
        }
        if let Some(before) = before {
            check_keys(before, network)?;
        }
        before = Some(network);
    }
    before.ok_or(NetworkError::Empty)
}

/// Every key that changed has the old key's consent.
fn check_keys(before: &Network, network: &Network) -> Result<(), NetworkError> {
    let Network { version, name, .. } = network;
    if before.name != *name {
        let what = format!("it was called `{}` before", before.name);
        return Err(NetworkError::Malformed { version: *version, what });
    }
    for old in &before.members {
        let Some(new) = network.member(&old.name).filter(|new| new.key != old.key) else {
            continue;
        };
        let consent = network.rotations.iter().any(|it| {
            check_rotation(it, name, old).is_ok_and(|rotation| rotation.new_key == new.key)
        });
        if !consent {
            let name = new.name.clone();
            return Err(NetworkError::KeyChanged { version: *version, name });
        }
    }
    Ok(())
}

/// Whether a chain goes on from what was accepted before.
///
/// # Errors
/// [`NetworkError::Older`], [`NetworkError::Forked`].
pub fn continues(
    chain: &[Signed<Network>],
    accepted: &[Signed<Network>],
) -> Result<(), NetworkError> {
    let differs = accepted.iter().zip(chain).find(|(old, new)| old.body != new.body);
    if let Some((_, new)) = differs {
        return Err(NetworkError::Forked(new.body.version));
    }
    let last = |it: &[Signed<Network>]| it.last().map_or(0, |signed| signed.body.version);
    let (offered, accepted) = (last(chain), last(accepted));
    if offered < accepted { Err(NetworkError::Older { offered, accepted }) } else { Ok(()) }
}

/// What a version changes, a line each, for people.
#[must_use]
pub fn changes(before: Option<&Network>, network: &Network) -> Vec<String> {
    let mut lines = Vec::new();
    for new in &network.members {
        let Some(old) = before.and_then(|it| it.member(&new.name)) else {
            lines.push(format!(
                "+ {} {} {}until {}",
                new.role.word(),
                new.name,
                spaced(&new.address),
                new.expires
            ));
            continue;
        };
        lines.extend(member_changes(old, new));
    }
    let gone = before.into_iter().flat_map(|it| &it.members);
    let gone = gone.filter(|old| network.member(&old.name).is_none());
    lines.extend(gone.map(|old| format!("- {} {}", old.role.word(), old.name)));
    if let Some(before) = before {
        if before.rules != network.rules {
            let (old, new) = (before.rules.in_words(), network.rules.in_words());
            lines.push(format!("~ rules  {old} → {new}"));
        }
        if before.admins != network.admins {
            lines.push("~ administrators".to_owned());
        }
    }
    lines
}

fn spaced(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{text} ") }
}

fn member_changes(old: &Member, new: &Member) -> Vec<String> {
    let name = &new.name;
    let mut lines = Vec::new();
    if old.role != new.role {
        lines.push(format!("~ {name}  {} → {}", old.role.word(), new.role.word()));
    }
    if old.key != new.key {
        lines.push(format!("~ {name}  key exchanged, with consent of the old one"));
    }
    if old.address != new.address {
        lines.push(format!("~ {name}  address {} → {}", old.address, new.address));
    }
    if old.expires != new.expires {
        lines.push(format!("~ {name}  until {} → {}", old.expires, new.expires));
    }
    lines
}
