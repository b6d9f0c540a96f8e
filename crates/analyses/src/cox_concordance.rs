//! Harrell's concordance: of the pairs of patients of whom it is known who has the event first, the
//! part in which that one has the larger risk; equal risks count half (Harrell et al. 1982, J. Am. Med.
//! Assoc. 247:2543).
//!
//! A centre counts the pairs among its own patients at home. Pairs of patients of two centres are
//! compared on shares, in batches: 4 signs and 6 products each. Nothing about any pair is opened.

use crate::analysis::AnalysisError;
use crate::cox_local::Local;
use konsil_mpc::normalise::divide;
use konsil_mpc::{MpcError, Session, Shared};
use konsil_ring::{Word, encode, encode_count};

/// Most pairs of patients of different centres, as public numbers of rows have it.
pub(crate) const PAIRS_MAX: usize = 2_000_000;

/// Pairs that are compared at once.
const BATCH: usize = 1 << 17;

/// One centre's patients.
struct Own {
    /// Scaled predictors, fixed point.
    risk: Vec<Word>,
    /// Twice the point where follow-up ends, one more without an event: whoever has a larger number is
    /// known to be without the event when another one has it.
    end: Vec<Word>,
    event: Vec<Word>,
}

impl Own {
    fn new(own: &Local, beta: &[f64]) -> Result<Self, AnalysisError> {
        let (mut risk, mut end, mut event) = (Vec::new(), Vec::new(), Vec::new());
        for (predictor, to, happened) in own.predicted(beta) {
            risk.push(encode(predictor)?);
            let place = u64::try_from(2 * to + 1 + usize::from(!happened)).unwrap_or(u64::MAX);
            end.push(encode_count(place));
            event.push(encode_count(u64::from(happened)));
        }
        Ok(Self { risk, end, event })
    }

    /// Pairs among these patients: concordant ones twice and tied ones, then all that can be compared.
    fn pairs(&self) -> [Word; 2] {
        let all: Vec<(i128, Word, Word)> = (self.risk.iter().zip(&self.end).zip(&self.event))
            .map(|((risk, end), event)| (risk.cast_signed(), *end, *event))
            .collect();
        let (mut score, mut known): (Word, Word) = (0, 0);
        for (risk, end, _) in all.iter().filter(|(_, _, event)| *event == 1) {
            for (other, ..) in all.iter().filter(|(_, later, _)| later > end) {
                known += 1;
                score += match risk.cmp(other) {
                    std::cmp::Ordering::Greater => 2,
                    std::cmp::Ordering::Equal => 1,
                    std::cmp::Ordering::Less => 0,
                };
            }
        }
        [score, known]
    }
}

/// Pairs of patients of different centres, as far as public numbers of rows tell.
pub(crate) fn pairs(rows_at_most: &[usize]) -> usize {
    let all = rows_at_most.iter().fold(0_usize, |sum, it| sum.saturating_add(*it));
    let own = rows_at_most.iter().map(|it| it.saturating_mul(*it));
    all.saturating_mul(all).saturating_sub(own.sum::<usize>()) / 2
}

/// The concordance, a column of one, fixed point. About 12 rounds for each batch of pairs.
pub(crate) fn concordance(
    session: &mut dyn Session,
    (own, beta): (&Local, &[f64]),
    rows_at_most: &[usize],
) -> Result<Shared, AnalysisError> {
    let mine = Own::new(own, beta)?;
    let starts: Vec<usize> =
        (0..=rows_at_most.len()).map(|centre| rows_at_most.iter().take(centre).sum()).collect();
    let all = starts.last().copied().unwrap_or(0);
    let first = starts.get(session.party()).copied().unwrap_or(0);
    let mut column = |values: &[Word]| -> Result<Shared, MpcError> {
        let mut placed = vec![0; all];
        placed.iter_mut().skip(first).zip(values).for_each(|(place, value)| *place = *value);
        session.input(&placed)
    };
    // where there is no patient the end is 0, before all others, and there is no event
    let (risk, end, event) = (column(&mine.risk)?, column(&mine.end)?, column(&mine.event)?);
    let mut sums = session.input(&mine.pairs())?;
    let centre_of = |row: usize| starts.iter().rposition(|start| *start <= row).unwrap_or(0);
    let next = |row: usize| starts.get(centre_of(row) + 1).copied().unwrap_or(all);
    let (mut left, mut right) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    for row in 0..all {
        for other in next(row)..all {
            left.push(row);
            right.push(other);
            if left.len() == BATCH {
                let columns = [&risk, &end, &event];
                sums = sums.plus(&compared(session, columns, (&left, &right))?);
                left.clear();
                right.clear();
            }
        }
    }
    if !left.is_empty() {
        sums = sums.plus(&compared(session, [&risk, &end, &event], (&left, &right))?);
    }
    let score = sums.slice(0, 1).integer_to_fixed();
    let known = sums.slice(1, 2).times_integer(2).integer_to_fixed();
    Ok(divide(session, &score, &known)?)
}

/// Sums over pairs as [`Own::pairs`] has them.
fn compared(
    session: &mut dyn Session,
    [risk, end, event]: [&Shared; 3],
    (left, right): (&[usize], &[usize]),
) -> Result<Shared, MpcError> {
    let count = left.len();
    let picked = |column: &Shared, places: &[usize]| column.pick(places.iter().copied());
    let apart = |column: &Shared| picked(column, left).minus(&picked(column, right));
    let (end, risk) = (apart(end), apart(risk));
    let signs = Shared::concat([&end, &end.negated(), &risk, &risk.negated()]);
    let signs = session.negative(&signs)?;
    let signs = session.to_integers(&signs)?;
    let sign = |at: usize| signs.slice(at * count, (at + 1) * count);
    // who has the event while the other one is known to be without
    let events = Shared::concat([&picked(event, left), &picked(event, right)]);
    let first = session.multiply_raw(&events, &signs.slice(0, 2 * count))?;
    // larger and smaller risks of those; what is neither counts once
    let signed = [sign(3).minus(&sign(2)), sign(2).minus(&sign(3))];
    let score = session.dot_raw(&first, &Shared::concat(&signed), 2 * count)?;
    let known = first.total();
    Ok(Shared::concat([&score.plus(&known), &known]))
}
