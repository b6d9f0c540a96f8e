//! Correlations on shares, and eigenvalues of a symmetric matrix at the researcher.

use crate::analysis::{AnalysisError, Patients, Request, Setting};
use crate::compared::{admit_groups, number};
use crate::describe::Numeric;
use konsil_cohort::Dictionary;
use konsil_kernels::add_rounded;
use konsil_mpc::{Opening, Session, Shared, fixed, linear, normalise};
use konsil_ring::{Word, encode, encode_count};

/// Most numbers that are correlated with each other.
const VARIABLES_MAX: usize = 50;

/// Smallest sum of squares about the mean, in parts of the square of half the public range.
const SPREAD_MIN: f64 = 1e-6;

/// Numbers of the same patients.
#[derive(Clone, Debug)]
pub(crate) struct Correlated {
    variables: Vec<Numeric>,
}

impl Correlated {
    /// Two or more numbers with a public range.
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let error = |what: String| AnalysisError::request(request, what);
        let names = &request.variables;
        if !(2..=VARIABLES_MAX).contains(&names.len()) {
            return Err(error(format!(
                "takes 2 to {VARIABLES_MAX} numbers; give `variables = [..]`"
            )));
        }
        if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name))
        {
            return Err(error(format!("names `{}` twice", twice.1)));
        }
        let variables = names.iter().map(|name| number(dictionary, name));
        Ok(Self { variables: variables.collect::<Result<_, _>>().map_err(error)? })
    }

    pub(crate) fn len(&self) -> usize {
        self.variables.len()
    }

    pub(crate) fn name(&self, at: usize) -> &str {
        self.variables.get(at).map_or("", |it| it.name.as_str())
    }

    /// Every two numbers, in the order of release.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let count = self.variables.len();
        (1..count).flat_map(|second| (0..second).map(move |first| (first, second)))
    }

    pub(crate) fn understood(&self) -> Vec<String> {
        self.variables.iter().map(|it| format!("{} ({})", it.name, it.label)).collect()
    }

    /// Patients, and the correlations of [`Correlated::pairs`]. Error about 2^-30. 86 rounds.
    pub(crate) fn correlations(
        &self,
        session: &mut dyn Session,
        (setting, (admitted, constant)): (&Setting, (Opening, Opening)),
        patients: Patients<'_>,
    ) -> Result<(Shared, Shared), AnalysisError> {
        let p = self.len();
        let (n, sums) = self.sums(patients)?;
        admit_groups(session, admitted, setting, (&[n], self.pairs().count()))?;
        let n = session.input(&[encode_count(n)])?;
        let sums = session.input(&sums)?;
        let (first, products) = (sums.slice(0, p), sums.slice(p, sums.len()));
        let sizes = n.integer_to_fixed().repeat(p);
        let means = normalise::divide(session, &first, &sizes)?;
        let cells: Vec<(usize, usize)> =
            (0..p).flat_map(|second| (0..=second).map(move |first| (first, second))).collect();
        let left = first.pick(cells.iter().map(|it| it.0));
        let right = means.pick(cells.iter().map(|it| it.1));
        let about = products.minus(&fixed::multiply(session, &left, &right)?);
        let diagonal = |at: usize| at * (at + 3) / 2;
        let own = about.pick((0..p).map(diagonal));
        self.refuse_constant(session, constant, &own)?;
        let inverse = normalise::inverse_sqrt(session, &own)?;
        let places: Vec<usize> =
            (0..cells.len()).filter(|at| cells[*at].0 != cells[*at].1).collect();
        let by = |side: fn(&(usize, usize)) -> usize| {
            inverse.pick(places.iter().map(|at| side(&cells[*at])))
        };
        let half = fixed::multiply(session, &about.pick(places.iter().copied()), &by(|it| it.0))?;
        let correlations = fixed::multiply(session, &half, &by(|it| it.1))?;
        Ok((n, correlations))
    }

    /// This centre's patients with all values; sums of the values, then of their products, the lower
    /// triangle row by row.
    fn sums(&self, patients: Patients<'_>) -> Result<(u64, Vec<Word>), AnalysisError> {
        let p = self.len();
        let mut sums = vec![0; p + p * (p + 1) / 2];
        let Some(dataset) = patients else {
            return Ok((0, sums));
        };
        let mut columns = Vec::with_capacity(p);
        for variable in &self.variables {
            columns.push(variable.scaled(&dataset.numeric(&variable.name)?, false));
        }
        let mut known = 0;
        for row in 0..dataset.rows() {
            let values: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            if values.iter().any(|value| value.is_nan()) {
                continue;
            }
            known += 1;
            let mut terms = values.clone();
            for second in 0..p {
                terms.extend((0..=second).map(|first| values[first] * values[second]));
            }
            add_rounded(&mut sums, &terms)?;
        }
        Ok((known, sums))
    }

    fn refuse_constant(
        &self,
        session: &mut dyn Session,
        opening: Opening,
        squares: &Shared,
    ) -> Result<(), AnalysisError> {
        let enough = fixed::at_least(session, squares, encode(SPREAD_MIN)?)?;
        let enough = session.to_integers(&enough)?;
        let constant = linear::complement(session, &enough);
        let opened = session.open(opening, &constant)?;
        let named = opened.iter().zip(&self.variables).filter(|(constant, _)| **constant != 0);
        let columns: Vec<String> = named.map(|(_, it)| it.name.clone()).collect();
        if columns.is_empty() { Ok(()) } else { Err(AnalysisError::Constant { columns }) }
    }
}

/// Eigenvalues and unit eigenvectors of a symmetric matrix, largest first; the largest entry of a
/// vector is positive. Jacobi's rotations.
pub(crate) fn eigen(matrix: &[f64], order: usize) -> Vec<(f64, Vec<f64>)> {
    let mut a = matrix.to_vec();
    let mut vectors = vec![0.0; order * order];
    for at in 0..order {
        vectors[at * order + at] = 1.0;
    }
    for _ in 0..100 {
        let apart: f64 =
            (0..order * order).filter(|at| at / order != at % order).map(|at| a[at] * a[at]).sum();
        if apart < 1e-30 {
            break;
        }
        for p in 0..order {
            for q in p + 1..order {
                rotate((&mut a, &mut vectors), order, (p, q));
            }
        }
    }
    let vector = |at: usize| -> Vec<f64> {
        let vector: Vec<f64> = (0..order).map(|row| vectors[row * order + at]).collect();
        let largest = vector
            .iter()
            .copied()
            .fold(0.0, |most: f64, it| if it.abs() > most.abs() { it } else { most });
        vector.into_iter().map(|it| if largest < 0.0 { -it } else { it }).collect()
    };
    let mut found: Vec<(f64, Vec<f64>)> =
        (0..order).map(|at| (a[at * order + at], vector(at))).collect();
    found.sort_by(|left, right| right.0.total_cmp(&left.0));
    found
}

fn rotate((a, vectors): (&mut [f64], &mut [f64]), order: usize, (p, q): (usize, usize)) {
    let off = a[p * order + q];
    if off.abs() < f64::MIN_POSITIVE {
        return;
    }
    let theta = (a[q * order + q] - a[p * order + p]) / (2.0 * off);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let t = if theta == 0.0 { 1.0 } else { t };
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..order {
        let (left, right) = (a[k * order + p], a[k * order + q]);
        a[k * order + p] = c * left - s * right;
        a[k * order + q] = s * left + c * right;
        let (left, right) = (vectors[k * order + p], vectors[k * order + q]);
        vectors[k * order + p] = c * left - s * right;
        vectors[k * order + q] = s * left + c * right;
    }
    for k in 0..order {
        let (left, right) = (a[p * order + k], a[q * order + k]);
        a[p * order + k] = c * left - s * right;
        a[q * order + k] = s * left + c * right;
    }
}
