//! Exact distributions of tables with given totals, at the researcher.

use libm::lgamma;

/// Most tables that are looked at one by one.
const TABLES_MAX: usize = 20_000_000;

/// How much more probable than the observed table one counts as equally probable, as in R.
const ALIKE: f64 = 1.0 + 1e-7;

/// Fisher's test of a table of two by two.
pub(crate) struct Fourfold {
    pub(crate) p_value: f64,
    pub(crate) odds_ratio: f64,
    pub(crate) limits: (f64, f64),
}

/// The noncentral hypergeometric distribution of the first cell.
struct Distribution {
    low: f64,
    log_weights: Vec<f64>,
}

impl Distribution {
    fn new([a, b, c, d]: [f64; 4]) -> Self {
        let (row, column, n) = (a + b, a + c, a + b + c + d);
        let (low, high) = ((row + column - n).max(0.0), row.min(column));
        let mut log_weights = Vec::new();
        let mut x = low;
        while x <= high {
            let cells = [x, row - x, column - x, n - row - column + x];
            log_weights.push(-cells.iter().map(|cell| lgamma(cell + 1.0)).sum::<f64>());
            x += 1.0;
        }
        Self { low, log_weights }
    }

    /// Probabilities of the values at a logarithm of the odds ratio.
    fn probabilities(&self, log_odds: f64) -> Vec<f64> {
        let weights = self.log_weights.iter().enumerate();
        let weights: Vec<f64> =
            weights.map(|(at, weight)| weight + (self.low + at as f64) * log_odds).collect();
        let most = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = weights.iter().map(|weight| (weight - most).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / total).collect()
    }

    fn mean(&self, log_odds: f64) -> f64 {
        let each = self.probabilities(log_odds).into_iter().enumerate();
        each.map(|(at, p)| p * (self.low + at as f64)).sum()
    }

    /// Probability of values up to `x`, or from `x` on.
    fn tail(&self, log_odds: f64, x: f64, upper: bool) -> f64 {
        let each = self.probabilities(log_odds).into_iter().enumerate();
        let inside = |at: usize| {
            let value = self.low + at as f64;
            if upper { value >= x - 0.5 } else { value <= x + 0.5 }
        };
        each.filter(|(at, _)| inside(*at)).map(|(_, p)| p).sum()
    }
}

/// Where an increasing function crosses 0.
fn root(function: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-60.0, 60.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if function(middle) < 0.0 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// Fisher's test of a table of two by two: two-sided p value by probability, conditional maximum
/// likelihood estimate of the odds ratio, exact 95 % limits.
pub(crate) fn fourfold(cells: [f64; 4]) -> Fourfold {
    let [a, b, c, _] = cells;
    let it = Distribution::new(cells);
    let probabilities = it.probabilities(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count between the smallest and the largest possible one"
    )]
    let observed = probabilities.get((a - it.low) as usize).copied().unwrap_or(0.0);
    let p_value = probabilities.iter().filter(|p| **p <= observed * ALIKE).sum::<f64>().min(1.0);
    let high = (a + b).min(a + c);
    let odds_ratio = if a <= it.low {
        0.0
    } else if a >= high {
        f64::INFINITY
    } else {
        root(|log_odds| it.mean(log_odds) - a).exp()
    };
    let lower =
        if a <= it.low { 0.0 } else { root(|log_odds| it.tail(log_odds, a, true) - 0.025).exp() };
    let upper = if a >= high {
        f64::INFINITY
    } else {
        root(|log_odds| 0.025 - it.tail(log_odds, a, false)).exp()
    };
    Fourfold { p_value, odds_ratio, limits: (lower, upper) }
}

/// The p value of a table of any size, row by row; `None` where too many tables have its totals.
pub(crate) fn table_p(cells: &[f64], columns: usize) -> Option<f64> {
    let row_total = |row: &[f64]| row.iter().sum::<f64>();
    let rows: Vec<f64> = cells.chunks(columns).map(row_total).collect();
    let column = |at: usize| cells.iter().skip(at).step_by(columns).sum::<f64>();
    let totals: Vec<f64> = (0..columns).map(column).collect();
    let n: f64 = rows.iter().sum();
    let log = |x: f64| lgamma(x + 1.0);
    let constant = rows.iter().chain(&totals).map(|total| log(*total)).sum::<f64>() - log(n);
    let observed = constant - cells.iter().map(|cell| log(*cell)).sum::<f64>();
    let mut search = Search {
        rows: &rows,
        left: totals,
        limit: observed + ALIKE.ln(),
        sum: 0.0,
        tables: 0,
        factorials: (0..).map(f64::from).take_while(|x| *x <= n).map(log).collect(),
    };
    search.fill(0, 0, rows.first().copied().unwrap_or(0.0), constant)?;
    Some(search.sum.min(1.0))
}

/// The search over all tables with the same totals.
struct Search<'a> {
    rows: &'a [f64],
    left: Vec<f64>,
    limit: f64,
    sum: f64,
    tables: usize,
    factorials: Vec<f64>,
}

impl Search<'_> {
    fn log_factorial(&self, x: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of at most n"
        )]
        let at = x as usize;
        self.factorials.get(at).copied().unwrap_or(f64::NAN)
    }

    /// Fills the cells of a row from a column on, `rest` patients being left for them.
    fn fill(&mut self, row: usize, column: usize, rest: f64, log_p: f64) -> Option<()> {
        if row + 1 == self.rows.len() {
            // the last row is what is left of the columns
            self.tables += 1;
            let last: f64 = self.left.iter().map(|left| self.log_factorial(*left)).sum();
            let log_p = log_p - last;
            if log_p <= self.limit {
                self.sum += log_p.exp();
            }
            return (self.tables <= TABLES_MAX).then_some(());
        }
        if column + 1 == self.left.len() {
            if rest > self.left[column] {
                return Some(());
            }
            self.left[column] -= rest;
            let next = self.rows[row + 1];
            let log_p = log_p - self.log_factorial(rest);
            let done = self.fill(row + 1, 0, next, log_p);
            self.left[column] += rest;
            return done;
        }
        let most = rest.min(self.left[column]);
        let later: f64 = self.left[column + 1..].iter().sum();
        let mut count = (rest - later).max(0.0);
        while count <= most {
            self.left[column] -= count;
            let log_p = log_p - self.log_factorial(count);
            let done = self.fill(row, column + 1, rest - count, log_p);
            self.left[column] += count;
            done?;
            count += 1.0;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R, which stops at 4 digits of ratio and limits: fisher.test(matrix(c(3, 1, 1, 3), 2)) and fisher.test(matrix(c(5, 2, 1, 4, 3, 6), 2))
    #[test]
    fn exact_tests_are_those_of_r() {
        let it = fourfold([3.0, 1.0, 1.0, 3.0]);
        assert!((it.p_value - 0.485_714_285_714_286).abs() < 1e-12);
        assert!((it.odds_ratio - 6.408_308_867).abs() < 1e-3, "{}", it.odds_ratio);
        assert!((it.limits.0 - 0.211_732_915).abs() < 1e-3, "{}", it.limits.0);
        // R says 621.93: it solves for the inverse, to 4 digits
        assert!((it.limits.1 - 626.243_53).abs() < 1e-4, "{}", it.limits.1);
        let p = table_p(&[5.0, 1.0, 3.0, 2.0, 4.0, 6.0], 3).unwrap();
        assert!((p - 0.276_970_707_311_262).abs() < 1e-10, "{p}");
    }
}
