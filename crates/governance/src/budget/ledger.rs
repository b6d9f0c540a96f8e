//! The ledger of one centre: entries that are only added, and the filter in front of them.

use super::amount::{Amount, Currency};
use crate::audit::Hash;
use crate::hex::to_hex;
use crate::signing::canonical;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// What happens to an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is set aside before anything is computed, and counts as spent from here on.
    Reserve,
    /// The release was opened.
    Commit,
    /// Nothing was opened, and that is proven: it counts as spent no more.
    Refund,
}

/// What a release costs, and whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// The study's id.
    pub study: String,
    /// The release: unique for ever; a run's session.
    pub release: String,
    /// Noisy or exact.
    pub currency: Currency,
    /// How much.
    pub amount: Amount,
    /// The cohort lineage: which patients, over all versions of their data.
    pub lineage: String,
    /// The year it counts for.
    pub year: i16,
    /// Digest of the data set's version.
    pub snapshot: String,
}

/// An entry of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetEntry {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// SHA-256 of the entry before, in hexadecimal; zeros before the first.
    pub prev_hash: String,
    /// What happens.
    pub step: Step,
    /// What it is about.
    pub cost: Cost,
    /// Why, for a refund.
    pub reason: String,
}

/// An entry as it is stored: its canonical text and the text's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRecord {
    /// Number of the entry.
    pub seq: u64,
    /// The entry in canonical JSON.
    pub text: String,
    /// SHA-256 of the text.
    pub hash: Hash,
}

/// The most that may be spent; nothing given means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// rho of one study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_rho: Option<Amount>,
    /// rho of a cohort lineage in a year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage_year_rho: Option<Amount>,
    /// rho of one patient, kept by the patient's centre.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_rho: Option<Amount>,
    /// Exposure of one study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub study_exposure: Option<Amount>,
    /// Exposure of a cohort lineage in a year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lineage_year_exposure: Option<Amount>,
}

/// Whose budget.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// A study's.
    Study(String),
    /// A cohort lineage's in a year.
    LineageYear(String, i16),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Study(id) => write!(f, "study `{id}`"),
            Self::LineageYear(lineage, year) => write!(f, "cohort `{lineage}` in {year}"),
        }
    }
}

/// What one budget has spent, open reservations included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Whose.
    pub scope: Scope,
    /// In which currency.
    pub currency: Currency,
    /// Spent, reservations included.
    pub spent: Amount,
    /// The limit, if there is one.
    pub limit: Option<Amount>,
}

/// Why the ledger says no.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BudgetError {
    /// The filter.
    #[error("budget-exhausted: {scope} would spend {asked} {currency}, {left} of {limit} left")]
    Exhausted {
        /// Whose budget.
        scope: Scope,
        /// Its currency.
        currency: Currency,
        /// What was asked for.
        asked: Amount,
        /// What is left.
        left: Amount,
        /// The limit.
        limit: Amount,
    },
    /// A release has a reservation already.
    #[error("the release has a reservation already; a release is made once")]
    Repeated,
    /// A release has no open reservation.
    #[error("the release has no open reservation")]
    NotReserved,
    /// A refund without proof or reason.
    #[error("a refund needs a reason and the proof that nothing was opened")]
    Unproven,
    /// An entry was changed or does not follow the one before.
    #[error("entry {0} of the budget ledger was changed, or entries are missing before it")]
    Broken(u64),
}

/// The ledger: its end and what follows from its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    size: u64,
    hash: Hash,
    spent: BTreeMap<(Scope, Currency), Amount>,
    open: BTreeMap<String, Cost>,
    closed: BTreeMap<String, Step>,
}

impl Ledger {
    /// How many entries there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Hash of the last entry; zeros before the first.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// What a budget has spent, open reservations included.
    #[must_use]
    pub fn spent(&self, scope: &Scope, currency: Currency) -> Amount {
        self.spent.get(&(scope.clone(), currency)).copied().unwrap_or_default()
    }

    /// Releases that are reserved and neither committed nor refunded, in order of their names.
    pub fn open(&self) -> impl Iterator<Item = &Cost> {
        self.open.values()
    }

    /// Every budget that something was spent of.
    #[must_use]
    pub fn balances(&self, limits: &Limits) -> Vec<Balance> {
        let balance = |((scope, currency), spent): (&(Scope, Currency), &Amount)| {
            let limit = limit_of(scope, *currency, limits);
            Balance { scope: scope.clone(), currency: *currency, spent: *spent, limit }
        };
        self.spent.iter().map(balance).collect()
    }

    /// The entry that reserves a cost, if no budget is exceeded. It is spent once it is accepted.
    ///
    /// # Errors
    /// [`BudgetError::Exhausted`], [`BudgetError::Repeated`].
    pub fn reserve(&self, cost: &Cost, limits: &Limits) -> Result<BudgetRecord, BudgetError> {
        if self.open.contains_key(&cost.release) || self.closed.contains_key(&cost.release) {
            return Err(BudgetError::Repeated);
        }
        for scope in scopes(cost) {
            let spent = self.spent(&scope, cost.currency);
            // no budget at all holds more than can be counted
            let limit = limit_of(&scope, cost.currency, limits).unwrap_or(Amount(u64::MAX));
            if spent.plus(cost.amount).is_none_or(|total| total > limit) {
                let (currency, asked, left) = (cost.currency, cost.amount, limit.minus(spent));
                return Err(BudgetError::Exhausted { scope, currency, asked, left, limit });
            }
        }
        self.record(Step::Reserve, cost, "")
    }

    /// The entry that says that a release was opened.
    ///
    /// # Errors
    /// [`BudgetError::NotReserved`].
    pub fn commit(&self, release: &str) -> Result<BudgetRecord, BudgetError> {
        let cost = self.open.get(release).ok_or(BudgetError::NotReserved)?;
        self.record(Step::Commit, cost, "")
    }

    /// The entry that gives a reservation back.
    ///
    /// # Errors
    /// [`BudgetError::Unproven`] unless `nothing_opened` is proven and there is a reason,
    /// [`BudgetError::NotReserved`].
    pub fn refund(
        &self,
        release: &str,
        reason: &str,
        nothing_opened: bool,
    ) -> Result<BudgetRecord, BudgetError> {
        if reason.trim().is_empty() || !nothing_opened {
            return Err(BudgetError::Unproven);
        }
        let cost = self.open.get(release).ok_or(BudgetError::NotReserved)?;
        self.record(Step::Refund, cost, reason)
    }

    fn record(&self, step: Step, cost: &Cost, reason: &str) -> Result<BudgetRecord, BudgetError> {
        let entry = BudgetEntry {
            seq: self.size + 1,
            prev_hash: to_hex(&self.hash),
            step,
            cost: cost.clone(),
            reason: reason.to_owned(),
        };
        let text = canonical(&entry).map_err(|_| BudgetError::Broken(entry.seq))?;
        let hash = Sha256::digest(&text).into();
        Ok(BudgetRecord { seq: entry.seq, text, hash })
    }

    /// Takes a stored entry into the ledger. Balances follow from entries alone.
    ///
    /// # Errors
    /// [`BudgetError::Broken`] when it is not the one that comes next, was changed, or says what
    /// cannot be.
    pub fn accept(&mut self, record: &BudgetRecord) -> Result<BudgetEntry, BudgetError> {
        let broken = BudgetError::Broken(self.size + 1);
        let own: Hash = Sha256::digest(&record.text).into();
        let entry: Option<BudgetEntry> = serde_json::from_str(&record.text).ok();
        let follows = |it: &BudgetEntry| {
            it.seq == self.size + 1 && it.seq == record.seq && it.prev_hash == to_hex(&self.hash)
        };
        let entry = entry.filter(|it| own == record.hash && follows(it)).ok_or(broken.clone())?;
        let release = &entry.cost.release;
        match entry.step {
            Step::Reserve => {
                if self.open.contains_key(release) || self.closed.contains_key(release) {
                    return Err(broken);
                }
                for scope in scopes(&entry.cost) {
                    let spent = self.spent.entry((scope, entry.cost.currency)).or_default();
                    *spent = spent.plus(entry.cost.amount).ok_or(broken.clone())?;
                }
                self.open.insert(release.clone(), entry.cost.clone());
            }
            Step::Commit | Step::Refund => {
                self.open.remove(release).filter(|it| *it == entry.cost).ok_or(broken)?;
                self.closed.insert(release.clone(), entry.step);
            }
        }
        if entry.step == Step::Refund {
            for scope in scopes(&entry.cost) {
                let spent = self.spent.entry((scope, entry.cost.currency)).or_default();
                *spent = spent.minus(entry.cost.amount);
            }
        }
        (self.size, self.hash) = (entry.seq, own);
        Ok(entry)
    }
}

fn scopes(cost: &Cost) -> [Scope; 2] {
    [Scope::Study(cost.study.clone()), Scope::LineageYear(cost.lineage.clone(), cost.year)]
}

fn limit_of(scope: &Scope, currency: Currency, limits: &Limits) -> Option<Amount> {
    match (scope, currency) {
        (Scope::Study(_), Currency::Dp) => limits.study_rho,
        (Scope::LineageYear(..), Currency::Dp) => limits.lineage_year_rho,
        (Scope::Study(_), Currency::Exact) => limits.study_exposure,
        (Scope::LineageYear(..), Currency::Exact) => limits.lineage_year_exposure,
    }
}
