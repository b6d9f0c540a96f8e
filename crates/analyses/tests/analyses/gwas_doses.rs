//! Scans of imputed doses: against all patients in one place, and against scans of genotypes that say
//! the same.

use crate::gwas::{Person, logistic, made, network, of, pooled_linear, pooled_score, scan};
use crate::gwas_more::{VARIANTS, World, apart, world};
use crate::reference::say;
use crate::support::Network;
use konsil_analyses::{Request, ScanRow, Skipped, prepare};
use konsil_cohort::{CohortError, Genotypes, Pseudonym};
use konsil_disclosure::{Policy, Residual};
use konsil_kernels::{DOSE_COPY, Doses, MISSING, Packed, copies_of, dose_of};
use std::collections::HashMap;
use std::sync::Arc;

/// Genotypes with doses beside some of them, `[variant][person]`.
#[derive(Debug)]
struct Dosed {
    genotypes: Arc<dyn Genotypes>,
    doses: Vec<Option<Vec<u16>>>,
}

impl Genotypes for Dosed {
    fn panel_hash(&self) -> &str {
        self.genotypes.panel_hash()
    }

    fn variants(&self) -> usize {
        self.genotypes.variants()
    }

    fn people(&self) -> &[Pseudonym] {
        self.genotypes.people()
    }

    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
        self.genotypes.read(first, count)
    }

    fn doses(&self, first: usize, count: usize) -> Result<Doses, CohortError> {
        let mut doses = Doses::none(self.people().len());
        for (at, own) in self.doses[first..first + count].iter().enumerate() {
            assert!(own.as_ref().is_none_or(|own| doses.push(at, own)));
        }
        Ok(doses)
    }
}

/// Everybody's dose at a variant, and in which centres anything but genotypes is known.
type Row = (Vec<u16>, fn(usize) -> bool);

/// A network of these genotypes, with doses beside them.
fn dosed(people: &[Person], genotypes: &[Vec<u8>], doses: &[Row]) -> Network {
    let mut network = network(people, genotypes);
    for (centre, dataset) in network.centres.iter_mut().enumerate() {
        let own = (0..people.len()).filter(|at| people[*at].centre() == centre);
        let places: HashMap<Pseudonym, usize> =
            dataset.pseudonyms().unwrap().iter().copied().zip(own).collect();
        let genotypes = dataset.genotypes().unwrap().clone();
        let row = |(row, has): &Row| {
            let own = genotypes.people().iter().map(|it| row[places[it]]);
            has(centre).then(|| own.collect::<Vec<u16>>())
        };
        let doses = doses.iter().map(row).collect();
        *dataset = dataset.clone().with_genotypes(Arc::new(Dosed { genotypes, doses }));
    }
    network
}

/// Doses near the genotypes, whole for some, missing for some; and genotypes where doses are near to
/// one. Of the first of three variants no centre has doses, of the second one centre, of the third all.
fn near(people: &[Person], genotypes: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Row>) {
    let mut next = crate::gwas::random(23);
    let mut called = Vec::new();
    let mut rows = Vec::new();
    for (variant, row) in genotypes.iter().enumerate() {
        let has: fn(usize) -> bool = match variant % 3 {
            0 => |_| false,
            1 => |centre| centre == 0,
            _ => |_| true,
        };
        let (mut calls, mut doses) = (Vec::new(), Vec::new());
        for (person, genotype) in people.iter().zip(row) {
            let mut dose = dose_of(*genotype);
            if has(person.centre()) && *genotype < 3 && next() < 0.6 {
                dose = dose.saturating_add_signed(moved(next()));
                dose = dose.min(2 * DOSE_COPY);
            }
            let is_near =
                |call: &u8| copies_of(dose).is_some_and(|it| (it - f64::from(*call)).abs() <= 0.1);
            calls.push([0, 1, 2].into_iter().find(is_near).unwrap_or(MISSING));
            doses.push(dose);
        }
        called.push(calls);
        rows.push((doses, has));
    }
    (called, rows)
}

/// A part of a quarter of a copy, up or down.
fn moved(number: f64) -> i16 {
    let steps = [-4000, -3111, -2222, -1500, -777, -3, 1, 500, 999, 2048, 3210, 4090];
    let place = steps.iter().zip(1..).find(|(_, at)| number * 12.0 < f64::from(*at));
    place.map_or(0, |(step, _)| *step)
}

/// Whether fewer than are needed have an allele, no more than five of a centre counted.
fn few(world: &World, has: impl Fn(usize) -> bool) -> bool {
    let of = |centre: usize| {
        let own = world.taking.iter().filter(|at| world.people[**at].centre() == centre);
        own.filter(|at| has(**at)).count().min(5)
    };
    (0..world.network.centres.len()).map(of).sum::<usize>() < 10
}

/// Each variant of both families, on both backends, sealed or not: the effect of a dose, with missing
/// ones at the mean, and the sum of all doses as their alleles.
#[test]
fn doses_are_as_in_pooled_regressions() {
    let (people, genotypes) = made(&[150, 220, 180], VARIANTS);
    let (called, rows) = near(&people, &genotypes);
    let mut world = world(&[150, 220, 180]);
    world.network = dosed(&people, &called, &rows);
    let (y, ill) = (world.column(0), world.column(1));
    let null = logistic(&world.rows, &ill);
    for (family, formula, sealed) in [
        ("gaussian", "y ~ age + pc", false),
        ("gaussian", "y ~ age + pc", true),
        ("binomial", "ill ~ age + pc", false),
    ] {
        let request = Request { doses: true, sealed, ..scan(formula, family, VARIANTS) };
        let mut worst: f64 = 0.0;
        let mut tested = [0; 3];
        for run in world.both(&request) {
            for (variant, row) in of(run.found()).rows.iter().enumerate() {
                let doses = &rows[variant].0;
                let known: Vec<f64> =
                    world.taking.iter().filter_map(|at| copies_of(doses[*at])).collect();
                let (count, sum) = (known.len() as f64, known.iter().sum::<f64>());
                if count < 0.95 * world.taking.len() as f64 {
                    assert_eq!(row.skipped, Some(Skipped::Missing), "{variant}");
                    continue;
                }
                let calls = &called[variant];
                let rare = few(&world, |at| matches!(calls[at], 1 | 2))
                    || few(&world, |at| calls[at] < 2)
                    || sum < 0.02 * count;
                if rare {
                    assert_eq!(row.skipped, Some(Skipped::Rare), "{variant}");
                    continue;
                }
                tested[variant % 3] += 1;
                assert_eq!(row.observed, count);
                assert!((row.alternative - sum).abs() < 1e-9, "{variant}");
                assert!(variant % 3 > 0 || row.alternative.fract() == 0.0);
                let dose = |at: &usize| copies_of(doses[*at]).unwrap_or(sum / count);
                let g: Vec<f64> = world.taking.iter().map(dose).collect();
                let wanted = if family == "gaussian" {
                    pooled_linear(&world.rows, &y, &g)
                } else {
                    let (score, variance) = pooled_score(&world.rows, &ill, &g, &null);
                    (score / variance, variance.sqrt().recip())
                };
                worst = worst.max(apart(row, wanted));
            }
        }
        say(&format!("gwas doses {family} sealed {sealed}: {:.1} digits", -worst.log10()));
        assert!(worst < 1e-7, "{family} {worst}");
        assert!(tested.iter().all(|it| *it > 20), "{tested:?}");
    }
}

fn same(one: f64, other: f64) -> bool {
    (one.is_nan() && other.is_nan()) || (one - other).abs() <= 1e-9 * other.abs().max(1e-3)
}

fn assert_same(one: &ScanRow, other: &ScanRow, how: &str) {
    let numbers = |it: &ScanRow| {
        let effect = [it.beta, it.error, it.statistic, it.log10_p, it.heterogeneity];
        (effect, [it.observed, it.alternative])
    };
    let ((mine, counts), (others, other_counts)) = (numbers(one), numbers(other));
    let alike = mine.iter().zip(&others).all(|(one, other)| same(*one, *other));
    let alike = alike && counts.iter().zip(&other_counts).all(|(one, other)| same(*one, *other));
    assert!(alike && one.skipped == other.skipped, "{how}: {one:?} {other:?}");
    assert_eq!(one.corrected, other.corrected, "{how}");
}

/// Genotypes of which some are missing, with doses that know them all, are those genotypes: in whatever
/// way a scan is asked for. Without `doses` they are what the genotypes say.
#[test]
fn doses_that_are_whole_are_genotypes() {
    let whole = world(&[150, 220, 180]);
    let mut next = crate::gwas::random(5);
    let hidden = |row: &Vec<u8>| {
        row.iter().map(|it| if next() < 0.04 { MISSING } else { *it }).collect::<Vec<u8>>()
    };
    let with_holes: Vec<Vec<u8>> = whole.genotypes.iter().map(hidden).collect();
    let row = |row: &Vec<u8>| -> Row { (row.iter().map(|it| dose_of(*it)).collect(), |_| true) };
    let rows: Vec<Row> = whole.genotypes.iter().map(row).collect();
    let dosed = dosed(&whole.people, &with_holes, &rows);
    let linear = scan("y ~ age + pc", "gaussian", VARIANTS);
    let logistic = scan("ill ~ age + pc", "binomial", VARIANTS);
    let spa = Request { correct: Some("spa".to_owned()), below: Some(0.05), ..logistic };
    let firth = Request { correct: Some("firth".to_owned()), ..spa.clone() };
    let hits = Request { show: Some("hits".to_owned()), correct: None, ..spa.clone() };
    let condition = vec!["v4".to_owned(), "v0".to_owned()];
    let conditioned = Request { condition, condition_at: vec![4, 0], ..linear.clone() };
    let meta = Request { meta: true, ..linear.clone() };
    let more = Request { traits: vec!["age".to_owned()], ..scan("y ~ pc", "gaussian", VARIANTS) };
    for (how, request) in [
        ("linear", linear.clone()),
        ("spa", spa),
        ("firth", firth),
        ("hits", hits),
        ("condition", conditioned),
        ("meta", meta),
        ("traits", more),
    ] {
        let wanted = whole.network.on_ideal(&request);
        let found = dosed.on_ideal(&Request { doses: true, ..request });
        let scans = wanted.found().scans.iter().zip(&found.found().scans);
        let mut tested = 0;
        for (wanted, found) in scans {
            assert_eq!(wanted.rows.len(), found.rows.len());
            for (wanted, found) in wanted.rows.iter().zip(&found.rows) {
                // who counts as having an allele is as in the genotypes that are known
                if wanted.skipped.is_none() && wanted.alternative > 0.1 * wanted.observed {
                    assert_same(found, wanted, how);
                    tested += usize::from(found.skipped.is_none());
                }
            }
        }
        assert!(tested >= if how == "hits" { 2 } else { 30 }, "{how} {tested}");
    }
    let without = network(&whole.people, &with_holes).on_ideal(&linear);
    let found = dosed.on_ideal(&linear);
    for (one, other) in of(without.found()).rows.iter().zip(&of(found.found()).rows) {
        assert_same(one, other, "without doses");
    }
}

/// Three patients of a centre may have an allele that none of it has by the genotypes: where what a centre
/// brings must be nothing or enough, that is neither.
#[test]
fn doses_of_a_few_patients_are_not_shown_where_others_could_subtract() {
    let (people, _) = made(&[60, 70, 80], 2);
    let of_first = |at: usize| people[at].centre() == 0;
    let carries = |at: usize| !of_first(at) && at.is_multiple_of(3);
    let calls = |unclear: bool| -> Vec<u8> {
        let call = |at| if unclear && at < 3 { MISSING } else { u8::from(carries(at)) };
        (0..people.len()).map(call).collect()
    };
    let doses = |unclear: bool| -> Row {
        let dose = |at| match unclear && at < 3 {
            true => DOSE_COPY / 2,
            false => dose_of(u8::from(carries(at))),
        };
        ((0..people.len()).map(dose).collect(), |_| true)
    };
    let called = [calls(true), calls(false)];
    let network = dosed(&people, &called, &[doses(true), doses(false)]);
    let request = Request { doses: true, ..scan("y ~ age", "gaussian", 2) };
    let skipped = |network: &Network| -> Vec<Option<Skipped>> {
        let run = network.on_shares(&request);
        of(run.found()).rows.iter().map(|it| it.skipped).collect()
    };
    assert_eq!(skipped(&network), [None, None]);
    let policy = Policy { residual: Residual::AllButOne, ..Policy::default() };
    assert_eq!(skipped(&network.under(policy)), [Some(Skipped::Rare), None]);
}

#[test]
fn doses_are_refused_where_genotypes_are_meant() {
    let (people, genotypes) = made(&[60, 70, 80], 3);
    let network = network(&people, &genotypes);
    let asked = Request { doses: true, ..scan("y ~ age", "gaussian", 3) };
    let refused =
        |request: &Request| prepare(request, &network.dictionary).err().map(|it| it.code());
    assert_eq!(refused(&asked), None);
    for wrong in [
        Request { coding: Some("dominant".to_owned()), ..asked.clone() },
        Request { hwe: Some(1e-6), ..asked.clone() },
        Request { kind: "variant_qc".to_owned(), formula: None, family: None, ..asked },
    ] {
        assert_eq!(refused(&wrong), Some("K0220"), "{wrong:?}");
    }
}
