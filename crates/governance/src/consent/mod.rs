//! Consent: whose data may be used for a purpose on a day. A deny wins over every permit.

mod fhir;
mod table;

pub use fhir::{FhirConsent, read_fhir};
pub use table::read_table;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Any purpose.
pub const ANY_PURPOSE: &str = "*";

/// What a person has said about one purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The purpose, as studies name it; `*` for any.
    pub purpose: String,
    /// First day on which it holds.
    pub from: Date,
    /// Last day; without it for ever.
    pub to: Option<Date>,
    /// Whether it forbids.
    pub deny: bool,
}

impl Statement {
    /// A withdrawal: nothing, from a day on.
    #[must_use]
    pub fn withdrawal(from: Date) -> Self {
        Self { purpose: ANY_PURPOSE.to_owned(), from, to: None, deny: true }
    }

    fn covers(&self, purpose: &str, day: Date) -> bool {
        let meant = self.purpose == ANY_PURPOSE || self.purpose == purpose;
        meant && self.from <= day && self.to.is_none_or(|to| day <= to)
    }
}

/// Whether a person's data may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// They may.
    Permitted,
    /// Nothing permits it.
    NotGiven,
    /// Something forbids it, whatever else permits it.
    Denied,
}

/// Decides from everything a person has said.
#[must_use]
pub fn decide(statements: &[Statement], purpose: &str, day: Date) -> Decision {
    let mut covering = statements.iter().filter(|it| it.covers(purpose, day)).peekable();
    if covering.peek().is_none() {
        return Decision::NotGiven;
    }
    if covering.any(|it| it.deny) { Decision::Denied } else { Decision::Permitted }
}

/// A row or resource that says nothing that can be relied on: the person is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// Line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

/// What a file says: identifiers with statements, and what could not be understood. Patient data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Identifier and statement.
    pub statements: Vec<(String, Statement)>,
    /// What was left out.
    pub flaws: Vec<Flaw>,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Said({} statements, {} flaws)", self.statements.len(), self.flaws.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn statement() -> impl Strategy<Value = Statement> {
        let purpose = prop_oneof![Just("a"), Just("b"), Just(ANY_PURPOSE)];
        (purpose, 0..2000_i64, prop::option::of(0..3000_i64), any::<bool>()).prop_map(
            |(purpose, from, to, deny)| Statement {
                purpose: purpose.to_owned(),
                from: date(2020, 1, 1) + from.days(),
                to: to.map(|to| date(2020, 1, 1) + to.days()),
                deny,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        // Case 50: whatever was said before or after, a withdrawal ends every use from its day on.
        // Five later days and purposes for each of 20,000 histories: 100,000 decisions.
        #[test]
        fn after_a_withdrawal_nothing_is_permitted(
            before in prop::collection::vec(statement(), 0..8),
            after in prop::collection::vec(statement(), 0..4),
            day in 0..2500_i64,
            later in prop::array::uniform5(0..3000_i64),
        ) {
            let day = date(2020, 1, 1) + day.days();
            let mut said = before;
            said.push(Statement::withdrawal(day));
            said.extend(after);
            for (later, purpose) in later.into_iter().zip(["a", "b", "c", "*", "a"]) {
                prop_assert_ne!(decide(&said, purpose, day + later.days()), Decision::Permitted);
            }
        }

        // Case 51: of two that contradict each other, the deny wins.
        #[test]
        fn a_deny_wins(said in prop::collection::vec(statement(), 1..6), day in 0..3000_i64) {
            let day = date(2020, 1, 1) + day.days();
            let covering: Vec<&Statement> = said.iter().filter(|it| it.covers("a", day)).collect();
            let wanted = match () {
                () if covering.is_empty() => Decision::NotGiven,
                () if covering.iter().any(|it| it.deny) => Decision::Denied,
                () => Decision::Permitted,
            };
            prop_assert_eq!(decide(&said, "a", day), wanted);
        }
    }
}
