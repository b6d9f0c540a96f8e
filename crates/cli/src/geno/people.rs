//! Whose genotypes are imported: the patients of the centre's data set, and their sexes.

use crate::failure::Failure;
use konsil_cohort::{Dataset, Key, Kind, Pseudonym, Sex, dataset_names, load};
use konsil_node::{NodeConfig, read_toml};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The patients of a centre's data set. Patient data.
pub(crate) struct Patients {
    pub(crate) known: HashSet<Pseudonym>,
    /// The sexes that the data set says, if it was asked for them.
    pub(crate) sexes: HashMap<Pseudonym, Sex>,
}

/// The patients of the centre's data set, with their sexes by a variable. None where there is no data
/// set yet.
pub(crate) fn patients(
    dir: &Path,
    dataset: Option<&str>,
    sex: Option<&str>,
    key: &Key,
) -> Result<Option<Patients>, Failure> {
    let Some(name) = dataset_name(dir, dataset)? else {
        return match sex {
            None => Ok(None),
            Some(_) => Err(Failure::usage("--sex needs a data set, and there is none yet")),
        };
    };
    let data = load(&dir.join("data"), &name, key)?;
    let Some(pseudonyms) = data.pseudonyms() else { return Err(nameless(&name)) };
    let mut sexes = HashMap::new();
    if let Some(variable) = sex {
        sexes = pseudonyms.iter().copied().zip(sexes_of(&data, variable)?).collect();
    }
    Ok(Some(Patients { known: pseudonyms.into_iter().collect(), sexes }))
}

/// The sex of each patient, by a variable whose levels say `female` and `male`, or what else
/// [`Sex::parse`] reads.
fn sexes_of(data: &Dataset, name: &str) -> Result<Vec<Sex>, Failure> {
    let levels = data.levels(name)?;
    let Some(variable) = data.dictionary().variable(name) else { return Ok(Vec::new()) };
    let sexes: Vec<Sex> = match variable.kind {
        Kind::Category => {
            let of = |label: &str, code: &str| Sex::parse(label).or_else(|| Sex::parse(code));
            variable.levels.iter().map(|it| of(&it.label, &it.code).unwrap_or_default()).collect()
        }
        _ => {
            let codes = variable.factor_levels().unwrap_or_default();
            codes.iter().map(|it| Sex::parse(it).unwrap_or_default()).collect()
        }
    };
    if !sexes.contains(&Sex::Male) || !sexes.contains(&Sex::Female) {
        let what = format!(
            "--sex {name}: its levels do not say who is a man and who a woman; that is a category with \
             levels such as  F=female|M=male,  or an integer with 1 for men and 2 for women"
        );
        return Err(Failure::usage(what));
    }
    let sex = |level: Option<u32>| sexes.get(usize::try_from(level?).ok()?).copied();
    Ok(levels.into_iter().map(|level| sex(level).unwrap_or_default()).collect())
}

/// The centre's data set: the one that is named, that of konsil.toml, or the only one. None where there
/// is no data set yet.
pub(crate) fn dataset_name(dir: &Path, dataset: Option<&str>) -> Result<Option<String>, Failure> {
    let names = dataset_names(&dir.join("data"))?;
    let config = dir.join("konsil.toml");
    let configured = match config.exists() {
        true => Some(read_toml::<NodeConfig>(&config)?.dataset),
        false => None,
    };
    let configured = configured.filter(|it| names.contains(it));
    match (dataset, configured, names.as_slice()) {
        (Some(name), _, _) => Ok(Some(name.to_owned())),
        (None, Some(name), _) => Ok(Some(name)),
        (None, None, [only]) => Ok(Some(only.clone())),
        (None, None, []) => Ok(None),
        (None, None, several) => {
            let what = format!(
                "say whose genotypes these are with --dataset; there are {}",
                several.join(", ")
            );
            Err(Failure::usage(what))
        }
    }
}

/// A data set without identifiers.
pub(crate) fn nameless(name: &str) -> Failure {
    let what = format!(
        "data set `{name}` does not say who its patients are; import it again with a dictionary that \
         has an identifier"
    );
    Failure::coded("K0124", what)
}
