//! How well a number tells cases from controls: area under the ROC curve with `DeLong`'s interval.
//!
//! # Local step
//! Each centre counts its cases and its controls at each point of the marker's public grid.
//!
//! # Secure step
//! For each point, twice the controls below and twice the cases above follow from running sums,
//! which are shares; the area and the two sums of squares of its variance are products of shares.
//!
//! Chosen cutoffs are judged one after the other: shown are those with enough cases and controls since
//! the last one and beyond.
//!
//! # Opens
//! To the centres: whether there are enough cases and controls.
//!
//! # Release
//! Cases, controls, the area's numerator and the two sums of squares; with cutoffs, cases and controls
//! between those that are shown. No other point of the curve.
//!
//! # Sources
//! `DeLong`, `DeLong` and Clarke-Pearson (1988), Biometrics 44, equations 3 to 5.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cells::{merged, release_merged};
use crate::compared::{
    Compared, admit_groups, admitted, group_totals, release_is_short, released, sizes, text,
};
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{MpcError, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 4] = [ADMITTED, COUNTS, AREA, BANDS];

const ADMITTED: Opening = admitted("roc.admitted");
const COUNTS: Opening = released("roc.counts", "How many controls and cases there are.");
const AREA: Opening =
    released("roc.area", "The area under the ROC curve, and the two parts of its variance.");

const BANDS: Opening =
    released("roc.bands", "Controls and cases between the cutoffs, with neighbours where too few.");

/// Most cutoffs.
const CUTOFFS_MAX: usize = 10;

struct Roc {
    compared: Compared,
    /// In order, within the marker's range.
    cutoffs: Vec<f64>,
}

/// Checks a request: `marker ~ outcome`, the second level of the outcome being the case.
///
/// # Errors
/// [`AnalysisError`] for anything else, for a grid with too many points, and for cutoffs out of range.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let compared = Compared::ranked(request, dictionary, 2..=2)?;
    let mut cutoffs = request.cutoffs.clone();
    cutoffs.sort_by(f64::total_cmp);
    cutoffs.dedup();
    let grid = compared.numeric.grid;
    let last = grid.start + (grid.points - 1) as f64 * grid.step;
    let within = |cutoff: &f64| *cutoff > grid.start && *cutoff <= last;
    if cutoffs.len() > CUTOFFS_MAX || !cutoffs.iter().all(within) {
        let what = format!(
            "takes up to {CUTOFFS_MAX} cutoffs above {} and up to {last}, the range of `{}`",
            grid.start, compared.numeric.name
        );
        return Err(AnalysisError::request(request, what));
    }
    Ok(Box::new(Roc { compared, cutoffs }))
}

impl Analysis for Roc {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let area = "cases, controls, area under the ROC curve and its variance".to_owned();
        let cutoffs = self.cutoffs.len();
        let cells = format!("cases and controls between {cutoffs} cutoffs, unless too few");
        std::iter::once(area).chain((cutoffs > 0).then_some(cells)).collect()
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood_on_grid()
    }

    fn statistics(&self) -> usize {
        3 + 2 * self.cutoffs.len()
    }

    fn sets(&self) -> usize {
        self.compared.groups() * (1 + self.cutoffs.len())
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let groups = self.compared.pick(patients)?;
        let values = patients.numeric(&self.compared.numeric.name)?;
        // two cutoffs of two requests must not differ by a few
        let beyond = |cutoff: &f64, group: &Picked| -> Picked {
            let each = group.iter().zip(&values);
            each.map(|(of, value)| Some((*of)? && (*value)? >= *cutoff)).collect()
        };
        let cells =
            self.cutoffs.iter().flat_map(|cutoff| groups.iter().map(move |it| (cutoff, it)));
        let cells: Vec<Picked> = cells.map(|(cutoff, group)| beyond(cutoff, group)).collect();
        Ok([groups, cells].concat())
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let values = self.compared.values(patients)?;
        admit_groups(session, ADMITTED, setting, (&sizes(&values), self.statistics()))?;
        let points = self.compared.points();
        let counts = session.input(&self.compared.histogram(&values))?;
        let sums = area_sums(session, &counts, points)?;
        session.release(COUNTS, &group_totals(&counts, points))?;
        session.release(AREA, &sums)?;
        if self.cutoffs.is_empty() {
            return Ok(());
        }
        let cells = self.bands(&values);
        release_merged(session, (setting, BANDS), &cells, 2)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, sums) = (release.counts(COUNTS)?, release.counts(AREA)?);
        let (&[controls, cases], &[sum, of_cases, of_controls]) = (&counts[..], &sums[..]) else {
            return Err(release_is_short(AREA));
        };
        let (area, error) = area_of((controls, cases), [sum, of_cases, of_controls]);
        let tidy = Table::of_one(
            "tidy",
            [
                ("estimate", Cell::Number(area)),
                ("std.error", Cell::Number(error)),
                ("conf.low", Cell::Number((area - Z_975 * error).max(0.0))),
                ("conf.high", Cell::Number((area + Z_975 * error).min(1.0))),
                ("p.value", Cell::Number(p_normal((area - 0.5) / error))),
                ("controls", Cell::Count(controls)),
                ("cases", Cell::Count(cases)),
                ("method", text("Area under the ROC curve, DeLong's variance")),
            ],
        );
        let mut tables = vec![tidy];
        if !self.cutoffs.is_empty() {
            tables.push(self.at_cutoffs(&release.counts(BANDS)?, (controls, cases)));
        }
        Ok(Findings {
            title: "ROC".to_owned(),
            tables,
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

impl Roc {
    /// This centre's patients between the cutoffs, `[controls, cases][band]`.
    fn bands(&self, values: &[Vec<f64>]) -> Vec<Word> {
        let bands = self.cutoffs.len() + 1;
        let mut counts = vec![0; values.len() * bands];
        for (group, values) in values.iter().enumerate() {
            for value in values {
                let band = self.cutoffs.iter().filter(|cutoff| value >= *cutoff).count();
                counts[group * bands + band] += 1;
            }
        }
        counts.into_iter().map(encode_count).collect()
    }

    /// Who is told a case by each cutoff that is shown.
    fn at_cutoffs(&self, released: &[f64], (controls, cases): (f64, f64)) -> Table {
        let columns = ["cutoff", "sensitivity", "specificity", "ppv", "npv", "suppressed"];
        let mut table = Table::new("cutoffs", &columns);
        let bands = merged(released, &[controls, cases]);
        for (at, cutoff) in self.cutoffs.iter().enumerate() {
            // those below: all bands that end at the cutoff or before it
            let below = bands.iter().filter(|(_, to, _)| *to <= at + 1);
            let shown = below.clone().any(|(_, to, _)| *to == at + 1);
            let sum = |group: usize| below.clone().filter_map(|it| it.2.get(group)).sum::<f64>();
            let (negative, missed) = (sum(0), sum(1));
            let (told, false_positive) = (cases - missed, controls - negative);
            let numbers = [
                told / cases,
                negative / controls,
                told / (told + false_positive),
                negative / (negative + missed),
            ];
            let number = |it: f64| if shown { Cell::Number(it) } else { Cell::Missing };
            let ends = ([Cell::Number(*cutoff)], [Cell::Flag(!shown)]);
            table.rows.push([&ends.0[..], &numbers.map(number), &ends.1].concat());
        }
        table
    }
}

/// For counts `[controls, cases][point]`: the area's numerator, the sums of squares over cases and over
/// controls. 3 rounds.
pub(crate) fn area_sums(
    session: &mut dyn Session,
    counts: &Shared,
    points: usize,
) -> Result<Shared, MpcError> {
    let (controls, cases) = (counts.slice(0, points), counts.slice(points, 2 * points));
    // twice the controls below a point, those at it counted half, and twice the cases above
    let below = controls.running_sums().times_integer(2).minus(&controls);
    let above = cases.total().repeat(points).times_integer(2);
    let above = above.minus(&cases.running_sums().times_integer(2)).plus(&cases);
    let squares = session.square_raw(&Shared::concat([&below, &above]))?;
    let left = Shared::concat([&cases, &cases, &controls]);
    let right = Shared::concat([&below, &squares]);
    session.dot_raw(&left, &right, points)
}

/// Area and standard error from released sums.
pub(crate) fn area_of((controls, cases): (f64, f64), sums: [f64; 3]) -> (f64, f64) {
    let area = sums[0] / (2.0 * cases * controls);
    let part = |squares: f64, own: f64, other: f64| {
        let each = squares / (4.0 * other * other);
        (each - own * area * area).max(0.0) / ((own - 1.0) * own)
    };
    let variance = part(sums[1], cases, controls) + part(sums[2], controls, cases);
    (area, variance.sqrt())
}
