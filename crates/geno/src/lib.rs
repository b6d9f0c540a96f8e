//! Genotypes of one centre: the network's list of variants, files of several kinds, sealed blocks.
//!
//! **Invariant:** which variants are analysed follows from the public [`Panel`] alone, never from what
//! some centre has.

mod panel;

pub use panel::{Panel, PanelError, Variant};
