//! Every analysis equals R on made-up patients: 3 and 7 centres, one without events, one of three
//! patients, one without anyone. The script that made patients and numbers is committed beside them.

use crate::reference::{Csv, EXACT, Ledger, json, real};
use crate::support::{Network, Run, ard, model, number, row_of, vector};
use konsil_analyses::Request;
use konsil_cohort::Dictionary;
use konsil_disclosure::Policy;
use konsil_ring::encode_scaled;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn reference(name: &str) -> Value {
    json(&vector(name))
}

/// Seven centres of 80 to 3 patients, the sixth without events.
pub(crate) fn seven() -> Network {
    crate::support::patients("centre7")
}

/// Three centres, and a fourth that has nobody.
pub(crate) fn three_and_an_empty_one() -> Network {
    crate::support::patients("centre3").with_empty_centre()
}

fn level_curves() -> Network {
    let dictionary = "name,type,levels,min,max\ngroup,category,X|Y,,\ntime,integer,,0,8\n\
                      event,integer,,0,1\n";
    let dictionary = Dictionary::parse("level", dictionary).unwrap();
    Network::split(&vector("level.csv"), "centre3", Some(dictionary))
}

/// The same request on both backends, on both networks.
fn everywhere(request: &Request) -> [Run; 4] {
    let [seven, four] = [seven(), three_and_an_empty_one()].map(Network::with_large_leverage);
    [
        seven.on_ideal(request),
        seven.on_shares(request),
        four.on_ideal(request),
        four.on_shares(request),
    ]
}

#[test]
fn summary_equals_r() {
    let wanted = reference("summary.json");
    let names = ["age", "bmi", "months", "visits", "half_age", "constant"];
    for run in everywhere(&crate::support::summary(&names)) {
        let table = run.table("tidy");
        let mut ledger = Ledger::default();
        for name in names {
            let row = row_of(table, "variable", name);
            for key in ["n", "missing", "mean", "sd", "q25", "median", "q75"] {
                let pair = (number(table, row, key), real(&wanted[name][key]));
                ledger.near(name, key, pair, EXACT);
            }
        }
        ledger.close("summary");
    }
}

#[test]
fn table_one_equals_r_where_it_shows() {
    let wanted = reference("table1.json");
    for run in everywhere(&model("table1", "arm ~ age + bmi + sex + rare + stage")) {
        let table = run.table("ard");
        let mut ledger = Ledger::default();
        for (row, arm) in ["A", "B", "C"].into_iter().enumerate() {
            let size = ard(table, (arm, "..ard_total_n..", "", "N"));
            ledger.near(arm, "N", (size, real(&wanted["n"][arm])), EXACT);
            for name in ["age", "bmi"] {
                let wanted = &wanted[name][arm];
                for (stat, key) in [
                    ("N", "n"),
                    ("mean", "mean"),
                    ("sd", "sd"),
                    ("p25", "q25"),
                    ("median", "median"),
                    ("p75", "q75"),
                ] {
                    let pair = (ard(table, (arm, name, "", stat)), real(&wanted[key]));
                    ledger.near(arm, stat, pair, EXACT);
                }
            }
            for (name, levels) in [
                ("sex", &["F", "M"][..]),
                ("rare", &["no", "yes"]),
                ("stage", &["I", "II", "III", "IV", "V"]),
            ] {
                let (counts, hidden) = arms(&wanted[name], levels);
                let (counts, hidden) = (&counts[row], &hidden[row]);
                for (at, level) in levels.iter().enumerate() {
                    let got = ard(table, (arm, name, level, "n"));
                    let expected = if hidden[at] { f64::NAN } else { counts[at] };
                    ledger.near(level, "count", (got, expected), EXACT);
                }
                let last = levels.len();
                let expected = if hidden[last] { f64::NAN } else { counts[last] };
                let got = ard(table, (arm, name, "", "N_miss"));
                ledger.near(name, "missing", (got, expected), EXACT);
            }
        }
        ledger.close("table1");
    }
}

/// Counts of the levels in each arm, and which are hidden.
fn arms(wanted: &Value, levels: &[&str]) -> (Vec<Vec<f64>>, Vec<Vec<bool>>) {
    let counts = ["A", "B", "C"].map(|arm| counts(&wanted[arm], levels)).to_vec();
    let hidden = hidden(&counts);
    (counts, hidden)
}

/// Counts of the levels, and of patients without one.
fn counts(wanted: &Value, levels: &[&str]) -> Vec<f64> {
    let levels = levels.iter().chain(&["missing"]);
    levels.map(|level| wanted[*level].as_f64().unwrap_or(0.0)).collect()
}

/// The rule, written down once more: small counts; by rows and by columns, twice, the smallest shown
/// neighbour of small counts without a large hidden one; the fourth corner of small counts and two
/// large hidden ones; all of a table in which a line's hidden counts are few together, or a small
/// one has no rectangle. Nobody missing is no small count.
fn hidden(counts: &[Vec<f64>]) -> Vec<Vec<bool>> {
    let (rows, columns) = (counts.len(), counts[0].len());
    let last = columns - 1;
    let count = |at: (usize, usize)| counts[at.0][at.1];
    let (small, large) = (|x: f64| x > 0.0 && x < 10.0, |x: f64| x >= 10.0);
    let cells = || (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    let mut hidden = vec![vec![false; columns]; rows];
    for (row, column) in cells() {
        let x = count((row, column));
        hidden[row][column] = x < 10.0 && !(column == last && x == 0.0);
    }
    let mut lines: Vec<Vec<(usize, usize)>> =
        (0..rows).map(|r| (0..columns).map(|c| (r, c)).collect()).collect();
    lines.extend((0..columns).map(|c| (0..rows).map(|r| (r, c)).collect::<Vec<_>>()));
    for _ in 0..2 {
        for line in &lines {
            let is_hidden = |at: &&(usize, usize)| hidden[at.0][at.1];
            let lonely = line.iter().any(|at| small(count(*at)))
                && !line.iter().filter(is_hidden).any(|at| large(count(*at)));
            let shown = line.iter().filter(|at| !is_hidden(at) && count(**at) > 0.0);
            let smallest = shown.min_by(|a, b| count(**a).total_cmp(&count(**b))).copied();
            if let (true, Some((row, column))) = (lonely, smallest) {
                hidden[row][column] = true;
            }
        }
    }
    let company = |row: usize, column: usize, hidden: &[Vec<bool>]| {
        hidden[row][column] && large(counts[row][column])
    };
    let before = hidden.clone();
    for (row, column) in cells().filter(|at| small(count(*at))) {
        for (other, next) in cells() {
            hidden[other][next] |= company(row, next, &before) && company(other, column, &before);
        }
    }
    let sum = |line: &[(usize, usize)]| line.iter().map(|at| count(*at)).sum::<f64>();
    let exposed = |line: &Vec<(usize, usize)>| {
        let (behind, shown): (Vec<_>, Vec<_>) = line.iter().partition(|at| hidden[at.0][at.1]);
        !behind.is_empty() && sum(&behind) < 10.0 && sum(&shown) > 0.0
    };
    let open = |(row, column): (usize, usize)| {
        let known = sum(&lines[row]) >= 10.0 && sum(&lines[rows + column]) >= 10.0;
        let rectangle = |(other, next): (usize, usize)| {
            company(row, next, &before) && company(other, column, &before) && hidden[other][next]
        };
        small(count((row, column))) && known && !cells().any(rectangle)
    };
    if lines.iter().any(exposed) || cells().any(open) {
        hidden.iter_mut().for_each(|row| row.fill(true));
    }
    hidden
}

// What is suppressed leaves no trace: the released word is 0, on shares as well.
#[test]
fn suppressed_cells_are_nowhere_in_what_is_released() {
    let wanted = reference("table1.json");
    for run in everywhere(&model("table1", "arm ~ rare + stage")) {
        let words = run.words("table1.levels");
        let width = 6;
        assert_eq!(words.len(), 2 * 2 * 3 * width);
        let mut rows = words.chunks(2 * width);
        for (name, levels) in
            [("rare", &["no", "yes"][..]), ("stage", &["I", "II", "III", "IV", "V"])]
        {
            for (row, arm) in ["A", "B", "C"].into_iter().enumerate() {
                let (counts, hidden) = arms(&wanted[name], levels);
                let (mut counts, hidden) = (counts[row].clone(), &hidden[row]);
                let pairs: Vec<&[u128]> = rows.next().unwrap().chunks(2).collect();
                let missing = counts.pop().unwrap();
                for (at, count) in counts.iter().enumerate() {
                    let expected =
                        if hidden[at] { [0, 0] } else { [1, encode_scaled(*count, 0).unwrap()] };
                    assert_eq!(pairs[at], expected, "{name} {arm} {}", levels[at]);
                }
                let expected = if hidden[levels.len()] {
                    [0, 0]
                } else {
                    [1, encode_scaled(missing, 0).unwrap()]
                };
                assert_eq!(pairs[width - 1], expected, "{name} {arm} missing");
            }
        }
    }
}

#[test]
fn linear_regression_equals_r() {
    let reference = reference("lm.json");
    for (name, wanted) in reference.as_object().unwrap() {
        for run in everywhere(&model("lm", wanted["formula"].as_str().unwrap())) {
            let mut ledger = Ledger::default();
            ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
            let glance = run.table("glance");
            for (column, key) in [
                ("r.squared", "r2"),
                ("adj.r.squared", "adj_r2"),
                ("sigma", "sigma"),
                ("deviance", "rss"),
                ("nobs", "n"),
                ("statistic", "f"),
                ("logLik", "loglik"),
                ("AIC", "aic"),
                ("BIC", "bic"),
            ] {
                let pair = (number(glance, 0, column), real(&wanted[key]));
                ledger.near(name, key, pair, EXACT);
            }
            let pair = (number(glance, 0, "p.value"), real(&wanted["f_p"]));
            ledger.p_value(name, pair, 1e-4);
            ledger.close(&format!("lm {name}"));
        }
    }
}

fn glm_is(run: &Run, wanted: &Value, bound: f64) {
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], bound);
    let glance = run.table("glance");
    for (column, key) in [
        ("deviance", "deviance"),
        ("logLik", "loglik"),
        ("AIC", "aic"),
        ("BIC", "bic"),
        ("nobs", "n"),
    ] {
        let pair = (number(glance, 0, column), real(&wanted[key]));
        ledger.near("model", key, pair, bound);
    }
    let null = number(glance, 0, "null.deviance");
    if !wanted["formula"].as_str().unwrap().contains("offset") {
        ledger.near("model", "null", (null, real(&wanted["null_deviance"])), bound);
    }
    let formula = wanted["formula"].as_str().unwrap();
    ledger.close(&format!("glm {formula}"));
}

fn request_of(wanted: &Value) -> Request {
    Request {
        family: Some(wanted["family"].as_str().unwrap().to_owned()),
        ..model("glm", wanted["formula"].as_str().unwrap())
    }
}

#[test]
fn generalised_regressions_equal_r() {
    for wanted in reference("glm.json").as_object().unwrap().values() {
        for run in everywhere(&request_of(wanted)) {
            glm_is(&run, wanted, EXACT);
        }
    }
}

#[test]
fn sealed_regressions_equal_r() {
    let reference = reference("glm.json");
    for name in ["binomial", "poisson"] {
        let sealed = Request { sealed: true, ..request_of(&reference[name]) };
        for run in everywhere(&sealed) {
            let steps = run.ledger.lines().iter();
            assert!(steps.clone().all(|line| line.opening.name != "glm.step"));
            glm_is(&run, &reference[name], 1e-4);
        }
    }
}

fn curve(name: &str) -> Csv {
    Csv::read(&vector(name))
}

fn many_points(formula: &str) -> Request {
    Request { points: Some(1000), ..model("km", formula) }
}

#[test]
fn km_equals_r() {
    let wanted = reference("km.json");
    for run in everywhere(&many_points("Surv(time, event) ~ arm")) {
        let mut ledger = Ledger::default();
        ledger.medians(run.table("tidy"), &wanted["arm"], &["arm=A", "arm=B", "arm=C"]);
        ledger.curve(run.table("km"), &curve("km_arm.csv"));
        ledger.log_rank(run.table("glance"), &wanted["arm_test"]);
        ledger.close("km by arm");
    }
    for run in everywhere(&many_points("Surv(time, event) ~ 1")) {
        let mut ledger = Ledger::default();
        ledger.medians(run.table("tidy"), &wanted["all"], &["All"]);
        ledger.curve(run.table("km"), &curve("km_all.csv"));
        ledger.close("km of all");
    }
}

// A median on a level stretch is its middle; where the last ten die together there is no limit.
#[test]
fn km_runs_level_and_ends_at_nothing_as_in_r() {
    let (network, wanted) = (level_curves(), reference("km.json"));
    let request = many_points("Surv(time, event) ~ group");
    for run in [network.on_ideal(&request), network.on_shares(&request)] {
        let mut ledger = Ledger::default();
        ledger.medians(run.table("tidy"), &wanted["level"], &["group=X", "group=Y"]);
        ledger.log_rank(run.table("glance"), &wanted["level_test"]);
        ledger.curve(run.table("km"), &curve("km_level.csv"));
        ledger.close("km at one half");
        let table = run.table("km");
        let last = (0..table.rows.len()).find(|row| number(table, *row, "surv") == 0.0);
        assert_eq!(number(table, last.unwrap(), "time"), 5.0);
    }
}

// Stage III has 6 events, IV 4 patients, V nobody: their curves are not shown, the test leaves IV and
// V out, and no word of them is released but the size of III.
#[test]
fn km_of_small_groups_is_suppressed() {
    let wanted = reference("km.json");
    for run in everywhere(&many_points("Surv(time, event) ~ stage")) {
        let tidy = run.table("tidy");
        let mut ledger = Ledger::default();
        ledger.medians(tidy, &wanted["stage"], &["stage=I", "stage=II"]);
        let glance = run.table("glance");
        let test = &wanted["stage_test"];
        ledger.log_rank(glance, test);
        ledger.close("km by stage");
        let sizes = run.words("km.groups");
        assert_eq!(sizes[..10], [1, 1, 1, 0, 0, 1, 1, 0, 0, 0], "verdicts");
        assert_eq!(sizes[10..], [107, 106, 27, 0, 0, 73, 76, 0, 0, 0], "sizes");
        for (at, group) in ["III", "IV", "V"].into_iter().enumerate() {
            let row = row_of(tidy, "strata", &format!("stage={group}"));
            assert!(number(tidy, row, "events").is_nan() && number(tidy, row, "median").is_nan());
            assert!(number(glance, 2 + at, "expected").is_nan());
            let log_rank = run.words("km.logrank");
            assert_eq!((log_rank[1 + 2 + at], log_rank[1 + 5 + 2 + at]), (0, 0), "events");
            let of_group = |words: &[u128], each: usize| {
                let mut cells = words.chunks(each).skip(2 + at).step_by(5);
                cells.all(|cell| cell.iter().all(|word| *word == 0))
            };
            assert!(of_group(run.words("km.curve"), 2) && of_group(run.words("km.risk"), 3));
            assert!(of_group(run.words("km.medians"), 1));
        }
        // between two shown points lie at least ten events
        let km = run.table("km");
        let events = (0..km.rows.len()).map(|row| number(km, row, "n.event"));
        assert!(events.clone().count() > 5);
        assert!(events.into_iter().all(|events| events >= 10.0));
    }
}

// Bytes and rounds depend on public sizes only: other patients, the same cost.
#[test]
fn cost_does_not_depend_on_patients() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = Csv::read(&vector("patients.csv"));
    // every patient gets another's values of everything but age, another body mass and time
    let original = csv.rows.clone();
    let [sex, bmi, time] = ["sex", "bmi", "time"].map(|name| csv.place(name));
    for (row, other) in csv.rows.iter_mut().zip(original.iter().rev()) {
        row[sex..].clone_from_slice(&other[sex..]);
        row[time] = (40 - other[time].parse::<i32>().unwrap()).to_string();
        row[bmi] = format!("{:.1}", 60.0 - other[bmi].parse::<f64>().unwrap());
    }
    let path: PathBuf = folder.path().join("other.csv");
    csv.write(&path);
    let other = Network::split(&path, "centre7", Some(crate::support::dictionary()));
    for request in [
        crate::support::summary(&["age", "bmi"]),
        model("table1", "arm ~ age + sex + rare"),
        model("lm", "bmi ~ age * sex"),
        model("glm", "died ~ age + sex"),
        Request { sealed: true, ..model("glm", "died ~ age + sex") },
        model("km", "Surv(time, event) ~ arm"),
        Request {
            trend: true,
            rmean: Some(20.0),
            conf_type: Some("log-log".to_owned()),
            ..model("km", "Surv(time, event) ~ arm + strata(centre)")
        },
        Request {
            ties: Some("efron".to_owned()),
            robust: Some("HC0".to_owned()),
            weights: Some("months".to_owned()),
            zph: true,
            baseline: true,
            ..model("cox", "Surv(time, event) ~ sex")
        },
        Request {
            cluster: Some("centre".to_owned()),
            concordance: true,
            ..model("cox", "Surv(time, event) ~ sex")
        },
        model("survreg", "Surv(I(time + 1), event) ~ sex"),
        model("cuminc", "Surv(time, factor(stage)) ~ sex"),
        model("ordinal", "arm ~ bmi"),
        model("multinom", "arm ~ bmi"),
        Request { cluster: Some("arm".to_owned()), ..model("gee", "died ~ bmi") },
        Request { cluster: Some("arm".to_owned()), ..model("mixed", "bmi ~ sex + time") },
        Request {
            cluster: Some("centre".to_owned()),
            family: Some("binomial".to_owned()),
            ..model("mixed", "died ~ bmi")
        },
    ] {
        let (one, two) = (seven().on_shares(&request), other.on_shares(&request));
        assert_eq!(one.cost, two.cost, "{}", request.kind);
        assert_eq!(one.ledger, two.ledger);
        assert_ne!(one.release, two.release);
    }
}

#[test]
fn vectors_are_where_the_rules_look_for_them() {
    for entry in konsil_analyses::REGISTRY {
        let path = vector(&format!("{}.json", entry.kind));
        assert!(Path::new(&path).is_file(), "{}", entry.kind);
    }
    assert!(Policy::default().check().is_ok());
}

fn cox_is(run: &Run, wanted: &Value) {
    let mut ledger = Ledger::default();
    ledger.coefficients(run.table("tidy"), &wanted["coef"], EXACT);
    let glance = run.table("glance");
    for (column, key) in
        [("n", "n"), ("nevent", "events"), ("logLik.null", "loglik_null"), ("logLik", "loglik")]
    {
        ledger.near("model", key, (number(glance, 0, column), real(&wanted[key])), EXACT);
    }
    ledger.close(&format!("cox {}", wanted["formula"]));
}

// Ties, strata, offsets, patients who enter late, a centre without events, one with three patients.
#[test]
fn cox_regression_equals_r() {
    let reference = reference("cox.json");
    for (name, wanted) in reference.as_object().unwrap() {
        let formula = wanted["formula"].as_str().unwrap();
        let ties = wanted["ties"].as_str().map(str::to_owned);
        let asked = |formula: &str| Request { ties: ties.clone(), ..model("cox", formula) };
        if name == "centres" {
            // R knows the centres by a variable, Konsil by themselves
            let request = asked(&formula.replace("centre3", "centre"));
            let network = three_and_an_empty_one().with_large_leverage();
            cox_is(&network.on_ideal(&request), wanted);
            cox_is(&network.on_shares(&request), wanted);
            continue;
        }
        for run in everywhere(&asked(formula)) {
            cox_is(&run, wanted);
        }
    }
}
