//! The secure steps of Cox regression: sums over the patients at risk stay shared at every time.

use konsil_mpc::normalise::{divide_each, is_zero};
use konsil_mpc::{MpcError, Session, Shared, linear, transcendental};
use konsil_ring::ONE;

/// What events are multiplied by before they are divided by the risk.
const STRETCH: i128 = 1 << 20;

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
    /// For each point one reciprocal, `4 p` products and `p (p + 3) / 2` masked numbers; about 45
    /// rounds. Errors: each mean over a risk set has 2^-37 of its size plus three units; events for a
    /// risk are kept with 60 fractional bits, so that a million patients leave them 12 digits.
    pub(crate) fn newton(
        &self,
        session: &mut dyn Session,
        sums: &Shared,
    ) -> Result<(Shared, Shared), MpcError> {
        let (points, p) = (self.events.len(), self.event_x.len());
        let risks = self.risks(sums);
        let events = self.events.integer_to_fixed().times_integer(STRETCH);
        let divided = Shared::concat([&sums.slice(points, (1 + p) * points), &events]);
        let divided = divide_each(session, &divided, &risks)?;
        let (first, hazard) =
            (divided.slice(0, p * points), divided.slice(p * points, divided.len()));
        let weighted = session.multiply_raw(&self.events.repeat(p), &first)?;
        let column = |at: usize| weighted.slice(at * points, (at + 1) * points).total();
        let expected = Shared::concat(&(0..p).map(column).collect::<Vec<_>>());
        let gradient = self.event_x.minus(&expected);
        let rows = p * (p + 1) / 2;
        let second = sums.slice((1 + p) * points, sums.len());
        let squares = linear::product(session, &second, &hazard, (rows, points, 1))?;
        let squares = session.truncate(squares, STRETCH.trailing_zeros())?;
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
