//! The privacy budget of a centre.

use crate::failure::Failure;
use crate::request::open_key;
use crate::screen::Screen;
use clap::Subcommand;
use konsil_governance::budget::{Balance, Currency, epsilon, mu_of_exposure, mu_of_rho};
use konsil_node::Clock;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The delta at which epsilon is shown.
const DELTA: f64 = 1e-6;

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// Show what was spent and what is left, by study and by cohort and year.
    Show {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Let the budgets count again that are void since the log was rolled back. Stewards sign, as many
    /// as an approval needs; without stewards the centre's identity.key.
    Renew {
        /// Keys of the stewards who sign.
        #[arg(long, value_name = "KEY", required = true)]
        signed_by: Vec<PathBuf>,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

pub(crate) fn budget(command: BudgetCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        BudgetCommand::Show { dir } => show(&dir, screen),
        BudgetCommand::Renew { signed_by, dir } => renew(&dir, &signed_by, screen),
    }
}

fn renew(dir: &Path, keys: &[PathBuf], screen: &Screen) -> Result<(), Failure> {
    let keys: Vec<_> = keys.iter().map(|path| open_key(path)).collect::<Result<_, _>>()?;
    let names = konsil_node::renew_budget(dir, Clock::system(), &keys)?;
    screen.note(&format!(
        "✓ the budgets count again from what the ledger says, signed by {}\n  what was spent since \
         the backup is not in it: is it out of [budget] in konsil.toml?\n  cohorts of the lost runs \
         are not known here any more: look at studies of nearly the same patients yourselves",
        names.join(", ")
    ));
    screen.json_line(&json!({"schema": "konsil.budget-renewal.v1", "signed_by": names}));
    Ok(())
}

fn show(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let path = dir.join("node.sqlite");
    if !path.exists() {
        let what = format!("{} has no budget yet; is it a centre's folder?", dir.display());
        return Err(Failure::usage(what));
    }
    let konsil_node::Balances { balances, open, void } = konsil_node::budget_balances(dir)?;
    if void {
        let what =
            "void since the log was rolled back: everything counts as spent;  konsil budget renew";
        screen.table(what);
    }
    for balance in &balances {
        screen.table(&line(balance));
    }
    for cost in &open {
        screen.table(&format!(
            "reserved, never opened or given back: {} {} by study `{}`, run {}",
            cost.amount, cost.currency, cost.study, cost.release
        ));
    }
    if balances.is_empty() {
        screen.table("nothing was spent yet");
    } else {
        screen.table(
            "rho is a guarantee for every patient; exposure is an average for one known attack.\n\
             They are two budgets and do not add up.",
        );
    }
    let balances: Vec<_> = balances.iter().map(as_json).collect();
    screen.json_line(&json!({
        "schema": "konsil.budget.v1", "delta": DELTA, "void": void, "balances": balances,
        "reserved": open,
    }));
    Ok(())
}

fn line(balance: &Balance) -> String {
    let left = match balance.limit {
        Some(limit) => format!("{} of {limit} left", limit.minus(balance.spent)),
        None => "no limit".to_owned(),
    };
    let means = match balance.currency {
        Currency::Dp => format!("ε {:.2} at δ {DELTA:e}", epsilon(balance.spent, DELTA)),
        Currency::Exact => format!("μ {:.2}", mu_of_exposure(balance.spent)),
    };
    format!(
        "{:<40} {} {} spent ({means}), {left}",
        balance.scope.to_string(),
        balance.spent,
        balance.currency
    )
}

fn as_json(balance: &Balance) -> serde_json::Value {
    let (mu, bound) = match balance.currency {
        Currency::Dp => (mu_of_rho(balance.spent), Some(epsilon(balance.spent, DELTA))),
        Currency::Exact => (mu_of_exposure(balance.spent), None),
    };
    json!({
        "scope": balance.scope, "currency": balance.currency, "spent": balance.spent,
        "limit": balance.limit, "left": balance.limit.map(|it| it.minus(balance.spent)),
        "mu": mu, "epsilon": bound,
    })
}
