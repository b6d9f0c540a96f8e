//! Consent at a centre: import, withdrawal.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::Subcommand;
use konsil_governance::consent::{Said, Statement, read_fhir, read_table};
use konsil_node::{Clock, Desk};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum ConsentCommand {
    /// Add what people have said: a table `id,purpose,from,to` (.csv) or FHIR R4 Consent resources
    /// (.ndjson). It holds from the next run on.
    Import {
        /// The file.
        file: PathBuf,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Withdraw: no later run uses the data of these people.
    Withdraw {
        /// A file with identifiers, one to a line. Not on the command line, which others can see.
        #[arg(long, value_name = "FILE")]
        id_file: PathBuf,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::file(path, &error))
}

pub(crate) fn consent(command: ConsentCommand, screen: &Screen) -> Result<(), Failure> {
    let (said, dir) = match command {
        ConsentCommand::Import { file, dir } => {
            let text = read(&file)?;
            let fhir = file.extension().is_some_and(|it| it == "ndjson" || it == "json");
            (if fhir { read_fhir(&text) } else { read_table(&text) }, dir)
        }
        ConsentCommand::Withdraw { id_file, dir } => {
            let text = read(&id_file)?;
            let ids = text.lines().map(str::trim).filter(|it| !it.is_empty());
            let withdrawal = Statement::withdrawal(jiff::civil::Date::MIN);
            let statements = ids.map(|id| (id.to_owned(), withdrawal.clone())).collect();
            (Said { statements, flaws: Vec::new() }, dir)
        }
    };
    let people = Desk::open(&dir, Clock::system())?.add_consent(&said)?;
    for flaw in said.flaws.iter().take(20) {
        screen.note(&format!("! {flaw}; its person is left out"));
    }
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
