//! Consent as FHIR R4 `Consent` resources with the codes of the German broad consent.
//!
//! A person permits by a resource that holds both the use of medical data (code 8) and their
//! collection (code 6), both permitted; how long the use is permitted is the period of code 8. A deny
//! of either in any active resource wins. Other codes have no effect here.

use super::{ANY_PURPOSE, Flaw, Said, Statement};
use jiff::civil::Date;
use serde_json::Value;

/// Medical data: to collect, to use for science.
const COLLECT: &str = "2.16.840.1.113883.3.1937.777.24.5.3.6";
const USE: &str = "2.16.840.1.113883.3.1937.777.24.5.3.8";

/// Longest resource, in bytes, and deepest nesting of provisions.
const BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 4;

/// What one resource says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FhirConsent {
    /// The patient, as the resource refers to them.
    pub patient: String,
    /// What follows from it.
    pub statements: Vec<Statement>,
}

/// Reads resources, one to a line (NDJSON).
#[must_use]
pub fn read_fhir(text: &str) -> Said {
    let mut said = Said::default();
    for (line, number) in text.lines().zip(1_usize..).filter(|(line, _)| !line.trim().is_empty()) {
        match resource(line) {
            Ok(Some(consent)) => {
                let patient = consent.patient;
                said.statements
                    .extend(consent.statements.into_iter().map(|it| (patient.clone(), it)));
            }
            Ok(None) => {}
            Err((patient, what)) => {
                said.flaws.push(Flaw { line: number, what: what.to_owned() });
                said.statements.extend(patient.map(|it| (it, Statement::withdrawal(Date::MIN))));
            }
        }
    }
    said
}

type Misread = (Option<String>, &'static str);

/// One resource; `None` for one that is not active.
fn resource(line: &str) -> Result<Option<FhirConsent>, Misread> {
    if line.len() > BYTES_MAX {
        return Err((None, "is longer than 1 MiB"));
    }
    let value: Value = serde_json::from_str(line).map_err(|_| (None, "is no JSON"))?;
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    if text("/resourceType") != Some("Consent") {
        return Err((None, "is no Consent resource"));
    }
    let patient = text("/patient/identifier/value")
        .or_else(|| text("/patient/reference").and_then(|it| it.rsplit('/').next()));
    let Some(patient) = patient.filter(|it| !it.is_empty()).map(str::to_owned) else {
        return Err((None, "names no patient"));
    };
    if text("/status") != Some("active") {
        return Ok(None);
    }
    let flaw = |what| (Some(patient.clone()), what);
    let mut found = Vec::new();
    let root = value.get("provision").ok_or_else(|| flaw("has no provision"))?;
    provisions(root, 0, &mut found).map_err(flaw)?;
    let of = |code: &str, deny: bool| {
        found.iter().filter(move |it| it.code == code && it.deny == deny).collect::<Vec<_>>()
    };
    let mut statements = Vec::new();
    for denied in of(USE, true).into_iter().chain(of(COLLECT, true)) {
        statements.push(denied.statement());
    }
    if !of(COLLECT, false).is_empty() {
        statements.extend(of(USE, false).into_iter().map(Provision::statement));
    }
    Ok(Some(FhirConsent { patient, statements }))
}

struct Provision {
    code: String,
    deny: bool,
    from: Date,
    to: Option<Date>,
}

impl Provision {
    fn statement(&self) -> Statement {
        let purpose = ANY_PURPOSE.to_owned();
        Statement { purpose, from: self.from, to: self.to, deny: self.deny }
    }
}

fn provisions(value: &Value, depth: usize, found: &mut Vec<Provision>) -> Result<(), &'static str> {
    if depth > DEPTH_MAX {
        return Err("nests provisions too deeply");
    }
    let codes = value.get("code").and_then(Value::as_array).into_iter().flatten();
    let codings = codes.filter_map(|it| it.get("coding")?.as_array()).flatten();
    let codes: Vec<&str> = codings.filter_map(|it| it.get("code")?.as_str()).collect();
    if !codes.is_empty() {
        let deny = match value.get("type").and_then(Value::as_str) {
            Some("permit") => false,
            Some("deny") => true,
            _ => return Err("has a provision that neither permits nor denies"),
        };
        let day = |name: &str| -> Result<Option<Date>, &'static str> {
            let text = value.get("period").and_then(|it| it.get(name)).and_then(Value::as_str);
            let day = text.map(|it| it.get(..10).unwrap_or(it).parse());
            day.transpose().map_err(|_| "has a period without readable dates")
        };
        let (from, to) = (day("start")?, day("end")?);
        // what forbids without a beginning forbids always; what permits needs one
        let from = match (from, deny) {
            (Some(from), _) => from,
            (None, true) => Date::MIN,
            (None, false) => return Err("permits without a beginning"),
        };
        let provision = |code: &str| Provision { code: code.to_owned(), deny, from, to };
        found.extend(codes.into_iter().map(provision));
    }
    let inner = value.get("provision").and_then(Value::as_array);
    inner.into_iter().flatten().try_for_each(|it| provisions(it, depth + 1, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{Decision, decide};
    use jiff::civil::date;

    fn provision(kind: &str, code: &str, end: &str) -> String {
        format!(
            r#"{{"type":"{kind}","period":{{"start":"2022-03-01","end":"{end}"}},"code":[{{"coding":[{{"system":"urn:oid:2.16.840.1.113883.3.1937.777.24.5.3","code":"2.16.840.1.113883.3.1937.777.24.5.3.{code}"}}]}}]}}"#
        )
    }

    fn consent(patient: &str, status: &str, inner: &[String]) -> String {
        format!(
            r#"{{"resourceType":"Consent","status":"{status}","patient":{{"reference":"Patient/{patient}"}},"provision":{{"type":"deny","period":{{"start":"2022-03-01","end":"2052-03-01"}},"provision":[{}]}}}}"#,
            inner.join(",")
        )
    }

    fn decided(lines: &[String], patient: &str) -> Decision {
        let said = read_fhir(&lines.join("\n"));
        let own = said.statements.iter().filter(|(it, _)| it == patient).map(|(_, it)| it.clone());
        decide(&own.collect::<Vec<_>>(), "dementia", date(2026, 11, 24))
    }

    #[test]
    fn use_needs_collection_in_the_same_resource_and_a_deny_wins() {
        let long = "2052-03-01";
        let (collect, used) =
            (provision("permit", "6", "2027-03-01"), provision("permit", "8", long));
        let whole = consent("A", "active", &[collect.clone(), used.clone()]);
        assert_eq!(decided(std::slice::from_ref(&whole), "A"), Decision::Permitted);
        let halves = [
            consent("A", "active", std::slice::from_ref(&collect)),
            consent("A", "active", std::slice::from_ref(&used)),
        ];
        assert_eq!(decided(&halves, "A"), Decision::NotGiven);
        let over =
            consent("A", "active", &[collect.clone(), provision("permit", "8", "2026-01-01")]);
        assert_eq!(decided(&[over], "A"), Decision::NotGiven);
        // a partial withdrawal in another resource
        let withdrawn = consent("A", "active", &[provision("deny", "8", long)]);
        assert_eq!(decided(&[whole.clone(), withdrawn], "A"), Decision::Denied);
        let inactive = consent("A", "inactive", &[provision("deny", "8", long)]);
        assert_eq!(decided(&[whole.clone(), inactive], "A"), Decision::Permitted);
        // the modifier for earlier data elsewhere changes nothing
        let retro = consent("A", "active", &[provision("permit", "45", long)]);
        assert_eq!(decided(&[whole, retro], "A"), Decision::Permitted);
        // biological material is not medical data
        let material = consent("B", "active", &[collect, provision("permit", "22", long)]);
        assert_eq!(decided(&[material], "B"), Decision::NotGiven);
    }

    // Case 51: what cannot be read leaves its person out and is reported.
    #[test]
    fn malformed_resources_leave_their_person_out() {
        let whole = consent(
            "A",
            "active",
            &[provision("permit", "6", "2052-03-01"), provision("permit", "8", "2052-03-01")],
        );
        let bad = whole.replace("\"type\":\"permit\"", "\"type\":\"maybe\"");
        assert_eq!(decided(&[whole.clone(), bad], "A"), Decision::Denied);
        let bad = whole.replace("2022-03-01", "sometime");
        assert_eq!(decided(&[bad], "A"), Decision::Denied);
        for line in ["{", "[]", r#"{"resourceType":"Patient"}"#, r#"{"resourceType":"Consent"}"#] {
            let said = read_fhir(line);
            assert_eq!((said.flaws.len(), said.statements.len()), (1, 0), "{line}");
        }
        let mut deep = r#"{"type":"deny"}"#.to_owned();
        for _ in 0..60 {
            deep = format!(r#"{{"type":"deny","provision":[{deep}]}}"#);
        }
        let line = format!(
            r#"{{"resourceType":"Consent","status":"active","patient":{{"reference":"Patient/A"}},"provision":{deep}}}"#
        );
        assert_eq!(decided(&[whole, line], "A"), Decision::Denied);
    }
}
