//! What regressions share: the secure inverse with its verdict, variances, coefficient tables.

use crate::analysis::AnalysisError;
use crate::analysis::Setting;
use crate::design::{Model, Rows};
use crate::table::{Cell, Table};
use konsil_disclosure::{Candidates, Supports, stand_apart};
use konsil_kernels::{Observed, gram_sums, leverage_rows};
use konsil_mpc::linear::{Inverse, complement, inverse, inverse_scaled};
use konsil_mpc::{MpcError, Opening, Session, Shared};
use konsil_ring::{Word, decode, encode};

/// Fractional bits of released variances.
pub(crate) const VARIANCE_BITS: u32 = 60;

/// Fixed-point words as reals.
pub(crate) fn reals(words: &[Word]) -> Vec<f64> {
    words.iter().map(|word| decode(*word)).collect()
}

/// The full symmetric matrix from its lower triangle, row by row.
pub(crate) fn symmetric(triangle: &Shared, order: usize) -> Shared {
    triangle.pick((0..order * order).map(|at| {
        let (i, j) = (at / order, at % order);
        let (row, column) = (i.max(j), i.min(j));
        row * (row + 1) / 2 + column
    }))
}

/// Opens, column by column, whether the columns can be told apart: 0 for each that can.
pub(crate) fn check_sound(
    session: &mut dyn Session,
    opening: Opening,
    model: &Model,
    inverse: &Inverse,
) -> Result<(), AnalysisError> {
    let sound = inverse.sound(session)?;
    let sound = session.to_integers(&sound)?;
    let unsound = complement(session, &sound);
    let opened = session.open(opening, &unsound)?;
    let names = model.names().zip(opened).filter(|(_, unsound)| *unsound != 0);
    let columns: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
    if columns.is_empty() { Ok(()) } else { Err(AnalysisError::Collinear { columns }) }
}

/// Inverts the symmetric matrix of a triangle and opens the verdict.
pub(crate) fn sound_inverse(
    session: &mut dyn Session,
    opening: Opening,
    model: &Model,
    triangle: &Shared,
) -> Result<Inverse, AnalysisError> {
    let order = model.order();
    let inverse = inverse(session, &symmetric(triangle, order), order)?;
    check_sound(session, opening, model, &inverse)?;
    Ok(inverse)
}

/// Opens whether a column or a patient of the model stands apart (R5, R6, R7). `weights` are those
/// of the inverted matrix, empty for 1.
pub(crate) fn check_apart(
    session: &mut dyn Session,
    opening: Opening,
    (model, setting): (&Model, &Setting),
    (rows, weights): (&Rows, &[f64]),
    inverse: &Inverse,
) -> Result<(), AnalysisError> {
    let (order, policy) = (model.order(), &setting.policy);
    let percent = usize::try_from(policy.leverage_percent_max).unwrap_or(100).max(1);
    let count = (100 * order).div_ceil(percent);
    let rows_above = leverage_rows(&rows.x, weights, order, count);
    let candidates = Candidates { supports: &rows.supports, rows: &rows_above };
    Ok(stand_apart(session, opening, policy, &candidates, inverse)?)
}

/// Opens, column by column, whether the columns of a model without intercept can be told apart from
/// each other and from a constant; then whether a column or a patient stands apart (R5, R6, R7).
/// `with_one` are this centre's rows with the constant first. Verdicts come from the Gram matrix.
pub(crate) fn check_columns(
    session: &mut dyn Session,
    (unsound, apart): (Opening, Opening),
    (model, setting): (&Model, &Setting),
    (with_one, supports): (&[f64], &Supports),
) -> Result<(), AnalysisError> {
    let order = model.order() + 1;
    let y = vec![0.0; with_one.len() / order];
    let gram = gram_sums(Observed { x: with_one, y: &y, ..Observed::default() }, order)?;
    let gram = session.input(&gram.products)?;
    let inverse = inverse(session, &symmetric(&gram, order), order)?;
    let sound = inverse.sound(session)?;
    let sound = session.to_integers(&sound)?;
    let opened = session.open(unsound, &complement(session, &sound))?;
    if opened.iter().any(|it| *it != 0) {
        // the constant, if it is a combination, is one of the columns that are named
        let names = model.names().zip(opened.iter().skip(1)).filter(|(_, unsound)| **unsound != 0);
        let columns = names.map(|(name, _)| name.to_owned()).collect();
        return Err(AnalysisError::Collinear { columns });
    }
    let policy = &setting.policy;
    let percent = usize::try_from(policy.leverage_percent_max).unwrap_or(100).max(1);
    let rows = leverage_rows(with_one, &[], order, (100 * order).div_ceil(percent));
    let candidates = Candidates { supports, rows: &rows };
    Ok(stand_apart(session, apart, policy, &candidates, &inverse)?)
}

/// Diagonal of the inverse in raw scale, 60 fractional bits, still divided by nothing for the
/// columns (`cov_jj`; the researcher divides by `scale_j^2`), complete for the intercept.
pub(crate) fn variances(
    session: &mut dyn Session,
    model: &Model,
    inverse: &Inverse,
) -> Result<Shared, MpcError> {
    let order = model.order();
    let full = inverse.all_60(session)?;
    let diagonal = full.pick((0..order).map(|i| i * (order + 1)));
    if !model.design.has_intercept {
        return Ok(diagonal);
    }
    let factors = model.intercept_factors();
    let mut weights = Vec::with_capacity(order * order);
    for left in &factors {
        for right in &factors {
            weights.push(encode(left * right)?.cast_signed());
        }
    }
    let intercept = session.truncate(full.times_integers(&weights).total(), 40)?;
    Ok(Shared::concat([&intercept, &diagonal.slice(1, order)]))
}

/// Standard errors from released variances.
pub(crate) fn standard_errors(model: &Model, variances: &[f64], dispersion: f64) -> Vec<f64> {
    let scales = model.columns.iter().map(|(_, scale)| scale);
    (variances.iter().zip(scales))
        .map(|(variance, scale)| (variance.max(0.0) * dispersion).sqrt() / scale)
        .collect()
}

/// The table of coefficients with broom's columns.
pub(crate) fn tidy(
    model: &Model,
    estimates: &[f64],
    errors: &[f64],
    (quantile, p_value, exponentiate): (f64, &dyn Fn(f64) -> f64, bool),
) -> Table {
    let mut columns =
        vec!["term", "estimate", "std.error", "statistic", "p.value", "conf.low", "conf.high"];
    if exponentiate {
        columns.extend(["exp.estimate", "exp.conf.low", "exp.conf.high"]);
    }
    let mut table = Table::new("tidy", &columns);
    for ((name, estimate), error) in model.names().zip(estimates).zip(errors) {
        let statistic = estimate / error;
        let (low, high) = (estimate - quantile * error, estimate + quantile * error);
        let mut row = vec![Cell::Text(name.to_owned())];
        let numbers = [*estimate, *error, statistic, p_value(statistic), low, high];
        row.extend(numbers.map(Cell::Number));
        if exponentiate {
            row.extend([*estimate, low, high].map(|value| Cell::Number(value.exp())));
        }
        table.rows.push(row);
    }
    table
}

/// Inverts the symmetric matrix of a triangle; nothing is opened. With `scales` from an earlier
/// matrix the roots of the diagonal are not taken anew: for weights that only change within bounds.
pub(crate) fn inverse_again(
    session: &mut dyn Session,
    model: &Model,
    triangle: &Shared,
    scales: Option<&Shared>,
) -> Result<Inverse, MpcError> {
    let order = model.order();
    let matrix = symmetric(triangle, order);
    match scales {
        Some(scales) => inverse_scaled(session, &matrix, scales.clone()),
        None => inverse(session, &matrix, order),
    }
}
