//! What one patient's data were used for. Local: it never leaves the centre.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::Args;
use konsil_node::{Clock, Desk};
use serde_json::json;
use std::io::Read;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct SubjectOptions {
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
    /// A file with the patient's identifier as in the imported file; `-` reads standard input. Not on
    /// the command line, which others can see.
    #[arg(long, value_name = "FILE")]
    id_file: PathBuf,
}

pub(crate) fn report(options: &SubjectOptions, screen: &Screen) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::file(&options.id_file, &error);
    let mut text = String::new();
    if options.id_file.as_os_str() == "-" {
        std::io::stdin().lock().read_to_string(&mut text).map_err(fail)?;
    } else {
        text = std::fs::read_to_string(&options.id_file).map_err(fail)?;
    }
    if text.trim().is_empty() {
        return Err(Failure::usage("the file has no identifier"));
    }
    let runs = Desk::open(&options.dir, Clock::system())?.uses_of(text.trim())?;
    if runs.is_empty() {
        screen.note("no run has used data of a patient with this identifier");
    }
    for run in &runs {
        screen.table(&format!(
            "{}  {:<20} {:<16} {:<20} {:<9} {:>6} numbers opened, about all patients together  {}",
            run.run.session,
            run.run.study,
            run.purpose,
            run.began,
            run.run.state,
            run.run.opened,
            run.budget
        ));
    }
    screen.json_line(&json!({"schema": "konsil.subject.v2", "runs": runs}));
    Ok(())
}
