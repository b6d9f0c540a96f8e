//! Secure computation among the centres: what an analysis may do with shares.
//!
//! **Invariant:** this crate knows nothing of patients, statistics, policies, sockets or clocks.

mod approximate;
mod circuits;
mod correlation;
mod dealer;
mod engine;
pub mod fixed;
mod ideal;
pub mod linear;
mod matrix;
mod monomials;
pub mod normalise;
mod party;
mod prg;
mod session;
mod shared;
mod steps;
pub mod transcendental;
mod wire;

pub use correlation::{Kind, Product};
pub use dealer::Dealer;
pub use engine::SharedSession;
pub use ideal::{IdealSession, Table};
pub use monomials::Gate;
pub use party::{BurnLedger, Links, Topology};
pub use prg::{Prg, Seed};
pub use session::{Audience, Cost, Ledger, LedgerLine, Masked, MpcError, Opening, Session};
pub use shared::{Bits, Shared};
pub use steps::matrix_raw;
pub use wire::{CorrectionSource, FRAME_OVERHEAD_BYTES, Traffic, Wire, WireError};
