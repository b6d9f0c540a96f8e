//! A centre's policy: what may be asked here, by whom, how often, and who decides.

use crate::duo::Duo;
use crate::permit::prohibited;
use crate::signing::{SignatureError, hash_of};
use crate::study::{Study, syntax_text};
use konsil_analyses::REGISTRY;
use konsil_cohort::suggest;
use konsil_disclosure::Policy;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A centre's `policy.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CentrePolicy {
    /// Kinds of analysis that may run; empty for all.
    pub analyses: Vec<String>,
    /// Purposes that may be pursued; empty for all.
    pub purposes: Vec<String>,
    /// Conditions of use of the data set.
    pub duo: Vec<Duo>,
    /// Whether two different stewards must approve.
    pub two_person: bool,
    /// Days for which an approval holds.
    pub approval_days: u32,
    /// Requests that may be refused to a researcher within a day.
    pub refusals_per_day: u32,
    /// Requests that may wait for a steward at the same time.
    pub requests_waiting_max: u32,
    /// Whether every study needs a permit.
    pub needs_permit: bool,
    /// Whether a patient's data are used only where consent for the study's purpose is known.
    pub consent_required: bool,
    /// Whether a patient who has forbidden the use and signs anew on a later day is in again. Without
    /// it, what was forbidden stays forbidden.
    pub renewed_consent: bool,
    /// A list of identifiers, one to a line, of people who have opted out: a file in the centre's
    /// folder. A list that cannot be read stops every study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<String>,
    /// The disclosure rules: the least that this centre insists on.
    pub rules: Policy,
    /// Bodies whose permits count.
    pub permit_issuer: Vec<Person>,
    /// Who may approve.
    pub steward: Vec<Person>,
    /// What the node approves by itself.
    pub standing: Vec<StandingRule>,
}

impl Default for CentrePolicy {
    fn default() -> Self {
        Self {
            analyses: Vec::new(),
            purposes: Vec::new(),
            duo: Vec::new(),
            two_person: false,
            approval_days: 30,
            refusals_per_day: 50,
            requests_waiting_max: 20,
            needs_permit: false,
            consent_required: false,
            renewed_consent: false,
            opt_out: None,
            rules: Policy::default(),
            permit_issuer: Vec::new(),
            steward: Vec::new(),
            standing: Vec::new(),
        }
    }
}

/// A person or body with the key that it signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Name, as people say it.
    pub name: String,
    /// Ed25519 public key, 64 hexadecimal digits.
    pub key: String,
}

/// Studies that the node approves by itself. Every condition must be met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StandingRule {
    /// Kinds of analysis; empty for all.
    pub analyses: Vec<String>,
    /// The study's own threshold must be at least this.
    pub threshold_min: u64,
    /// Purposes; empty for all.
    pub purposes: Vec<String>,
    /// How many studies within a day; without it as many as come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
}

/// Why a policy file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PolicyFileError {
    /// Not TOML, or keys that mean nothing.
    #[error("{0}")]
    Syntax(String),
    /// A value that cannot be used.
    #[error("`{key}`: {what}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong and what to do.
        what: String,
    },
}

impl StandingRule {
    /// Whether the rule covers a study for a purpose.
    #[must_use]
    pub fn covers(&self, study: &Study, purpose: &str) -> bool {
        let kinds = self.analyses.is_empty()
            || study.analysis.iter().all(|it| self.analyses.contains(&it.kind));
        let purposes = self.purposes.is_empty() || self.purposes.iter().any(|it| it == purpose);
        kinds && purposes && study.policy().threshold >= self.threshold_min
    }
}

impl CentrePolicy {
    /// Reads a policy file and checks its values.
    ///
    /// # Errors
    /// [`PolicyFileError`] with line and column, and a suggestion for a mistyped key or name.
    pub fn parse(text: &str) -> Result<Self, PolicyFileError> {
        let policy: Self =
            toml::from_str(text).map_err(|error| PolicyFileError::Syntax(syntax_text(&error)))?;
        policy.check()?;
        Ok(policy)
    }

    /// Checks what the form alone does not.
    ///
    /// # Errors
    /// [`PolicyFileError::Value`].
    pub fn check(&self) -> Result<(), PolicyFileError> {
        let error = |key: &'static str, what: String| Err(PolicyFileError::Value { key, what });
        if let Err(what) = self.rules.check() {
            return error("rules", what.to_string());
        }
        let standing_kinds = self.standing.iter().flat_map(|it| &it.analyses);
        for kind in self.analyses.iter().chain(standing_kinds) {
            if !REGISTRY.iter().any(|it| it.kind == *kind) {
                let hint = suggest(kind, REGISTRY.iter().map(|it| it.kind));
                let hint = hint.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
                return error("analyses", format!("no analysis is called `{kind}`{hint}"));
            }
        }
        let standing_purposes = self.standing.iter().flat_map(|it| &it.purposes);
        for purpose in self.purposes.iter().chain(standing_purposes) {
            if let Some(what) = prohibited(purpose) {
                return error("purposes", what);
            }
        }
        for person in self.steward.iter().chain(&self.permit_issuer) {
            let digits = person.key.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
            if person.key.len() != 64 || !digits || person.name.is_empty() {
                let what =
                    format!("`{}` needs a name and a key of 64 hexadecimal digits", person.name);
                return error("steward, permit_issuer", what);
            }
        }
        for (at, person) in self.steward.iter().enumerate() {
            if self.steward.iter().take(at).any(|it| it.key == person.key || it.name == person.name)
            {
                return error("steward", format!("`{}` or its key stands twice", person.name));
            }
        }
        if !(1..=3660).contains(&self.approval_days) {
            return error("approval_days", "must be 1 to 3660".to_owned());
        }
        let named = self.steward.len();
        if self.two_person && named == 1 {
            let what = "two different people must approve; name two or more stewards".to_owned();
            return error("two_person", what);
        }
        Ok(())
    }

    /// What identifies the policy: SHA-256 of its canonical form.
    ///
    /// # Errors
    /// [`SignatureError::Unwritable`].
    pub fn hash(&self) -> Result<String, SignatureError> {
        hash_of(self)
    }

    /// The steward that owns a key.
    #[must_use]
    pub fn steward_of(&self, key: &str) -> Option<&Person> {
        self.steward.iter().find(|it| it.key == key)
    }

    /// Different stewards that must sign an approval.
    #[must_use]
    pub fn signatures_needed(&self) -> usize {
        if self.two_person { 2 } else { 1 }
    }

    /// Keys of the bodies whose permits count.
    #[must_use]
    pub fn issuers(&self) -> Vec<String> {
        self.permit_issuer.iter().map(|it| it.key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    // What a person may mistype in the file is named, with what was meant.
    #[test]
    fn mistakes_in_a_policy_are_named() {
        let says = |text: &str| CentrePolicy::parse(text).unwrap_err().to_string();
        assert!(says("two_persons = true").contains("did you mean `two_person`?"));
        assert!(says("analyses = [\"kmm\"]").contains("did you mean `km`?"));
        assert!(says("duo = [\"NCO\"]").contains("did you mean `NCU`?"));
        assert!(says("purposes = [\"marketing\"]").contains("54(c)"));
        assert!(says("[rules]\nthreshold = 1").contains("at least 3"));
        assert!(says("[[steward]]\nname = \"a\"\nkey = \"zz\"").contains("64 hexadecimal"));
        assert!(says("approval_days = 0").contains("3660"));
        let one = format!("two_person = true\n[[steward]]\nname = \"a\"\nkey = \"{KEY}\"");
        assert!(says(&one).contains("two"));
        assert!(
            says(&format!("{one}\n[[steward]]\nname = \"b\"\nkey = \"{KEY}\"")).contains("twice")
        );
    }

    // Spaces and order of keys do not make another policy; numbers do.
    #[test]
    fn the_hash_is_of_the_meaning() {
        let hash = |text: &str| CentrePolicy::parse(text).unwrap().hash().unwrap();
        assert_eq!(hash(""), hash("approval_days = 30\ntwo_person =   false"));
        assert_ne!(hash(""), hash("approval_days = 31"));
        assert_ne!(hash(""), hash("[rules]\nthreshold = 11"));
        let full = CentrePolicy {
            duo: vec!["HMB".parse().unwrap()],
            standing: vec![StandingRule { per_day: Some(3), ..StandingRule::default() }],
            ..CentrePolicy::default()
        };
        let text = toml::to_string_pretty(&full).unwrap();
        assert_eq!(CentrePolicy::parse(&text).unwrap(), full, "{text}");
    }
}
