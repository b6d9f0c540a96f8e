//! The privacy budget of a centre.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::Subcommand;
use konsil_governance::budget::{Balance, Currency, epsilon, mu_of_exposure, mu_of_rho};
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
}

pub(crate) fn budget(command: BudgetCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        BudgetCommand::Show { dir } => show(&dir, screen),
    }
}

fn show(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let path = dir.join("node.sqlite");
    if !path.exists() {
        let what = format!("{} has no budget yet; is it a centre's folder?", dir.display());
        return Err(Failure::usage(what));
    }
    let (balances, open) = konsil_node::budget_balances(dir)?;
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
        "schema": "konsil.budget.v1", "delta": DELTA, "balances": balances, "reserved": open,
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
