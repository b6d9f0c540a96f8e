//! Consent: whose data may be used for a purpose on a day. A deny wins over every permit; where a
//! centre's policy says so, over every permit that was not signed on a later day than the deny.

mod fhir;
mod ids;
mod json;
mod table;

pub use fhir::read_fhir;
pub use ids::read_ids;
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
    /// The day on which it was said, where that is known. Of a permit the earlier of signature and
    /// beginning, of a deny the later one, so that doubt is on the side of the deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Date>,
}

impl Statement {
    /// A withdrawal: nothing, from a day on.
    #[must_use]
    pub fn withdrawal(from: Date) -> Self {
        Self { purpose: ANY_PURPOSE.to_owned(), from, to: None, deny: true, signed: None }
    }

    /// The statement with the day of its signature, as [`Statement::signed`] counts it.
    #[must_use]
    pub fn signed_on(self, day: Option<Date>) -> Self {
        let signed = day.map(|day| if self.deny { day.max(self.from) } else { day.min(self.from) });
        Self { signed, ..self }
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

/// As [`decide`], but who has signed a permit on a later day than everything that forbids the same is
/// permitted again. What forbids without a known day lasts; of the same day, the deny wins.
#[must_use]
pub fn decide_renewed(statements: &[Statement], purpose: &str, day: Date) -> Decision {
    let decision = decide(statements, purpose, day);
    if decision != Decision::Denied {
        return decision;
    }
    let signed = |deny: bool| {
        let covering = statements.iter().filter(move |it| it.covers(purpose, day));
        covering.filter(move |it| it.deny == deny).map(|it| it.signed)
    };
    let denied: Option<Vec<Date>> = signed(true).collect();
    let denied = denied.and_then(|days| days.into_iter().max());
    match (denied, signed(false).flatten().max()) {
        (Some(denied), Some(renewed)) if renewed > denied => Decision::Permitted,
        _ => decision,
    }
}

/// Whether something permits and something forbids the same on the same day.
#[must_use]
pub fn is_contradictory(statements: &[Statement], purpose: &str, day: Date) -> bool {
    let covering = || statements.iter().filter(|it| it.covers(purpose, day));
    covering().any(|it| it.deny) && covering().any(|it| !it.deny)
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
    /// Identifiers of which something could not be understood: they are left out.
    pub unreadable: Vec<String>,
    /// What was not understood.
    pub flaws: Vec<Flaw>,
    /// How many of them may be anybody's, a withdrawal among them: such a file is not to be used.
    pub unattributed: usize,
}

impl Said {
    /// Everything that is said of one person; what is not understood forbids.
    #[must_use]
    pub fn of(&self, id: &str) -> Vec<Statement> {
        let own = self.statements.iter().filter(|(it, _)| it == id).map(|(_, it)| it.clone());
        let unreadable = self.unreadable.iter().filter(|it| *it == id);
        own.chain(unreadable.map(|_| Statement::withdrawal(Date::MIN))).collect()
    }

    /// Notes what is not understood, and whom it is about.
    fn flaw(&mut self, line: usize, what: &str, people: &[String]) {
        self.skip(line, what);
        self.unreadable.extend_from_slice(people);
        self.unattributed += usize::from(people.is_empty());
    }

    /// Notes what is not used, and is about nobody.
    fn skip(&mut self, line: usize, what: &str) {
        self.flaws.push(Flaw { line, what: what.to_owned() });
    }
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
                signed: None,
            },
        )
    }

    /// A statement that may say when it was signed, in the year before it begins or after.
    fn signed_statement() -> impl Strategy<Value = Statement> {
        (statement(), prop::option::of(-300..300_i64)).prop_map(|(it, days)| {
            let day = days.map(|days| it.from + days.days());
            it.signed_on(day)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 35_000, failure_persistence: None, ..ProptestConfig::default() })]

        // Case 50: whatever was said before or after, a withdrawal ends every use from its day on.
        // Five later days and purposes for each of 35,000 histories: 175,000 decisions.
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

        // Case 50, from files: wherever and whenever the withdrawal comes from (a table, a FHIR resource,
        // a row or resource that is damaged, the centre itself), no later decision permits. Five later
        // days for each of 35,000 histories.
        #[test]
        fn a_withdrawal_from_any_source_ends_every_use(
            before in prop::collection::vec(statement(), 0..4),
            after in prop::collection::vec(statement(), 0..4),
            (day, source) in (0..2500_i64, 0..6_usize),
            later in prop::array::uniform5(0..3000_i64),
        ) {
            let day = date(2020, 1, 1) + day.days();
            let code = "2.16.840.1.113883.3.1937.777.24.5.3.8";
            let fhir = |kind: &str, start: &str| {
                let coding = format!(r#""code":[{{"coding":[{{"code":"{code}"}}]}}]"#);
                let period = format!(r#""period":{{"start":"{start}"}}"#);
                format!(
                    r#"{{"resourceType":"Consent","status":"active","patient":{{"reference":"Patient/P"}},"provision":{{"type":"deny","provision":[{{"type":"{kind}",{period},{coding}}}]}}}}"#
                )
            };
            let withdrawn = match source {
                0 => read_table(&format!("id,purpose,from,to\nP,!*,{day},\n")),
                1 => read_table(&format!("id,purpose,from,to\nP,!*,{day}th,\n")),
                2 => read_fhir(&fhir("deny", &day.to_string())),
                3 => read_fhir(&fhir("perhaps", &day.to_string())),
                4 => read_fhir(&fhir("deny", "once")),
                _ => Said {
                    statements: vec![("P".to_owned(), Statement::withdrawal(day))],
                    ..Said::default()
                },
            };
            prop_assert_eq!(withdrawn.unattributed, 0);
            let said = [before, withdrawn.of("P"), after].concat();
            for (later, purpose) in later.into_iter().zip(["a", "b", "c", "*", "a"]) {
                prop_assert_ne!(decide(&said, purpose, day + later.days()), Decision::Permitted);
            }
        }

        // Without days, or under the careful policy, nothing is renewed.
        #[test]
        fn without_days_nothing_is_renewed(
            said in prop::collection::vec(statement(), 0..8),
            day in 0..3000_i64,
        ) {
            let day = date(2020, 1, 1) + day.days();
            for purpose in ["a", "b", "*"] {
                let careful = decide(&said, purpose, day);
                prop_assert_eq!(decide_renewed(&said, purpose, day), careful);
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
            let both = covering.iter().any(|it| it.deny) && covering.iter().any(|it| !it.deny);
            prop_assert_eq!(is_contradictory(&said, "a", day), both);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100_000, failure_persistence: None, ..ProptestConfig::default() })]

        // Case 50 where policy lets consent be renewed: after a withdrawal nobody is in a later run
        // who has not signed anew after it; who has is, until the next withdrawal, which works again.
        #[test]
        fn only_a_later_signature_ends_a_withdrawal(
            before in prop::collection::vec(signed_statement(), 0..8),
            (day, gap, again) in (0..2500_i64, 0..400_i64, 0..400_i64),
            later in prop::array::uniform5(0..3000_i64),
        ) {
            let day = date(2020, 1, 1) + day.days();
            let withdrawal = |on: Date| Statement::withdrawal(Date::MIN).signed_on(Some(on));
            let mut said = before;
            said.push(withdrawal(day));
            let last = said.iter().filter(|it| !it.deny).filter_map(|it| it.signed).max();
            for (later, purpose) in later.into_iter().zip(["a", "b", "c", "*", "a"]) {
                let decision = decide_renewed(&said, purpose, day + later.days());
                let anew = last.is_some_and(|last| last > day);
                prop_assert!(anew || decision != Decision::Permitted);
            }
            // a new permit counts where everything that forbids has an earlier day
            let signed = day + gap.days();
            let permit = Statement { from: signed, deny: false, ..Statement::withdrawal(signed) };
            said.push(permit.signed_on(Some(signed)));
            let forbids = |it: &&Statement| it.deny && it.covers("a", signed);
            let earlier =
                said.iter().filter(forbids).all(|it| it.signed.is_some_and(|it| it < signed));
            let permitted = decide_renewed(&said, "a", signed) == Decision::Permitted;
            // another permit may be newer still
            let newer = last.is_some_and(|last| last >= signed);
            prop_assert!(permitted == earlier || (permitted && newer), "{:?}", said);
            // and the next withdrawal ends it, unless something was signed after that one
            let end = signed + again.days();
            said.push(withdrawal(end));
            let newer = last.is_some_and(|last| last > end);
            for later in later {
                let decision = decide_renewed(&said, "a", end + later.days());
                prop_assert!(newer || decision != Decision::Permitted);
            }
        }
    }
}
