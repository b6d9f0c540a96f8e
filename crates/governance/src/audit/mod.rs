//! The audit log: what happened at a node, in an order that cannot be changed afterwards.

mod event;

pub use event::Event;
