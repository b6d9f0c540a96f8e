//! `konsil prs apply`: a score of a centre's own patients, kept as a variable of their data set.

use crate::failure::Failure;
use crate::geno::{dataset_name, nameless, panel_of};
use crate::prs::brought::check_build;
use crate::prs::read_text;
use crate::screen::Screen;
use clap::Args;
use konsil_cohort::{Genotypes, load, save};
use konsil_geno::{Matched, ScoreFile, Scores, Store, Weight, match_score};
use konsil_node::{Clock, check_frozen, freeze_with, open_key};
use serde_json::json;
use std::collections::HashMap;
use std::path::PathBuf;

/// Share of a score's variants below which it is another score.
const FEW: f64 = 0.9;

/// Options of `konsil prs apply`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApplyOptions {
    /// The score: a scoring file of the PGS Catalog, also with `.gz`.
    score: PathBuf,
    /// The variable that gets the scores: a number of the dictionary.
    #[arg(long, value_name = "NAME")]
    variable: String,
    /// Name of the genotypes.
    #[arg(long, default_value = "geno")]
    name: String,
    /// The data set; otherwise that of konsil.toml, or the only one.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// The average over all alleles, as `plink2 --score` shows it, instead of the sum.
    #[arg(long)]
    average: bool,
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
}

pub(super) fn apply(options: &ApplyOptions, screen: &Screen) -> Result<(), Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", options.score.display()));
    let score =
        ScoreFile::parse(&read_text(&options.score)?).map_err(|it| wrong(it.to_string()))?;
    let key = open_key(&options.dir)?;
    let data = options.dir.join("data");
    let Some(dataset) = dataset_name(&options.dir, options.dataset.as_deref())? else {
        return Err(Failure::usage("the centre has no data set yet: konsil data import"));
    };
    // what is written back becomes the frozen data set: it must have been before
    check_frozen(&options.dir, &dataset, true)?;
    let patients = load(&data, &dataset, &key)?;
    let whose = patients.pseudonyms().ok_or_else(|| nameless(&dataset))?;
    // before the genotypes are read, which may take minutes
    patients.with_numbers(&options.variable, &vec![None; whose.len()])?;
    let store = Store::open(&data, &options.name, &key)?;
    let panel = panel_of(&data, &options.name, &store)?;
    check_build(&options.score, &score, &panel)?;
    let (weights, matched) = match_score(&score.entries, &panel);
    if weights.is_empty() {
        return Err(wrong(format!(
            "none of its {} variants is on the panel; is it of another build?",
            score.entries.len()
        )));
    }
    let scores = scores(&store, &weights)?;
    let values = if options.average { scores.averages() } else { scores.sums().to_vec() };
    let by_person: HashMap<_, _> = store.people().iter().zip(&values).collect();
    let of_patients: Vec<Option<f64>> =
        whose.iter().map(|it| by_person.get(it).map(|it| **it)).collect();
    let patients = patients.with_numbers(&options.variable, &of_patients)?;
    save(&data, &dataset, &patients, &key)?;
    freeze_with((&options.dir, &dataset), &key, &Clock::system())?;
    let known = of_patients.iter().flatten().count();
    say(options, (&score, &matched, &scores), (known, whose.len()), screen);
    Ok(())
}

fn scores(store: &Store, weights: &[Weight]) -> Result<Scores, Failure> {
    let mut scores = Scores::new(store.people().len());
    for weight in weights {
        let (block, doses) = (store.read(weight.variant, 1)?, store.doses(weight.variant, 1)?);
        scores.add((&block, &doses), 0, weight).map_err(|it| Failure::usage(it.to_string()))?;
    }
    Ok(scores)
}

fn say(
    options: &ApplyOptions,
    (score, matched, scores): (&ScoreFile, &Matched, &Scores),
    (known, patients): (usize, usize),
    screen: &Screen,
) {
    let variants = score.entries.len();
    screen.note(&format!(
        "✓ {}  {known} of {patients} patients have a score, from {} of {variants} variants",
        options.variable,
        scores.used()
    ));
    screen.note(&format!(
        "  {} swapped, {} on the other strand, {} of A/T or C/G taken as they stand\n  left out: {} not on \
         the panel, {} with other alleles, {} that nobody here has",
        matched.as_reference,
        matched.other_strand,
        matched.palindromes,
        matched.absent,
        matched.other_alleles,
        scores.unknown()
    ));
    if (scores.used() as f64) < FEW * variants as f64 {
        screen.note(
            "! many variants are missing: this is another score than the published one; all centres \
             must use the same panel",
        );
    }
    screen.json_line(&json!({
        "schema": "konsil.prs-apply.v1", "variable": options.variable, "patients": patients,
        "with_score": known, "variants": variants, "used": scores.used(),
        "swapped": matched.as_reference, "other_strand": matched.other_strand,
        "absent": matched.absent, "other_alleles": matched.other_alleles,
    }));
}
