//! Asking the centres to let a study run, and who has said yes.

use crate::arguments::NetworkOptions;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::study;
use clap::Args;
use konsil_governance::{Permit, RequestState, Signed};
use konsil_node::{RequestStatus, Researcher, StudyRun};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Debug, Args)]
pub(crate) struct SubmitOptions {
    /// The study file.
    study: PathBuf,
    /// The permit under which it runs.
    #[arg(long, value_name = "FILE")]
    permit: Option<PathBuf>,
    #[command(flatten)]
    network: NetworkOptions,
}

/// How `konsil run` deals with centres that have not said yes.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Patience {
    /// The permit under which it runs.
    #[arg(long, value_name = "FILE")]
    permit: Option<PathBuf>,
    /// Wait for the centres' approvals, so long at most.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// How often a researcher who waits asks.
const ASK_AGAIN: Duration = Duration::from_secs(2);

pub(crate) fn submit(options: &SubmitOptions, screen: &Screen) -> Result<(), Failure> {
    let study = study::read(&options.study)?;
    let permit = options.permit.as_deref().map(crate::permit::read).transpose()?;
    let researcher = study::connect(&options.network.network)?;
    let run = researcher.plan(study, options.network.topology.into())?;
    let statuses = ask(&researcher, &run, (permit.as_ref(), true))?;
    for status in &statuses {
        screen.table(&line(status));
    }
    screen.json_line(&as_json(&run, &statuses));
    let all = statuses.iter().all(|it| it.state == RequestState::Approved);
    screen.note(if all {
        "✓ approved everywhere\nNext: konsil run"
    } else {
        "✓ sent\nNext: konsil run,  when the centres' stewards have approved it"
    });
    let declined = statuses.iter().find(|it| it.state == RequestState::Declined);
    declined.map_or(Ok(()), |it| Err(failure(it, "")))
}

/// Makes sure that a planned study may run now: sends it to centres that do not know it, and waits
/// if the person wants to. Gives another plan where the study goes on without those that declined.
/// `hint` says how a centre's steward approves.
pub(crate) fn ready(
    researcher: &Researcher,
    run: &StudyRun,
    patience: &Patience,
    hint: &dyn Fn(&RequestStatus) -> String,
    screen: &Screen,
) -> Result<Option<StudyRun>, Failure> {
    let permit = patience.permit.as_deref().map(crate::permit::read).transpose()?;
    let begin = Instant::now();
    let mut said = String::new();
    loop {
        let statuses = ask(researcher, run, (permit.as_ref(), false))?;
        let (yes, no): (Vec<_>, Vec<_>) =
            statuses.iter().partition(|it| it.state == RequestState::Approved);
        if no.is_empty() {
            return Ok(None);
        }
        let (declined, open): (Vec<&RequestStatus>, Vec<&RequestStatus>) =
            no.iter().partition(|it| it.state == RequestState::Declined);
        // whether the study is content with those that have not declined
        let left = u64::try_from(statuses.len() - declined.len()).unwrap_or(0);
        let spare = run.study.study.min_centres.is_some_and(|least| left >= least);
        if open.is_empty() && spare {
            for status in &declined {
                screen.note(&format!("! goes on without {}", line(status)));
            }
            let names: Vec<String> = yes.iter().map(|it| it.centre.clone()).collect();
            return Ok(Some(researcher.plan_among(run, &names)?));
        }
        let lines: Vec<String> = statuses.iter().map(line).collect();
        let final_no = no.iter().copied().find(|it| match it.state {
            RequestState::Waiting | RequestState::Question => false,
            RequestState::Declined => !spare,
            _ => true,
        });
        if final_no.is_some() || begin.elapsed() >= Duration::from_secs(patience.wait) {
            screen.json_line(&as_json(run, &statuses));
            let hints: Vec<String> = no.iter().map(|it| hint(it)).collect();
            let text = format!("{}\n{}", lines.join("\n"), hints.concat());
            let first = final_no.or(open.first().copied());
            return first.map_or(Ok(None), |it| Err(failure(it, &text)));
        }
        if said != lines.join("\n") {
            said = lines.join("\n");
            screen.note(&said);
        }
        thread::sleep(ASK_AGAIN);
    }
}

/// Every centre's answer; the first that has none ends it.
fn ask(
    researcher: &Researcher,
    run: &StudyRun,
    (permit, again): (Option<&Signed<Permit>>, bool),
) -> Result<Vec<RequestStatus>, Failure> {
    let answers = researcher.submit(run, permit, again)?;
    let statuses = answers.into_iter().map(|(_, status)| Ok(status?));
    statuses.collect()
}

/// One centre's state on one line.
fn line(status: &RequestStatus) -> String {
    let RequestStatus { centre, number, state, code, note } = status;
    let why = [code.as_str(), note.as_str()].join(" ");
    format!("{centre:<16} #{number:<4} {state:<9} {}", why.trim()).trim_end().to_owned()
}

/// Why a study may not run yet, or at all.
fn failure(status: &RequestStatus, table: &str) -> Failure {
    let centre = &status.centre;
    let (code, text) = match status.state {
        RequestState::Waiting => (
            "K0610",
            format!(
                "{centre}: approval-missing: waits for its steward; konsil run  again later, or with --wait SECONDS"
            ),
        ),
        RequestState::Question => ("K0610", format!("{centre}: its steward asks: {}", status.note)),
        RequestState::Consumed => (
            "K0611",
            format!(
                "{centre}: approval-consumed: its approval has been used; ask again with  konsil submit"
            ),
        ),
        RequestState::Revoked => ("K0617", format!("{centre}: approval-revoked: {}", status.note)),
        _ if status.code.is_empty() => ("K0616", format!("{centre}: {}", status.note)),
        _ => (status.code.as_str(), format!("{centre}: {}", status.note)),
    };
    let text = if table.is_empty() { text } else { format!("{text}\n{}", table.trim_end()) };
    Failure { text, exit: crate::failure::exit_of(code), code: code.to_owned() }
}

fn as_json(run: &StudyRun, statuses: &[RequestStatus]) -> Value {
    json!({
        "schema": "konsil.submit.v1", "study": run.plan.study, "study_hash": run.plan.study_hash,
        "centres": statuses,
    })
}

/// Nothing more to say on how a steward approves.
pub(crate) fn no_hint(_: &RequestStatus) -> String {
    String::new()
}

/// In a lab the steward's command is known.
pub(crate) fn lab_hint(centre: &Path, status: &RequestStatus) -> String {
    if status.state != RequestState::Waiting {
        return String::new();
    }
    let key = centre.join("steward.key");
    format!(
        "konsil request approve {} -C {} --key {}\n",
        status.number,
        centre.display(),
        key.display()
    )
}
