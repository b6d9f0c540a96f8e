//! The secure steps of Cox regression: sums over the patients at risk stay shared at every time.
//!
//! Efron's method for ties takes, of `d` events at a time, the l-th away from a risk set that has
//! lost `f = l / d` of the events' risk, l from 0 to d - 1. With `delta` the events' part of the risk
//! set and `q = 1 / (1 - f delta)`, everything needs five sums over l at each time only: of `q`,
//! `f q`, `q^2`, `f q^2`, `f^2 q^2`. Breslow's method is `f = 0`: `d, 0, d, 0, 0`. With case weights
//! each sum is times `m`, the mean weight of the events at the time.

use crate::cox_ties::Ties;
use konsil_mpc::linear::{product, reaches};
use konsil_mpc::normalise::{divide_each, is_zero};
use konsil_mpc::{MpcError, Session, Shared, fixed, transcendental};
use konsil_ring::ONE;

/// What is divided by the risk: the quotient keeps 60 fractional bits, so that a million patients
/// leave it 12 digits.
pub(crate) const STRETCH: i128 = 1 << 20;

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
    /// With case weights: the sum of the weights of the events at each point, and their mean.
    weighted: Option<(Shared, Shared)>,
}

impl Course {
    /// From shares of the events, the patients at risk, and the events' columns. `layers` is the
    /// largest number of events at a time for Efron's method, 0 for Breslow's; `weights` the sums of the
    /// events' case weights, fixed point. 6 rounds; 14 with ties; 31 more
    /// with weights.
    pub(crate) fn new(
        session: &mut dyn Session,
        (events, at_risk): (Shared, &Shared),
        event_x: Shared,
        layers: usize,
        weights: Option<Shared>,
    ) -> Result<Self, MpcError> {
        let nobody = is_zero(session, at_risk)?;
        let ties = if layers == 0 { None } else { Some(Ties::new(session, &events, layers)?) };
        let weighted = match weights {
            Some(sums) => {
                let means = divide_each(session, &sums, &events.integer_to_fixed())?;
                Some((sums, means))
            }
            None => None,
        };
        Ok(Self { events, nobody, event_x, ties, weighted })
    }

    /// The sums of the events' case weights at each point, fixed point.
    pub(crate) fn event_weights(&self) -> Shared {
        match &self.weighted {
            Some((sums, _)) => sums.clone(),
            None => self.events.integer_to_fixed(),
        }
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
    /// with ties and a polynomial; about 50 rounds, 110 with ties. Errors: each
    /// mean over a risk set has 2^-37 of its size plus three units.
    pub(crate) fn newton(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<(Shared, Shared), MpcError> {
        let parts = self.means(session, sums)?;
        let expected = parts.expected(session)?;
        let information = parts.information(session)?;
        Ok((self.event_x.minus(&expected), information))
    }

    /// Means over the risk sets and weights at every point, from the pooled sums `[column][point]`.
    pub(crate) fn means(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<Parts, MpcError> {
        let (points, p) = (self.events.len(), self.event_x.len());
        let of_events = self.columns() * points;
        let weights = match &self.ties {
            Some(ties) => {
                let parts = self.parts(session, sums)?;
                let weights = ties.weights(session, &parts)?;
                self.times_mean_weight(session, weights)?
            }
            None => {
                let events = self.event_weights();
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
        let seconds =
            |first: usize| sums.slice(first + (1 + p) * points, first + self.columns() * points);
        let seconds_of_events =
            if self.ties.is_some() { seconds(of_events) } else { Shared::default() };
        Ok(Parts {
            weights,
            means: divided.slice(0, p * points),
            hazard: divided.slice(p * points, (p + 1) * points),
            of_events: divided.slice((p + 1) * points, divided.len()),
            seconds: seconds(0),
            seconds_of_events,
            points,
            p,
        })
    }

    /// Sums over ties, times the mean weight of the events.
    fn times_mean_weight(
        &self,
        session: &mut dyn Session,
        weights: [Shared; 5],
    ) -> Result<[Shared; 5], MpcError> {
        let Some((_, mean)) = &self.weighted else {
            return Ok(weights);
        };
        let all = fixed::multiply(session, &Shared::concat(&weights), &mean.repeat(5))?;
        let points = mean.len();
        Ok([0, 1, 2, 3, 4].map(|at| all.slice(at * points, (at + 1) * points)))
    }

    /// The sum over the events of the logarithm of their risk set's sum. 26 rounds, 80 with ties.
    pub(crate) fn log_risks(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<Shared, MpcError> {
        let logarithms = transcendental::ln(session, &self.risks(sums))?;
        let events = self.event_weights();
        let all = product(session, &logarithms, &events, (1, self.events.len(), 1))?;
        let Some(ties) = &self.ties else {
            return Ok(all);
        };
        let parts = self.parts(session, sums)?;
        // of a risk set that loses nothing the logarithm is 0
        let logarithms = ties.logarithms(session, &parts)?;
        let Some((_, mean)) = &self.weighted else {
            return Ok(all.plus(&logarithms.total()));
        };
        Ok(all.plus(&product(session, &logarithms, mean, (1, self.events.len(), 1))?))
    }
}

/// What gradients, informations, hazards and scores at one set of coefficients are made of.
pub(crate) struct Parts {
    /// Sums over ties of `q`, `f q`, `q^2`, `f q^2`, `f^2 q^2`, `[point]`.
    pub(crate) weights: [Shared; 5],
    /// Means of the columns over the risk sets, `E`, `[p][point]`.
    pub(crate) means: Shared,
    /// Sums of the columns over the events, divided by the risk sets', `F`; empty without ties.
    pub(crate) of_events: Shared,
    /// One over the risk, times [`STRETCH`].
    pub(crate) hazard: Shared,
    seconds: Shared,
    seconds_of_events: Shared,
    pub(crate) points: usize,
    pub(crate) p: usize,
}

impl Parts {
    /// The same with every point counted so often: public numbers.
    pub(crate) fn counted(
        &self,
        session: &mut dyn Session,
        times: &[f64],
    ) -> Result<Self, MpcError> {
        let all = Shared::concat(&self.weights);
        let scaled = fixed::scale_each(session, &all, &times.repeat(5))?;
        let weights =
            [0, 1, 2, 3, 4].map(|at| scaled.slice(at * self.points, (at + 1) * self.points));
        Ok(Self {
            weights,
            means: self.means.clone(),
            of_events: self.of_events.clone(),
            hazard: self.hazard.clone(),
            seconds: self.seconds.clone(),
            seconds_of_events: self.seconds_of_events.clone(),
            ..*self
        })
    }

    /// Whether events at the same time are treated by Efron's method.
    pub(crate) fn ties(&self) -> bool {
        !self.of_events.is_empty()
    }

    /// `sum q E - f q F`, `[p]`, of the means over risk sets and over events.
    pub(crate) fn expected(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let shape = (self.p, self.points, 1);
        let all = product(session, &self.means, &self.weights[0], shape)?;
        if !self.ties() {
            return Ok(all);
        }
        Ok(all.minus(&product(session, &self.of_events, &self.weights[1], shape)?))
    }

    /// The information, a triangle.
    pub(crate) fn information(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let outer = self.outer(session)?;
        let mut squares = self.squares(session, &self.seconds, 0)?;
        if self.ties() {
            squares = squares.minus(&self.squares(session, &self.seconds_of_events, 1)?);
        }
        let squares = session.truncate(squares, STRETCH.trailing_zeros())?;
        Ok(squares.minus(&outer))
    }

    /// `sum q^2 E E' - f q^2 (E F' + F E') + f^2 q^2 F F'`, a triangle.
    fn outer(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let p = self.p;
        let (means, of_events) = (&self.means, &self.of_events);
        let mut sum = self.weighted(session, (means, means), 2)?;
        if self.ties() {
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
        seconds: &Shared,
        weight: usize,
    ) -> Result<Shared, MpcError> {
        let hazard = fixed::multiply(session, &self.hazard, &self.weights[weight])?;
        product(session, seconds, &hazard, (self.p * (self.p + 1) / 2, self.points, 1))
    }
}
