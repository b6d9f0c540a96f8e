//! The measured operations.

use konsil_mpc::{MpcError, Session, Shared, fixed, linear, matrix_raw, normalise, transcendental};
use konsil_ring::{ONE, Word};

/// All operations, in the order in which they are measured.
pub(super) const NAMES: &[&str] = &[
    "mul",
    "fixed_mul",
    "compare",
    "divide",
    "sqrt",
    "logistic",
    "matmul",
    "matmul_double_scaled",
];

const SHAPE: (usize, usize, usize) = (1000, 10, 10_000);

/// Operands and size of one operation at one centre.
pub(super) struct Step {
    name: String,
    left: Vec<Word>,
    right: Vec<Word>,
    /// Elements, or multiply-adds.
    pub(super) count: u64,
}

impl Step {
    /// Operands of ordinary size, different in every element; only the first centre has any.
    pub(super) fn new(name: &str, me: usize) -> Self {
        let (left, right, count) = match name {
            "mul" | "fixed_mul" => (1 << 20, 1 << 20, 1 << 20),
            "compare" => (1 << 19, 0, 1 << 19),
            "divide" | "sqrt" => (1 << 16, 1 << 16, 1 << 16),
            "logistic" => (1 << 15, 0, 1 << 15),
            _ => (SHAPE.0 * SHAPE.1, SHAPE.1 * SHAPE.2, 100_000_000),
        };
        let value = |at: usize| {
            if me == 0 { ONE + (at as Word % 1000) * (ONE / 64) } else { 0 }
        };
        let column = |len: usize| (0..len).map(value).collect();
        Self { name: name.to_owned(), left: column(left), right: column(right), count }
    }

    /// Runs a comparison of `len` elements, for its correlations.
    pub(super) fn run_on(&self, session: &mut dyn Session, len: usize) -> Result<Shared, MpcError> {
        let left = session.input(self.left.get(..len).unwrap_or(&self.left))?;
        let bits = session.negative(&left)?;
        session.to_integers(&bits)
    }

    /// Runs the operation once.
    pub(super) fn run(&self, session: &mut dyn Session) -> Result<Shared, MpcError> {
        let left = session.input(&self.left)?;
        let right = session.input(&self.right)?;
        match self.name.as_str() {
            "mul" => session.multiply_raw(&left, &right),
            "fixed_mul" => fixed::multiply(session, &left, &right),
            "compare" => {
                let bits = session.negative(&left)?;
                session.to_integers(&bits)
            }
            "divide" => normalise::divide(session, &left, &right),
            "sqrt" => normalise::sqrt(session, &left),
            "logistic" => transcendental::logistic(session, &left),
            "matmul" => linear::product(session, &left, &right, SHAPE),
            _ => matrix_raw(session, &left, &right, SHAPE),
        }
    }
}
