//! `konsil ui`: the researcher's pages on this computer.

use crate::arguments::NetworkOptions;
use crate::failure::Failure;
use crate::panels;
use crate::prs::brought;
use crate::report;
use crate::results;
use crate::screen::Screen;
use clap::Args;
use konsil_governance::Study;
use konsil_node::{NodeError, Outcome, StudyRun, write_private};
use konsil_web::{Hooks, Links, Place, ResearcherOptions, Serving, WebError, Workbench};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

#[derive(Debug, Args)]
pub(crate) struct UiOptions {
    #[command(flatten)]
    network: NetworkOptions,
    /// Folder for studies and results.
    #[arg(long, default_value = "konsil-studies", value_name = "DIR")]
    folder: PathBuf,
    /// Where the pages are: an address of this computer alone.
    #[arg(long, default_value = "127.0.0.1:7070", value_name = "ADDRESS:PORT")]
    listen: String,
    /// Do not open a browser.
    #[arg(long)]
    no_browser: bool,
}

/// What the pages need of the command.
pub(crate) struct CommandHooks;

impl From<WebError> for Failure {
    fn from(error: WebError) -> Self {
        Self::coded(error.code(), error.to_string())
    }
}

fn words(failure: Failure) -> (String, String) {
    (failure.code, failure.text)
}

impl Hooks for CommandHooks {
    fn read(&self, text: &str, folder: &Path) -> Result<Study, (String, String)> {
        let study = Study::parse(text).map_err(|error| words(NodeError::from(error).into()));
        let mut study = study?;
        for request in &mut study.analysis {
            panels::resolve(request, folder).map_err(words)?;
        }
        brought::resolve(&mut study, folder).map_err(words)?;
        Ok(study)
    }

    fn write(
        &self,
        run: &StudyRun,
        outcome: &Outcome,
        place: Place<'_>,
    ) -> Result<String, (String, String)> {
        let summary = results::summary(run, outcome, place.elapsed);
        let path = place.folder.join("result.json");
        write_private(&path, format!("{summary:#}\n").as_bytes())
            .map_err(|error| words(error.into()))?;
        let out = results::Place::new(place.folder);
        results::write(run, outcome, (out, place.elapsed)).map_err(words)?;
        Ok(report::of(run, outcome, place.elapsed).to_body())
    }
}

pub(crate) fn ui(options: &UiOptions, screen: &Screen) -> Result<(), Failure> {
    let network = &options.network.network;
    if !network.exists() {
        let what = format!(
            "there is no network file {}; name it with --network LAB/network.toml, or make a lab with  \
             konsil lab new",
            network.display()
        );
        return Err(Failure::usage(what));
    }
    results::make_place(&options.folder)?;
    let topology = options.network.topology.into();
    let bench = Workbench::new((network, &options.folder), topology, Box::new(CommandHooks));
    let served = ResearcherOptions { listen: options.listen.clone(), links: Links::default() };
    let serving = konsil_web::serve_researcher(Arc::new(bench), &served)?;
    say(&serving, screen);
    if !options.no_browser {
        open(&serving.url);
    }
    serving.wait();
    Ok(())
}

/// Says where the pages are.
pub(crate) fn say(serving: &Serving, screen: &Screen) {
    screen.note(&format!("✓ Open {}\n  Ctrl-C ends it.", serving.url));
    screen.json_line(&json!({"schema": "konsil.ui.v1", "url": serving.url}));
}

/// Opens a browser, where the system has one; the address was said in any case.
pub(crate) fn open(url: &str) {
    let mut command = Command::new("xdg-open");
    let quiet = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _opened = quiet.spawn();
}
