//! The budget ledger in the node's database.
//!
//! **Invariant:** a reservation is on the disk, and in the log, before anything is computed. A crash
//! leaves it spent.

use crate::audit::{at_one_moment, whole};
use crate::centre::CentreNode;
use crate::config::{NodeConfig, read_toml};
use crate::control::BudgetState;
use crate::error::NodeError;
use crate::state::State;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use konsil_governance::audit::{Event, Hash};
use konsil_governance::budget::{
    Amount, Balance, BudgetError, BudgetRecord, Cost, Currency, Ledger, Limits, Scope,
};
use konsil_governance::to_hex;
use rusqlite::{Connection, OptionalExtension, params};
use std::path::Path;

/// Reads entries that are not in the ledger yet into it; the number of the first broken one.
pub(crate) fn read_budget(
    connection: &Connection,
    ledger: &mut Ledger,
) -> Result<Result<(), u64>, NodeError> {
    let mut query = connection.prepare_cached(
        "SELECT seq, text, hash FROM budget WHERE seq > ? OR seq < 1 ORDER BY seq",
    )?;
    let mut rows = query.query([whole(ledger.size())])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let record = row.get::<_, String>(1).and_then(|text| {
            Ok(BudgetRecord { seq: seq.unsigned_abs(), text, hash: row.get::<_, Hash>(2)? })
        });
        let next = ledger.size() + 1;
        if record.ok().is_none_or(|it| ledger.accept(&it).is_err()) {
            return Ok(Err(next));
        }
    }
    Ok(Ok(()))
}

/// Whether the ledger ends where the log says that it does; if not, the number of the entry that is
/// missing or too many.
pub(crate) fn check_tail(connection: &Connection, ledger: &Ledger) -> Result<(), u64> {
    let query = "SELECT event FROM audit_log WHERE substr(event, 1, 16) = '{\"kind\":\"budget-'
        ORDER BY seq DESC LIMIT 1";
    let text = connection.query_row(query, [], |row| row.get::<_, String>(0)).optional();
    let last: Option<Event> = text.ok().flatten().and_then(|text| serde_json::from_str(&text).ok());
    let fact = |name: &str| last.as_ref().and_then(|it| it.facts.get(name)).map(String::as_str);
    let size = fact("entry").and_then(|it| it.parse().ok()).unwrap_or(0);
    let hash = fact("entry_sha256").unwrap_or_default();
    let same = size == ledger.size() && (size == 0 || hash == to_hex(&ledger.hash()));
    if same { Ok(()) } else { Err(size.min(ledger.size()) + 1) }
}

fn insert(connection: &Connection, record: &BudgetRecord) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached("INSERT INTO budget VALUES (?, ?, ?)")?;
    insert.execute(params![whole(record.seq), record.text, record.hash]).map(drop)
}

impl State {
    /// Reserves what a release costs, if every budget allows it: on the disk and in the log before
    /// this returns. Of two reservations at once for what one would exhaust, exactly one succeeds.
    ///
    /// # Errors
    /// [`NodeError::Budget`] when a budget would be exceeded or the release has been reserved
    /// before; [`NodeError::BudgetVoid`] after a rollback; [`NodeError::AuditUnavailable`] when it
    /// cannot be written.
    pub fn reserve(&self, at: Timestamp, cost: &Cost, limits: &Limits) -> Result<(), NodeError> {
        if self.budget_void()?.is_some() {
            return Err(NodeError::BudgetVoid);
        }
        let event = budget_event("budget-reserve", cost);
        self.book(at, event, |ledger| ledger.reserve(cost, limits))
    }

    /// Says that a reserved release is opened: call it before it is.
    ///
    /// # Errors
    /// As [`State::reserve`].
    pub fn commit(&self, at: Timestamp, release: &str) -> Result<(), NodeError> {
        let event = Event::new("budget-commit", release, "node");
        self.book(at, event, |ledger| ledger.commit(release))
    }

    /// Gives a reservation back. `nothing_opened` says that this is proven.
    ///
    /// # Errors
    /// As [`State::reserve`]; [`NodeError::Budget`] without reason or proof.
    pub fn refund(
        &self,
        at: Timestamp,
        release: &str,
        (reason, nothing_opened): (&str, bool),
    ) -> Result<(), NodeError> {
        let event = Event::new("budget-refund", release, "node").with("reason", &reason);
        self.book(at, event, |ledger| ledger.refund(release, reason, nothing_opened))
    }

    fn book(
        &self,
        at: Timestamp,
        event: Event,
        entry: impl FnOnce(&Ledger) -> Result<BudgetRecord, BudgetError>,
    ) -> Result<(), NodeError> {
        self.log_made(at, |transaction, ledger| {
            let record = entry(ledger)?;
            insert(transaction, &record)?;
            // if the transaction is not committed after all, the books are closed
            ledger.accept(&record)?;
            let event = event.with("entry", &record.seq);
            Ok(((), vec![event.with("entry_sha256", &to_hex(&record.hash))]))
        })
    }

    /// The ledger as its entries make it, read anew.
    ///
    /// # Errors
    /// [`NodeError::Budget`] with the number of a broken entry, [`NodeError::Database`].
    pub fn ledger(&self) -> Result<Ledger, NodeError> {
        at_one_moment(&self.lock(), |connection| {
            let mut ledger = Ledger::default();
            let read = read_budget(connection, &mut ledger)?;
            read.and_then(|()| check_tail(connection, &ledger)).map_err(BudgetError::Broken)?;
            Ok(ledger)
        })
    }
}

fn budget_event(kind: &str, cost: &Cost) -> Event {
    Event::new(kind, &cost.study, "node")
        .with("release", &cost.release)
        .with("currency", &cost.currency)
        .with("amount", &cost.amount)
        .with("lineage", &cost.lineage)
        .with("year", &cost.year)
}

/// What an exact release of `numbers` over at most `rows` patients costs. The number of numbers
/// stands for m_eff, which is at most that; rows of the data sets stand for n, which a cohort may be
/// smaller than.
pub(crate) fn exact_cost(
    (study, release): (&str, &str),
    (numbers, rows): (u64, u64),
    (lineage, snapshot): (&str, &str),
    at: Timestamp,
) -> Result<Cost, NodeError> {
    let amount = Amount::ratio(numbers, rows).ok_or(NodeError::Message("sizes"))?;
    Ok(Cost {
        study: study.to_owned(),
        release: release.to_owned(),
        currency: Currency::Exact,
        amount,
        lineage: lineage.to_owned(),
        year: at.to_zoned(TimeZone::UTC).year(),
        snapshot: snapshot.to_owned(),
    })
}

/// What a release with noise costs.
pub(crate) fn noisy_cost(exact: Cost, rho_nano: u64) -> Cost {
    Cost { currency: Currency::Dp, amount: Amount(rho_nano), ..exact }
}

impl CentreNode {
    /// What was spent for the data set in this year, of the budgets that have a limit. One that a
    /// rollback has made void has nothing left.
    pub(crate) fn budget_states(&self) -> Result<Vec<BudgetState>, NodeError> {
        let limits = &self.config.budget;
        let known = [
            (Currency::Dp, limits.lineage_year_rho),
            (Currency::Exact, limits.lineage_year_exposure),
        ];
        if known.iter().all(|(_, limit)| limit.is_none()) {
            return Ok(Vec::new());
        }
        let ledger = self.state.ledger()?;
        let void = self.state.budget_void()?.is_some();
        let year = self.clock.now().to_zoned(TimeZone::UTC).year();
        let scope = Scope::LineageYear(self.config.dataset.clone(), year);
        let state = |(currency, limit): (Currency, Option<Amount>)| {
            let limit = limit?;
            let spent = if void { limit } else { ledger.spent(&scope, currency) };
            Some(BudgetState { currency, spent, limit })
        };
        Ok(known.into_iter().filter_map(state).collect())
    }
}

/// What a node's budgets have spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balances {
    /// Each budget.
    pub balances: Vec<Balance>,
    /// Reservations that are still open.
    pub open: Vec<Cost>,
    /// Whether a rollback has made them void: everything counts as spent.
    pub void: bool,
}

/// What a node's budgets have spent, and the reservations that are still open. The node may run.
///
/// # Errors
/// [`NodeError`] of the folder; [`NodeError::Budget`] when the ledger is broken.
pub fn budget_balances(folder: &Path) -> Result<Balances, NodeError> {
    let config: NodeConfig = read_toml(&folder.join("konsil.toml"))?;
    let state = State::read(&folder.join("node.sqlite"))?;
    let ledger = state.ledger()?;
    let (balances, open) = (ledger.balances(&config.budget), ledger.open().cloned().collect());
    Ok(Balances { balances, open, void: state.budget_void()?.is_some() })
}
