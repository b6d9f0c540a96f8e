//! Scores that a study brings: a scoring file and a panel become variants and weights.

use crate::failure::Failure;
use crate::panels;
use crate::prs::read_text;
use crate::screen::Screen;
use konsil_geno::{Matched, Panel, ScoreFile, Weight, match_score};
use konsil_governance::{Study, StudyScore};
use std::path::Path;

/// Share of a score's variants below which it is another score.
const FEW: f64 = 0.9;
/// The frequency that a variant is taken to have, to find how fine a score is rounded.
const USUAL: f64 = 0.25;
/// Steps of a standard deviation that a score is rounded to, at least.
const STEPS: f64 = 50.0;

/// Puts variants and weights in place of the scoring files of a study, which stand beside `folder`
/// unless their paths are whole. Scores with weights stay.
pub(crate) fn resolve(study: &mut Study, folder: &Path) -> Result<(), Failure> {
    for score in &mut study.score {
        let Some(file) = score.file.clone() else { continue };
        if score.panel.is_empty() {
            let what = format!("score `{}`: `panel` names the panel's file", score.name);
            return Err(Failure::usage(what));
        }
        let panel = panels::read(&folder.join(&score.panel))?;
        let (own, _) = read(&score.name, &folder.join(file), &panel)?;
        *score = own;
    }
    Ok(())
}

/// Whether two builds are known and not the same. `hg19` and `GRCh37` are.
pub(crate) fn differ(a: &str, b: &str) -> bool {
    let known = |it: &str| match it.to_ascii_lowercase().as_str() {
        "grch37" | "hg19" | "ncbi37" => Some(37),
        "grch38" | "hg38" | "ncbi38" => Some(38),
        "grch36" | "hg18" | "ncbi36" => Some(36),
        _ => None,
    };
    known(a).zip(known(b)).is_some_and(|(a, b)| a != b)
}

/// Refuses a score whose positions are of another build than the panel's.
pub(crate) fn check_build(file: &Path, score: &ScoreFile, panel: &Panel) -> Result<(), Failure> {
    let panels = panel.build().map(|it| it.to_string()).unwrap_or_default();
    if !differ(&score.build, &panels) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{}: its positions are of {}, those of the panel of {panels}; take the score's file for {panels} \
         (the PGS Catalog has harmonised ones)",
        file.display(),
        score.build
    )))
}

/// A scoring file as a score that a study brings.
pub(crate) fn read(
    name: &str,
    file: &Path,
    panel: &Panel,
) -> Result<(StudyScore, Matched), Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    let score = ScoreFile::parse(&read_text(file)?).map_err(|it| wrong(it.to_string()))?;
    check_build(file, &score, panel)?;
    let (weights, matched) = match_score(&score.entries, panel);
    if weights.is_empty() {
        return Err(wrong(format!(
            "none of its {} variants is on the panel; is it of another build?",
            score.entries.len()
        )));
    }
    let most = weights.iter().all(|it| it.frequency.is_finite());
    let mut brought = StudyScore {
        name: name.to_owned(),
        panel: panel.hash().to_owned(),
        panel_variants: u32::try_from(panel.len()).unwrap_or(u32::MAX),
        decimals: decimals(&weights),
        ..StudyScore::default()
    };
    for it in &weights {
        let variant = u32::try_from(it.variant).unwrap_or(u32::MAX);
        if brought.variants.last() == Some(&variant) {
            let what = "two of its rows are about the same variant of the panel; leave one";
            return Err(wrong(what.to_owned()));
        }
        // a weight w of the reference allele, of which there are 2 - g, is 2 w less w for each g
        let sign = if it.alternative { 1.0 } else { -1.0 };
        brought.constant += if it.alternative { 0.0 } else { 2.0 * it.weight };
        brought.variants.push(variant);
        brought.weights.push(sign * it.weight);
        if most {
            let frequency = if it.alternative { it.frequency } else { 1.0 - it.frequency };
            brought.frequencies.push(frequency);
        }
    }
    Ok((brought, matched))
}

/// Decimals that a score needs: steps of a fiftieth of its standard deviation, as far as it can be told
/// without patients.
fn decimals(weights: &[Weight]) -> u8 {
    let variance = |it: &Weight| {
        let frequency = if it.frequency.is_finite() { it.frequency } else { USUAL };
        2.0 * frequency * (1.0 - frequency) * it.weight.powi(2)
    };
    let deviation = weights.iter().map(variance).sum::<f64>().sqrt();
    (0..9).find(|it| 10_f64.powi(i32::from(*it)) * deviation >= STEPS).unwrap_or(9)
}

/// Says what was found of a score.
pub(crate) fn say((score, matched): (&StudyScore, &Matched), screen: &Screen) {
    let (used, all) = (matched.found(), matched.found() + matched.absent + matched.other_alleles);
    screen.note(&format!(
        "  {}: {used} of {all} variants are on the panel ({} swapped, {} on the other strand, {} of A/T or \
         C/G taken as they stand)",
        score.name, matched.as_reference, matched.other_strand, matched.palindromes
    ));
    if (used as f64) < FEW * all as f64 {
        screen.note("! many variants are missing: this is another score than the published one");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANEL: &str =
        "##build=GRCh37\n#CHROM\tPOS\tID\tREF\tALT\n1\t5\trs1\tA\tG\n2\t9\trs2\tC\tT\n";
    const SCORE: &str = "#genome_build=hg19\nrsID\tchr_name\tchr_position\teffect_allele\t\
                         other_allele\teffect_weight\tallelefrequency_effect\n\
                         rs1\t1\t5\tG\tA\t0.5\t0.3\nrs2\t2\t9\tC\tT\t0.25\t0.9\nrs3\t3\t9\tC\tT\t1\t0.5\n";

    fn brought(text: &str) -> Result<(StudyScore, Matched), Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("score.txt");
        std::fs::write(&file, text).unwrap();
        read("prs", &file, &Panel::parse(PANEL.to_owned()).unwrap())
    }

    // Weights of reference alleles become those of alternative ones, and a constant.
    #[test]
    fn weights_are_of_alternative_alleles() {
        let (score, matched) = brought(SCORE).unwrap();
        assert_eq!((matched.found(), matched.absent), (2, 1));
        assert_eq!((score.variants, score.weights), (vec![0, 1], vec![0.5, -0.25]));
        assert_eq!((score.constant, score.panel_variants), (0.5, 2));
        assert!((score.frequencies[0] - 0.3).abs() + (score.frequencies[1] - 0.1).abs() < 1e-12);
        // a standard deviation of 0.34
        assert_eq!(score.decimals, 3);
        let (score, _) = brought(&SCORE.replace("\t0.3\n", "\t\n")).unwrap();
        assert!(score.frequencies.is_empty());
    }

    #[test]
    fn scores_of_others_are_refused() {
        let refused = |from: &str, to: &str, words: &str| {
            let failure = brought(&SCORE.replace(from, to)).unwrap_err();
            assert!(failure.text.contains(words), "{}", failure.text);
        };
        refused("hg19", "GRCh38", "harmonised");
        let same = "rs1\t1\t5\tG\tA\t0.5\t0.3\n";
        refused(same, &same.repeat(2), "same variant");
        let failure =
            brought(&SCORE.replace("\t1\t5\t", "\t1\t6\t").replace("\t2\t9\t", "\t2\t8\t"));
        assert!(failure.unwrap_err().text.contains("none of its 3 variants"));
    }
}
