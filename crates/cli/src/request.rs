//! `konsil request`: what the stewards of a centre read and decide.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Args, Subcommand};
use konsil_governance::RequestState;
use konsil_net::Identity;
use konsil_node::{Clock, Desk, NodeError, RequestRecord, RequestView};
use konsil_plot::number::{self, Medium};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum RequestCommand {
    /// Show all requests.
    List {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Show one request: who asks what, what is revealed, what leaves.
    Show {
        /// Its number.
        number: i64,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Say yes, to one run.
    Approve {
        #[command(flatten)]
        decision: Decision,
        /// Do not ask for the study's name.
        #[arg(long)]
        yes: bool,
    },
    /// Say no; the note is told to the researcher.
    Decline(Decision),
    /// Ask the researcher something: the note.
    Ask(Decision),
    /// Take an approval back that no run has used yet.
    Revoke(Decision),
}

#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// Number of the request.
    number: i64,
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
    /// The steward's key; without it `steward.key` in the centre's folder.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Words for the log and the researcher.
    #[arg(long, default_value = "")]
    note: String,
}

pub(crate) fn request(command: RequestCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        RequestCommand::List { dir } => list(&desk(&dir)?, screen),
        RequestCommand::Show { number, dir } => show(&desk(&dir)?.view(number)?, screen),
        RequestCommand::Approve { decision, yes } => approve(&decision, yes, screen),
        RequestCommand::Decline(decision) => {
            let (desk, key) = open(&decision)?;
            desk.decline(decision.number, &key, &words(&decision, "why")?)?;
            done(&decision, "declined", screen);
            Ok(())
        }
        RequestCommand::Ask(decision) => {
            let (desk, key) = open(&decision)?;
            desk.ask(decision.number, &key, &words(&decision, "what")?)?;
            done(&decision, "question", screen);
            Ok(())
        }
        RequestCommand::Revoke(decision) => {
            let (desk, key) = open(&decision)?;
            desk.revoke(decision.number, &key, &decision.note)?;
            done(&decision, "revoked", screen);
            Ok(())
        }
    }
}

/// The desk of a centre's folder.
pub(crate) fn desk(dir: &Path) -> Result<Desk, Failure> {
    if !dir.join("konsil.toml").exists() {
        let what = format!("{} is no centre's folder; name it with -C", dir.display());
        return Err(Failure::usage(what));
    }
    Ok(Desk::open(dir, Clock::system())?)
}

/// A key file that only its owner may read.
pub(crate) fn open_key(path: &Path) -> Result<Identity, Failure> {
    Identity::open(path)
        .map_err(|error| NodeError::File { path: path.to_owned(), what: error.to_string() }.into())
}

fn open(decision: &Decision) -> Result<(Desk, Identity), Failure> {
    let path = decision.key.clone().unwrap_or_else(|| decision.dir.join("steward.key"));
    Ok((desk(&decision.dir)?, open_key(&path)?))
}

fn words(decision: &Decision, what: &str) -> Result<String, Failure> {
    if decision.note.is_empty() {
        return Err(Failure::usage(format!("say {what} with --note 'TEXT'")));
    }
    Ok(decision.note.clone())
}

fn done(decision: &Decision, state: &str, screen: &Screen) {
    screen.note(&format!("✓ #{} {state}, and logged", decision.number));
    let value = json!({"schema": "konsil.decision.v1", "number": decision.number, "state": state});
    screen.json_line(&value);
}

fn list(desk: &Desk, screen: &Screen) -> Result<(), Failure> {
    let records = desk.requests()?;
    for record in &records {
        let open = record.checks.iter().filter(|it| !it.ok).count();
        screen.table(&format!(
            "#{:<4} {:<24} {:<16} {:<9} checks {}✓ {open}!  {} {}",
            record.number,
            record.study,
            desk.researcher(&record.researcher),
            record.state,
            record.checks.len() - open,
            record.code,
            record.note
        ));
    }
    let rows: Vec<Value> = records.iter().map(|it| as_json(desk, it)).collect();
    screen.json_line(&json!({"schema": "konsil.requests.v1", "requests": rows}));
    Ok(())
}

fn as_json(desk: &Desk, record: &RequestRecord) -> Value {
    json!({
        "number": record.number, "study": record.study, "study_hash": record.study_hash,
        "researcher": desk.researcher(&record.researcher), "state": record.state,
        "code": record.code, "note": record.note, "checks": record.checks,
        "submitted": record.submitted.to_string(),
    })
}

/// One screen: who, what for, checks, everything that will be revealed, what leaves.
fn show(view: &RequestView, screen: &Screen) -> Result<(), Failure> {
    screen.table(&text(view));
    let record = &view.record;
    screen.json_line(&json!({
        "schema": "konsil.request.v1", "number": record.number, "state": record.state,
        "study": view.study, "study_hash": record.study_hash, "researcher": view.researcher,
        "permit": record.document.body.permit, "checks": record.checks, "plan": view.plan,
        "variables": view.variables, "own_bytes": view.own_bytes,
        "approved_by": view.approved_by, "signatures_needed": view.signatures_needed,
    }));
    Ok(())
}

fn text(view: &RequestView) -> String {
    let (record, head) = (&view.record, &view.study.study);
    let stated =
        |text: &str| if text.is_empty() { "not stated".to_owned() } else { text.to_owned() };
    let permit = record.document.body.permit.as_ref().map_or_else(
        || "none".to_owned(),
        |it| format!("{} of {}, until {}", it.body.id, it.body.body, it.body.valid_to),
    );
    let cohort = &view.study.cohort.condition;
    let cohort = if cohort.is_empty() { "all patients" } else { cohort };
    let mut text = String::new();
    let _ok = write!(
        text,
        "#{}  {}  {}\nHash        {}\nResearcher  {}\nPurpose     {}    Ethics vote  {}\nPermit      {permit}\nState       {} {}\nCentres     {}\nCohort      {cohort}\nUses here   {}\n",
        record.number,
        record.study,
        head.title,
        record.study_hash,
        view.researcher,
        stated(&head.purpose),
        stated(&head.ethics),
        record.state,
        record.note,
        view.plan.centres.join(", "),
        view.variables.join(" "),
    );
    for asked in &view.study.analysis {
        let what = asked.formula.clone().unwrap_or_else(|| asked.variables.join(" "));
        let by = asked.by.as_ref().map(|it| format!(" by {it}")).unwrap_or_default();
        let _ok = writeln!(text, "Asks        {:<10} {what}{by}", asked.kind);
    }
    for check in &record.checks {
        let _ok = writeln!(text, "  {} {}", if check.ok { "✓" } else { "!" }, check.text);
    }
    text.push_str("Will be revealed, value by value, over all centres together\n");
    for analysis in &view.plan.analyses {
        for line in &analysis.ledger {
            let _ok = writeln!(
                text,
                "  {:>7}  to {:<11} {:<24} {}",
                line.numbers, line.to, line.name, line.says
            );
        }
    }
    let _ok = write!(
        text,
        "Leaves here {} of shares · 0 B in the clear\nGuarantee   {}\n",
        number::bytes(view.own_bytes, Medium::Terminal),
        view.plan.guarantee
    );
    if !view.approved_by.is_empty() {
        let (by, of) = (view.approved_by.join(", "), view.signatures_needed);
        let _ok = writeln!(text, "Approved by {by} ({of} needed)");
    }
    text
}

fn approve(decision: &Decision, yes: bool, screen: &Screen) -> Result<(), Failure> {
    let (desk, key) = open(decision)?;
    let view = desk.view(decision.number)?;
    if !yes {
        screen.note(&text(&view));
        screen.note(&format!("Type the study's name to sign ({}):", view.record.study));
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        if read.is_err() || line.trim() != view.record.study {
            let what = "not approved: the study's name was not typed; --yes approves without it";
            return Err(Failure::usage(what));
        }
    }
    let state = desk.approve(decision.number, &key, &decision.note)?;
    let said = if state == RequestState::Approved {
        "✓ approved and logged. Until a run begins:  konsil request revoke"
    } else {
        "✓ signed and logged; another steward must approve as well"
    };
    screen.note(said);
    screen.json_line(&json!({
        "schema": "konsil.decision.v1", "number": decision.number, "state": state,
    }));
    Ok(())
}
