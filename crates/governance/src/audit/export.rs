//! The log for other systems: HL7 FHIR R4 `AuditEvent` after the codes of IHE BALP, and syslog
//! after RFC 5424.

use super::chain::Record;
use super::event::Event;
use crate::hex::to_hex;
use jiff::Timestamp;
use serde_json::{Value, json};

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

/// DICOM's code for a kind of event, and FHIR's action.
fn coded(kind: &str) -> (&'static str, &'static str, &'static str) {
    match kind {
        "start" | "stop" => ("110120", "Application Start", "E"),
        "import" | "dataset" => ("110107", "Import", "C"),
        "release" => ("110106", "Export", "R"),
        "run" | "analysis" | "open" | "end" | "abort" => ("110112", "Query", "E"),
        _ => ("110113", "Security Alert", "E"),
    }
}

/// An entry as one FHIR R4 `AuditEvent` (a line of NDJSON). What the entry says of a study is an
/// entity; facts are its details; no patient is named, because the log names none.
#[must_use]
pub fn to_fhir(exported: &Exported<'_>) -> Value {
    let Exported { record, event, origin } = exported;
    let (code, display, action) = coded(&event.kind);
    let mut details: Vec<Value> = (event.facts.iter())
        .map(|(name, fact)| json!({"type": name, "valueString": fact}))
        .collect();
    details.push(json!({"type": "entry-hash", "valueString": to_hex(&record.hash)}));
    json!({
        "resourceType": "AuditEvent",
        "id": format!("entry-{}", record.seq),
        "type": {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": code,
            "display": display},
        "subtype": [{"system": "urn:konsil:event", "code": event.kind}],
        "action": action,
        "recorded": exported.time(),
        "outcome": if exported.failed() { "8" } else { "0" },
        "agent": [{"who": {"identifier": {"value": event.actor}}, "requestor": true}],
        "source": {"observer": {"identifier": {"value": origin}}},
        "entity": [{"what": {"identifier": {"value": event.subject}}, "detail": details}],
    })
}

/// An entry as one syslog message of RFC 5424: facility 13 (log audit), severity 5 (notice) or 4
/// (warning), the facts as structured data.
#[must_use]
pub fn to_syslog(exported: &Exported<'_>) -> String {
    let Exported { record, event, origin } = exported;
    let priority = 13 * 8 + if exported.failed() { 4 } else { 5 };
    let host: String = printable(origin.rsplit('/').next().unwrap_or("-"), 255);
    let id = printable(&event.kind, 32);
    let mut data = format!("[konsil@32473 seq=\"{}\"", record.seq);
    data.push_str(&format!(" subject=\"{}\"", escaped(&event.subject)));
    data.push_str(&format!(" actor=\"{}\"", escaped(&event.actor)));
    data.push_str(&format!(" hash=\"{}\"", to_hex(&record.hash)));
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

/// A name of structured data: no `=`, `]`, `"`, at most 32 characters.
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

    #[test]
    fn events_become_fhir_and_syslog() {
        let event = Event::new("release", "ad-survival", "node@north")
            .with("numbers", &61)
            .with("note]=", &"a \"b\" ]\n");
        let record = Log::default().next(1_762_176_480, &event).unwrap();
        let exported = Exported { record: &record, event: &event, origin: "konsil/net/north" };
        let fhir = to_fhir(&exported);
        assert_eq!(fhir["resourceType"], "AuditEvent");
        assert_eq!(fhir["recorded"], "2025-11-03T13:28:00Z");
        assert_eq!(fhir["type"]["code"], "110106");
        assert_eq!(fhir["outcome"], "0");
        assert_eq!(fhir["entity"][0]["what"]["identifier"]["value"], "ad-survival");
        let line = to_syslog(&exported);
        let start = "<109>1 2025-11-03T13:28:00Z north konsil - release [konsil@32473 seq=\"1\" ";
        assert!(line.starts_with(start), "{line}");
        assert!(line.contains(" note__=\"a \\\"b\\\" \\] \"") && line.ends_with(']'), "{line}");
        assert_eq!(line.lines().count(), 1, "an entry is one line, whatever it says");
        let refused = Event::new("refuse", "s", "node");
        let record = Log::default().next(0, &refused).unwrap();
        let exported = Exported { record: &record, event: &refused, origin: "" };
        assert_eq!(to_fhir(&exported)["outcome"], "8");
        assert!(to_syslog(&exported).starts_with("<108>1 1970-01-01T00:00:00Z - konsil"));
    }
}
