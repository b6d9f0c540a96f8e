//! Sets of variants, and their secure step.

use crate::analysis::{AnalysisError, Request, Setting};
use crate::burden::{CARRIERS, FEW, SETS};
use crate::gwas_local::{Linked, Target};
use crate::gwas_null::Basis;
use crate::gwas_request::MAF;
use crate::gwas_steps::{Floors, Part, Step, word};
use konsil_kernels::{MISSING, Packed};
use konsil_mpc::{Masked, MpcError, Session, Shared};
use konsil_ring::{FRACTION_BITS, Word};

/// Numbers that are released of a set: carriers, score, squares, four traces, five sums.
pub(crate) const NUMBERS: usize = 12;
/// Most sets, most variants of one, and of all.
const SETS_MAX: usize = 5000;
const VARIANTS_MAX: usize = 100;
const ALL_MAX: usize = 100_000;
/// Sets that are worked on at a time.
const BATCH: usize = 64;

/// Variants that are tested together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Set {
    pub(crate) name: String,
    /// Numbers in the panel, rising, and weights, of which the largest is 1.
    pub(crate) variants: Vec<(usize, f64)>,
    /// What the weights were divided by.
    pub(crate) largest: f64,
}

/// All sets of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sets {
    pub(crate) all: Vec<Set>,
}

impl Sets {
    /// Reads the sets: each a name, then numbers of variants, with a weight behind `*` where it is not 1.
    ///
    /// # Errors
    /// [`AnalysisError::Request`].
    pub(crate) fn of(request: &Request, panel: usize) -> Result<Self, AnalysisError> {
        let error = |what: &str| AnalysisError::request(request, what);
        let lists = &request.set_list;
        if lists.is_empty() {
            return Err(error("needs sets of variants: --sets FILE, with --panel its file"));
        }
        if lists.len() > SETS_MAX {
            return Err(error("takes at most 5,000 sets"));
        }
        let wrong = || error("has a set that is no name with numbers of variants of the panel");
        let mut all = Vec::with_capacity(lists.len());
        for list in lists {
            let mut parts = list.split(' ').filter(|it| !it.is_empty());
            let name = parts.next().ok_or_else(wrong)?.to_owned();
            let variant = |text: &str| {
                let (number, weight) = text.split_once('*').unwrap_or((text, "1"));
                let number = number.parse::<usize>().ok().filter(|it| *it < panel)?;
                let weight = weight.parse::<f64>().ok()?;
                (weight > 0.0 && weight.is_finite()).then_some((number, weight))
            };
            let variants = parts.map(variant).collect::<Option<Vec<_>>>();
            let mut variants = variants.ok_or_else(wrong)?;
            variants.sort_by_key(|(number, _)| *number);
            variants.dedup_by_key(|(number, _)| *number);
            if !(1..=VARIANTS_MAX).contains(&variants.len()) {
                return Err(error("needs sets of 1 to 100 variants"));
            }
            let largest = variants.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
            variants.iter_mut().for_each(|(_, weight)| *weight /= largest);
            all.push(Set { name, variants, largest });
        }
        if all.iter().map(|it| it.variants.len()).sum::<usize>() > ALL_MAX {
            return Err(error("takes sets of at most 100,000 variants together"));
        }
        Ok(Self { all })
    }
}

/// One set's sums at this centre, not yet in units of carriers.
struct Own {
    carriers: u32,
    /// `[variant]`.
    scores: Vec<f64>,
    /// `[variant][variant]`.
    products: Vec<f64>,
    /// `[covariate][variant]`.
    covariates: Vec<f64>,
}

impl Own {
    fn nothing(variants: usize, order: usize) -> Self {
        Self {
            carriers: 0,
            scores: vec![0.0; variants],
            products: vec![0.0; variants * variants],
            covariates: vec![0.0; order * variants],
        }
    }

    /// Adds up the patients who carry anything; the others add nothing.
    fn of(set: &Set, packed: &Packed, places: &[Option<usize>], basis: &Basis) -> Self {
        let (count, order) = (set.variants.len(), basis.order);
        let mut own = Self::nothing(count, order);
        let mut carried: Vec<(usize, f64)> = Vec::with_capacity(count);
        for (person, place) in places.iter().enumerate() {
            let Some(place) = *place else { continue };
            carried.clear();
            for (column, (_, weight)) in set.variants.iter().enumerate() {
                let copies = packed.genotype(column, person);
                if copies > 0 && copies != MISSING {
                    carried.push((column, f64::from(copies) * weight));
                }
            }
            if carried.is_empty() {
                continue;
            }
            own.carriers += 1;
            let rest = basis.rest.get(place).copied().unwrap_or(0.0);
            let weight = basis.weights.get(place).copied().unwrap_or(1.0);
            let row = basis.turned.get(place * order..(place + 1) * order).unwrap_or_default();
            for (column, dose) in &carried {
                own.scores[*column] += dose * rest;
                for (other, also) in &carried {
                    own.products[column * count + other] += weight * dose * also;
                }
                for (covariate, x) in row.iter().enumerate() {
                    own.covariates[covariate * count + column] += weight * dose * x;
                }
            }
        }
        own
    }
}

/// Tests all sets.
pub(crate) fn run(
    session: &mut dyn Session,
    setting: &Setting,
    sets: &Sets,
    (here, order): (Option<(&Linked, &Basis)>, usize),
) -> Result<(), AnalysisError> {
    let places = here.map(|(linked, basis)| linked.places(&basis.rows)).unwrap_or_default();
    let patients = here.map_or(0, |(_, basis)| basis.rest.len());
    for batch in sets.all.chunks(BATCH) {
        let own = |set: &Set| match here {
            None => Ok(Own::nothing(set.variants.len(), order)),
            Some((linked, basis)) => {
                let numbers: Vec<usize> = set.variants.iter().map(|(number, _)| *number).collect();
                Ok::<_, AnalysisError>(Own::of(set, &linked.pick(&numbers)?, &places, basis))
            }
        };
        let own: Vec<Own> = batch.iter().map(own).collect::<Result<_, _>>()?;
        batch_step(session, setting, (&own, patients), order)?;
    }
    Ok(())
}

/// How many carry a variant of each set, where that is enough; else 0.
fn carriers(
    session: &mut dyn Session,
    setting: &Setting,
    (own, patients): (&[Own], usize),
) -> Result<Vec<u32>, MpcError> {
    let target = Target::counting(None, patients);
    let none = Shared::zeros(1);
    let part = Part::of(MAF).unwrap_or(Part { of: 1, all: 100 });
    let floors = Floors { maf: part, missing: part };
    let step = Step { floors, setting, target: &target, patients: &none };
    let all = u32::try_from(patients).unwrap_or(u32::MAX);
    let groups: [Vec<u32>; 2] = [
        own.iter().map(|it| it.carriers).collect(),
        own.iter().map(|it| all.saturating_sub(it.carriers)).collect(),
    ];
    let few = step.few_people(session, &groups)?;
    let enough = session.not(&few);
    let count = own.len();
    let both = vec![enough.slice(0, count), enough.slice(count, 2 * count)];
    let enough = crate::gwas_steps::every(session, both)?;
    let few = session.not(&enough);
    let few = session.to_integers(&few)?;
    session.narrow(1);
    let few = session.open(FEW, &few)?;
    session.narrow(16);
    let mine = own.iter().zip(&few).map(|(it, few)| if *few == 0 { it.carriers } else { 0 });
    let shared = session.input(&mine.map(Word::from).collect::<Vec<Word>>())?;
    session.narrow(8);
    let opened = session.open(CARRIERS, &shared)?;
    session.narrow(16);
    Ok(opened.iter().map(|it| u32::try_from(*it).unwrap_or(0)).collect())
}

/// A batch of sets: verdicts, covariances, powers, release.
fn batch_step(
    session: &mut dyn Session,
    setting: &Setting,
    (own, patients): (&[Own], usize),
    order: usize,
) -> Result<(), AnalysisError> {
    let carriers = carriers(session, setting, (own, patients))?;
    let fixed = |values: &[f64], unit: f64| -> Vec<Word> {
        values.iter().map(|it| word(it * unit, FRACTION_BITS)).collect()
    };
    let mut scores = Vec::new();
    let mut products = Vec::new();
    let mut covariates = Vec::new();
    for (own, carriers) in own.iter().zip(&carriers) {
        // nothing of a set that does not pass; else everything in units of the carriers
        let one = if *carriers == 0 { 0.0 } else { f64::from(*carriers).recip() };
        scores.push(session.input(&fixed(&own.scores, one.sqrt()))?);
        products.push(session.input(&fixed(&own.products, one))?);
        covariates.push(session.input(&fixed(&own.covariates, one.sqrt()))?);
    }
    let sizes: Vec<usize> = own.iter().map(|it| it.scores.len()).collect();
    let said: Vec<(&Shared, (usize, usize))> =
        covariates.iter().zip(&sizes).map(|(it, size)| (it, (order, *size))).collect();
    let masked = session.masks(&said)?;
    let each = masked.iter().map(|it| session.product(it, true, it));
    let said = truncated(&each.collect::<Result<Vec<_>, _>>()?, session)?;
    let rests: Vec<Shared> = products.iter().zip(&said).map(|(all, it)| all.minus(it)).collect();
    let first = mask_square(session, &rests, &sizes)?;
    let each = first.iter().map(|it| session.product(it, false, it));
    let squares = truncated(&each.collect::<Result<Vec<_>, _>>()?, session)?;
    let second = mask_square(session, &squares, &sizes)?;
    let thirds = first.iter().zip(&second).map(|(one, two)| session.product(one, false, two));
    let thirds = thirds.collect::<Result<Vec<_>, _>>()?;
    let fourths = second.iter().map(|it| session.product(it, false, it));
    let fourths = fourths.collect::<Result<Vec<_>, _>>()?;
    // row sums of the third power, for the fifth
    let rows = |matrix: &Shared, size: usize| {
        (0..size).map(|at| matrix.slice(at * size, (at + 1) * size).total()).collect::<Vec<_>>()
    };
    let long: Vec<Shared> =
        thirds.iter().zip(&sizes).map(|(it, size)| Shared::concat(&rows(it, *size))).collect();
    let long = truncated(&long, session)?;
    let short = squares.iter().zip(&sizes).flat_map(|(it, size)| rows(it, *size));
    let short = Shared::concat(&short.collect::<Vec<_>>());
    let fifths = session.multiply_raw(&short, &Shared::concat(&long))?;
    let squared = session.square_raw(&Shared::concat(&scores))?;
    let mut parts = Vec::new();
    let mut from = 0;
    for (at, size) in sizes.iter().enumerate() {
        let size = *size;
        let [squared, fifth] = [&squared, &fifths].map(|it| it.slice(from, from + size).total());
        from += size;
        let trace = |matrix: &Shared| matrix.pick((0..size).map(|it| it * (size + 1))).total();
        let wide = 1_i128 << FRACTION_BITS;
        parts.push(Shared::concat(&[
            session.constant(&[Word::from(carriers[at])]),
            scores[at].total(),
            squared,
            trace(&rests[at]),
            trace(&squares[at]).times_integer(wide),
            trace(&thirds[at]),
            trace(&fourths[at]),
            rests[at].total(),
            squares[at].total().times_integer(wide),
            thirds[at].total(),
            fourths[at].total(),
            fifth,
        ]));
    }
    Ok(session.release(SETS, &Shared::concat(&parts))?)
}

/// Truncates several products in one round.
fn truncated(products: &[Shared], session: &mut dyn Session) -> Result<Vec<Shared>, MpcError> {
    let all = session.truncate(Shared::concat(products), FRACTION_BITS)?;
    let mut from = 0;
    let cut = products.iter().map(|it| {
        let part = all.slice(from, from + it.len());
        from += it.len();
        part
    });
    Ok(cut.collect())
}

/// Masks square matrices in one round.
fn mask_square(
    session: &mut dyn Session,
    matrices: &[Shared],
    sizes: &[usize],
) -> Result<Vec<Masked>, MpcError> {
    let shaped: Vec<(&Shared, (usize, usize))> =
        matrices.iter().zip(sizes).map(|(it, size)| (it, (*size, *size))).collect();
    session.masks(&shaped)
}
