//! Genome-wide scans: each variant against a pooled regression of its own, PLINK 2 on real genotypes,
//! floors, and what has no genotypes.

use crate::reference::say;
use crate::support::{Network, model, number};
use konsil_analyses::{AnalysisError, Request, Scan, Skipped, prepare};
use konsil_cohort::{CohortError, Dictionary, Genotypes, Pseudonym};
use konsil_disclosure::{Policy, Residual};
use konsil_kernels::{MISSING, Packed};
use std::sync::Arc;

/// SHA-256 of no panel in particular.
pub(crate) const PANEL: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Genotypes in memory, `[variant][person]`.
#[derive(Debug)]
pub(crate) struct InMemory {
    pub(crate) people: Vec<Pseudonym>,
    pub(crate) genotypes: Vec<Vec<u8>>,
}

pub(crate) fn packed(genotypes: &[Vec<u8>], people: usize) -> Packed {
    let stride = Packed::stride_of(people);
    let mut words = vec![0_u64; stride * genotypes.len()];
    for (row, into) in genotypes.iter().zip(words.chunks_mut(stride)) {
        for (person, genotype) in row.iter().enumerate() {
            into[person / 32] |= u64::from(*genotype) << (2 * (person % 32));
        }
    }
    Packed::new(people, words).unwrap()
}

impl Genotypes for InMemory {
    fn panel_hash(&self) -> &str {
        PANEL
    }

    fn variants(&self) -> usize {
        self.genotypes.len()
    }

    fn people(&self) -> &[Pseudonym] {
        &self.people
    }

    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
        Ok(packed(&self.genotypes[first..first + count], self.people.len()))
    }
}

/// A person: centre, values of the dictionary's columns, genotypes.
#[derive(Clone)]
pub(crate) struct Person {
    centre: usize,
    id: String,
    pub(crate) values: Vec<String>,
    pub(crate) numbers: Vec<f64>,
}

impl Person {
    pub(crate) fn new(centre: usize, id: String, values: Vec<String>) -> Self {
        Self { centre, id, values, numbers: Vec::new() }
    }

    pub(crate) fn centre(&self) -> usize {
        self.centre
    }
}

/// Numbers that look random, from 0 to 1.
pub(crate) fn random(mut seed: u64) -> impl FnMut() -> f64 {
    move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

pub(crate) const DICTIONARY: &str = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
    pid,Patient,category,,,,,,,,identifier,\n\
    y,Trait,number,,,-20,20,,,,,\n\
    ill,Ill,boolean,,,,,,,,,\n\
    age,Age,number,,,0,100,,,,,\n\
    pc,Component,number,,,-5,5,,,,,\n";

/// Made-up people, with values and genotypes that go along with them.
pub(crate) fn made(sizes: &[usize], variants: usize) -> (Vec<Person>, Vec<Vec<u8>>) {
    let mut next = random(11);
    let mut people = Vec::new();
    for (centre, size) in sizes.iter().enumerate() {
        for at in 0..*size {
            let (age, pc) = (20.0 + 60.0 * next(), 4.0 * (next() - 0.5) + 0.1 * centre as f64);
            people.push(Person {
                centre,
                id: format!("c{centre}p{at}"),
                values: Vec::new(),
                numbers: vec![0.0, 0.0, age, pc],
            });
        }
    }
    let mut genotypes = Vec::new();
    for variant in 0..variants {
        let frequency = 0.01 + 0.5 * next();
        let mut row = Vec::new();
        for person in &people {
            let p = (frequency + 0.03 * person.numbers[3]).clamp(0.002, 0.9);
            let copies = u8::from(next() < p) + u8::from(next() < p);
            let known = next() > 0.01 * (variant % 4) as f64;
            row.push(if known { copies } else { MISSING });
        }
        genotypes.push(row);
    }
    for (at, person) in people.iter_mut().enumerate() {
        let copies = |variant: usize| f64::from(genotypes[variant][at] % 3);
        let noise: f64 = (0..6).map(|_| next() - 0.5).sum();
        let [_, _, age, pc] = person.numbers[..] else { unreachable!() };
        let y = 0.02 * age + 0.5 * pc + 0.4 * copies(0) + 2.0 * noise;
        let ill = next() < 1.0 / (1.0 + (2.0 - 0.03 * age - 0.6 * copies(1)).exp());
        // every fiftieth misses a covariate, and takes no part
        let age_text = if at % 50 == 7 { String::new() } else { age.to_string() };
        person.values =
            vec![person.id.clone(), y.to_string(), ill.to_string(), age_text, pc.to_string()];
        person.numbers = vec![y, f64::from(u8::from(ill)), age, pc];
    }
    (people, genotypes)
}

/// A network of these people, each centre's genotypes in an order of their own.
pub(crate) fn network(people: &[Person], genotypes: &[Vec<u8>]) -> Network {
    network_of(people, genotypes, (DICTIONARY, "pid,y,ill,age,pc"))
}

/// The same with another dictionary and its columns.
pub(crate) fn network_of(
    people: &[Person],
    genotypes: &[Vec<u8>],
    (dictionary, columns): (&str, &str),
) -> Network {
    let dictionary = Dictionary::parse("genes", dictionary).unwrap();
    let centres = people.iter().map(|it| it.centre).max().unwrap() + 1;
    let own = |centre: usize| people.iter().enumerate().filter(move |(_, it)| it.centre == centre);
    let file = |centre: usize| {
        let lines = own(centre).map(|(_, it)| it.values.join(",") + "\n");
        format!("{columns}\n") + &lines.collect::<String>()
    };
    let files: Vec<String> = (0..centres).map(file).collect();
    let mut network = Network::new(dictionary, &files);
    for (centre, dataset) in network.centres.iter_mut().enumerate() {
        let pseudonyms = dataset.pseudonyms().unwrap();
        let places: Vec<usize> = own(centre).map(|(at, _)| at).collect();
        let mut order: Vec<usize> = (0..places.len()).rev().collect();
        let half = order.len() / 3;
        order.rotate_left(half);
        let held = InMemory {
            people: order.iter().map(|at| pseudonyms[*at]).collect(),
            genotypes: genotypes
                .iter()
                .map(|row| order.iter().map(|at| row[places[*at]]).collect())
                .collect(),
        };
        *dataset = dataset.clone().with_genotypes(Arc::new(held));
    }
    network
}

pub(crate) fn scan(formula: &str, family: &str, variants: usize) -> Request {
    Request {
        panel: Some(PANEL.to_owned()),
        variants: Some(u32::try_from(variants).unwrap()),
        family: Some(family.to_owned()),
        ..model("gwas", formula)
    }
}

/// Solves a symmetric system in the clear.
pub(crate) fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for pivot in 0..n {
        for row in pivot + 1..n {
            let factor = matrix[row][pivot] / matrix[pivot][pivot];
            let above = matrix[pivot].clone();
            matrix[row].iter_mut().zip(above).for_each(|(it, above)| *it -= factor * above);
            right[row] -= factor * right[pivot];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|at| matrix[row][at] * right[at]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}

/// Coefficients of a weighted regression.
pub(crate) fn weighted_fit(rows: &[Vec<f64>], weights: &[f64], right: &[f64]) -> Vec<f64> {
    let right: Vec<f64> = weights.iter().zip(right).map(|(w, it)| w * it).collect();
    let (gram, sums) = weighted(rows, weights, &right);
    solve(gram, sums)
}

fn weighted(rows: &[Vec<f64>], weights: &[f64], right: &[f64]) -> (Vec<Vec<f64>>, Vec<f64>) {
    let p = rows[0].len();
    let mut gram = vec![vec![0.0; p]; p];
    let mut sums = vec![0.0; p];
    for ((row, weight), right) in rows.iter().zip(weights).zip(right) {
        for i in 0..p {
            sums[i] += row[i] * right;
            for j in 0..p {
                gram[i][j] += weight * row[i] * row[j];
            }
        }
    }
    (gram, sums)
}

pub(crate) fn times(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// The genotypes of a variant of those who take part, missing ones replaced by their mean.
pub(crate) fn imputed(row: &[u8], taking: &[usize]) -> Vec<f64> {
    let known = taking.iter().map(|at| row[*at]).filter(|it| *it < 3);
    let (sum, count) = known.fold((0.0, 0.0), |(sum, n), it| (sum + f64::from(it), n + 1.0));
    let value = |at: &usize| if row[*at] < 3 { f64::from(row[*at]) } else { sum / count };
    taking.iter().map(value).collect()
}

/// Effect and standard error of each variant by a regression of all patients.
pub(crate) fn pooled_linear(rows: &[Vec<f64>], y: &[f64], g: &[f64]) -> (f64, f64) {
    let with: Vec<Vec<f64>> =
        rows.iter().zip(g).map(|(row, g)| [row.as_slice(), &[*g]].concat()).collect();
    let (gram, sums) = weighted(&with, &vec![1.0; y.len()], y);
    let p = sums.len();
    let beta = solve(gram.clone(), sums);
    let rest: f64 = with.iter().zip(y).map(|(row, y)| (y - times(row, &beta)).powi(2)).sum();
    let unit = (0..p).map(|at| f64::from(u8::from(at + 1 == p))).collect();
    let variance = solve(gram, unit)[p - 1] * rest / (y.len() - p) as f64;
    (beta[p - 1], variance.sqrt())
}

/// The score statistic of a variant, and its variance, at the model without it.
pub(crate) fn pooled_score(rows: &[Vec<f64>], y: &[f64], g: &[f64], beta: &[f64]) -> (f64, f64) {
    let mean = |row: &Vec<f64>| 1.0 / (1.0 + (-times(row, beta)).exp());
    let means: Vec<f64> = rows.iter().map(mean).collect();
    let weights: Vec<f64> = means.iter().map(|it| it * (1.0 - it)).collect();
    let rest: Vec<f64> = y.iter().zip(&means).map(|(y, mean)| y - mean).collect();
    let with_g: Vec<f64> = weights.iter().zip(g).map(|(w, g)| w * g).collect();
    let (gram, sums) = weighted(rows, &weights, &with_g);
    let explained = solve(gram, sums.clone());
    (times(&rest, g), times(&with_g, g) - times(&sums, &explained))
}

pub(crate) fn logistic(rows: &[Vec<f64>], y: &[f64]) -> Vec<f64> {
    let mut beta = vec![0.0; rows[0].len()];
    for _ in 0..25 {
        let mean = |row: &Vec<f64>| 1.0 / (1.0 + (-times(row, &beta)).exp());
        let means: Vec<f64> = rows.iter().map(mean).collect();
        let weights: Vec<f64> = means.iter().map(|it| it * (1.0 - it)).collect();
        let rest: Vec<f64> = y.iter().zip(&means).map(|(y, mean)| y - mean).collect();
        let (gram, sums) = weighted(rows, &weights, &rest);
        let change = solve(gram, sums);
        beta.iter_mut().zip(change).for_each(|(beta, change)| *beta += change);
    }
    beta
}

pub(crate) fn far(one: f64, other: f64) -> f64 {
    ((one - other) / other).abs()
}

pub(crate) fn of(findings: &konsil_analyses::Findings) -> &Scan {
    findings.scans.first().expect("a scan")
}

/// Each variant of both families, on both backends, with 3 and 7 centres, one of them small.
#[test]
fn variants_are_as_in_pooled_regressions() {
    for sizes in [&[150, 220, 180][..], &[90, 3, 110, 70, 80, 120, 60]] {
        let variants = 60;
        let (people, genotypes) = made(sizes, variants);
        let network = network(&people, &genotypes);
        let taking: Vec<usize> = (0..people.len()).filter(|at| at % 50 != 7).collect();
        let rows: Vec<Vec<f64>> = (taking.iter())
            .map(|at| vec![1.0, people[*at].numbers[2], people[*at].numbers[3]])
            .collect();
        let column = |place: usize| taking.iter().map(|at| people[*at].numbers[place]).collect();
        let (y, ill): (Vec<f64>, Vec<f64>) = (column(0), column(1));
        let null = logistic(&rows, &ill);
        for (family, formula) in [("gaussian", "y ~ age + pc"), ("binomial", "ill ~ age + pc")] {
            let request = scan(formula, family, variants);
            let mut worst: f64 = 0.0;
            for run in [network.on_ideal(&request), network.on_shares(&request)] {
                let scan = of(run.found());
                assert_eq!(scan.rows.len(), variants);
                let mut tested = 0;
                for (row, genotypes) in scan.rows.iter().zip(&genotypes) {
                    let known = taking.iter().filter(|at| genotypes[**at] < 3).count();
                    let copies: u32 = taking.iter().map(|at| u32::from(genotypes[*at] % 3)).sum();
                    let carriers = taking.iter().filter(|at| genotypes[**at] % 3 > 0).count();
                    if (known as f64) < 0.95 * taking.len() as f64 {
                        assert!(matches!(row.skipped, Some(Skipped::Missing)));
                        continue;
                    }
                    let rare = f64::from(copies) < 0.02 * known as f64 || carriers < 10;
                    if rare {
                        assert_eq!(row.skipped, Some(Skipped::Rare));
                        continue;
                    }
                    tested += 1;
                    assert_eq!((row.observed, row.alternative), (known as f64, f64::from(copies)));
                    let g = imputed(genotypes, &taking);
                    let (beta, error) = if family == "gaussian" {
                        pooled_linear(&rows, &y, &g)
                    } else {
                        let (score, variance) = pooled_score(&rows, &ill, &g, &null);
                        (score / variance, variance.sqrt().recip())
                    };
                    worst = worst.max(far(row.error, error));
                    worst = worst.max(((row.beta - beta) / error).abs());
                    worst = worst.max(far(row.statistic, row.beta / row.error));
                }
                assert!(tested > 40, "{tested}");
            }
            say(&format!("gwas {family} {} centres: {:.1} digits", sizes.len(), -worst.log10()));
            assert!(worst < 1e-8, "{family} {worst}");
        }
    }
}

/// People of four kinds, whose frequencies differ at every variant.
fn of_four_kinds(sizes: &[usize], variants: usize) -> (Vec<Person>, Vec<Vec<u8>>) {
    let (mut people, _) = made(sizes, 2);
    let mut next = random(5);
    let kind = |at: f64| [0.25, 0.5, 0.75].iter().filter(|it| at >= **it).count();
    let kinds: Vec<usize> = people.iter().map(|_| kind(next())).collect();
    let genotypes: Vec<Vec<u8>> = (0..variants)
        .map(|_| {
            let frequencies: Vec<f64> = (0..4).map(|_| 0.1 + 0.5 * next()).collect();
            let mut drawn = |kind: &usize| {
                let copies =
                    u8::from(next() < frequencies[*kind]) + u8::from(next() < frequencies[*kind]);
                if next() < 0.01 { MISSING } else { copies }
            };
            kinds.iter().map(&mut drawn).collect()
        })
        .collect();
    for (person, kind) in people.iter_mut().zip(&kinds) {
        let y = person.numbers[0] + *kind as f64;
        person.values[1] = y.to_string();
        person.numbers[0] = y;
    }
    (people, genotypes)
}

/// The first eigenvectors of a symmetric matrix, by repeated multiplication.
fn leading(matrix: &[Vec<f64>], count: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
    let mut found: Vec<Vec<f64>> = Vec::new();
    let mut values = Vec::new();
    for at in 0..count {
        let mut next = random(77 + at as u64);
        let mut vector: Vec<f64> = matrix.iter().map(|_| next() - 0.5).collect();
        let mut value = 0.0;
        for _ in 0..150 {
            for other in &found {
                let part = times(&vector, other);
                vector.iter_mut().zip(other).for_each(|(it, other)| *it -= part * other);
            }
            let image: Vec<f64> = matrix.iter().map(|row| times(row, &vector)).collect();
            value = times(&image, &image).sqrt();
            vector = image.iter().map(|it| it / value).collect();
        }
        found.push(vector);
        values.push(value);
    }
    (found, values)
}

/// Principal axes are those of the pooled, standardised genotypes, and take part as covariates.
#[test]
fn axes_are_those_of_all_people() {
    let variants = 300;
    let (people, genotypes) = of_four_kinds(&[200, 260, 250], variants);
    let network = network(&people, &genotypes);
    let taking: Vec<usize> = (0..people.len()).filter(|at| at % 50 != 7).collect();
    let standard = |row: &Vec<u8>| {
        let g = imputed(row, &taking);
        let mean = g.iter().sum::<f64>() / g.len() as f64;
        let scale = (mean * (1.0 - mean / 2.0)).sqrt();
        g.iter().map(|it| (it - mean) / scale).collect::<Vec<f64>>()
    };
    let standardised: Vec<Vec<f64>> = genotypes.iter().map(standard).collect();
    let n = taking.len();
    let mut relationship = vec![vec![0.0; n]; n];
    for row in &standardised {
        for (into, left) in relationship.iter_mut().zip(row) {
            into.iter_mut().zip(row).for_each(|(sum, it)| *sum += left * it / variants as f64);
        }
    }
    let (axes, values) = leading(&relationship, 3);
    let rows: Vec<Vec<f64>> = (taking.iter().enumerate())
        .map(|(place, at)| {
            let numbers = &people[*at].numbers;
            let own = [1.0, numbers[2], numbers[3]];
            own.into_iter().chain(axes.iter().map(|axis| 20.0 * axis[place])).collect()
        })
        .collect();
    let y: Vec<f64> = taking.iter().map(|at| people[*at].numbers[0]).collect();
    let request = Request { axes: Some(3), ..scan("y ~ age + pc", "gaussian", variants) };
    for run in [network.on_ideal(&request), network.on_shares(&request)] {
        let table = run.table("axes");
        for (at, value) in values.iter().enumerate() {
            assert!(far(number(table, at, "eigenvalue"), *value) < 1e-8);
        }
        let mut worst: f64 = 0.0;
        for (row, genotypes) in of(run.found()).rows.iter().zip(&genotypes) {
            assert_eq!(row.skipped, None);
            let (beta, error) = pooled_linear(&rows, &y, &imputed(genotypes, &taking));
            worst = worst.max(((row.beta - beta) / error).abs()).max(far(row.error, error));
        }
        say(&format!("gwas with axes: {:.1} digits, {} B", -worst.log10(), run.cost.bytes));
        assert!(worst < 1e-6, "{worst}");
    }
    let logistic = Request { axes: Some(2), ..scan("ill ~ age", "binomial", variants) };
    assert_eq!(of(network.on_shares(&logistic).found()).rows.len(), variants);
    // as many directions need more people
    let many = Request { axes: Some(10), ..request };
    assert!(matches!(network.on_shares(&many).findings, Err(AnalysisError::Withheld(_))));
}

/// The people and genotypes that R has made, and what it says of them.
fn from_r() -> (Network, serde_json::Value) {
    let wanted = crate::reference::json(&crate::support::vector("gwas.json"));
    let column = |name: &str| wanted["people"][name].as_array().unwrap().clone();
    let [centre, age, pc, y, ill] = ["centre", "age", "pc", "y", "ill"].map(column);
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    let people: Vec<Person> = (0..centre.len())
        .map(|at| Person {
            centre: usize::try_from(centre[at].as_u64().unwrap()).unwrap() - 1,
            id: format!("p{at}"),
            values: vec![
                format!("p{at}"),
                number(&y[at]).to_string(),
                (ill[at] == 1).to_string(),
                number(&age[at]).to_string(),
                number(&pc[at]).to_string(),
            ],
            numbers: Vec::new(),
        })
        .collect();
    let by_person = wanted["genotypes"].as_array().unwrap();
    let variants = wanted["variants"].as_array().unwrap();
    let genotype =
        |person: &serde_json::Value, at: usize| u8::try_from(person[at].as_u64().unwrap()).unwrap();
    let genotypes: Vec<Vec<u8>> = (0..variants.len())
        .map(|at| by_person.iter().map(|person| genotype(person, at)).collect())
        .collect();
    (network(&people, &genotypes), wanted)
}

/// A request for the quality of variants.
pub(crate) fn quality(variants: usize) -> Request {
    Request {
        id: "test".to_owned(),
        kind: "variant_qc".to_owned(),
        panel: Some(PANEL.to_owned()),
        variants: Some(u32::try_from(variants).unwrap()),
        ..Request::default()
    }
}

/// R's regressions of each variant, and its score tests.
#[test]
fn variants_are_as_r_says() {
    let (network, wanted) = from_r();
    let variants = wanted["variants"].as_array().unwrap();
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    for (family, formula, prefix) in
        [("gaussian", "y ~ age + pc", ""), ("binomial", "ill ~ age + pc", "score_")]
    {
        let request = Request { iterations: Some(16), ..scan(formula, family, variants.len()) };
        let request = Request { missing_max: Some(0.2), maf: Some(0.001), ..request };
        let request =
            if family == "gaussian" { Request { iterations: None, ..request } } else { request };
        for run in [network.on_ideal(&request), network.on_shares(&request)] {
            let mut ledger = crate::reference::Ledger::default();
            for (row, wanted) in of(run.found()).rows.iter().zip(variants) {
                assert_eq!(row.skipped, None);
                assert_eq!(row.observed, number(&wanted["observed"]));
                assert_eq!(row.alternative, number(&wanted["alternative"]));
                for (what, ours) in [
                    ("beta", row.beta),
                    ("error", row.error),
                    ("statistic", row.statistic),
                    ("log10_p", row.log10_p),
                ] {
                    let pair = (ours, number(&wanted[prefix.to_owned() + what]));
                    ledger.near("variant", what, pair, 1e-7);
                }
            }
            ledger.close(&format!("gwas {family}"));
        }
    }
}

/// Counts and exact tests of the same made-up people as R has them.
#[test]
fn counts_are_as_r_says() {
    let wanted = crate::reference::json(&crate::support::vector("variant_qc.json"));
    let variants = wanted["variants"].as_array().unwrap();
    let mut network = from_r().0;
    network.policy.threshold = 3;
    let request = Request { missing_max: Some(0.2), maf: Some(0.001), ..quality(variants.len()) };
    for run in [network.on_ideal(&request), network.on_shares(&request)] {
        let mut groups = 0;
        for (row, wanted) in of(run.found()).genotypes.iter().zip(variants) {
            let number = |name: &str| wanted[name].as_f64().unwrap();
            assert_eq!(
                (row.observed, row.alternative),
                (number("observed"), number("alternative"))
            );
            if row.one.is_nan() {
                assert!(
                    number("two").min(number("observed") - number("one") - number("two")) < 3.0
                );
                continue;
            }
            groups += 1;
            assert_eq!((row.one, row.two), (number("one"), number("two")));
            assert!((row.log10_p - number("log10_p")).abs() < 1e-9);
        }
        assert!(groups > 8, "{groups}");
    }
}

/// What is refused, and by which code.
#[test]
fn without_the_right_genotypes_nothing_is_tested() {
    let (people, genotypes) = made(&[60, 60, 60], 5);
    let network = network(&people, &genotypes);
    let code = |run: crate::support::Run| run.findings.err().map(|it| it.code());
    let other = Request { panel: Some("ff".repeat(32)), ..scan("y ~ age", "gaussian", 5) };
    assert_eq!(code(network.on_shares(&other)), Some("K0224"));
    let longer = scan("y ~ age", "gaussian", 6);
    assert_eq!(code(network.on_shares(&longer)), Some("K0224"));
    let refused =
        |request: &Request| prepare(request, &network.dictionary).err().map(|it| it.code());
    let fine = scan("y ~ age", "gaussian", 5);
    for wrong in [
        Request { panel: None, ..fine.clone() },
        Request { panel: Some("panel.tsv".to_owned()), ..fine.clone() },
        Request { variants: Some(0), ..fine.clone() },
        Request { maf: Some(0.5), ..fine.clone() },
        Request { maf: Some(1e-9), ..fine.clone() },
        Request { missing_max: Some(-0.1), ..fine.clone() },
        Request { axes: Some(11), ..fine.clone() },
        Request { family: Some("poisson".to_owned()), ..fine.clone() },
        Request { formula: Some("ill ~ age".to_owned()), ..fine.clone() },
        Request { formula: Some("y ~ 0 + age".to_owned()), ..fine.clone() },
        Request { formula: Some("y ~ age + offset(pc)".to_owned()), ..fine.clone() },
        Request { kind: "variant_qc".to_owned(), ..fine.clone() },
    ] {
        assert_eq!(refused(&wrong), Some("K0220"), "{wrong:?}");
    }
    let few = Request { formula: Some("y ~ age + pc".to_owned()), axes: Some(5), ..fine };
    assert_eq!(code(network.on_shares(&few)), Some("K0501"));
}

/// Rare alleles: nothing is shown where fewer people carry them than the threshold, or where they
/// would without one centre's people.
#[test]
fn few_carriers_are_not_shown() {
    let (people, mut genotypes) = made(&[120, 120, 120], 4);
    let carried = |by: [usize; 3]| {
        let mut left = by;
        let carry = |person: &Person| {
            let some = left[person.centre] > 0;
            left[person.centre] -= usize::from(some);
            u8::from(some)
        };
        people.iter().map(carry).collect::<Vec<u8>>()
    };
    // too few; enough, but not without the first centre; enough; enough reference alleles only
    genotypes[0] = carried([3, 3, 3]);
    genotypes[1] = carried([40, 5, 4]);
    genotypes[2] = carried([12, 12, 12]);
    genotypes[3] = carried([3, 40, 40]).iter().map(|it| 2 - it).collect();
    let network = network(&people, &genotypes);
    let shown = |residual: Residual| {
        let policy = Policy { residual, ..network.policy.clone() };
        let kept = network.centres.clone();
        let other =
            Network { centres: kept, policy, dictionary: network.dictionary.clone(), noise: None };
        let request = Request { maf: Some(0.0), ..scan("y ~ age", "gaussian", 4) };
        let run = other.on_shares(&request);
        of(run.found()).rows.iter().map(|it| it.skipped.is_none()).collect::<Vec<bool>>()
    };
    assert_eq!(shown(Residual::None), [false, true, true, true]);
    assert_eq!(shown(Residual::OneCentre), [false, false, true, true]);
    assert_eq!(shown(Residual::AllButOne), [false, false, true, false]);
}
