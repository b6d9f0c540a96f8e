//! Tail probabilities and quantiles at the researcher.

use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor, StudentsT};

/// The 97.5 % point of the standard normal distribution.
pub(crate) const Z_975: f64 = 1.959_963_984_540_054;

/// Two-sided p value of a standard normal statistic; accurate to 1e-13 far into the tail.
pub(crate) fn p_normal(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// Two-sided p value of a t statistic.
pub(crate) fn p_student(t: f64, df: f64) -> f64 {
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |it| 2.0 * it.sf(t.abs()))
}

/// The 97.5 % point of a t distribution.
pub(crate) fn t_975(df: f64) -> f64 {
    StudentsT::new(0.0, 1.0, df).map_or(f64::NAN, |it| it.inverse_cdf(0.975))
}

/// Upper tail of a chi-squared statistic.
pub(crate) fn p_chi_squared(x: f64, df: f64) -> f64 {
    ChiSquared::new(df).map_or(f64::NAN, |it| it.sf(x))
}

/// Upper tail of an F statistic.
pub(crate) fn p_fisher(f: f64, df1: f64, df2: f64) -> f64 {
    FisherSnedecor::new(df1, df2).map_or(f64::NAN, |it| it.sf(f))
}

/// `d' M^-1 d` for a symmetric positive definite `M`, row by row; `None` when it is not.
pub(crate) fn quadratic_form(matrix: &[f64], d: &[f64]) -> Option<f64> {
    let order = d.len();
    let mut rows: Vec<Vec<f64>> = (matrix.chunks(order.max(1)).zip(d))
        .map(|(row, value)| row.iter().copied().chain([*value]).collect())
        .collect();
    let mut form = 0.0;
    for pivot in 0..order {
        let (done, rest) = rows.split_at_mut(pivot + 1);
        let first = done.last()?;
        let head = *first.get(pivot)?;
        let value = *first.last()?;
        if head <= 0.0 {
            return None;
        }
        form += value * value / head;
        for row in rest {
            let factor = row.get(pivot)? / head;
            row.iter_mut()
                .zip(first)
                .skip(pivot)
                .for_each(|(x, p)| *x -= factor * p);
        }
    }
    (order > 0).then_some(form)
}
