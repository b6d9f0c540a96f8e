//! `konsil dossier`: what a data-protection officer asks for, from the configuration in force.

mod parts;
mod software;

use crate::documents::today;
use crate::failure::Failure;
use crate::request::desk;
use crate::screen::Screen;
use clap::Args;
use konsil_cohort::{Dictionary, load};
use konsil_governance::CentrePolicy;
use konsil_governance::network::Rules;
use konsil_node::{NodeConfig, open_key, read_toml};
use konsil_plot::document::Document;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(crate) struct DossierOptions {
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
    /// Where dossier.md, dossier.html and sbom.json (CycloneDX) are written; the centre's folder
    /// without it.
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What the dossier is made of.
pub(super) struct Facts<'a> {
    /// The centre's folder.
    pub(super) dir: &'a Path,
    /// Its configuration.
    pub(super) config: NodeConfig,
    /// Its policy.
    pub(super) policy: CentrePolicy,
    /// What its network demands of it; nothing in labs.
    pub(super) demanded: Option<Rules>,
    /// The dictionary of its data set, if there is one.
    pub(super) dictionary: Option<Dictionary>,
}

pub(crate) fn dossier(options: &DossierOptions, screen: &Screen) -> Result<(), Failure> {
    let dir = options.dir.as_path();
    let config: NodeConfig = read_toml(&dir.join("konsil.toml"))?;
    let desk = desk(dir)?;
    let (policy, demanded) = (desk.own_policy()?, desk.demanded()?);
    let stored = dir.join("data").join(format!("{}.konsil", config.dataset));
    let dictionary = if stored.exists() {
        let key = open_key(dir)?;
        Some(load(&dir.join("data"), &config.dataset, &key)?.dictionary().clone())
    } else {
        None
    };
    let facts = Facts { dir, config, policy, demanded, dictionary };
    let document = document(&facts);
    let out = options.out.as_deref().unwrap_or(dir);
    fs::create_dir_all(out).map_err(|error| Failure::file(out, &error))?;
    let files = [
        ("dossier.md", document.to_markdown()),
        ("dossier.html", document.to_html()),
        ("sbom.json", format!("{:#}\n", software::cyclonedx())),
    ];
    for (name, text) in files {
        let path = out.join(name);
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
        screen.note(&format!("✓ {}", path.display()));
    }
    screen.json_line(&json!({"schema": "konsil.dossier.v1", "centre": facts.config.name,
        "files": ["dossier.md", "dossier.html", "sbom.json"], "guarantee": parts::guarantee_text(&facts)}));
    Ok(())
}

fn document(facts: &Facts<'_>) -> Document {
    let title = format!("Data-protection dossier of {}", facts.config.name);
    let lead = format!(
        "Network {}, konsil {}, {}. Generated from the configuration in force; generate it again \
         after every change. It is no legal advice.",
        facts.config.network,
        env!("CARGO_PKG_VERSION"),
        today()
    );
    let all = [
        parts::guarantee(facts),
        parts::not_promised(),
        parts::parties(facts),
        parts::leaves(),
        parts::rules(facts),
        parts::keys(facts),
        parts::ports(facts),
        parts::retention(facts),
        parts::record(facts),
        parts::threats(facts),
        software::software(),
    ];
    all.into_iter().fold(Document::new("en", title, lead), Document::part)
}
