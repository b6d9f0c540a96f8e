//! Who belongs to a network: versions of the list of members, each signed by an administrator and
//! bound to the version before, so that nobody is added or exchanged unseen.

mod chain;
mod error;
mod joining;
mod words;

pub use chain::{changes, continues, verify};
pub use error::NetworkError;
pub use joining::{Invitation, Invite, Join, Rotation, check_invite, check_join, check_rotation};
pub use words::{WORDS, words};

use crate::hex::from_hex;
use crate::policy::CentrePolicy;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Domains of the signatures.
pub const NETWORK: &str = "network";
/// See [`NETWORK`].
pub const INVITE: &str = "invite";
/// See [`NETWORK`].
pub const JOIN: &str = "join";
/// See [`NETWORK`].
pub const ROTATION: &str = "rotation";

/// Longest name of a network or member.
const NAME_MAX: usize = 32;

/// What a member does in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MemberRole {
    /// Has patients.
    Centre,
    /// Deals correlated randomness.
    Dealer,
    /// Sends studies.
    Researcher,
}

impl MemberRole {
    /// The word for the role.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Centre => "centre",
            Self::Dealer => "dealer",
            Self::Researcher => "researcher",
        }
    }
}

/// A member of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Name, as people say it.
    pub name: String,
    /// What it does.
    pub role: MemberRole,
    /// Public key, 64 hexadecimal digits.
    pub key: String,
    /// `host:port`; empty where nobody connects to it.
    pub address: String,
    /// First day.
    pub since: Date,
    /// Last day.
    pub expires: Date,
}

/// Days before the end of a membership on which to warn; the last one is the most urgent.
pub const WARNING_DAYS: [i32; 3] = [30, 7, 1];

/// How much of a membership is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// More than 30 days.
    Valid,
    /// So many days, at most 30.
    Ends(i32),
    /// It is over.
    Expired,
}

/// How much is left of a membership with this last day.
#[must_use]
pub fn standing(expires: Date, today: Date) -> Standing {
    let left = expires.since(today).map_or(0, |span| span.get_days());
    match left {
        ..0 => Standing::Expired,
        left if left <= WARNING_DAYS[0] => Standing::Ends(left),
        _ => Standing::Valid,
    }
}

/// What all members have agreed on: the least that each centre's policy must ask for. A centre whose
/// policy is laxer lets nothing run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Whether two people of a centre approve each study; no standing rule does.
    pub two_person: bool,
    /// Fewest patients behind any released number; a centre may ask for more.
    pub threshold: u64,
    /// Fewest centres that must contribute; a centre may ask for more.
    pub centres_min: u64,
}

impl Rules {
    /// What of a centre's policy is laxer than these rules, a text each.
    #[must_use]
    pub fn laxer(&self, policy: &CentrePolicy) -> Vec<String> {
        let mut found = Vec::new();
        let mut floor = |name: &str, own: u64, least: u64| {
            if own < least {
                found.push(format!("{name} is {own}, the network demands at least {least}"));
            }
        };
        floor("threshold", policy.rules.threshold, self.threshold);
        floor("centres_min", policy.rules.centres_min, self.centres_min);
        if self.two_person && !policy.two_person {
            found.push("two_person is false, the network demands two people".to_owned());
        }
        if self.two_person && !policy.standing.is_empty() {
            let what =
                "a standing rule or approve_by_policy approves, the network demands two people";
            found.push(what.to_owned());
        }
        found
    }

    /// What is wrong with the rules by themselves.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let (threshold, centres_min) = (self.threshold, self.centres_min);
        let policy = konsil_disclosure::Policy { threshold, centres_min, ..Default::default() };
        policy.check().err().map(|error| error.to_string())
    }

    /// The rules in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let people = if self.two_person { "two people approve" } else { "one person approves" };
        let (patients, centres) = (self.threshold, self.centres_min);
        format!("{people} · at least {patients} patients and {centres} centres")
    }
}

impl Default for Rules {
    fn default() -> Self {
        let policy = konsil_disclosure::Policy::default();
        Self { two_person: false, threshold: policy.threshold, centres_min: policy.centres_min }
    }
}

/// One version of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Name; all members have the same.
    pub name: String,
    /// From 1 without gaps.
    pub version: u32,
    /// What all members have agreed on.
    pub rules: Rules,
    /// Keys of those who may sign the next version.
    pub admins: Vec<String>,
    /// The members, in order of joining.
    pub members: Vec<Member>,
    /// For each key that is exchanged in this version, the old key's consent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<crate::Signed<Rotation>>,
    /// Hash of the version before; empty in the first.
    pub previous: String,
}

impl Network {
    /// The first version.
    #[must_use]
    pub fn new(name: &str, admin: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: 1,
            rules: Rules::default(),
            admins: vec![admin.to_owned()],
            members: Vec::new(),
            rotations: Vec::new(),
            previous: String::new(),
        }
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|it| it.name == name)
    }

    /// Members with a role.
    pub fn with_role(&self, role: MemberRole) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |it| it.role == role)
    }

    /// The version that follows this one, with its members as they are.
    ///
    /// # Errors
    /// [`NetworkError::Unwritable`].
    pub fn next(&self) -> Result<Self, NetworkError> {
        Ok(Self {
            version: self.version.saturating_add(1),
            previous: crate::hash_of(self)?,
            rotations: Vec::new(),
            ..self.clone()
        })
    }

    /// What is wrong with this version by itself.
    fn fault(&self) -> Option<String> {
        if !is_name(&self.name) {
            return Some(format!("`{}` is no name of a network", self.name));
        }
        if self.admins.is_empty() || !self.admins.iter().all(|it| is_key(it)) {
            return Some("it has no administrator's key".to_owned());
        }
        if self.with_role(MemberRole::Dealer).count() > 1 {
            return Some("it has more than one dealer".to_owned());
        }
        for (at, member) in self.members.iter().enumerate() {
            let others = self.members.iter().take(at);
            let fault = if !is_name(&member.name) {
                "is no name of a member"
            } else if !is_key(&member.key) {
                "has no valid key"
            } else if others.clone().any(|it| it.name == member.name) {
                "stands twice in it"
            } else if others.clone().any(|it| it.key == member.key) {
                "has another member's key"
            } else if member.expires < member.since {
                "ends before it begins"
            } else {
                continue;
            };
            return Some(format!("`{}` {fault}", member.name));
        }
        None
    }
}

/// Whether a text can be the name of a network or a member: 1 to 32 of a-z, 0-9 and `-`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

/// Whether a text is a public key.
pub(crate) fn is_key(text: &str) -> bool {
    from_hex(text).is_some_and(|bytes| bytes.len() == 32)
}

#[cfg(test)]
mod tests;
