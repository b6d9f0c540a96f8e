//! A scan by meta-analysis: each centre fits its own patients alone, and the effects are combined by
//! their inverse variances. Less powerful than pooling, and here to compare with.
//!
//! For each variant a centre adds `w`, `w beta` and `w beta^2`, where `w` is one over the variance of its
//! own effect; the sums over the centres give the combined effect, its standard error, and Cochran's Q.
//! A centre whose patients are too few or too alike for its own model adds nothing.
//!
//! # Sources
//! Fixed effects and Q: Cochran (1954), Biometrics 10:101. In genome-wide scans: Willer, Li and Abecasis
//! (2010), Bioinformatics 26:2190.

use crate::analysis::AnalysisError;
use crate::design::Rows;
use crate::gwas::STATISTICS;
use crate::gwas_block::{Block, Layout};
use crate::gwas_local::{Coded, Columns, Linked, Target, turned};
use crate::gwas_rows::EXPLAINED;
use crate::gwas_steps::word;
use crate::local_fit::{at_maximum, cholesky, solve_with};
use crate::log_tails::{chi_squared, normal};
use konsil_kernels::{Family, predictor, scores};
use konsil_mpc::{Session, Shared};
use konsil_ring::{Word, decode_scaled};

/// Fractional bits of what centres add.
const BITS: u32 = 60;
/// Words of each trait and variant.
pub(crate) const EACH: usize = 3;
/// Where the number of centres that add anything stands in the last of them.
const CENTRES_AT: u32 = 112;
/// Patients that a centre has beyond its parameters to count.
const FREEDOM_MIN: usize = 5;

/// What one centre's model needs besides its target.
#[derive(Clone, Default)]
pub(crate) struct Alone {
    /// Residual sums of squares of measured traits; nothing for an event.
    squares: Vec<f64>,
    /// Residual degrees of freedom, less one for the variant; 0 where the centre adds nothing.
    freedom: f64,
}

/// A combined effect: estimate, standard error, and how the centres' differ.
pub(crate) struct Combined {
    pub(crate) beta: f64,
    pub(crate) error: f64,
    pub(crate) log10_p: f64,
    /// `-log10 p` of Cochran's Q; NaN where one centre adds to it.
    pub(crate) heterogeneity: f64,
}

/// Fits this centre's patients alone. `ys` are measured traits; none for an event, which the rows have.
pub(crate) fn fit_alone(
    linked: &Linked,
    (rows, order): (&Rows, usize),
    (ys, event): (&[Vec<f64>], bool),
    lift: u32,
) -> (Target, Alone) {
    let patients = rows.y.len();
    let fitted = if patients < order + FREEDOM_MIN {
        None
    } else if event {
        fit_event(linked, (rows, order), lift)
    } else {
        fit_traits(linked, (rows, order), ys, lift)
    };
    let freedom = patients.saturating_sub(order + 1) as f64;
    match fitted {
        Some((target, squares)) => (target, Alone { squares, freedom }),
        None => {
            // its people are counted, and nothing else
            let places = linked.places(rows);
            (Target::counting(Some(&places), patients), Alone::default())
        }
    }
}

fn fit_traits(
    linked: &Linked,
    (rows, order): (&Rows, usize),
    ys: &[Vec<f64>],
    lift: u32,
) -> Option<(Target, Vec<f64>)> {
    let mut gram = vec![0.0; order * order];
    for row in rows.x.chunks(order) {
        for (left, sums) in row.iter().zip(gram.chunks_mut(order)) {
            sums.iter_mut().zip(row).for_each(|(sum, right)| *sum += left * right);
        }
    }
    let lower = cholesky(&gram, order)?;
    let rest = |y: &Vec<f64>| -> Vec<f64> {
        let mut with = vec![0.0; order];
        for (row, y) in rows.x.chunks(order).zip(y) {
            with.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * y);
        }
        let beta = solve_with(&lower, &with);
        let each = rows.x.chunks(order).zip(y);
        each.map(|(row, y)| y - predictor(row, &beta, 0.0)).collect()
    };
    let rests: Vec<Vec<f64>> = ys.iter().map(rest).collect();
    let squares = rests.iter().map(|rest| rest.iter().map(|it| it * it).sum()).collect();
    let covariates = turned(&rows.x, &lower, order);
    let (traits, covariates) = (rests.as_slice(), covariates.as_slice());
    let columns = Columns { traits, weights: None, covariates, order, lift };
    Some((Target::new(linked, rows, columns), squares))
}

fn fit_event(
    linked: &Linked,
    (rows, order): (&Rows, usize),
    lift: u32,
) -> Option<(Target, Vec<f64>)> {
    let (beta, information) = at_maximum(Family::Binomial, rows, order)?;
    let lower = cholesky(&information, order)?;
    let (rest, weights) = scores(Family::Binomial, rows.observed(), &beta);
    let covariates = turned(&rows.x, &lower, order);
    let (traits, covariates) = ([rest], covariates.as_slice());
    let columns = Columns { traits: &traits, weights: Some(&weights), covariates, order, lift };
    Some((Target::new(linked, rows, columns), Vec::new()))
}

impl Block<'_> {
    /// Judges a block, opens verdicts and allele counts, releases sums over the centres' own results.
    pub(crate) fn run_alone(
        &self,
        session: &mut dyn Session,
        coded: &Coded,
        alone: &Alone,
    ) -> Result<(), AnalysisError> {
        let (groups, counted) = (self.groups(coded), self.counted(coded));
        let verdicts = self.step.judge_groups(session, &counted, &groups)?;
        let alleles = self.step.alleles_of(session, &counted, &verdicts)?;
        session.narrow(16);
        let (variants, target) = (verdicts.len(), self.step.target);
        let mut words = vec![0; EACH * self.layout.traits * variants];
        let mut counts = vec![vec![0; variants]; self.layout.counts];
        let mut scores = vec![0.0; target.traits];
        let mut row = vec![0.0; target.covariates];
        for (at, verdict) in verdicts.iter().enumerate() {
            if !verdict.passes() {
                counts[1][at] = verdict.code();
                continue;
            }
            let (known, copies) = alleles.get(at).copied().unwrap_or_default();
            (counts[0][at], counts[1][at]) = (known, copies);
            let own = counted.known.get(at).zip(counted.copies.get(at));
            let Some((here, copies)) = own.filter(|_| alone.freedom > 0.0) else { continue };
            let here = f64::from(*here);
            let mean = *copies as f64 * (-f64::from(counted.bits)).exp2() / here.max(1.0);
            let all = target.moved((&coded.sums, at), mean, (&mut scores, &mut row));
            let square = all - row.iter().map(|it| it * it).sum::<f64>();
            if here < 1.0 || square.is_nan() || square <= EXPLAINED * all || all <= 0.0 {
                continue;
            }
            for (number, score) in scores.iter().enumerate() {
                let beta = score / square;
                let rest = match alone.squares.get(number) {
                    Some(squares) => (squares - score * beta) / alone.freedom,
                    None => 1.0,
                };
                let weight = square / rest;
                if !(rest > 0.0 && weight.is_finite()) {
                    continue;
                }
                let sums = [weight, weight * beta, weight * beta * beta];
                for (kind, sum) in sums.into_iter().enumerate() {
                    let mark = if kind + 1 == EACH { 1 << CENTRES_AT } else { 0 };
                    let place = (number * EACH + kind) * variants + at;
                    words[place] = word(sum, BITS).wrapping_add(mark);
                }
            }
        }
        let mut shared = vec![session.input(&words)?];
        shared.push(session.constant(&self.layout.packed_counts(&counts)));
        Ok(session.release(STATISTICS, &Shared::concat(&shared))?)
    }
}

/// Reads the sums of one trait and variant.
pub(crate) fn combined(sums: [Word; EACH]) -> Combined {
    let [weight, with, squares] = sums;
    // rounded sums of numbers that are not negative: what stands below the mark is one too
    let centres = u32::try_from(squares >> CENTRES_AT).unwrap_or(0);
    let squares = squares & ((1 << CENTRES_AT) - 1);
    let [weight, with, squares] = [weight, with, squares].map(|it| decode_scaled(it, BITS));
    let beta = with / weight;
    let error = weight.sqrt().recip();
    let apart = (squares - with * beta).max(0.0);
    let heterogeneity =
        if centres > 1 { chi_squared(apart, f64::from(centres - 1)) } else { f64::NAN };
    Combined { beta, error, log10_p: normal(beta / error), heterogeneity }
}

/// Words of a block of so many variants.
pub(crate) fn words_of(
    variants: usize,
    traits: usize,
    (count_bits, counts): (u32, usize),
) -> usize {
    let each = Layout::in_word(count_bits, counts).max(1);
    EACH * traits * variants + variants.div_ceil(each)
}
