//! Dictionaries and data sets of one centre.

use crate::arguments::{DataCommand, DictCommand};
use crate::failure::Failure;
use crate::screen::Screen;
use konsil_cohort::{Dictionary, ImportOptions, Snapshot, dataset_names, import, load, save};
use konsil_geno::geno_names;
use konsil_node::{
    Clock, State, freeze, freeze_genotypes, freeze_with, open_key, open_or_make_key,
};
use std::fs;
use std::path::Path;

/// Reads a dictionary file; its name is the file's.
pub(crate) fn read_dictionary(path: &Path) -> Result<Dictionary, Failure> {
    let text = fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let name = path.file_stem().map_or_else(|| "dictionary".into(), |it| it.to_string_lossy());
    Ok(Dictionary::parse(&name, &text)?)
}

pub(crate) fn dict(command: DictCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        DictCommand::Version(command) => crate::dict::version(command, screen),
        DictCommand::Init { name, from, out } => {
            let dictionary = Dictionary::infer(&name, &from)?;
            let out = out.unwrap_or_else(|| format!("{name}.csv").into());
            if out.exists() {
                let what = format!("{} exists; choose another name or remove it", out.display());
                return Err(Failure::usage(what));
            }
            fs::write(&out, dictionary.to_csv()).map_err(|error| Failure::file(&out, &error))?;
            let units = dictionary.variables.iter().filter(|it| it.unit.is_none()).count();
            screen.note(&format!(
                "✓ {}  {} variables ({units} without a unit)\nRead it over: ranges and levels were guessed from one file, and everyone will see them.",
                out.display(),
                dictionary.variables.len()
            ));
            Ok(())
        }
        DictCommand::Check { file } => {
            let dictionary = read_dictionary(&file)?;
            screen.note(&format!(
                "✓ {}  {} variables, {}",
                dictionary.title(),
                dictionary.variables.len(),
                dictionary.hash().get(..12).unwrap_or_default()
            ));
            Ok(())
        }
    }
}

pub(crate) fn data(command: DataCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        DataCommand::Import { file, name, dict, dir, map, allow_missing_columns } => {
            let dictionary = read_dictionary(&dict)?;
            let options = ImportOptions { map, allow_missing_columns, ..ImportOptions::new(&name) };
            let (dataset, report) = import(&file, &dictionary, &options)?;
            screen.note(report.to_text().trim_end());
            fs::create_dir_all(&dir).map_err(|error| Failure::file(&dir, &error))?;
            let key = open_or_make_key(&dir)?;
            let stored = save(&dir.join("data"), &name, &dataset, &key)?;
            screen.note(&format!(
                "✓ {name}  {} patients, {} variables, {} bytes, sha256 {}…",
                dataset.rows(),
                dataset.column_names().len(),
                stored.bytes,
                stored.sha256.get(..8).unwrap_or_default()
            ));
            frozen(&freeze_with((&dir, &name), &key, &Clock::system())?, screen);
            Ok(())
        }
        DataCommand::Check { file, dict, map } => {
            let dictionary = read_dictionary(&dict)?;
            let options = ImportOptions { map, ..ImportOptions::new("check") };
            let (_, report) = import(&file, &dictionary, &options)?;
            screen.result(report.to_text().trim_end());
            Ok(())
        }
        DataCommand::Freeze { name, dir } if is_genotypes(&dir, &name)? => {
            let key = open_key(&dir)?;
            let digest = freeze_genotypes((&dir, &name), &key, &Clock::system())?;
            let short = digest.get(..12).unwrap_or_default();
            let what =
                format!("✓ {name}  frozen as {short}…; studies use these genotypes and no other");
            screen.note(&what);
            let json = serde_json::json!({"schema": "konsil.frozen-genotypes.v1", "name": name,
                "digest": digest});
            screen.json_line(&json);
            Ok(())
        }
        DataCommand::Freeze { name, dir } => {
            frozen(&freeze(&dir, &name, &Clock::system())?, screen);
            Ok(())
        }
        DataCommand::List { dir } => list(&dir, screen),
    }
}

/// Whether a name is that of genotypes, and of no data set.
fn is_genotypes(dir: &Path, name: &str) -> Result<bool, Failure> {
    let data = dir.join("data");
    let among = |names: Vec<String>| names.iter().any(|it| it == name);
    Ok(among(geno_names(&data)?) && !among(dataset_names(&data)?))
}

fn frozen(snapshot: &Snapshot, screen: &Screen) {
    let (name, root) = (&snapshot.dataset, snapshot.root.get(..12).unwrap_or_default());
    screen.note(&format!("✓ {name}  frozen as {root}…; studies use this file and no other"));
    screen.json_line(&serde_json::json!({"schema": "konsil.snapshot.v1", "snapshot": snapshot}));
}

fn list(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let key = open_key(dir)?;
    let folder = dir.join("data");
    let names = dataset_names(&folder)?;
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        let dataset = load(&folder, &name, &key)?;
        let (patients, title) = (dataset.rows(), dataset.dictionary().title());
        screen.table(&format!("{name:<20} {patients:>9} patients   dictionary {title}"));
        rows.push(serde_json::json!({"name": name, "patients": patients, "dictionary": title}));
    }
    screen.json_line(&serde_json::json!({"schema": "konsil.datasets.v1", "datasets": rows}));
    Ok(())
}

/// The runs in a centre's database.
pub(crate) fn runs(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let path = dir.join("node.sqlite");
    if !path.exists() {
        let what = format!("{} has no runs yet; is it a centre's folder?", dir.display());
        return Err(Failure::usage(what));
    }
    let runs = State::read(&path)?.runs()?;
    for run in &runs {
        screen.table(&format!(
            "{}  {:<20} {:<9} {:>9} numbers opened  {}",
            run.session, run.study, run.state, run.opened, run.reason
        ));
    }
    screen.json_line(&serde_json::json!({"schema": "konsil.runs.v1", "runs": runs}));
    Ok(())
}
