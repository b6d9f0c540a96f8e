//! A histogram of one variable in equal public bins.
//!
//! # Local step
//! Each centre counts its patients in each bin, and those without a value.
//!
//! # Secure step
//! Every count is judged on shares before anything is revealed; where the hidden bins have too few
//! patients together, their smallest neighbour is hidden too, as in `table1`.
//!
//! # Opens
//! To the centres: whether the cohort is large enough; whether a membership attack on the counts
//! finds too many patients.
//!
//! # Release
//! The count of each bin and of those without a value. What is too small is released as 0 with a
//! mark; its value is opened to nobody.
//!
//! # Sources
//! Secondary suppression: Hundepool et al. (2012), Statistical Disclosure Control, 4.4.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cells::{release_cells, shown};
use crate::compared::{admitted, number, released};
use crate::describe::{Numeric, found_percent};
use crate::table::{Cell, Table};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Applicants, Described, Release, admit, attack};
use konsil_mpc::{Audience, Opening, Session};
use konsil_ring::encode_count;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, ATTACKED, FOUND, COUNTS];

const ADMITTED: Opening = admitted("histogram.admitted");
const ATTACKED: Opening = Opening {
    name: "histogram.attacked",
    says: "Whether a membership attack on the counts finds too many patients.",
    to: Audience::Centres,
};
const FOUND: Opening = released(
    "histogram.found",
    "Which of 12 rates of members the attack reaches at 1 % false positives.",
);
const COUNTS: Opening = released(
    "histogram.counts",
    "How many patients each bin has over all centres, and how many lack a value, unless too few.",
);

/// Bins unless the request says otherwise.
const BINS: u32 = 20;

struct Histogram {
    numeric: Numeric,
    /// Limits of the bins, one more than there are bins.
    limits: Vec<f64>,
}

/// Checks a request: one number with a public range, 2 to 100 bins.
///
/// # Errors
/// [`AnalysisError::Request`] naming the variable.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let [name] = &request.variables[..] else {
        return Err(error("draws one variable; name it, as in `konsil histogram age`".to_owned()));
    };
    let numeric = number(dictionary, name).map_err(error)?;
    let bins = request.bins.unwrap_or(BINS);
    if !(2..=100).contains(&bins) {
        return Err(error("needs 2 to 100 bins".to_owned()));
    }
    let grid = numeric.grid;
    let whole = (grid.points - 1) as f64;
    // limits are values that the variable can have, so that a value's bin is clear
    let step = (whole / f64::from(bins)).ceil().max(1.0);
    let mut limits = Vec::new();
    let mut place = 0.0;
    while place < whole {
        limits.push(grid.start + place * grid.step);
        place += step;
    }
    limits.push(grid.start + whole * grid.step);
    if limits.len() < 3 {
        return Err(error(format!("finds fewer than two bins in the range of `{name}`")));
    }
    Ok(Box::new(Histogram { numeric, limits }))
}

impl Histogram {
    fn bins(&self) -> usize {
        self.limits.len() - 1
    }

    /// The bin of a value: from its left limit to below the next; the last one has its right limit.
    fn bin(&self, value: f64) -> usize {
        let above = self.limits.iter().skip(1).take(self.bins() - 1);
        // values are decimals: what is within a millionth of a step belongs to the limit
        let slack = self.numeric.grid.step * 1e-6;
        above.filter(|limit| value >= **limit - slack).count()
    }

    fn places(&self, patients: Patients<'_>) -> Result<Vec<Option<usize>>, AnalysisError> {
        let Some(dataset) = patients else {
            return Ok(Vec::new());
        };
        let values = dataset.numeric(&self.numeric.name)?;
        Ok(values.into_iter().map(|value| value.map(|it| self.bin(it))).collect())
    }
}

impl Analysis for Histogram {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec![format!(
            "{} counts, small ones and what would give them away suppressed",
            self.bins() + 1
        )]
    }

    fn understood(&self) -> Vec<String> {
        let ends = self.limits.first().zip(self.limits.last()).unwrap_or((&0.0, &0.0));
        vec![format!(
            "{} ({}) from {} to {} in {} bins, each with its left limit",
            self.numeric.name,
            self.numeric.label,
            ends.0,
            ends.1,
            self.bins()
        )]
    }

    fn statistics(&self) -> usize {
        self.bins() - 1
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let places = self.places(patients)?;
        let known = places.iter().flatten().count();
        let applicants =
            Applicants { patients: known, statistics: self.statistics(), ..Applicants::default() };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let column = |at: usize| -> Vec<f64> {
            let has = |place: usize| f64::from(u8::from(place == at));
            places.iter().map(|place| place.map_or(f64::NAN, has)).collect()
        };
        let counts = vec![true; self.statistics()];
        let described = Described { counts: &counts, patients: places.len(), column: &column };
        attack(session, (ATTACKED, FOUND), &setting.policy, &described)?;
        let mut cells = vec![0_u64; self.bins() + 1];
        for place in &places {
            let at = place.unwrap_or(self.bins());
            cells.iter_mut().skip(at).take(1).for_each(|count| *count += 1);
        }
        let cells: Vec<_> = cells.into_iter().map(encode_count).collect();
        // nobody without a value is no small cell
        let mut zero = vec![false; self.bins()];
        zero.push(true);
        release_cells(session, (setting, COUNTS), (&cells, &zero), (1, self.bins() + 1))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let counts = release.counts(COUNTS)?;
        let cell = |count: Option<f64>| count.map_or(Cell::Missing, Cell::Count);
        let mut table = Table::new("histogram", &["variable", "from", "to", "n", "suppressed"]);
        let mut hidden = 0;
        for (at, pair) in self.limits.windows(2).enumerate() {
            let &[from, to] = pair else {
                continue;
            };
            let count = shown(&counts, at);
            hidden += usize::from(count.is_none());
            table.rows.push(vec![
                Cell::Text(self.numeric.name.clone()),
                Cell::Number(from),
                Cell::Number(to),
                cell(count),
                Cell::Flag(count.is_none()),
            ]);
        }
        let missing = Table::of_one("glance", [("missing", cell(shown(&counts, self.bins())))]);
        let note = format!("{hidden} bins suppressed: small, or they would give a small one away");
        Ok(Findings {
            title: "Histogram".to_owned(),
            tables: vec![table, missing],
            notes: if hidden > 0 { vec![note] } else { Vec::new() },
            found_percent_below: found_percent(release, FOUND)?,
            scans: Vec::new(),
        })
    }
}
