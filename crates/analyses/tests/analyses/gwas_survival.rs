//! Scans of survival times: each variant against a Cox model of all patients on the same windows, found
//! once more in the clear; what is refused.

use crate::gwas::{Person, far, imputed, made, network_of, of, random, scan, solve, times};
use crate::gwas_more::VARIANTS;
use crate::reference::say;
use crate::support::{Network, Run, number};
use konsil_analyses::log_tails::normal;
use konsil_analyses::{Request, ScanTest, Skipped, prepare};
use konsil_disclosure::{Policy, Residual, Rounding};

const DICTIONARY: &str = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
    pid,Patient,category,,,,,,,,identifier,\n\
    months,Months,number,months,,0,60,1,,,,\n\
    died,Died,boolean,,,,,,,,,\n\
    age,Age,number,,,0,100,,,,,\n\
    pc,Component,number,,,-5,5,,,,,\n\
    man,Man,boolean,,,,,,,,,\n\
    late,Late,number,months,,0,60,1,,,,\n";

/// Made-up patients with follow-up: numbers are time, event, age, component, man.
struct World {
    people: Vec<Person>,
    genotypes: Vec<Vec<u8>>,
    network: Network,
    taking: Vec<usize>,
}

fn world(sizes: &[usize]) -> World {
    let (mut people, genotypes) = made(sizes, VARIANTS);
    let mut next = random(77);
    for (at, person) in people.iter_mut().enumerate() {
        let (age, pc) = (person.numbers[2], person.numbers[3]);
        let copies = |variant: usize| f64::from(genotypes[variant][at] % 3);
        let man = next() < 0.4;
        let hazard = 0.004
            * (0.03 * age + 0.3 * pc + 0.5 * f64::from(u8::from(man)) + 0.5 * copies(1)
                - 0.4 * copies(2))
            .exp();
        let (event, end) = (-(1.0 - next()).ln() / hazard, 5.0 + 50.0 * next());
        let time = (event.min(end) * 10.0).round() / 10.0;
        // every fiftieth, and who comes last, misses a covariate
        let left_out = at % 50 == 7 || person.centre() == 3;
        let age_text = if left_out { String::new() } else { age.to_string() };
        let died = event <= end;
        let id = person.values[0].clone();
        let values = [time.to_string(), died.to_string(), age_text, pc.to_string()];
        person.values = [vec![id], values.to_vec(), vec![man.to_string(), "0".to_owned()]].concat();
        let flag = |it: bool| f64::from(u8::from(it));
        person.numbers = vec![time, flag(died), age, pc, flag(man)];
    }
    let network = network_of(&people, &genotypes, (DICTIONARY, "pid,months,died,age,pc,man,late"));
    let taking = (0..people.len()).filter(|at| at % 50 != 7 && people[*at].centre() < 3).collect();
    World { people, genotypes, network, taking }
}

fn survival(formula: &str) -> Request {
    Request { family: None, ..scan(formula, "", VARIANTS) }
}

fn step(time: f64) -> usize {
    let tenths = (0..=600_u16).find(|it| (f64::from(*it) - time * 10.0).abs() < 0.5);
    usize::from(tenths.unwrap())
}

impl World {
    fn person(&self, at: usize) -> &Person {
        &self.people[at]
    }

    fn column(&self, place: usize) -> Vec<f64> {
        self.taking.iter().map(|at| self.person(*at).numbers[place]).collect()
    }

    fn rows(&self, places: &[usize]) -> Vec<Vec<f64>> {
        let row = |at: &usize| places.iter().map(|it| self.person(*at).numbers[*it]).collect();
        self.taking.iter().map(row).collect()
    }

    fn both(&self, request: &Request) -> [Run; 2] {
        [self.network.on_ideal(request), self.network.on_shares(request)]
    }

    /// The window of each patient, by the rules as the documentation has them; `sets` are 0 or 1.
    fn windows(&self, sets: &[Vec<f64>]) -> (Vec<usize>, usize) {
        let points: Vec<usize> = self.column(0).iter().map(|it| step(*it)).collect();
        let events = self.column(1);
        let all = vec![1.0; events.len()];
        let left: Vec<Vec<f64>> =
            sets.iter().map(|set| set.iter().map(|it| 1.0 - it).collect()).collect();
        let groups: Vec<&Vec<f64>> = [&events, &all].into_iter().chain(sets).chain(&left).collect();
        let enough = |group: &[f64], within: &dyn Fn(usize) -> bool| {
            let mut by_centre = vec![0.0; self.network.centres.len()];
            for (row, (point, member)) in points.iter().zip(group).enumerate() {
                if within(*point) {
                    by_centre[self.person(self.taking[row]).centre()] += member;
                }
            }
            let total: f64 = by_centre.iter().sum();
            let least = self.network.policy.threshold as f64;
            let residual = |own: &f64| match self.network.policy.residual {
                Residual::OneCentre => total - own,
                Residual::AllButOne => *own,
                _ => 0.0,
            };
            total >= least && by_centre.iter().map(residual).all(|it| it == 0.0 || it >= least)
        };
        let in_all: f64 = events.iter().sum();
        let mut ends: Vec<usize> = Vec::new();
        for part in 1..16 {
            let before = ends.last().copied();
            let since = |point: usize| before.is_none_or(|before| point > before);
            let fine = |end: &usize| {
                let happened: f64 = points
                    .iter()
                    .zip(&events)
                    .filter(|(point, _)| *point <= end)
                    .map(|(_, event)| event)
                    .sum();
                since(*end)
                    && 16.0 * happened >= f64::from(part) * in_all
                    && groups.iter().all(|group| {
                        enough(group, &|point| since(point) && point <= *end)
                            && enough(group, &|point| point > *end)
                    })
            };
            let Some(end) = (1..128).map(|at| at * 601 / 128 - 1).find(fine) else { break };
            ends.push(end);
        }
        let window = |point: &usize| ends.iter().filter(|end| *point > **end).count();
        (points.iter().map(window).collect(), ends.len() + 1)
    }
}

/// Score and information of a Cox model, ties by Breslow, with columns in the clear.
fn cox(
    rows: &[Vec<f64>],
    (ends, events): (&[usize], &[f64]),
    beta: &[f64],
) -> (Vec<f64>, Vec<Vec<f64>>) {
    let p = beta.len();
    let (mut score, mut information) = (vec![0.0; p], vec![vec![0.0; p]; p]);
    for window in 0..16 {
        let (mut s0, mut s1, mut s2) = (0.0, vec![0.0; p], vec![vec![0.0; p]; p]);
        let mut happened = 0.0;
        for ((row, end), event) in rows.iter().zip(ends).zip(events) {
            if *end < window {
                continue;
            }
            let risk = times(row, beta).exp();
            s0 += risk;
            for i in 0..p {
                s1[i] += risk * row[i];
                for j in 0..p {
                    s2[i][j] += risk * row[i] * row[j];
                }
            }
            if *end == window && *event > 0.0 {
                happened += 1.0;
                score.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        if happened == 0.0 {
            continue;
        }
        for i in 0..p {
            score[i] -= happened * s1[i] / s0;
            for j in 0..p {
                information[i][j] += happened * (s2[i][j] / s0 - s1[i] * s1[j] / (s0 * s0));
            }
        }
    }
    (score, information)
}

/// Coefficients of the model without variants.
fn fitted(rows: &[Vec<f64>], followed: (&[usize], &[f64])) -> Vec<f64> {
    let mut beta = vec![0.0; rows[0].len()];
    for _ in 0..25 {
        let (score, information) = cox(rows, followed, &beta);
        let change = solve(information, score);
        beta.iter_mut().zip(change).for_each(|(beta, change)| *beta += change);
    }
    beta
}

/// Score of a variant and its information given the covariates, at the model without it.
fn pooled(rows: &[Vec<f64>], followed: (&[usize], &[f64]), g: &[f64], beta: &[f64]) -> (f64, f64) {
    let with: Vec<Vec<f64>> =
        rows.iter().zip(g).map(|(row, g)| [row.as_slice(), &[*g]].concat()).collect();
    let (score, information) = cox(&with, followed, &[beta, &[0.0]].concat());
    let p = beta.len();
    let own: Vec<f64> = (0..p).map(|at| information[p][at]).collect();
    let among = information[..p].iter().map(|row| row[..p].to_vec()).collect();
    (score[p], information[p][p] - times(&own, &solve(among, own.clone())))
}

/// Covariates moved to their middle: effects stay, numbers are smaller.
fn centred(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let p = rows[0].len();
    let mean = |at: usize| rows.iter().map(|row| row[at]).sum::<f64>() / rows.len() as f64;
    let means: Vec<f64> = (0..p).map(mean).collect();
    rows.iter().map(|row| row.iter().zip(&means).map(|(x, mean)| x - mean).collect()).collect()
}

/// The window in which each patient's follow-up ends, and whether there is an event.
type Followed<'a> = (&'a [usize], &'a [f64]);

/// How far the rows of a run are from the pooled model, and how many were tested.
fn worst(
    world: &World,
    run: &Run,
    (rows, followed): (&[Vec<f64>], Followed<'_>),
    coded: &dyn Fn(&[u8]) -> Vec<u8>,
) -> (f64, usize) {
    let rows = centred(rows);
    let beta = fitted(&rows, followed);
    let (mut worst, mut tested): (f64, usize) = (0.0, 0);
    let scan = of(run.found());
    assert_eq!((scan.test, scan.response.as_str()), (ScanTest::Cox, "died"));
    for (row, genotypes) in scan.rows.iter().zip(&world.genotypes) {
        if row.skipped.is_some() {
            continue;
        }
        tested += 1;
        let g = imputed(&coded(genotypes), &world.taking);
        let (score, variance) = pooled(&rows, followed, &g, &beta);
        let (beta, error) = (score / variance, variance.sqrt().recip());
        worst = worst.max(far(row.error, error)).max(((row.beta - beta) / error).abs());
        worst = worst.max((row.statistic - beta / error).abs());
        worst = worst.max((row.log10_p - normal(beta / error)).abs());
    }
    (worst, tested)
}

/// Each variant on both backends, with a small centre of which nobody takes part, whoever subtracts;
/// with a column that picks out patients, which makes windows wider, and without one.
#[test]
fn variants_are_as_in_a_pooled_cox_model() {
    let mut world = world(&[150, 220, 180, 3]);
    let (men, events) = (world.column(4), world.column(1));
    let mut counts = Vec::new();
    for residual in [Residual::None, Residual::OneCentre, Residual::AllButOne] {
        world.network.policy.residual = residual;
        for (formula, places, sets) in [
            ("Surv(months, died) ~ age + pc + man", &[2, 3, 4][..], vec![men.clone()]),
            ("Surv(months, died) ~ age + pc", &[2, 3], vec![]),
        ] {
            let (ends, count) = world.windows(&sets);
            counts.push(count);
            let rows = world.rows(places);
            for run in world.both(&survival(formula)) {
                let glance = &run.found().tables[0];
                assert_eq!(number(glance, 0, "windows"), count as f64, "{residual:?}");
                assert_eq!(number(glance, 0, "nevent"), events.iter().sum::<f64>());
                let plain = |row: &[u8]| row.to_vec();
                let (worst, tested) = worst(&world, &run, (&rows, (&ends, &events)), &plain);
                assert!(tested > 30, "{tested}");
                say(&format!("gwas {formula} {residual:?}, {count} windows: {worst:.1e}"));
                assert!(worst < 1e-7, "{formula} {residual:?} {worst}");
            }
        }
    }
    // who subtracts, and who is picked out, makes a difference
    assert!(counts.iter().all(|it| *it > 1), "{counts:?}");
    assert!(counts[4] < counts[0] && counts[4] <= counts[5], "{counts:?}");
}

/// One allele, variants as covariates, part of the panel, proportions, hits alone and principal axes.
#[test]
fn options_of_scans_hold_for_survival_times() {
    let world = world(&[150, 220, 180]);
    let events = world.column(1);
    let (ends, _) = world.windows(&[]);
    let followed = (ends.as_slice(), events.as_slice());
    let formula = "Surv(months, died) ~ age + pc";
    let dominant = Request { coding: Some("dominant".to_owned()), ..survival(formula) };
    let rows = world.rows(&[2, 3]);
    let one = |row: &[u8]| row.iter().map(|it| if *it == 2 { 1 } else { *it }).collect();
    for run in world.both(&dominant) {
        let (worst, tested) = worst(&world, &run, (&rows, followed), &one);
        assert!(tested > 30 && worst < 1e-7, "{tested} {worst}");
    }
    let conditioned = Request {
        range: vec![0, 20],
        hwe: Some(1e-6),
        condition: vec!["rs4".to_owned(), "rs0".to_owned()],
        condition_at: vec![4, 0],
        ..survival(formula)
    };
    let with = [0, 4].map(|at| imputed(&world.genotypes[at], &world.taking));
    let more: Vec<Vec<f64>> = (rows.iter().enumerate())
        .map(|(at, row)| [row.as_slice(), &[with[0][at], with[1][at]]].concat())
        .collect();
    let plain = |row: &[u8]| row.to_vec();
    for run in world.both(&conditioned) {
        let scan = of(run.found());
        assert_eq!(scan.rows.len(), 20);
        assert!([0, 4].iter().all(|at| scan.rows[*at].skipped == Some(Skipped::Collinear)));
        let (worst, tested) = worst(&world, &run, (&more, followed), &plain);
        assert!(tested > 8 && worst < 1e-7, "{tested} {worst}");
    }
    let all = world.network.on_ideal(&survival(formula));
    let hits = Request { show: Some("hits".to_owned()), below: Some(0.05), ..survival(formula) };
    let mut shown = 0;
    for run in world.both(&hits) {
        for (row, all) in of(run.found()).rows.iter().zip(&of(all.found()).rows) {
            let hit = all.skipped.is_none() && all.log10_p >= -(0.05_f64.log10());
            assert_eq!(row.skipped.is_none(), hit, "{all:?} {row:?}");
            if hit {
                shown += 1;
                assert!(((row.beta - all.beta) / all.error).abs() < 5e-7);
            }
        }
    }
    assert!((4..60).contains(&shown), "{shown}");
    let axes = Request { axes: Some(2), ..survival("Surv(months, died) ~ age") };
    let [ideal, shares] = world.both(&axes);
    let pairs = of(ideal.found()).rows.iter().zip(&of(shares.found()).rows);
    for (one, other) in pairs.filter(|(one, _)| one.skipped.is_none()) {
        assert!((one.statistic - other.statistic).abs() < 1e-5, "{one:?} {other:?}");
    }
}

/// What a scan costs: the rounds of windows and model, and bytes that grow with the columns.
#[test]
fn costs_are_those_of_the_windows_too() {
    let world = world(&[150, 220, 180]);
    let run = world.network.on_shares(&survival("Surv(months, died) ~ age + pc"));
    assert_eq!((run.cost.rounds, run.cost.bytes), (1893, 1_964_892));
    let opened = |name: &str| {
        let lines = run.ledger.lines().iter().filter(|line| line.opening.name == name);
        lines.map(|line| line.numbers).sum::<u64>()
    };
    // all events, 15 ends, 16 windows' events; sums over 16 windows of a risk and two covariates
    assert_eq!((opened("gwas.windows"), opened("gwas.risks")), (32, 48));
    assert_eq!((opened("gwas.covariates"), opened("cox.step")), (3, 16));
    let plain = world.network.on_shares(&scan("died ~ age + pc", "binomial", VARIANTS));
    assert!(plain.ledger.lines().iter().all(|line| line.opening.name != "gwas.windows"));
}

/// What is refused, and by which code.
#[test]
fn what_survival_times_do_not_take_is_refused() {
    let mut world = world(&[100, 100, 100]);
    let fine = survival("Surv(months, died) ~ age");
    assert!(prepare(&fine, &world.network.dictionary).is_ok());
    let formula = |text: &str| Request { formula: Some(text.to_owned()), ..fine.clone() };
    for (wrong, what) in [
        (Request { sealed: true, ..fine.clone() }, "without `sealed`"),
        (Request { meta: true, ..fine.clone() }, "without `meta`"),
        (Request { traits: vec!["pc".to_owned()], ..fine.clone() }, "without `traits`"),
        (Request { correct: Some("spa".to_owned()), ..fine.clone() }, "without `correct`"),
        (Request { family: Some("binomial".to_owned()), ..fine.clone() }, "without `family`"),
        (
            Request { background: Some(0.5), chromosomes: vec![0, 30], ..fine.clone() },
            "without `background`",
        ),
        (formula("Surv(late, months, died) ~ age"), "enter late"),
        (formula("Surv(months, died) ~ age + strata(man)"), "strata()"),
        (formula("Surv(months, died) ~ age + offset(pc)"), "no offset"),
        (Request { iterations: Some(1), ..fine.clone() }, "iterations"),
    ] {
        let error = prepare(&wrong, &world.network.dictionary).err();
        let error = error.map(|it| (it.code(), it.to_string()));
        assert!(
            error.as_ref().is_some_and(|(code, it)| *code == "K0220" && it.contains(what)),
            "{what}: {error:?}"
        );
    }
    let burden = Request { kind: "burden".to_owned(), ..fine.clone() };
    assert!(prepare(&burden, &world.network.dictionary).is_err());
    let code = |run: Run| run.findings.err().map(|it| it.code());
    let short = Request { iterations: Some(2), ..fine.clone() };
    assert_eq!(code(world.network.on_shares(&short)), Some("K0223"));
    world.network.policy.rounding = Rounding::Midpoint6;
    assert_eq!(code(world.network.on_shares(&fine)), Some("K0220"));
    world.network.policy = Policy { threshold: 200, ..world.network.policy.clone() };
    world.network.policy.rounding = Rounding::None;
    assert_eq!(code(world.network.on_shares(&fine)), Some("K0501"));
}
