//! How a run begins and ends in the centre's books: approval, budget, log.

use crate::admission::Admission;
use crate::centre::CentreNode;
use crate::charge::Charge;
use crate::config::Peer;
use crate::control::RunRequest;
use crate::error::NodeError;
use crate::run::Checked;
use konsil_cohort::Dataset;
use konsil_governance::{Member as Asked, StudyRequest, to_hex};

/// Records that a run begins, before it does, and reserves what it costs; nothing yet for what looks
/// as if it had been answered.
pub(crate) fn begin_run(
    node: &CentreNode,
    request: &RunRequest,
    (checked, charge, admission): (&Checked, &Charge, &Admission),
    planned: u64,
) -> Result<(), NodeError> {
    let snapshot = node.log_dataset()?;
    let (study, hash) = (&checked.study.study.id, to_hex(&checked.study.hash()));
    let now = node.clock.now();
    let event = (node.event("run", study).with("session", &request.session))
        .with("study_hash", &hash)
        .with("researcher", &node.desk.researcher(&checked.key))
        .with("members", &checked.names.join(" "))
        .with("dataset_root", &snapshot)
        .with("planned_bytes", &planned);
    let approval = (admission.request, admission.nonce.as_str());
    node.state.begin((now, event), &request.session, (study, &hash), approval)?;
    if charge.earlier.is_some() {
        return Ok(());
    }
    let reserved = node.state.reserve(now, &charge.cost, &node.config.budget);
    if let Err(error) = &reserved {
        end_run(node, request, ("aborted", error.code()), (checked, planned, 0))?;
        give_back(node, request, checked, admission)?;
    }
    reserved
}

/// Records how a run ended.
pub(crate) fn end_run(
    node: &CentreNode,
    request: &RunRequest,
    (state, reason): (&str, &str),
    (checked, planned, sent): (&Checked, u64, u64),
) -> Result<(), NodeError> {
    let kind = if state == "released" { "end" } else { "abort" };
    let event = (node.event(kind, &checked.study.study.id).with("session", &request.session))
        .with("planned_bytes", &planned)
        .with("sent_bytes", &sent);
    let event = if reason.is_empty() { event } else { event.with("code", &reason) };
    let now = node.clock.now();
    node.state.end((now, event), &request.session, (state, reason), (planned, sent))
}

/// Gives the approval of a run back that has used no randomness: nothing was computed.
pub(crate) fn give_back(
    node: &CentreNode,
    request: &RunRequest,
    checked: &Checked,
    admission: &Admission,
) -> Result<(), NodeError> {
    if !node.state.is_unburnt(&request.session)? {
        return Ok(());
    }
    let event = node.event("return", &checked.study.study.id).with("session", &request.session);
    node.state.log(node.clock.now(), &event)?;
    node.state.give_back((admission.request, admission.nonce.as_str()), &request.session)
}

/// Lets a run begin that nobody has asked for before, where the centre approves by policy.
pub(crate) fn admit_by_policy(
    node: &CentreNode,
    request: &RunRequest,
    checked: &Checked,
    dataset: &Dataset,
) -> Result<Admission, NodeError> {
    let sizes = request.members.iter().zip(&request.rows_at_most);
    let member =
        |(peer, rows): (&Peer, &usize)| Asked { name: peer.name.clone(), rows_at_most: *rows };
    let body = StudyRequest {
        network: node.config.network.clone(),
        study: request.study.clone(),
        members: sizes.map(member).collect(),
        star: request.star,
        permit: None,
    };
    node.desk.take_in_run(&node.identity, (body, &checked.key), dataset)?;
    node.desk.admit(&node.identity, &checked.asker())
}
