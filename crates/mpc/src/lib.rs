//! Secure computation among the centres: what an analysis may do with shares.
//!
//! **Invariant:** this crate knows nothing of patients, statistics, policies, sockets or clocks.

mod wire;

pub use wire::{CorrectionSource, FRAME_OVERHEAD_BYTES, Traffic, Wire, WireError};
