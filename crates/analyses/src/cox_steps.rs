//! The secure steps of Cox regression: sums over the patients at risk stay shared at every time.
//!
//! Efron's method for ties takes, of `d` events at a time, the l-th away from a risk set that has
//! lost `f = l / d` of the events' risk, l from 0 to d - 1. With `delta` the events' part of the risk
//! set and `q = 1 / (1 - f delta)`, everything needs five sums over l at each time only: of `q`,
//! `f q`, `q^2`, `f q^2`, `f^2 q^2`. Breslow's method is `f = 0`: `d, 0, d, 0, 0`.

use konsil_mpc::linear::{complement, product, reaches};
use konsil_mpc::normalise::{divide_each, is_zero, reciprocal};
use konsil_mpc::{MpcError, Session, Shared, fixed, transcendental};
use konsil_ring::{ONE, Word};

/// What is divided by the risk: the quotient keeps 60 fractional bits, so that a million patients
/// leave it 12 digits.
const STRETCH: i128 = 1 << 20;

/// What does not change from step to step, over all points of all strata.
pub(crate) struct Course {
    /// Events at each point, integers.
    events: Shared,
    /// 1 at each point where nobody is at risk.
    nobody: Shared,
    /// Sums of the columns over the patients with an event, `[p]`.
    event_x: Shared,
    /// For Efron's ties.
    ties: Option<Ties>,
}

/// Ties at each point, `[l][point]`, up to a public number of them.
struct Ties {
    layers: usize,
    /// 1 where there are more than l events.
    alive: Shared,
    /// `l / d`, 0 where there are not.
    fractions: Shared,
}

impl Course {
    /// From shares of the events, the patients at risk, and the events' columns. `layers` is the
    /// largest number of events at a time for Efron's method, 0 for Breslow's. 6 rounds; 37 with ties.
    pub(crate) fn new(
        session: &mut dyn Session,
        (events, at_risk): (Shared, &Shared),
        event_x: Shared,
        layers: usize,
    ) -> Result<Self, MpcError> {
        let nobody = is_zero(session, at_risk)?;
        let ties = if layers == 0 { None } else { Some(Ties::new(session, &events, layers)?) };
        Ok(Self { events, nobody, event_x, ties })
    }

    /// 1 when some time has more events than Efron's method is prepared for. 10 rounds.
    pub(crate) fn too_many_ties(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let layers = self.ties.as_ref().map_or(u64::from(u32::MAX), |ties| {
            u64::try_from(ties.layers).unwrap_or(u64::MAX).saturating_add(1)
        });
        let more = reaches(session, &self.events, layers)?;
        reaches(session, &more.total(), 1)
    }

    /// Columns of sums over the risk sets, then, with ties, over the events.
    fn columns(&self) -> usize {
        let p = self.event_x.len();
        1 + p + p * (p + 1) / 2
    }

    /// The sums of risks, 1 where nobody is left.
    fn risks(&self, sums: &Shared) -> Shared {
        let points = self.events.len();
        sums.slice(0, points).plus(&self.nobody.times_integer(ONE.cast_signed()))
    }

    /// The part of the risk set that has the event.
    fn parts(&self, session: &mut dyn Session, sums: &Shared) -> Result<Shared, MpcError> {
        let (points, first) = (self.events.len(), self.columns() * self.events.len());
        divide_each(session, &sums.slice(first, first + points), &self.risks(sums))
    }

    /// Gradient `[p]` and information, a triangle, from the pooled sums `[column][point]`.
    ///
    /// For each point one reciprocal, `4 p` products and `p (p + 3) / 2` masked numbers, twice as many
    /// with ties and a reciprocal for each possible tie; about 50 rounds, 90 with ties. Errors: each
    /// mean over a risk set has 2^-37 of its size plus three units.
    pub(crate) fn newton(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<(Shared, Shared), MpcError> {
        let (points, p) = (self.events.len(), self.event_x.len());
        let of_events = self.columns() * points;
        let weights = match &self.ties {
            Some(ties) => {
                let parts = self.parts(session, sums)?;
                ties.weights(session, &parts)?
            }
            None => {
                let events = self.events.integer_to_fixed();
                let none = Shared::zeros(points);
                [events.clone(), none.clone(), events, none.clone(), none]
            }
        };
        let stretch = session.constant(&vec![ONE * STRETCH.cast_unsigned(); points]);
        let mut columns = vec![sums.slice(points, (1 + p) * points), stretch];
        if self.ties.is_some() {
            columns.push(sums.slice(of_events + points, of_events + (1 + p) * points));
        }
        let divided = divide_each(session, &Shared::concat(&columns), &self.risks(sums))?;
        let means = divided.slice(0, p * points);
        let hazard = divided.slice(p * points, (p + 1) * points);
        let of_means = divided.slice((p + 1) * points, divided.len());
        let parts = Parts { weights, points, p };
        let expected = parts.expected(session, (&means, &of_means))?;
        let outer = parts.outer(session, (&means, &of_means))?;
        let seconds =
            |first: usize| sums.slice(first + (1 + p) * points, first + self.columns() * points);
        let mut squares = parts.squares(session, (&seconds(0), &hazard), 0)?;
        if self.ties.is_some() {
            let less = parts.squares(session, (&seconds(of_events), &hazard), 1)?;
            squares = squares.minus(&less);
        }
        let squares = session.truncate(squares, STRETCH.trailing_zeros())?;
        Ok((self.event_x.minus(&expected), squares.minus(&outer)))
    }

    /// The sum over the events of the logarithm of their risk set's sum. 26 rounds, 90 with ties.
    pub(crate) fn log_risks(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<Shared, MpcError> {
        let logarithms = transcendental::ln(session, &self.risks(sums))?;
        let events = self.events.integer_to_fixed();
        let all = product(session, &logarithms, &events, (1, self.events.len(), 1))?;
        let Some(ties) = &self.ties else {
            return Ok(all);
        };
        let parts = self.parts(session, sums)?;
        let left = ties.left(session, &parts)?;
        // of a risk set that loses nothing the logarithm is 0
        Ok(all.plus(&transcendental::ln(session, &left)?.total()))
    }
}

impl Ties {
    fn new(session: &mut dyn Session, events: &Shared, layers: usize) -> Result<Self, MpcError> {
        let points = events.len();
        let shifts: Vec<Word> = (1..=layers)
            .flat_map(|it| vec![u128::try_from(it).unwrap_or(0).wrapping_neg(); points])
            .collect();
        // d - l - 1 < 0: no l-th event
        let shifted = events.repeat(layers).plus(&session.constant(&shifts));
        let over = session.negative(&shifted)?;
        let over = session.to_integers(&over)?;
        let alive = complement(session, &over);
        let one = session.constant(&vec![ONE; points]);
        let some = fixed::maximum(session, &events.integer_to_fixed(), &one)?;
        let each = reciprocal(session, &some)?;
        let multiples: Vec<i128> =
            (0..layers).flat_map(|it| vec![i128::try_from(it).unwrap_or(0); points]).collect();
        let fractions = each.repeat(layers).times_integers(&multiples);
        let fractions = session.multiply_raw(&alive, &fractions)?;
        Ok(Self { layers, alive, fractions })
    }

    /// What is left of each risk set, `1 - f delta`, from the events' part of it.
    fn left(&self, session: &mut dyn Session, parts: &Shared) -> Result<Shared, MpcError> {
        let lost = fixed::multiply(session, &self.fractions, &parts.repeat(self.layers))?;
        Ok(fixed::subtract_from(session, ONE, &lost))
    }

    /// Sums of `q`, `f q`, `q^2`, `f q^2`, `f^2 q^2` at each point.
    fn weights(&self, session: &mut dyn Session, parts: &Shared) -> Result<[Shared; 5], MpcError> {
        let points = parts.len();
        let left = self.left(session, parts)?;
        let q = reciprocal(session, &left)?;
        let q = session.multiply_raw(&self.alive, &q)?;
        let both = Shared::concat([&q, &self.fractions]);
        let first = fixed::multiply(session, &both, &Shared::concat([&q, &q]))?;
        let len = q.len();
        let (squares, fq) = (first.slice(0, len), first.slice(len, 2 * len));
        let again = Shared::concat([&self.fractions, &fq]);
        let second = fixed::multiply(session, &again, &Shared::concat([&squares, &fq]))?;
        let over_layers = |column: &Shared| {
            (0..self.layers).fold(Shared::zeros(points), |sum, at| {
                sum.plus(&column.slice(at * points, (at + 1) * points))
            })
        };
        let sums = [&q, &fq, &squares, &second.slice(0, len), &second.slice(len, 2 * len)];
        Ok(sums.map(over_layers))
    }
}

/// Sums over the points with their weights.
struct Parts {
    weights: [Shared; 5],
    points: usize,
    p: usize,
}

impl Parts {
    fn ties(&self, of_events: &Shared) -> bool {
        !of_events.is_empty()
    }

    /// `sum q E - f q F`, `[p]`, of the means over risk sets and over events.
    fn expected(
        &self,
        session: &mut dyn Session,
        (means, of_events): (&Shared, &Shared),
    ) -> Result<Shared, MpcError> {
        let shape = (self.p, self.points, 1);
        let all = product(session, means, &self.weights[0], shape)?;
        if !self.ties(of_events) {
            return Ok(all);
        }
        Ok(all.minus(&product(session, of_events, &self.weights[1], shape)?))
    }

    /// `sum q^2 E E' - f q^2 (E F' + F E') + f^2 q^2 F F'`, a triangle.
    fn outer(
        &self,
        session: &mut dyn Session,
        (means, of_events): (&Shared, &Shared),
    ) -> Result<Shared, MpcError> {
        let p = self.p;
        let mut sum = self.weighted(session, (means, means), 2)?;
        if self.ties(of_events) {
            let mixed = self.weighted(session, (means, of_events), 3)?;
            let own = self.weighted(session, (of_events, of_events), 4)?;
            sum = sum.minus(&mixed).minus(&mixed.transposed(p, p)).plus(&own);
        }
        let triangle = (0..p).flat_map(|i| (0..=i).map(move |j| i * p + j));
        Ok(sum.pick(triangle))
    }

    fn weighted(
        &self,
        session: &mut dyn Session,
        (left, right): (&Shared, &Shared),
        weight: usize,
    ) -> Result<Shared, MpcError> {
        let (p, points) = (self.p, self.points);
        let weighted = fixed::multiply(session, &self.weights[weight].repeat(p), right)?;
        product(session, left, &weighted.transposed(p, points), (p, points, p))
    }

    /// Sums of the columns' products over the risk, times a weight and [`STRETCH`].
    fn squares(
        &self,
        session: &mut dyn Session,
        (seconds, hazard): (&Shared, &Shared),
        weight: usize,
    ) -> Result<Shared, MpcError> {
        let hazard = fixed::multiply(session, hazard, &self.weights[weight])?;
        product(session, seconds, &hazard, (self.p * (self.p + 1) / 2, self.points, 1))
    }
}
