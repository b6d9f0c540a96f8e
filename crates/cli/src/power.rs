//! What statisticians reckon before and after a study, on this computer: power and sample size, and p
//! values adjusted for their number.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Args, Subcommand, ValueEnum};
use konsil_analyses::adjust::{benjamini_hochberg, holm};
use konsil_analyses::power::{Design, patients, power};
use konsil_plot::number::{self, Medium};
use konsil_plot::table::{Column, Table};
use konsil_plot::terminal::{self, TerminalStyle};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A comparison that is planned.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PowerCommand {
    /// Two means: n is the number of patients in each group.
    Means {
        /// The difference to find.
        #[arg(long)]
        delta: f64,
        /// The standard deviation within a group, as `konsil summary` shows it.
        #[arg(long)]
        sd: f64,
        /// Pairs, or one sample: n is the number of pairs, sd that of their differences.
        #[arg(long)]
        paired: bool,
        #[command(flatten)]
        aim: Aim,
    },
    /// Two shares: n is the number of patients in each group.
    Shares {
        /// The share in the first group.
        #[arg(long)]
        p1: f64,
        /// The share in the second group.
        #[arg(long)]
        p2: f64,
        #[command(flatten)]
        aim: Aim,
    },
    /// Means of several groups: n is the number of patients in each.
    Groups {
        /// How many groups.
        #[arg(long)]
        groups: u32,
        /// The variance of the groups' means.
        #[arg(long)]
        between: f64,
        /// The variance within a group.
        #[arg(long)]
        within: f64,
        #[command(flatten)]
        aim: Aim,
    },
    /// A hazard ratio: n is the number of patients in both groups together.
    Survival {
        /// The ratio of the hazards.
        #[arg(long)]
        ratio: f64,
        /// The part of all patients who have the event.
        #[arg(long)]
        events: f64,
        /// The part of all patients in the first group.
        #[arg(long, default_value_t = 0.5)]
        part: f64,
        #[command(flatten)]
        aim: Aim,
    },
    /// A correlation: n is the number of patients.
    Correlation {
        /// The correlation to find.
        #[arg(long, allow_negative_numbers = true)]
        r: f64,
        #[command(flatten)]
        aim: Aim,
    },
}

/// What is asked for: patients for a power, or the power of so many.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Aim {
    /// The power that is wanted.
    #[arg(long, default_value_t = 0.8, conflicts_with = "n")]
    power: f64,
    /// The number of patients whose power is asked for.
    #[arg(long)]
    n: Option<f64>,
    /// The level of significance, two-sided.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
}

impl PowerCommand {
    fn design(&self) -> (Design, Aim, &'static str) {
        match *self {
            Self::Means { delta, sd, paired: false, aim } => {
                (Design::Means { delta, sd }, aim, "in each group")
            }
            Self::Means { delta, sd, aim, .. } => (Design::OneMean { delta, sd }, aim, "pairs"),
            Self::Shares { p1, p2, aim } => {
                (Design::Shares { first: p1, second: p2 }, aim, "in each group")
            }
            Self::Groups { groups, between, within, aim } => {
                (Design::Groups { groups, between, within }, aim, "in each group")
            }
            Self::Survival { ratio, events, part, aim } => {
                (Design::Survival { ratio, events, part }, aim, "in both groups together")
            }
            Self::Correlation { r, aim } => (Design::Correlation { r }, aim, "patients"),
        }
    }
}

/// Shows the number of patients for a power, or the power of a number.
pub(crate) fn plan(command: &PowerCommand, screen: &Screen) -> Result<(), Failure> {
    let (design, aim, counted) = command.design();
    let nothing = || {
        Failure::usage(
            "no number of patients has this power: the difference is none, or a number is out of \
             range (shares and parts lie between 0 and 1, deviations above 0)",
        )
    };
    let n = match aim.n {
        Some(n) => n,
        None => patients(design, aim.power, aim.alpha).ok_or_else(nothing)?.ceil(),
    };
    let found = power(design, n, aim.alpha);
    if !found.is_finite() {
        return Err(nothing());
    }
    screen.table(&format!(
        "n      {} {counted}\npower  {}\nalpha  {}, two-sided\n",
        number::count(n, Medium::Terminal),
        number::percent(found, 1, Medium::Terminal),
        aim.alpha
    ));
    screen.json_line(&json!({
        "schema": "konsil.power.v1", "n": n, "counted": counted, "power": found,
        "alpha": aim.alpha,
    }));
    Ok(())
}

/// How p values are adjusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Method {
    /// Benjamini and Hochberg: the expected part of false findings.
    Bh,
    /// Holm: the chance of any false finding.
    Holm,
}

/// Options of `konsil adjust`.
#[derive(Clone, Debug, Args)]
pub(crate) struct AdjustOptions {
    /// Result tables with a column `p.value`: `results/*.tidy.csv`. Rows of all files count together.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The method.
    #[arg(long, value_enum, default_value_t = Method::Bh)]
    method: Method,
    /// The column that has the p values.
    #[arg(long, default_value = "p.value")]
    column: String,
    /// Also count intercepts.
    #[arg(long)]
    intercepts: bool,
}

/// Adjusts the p values of result tables for their number.
pub(crate) fn adjust(options: &AdjustOptions, screen: &Screen) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for file in &options.files {
        rows.extend(p_values(file, options)?);
    }
    if rows.is_empty() {
        let what = format!("the files have no p values in a column `{}`", options.column);
        return Err(Failure::usage(what));
    }
    let p: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let adjusted = match options.method {
        Method::Bh => benjamini_hochberg(&p),
        Method::Holm => holm(&p),
    };
    let columns = vec![Column::words("test"), Column::numbers("p"), Column::numbers("adjusted")];
    let shown = rows.iter().zip(&adjusted).map(|((name, p), adjusted)| {
        let text = |p: f64| number::p_value(p, Medium::Terminal).into();
        vec![name.clone().into(), text(*p), text(*adjusted)]
    });
    let table = Table { caption: String::new(), columns, rows: shown.collect() };
    let style = TerminalStyle { width: 100, colour: screen.colour };
    screen.table(&terminal::table(&table.columns, &table.rows, &style));
    let tests = rows.iter().zip(&adjusted);
    let tests: Vec<_> = tests
        .map(|((name, p), adjusted)| json!({"test": name, "p": p, "adjusted": adjusted}))
        .collect();
    screen.json_line(&json!({"schema": "konsil.adjust.v1", "tests": tests}));
    Ok(())
}

/// The p values of a table, each under the file's name and the texts of its row.
fn p_values(file: &Path, options: &AdjustOptions) -> Result<Vec<(String, f64)>, Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    let mut reader = csv::Reader::from_path(file).map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let at = header.iter().position(|it| it == options.column).ok_or_else(|| {
        let known = header.iter().collect::<Vec<_>>().join(", ");
        wrong(format!("no column `{}` (there are {known})", options.column))
    })?;
    let name = file.file_name().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.split(".tidy").next().unwrap_or_default().to_owned();
    let mut rows = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let cell = record.get(at).unwrap_or_default();
        let texts = record.iter().filter(|it| !it.is_empty() && it.parse::<f64>().is_err());
        let texts: Vec<&str> = texts.filter(|it| !matches!(*it, "TRUE" | "FALSE")).collect();
        let intercept = texts.contains(&"(Intercept)");
        if cell.is_empty() || (intercept && !options.intercepts) {
            continue;
        }
        let p: f64 = cell
            .parse()
            .map_err(|_| wrong(format!("line {}: `{}` is no number", line + 2, options.column)))?;
        if !(0.0..=1.0).contains(&p) {
            return Err(wrong(format!("line {}: a p value lies between 0 and 1", line + 2)));
        }
        let words = texts.into_iter().take(3).collect::<Vec<_>>().join(" ");
        rows.push((format!("{name} {words}").trim().to_owned(), p));
    }
    Ok(rows)
}
