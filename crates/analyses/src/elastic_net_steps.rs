//! Penalised linear regression on shares: correlations of every training set, penalised
//! coefficients of all penalties at once, errors of cross-validation.

use crate::analysis::AnalysisError;
use crate::batched::{inverses, mask_all, products, raw_products};
use konsil_mpc::{MpcError, Session, Shared, fixed, linear, normalise};
use konsil_ring::{FRACTION_BITS, ONE, encode};

/// The weight of the augmented Lagrangian is a half.
const RHO: f64 = 0.5;
/// A coefficient of the last step below this is none.
const NONE: f64 = 1e-8;
/// Largest violation of the conditions of a minimum.
const VIOLATION_MAX: f64 = 1e-6;

/// Sums of each fold, over all centres; the response is the last of `q` columns.
pub(crate) struct Sums {
    /// Patients, `[fold]`.
    pub(crate) n: Shared,
    /// `[fold][q]`.
    pub(crate) firsts: Shared,
    /// `[fold][q][q]`.
    pub(crate) products: Shared,
    pub(crate) folds: usize,
    pub(crate) q: usize,
}

/// The training sets: all patients, then all without each fold.
pub(crate) struct Sets {
    pub(crate) n: Shared,
    /// `[set][q]`; so are the others.
    pub(crate) means: Shared,
    /// Sums of squares about the means.
    pub(crate) squares: Shared,
    pub(crate) roots: Shared,
    pub(crate) spreads: Shared,
    /// `[set][q][q]`.
    correlations: Shared,
    pub(crate) count: usize,
    q: usize,
}

/// Penalties in the sets' own standardised units, `[set][penalty]`.
pub(crate) struct Penalties {
    pub(crate) lambdas: Shared,
    pub(crate) alpha: f64,
    pub(crate) count: usize,
}

/// Standardised coefficients, `[set][penalty][p]`.
pub(crate) struct Path {
    pub(crate) coefficients: Shared,
    /// 1 where a coefficient is not 0.
    pub(crate) active: Shared,
    /// 1 where some coefficient violates the conditions of a minimum.
    pub(crate) unsettled: Shared,
}

impl Sets {
    /// 130 rounds.
    pub(crate) fn new(session: &mut dyn Session, sums: &Sums) -> Result<Self, MpcError> {
        let (q, folds) = (sums.q, sums.folds);
        let with_all = |parts: &Shared, len: usize| {
            let part = |at: usize| parts.slice(at * len, (at + 1) * len);
            let all = (0..folds).fold(Shared::zeros(len), |all, at| all.plus(&part(at)));
            let mut sets = vec![all.clone()];
            sets.extend((0..folds).map(|at| all.minus(&part(at))));
            Shared::concat(&sets)
        };
        let count = folds + 1;
        let n = with_all(&sums.n, 1);
        let firsts = with_all(&sums.firsts, q);
        let products = with_all(&sums.products, q * q);
        let sizes = n.integer_to_fixed();
        let means = normalise::divide(session, &firsts, &each(&sizes, q))?;
        let explained = fixed::multiply(session, &rows(&firsts, q), &columns(&means, q))?;
        let about = products.minus(&explained);
        let squares = diagonals(&about, q);
        let covariances = normalise::divide(session, &about, &each(&sizes, q * q))?;
        let variances = diagonals(&covariances, q);
        let roots = normalise::inverse_sqrt(session, &variances)?;
        let spreads = fixed::multiply(session, &variances, &roots)?;
        let half = fixed::multiply(session, &covariances, &rows(&roots, q))?;
        let correlations = fixed::multiply(session, &half, &columns(&roots, q))?;
        Ok(Self { n, means, squares, roots, spreads, correlations, count, q })
    }

    fn p(&self) -> usize {
        self.q - 1
    }

    /// Correlations of the columns, `[set][p][p]`.
    fn of_columns(&self) -> Shared {
        let (q, p) = (self.q, self.p());
        let place = |at: usize| at / (p * p) * q * q + at / p % p * q + at % p;
        self.correlations.pick((0..self.count * p * p).map(place))
    }

    /// Correlations of the columns with the response, `[set][p]`.
    fn with_response(&self) -> Shared {
        let (q, p) = (self.q, self.p());
        self.correlations.pick((0..self.count * p).map(|at| at / p * q * q + at % p * q + p))
    }

    /// The response's entry of `[set][q]`.
    pub(crate) fn response(&self, of: &Shared) -> Shared {
        of.pick((0..self.count).map(|at| at * self.q + self.p()))
    }

    /// The columns' entries of `[set][q]`.
    pub(crate) fn columns(&self, of: &Shared) -> Shared {
        let p = self.p();
        of.pick((0..self.count * p).map(|at| at / p * self.q + at % p))
    }

    /// The least penalty that leaves no column in the model of all patients, for `alpha` of 1.
    pub(crate) fn top(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let first = self.with_response().slice(0, self.p());
        let sizes = fixed::maximum(session, &first, &first.negated())?;
        let largest = fixed::largest(session, &sizes)?;
        fixed::multiply(session, &largest, &self.response(&self.spreads).slice(0, 1))
    }
}

/// Each number `times` times.
fn each(numbers: &Shared, times: usize) -> Shared {
    numbers.pick((0..numbers.len() * times).map(|at| at / times))
}

/// `[..][q]` as `[..][q][q]`, the number of the row.
fn rows(numbers: &Shared, q: usize) -> Shared {
    each(numbers, q)
}

/// `[..][q]` as `[..][q][q]`, the number of the column.
fn columns(numbers: &Shared, q: usize) -> Shared {
    numbers.pick((0..numbers.len() * q).map(|at| at / (q * q) * q + at % q))
}

fn diagonals(matrices: &Shared, q: usize) -> Shared {
    let count = matrices.len() / (q * q).max(1);
    matrices.pick((0..count * q).map(|at| at / q * q * q + at % q * (q + 1)))
}

/// Penalised coefficients of all sets and penalties.
///
/// The minimum of `b'Gb/2 - c'b + lambda ((1 - alpha) b'b/2 + alpha |b|)`, `G` and `c` being
/// correlations. Alternating directions find which coefficients are not 0, and their signs; these
/// then solve linear equations. About 150 rounds, and 9 for each step.
pub(crate) fn path(
    session: &mut dyn Session,
    sets: &Sets,
    penalties: &Penalties,
    steps: u32,
) -> Result<Path, AnalysisError> {
    let (p, all) = (sets.p(), sets.count * penalties.count * sets.p());
    let (active, signs) = if penalties.alpha > 0.0 {
        support(session, sets, penalties, steps)?
    } else {
        (session.constant(&vec![1; all]), Shared::zeros(all))
    };
    let coefficients = solve(session, sets, penalties, (&active, &signs))?;
    let spread = |numbers: &Shared| each(numbers, p);
    let ridge = fixed::scale(session, &penalties.lambdas, 1.0 - penalties.alpha)?;
    let lasso = fixed::scale(session, &penalties.lambdas, penalties.alpha)?;
    let masked = mask_all(session, &sets.of_columns(), (p, p))?;
    let image = products(session, (&coefficients, (penalties.count, p)), &masked)?;
    let shrunk = fixed::multiply(session, &coefficients, &spread(&ridge))?;
    let gradient = repeated(&sets.with_response(), p, penalties.count).minus(&image).minus(&shrunk);
    let signed = session.multiply_raw(&signs, &coefficients)?;
    let most = fixed::add_public(session, &spread(&lasso), encode(VIOLATION_MAX)?);
    let least = fixed::add_public(session, &signed, encode(VIOLATION_MAX)?);
    let room = Shared::concat([&most.minus(&gradient), &most.plus(&gradient), &least]);
    let violated = session.negative(&room)?;
    let violated = session.to_integers(&violated)?;
    let unsettled = linear::reaches(session, &violated.total(), 1)?;
    Ok(Path { coefficients, active, unsettled })
}

/// `[set][len]` as `[set][times][len]`.
fn repeated(numbers: &Shared, len: usize, times: usize) -> Shared {
    let total = numbers.len() * times;
    numbers.pick((0..total).map(|at| at / (len * times) * len + at % len))
}

/// Which coefficients are not 0, and their signs: alternating directions (Boyd and others 2011).
fn support(
    session: &mut dyn Session,
    sets: &Sets,
    penalties: &Penalties,
    steps: u32,
) -> Result<(Shared, Shared), AnalysisError> {
    let (p, count) = (sets.p(), penalties.count);
    // (G + rho I)^-1 from the same matrix of unit diagonal
    let grown = 1.0 / (1.0 + RHO);
    let small = fixed::scale(session, &sets.of_columns(), grown)?;
    let unit = with_unit_diagonal(session, &small, p);
    let factor = inverses(session, &unit, p)?;
    let factor = fixed::scale(session, &factor, grown)?;
    let factor = mask_all(session, &factor, (p, p))?;
    let begun = products(session, (&sets.with_response(), (1, p)), &factor)?;
    let begun = repeated(&begun, p, count);
    let threshold = fixed::scale(session, &penalties.lambdas, penalties.alpha / RHO)?;
    let threshold = each(&threshold, p);
    let shrink = if penalties.alpha < 1.0 {
        let ridge = fixed::scale(session, &penalties.lambdas, (1.0 - penalties.alpha) / RHO)?;
        let grown = fixed::add_public(session, &ridge, ONE);
        let shrink = normalise::reciprocal(session, &grown)?;
        Some(each(&shrink, p))
    } else {
        None
    };
    let beyond = fixed::add_public(session, &threshold, encode(NONE)?);
    let mut z = Shared::zeros(begun.len());
    let mut dual = z.clone();
    let (mut above, mut below) = (z.clone(), z.clone());
    for _ in 0..steps {
        let left = mask_all(session, &z.minus(&dual), (count, p))?;
        let raw = raw_products(session, &left, &factor)?;
        // times rho, a half
        let x = session.truncate(raw, FRACTION_BITS + 1)?.plus(&begun);
        let a = x.plus(&dual);
        let both = session.negative(&Shared::concat([&beyond.minus(&a), &beyond.plus(&a)]))?;
        let both = session.to_integers(&both)?;
        let moved = Shared::concat([&a.minus(&threshold), &a.plus(&threshold)]);
        let kept = session.multiply_raw(&both, &moved)?;
        (above, below) = (both.slice(0, z.len()), both.slice(z.len(), 2 * z.len()));
        z = kept.slice(0, z.len()).plus(&kept.slice(z.len(), 2 * z.len()));
        if let Some(shrink) = &shrink {
            z = fixed::multiply(session, &z, shrink)?;
        }
        dual = a.minus(&z);
    }
    Ok((above.plus(&below), above.minus(&below)))
}

/// Matrices with their diagonals replaced by 1.
fn with_unit_diagonal(session: &dyn Session, matrices: &Shared, p: usize) -> Shared {
    let places: Vec<usize> = (0..matrices.len()).filter(|at| at / p % p == at % p).collect();
    let ones = session.constant(&vec![ONE; places.len()]);
    matrices.replaced(&places, &ones)
}

/// The coefficients of a known support: `(G + lambda (1 - alpha) I) b = c - lambda alpha sign` of the
/// active ones, 0 of the others.
fn solve(
    session: &mut dyn Session,
    sets: &Sets,
    penalties: &Penalties,
    (active, signs): (&Shared, &Shared),
) -> Result<Shared, AnalysisError> {
    let (p, count) = (sets.p(), penalties.count);
    let ridge = fixed::scale(session, &penalties.lambdas, 1.0 - penalties.alpha)?;
    let grown = fixed::add_public(session, &ridge, ONE);
    let scale = normalise::reciprocal(session, &grown)?;
    let pairs = session.multiply_raw(&rows(active, p), &columns(active, p))?;
    let of_set = repeated(&sets.of_columns(), p * p, count);
    let kept = session.multiply_raw(&pairs, &of_set)?;
    let kept = fixed::multiply(session, &kept, &each(&scale, p * p))?;
    let unit = with_unit_diagonal(session, &kept, p);
    let lasso = fixed::scale(session, &penalties.lambdas, penalties.alpha)?;
    let pulled = session.multiply_raw(signs, &each(&lasso, p))?;
    let right = repeated(&sets.with_response(), p, count).minus(&pulled);
    let right = session.multiply_raw(active, &right)?;
    let right = fixed::multiply(session, &right, &each(&scale, p))?;
    let inverse = inverses(session, &unit, p)?;
    let inverse = mask_all(session, &inverse, (p, p))?;
    Ok(products(session, (&right, (1, p)), &inverse)?)
}

/// Coefficients of the columns as the engine scales them, `[set][penalty][p]`; those that are none
/// are 0 to the last unit. 5 rounds.
pub(crate) fn unscaled(
    session: &mut dyn Session,
    sets: &Sets,
    (path, penalties): (&Path, usize),
) -> Result<Shared, MpcError> {
    let p = sets.p();
    let spreads = each(&sets.response(&sets.spreads), p * penalties);
    let half = fixed::multiply(session, &path.coefficients, &spreads)?;
    let roots = repeated(&sets.columns(&sets.roots), p, penalties);
    let all = fixed::multiply(session, &half, &roots)?;
    session.multiply_raw(&path.active, &all)
}

/// Mean squared error over the folds, and its standard error, of each penalty. 160 rounds.
pub(crate) fn errors(
    session: &mut dyn Session,
    (sums, sets): (&Sums, &Sets),
    (coefficients, penalties): (&Shared, usize),
) -> Result<(Shared, Shared), AnalysisError> {
    let (q, p, folds) = (sums.q, sets.p(), sums.folds);
    // sums of each fold about the means of its training set
    let means = sets.means.slice(q, (folds + 1) * q);
    let mixed = fixed::multiply(session, &rows(&means, q), &columns(&sums.firsts, q))?;
    let turned =
        mixed.pick((0..mixed.len()).map(|at| at / (q * q) * q * q + at % q * q + at / q % q));
    let squares = fixed::multiply(session, &rows(&means, q), &columns(&means, q))?;
    let squares = session.multiply_raw(&squares, &each(&sums.n, q * q))?;
    let about = sums.products.minus(&mixed).minus(&turned).plus(&squares);
    // minus the coefficients, and 1 for the response
    let trained = coefficients.slice(penalties * p, (folds + 1) * penalties * p);
    let one = session.constant(&[ONE]);
    let known = Shared::concat([&trained.negated(), &one]);
    let last = trained.len();
    let place = |at: usize| if at % q == p { last } else { at / q * p + at % q };
    let weights = known.pick((0..folds * penalties * q).map(place));
    let masked = mask_all(session, &about, (q, q))?;
    let image = products(session, (&weights, (penalties, q)), &masked)?;
    let squares = fixed::dot(session, &image, &weights, q)?.transposed(folds, penalties);
    let of_fold = sums.n.repeat(penalties);
    let by_fold = normalise::divide(session, &squares, &of_fold.integer_to_fixed())?;
    let n = sets.n.slice(0, 1).integer_to_fixed().repeat(penalties);
    let total = |cells: &Shared| {
        let of = |at: usize| cells.slice(at * folds, (at + 1) * folds).total();
        Shared::concat(&(0..penalties).map(of).collect::<Vec<_>>())
    };
    let mean = normalise::divide(session, &total(&squares), &n)?;
    let apart = by_fold.minus(&each(&mean, folds));
    let apart = fixed::square(session, &apart)?;
    let apart = session.multiply_raw(&apart, &of_fold)?;
    let spread = normalise::divide(session, &total(&apart), &n)?;
    let freedom = 1.0 / (folds.saturating_sub(1).max(1)) as f64;
    let spread = fixed::scale(session, &spread, freedom)?;
    let error = normalise::sqrt(session, &spread)?;
    Ok((mean, error))
}
