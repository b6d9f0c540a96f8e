//! Scans of chromosome X: what a man's one copy counts; and a centre of which nobody takes part.

use crate::gwas::{imputed, logistic, of, pooled_linear, pooled_score, scan};
use crate::gwas_more::{VARIANTS, World, apart, world};
use crate::reference::say;
use konsil_analyses::{AnalysisError, Request, Skipped, prepare};
use konsil_cohort::{CohortError, Genotypes, Pseudonym, Sex};
use konsil_kernels::{MISSING, Packed};
use std::sync::Arc;

/// The variants that stand for X.
const X: std::ops::Range<usize> = 20..40;

/// Genotypes with the sexes of their people.
#[derive(Debug)]
struct Sexed {
    held: Arc<dyn Genotypes>,
    sexes: Vec<Sex>,
}

impl Genotypes for Sexed {
    fn panel_hash(&self) -> &str {
        self.held.panel_hash()
    }

    fn variants(&self) -> usize {
        self.held.variants()
    }

    fn people(&self) -> &[Pseudonym] {
        self.held.people()
    }

    fn sexes(&self) -> &[Sex] {
        &self.sexes
    }

    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
        self.held.read(first, count)
    }
}

fn sex(person: usize) -> Sex {
    match person % 37 {
        5 => Sex::Unknown,
        it if it % 2 == 0 => Sex::Male,
        _ => Sex::Female,
    }
}

/// People with sexes; on X men have 0 or 2, and some wrongly 1.
fn with_sexes() -> World {
    let mut world = world(&[150, 220, 180]);
    for (variant, row) in world.genotypes.iter_mut().enumerate().filter(|it| X.contains(&it.0)) {
        for (person, genotype) in row.iter_mut().enumerate() {
            if sex(person) == Sex::Male && *genotype == 1 && (person + variant) % 40 > 0 {
                *genotype = if person % 4 == 0 { 2 } else { 0 };
            }
        }
    }
    world.network = crate::gwas::network(&world.people, &world.genotypes);
    let mut first = 0;
    for dataset in &mut world.network.centres {
        let own = dataset.pseudonyms().unwrap();
        let held = Arc::clone(dataset.genotypes().unwrap());
        let place = |it: &Pseudonym| own.iter().position(|own| own == it).unwrap();
        let sexes = held.people().iter().map(|it| sex(first + place(it))).collect();
        first += own.len();
        *dataset = dataset.clone().with_genotypes(Arc::new(Sexed { held, sexes }));
    }
    world
}

fn on_x(formula: &str, family: &str, men: &str) -> Request {
    let x = [X.start, X.end].map(|it| u32::try_from(it).unwrap()).to_vec();
    Request { men: Some(men.to_owned()), x, ..scan(formula, family, VARIANTS) }
}

/// A man's copy of X counts one; who has two as a man, or no sex, is missing there.
#[test]
fn copies_of_men_count_one() {
    let world = with_sexes();
    let (y, ill) = (world.column(0), world.column(1));
    let null = logistic(&world.rows, &ill);
    for (formula, family) in [("y ~ age + pc", "gaussian"), ("ill ~ age + pc", "binomial")] {
        let (mut worst, mut tested): (f64, _) = (0.0, 0);
        for sealed in [false, true] {
            let request = Request { sealed, ..on_x(formula, family, "one") };
            for run in world.both(&request) {
                let rows = of(run.found()).rows.iter().zip(&world.genotypes).enumerate();
                for (variant, (row, genotypes)) in rows {
                    if row.skipped.is_some() {
                        continue;
                    }
                    tested += usize::from(X.contains(&variant));
                    let mut stand = genotypes.clone();
                    if X.contains(&variant) {
                        for (person, it) in stand.iter_mut().enumerate() {
                            let wrong = sex(person) == Sex::Male && *it == 1;
                            if wrong || sex(person) == Sex::Unknown {
                                *it = MISSING;
                            }
                        }
                    }
                    let copies: u32 = world.taking.iter().map(|at| u32::from(stand[*at] % 3)).sum();
                    assert_eq!(row.alternative, f64::from(copies));
                    let count = |(person, it): (usize, &u8)| {
                        let single = X.contains(&variant) && sex(person) == Sex::Male && *it == 2;
                        if single { 1 } else { *it }
                    };
                    let counted: Vec<u8> = stand.iter().enumerate().map(count).collect();
                    let g = imputed(&counted, &world.taking);
                    let wanted = if family == "gaussian" {
                        pooled_linear(&world.rows, &y, &g)
                    } else {
                        let (score, variance) = pooled_score(&world.rows, &ill, &g, &null);
                        (score / variance, variance.sqrt().recip())
                    };
                    worst = worst.max(apart(row, wanted));
                }
            }
        }
        assert!(tested > 40, "{tested}");
        say(&format!("gwas X {family}: {:.1} digits", -worst.log10()));
        assert!(worst < 2e-8, "{family} {worst}");
    }
}

/// Of X, where men have no proportions, none is out of proportion; of the rest as before.
#[test]
fn proportions_are_not_judged_on_x() {
    let world = with_sexes();
    let plain = Request { hwe: Some(1e-4), ..scan("y ~ age", "gaussian", VARIANTS) };
    let of_x = |request: &Request| {
        let run = world.network.on_ideal(request);
        let rows = of(run.found()).rows.iter().enumerate();
        let uneven = rows.filter(|(_, row)| row.skipped == Some(Skipped::Uneven));
        uneven.map(|(at, _)| X.contains(&at)).collect::<Vec<bool>>()
    };
    let told = of_x(&Request { hwe: Some(1e-4), ..on_x("y ~ age", "gaussian", "two") });
    assert!(of_x(&plain).iter().filter(|it| **it).count() > 5);
    assert_eq!(told.iter().filter(|it| **it).count(), 0);
    let others = of_x(&plain).iter().filter(|it| !**it).count();
    assert_eq!(told.iter().filter(|it| !**it).count(), others);
}

/// What makes no sense is refused, and a centre that knows no sexes says so.
#[test]
fn requests_of_x_that_cannot_be_met_are_refused() {
    let world = with_sexes();
    let some = |text: &str| Some(text.to_owned());
    let fine = on_x("ill ~ age", "binomial", "one");
    for wrong in [
        Request { men: some("three"), ..fine.clone() },
        Request { x: Vec::new(), ..fine.clone() },
        Request { x: vec![5, 5], ..fine.clone() },
        Request { x: vec![5, 61], ..fine.clone() },
        Request { coding: some("dominant"), ..fine.clone() },
        Request { correct: some("spa"), ..fine.clone() },
        Request { condition: vec!["rs1".to_owned()], condition_at: vec![25], ..fine.clone() },
    ] {
        let refused = prepare(&wrong, &world.network.dictionary).err();
        assert_eq!(refused.as_ref().map(AnalysisError::code), Some("K0220"), "{wrong:?}");
    }
    let sexless = crate::gwas_more::world(&[60, 60, 60]);
    let refused = sexless.network.on_ideal(&fine);
    let refused = refused.refused().to_string();
    assert!(refused.contains("sexes are not known"), "{refused}");
}

/// A centre whose people all miss a covariate adds nothing, and the others' result is theirs.
#[test]
fn a_centre_of_which_nobody_takes_part_adds_nothing() {
    let mut world = world(&[150, 220, 180, 20]);
    for person in world.people.iter_mut().filter(|it| it.centre() == 3) {
        person.values[3] = String::new();
    }
    world.network = crate::gwas::network(&world.people, &world.genotypes);
    world.taking = (0..550).filter(|at| world.taking.contains(at)).collect();
    world.rows.truncate(world.taking.len());
    let (y, ill) = (world.column(0), world.column(1));
    let null = logistic(&world.rows, &ill);
    for (formula, family, sealed) in [
        ("ill ~ age + pc", "binomial", false),
        ("ill ~ age + pc", "binomial", true),
        ("y ~ age + pc", "gaussian", false),
    ] {
        let request = Request { sealed, ..scan(formula, family, VARIANTS) };
        let (mut worst, mut tested): (f64, _) = (0.0, 0);
        for run in world.both(&request) {
            for (row, genotypes) in of(run.found()).rows.iter().zip(&world.genotypes) {
                if row.skipped.is_none() {
                    tested += 1;
                    let g = imputed(genotypes, &world.taking);
                    let (score, variance) = pooled_score(&world.rows, &ill, &g, &null);
                    let wanted = match family {
                        "gaussian" => pooled_linear(&world.rows, &y, &g),
                        _ => (score / variance, variance.sqrt().recip()),
                    };
                    worst = worst.max(apart(row, wanted));
                }
            }
        }
        assert!(tested > 80 && worst < 2e-8, "{family} {sealed}: {tested} {worst}");
    }
}
