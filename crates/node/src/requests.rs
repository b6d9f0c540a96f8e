//! Requests that arrive at a centre: checked against its policy, kept with a number, approved by a
//! standing rule or left for a steward.

use crate::control::StageSummary;
use crate::desk::{Desk, unwritable};
use crate::dictionaries::accepted_versions;
use crate::error::NodeError;
use crate::requests_store::{DAY_SECONDS, NewRequest, RequestRecord};
use crate::run::check_rules;
use jiff::Timestamp;
use konsil_cohort::Dataset;
use konsil_governance::audit::Event;
use konsil_governance::{
    APPROVAL, Approval, Asked, CentrePolicy, Check, Moment, Permit, PermitUse, REQUEST, Refusal,
    RequestState, Signed, StandingRule, Study, StudyRequest, canonical, judge, purpose_of, to_hex,
};
use konsil_net::Identity;
use serde::{Deserialize, Serialize};

/// Where a request stands at one centre, as the researcher is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestStatus {
    /// The centre.
    pub centre: String,
    /// The request's number there.
    pub number: i64,
    /// Where it stands.
    pub state: RequestState,
    /// Why, as a code; empty where there is none.
    pub code: String,
    /// Words of the steward or of the policy.
    pub note: String,
}

/// A request on its way through the checks.
struct Coming<'a> {
    document: &'a Signed<StudyRequest>,
    study: Study,
    hash: String,
}

impl Desk {
    /// Takes a request from the researcher with `key`. A study that is known here keeps its number;
    /// with `again`, one whose approval is used up or over gets a new one.
    pub(crate) fn submit(
        &self,
        identity: &Identity,
        document: &Signed<StudyRequest>,
        (key, again): (&str, bool),
    ) -> Result<RequestStatus, NodeError> {
        let refuse = |what: &str| NodeError::Refused(what.to_owned());
        if document.signer != key || document.verified(REQUEST).is_err() {
            return Err(refuse("the request is not signed by the researcher who sends it"));
        }
        if document.body.network != self.config.network {
            return Err(refuse("the request is for another network"));
        }
        let study = document.body.study();
        let study = study.ok_or_else(|| refuse("the study is not in its canonical form"))?;
        self.known_members(&document.body)?;
        let policy = self.policy()?;
        check_rules(&policy.rules, &study)?;
        let hash = to_hex(&study.hash());
        let coming = Coming { document, study, hash };
        let earlier = self.state.requests_of(&coming.hash, key)?;
        let earlier = earlier.into_iter().find(|it| it.document.body == document.body);
        // a node that stopped between a request and its standing approval gives it now
        if let Some(waiting) = earlier.as_ref().filter(|it| it.state == RequestState::Waiting)
            && let Some(rule) = self.rule(&policy, &coming)
        {
            self.approve_by(identity, &policy, (&coming, waiting.number), rule)?;
            let record = self.state.request(waiting.number)?;
            return record.map(|it| self.status(it)).ok_or(NodeError::Message("request"));
        }
        if let Some(earlier) = &earlier
            && self.stands(&policy, (&coming, earlier), again)
        {
            return Ok(self.status(earlier.clone()));
        }
        self.not_too_often(&policy, key)?;
        let dataset = self.patients()?;
        // who waits for other centres asks again and again; the same no is told, with today's reason,
        // not counted
        if let Some(earlier) = earlier.filter(|it| it.state == RequestState::Declined && !again)
            && let Err(refusal) = self.judge(&policy, (document, &coming.study), &dataset)
            && refusal.code() == earlier.code
        {
            return Ok(self.status(RequestRecord { note: refusal.to_string(), ..earlier }));
        }
        let number = self.take_in(identity, &policy, &coming, &dataset)?;
        let record = self.state.request(number)?;
        record.map(|it| self.status(it)).ok_or(NodeError::Message("request"))
    }

    /// Whether an earlier request answers for the same one that has come again.
    fn stands(
        &self,
        policy: &CentrePolicy,
        (coming, earlier): (&Coming<'_>, &RequestRecord),
        again: bool,
    ) -> bool {
        match earlier.state {
            RequestState::Consumed | RequestState::Expired => {
                !again && self.rule(policy, coming).is_none()
            }
            // what the policy declined is judged again: the policy may have changed
            RequestState::Declined => earlier.code == DECLINED,
            RequestState::Waiting
            | RequestState::Approved
            | RequestState::Question
            | RequestState::Revoked => true,
        }
    }

    fn status(&self, record: RequestRecord) -> RequestStatus {
        let RequestRecord { number, state, code, note, .. } = record;
        RequestStatus { centre: self.config.name.clone(), number, state, code, note }
    }

    fn known_members(&self, request: &StudyRequest) -> Result<(), NodeError> {
        let known = |name: &String| self.config.centre.iter().any(|it| it.name == *name);
        let own = request.members.iter().any(|it| it.name == self.config.name);
        if own && request.members.iter().all(|it| known(&it.name)) {
            return Ok(());
        }
        let what = "the members are not centres of the network, or this centre is not among them";
        Err(NodeError::Refused(what.to_owned()))
    }

    /// A run of which a disclosure rule withheld anything counts as a request refused.
    pub(crate) fn count_withheld(
        &self,
        key: &str,
        stages: &[StageSummary],
    ) -> Result<(), NodeError> {
        let codes = stages.iter().filter_map(|it| it.withheld.as_ref()).map(|(code, _)| code);
        let counts =
            |code: &&String| code.starts_with(DISCLOSURE) || ORACLES.contains(&code.as_str());
        match codes.into_iter().find(counts) {
            Some(code) => self.state.refused(key, code, self.clock.now()),
            None => Ok(()),
        }
    }

    /// Whoever is refused all the time learns where the limits are.
    pub(crate) fn not_too_often(&self, policy: &CentrePolicy, key: &str) -> Result<(), NodeError> {
        let since = self.clock.now().as_second().saturating_sub(DAY_SECONDS);
        let (count, first) = self.state.refused_since(key, since)?;
        if count < i64::from(policy.refusals_per_day) {
            return Ok(());
        }
        let next = first.and_then(|it| Timestamp::from_second(it.saturating_add(DAY_SECONDS)).ok());
        let next = next.map(|it| it.to_string()).unwrap_or_default();
        Err(Refusal::TooMany(format!(
            "{count} of your requests were refused within a day; try again after {next}"
        ))
        .into())
    }

    /// Judges a request and keeps it; gives its number.
    fn take_in(
        &self,
        identity: &Identity,
        policy: &CentrePolicy,
        coming: &Coming<'_>,
        dataset: &Dataset,
    ) -> Result<i64, NodeError> {
        let (now, id) = (self.clock.now(), coming.study.study.id.as_str());
        let event = |kind: &str, code: &str| {
            let who = self.researcher(&coming.document.signer);
            Event::new(kind, id, &who).with("study", &coming.hash).with("code", &code)
        };
        let judged = self.judge(policy, (coming.document, &coming.study), dataset);
        let checks = match judged {
            Ok(checks) => checks,
            Err(refusal) => {
                self.log(&event("refuse", refusal.code()))?;
                self.state.refused(&coming.document.signer, refusal.code(), now)?;
                let note = refusal.to_string();
                let new = coming.as_row(&[], RequestState::Declined, (refusal.code(), &note));
                return self.kept(&new, now, policy);
            }
        };
        self.log(&event("request", ""))?;
        let new = coming.as_row(&checks, RequestState::Waiting, ("", ""));
        let Some(rule) = self.rule(policy, coming) else {
            return self.kept(&new, now, policy);
        };
        let open = CentrePolicy { requests_waiting_max: u32::MAX, ..policy.clone() };
        let number = self.kept(&new, now, &open)?;
        self.approve_by(identity, policy, (coming, number), rule)?;
        Ok(number)
    }

    fn kept(
        &self,
        new: &NewRequest<'_>,
        now: Timestamp,
        policy: &CentrePolicy,
    ) -> Result<i64, NodeError> {
        let most = policy.requests_waiting_max;
        self.state.add_request(new, now, most)?.ok_or_else(|| {
            let hour = Timestamp::from_second(now.as_second().saturating_add(3600)).unwrap_or(now);
            let what = format!(
                "{most} requests wait for this centre's steward already; try again after {hour}"
            );
            Refusal::TooMany(what).into()
        })
    }

    /// The automatic checks of a request.
    fn judge(
        &self,
        policy: &CentrePolicy,
        (document, study): (&Signed<StudyRequest>, &Study),
        dataset: &Dataset,
    ) -> Result<Vec<Check>, Refusal> {
        let issuers = policy.issuers();
        let accepted = accepted_versions(&self.folder, &dataset.dictionary().name);
        let accepted = accepted.map_err(|_| {
            let what = "the versions that this centre has accepted cannot be read";
            Refusal::Dictionary(what.to_owned())
        })?;
        let asked = Asked {
            study,
            permit: document.body.permit.as_ref(),
            by: self.permit_use(&document.signer, &issuers),
            dictionary: dataset.dictionary(),
            accepted: &accepted,
            columns: &dataset.filled_columns(),
        };
        judge(policy, &asked)
    }

    pub(crate) fn permit_use<'a>(
        &'a self,
        researcher: &'a str,
        issuers: &'a [String],
    ) -> PermitUse<'a> {
        PermitUse { researcher, centre: &self.config.name, today: self.today(), issuers }
    }

    /// The standing rule that covers a request. What only a person can judge, no rule does.
    fn rule<'a>(&self, policy: &'a CentrePolicy, coming: &Coming<'_>) -> Option<&'a StandingRule> {
        let purpose = purpose_of(&coming.study, coming.document.body.permit.as_ref());
        let person = policy.duo.iter().any(konsil_governance::Duo::by_hand);
        let mut rules = policy.standing.iter().filter(|_| !person);
        rules.find(|it| it.covers(&coming.study, purpose))
    }

    /// The node's own approval, if the rule is not used up for today.
    fn approve_by(
        &self,
        identity: &Identity,
        policy: &CentrePolicy,
        (coming, number): (&Coming<'_>, i64),
        rule: &StandingRule,
    ) -> Result<(), NodeError> {
        let permit = coming.document.body.permit.as_ref().map_or("", |it| it.body.id.as_str());
        let approval = self.new_approval(policy, (&coming.hash, permit))?;
        let signed = sign_approval(identity, approval)?;
        let event = Event::new("approve", &coming.study.study.id, &self.node())
            .with("study", &coming.hash)
            .with("nonce", &signed.body.nonce)
            .with("by", &"standing rule");
        self.log(&event)?;
        let text = canonical(rule).map_err(unwritable)?;
        self.state.add_standing(number, &signed, (&text, rule.per_day))?;
        Ok(())
    }

    /// An approval from now on, bound to what is in force, not signed yet.
    pub(crate) fn new_approval(
        &self,
        policy: &CentrePolicy,
        (study, permit): (&str, &str),
    ) -> Result<Approval, NodeError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|_| NodeError::Random)?;
        let now = self.clock.now();
        let end = now.as_second().saturating_add(i64::from(policy.approval_days) * DAY_SECONDS);
        Ok(Approval {
            bound: self.bound(study, policy, permit)?,
            nonce: to_hex(&nonce),
            not_before: now,
            expires: Timestamp::from_second(end)
                .map_err(|_| NodeError::Message("approval days"))?,
        })
    }

    /// Takes in a run that came without a request, where `konsil.toml` approves by policy.
    pub(crate) fn take_in_run(
        &self,
        identity: &Identity,
        (body, key): (StudyRequest, &str),
        dataset: &Dataset,
    ) -> Result<(), NodeError> {
        let policy = self.policy()?;
        let study = body.study().ok_or(NodeError::Message("unreadable study"))?;
        let (signer, signature) = (key.to_owned(), String::new());
        let document = Signed { body, signer, signature };
        let hash = to_hex(&study.hash());
        let coming = Coming { document: &document, study, hash };
        self.judge(&policy, (&document, &coming.study), dataset)?;
        self.take_in(identity, &policy, &coming, dataset)?;
        Ok(())
    }

    /// Whether a permit still holds at a moment; a study without one needs none, or was refused.
    pub(crate) fn check_permit(
        &self,
        permit: Option<&Signed<Permit>>,
        key: &str,
        at: Moment,
    ) -> Result<(), NodeError> {
        let Some(permit) = permit else { return Ok(()) };
        let issuers = self.policy()?.issuers();
        let checked = Permit::check(permit, at, &self.permit_use(key, &issuers));
        checked.map(|_| ()).map_err(|fault| Refusal::Permit(fault).into())
    }

    /// What the policy given would decide about the requests of the last days: number, study,
    /// decision.
    ///
    /// # Errors
    /// [`NodeError`] when data set or database cannot be read.
    pub fn try_policy(
        &self,
        policy: &CentrePolicy,
        days: u32,
    ) -> Result<Vec<(RequestRecord, String)>, NodeError> {
        let since = self.clock.now().as_second().saturating_sub(i64::from(days) * DAY_SECONDS);
        let records = self.state.requests()?;
        let records = records.into_iter().filter(|it| it.submitted.as_second() >= since);
        let dataset = self.patients()?;
        let decide = |record: RequestRecord| {
            let Some(study) = record.document.body.study() else {
                return (record, "unreadable".to_owned());
            };
            let (document, hash) = (&record.document, record.study_hash.clone());
            let coming = Coming { document, study, hash };
            let rules = check_rules(&policy.rules, &coming.study);
            let judged = self.judge(policy, (document, &coming.study), &dataset);
            let decision = match (rules, judged) {
                (Err(error), _) => format!("refused {error}"),
                (_, Err(refusal)) => format!("declined {} {refusal}", refusal.code()),
                _ if self.rule(policy, &coming).is_some() => "approved by standing rule".to_owned(),
                _ => "waits for a steward".to_owned(),
            };
            (record, decision)
        };
        Ok(records.map(decide).collect())
    }
}

/// Code of what a steward has declined.
pub(crate) const DECLINED: &str = "K0625";

/// What the codes of disclosure rules begin with.
const DISCLOSURE: &str = "K05";

/// Codes of what a centre finds in its patients only: values that do not fit a model.
const ORACLES: [&str; 3] = ["K0220", "K0310", "K0311"];

impl<'a> Coming<'a> {
    fn as_row(
        &'a self,
        checks: &'a [Check],
        state: RequestState,
        (code, note): (&'a str, &'a str),
    ) -> NewRequest<'a> {
        let study = &self.study.study.id;
        let (study_hash, document) = (self.hash.as_str(), self.document);
        NewRequest { study_hash, study, document, checks, state, code, note }
    }
}

/// Signs an approval with a steward's or the node's key.
pub(crate) fn sign_approval(
    identity: &Identity,
    approval: Approval,
) -> Result<Signed<Approval>, NodeError> {
    let key = identity.public_key().to_string();
    Signed::new(APPROVAL, approval, &key, |message| identity.sign(message).ok()).map_err(unwritable)
}
