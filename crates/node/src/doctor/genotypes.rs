//! Whether a centre's genotypes can be used.

use super::{Finding, fine, look, wrong};
use crate::error::NodeError;
use crate::genotypes::check_frozen_import;
use crate::keys::open_key;
use crate::state::State;
use konsil_cohort::{Genotypes, Key, Sex, load};
use konsil_geno::{Panel, Store, geno_names};
use std::collections::HashSet;
use std::path::Path;

/// Looks at the genotypes, their panel and their people; nothing where a key cannot be opened, which is
/// said elsewhere.
pub(super) fn check(
    folder: &Path,
    (name, dataset, unfrozen): (&str, &str, bool),
    findings: &mut Vec<Finding>,
) {
    let Ok(key) = open_key(folder) else { return };
    let data = folder.join("data");
    match geno_names(&data) {
        Ok(names) if !name.is_empty() && names.iter().any(|it| it == name) => {}
        Ok(names) => {
            findings.push(absent(name, &names));
            return;
        }
        Err(error) => {
            findings.push(wrong(error.to_string(), "is the folder there, and readable?"));
            return;
        }
    }
    match Store::open(&data, name, &key) {
        Err(error) => findings.push(wrong(error.to_string(), "restore it, or import again")),
        Ok(store) => {
            findings.push(frozen(folder, (name, unfrozen), &store));
            findings.push(panel(&data, name, &store));
            findings.extend(people(&data, (name, dataset), &store, &key));
        }
    }
}

fn absent(name: &str, others: &[String]) -> Finding {
    let Some(first) = others.first().filter(|_| !name.is_empty()) else {
        return fine("no genotypes are used; analyses of variants need  konsil geno import");
    };
    let text =
        format!("no genotypes `{name}`, which studies would use; there are {}", others.join(", "));
    look(
        text,
        format!("konsil geno import --name {name},  or  genotypes = \"{first}\"  in konsil.toml"),
    )
}

fn frozen(folder: &Path, (name, unfrozen): (&str, bool), store: &Store) -> Finding {
    let path = folder.join("node.sqlite");
    let checked = match path.exists() {
        true => State::read(&path).and_then(|state| {
            check_frozen_import(&state, (&folder.join("data"), name), store, unfrozen)
        }),
        false if unfrozen => Ok(()),
        false => Err(NodeError::NotFrozen(name.to_owned())),
    };
    let (kept, all) = (store.kept(), store.variants());
    match checked {
        Ok(()) => fine(format!("genotypes `{name}` open: {kept} of {all} variants of the panel")),
        Err(error) => {
            wrong(error.to_string(), format!("import again,  or  konsil data freeze {name}"))
        }
    }
}

/// The public list of variants: studies name it by its hash, and all centres need the same.
fn panel(data: &Path, name: &str, store: &Store) -> Finding {
    let digits = |hash: &str| hash.get(..12).unwrap_or_default().to_owned();
    let own = digits(store.panel_hash());
    let fix = "put the panel.tsv beside that the genotypes were imported with, or import again";
    match Panel::read(&data.join(format!("{name}.panel.tsv"))) {
        Ok(panel) if panel.hash() == store.panel_hash() => fine(format!(
            "panel {own}… is beside the genotypes; it must be the same at all centres"
        )),
        Ok(panel) => {
            let found = digits(panel.hash());
            let text = format!("the genotypes are of panel {own}…, the one beside is {found}…");
            look(text, fix)
        }
        Err(error) => look(error.to_string(), fix),
    }
}

/// How many people are patients of the data set, and whether their sexes are known.
fn people(data: &Path, (name, dataset): (&str, &str), store: &Store, key: &Key) -> Vec<Finding> {
    // what is wrong with the data set is said elsewhere
    let Ok(Some(patients)) = load(data, dataset, key).map(|it| it.pseudonyms()) else {
        return Vec::new();
    };
    let patients: HashSet<_> = patients.into_iter().collect();
    let linked = store.people().iter().filter(|it| patients.contains(*it)).count();
    let (all, of) = (store.people().len(), patients.len());
    let text = format!("{linked} of the {all} people of `{name}` are among the {of} patients");
    let fix = "import again with a link file of this data set's patients (--id-map)";
    let mut findings = vec![match linked {
        0 => wrong(text, fix),
        _ => fine(text),
    }];
    if !store.sexes().iter().any(|it| *it != Sex::Unknown) {
        let fix =
            "where X is analysed, import again with files that have sexes, or with --sex VARIABLE";
        findings.push(look(format!("the sexes of the people of `{name}` are not known"), fix));
    }
    findings
}
