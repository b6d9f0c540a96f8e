//! Counts, means, standard deviations and exact quartiles of numeric variables over all centres.
//!
//! # Local step
//! Each centre counts, adds up its values and their squares, moved and scaled into the dictionary's
//! range, and counts its values up to public thresholds.
//!
//! # Secure step
//! Sums over the centres are shares already; whether enough patients have a value is decided on
//! them. Quartiles by bisection on the public grid of the variable.
//!
//! With noise there are no verdicts and no quartiles: each centre adds its part of the noise to its
//! own counts and sums, and all are released.
//!
//! # Opens
//! To the centres: whether the cohort is large enough; the path of the bisection, which is the
//! quartiles themselves.
//!
//! # Release
//! Count, missing, sum, sum of squares, order statistics, for variables with enough patients. Fewer
//! than the threshold: nothing but that fact.
//!
//! # Sources
//! Quantiles: Hyndman and Fan (1996), type 7. Variance: sums about the middle of the public range.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::describe::{
    COUNTS_EACH, LocalCell, Names, Numeric, QUERIES_EACH, STATISTICS_EACH, describe, find,
    found_percent, has_levels, read_cell,
};
use crate::table::{Cell, Table};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Applicants, Described, Release, admit, attack};
use konsil_mpc::{Audience, Opening, Session};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 7] = [ADMITTED, ATTACKED, FOUND, PATH, COUNTS, SUMS, PLACES];

const ADMITTED: Opening = Opening {
    name: "summary.admitted",
    says: "Whether the cohort has enough patients and centres.",
    to: Audience::Centres,
};
const ATTACKED: Opening = Opening {
    name: "summary.attacked",
    says: "Whether a membership attack on the numbers finds too many patients.",
    to: Audience::Centres,
};
const FOUND: Opening = Opening {
    name: "summary.found",
    says: "Which of 12 rates of members the attack reaches at 1 % false positives.",
    to: Audience::Researcher,
};
const PATH: Opening = Opening {
    name: "summary.quartile-path",
    says: "The quartiles over all centres, bit by bit, of variables with enough patients.",
    to: Audience::Centres,
};
const COUNTS: Opening = Opening {
    name: "summary.counts",
    says: "How many patients have a value and how many lack one, over all centres, unless too few.",
    to: Audience::Researcher,
};
const SUMS: Opening = Opening {
    name: "summary.sums",
    says: "Sum and sum of squares over all centres, unless too few.",
    to: Audience::Researcher,
};
const PLACES: Opening = Opening {
    name: "summary.quartiles",
    says: "The order statistics next to the quartiles over all centres, unless too few.",
    to: Audience::Researcher,
};

const NAMES: Names = Names { path: PATH, counts: COUNTS, sums: SUMS, places: PLACES };

struct Summary {
    variables: Vec<Numeric>,
}

/// Checks a request: every variable is numeric with a public range.
///
/// # Errors
/// [`AnalysisError::Request`] naming the variable.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    if request.variables.is_empty() {
        return Err(error("names no variables; give `variables = [..]`".to_owned()));
    }
    let numeric = |name: &String| {
        let variable = find(dictionary, name)?;
        if has_levels(variable) {
            return Err(format!("`{name}` has levels; describe it with table1"));
        }
        Numeric::new(variable)
    };
    let variables = request.variables.iter().map(numeric).collect::<Result<_, _>>();
    Ok(Box::new(Summary { variables: variables.map_err(error)? }))
}

impl Analysis for Summary {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let n = self.variables.len();
        vec![format!(
            "count, missing, mean, standard deviation and 3 quartiles of {n} variables, unless too few patients"
        )]
    }

    fn understood(&self) -> Vec<String> {
        self.variables.iter().map(|it| format!("{} ({})", it.name, it.label)).collect()
    }

    fn statistics(&self) -> usize {
        STATISTICS_EACH * self.variables.len()
    }

    fn takes_noise(&self) -> bool {
        true
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let rows = patients.map_or(0, konsil_cohort::Dataset::rows);
        let statistics = if setting.noise.is_some() { 0 } else { self.statistics() };
        let applicants = Applicants { patients: rows, statistics, ..Applicants::default() };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let mut cells = Vec::with_capacity(self.variables.len());
        for numeric in &self.variables {
            let values = match patients {
                Some(dataset) => dataset.numeric(&numeric.name)?,
                None => Vec::new(),
            };
            cells.push(LocalCell { numeric, values });
        }
        if setting.noise.is_none() {
            let column = |at: usize| {
                cells
                    .get(at / 2)
                    .map_or_else(Vec::new, |it| it.numeric.scaled(&it.values, at % 2 == 1))
            };
            let counts = vec![false; 2 * cells.len()];
            let described = Described { counts: &counts, patients: rows, column: &column };
            attack(session, (ATTACKED, FOUND), &setting.policy, &described)?;
        }
        let queries = QUERIES_EACH * self.variables.len();
        describe(session, (setting, queries), NAMES, &cells)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let counts = release.counts(COUNTS)?;
        let sums = release.reals(SUMS)?;
        let places = release.counts(PLACES)?;
        let mut table = Table::new(
            "tidy",
            &[
                "variable",
                "label",
                "n",
                "missing",
                "mean",
                "sd",
                "q25",
                "median",
                "q75",
                "suppressed",
            ],
        );
        let cells = counts.chunks(COUNTS_EACH).zip(sums.chunks(2)).zip(places.chunks(6));
        for (numeric, ((counts, sums), places)) in self.variables.iter().zip(cells) {
            let it = read_cell(numeric, counts, sums, places);
            let number = |value: Option<f64>| value.map_or(Cell::Missing, Cell::Number);
            let quartile = |at: usize| number(it.quartiles.map(|quartiles| quartiles[at]));
            table.rows.push(vec![
                Cell::Text(numeric.name.clone()),
                Cell::Text(numeric.label.clone()),
                it.known.map_or(Cell::Missing, Cell::Count),
                it.missing.map_or(Cell::Missing, Cell::Count),
                number(it.mean),
                number(it.deviation),
                quartile(0),
                quartile(1),
                quartile(2),
                Cell::Flag(it.known.is_none()),
            ]);
        }
        let title = "Summary".to_owned();
        Ok(Findings {
            title,
            tables: vec![table],
            notes: Vec::new(),
            found_percent_below: found_percent(release, FOUND)?,
            scans: Vec::new(),
        })
    }
}
