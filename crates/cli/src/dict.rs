//! `konsil dict diff`, `propose`, `accept`, `status`: versions of the shared dictionary.

use crate::data::read_dictionary;
use crate::documents::{confirm, key, read, sign, write};
use crate::failure::Failure;
use crate::screen::Screen;
use clap::Subcommand;
use konsil_cohort::{Dictionary, Difference};
use konsil_governance::{PROPOSAL, Proposal, ProposalError, Signed, check_proposal};
use konsil_node::{NodeConfig, Researcher, accepted_csv, accepted_path, read_toml, write_private};
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum VersionCommand {
    /// Show what two dictionaries differ in: + added, ~ changed, - removed.
    Diff {
        /// The one before.
        old: PathBuf,
        /// The one after.
        new: PathBuf,
    },
    /// Propose a dictionary to all centres: writes NAME@VERSION-proposal.json.
    Propose {
        /// The dictionary; NAME@VERSION.csv says its version.
        dictionary: PathBuf,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Accept a proposal for this centre, after showing what it changes. From then on studies run on
    /// data sets only that were imported under an accepted version.
    Accept {
        /// The proposal.
        proposal: PathBuf,
        /// The changes have been read already.
        #[arg(long)]
        yes: bool,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Show which version the data set of each centre was imported under.
    Status {
        /// The network file.
        #[arg(long, default_value = "network.toml", value_name = "FILE")]
        network: PathBuf,
    },
}

pub(crate) fn version(command: VersionCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        VersionCommand::Diff { old, new } => {
            let (old, new) = (read_dictionary(&old)?, read_dictionary(&new)?);
            let found = old.differences(&new);
            screen.table(&lines(&found));
            screen.json_line(&json!({"schema": "konsil.dict-diff.v1", "old": old.title(),
                "new": new.title(), "differences": found}));
            Ok(())
        }
        VersionCommand::Propose { dictionary, dir } => propose(&dictionary, &dir, screen),
        VersionCommand::Accept { proposal, yes, dir } => accept(&proposal, yes, &dir, screen),
        VersionCommand::Status { network } => status(&network, screen),
    }
}

/// The differences, a line each.
fn lines(found: &[Difference]) -> String {
    let line = |it: &Difference| match it.mark {
        '~' => format!("~ {:<16} {} {} → {}\n", it.variable, it.field, it.old, it.new),
        mark => format!("{mark} {:<16} {}{}\n", it.variable, it.old, it.new),
    };
    let text: String = found.iter().map(line).collect();
    if text.is_empty() { "no differences\n".to_owned() } else { text }
}

fn accepted(dir: &Path, name: &str) -> Result<Option<Signed<Proposal>>, Failure> {
    let path = accepted_path(dir, name);
    path.exists().then(|| read(&path)).transpose()
}

fn failed(error: ProposalError) -> Failure {
    match error {
        ProposalError::Dictionary(error) => error.into(),
        other => Failure::coded(other.code(), other.to_string()),
    }
}

fn propose(path: &Path, dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let dictionary = read_dictionary(path)?;
    let config: NodeConfig = read_toml(&dir.join("konsil.toml"))?;
    let before = accepted(dir, &dictionary.name)?;
    let (version, previous) = match &before {
        Some(it) => {
            let next = it.body.version.saturating_add(1);
            (next, it.body.parsed().map_err(failed)?.hash())
        }
        None => (dictionary.version, String::new()),
    };
    let name = dictionary.name.clone();
    let body = Proposal {
        network: config.network,
        name: name.clone(),
        version,
        dictionary: dictionary.to_csv(),
        previous,
    };
    let out = dir.join(format!("{name}@{version}-proposal.json"));
    write(&out, &sign(PROPOSAL, body, &key(&dir.join("identity.key"))?)?)?;
    screen.note(&format!(
        "✓ {}  {name}@{version} proposed; it counts at each centre that runs\n  konsil dict accept {name}@{version}-proposal.json",
        out.display()
    ));
    Ok(())
}

fn accept(path: &Path, yes: bool, dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let proposal: Signed<Proposal> = read(path)?;
    let config: NodeConfig = read_toml(&dir.join("konsil.toml"))?;
    let name = proposal.body.name.clone();
    if !konsil_governance::network::is_name(&name) {
        return Err(Failure::coded("K0667", "the proposal's name is no name of a dictionary"));
    }
    let before = accepted(dir, &name)?;
    let keys: Vec<String> = config.centre.iter().map(|it| it.key.clone()).collect();
    let known = before.as_ref().map(|it| &it.body);
    let network = (config.network.as_str(), keys.as_slice());
    let dictionary = check_proposal(&proposal, network, known).map_err(failed)?;
    let old = known.map(Proposal::parsed).transpose().map_err(failed)?;
    let old = old.unwrap_or(Dictionary { variables: Vec::new(), ..dictionary.clone() });
    let by = config.centre.iter().find(|it| it.key == proposal.signer);
    let by = by.map_or("", |it| it.name.as_str());
    screen.note(&format!("{} proposed by {by}", dictionary.title()));
    screen.note(lines(&old.differences(&dictionary)).trim_end());
    if !yes {
        confirm("accept it for this centre?", screen)?;
    }
    let folder = dir.join("dictionary");
    fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
    let csv = accepted_csv(dir, &name, dictionary.version);
    write_private(&csv, dictionary.to_csv().as_bytes())?;
    write(&accepted_path(dir, &name), &proposal)?;
    screen.note(&format!(
        "✓ {} accepted\nNext: konsil data import FILE --as {} --dict {}",
        dictionary.title(),
        config.dataset,
        csv.display()
    ));
    Ok(())
}

fn status(network: &Path, screen: &Screen) -> Result<(), Failure> {
    let descriptions = Researcher::describe(network)?;
    let mut centres = Vec::with_capacity(descriptions.len());
    for it in &descriptions {
        let hash = it.dictionary_hash.get(..12).unwrap_or_default();
        screen.table(&format!("{:<16} {:<24} {hash}", it.centre, it.dictionary_name));
        centres.push(json!({"centre": it.centre, "dictionary": it.dictionary_name,
            "hash": it.dictionary_hash}));
    }
    let same = descriptions.windows(2).all(|it| match it {
        [a, b] => a.dictionary_hash == b.dictionary_hash,
        _ => true,
    });
    if !same {
        screen.note("! the centres have different dictionaries: no study can run until they agree");
    }
    screen.json_line(&json!({"schema": "konsil.dict-status.v1", "same": same, "centres": centres}));
    Ok(())
}
