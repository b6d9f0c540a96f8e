//! Exact local sums in fixed point.
