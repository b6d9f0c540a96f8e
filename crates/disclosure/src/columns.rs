//! Columns and patients of a regression that would let single patients be read (R5, R6, R7).

use crate::policy::{Policy, Refusal};
use crate::verdicts::{by_centre, decide, none_or_enough};
use konsil_mpc::{MpcError, Opening, Session, Shared, fixed, linear::Inverse};
use konsil_ring::{ONE, Word, encode, encode_count};

/// Sets of one centre's patients that columns pick out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supports {
    /// How many sets there are. Public.
    pub sets: usize,
    /// How many patients are in two of them, lower triangle row by row, the diagonal the sets
    /// themselves.
    pub common: Vec<u64>,
    /// This centre's patients.
    pub patients: u64,
}

impl Supports {
    /// Sets of no patients, for plans.
    #[must_use]
    pub fn none(sets: usize) -> Self {
        Self { sets, common: vec![0; sets * (sets + 1) / 2], patients: 0 }
    }

    /// Counts from each patient's memberships, a bit for each set, 64 to a word.
    #[must_use]
    pub fn count<'a>(sets: usize, patients: impl IntoIterator<Item = &'a [u64]>) -> Self {
        let mut counted = Self::none(sets);
        let mut places = Vec::with_capacity(sets);
        for words in patients {
            counted.patients += 1;
            places.clear();
            let member =
                |set: &usize| words.get(set / 64).is_some_and(|it| it >> (set % 64) & 1 == 1);
            places.extend((0..sets).filter(member));
            for (at, set) in places.iter().enumerate() {
                for other in &places[..=at] {
                    counted.common[set * (set + 1) / 2 + other] += 1;
                }
            }
        }
        counted
    }
}

/// What the rules about columns and leverage need of one centre.
#[derive(Debug)]
pub struct Candidates<'a> {
    /// Sets that columns pick out.
    pub supports: &'a Supports,
    /// Rows that may have a large leverage, `[row][order]`, weighted and scaled as the inverted
    /// matrix was; filled up with zeros to a public number of rows.
    pub rows: &'a [f64],
}

/// Opens whether columns or patients of a model stand apart: one number, 0 when not.
///
/// R5: each set of patients that a column picks out, and the patients that it does not, are none or
/// reach the threshold. R6: so do the patients in whom two such columns differ, and in whom they
/// agree. R7: no patient's leverage `x' (X'X)^-1 x` exceeds the policy's.
///
/// A patient's leverage among all is at most that among its centre's own patients, because
/// `X'X` grows with every centre; and those sum up to the number of columns at most, so that only
/// few rows of each centre can be above any limit, and only these are looked at.
///
/// Rounds: 5 + 5 + 4 + 6.
///
/// # Errors
/// [`Refusal::Revealing`], [`Refusal::Mpc`].
pub fn stand_apart(
    session: &mut dyn Session,
    opening: Opening,
    policy: &Policy,
    candidates: &Candidates<'_>,
    inverse: &Inverse,
) -> Result<(), Refusal> {
    let counts = differences(session, candidates.supports)?;
    let few = none_or_enough(session, policy, &counts)?;
    let leverage = leverages(session, candidates.rows, inverse)?;
    let bound = policy.leverage_percent_max * u64::try_from(ONE / 100).unwrap_or(u64::MAX);
    // a hundredth of a percent more, for the rounding of rows that fit exactly
    let bound = Word::from(bound) + ONE / 10_000;
    let above = fixed::subtract_from(session, bound, &leverage);
    let above = session.negative(&above)?;
    let above = session.to_integers(&above)?;
    decide(session, opening, &Shared::concat([&few, &above]), Refusal::Revealing)
}

/// Patients in each set, not in it, and of each pair of sets in one only, and in both or neither.
fn differences(session: &mut dyn Session, own: &Supports) -> Result<Shared, MpcError> {
    let mut mine: Vec<Word> = own.common.iter().map(|count| encode_count(*count)).collect();
    mine.push(encode_count(own.patients));
    let pooled = session.input(&mine)?;
    let pairs = own.common.len();
    let all = pooled.slice(pairs, pairs + 1);
    let (mut left, mut right, mut both) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..own.sets {
        for column in 0..row {
            left.push(row * (row + 3) / 2);
            right.push(column * (column + 3) / 2);
            both.push(row * (row + 1) / 2 + column);
        }
    }
    let alone = pooled.pick((0..own.sets).map(|set| set * (set + 3) / 2));
    let [left, right, both] = [left, right, both].map(|places| pooled.pick(places));
    let one_only = left.plus(&right).minus(&both.times_integer(2));
    let counts = Shared::concat([&alone, &one_only]);
    let rest = all.repeat(counts.len()).minus(&counts);
    Ok(Shared::concat([&counts, &rest]))
}

/// `x' D X D x` of every centre's candidate rows, fixed point. 8 rounds.
fn leverages(
    session: &mut dyn Session,
    rows: &[f64],
    inverse: &Inverse,
) -> Result<Shared, MpcError> {
    let order = inverse.scales.len();
    let own: Vec<Word> = rows.iter().map(|x| encode(*x)).collect::<Result<_, _>>()?;
    let rows = by_centre(session, &own)?;
    let count = rows.len() / order.max(1);
    let scaled = fixed::multiply(session, &rows, &inverse.scales.repeat(count))?;
    let image =
        konsil_mpc::linear::product(session, &scaled, &inverse.scaled, (count, order, order))?;
    fixed::dot(session, &image, &scaled, order)
}
