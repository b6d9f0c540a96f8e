//! The privacy budget: what studies have cost the patients, and the filter that stops them.
//!
//! Two currencies that are never added to each other. **Noisy releases** cost rho of zero-
//! concentrated differential privacy: a guarantee, for every patient, that composes by adding.
//! **Exact releases** cost exposure, m_eff / n: an average over patients for one known attack, no
//! guarantee. Both are counted in integers of 10^-9; floating point is for showing only.
//!
//! A reservation is spent until it is refunded, and it is refunded only with a proof that nothing
//! was opened: a crash in between stays spent.

mod account;
mod amount;
mod ledger;
mod patients;

pub use account::{epsilon, mu_of_exposure, mu_of_rho};
pub use amount::{Amount, AmountError, Currency};
pub use ledger::{
    Balance, BudgetEntry, BudgetError, BudgetRecord, Cost, Ledger, Limits, Scope, Step,
};
pub use patients::PatientCounters;
