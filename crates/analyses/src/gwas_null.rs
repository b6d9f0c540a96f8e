//! The model of a scan without variants: of a measured trait, of several, of an event, or of a
//! survival time (`gwas_survival`).

use crate::analysis::{AnalysisError, Setting};
use crate::design::{Model, Rows};
use crate::fit::{check_apart, inverse_again, reals, sound_inverse};
use crate::glm::Glm;
use crate::gwas::{ADMITTED, APART, COVARIATES, RESIDUAL, UNSOUND};
use crate::gwas_alone::{Alone, fit_alone};
use crate::gwas_axes::Axes;
use crate::gwas_background::{OPENED_EACH, Part, parts};
use crate::gwas_block::{Layout, TURN_BITS, Turn, score_lift};
use crate::gwas_conditions::doses_of;
use crate::gwas_local::{Columns, Linked, Target, have_genotypes, turned};
use crate::gwas_request::Asked;
use crate::gwas_steps::dose_bits;
use crate::gwas_survival::Survival;
use crate::gwas_windows::WINDOWS_MAX;
use crate::local_fit::{cholesky, solve_with};
use crate::log_tails::{Student, normal};
use crate::sealed::residual_squares;
use konsil_cohort::Dataset;
use konsil_cohort::design::Picked;
use konsil_disclosure::{Applicants, admit};
use konsil_kernels::{Family, Observed, fit_sums, gram_sums, predictor, scores};
use konsil_mpc::linear::{Inverse, cholesky as shared_cholesky};
use konsil_mpc::{Session, Shared, fixed};
use konsil_ring::{FRACTION_BITS, Word, encode, encode_count};

/// Newton steps of the model of an event with an inverse of their own unless the request says
/// otherwise, and steps with the last of these: each is about as far from the end as a thousandth of
/// the one before.
pub(crate) const STEPS: u32 = 6;
pub(crate) const STEPS_ALIKE: u32 = 6;
/// Largest last step with which the model counts as found.
pub(crate) const SETTLED: f64 = 1e-7;

/// A measured trait, and what it is moved and divided by.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trait {
    pub(crate) name: String,
    pub(crate) centre: f64,
    pub(crate) scale: f64,
}

/// The model without variants: as in the formula, and with further covariates.
pub(crate) enum Null {
    /// Of measured traits.
    Linear(Box<[Model; 2]>, Vec<Trait>),
    /// Of an event.
    Logistic(Box<[Glm; 2]>),
    /// Of a survival time.
    Survival(Box<Survival>),
}

/// What a scan is made with.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) axes: &'a Axes,
    pub(crate) setting: &'a Setting,
    pub(crate) linked: Option<&'a Linked>,
}

/// The model without variants, at this centre.
pub(crate) struct Fitted {
    pub(crate) target: Target,
    pub(crate) layout: Layout,
    /// What turns covariates where they are sealed.
    pub(crate) turn: Option<Turn>,
    /// Residual sums of squares of the traits, on shares.
    pub(crate) squares: Shared,
    /// Of principal axes; public.
    pub(crate) eigenvalues: Vec<f64>,
    /// Chromosomes, each with a target of its own; none where one target serves all.
    pub(crate) parts: Vec<Part>,
    /// Sizes of a score, over the root of its square, from which on a variant is a hit: one for each part,
    /// or one for all.
    pub(crate) thresholds: Vec<f64>,
    /// Where centres are fitted alone.
    pub(crate) alone: Option<Alone>,
    /// What corrections of hits need.
    pub(crate) basis: Option<Basis>,
}

/// The rows of the model: what it leaves of the trait, covariates at right angles. Patient data.
pub(crate) struct Basis {
    pub(crate) rows: Rows,
    /// What the model leaves of the first trait.
    pub(crate) rest: Vec<f64>,
    /// The patients' weights; empty for 1.
    pub(crate) weights: Vec<f64>,
    /// Linear predictors of an event; empty for a measured trait.
    pub(crate) predictors: Vec<f64>,
    /// `[row][order]`.
    pub(crate) turned: Vec<f64>,
    pub(crate) order: usize,
}

impl Null {
    /// The model of the formula, and with all covariates.
    pub(crate) fn models(&self) -> [&Model; 2] {
        match self {
            Self::Linear(models, _) => [&models[0], &models[1]],
            Self::Logistic(glms) => [&glms[0].model, &glms[1].model],
            Self::Survival(survival) => survival.models.each_ref(),
        }
    }

    /// The model's sets of patients, as far as they have genotypes.
    pub(crate) fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let mut picked = self.models()[0].pick(patients)?;
        let linked = have_genotypes(patients);
        for set in &mut picked {
            for (entry, linked) in set.iter_mut().zip(&linked) {
                *entry = entry.filter(|_| *linked);
            }
        }
        Ok(picked)
    }

    /// The whole model.
    pub(crate) fn model(&self) -> &Model {
        self.models()[1]
    }

    pub(crate) fn is_weighted(&self) -> bool {
        matches!(self, Self::Logistic(_) | Self::Survival(_))
    }

    pub(crate) fn traits(&self) -> usize {
        match self {
            Self::Linear(_, traits) => traits.len(),
            Self::Logistic(_) | Self::Survival(_) => 1,
        }
    }

    /// Covariates that are projected out of each variant.
    fn covariates(&self) -> usize {
        match self {
            Self::Linear(..) => self.model().order() - 1,
            Self::Logistic(_) => self.model().order(),
            Self::Survival(_) => self.model().order() + WINDOWS_MAX,
        }
    }

    fn layout(&self, frame: &Frame<'_>) -> Layout {
        let asked = frame.asked;
        let counts = if asked.counting.recodes() { 3 } else { 2 };
        let turned = asked.sealed && !self.is_weighted();
        let kinds = (asked.sealed, turned, asked.hits.is_some());
        let survival = matches!(self, Self::Survival(_));
        let layout = Layout::of(frame.setting, (self.traits(), counts), kinds, survival);
        if asked.counting.doses { layout.with_doses(dose_bits(frame.setting)) } else { layout }
    }

    /// Fits the model.
    pub(crate) fn fit(
        &self,
        session: &mut dyn Session,
        frame: &Frame<'_>,
    ) -> Result<Fitted, AnalysisError> {
        match self {
            Self::Linear(models, traits) => self.linear((models, traits), session, frame),
            Self::Logistic(glms) => self.logistic(glms, session, frame),
            Self::Survival(survival) => survival.fit(self, session, frame),
        }
    }

    /// Of nobody, while planning.
    pub(crate) fn planned(&self, frame: &Frame<'_>, eigenvalues: Vec<f64>) -> Fitted {
        let target = Target::nobody(self.covariates(), self.traits(), self.is_weighted());
        let squares = Shared::zeros(self.traits());
        let layout = self.layout(frame);
        let (turn, parts, thresholds) = (None, Vec::new(), vec![1.0]);
        Fitted {
            target,
            layout,
            turn,
            squares,
            eigenvalues,
            parts,
            thresholds,
            alone: None,
            basis: None,
        }
    }

    fn linear(
        &self,
        (models, traits): (&[Model; 2], &[Trait]),
        session: &mut dyn Session,
        frame: &Frame<'_>,
    ) -> Result<Fitted, AnalysisError> {
        let [given, model] = models;
        let setting = frame.setting;
        let mut rows = given.rows(frame.linked.map(|it| &it.patients))?;
        let order = model.order();
        let steps = if frame.asked.background.is_some() { OPENED_EACH } else { 0 };
        let parameters = (order + traits.len()).max(frame.axes.parameters()).max(steps);
        let patients = rows.y.len();
        let applicants = Applicants { patients, parameters, statistics: 0, also: &[] };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let eigenvalues = put_beside(session, frame, (&mut rows, given.order()))?;
        let ys = standardised(&mut rows, traits);
        let mut products = Shared::zeros(0);
        let mut with_traits = Vec::new();
        let mut own_squares = Vec::new();
        for y in &ys {
            let sums = gram_sums(Observed { y, ..rows.observed() }, order)?;
            products = session.input(&sums.products)?;
            with_traits.push(session.input(&sums.with_response)?);
            own_squares.push(session.input(&sums.response[1..])?);
        }
        let inverse = sound_inverse(session, UNSOUND, model, &products)?;
        check_apart(session, APART, (model, setting), (&rows, &[]), &inverse)?;
        let layout = self.layout(frame);
        let mut fitted = self.planned(frame, eigenvalues);
        let lift = score_lift(setting, false);
        if frame.asked.meta {
            let alone = frame.linked.map(|it| fit_alone(it, (&rows, order), (&ys, false), lift));
            fitted.take(alone);
        } else if frame.asked.sealed {
            let sums = (with_traits.as_slice(), own_squares.as_slice());
            (fitted.squares, fitted.turn) = sealed_traits(session, &inverse, order, sums)?;
            if let Some(linked) = frame.linked {
                let (traits, covariates) = (ys.as_slice(), rows.x.as_slice());
                let columns = Columns { traits, weights: None, covariates, order, lift: 0 };
                fitted.target = Target::new(linked, &rows, columns);
            }
        } else {
            let all = [&[products], with_traits.as_slice()].concat();
            let opened = reals(&session.open(COVARIATES, &Shared::concat(&all))?);
            let mut squares = vec![0; ys.len()];
            if let Some(linked) = frame.linked {
                let (triangle, with) = opened.split_at(order * (order + 1) / 2);
                let lower = factor(triangle, order)?;
                let rests = ys.iter().zip(with.chunks(order)).map(|(y, with)| {
                    let beta = solve_with(&lower, with);
                    let fitted = rows.x.chunks(order).map(|row| predictor(row, &beta, 0.0));
                    y.iter().zip(fitted).map(|(y, fitted)| y - fitted).collect()
                });
                let rests: Vec<Vec<f64>> = rests.collect();
                for (square, rest) in squares.iter_mut().zip(&rests) {
                    *square = sum_of(rest.iter().map(|it| it * it))?;
                }
                let covariates = turned(&rows.x, &lower, order);
                let (traits, covariates) = (rests.as_slice(), covariates.as_slice());
                let columns = Columns { traits, weights: None, covariates, order, lift };
                fitted.target = Target::new(linked, &rows, columns);
                let turned = covariates.to_vec();
                let rest = rests.into_iter().next().unwrap_or_default();
                let (weights, predictors) = (Vec::new(), Vec::new());
                fitted.basis = Some(Basis { rows, rest, weights, predictors, turned, order });
            }
            fitted.squares = session.input(&squares)?;
            if frame.asked.background.is_some() {
                let basis = (fitted.basis.as_ref(), lift);
                (fitted.parts, fitted.squares) = parts(session, frame, basis, order)?;
            }
        }
        fitted.layout = layout;
        fitted.thresholds = self.thresholds(session, frame, &fitted)?;
        Ok(fitted)
    }

    /// The score over its standard error, not counting the trait's own deviations, from which on a
    /// variant of a measured trait is a hit: `t^2 = f s^2 / (d S - s^2)`.
    pub(crate) fn thresholds(
        &self,
        session: &mut dyn Session,
        frame: &Frame<'_>,
        fitted: &Fitted,
    ) -> Result<Vec<f64>, AnalysisError> {
        let Some(hits) = frame.asked.hits else { return Ok(vec![1.0]) };
        let least = -hits.below.log10();
        if self.is_weighted() {
            return Ok(vec![least_size(least, normal)]);
        }
        let patients = session.input(&[encode_count(fitted.target.patients())])?;
        let both = Shared::concat([&patients.integer_to_fixed(), &fitted.squares]);
        let opened = reals(&session.open(RESIDUAL, &both)?);
        let freedom = opened.first().copied().unwrap_or(0.0) - self.model().order() as f64 - 1.0;
        let student = Student::new(freedom);
        let t = least_size(least, |t| student.tail(t));
        let size = |squares: &f64| (squares * t * t / (t * t + freedom)).sqrt();
        Ok(opened.iter().skip(1).map(size).collect())
    }

    fn logistic(
        &self,
        [given, glm]: &[Glm; 2],
        session: &mut dyn Session,
        frame: &Frame<'_>,
    ) -> Result<Fitted, AnalysisError> {
        let setting = frame.setting;
        let mut rows = given.admitted(session, setting, frame.linked.map(|it| &it.patients))?;
        if frame.axes.count > 0 {
            let (patients, parameters) = (rows.y.len(), frame.axes.parameters());
            let applicants = Applicants { patients, parameters, statistics: 0, also: &[] };
            admit(session, ADMITTED, &setting.policy, applicants)?;
        }
        let eigenvalues = put_beside(session, frame, (&mut rows, given.model.order()))?;
        let order = glm.model.order();
        let lift = score_lift(setting, false);
        if frame.asked.meta {
            let mut fitted = self.planned(frame, eigenvalues);
            let alone = frame.linked.map(|it| fit_alone(it, (&rows, order), (&[], true), lift));
            fitted.take(alone);
            return Ok(fitted);
        }
        let (beta, last) = glm.found(session, setting, (&rows, glm.iterations, STEPS_ALIKE))?;
        if last > SETTLED {
            return Err(AnalysisError::Unsettled {
                what: "the model without variants did not; ask for more `iterations`",
            });
        }
        let sums = fit_sums(Family::Binomial, rows.observed(), &beta)?;
        let information = session.input(&sums.information)?;
        let mut fitted = self.planned(frame, eigenvalues);
        let (rest, weights) = scores(Family::Binomial, rows.observed(), &beta);
        let traits = [rest];
        let (traits, weights) = (traits.as_slice(), weights.as_slice());
        let counted = Some(weights);
        if frame.asked.sealed {
            let inverse = inverse_again(session, &glm.model, &information, None)?;
            fitted.turn = Some(turn(session, &inverse, (order, 0), &[])?);
            if let Some(linked) = frame.linked {
                let covariates = rows.x.as_slice();
                let columns = Columns { traits, weights: counted, covariates, order, lift };
                fitted.target = Target::new(linked, &rows, columns);
            }
        } else {
            let triangle = reals(&session.open(COVARIATES, &information)?);
            if let Some(linked) = frame.linked {
                let lower = factor(&triangle, order)?;
                let turned = turned(&rows.x, &lower, order);
                let covariates = turned.as_slice();
                let columns = Columns { traits, weights: counted, covariates, order, lift };
                fitted.target = Target::new(linked, &rows, columns);
                let predictors = rows.x.chunks(order).map(|row| predictor(row, &beta, 0.0));
                let predictors = predictors.collect();
                let (rest, weights) = (traits.concat(), weights.to_vec());
                fitted.basis = Some(Basis { rows, rest, weights, predictors, turned, order });
            }
        }
        fitted.thresholds = self.thresholds(session, frame, &fitted)?;
        Ok(fitted)
    }
}

impl Fitted {
    /// Takes a centre's own model; adds nothing while planning.
    fn take(&mut self, alone: Option<(Target, Alone)>) {
        self.alone = Some(Alone::default());
        if let Some((target, alone)) = alone {
            (self.target, self.alone) = (target, Some(alone));
        }
    }
}

/// Residual sums of squares of traits whose covariates are sealed, and what turns their sums.
fn sealed_traits(
    session: &mut dyn Session,
    inverse: &Inverse,
    order: usize,
    (with_traits, own_squares): (&[Shared], &[Shared]),
) -> Result<(Shared, Option<Turn>), AnalysisError> {
    let mut effects = Vec::new();
    let mut squares = Vec::new();
    for (with, own) in with_traits.iter().zip(own_squares) {
        let beta = inverse.times(session, with)?;
        squares.push(residual_squares(session, (own, with), &beta)?);
        effects.push(beta);
    }
    // without covariates the intercept alone is taken out, by the genotypes' mean
    let turn = if order > 1 { Some(turn(session, inverse, (order, 1), &effects)?) } else { None };
    Ok((Shared::concat(&squares), turn))
}

/// Puts principal axes and variants beside the covariates of the formula; the axes' eigenvalues.
pub(crate) fn put_beside(
    session: &mut dyn Session,
    frame: &Frame<'_>,
    (rows, order): (&mut Rows, usize),
) -> Result<Vec<f64>, AnalysisError> {
    let (axes, conditions) = (frame.axes, &frame.asked.conditions);
    let mut eigenvalues = Vec::new();
    if axes.count > 0 {
        let placed = axes.place(session, frame.setting, (frame.linked, rows))?;
        rows.beside(order, (&placed.scores, axes.count));
        eigenvalues = placed.eigenvalues;
    }
    if !conditions.is_empty() {
        let doses = doses_of(session, frame, rows)?;
        rows.beside(order + axes.count, (&doses, conditions.len()));
    }
    Ok(eigenvalues)
}

/// The traits, each moved and divided as the dictionary says.
fn standardised(rows: &mut Rows, traits: &[Trait]) -> Vec<Vec<f64>> {
    let ys = std::iter::once(&mut rows.y).chain(&mut rows.also);
    let standard = |(y, of): (&mut Vec<f64>, &Trait)| {
        y.iter_mut().for_each(|y| *y = (*y - of.centre) / of.scale);
        y.clone()
    };
    let mut ys: Vec<Vec<f64>> = ys.zip(traits).map(standard).collect();
    // nobody's while planning
    ys.resize(traits.len(), Vec::new());
    ys
}

/// The triangle `L` of an opened, symmetric matrix `L L'`.
pub(crate) fn factor(triangle: &[f64], order: usize) -> Result<Vec<f64>, AnalysisError> {
    let at = |row: usize, column: usize| {
        let (row, column) = (row.max(column), row.min(column));
        triangle.get(row * (row + 1) / 2 + column).copied().unwrap_or(0.0)
    };
    let full: Vec<f64> = (0..order * order).map(|cell| at(cell / order, cell % order)).collect();
    let unsound = || AnalysisError::Collinear { columns: vec!["a covariate".to_owned()] };
    cholesky(&full, order).ok_or_else(unsound)
}

/// Masks the root `R` of the inverse, `R R' = inverse`, without the first columns, beside effects: sums
/// `m` of a variant with the covariates become `R' m`, whose square is what the covariates explain.
/// 41 rounds for each column.
fn turn(
    session: &mut dyn Session,
    inverse: &Inverse,
    (order, first): (usize, usize),
    effects: &[Shared],
) -> Result<Turn, AnalysisError> {
    let count = order - first;
    let cells = (0..count * count).map(|at| (first + at / count) * order + first + at % count);
    let block = inverse.scaled.pick(cells);
    let (lower, _) = shared_cholesky(session, &block, count)?;
    let by_row = inverse.scales.pick((0..count * count).map(|at| first + at / count));
    let root = fixed::multiply(session, &lower, &by_row)?;
    let width = count + effects.len();
    let all = Shared::concat(&[&[root], effects].concat());
    let right = all.pick((0..count * width).map(|at| {
        let (row, column) = (at / width, at % width);
        match column.checked_sub(count) {
            None => row * count + column,
            Some(effect) => count * count + effect * order + first + row,
        }
    }));
    let right = session.truncate(right, FRACTION_BITS - TURN_BITS)?;
    let right = session.mask(&right, (count, width))?;
    Ok(Turn { right, traits: !effects.is_empty() })
}

/// The least size of a statistic whose `-log10 p` is at least so large.
fn least_size(least: f64, tail: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 40.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if tail(middle) < least { low = middle } else { high = middle }
    }
    high
}

fn sum_of(terms: impl Iterator<Item = f64>) -> Result<Word, AnalysisError> {
    let mut sum: Word = 0;
    for term in terms {
        sum = sum.wrapping_add(encode(term)?);
    }
    Ok(sum)
}
