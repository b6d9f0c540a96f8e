//! Hits of an event tested once more, where the normal tail is wrong: rare variants, few cases.
//!
//! All sums are over the patients of all centres and opened to them, a step at a time. The variant
//! enters as its deviations from what the covariates say of it, the covariates as the linear predictor
//! of the model without variants.
//!
//! Saddle point: `K(t) = sum ln(1 - m + m e^(g t)) - t sum g m`, solved for `K'(t) = s` and `= -s`; the
//! tail is that of the normal distribution at `w + ln(v / w) / w`. Firth: the likelihood of the one
//! effect times the root of its information, by Newton steps; the p value is that of the ratio of
//! penalised likelihoods.
//!
//! # Sources
//! Dey, Schmidt, Abecasis and Lee (2017), Am. J. Hum. Genet. 101:37: the saddle point in genome-wide
//! scans. Barndorff-Nielsen (1990), J. R. Statist. Soc. B 52:485: the tail. Firth (1993), Biometrika
//! 80:27. With covariates as an offset: Mbatchou and others (2021), Nat. Genet. 53:1097.

use crate::analysis::AnalysisError;
use crate::gwas::{CORRECTED, CORRECTION};
use crate::gwas_local::{Chosen, Coded, Counting, Linked, Target};
use crate::gwas_null::Basis;
use crate::gwas_request::Correct;
use crate::gwas_rows::{CORRECTED_BITS, CORRECTED_EACH};
use crate::gwas_steps::word;
use crate::log_tails::{chi_squared, normal};
use konsil_mpc::{MpcError, Session};
use konsil_ring::{Word, decode_scaled};

/// Fractional bits, and bytes, of sums that are opened.
const SUM_BITS: u32 = 40;
const SUM_BYTES: usize = 10;
/// Steps to a saddle point, and to the largest penalised likelihood.
const STEPS_SADDLE: usize = 24;
const STEPS_FIRTH: usize = 16;
/// Largest step of an effect.
const STEP_MOST: f64 = 2.0;
/// Below this size the normal tail is right, and the saddle point's formula is not.
const NORMAL_BELOW: f64 = 0.1;

/// A hit: its number in the panel, and the mean of its doses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) variant: usize,
    pub(crate) mean: f64,
}

/// Hits at this centre, or nobody's while planning.
struct Local<'a> {
    basis: &'a Basis,
    /// Genotypes as the model of inheritance says.
    chosen: Chosen,
    places: Vec<Option<usize>>,
    means: Vec<f64>,
    /// What the covariates say of each hit, `[hit][covariate]`; known to all centres.
    explained: Vec<f64>,
}

/// What a patient adds: deviation of the genotype, linear predictor, 1 for a case.
type Patient = (f64, f64, f64);

/// Adds what a patient brings to the sums of one kind and hit.
type Add<'a, const N: usize> = dyn Fn(usize, usize, Patient, &mut [f64; N]) + 'a;

/// Tests the first `most` hits once more and releases what comes out.
pub(crate) fn correct(
    session: &mut dyn Session,
    (how, most): (Correct, usize),
    (found, counting): (&[Found], Counting),
    (target, local): (&Target, Option<(&Linked, &Basis)>),
) -> Result<(), AnalysisError> {
    let found: Vec<Found> = found.iter().take(most).copied().collect();
    let mut here = None;
    let mut coded = None;
    if let Some((linked, basis)) = local {
        let numbers: Vec<usize> = found.iter().map(|it| it.variant).collect();
        if !numbers.is_empty() {
            let mut chosen = linked.choose(&numbers, counting)?;
            coded = Some(target.chosen(Some(&chosen), numbers.len(), counting)?);
            chosen.packed = chosen.packed.coded(counting.coding);
            let places = linked.places(&basis.rows);
            let means = found.iter().map(|it| it.mean).collect();
            here = Some(Local { basis, chosen, places, means, explained: Vec::new() });
        }
    }
    let explained = explained(session, (&found, most), target, coded.as_ref())?;
    if let Some(here) = &mut here {
        here.explained = explained;
    }
    let rounds = Rounds { here: here.as_ref(), hits: found.len(), most };
    let corrected = match how {
        Correct::Saddle => rounds.saddle(session)?,
        Correct::Firth => rounds.firth(session)?,
    };
    let mut words = vec![0; CORRECTED_EACH * most];
    let rows = words.chunks_mut(CORRECTED_EACH).zip(found.iter().zip(&corrected));
    for (into, (hit, numbers)) in rows {
        into[0] = Word::try_from(hit.variant).unwrap_or(0) + 1;
        let numbers = numbers.iter().map(|it| word(*it, CORRECTED_BITS));
        into.iter_mut().skip(1).zip(numbers).for_each(|(into, it)| *into = it);
    }
    let words = session.constant(&words);
    Ok(session.release(CORRECTED, &words)?)
}

/// Opens what the covariates at right angles say of each hit, `[hit][covariate]`.
fn explained(
    session: &mut dyn Session,
    (found, most): (&[Found], usize),
    target: &Target,
    coded: Option<&Coded>,
) -> Result<Vec<f64>, AnalysisError> {
    let width = target.covariates;
    let mut own = vec![0.0; most * width];
    if let Some(coded) = coded {
        let mut scores = vec![0.0; target.traits];
        for (at, (hit, row)) in found.iter().zip(own.chunks_mut(width.max(1))).enumerate() {
            target.moved((&coded.sums, at), hit.mean, (&mut scores, row));
        }
    }
    Ok(open(session, &own)?)
}

/// Opens sums over the centres.
fn open(session: &mut dyn Session, own: &[f64]) -> Result<Vec<f64>, MpcError> {
    let words: Vec<Word> = own.iter().map(|it| word(*it, SUM_BITS)).collect();
    let shared = session.input(&words)?;
    session.narrow(SUM_BYTES);
    let opened = session.open(CORRECTION, &shared)?;
    session.narrow(16);
    Ok(opened.iter().map(|it| decode_scaled(*it, SUM_BITS)).collect())
}

impl Local<'_> {
    /// Goes through the patients of one hit.
    fn each(&self, hit: usize, mut visit: impl FnMut(Patient)) {
        let mean = self.means.get(hit).copied().unwrap_or(0.0);
        let order = self.basis.order;
        let explained = self.explained.get(hit * order..(hit + 1) * order).unwrap_or_default();
        for (person, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let dose = self.chosen.copies(hit, person).map_or(0.0, |copies| copies - mean);
            let row = self.basis.turned.get(place * order..(place + 1) * order);
            let said: f64 = row.unwrap_or_default().iter().zip(explained).map(|(x, z)| x * z).sum();
            let predictor = self.basis.predictors.get(*place).copied().unwrap_or(0.0);
            let case = self.basis.rows.y.get(*place).copied().unwrap_or(0.0);
            visit((dose - said, predictor, case));
        }
    }
}

fn chance(predictor: f64) -> f64 {
    1.0 / (1.0 + (-predictor).exp())
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// A search for where a rising function is 0.
#[derive(Clone, Copy)]
struct Search {
    at: f64,
    low: f64,
    high: f64,
}

impl Search {
    /// The next place, by a Newton step that stays within what is known.
    fn step(&mut self, value: f64, slope: f64) {
        if value > 0.0 {
            self.high = self.at
        } else {
            self.low = self.at
        }
        let newton = self.at - value / slope;
        let far = 4.0 * self.at.abs();
        let bound =
            if newton.is_finite() { newton.clamp(self.at - far, self.at + far) } else { self.at };
        let within = bound > self.low && bound < self.high;
        let middle = f64::midpoint(self.low, self.high);
        self.at = if within || !middle.is_finite() { bound } else { middle };
    }
}

/// Steps for all hits at once; as many sums are opened as if there were `most` of them.
struct Rounds<'a> {
    here: Option<&'a Local<'a>>,
    hits: usize,
    most: usize,
}

/// Effect, standard error, statistic, `-log10 p`.
type Numbers = [f64; CORRECTED_EACH - 1];

impl Rounds<'_> {
    /// Opens `N` sums for each of `kinds` times as many places as there are hits.
    fn sums<const N: usize>(
        &self,
        session: &mut dyn Session,
        kinds: usize,
        add: &Add<'_, N>,
    ) -> Result<Vec<[f64; N]>, MpcError> {
        let mut own = vec![0.0; kinds * self.most * N];
        if let Some(here) = self.here {
            for kind in 0..kinds {
                for hit in 0..self.hits {
                    let mut sums = [0.0; N];
                    here.each(hit, |patient| add(kind, hit, patient, &mut sums));
                    let at = (kind * self.most + hit) * N;
                    own.get_mut(at..at + N).unwrap_or_default().copy_from_slice(&sums);
                }
            }
        }
        let opened = open(session, &own)?;
        Ok(opened.chunks_exact(N).map(|it| std::array::from_fn(|at| it[at])).collect())
    }

    /// Scores and their variances.
    fn scores(&self, session: &mut dyn Session) -> Result<Vec<[f64; 2]>, MpcError> {
        self.sums(session, 1, &|_, _, (dose, predictor, case), sums: &mut [f64; 2]| {
            let mean = chance(predictor);
            sums[0] += dose * (case - mean);
            sums[1] += dose * dose * mean * (1.0 - mean);
        })
    }

    fn saddle(&self, session: &mut dyn Session) -> Result<Vec<Numbers>, MpcError> {
        let scores = self.scores(session)?;
        let (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
        let start = |side: f64| {
            scores.iter().map(move |[score, variance]| {
                let at = side * score.abs() / variance;
                Search { at: if at.is_finite() { at } else { 0.0 }, low: least, high: most }
            })
        };
        let mut searches: Vec<Search> = start(1.0).chain(start(-1.0)).collect();
        let wanted: Vec<f64> = (scores.iter().map(|it| it[0].abs()))
            .chain(scores.iter().map(|it| -it[0].abs()))
            .collect();
        for _ in 0..STEPS_SADDLE {
            let sums = self.sums(session, 2, &|kind, hit, patient, sums: &mut [f64; 2]| {
                let t = searches.get(kind * self.most + hit).map_or(0.0, |it| it.at);
                let (dose, predictor, _) = patient;
                let (tilted, mean) = (chance(predictor + dose * t), chance(predictor));
                sums[0] += dose * (tilted - mean);
                sums[1] += dose * dose * tilted * (1.0 - tilted);
            })?;
            for ((search, [first, second]), wanted) in searches.iter_mut().zip(sums).zip(&wanted) {
                search.step(first - wanted, second);
            }
        }
        let ends = self.sums(session, 2, &|kind, hit, patient, sums: &mut [f64; 3]| {
            let t = searches.get(kind * self.most + hit).map_or(0.0, |it| it.at);
            let (dose, predictor, _) = patient;
            let (tilted, mean) = (chance(predictor + dose * t), chance(predictor));
            sums[0] += softplus(predictor + dose * t) - softplus(predictor) - t * dose * mean;
            sums[1] += dose * dose * tilted * (1.0 - tilted);
            sums[2] += dose * (tilted - mean);
        })?;
        let numbers = |hit: usize| {
            let [score, variance] = scores[hit];
            let tail = |side: usize| {
                let at = side * self.most + hit;
                log_tail(searches[at].at, ends[at], wanted[at], variance)
            };
            let log10_p = -sum_of_logs(tail(0), tail(1)).min(0.0);
            let error = variance.sqrt().recip();
            [score / variance, error, score * error, log10_p]
        };
        Ok((0..self.hits).map(numbers).collect())
    }

    fn firth(&self, session: &mut dyn Session) -> Result<Vec<Numbers>, MpcError> {
        let mut effects = vec![0.0; self.most];
        let mut first = Vec::new();
        for step in 0..STEPS_FIRTH {
            let sums = self.sums(session, 1, &|_, hit, patient, sums: &mut [f64; 3]| {
                let (dose, predictor, case) = patient;
                let effect = effects.get(hit).copied().unwrap_or(0.0);
                let mean = chance(predictor + dose * effect);
                let weight = mean * (1.0 - mean);
                sums[0] += dose * (case - mean);
                sums[1] += dose * dose * weight;
                sums[2] += dose * dose * dose * weight * (1.0 - 2.0 * mean);
            })?;
            for (effect, [score, information, slope]) in effects.iter_mut().zip(&sums) {
                let change = (score + 0.5 * slope / information) / information;
                if change.is_finite() {
                    *effect += change.clamp(-STEP_MOST, STEP_MOST);
                }
            }
            if step == 0 {
                first = sums;
            }
        }
        let ends = self.sums(session, 1, &|_, hit, patient, sums: &mut [f64; 2]| {
            let (dose, predictor, case) = patient;
            let effect = effects.get(hit).copied().unwrap_or(0.0);
            let with = predictor + dose * effect;
            let mean = chance(with);
            sums[0] += case * dose * effect - softplus(with) + softplus(predictor);
            sums[1] += dose * dose * mean * (1.0 - mean);
        })?;
        let numbers = |hit: usize| {
            let ([gain, information], effect) = (ends[hit], effects[hit]);
            let ratio = 2.0 * gain + (information / first[hit][1]).ln();
            let ratio = ratio.max(0.0);
            let statistic = ratio.sqrt().copysign(effect);
            [effect, information.sqrt().recip(), statistic, chi_squared(ratio, 1.0)]
        };
        Ok((0..self.hits).map(numbers).collect())
    }
}

/// The common logarithm of one tail at a saddle point; of nothing where no sum of doses gets so far.
fn log_tail(t: f64, [value, second, reached]: [f64; 3], wanted: f64, variance: f64) -> f64 {
    let two = 2_f64.log10();
    if wanted.abs() < NORMAL_BELOW * variance.sqrt() {
        return -normal(wanted / variance.sqrt()) - two;
    }
    if (reached - wanted).abs() > 1e-4 * variance.sqrt() {
        return f64::NEG_INFINITY;
    }
    let w = (2.0 * (t * wanted - value)).max(0.0).sqrt();
    let v = t.abs() * second.sqrt();
    -normal(w + (v / w).ln() / w) - two
}

/// The common logarithm of a sum of numbers whose logarithms are given.
fn sum_of_logs(one: f64, other: f64) -> f64 {
    let (most, least) = (one.max(other), one.min(other));
    if most == f64::NEG_INFINITY {
        return most;
    }
    most + 10_f64.powf(least - most).ln_1p() / std::f64::consts::LN_10
}
