//! Consent as FHIR R4 `Consent` resources with the codes of the German broad consent.
//!
//! A person permits by a resource that holds both the use of medical data (code 8) and their
//! collection (code 6), both permitted; how long the use is permitted is the period of code 8. A deny
//! of either in any active resource wins, and so does a deny that names no code. Other codes have no
//! effect here: storing (7), third parties (9), material (22), earlier data (45), contact (46, 47).
//!
//! When it was signed says `dateTime`; a resource without a whole day there renews nothing, and is not
//! outdone by a later one.

use super::json::{parse, parse_bundle};
use super::{ANY_PURPOSE, Said, Statement};
use jiff::civil::Date;
use serde_json::Value;

/// The codes: to collect medical data, to use them for science.
const CODES: &str = "2.16.840.1.113883.3.1937.777.24.5.3";
const COLLECT: &str = "2.16.840.1.113883.3.1937.777.24.5.3.6";
const USE: &str = "2.16.840.1.113883.3.1937.777.24.5.3.8";

/// Largest file and longest line, in bytes, and deepest nesting of provisions.
const FILE_BYTES_MAX: usize = 1 << 28;
const LINE_BYTES_MAX: usize = 1 << 20;
const DEPTH_MAX: usize = 4;

/// States of a resource that says nothing: it is not in force.
const NOT_ACTIVE: [&str; 5] = ["draft", "proposed", "rejected", "inactive", "entered-in-error"];

/// Reads resources: one to a line (NDJSON), one alone, or the entries of a `Bundle`. Lines, or
/// entries of a bundle, are counted from 1.
///
/// A resource that cannot be understood leaves its person out.
#[must_use]
pub fn read_fhir(text: &str) -> Said {
    let mut said = Said::default();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.is_empty() || text.len() > FILE_BYTES_MAX {
        said.flaw(1, "is empty or larger than 256 MiB", &[]);
        return said;
    }
    let first = text.lines().next().unwrap_or_default();
    let lines = first.len() < text.trim_end().len() && first.trim_end().ends_with('}');
    if lines {
        for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty()) {
            match parse(line) {
                _ if line.len() > LINE_BYTES_MAX => said.flaw(number, "is longer than 1 MiB", &[]),
                Ok(value) => take(&mut said, number, &value),
                Err(_) => said.flaw(number, "is no JSON, or says a key twice", &[]),
            }
        }
        return said;
    }
    let in_bundle = parse_bundle(text, |number, resource| {
        if kind(resource) == Some("Consent") {
            take(&mut said, number, resource);
        }
    });
    if in_bundle.is_err() {
        // what was read of a bundle that breaks off is not all that it says
        said = Said::default();
        match parse(text) {
            Ok(value) => take(&mut said, 1, &value),
            Err(_) => said.flaw(1, "is neither resources nor a Bundle", &[]),
        }
    }
    said
}

fn kind(value: &Value) -> Option<&str> {
    value.get("resourceType").and_then(Value::as_str)
}

/// Adds what one resource says.
fn take(said: &mut Said, number: usize, value: &Value) {
    if kind(value) != Some("Consent") {
        // a resource of another type forbids nothing; what has no type may be anything
        let what = "is no Consent resource";
        match kind(value) {
            Some("Bundle") | None => said.flaw(number, what, &[]),
            Some(_) => said.skip(number, what),
        }
        return;
    }
    let status = value.get("status").and_then(Value::as_str);
    if status.is_some_and(|it| NOT_ACTIVE.contains(&it)) {
        return;
    }
    let people = people(value);
    if people.is_empty() {
        said.flaw(number, "names no patient", &[]);
        return;
    }
    let read = if status == Some("active") { statements(value) } else { Err("has no status") };
    match read {
        Ok(statements) => {
            for statement in statements {
                // a permit is for who is named first, a deny for everybody who may be meant
                let meant = if statement.deny { people.len() } else { 1 };
                let named = people.iter().take(meant);
                said.statements.extend(named.map(|it| (it.clone(), statement.clone())));
            }
        }
        Err(what) => said.flaw(number, what, &people),
    }
}

/// Names of the patient: the identifier, and what the reference ends with.
fn people(value: &Value) -> Vec<String> {
    let text = |path: &str| value.pointer(path).and_then(Value::as_str);
    let reference = text("/patient/reference").map(|it| {
        let own = it.split("/_history/").next().unwrap_or(it);
        own.rsplit('/').next().unwrap_or(own)
    });
    let names = [text("/patient/identifier/value"), reference].into_iter().flatten();
    names.map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn statements(value: &Value) -> Result<Vec<Statement>, &'static str> {
    let root = value.get("provision").filter(|it| it.is_object());
    let root = root.ok_or("has no provision")?;
    let mut found = Vec::new();
    unmodified(value)?;
    provisions(root, 0, &mut found)?;
    let of = |code: &str, deny: bool| {
        found.iter().filter(move |it| it.code == code && it.deny == deny).collect::<Vec<_>>()
    };
    let mut relevant: Vec<&Provision> = of(USE, true);
    relevant.extend(of(COLLECT, true));
    if !of(COLLECT, false).is_empty() {
        relevant.extend(of(USE, false));
    }
    let signed = signed(value);
    Ok(relevant.into_iter().map(|it| it.statement().signed_on(signed)).collect())
}

/// The day of a resource, if it names one.
fn signed(value: &Value) -> Option<Date> {
    value.get("dateTime")?.as_str()?.get(..10)?.parse().ok()
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
        Statement { purpose, from: self.from, to: self.to, deny: self.deny, signed: None }
    }
}

/// Whoever does not know a modifier must not use what it modifies.
fn unmodified(value: &Value) -> Result<(), &'static str> {
    match value.get("modifierExtension") {
        Some(_) => Err("has an extension that changes its meaning"),
        None => Ok(()),
    }
}

fn provisions(value: &Value, depth: usize, found: &mut Vec<Provision>) -> Result<(), &'static str> {
    if depth > DEPTH_MAX {
        return Err("nests provisions too deeply");
    }
    unmodified(value)?;
    let inner = match value.get("provision") {
        None => &[],
        Some(Value::Array(inner)) => inner.as_slice(),
        Some(_) => return Err("has provisions that are no list"),
    };
    let kind = value.get("type").and_then(Value::as_str);
    let mut codes = codes(value);
    if codes.is_empty() && inner.is_empty() && kind == Some("deny") {
        // it forbids whatever it is about
        codes.push(USE.to_owned());
    }
    if !codes.is_empty() {
        let deny = match kind {
            Some("permit") => false,
            Some("deny") => true,
            _ => return Err("has a provision that neither permits nor denies"),
        };
        let (from, to) = period(value)?;
        // what forbids without a beginning forbids always; what permits needs one
        let from = match (from, deny) {
            (Some(from), _) => from,
            (None, true) => Date::MIN,
            (None, false) => return Err("permits without a beginning"),
        };
        found.extend(codes.into_iter().map(|code| Provision { code, deny, from, to }));
    }
    inner.iter().try_for_each(|it| provisions(it, depth + 1, found))
}

/// The codes of a provision, written in full.
fn codes(value: &Value) -> Vec<String> {
    let codes = value.get("code").and_then(Value::as_array).into_iter().flatten();
    let codings = codes.filter_map(|it| it.get("coding")?.as_array()).flatten();
    let full = |coding: &Value| {
        let system = coding.get("system").and_then(Value::as_str).unwrap_or_default();
        let code = coding.get("code")?.as_str()?.trim();
        let code = code.strip_prefix("urn:oid:").unwrap_or(code);
        let short = system.ends_with(CODES) && code.bytes().all(|it| it.is_ascii_digit());
        Some(if short { format!("{CODES}.{code}") } else { code.to_owned() })
    };
    codings.filter_map(full).collect()
}

fn period(value: &Value) -> Result<(Option<Date>, Option<Date>), &'static str> {
    let flaw = "has a period without readable dates";
    let period = match value.get("period") {
        None => return Ok((None, None)),
        Some(Value::Object(period)) => period,
        Some(_) => return Err(flaw),
    };
    let day = |name: &str| match period.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => {
            text.get(..10).unwrap_or(text).parse().map(Some).map_err(|_| flaw)
        }
        Some(_) => Err(flaw),
    };
    Ok((day("start")?, day("end")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consent::{Decision, decide, decide_renewed};
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

    /// Everything that is needed to permit.
    fn permit(patient: &str) -> String {
        let both = ["6", "8"].map(|code| provision("permit", code, "2052-03-01"));
        consent(patient, "active", &both)
    }

    fn decided(lines: &[String], patient: &str) -> Decision {
        let said = read_fhir(&lines.join("\n"));
        decide(&said.of(patient), "dementia", date(2026, 11, 24))
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

    // A patient who has withdrawn and signs anew comes back where policy lets them; only the day of the
    // signature counts, not the order of files, and only where both say it in full.
    #[test]
    fn a_later_signature_permits_again() {
        let long = "2052-03-01";
        let dated = |resource: &str, day: &str| {
            resource.replacen('{', &format!(r#"{{"dateTime":"{day}","#), 1)
        };
        let permit = permit("A").replace("2022-03-01", "2025-02-01");
        let deny = consent("A", "active", &[provision("deny", "8", long)]);
        let of = |lines: &[String]| {
            let said = read_fhir(&lines.join("\n"));
            decide_renewed(&said.of("A"), "dementia", date(2026, 11, 24))
        };
        let both = |permit: &str, deny: &str| of(&[permit.to_owned(), deny.to_owned()]);
        let new = dated(&permit, "2025-02-01T08:30:00+01:00");
        let old = dated(&deny, "2024-06-30");
        for lines in [[new.clone(), old.clone()], [old.clone(), new.clone()]] {
            assert_eq!(of(&lines), Decision::Permitted);
            assert_eq!(decided(&lines, "A"), Decision::Denied, "the careful policy");
        }
        // withdrawn again, on the same day, or without a day; a year alone is none
        assert_eq!(of(&[new.clone(), old.clone(), dated(&deny, "2026-01-01")]), Decision::Denied);
        assert_eq!(both(&new, &dated(&deny, "2025-02-01")), Decision::Denied);
        for day in ["2024", "2024-06", "once", ""] {
            assert_eq!(both(&new, &dated(&deny, day)), Decision::Denied, "{day}");
            assert_eq!(both(&dated(&permit, day), &old), Decision::Denied, "{day}");
        }
        assert_eq!(both(&new, &deny), Decision::Denied);
        assert_eq!(both(&permit, &old), Decision::Denied);
        // an old permit that was entered anew is not a new one; a deny may begin later than it was signed
        let entered = dated(&permit.replace("2025-02-01", "2022-03-01"), "2025-02-01");
        assert_eq!(both(&entered, &old), Decision::Denied);
        let later = dated(&deny.replace("2022-03-01", "2025-06-01"), "2024-06-30");
        assert_eq!(both(&new, &later), Decision::Denied);
        // what cannot be read is outdone by nothing
        let odd = dated(
            &deny.replace(r#""type":"deny","period""#, r#""type":"maybe","period""#),
            "2024-01-01",
        );
        assert_ne!(odd, dated(&deny, "2024-01-01"));
        assert_eq!(both(&new, &odd), Decision::Denied);
    }

    // Case 51: what cannot be read leaves its person out and is reported.
    #[test]
    fn malformed_resources_leave_their_person_out() {
        let whole = permit("A");
        let bad = whole.replace("\"type\":\"permit\"", "\"type\":\"maybe\"");
        assert_eq!(decided(&[whole.clone(), bad], "A"), Decision::Denied);
        let bad = whole.replace("2022-03-01", "sometime");
        assert_eq!(decided(&[bad], "A"), Decision::Denied);
        // what might be anybody's is counted, so that the file can be refused
        let twice = whole.replacen("{", r#"{"status":"inactive","#, 1);
        let anybody = ["", "{", "[]", r#"{"resourceType":"Consent"}"#, &twice];
        for line in anybody {
            let said = read_fhir(line);
            let counts = (said.flaws.len(), said.statements.len(), said.unattributed);
            assert_eq!(counts, (1, 0, 1), "{line}");
        }
        let said = read_fhir(r#"{"resourceType":"Patient"}"#);
        assert_eq!((said.flaws.len(), said.unattributed), (1, 0));
        let modified = whole.replacen("{", r#"{"modifierExtension":[],"#, 1);
        let no_list = whole.replace(r#""provision":["#, r#""provision":{"a":["#);
        let no_list = no_list.replace("]}}", "]}}}");
        let no_status = whole.replace("active", "agreed");
        for bad in [modified, no_list, no_status] {
            assert_eq!(decided(&[whole.clone(), bad.clone()], "A"), Decision::Denied, "{bad}");
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

    // A deny counts however it is written: without code, with a short code, for a patient under either
    // name, in a resource that permits.
    #[test]
    fn denials_are_found_in_any_form() {
        let long = "2052-03-01";
        let whole = permit("A");
        let denied = |other: String| decided(&[whole.clone(), other], "A") == Decision::Denied;
        assert!(denied(consent("A", "active", &[])));
        assert!(denied(consent("A", "active", &[r#"{"type":"deny"}"#.to_owned()])));
        let codes = |code: &str| {
            let own = r#""code":"2.16.840.1.113883.3.1937.777.24.5.3.8""#;
            provision("deny", "8", long).replace(own, &format!(r#""code":"{code}""#))
        };
        assert!(denied(consent("A", "active", &[codes("8")])));
        let full = "urn:oid:2.16.840.1.113883.3.1937.777.24.5.3.8";
        assert!(denied(consent("A", "active", &[codes(full)])));
        let deny = consent("A", "active", &[provision("deny", "8", long)]);
        let history = deny.replace("Patient/A", "https://x.example/fhir/Patient/A/_history/3");
        assert!(denied(history));
        let both = r#""patient":{"identifier":{"value":"local-7"},"reference""#;
        assert!(denied(deny.replace(r#""patient":{"reference""#, both)));
        // storing, third parties, earlier data and contact have no effect
        for code in ["7", "9", "22", "45", "46", "47"] {
            assert!(!denied(consent("A", "active", &[provision("deny", code, long)])), "{code}");
        }
        // an inactive refusal is none; the one patient's is not another's
        assert!(!denied(consent("A", "inactive", &[])));
        assert!(!denied(consent("B", "active", &[])));
    }

    // A bundle says what its resources say, however it is laid out; one that is cut says nothing.
    #[test]
    fn bundles_are_read_whole_or_not_at_all() {
        let long = "2052-03-01";
        let whole = permit("A");
        let deny = consent("B", "active", &[provision("deny", "8", long)]);
        let bundle = format!(
            "{{\"resourceType\":\"Bundle\",\"entry\":[{{\"resource\":{whole}}},\n{{\"resource\":{{\"resourceType\":\"Patient\"}}}},{{\"resource\":{deny}}}]}}"
        );
        let pretty = {
            let value: Value = serde_json::from_str(&bundle).unwrap();
            serde_json::to_string_pretty(&value).unwrap()
        };
        for text in [bundle.clone(), bundle.replace('\n', ""), pretty] {
            let said = read_fhir(&text);
            assert_eq!((said.flaws.len(), said.unattributed), (0, 0), "{text}");
            let today = date(2026, 11, 24);
            assert_eq!(decide(&said.of("A"), "x", today), Decision::Permitted, "{text}");
            assert_eq!(decide(&said.of("B"), "x", today), Decision::Denied, "{text}");
        }
        let cut = read_fhir(&bundle[..bundle.len() - 2]);
        assert_eq!((cut.statements.len(), cut.unattributed), (0, 1));
        let mut deep = "0".to_owned();
        for _ in 0..10_000 {
            deep = format!("[{deep}]");
        }
        let said = read_fhir(&bundle.replacen(&whole, &format!(r#"{{"a":{deep}}}"#), 1));
        assert_eq!((said.statements.len(), said.unattributed), (0, 1));
    }
}
