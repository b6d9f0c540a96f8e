//! Scans against the polygenic background: an exact ridge regression of all patients, each chromosome left
//! out.

use crate::gwas::{imputed, of, pooled_linear, scan, times};
use crate::gwas_more::{VARIANTS, apart, world};
use crate::reference::say;
use konsil_analyses::{AnalysisError, Request, prepare};

/// Effects of standardised columns by ridge regression of the patients for whom `trains` holds.
fn ridge(
    columns: &[Vec<f64>],
    rest: &[f64],
    ridge: f64,
    trains: &dyn Fn(usize) -> bool,
) -> Vec<f64> {
    let used = columns.len() as f64;
    let part = |column: &[f64]| -> Vec<f64> {
        let kept = column.iter().enumerate().filter(|(at, _)| trains(*at));
        kept.map(|(_, it)| *it).collect()
    };
    let columns: Vec<Vec<f64>> = columns.iter().map(|it| part(it)).collect();
    let rest = part(rest);
    let gram = |i: usize| {
        let entry =
            |j: usize| times(&columns[i], &columns[j]) / used + if i == j { ridge } else { 0.0 };
        (0..columns.len()).map(entry).collect()
    };
    let right = columns.iter().map(|it| times(it, &rest) / used).collect();
    crate::gwas::solve((0..columns.len()).map(gram).collect(), right)
}

/// Each chromosome against what the others leave of the trait, by exact ridge regressions of the other
/// folds' patients.
#[test]
fn chromosomes_are_tested_against_the_background_of_the_others() {
    let world = world(&[250, 330, 270]);
    let y = world.column(0);
    let plain = scan("y ~ age + pc", "gaussian", VARIANTS);
    let starts = [0, 25, 45];
    let request = Request { background: Some(0.3), chromosomes: starts.to_vec(), ..plain.clone() };
    // the variants of the background: as common as those of axes
    let common = Request { maf: Some(0.05), ..plain };
    let common = world.network.on_ideal(&common);
    let chosen: Vec<usize> =
        (0..VARIANTS).filter(|at| of(common.found()).rows[*at].skipped.is_none()).collect();
    let ones = vec![1.0; y.len()];
    let without = |column: &[f64]| -> Vec<f64> {
        let said = crate::gwas::weighted_fit(&world.rows, &ones, column);
        world.rows.iter().zip(column).map(|(row, it)| it - times(row, &said)).collect()
    };
    let standard = |at: &usize| -> Vec<f64> {
        let g = imputed(&world.genotypes[*at], &world.taking);
        let mean = g.iter().sum::<f64>() / g.len() as f64;
        let scale = (mean * (1.0 - mean / 2.0)).sqrt();
        g.iter().map(|it| (it - mean) / scale).collect()
    };
    let columns: Vec<Vec<f64>> = chosen.iter().map(standard).collect();
    let rest = without(&y);
    let chromosome = |at: usize| starts.iter().filter(|it| **it as usize <= at).count() - 1;
    // a centre's patients go to the folds by turns
    let mut seen = [0; 3];
    let fold = |at: &usize| {
        let centre = world.people[*at].centre();
        seen[centre] += 1;
        (seen[centre] - 1) % 4
    };
    let folds: Vec<usize> = world.taking.iter().map(fold).collect();
    let mut rests: Vec<Vec<f64>> = vec![rest.clone(); 3];
    for fold in 0..4 {
        let effects = ridge(&columns, &rest, 0.7 / 0.3, &|at| folds[at] != fold);
        for (own, left) in rests.iter_mut().enumerate() {
            for ((at, column), effect) in chosen.iter().zip(&columns).zip(&effects) {
                let others = left.iter_mut().zip(column).zip(&folds).filter(|it| *it.1 == fold);
                if chromosome(*at) != own {
                    others.for_each(|((left, g), _)| *left -= effect * g);
                }
            }
        }
    }
    for run in world.both(&request) {
        let (mut worst, mut tested): (f64, _) = (0.0, 0);
        for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
            if row.skipped.is_some() {
                continue;
            }
            tested += 1;
            let own = &rests[chromosome(row.variant as usize)];
            let g = imputed(genotypes, &world.taking);
            worst = worst.max(apart(row, pooled_linear(&world.rows, own, &g)));
        }
        assert!(tested > 40);
        say(&format!("gwas with a background, {} B: {:.1} digits", run.cost.bytes, -worst.log10()));
        assert!(worst < 1e-6, "{worst}");
    }
}

/// A region, and hits alone, are as in the whole scan.
#[test]
fn parts_of_a_scan_have_the_background_of_the_whole() {
    let world = world(&[250, 330, 270]);
    let plain = scan("y ~ age + pc", "gaussian", VARIANTS);
    let request = Request { background: Some(0.3), chromosomes: vec![0, 25, 45], ..plain };
    // a region of the genome is tested against all of the rest
    let region = Request { range: vec![30, 40], ..request.clone() };
    let part = world.network.on_ideal(&region);
    let whole = world.network.on_ideal(&request);
    for (row, whole) in of(part.found()).rows.iter().zip(&of(whole.found()).rows[30..]) {
        assert_eq!(row.variant, whole.variant);
        assert!(row.skipped.is_some() || apart(row, (whole.beta, whole.error)) < 1e-9);
    }
    let hits = Request { show: Some("hits".to_owned()), below: Some(0.02), ..request.clone() };
    let shown = world.network.on_shares(&hits);
    let all = world.network.on_ideal(&request);
    for (row, all) in of(shown.found()).rows.iter().zip(&of(all.found()).rows) {
        let hit = all.skipped.is_none() && all.log10_p >= -(0.02_f64.log10());
        assert_eq!(row.skipped.is_none(), hit);
    }
}

/// What makes no sense of a background.
#[test]
fn backgrounds_that_make_no_sense_are_refused() {
    let world = world(&[60, 60, 60]);
    let plain = scan("y ~ age + pc", "gaussian", VARIANTS);
    let request = Request { background: Some(0.3), chromosomes: vec![0, 25, 45], ..plain };
    for wrong in [
        Request { background: Some(1.0), ..request.clone() },
        Request { chromosomes: vec![0], ..request.clone() },
        Request { chromosomes: vec![0, 70], ..request.clone() },
        Request { chromosomes: vec![1, 20], ..request.clone() },
        Request { sealed: true, ..request.clone() },
        Request { formula: Some("ill ~ age".to_owned()), family: None, ..request },
    ] {
        let refused = prepare(&wrong, &world.network.dictionary).err();
        assert_eq!(refused.as_ref().map(AnalysisError::code), Some("K0220"), "{wrong:?}");
    }
}
