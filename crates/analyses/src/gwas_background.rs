//! The polygenic background of a trait: what variants all over the genome say of it together, by ridge
//! regression. A scan tests each chromosome against what the others leave of the trait, so that
//! relatives and many small effects elsewhere do not pass for effects of a variant.
//!
//! Of variants spread evenly over the panel, standardised by their pooled frequencies, the ridge
//! regression on all at once is solved by conjugate gradients, a fixed number of steps. In each, every
//! centre multiplies its own genotypes with public directions, and the sums over all centres, one number
//! for each variant and fold, are opened to the centres. Predictions stay at home.
//!
//! A patient is predicted by a regression of the patients of the other folds. Predictions that had seen
//! the patient's own trait would make the tests of a chromosome too large, although the chromosome is
//! left out of them: its effects were fitted beside the others'.
//!
//! # Sources
//! Mbatchou and others (2021), Nat. Genet. 53:1097: whole-genome regression in two steps, each chromosome
//! left out of the prediction that it is tested with. Loh and others (2015), Nat. Genet. 47:284:
//! conjugate gradients. Hestenes and Stiefel (1952), J. Res. Natl. Bur. Stand. 49:409.

use crate::analysis::AnalysisError;
use crate::design::Rows;
use crate::gwas::BACKGROUND;
use crate::gwas_axes::Genome;
use crate::gwas_local::{Columns, Target};
use crate::gwas_null::{Basis, Frame};
use crate::gwas_steps::word;
use konsil_mpc::{Session, Shared};
use konsil_ring::{Word, decode_scaled, encode};

/// Steps of conjugate gradients.
const STEPS: usize = 16;
/// Parts of the patients, each predicted by the others; a centre's patients go to them by turns.
const FOLDS: usize = 4;
/// Numbers that are opened for each variant.
pub(crate) const OPENED_EACH: usize = (1 + STEPS) * FOLDS;
/// Fractional bits, and bytes, of a number that is opened.
const BITS: u32 = 40;
const BYTES: usize = 8;

/// One part of the panel: a chromosome, and what it is compared with.
pub(crate) struct Part {
    pub(crate) range: (usize, usize),
    pub(crate) target: Target,
}

/// The centre's rows where there are any.
struct Here<'a> {
    basis: &'a Basis,
    genome: &'a Genome,
}

/// Parts of the panel with their targets, and their residual sums of squares on shares.
pub(crate) fn parts(
    session: &mut dyn Session,
    frame: &Frame<'_>,
    (basis, lift): (Option<&Basis>, u32),
    order: usize,
) -> Result<(Vec<Part>, Shared), AnalysisError> {
    let ranges = frame.asked.chromosomes();
    let heritability = frame.asked.background.unwrap_or(0.5);
    let ridge = (1.0 - heritability) / heritability;
    let nobody = Rows::default();
    let rows = basis.map_or(&nobody, |it| &it.rows);
    let (chosen, genome) = frame.axes.standardised(session, (frame.setting, frame.linked), rows)?;
    let here = basis.zip(genome.as_ref()).map(|(basis, genome)| Here { basis, genome });
    let effects = solve(session, here.as_ref(), chosen.len(), ridge)?;
    let whole = frame.asked.whole_chromosomes();
    let width = whole.len();
    let mut rests: Vec<Vec<f64>> = Vec::new();
    if let Some(here) = &here {
        let said = here.predicted((&chosen, &effects), &whole);
        for (first, _) in &ranges {
            let chromosome = whole.iter().position(|(from, end)| (*from..*end).contains(first));
            let chromosome = chromosome.unwrap_or(width);
            let rest = here.basis.rest.iter().zip(said.chunks(width));
            let own = |said: &[f64]| said.get(chromosome).copied().unwrap_or(0.0);
            rests.push(
                rest.map(|(rest, said)| rest - said.iter().sum::<f64>() + own(said)).collect(),
            );
        }
    }
    rests.resize(ranges.len(), Vec::new());
    let mut squares = Vec::new();
    let mut parts = Vec::new();
    for (range, mut rest) in ranges.into_iter().zip(rests) {
        take_out(session, here.as_ref(), order, &mut rest)?;
        let own = rest.iter().map(|it| encode(it * it));
        let own = own.collect::<Result<Vec<Word>, _>>()?;
        squares.push(own.iter().fold(0_u128, |sum, it| sum.wrapping_add(*it)));
        if let Some((linked, here)) = frame.linked.zip(here.as_ref()) {
            let (traits, covariates) = ([rest], here.basis.turned.as_slice());
            let columns = Columns { traits: &traits, weights: None, covariates, order, lift };
            let target = Target::new(linked, &here.basis.rows, columns);
            parts.push(Part { range, target });
        } else {
            parts.push(Part { range, target: Target::nobody(order - 1, 1, false) });
        }
    }
    Ok((parts, session.input(&squares)?))
}

/// Takes out of a column what the covariates say of it; opens their sums.
fn take_out(
    session: &mut dyn Session,
    here: Option<&Here<'_>>,
    order: usize,
    column: &mut [f64],
) -> Result<(), AnalysisError> {
    let mut own = vec![0.0; order];
    if let Some(here) = here {
        for (row, value) in here.basis.turned.chunks(order).zip(column.iter()) {
            own.iter_mut().zip(row).for_each(|(sum, x)| *sum += x * value);
        }
    }
    let pooled = open(session, &own)?;
    if let Some(here) = here {
        for (row, value) in here.basis.turned.chunks(order).zip(column) {
            *value -= row.iter().zip(&pooled).map(|(x, it)| x * it).sum::<f64>();
        }
    }
    Ok(())
}

fn open(session: &mut dyn Session, own: &[f64]) -> Result<Vec<f64>, AnalysisError> {
    let words: Vec<Word> = own.iter().map(|it| word(*it, BITS)).collect();
    let shared = session.input(&words)?;
    session.narrow(BYTES);
    let opened = session.open(BACKGROUND, &shared)?;
    session.narrow(16);
    Ok(opened.iter().map(|it| decode_scaled(*it, BITS)).collect())
}

impl Here<'_> {
    /// What the variants of each chromosome say of each patient, by the effects of the other folds:
    /// `[row][chromosome]`.
    fn predicted(
        &self,
        (chosen, effects): (&[usize], &[f64]),
        ranges: &[(usize, usize)],
    ) -> Vec<f64> {
        let width = ranges.len();
        let mut said = vec![0.0; self.basis.rest.len() * width];
        for fold in 0..FOLDS {
            let mut directions = vec![0.0; chosen.len() * width];
            let each = chosen.iter().zip(effects.chunks(FOLDS));
            for ((variant, effects), into) in each.zip(directions.chunks_mut(width)) {
                let own = ranges.iter().position(|(first, end)| (*first..*end).contains(variant));
                if let Some(place) = own.and_then(|own| into.get_mut(own)) {
                    *place = effects[fold];
                }
            }
            let all = self.genome.projected(&directions, width);
            let rows = said.chunks_mut(width).zip(all.chunks(width)).skip(fold).step_by(FOLDS);
            rows.for_each(|(said, all)| said.copy_from_slice(all));
        }
        said
    }

    /// Sums of the standardised genotypes times columns `[row][fold]`, without each fold's own patients:
    /// `[variant][fold]`.
    fn returned(&self, mut columns: Vec<f64>) -> Vec<f64> {
        for (row, values) in columns.chunks_mut(FOLDS).enumerate() {
            values[row % FOLDS] = 0.0;
        }
        let used = self.genome.used();
        self.genome.returned(&columns, FOLDS).iter().map(|it| it / used).collect()
    }
}

/// Effects of the standardised variants by ridge regressions without each fold, `[variant][fold]`, known
/// to all centres; 0 while planning.
fn solve(
    session: &mut dyn Session,
    here: Option<&Here<'_>>,
    variants: usize,
    ridge: f64,
) -> Result<Vec<f64>, AnalysisError> {
    let nothing = || vec![0.0; variants * FOLDS];
    let rest = here.map(|it| it.basis.rest.iter().flat_map(|rest| [*rest; FOLDS]).collect());
    let own = here.zip(rest).map_or_else(nothing, |(here, rest)| here.returned(rest));
    let mut left = open(session, &own)?;
    let mut effects = nothing();
    let mut direction = left.clone();
    let product = |a: &[f64], b: &[f64]| -> [f64; FOLDS] {
        let mut sums = [0.0; FOLDS];
        for (a, b) in a.chunks(FOLDS).zip(b.chunks(FOLDS)) {
            sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
        }
        sums
    };
    let mut size = product(&left, &left);
    let start = size;
    for _ in 0..STEPS {
        let own = here
            .map_or_else(nothing, |here| here.returned(here.genome.projected(&direction, FOLDS)));
        let mut image = open(session, &own)?;
        image.iter_mut().zip(&direction).for_each(|(image, it)| *image += ridge * it);
        let along = product(&direction, &image);
        // what is left is rounding: the steps go on for show
        let step: [f64; FOLDS] = std::array::from_fn(|fold| {
            let more = along[fold] > 0.0 && size[fold] > 1e-18 * start[fold];
            if more { size[fold] / along[fold] } else { 0.0 }
        });
        let folds = || (0..FOLDS).cycle();
        let both = effects.iter_mut().zip(&direction).zip(folds());
        both.for_each(|((it, along), fold)| *it += step[fold] * along);
        let both = left.iter_mut().zip(&image).zip(folds());
        both.for_each(|((it, image), fold)| *it -= step[fold] * image);
        let next = product(&left, &left);
        let both = direction.iter_mut().zip(&left).zip(folds());
        both.for_each(|((it, left), fold)| {
            let keep = if size[fold] > 0.0 { next[fold] / size[fold] } else { 0.0 };
            *it = left + keep * *it;
        });
        size = next;
    }
    Ok(effects)
}
