//! The analyses: one file each, and the registry from which commands, help and plans come.
//!
//! **Invariant:** an analysis sees its own centre's patients and a session, nothing else. What it
//! reveals stands in its `OPENINGS`; the session refuses everything else.

pub mod adjust;
mod analysis;
pub mod anova;
pub mod chisq;
pub mod cmh;
mod compared;
pub mod cor;
mod correlated;
pub mod cox;
mod cox_concordance;
mod cox_extras;
mod cox_local;
mod cox_scores;
mod cox_steps;
mod cox_tables;
mod cox_ties;
mod crossed;
pub mod cuminc;
mod cuminc_steps;
mod curves;
mod describe;
mod design;
mod exact;
mod families;
pub mod firth;
pub mod fisher;
mod fit;
pub mod glm;
mod glm_release;
mod grid;
pub mod km;
mod km_steps;
mod km_tables;
pub mod kruskal;
pub mod ks;
pub mod levene;
pub mod lm;
pub mod mcnemar;
mod moments;
pub mod oneway;
mod options;
pub mod pca;
mod quantiles;
mod registry;
pub mod roc;
mod sandwich;
mod sealed;
pub mod signed_rank;
pub mod spearman;
mod statistics;
pub mod summary;
pub mod survreg;
pub mod t_test;
mod table;
pub mod table1;
pub mod validate;
mod variants;
pub mod wilcox;

pub use analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
pub use options::{Choice, OPTIONS, Takes, option};
pub use registry::{Entry, REGISTRY, entry, prepare};
pub use table::{Cell, Table};
pub use variants::{VARIANTS, Variant};
