//! Whether a run may begin: the approval that it uses, looked at anew.

use crate::desk::{Desk, short};
use crate::error::NodeError;
use crate::requests::DECLINED;
use crate::requests_store::RequestRecord;
use konsil_governance::audit::Event;
use konsil_governance::{
    APPROVAL, CentrePolicy, Moment, Permit, Refusal, RequestState, Signed, Study, to_hex,
};
use konsil_net::Identity;

/// What lets a run begin, and is used up by it.
#[derive(Debug)]
pub(crate) struct Admission {
    pub(crate) request: i64,
    pub(crate) nonce: String,
    /// The permit that must still hold when results are sealed.
    pub(crate) permit: Option<Signed<Permit>>,
    dataset: String,
}

/// A run that asks to begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) study: &'a Study,
    /// Key of the researcher.
    pub(crate) key: &'a str,
    /// Centres that take part.
    pub(crate) names: &'a [String],
}

impl Desk {
    /// Finds an approval of the study that holds now.
    pub(crate) fn admit(
        &self,
        identity: &Identity,
        asker: &Asker<'_>,
    ) -> Result<Admission, NodeError> {
        let hash = to_hex(&asker.study.hash());
        let id = &asker.study.study.id;
        let records = self.state.requests_of(&hash, asker.key)?;
        if records.is_empty() {
            let refusal = if self.state.has_approved(id, asker.key)? {
                Refusal::Edited(id.clone())
            } else {
                let what = "this centre does not know the study; send it with  konsil submit";
                Refusal::Missing(what.to_owned())
            };
            return Err(refusal.into());
        }
        let mut first = None;
        for record in &records {
            match self.admit_record(identity, record, asker) {
                Ok(admission) => return Ok(admission),
                Err(error) if first.is_none() => first = Some(error),
                Err(_) => {}
            }
        }
        Err(first.unwrap_or(NodeError::Message("request")))
    }

    /// Whether a steward has said no to this study: then it does not run by policy either.
    pub(crate) fn said_no(&self, asker: &Asker<'_>) -> Result<Option<Refusal>, NodeError> {
        let records = self.state.requests_of(&to_hex(&asker.study.hash()), asker.key)?;
        let no = |record: RequestRecord| match record.state {
            RequestState::Revoked => Some(Refusal::Revoked(record.study)),
            RequestState::Declined if record.code == DECLINED => {
                Some(Refusal::Declined(record.note))
            }
            _ => None,
        };
        Ok(records.into_iter().next().and_then(no))
    }

    fn admit_record(
        &self,
        identity: &Identity,
        record: &RequestRecord,
        asker: &Asker<'_>,
    ) -> Result<Admission, NodeError> {
        let study = record.study.clone();
        match record.state {
            RequestState::Approved => {}
            RequestState::Waiting => {
                let what = format!("request #{} waits for the centre's steward", record.number);
                return Err(Refusal::Missing(what).into());
            }
            RequestState::Question => {
                let what = format!("request #{}: the steward asks: {}", record.number, record.note);
                return Err(Refusal::Missing(what).into());
            }
            RequestState::Declined => return Err(Refusal::Declined(record.note.clone()).into()),
            RequestState::Revoked => return Err(Refusal::Revoked(study).into()),
            RequestState::Consumed => return Err(Refusal::Consumed(study).into()),
            RequestState::Expired => {
                let what = format!("request #{}: {}", record.number, record.note);
                return Err(Refusal::Missing(what).into());
            }
        }
        let request = &record.document.body;
        if !request.allows_members(asker.names, asker.study.study.min_centres) {
            return Err(Refusal::Edited(study).into());
        }
        let nonce = match self.holds(identity, record, asker.study) {
            Ok(nonce) => nonce,
            Err(NodeError::Governance(refusal)) => {
                self.set_aside(record, &refusal)?;
                return Err(refusal.into());
            }
            Err(error) => return Err(error),
        };
        self.check_permit(request.permit.as_ref(), asker.key, Moment::Start)?;
        Ok(Admission {
            request: record.number,
            nonce,
            permit: request.permit.clone(),
            dataset: self.dataset_root()?,
        })
    }

    /// The nonce of the request's approval, if enough stewards, or the node by a standing rule,
    /// have signed it and everything that it binds is in force.
    fn holds(
        &self,
        identity: &Identity,
        record: &RequestRecord,
        study: &Study,
    ) -> Result<String, NodeError> {
        let policy = self.policy()?;
        let permit = record.document.body.permit.as_ref().map_or("", |it| it.body.id.as_str());
        let now = self.bound(&to_hex(&study.hash()), &policy, permit)?;
        let id = &record.study;
        let approvals = self.state.approvals(record.number)?;
        let newest = approvals.last().map(|it| it.document.body.clone());
        let newest = newest.ok_or_else(|| Refusal::Missing("the approval is gone".to_owned()))?;
        let mut signers: Vec<&str> = Vec::new();
        for stored in approvals.iter().filter(|it| it.document.body == newest) {
            let signed = &stored.document;
            may_approve(&policy, identity, signed)?;
            if stored.revoked {
                return Err(Refusal::Revoked(id.clone()).into());
            }
            signed.body.holds(&now, self.clock.now(), id)?;
            if !signers.contains(&signed.signer.as_str()) {
                signers.push(&signed.signer);
            }
        }
        if self.state.is_consumed(&newest.nonce)? {
            return Err(Refusal::Consumed(id.clone()).into());
        }
        let own = identity.public_key().to_string();
        if signers.len() < policy.signatures_needed() && !signers.contains(&own.as_str()) {
            let what = "a second steward must approve as well".to_owned();
            return Err(Refusal::Missing(what).into());
        }
        Ok(newest.nonce)
    }

    /// An approval that does not hold is over.
    fn set_aside(&self, record: &RequestRecord, refusal: &Refusal) -> Result<(), NodeError> {
        let code = refusal.code();
        let to = match refusal {
            Refusal::Missing(_) => return Ok(()),
            Refusal::Consumed(_) => RequestState::Consumed,
            Refusal::Revoked(_) => RequestState::Revoked,
            _ => RequestState::Expired,
        };
        let event = Event::new("expire", &record.study, &self.node())
            .with("study", &record.study_hash)
            .with("code", &code)
            .with("request", &record.number);
        self.log(&event)?;
        let moved = (RequestState::Approved, to);
        self.state.move_request(record.number, moved, (code, &refusal.to_string()))?;
        Ok(())
    }

    /// Whether the data set is still the one that was looked at when the run was admitted.
    pub(crate) fn unchanged(&self, admission: &Admission) -> Result<(), NodeError> {
        if self.dataset_root()? == admission.dataset {
            Ok(())
        } else {
            Err(Refusal::Dataset.into())
        }
    }
}

/// Whether a signature is good and its signer may approve: a steward, or the node where there are
/// standing rules.
pub(crate) fn may_approve(
    policy: &CentrePolicy,
    node: &Identity,
    signed: &Signed<konsil_governance::Approval>,
) -> Result<(), Refusal> {
    let own = signed.signer == node.public_key().to_string() && !policy.standing.is_empty();
    let right = own || policy.steward_of(&signed.signer).is_some();
    if right && signed.verified(APPROVAL).is_ok() {
        Ok(())
    } else {
        Err(Refusal::NoRight(short(&signed.signer)))
    }
}
