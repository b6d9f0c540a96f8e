//! Sets of rare variants against R's eigenvalues; what is withheld and refused.

use crate::gwas::{PANEL, Person, network};
use crate::reference::Ledger;
use crate::support::{Network, model, number, vector};
use konsil_analyses::{AnalysisError, Cell, Request, prepare};
use serde_json::Value;

fn real(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// R's people, the sets as requests name them, and what R says of each.
fn from_r() -> (Network, Vec<String>, Value) {
    let wanted = crate::reference::json(&vector("burden.json"));
    let column = |name: &str| wanted["people"][name].as_array().unwrap().clone();
    let [centre, age, pc, y, ill] = ["centre", "age", "pc", "y", "ill"].map(column);
    let people: Vec<Person> = (0..centre.len())
        .map(|at| {
            let id = format!("p{at}");
            let numbers = [&y[at], &age[at], &pc[at]].map(|it| real(it).to_string());
            let [y, age, pc] = numbers;
            let values = vec![id.clone(), y, (ill[at] == 1).to_string(), age, pc];
            Person::new(usize::try_from(centre[at].as_u64().unwrap()).unwrap() - 1, id, values)
        })
        .collect();
    let by_person = wanted["genotypes"].as_array().unwrap();
    let variants = wanted["set"].as_array().unwrap().len();
    let genotype = |person: &Value, at: usize| u8::try_from(person[at].as_u64().unwrap()).unwrap();
    let genotypes: Vec<Vec<u8>> = (0..variants)
        .map(|at| by_person.iter().map(|person| genotype(person, at)).collect())
        .collect();
    let sets = wanted["sets"].as_array().unwrap().len();
    let list = |set: usize| {
        let own = (0..variants).filter(|at| wanted["set"][*at].as_u64() == Some(set as u64 + 1));
        let entries = own.map(|at| format!(" {at}*{}", real(&wanted["weight"][at])));
        format!("set{set}") + &entries.collect::<String>()
    };
    (network(&people, &genotypes), (0..sets).map(list).collect(), wanted)
}

fn request(formula: &str, family: &str, sets: &[String], variants: usize) -> Request {
    Request {
        panel: Some(PANEL.to_owned()),
        variants: Some(u32::try_from(variants).unwrap()),
        family: Some(family.to_owned()),
        set_list: sets.to_vec(),
        ..model("burden", formula)
    }
}

/// Burden test, SKAT and SKAT-O of a measured trait and of an event, as R has them.
#[test]
fn sets_are_as_r_says() {
    let (network, sets, wanted) = from_r();
    let variants = wanted["set"].as_array().unwrap().len();
    for (formula, family, part) in
        [("y ~ age + pc", "gaussian", "linear"), ("ill ~ age + pc", "binomial", "event")]
    {
        let request = request(formula, family, &sets, variants);
        for run in [network.on_ideal(&request), network.on_shares(&request)] {
            let table = run.table("sets");
            let mut ledger = Ledger::default();
            let mut withheld = 0;
            for (at, set) in wanted["sets"].as_array().unwrap().iter().enumerate() {
                if real(&set["carriers"]) < 10.0 {
                    withheld += 1;
                    assert!(table.rows[at].iter().skip(2).all(|it| *it == Cell::Missing));
                    continue;
                }
                assert_eq!(number(table, at, "carriers"), real(&set["carriers"]));
                let set = &set[part];
                for (ours, theirs, tolerance) in [
                    ("estimate", "estimate", 1e-7),
                    ("std.error", "error", 1e-7),
                    ("p.burden", "burden", 1e-6),
                    ("p.skat", "skat", 1e-6),
                    ("p.skat_o", "skat_o", 2e-5),
                ] {
                    let pair = (number(table, at, ours), real(&set[theirs]));
                    ledger.near("set", ours, pair, tolerance);
                }
            }
            assert_eq!(withheld, 1);
            ledger.close(&format!("burden {family}, {} B", run.cost.bytes));
        }
    }
}

/// Sets and formulas that make no sense.
#[test]
fn sets_that_make_no_sense_are_refused() {
    let (network, sets, wanted) = from_r();
    let variants = wanted["set"].as_array().unwrap().len();
    let fine = request("y ~ age", "gaussian", &sets, variants);
    let with = |list: &str| Request { set_list: vec![list.to_owned()], ..fine.clone() };
    for wrong in [
        Request { set_list: Vec::new(), ..fine.clone() },
        with(""),
        with("gene"),
        with("gene x"),
        with("gene 55"),
        with("gene 1*0"),
        with("gene 1*-2"),
        with("gene 1*nan"),
        Request { panel: None, ..fine.clone() },
        Request { formula: Some("y ~ 0 + age".to_owned()), ..fine.clone() },
        Request { family: Some("poisson".to_owned()), ..fine.clone() },
    ] {
        let refused = prepare(&wrong, &network.dictionary).err();
        assert_eq!(refused.as_ref().map(AnalysisError::code), Some("K0220"), "{wrong:?}");
    }
}
