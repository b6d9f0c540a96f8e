//! `konsil node key`: the key that a centre's patients are sealed with at rest.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::Subcommand;
use konsil_node::{
    Clock, ask_passphrase, key_uses, read_passphrase, rfc_3339, rotate_key, set_passphrase,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Show the keys of data.key by their ids, and what is sealed under each.
    List {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Make a new key, seal everything at rest anew under it, drop the old one. Stop the node first.
    /// When killed, run it again: it goes on where it was.
    Rotate {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Put a passphrase in front of data.key; asked for at the terminal, twice, unless it is in a file.
    /// From then on whoever opens the key is asked, or names a file in KONSIL_PASSPHRASE_FILE.
    Passphrase {
        /// The file with the new passphrase, for its owner only (mode 600).
        #[arg(long, value_name = "FILE", conflicts_with = "remove")]
        file: Option<PathBuf>,
        /// Take the passphrase away.
        #[arg(long)]
        remove: bool,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

pub(crate) fn key(command: KeyCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        KeyCommand::List { dir } => list(&dir, screen),
        KeyCommand::Rotate { dir } => rotate(&dir, screen),
        KeyCommand::Passphrase { file, remove, dir } => {
            passphrase(&dir, (file.as_deref(), remove), screen)
        }
    }
}

fn passphrase(
    dir: &Path,
    (file, remove): (Option<&Path>, bool),
    screen: &Screen,
) -> Result<(), Failure> {
    let new = match file {
        _ if remove => None,
        Some(file) => Some(read_passphrase(file)?),
        None => {
            let new = ask_passphrase("new passphrase")?;
            if ask_passphrase("once more")? != new {
                return Err(Failure::usage("the two are not the same; nothing was changed"));
            }
            Some(new)
        }
    };
    set_passphrase(dir, &Clock::system(), new.as_ref().map(|it| it.as_slice()))?;
    screen.note(if remove {
        "✓ data.key opens without a passphrase"
    } else {
        "✓ data.key is locked; without the passphrase nobody opens the data, you neither\n  copies and \
         backups from before are not:  konsil node key rotate"
    });
    screen.json_line(&json!({"schema": "konsil.key-passphrase.v1", "set": !remove}));
    Ok(())
}

fn list(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let uses = key_uses(dir)?;
    let mut rows: Vec<Value> = Vec::with_capacity(uses.len());
    for (at, it) in uses.iter().enumerate() {
        let (id, made) = (it.id.to_string(), rfc_3339(it.made));
        let does = if at == 0 { "seals" } else { "opens" };
        let datasets = it.datasets.join(" ");
        screen.table(&format!(
            "{id}  made {made}  {does}  {} rows of the database  {datasets}",
            it.rows
        ));
        rows.push(json!({"id": id, "made": made, "seals": at == 0, "rows": it.rows,
            "datasets": it.datasets}));
    }
    if uses.len() > 1 {
        screen.note("! a rotation was not ended; run  konsil node key rotate");
    }
    screen.json_line(&json!({"schema": "konsil.keys.v1", "keys": rows}));
    Ok(())
}

fn rotate(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let done = rotate_key(dir, &Clock::system())?;
    let from: Vec<String> = done.from.iter().map(ToString::to_string).collect();
    screen.note(&format!(
        "✓ key {} in place of {}: {} data sets and {} rows of the database sealed anew\n  backups \
         made before open with the old data.key only: destroy them, or keep that key with them",
        done.to,
        from.join(", "),
        done.datasets,
        done.rows
    ));
    screen.json_line(&json!({"schema": "konsil.key-rotation.v1", "to": done.to.to_string(),
        "from": from, "datasets": done.datasets, "rows": done.rows}));
    Ok(())
}
