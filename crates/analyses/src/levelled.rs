//! What regressions of a response with levels share: the model, admission, Newton steps, variances.

use crate::analysis::{AnalysisError, Patients, Request, Setting};
use crate::design::{Clusters, Model, Rows};
use crate::fit::{check_apart, reals, sound_inverse, symmetric};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Applicants, admit};
use konsil_kernels::{FitSums, gram_sums};
use konsil_mpc::linear::{Inverse, ORDER_MAX, inverse};
use konsil_mpc::{Opening, Session, Shared};
use konsil_ring::{Word, encode};

/// Newton steps unless the request says otherwise.
const ITERATIONS: u32 = 14;
/// Largest change of a parameter in one step: what is far from the maximum overshoots otherwise.
const STRIDE: f64 = 3.0;
/// A scaled parameter of this size means probabilities of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;

/// A model whose response has levels.
pub(crate) struct Levelled {
    pub(crate) model: Model,
    /// The response's levels, in the dictionary's order.
    pub(crate) levels: Vec<String>,
    pub(crate) iterations: u32,
}

/// The openings that every such analysis has.
#[derive(Clone, Copy)]
pub(crate) struct Verdicts {
    pub(crate) admitted: Opening,
    pub(crate) unsound: Opening,
    pub(crate) apart: Opening,
}

/// Where the steps ended, and the size of the last one.
pub(crate) struct Fit {
    pub(crate) theta: Vec<f64>,
    pub(crate) last: f64,
}

/// Sums over all centres at the end of the steps.
pub(crate) struct Ends {
    pub(crate) inverse: Inverse,
    pub(crate) deviance: Shared,
}

/// Local sums at public parameters.
pub(crate) type SumsAt<'a> = dyn Fn(&[f64]) -> Result<FitSums, AnalysisError> + 'a;

impl Levelled {
    /// Checks a request.
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let error = |what: &str| AnalysisError::request(request, what);
        let mut model = Model::new(request, dictionary)?;
        let wanted = "needs a response with three levels or more in the dictionary; for two there is \
                      glm";
        let design = model.design.clone().by_levels().ok_or_else(|| error(wanted))?;
        model.design = design;
        let levels = model.design.response_levels().to_vec();
        if levels.len() < 3 {
            return Err(error(wanted));
        }
        if *model.clusters() != Clusters::None {
            return Err(error("takes no clusters"));
        }
        let iterations = request.iterations.unwrap_or(ITERATIONS);
        if !(2..=50).contains(&iterations) {
            return Err(error("needs between 2 and 50 iterations"));
        }
        Ok(Self { model, levels, iterations })
    }

    /// Refuses more parameters than can be estimated together.
    pub(crate) fn check_order(
        &self,
        request: &Request,
        parameters: usize,
    ) -> Result<(), AnalysisError> {
        if parameters <= ORDER_MAX {
            return Ok(());
        }
        let what = format!("has {parameters} parameters; at most {ORDER_MAX} are possible");
        Err(AnalysisError::request(request, what))
    }

    /// The patients, admitted to the analysis: enough of each level, columns that can be told apart,
    /// nobody who stands apart.
    pub(crate) fn admitted(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (verdicts, parameters): (Verdicts, usize),
        patients: Patients<'_>,
    ) -> Result<Rows, AnalysisError> {
        let rows = self.model.rows(patients)?;
        let of = |number: u32| rows.y.iter().filter(|y| **y == f64::from(number)).count();
        let each = (0_u32..).take(self.levels.len()).map(of);
        let also: Vec<u64> = each.map(|it| u64::try_from(it).unwrap_or(u64::MAX)).collect();
        let known = rows.y.len();
        let applicants = Applicants { patients: known, parameters, statistics: 0, also: &also };
        admit(session, verdicts.admitted, &setting.policy, applicants)?;
        let gram = gram_sums(rows.observed(), self.model.order())?;
        let gram = session.input(&gram.products)?;
        let inverse = sound_inverse(session, verdicts.unsound, &self.model, &gram)?;
        let model = (&self.model, setting);
        check_apart(session, verdicts.apart, model, (&rows, &rows.weights), &inverse)?;
        Ok(rows)
    }

    /// Newton steps with opened parameters. `shorter` gives the part of a step that is taken, from
    /// the parameters and the step.
    pub(crate) fn fit(
        &self,
        session: &mut dyn Session,
        (opening, start): (Opening, Vec<f64>),
        sums: &SumsAt<'_>,
        shorter: &dyn Fn(&[f64], &[f64]) -> f64,
    ) -> Result<Fit, AnalysisError> {
        let mut theta = start;
        let (mut before, mut last) = (0.0, 0.0_f64);
        for _ in 0..self.iterations {
            let (inverse, gradient, _) = pooled(session, &sums(&theta)?)?;
            let change = inverse.times(session, &gradient)?;
            let change = reals(&session.open(opening, &change)?);
            before = last;
            last = change.iter().fold(0.0, |largest, change| change.abs().max(largest));
            let factor = (STRIDE / last).min(1.0).min(shorter(&theta, &change));
            theta.iter_mut().zip(&change).for_each(|(theta, change)| *theta += factor * change);
            if theta.iter().any(|theta| theta.abs() > DIVERGED) {
                return Err(AnalysisError::Separation);
            }
        }
        // near a maximum a step is the square of the one before; on the way to infinity they are alike
        if last > 0.1 && last > before / 2.0 {
            return Err(AnalysisError::Separation);
        }
        Ok(Fit { theta, last })
    }
}

/// Inverse of the information, gradient and deviance of the pooled sums.
fn pooled(
    session: &mut dyn Session,
    sums: &FitSums,
) -> Result<(Inverse, Shared, Shared), AnalysisError> {
    let mine = [sums.gradient.as_slice(), &sums.information, &[sums.deviance]].concat();
    let pooled = session.input(&mine)?;
    let (order, end) = (sums.gradient.len(), pooled.len() - 1);
    let information = symmetric(&pooled.slice(order, end), order);
    let inverse = inverse(session, &information, order)?;
    Ok((inverse, pooled.slice(0, order), pooled.slice(end, end + 1)))
}

/// What the sums at the end of the steps give.
pub(crate) fn ends(session: &mut dyn Session, sums: &FitSums) -> Result<Ends, AnalysisError> {
    let (inverse, _, deviance) = pooled(session, sums)?;
    Ok(Ends { inverse, deviance })
}

/// Variances of sums of the parameters with these public factors, `[sum][order]`; 60 fractional bits.
pub(crate) fn variances_of(
    session: &mut dyn Session,
    inverse: &Inverse,
    sums: &[Vec<f64>],
) -> Result<Shared, AnalysisError> {
    let full = inverse.all_60(session)?;
    let mut raw = Vec::with_capacity(sums.len());
    for factors in sums {
        let mut weights = Vec::with_capacity(full.len());
        for left in factors {
            for right in factors {
                weights.push(encode(left * right)?.cast_signed());
            }
        }
        raw.push(full.times_integers(&weights).total());
    }
    Ok(session.truncate(Shared::concat(&raw), 40)?)
}

/// Parameters and the size of the last step as shares, to be released together.
pub(crate) fn released(session: &dyn Session, fit: &Fit) -> Result<Shared, AnalysisError> {
    let words: Vec<Word> =
        fit.theta.iter().chain([&fit.last]).map(|it| encode(*it)).collect::<Result<_, _>>()?;
    Ok(session.constant(&words))
}

/// A note where the steps did not come to rest.
pub(crate) fn settled(last: f64) -> (bool, Vec<String>) {
    let converged = last < 1e-6;
    let note = || format!("not converged: the last step still changed a parameter by {last:.2e}");
    (converged, (!converged).then(note).into_iter().collect())
}
