//! Linkage of variants: against R on made-up people, on real genotypes, what is refused.

use crate::gwas::{InMemory, PANEL, of, random};
use crate::gwas_sets::real_set;
use crate::reference::{json, say};
use crate::support::{Network, Run, vector};
use konsil_analyses::{Request, Skipped, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Policy, Residual, Scans};
use konsil_kernels::MISSING;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Centres whose people have these genotypes, `[variant][person]`, each centre's in an order of its own.
pub(crate) fn genotyped(centres: &[usize], genotypes: &[Vec<u8>]) -> Network {
    let dictionary = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
        pid,Patient,category,,,,,,,,identifier,\nage,Age,number,,,0,100,,,,,\n";
    let dictionary = Dictionary::parse("genes", dictionary).unwrap();
    let count = centres.iter().max().unwrap() + 1;
    let mut files = vec!["pid,age\n".to_owned(); count];
    for (at, centre) in centres.iter().enumerate() {
        files[*centre] += &format!("p{at},50\n");
    }
    let mut network = Network::new(dictionary, &files);
    for (centre, dataset) in network.centres.iter_mut().enumerate() {
        let places: Vec<usize> = (0..centres.len()).filter(|at| centres[*at] == centre).collect();
        let mut order: Vec<usize> = (0..places.len()).rev().collect();
        let third = order.len() / 3;
        order.rotate_left(third);
        let pseudonyms = dataset.pseudonyms().unwrap();
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

fn request(variants: usize, window: u32, r2: f64) -> Request {
    Request {
        id: "test".to_owned(),
        kind: "ld".to_owned(),
        panel: Some(PANEL.to_owned()),
        variants: Some(u32::try_from(variants).unwrap()),
        window: Some(window),
        r2: Some(r2),
        ..Request::default()
    }
}

fn pairs(run: &Run) -> BTreeSet<(usize, usize)> {
    let rows = &of(run.found()).genotypes;
    let place = |variant: u32| usize::try_from(variant).unwrap();
    let of_row = rows.iter().flat_map(|row| {
        row.linked.iter().flatten().map(move |it| (place(row.variant), place(*it)))
    });
    of_row.collect()
}

/// Pooled squared correlation, missing genotypes replaced by the mean.
fn squared(a: &[u8], b: &[u8]) -> f64 {
    let moved = |row: &[u8]| {
        let known = row.iter().filter(|it| **it < 3);
        let (sum, n) = known.fold((0.0, 0.0), |(sum, n), it| (sum + f64::from(*it), n + 1.0));
        let mean = sum / n;
        row.iter().map(|it| if *it < 3 { f64::from(*it) - mean } else { 0.0 }).collect::<Vec<f64>>()
    };
    let (a, b) = (moved(a), moved(b));
    let sum = |left: &[f64], right: &[f64]| left.iter().zip(right).map(|(a, b)| a * b).sum::<f64>();
    sum(&a, &b).powi(2) / (sum(&a, &a) * sum(&b, &b))
}

/// R's correlations decide each pair, at several limits and windows, also across more than one word.
#[test]
fn pairs_are_linked_as_r_says() {
    let wanted = json(&vector("ld.json"));
    let whole = |value: &serde_json::Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    let centres: Vec<usize> =
        wanted["centre"].as_array().unwrap().iter().map(|it| whole(it) - 1).collect();
    let by_person = wanted["genotypes"].as_array().unwrap();
    let variants = wanted["observed"].as_array().unwrap().len();
    let genotypes: Vec<Vec<u8>> = (0..variants)
        .map(|at| by_person.iter().map(|it| u8::try_from(whole(&it[at])).unwrap()).collect())
        .collect();
    let network = genotyped(&centres, &genotypes);
    for (window, r2) in [(10, 0.2), (29, 0.5), (70, 0.02)] {
        let request = request(variants, window, r2);
        let mut expected = BTreeSet::new();
        for first in 0..variants {
            for second in first + 1..variants.min(first + 1 + window as usize) {
                let value = wanted["r2"][first][second].as_f64().unwrap();
                assert!((value / r2 - 1.0).abs() > 1e-4, "a pair at the limit tells nothing");
                if value > r2 {
                    expected.insert((first, second));
                }
            }
        }
        assert!(expected.len() > 10);
        for run in [network.on_ideal(&request), network.on_shares(&request)] {
            assert_eq!(pairs(&run), expected);
            for (at, row) in of(run.found()).genotypes.iter().enumerate() {
                assert_eq!(row.skipped, None);
                assert_eq!(row.observed, wanted["observed"][at].as_f64().unwrap());
                assert_eq!(row.alternative, wanted["alternative"][at].as_f64().unwrap());
            }
        }
    }
    // a policy that shows hits alone shows no frequencies of all variants
    let mut strict = network.under(Policy { scans: Scans::Hits, ..Policy::default() });
    strict.policy.residual = Residual::None;
    let run = strict.on_shares(&request(variants, 10, 0.2));
    assert!(pairs(&run).len() > 10);
    for row in &of(run.found()).genotypes {
        assert!(row.skipped.is_none() && row.observed.is_nan() && row.alternative.is_nan());
    }
    let mut network = strict;
    network.policy.scans = Scans::All;
    // some variants only: neighbours are those of the list
    let some = Request { among: Some("1-3,20,25-27".to_owned()), ..request(variants, 2, 0.05) };
    let list = [1, 2, 3, 20, 25, 26, 27];
    for run in [network.on_ideal(&some), network.on_shares(&some)] {
        let mut expected = BTreeSet::new();
        for (at, first) in list.iter().enumerate() {
            for second in list.iter().skip(at + 1).take(2) {
                let value = &wanted["r2"][*first][*second];
                if value.as_f64().unwrap() > 0.05 {
                    expected.insert((*first, *second));
                }
            }
        }
        assert_eq!(pairs(&run), expected);
        let numbers: Vec<u32> = of(run.found()).genotypes.iter().map(|it| it.variant).collect();
        let list = list.map(|it| u32::try_from(it).unwrap());
        assert_eq!(numbers, list);
    }
}

/// More variants than a block, seven centres, one of two people; variants that do not pass are linked
/// with nothing, whatever their genotypes.
#[test]
fn blocks_and_floors_do_not_matter() {
    let mut next = random(3);
    let sizes = [60, 2, 50, 40, 55, 45, 48];
    let centres: Vec<usize> =
        sizes.iter().enumerate().flat_map(|(at, size)| vec![at; *size]).collect();
    let variants = 1100;
    let mut genotypes: Vec<Vec<u8>> = Vec::new();
    for variant in 0..variants {
        let frequency = 0.15 + 0.3 * next();
        let row = (0..centres.len()).map(|person| {
            let fresh = u8::from(next() < frequency) + u8::from(next() < frequency);
            match genotypes.last() {
                _ if next() < 0.01 => MISSING,
                Some(before) if variant % 5 > 0 && next() < 0.8 && before[person] < 3 => {
                    before[person]
                }
                _ => fresh,
            }
        });
        let row = row.collect();
        genotypes.push(row);
    }
    // rare, and missing in many; both copies of a neighbour where they have genotypes
    genotypes[11] =
        genotypes[12].iter().enumerate().map(|(at, g)| if at < 4 { *g } else { 0 }).collect();
    genotypes[16] = genotypes[17]
        .iter()
        .enumerate()
        .map(|(at, g)| if at % 5 == 0 { MISSING } else { *g })
        .collect();
    let network = genotyped(&centres, &genotypes);
    let request = request(variants, 3, 0.3);
    let run = network.on_shares(&request);
    let rows = &of(run.found()).genotypes;
    assert_eq!(rows[11].skipped, Some(Skipped::Rare));
    assert_eq!(rows[16].skipped, Some(Skipped::Missing));
    let found = pairs(&run);
    let mut linked = 0;
    for first in 0..variants {
        for second in first + 1..variants.min(first + 4) {
            let passes = [first, second].iter().all(|at| rows[*at].skipped.is_none());
            let r2 = squared(&genotypes[first], &genotypes[second]);
            // what is this near the limit may fall on either side
            if (r2 - 0.3).abs() < 1e-4 {
                continue;
            }
            linked += u32::from(passes && r2 > 0.3);
            assert_eq!(
                found.contains(&(first, second)),
                passes && r2 > 0.3,
                "{first} {second} {r2}"
            );
        }
    }
    assert!(linked > 300, "{linked}");
    assert_eq!(pairs(&network.on_ideal(&request)), found);
}

#[test]
fn wrong_requests_are_refused() {
    let network = genotyped(&[0, 1, 2], &[vec![0, 1, 2]]);
    let fine = request(5, 3, 0.2);
    let refused =
        |request: &Request| prepare(request, &network.dictionary).err().map(|it| it.code());
    assert_eq!(refused(&fine), None);
    for wrong in [
        Request { window: Some(0), ..fine.clone() },
        Request { window: Some(1001), ..fine.clone() },
        Request { r2: Some(0.0), ..fine.clone() },
        Request { r2: Some(1.0), ..fine.clone() },
        Request { among: Some("0-5".to_owned()), ..fine.clone() },
        Request { among: Some("prune.in".to_owned()), ..fine.clone() },
        Request { panel: None, ..fine.clone() },
        Request { formula: Some("y ~ age".to_owned()), ..fine.clone() },
        Request { maf: Some(0.7), ..fine },
    ] {
        assert_eq!(refused(&wrong), Some("K0220"), "{wrong:?}");
    }
    // three people are no cohort
    let few = network.on_shares(&request(1, 1, 0.2));
    assert_eq!(few.refused().code(), "K0501");
}

/// Real genotypes of six centres: each pair as pooled.
#[test]
fn europeans_are_linked_as_pooled() {
    let Some((network, ids, variants)) = real_set("geno_eur379", "EUR_subset.bed") else { return };
    let (count, window) = (4000, 50);
    let request = Request {
        among: Some(format!("20000-{}", 20_000 + count - 1)),
        maf: Some(0.05),
        ..request(variants, window, 0.2)
    };
    let run = network.on_shares(&request);
    let folder = crate::reference::shared_set("geno_eur379").unwrap();
    let (_, genotypes) = crate::gwas_sets::bed(&folder.join("EUR_subset.bed"));
    let rows = &of(run.found()).genotypes;
    let found = pairs(&run);
    let (mut compared, mut near) = (0, 0);
    for (at, row) in rows.iter().enumerate() {
        for other in rows.iter().skip(at + 1).take(window as usize) {
            let passes = row.skipped.is_none() && other.skipped.is_none();
            let key = [row.variant, other.variant].map(|it| usize::try_from(it).unwrap());
            let key = (key[0], key[1]);
            let r2 = squared(&genotypes[key.0], &genotypes[key.1]);
            compared += 1;
            if (r2 - 0.2).abs() < 2e-4 {
                near += 1;
                continue;
            }
            assert_eq!(found.contains(&key), passes && r2 > 0.2, "{key:?} {r2}");
        }
    }
    // no two variants that PLINK keeps (--indep-pairwise 200 50 0.2) are linked; of pairs with missing
    // genotypes it takes those that are known
    let (first, kept) = crate::gwas_sets::table(&folder.join("ref_prune.in.gz"));
    let kept: BTreeSet<&str> = kept.iter().chain([&first]).map(|it| it[0].as_str()).collect();
    let is_kept = |at: usize| kept.contains(ids[at].as_str());
    let both: Vec<f64> = (found.iter().filter(|(a, b)| is_kept(*a) && is_kept(*b)))
        .map(|(a, b)| squared(&genotypes[*a], &genotypes[*b]))
        .collect();
    assert!(both.len() < 30 && both.iter().all(|it| *it < 0.21), "{both:?}");
    say(&format!(
        "ld geno_eur379: {compared} pairs as pooled ({near} too near the limit), {} linked ({} of them \
         kept by PLINK); {} B sent, {} dealt, {} rounds, {:?}",
        found.len(),
        both.len(),
        run.cost.bytes,
        run.cost.dealt_bytes,
        run.cost.rounds,
        run.took
    ));
    assert!(found.len() > 5000);
}
