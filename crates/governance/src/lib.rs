//! What is asked and allowed: studies, plans, the guarantee in words.

mod guarantee;
mod plan;
mod study;

pub use guarantee::guarantee;
pub use plan::{
    AnalysisPlan, CentrePlan, Plan, PlanError, Revealed, Stage, network_plan, seed_bytes, stages,
};
pub use study::{Centres, Cohort, ReleaseRules, Study, StudyError, StudyHead};
