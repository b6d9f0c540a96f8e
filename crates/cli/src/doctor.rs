//! `konsil node doctor`: what is wrong with a node, and what to do.

use crate::failure::Failure;
use crate::screen::Screen;
use konsil_node::{Clock, Mark, Patient, examine};
use serde_json::json;
use std::path::Path;

pub(crate) fn doctor(dir: &Path, kind: Patient, screen: &Screen) -> Result<(), Failure> {
    let findings = examine(dir, kind, &Clock::system());
    for it in &findings {
        let mark = match it.mark {
            Mark::Fine => "✓",
            Mark::Look => "!",
            _ => "✗",
        };
        let fix = if it.fix.is_empty() { String::new() } else { format!("\n      → {}", it.fix) };
        screen.table(&format!("  {mark} {}{fix}", it.text));
    }
    let wrong = findings.iter().filter(|it| it.mark == Mark::Wrong).count();
    let line = json!({"schema": "konsil.doctor.v1", "ok": wrong == 0, "findings": findings});
    screen.json_line(&line);
    match wrong {
        0 => Ok(()),
        count => {
            let what = format!("{count} of {} things are wrong", findings.len());
            Err(Failure::coded("K0666", what))
        }
    }
}
