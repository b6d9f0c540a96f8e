//! Genome-wide scans in other ways: models of inheritance, several traits, sealed covariates, hits alone,
//! hits that are tested once more, variants as covariates. Each against all patients in one place.

use crate::gwas::{
    Person, far, imputed, logistic, made, network, of, pooled_linear, pooled_score, scan, times,
};
use crate::reference::say;
use crate::support::{Network, Run};
use konsil_analyses::hardy_weinberg::hardy_weinberg;
use konsil_analyses::log_tails::{chi_squared, normal};
use konsil_analyses::{AnalysisError, Request, ScanRow, Skipped, prepare};
use konsil_disclosure::Scans;
use konsil_kernels::MISSING;

pub(crate) const VARIANTS: usize = 60;

/// Made-up people, who takes part, their covariates.
pub(crate) struct World {
    pub(crate) people: Vec<Person>,
    pub(crate) genotypes: Vec<Vec<u8>>,
    pub(crate) network: Network,
    pub(crate) taking: Vec<usize>,
    pub(crate) rows: Vec<Vec<f64>>,
}

pub(crate) fn world(sizes: &[usize]) -> World {
    let (people, genotypes) = made(sizes, VARIANTS);
    let network = network(&people, &genotypes);
    let taking: Vec<usize> = (0..people.len()).filter(|at| at % 50 != 7).collect();
    let row = |at: &usize| vec![1.0, people[*at].numbers[2], people[*at].numbers[3]];
    let rows = taking.iter().map(row).collect();
    World { people, genotypes, network, taking, rows }
}

impl World {
    pub(crate) fn column(&self, place: usize) -> Vec<f64> {
        self.taking.iter().map(|at| self.people[*at].numbers[place]).collect()
    }

    pub(crate) fn both(&self, request: &Request) -> [Run; 2] {
        [self.network.on_ideal(request), self.network.on_shares(request)]
    }
}

/// How far a row is from an effect and its standard error.
pub(crate) fn apart(row: &ScanRow, (beta, error): (f64, f64)) -> f64 {
    far(row.error, error).max(((row.beta - beta) / error).abs())
}

fn opened(run: &Run, name: &str) -> bool {
    run.ledger.lines().iter().any(|line| line.opening.name == name)
}

/// One allele, or only two of them, count one; carriers and others have to be enough.
#[test]
fn dominant_and_recessive_variants_are_as_in_pooled_regressions() {
    let world = world(&[150, 220, 180]);
    let (y, ill) = (world.column(0), world.column(1));
    let null = logistic(&world.rows, &ill);
    for (coding, least) in [("dominant", 1), ("recessive", 2)] {
        let counted = |row: &Vec<u8>| -> Vec<u8> {
            row.iter().map(|it| if *it == MISSING { *it } else { u8::from(*it >= least) }).collect()
        };
        for (formula, family) in [("y ~ age + pc", "gaussian"), ("ill ~ age + pc", "binomial")] {
            let plain = scan(formula, family, VARIANTS);
            let request = Request { coding: Some(coding.to_owned()), ..plain };
            let (mut worst, mut tested): (f64, _) = (0.0, 0);
            for run in world.both(&request) {
                for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
                    let counted = counted(genotypes);
                    let known: Vec<u8> = (world.taking.iter())
                        .map(|at| counted[*at])
                        .filter(|it| *it != MISSING)
                        .collect();
                    let some = known.iter().filter(|it| **it == 1).count();
                    if row.skipped == Some(Skipped::Rare) {
                        assert!(some < 10 || known.len() - some < 10 || some < known.len() / 40);
                    }
                    if row.skipped.is_some() {
                        continue;
                    }
                    assert!(some >= 10 && known.len() - some >= 10, "{coding} {some}");
                    tested += 1;
                    let g = imputed(&counted, &world.taking);
                    let wanted = if family == "gaussian" {
                        pooled_linear(&world.rows, &y, &g)
                    } else {
                        let (score, variance) = pooled_score(&world.rows, &ill, &g, &null);
                        (score / variance, variance.sqrt().recip())
                    };
                    worst = worst.max(apart(row, wanted));
                    let copies: u32 =
                        (world.taking.iter()).map(|at| u32::from(genotypes[*at] % 3)).sum();
                    assert_eq!(row.alternative, f64::from(copies));
                }
            }
            assert!(tested > 50, "{tested}");
            say(&format!("gwas {coding} {family}: {:.1} digits", -worst.log10()));
            assert!(worst < 2e-8, "{coding} {worst}");
        }
    }
}

/// With sealed covariates nothing of them is opened, and the result is the same.
#[test]
fn sealed_scans_are_as_in_pooled_regressions() {
    for sizes in [&[150, 220, 180][..], &[90, 3, 110, 70, 80, 120, 60]] {
        let world = world(sizes);
        let (y, ill) = (world.column(0), world.column(1));
        let null = logistic(&world.rows, &ill);
        for (formula, family) in [("y ~ age + pc", "gaussian"), ("ill ~ age + pc", "binomial")] {
            let request = Request { sealed: true, ..scan(formula, family, VARIANTS) };
            let (mut worst, mut tested): (f64, _) = (0.0, 0);
            for run in world.both(&request) {
                assert!(!opened(&run, "gwas.covariates"));
                for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
                    if row.skipped.is_some() {
                        continue;
                    }
                    tested += 1;
                    let g = imputed(genotypes, &world.taking);
                    let wanted = if family == "gaussian" {
                        pooled_linear(&world.rows, &y, &g)
                    } else {
                        let (score, variance) = pooled_score(&world.rows, &ill, &g, &null);
                        (score / variance, variance.sqrt().recip())
                    };
                    worst = worst.max(apart(row, wanted));
                }
            }
            assert!(tested > 80, "{tested}");
            let centres = sizes.len();
            say(&format!("gwas sealed {family} {centres} centres: {:.1} digits", -worst.log10()));
            assert!(worst < 2e-8, "{family} {worst}");
        }
    }
}

/// Several traits in one pass, of patients who have all of them.
#[test]
fn traits_are_tested_in_one_pass() {
    let world = world(&[150, 220, 180]);
    let shared: &[bool] = &[false, true];
    for sealed in shared {
        let request = Request {
            traits: vec!["age".to_owned(), "more".to_owned(), "pc".to_owned()],
            sealed: *sealed,
            ..scan("y ~ 1", "gaussian", VARIANTS)
        };
        // one variable more, half of another trait
        let mut network = more(&world);
        network.policy = world.network.policy.clone();
        let rows: Vec<Vec<f64>> = world.taking.iter().map(|_| vec![1.0]).collect();
        let columns = [world.column(0), world.column(2), doubled(&world), world.column(3)];
        for run in [network.on_ideal(&request), network.on_shares(&request)] {
            let scans = &run.found().scans;
            let names: Vec<&str> = scans.iter().map(|it| it.response.as_str()).collect();
            assert_eq!(names, ["y", "age", "more", "pc"]);
            let mut worst: f64 = 0.0;
            for (scan, y) in scans.iter().zip(&columns) {
                for (row, genotypes) in scan.rows.iter().zip(&world.genotypes) {
                    if row.skipped.is_none() {
                        let g = imputed(genotypes, &world.taking);
                        worst = worst.max(apart(row, pooled_linear(&rows, y, &g)));
                    }
                }
            }
            say(&format!("gwas of four traits, sealed {sealed}: {:.1} digits", -worst.log10()));
            assert!(worst < 2e-8, "{worst}");
        }
    }
}

fn doubled(world: &World) -> Vec<f64> {
    let (y, age) = (world.column(0), world.column(2));
    y.iter().zip(age).map(|(y, age)| y / 2.0 + age / 10.0).collect()
}

/// The same people with one variable more.
fn more(world: &World) -> Network {
    let dictionary = crate::gwas::DICTIONARY.to_owned() + "more,More,number,,,-20,30,,,,,\n";
    let people: Vec<Person> = (world.people.iter())
        .map(|it| {
            let mut person = it.clone();
            let [y, _, age, _] = it.numbers[..] else { unreachable!() };
            person.values.push((y / 2.0 + age / 10.0).to_string());
            person
        })
        .collect();
    crate::gwas::network_of(&people, &world.genotypes, (&dictionary, "pid,y,ill,age,pc,more"))
}

/// Variants whose genotypes are out of proportion are left out, by the exact test on all patients.
#[test]
fn variants_out_of_proportion_are_left_out() {
    let mut world = world(&[150, 220, 180]);
    // in some variants everybody with one allele has two of them
    for row in world.genotypes.iter_mut().step_by(7) {
        row.iter_mut().filter(|it| **it == 1).step_by(2).for_each(|it| *it = 2);
    }
    world.network = network(&world.people, &world.genotypes);
    let request = Request { hwe: Some(1e-4), ..scan("y ~ age + pc", "gaussian", VARIANTS) };
    let mut uneven = 0;
    for run in world.both(&request) {
        for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
            let of = |copies: u8| {
                world.taking.iter().filter(|at| genotypes[**at] == copies).count() as f64
            };
            let p = hardy_weinberg(of(1), of(2), of(0));
            match row.skipped {
                None => assert!(p <= 4.0, "{p}"),
                Some(Skipped::Uneven) => {
                    uneven += 1;
                    assert!(p > 4.0 && row.observed == 0.0, "{p}");
                }
                Some(_) => {}
            }
        }
    }
    assert!(uneven >= 10, "{uneven}");
}

/// Part of the panel, and variants as covariates.
#[test]
fn scans_are_conditioned_on_variants() {
    let world = world(&[150, 220, 180]);
    let y = world.column(0);
    let request = Request {
        range: vec![0, 20],
        condition: vec!["rs4".to_owned(), "rs0".to_owned()],
        condition_at: vec![4, 0],
        ..scan("y ~ age + pc", "gaussian", VARIANTS)
    };
    let with = [0, 4].map(|at| imputed(&world.genotypes[at], &world.taking));
    let rows: Vec<Vec<f64>> = (world.rows.iter().enumerate())
        .map(|(at, row)| [row.as_slice(), &[with[0][at], with[1][at]]].concat())
        .collect();
    for run in world.both(&request) {
        let scan = of(run.found());
        assert_eq!(scan.rows.len(), 20);
        let mut worst: f64 = 0.0;
        for (row, genotypes) in scan.rows.iter().zip(&world.genotypes) {
            match row.skipped {
                None => {
                    let g = imputed(genotypes, &world.taking);
                    worst = worst.max(apart(row, pooled_linear(&rows, &y, &g)));
                }
                Some(why) => assert_eq!(why == Skipped::Collinear, [0, 4].contains(&row.variant)),
            }
        }
        say(&format!("gwas with two variants as covariates: {:.1} digits", -worst.log10()));
        assert!(worst < 2e-8, "{worst}");
    }
    let last = Request { range: vec![55, 60], condition: vec![], condition_at: vec![], ..request };
    let run = world.network.on_shares(&last);
    let numbers: Vec<u32> = of(run.found()).rows.iter().map(|it| it.variant).collect();
    assert_eq!(numbers, [55, 56, 57, 58, 59]);
    // every fourth variant is missing too often
    let missing = Request { condition: vec!["rs3".to_owned()], condition_at: vec![3], ..last };
    let missing = Request { missing_max: Some(0.001), ..missing };
    let error = world.network.on_shares(&missing).findings.err().map(|it| it.to_string());
    assert!(error.is_some_and(|it| it.contains("conditioned on rs3")));
}

/// Where hits alone are shown, nothing is seen of the others.
#[test]
fn only_hits_are_shown_where_that_is_asked() {
    let world = world(&[150, 220, 180]);
    for (formula, sealed) in
        [("y ~ age + pc", false), ("y ~ age + pc", true), ("ill ~ age + pc", false)]
    {
        let family = if formula.starts_with('y') { "gaussian" } else { "binomial" };
        let all = Request { sealed, ..scan(formula, family, VARIANTS) };
        let alone = Request { show: Some("hits".to_owned()), below: Some(0.02), ..all.clone() };
        let wanted = world.network.on_ideal(&all);
        let (mut hits, mut worst): (_, f64) = (0, 0.0);
        for run in world.both(&alone) {
            let both = of(run.found()).rows.iter().zip(&of(wanted.found()).rows);
            for (row, all) in both {
                if all.skipped.is_some() {
                    assert_eq!(row.skipped, all.skipped);
                } else if all.log10_p >= -(0.02_f64.log10()) {
                    hits += 1;
                    assert_eq!((row.observed, row.alternative), (all.observed, all.alternative));
                    worst = worst.max(apart(row, (all.beta, all.error)));
                } else {
                    assert_eq!(row.skipped, Some(Skipped::Hidden));
                    assert!(row.observed == 0.0 && row.alternative.is_nan() && row.beta.is_nan());
                }
            }
        }
        assert!((4..60).contains(&hits), "{hits}");
        say(&format!("gwas, {hits} hits alone, sealed {sealed}: {:.1} digits", -worst.log10()));
        assert!(worst < 5e-7, "{worst}");
    }
}

/// Deviations of a variant from what the covariates say of it, at the model without it.
fn deviations(rows: &[Vec<f64>], g: &[f64], beta: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let predictors: Vec<f64> = rows.iter().map(|row| times(row, beta)).collect();
    let chance = |eta: &f64| 1.0 / (1.0 + (-eta).exp());
    let weights: Vec<f64> = predictors.iter().map(chance).map(|mean| mean * (1.0 - mean)).collect();
    let said = crate::gwas::weighted_fit(rows, &weights, g);
    let rest = rows.iter().zip(g).map(|(row, g)| g - times(row, &said)).collect();
    (rest, predictors)
}

/// `-log10 p` by the saddle point, found by halving.
fn by_saddle(dose: &[f64], predictors: &[f64], score: f64) -> f64 {
    let chance = |eta: f64| 1.0 / (1.0 + (-eta).exp());
    let slope = |t: f64| -> f64 {
        let each = dose.iter().zip(predictors);
        each.map(|(g, eta)| g * (chance(eta + g * t) - chance(*eta))).sum()
    };
    let tail = |wanted: f64| {
        let (mut low, mut high) = (-60.0, 60.0);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if slope(middle) < wanted { low = middle } else { high = middle }
        }
        let t = low;
        let each = || dose.iter().zip(predictors);
        let value: f64 = each()
            .map(|(g, eta)| {
                let mean = chance(*eta);
                (1.0 - mean + mean * (g * t).exp()).ln() - t * g * mean
            })
            .sum();
        let second: f64 = each()
            .map(|(g, eta)| {
                let mean = chance(eta + g * t);
                g * g * mean * (1.0 - mean)
            })
            .sum();
        let (w, v) = ((2.0 * (t * wanted - value)).sqrt(), t.abs() * second.sqrt());
        10_f64.powf(-normal(w + (v / w).ln() / w)) / 2.0
    };
    -(tail(score.abs()) + tail(-score.abs())).log10()
}

/// The largest penalised likelihood of one effect, by its definition on a finer and finer grid.
fn by_firth(dose: &[f64], predictors: &[f64], cases: &[f64]) -> (f64, f64, f64) {
    let parts = |effect: f64| {
        let (mut likelihood, mut information) = (0.0, 0.0);
        for ((g, eta), case) in dose.iter().zip(predictors).zip(cases) {
            let with = eta + g * effect;
            let mean = 1.0 / (1.0 + (-with).exp());
            likelihood += case * with - with.exp().ln_1p();
            information += g * g * mean * (1.0 - mean);
        }
        (likelihood + 0.5 * information.ln(), information)
    };
    let (mut middle, mut width) = (0.0, 4.0);
    for _ in 0..60 {
        let around = (-8..=8).map(|at| middle + width * f64::from(at) / 8.0);
        let best = around.max_by(|a, b| parts(*a).0.total_cmp(&parts(*b).0));
        middle = best.unwrap();
        width /= 2.0;
    }
    let ratio = 2.0 * (parts(middle).0 - parts(0.0).0);
    (middle, parts(middle).1.sqrt().recip(), chi_squared(ratio, 1.0))
}

/// Hits of an event tested once more, as from all patients' own likelihoods.
#[test]
fn hits_are_tested_once_more() {
    for sizes in [&[150, 220, 180][..], &[90, 3, 110, 70, 80, 120, 60]] {
        let world = world(sizes);
        let ill = world.column(1);
        let null = logistic(&world.rows, &ill);
        for how in ["spa", "firth"] {
            let request = Request {
                correct: Some(how.to_owned()),
                below: Some(0.05),
                hits_max: Some(20),
                ..scan("ill ~ age + pc", "binomial", VARIANTS)
            };
            let (mut hits, mut worst): (_, f64) = (0, 0.0);
            for run in world.both(&request) {
                for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
                    assert!(!row.corrected || row.skipped.is_none());
                    if !row.corrected {
                        assert!(row.skipped.is_some() || row.log10_p < 1.302);
                        continue;
                    }
                    hits += 1;
                    let g = imputed(genotypes, &world.taking);
                    let (dose, predictors) = deviations(&world.rows, &g, &null);
                    let (score, variance) = pooled_score(&world.rows, &ill, &g, &null);
                    if how == "spa" {
                        let wanted = by_saddle(&dose, &predictors, score);
                        worst = worst.max((row.log10_p - wanted).abs());
                        worst = worst.max(far(row.beta, score / variance));
                    } else {
                        let (beta, error, log10_p) = by_firth(&dose, &predictors, &ill);
                        // the top of a likelihood is flat: half of the digits are left of a grid
                        assert!(((row.beta - beta) / error).abs() < 1e-6);
                        worst = worst.max(far(row.error, error) / 10.0);
                        worst = worst.max((row.log10_p - log10_p).abs());
                    }
                }
            }
            assert!((4..40).contains(&hits), "{hits}");
            say(&format!("gwas {how}, {hits} hits: {:.1} digits", -worst.log10()));
            assert!(worst < 1e-7, "{how} {worst}");
        }
    }
}

/// More hits than are corrected: the rest stay as they are, and a note says so.
#[test]
fn further_hits_stay_as_they_are() {
    let world = world(&[150, 220, 180]);
    let request = Request {
        correct: Some("firth".to_owned()),
        below: Some(0.05),
        hits_max: Some(2),
        ..scan("ill ~ age + pc", "binomial", VARIANTS)
    };
    let run = world.network.on_shares(&request);
    let found = run.found();
    assert_eq!(of(found).rows.iter().filter(|it| it.corrected).count(), 2);
    assert!(found.notes.iter().any(|it| it.contains("first 2 hits")));
}

/// What makes no sense is refused beforehand.
#[test]
fn requests_that_make_no_sense_are_refused() {
    let world = world(&[60, 60, 60]);
    let words = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect::<Vec<String>>();
    let some = |text: &str| Some(text.to_owned());
    let fine = scan("y ~ age", "gaussian", VARIANTS);
    let event = scan("ill ~ age", "binomial", VARIANTS);
    for wrong in [
        Request { coding: some("multiplicative"), ..fine.clone() },
        Request { hwe: Some(0.5), ..fine.clone() },
        Request { hwe: Some(0.0), ..fine.clone() },
        Request { range: vec![5], ..fine.clone() },
        Request { range: vec![5, 5], ..fine.clone() },
        Request { range: vec![0, 61], ..fine.clone() },
        Request { region: some("1:1-2"), ..fine.clone() },
        Request { condition: words(&["rs1"]), ..fine.clone() },
        Request { condition: words(&["rs1"]), condition_at: vec![60], ..fine.clone() },
        Request { traits: words(&["y"]), ..fine.clone() },
        Request { traits: words(&["age"]), ..fine.clone() },
        Request { traits: words(&["nothing"]), ..fine.clone() },
        Request { traits: words(&["ill"]), ..fine.clone() },
        Request { traits: words(&["y"]), ..event.clone() },
        Request { show: some("some"), ..fine.clone() },
        Request { below: Some(1e-5), ..fine.clone() },
        Request { hits_max: Some(5), ..fine.clone() },
        Request { show: some("hits"), below: Some(0.5), ..fine.clone() },
        Request { show: some("hits"), traits: words(&["pc"]), ..fine.clone() },
        Request { correct: some("firth"), ..fine },
        Request { correct: some("wald"), ..event.clone() },
        Request { correct: some("spa"), sealed: true, ..event.clone() },
        Request { correct: some("spa"), hits_max: Some(0), ..event },
    ] {
        let refused = prepare(&wrong, &world.network.dictionary).err();
        let code = refused.as_ref().map(AnalysisError::code);
        assert_eq!(code, Some("K0220"), "{wrong:?}");
    }
}

/// Centres fitted alone, combined by inverse variances: as from each centre's own regressions.
#[test]
fn centres_are_combined_by_inverse_variances() {
    for sizes in [&[150, 220, 180][..], &[90, 3, 110, 70, 80, 120, 60]] {
        let world = world(sizes);
        let (y, ill) = (world.column(0), world.column(1));
        for (formula, family) in [("y ~ age + pc", "gaussian"), ("ill ~ age + pc", "binomial")] {
            let request = Request { meta: true, ..scan(formula, family, VARIANTS) };
            let mut worst: f64 = 0.0;
            for run in world.both(&request) {
                assert!(!opened(&run, "gwas.covariates"));
                for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
                    if row.skipped.is_some() {
                        continue;
                    }
                    let mut sums = [0.0; 4];
                    for centre in 0..sizes.len() {
                        let own = |at: &usize| world.people[world.taking[*at]].centre() == centre;
                        let places: Vec<usize> = (0..world.taking.len()).filter(own).collect();
                        let pick = |all: &[f64]| -> Vec<f64> {
                            places.iter().map(|at| all[*at]).collect()
                        };
                        let rows: Vec<Vec<f64>> =
                            places.iter().map(|at| world.rows[*at].clone()).collect();
                        let taking: Vec<usize> =
                            places.iter().map(|at| world.taking[*at]).collect();
                        if rows.len() < 8 {
                            continue;
                        }
                        let g = imputed(genotypes, &taking);
                        if g.iter().all(|it| (it - g[0]).abs() < 1e-12) {
                            continue;
                        }
                        let (beta, error) = if family == "gaussian" {
                            pooled_linear(&rows, &pick(&y), &g)
                        } else {
                            let cases = pick(&ill);
                            let null = logistic(&rows, &cases);
                            let (score, variance) = pooled_score(&rows, &cases, &g, &null);
                            (score / variance, variance.sqrt().recip())
                        };
                        let weight = error.powi(-2);
                        let terms = [weight, weight * beta, weight * beta * beta, 1.0];
                        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                    }
                    let (beta, error) = (sums[1] / sums[0], sums[0].sqrt().recip());
                    worst = worst.max(apart(row, (beta, error)));
                    let apart = chi_squared(sums[2] - sums[1] * beta, sums[3] - 1.0);
                    worst = worst.max((row.heterogeneity - apart).abs() / 10.0);
                }
            }
            let centres = sizes.len();
            say(&format!("gwas meta {family} {centres} centres: {:.1} digits", -worst.log10()));
            assert!(worst < 1e-7, "{family} {worst}");
        }
    }
}

/// R11: a policy that shows hits alone is not got round.
#[test]
fn policies_limit_scans_to_hits() {
    let (people, few) = made(&[150, 220, 180], VARIANTS);
    let genotypes: Vec<Vec<u8>> = few.iter().cycle().take(1001).cloned().collect();
    let mut network = network(&people, &genotypes);
    network.policy.scans = Scans::Hits;
    let all = scan("y ~ age + pc", "gaussian", 1001);
    let text =
        |request: &Request| network.on_shares(request).findings.err().map(|it| it.to_string());
    assert!(text(&all).is_some_and(|it| it.contains("R11") && it.contains("hits")));
    let quality = crate::gwas::quality(1001);
    assert!(text(&quality).is_some_and(|it| it.contains("R11")));
    let hits = Request { show: Some("hits".to_owned()), ..all.clone() };
    assert_eq!(text(&hits), None);
    // a thousand are few enough
    let region = Request { range: vec![0, 1000], ..all };
    assert_eq!(text(&region), None);
}

/// Too few steps to the model of an event end a scan, or do not change it.
#[test]
fn too_few_steps_are_noticed() {
    let mut world = world(&[150, 220, 180]);
    // a covariate that nearly decides, so that the way is long
    let mut people = world.people.clone();
    for (at, person) in people.iter_mut().enumerate() {
        let noise = f64::from(u32::try_from(at * 7 % 11).unwrap()) / 11.0 - 0.5;
        person.values[2] = (person.numbers[3] + 1.6 * noise > 0.9).to_string();
    }
    world.network = network(&people, &world.genotypes);
    let many = scan("ill ~ age + pc", "binomial", VARIANTS);
    let wanted = world.network.on_ideal(&many);
    let mut ended = 0;
    for iterations in [2, 3, 4] {
        let request = Request { iterations: Some(iterations), ..many.clone() };
        match world.network.on_ideal(&request).findings {
            Ok(found) => {
                for (row, wanted) in of(&found).rows.iter().zip(&of(wanted.found()).rows) {
                    assert_eq!(row.skipped, wanted.skipped);
                    let near = apart(row, (wanted.beta, wanted.error)) < 1e-5;
                    assert!(row.skipped.is_some() || near);
                }
            }
            Err(error) => {
                assert!(["K0217", "K0223"].contains(&error.code()), "{error}");
                ended += 1;
            }
        }
    }
    assert!(ended > 0);
}
