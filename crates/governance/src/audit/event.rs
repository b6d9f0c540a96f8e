//! What can be written into the log.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Something that happened. Never carries a patient's value: names, hashes, counts of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// What kind of thing: `request`, `approve`, `run`, `release`, `import`, ….
    pub kind: String,
    /// What it is about: a study's id, a data set's name.
    pub subject: String,
    /// Who did it: `steward@north`, `node@north`, `researcher`.
    pub actor: String,
    /// Further facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Event {
    /// An event without further facts.
    #[must_use]
    pub fn new(kind: &str, subject: &str, actor: &str) -> Self {
        let (kind, subject, actor) = (kind.to_owned(), subject.to_owned(), actor.to_owned());
        Self { kind, subject, actor, facts: BTreeMap::new() }
    }

    /// The same event with one more fact.
    #[must_use]
    pub fn with(mut self, name: &str, fact: &dyn ToString) -> Self {
        self.facts.insert(name.to_owned(), fact.to_string());
        self
    }
}
