//! How well the risks of a fitted model hold: discrimination, calibration, Brier score, net benefit.
//!
//! The coefficients are the researcher's choice, so that they could be made to pick out patients.
//! Two rules stand against it: no column of the model picks out a few patients, as in a regression;
//! and the linear predictor stays gentle over the dictionary's ranges, so that it is no step.
//!
//! # Local step
//! Each centre computes the risk of its patients from the model's public coefficients, counts cases
//! and controls by risk in steps of a thousandth, and adds up squared errors. In each step of the
//! recalibration it sums gradient and information of a logistic model of the linear predictor.
//!
//! # Secure step
//! Area under the ROC curve as in `roc`, from the counts. Intercept and slope of the recalibration by
//! Newton steps whose equations are solved on shares. Limits of risk, twentieths, are judged one after
//! the other: shown are those with enough cases and controls since the last one and beyond.
//!
//! # Opens
//! To the centres: whether there are enough cases and controls; which columns cannot be told apart;
//! whether a column or a patient stands too much apart; the recalibration's intercept and slope after
//! each step.
//!
//! # Release
//! Cases, controls, the area's numerator and variance, sum of squared errors and of risks, both
//! recalibrations with their variances, cases and controls between the shown limits of risk.
//!
//! # Sources
//! `DeLong`, `DeLong` and Clarke-Pearson (1988), Biometrics 44; Brier (1950), Mon. Weather Rev. 78;
//! Cox (1958), Biometrika 45, for intercept and slope; Vickers and Elkin (2006), Med. Decis. Making
//! 26, for the net benefit.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::cells::{merged, release_merged};
use crate::compared::{admitted, group_totals, release_is_short, released, text};
use crate::design::{Model, Rows};
use crate::fit::{check_apart, sound_inverse};
use crate::roc::{area_of, area_sums};
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::{Picked, Response};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::{add_rounded, gram_sums};
use konsil_mpc::{Audience, Opening, Session, Shared, linear};
use konsil_ring::{Word, decode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 8] =
    [ADMITTED, UNSOUND, APART, STEP, COUNTS, SUMS, RECALIBRATION, BANDS];

const ADMITTED: Opening = admitted("validate.admitted");
const UNSOUND: Opening = Opening {
    name: "validate.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "validate.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
pub(crate) const STEP: Opening = Opening {
    name: "validate.step",
    says: "The recalibration's intercepts and slope after each step.",
    to: Audience::Centres,
};
pub(crate) const COUNTS: Opening = released(
    "validate.counts",
    "Controls, cases, the area under the ROC curve and the two parts of its variance.",
);
pub(crate) const SUMS: Opening =
    released("validate.sums", "Sum of squared errors and sum of risks.");
pub(crate) const RECALIBRATION: Opening = released(
    "validate.recalibration",
    "Intercept and slope of the recalibration, their last steps, their variances.",
);
pub(crate) const BANDS: Opening = released(
    "validate.bands",
    "Controls and cases in bands of risk, with their neighbours where too few.",
);

/// Points of the grid of risks: thousandths.
const POINTS: usize = 1001;
/// Bands of risk.
const BANDS_COUNT: usize = 20;
/// Newton steps of the recalibration.
const STEPS: usize = 12;
/// Most that an intercept changes in one step: far from the maximum Newton's steps overshoot.
const STRIDE: f64 = 1.0;
/// A last step of more than this has not settled.
const STILL: f64 = 1e-4;
/// Linear predictors are divided by this before they are summed, and cut off beyond it.
const REACH: f64 = 16.0;
/// Most that the linear predictor may move over half the dictionary's ranges: beyond it, risks could be
/// steps that separate a few patients.
const GENTLE_MAX: f64 = 12.0;
/// Numbers about the patients: area, its variance, two sums, three coefficients, the bands.
pub(crate) const STATISTICS: usize = 7 + BANDS_COUNT;
/// Fractional bits of released variances.
const VARIANCE_BITS: u32 = 60;

struct Validate {
    model: Model,
    coefficients: Vec<f64>,
}

/// Checks a request: a model's formula and its coefficients, in the order of its table.
///
/// # Errors
/// [`AnalysisError`] for a response that is not 0 or 1, and for another number of coefficients.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let model = Model::new(request, dictionary)?;
    if model.design.response != Response::Binary {
        let wanted = "needs the formula of a logistic model, such as `died ~ age + sex`";
        return Err(error(wanted.to_owned()));
    }
    let coefficients = request.coefficients.clone();
    if coefficients.len() != model.order() {
        let names: Vec<&str> = model.names().collect();
        let what = format!(
            "has {} coefficients for {} columns: {}",
            coefficients.len(),
            names.len(),
            names.join(", ")
        );
        return Err(error(what));
    }
    if coefficients.iter().any(|it| !it.is_finite()) {
        return Err(error("has a coefficient that is no number".to_owned()));
    }
    let reach =
        coefficients.iter().zip(&model.columns).skip(usize::from(model.design.has_intercept));
    let reach: f64 = reach.map(|(beta, (_, scale))| (beta * scale).abs()).sum();
    model.check_known(request)?;
    if reach > GENTLE_MAX {
        return Err(error(format!(
            "moves the linear predictor by {reach:.1} over half the dictionary's ranges, more than \
             {GENTLE_MAX}: risks would be steps that tell patients apart; narrower ranges in the \
             dictionary allow steeper models"
        )));
    }
    Ok(Box::new(Validate { model, coefficients }))
}

/// One centre's patients: linear predictor and outcome.
pub(crate) struct Predicted {
    predictors: Vec<f64>,
    outcomes: Vec<bool>,
}

impl Predicted {
    /// Predictors are cut off where risks are 0 or 1 to seven digits.
    pub(crate) fn new(predictors: impl Iterator<Item = f64>, outcomes: Vec<bool>) -> Self {
        Self { predictors: predictors.map(|it| it.clamp(-REACH, REACH)).collect(), outcomes }
    }

    fn risks(&self) -> impl Iterator<Item = (f64, bool)> {
        self.predictors.iter().map(|it| logistic(*it)).zip(self.outcomes.iter().copied())
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Analysis for Validate {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        reveals()
    }

    fn understood(&self) -> Vec<String> {
        self.model.chosen(&self.coefficients)
    }

    fn statistics(&self) -> usize {
        STATISTICS
    }

    fn sets(&self) -> usize {
        self.model.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.model.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let rows = self.model.rows(patients)?;
        let local = self.local(&rows);
        let cases = local.outcomes.iter().filter(|it| **it).count();
        let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        let also = [count(cases), count(local.outcomes.len() - cases)];
        let applicants = Applicants {
            patients: local.outcomes.len(),
            parameters: self.model.order(),
            statistics: STATISTICS,
            also: &also,
        };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let products = gram_sums(rows.observed(), self.model.order())?.products;
        let products = session.input(&products)?;
        let inverse = sound_inverse(session, UNSOUND, &self.model, &products)?;
        check_apart(session, APART, (&self.model, setting), (&rows, &[]), &inverse)?;
        judge(session, setting, &local)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        findings(release)
    }
}

/// What a judgement reveals, as [`Analysis::reveals`].
pub(crate) fn reveals() -> Vec<String> {
    vec![
        "area under the ROC curve, Brier score, calibration intercept and slope".to_owned(),
        format!(
            "cases and controls in up to {BANDS_COUNT} bands of risk, small ones with neighbours"
        ),
        format!("to the centres: intercepts and slope after each of {STEPS} steps"),
    ]
}

/// Judges predictions and releases what is found: the secure step of this analysis.
pub(crate) fn judge(
    session: &mut dyn Session,
    setting: &Setting,
    local: &Predicted,
) -> Result<(), AnalysisError> {
    let mut histogram = vec![0; 2 * POINTS];
    let mut bands = vec![0; 2 * BANDS_COUNT];
    let mut sums = [0; 2];
    for (risk, outcome) in local.risks() {
        let (row, place) = (usize::from(outcome), place(risk));
        histogram[row * POINTS + place] += 1;
        let band = (place * BANDS_COUNT / (POINTS - 1)).min(BANDS_COUNT - 1);
        bands[row * BANDS_COUNT + band] += 1;
        let error = risk - f64::from(u8::from(outcome));
        add_rounded(&mut sums, &[error * error, risk])?;
    }
    let counts = session.input(&histogram)?;
    let area = area_sums(session, &counts, POINTS)?;
    session.release(COUNTS, &Shared::concat([&group_totals(&counts, POINTS), &area]))?;
    let sums = session.input(&sums)?;
    session.release(SUMS, &sums)?;
    recalibrate(session, local)?;
    let bands: Vec<Word> = bands.into_iter().map(encode_count).collect();
    release_merged(session, (setting, BANDS), &bands, 2)
}

/// The tables of a judgement.
pub(crate) fn findings(release: &Release) -> Result<Findings, AnalysisError> {
    let counts = release.counts(COUNTS)?;
    let &[controls, cases, sum, of_cases, of_controls] = &counts[..] else {
        return Err(release_is_short(COUNTS));
    };
    let sums = release.reals(SUMS)?;
    let variances = release.reals_scaled(RECALIBRATION, VARIANCE_BITS)?;
    let (&[squares, risks], &[large, slope, first, second, large_var, slope_var]) =
        (&sums[..], &variances[..])
    else {
        return Err(release_is_short(SUMS));
    };
    let n = controls + cases;
    let (area, error) = area_of((controls, cases), [sum, of_cases, of_controls]);
    let mut tidy = Table::new(
        "tidy",
        &["measure", "estimate", "std.error", "conf.low", "conf.high", "p.value"],
    );
    let mut row = |measure: &str, estimate: f64, error: Option<f64>, none: Option<f64>| {
        let error = error.map_or(f64::NAN, |it| it);
        let p = none.map_or(f64::NAN, |none| p_normal((estimate - none) / error));
        let limits = [estimate - Z_975 * error, estimate + Z_975 * error];
        let numbers = [estimate, error, limits[0], limits[1], p].map(Cell::Number);
        tidy.rows.push([text(measure)].into_iter().chain(numbers).collect());
    };
    row("auc", area, Some(error), Some(0.5));
    row("brier", squares / n, None, None);
    row("observed/expected", cases / risks, None, None);
    let settled = |value: f64, last: f64| if last < STILL { value } else { f64::NAN };
    let (large, slope) = (settled(large, first), settled(slope, second));
    row("calibration in the large", large, Some(large_var.max(0.0).sqrt()), Some(0.0));
    row("calibration slope", slope / REACH, Some(slope_var.max(0.0).sqrt() / REACH), Some(1.0));
    let unsettled = "the recalibration did not settle: predictions are the same for all, or separate \
                     cases from controls";
    let notes =
        if large.is_nan() || slope.is_nan() { vec![unsettled.to_owned()] } else { Vec::new() };
    let glance = Table::of_one("glance", [("nobs", Cell::Count(n)), ("cases", Cell::Count(cases))]);
    let (calibration, benefit) = bands_tables(&release.counts(BANDS)?, [controls, cases]);
    Ok(Findings {
        title: "Validation of a model".to_owned(),
        tables: vec![tidy, glance, calibration, benefit],
        notes,
        found_percent_below: None,
        scans: Vec::new(),
    })
}

/// The point of the grid next to a risk.
fn place(risk: f64) -> usize {
    let place = (risk * (POINTS - 1) as f64).round().clamp(0.0, (POINTS - 1) as f64);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the grid; NaN becomes 0"
    )]
    let place = place as usize;
    place
}

impl Validate {
    /// The linear predictors, from rows that are moved and scaled.
    fn local(&self, rows: &Rows) -> Predicted {
        let raw = |(x, (centre, scale)): (&f64, &(f64, f64))| x * scale + centre;
        let predictor = |(at, row): (usize, &[f64])| {
            let row = row.iter().zip(&self.model.columns).map(raw);
            let sum: f64 = row.zip(&self.coefficients).map(|(x, beta)| x * beta).sum();
            sum + rows.offset.get(at).copied().unwrap_or(0.0)
        };
        let each = rows.x.chunks(self.model.order().max(1)).enumerate();
        Predicted::new(each.map(predictor), rows.y.iter().map(|y| *y > 0.5).collect())
    }
}

/// Sums of gradient and information at coefficients of `1, z` with `z` the predictor over
/// [`REACH`], and of the model with slope 1 at its intercept.
fn newton_sums(
    local: &Predicted,
    [large, intercept, slope]: [f64; 3],
) -> Result<Vec<Word>, AnalysisError> {
    let mut sums = vec![0; 7];
    for (predictor, outcome) in local.predictors.iter().zip(&local.outcomes) {
        let y = f64::from(u8::from(*outcome));
        let z = predictor / REACH;
        let risk = logistic(intercept + slope * z);
        let alone = logistic(large + predictor);
        let (weight, residual) = (risk * (1.0 - risk), y - risk);
        let terms = [
            y - alone,
            alone * (1.0 - alone),
            residual,
            residual * z,
            weight,
            weight * z,
            weight * z * z,
        ];
        add_rounded(&mut sums, &terms)?;
    }
    Ok(sums)
}

/// Newton steps of both recalibrations; releases the estimates and their variances, all with 60
/// fractional bits: intercept with slope 1, slope, the sizes of their last steps, their variances.
fn recalibrate(session: &mut dyn Session, local: &Predicted) -> Result<(), AnalysisError> {
    // the slope starts at 0, from where a logistic model's steps lead to its maximum
    let mut at = [0.0; 3];
    let mut last = [0.0; 2];
    for step in 0..=STEPS {
        let sums = session.input(&newton_sums(local, at)?)?;
        let pick = |places: &[usize]| sums.pick(places.iter().copied());
        let alone = linear::inverse(session, &pick(&[1]), 1)?;
        let both = linear::inverse(session, &pick(&[4, 5, 5, 6]), 2)?;
        if step == STEPS {
            let variances = (alone.all_60(session)?, both.all_60(session)?);
            let found = [at[0], at[2], last[0], last[1]];
            let found = found.map(|it| konsil_ring::encode(it).map(|word| word << 20));
            let [large, slope, first, second] = found;
            let estimates = session.constant(&[large?, slope?, first?, second?]);
            let variances = Shared::concat([&variances.0, &variances.1.pick([3])]);
            return Ok(session.release(RECALIBRATION, &Shared::concat([&estimates, &variances]))?);
        }
        let steps = Shared::concat([
            &alone.times(session, &pick(&[0]))?,
            &both.times(session, &pick(&[2, 3]))?,
        ]);
        let opened: Vec<f64> = session.open(STEP, &steps)?.into_iter().map(decode).collect();
        let bounds = [STRIDE, 2.0 * REACH, 2.0 * REACH];
        for ((value, step), bound) in at.iter_mut().zip(&opened).zip(bounds) {
            *value += step.clamp(-bound, bound);
        }
        let size = |range: &[f64]| range.iter().fold(0.0, |most: f64, it| it.abs().max(most));
        last = opened.split_at_checked(1).map_or(last, |(one, two)| [size(one), size(two)]);
    }
    Ok(())
}

/// The table of the bands, and the net benefit at their limits.
fn bands_tables(released: &[f64], totals: [f64; 2]) -> (Table, Table) {
    let limit = |band: usize| band as f64 / BANDS_COUNT as f64;
    let columns = ["risk.from", "risk.to", "n", "cases", "observed"];
    let mut calibration = Table::new("calibration", &columns);
    let columns = ["threshold", "net.benefit", "treat.all", "net.benefit.treat.none"];
    let mut benefit = Table::new("benefit", &columns);
    let n = totals.iter().sum::<f64>();
    let mut above = totals;
    for (from, to, counts) in merged(released, &totals) {
        let &[controls, cases] = &counts[..] else {
            continue;
        };
        calibration.rows.push(vec![
            Cell::Number(limit(from)),
            Cell::Number(limit(to)),
            Cell::Count(controls + cases),
            Cell::Count(cases),
            Cell::Number(cases / (controls + cases)),
        ]);
        if from > 0 {
            let odds = limit(from) / (1.0 - limit(from));
            let net = |[controls, cases]: [f64; 2]| cases / n - controls / n * odds;
            let numbers = [limit(from), net(above), net(totals), 0.0];
            benefit.rows.push(numbers.map(Cell::Number).to_vec());
        }
        above = [above[0] - controls, above[1] - cases];
    }
    (calibration, benefit)
}
