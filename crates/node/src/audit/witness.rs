//! Centres of a run look at each other's logs: see `governance::audit::witness` for the messages.

use super::{CHECKPOINTS_KEPT, whole};
use crate::centre::CentreNode;
use crate::config::Peer;
use crate::dealer::key_of;
use crate::doctor::CLOCK_MAX;
use crate::error::NodeError;
use konsil_governance::audit::{
    ANSWER_BYTES, Answer, CLAIM_BYTES, Checkpoint, Claim, Event, Hash, Rollback, SignedCheckpoint,
    WITNESS_BYTES, judge, origin_of,
};
use konsil_mpc::{Wire, WireError};
use konsil_net::{Mesh, PublicKey};
use rusqlite::{Connection, OptionalExtension, params};

/// Another centre of the run.
struct Other {
    place: usize,
    name: String,
    origin: String,
    key: PublicKey,
    /// What was seen of its log.
    seen: Claim,
    /// What it has seen of ours.
    claim: Claim,
    /// Its log now.
    answer: Option<Answer>,
}

/// Tells every other centre of the run about this centre's log, and judges theirs. `members` are all
/// centres in the mesh's order.
pub(crate) fn exchange(
    node: &CentreNode,
    mesh: &mut Mesh,
    members: &[Peer],
) -> Result<(), NodeError> {
    let names: Vec<String> = members.iter().map(|it| it.name.clone()).collect();
    let named = |error: WireError| NodeError::wire(error, &names);
    let mut others = Vec::with_capacity(members.len());
    for (place, peer) in members.iter().enumerate().filter(|(place, _)| *place != mesh.me()) {
        let key = key_of(&peer.key).ok_or(NodeError::Message("member key"))?;
        let (name, origin) = (peer.name.clone(), origin_of(&node.config.network, &peer.name));
        let seen = node.state.seen((&peer.name, &key))?;
        others.push(Other { place, name, origin, key, seen, claim: Claim::NOTHING, answer: None });
    }
    for other in &others {
        mesh.send(other.place, &other.seen.encode()).map_err(named)?;
    }
    for other in &mut others {
        let mut bytes = [0; CLAIM_BYTES];
        mesh.receive(other.place, &mut bytes).map_err(named)?;
        other.claim = Claim::decode(&bytes).ok_or(NodeError::Message("claim"))?;
    }
    // a claim without this centre's signature is none
    let own_key = node.identity.public_key();
    let origin = origin_of(&node.config.network, &node.config.name);
    for other in &mut others {
        let body = other.claim.checkpoint(&origin).body();
        if other.claim.size > 0 && !own_key.verify(body.as_bytes(), &other.claim.signature) {
            other.claim = Claim::NOTHING;
        }
    }
    let done = own_log(node, &others)
        .and_then(|()| answers(node, mesh, (&mut others, &names)))
        .and_then(|now| cosignatures(node, mesh, (&others, &names), now));
    match &done {
        Err(NodeError::Rollback { centre, .. }) => {
            mesh.abort(&format!("rollback-detected: {centre}"));
        }
        Err(NodeError::ClockSkew { centre, .. }) => mesh.abort(&format!("clock-skew: {centre}")),
        _ => {}
    }
    done
}

/// Whether this centre's log still holds what others have seen of it.
fn own_log(node: &CentreNode, others: &[Other]) -> Result<(), NodeError> {
    for other in others.iter().filter(|it| it.claim.size > 0) {
        let (size, root) = (other.claim.size, other.claim.root);
        let now = node.state.own_claim()?;
        let lost = match node.state.root_at(size) {
            None => Rollback::Shorter { seen: size, now: now.0 },
            Some(own) if own != root => Rollback::Other { seen: size },
            Some(_) => continue,
        };
        if !node.state.is_accepted(size, &root)? {
            let name = &node.config.name;
            let event = Event::new("rollback", name, &format!("node@{name}"))
                .with("seen_by", &other.name)
                .with("seen_entries", &size)
                .with("entries", &now.0);
            node.state.log_with(node.clock.now(), &[event], |transaction, _| {
                transaction.execute(
                    "INSERT OR IGNORE INTO rollbacks (peer, size, root) VALUES (?, ?, ?)",
                    params![other.name, whole(size), root],
                )?;
                Ok(())
            })?;
            return Err(NodeError::Rollback { centre: name.clone(), what: lost.to_string() });
        }
    }
    Ok(())
}

/// Sends this centre's signed checkpoint with proofs; receives and judges the others'.
fn answers(
    node: &CentreNode,
    mesh: &mut Mesh,
    (others, names): (&mut [Other], &[String]),
) -> Result<SignedCheckpoint, NodeError> {
    let named = |error: WireError| NodeError::wire(error, names);
    let signed = node.signed_checkpoint()?;
    let now = claim_of(&signed)?;
    for other in others.iter() {
        let proof = node.state.proof_between(other.claim.size, now.size).unwrap_or_default();
        let answer = Answer { now: now.clone(), proof };
        let bytes = answer.encode().ok_or(NodeError::Message("proof"))?;
        mesh.send(other.place, &bytes).map_err(named)?;
    }
    for other in others.iter_mut() {
        let mut bytes = vec![0; ANSWER_BYTES];
        mesh.receive(other.place, &mut bytes).map_err(named)?;
        let answer = Answer::decode(&bytes).ok_or(NodeError::Message("answer"))?;
        let body = answer.now.checkpoint(&other.origin).body();
        let signed = other.key.verify(body.as_bytes(), &answer.now.signature);
        let verdict = if signed { judge(&other.seen, &answer) } else { Err(Rollback::Unsigned) };
        if let Err(what) = verdict {
            let event = Event::new("rollback", &other.name, &format!("node@{}", node.config.name))
                .with("seen_entries", &other.seen.size)
                .with("entries", &answer.now.size);
            node.state.log(node.clock.now(), &event)?;
            let (centre, what) = (other.name.clone(), what.to_string());
            return Err(NodeError::Rollback { centre, what });
        }
        other.answer = Some(answer);
    }
    Ok(signed)
}

/// Co-signs the others' logs, collects their co-signatures, and stores both.
fn cosignatures(
    node: &CentreNode,
    mesh: &mut Mesh,
    (others, names): (&[Other], &[String]),
    mut own: SignedCheckpoint,
) -> Result<(), NodeError> {
    let named = |error: WireError| NodeError::wire(error, names);
    let time = node.clock.now().as_second().unsigned_abs();
    for other in others {
        let answer = other.answer.as_ref().ok_or(NodeError::Message("answer"))?;
        let body = answer.now.checkpoint(&other.origin).cosigned_body(time);
        let signature = node.sign(&body)?;
        let bytes = [&time.to_be_bytes()[..], &signature].concat();
        mesh.send(other.place, &bytes).map_err(named)?;
    }
    for other in others {
        let mut bytes = [0; WITNESS_BYTES];
        mesh.receive(other.place, &mut bytes).map_err(named)?;
        let (time, rest) = bytes.split_first_chunk::<8>().ok_or(NodeError::Message("note"))?;
        let signature = rest.first_chunk::<64>().ok_or(NodeError::Message("note"))?;
        let theirs = u64::from_be_bytes(*time);
        own.cosign(&other.origin, &other.key.0, (theirs, signature));
        if own.cosigned(&other.origin, &other.key.0).is_err() {
            return Err(NodeError::Message("co-signature"));
        }
        in_time(&other.name, theirs, node.clock.now().as_second())?;
    }
    node.state.witness(others, &own)
}

/// Refuses a signed time that is far from this centre's own.
fn in_time(centre: &str, theirs: u64, own: i64) -> Result<(), NodeError> {
    let seconds = i64::try_from(theirs).unwrap_or(i64::MAX).saturating_sub(own);
    if seconds.saturating_abs() <= CLOCK_MAX {
        return Ok(());
    }
    Err(NodeError::ClockSkew { centre: centre.to_owned(), seconds })
}

/// A signed checkpoint as a message.
fn claim_of(signed: &SignedCheckpoint) -> Result<Claim, NodeError> {
    let Checkpoint { size, root, .. } = signed.checkpoint;
    let signature = signed.lines.first().and_then(|it| it.signature.first_chunk::<64>());
    let signature = *signature.ok_or(NodeError::Message("checkpoint"))?;
    Ok(Claim { size, root, signature })
}

impl CentreNode {
    fn sign(&self, text: &str) -> Result<[u8; 64], NodeError> {
        self.identity.sign(text.as_bytes()).map_err(|error| NodeError::File {
            path: self.folder.join("identity.key"),
            what: error.to_string(),
        })
    }

    /// The log as it is now, signed and stored.
    pub(crate) fn signed_checkpoint(&self) -> Result<SignedCheckpoint, NodeError> {
        let (size, root) = self.state.own_claim()?;
        let origin = origin_of(&self.config.network, &self.config.name);
        let checkpoint = Checkpoint { origin, size, root };
        let signature = self.sign(&checkpoint.body())?;
        let signed = checkpoint.signed(&self.identity.public_key().0, &signature);
        self.state.change(|connection| store_checkpoint(connection, &signed))?;
        Ok(signed)
    }
}

fn store_checkpoint(connection: &Connection, note: &SignedCheckpoint) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT OR REPLACE INTO checkpoints (size, note) VALUES (?, ?)",
        params![whole(note.checkpoint.size), note.to_string()],
    )?;
    connection.execute(
        "DELETE FROM checkpoints WHERE size NOT IN
            (SELECT size FROM checkpoints ORDER BY size DESC LIMIT ?)",
        [CHECKPOINTS_KEPT],
    )?;
    Ok(())
}

impl crate::state::State {
    /// Size and root of the log.
    fn own_claim(&self) -> Result<(u64, Hash), NodeError> {
        let size = self.books().log.head().size;
        let root = self.root_at(size).ok_or(NodeError::AuditBroken(size))?;
        Ok((size, root))
    }

    /// Root of the log's first entries, if it has so many.
    fn root_at(&self, size: u64) -> Option<Hash> {
        self.books().log.tree().root(usize::try_from(size).ok()?)
    }

    fn proof_between(&self, old: u64, new: u64) -> Option<Vec<Hash>> {
        let (old, new) = (usize::try_from(old).ok()?, usize::try_from(new).ok()?);
        self.books().log.tree().consistency(old, new)
    }

    /// What was last seen of a peer's log, under the peer's own signature.
    fn seen(&self, (name, key): (&str, &PublicKey)) -> Result<Claim, NodeError> {
        let connection = self.lock();
        let query = "SELECT note FROM witnessed WHERE peer = ?";
        let note: Option<String> =
            connection.query_row(query, [key.to_string()], |row| row.get(0)).optional()?;
        let Some(note) = note else { return Ok(Claim::NOTHING) };
        let broken = || NodeError::WitnessBroken(name.to_owned());
        let note = SignedCheckpoint::parse(&note).map_err(|_| broken())?;
        note.verified(&key.0).map_err(|_| broken())?;
        claim_of(&note)
    }

    /// Whether an administrator has accepted that the log no longer holds what was signed once.
    fn is_accepted(&self, size: u64, root: &Hash) -> Result<bool, NodeError> {
        let query = "SELECT count(*) FROM rollbacks WHERE size = ? AND root = ? AND accepted = 1";
        let connection = self.lock();
        let count: i64 =
            connection.query_row(query, params![whole(size), root], |row| row.get(0))?;
        Ok(count > 0)
    }

    /// Stores what was seen of the others, and what they co-signed.
    fn witness(&self, others: &[Other], own: &SignedCheckpoint) -> Result<(), NodeError> {
        self.change(|connection| {
            let transaction = connection.unchecked_transaction()?;
            for other in others {
                let Some(Answer { now, .. }) = &other.answer else { continue };
                let note = now.checkpoint(&other.origin).signed(&other.key.0, &now.signature);
                transaction.execute(
                    "INSERT INTO witnessed VALUES (?1, ?2, ?3, ?4) ON CONFLICT (peer)
                     DO UPDATE SET name = ?2, size = ?3, note = ?4 WHERE size <= ?3",
                    params![other.key.to_string(), other.name, whole(now.size), note.to_string()],
                )?;
            }
            store_checkpoint(&transaction, own)?;
            transaction.commit()
        })
    }
}
