//! Requests and approvals: what a researcher asks of a centre, and what its stewards put their
//! names to.

use crate::permit::Permit;
use crate::refusal::Refusal;
use crate::signing::Signed;
use crate::study::Study;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Domain of the signature under a request.
pub const REQUEST: &str = "request";
/// Domain of the signature under an approval.
pub const APPROVAL: &str = "approval";

/// A centre that takes part, as its approvers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Rows of its data set at most, as it told the researcher.
    pub rows_at_most: usize,
}

/// What a researcher asks. Signed with the researcher's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyRequest {
    /// Name of the network.
    pub network: String,
    /// The study in its canonical form.
    pub study: String,
    /// The centres that take part, in order.
    pub members: Vec<Member>,
    /// Whether small vectors go through one combiner.
    pub star: bool,
    /// The permit under which it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permit: Option<Signed<Permit>>,
}

impl StudyRequest {
    /// The study, if it is in its canonical form.
    #[must_use]
    pub fn study(&self) -> Option<Study> {
        let study: Study = serde_json::from_str(&self.study).ok()?;
        (study.canonical() == self.study).then_some(study)
    }

    /// Whether these centres may run it: all that were asked, or as many as the study's own
    /// `min_centres` is content with.
    #[must_use]
    pub fn allows_members(&self, names: &[String], min_centres: Option<u64>) -> bool {
        let asked = |name: &String| self.members.iter().any(|it| it.name == *name);
        let enough = u64::try_from(names.len()).ok() >= min_centres && min_centres.is_some();
        names.iter().all(asked) && (names.len() == self.members.len() || enough)
    }
}

/// Where a request stands at one centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// For a steward.
    Waiting,
    /// It may run.
    Approved,
    /// It may not.
    Declined,
    /// A steward wants to know something.
    Question,
    /// The approval was taken back.
    Revoked,
    /// The approval was used by a run.
    Consumed,
    /// The approval no longer holds.
    Expired,
}

/// States with their words, as the database and people write them.
const STATES: [(RequestState, &str); 7] = [
    (RequestState::Waiting, "waiting"),
    (RequestState::Approved, "approved"),
    (RequestState::Declined, "declined"),
    (RequestState::Question, "question"),
    (RequestState::Revoked, "revoked"),
    (RequestState::Consumed, "consumed"),
    (RequestState::Expired, "expired"),
];

impl fmt::Display for RequestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = STATES.iter().find(|(it, _)| it == self);
        f.pad(found.map_or("", |(_, word)| word))
    }
}

impl FromStr for RequestState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = STATES.iter().find(|(_, word)| *word == text);
        found.map(|(it, _)| *it).ok_or_else(|| format!("no state `{text}`"))
    }
}

/// What is in force at a centre; an approval must agree with all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The centre.
    pub centre: String,
    /// The network.
    pub network: String,
    /// Hash of the study.
    pub study: String,
    /// Digest of the data set.
    pub dataset: String,
    /// Hash of the centre's policy.
    pub policy: String,
    /// Number of the permit; empty without one.
    pub permit: String,
    /// Version of the program.
    pub version: String,
}

/// A steward's yes, to one run of one study on one data set under one policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What it is a yes to.
    pub bound: Bound,
    /// 32 random hexadecimal digits; used up by the run.
    pub nonce: String,
    /// Its first moment.
    pub not_before: Timestamp,
    /// The moment at which it has ended.
    pub expires: Timestamp,
}

impl Approval {
    /// Whether the approval holds for what is in force now. `study` is the study's id, for the
    /// message.
    ///
    /// # Errors
    /// The [`Refusal`] of the first thing that differs.
    pub fn holds(&self, now: &Bound, at: Timestamp, study: &str) -> Result<(), Refusal> {
        let own = &self.bound;
        let place = (&own.centre, &own.network, &own.study);
        if place != (&now.centre, &now.network, &now.study) {
            Err(Refusal::Edited(study.to_owned()))
        } else if own.dataset != now.dataset {
            Err(Refusal::Dataset)
        } else if own.policy != now.policy {
            Err(Refusal::Policy)
        } else if own.permit != now.permit {
            Err(Refusal::Edited(study.to_owned()))
        } else if own.version != now.version {
            let (approved, running) = (own.version.clone(), now.version.clone());
            Err(Refusal::Version { approved, running })
        } else if at < self.not_before || at >= self.expires {
            let (not_before, expires) = (self.not_before.to_string(), self.expires.to_string());
            Err(Refusal::Expired { not_before, expires })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound() -> Bound {
        Bound {
            centre: "north".to_owned(),
            network: "net".to_owned(),
            study: "s".to_owned(),
            dataset: "d".to_owned(),
            policy: "p".to_owned(),
            permit: String::new(),
            version: "1".to_owned(),
        }
    }

    // Each thing that an approval binds has its own code when it differs.
    #[test]
    fn an_approval_is_for_exactly_what_it_says() {
        let second = |at| Timestamp::from_second(at).unwrap();
        let approval = Approval {
            bound: bound(),
            nonce: "00".repeat(16),
            not_before: second(100),
            expires: second(200),
        };
        let code = |change: &dyn Fn(&mut Bound), at| {
            let mut now = bound();
            change(&mut now);
            approval.holds(&now, second(at), "x").map_err(|it| it.code())
        };
        assert_eq!(code(&|_| {}, 100), Ok(()));
        assert_eq!(code(&|it| it.study.push('2'), 150), Err("K0612"));
        assert_eq!(code(&|it| it.centre.push('2'), 150), Err("K0612"));
        assert_eq!(code(&|it| it.network.push('2'), 150), Err("K0612"));
        assert_eq!(code(&|it| it.permit.push('2'), 150), Err("K0612"));
        assert_eq!(code(&|it| it.dataset.push('2'), 150), Err("K0613"));
        assert_eq!(code(&|it| it.policy.push('2'), 150), Err("K0614"));
        assert_eq!(code(&|it| it.version.push('2'), 150), Err("K0615"));
        assert_eq!(code(&|_| {}, 99), Err("K0616"));
        assert_eq!(code(&|_| {}, 200), Err("K0616"));
    }

    // Case 57: fewer centres than asked run a study only if it says so itself.
    #[test]
    fn fewer_centres_need_the_studys_own_word() {
        let member = |name: &str| Member { name: name.to_owned(), rows_at_most: 64 };
        let request = StudyRequest {
            network: "net".to_owned(),
            study: String::new(),
            members: ["a", "b", "c", "d"].map(member).to_vec(),
            star: true,
            permit: None,
        };
        let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(request.allows_members(&names("a b c d"), None));
        assert!(!request.allows_members(&names("a b c"), None));
        assert!(request.allows_members(&names("a b c"), Some(3)));
        assert!(!request.allows_members(&names("a b"), Some(3)));
        assert!(!request.allows_members(&names("a b e"), Some(3)));
    }
}
