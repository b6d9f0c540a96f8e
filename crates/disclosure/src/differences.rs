//! Differencing between cohorts, groups and columns (R6, R13): two results about nearly the same
//! patients are a result about the few in whom they differ.

use crate::policy::{Policy, Refusal};
use crate::verdicts::{Counts, decide, less_than, over_rows};
use konsil_mpc::linear::complement;
use konsil_mpc::{Audience, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Opens whether cohorts, groups or columns of the study differ from each other, or from those of
/// earlier releases, by a few patients or by those of one centre.
pub const DIFFERENCES: Opening = Opening {
    name: "study.differences",
    says: "Whether cohorts, groups or columns of this study and of earlier releases differ by too few patients or centres.",
    to: Audience::Centres,
};

/// Most pairs of sets that a study may make comparable.
pub const PAIRS_MAX: usize = 200_000;

/// Sets of patients whose results may be subtracted from each other, as one centre counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlaps {
    /// This centre's patients in each set.
    pub sizes: Vec<u64>,
    /// Pairs of sets, by number. Public.
    pub pairs: Vec<(usize, usize)>,
    /// The first pairs are of whole cohorts. For each, where the question chose the patients in whom
    /// they differ, by another condition or other centres: how many centres of the earlier cohort
    /// take no part now. Public.
    pub chosen: Vec<Option<u64>>,
    /// For each pair, this centre's patients in one of both only.
    pub differ: Vec<u64>,
}

impl Overlaps {
    /// Sets of nobody, for plans.
    #[must_use]
    pub fn none(sets: usize, pairs: Vec<(usize, usize)>, chosen: Vec<Option<u64>>) -> Self {
        let differ = vec![0; pairs.len()];
        Self { sizes: vec![0; sets], pairs, chosen, differ }
    }
}

/// Opens one number, 0 when no pair of sets gives a few patients away.
///
/// The patients in whom two sets differ are none; or they reach the threshold over all centres, also
/// without those who subtract their own (R2). Where a question chose them, they are patients of as
/// many centres as a cohort must have: else one centre's sums would follow (R3). Pairs of sets of
/// which one is too small to be shown don't matter, unless they are cohorts. 13 rounds; none for a
/// study without pairs.
///
/// # Errors
/// [`Refusal::Differencing`], [`Refusal::Mpc`].
pub fn compare_cohorts(
    session: &mut dyn Session,
    policy: &Policy,
    own: &Overlaps,
) -> Result<(), Refusal> {
    let len = own.pairs.len();
    if len == 0 {
        return Ok(());
    }
    let encoded = |counts: &[u64]| counts.iter().map(|it| encode_count(*it)).collect::<Vec<Word>>();
    let counts = Counts::input(session, policy, &encoded(&own.differ))?;
    let some = own.differ.iter().zip(&own.chosen);
    let some = some.map(|(it, chosen)| u64::from(chosen.is_some() && *it > 0));
    let mine: Vec<u64> = some.chain(own.sizes.iter().copied()).collect();
    let mine = session.input(&encoded(&mine))?;
    let always = own.chosen.len().min(len);
    let (present, sizes) = (mine.slice(0, always), mine.slice(always, mine.len()));
    let absent = own.chosen.iter().map(|it| it.unwrap_or(0)).collect::<Vec<_>>();
    let centres = present.plus(&session.constant(&encoded(&absent)));
    let counts = Shared::concat([&counts.total, &counts.residuals(policy)]);
    let tests = [
        less_than(session, &counts, policy.threshold),
        less_than(session, &centres, policy.centres_min),
        less_than(session, &counts, 1),
        less_than(session, &centres, 1),
        less_than(session, &sizes, policy.threshold),
    ];
    let below = session.negative(&Shared::concat(&tests))?;
    let below = session.to_integers(&below)?;
    let half = counts.len() + always;
    // what is none is not too small
    let few = below.slice(0, half).minus(&below.slice(half, 2 * half));
    let (few, centres) =
        (over_rows(&few.slice(0, counts.len()), len), few.slice(counts.len(), half));
    let shown = complement(session, &below.slice(2 * half, below.len()));
    let [one, other] = [0, 1].map(|side| {
        let of = |pair: &(usize, usize)| if side == 0 { pair.0 } else { pair.1 };
        shown.pick(own.pairs.iter().skip(always).map(of))
    });
    let both = session.multiply_raw(&one, &other)?;
    let sets = session.multiply_raw(&few.slice(always, len), &both)?;
    decide(
        session,
        DIFFERENCES,
        &Shared::concat([&few.slice(0, always), &centres, &sets]),
        Refusal::Differencing,
    )
}
