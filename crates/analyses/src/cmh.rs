//! Cochran, Mantel and Haenszel's test of two by two tables in strata.
//!
//! # Local step
//! Each centre counts its patients by outcome, exposure and stratum. Where the strata are the centres,
//! each centre computes the terms of its own stratum.
//!
//! # Secure step
//! With other strata the counts are shares, and expected counts, variances and the terms of the
//! common odds ratio are divisions on shares, stratum by stratum. Only their sums are released.
//!
//! # Opens
//! To the centres: whether outcome and exposure have enough patients.
//!
//! # Release
//! Number of patients; over all strata the sums of observed minus expected, of variances, and the
//! five sums of the common odds ratio and its variance.
//!
//! # Sources
//! Mantel and Haenszel (1959), J. Natl. Cancer Inst. 22; variance of the odds ratio: Robins, Breslow
//! and Greenland (1986), Biometrics 42, equation 4.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{Factor, admitted, release_is_short, released, text};
use crate::crossed::Crossed;
use crate::statistics::{Z_975, p_chi_squared};
use crate::table::{Cell, Table};
use crate::table1::sides;
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, admit};
use konsil_kernels::add_rounded;
use konsil_mpc::{MpcError, Opening, Session, Shared, fixed, normalise};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 3] = [ADMITTED, COUNTS, SUMS];

const ADMITTED: Opening = admitted("cmh.admitted");
const COUNTS: Opening = released("cmh.counts", "How many patients there are.");
const SUMS: Opening = released(
    "cmh.sums",
    "Seven sums over all strata: observed minus expected, variance, and those of the odds ratio.",
);

/// Terms of a stratum.
const TERMS: usize = 7;

struct Cmh {
    crossed: Crossed,
    /// `None` where the strata are the centres.
    strata: Option<Factor>,
}

/// Checks a request: `outcome ~ exposure + strata`, the strata a variable or `centre`.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let wanted = "needs a formula `outcome ~ exposure + strata`; strata may be `centre`";
    let formula = request.formula.as_ref().ok_or_else(|| error(wanted.to_owned()))?;
    let (left, right) = sides(formula).map_err(error)?;
    let (Some(outcome), [exposure, strata]) = (left, &right[..]) else {
        return Err(error(wanted.to_owned()));
    };
    let pair =
        Request { formula: None, variables: vec![outcome, exposure.clone()], ..request.clone() };
    let crossed = Crossed::new(&pair, dictionary)?;
    if crossed.shape() != (2, 2) {
        return Err(error("takes an outcome and an exposure of two levels each".to_owned()));
    }
    let strata = if strata == "centre" {
        None
    } else {
        Some(Factor::new(dictionary, strata).map_err(error)?)
    };
    Ok(Box::new(Cmh { crossed, strata }))
}

impl Analysis for Cmh {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["number of patients, 7 sums over all strata".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.crossed.understood();
        let strata = self.strata.as_ref().map_or("the centres".to_owned(), Factor::understood);
        lines.push(format!("strata {strata}"));
        lines
    }

    fn statistics(&self) -> usize {
        3
    }

    fn sets(&self) -> usize {
        self.crossed.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.crossed.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let tables = self.tables(patients)?;
        let whole: Vec<u64> = (0..4).map(|at| tables.iter().map(|table| table[at]).sum()).collect();
        let known = whole.iter().sum::<u64>();
        let applicants = Applicants {
            patients: usize::try_from(known).unwrap_or(usize::MAX),
            parameters: 0,
            statistics: self.statistics(),
            also: &self.crossed.margins(&whole),
        };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let n = session.input(&[encode_count(known)])?;
        session.release(COUNTS, &n)?;
        let sums = if self.strata.is_none() {
            let mut mine = vec![0; TERMS];
            for table in &tables {
                add_rounded(&mut mine, &terms(table.map(|count| count as f64)))?;
            }
            session.input(&mine)?
        } else {
            let cell = |at: usize| tables.iter().map(move |table| encode_count(table[at]));
            let mine: Vec<Word> = (0..4).flat_map(cell).collect();
            let cells = session.input(&mine)?;
            secret_terms(session, &cells)?
        };
        Ok(session.release(SUMS, &sums)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let n = release.counts(COUNTS)?.first().copied().unwrap_or(f64::NAN);
        let sums = release.reals(SUMS)?;
        let &[apart, variance, r, s, pr, ps_qr, qs] = &sums[..] else {
            return Err(release_is_short(SUMS));
        };
        let distance = apart.abs();
        let corrected = (distance - 0.5_f64.min(distance)).powi(2) / variance;
        let plain = distance * distance / variance;
        let ratio = r / s;
        let error = (pr / (2.0 * r * r) + ps_qr / (2.0 * r * s) + qs / (2.0 * s * s)).sqrt();
        let limit = |side: f64| (ratio.ln() + side * Z_975 * error).exp();
        let tidy = Table::of_one(
            "tidy",
            [
                ("estimate", Cell::Number(ratio)),
                ("conf.low", Cell::Number(limit(-1.0))),
                ("conf.high", Cell::Number(limit(1.0))),
                ("std.error", Cell::Number(error)),
                ("statistic", Cell::Number(corrected)),
                ("p.value", Cell::Number(p_chi_squared(corrected, 1.0))),
                ("statistic.uncorrected", Cell::Number(plain)),
                ("p.value.uncorrected", Cell::Number(p_chi_squared(plain, 1.0))),
                ("parameter", Cell::Count(1.0)),
                ("nobs", Cell::Count(n)),
                ("method", text("Mantel-Haenszel test with continuity correction")),
            ],
        );
        Ok(Findings {
            title: "Cochran-Mantel-Haenszel test".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}

impl Cmh {
    /// The four cells of each stratum at this centre.
    fn tables(&self, patients: Patients<'_>) -> Result<Vec<[u64; 4]>, AnalysisError> {
        let count = self.strata.as_ref().map_or(1, |strata| strata.levels.len());
        let mut tables = vec![[0; 4]; count];
        let Some(dataset) = patients else {
            return Ok(tables);
        };
        let strata = match &self.strata {
            Some(strata) => strata.of(dataset)?,
            None => vec![Some(0); dataset.rows()],
        };
        let (rows, columns) = (self.crossed.rows.of(dataset)?, self.crossed.columns.of(dataset)?);
        for ((row, column), stratum) in rows.into_iter().zip(columns).zip(strata) {
            if let (Some(row), Some(column), Some(stratum)) = (row, column, stratum)
                && let Some(table) = tables.get_mut(stratum)
            {
                table[2 * row + column] += 1;
            }
        }
        Ok(tables)
    }
}

/// The terms of a stratum that is in the clear: observed minus expected, variance, `R`, `S`, `P R`,
/// `P S + Q R`, `Q S`.
fn terms([a, b, c, d]: [f64; 4]) -> [f64; TERMS] {
    let n = a + b + c + d;
    if n < 2.0 {
        return [0.0; TERMS];
    }
    let (row, column) = (a + b, a + c);
    let variance = row * (n - row) * column * (n - column) / (n * n * (n - 1.0));
    let (p, q, r, s) = ((a + d) / n, (b + c) / n, a * d / n, b * c / n);
    [a - row * column / n, variance, r, s, p * r, p * s + q * r, q * s]
}

/// The sums of the terms over strata, from shares of the cells `[a, b, c, d][stratum]`. A stratum
/// with fewer than two patients adds nothing. Error a few units for each stratum times its size. 43
/// rounds.
fn secret_terms(session: &mut dyn Session, cells: &Shared) -> Result<Shared, MpcError> {
    let strata = cells.len() / 4;
    let part = |at: usize| cells.slice(at * strata, (at + 1) * strata);
    let (a, b, c, d) = (part(0), part(1), part(2), part(3));
    let n = over(&[&a, &b, &c, &d]);
    // a size of 0 becomes 1, a size of 1 less 1 becomes 1: their numerators are 0
    let none = normalise::is_zero(session, &n)?;
    let one = session.constant(&vec![1; strata]);
    let less = n.minus(&one);
    let single = normalise::is_zero(session, &less)?;
    let sizes = n.plus(&none);
    let less = less.plus(&none.times_integer(2)).plus(&single);
    let (row, column) = (a.plus(&b), a.plus(&c));
    let (rest, others) = (c.plus(&d), b.plus(&d));
    let by_size = [&a, &b, &c, &d, &row, &rest, &column];
    let by_size = Shared::concat(by_size).integer_to_fixed();
    let parts = normalise::divide_each(session, &by_size, &sizes.integer_to_fixed())?;
    let last = normalise::divide(session, &others.integer_to_fixed(), &less.integer_to_fixed())?;
    let of = |at: usize| parts.slice(at * strata, (at + 1) * strata);
    let (p, q) = (of(0).plus(&of(3)), of(1).plus(&of(2)));
    // integers times fixed point need no rounding
    let left = Shared::concat([&row, &a, &b]);
    let right = Shared::concat([&of(6), &of(3), &of(2)]);
    let products = session.multiply_raw(&left, &right)?;
    let product = |at: usize| products.slice(at * strata, (at + 1) * strata);
    let (expected, r, s) = (product(0), product(1), product(2));
    let fractions = fixed::multiply(session, &of(4), &of(5))?;
    let scaled = session.multiply_raw(&column, &last)?;
    let left = Shared::concat([&fractions, &p, &p, &q, &q]);
    let right = Shared::concat([&scaled, &r, &s, &r, &s]);
    let sums = fixed::dot(session, &left, &right, strata)?;
    let apart = a.integer_to_fixed().minus(&expected).total();
    let sum = |at: usize| sums.slice(at, at + 1);
    let crossed = sum(2).plus(&sum(3));
    Ok(Shared::concat([&apart, &sum(0), &r.total(), &s.total(), &sum(1), &crossed, &sum(4)]))
}

fn over(columns: &[&Shared; 4]) -> Shared {
    columns[0].plus(columns[1]).plus(columns[2]).plus(columns[3])
}
