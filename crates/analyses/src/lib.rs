//! The analyses: one file each, and the registry from which commands, help and plans come.
//!
//! **Invariant:** an analysis sees its own centre's patients and a session, nothing else. What it
//! reveals stands in its `OPENINGS`; the session refuses everything else.

mod analysis;
pub mod cox;
mod cox_steps;
mod describe;
mod design;
mod fit;
pub mod glm;
mod grid;
pub mod km;
mod km_steps;
pub mod lm;
mod options;
mod quantiles;
mod registry;
mod sealed;
mod statistics;
pub mod summary;
mod table;
pub mod table1;

pub use analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
pub use options::{Choice, OPTIONS, Takes, option};
pub use registry::{Entry, REGISTRY, entry, prepare};
pub use table::{Cell, Table};
