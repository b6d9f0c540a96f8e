//! The secure steps of Cox regression: sums over the patients at risk stay shared at every time.

use konsil_mpc::normalise::{divide_each, is_zero};
use konsil_mpc::{MpcError, Session, Shared, linear, transcendental};
use konsil_ring::ONE;

/// What does not change from step to step, over all points of all strata.
pub(crate) struct Course {
    /// Events at each point, integers.
    pub(crate) events: Shared,
    /// 1 at each point where nobody is at risk.
    pub(crate) nobody: Shared,
    /// Sums of the columns over the patients with an event, `[p]`.
    pub(crate) event_x: Shared,
}

impl Course {
    /// From shares of the events, the patients at risk, and the events' columns. 6 rounds.
    pub(crate) fn new(
        session: &mut dyn Session,
        (events, at_risk): (Shared, &Shared),
        event_x: Shared,
    ) -> Result<Self, MpcError> {
        Ok(Self { events, nobody: is_zero(session, at_risk)?, event_x })
    }

    /// The sums of risks, 1 where nobody is left.
    fn risks(&self, sums: &Shared) -> Shared {
        let points = self.events.len();
        sums.slice(0, points).plus(&self.nobody.times_integer(ONE.cast_signed()))
    }

    /// Gradient `[p]` and information, a triangle, from the pooled sums `[column][point]` (Breslow).
    ///
    /// For each point one division and `p (p + 3) / 2` products; about 45 rounds. Errors: each mean
    /// over a risk set has 2^-37 of its size plus three units.
    pub(crate) fn newton(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<(Shared, Shared), MpcError> {
        let (points, p) = (self.events.len(), self.event_x.len());
        let risks = self.risks(sums);
        let means = divide_each(session, &sums.slice(points, sums.len()), &risks)?;
        let (first, second) = (means.slice(0, p * points), means.slice(p * points, means.len()));
        let weighted = session.multiply_raw(&self.events.repeat(p), &first)?;
        let column = |at: usize| weighted.slice(at * points, (at + 1) * points).total();
        let expected = Shared::concat(&(0..p).map(column).collect::<Vec<_>>());
        let gradient = self.event_x.minus(&expected);
        let rows = p * (p + 1) / 2;
        let events = self.events.integer_to_fixed();
        let squares = linear::product(session, &second, &events, (rows, points, 1))?;
        let turned = weighted.transposed(p, points);
        let outer = linear::product(session, &first, &turned, (p, points, p))?;
        let triangle = (0..p).flat_map(|i| (0..=i).map(move |j| i * p + j));
        Ok((gradient, squares.minus(&outer.pick(triangle))))
    }

    /// The sum over the events of the logarithm of their risk set's sum. 26 rounds.
    pub(crate) fn log_risks(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<Shared, MpcError> {
        let logarithms = transcendental::ln(session, &self.risks(sums))?;
        let events = self.events.integer_to_fixed();
        linear::product(session, &logarithms, &events, (1, self.events.len(), 1))
    }
}
