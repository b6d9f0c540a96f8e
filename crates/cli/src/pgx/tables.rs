//! Tables of diplotypes, phenotypes and recommendations.

use crate::failure::Failure;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

const DIPLOTYPES: &str = "diplotype-table.csv";
const RECOMMENDATIONS: &str = "recommendation-table.csv";
const ALLELES: &str = "allele-table.csv";
const EQUATIONS: &str = "equation-table.csv";
/// What the tables write where there is nothing.
const NOTHING: [&str; 3] = ["", "None", "N/A"];

/// A recommendation for a drug.
struct Recommendation {
    drug: String,
    /// One or two genes with their phenotypes.
    needs: Vec<(String, String)>,
    text: String,
}

/// A phenotype of a gene by its activity score: at least, below; or exactly.
struct Band {
    phenotype: String,
    low: f64,
    high: f64,
    exact: bool,
}

/// What the tables say.
pub(super) struct Tables {
    /// Gene, then diplotype, then phenotype.
    diplotypes: BTreeMap<String, HashMap<String, String>>,
    /// Gene, then allele, then activity.
    activities: BTreeMap<String, HashMap<String, f64>>,
    bands: BTreeMap<String, Vec<Band>>,
    recommendations: Vec<Recommendation>,
}

impl Tables {
    pub(super) fn read(folder: &Path) -> Result<Self, Failure> {
        let mut diplotypes: BTreeMap<String, HashMap<String, String>> = BTreeMap::new();
        let columns = ["Gene", "Diplotype", "Phenotype"];
        for (_, [gene, diplotype, phenotype]) in rows(&folder.join(DIPLOTYPES), columns)? {
            diplotypes.entry(gene).or_default().insert(diplotype, phenotype);
        }
        let path = folder.join(RECOMMENDATIONS);
        let columns = ["Drug", "Gene1", "Phenotype1", "Gene2", "Phenotype2", "Recommendation"];
        let mut recommendations = Vec::new();
        for (_, [drug, gene1, phenotype1, gene2, phenotype2, text]) in rows(&path, columns)? {
            let mut needs = vec![(gene1, phenotype1)];
            if !NOTHING.contains(&gene2.as_str()) {
                needs.push((gene2, phenotype2));
            }
            recommendations.push(Recommendation { drug, needs, text });
        }
        let (mut activities, mut bands) = (BTreeMap::new(), BTreeMap::new());
        let path = folder.join(EQUATIONS);
        if path.exists() {
            bands = read_bands(&path)?;
            activities = read_activities(&folder.join(ALLELES), &bands)?;
        }
        Ok(Self { diplotypes, activities, bands, recommendations })
    }

    /// Fails for a gene that no table has.
    pub(super) fn knows(&self, gene: &str) -> Result<(), Failure> {
        if self.diplotypes.contains_key(gene) || self.bands.contains_key(gene) {
            return Ok(());
        }
        let known: BTreeSet<&str> =
            self.diplotypes.keys().chain(self.bands.keys()).map(String::as_str).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Err(Failure::usage(format!("the tables have no gene `{gene}` (they have {known})")))
    }

    /// Fails for a drug that no table has.
    pub(super) fn knows_drug(&self, drug: &str) -> Result<(), Failure> {
        if self.recommendations.iter().any(|it| it.drug.eq_ignore_ascii_case(drug)) {
            return Ok(());
        }
        let known: BTreeSet<&str> =
            self.recommendations.iter().map(|it| it.drug.as_str()).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Err(Failure::usage(format!("the tables have no drug `{drug}` (they have {known})")))
    }

    /// The phenotype of a diplotype, in either order of its alleles. A gene with activity scores has
    /// `Indeterminate` where an allele has none.
    pub(super) fn phenotype(&self, gene: &str, diplotype: &str) -> Option<String> {
        let diplotype = diplotype.trim();
        let swapped = || {
            let (a, b) = diplotype.split_once('/')?;
            Some(format!("{}/{}", b.trim(), a.trim()))
        };
        if let Some(of) = self.diplotypes.get(gene) {
            let found = of.get(diplotype).or_else(|| of.get(&swapped()?));
            return found.cloned();
        }
        let (a, b) = diplotype.split_once('/')?;
        let of = self.activities.get(gene)?;
        let sum = of.get(a.trim())? + of.get(b.trim())?;
        if sum.is_nan() {
            return Some("Indeterminate".to_owned());
        }
        let holds = |it: &&Band| {
            if it.exact { sum == it.low } else { sum >= it.low && sum < it.high }
        };
        let found = self.bands.get(gene)?.iter().find(holds);
        Some(found.map_or_else(|| "Indeterminate".to_owned(), |it| it.phenotype.clone()))
    }

    /// Drug and text of all recommendations whose genes all have these phenotypes; of the drugs that
    /// are asked for, or of all.
    pub(super) fn recommendations(
        &self,
        phenotypes: &[(&str, String)],
        drugs: &[String],
    ) -> Vec<(&str, &str)> {
        let has = |gene: &str, phenotype: &str| {
            phenotypes.iter().any(|(known, it)| *known == gene && it == phenotype)
        };
        let wanted =
            |drug: &str| drugs.is_empty() || drugs.iter().any(|it| it.eq_ignore_ascii_case(drug));
        self.recommendations
            .iter()
            .filter(|it| wanted(&it.drug) && !NOTHING.contains(&it.text.as_str()))
            .filter(|it| it.needs.iter().all(|(gene, phenotype)| has(gene, phenotype)))
            .map(|it| (it.drug.as_str(), it.text.as_str()))
            .collect()
    }
}

/// Rows of a table with their lines: these columns, wherever they are.
fn rows<const N: usize>(
    path: &Path,
    columns: [&str; N],
) -> Result<Vec<(u64, [String; N])>, Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| Failure::file(path, &error))?;
    let mut reader = csv::Reader::from_reader(file);
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(columns) {
        *place = header
            .iter()
            .position(|it| it.trim_start_matches('\u{feff}').trim() == name)
            .ok_or_else(|| wrong(format!("line 1: there is no column {name}")))?;
    }
    let mut all = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = places.map(|at| record.get(at).unwrap_or_default().trim().to_owned());
        if cells.first().is_some_and(String::is_empty) {
            let name = columns.first().copied().unwrap_or_default();
            return Err(wrong(format!("line {line}: {name} is empty")));
        }
        all.push((line, cells));
    }
    if all.is_empty() {
        return Err(wrong("there is nothing below the header".to_owned()));
    }
    Ok(all)
}

/// Activity scores of the genes that are judged by them; NaN of an allele whose activity is unknown.
fn read_activities(
    path: &Path,
    bands: &BTreeMap<String, Vec<Band>>,
) -> Result<BTreeMap<String, HashMap<String, f64>>, Failure> {
    let mut activities: BTreeMap<String, HashMap<String, f64>> = BTreeMap::new();
    let table = rows(path, ["Gene", "StarAllele", "ActivityScore"])?;
    for (line, [gene, allele, activity]) in table {
        if !bands.contains_key(&gene) {
            continue;
        }
        let unknown = NOTHING.contains(&activity.as_str()) || activity == "Unknown";
        let value = if unknown { f64::NAN } else { activity.parse().unwrap_or(f64::INFINITY) };
        if value.is_infinite() {
            let what = format!("line {line}: ActivityScore is no number");
            return Err(Failure::usage(format!("{}: {what}", path.display())));
        }
        activities.entry(gene).or_default().insert(allele, value);
    }
    Ok(activities)
}

fn read_bands(path: &Path) -> Result<BTreeMap<String, Vec<Band>>, Failure> {
    let mut bands: BTreeMap<String, Vec<Band>> = BTreeMap::new();
    for (line, [gene, phenotype, equation]) in rows(path, ["Gene", "Phenotype", "Equation"])? {
        let band = band(&phenotype, &equation).ok_or_else(|| {
            Failure::usage(format!(
                "{}: line {line}: Equation is none of `1 <= score < 2`, `2 <= score`, `2 == score`",
                path.display()
            ))
        })?;
        bands.entry(gene).or_default().push(band);
    }
    Ok(bands)
}

/// `0 <= score < 1`, `2.5 <= score`, `score < 1` or `2 == score`.
fn band(phenotype: &str, equation: &str) -> Option<Band> {
    let words: Vec<&str> = equation.split_whitespace().collect();
    let (low, high, exact) = match words.as_slice() {
        [low, "<=", "score", "<", high] => (low.parse().ok()?, high.parse().ok()?, false),
        [low, "<=", "score"] => (low.parse().ok()?, f64::INFINITY, false),
        ["score", "<", high] => (f64::NEG_INFINITY, high.parse().ok()?, false),
        [value, "==", "score"] | ["score", "==", value] => {
            let value = value.parse().ok()?;
            (value, value, true)
        }
        _ => return None,
    };
    Some(Band { phenotype: phenotype.to_owned(), low, high, exact })
}
