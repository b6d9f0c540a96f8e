//! The regressions of multiple imputation, each solved for all imputations at once.

use crate::analysis::{AnalysisError, Request};
use crate::batched::Inverses;
use crate::design::{Model, Rows};
use crate::fit::{reals, symmetric};
use konsil_cohort::design::Response;
use konsil_cohort::{Dataset, Dictionary};
use konsil_kernels::{Family, FitSums, fit_sums, gram_sums, start_sums};
use konsil_mpc::{Opening, Session, Shared, fixed};
use konsil_ring::{ONE, Word};

/// A linear predictor of this size means a probability of 0 or 1 to 13 digits.
const DIVERGED: f64 = 30.0;

/// A regression: of the request, or of an incomplete variable.
pub(crate) struct Regression {
    pub(crate) model: Model,
    pub(crate) logistic: bool,
    /// Centre and scale of the response.
    pub(crate) response: (f64, f64),
}

/// An incomplete variable.
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) regression: Regression,
    /// What the dictionary allows.
    pub(crate) range: (f64, f64),
}

impl Regression {
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let model = Model::new(request, dictionary)?;
        if !model.design.has_intercept {
            return Err(AnalysisError::request(request, "needs an intercept"));
        }
        let logistic = !matches!(&model.design.response, Response::Numeric { centre, scale }
            if (*centre, *scale) != (0.5, 0.5));
        Ok(Self { model, logistic, response: (0.0, 1.0) }.with_scales())
    }

    /// Whether the response is a number of 0 and 1, which both families can have.
    pub(crate) fn is_zero_one(&self) -> bool {
        matches!(&self.model.design.response, Response::Numeric { centre, scale }
            if (*centre, *scale) == (0.5, 0.5))
    }

    pub(crate) fn with_scales(mut self) -> Self {
        self.response = match &self.model.design.response {
            Response::Numeric { centre, scale } if !self.logistic => (*centre, *scale),
            _ => (0.0, 1.0),
        };
        self
    }

    pub(crate) fn order(&self) -> usize {
        self.model.order()
    }

    /// The rows of a completed set, responses moved and scaled; none while planning.
    pub(crate) fn rows(&self, set: Option<&Dataset>) -> Result<Rows, AnalysisError> {
        let mut rows = self.model.rows(set)?;
        let (centre, scale) = self.response;
        rows.y.iter_mut().for_each(|y| *y = (*y - centre) / scale);
        Ok(rows)
    }

    /// Sums of a linear regression of each set, solved: coefficients and residual sums of squares,
    /// with the inverses. 125 rounds.
    pub(crate) fn linear(
        &self,
        session: &mut dyn Session,
        sets: &[Rows],
    ) -> Result<(Shared, Shared, Inverses), AnalysisError> {
        let order = self.order();
        let pairs = order * (order + 1) / 2;
        let (mut products, mut rest, mut squares) = (Vec::new(), Vec::new(), Vec::new());
        for rows in sets {
            let sums = gram_sums(rows.observed(), order)?;
            products.extend(sums.products);
            rest.extend(sums.with_response);
            squares.push(sums.response[1]);
        }
        let (products, rest) = (session.input(&products)?, session.input(&rest)?);
        let squares = session.input(&squares)?;
        let inverses = Inverses::new(session, &matrices(&products, pairs, order), order)?;
        let coefficients = inverses.times(session, &rest)?;
        let explained = fixed::dot(session, &coefficients, &rest, order)?;
        Ok((coefficients, squares.minus(&explained), inverses))
    }

    /// Newton steps of a logistic regression of each set, opened. 118 rounds each.
    pub(crate) fn logistic(
        &self,
        session: &mut dyn Session,
        (sets, opening): (&[Rows], Opening),
        (betas, steps): (&mut Vec<Vec<f64>>, u32),
    ) -> Result<(), AnalysisError> {
        let order = self.order();
        let mut last = vec![0.0_f64; sets.len()];
        for _ in 0..steps {
            let fresh = betas.is_empty();
            let sums = |(at, rows): (usize, &Rows)| match betas.get(at) {
                None => start_sums(Family::Binomial, rows.observed(), order),
                Some(beta) => fit_sums(Family::Binomial, rows.observed(), beta),
            };
            let sums = sets.iter().enumerate().map(sums).collect::<Result<Vec<_>, _>>()?;
            let (gradients, inverses) = inverted(session, &sums, order)?;
            let change = inverses.times(session, &gradients)?;
            let change = reals(&session.open(opening, &change)?);
            if fresh {
                *betas = vec![vec![0.0; order]; sets.len()];
            }
            for ((beta, change), last) in betas.iter_mut().zip(change.chunks(order)).zip(&mut last)
            {
                beta.iter_mut().zip(change).for_each(|(beta, change)| *beta += change);
                *last = change.iter().fold(0.0, |most, it| it.abs().max(most));
            }
            if betas.iter().flatten().any(|beta| beta.abs() > DIVERGED) {
                return Err(AnalysisError::Separation);
            }
        }
        if last.iter().any(|last| *last > 0.1) {
            return Err(AnalysisError::Separation);
        }
        Ok(())
    }
}

/// Full matrices from lower triangles, set by set.
fn matrices(triangles: &Shared, pairs: usize, order: usize) -> Shared {
    let count = triangles.len().checked_div(pairs).unwrap_or(0);
    let full = |at: usize| symmetric(&triangles.slice(at * pairs, (at + 1) * pairs), order);
    Shared::concat(&(0..count).map(full).collect::<Vec<_>>())
}

/// Pooled gradients, and the inverses of the pooled information.
pub(crate) fn inverted(
    session: &mut dyn Session,
    sums: &[FitSums],
    order: usize,
) -> Result<(Shared, Inverses), AnalysisError> {
    let gradients: Vec<Word> = sums.iter().flat_map(|it| it.gradient.clone()).collect();
    let information: Vec<Word> = sums.iter().flat_map(|it| it.information.clone()).collect();
    let gradients = session.input(&gradients)?;
    let information = session.input(&information)?;
    let matrices = matrices(&information, order * (order + 1) / 2, order);
    Ok((gradients, Inverses::new(session, &matrices, order)?))
}

impl Target {
    /// The variable on all others of the formula.
    pub(crate) fn new(
        request: &Request,
        dictionary: &Dictionary,
        (name, used): (&String, &[String]),
    ) -> Result<Self, AnalysisError> {
        let error = |what: String| AnalysisError::request(request, what);
        let others: Vec<&str> = used.iter().filter(|it| *it != name).map(String::as_str).collect();
        let formula = Some(format!("{name} ~ {}", others.join(" + ")));
        let regression = Regression::new(&Request { formula, ..request.clone() }, dictionary)?;
        let variable = dictionary.variable(name);
        let levels = variable.and_then(|it| it.factor_levels()).unwrap_or_default();
        let coded = variable.is_some_and(|it| !it.levels.is_empty());
        if coded && levels.len() != 2 {
            return Err(error(format!(
                "`{name}` has {} levels; only numbers and variables of two values are imputed",
                levels.len()
            )));
        }
        let range = variable.and_then(|it| it.range());
        let range = if regression.logistic { Some((0.0, 1.0)) } else { range };
        let range =
            range.ok_or_else(|| error(format!("`{name}` needs min and max in the dictionary")))?;
        Ok(Self { name: name.clone(), regression, range })
    }
}

/// Patients less parameters, at least one, in fixed point.
pub(crate) fn freedom(session: &dyn Session, counts: &Shared, parameters: usize) -> Shared {
    let parameters = Word::try_from(parameters).unwrap_or(0);
    let less = parameters.wrapping_mul(ONE).wrapping_neg();
    fixed::add_public(session, &counts.integer_to_fixed(), less)
}
