//! The polygenic background of a trait: what variants all over the genome say of it together, by ridge
//! regression. A scan tests each chromosome against what the others leave of the trait, so that
//! relatives and many small effects elsewhere do not pass for effects of a variant.
//!
//! Of variants spread evenly over the panel, standardised by their pooled frequencies, the ridge
//! regression on all at once is solved by conjugate gradients, a fixed number of steps. In each, every
//! centre multiplies its own genotypes with a public direction, and the sums over all centres, one
//! number for each variant and for each covariate, are opened to the centres. Predictions stay at home.
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
pub(crate) const STEPS: usize = 20;
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
    let effects = solve(session, here.as_ref(), (chosen.len(), order), ridge)?;
    // what each chromosome says, [row][chromosome]
    let width = ranges.len();
    let mut said = Vec::new();
    if let Some(here) = &here {
        let mut directions = vec![0.0; chosen.len() * width];
        for ((variant, effect), directions) in
            chosen.iter().zip(&effects).zip(directions.chunks_mut(width))
        {
            let own = ranges.iter().position(|(first, end)| (*first..*end).contains(variant));
            if let Some(place) = own.and_then(|own| directions.get_mut(own)) {
                *place = *effect;
            }
        }
        said = here.genome.projected(&directions, width);
    }
    let mut rests: Vec<Vec<f64>> = Vec::new();
    if let Some(here) = &here {
        for chromosome in 0..width {
            let rest = here.basis.rest.iter().zip(said.chunks(width));
            rests.push(
                rest.map(|(rest, said)| {
                    rest - said.iter().sum::<f64>() + said.get(chromosome).copied().unwrap_or(0.0)
                })
                .collect(),
            );
        }
    }
    rests.resize(width, Vec::new());
    let mut squares = Vec::new();
    let mut parts = Vec::new();
    for (range, mut rest) in ranges.into_iter().zip(rests) {
        take_out(session, here.as_ref(), order, &mut rest)?;
        let own = rest.iter().map(|it| encode(it * it));
        let own = own.collect::<Result<Vec<Word>, _>>()?;
        squares.push(own.iter().fold(0_u128, |sum, it| sum.wrapping_add(*it)));
        if let Some((linked, here)) = frame.linked.zip(here.as_ref()) {
            let (traits, covariates) = ([rest], here.basis.turned.as_slice());
            let columns = Columns { traits: &traits, weights: &[], covariates, order, lift };
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

/// Effects of the standardised variants by ridge regression, known to all centres; 0 while planning.
fn solve(
    session: &mut dyn Session,
    here: Option<&Here<'_>>,
    (variants, order): (usize, usize),
    ridge: f64,
) -> Result<Vec<f64>, AnalysisError> {
    let used = here.map_or(1.0, |it| it.genome.used());
    let back = |column: &[f64]| match here {
        Some(here) => {
            let sums = here.genome.returned(column, 1);
            sums.iter().map(|it| it / used).collect()
        }
        None => vec![0.0; variants],
    };
    let rest = here.map(|it| it.basis.rest.clone()).unwrap_or_default();
    let mut left = open(session, &back(&rest))?;
    let mut effects = vec![0.0; variants];
    let mut direction = left.clone();
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut size = product(&left, &left);
    let start = size;
    for _ in 0..STEPS {
        let mut column = match here {
            Some(here) => here.genome.projected(&direction, 1),
            None => Vec::new(),
        };
        take_out(session, here, order, &mut column)?;
        let mut image = open(session, &back(&column))?;
        image.iter_mut().zip(&direction).for_each(|(image, it)| *image += ridge * it);
        let along = product(&direction, &image);
        // what is left is rounding: the steps go on for show
        if along <= 0.0 || size <= 1e-18 * start {
            continue;
        }
        let step = size / along;
        effects.iter_mut().zip(&direction).for_each(|(it, d)| *it += step * d);
        left.iter_mut().zip(&image).for_each(|(it, image)| *it -= step * image);
        let next = product(&left, &left);
        let keep = next / size;
        direction.iter_mut().zip(&left).for_each(|(it, left)| *it = left + keep * *it);
        size = next;
    }
    Ok(effects)
}
