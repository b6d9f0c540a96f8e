//! Consent at a centre: import, withdrawal, what is known.

use crate::documents::today;
use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Subcommand, ValueEnum};
use konsil_governance::consent::{ANY_PURPOSE, Said, Statement, read_fhir, read_ids, read_table};
use konsil_node::{Clock, Desk, Source};
use serde_json::json;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most flaws that are listed.
const FLAWS_MAX: usize = 20;

/// How a file about consent is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table `id,purpose,from,to`, with `signed` if known.
    Csv,
    /// FHIR R4 Consent resources: NDJSON or a Bundle.
    Fhir,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConsentCommand {
    /// Take in what people have said: a table `id,purpose,from,to[,signed]` (.csv) or FHIR R4 Consent
    /// resources (.ndjson, .json), in place of the last file of that kind. What was forbidden stays
    /// forbidden; with `renewed_consent = true` in policy.toml until the patient signs anew on a later
    /// day. It holds from the next run on.
    Import {
        /// The file.
        file: PathBuf,
        /// How it is written; otherwise its name says so.
        #[arg(long)]
        format: Option<Format>,
        /// Keep what the last file permitted: this one has other people.
        #[arg(long)]
        add: bool,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// How many people permit a purpose today. For the centre's own eyes.
    Show {
        /// The purpose, as studies name it.
        #[arg(long, default_value = ANY_PURPOSE)]
        purpose: String,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Withdraw: no later run uses the data of these people.
    Withdraw {
        /// A file with identifiers, one to a line; `-` reads standard input. Not on the command line,
        /// which others can see.
        #[arg(long, value_name = "FILE")]
        id_file: PathBuf,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    text.map_err(|error| Failure::file(path, &error))
}

pub(crate) fn consent(command: ConsentCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        ConsentCommand::Import { file, format, add, dir } => {
            let text = read(&file)?;
            let named = file.extension().is_some_and(|it| it == "ndjson" || it == "json");
            let fhir = format.map_or(named, |format| format == Format::Fhir);
            if fhir {
                take(&read_fhir(&text), (Source::Fhir, add), &dir, screen)
            } else {
                take(&read_table(&text), (Source::Table, add), &dir, screen)
            }
        }
        ConsentCommand::Show { purpose, dir } => show(&purpose, &dir, screen),
        ConsentCommand::Withdraw { id_file, dir } => {
            let wrong =
                |what| Failure::coded("K0652", format!("{}: the list {what}", id_file.display()));
            let ids = read_ids(&read(&id_file)?).map_err(wrong)?;
            let withdrawal = Statement::withdrawal(jiff::civil::Date::MIN).signed_on(Some(today()));
            let statements = ids.into_iter().map(|id| (id, withdrawal.clone())).collect();
            let said = Said { statements, ..Said::default() };
            take(&said, (Source::Withdrawal, true), &dir, screen)
        }
    }
}

fn take(
    said: &Said,
    (source, add): (Source, bool),
    dir: &Path,
    screen: &Screen,
) -> Result<(), Failure> {
    for flaw in said.flaws.iter().take(FLAWS_MAX) {
        screen.note(&format!("! {flaw}; its person is left out"));
    }
    let people = Desk::open(dir, Clock::system())?.take_consent(said, source, add)?;
    screen.note(&format!(
        "✓ {} statements about {people} people, {} not understood; they hold from the next run on",
        said.statements.len(),
        said.flaws.len()
    ));
    screen.json_line(&json!({
        "schema": "konsil.consent.v1",
        "statements": said.statements.len(),
        "people": people,
        "flaws": said.flaws.len(),
    }));
    Ok(())
}

fn show(purpose: &str, dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let counts = Desk::open(dir, Clock::system())?.consent_counts(purpose)?;
    screen.table(&format!(
        "{:>7} people known\n{:>7} permit {purpose} today\n{:>7} do not permit it\n{:>7} forbid it\n\
         {:>7} have said both; {} of them are permitted: they have signed anew\n{:>7} on the opt-out \
         list",
        counts.people,
        counts.permitted,
        counts.not_given,
        counts.denied,
        counts.contradictory,
        counts.renewed,
        counts.opted_out
    ));
    screen.json_line(&json!({
        "schema": "konsil.consent.counts.v1", "purpose": purpose, "counts": counts,
    }));
    Ok(())
}
