//! Whose membership of the network holds on a day.

use crate::config::{NodeConfig, Peer};
use crate::desk::Desk;
use crate::error::NodeError;
use jiff::civil::Date;
use konsil_governance::network::{Standing, standing};
use std::io::Write;
use std::path::Path;

/// Refuses a session in which somebody takes part whose membership is over: these centres, this
/// centre, the dealer, the researcher with this key.
///
/// # Errors
/// [`NodeError::Expired`] with the name.
pub(crate) fn check_members(
    config: &NodeConfig,
    names: &[String],
    researcher: &str,
    today: Date,
) -> Result<(), NodeError> {
    let takes_part = |it: &&Peer| it.name == config.name || names.contains(&it.name);
    let centres = config.centre.iter().filter(takes_part);
    let asks = config.researcher.iter().filter(|it| it.key == researcher);
    let mut all = centres.chain([&config.dealer]).chain(asks);
    let over = all.find_map(|it| {
        let last = it.expires?;
        (standing(last, today) == Standing::Expired).then_some((it, last))
    });
    match over {
        Some((peer, last)) => Err(NodeError::Expired { name: peer.name.clone(), last }),
        None => Ok(()),
    }
}

/// Refuses to start before a network was joined.
///
/// # Errors
/// [`NodeError::File`].
pub(crate) fn check_joined(folder: &Path, config: &NodeConfig) -> Result<(), NodeError> {
    if !config.centre.is_empty() || !config.dealer.key.is_empty() {
        return Ok(());
    }
    let what = "this node has joined no network yet:  konsil node join INVITE,  then  \
                konsil node accept network.json";
    Err(NodeError::File { path: folder.join("konsil.toml"), what: what.to_owned() })
}

/// What a person should know about the end of this centre's membership.
pub(crate) fn warn_of_ends(config: &NodeConfig, today: Date) {
    let own = config.centre.iter().find(|it| it.name == config.name);
    let Some(last) = own.and_then(|it| it.expires) else { return };
    let text = match standing(last, today) {
        Standing::Expired => format!("✗ K0660 the membership of this centre ended on {last}"),
        Standing::Ends(days) => format!("! the membership of this centre ends in {days} days"),
        _ => return,
    };
    let _closed =
        writeln!(std::io::stderr().lock(), "{text}; every session is refused after {last}");
}

/// What a person should know about a policy that the network does not allow.
pub(crate) fn warn_of_rules(desk: &Desk) {
    if let Err(error) = desk.policy() {
        let code = error.code();
        let _closed =
            writeln!(std::io::stderr().lock(), "✗ {code} {error}; every study is refused");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, last: &str) -> Peer {
        let expires = last.parse().ok();
        Peer { name: name.to_owned(), key: format!("key of {name}"), expires, ..Peer::default() }
    }

    // Everyone who takes part must be a member on the day, and the one who is not is named (38, 39).
    #[test]
    fn expired_members_are_refused_by_name() {
        let dealer = peer("dealer", "2026-12-31");
        let text = "name = \"north\"\nnetwork = \"net\"\n[dealer]\nname = \"dealer\"\nkey = \"\"";
        let mut config: NodeConfig = toml::from_str(text).unwrap();
        config.centre = vec![peer("north", "2026-06-30"), peer("south", "2026-03-31")];
        config.centre.push(peer("lab", ""));
        config.researcher = vec![peer("anna", "2026-04-30"), peer("otto", "2026-01-31")];
        config.dealer = dealer;
        let refused = |names: &[&str], who: &str, day: &str| {
            let names: Vec<String> = names.iter().map(|it| (*it).to_owned()).collect();
            let key = format!("key of {who}");
            check_members(&config, &names, &key, day.parse().unwrap()).err().map(|it| match it {
                NodeError::Expired { name, .. } => name,
                other => other.to_string(),
            })
        };
        let all = ["north", "south", "lab"];
        assert_eq!(refused(&all, "anna", "2026-03-31"), None);
        assert_eq!(refused(&all, "anna", "2026-04-01"), Some("south".to_owned()));
        assert_eq!(refused(&["north", "lab"], "anna", "2026-04-01"), None);
        assert_eq!(refused(&["north", "lab"], "otto", "2026-04-01"), Some("otto".to_owned()));
        assert_eq!(refused(&["lab"], "anna", "2026-07-01"), Some("north".to_owned()));
        config.centre.remove(0);
        let late = "2027-01-01".parse().unwrap();
        let error = check_members(&config, &[], "", late).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains("dealer")), ("K0660", true));
    }
}
