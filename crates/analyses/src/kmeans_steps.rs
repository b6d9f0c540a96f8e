//! Lloyd's steps on shares: each patient's nearest cluster, the clusters' new means, their end.

use crate::analysis::{AnalysisError, Setting};
use crate::batched::smallest;
use crate::kmeans::{BEST, LEFT};
use crate::sealed::{encoded, mask_each, mask_words};
use konsil_disclosure::{Counts, Policy, Refusal, large_enough, require};
use konsil_mpc::{Bits, Gate, Masked, MpcError, Session, Shared, fixed, linear, normalise};
use konsil_ring::{ONE, Word, encode};

/// Bits to a word of a plane.
const LANES: usize = 128;
/// Most bits that are multiplied in one round.
const FACTORS_MAX: usize = 4;
/// A change of a mean, in parts of half the public range, below which it is rounding.
const STILL: f64 = 1e-8;
/// Sums of squares nearer than this are equal: ends of two starts that differ by rounding only.
const EQUAL: f64 = 1e-5;

/// How all patients are spread, on shares.
pub(crate) struct Frame {
    pub(crate) means: Shared,
    pub(crate) variances: Shared,
    /// What squared differences of each number are multiplied by.
    pub(crate) weights: Shared,
    /// The weighted sum of squares about the means.
    pub(crate) all: Shared,
}

/// All patients, masked, and where their steps are.
pub(crate) struct Lloyd {
    /// 1 and the values, `[row][1 + p]` of each centre; 0 in rows that only fill up.
    rows: Vec<Masked>,
    /// The values' squares, `[row][p]`.
    squares: Vec<Masked>,
    /// Filled-up rows of each centre.
    filled: Vec<usize>,
    starts: usize,
    clusters: usize,
    p: usize,
    /// Of each start, in how many steps a cluster was empty.
    empty: Shared,
    /// The last step: `[row][start][cluster]`, 1 where the patient is.
    members: Shared,
    before: Shared,
    /// The last step's sums, `[1 + p][start][cluster]`, and of those 1s by centre.
    sums: Shared,
    sizes_by_centre: Vec<Shared>,
}

/// What the best start ends with.
pub(crate) struct End {
    pub(crate) sizes: Shared,
    /// Sums of squares within each cluster.
    pub(crate) within: Shared,
    /// `[cluster][p]`.
    pub(crate) centers: Shared,
    /// 1 where the last step changed a mean.
    pub(crate) moving: Shared,
    /// `[row][cluster]` of all centres.
    pub(crate) members: Shared,
}

impl Lloyd {
    /// Masks every centre's patients. `2` rounds for each centre.
    pub(crate) fn new(
        session: &mut dyn Session,
        setting: &Setting,
        (values, p): (&[f64], usize),
        (starts, clusters): (usize, usize),
    ) -> Result<Self, AnalysisError> {
        let filled = setting.rows_at_most.clone();
        let mut words = Vec::with_capacity(values.len() / p * (p + 1));
        for row in values.chunks(p) {
            words.push(1);
            words.extend(encoded(row.iter().copied())?);
        }
        let rows = mask_words(session, &filled, (words, p + 1))?;
        let squares: Vec<f64> = values.iter().map(|it| it * it).collect();
        let squares = mask_each(session, &filled, (&squares, p))?;
        let none = || Shared::zeros(0);
        Ok(Self {
            rows,
            squares,
            filled,
            starts,
            clusters,
            p,
            empty: Shared::zeros(starts),
            members: none(),
            before: none(),
            sums: none(),
            sizes_by_centre: Vec::new(),
        })
    }

    fn cells(&self) -> usize {
        self.starts * self.clusters
    }

    /// The clusters' new means, `[start][cluster][p]`. About 50 rounds.
    pub(crate) fn step(
        &mut self,
        session: &mut dyn Session,
        frame: &Frame,
        centers: &Shared,
    ) -> Result<Shared, AnalysisError> {
        let (cells, p) = (self.cells(), self.p);
        self.members = self.nearest(session, frame, centers)?;
        let sums = self.summed(session, &self.rows, &self.members)?;
        self.sizes_by_centre = sums.iter().map(|it| it.slice(0, cells)).collect();
        self.sums = sums.iter().fold(Shared::zeros((p + 1) * cells), |all, it| all.plus(it));
        let sizes = self.sums.slice(0, cells);
        let some = linear::reaches(session, &sizes, 1)?;
        let none = linear::complement(session, &some);
        self.empty = self.empty.plus(&totals(&none, self.clusters));
        // an empty cluster goes to the middle of the ranges; its start is given up
        let sizes = sizes.plus(&none).integer_to_fixed();
        let columns = self.sums.slice(cells, (p + 1) * cells);
        let means = normalise::divide_each(session, &columns, &sizes)?;
        self.before = centers.clone();
        Ok(means.transposed(p, cells))
    }

    /// `[row][start][cluster]`: 1 at the nearest cluster, the first of those equally near.
    /// Distances are compared without the patient's own square: `w m^2 - 2 w m x`. 12 rounds.
    fn nearest(
        &self,
        session: &mut dyn Session,
        frame: &Frame,
        centers: &Shared,
    ) -> Result<Shared, AnalysisError> {
        let (cells, p) = (self.cells(), self.p);
        let weighted = fixed::multiply(session, centers, &frame.weights.repeat(cells))?;
        let own = session.dot_raw(&weighted, centers, p)?;
        let slopes = weighted.times_integer(-2).transposed(cells, p);
        let factors = Shared::concat([&own, &slopes]);
        let factors = session.mask(&factors, (p + 1, cells))?;
        let mut scores = Vec::with_capacity(self.rows.len());
        for rows in &self.rows {
            scores.push(session.product(rows, false, &factors)?);
        }
        let scores = Shared::concat(&scores);
        let rows: usize = self.filled.iter().sum();
        let lanes = rows * self.starts;
        let padded = lanes.div_ceil(LANES) * LANES;
        // `[start and row]` of one cluster, filled up to whole words with places beyond the end
        let (k, beyond) = (self.clusters, scores.len());
        let of = |cluster: usize| {
            scores.pick((0..padded).map(
                |lane| {
                    if lane < lanes { lane * k + cluster } else { beyond }
                },
            ))
        };
        let columns: Vec<Shared> = (0..k).map(of).collect();
        let pairs: Vec<(usize, usize)> =
            (1..k).flat_map(|later| (0..later).map(move |it| (it, later))).collect();
        let apart: Vec<Shared> =
            pairs.iter().map(|(it, later)| columns[*later].minus(&columns[*it])).collect();
        let later_wins = session.negative(&Shared::concat(&apart))?.unstack(padded);
        let mut wins: Vec<Vec<Bits>> = vec![Vec::new(); k];
        for ((earlier, later), bit) in pairs.into_iter().zip(later_wins) {
            wins[earlier].push(session.not(&bit));
            wins[later].push(bit);
        }
        let wins = all_of(session, wins)?;
        let members = session.to_integers(&Bits::stack(&wins))?;
        let places = (0..lanes * k).map(|at| at % k * padded + at / k);
        Ok(members.pick(places))
    }

    /// Each centre's columns summed over the members of each cluster, `[column][start][cluster]`.
    /// 1 round.
    fn summed(
        &self,
        session: &mut dyn Session,
        columns: &[Masked],
        members: &Shared,
    ) -> Result<Vec<Shared>, AnalysisError> {
        let cells = self.cells();
        let mut start = 0;
        let mut parts = Vec::with_capacity(self.filled.len());
        for rows in &self.filled {
            parts.push(members.slice(start * cells, (start + rows) * cells));
            start += rows;
        }
        let shapes: Vec<(&Shared, (usize, usize))> =
            parts.iter().zip(&self.filled).map(|(part, rows)| (part, (*rows, cells))).collect();
        let masked = session.masks(&shapes)?;
        let mut sums = Vec::with_capacity(masked.len());
        for (columns, members) in columns.iter().zip(&masked) {
            sums.push(session.product(columns, true, members)?);
        }
        Ok(sums)
    }

    /// The best of the starts that may be shown.
    pub(crate) fn end(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        frame: &Frame,
        centers: &Shared,
    ) -> Result<End, AnalysisError> {
        let (k, p, cells) = (self.clusters, self.p, self.cells());
        let within = self.within(session, frame, centers)?;
        let sizes = self.sums.slice(0, cells);
        let out = self.given_up(session, setting, &sizes)?;
        let left = any_left(session, &out, self.starts)?;
        require(session, LEFT, &left, Refusal::TooFew)?;
        // more than any sum of squares
        let out = out.times_integer((ONE << 45).cast_signed());
        let at = smallest(session, BEST, (&totals(&within, k).plus(&out), EQUAL))?;
        let of = |all: &Shared, each: usize| all.slice(at * k * each, (at + 1) * k * each);
        let (last, before) = (of(centers, p), of(&self.before, p));
        let change = last.minus(&before);
        let bound = session.constant(&vec![encode(STILL)?; 2 * change.len()]);
        let beyond = bound.minus(&Shared::concat([&change, &change.negated()]));
        let beyond = session.negative(&beyond)?;
        let beyond = session.to_integers(&beyond)?;
        let moving = linear::reaches(session, &beyond.total(), 1)?;
        let rows: usize = self.filled.iter().sum();
        let places = (0..rows * k).map(|place| place / k * cells + at * k + place % k);
        let members = self.members.pick(places);
        let (sizes, within) = (of(&sizes, 1), of(&within, 1));
        Ok(End { sizes, within, centers: last, moving, members })
    }

    /// Sums of squares within each cluster: `sum w (x^2 - m sum x)`. 5 rounds.
    fn within(
        &self,
        session: &mut dyn Session,
        frame: &Frame,
        centers: &Shared,
    ) -> Result<Shared, AnalysisError> {
        let (p, cells) = (self.p, self.cells());
        let squares = self.summed(session, &self.squares, &self.members)?;
        let squares = squares.iter().fold(Shared::zeros(p * cells), |all, it| all.plus(it));
        let sums = self.sums.slice(cells, (p + 1) * cells).transposed(p, cells);
        let explained = fixed::multiply(session, &sums, centers)?;
        let about = squares.transposed(p, cells).minus(&explained);
        Ok(fixed::dot(session, &about, &frame.weights.repeat(cells), p)?)
    }

    /// Of each start, whether a cluster was empty or is too small: 1 or 0. 16 rounds.
    fn given_up(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        sizes: &Shared,
    ) -> Result<Shared, MpcError> {
        // an empty cluster has no mean, whatever the policy says of counts of 0
        let policy = Policy { zero_cells: false, ..setting.policy.clone() };
        let counts = Counts::of(sizes.clone(), Shared::concat(&self.sizes_by_centre));
        let enough = large_enough(session, &policy, &counts)?;
        let small = totals(&linear::complement(session, &enough), self.clusters);
        linear::reaches(session, &small.plus(&self.empty), 1)
    }
}

/// Sums of `[row][len]` over each row's numbers.
fn totals(cells: &Shared, len: usize) -> Shared {
    let rows = cells.len().checked_div(len).unwrap_or(0);
    let sums: Vec<Shared> =
        (0..rows).map(|at| cells.slice(at * len, (at + 1) * len).total()).collect();
    Shared::concat(&sums)
}

/// The products of several columns of bits, each of equally many. 1 round for each four.
fn all_of(session: &mut dyn Session, mut factors: Vec<Vec<Bits>>) -> Result<Vec<Bits>, MpcError> {
    while factors.iter().any(|it| it.len() > 1) {
        let mut batches = Vec::new();
        for bits in factors.iter().flat_map(|it| it.chunks(FACTORS_MAX)).filter(|it| it.len() > 1) {
            let size = u8::try_from(bits.len()).unwrap_or(u8::MAX);
            batches.push((Gate::Prefix(size), bits.to_vec()));
        }
        let mut products = session.gates(&batches)?.into_iter().filter_map(|mut it| it.pop());
        for bits in &mut factors {
            let chunks = bits.chunks(FACTORS_MAX).map(|chunk| match chunk {
                [one] => Some(one.clone()),
                _ => products.next(),
            });
            *bits = chunks.flatten().collect();
        }
    }
    Ok(factors.into_iter().flatten().collect())
}

/// 1 where some start is left. 5 rounds.
fn any_left(session: &mut dyn Session, out: &Shared, starts: usize) -> Result<Shared, MpcError> {
    let most = u64::try_from(starts).unwrap_or(u64::MAX);
    let none = linear::reaches(session, &out.total(), most)?;
    Ok(linear::complement(session, &none))
}

/// For each cluster and number, 1 where no patient has too large a part of the sum (R3). `parts` are
/// this centre's values in parts of the public reach, `[row][p]`; `members` are `[row][cluster]` of
/// all centres. 6 rounds for each halving of the patients.
pub(crate) fn evenness(
    session: &mut dyn Session,
    setting: &Setting,
    (parts, p): (&[f64], usize),
    members: &Shared,
) -> Result<Shared, AnalysisError> {
    let rows: usize = setting.rows_at_most.iter().sum();
    let before: usize = setting.rows_at_most.iter().take(session.party()).sum();
    let mut mine: Vec<Word> = vec![0; rows * p];
    let places = mine.iter_mut().skip(before * p);
    places.zip(encoded(parts.iter().copied())?).for_each(|(place, part)| *place = part);
    let parts = session.input(&mine)?;
    let k = members.len().checked_div(rows).unwrap_or(0);
    let each = k * p;
    let of_cluster = members.pick((0..rows * each).map(|at| at / p));
    let of_number = parts.pick((0..rows * each).map(|at| at / each * p + at % p));
    let parts = session.multiply_raw(&of_cluster, &of_number)?;
    let row = |at: usize| parts.slice(at * each, (at + 1) * each);
    let sums = (0..rows).fold(Shared::zeros(each), |sum, at| sum.plus(&row(at)));
    let mut largest = parts;
    let mut left = rows;
    while left > 1 {
        let (half, odd) = (left / 2, left % 2);
        let end = largest.slice(2 * half * each, (2 * half + odd) * each);
        let (first, second) =
            (largest.slice(0, half * each), largest.slice(half * each, 2 * half * each));
        largest = Shared::concat([&fixed::maximum(session, &first, &second)?, &end]);
        left = half + odd;
    }
    let percent = i128::from(setting.policy.patient_percent_max);
    let room = sums.times_integer(percent).minus(&largest.times_integer(100));
    let above = session.negative(&room)?;
    let above = session.to_integers(&above)?;
    Ok(linear::complement(session, &above))
}
