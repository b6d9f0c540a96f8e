//! `konsil result`: a result's folder is checked, run again and compared, or printed.

use crate::arguments::NetworkOptions;
use crate::bundle;
use crate::failure::Failure;
use crate::panels;
use crate::results::Place;
use crate::screen::Screen;
use crate::study;
use crate::submit::Patience;
use clap::{Args, Subcommand};
use konsil_governance::Study;
use konsil_node::NodeError;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Browsers that can print, by the names that systems give them.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "microsoft-edge"];
/// How long a browser may print.
const PRINTING: Duration = Duration::from_secs(120);
/// Relative difference of two runs' numbers: shares are rounded, each run by its own chance.
const CLOSE: f64 = 1e-6;
/// The same of p values, whose relative error is that of the statistic times the statistic.
const CLOSE_P: f64 = 1e-4;
/// Below this two numbers are both nothing.
const NOTHING: f64 = 1e-9;

#[derive(Debug, Subcommand)]
pub(crate) enum ResultCommand {
    /// Whether the files of a result are those that were written.
    Verify {
        /// The result's folder.
        folder: PathBuf,
    },
    /// Ask the same question again, and compare the numbers.
    Rerun(RerunOptions),
    /// Print the report as report.pdf, by a browser that is installed.
    Pdf {
        /// The result's folder.
        folder: PathBuf,
        /// The browser's program: Chromium or one of its kin.
        #[arg(long, value_name = "PROGRAM")]
        browser: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RerunOptions {
    /// The result's folder.
    folder: PathBuf,
    #[command(flatten)]
    network: NetworkOptions,
    #[command(flatten)]
    patience: Patience,
    /// The panel's file, where the study is about gene variants.
    #[arg(long, value_name = "FILE")]
    panel: Option<PathBuf>,
    /// Folder for the new results.
    #[arg(short, long, default_value = "results-again")]
    out: PathBuf,
}

pub(crate) fn result(command: ResultCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        ResultCommand::Verify { folder } => verify(&folder, screen),
        ResultCommand::Rerun(options) => rerun(&options, screen),
        ResultCommand::Pdf { folder, browser } => pdf(&folder, browser.as_deref(), screen),
    }
}

fn verify(folder: &Path, screen: &Screen) -> Result<(), Failure> {
    let files = bundle::verify(folder)?;
    screen.table(&format!("✓ {} files are those that were written", files.len()));
    screen.json_line(&json!({"schema": "konsil.result-verify.v1", "files": files}));
    Ok(())
}

/// How two runs' numbers compare.
#[derive(Debug, Default, PartialEq)]
struct Compared {
    numbers: usize,
    largest: f64,
    /// File, line and column of what is not the same.
    apart: Vec<String>,
}

fn rerun(options: &RerunOptions, screen: &Screen) -> Result<(), Failure> {
    let files = bundle::verify(&options.folder)?;
    let path = options.folder.join(bundle::STUDY);
    let text = fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
    let study =
        Study::parse_canonical(&text).map_err(|error| Failure::from(NodeError::from(error)))?;
    if let Some(panel) = &options.panel {
        panels::read(panel)?;
    }
    for request in &study.analysis {
        let missing = request.panel.as_deref().filter(|hash| panels::of_hash(hash).is_none());
        if let Some(hash) = missing {
            let what = format!(
                "analysis `{}` is about the variants of a panel; give its file, that with the \
                 fingerprint {hash}, by --panel",
                request.id
            );
            return Err(Failure::usage(what));
        }
    }
    if same_place(&options.folder, &options.out) {
        return Err(Failure::usage("choose another folder with --out: the old result is kept"));
    }
    let hash: String = study.hash().iter().map(|byte| format!("{byte:02x}")).collect();
    let place = (Place::new(&options.out), &options.patience);
    study::run_again((study, &hash), &options.network, place, screen)?;
    say(&compare_all(&files, (&options.folder, &options.out))?, screen)
}

fn same_place(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).ok().zip(fs::canonicalize(other).ok()).is_some_and(|(a, b)| a == b)
}

fn say(compared: &Compared, screen: &Screen) -> Result<(), Failure> {
    let Compared { numbers, largest, apart } = compared;
    let value = json!({
        "schema": "konsil.result-rerun.v1", "numbers": numbers,
        "largest_relative_difference": largest, "apart": apart,
    });
    if apart.is_empty() {
        screen.table(&format!(
            "✓ the same numbers: {numbers} compared, largest relative difference {largest:.1e}"
        ));
        screen.json_line(&value);
        return Ok(());
    }
    let shown = apart.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
    let more =
        if apart.len() > 5 { format!(" and {} more", apart.len() - 5) } else { String::new() };
    screen.json_line(&value);
    Err(Failure::coded(
        "K0804",
        format!("of {numbers} numbers these are not the same as before: {shown}{more}"),
    ))
}

/// Compares every table of two folders.
fn compare_all(files: &[String], (old, new): (&Path, &Path)) -> Result<Compared, Failure> {
    let mut compared = Compared::default();
    for name in files {
        let by_variant = [".glm.linear", ".glm.logistic", ".cox", ".regenie", ".tsv"];
        let separator = if name.ends_with(".csv") {
            b','
        } else if by_variant.iter().any(|end| name.ends_with(end)) {
            b'\t'
        } else {
            continue;
        };
        let read = |folder: &Path| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))
        };
        if !new.join(name).exists() {
            compared.apart.push(format!("{name} was not released this time"));
            continue;
        }
        compare((name, separator), (&read(old)?, &read(new)?), &mut compared)?;
    }
    Ok(compared)
}

/// Compares two tables cell by cell.
fn compare(
    (name, separator): (&str, u8),
    (old, new): (&str, &str),
    compared: &mut Compared,
) -> Result<(), Failure> {
    let records = |text: &str| {
        let mut builder = csv::ReaderBuilder::new();
        let mut reader = builder
            .delimiter(separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(text.as_bytes());
        let records: Result<Vec<_>, _> = reader.records().collect();
        records.map_err(|error| Failure::coded("K0803", format!("{name}: {error}")))
    };
    let (old, new) = (records(old)?, records(new)?);
    if old.len() != new.len() {
        compared.apart.push(format!("{name} has {} lines, before {}", new.len(), old.len()));
        return Ok(());
    }
    let heads = old.first().cloned().unwrap_or_default();
    for (line, (old, new)) in (1..).zip(old.iter().zip(&new)) {
        if old.len() != new.len() {
            compared.apart.push(format!("{name} line {line}"));
            continue;
        }
        for (column, (a, b)) in old.iter().zip(new).enumerate() {
            let head = heads.get(column).unwrap_or_default();
            let far = differ((a, b), head, compared);
            if far {
                compared.apart.push(format!("{name} line {line} {head}"));
            }
        }
    }
    Ok(())
}

/// Whether two cells are not the same; numbers are, as far as two runs' rounding goes.
fn differ((a, b): (&str, &str), head: &str, compared: &mut Compared) -> bool {
    let (Ok(one), Ok(other)) = (a.parse::<f64>(), b.parse::<f64>()) else { return a != b };
    compared.numbers += 1;
    if a == b {
        return false;
    }
    let size = one.abs().max(other.abs());
    if size < NOTHING {
        return false;
    }
    let relative = (one - other).abs() / size;
    compared.largest = compared.largest.max(relative);
    let p = head.starts_with("p.") || head == "P";
    // a last printed digit of six
    let printed = if a.len() <= 12 { 1.1e-5 } else { 0.0 };
    let limit = if p { CLOSE_P } else { CLOSE.max(printed) };
    relative > limit
}

fn pdf(folder: &Path, browser: Option<&Path>, screen: &Screen) -> Result<(), Failure> {
    let report = folder.join("report.html");
    let report = fs::canonicalize(&report).map_err(|error| Failure::file(&report, &error))?;
    let printed = report.with_extension("pdf");
    let profile = tempfile::tempdir().map_err(|error| Failure::file(folder, &error))?;
    let names: Vec<PathBuf> = match browser {
        Some(browser) => vec![browser.to_owned()],
        None => BROWSERS.iter().map(PathBuf::from).collect(),
    };
    let part = profile.path().join("report.pdf");
    for name in &names {
        let mut command = Command::new(name);
        command
            .args(["--headless", "--disable-gpu", "--no-pdf-header-footer", "--no-first-run"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--print-to-pdf={}", part.display()));
        if is_root() {
            // a browser refuses to run as root with its sandbox; the page is our own, without scripts
            command.arg("--no-sandbox");
        }
        command.arg(format!("file://{}", report.display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else { continue };
        if !ends_in_time(&mut child) || !part.exists() {
            let what =
                format!("{} did not print the report; try another by --browser", name.display());
            return Err(Failure::process(what));
        }
        let bytes = fs::read(&part).map_err(|error| Failure::file(&part, &error))?;
        konsil_node::write_private(&printed, &bytes)?;
        screen.table(&format!("✓ {}", printed.display()));
        screen.json_line(&Value::String(printed.display().to_string()));
        return Ok(());
    }
    Err(Failure::usage(
        "no browser that prints was found; install Chromium, name one by --browser, or print report.html \
         from any browser",
    ))
}

/// Whether this process may do everything on this computer.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0)
}

/// Waits for a process; ends it when it takes too long.
fn ends_in_time(child: &mut std::process::Child) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < PRINTING {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => thread::sleep(Duration::from_millis(50)),
            Err(_) => return false,
        }
    }
    let _ended = child.kill();
    let _reaped = child.wait();
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(old: &str, new: &str) -> Compared {
        let mut compared = Compared::default();
        compare(("a.tidy.csv", b','), (old, new), &mut compared).unwrap();
        compared
    }

    #[test]
    fn numbers_are_the_same_up_to_the_rounding_of_shares() {
        let old = "term,estimate,p.value\nage,0.123456789012345,0.000012345678901\nsex,0,NA\n";
        let new = "term,estimate,p.value\nage,0.123456789012999,0.000012345999901\nsex,1e-12,NA\n";
        let it = compared(old, new);
        assert_eq!((it.numbers, it.apart.len()), (3, 0));
        assert!(it.largest > 1e-5 && it.largest < 1e-4);
        let it = compared(old, &new.replace("0.123456789012999", "0.123457789012999"));
        assert_eq!(it.apart, ["a.tidy.csv line 2 estimate"]);
        let it = compared(old, &new.replace("sex", "men"));
        assert_eq!(it.apart, ["a.tidy.csv line 3 term"]);
        assert_eq!(compared(old, "term\n").apart.len(), 1);
    }
}
