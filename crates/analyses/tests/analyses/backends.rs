//! On shares every analysis gives what the ideal backend gives, whatever the design and however the
//! patients are split among centres.

use crate::support::{Network, Run, model};
use konsil_analyses::{Cell, Request};
use konsil_cohort::Dictionary;
use konsil_mpc::Topology;
use proptest::prelude::*;

/// What one made-up patient is made of.
type Draw = (f64, f64, u8, u8, f64, u8, usize);

const DICTIONARY: &str = "name,type,levels,min,max,decimals\nage,number,,18,100,1\n\
    crp,number,,0,300,2\nsex,category,F|M,,,\narm,category,A|B|C,,,\ndied,integer,,0,1,\n\
    visits,integer,,0,40,\ntime,integer,,0,24,\nevent,integer,,0,1,\n\
    status,integer,,0,2,\nweight,integer,,0,3,\n";

fn patient((age, crp, sex, arm, chance, event, _): &Draw) -> String {
    let risk = 1.0 / (1.0 + (-(age - 60.0) / 25.0 - 0.3 * f64::from(*sex)).exp());
    let died = u8::from(*chance < risk);
    let visits = (crp / 40.0 + 6.0 * chance).round();
    let time = (24.0 * (1.0 - risk * chance.sqrt())).round();
    let (sex, arm) = (["F", "M"][usize::from(*sex)], ["A", "B", "C"][usize::from(*arm)]);
    let (status, weight) = ([1, 2, 1, 0][usize::from(*event)], 1 + u8::from(*crp > 99.0));
    let happened = u8::from(*event < 3);
    format!("{age:.1},{crp:.2},{sex},{arm},{died},{visits},{time},{happened},{status},{weight}\n")
}

fn network(draws: &[Draw], parties: usize) -> Network {
    let header = "age,crp,sex,arm,died,visits,time,event,status,weight\n";
    let mut files = vec![header.to_owned(); parties];
    for draw in draws {
        files[draw.6 % parties] += &patient(draw);
    }
    Network::new(Dictionary::parse("drawn", DICTIONARY).unwrap(), &files)
}

fn draws() -> impl Strategy<Value = Vec<Draw>> {
    let one =
        (20.0..95.0_f64, 0.0..200.0_f64, 0..2_u8, 0..3_u8, 0.0..1.0_f64, 0..4_u8, 0..210_usize);
    prop::collection::vec(one, 20..120)
}

/// Both runs end alike, and their numbers are the same to a millionth, or to noise where they are 0.
fn alike(ideal: &Run, shared: &Run) -> Result<(), TestCaseError> {
    let (Ok(wanted), Ok(got)) = (&ideal.findings, &shared.findings) else {
        let text = |run: &Run| run.findings.as_ref().map(|_| ()).map_err(ToString::to_string);
        prop_assert_eq!(text(ideal), text(shared));
        return Ok(());
    };
    prop_assert_eq!(&ideal.ledger, &shared.ledger);
    prop_assert_eq!(got.tables.len(), wanted.tables.len());
    for (got, wanted) in got.tables.iter().zip(&wanted.tables) {
        prop_assert_eq!(got.rows.len(), wanted.rows.len());
        let cells = got.rows.iter().flatten().zip(wanted.rows.iter().flatten());
        for (at, (got_cell, wanted_cell)) in cells.enumerate() {
            let (Cell::Number(a), Cell::Number(b)) = (got_cell, wanted_cell) else {
                prop_assert_eq!(got_cell, wanted_cell);
                continue;
            };
            let column = got.columns[at % got.columns.len()];
            if column.starts_with("exp.") {
                // the exponential of a number compared before
                continue;
            }
            let close = (a - b).abs() <= 1e-6 * b.abs() + 1e-8 || a.to_bits() == b.to_bits();
            prop_assert!(close || (a.is_nan() && b.is_nan()), "{column}: {a} for {b}");
        }
    }
    Ok(())
}

fn formulas() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "age",
        "age + sex",
        "arm",
        "age * sex + crp",
        "log(crp + 1) + arm",
        "I(age^2) + age + sex",
        "age + sex - 1",
    ])
}

/// A response with its family.
fn families() -> impl Strategy<Value = (&'static str, &'static str)> {
    prop::sample::select(vec![("died", "binomial"), ("visits", "poisson"), ("crp", "gaussian")])
}

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn linear_models(draws in draws(), right in formulas(), parties in 3..=7_usize) {
        let network = network(&draws, parties);
        let request = model("lm", &format!("visits ~ {right}"));
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn generalised_models(
        draws in draws(),
        right in formulas(),
        parties in 3..=5_usize,
        poisson: bool,
        sealed: bool,
    ) {
        let network = network(&draws, parties);
        let left = if poisson { "visits" } else { "died" };
        let request = Request {
            family: Some(if poisson { "poisson" } else { "binomial" }.to_owned()),
            sealed,
            iterations: Some(8),
            ..model("glm", &format!("{left} ~ {right}"))
        };
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn curves(draws in draws(), parties in 3..=7_usize, star: bool, grouped: bool) {
        let network = network(&draws, parties);
        let right = if grouped { "arm" } else { "1" };
        let request = model("km", &format!("Surv(time, event) ~ {right}"));
        let topology = if star { Topology::Star } else { Topology::Mesh };
        alike(&network.on_ideal(&request), &network.on_shares_over(&request, topology))?;
    }

    #[test]
    fn curves_in_strata(draws in draws(), parties in 3..=7_usize, centres: bool, plain: bool) {
        let network = network(&draws, parties);
        let strata = if centres { "centre" } else { "sex" };
        let request = Request {
            trend: true,
            rmean: Some(7.5),
            conf_type: Some(if plain { "plain" } else { "log-log" }.to_owned()),
            ..model("km", &format!("Surv(time, event) ~ arm + strata({strata})"))
        };
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn incidences(draws in draws(), parties in 3..=7_usize, grouped: bool) {
        let network = network(&draws, parties);
        let right = if grouped { "arm" } else { "1" };
        let request = model("cuminc", &format!("Surv(time, status) ~ {right}"));
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn lifetimes(draws in draws(), parties in 3..=7_usize, weighted: bool, free: bool) {
        let network = network(&draws, parties);
        let request = Request {
            weights: weighted.then(|| "weight".to_owned()),
            dist: Some(if free { "weibull" } else { "exponential" }.to_owned()),
            ..model("survreg", "Surv(I(time + 1), event) ~ age + sex")
        };
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn hazards(draws in draws(), parties in 3..=5_usize, weighted: bool, efron: bool, robust: bool) {
        let network = network(&draws, parties);
        let request = Request {
            weights: weighted.then(|| "weight".to_owned()),
            ties: Some(if efron { "efron" } else { "breslow" }.to_owned()),
            ties_max: efron.then_some(100),
            cluster: (!robust).then(|| "centre".to_owned()),
            robust: robust.then(|| "HC0".to_owned()),
            zph: true,
            baseline: true,
            concordance: !weighted,
            ..model("cox", "Surv(time, event) ~ age + sex")
        };
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn levels(draws in draws(), right in formulas(), parties in 3..=7_usize, ordered: bool) {
        let network = network(&draws, parties).with_large_leverage();
        let right = right.replace("arm", "visits");
        let (kind, right) = match ordered {
            true => ("ordinal", right.replace(" - 1", "")),
            false => ("multinom", right),
        };
        let request = model(kind, &format!("arm ~ {right}"));
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn estimating_equations(
        draws in draws(),
        right in formulas(),
        parties in 3..=7_usize,
        family in families(),
        centres: bool,
    ) {
        let network = network(&draws, parties).with_large_leverage();
        // few clusters and many columns give variances of 0, of which no digits are left
        let right = if centres { "age + sex" } else { right };
        let right = if family.0 == "crp" { right.replace("crp", "time") } else { right.to_owned() };
        let request = Request {
            family: Some(family.1.to_owned()),
            cluster: Some(if centres { "centre" } else { "time" }.to_owned()),
            ..model("gee", &format!("{} ~ {right}", family.0))
        };
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn random_intercepts(
        draws in draws(),
        right in formulas(),
        parties in 3..=7_usize,
        logistic: bool,
        centres: bool,
        ml: bool,
    ) {
        let network = network(&draws, parties).with_large_leverage();
        let (left, family) = if logistic { ("died", "binomial") } else { ("visits", "gaussian") };
        let request = Request {
            family: Some(family.to_owned()),
            cluster: Some(if centres { "centre" } else { "time" }.to_owned()),
            ml: ml && !logistic,
            ..model("mixed", &format!("{left} ~ {right}"))
        };
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }

    #[test]
    fn descriptions(draws in draws(), parties in 3..=7_usize) {
        let network = network(&draws, parties);
        let request = crate::support::summary(&["age", "crp", "visits", "died"]);
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
        let request = model("table1", "arm ~ sex + age + died");
        alike(&network.on_ideal(&request), &network.on_shares(&request))?;
    }
}
