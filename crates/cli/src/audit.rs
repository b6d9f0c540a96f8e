//! The audit log of a centre: read, verified, exported, proven.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Subcommand, ValueEnum};
use konsil_governance::audit::{
    ENTERPRISE_OF_EXAMPLES, EntryProof, Event, Exported, Record, origin_of, to_fhir, to_syslog,
};
use konsil_governance::{from_hex, to_hex};
use konsil_node::{
    Clock, NetworkFile, NodeConfig, accept_rollback, audit_entries, audit_proof, read_toml,
    verify_audit,
};
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Show what happened, the newest last.
    Log {
        /// Only what concerns this study.
        #[arg(long)]
        study: Option<String>,
        /// Only the last time: 30m, 12h, 7d, 4w.
        #[arg(long, value_name = "TIME", value_parser = seconds)]
        since: Option<i64>,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Check that nothing was changed, left out or rolled back.
    Verify {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Write all entries for another system, to standard output.
    Export {
        /// In which form.
        #[arg(long)]
        format: Format,
        /// The centre's private enterprise number, for syslog; otherwise the one of examples.
        #[arg(long, value_name = "NUMBER", default_value_t = ENTERPRISE_OF_EXAMPLES)]
        enterprise: u32,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Prove to others that an entry is in the log: konsil audit proof 12 > 12.tlog-proof
    Proof {
        /// Number of the entry.
        seq: u64,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Check a proof. Needs the file and the centre's key, nothing else.
    CheckProof {
        /// The proof.
        file: PathBuf,
        /// The centre's key, 64 hexadecimal digits.
        #[arg(long, value_name = "HEX", conflicts_with = "network")]
        key: Option<String>,
        /// The network file that lists the centre's key.
        #[arg(long, default_value = "network.toml", value_name = "FILE")]
        network: PathBuf,
    },
    /// Accept that a log was rolled back, because a backup was restored. Stop the node first.
    AcceptRollback {
        /// The centre whose log it is; without it, this centre's own.
        #[arg(long, value_name = "CENTRE")]
        peer: Option<String>,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

/// In which form entries are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// An entry a line, as it is hashed.
    Jsonl,
    /// HL7 FHIR R4 `AuditEvent`, NDJSON.
    Fhir,
    /// Syslog, RFC 5424.
    Syslog,
}

/// A time such as `7d`, in seconds.
fn seconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is no time such as 30m, 12h, 7d, 4w");
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let length = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return Err(wrong()),
    };
    let count: u32 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    i64::from(count).checked_mul(length).ok_or_else(wrong)
}

pub(crate) fn audit(command: AuditCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        AuditCommand::Log { study, since, dir } => log(&dir, (study.as_deref(), since), screen),
        AuditCommand::Verify { dir } => verify(&dir, screen),
        AuditCommand::Export { format, enterprise, dir } => {
            export(&dir, (format, enterprise), screen)
        }
        AuditCommand::Proof { seq, dir } => {
            let proof = audit_proof(&dir, seq).map_err(|error| match error {
                konsil_node::NodeError::Refused(what) => Failure::usage(what),
                other => other.into(),
            })?;
            screen.result(&proof.to_string());
            Ok(())
        }
        AuditCommand::CheckProof { file, key, network } => {
            check_proof(&file, (key.as_deref(), &network), screen)
        }
        AuditCommand::AcceptRollback { peer, dir } => {
            let seen = accept_rollback(&dir, peer.as_deref())?;
            let whose = peer.unwrap_or_else(|| "this centre".to_owned());
            screen.note(&format!(
                "✓ logged: the log of {whose} no longer holds the {seen} entries that were seen"
            ));
            if whose == "this centre" {
                screen.note(
                    "  approvals that were not used count as used, and all budgets as spent until \
                     stewards sign:  konsil budget renew",
                );
            }
            screen.json_line(&json!({
                "schema": "konsil.audit-rollback.v1", "log": whose, "seen_entries": seen,
            }));
            Ok(())
        }
    }
}

fn log(
    dir: &Path,
    (study, since): (Option<&str>, Option<i64>),
    screen: &Screen,
) -> Result<(), Failure> {
    let since = since.map(|seconds| Clock::system().now().as_second().saturating_sub(seconds));
    let entries = audit_entries(dir, study, since)?;
    let line = |(record, event): &(Record, Event)| {
        let facts: Vec<String> =
            event.facts.iter().map(|(name, fact)| format!("{name} {fact}")).collect();
        let flag = if record.clock_back { "  (the clock had jumped back)" } else { "" };
        format!(
            "{:>7}  {}  {:<14} {:<20} {:<20} {}{flag}\n",
            record.seq,
            minute(record.time),
            event.kind,
            event.subject,
            event.actor,
            facts.join("  ")
        )
    };
    if !screen.json && !entries.is_empty() {
        screen.table(&entries.iter().map(line).collect::<String>());
    }
    if screen.json {
        let entries: Vec<_> = entries.iter().map(|it| as_json(&it.0, &it.1)).collect();
        screen.json_line(&json!({"schema": "konsil.audit-log.v1", "entries": entries}));
    }
    Ok(())
}

/// A time as `2026-11-03 09:12`, UTC.
fn minute(seconds: i64) -> String {
    konsil_node::rfc_3339(seconds).get(..16).unwrap_or_default().replace('T', " ")
}

fn as_json(record: &Record, event: &Event) -> serde_json::Value {
    json!({
        "seq": record.seq, "time": konsil_node::rfc_3339(record.time),
        "clock_back": record.clock_back, "event": event, "hash": to_hex(&record.hash),
    })
}

fn verify(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let report = verify_audit(dir)?;
    let since = report.since.map(|it| minute(it).get(..10).unwrap_or_default().to_owned());
    let since = since.map(|day| format!(" since {day}")).unwrap_or_default();
    screen.table(&format!("✓ {} entries, chain unbroken{since}", report.entries));
    let ends = (report.root.get(..4), report.root.get(60..));
    let (first, last) = (ends.0.unwrap_or_default(), ends.1.unwrap_or_default());
    screen.table(&format!("✓ root {first}…{last}, signed up to entry {}", report.signed));
    for (peer, size) in &report.held_by {
        screen.table(&format!("✓ {peer} has co-signed the first {size} entries"));
    }
    if report.held_by.is_empty() {
        screen.table("  no other centre has seen this log yet: a rollback would not be noticed");
    }
    if report.clock_back > 0 {
        screen.table(&format!("  the clock had jumped back at {} entries", report.clock_back));
    }
    screen.json_line(&json!({"schema": "konsil.audit-verify.v1", "report": report}));
    Ok(())
}

fn export(dir: &Path, (format, enterprise): (Format, u32), screen: &Screen) -> Result<(), Failure> {
    let config: NodeConfig = read_toml(&dir.join("konsil.toml"))?;
    let origin = origin_of(&config.network, &config.name);
    let entries = audit_entries(dir, None, None)?;
    let mut text = String::new();
    let mut previous = [0; 32];
    for (record, event) in &entries {
        let exported = Exported { record, event, origin: &origin };
        text.push_str(&match format {
            Format::Jsonl => record.text(&previous),
            Format::Fhir => to_fhir(&exported).to_string(),
            Format::Syslog => to_syslog(&exported, enterprise),
        });
        text.push('\n');
        previous = record.hash;
    }
    if !text.is_empty() {
        screen.result(&text);
    }
    Ok(())
}

fn check_proof(
    file: &Path,
    (key, network): (Option<&str>, &Path),
    screen: &Screen,
) -> Result<(), Failure> {
    let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
    let fail =
        |what: &dyn ToString| Failure::proof(format!("{}: {}", file.display(), what.to_string()));
    let proof = EntryProof::parse(&text).map_err(|error| fail(&error))?;
    let origin = proof.checkpoint.checkpoint.origin.clone();
    let key = match key {
        Some(key) => key.to_owned(),
        None => key_of(network, &origin)?,
    };
    let key: Option<[u8; 32]> = from_hex(&key).and_then(|it| it.try_into().ok());
    let key = key.ok_or_else(|| Failure::usage("a key is 64 hexadecimal digits"))?;
    let size = proof.verified(&key).map_err(|error| fail(&error))?.size;
    screen.table(&format!(
        "✓ entry {} of {size} in the log {origin}, signed by {}…\n{}",
        proof.index + 1,
        to_hex(&key).get(..16).unwrap_or_default(),
        proof.entry
    ));
    screen.json_line(&json!({
        "schema": "konsil.audit-proof.v1", "log": origin, "entries": size,
        "index": proof.index, "entry": proof.entry,
    }));
    Ok(())
}

/// The key of the centre whose log it is, from a network file.
fn key_of(network: &Path, origin: &str) -> Result<String, Failure> {
    let file: NetworkFile = read_toml(network)?;
    let of = |name: &str| origin_of(&file.network, name) == origin;
    let peer = file.centre.iter().find(|peer| of(&peer.name));
    let what = || format!("{} lists no centre with the log {origin}; use --key", network.display());
    peer.map(|it| it.key.clone()).ok_or_else(|| Failure::usage(what()))
}
