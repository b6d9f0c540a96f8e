//! What stewards do at their centre's desk: read, approve, decline, ask, take back.

use crate::desk::{Desk, short};
use crate::error::NodeError;
use crate::requests::{DECLINED, sign_approval};
use crate::requests_store::RequestRecord;
use crate::seal::SEALED_OVERHEAD_BYTES;
use konsil_governance::audit::Event;
use konsil_governance::{Plan, Refusal, RequestState, Study, network_plan, variables_used};
use konsil_mpc::Topology;
use konsil_net::Identity;

/// Everything that a steward needs to decide on a request.
#[derive(Debug)]
pub struct RequestView {
    /// The request as it is kept.
    pub record: RequestRecord,
    /// The study.
    pub study: Study,
    /// Name of the researcher.
    pub researcher: String,
    /// Variables that it reads here.
    pub variables: Vec<String>,
    /// What will be revealed, value by value, and what leaves.
    pub plan: Plan,
    /// Bytes that leave this centre.
    pub own_bytes: u64,
    /// Names of those who have approved.
    pub approved_by: Vec<String>,
    /// Signatures that an approval needs.
    pub signatures_needed: usize,
}

impl Desk {
    /// All requests, the newest last.
    ///
    /// # Errors
    /// [`NodeError::Database`].
    pub fn requests(&self) -> Result<Vec<RequestRecord>, NodeError> {
        self.state.requests()
    }

    /// A request with everything that a steward needs to decide on it. Patients are not looked at,
    /// only the dictionary of their data set.
    ///
    /// # Errors
    /// [`NodeError::Refused`] for a number that is not there, [`NodeError::Plan`].
    pub fn view(&self, number: i64) -> Result<RequestView, NodeError> {
        let record = self.record(number)?;
        let request = &record.document.body;
        let study = request.study().ok_or(NodeError::Message("unreadable study"))?;
        let dataset = self.patients()?;
        let members: Vec<(String, usize)> =
            request.members.iter().map(|it| (it.name.clone(), it.rows_at_most)).collect();
        let topology = if request.star { Topology::Star } else { Topology::Mesh };
        let extended = study.extended(dataset.dictionary())?;
        let dictionary = extended.as_ref().unwrap_or_else(|| dataset.dictionary());
        let exact = study.noise_budget().is_none();
        let lineage = if exact { self.state.lineage()? } else { Vec::new() };
        let earlier: Vec<usize> = lineage.iter().map(|it| it.sets).collect();
        let plan = network_plan(
            &study,
            dictionary,
            (&members, &earlier),
            (topology, SEALED_OVERHEAD_BYTES),
        )?;
        let me = members.iter().position(|(name, _)| *name == self.config.name);
        let own_bytes = me.and_then(|me| plan.sent_bytes_by_centre.get(me)).copied();
        let policy = self.policy()?;
        let name = |key: &str| match policy.steward_of(key) {
            Some(steward) => steward.name.clone(),
            None => short(key),
        };
        let approvals = self.state.approvals(number)?;
        let valid = approvals.iter().filter(|it| !it.revoked);
        Ok(RequestView {
            researcher: self.researcher(&record.researcher),
            variables: variables_used(&study, dictionary),
            own_bytes: own_bytes.unwrap_or(0),
            approved_by: valid.map(|it| name(&it.document.signer)).collect(),
            signatures_needed: policy.signatures_needed(),
            record,
            study,
            plan,
        })
    }

    fn record(&self, number: i64) -> Result<RequestRecord, NodeError> {
        self.state.request(number)?.ok_or_else(|| {
            let what = format!("there is no request #{number}; see  konsil request list");
            NodeError::Refused(what)
        })
    }

    /// A steward's yes. Gives the state afterwards: with the rule of two, the first yes leaves the
    /// request waiting.
    ///
    /// # Errors
    /// [`Refusal::NoRight`] when the key belongs to no steward of the policy, which is logged.
    pub fn approve(
        &self,
        number: i64,
        steward: &Identity,
        note: &str,
    ) -> Result<RequestState, NodeError> {
        let record = self.record(number)?;
        let policy = self.policy()?;
        let actor = self.steward(steward, "approve", &record)?;
        let decidable = [
            RequestState::Waiting,
            RequestState::Question,
            RequestState::Declined,
            RequestState::Revoked,
        ];
        if !decidable.contains(&record.state) {
            return Err(undecidable(&record));
        }
        let permit = record.document.body.permit.as_ref();
        self.check_permit(permit, &record.researcher, konsil_governance::Moment::Submit)?;
        let permit = permit.map_or("", |it| it.body.id.as_str());
        let bound = self.bound(&record.study_hash, &policy, permit)?;
        // the second of two stewards signs what the first has signed
        let stored = self.state.approvals(number)?;
        let last = stored.last().filter(|it| !it.revoked).map(|it| &it.document.body);
        let held = last.filter(|it| it.holds(&bound, self.clock.now(), &record.study).is_ok());
        let approval = match held {
            Some(first) if record.state == RequestState::Waiting => first.clone(),
            _ => self.new_approval(&policy, (&record.study_hash, permit))?,
        };
        let signed = sign_approval(steward, approval)?;
        let same = stored.iter().filter(|it| it.document.body == signed.body);
        let mut signers: Vec<&str> = same.map(|it| it.document.signer.as_str()).collect();
        signers.retain(|key| policy.steward_of(key).is_some());
        if signers.contains(&signed.signer.as_str()) {
            let what = "you have approved it already; another steward must approve as well";
            return Err(NodeError::Refused(what.to_owned()));
        }
        let complete = signers.len() + 1 >= policy.signatures_needed();
        let event = Event::new("approve", &record.study, &actor)
            .with("study", &record.study_hash)
            .with("nonce", &signed.body.nonce)
            .with("request", &number)
            .with("note", &note);
        self.log(&event)?;
        if complete || record.state == RequestState::Waiting {
            self.state.add_approval((number, record.state), &signed, complete, note)?
        } else {
            // the first of two yeses to what had been declined puts it back into the queue
            let back = (record.state, RequestState::Waiting);
            self.state.move_request(number, back, ("", note))?
                && self.state.add_approval((number, RequestState::Waiting), &signed, false, note)?
        }
        .then_some(if complete { RequestState::Approved } else { RequestState::Waiting })
        .ok_or_else(|| undecidable(&record))
    }

    /// A steward's no.
    ///
    /// # Errors
    /// As [`Desk::approve`].
    pub fn decline(&self, number: i64, steward: &Identity, note: &str) -> Result<(), NodeError> {
        let to = RequestState::Declined;
        self.decide((number, "decline"), steward, (to, DECLINED, note))
    }

    /// A steward's question to the researcher.
    ///
    /// # Errors
    /// As [`Desk::approve`].
    pub fn ask(&self, number: i64, steward: &Identity, question: &str) -> Result<(), NodeError> {
        self.decide((number, "ask"), steward, (RequestState::Question, "", question))
    }

    fn decide(
        &self,
        (number, kind): (i64, &str),
        steward: &Identity,
        (to, code, note): (RequestState, &str, &str),
    ) -> Result<(), NodeError> {
        let record = self.record(number)?;
        let actor = self.steward(steward, kind, &record)?;
        if !matches!(record.state, RequestState::Waiting | RequestState::Question) {
            return Err(undecidable(&record));
        }
        self.log(&decision(kind, &record, &actor).with("note", &note))?;
        let moved = self.state.move_request(number, (record.state, to), (code, note))?;
        if moved { Ok(()) } else { Err(undecidable(&record)) }
    }

    /// Takes an approval back, as long as no run has used it.
    ///
    /// # Errors
    /// As [`Desk::approve`].
    pub fn revoke(&self, number: i64, steward: &Identity, note: &str) -> Result<(), NodeError> {
        let record = self.record(number)?;
        let actor = self.steward(steward, "revoke", &record)?;
        if record.state != RequestState::Approved {
            return Err(undecidable(&record));
        }
        self.log(&decision("revoke", &record, &actor).with("note", &note))?;
        if self.state.revoke(number, note)? { Ok(()) } else { Err(undecidable(&record)) }
    }

    /// The steward's name for the log. Who is none is refused, and logged.
    fn steward(
        &self,
        identity: &Identity,
        kind: &str,
        record: &RequestRecord,
    ) -> Result<String, NodeError> {
        let key = identity.public_key().to_string();
        if let Some(steward) = self.policy()?.steward_of(&key) {
            return Ok(format!("{}@{}", steward.name, self.config.name));
        }
        let refusal = Refusal::NoRight(short(&key));
        let event = decision("refuse", record, &short(&key))
            .with("code", &refusal.code())
            .with("wanted", &kind);
        self.log(&event)?;
        Err(refusal.into())
    }
}

fn decision(kind: &str, record: &RequestRecord, actor: &str) -> Event {
    Event::new(kind, &record.study, actor)
        .with("study", &record.study_hash)
        .with("request", &record.number)
}

fn undecidable(record: &RequestRecord) -> NodeError {
    let what = match record.state {
        RequestState::Approved => "is approved; take it back with  konsil request revoke",
        RequestState::Consumed => "has been used by a run",
        RequestState::Expired => "is over; the researcher can send it again",
        _ => "is no longer in a state in which this can be decided; look at it again",
    };
    NodeError::Refused(format!("request #{} {what}", record.number))
}
