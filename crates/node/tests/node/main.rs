//! Nodes and dealer, spoken to by friend and foe, in one process.

mod dealer;
mod network;
mod requests;
mod traffic;
