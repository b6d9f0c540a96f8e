//! Comparison with reference numbers of R, and the shared folder where the large data sets are.

use crate::support::{number, row_of};
use konsil_analyses::Table;
use serde_json::Value;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Fewest digits that an estimate must share with the reference.
pub(crate) const EXACT: f64 = 1e-6;

/// The folder of a shared data set; `None`, with a visible line, where there is none.
pub(crate) fn shared_set(name: &str) -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let root = std::env::var_os("KONSIL_SHARED").map_or_else(|| PathBuf::from(beside), Into::into);
    let folder = root.join("data").join(name);
    if folder.join("SOURCE.txt").is_file() {
        return Some(folder);
    }
    say(&format!("skipped: no shared data set `{name}` here"));
    None
}

/// A line on the error stream, shown by the test runner.
pub(crate) fn say(line: &str) {
    use std::io::Write as _;
    let mut stream = std::io::stderr().lock();
    stream.write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// The reference numbers beside a data set.
pub(crate) fn json(path: &std::path::Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A number of the reference; NaN for null.
pub(crate) fn real(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Digits that two numbers share: -log10 of the relative difference, 16 at most.
pub(crate) fn digits(got: f64, wanted: f64) -> f64 {
    if got == wanted || (got.is_nan() && wanted.is_nan()) {
        return 16.0;
    }
    let apart = (got - wanted).abs() / wanted.abs().max(1e-300);
    let digits = -apart.log10();
    if digits.is_nan() { 0.0 } else { digits.min(16.0) }
}

/// Collects comparisons and fails once, with all that missed.
#[derive(Default)]
pub(crate) struct Ledger {
    misses: String,
    worst: Vec<(String, f64)>,
}

impl Ledger {
    /// Two numbers within a relative bound.
    pub(crate) fn near(&mut self, what: &str, kind: &str, (got, wanted): (f64, f64), bound: f64) {
        let shared = digits(got, wanted);
        match self.worst.iter_mut().find(|(known, _)| known == kind) {
            Some((_, worst)) => *worst = worst.min(shared),
            None => self.worst.push((kind.to_owned(), shared)),
        }
        if shared < -bound.log10() {
            let _ = writeln!(self.misses, "{what} {kind}: {got} for {wanted}");
        }
    }

    /// Two p values: relative, or on the scale of the exponent where they are tiny.
    pub(crate) fn p_value(&mut self, what: &str, (got, wanted): (f64, f64), bound: f64) {
        let pair = if wanted < 1e-12 {
            if wanted < 1e-300 {
                assert!(got < 1e-300, "{what}: {got} for {wanted}");
                return;
            }
            (-got.log10(), -wanted.log10())
        } else {
            (got, wanted)
        };
        self.near(what, "p", pair, bound);
    }

    /// Coefficients of a tidy table against R's `coef(summary(..))`.
    pub(crate) fn coefficients(&mut self, table: &Table, wanted: &Value, bound: f64) {
        let wanted = wanted.as_array().unwrap();
        assert_eq!(table.rows.len(), wanted.len(), "as many coefficients");
        // p = 2 Phi(-|z|): a relative error of z grows with z^2
        for one in wanted {
            let term = one["term"].as_str().unwrap();
            let row = row_of(table, "term", term);
            for (kind, column, key) in [
                ("estimate", "estimate", "coef"),
                ("error", "std.error", "se"),
                ("statistic", "statistic", "stat"),
            ] {
                let pair = (number(table, row, column), real(&one[key]));
                self.near(term, kind, pair, bound);
            }
            let pair = (number(table, row, "p.value"), real(&one["p"]));
            self.p_value(term, pair, (100.0 * bound).max(1e-4));
        }
    }

    /// Fails with everything that missed; otherwise says the fewest digits of each kind.
    pub(crate) fn close(self, title: &str) {
        let worst = self.worst.iter().fold(String::new(), |mut line, (kind, d)| {
            let _ = write!(line, " {kind} {d:.1}");
            line
        });
        say(&format!("{title}: digits{worst}"));
        assert!(self.misses.is_empty(), "{title}\n{}", self.misses);
    }
}

/// A CSV table without quotes, to which derived columns are added.
pub(crate) struct Csv {
    pub(crate) headers: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Csv {
    pub(crate) fn read(path: &std::path::Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let row = |line: &str| -> Vec<String> {
            line.split(',').map(|it| it.trim_matches('"').to_owned()).collect()
        };
        let mut lines = text.lines();
        Self { headers: row(lines.next().unwrap()), rows: lines.map(row).collect() }
    }

    pub(crate) fn place(&self, column: &str) -> usize {
        self.headers.iter().position(|it| it == column).unwrap()
    }

    /// Adds a column; the function gets the value of `from` in each row.
    pub(crate) fn derive(&mut self, name: &str, from: &str, value: impl Fn(&str) -> String) {
        let at = self.place(from);
        self.headers.push(name.to_owned());
        for row in &mut self.rows {
            row.push(value(&row[at]));
        }
    }

    /// Keeps the named columns only.
    pub(crate) fn keep(&mut self, columns: &[&str]) {
        let places: Vec<usize> = columns.iter().map(|it| self.place(it)).collect();
        self.headers = columns.iter().map(|it| (*it).to_owned()).collect();
        for row in &mut self.rows {
            *row = places.iter().map(|at| row[*at].clone()).collect();
        }
    }

    pub(crate) fn write(&self, path: &std::path::Path) {
        let mut text = self.headers.join(",") + "\n";
        for row in &self.rows {
            text += &(row.join(",") + "\n");
        }
        std::fs::write(path, text).unwrap();
    }
}

impl Ledger {
    /// Medians, limits, records and events of each stratum.
    pub(crate) fn medians(&mut self, table: &Table, wanted: &Value, names: &[&str]) {
        for name in names {
            let wanted = if names.len() > 1 { &wanted[*name] } else { wanted };
            let row = row_of(table, "strata", name);
            for (column, key) in [
                ("records", "records"),
                ("events", "events"),
                ("median", "median"),
                ("conf.low", "0.95LCL"),
                ("conf.high", "0.95UCL"),
            ] {
                let pair = (number(table, row, column), real(&wanted[key]));
                self.near(name, key, pair, EXACT);
            }
        }
    }

    /// Shown points of a curve against R's at the last event up to each.
    pub(crate) fn curve(&mut self, table: &Table, wanted: &Csv) {
        let column = |name: &str| wanted.place(name);
        let [stratum, time, surv, se, lower, upper, risk] =
            ["stratum", "time", "surv", "se", "lower95", "upper95", "n_risk"].map(column);
        let read = |row: &[String], at: usize| row[at].parse::<f64>().unwrap_or(f64::NAN);
        for at in 0..table.rows.len() {
            let name = table.get(at, "strata").unwrap().text();
            let name = if name == "All" { "all".to_owned() } else { name };
            let now = number(table, at, "time");
            let last =
                wanted.rows.iter().rfind(|row| row[stratum] == name && read(row, time) <= now);
            let last = last.unwrap();
            let survival = read(last, surv);
            let what = format!("{name} at {now}");
            let error = read(last, se) / survival;
            self.near(&what, "surv", (number(table, at, "surv"), survival), EXACT);
            self.near(&what, "se", (number(table, at, "std.err"), error), EXACT);
            self.near(&what, "lower", (number(table, at, "lower"), read(last, lower)), EXACT);
            self.near(&what, "upper", (number(table, at, "upper"), read(last, upper)), EXACT);
            if read(last, time) == now {
                self.near(&what, "n.risk", (number(table, at, "n.risk"), read(last, risk)), EXACT);
            }
        }
    }

    /// The log-rank test.
    pub(crate) fn log_rank(&mut self, table: &Table, wanted: &Value) {
        let observed = wanted["observed"].as_array().unwrap();
        for (row, one) in observed.iter().enumerate() {
            // a group with too few events takes part in the test and shows nothing of its own
            if number(table, row, "observed").is_nan() {
                continue;
            }
            self.near("log-rank", "observed", (number(table, row, "observed"), real(one)), EXACT);
            let pair = (number(table, row, "expected"), real(&wanted["expected"][row]));
            self.near("log-rank", "expected", pair, EXACT);
        }
        let pair = (number(table, 0, "statistic.log"), real(&wanted["chisq"]));
        self.near("log-rank", "chisq", pair, EXACT);
        self.near("log-rank", "df", (number(table, 0, "df"), real(&wanted["df"])), EXACT);
        self.p_value("log-rank", (number(table, 0, "p.value.log"), real(&wanted["p"])), 1e-4);
    }
}
