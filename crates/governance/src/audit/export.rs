//! The log for other systems: HL7 FHIR R4 `AuditEvent`, and syslog after RFC 5424.
//!
//! The codes are those that IHE BALP uses, of DICOM (part 16, CID 400 and 403) and HL7. No profile of
//! BALP is claimed: each of them is about access to one patient's data and requires the patient as an
//! entity, and this log names no patient.

use super::chain::Record;
use super::event::Event;
use crate::hex::to_hex;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Code systems.
const DICOM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const HL7: &str = "http://terminology.hl7.org/CodeSystem/";
/// Kinds of entries, as the log calls them.
const KONSIL: &str = "urn:konsil:event";

/// The private enterprise number that is reserved for examples (RFC 5612): until a centre gives its
/// own, nobody else's.
pub const ENTERPRISE_OF_EXAMPLES: u32 = 32_473;

/// An entry with what other systems want to know besides.
#[derive(Clone, Copy, Debug)]
pub struct Exported<'a> {
    /// The entry.
    pub record: &'a Record,
    /// Its event.
    pub event: &'a Event,
    /// The log's name, as in checkpoints.
    pub origin: &'a str,
}

impl Exported<'_> {
    fn time(&self) -> String {
        Timestamp::from_second(self.record.time).unwrap_or_default().to_string()
    }

    /// Whether the event says that something was not done.
    fn failed(&self) -> bool {
        matches!(self.event.kind.as_str(), "refuse" | "abort" | "rollback")
    }
}

/// DICOM's code for a kind of event, what it is more precisely, and FHIR's action.
type Coded = ((&'static str, &'static str), Option<(&'static str, &'static str)>, &'static str);

fn coded(kind: &str) -> Coded {
    let activity = ("110100", "Application Activity");
    match kind {
        "start" => (activity, Some(("110120", "Application Start")), "E"),
        "stop" => (activity, Some(("110121", "Application Stop")), "E"),
        "import" | "dataset" | "freeze" | "genotypes" | "consent" => {
            (("110107", "Import"), None, "C")
        }
        "release" => (("110106", "Export"), None, "R"),
        "run" | "analysis" | "open" | "end" | "abort" => (("110112", "Query"), None, "E"),
        _ => (("110113", "Security Alert"), None, "E"),
    }
}

fn coding(system: &str, (code, display): (&str, &str)) -> Value {
    json!({"system": system, "code": code, "display": display})
}

/// A text as FHIR allows it: no control characters; none at all instead of an empty one.
fn said(text: &str) -> Option<String> {
    let text: String = text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
    (!text.trim().is_empty()).then_some(text)
}

/// Somebody or something by its name in the log.
fn reference(name: &str) -> Value {
    said(name).map_or(json!({"display": "not named"}), |it| json!({"identifier": {"value": it}}))
}

/// An entry as one FHIR R4 `AuditEvent` (a line of NDJSON). What the entry says of a study is an
/// entity; facts are its details; no patient is named, because the log names none.
#[must_use]
pub fn to_fhir(exported: &Exported<'_>) -> Value {
    let Exported { record, event, origin } = exported;
    let (code, precisely, action) = coded(&event.kind);
    let mut subtype = vec![json!({"system": KONSIL, "code": event.kind})];
    subtype.extend(precisely.map(|it| coding(DICOM, it)));
    let detail = |(name, fact): (&String, &String)| {
        Some(json!({"type": said(name)?, "valueString": said(fact)?}))
    };
    let mut details: Vec<Value> = event.facts.iter().filter_map(detail).collect();
    if record.clock_back {
        details.push(json!({"type": "clock_back", "valueString": "true"}));
    }
    details.push(json!({"type": "entry-hash", "valueString": to_hex(&record.hash)}));
    let by_program = event.actor == "node" || event.actor.starts_with("node@");
    let role = if by_program {
        coding(DICOM, ("110150", "Application"))
    } else {
        coding(&format!("{HL7}extra-security-role-type"), ("humanuser", "human user"))
    };
    json!({
        "resourceType": "AuditEvent",
        "id": format!("entry-{}", record.seq),
        "type": coding(DICOM, code),
        "subtype": subtype,
        "action": action,
        "recorded": exported.time(),
        "outcome": if exported.failed() { "8" } else { "0" },
        "agent": [{"type": {"coding": [role]}, "who": reference(&event.actor), "requestor": true}],
        "source": {"observer": reference(origin), "type": [
            coding(&format!("{HL7}security-source-type"), ("4", "Application Server"))]},
        "entity": [{"what": reference(&event.subject), "detail": details,
            "type": coding(&format!("{HL7}audit-entity-type"), ("2", "System Object"))}],
    })
}

/// An entry as one syslog message of RFC 5424: facility 13 (log audit), severity 5 (notice) or 4
/// (warning), the facts as structured data named by the centre's private enterprise number. There is
/// no MSG part, and so no byte order mark.
#[must_use]
pub fn to_syslog(exported: &Exported<'_>, enterprise: u32) -> String {
    let Exported { record, event, origin } = exported;
    let priority = 13 * 8 + if exported.failed() { 4 } else { 5 };
    let host: String = printable(origin.rsplit('/').next().unwrap_or("-"), 255);
    let id = printable(&event.kind, 32);
    let mut data = format!("[konsil@{enterprise} seq=\"{}\"", record.seq);
    data.push_str(&format!(" subject=\"{}\"", escaped(&event.subject)));
    data.push_str(&format!(" actor=\"{}\"", escaped(&event.actor)));
    data.push_str(&format!(" hash=\"{}\"", to_hex(&record.hash)));
    if record.clock_back {
        data.push_str(" clock_back=\"true\"");
    }
    for (name, fact) in &event.facts {
        data.push_str(&format!(" {}=\"{}\"", parameter(name), escaped(fact)));
    }
    format!("<{priority}>1 {} {host} konsil - {id} {data}]", exported.time())
}

/// Printable ASCII without spaces, as RFC 5424 wants names; `-` for nothing.
fn printable(text: &str, length_max: usize) -> String {
    let visible = |it: char| if it.is_ascii_graphic() { it } else { '_' };
    let text: String = text.chars().take(length_max).map(visible).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A name of structured data: 1 to 32 printable characters, no `=`, `]`, `"`.
fn parameter(name: &str) -> String {
    printable(name, 32).replace(['=', ']', '"'], "_")
}

/// A value of structured data: `"`, `\` and `]` escaped, no control characters.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for it in value.chars() {
        if matches!(it, '"' | '\\' | ']') {
            text.push('\\');
        }
        text.push(if it.is_control() { ' ' } else { it });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::chain::Log;
    use super::*;

    fn exported(event: &Event, origin: &str, time: i64) -> (Value, String) {
        let record = Log::default().next(time, event).unwrap();
        let exported = Exported { record: &record, event, origin };
        (to_fhir(&exported), to_syslog(&exported, ENTERPRISE_OF_EXAMPLES))
    }

    #[test]
    fn events_become_fhir_and_syslog() {
        let event = Event::new("release", "ad-survival", "node@north")
            .with("numbers", &61)
            .with("note]=", &"a \"b\" ]\n");
        let (fhir, line) = exported(&event, "konsil/net/north", 1_762_176_480);
        assert_eq!(fhir["resourceType"], "AuditEvent");
        assert_eq!(fhir["recorded"], "2025-11-03T13:28:00Z");
        assert_eq!(fhir["type"]["code"], "110106");
        assert_eq!(fhir["outcome"], "0");
        assert_eq!(fhir["entity"][0]["what"]["identifier"]["value"], "ad-survival");
        let start = "<109>1 2025-11-03T13:28:00Z north konsil - release [konsil@32473 seq=\"1\" ";
        assert!(line.starts_with(start), "{line}");
        assert!(line.contains(" note__=\"a \\\"b\\\" \\] \"") && line.ends_with(']'), "{line}");
        assert_eq!(line.lines().count(), 1, "an entry is one line, whatever it says");
        let (fhir, line) = exported(&Event::new("refuse", "s", "node"), "", 0);
        assert_eq!(fhir["outcome"], "8");
        assert!(line.starts_with("<108>1 1970-01-01T00:00:00Z - konsil"));
    }

    // The tables of DICOM (CID 400: what happened; CID 403: start and stop; CID 402: who) and of HL7.
    #[test]
    fn codes_are_those_of_dicom_and_hl7() {
        let of = |kind: &str, actor: &str| exported(&Event::new(kind, "s", actor), "o", 0).0;
        let (start, stop) = (of("start", "node@a"), of("stop", "node@a"));
        for (event, code) in [(&start, "110120"), (&stop, "110121")] {
            assert_eq!(event["type"]["code"], "110100");
            assert_eq!(event["type"]["display"], "Application Activity");
            assert_eq!(event["subtype"][1]["code"], code);
            assert_eq!(event["subtype"][1]["system"], DICOM);
            assert_eq!(event["agent"][0]["type"]["coding"][0]["code"], "110150");
        }
        let codes = [("import", "110107", "C"), ("release", "110106", "R"), ("run", "110112", "E")];
        for (kind, code, action) in codes {
            let event = of(kind, "steward@a");
            assert_eq!((&event["type"]["code"], &event["action"]), (&code.into(), &action.into()));
            assert_eq!(event["subtype"].as_array().unwrap().len(), 1);
        }
        let alert = of("approve", "steward@a");
        assert_eq!(alert["type"]["code"], "110113");
        assert_eq!(alert["agent"][0]["type"]["coding"][0]["code"], "humanuser");
        assert_eq!(alert["source"]["type"][0]["code"], "4");
        assert_eq!(alert["entity"][0]["type"]["code"], "2");
    }

    // FHIR knows no empty strings and no control characters; what is not there is left out.
    #[test]
    fn what_is_empty_is_left_out_of_fhir() {
        let event = Event::new("run", "", "").with("why", &"").with("how", &"a\tb\u{1}");
        let (fhir, line) = exported(&event, "", 0);
        assert_eq!(fhir["entity"][0]["detail"].as_array().unwrap().len(), 2, "{fhir}");
        assert_eq!(fhir["entity"][0]["detail"][0]["valueString"], "a b ");
        for it in
            [&fhir["entity"][0]["what"], &fhir["agent"][0]["who"], &fhir["source"]["observer"]]
        {
            assert_eq!(it, &json!({"display": "not named"}));
        }
        assert!(!fhir.to_string().contains("\"\""), "{fhir}");
        assert!(line.contains(" how=\"a b \" why=\"\"]"), "{line}");
    }

    // A time that the clock did not say is told to other systems too.
    #[test]
    fn a_clock_that_jumped_back_is_exported() {
        let mut log = Log::default();
        let event = Event::new("run", "s", "node");
        log.accept(&log.next(100, &event).unwrap()).unwrap();
        let record = log.next(40, &event).unwrap();
        let exported = Exported { record: &record, event: &event, origin: "o" };
        assert!(to_syslog(&exported, 1).contains("[konsil@1 seq=\"2\"") && record.clock_back);
        assert!(to_syslog(&exported, 1).contains(" clock_back=\"true\""));
        assert!(to_fhir(&exported).to_string().contains("clock_back"));
    }
}
