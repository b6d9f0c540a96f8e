//! Membership attacks, run before a description is released, on shares.
//!
//! Whoever knows a person's values tells whether the person is among the described by the likelihood
//! ratio: the sum over the described numbers of `(x - r)(mu - r) / sigma^2`, where `mu` is what was
//! released and `r` the same number among others (Sankararaman et al. 2009; Backes et al. 2016). Here
//! the attack is run on the patients themselves. A coin puts each into one of two halves; `mu` is the
//! mean of a patient's own half and `r` that of the other. Both have the variance `2 sigma^2 / n` and
//! one's own value counts `2 / n`, so that the attack finds as many as one on all `n` patients by
//! somebody who knows `r` exactly: its signal is `sqrt(m / n)` deviations for `m` numbers either way.
//! The same score without the patient's own value is that of somebody who was not there. So each
//! patient is member and non-member at once, and nobody outside the cohort is needed.
//!
//! Means, scores and thresholds stay shared; what is opened is whether too many are found, and, to
//! the researcher, a rough rate.

use crate::policy::{Policy, Refusal};
use crate::verdicts::{by_centre, decide, less_than};
use konsil_mpc::{MpcError, Opening, Session, Shared, fixed, linear, normalise};
use konsil_ring::{ONE, Word, encode, encode_count};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Patients who are attacked, at most, over all centres.
const ATTACKED: usize = 192;

/// Ways in which the cohort is halved.
const HALVES: usize = 8;

/// Thresholds that are tried: multiples of the scores' deviation, the first and their ratio.
const THRESHOLDS: usize = 20;
const FIRST: f64 = 1.6;
const RATIO: f64 = 1.07;

/// True positive rates at 1 % false positives that are told apart, per mille.
pub const FOUND_PER_MILLE: [u64; 12] = [15, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200, 300];

/// Sums of squares below this are those of a constant: it tells nobody.
const SPREAD_MIN: f64 = 0.01;

/// One centre's patients as the described numbers see them.
pub struct Described<'a> {
    /// For each number whether it is a count: values are 0 and 1. Public.
    pub counts: &'a [bool],
    /// This centre's patients.
    pub patients: usize,
    /// Each patient's value of a number, in [-1, 1], NaN where there is none.
    pub column: &'a dyn Fn(usize) -> Vec<f64>,
}

impl std::fmt::Debug for Described<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Described({} numbers)", self.counts.len())
    }
}

/// What a centre adds up.
#[derive(Default)]
struct Sums {
    known: Vec<Word>,
    sums: Vec<Word>,
    squares: Vec<Word>,
    /// Of one half minus the other: `[halving][number]`.
    apart: Vec<Word>,
    known_apart: Vec<Word>,
    /// Of the attacked patients: values, whether known, squares, `[3][number][patient]`.
    attacked: Vec<Word>,
    valid: Word,
}

/// Opens whether the likelihood ratio finds more members than `found_percent_max` at 1 % false
/// positives, and releases the place of the rate among [`FOUND_PER_MILLE`].
///
/// About 180 rounds; words opened are `3 m` for each of 192 patients besides 32,000 comparisons.
///
/// # Errors
/// [`Refusal::Exposed`], [`Refusal::Mpc`].
pub fn attack(
    session: &mut dyn Session,
    (opening, found): (Opening, Opening),
    policy: &Policy,
    described: &Described<'_>,
) -> Result<(), Refusal> {
    let m = described.counts.len();
    if m == 0 {
        return Ok(());
    }
    let each = ATTACKED.div_ceil(session.parties().max(1));
    let own = sums(described, (each, session.party())).map_err(MpcError::from)?;
    let scores = scores(session, (policy, described.counts), &own, each)?;
    let (hits, tests) = hits(session, &scores, own.valid)?;
    let rate = |per_mille: u64| i128::from(per_mille);
    let levels = FOUND_PER_MILLE
        .iter()
        .map(|level| hits.times_integer(1000).minus(&tests.times_integer(rate(*level))));
    let allowed = tests.times_integer(rate(policy.found_percent_max));
    let room = allowed.minus(&hits.times_integer(100));
    let all = Shared::concat(&levels.chain([room]).collect::<Vec<_>>());
    let below = session.negative(&all)?;
    let below = session.to_integers(&below)?;
    let last = FOUND_PER_MILLE.len();
    decide(session, opening, &below.slice(last, last + 1), Refusal::Exposed)?;
    let reached = linear::complement(session, &below.slice(0, last)).total();
    Ok(session.release(found, &reached)?)
}

/// One coin for each patient and halving.
fn coins(seed: u64, patients: usize) -> Vec<[bool; HALVES]> {
    let mut random = ChaCha20Rng::seed_from_u64(seed);
    let toss = |_| {
        let bits = random.next_u32();
        std::array::from_fn(|half| bits >> half & 1 == 1)
    };
    (0..patients).map(toss).collect()
}

/// Seeds of the coins, which are public: nothing depends on their being unknown.
const OTHERS: u64 = 1;
const OF_ATTACKED: u64 = 2;

fn sums(
    described: &Described<'_>,
    (each, me): (usize, usize),
) -> Result<Sums, konsil_ring::EncodeError> {
    let n = described.patients;
    let chosen: Vec<usize> =
        if n <= each { (0..n).collect() } else { (0..each).map(|at| at * n / each).collect() };
    let mut coin = coins(OTHERS, n);
    let public = coins(OF_ATTACKED, each * (me + 1));
    for (at, row) in chosen.iter().enumerate() {
        coin[*row] = public[me * each + at];
    }
    let m = described.counts.len();
    let mut sums = Sums {
        valid: encode_count(u64::try_from(chosen.len()).unwrap_or(0)),
        apart: vec![0; HALVES * m],
        known_apart: vec![0; HALVES * m],
        attacked: vec![0; 3 * m * each],
        ..Sums::default()
    };
    for number in 0..m {
        let column = if n == 0 { Vec::new() } else { (described.column)(number) };
        let (mut known, mut sum, mut squares) = (0_u64, 0.0, 0.0);
        let (mut apart, mut known_apart) = ([0.0; HALVES], [0_i64; HALVES]);
        for (x, coin) in column.iter().zip(&coin).filter(|(x, _)| !x.is_nan()) {
            known += 1;
            sum += x;
            squares += x * x;
            for (half, heads) in coin.iter().enumerate() {
                apart[half] += if *heads { *x } else { -x };
                known_apart[half] += if *heads { 1 } else { -1 };
            }
        }
        sums.known.push(encode_count(known));
        sums.sums.push(encode(sum)?);
        sums.squares.push(encode(squares)?);
        for half in 0..HALVES {
            sums.apart[half * m + number] = encode(apart[half])?;
            sums.known_apart[half * m + number] = i128::from(known_apart[half]).cast_unsigned();
        }
        for (at, row) in chosen.iter().enumerate() {
            let x = column.get(*row).copied().filter(|x| !x.is_nan());
            let Some(x) = x else { continue };
            let place = |kind: usize| (kind * m + number) * each + at;
            sums.attacked[place(0)] = encode(x)?;
            sums.attacked[place(1)] = ONE;
            sums.attacked[place(2)] = encode(x * x)?;
        }
    }
    Ok(sums)
}

/// Scores of members, then of the same as non-members, `[patient][halving]` each.
fn scores(
    session: &mut dyn Session,
    (policy, counts): (&Policy, &[bool]),
    own: &Sums,
    each: usize,
) -> Result<(Shared, Shared), MpcError> {
    let m = counts.len();
    let parts = [&own.known, &own.sums, &own.squares, &own.apart, &own.known_apart];
    let mine: Vec<Word> = parts.into_iter().flatten().copied().collect();
    let pooled = session.input(&mine)?;
    let all = pooled.len();
    let (sums, squares) = (pooled.slice(m, 2 * m), pooled.slice(2 * m, 3 * m));
    let apart = pooled.slice(3 * m, (3 + HALVES) * m);
    let known_apart = pooled.slice((3 + HALVES) * m, all).integer_to_fixed();
    let one = session.constant(&vec![ONE; m]);
    let known = fixed::maximum(session, &pooled.slice(0, m).integer_to_fixed(), &one)?;
    let mean = normalise::divide(session, &sums, &known)?;
    let spread = squares.minus(&fixed::multiply(session, &sums, &mean)?);
    let least = session.constant(&vec![encode(SPREAD_MIN).unwrap_or(ONE); m]);
    let spread = fixed::maximum(session, &spread, &least)?;
    // (mu - r) / sigma^2 is 2 / spread times the difference of the halves' sums about the mean
    let two = session.constant(&vec![2 * ONE; m]);
    let unit = normalise::divide(session, &two, &spread)?;
    let shown = large(session, policy, counts, (&pooled.slice(0, m), &sums))?;
    let unit = session.multiply_raw(&unit, &shown)?;
    let means = mean.repeat(HALVES);
    let about = apart.minus(&fixed::multiply(session, &means, &known_apart)?);
    let weights = fixed::multiply(session, &unit.repeat(HALVES), &about)?;
    let left = Shared::concat([&means, &mean]);
    let moved = fixed::multiply(session, &left, &Shared::concat([&weights, &unit]))?;
    let (moved, unit_moved) = (moved.slice(0, HALVES * m), moved.slice(HALVES * m, moved.len()));
    let twice = fixed::multiply(session, &mean, &unit_moved)?;
    // columns: a halving's score, then how much of it is the patient's own
    let zeros = Shared::zeros(HALVES * m);
    let of_values = Shared::concat([&weights, &unit_moved.times_integer(-2)]);
    let of_known = Shared::concat([&moved.negated(), &twice]);
    let of_squares = Shared::concat([&zeros, &unit]);
    let columns = HALVES + 1;
    let by_number = [of_values, of_known, of_squares].map(|it| it.transposed(columns, m));
    let factors = Shared::concat(&by_number);
    let attacked = by_centre(session, &own.attacked)?;
    let rows = session.parties() * each;
    let centre = |at: usize| {
        attacked.slice(at * 3 * m * each, (at + 1) * 3 * m * each).transposed(3 * m, each)
    };
    let attacked = Shared::concat(&(0..session.parties()).map(centre).collect::<Vec<_>>());
    let raw = linear::product(session, &attacked, &factors, (rows, 3 * m, columns))?;
    let signs = coins(OF_ATTACKED, rows);
    let signs: Vec<i128> =
        signs.iter().flatten().map(|heads| if *heads { 1 } else { -1 }).collect();
    let score = |row: usize| row * columns..row * columns + HALVES;
    let member = raw.pick((0..rows).flat_map(score)).times_integers(&signs);
    let own = raw.pick((0..rows * HALVES).map(|at| at / HALVES * columns + HALVES));
    let other = member.minus(&own);
    Ok((member, other))
}

/// For each number, 1 where enough patients are behind it; what is too small will be suppressed and
/// helps no attacker. 7 rounds.
fn large(
    session: &mut dyn Session,
    policy: &Policy,
    counts: &[bool],
    (known, sums): (&Shared, &Shared),
) -> Result<Shared, MpcError> {
    let of_sums =
        fixed::add_public(session, sums, (Word::from(policy.threshold) * ONE).wrapping_neg());
    let tests = [less_than(session, known, policy.threshold), of_sums];
    let below = session.negative(&Shared::concat(&tests))?;
    let below = session.to_integers(&below)?;
    let counted: Vec<i128> = counts.iter().map(|it| i128::from(*it)).collect();
    let few = below.slice(counts.len(), below.len()).times_integers(&counted);
    let enough = linear::complement(session, &below.slice(0, counts.len()));
    session.multiply_raw(&enough, &linear::complement(session, &few))
}

/// Members found at the lowest threshold with at most 1 % false positives, and the number of tests.
fn hits(
    session: &mut dyn Session,
    (member, other): &(Shared, Shared),
    valid: Word,
) -> Result<(Shared, Shared), MpcError> {
    let len = member.len();
    let tests = session.input(&[valid])?.times_integer(HALVES as i128);
    let squares = fixed::dot(session, other, other, len)?;
    let mean = fixed::scale(session, &squares, 1.0 / len.max(1) as f64)?;
    let deviation = normalise::sqrt(session, &mean)?;
    let multiples: Vec<f64> = (0..THRESHOLDS)
        .scan(FIRST, |next, _| {
            let it = *next;
            *next *= RATIO;
            Some(it)
        })
        .collect();
    let thresholds = fixed::scale_each(session, &deviation.repeat(THRESHOLDS), &multiples)?;
    let spread = thresholds.pick((0..THRESHOLDS * len).map(|at| at / len.max(1)));
    let above = session.negative(&spread.minus(&other.repeat(THRESHOLDS)))?;
    let above = session.to_integers(&above)?;
    let count = |at: usize| above.slice(at * len, (at + 1) * len).total();
    let wrong = Shared::concat(&(0..THRESHOLDS).map(count).collect::<Vec<_>>());
    let room = tests.repeat(THRESHOLDS).minus(&wrong.times_integer(100));
    let bad = session.negative(&room)?;
    let bad = session.to_integers(&bad)?;
    // the first good one; the last where none is
    let last = THRESHOLDS - 1;
    let before = Shared::concat([&session.constant(&[1]), &bad.slice(0, last)]);
    let this = Shared::concat([&bad.slice(0, last), &Shared::zeros(1)]);
    let first = before.minus(&this);
    let threshold = session.multiply_raw(&first, &thresholds)?.total();
    let above = session.negative(&threshold.repeat(len).minus(member))?;
    let found = session.to_integers(&above)?.total();
    Ok((found, tests))
}
