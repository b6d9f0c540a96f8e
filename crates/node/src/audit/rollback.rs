//! Logs that were rolled back, and the administrator's word that this is known.
//!
//! With its log a centre has lost what was spent, and which approvals were used, since the backup. An
//! administrator who accepts the loss gives neither back: approvals count as used, and the budgets are
//! void, which is to say spent, until the centre's stewards sign that they count anew.

use super::whole;
use crate::centre::CentreNode;
use crate::clock::Clock;
use crate::desk::Desk;
use crate::error::NodeError;
use crate::state::State;
use konsil_governance::audit::Event;
use konsil_governance::budget::Ledger;
use konsil_governance::{CentrePolicy, to_hex};
use konsil_net::Identity;
use rusqlite::{OptionalExtension, Transaction};
use std::path::Path;

/// Entries about the budgets as a whole.
const VOID: &str = "budget-void";
const RENEW: &str = "budget-renew";

/// The last entry about the budgets as a whole: its number, its text and its hash.
const LAST: &str = "SELECT seq, event, hash FROM audit_log
    WHERE event GLOB '{\"kind\":\"budget-void\"*' OR event GLOB '{\"kind\":\"budget-renew\"*'
    ORDER BY seq DESC LIMIT 1";

/// What is used up counts as used, also where the database no longer says so.
const USE_UP: &str = "
    INSERT OR IGNORE INTO nonces (nonce, session) SELECT nonce, 'rollback' FROM approvals;
    UPDATE requests SET state = 'consumed', code = 'K0611' WHERE state = 'approved';
";

impl State {
    /// Refuses while a rollback of this centre's own log is not accepted.
    ///
    /// # Errors
    /// [`NodeError::Rollback`].
    pub(crate) fn check_rollbacks(&self, name: &str) -> Result<(), NodeError> {
        let connection = self.lock();
        let query = "SELECT peer, size FROM rollbacks WHERE accepted = 0 ORDER BY size DESC";
        let mut query = connection.prepare(query)?;
        let mut rows = query.query([])?;
        let Some(row) = rows.next()? else { return Ok(()) };
        let (peer, size): (String, i64) = (row.get(0)?, row.get(1)?);
        let what = format!("the log does not contain the {size} entries that {peer} has seen");
        Err(NodeError::Rollback { centre: name.to_owned(), what })
    }

    /// The entry of the log that has made the budgets void, if they are: number and hash.
    pub(crate) fn budget_void(&self) -> Result<Option<(u64, Vec<u8>)>, NodeError> {
        let connection = self.lock();
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let last: Option<(i64, String, Vec<u8>)> =
            connection.query_row(LAST, [], read).optional()?;
        let is_void = |text: &str| text.starts_with(&format!("{{\"kind\":\"{VOID}\""));
        let void = last.filter(|(_, text, _)| is_void(text));
        Ok(void.map(|(seq, _, hash)| (seq.unsigned_abs(), hash)))
    }
}

/// An entry about the budgets as a whole, with the end of the ledger as it is now.
fn of_budgets(kind: &str, centre: &str, actor: &str, ledger: &Ledger) -> Event {
    Event::new(kind, centre, actor)
        .with("entry", &ledger.size())
        .with("entry_sha256", &to_hex(&ledger.hash()))
}

/// Accepts, for the node of a folder, that its own log was rolled back (`peer` is none), or that a
/// peer's was. The node must be stopped. Its own budgets are void afterwards, and approvals that were
/// not used count as used. Gives how many entries the lost log had.
///
/// # Errors
/// [`NodeError::Refused`] when there is nothing to accept; [`NodeError`] of the folder.
pub fn accept_rollback(folder: &Path, peer: Option<&str>) -> Result<u64, NodeError> {
    let node = CentreNode::open(folder, Clock::system())?;
    let name = &node.config.name;
    let query = match peer {
        None => "SELECT coalesce(max(size), 0) FROM rollbacks WHERE accepted = 0 AND ?1 = ?1",
        Some(_) => "SELECT coalesce(max(size), 0) FROM witnessed WHERE name = ?1",
    };
    let whose = peer.unwrap_or(name);
    let seen: i64 = node.state.lock().query_row(query, [whose], |row| row.get(0))?;
    if seen == 0 {
        let what = format!("no rollback of the log of {whose} is known here");
        return Err(NodeError::Refused(what));
    }
    let seen = seen.unsigned_abs();
    let entries = node.state.books().log.head().size;
    let event = Event::new("accept-rollback", whose, &format!("admin@{name}"))
        .with("seen_entries", &seen)
        .with("own_entries", &entries);
    node.state.log_made(node.clock.now(), |transaction, ledger| {
        let mut events = vec![event];
        match peer {
            None => {
                transaction.execute("UPDATE rollbacks SET accepted = 1", [])?;
                transaction.execute_batch(USE_UP)?;
                events.push(of_budgets(VOID, name, &format!("admin@{name}"), ledger));
            }
            Some(peer) => {
                transaction.execute("DELETE FROM witnessed WHERE name = ?", [peer])?;
            }
        }
        // checkpoints of what is no more would contradict the log for ever
        transaction.execute("DELETE FROM checkpoints WHERE size > ?", [whole(entries)])?;
        Ok(((), events))
    })?;
    Ok(seen)
}

/// Lets the void budgets of a centre count again, from what its ledger says: signed by as many stewards
/// as an approval needs; where the policy names none, by the centre's own key. Gives who has signed.
///
/// # Errors
/// [`NodeError::Refused`] when the budgets are not void, or signatures are missing or are nobody's;
/// [`NodeError`] of policy (also of one laxer than the network's rules), folder and log.
pub fn renew_budget(
    folder: &Path,
    clock: Clock,
    signers: &[Identity],
) -> Result<Vec<String>, NodeError> {
    let desk = Desk::open(folder, clock)?;
    let refuse = |what: String| NodeError::Refused(what);
    let void = desk.state.budget_void()?;
    let (seq, hash) = void.ok_or_else(|| refuse("the budgets here are not void".to_owned()))?;
    let policy = desk.policy()?;
    let own = crate::centre::open_identity(folder)?.public_key().to_string();
    // the entry that made them void is named: a signature serves once
    let centre = desk.centre();
    let statement = format!("konsil budget renewal v1\n{centre}\n{seq}\n{}\n", to_hex(&hash));
    let mut signed: Vec<(String, String)> = Vec::with_capacity(signers.len());
    for signer in signers {
        let key = signer.public_key().to_string();
        let name = name_of(&policy, (&key, &own), centre);
        let name =
            name.filter(|name| signed.iter().all(|(it, _)| it != name)).ok_or_else(|| {
                refuse(format!("key {} is no steward's of this centre, or stands twice", &key))
            })?;
        let signature = signer.sign(statement.as_bytes());
        let signature = signature.map_err(|error| refuse(error.to_string()))?;
        signed.push((name, to_hex(&signature)));
    }
    let needed = policy.signatures_needed();
    if signed.len() < needed {
        return Err(refuse(format!("{needed} stewards must sign, {} have", signed.len())));
    }
    let names: Vec<String> = signed.iter().map(|(name, _)| name.clone()).collect();
    desk.state.log_made(desk.clock.now(), |transaction, ledger| {
        still_void(transaction, seq)?;
        let event = of_budgets(RENEW, centre, &names.join(" "), ledger).with("void_entry", &seq);
        let event = signed.iter().fold(event, |event, (name, signature)| {
            event.with(&format!("signature {name}"), signature)
        });
        Ok(((), vec![event]))
    })?;
    Ok(names)
}

/// Who owns a key, of those who may decide about budgets.
fn name_of(policy: &CentrePolicy, (key, own): (&str, &str), centre: &str) -> Option<String> {
    let alone = policy.steward.is_empty() && key == own;
    let steward = policy.steward_of(key).map(|it| it.name.clone());
    steward.or_else(|| alone.then(|| format!("admin@{centre}")))
}

/// Another steward may have been faster.
fn still_void(transaction: &Transaction<'_>, seq: u64) -> Result<(), NodeError> {
    let last: i64 = transaction.query_row(LAST, [], |row| row.get(0))?;
    if last.unsigned_abs() == seq {
        return Ok(());
    }
    Err(NodeError::Refused("the budgets here are not void any more".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::tests::{cost, folder};
    use jiff::Timestamp;
    use konsil_governance::Signed;
    use konsil_governance::budget::Limits;
    use konsil_governance::network::{NETWORK, Network};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    /// A centre whose peer has seen more of its log than is left.
    fn rolled_back() -> tempfile::TempDir {
        let folder = folder();
        let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
        node.state.reserve(NOW, &cost("before"), &Limits::default()).unwrap();
        let rows = "INSERT INTO rollbacks (peer, size, root) VALUES ('eiche', 99, zeroblob(32));
            INSERT INTO requests VALUES (1, '', '', '', '', '', 'approved', '', '', 0);
            INSERT INTO approvals VALUES ('n1', 'eva', 1, '', '', 0, 0);";
        node.state.change(|it| it.execute_batch(rows)).unwrap();
        drop(node);
        assert_eq!(accept_rollback(folder.path(), None).unwrap(), 99);
        folder
    }

    fn reserve(folder: &Path, release: &str) -> Result<(), String> {
        let state = State::open(&folder.join("node.sqlite")).unwrap();
        let reserved = state.reserve(NOW, &cost(release), &Limits::default());
        reserved.map_err(|it| it.code().to_owned())
    }

    // An accepted rollback gives nothing back: neither budget, whatever its limits are, nor an approval
    // that may have been used in what is lost.
    #[test]
    fn an_accepted_rollback_gives_no_budget_and_no_approval_back() {
        let folder = rolled_back();
        let path = folder.path();
        assert_eq!(reserve(path, "r1"), Err("K0643".to_owned()));
        let state = State::open(&path.join("node.sqlite")).unwrap();
        assert!(state.is_consumed("n1").unwrap());
        let used = "SELECT count(*) FROM requests WHERE state = 'consumed'";
        let count: i64 = state.lock().query_row(used, [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
        // the log holds the end of the ledger that was accepted
        let (seq, _) = state.budget_void().unwrap().unwrap();
        let text: String = state
            .lock()
            .query_row("SELECT event FROM audit_log WHERE seq = ?", [whole(seq)], |row| row.get(0))
            .unwrap();
        let head = to_hex(&state.ledger().unwrap().hash());
        assert!(text.contains(&head) && text.contains(VOID), "{text}");
        // of a peer's rollback nothing here becomes void
        let own = crate::audit::tests::folder();
        assert_eq!(reserve(own.path(), "r1"), Ok(()));
    }

    // Who may let budgets count again, once for each rollback: as many stewards as the policy asks for.
    #[test]
    fn budgets_count_again_when_enough_stewards_sign() {
        let folder = rolled_back();
        let path = folder.path();
        let identity = |name: &str| {
            let file = path.join(format!("{name}.key"));
            let made = Identity::create(&file);
            made.unwrap_or_else(|_| Identity::open(&file).unwrap())
        };
        let (eva, jan) = (identity("eva"), identity("jan"));
        let steward = |name: &str, identity: &Identity| {
            format!("[[steward]]\nname = \"{name}\"\nkey = \"{}\"\n", identity.public_key())
        };
        let policy = format!("two_person = true\n{}{}", steward("eva", &eva), steward("jan", &jan));
        std::fs::write(path.join("policy.toml"), policy).unwrap();
        let own = || identity("identity");
        let renew = |signers: &[Identity]| {
            renew_budget(path, Clock::system(), signers).map_err(|it| it.to_string())
        };
        for (signers, says) in [
            (vec![], "2 stewards must sign, 0 have"),
            (vec![identity("eva")], "2 stewards must sign, 1 have"),
            (vec![identity("eva"), identity("eva")], "stands twice"),
            (vec![identity("eva"), own()], "no steward's"),
        ] {
            let error = renew(&signers).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
        assert_eq!(reserve(path, "r1"), Err("K0643".to_owned()));
        assert_eq!(renew(&[eva, jan]).unwrap(), ["eva", "jan"]);
        assert_eq!(reserve(path, "r1"), Ok(()));
        // what the restored ledger knows is spent
        assert_eq!(reserve(path, "before"), Err("K0641".to_owned()));
        assert!(renew(&[identity("eva"), identity("jan")]).unwrap_err().contains("not void"));
    }

    // Where the network demands two people, one does not renew a budget under a policy that is made
    // laxer for that time.
    #[test]
    fn a_policy_laxer_than_the_network_renews_no_budget() {
        let folder = rolled_back();
        let path = folder.path();
        let admin = Identity::create(&path.join("admin.key")).unwrap();
        let key = admin.public_key().to_string();
        let mut network = Network::new("net", &key);
        network.rules.two_person = true;
        let sign = |message: &[u8]| admin.sign(message).ok();
        let list = Signed::new(NETWORK, network, &key, sign).unwrap();
        let list = serde_json::to_string(&[list]).unwrap();
        std::fs::write(path.join("network.json"), list).unwrap();
        let own = Identity::open(&path.join("identity.key")).unwrap();
        let error = renew_budget(path, Clock::system(), &[own]).unwrap_err();
        assert_eq!(error.code(), "K0627");
        assert!(error.to_string().contains("two_person is false"), "{error}");
        assert_eq!(reserve(path, "r1"), Err("K0643".to_owned()));
    }
}
