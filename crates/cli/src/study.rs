//! Plans and runs over a network.

use crate::analysis::AnalysisCommand;
use crate::arguments::NetworkOptions;
use crate::failure::Failure;
use crate::panels;
use crate::prs::brought;
use crate::regions;
use crate::results::{self, Place};
use crate::screen::Screen;
use crate::submit::{self, Patience};
use konsil_governance::{Cohort, Plan, ReleaseRules, Study, StudyHead};
use konsil_node::{Event, NodeError, Outcome, Researcher, StudyRun};
use konsil_plot::number::{self, Medium};
use std::fmt::Write;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

/// Reads a study file.
pub(crate) fn read(path: &Path) -> Result<Study, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let named = |mut failure: Failure| {
        failure.text = format!("{}: {}", path.display(), failure.text);
        failure
    };
    let mut study = Study::parse(&text).map_err(|error| named(NodeError::from(error).into()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for request in &mut study.analysis {
        panels::resolve(request, folder).map_err(named)?;
    }
    brought::resolve(&mut study, folder).map_err(named)?;
    Ok(study)
}

pub(crate) fn plan(path: &Path, network: &NetworkOptions, screen: &Screen) -> Result<(), Failure> {
    let study = read(path)?;
    let researcher = connect(&network.network)?;
    let run = researcher.plan(study, network.topology.into())?;
    show_plan(&run.plan, screen);
    show_forecast(&researcher, &run, screen);
    Ok(())
}

/// How long it will take about, and what it spends of budgets; for people only, as it is no part of the
/// plan that all agree on.
fn show_forecast(researcher: &Researcher, run: &StudyRun, screen: &Screen) {
    let it = researcher.forecast(run);
    screen.table(&format!(
        "Forecast   {:.0} to {:.0} s, with {} exchanges, {:.1} ms there and back and lines of {:.0} Mbit/s",
        it.seconds_from.max(1.0).floor(),
        it.seconds_to.ceil(),
        run.plan.rounds,
        it.round_trip_milliseconds,
        it.megabits_taken
    ));
    for it in researcher.budgets(run) {
        let fits = if it.fits() { "" } else { ": too much, it will be refused" };
        screen.table(&format!(
            "Budget     {}: {} {} spent of {}, this study {}{fits}",
            it.centre, it.currency, it.spent, it.limit, it.asked
        ));
    }
}

/// Connects to the network of a file.
pub(crate) fn connect(network: &Path) -> Result<Researcher, Failure> {
    if !network.exists() {
        let what = format!(
            "there is no network file {}; name it with --network LAB/network.toml, or make a lab with  konsil lab new",
            network.display()
        );
        return Err(Failure::usage(what));
    }
    Ok(Researcher::connect(network)?)
}

pub(crate) fn run_file(
    path: &Path,
    (network, patience, out): (&NetworkOptions, &Patience, &Path),
    screen: &Screen,
) -> Result<(), Failure> {
    run(read(path)?, (network, patience), (Place::new(out), false), screen)
}

/// `konsil glm 'y ~ x'`: a study with one analysis.
pub(crate) fn one_line(command: AnalysisCommand, screen: &Screen) -> Result<(), Failure> {
    if command.by_chromosome {
        return by_chromosome(&command, screen);
    }
    let mut analysis = command.requests()?;
    for request in &mut analysis {
        panels::resolve(request, Path::new(""))?;
    }
    let study = study_of(&command, analysis);
    let (dialect, one) = (command.dialect, command.one);
    let place = Place { out: &one.out, dialect };
    run(study, (&one.network, &Patience::default()), (place, one.dry_run), screen)
}

/// Each chromosome of the panel as a study of its own, into a folder of its own. What an earlier call has
/// done, with the same question and the same data sets' sizes, stays as it is.
fn by_chromosome(command: &AnalysisCommand, screen: &Screen) -> Result<(), Failure> {
    let requests = command.requests()?;
    let panel = requests.first().and_then(|it| it.panel.clone());
    let panel = panel.ok_or_else(|| Failure::usage("give the panel's file by --panel"))?;
    if requests.iter().any(|it| it.region.is_some()) {
        return Err(Failure::usage("give --region or --by-chromosome, not both"));
    }
    let panel = panels::read(Path::new(&panel))?;
    for name in regions::chromosomes_of(&panel) {
        let mut analysis = requests.clone();
        for request in &mut analysis {
            request.region = Some(name.clone());
            panels::resolve(request, Path::new(""))?;
        }
        let study = study_of(command, analysis);
        let out = command.one.out.join(format!("chr{name}"));
        screen.note(&format!("chromosome {name}, into {}", out.display()));
        let place = Place { out: &out, dialect: command.dialect };
        let (network, patience) = (&command.one.network, Patience::default());
        let researcher = connect(&network.network)?;
        let planned = researcher.plan(study, network.topology.into())?;
        if command.one.dry_run {
            show_plan(&planned.plan, screen);
        } else if results::is_done(&planned, &out) {
            screen.note("✓ done before");
        } else {
            results::begin(&out)?;
            run_planned(&researcher, planned, (&patience, place), screen)?;
        }
    }
    Ok(())
}

/// The study of a one-line command.
fn study_of(command: &AnalysisCommand, analysis: Vec<konsil_analyses::Request>) -> Study {
    let (kind, one) = (command.kind, &command.one);
    let formulas = analysis.iter().filter_map(|it| it.formula.as_deref());
    let title = if one.what.is_empty() {
        formulas.collect::<Vec<_>>().join("; ")
    } else {
        one.what.join(" ")
    };
    let head = StudyHead {
        id: format!("{kind}-one-line"),
        title,
        purpose: String::new(),
        ethics: String::new(),
        dictionary: String::new(),
        centres: konsil_governance::Centres::default(),
        min_centres: None,
    };
    let cohort = Cohort { condition: one.cohort.clone().unwrap_or_default() };
    let release = ReleaseRules::default();
    Study { study: head, cohort, analysis, release, score: Vec::new() }
}

/// Runs a study again that has run before, under the same rules, and writes what comes out.
pub(crate) fn run_again(
    (study, hash): (Study, &str),
    network: &NetworkOptions,
    (place, patience): (Place<'_>, &Patience),
    screen: &Screen,
) -> Result<(), Failure> {
    let researcher = connect(&network.network)?;
    let run = researcher.plan(study, network.topology.into())?;
    if run.plan.study_hash != hash {
        screen.note("! the centres' rules have changed since: this is not quite the same study");
    }
    run_planned(&researcher, run, (patience, place), screen)
}

/// Runs a study that a command has made.
pub(crate) fn run_made(
    study: Study,
    network: &NetworkOptions,
    (place, dry_run): (Place<'_>, bool),
    screen: &Screen,
) -> Result<(), Failure> {
    run(study, (network, &Patience::default()), (place, dry_run), screen)
}

fn run(
    study: Study,
    (network, patience): (&NetworkOptions, &Patience),
    (place, dry_run): (Place<'_>, bool),
    screen: &Screen,
) -> Result<(), Failure> {
    let researcher = connect(&network.network)?;
    let run = researcher.plan(study, network.topology.into())?;
    if dry_run {
        show_plan(&run.plan, screen);
        show_forecast(&researcher, &run, screen);
        return Ok(());
    }
    run_planned(&researcher, run, (patience, place), screen)
}

fn run_planned(
    researcher: &Researcher,
    run: StudyRun,
    (patience, place): (&Patience, Place<'_>),
    screen: &Screen,
) -> Result<(), Failure> {
    let begin = Instant::now();
    results::make_place(place.out)?;
    let fewer = submit::ready(researcher, &run, patience, &submit::no_hint, screen)?;
    let run = fewer.unwrap_or(run);
    let outcome = run_with_progress(researcher, &run, screen)?;
    results::finish(&run, &outcome, (place, begin.elapsed()), screen)
}

/// Runs a planned study; says on standard error where it is.
pub(crate) fn run_with_progress(
    researcher: &Researcher,
    run: &StudyRun,
    screen: &Screen,
) -> Result<Outcome, Failure> {
    let centres = run.plan.centres.len();
    let said: Mutex<Vec<(String, usize)>> = Mutex::default();
    let first = run.plan.centres.first().cloned().unwrap_or_default();
    let say = |event: Event| {
        let step = match event {
            Event::Progress { stage, analysis, centre } => match stage.as_str() {
                "part" => return say_part(&analysis, (&centre, &first), screen),
                "connect" => "centres are linked".to_owned(),
                "analysis" => format!("analysis {analysis}"),
                other => other.to_owned(),
            },
            Event::Done { .. } => "result sealed to you".to_owned(),
        };
        let Ok(mut said) = said.lock() else { return };
        let at = said.iter().position(|(it, _)| *it == step).unwrap_or_else(|| {
            said.push((step.clone(), 0));
            said.len() - 1
        });
        said[at].1 += 1;
        // said once, when the last centre gets there
        if said[at].1 == centres {
            screen.note(&format!("  {step}"));
        }
    };
    Ok(researcher.run(run, &say)?)
}

/// Parts of an analysis that are done, each quarter of them; centres go together, so that one speaks for
/// all.
fn say_part(text: &str, (centre, first): (&str, &str), screen: &Screen) {
    let counted = text.rsplit_once(' ').and_then(|(id, parts)| {
        let (done, of) = parts.split_once('/')?;
        Some((id, done.parse::<usize>().ok()?, of.parse::<usize>().ok()?))
    });
    let Some((id, done, of)) = counted.filter(|_| centre == first) else { return };
    let quarter = |done: usize| 4 * done / of.max(1);
    if done > 0 && done < of && quarter(done) > quarter(done - 1) {
        screen.note(&format!("  {id} {} %  ({done} of {of} blocks)", 100 * done / of));
    }
}

/// The plan on the screen: what is revealed, what leaves, what it needs.
pub(crate) fn show_plan(plan: &Plan, screen: &Screen) {
    let mut text = String::new();
    let centres = plan.centres.len();
    let _ok = writeln!(
        text,
        "{}  ·  {centres} centres  ·  at most {} rows\n\nWill be revealed, over all centres together",
        plan.study, plan.rows_at_most
    );
    for analysis in &plan.analyses {
        for (at, line) in analysis.reveals.iter().enumerate() {
            let id = if at == 0 { analysis.id.as_str() } else { "" };
            let _ok = writeln!(text, "  {id:<10} {line}");
        }
    }
    text.push_str("\nValue by value\n");
    for analysis in &plan.analyses {
        for line in &analysis.ledger {
            let to = format!("to {}", line.to);
            let _ok =
                writeln!(text, "  {:>7}  {to:<14} {:<24} {}", line.numbers, line.name, line.says);
        }
    }
    for analysis in &plan.analyses {
        if let Some(it) = &analysis.exposure {
            let _ok = writeln!(
                text,
                "  {:<10} {} numbers about the patients, of whom there must be {}: a membership test with 1 % false alarms finds at most {:.1} %",
                analysis.id, it.statistics, it.patients_min, it.found_at_1_percent
            );
        }
    }
    text.push_str("\nHow the question was understood\n");
    for analysis in &plan.analyses {
        for line in &analysis.understood {
            let _ok = writeln!(text, "  {line}");
        }
    }
    let sent = number::bytes(plan.sent_bytes, Medium::Terminal);
    let dealt = number::bytes(plan.dealt_bytes, Medium::Terminal);
    let _ok = writeln!(
        text,
        "\nLeaves the centres\n  shares       {sent} in {} rounds ({} bytes, exactly)\n  public       study, dictionary\n  in the clear {} B patient-derived\nFrom the dealer  {dealt} of correlated randomness\nGuarantee  {}",
        plan.rounds, plan.sent_bytes, plan.clear_patient_bytes, plan.guarantee
    );
    let _ok = writeln!(text, "Rules      {}", plan.rules.in_words());
    if let Some(noise) = &plan.noise {
        let _ok = writeln!(text, "Noise      {noise}");
    }
    screen.table(&text);
    if let Ok(value) = serde_json::to_value(plan) {
        screen.json_line(&value);
    }
}
