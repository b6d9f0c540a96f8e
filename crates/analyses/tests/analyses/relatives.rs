//! Relatives in different centres: marks against PLINK's kinships, missing genotypes, what is shown.

use crate::gwas::{PANEL, random};
use crate::ld::genotyped;
use crate::reference::{json, say};
use crate::support::{Network, Run, number, vector};
use konsil_analyses::{Cell, Request, prepare};
use konsil_cohort::{CohortError, Genotypes, Pseudonym};
use konsil_disclosure::Residual;
use konsil_kernels::{MISSING, Packed};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Genotypes that keep who is marked.
#[derive(Debug)]
struct Keeping {
    held: Arc<dyn Genotypes>,
    kept: Mutex<Option<Vec<Pseudonym>>>,
}

impl Genotypes for Keeping {
    fn panel_hash(&self) -> &str {
        self.held.panel_hash()
    }

    fn variants(&self) -> usize {
        self.held.variants()
    }

    fn people(&self) -> &[Pseudonym] {
        self.held.people()
    }

    fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
        self.held.read(first, count)
    }

    fn keep_relatives(&self, people: &[Pseudonym]) -> Result<(), CohortError> {
        *self.kept.lock().unwrap() = Some(people.to_vec());
        Ok(())
    }
}

/// A network, and the genotypes that its centres hold.
fn keeping(centres: &[usize], genotypes: &[Vec<u8>]) -> (Network, Vec<Arc<Keeping>>) {
    let mut network = genotyped(centres, genotypes);
    let mut kept = Vec::new();
    for dataset in &mut network.centres {
        let held = Arc::clone(dataset.genotypes().unwrap());
        let keeping = Arc::new(Keeping { held, kept: Mutex::default() });
        kept.push(Arc::clone(&keeping));
        *dataset = dataset.clone().with_genotypes(keeping);
    }
    (network, kept)
}

/// Who is marked, by the people's numbers.
fn marked((network, kept): (&Network, &[Arc<Keeping>]), centres: &[usize]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    for (centre, (dataset, keeping)) in network.centres.iter().zip(kept).enumerate() {
        let kept = keeping.kept.lock().unwrap().take().expect("a list, were it empty");
        let own = (0..centres.len()).filter(|at| centres[*at] == centre);
        let own: Vec<(Pseudonym, usize)> =
            dataset.pseudonyms().unwrap().into_iter().zip(own).collect();
        for pseudonym in kept {
            found.insert(own.iter().find(|it| it.0 == pseudonym).unwrap().1);
        }
    }
    found
}

fn request(variants: usize, kinship: f64) -> Request {
    Request {
        id: "test".to_owned(),
        kind: "relatives".to_owned(),
        panel: Some(PANEL.to_owned()),
        variants: Some(u32::try_from(variants).unwrap()),
        kinship: Some(kinship),
        ..Request::default()
    }
}

/// What a run says of pairs and people; nothing where it is not shown.
fn shown(run: &Run) -> Option<(f64, f64)> {
    let table = run.table("glance");
    let pairs = number(table, 0, "related.pairs");
    let hidden = table.get(0, "marked.people") == Some(&Cell::Missing);
    assert_eq!(hidden, pairs.is_nan());
    (!hidden).then(|| (pairs, number(table, 0, "marked.people")))
}

/// KING-robust kinship of people known at all variants.
fn kinship(genotypes: &[Vec<u8>], a: usize, b: usize) -> f64 {
    let (mut distance, mut one, mut other) = (0.0, 0.0, 0.0);
    for row in genotypes {
        distance += (f64::from(row[a]) - f64::from(row[b])).powi(2);
        one += f64::from(u8::from(row[a] == 1));
        other += f64::from(u8::from(row[b] == 1));
    }
    0.5 - distance / (4.0 * one.min(other))
}

/// PLINK's kinships decide who is marked, at several limits; five centres, one of few people.
#[test]
fn people_are_marked_as_plink_says() {
    let wanted = json(&vector("relatives.json"));
    let wholes = |name: &str| -> Vec<usize> {
        let values = wanted[name].as_array().unwrap().iter();
        values.map(|it| usize::try_from(it.as_u64().unwrap()).unwrap()).collect()
    };
    let (centres, a, b) = (wholes("centre"), wholes("a"), wholes("b"));
    let kinships: Vec<f64> =
        wanted["kinship"].as_array().unwrap().iter().map(|it| it.as_f64().unwrap()).collect();
    let genotypes: Vec<Vec<u8>> = (wanted["genotypes"].as_array().unwrap().iter())
        .map(|it| it.as_str().unwrap().bytes().map(|it| it - b'0').collect())
        .collect();
    let across = (0..centres.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let across = across.filter(|(a, b)| centres[*a] != centres[*b]);
    assert_eq!(across.filter(|it| kinship(&genotypes, it.0, it.1) > 0.05).count(), a.len());
    let (network, kept) = keeping(&centres, &genotypes);
    for limit in [0.354, 0.177] {
        let (mut pairs, mut expected) = (0.0, BTreeSet::new());
        for ((a, b), value) in a.iter().zip(&b).zip(&kinships) {
            assert!((value - kinship(&genotypes, *a, *b)).abs() < 1e-5);
            assert!((value - limit).abs() > 3e-4, "a pair at the limit tells nothing");
            if *value > limit {
                pairs += 1.0;
                expected.insert(if centres[*a] > centres[*b] { *a } else { *b });
            }
        }
        assert!(!expected.is_empty());
        for on in [Network::on_ideal, Network::on_shares] {
            let run = on(&network, &request(genotypes.len(), limit));
            run.found();
            assert_eq!(marked((&network, &kept), &centres), expected, "{limit}");
            let people = expected.len() as f64;
            assert_eq!(shown(&run), (people >= 10.0).then_some((pairs, people)));
            assert_eq!(number(run.table("glance"), 0, "people"), 200.0);
            assert_eq!(number(run.table("glance"), 0, "variants"), 700.0);
        }
    }
    // with those of any one centre taken away too few are left to show
    let mut strict = network;
    strict.policy.residual = Residual::OneCentre;
    let run = strict.on_shares(&request(genotypes.len(), 0.177));
    let people = marked((&strict, &kept), &centres);
    let without = |centre: usize| people.iter().filter(|at| centres[**at] != centre).count();
    assert!(people.len() >= 10 && (0..5).any(|centre| without(centre) < 10));
    assert_eq!(shown(&run), None);
}

/// Genotypes of founders and, behind them, of a child of each of the first ones.
fn families(founders: usize, children: usize, variants: usize) -> Vec<Vec<u8>> {
    let mut next = random(41);
    let mut genotypes = Vec::new();
    for _ in 0..variants {
        let frequency = 0.1 + 0.4 * next();
        let row: Vec<u8> = (0..founders)
            .map(|_| u8::from(next() < frequency) + u8::from(next() < frequency))
            .collect();
        let child = |at: usize| {
            let given = next() < f64::from(row[at]) / 2.0;
            u8::from(given) + u8::from(next() < frequency)
        };
        let own: Vec<u8> = (0..children).map(child).collect();
        genotypes.push([row, own].concat());
    }
    genotypes
}

/// Half-siblings, whose parent is nowhere: as the formula says of each pair, also of those whom chance
/// moves over the limit.
#[test]
fn second_degree_is_found_with_enough_variants() {
    let (founders, variants, limit) = (130, 3000, 0.0884);
    let mut next = random(77);
    let mut genotypes = Vec::new();
    for _ in 0..variants {
        let frequency = 0.05 + 0.45 * next();
        let mut row: Vec<u8> = (0..founders)
            .map(|_| u8::from(next() < frequency) + u8::from(next() < frequency))
            .collect();
        for _ in 0..20 {
            let parent = u8::from(next() < frequency) + u8::from(next() < frequency);
            for _ in 0..2 {
                let given = u8::from(next() < f64::from(parent) / 2.0);
                row.push(given + u8::from(next() < frequency));
            }
        }
        genotypes.push(row);
    }
    let people = founders + 40;
    let centres: Vec<usize> = (0..people).map(|at| at % 5).collect();
    let (mut expected, mut pairs) = (BTreeSet::new(), 0.0);
    for (a, b) in (0..people).flat_map(|a| (0..a).map(move |b| (a, b))) {
        let value = kinship(&genotypes, a, b);
        if centres[a] != centres[b] && value > limit {
            pairs += 1.0;
            expected.insert(if centres[a] > centres[b] { a } else { b });
        }
        assert!((value - limit).abs() > 5e-5, "a pair at the limit tells nothing");
    }
    let (network, kept) = keeping(&centres, &genotypes);
    let run = network.on_shares(&request(variants, limit));
    assert_eq!(shown(&run), Some((pairs, expected.len() as f64)));
    assert_eq!(marked((&network, &kept), &centres), expected);
    // of twenty pairs, nearly all
    assert!((15.0..=21.0).contains(&pairs), "{pairs}");
}

/// Missing genotypes hide nobody and make nobody a relative; neither do variants that do not pass.
#[test]
fn missing_genotypes_do_not_matter() {
    let (founders, children, variants) = (150, 14, 3000);
    let mut genotypes = families(founders, children, variants);
    let mut next = random(8);
    for (at, row) in genotypes.iter_mut().enumerate() {
        // a variant in which everybody is alike, and one that many miss
        for genotype in row.iter_mut() {
            let part = if at % 50 == 3 { 0.3 } else { 0.03 };
            if at % 50 == 2 {
                *genotype = 0;
            } else if next() < part {
                *genotype = MISSING;
            }
        }
    }
    let mut centres: Vec<usize> = (0..founders).map(|at| [0, 1, 3, 4, 5, 6][at % 6]).collect();
    // children in the last centre but one of few people
    centres.extend((0..children).map(|at| if at == 0 { 2 } else { 6 }));
    let expected: BTreeSet<usize> = (0..children)
        .filter(|at| centres[*at] != 6)
        // who is related to somebody in a later centre is not marked: the relative is
        .map(|at| if centres[at] > centres[founders + at] { at } else { founders + at })
        .collect();
    let (network, kept) = keeping(&centres, &genotypes);
    let known = |row: &Vec<u8>| row.iter().filter(|it| **it < MISSING).count();
    let passing = |row: &&Vec<u8>| {
        known(row) * 20 >= 19 * row.len() && row.iter().any(|it| *it > 0 && *it < MISSING)
    };
    let passing = genotypes.iter().filter(passing).count() as f64;
    for on in [Network::on_ideal, Network::on_shares] {
        let run = on(&network, &request(variants, 0.177));
        run.found();
        assert_eq!(marked((&network, &kept), &centres), expected);
        assert_eq!(number(run.table("glance"), 0, "variants"), passing);
        assert!(shown(&run).is_some());
    }
}

/// More pairs than one message holds: three centres with 240 people each.
#[test]
fn many_pairs_are_compared() {
    let (founders, children, variants) = (706, 14, 1000);
    let genotypes = families(founders, children, variants);
    let mut centres: Vec<usize> = (0..founders).map(|at| at % 3).collect();
    centres.extend(vec![2; children]);
    let (network, kept) = keeping(&centres, &genotypes);
    let run = network.on_shares(&request(variants, 0.16));
    let expected: BTreeSet<usize> =
        (0..children).filter(|at| centres[*at] != 2).map(|at| founders + at).collect();
    assert_eq!(marked((&network, &kept), &centres), expected);
    assert_eq!(shown(&run), Some((10.0, 10.0)));
    say(&format!(
        "relatives of 3 centres, {} people, {variants} variants: {} B sent, {} dealt, {} rounds, {:?}",
        centres.len(),
        run.cost.bytes,
        run.cost.dealt_bytes,
        run.cost.rounds,
        run.took
    ));
}

#[test]
fn wrong_requests_are_refused() {
    let genotypes = families(90, 0, 200);
    let centres: Vec<usize> = (0..90).map(|at| at % 3).collect();
    let (network, _) = keeping(&centres, &genotypes);
    let fine = request(200, 0.4);
    let refused =
        |request: &Request| prepare(request, &network.dictionary).err().map(|it| it.code());
    assert_eq!(refused(&fine), None);
    for wrong in [
        Request { kinship: Some(0.01), ..fine.clone() },
        Request { kinship: Some(0.5), ..fine.clone() },
        Request { variants: Some(99), ..fine.clone() },
        Request { variants: Some(8001), ..fine.clone() },
        Request { among: Some("0-50".to_owned()), ..fine.clone() },
        Request { among: Some("0-200".to_owned()), ..fine.clone() },
        // too few for that limit
        Request { kinship: Some(0.3), ..fine.clone() },
        Request { panel: None, ..fine.clone() },
        Request { variables: vec!["age".to_owned()], ..fine.clone() },
    ] {
        assert_eq!(refused(&wrong), Some("K0220"), "{wrong:?}");
    }
    let some = Request { among: Some("0-149".to_owned()), ..fine.clone() };
    assert_eq!(number(network.on_shares(&some).table("glance"), 0, "variants"), 150.0);
    // another panel
    let other = Request { panel: Some("ff".repeat(32)), ..fine.clone() };
    assert_eq!(network.on_shares(&other).refused().code(), "K0224");
    let mut setting = network.setting();
    setting.rows_at_most = vec![8000; 3];
    let analysis = prepare(&fine, &network.dictionary).unwrap();
    let plan = |session: &mut dyn konsil_mpc::Session, _: usize| {
        Ok(analysis.run(session, &setting, None).err().map(|it| it.code()))
    };
    let planned = konsil_testing::ideal(3, analysis.openings(), plan);
    assert!(planned.iter().all(|it| matches!(it.result, Ok(Some("K0224")))));
}
