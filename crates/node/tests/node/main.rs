//! Nodes and dealer, spoken to by friend and foe, in one process.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; what panicked in a thread is printed"
)]

mod approvals;
mod audit;
mod budget;
mod dealer;
mod network;
mod permits;
mod random;
mod requests;
mod traffic;
