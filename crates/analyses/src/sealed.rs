//! The sealed fit of a generalised linear model: coefficients, predictors and means stay shared.
//!
//! Each centre's model matrix, and the products of its columns two by two, are masked and opened
//! once; after that a Newton step needs the shared coefficients, residuals and weights only. Rows
//! are filled up with zeros to the public bucket, so that no centre's number of patients shows.

use crate::analysis::{AnalysisError, Setting};
use crate::design::Rows;
use crate::fit::{inverse_again, variances};
use crate::glm::Glm;
use konsil_kernels::{Family, start_sums, triangle};
use konsil_mpc::{Masked, Session, Shared, fixed, linear, transcendental};
use konsil_ring::{FRACTION_BITS, ONE, Word, encode, encode_count};

/// What a fit ends with, on shares.
pub(crate) struct Ends {
    pub(crate) coefficients: Shared,
    /// Size of the last step.
    pub(crate) last: Shared,
    pub(crate) variances: Shared,
    pub(crate) deviance: Shared,
    /// Pearson's statistic; nothing when sealed.
    pub(crate) pearson: Shared,
    /// Of a negative binomial model.
    pub(crate) theta: Option<Theta>,
}

/// The size of a negative binomial model: known to the centres, with its information and the log
/// likelihood on shares.
pub(crate) struct Theta {
    pub(crate) theta: f64,
    pub(crate) sums: Shared,
}

/// Every centre's masked rows.
struct Centres {
    /// `[rows][columns]` of each centre.
    columns: Vec<Masked>,
    /// `[rows][pairs of columns]`.
    pairs: Vec<Masked>,
    /// Responses, all centres in a row, filled up with 0.
    response: Shared,
    /// Filled-up rows of each centre.
    rows: Vec<usize>,
}

/// Sums at shared coefficients.
struct Sums {
    gradient: Shared,
    information: Shared,
    predictor: Shared,
    mean: Shared,
}

/// Runs the Newton steps without opening anything but the verdict on collinearity.
pub(crate) fn sealed_fit(
    session: &mut dyn Session,
    glm: &Glm,
    setting: &Setting,
    rows: &Rows,
) -> Result<Ends, AnalysisError> {
    let order = glm.model.order();
    let start = Glm::pooled(session, &start_sums(glm.kind.family, rows.observed(), order)?)?;
    let inverse = glm.first_inverse(session, setting, rows, &start.information)?;
    let scales = glm.lasting_scales(&inverse);
    let mut beta = inverse.times(session, &start.gradient)?;
    let centres = share_rows(session, setting, rows, order)?;
    let mut change = beta.clone();
    for _ in 1..glm.iterations {
        let sums = sums_at(session, glm.kind.family, &centres, &beta)?;
        let inverse = inverse_again(session, &glm.model, &sums.information, scales.as_ref())?;
        change = inverse.times(session, &sums.gradient)?;
        beta = beta.plus(&change);
    }
    let sums = sums_at(session, glm.kind.family, &centres, &beta)?;
    let inverse = inverse_again(session, &glm.model, &sums.information, None)?;
    let variances = variances(session, &glm.model, &inverse)?;
    let deviance = deviance(session, glm.kind.family, &centres, &sums, rows)?;
    let sizes = fixed::maximum(session, &change, &change.negated())?;
    let last = fixed::largest(session, &sizes)?;
    Ok(Ends {
        coefficients: beta,
        last,
        variances,
        deviance,
        pearson: Shared::zeros(0),
        theta: None,
    })
}

pub(crate) fn encoded(reals: impl IntoIterator<Item = f64>) -> Result<Vec<Word>, AnalysisError> {
    Ok(reals.into_iter().map(encode).collect::<Result<_, _>>()?)
}

/// Masks every centre's rows. `2` rounds for each centre and 8 MiB of rows.
fn share_rows(
    session: &mut dyn Session,
    setting: &Setting,
    rows: &Rows,
    order: usize,
) -> Result<Centres, AnalysisError> {
    let filled = setting.rows_at_most.clone();
    let me = session.party();
    let mut centres = Centres {
        columns: Vec::new(),
        pairs: Vec::new(),
        response: Shared::zeros(0),
        rows: filled,
    };
    centres.columns = mask_each(session, &centres.rows, (&rows.x, order))?;
    centres.pairs = mask_pairs(session, &centres.rows, &rows.x, order)?;
    let before: usize = centres.rows.iter().take(me).sum();
    let mut response = vec![0; centres.rows.iter().sum()];
    let places = response.iter_mut().skip(before);
    places.zip(encoded(rows.y.iter().copied())?).for_each(|(place, y)| *place = y);
    centres.response = session.input(&response)?;
    Ok(centres)
}

/// Masks the products of every centre's columns two by two, `[rows][pairs]`.
pub(crate) fn mask_pairs(
    session: &mut dyn Session,
    filled: &[usize],
    x: &[f64],
    order: usize,
) -> Result<Vec<Masked>, AnalysisError> {
    let pairs = order * (order + 1) / 2;
    let mut products = vec![0.0; x.len() / order.max(1) * pairs];
    for (row, terms) in x.chunks(order.max(1)).zip(products.chunks_mut(pairs.max(1))) {
        triangle(row, 1.0, terms);
    }
    mask_each(session, filled, (&products, pairs))
}

/// Masks every centre's rows of so many columns, filled up with zeros.
pub(crate) fn mask_each(
    session: &mut dyn Session,
    filled: &[usize],
    (mine, columns): (&[f64], usize),
) -> Result<Vec<Masked>, AnalysisError> {
    let words = encoded(mine.iter().copied())?;
    mask_words(session, filled, (words, columns))
}

/// As [`mask_each`], of ring integers.
pub(crate) fn mask_words(
    session: &mut dyn Session,
    filled: &[usize],
    (mut words, columns): (Vec<Word>, usize),
) -> Result<Vec<Masked>, AnalysisError> {
    let me = session.party();
    let own = filled.get(me).copied().unwrap_or(0);
    if words.len() > own * columns {
        let what = "this centre has more rows than the snapshot that was approved".to_owned();
        return Err(AnalysisError::Request { id: "sealed".to_owned(), what });
    }
    words.resize(own * columns, 0);
    let mut masked = Vec::with_capacity(filled.len());
    for (owner, &count) in filled.iter().enumerate() {
        let brought: &[Word] = if owner == me { &words } else { &[] };
        masked.push(session.mask_own(owner, brought, (count, columns))?);
    }
    Ok(masked)
}

/// Gradient and information at shared coefficients: the local step, on shares.
fn sums_at(
    session: &mut dyn Session,
    family: Family,
    centres: &Centres,
    beta: &Shared,
) -> Result<Sums, AnalysisError> {
    let masked = session.mask(beta, (beta.len(), 1))?;
    let mut predictors = Vec::with_capacity(centres.rows.len());
    for columns in &centres.columns {
        predictors.push(session.product(columns, false, &masked)?);
    }
    let predictor = session.truncate(Shared::concat(&predictors), FRACTION_BITS)?;
    let (mean, weight) = match family {
        Family::Binomial => {
            let mean = transcendental::logistic(session, &predictor)?;
            let square = fixed::square(session, &mean)?;
            (mean.clone(), mean.minus(&square))
        }
        // only these two are sealed
        _ => {
            let mean = transcendental::exp(session, &predictor)?;
            (mean.clone(), mean)
        }
    };
    let residual = centres.response.minus(&mean);
    let order = beta.len();
    let mut gradient = Shared::zeros(order);
    let mut information = Shared::zeros(order * (order + 1) / 2);
    let mut start = 0;
    for (at, &count) in centres.rows.iter().enumerate() {
        let end = start + count;
        let masked = session.mask(&residual.slice(start, end), (count, 1))?;
        gradient = gradient.plus(&session.product(&centres.columns[at], true, &masked)?);
        let masked = session.mask(&weight.slice(start, end), (count, 1))?;
        information = information.plus(&session.product(&centres.pairs[at], true, &masked)?);
        start = end;
    }
    let both = session.truncate(Shared::concat([&gradient, &information]), FRACTION_BITS)?;
    let (gradient, information) = (both.slice(0, order), both.slice(order, both.len()));
    Ok(Sums { gradient, information, predictor, mean })
}

/// The deviance at the last coefficients. Rows that only fill up are taken out again.
fn deviance(
    session: &mut dyn Session,
    family: Family,
    centres: &Centres,
    sums: &Sums,
    rows: &Rows,
) -> Result<Shared, AnalysisError> {
    let filled: usize = centres.rows.iter().sum();
    let patients = session.input(&[encode_count(u64::try_from(rows.y.len()).unwrap_or(0))])?;
    let filled = encode_count(u64::try_from(filled).unwrap_or(0));
    let empty = fixed::subtract_from(session, filled, &patients);
    let explained = fixed::dot(session, &centres.response, &sums.predictor, sums.predictor.len())?;
    match family {
        Family::Binomial => {
            // -2 sum (y eta - ln(1 + e^eta)); an empty row adds 2 ln 2
            let against = fixed::subtract_from(session, ONE, &sums.mean);
            let logs = transcendental::ln(session, &against)?.total();
            let empty = empty.times_integer(encode(std::f64::consts::LN_2)?.cast_signed());
            Ok(logs.plus(&explained).plus(&empty).times_integer(-2))
        }
        _ => {
            // 2 sum (y ln y - y eta - (y - mu)); an empty row has mu = 1
            let mut entropy = [0];
            for y in rows.y.iter().filter(|y| **y > 0.0) {
                konsil_kernels::add_rounded(&mut entropy, &[y * y.ln()])?;
            }
            let entropy = session.input(&entropy)?;
            let means = sums.mean.total().minus(&empty.integer_to_fixed());
            let inner = entropy.minus(&explained).minus(&centres.response.total()).plus(&means);
            Ok(inner.times_integer(2))
        }
    }
}

/// Residual sum of squares from shared cross-products, see `lm`.
pub(crate) fn residual_squares(
    session: &mut dyn Session,
    (squares, with_response): (&Shared, &Shared),
    beta: &Shared,
) -> Result<Shared, AnalysisError> {
    let explained = linear::product(session, with_response, beta, (1, beta.len(), 1))?;
    Ok(squares.minus(&explained))
}
