//! How well a number tells cases from controls: area under the ROC curve with `DeLong`'s interval.
//!
//! # Local step
//! Each centre counts its cases and its controls at each point of the marker's public grid.
//!
//! # Secure step
//! For each point, twice the controls below and twice the cases above follow from running sums,
//! which are shares; the area and the two sums of squares of its variance are products of shares.
//!
//! # Opens
//! To the centres: whether there are enough cases and controls.
//!
//! # Release
//! Cases, controls, the area's numerator and the two sums of squares. No point of the curve.
//!
//! # Sources
//! `DeLong`, `DeLong` and Clarke-Pearson (1988), Biometrics 44, equations 3 to 5.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{
    Compared, admit_groups, admitted, group_totals, release_is_short, released, sizes, text,
};
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::Release;
use konsil_mpc::{MpcError, Opening, Session, Shared};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, AREA];

const ADMITTED: Opening = admitted("roc.admitted");
const COUNTS: Opening = released("roc.counts", "How many controls and cases there are.");
const AREA: Opening =
    released("roc.area", "The area under the ROC curve, and the two parts of its variance.");

struct Roc {
    compared: Compared,
}

/// Checks a request: `marker ~ outcome`, the second level of the outcome being the case.
///
/// # Errors
/// [`AnalysisError`] for anything else, and for a grid with too many points.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    Ok(Box::new(Roc { compared: Compared::ranked(request, dictionary, 2..=2)? }))
}

impl Analysis for Roc {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["cases, controls, area under the ROC curve and its variance".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        self.compared.understood_on_grid()
    }

    fn statistics(&self) -> usize {
        3
    }

    fn sets(&self) -> usize {
        self.compared.groups()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.compared.pick(patients)
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
        Ok(session.release(AREA, &sums)?)
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
        Ok(Findings {
            title: "ROC".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
        })
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
