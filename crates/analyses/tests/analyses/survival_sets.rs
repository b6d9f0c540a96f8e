//! Survival analyses of real sets against numbers of R 4.2 (survival 3.5, cmprsk 2.2) on the pooled
//! tables. Skipped, visibly, where the sets are not there.

use crate::reference::{Csv, EXACT, Ledger, say, shared_set};
use crate::support::{Network, Run, model, number, row_of};
use konsil_analyses::Request;
use konsil_cohort::Dictionary;

const FORMULA: &str = "Surv(time, event) ~ age + tsize + pnodes + horTh";
const TERMS: [&str; 4] = ["age", "tsize", "pnodes", "horThyes"];

fn breast_cancer() -> Option<Network> {
    let folder = shared_set("gbsg2")?;
    Some(Network::split(&folder.join("data.csv"), "centre6", None).with_large_leverage())
}

fn columns_are(run: &Run, (table, key): (&str, &str), column: &str, wanted: &[(&str, f64)]) {
    let mut ledger = Ledger::default();
    let table = run.table(table);
    for (name, value) in wanted {
        let row = row_of(table, key, name);
        ledger.near(name, column, (number(table, row, column), *value), EXACT);
    }
    ledger.close(column);
}

#[test]
fn breast_cancer_lifetimes_equal_r() {
    let Some(network) = breast_cancer() else {
        return;
    };
    let terms = ["(Intercept)", "age", "tsize", "pnodes", "horThyes", "Log(scale)"];
    for (dist, likelihood, estimates, errors) in [
        (
            "weibull",
            [-2_637.276_363_59, -2_602.148_444_62],
            [
                7.981_836_701_59,
                -2.671_611_210_39e-4,
                -5.768_805_271_84e-3,
                -4.157_402_164_67e-2,
                2.915_662_786_43e-1,
                -3.033_794_529_42e-1,
            ],
            [
                2.536_475_983_25e-1,
                4.443_424_680_57e-3,
                2.829_756_143_87e-3,
                5.480_436_784_07e-3,
                9.449_454_148_76e-2,
                4.931_754_568_64e-2,
            ],
        ),
        (
            "exponential",
            [-2_647.800_106_66, -2_618.765_083_32],
            [
                8.205_066_645_20,
                -8.587_227_368_18e-5,
                -7.072_578_842_05e-3,
                -5.051_098_928_77e-2,
                3.487_410_096_10e-1,
                0.0,
            ],
            [
                3.388_613_773_68e-1,
                5.982_472_865_83e-3,
                3.850_624_319_34e-3,
                7.375_944_267_69e-3,
                1.276_626_361_27e-1,
                0.0,
            ],
        ),
    ] {
        let request = Request { dist: Some(dist.to_owned()), ..model("survreg", FORMULA) };
        let run = network.on_shares(&request);
        let known = if dist == "weibull" { 6 } else { 5 };
        let pairs =
            |values: [f64; 6]| terms.into_iter().zip(values).take(known).collect::<Vec<_>>();
        columns_are(&run, ("tidy", "term"), "estimate", &pairs(estimates));
        columns_are(&run, ("tidy", "term"), "std.error", &pairs(errors));
        let glance = run.table("glance");
        let mut ledger = Ledger::default();
        for (column, wanted) in ["logLik.null", "logLik"].into_iter().zip(likelihood) {
            ledger.near(dist, column, (number(glance, 0, column), wanted), EXACT);
        }
        ledger.close(dist);
        assert!(run.found().notes.is_empty(), "{:?}", run.found().notes);
        say(&format!("gbsg2 survreg {dist}: {:?}, {:?}", run.took, run.cost));
    }
}

#[test]
fn breast_cancer_scores_equal_r() {
    let Some(network) = breast_cancer() else {
        return;
    };
    let request = Request { ties: Some("efron".to_owned()), zph: true, ..model("cox", FORMULA) };
    let robust = Request { robust: Some("HC0".to_owned()), ..request.clone() };
    let run = network.on_ideal(&robust);
    let errors =
        [0.006_326_932_453_65, 0.003_881_282_411_80, 0.011_418_730_420_42, 0.126_022_952_353_29];
    let pairs = |errors: [f64; 4]| TERMS.into_iter().zip(errors).collect::<Vec<_>>();
    columns_are(&run, ("tidy", "term"), "robust.se", &pairs(errors));
    let mut tests =
        pairs([8.894_324_078_556, 0.139_621_992_155, 1.169_744_629_022, 0.126_695_993_817]);
    tests.push(("GLOBAL", 10.226_195_654_523));
    columns_are(&run, ("zph", "term"), "statistic", &tests);
    let run = network.on_ideal(&Request { cluster: Some("centre".to_owned()), ..request });
    let errors =
        [0.009_243_428_526_22, 0.003_222_201_657_83, 0.012_867_856_378_22, 0.097_360_161_912_45];
    columns_are(&run, ("tidy", "term"), "robust.se", &pairs(errors));
}

#[test]
fn breast_cancer_curves_equal_r() {
    let Some(network) = breast_cancer() else {
        return;
    };
    let request = Request { rmean: Some(1800.0), ..model("km", "Surv(time, event) ~ horTh") };
    let run = network.on_shares(&request);
    let means = [("horTh=no", 1_252.965_902_43), ("horTh=yes", 1_398.828_263_95)];
    columns_are(&run, ("tidy", "strata"), "rmean", &means);
    let errors = [("horTh=no", 30.119_387_713_0), ("horTh=yes", 37.167_893_551_3)];
    columns_are(&run, ("tidy", "strata"), "rmean.std.error", &errors);
    let formula = "Surv(time, event) ~ tgrade + strata(menostat)";
    let run = network.on_shares(&Request { trend: true, ..model("km", formula) });
    columns_are(&run, ("glance", "strata"), "statistic.log", &[("I", 20.621_080_939_8)]);
    columns_are(&run, ("trend", "df"), "statistic", &[("1", 19.674_815_960_8)]);
    say(&format!("gbsg2 km: {:?}, {:?}", run.took, run.cost));
}

/// Recurrence, and death without one, at months of 30 days.
fn tumour_bank() -> Option<Network> {
    let folder = shared_set("rotterdam")?;
    let csv = Csv::read(&folder.join("data.csv"));
    let [recur, rtime, death, dtime, hormon, centre] =
        ["recur", "rtime", "death", "dtime", "hormon", "centre6"].map(|name| csv.place(name));
    let mut text = "centre,months,status,hormon\n".to_owned();
    for row in &csv.rows {
        let (status, time) = match (row[recur].as_str(), row[death].as_str()) {
            ("1", _) => (1, &row[rtime]),
            (_, "1") => (2, &row[dtime]),
            _ => (0, &row[dtime]),
        };
        let months = (time.parse::<f64>().unwrap() / 30.0).ceil();
        text += &format!("{},{months},{status},{}\n", row[centre], row[hormon]);
    }
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("tumour_bank.csv");
    std::fs::write(&path, text).unwrap();
    let dictionary = "name,type,levels,min,max\nmonths,integer,,0,240\nstatus,integer,,0,2\n\
                      hormon,integer,,0,1\n";
    let dictionary = Dictionary::parse("tumour bank", dictionary).unwrap();
    Some(Network::split(&path, "centre", Some(dictionary)))
}

#[test]
fn tumour_bank_incidences_equal_r() {
    let Some(network) = tumour_bank() else {
        return;
    };
    let request = Request { points: Some(241), ..model("cuminc", "Surv(months, status) ~ hormon") };
    let run = network.on_shares(&request);
    let tests = [("1", 7.264_902_607_96), ("2", 2.920_587_196_40)];
    columns_are(&run, ("glance", "outcome"), "statistic", &tests);
    let table = run.table("cuminc");
    let mut ledger = Ledger::default();
    for (group, cause, time, estimate, error) in [
        ("0", "1", 30.0, 0.246_850_915_89, 0.008_405_581_139),
        ("0", "1", 60.0, 0.388_881_575_79, 0.009_535_818_751),
        ("1", "1", 60.0, 0.459_508_594_91, 0.027_469_825_381),
        ("0", "1", 120.0, 0.523_444_567_50, 0.010_570_647_936),
        ("0", "2", 30.0, 0.012_160_678_74, 0.002_136_976_673),
    ] {
        let text = |row: usize, column: &str| table.get(row, column).unwrap().text();
        let at = |row: &usize| {
            text(*row, "strata") == format!("hormon={group}")
                && text(*row, "outcome") == cause
                && number(table, *row, "time") <= time
        };
        // the last shown point; where it is an earlier one the curve may have gone on since
        let row = (0..table.rows.len()).rfind(at).unwrap();
        if number(table, row, "time") == time {
            let what = format!("{group} {cause} at {time}");
            ledger.near(&what, "estimate", (number(table, row, "estimate"), estimate), EXACT);
            ledger.near(&what, "error", (number(table, row, "std.error"), error), EXACT);
        }
    }
    ledger.close("rotterdam cuminc");
    say(&format!("rotterdam cuminc: {:?}, {:?}", run.took, run.cost));
}
