//! The exchange of checkpoints with a peer that says what it likes.

use super::exchange;
use super::tests::folder;
use crate::centre::CentreNode;
use crate::clock::Clock;
use crate::config::Peer;
use crate::error::NodeError;
use jiff::Timestamp;
use konsil_governance::audit::{
    ANSWER_BYTES, Answer, CLAIM_BYTES, Claim, Event, Log, WITNESS_BYTES, origin_of,
};
use konsil_mpc::{Wire, WireError};
use konsil_net::{Identity, Mesh, memory};
use std::thread;

/// A peer in the hands of the test: its key and its log.
struct Foe {
    identity: Identity,
    log: Log,
}

impl Foe {
    fn new(entries: u32, salt: &str) -> Self {
        let mut foe = Self { identity: Identity::generate().unwrap(), log: Log::default() };
        foe.grow(entries, salt);
        foe
    }

    fn grow(&mut self, entries: u32, salt: &str) {
        for number in 0..entries {
            let event = Event::new("open", salt, "node@eiche").with("number", &number);
            let record = self.log.next(1000, &event).unwrap();
            self.log.accept(&record).unwrap();
        }
    }

    /// Its log, with a proof that it continues what was seen, as far as there is one.
    fn answer(&self, seen: &Claim) -> Answer {
        let places = [seen.size, self.log.head().size].map(|it| usize::try_from(it).unwrap());
        let root = self.log.tree().root(places[1]).unwrap();
        let mut now = Claim { size: self.log.head().size, root, signature: [0; 64] };
        let body = now.checkpoint(&origin_of("test", "eiche")).body();
        now.signature = self.identity.sign(body.as_bytes()).unwrap();
        let proof = self.log.tree().consistency(places[0], places[1]).unwrap_or_default();
        Answer { now, proof }
    }

    /// The peer's side: claims `claim`, answers as `change` says. What came of it.
    fn speak(
        &self,
        mesh: &mut Mesh,
        claim: &Claim,
        change: &dyn Fn(&mut Answer),
    ) -> Result<(Claim, Answer), WireError> {
        let (mut seen, mut own) = ([0; CLAIM_BYTES], vec![0; ANSWER_BYTES]);
        mesh.send(0, &claim.encode())?;
        mesh.receive(0, &mut seen)?;
        let seen = Claim::decode(&seen).unwrap();
        mesh.receive(0, &mut own)?;
        let mut answer = self.answer(&seen);
        change(&mut answer);
        mesh.send(0, &answer.encode().unwrap())?;
        let own = Answer::decode(&own).unwrap();
        let now = u64::try_from(Clock::system().now().as_second()).unwrap();
        let body = own.now.checkpoint(&origin_of("test", "birke")).cosigned_body(now);
        let signature = self.identity.sign(body.as_bytes()).unwrap();
        mesh.send(0, &[&now.to_be_bytes()[..], &signature].concat())?;
        mesh.receive(0, &mut [0; WITNESS_BYTES])?;
        Ok((seen, own))
    }
}

/// What the centre makes of a peer, and what the peer gets.
fn meet(
    node: &CentreNode,
    foe: &Foe,
    claim: &Claim,
    change: &(dyn Fn(&mut Answer) + Sync),
) -> (Result<(), NodeError>, Result<(Claim, Answer), WireError>) {
    let peer = |name: &str, identity: &Identity| {
        let key = identity.public_key().to_string();
        Peer { name: name.to_owned(), key, ..Peer::default() }
    };
    let members = [peer("birke", &node.identity), peer("eiche", &foe.identity)];
    let mut meshes = memory::mesh(2);
    let (mut theirs, mut ours) = (meshes.pop().unwrap(), meshes.pop().unwrap());
    thread::scope(|scope| {
        let spoken = scope.spawn(move || foe.speak(&mut theirs, claim, change));
        let result = exchange(node, &mut ours, &members);
        drop(ours);
        (result, spoken.join().unwrap())
    })
}

fn node_with_entries(folder: &std::path::Path, entries: u32) -> CentreNode {
    let node = CentreNode::open(folder, Clock::system()).unwrap();
    for _ in 0..entries {
        node.state.log(Timestamp::UNIX_EPOCH, &Event::new("open", "s", "node@birke")).unwrap();
    }
    node
}

// Logs that grow are witnessed; the next meeting begins where the last one ended.
#[test]
fn logs_that_grow_are_witnessed() {
    let folder = folder();
    let node = node_with_entries(folder.path(), 5);
    let mut foe = Foe::new(20, "a");
    let (result, spoken) = meet(&node, &foe, &Claim::NOTHING, &|_| {});
    result.unwrap();
    let (seen, own) = spoken.unwrap();
    assert_eq!((seen, own.now.size, own.proof.len()), (Claim::NOTHING, 5, 0));
    foe.grow(7, "b");
    node.state.log(Timestamp::UNIX_EPOCH, &Event::new("open", "s", "node@birke")).unwrap();
    let (result, spoken) = meet(&node, &foe, &own.now, &|_| {});
    result.unwrap();
    let (seen, again) = spoken.unwrap();
    assert_eq!((seen.size, again.now.size), (20, 6));
    assert!(konsil_governance::audit::judge(&own.now, &again).is_ok());
}

// A peer whose log is shorter, another one, or not its own ends the run and is named.
#[test]
fn a_peers_log_that_contradicts_itself_is_named() {
    let folder = folder();
    let node = node_with_entries(folder.path(), 5);
    let mut foe = Foe::new(20, "a");
    meet(&node, &foe, &Claim::NOTHING, &|_| {}).0.unwrap();
    let (identity, log) = (foe.identity.clone(), foe.log.clone());
    let refused = |foe: &Foe, says: &str, change: &(dyn Fn(&mut Answer) + Sync)| {
        let (result, spoken) = meet(&node, foe, &Claim::NOTHING, change);
        let error = result.unwrap_err();
        assert_eq!(error.code(), "K0631");
        assert!(error.to_string().contains("eiche") && error.to_string().contains(says), "{error}");
        let told = spoken.unwrap_err();
        assert!(
            matches!(&told, WireError::Aborted { reason, .. } if reason == "rollback-detected: eiche"),
            "{told}"
        );
    };
    foe.log = Log::default();
    foe.grow(19, "a");
    refused(&foe, "has 19 entries, 20 were seen", &|_| {});
    foe.grow(9, "another way");
    refused(&foe, "does not contain the 20 entries", &|_| {});
    foe.log = log;
    foe.grow(3, "b");
    refused(&foe, "does not contain", &|answer| answer.proof.clear());
    refused(&foe, "not signed", &|answer| answer.now.signature[0] ^= 1);
    refused(&foe, "not signed", &|answer| answer.now.size += 1);
    // what is stored of a peer counts under the peer's signature only
    let stored = "UPDATE witnessed SET note = replace(note, char(10) || '20' || char(10), char(10) || '19' || char(10))";
    node.state.lock().execute_batch("SAVEPOINT before").unwrap();
    assert_eq!(node.state.lock().execute(stored, []).unwrap(), 1);
    let error = meet(&node, &foe, &Claim::NOTHING, &|_| {}).0.unwrap_err();
    assert!(error.code() == "K0632" && error.to_string().contains("eiche"), "{error}");
    node.state.lock().execute_batch("ROLLBACK TO before; RELEASE before").unwrap();
    // and the true log is still welcome
    foe.identity = identity;
    meet(&node, &foe, &Claim::NOTHING, &|_| {}).0.unwrap();
}

// A claim counts only with this centre's own signature; with it, the centre believes it against
// itself, and remembers.
#[test]
fn only_signed_claims_count_against_this_centre() {
    let folder = folder();
    let node = node_with_entries(folder.path(), 5);
    let foe = Foe::new(3, "a");
    let claimed = |signer: &Identity| {
        let mut claim = Claim { size: 900, root: [7; 32], signature: [0; 64] };
        let body = claim.checkpoint(&origin_of("test", "birke")).body();
        claim.signature = signer.sign(body.as_bytes()).unwrap();
        claim
    };
    meet(&node, &foe, &claimed(&foe.identity), &|_| {}).0.unwrap();
    node.state.check_rollbacks("birke").unwrap();
    let error = meet(&node, &foe, &claimed(&node.identity), &|_| {}).0.unwrap_err();
    assert!(error.code() == "K0631" && error.to_string().contains("birke"), "{error}");
    assert_eq!(node.state.check_rollbacks("birke").unwrap_err().code(), "K0631");
    drop(node);
    let accepted = crate::accept_rollback(folder.path(), None).unwrap();
    assert_eq!(accepted, 900);
    let node = CentreNode::open(folder.path(), Clock::system()).unwrap();
    node.state.check_rollbacks("birke").unwrap();
    meet(&node, &foe, &claimed(&node.identity), &|_| {}).0.unwrap();
}
