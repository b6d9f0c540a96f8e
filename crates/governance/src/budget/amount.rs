//! Amounts: whole numbers of 10^-9, written as decimal numbers.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

const NANO: u64 = 1_000_000_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Currency {
    /// rho of a noisy release.
    Dp,
    /// m_eff / n of an exact release.
    Exact,
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dp => "rho",
            Self::Exact => "exposure",
        })
    }
}

/// An amount of either currency, in 10^-9.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Amount(
    /// How many 10^-9.
    pub u64,
);

/// A text that is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("write an amount as a decimal number such as \"0.25\", with at most 9 decimals")]
pub struct AmountError;

impl Amount {
    /// Their sum; `None` beyond any budget.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// What is left of this after `spent`; nothing when more was spent.
    #[must_use]
    pub fn minus(self, spent: Self) -> Self {
        Self(self.0.saturating_sub(spent.0))
    }

    /// `part` of `whole`, rounded up: never less than was spent. `None` for parts of nothing.
    #[must_use]
    pub fn ratio(part: u64, whole: u64) -> Option<Self> {
        let nano = u128::from(part) * u128::from(NANO);
        let whole = u128::from(whole);
        (whole > 0).then(|| nano.div_ceil(whole)).and_then(|it| u64::try_from(it).ok()).map(Self)
    }

    /// As a number, for showing only.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for showing; the ledger counts in integers")]
    pub fn shown(self) -> f64 {
        self.0 as f64 / NANO as f64
    }
}

impl fmt::Display for Amount {
    /// At least two decimals, and as many as there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = format!("{:09}", self.0 % NANO);
        let longest = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / NANO, decimals.get(..longest).unwrap_or_default())
    }
}

impl FromStr for Amount {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |it: &str| it.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 9 {
            return Err(AmountError);
        }
        let whole: u64 = whole.parse().map_err(|_| AmountError)?;
        let nano: u64 = format!("{decimals:0<9}").parse().map_err(|_| AmountError)?;
        let total = whole.checked_mul(NANO).and_then(|it| it.checked_add(nano));
        total.map(Self).ok_or(AmountError)
    }
}

impl TryFrom<String> for Amount {
    type Error = AmountError;

    fn try_from(text: String) -> Result<Self, AmountError> {
        text.parse()
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_decimal_numbers() {
        for (text, nano) in [("0.25", 250_000_000), ("3", 3 * NANO), ("0.000000001", 1)] {
            assert_eq!(text.parse(), Ok(Amount(nano)));
        }
        for bad in ["", ".5", "-1", "1e3", "0.0000000001", "99999999999999", "1.2.3", "+1"] {
            assert_eq!(bad.parse::<Amount>(), Err(AmountError), "{bad}");
        }
        assert_eq!(Amount(3 * NANO).to_string(), "3.00");
        assert_eq!(Amount(NANO / 8).to_string(), "0.125");
        for nano in [0, 1, 10, NANO, NANO + 1, u64::MAX] {
            assert_eq!(Amount(nano).to_string().parse(), Ok(Amount(nano)));
        }
    }

    #[test]
    fn parts_are_rounded_up_and_nothing_wraps() {
        assert_eq!(Amount::ratio(1, 3), Some(Amount(333_333_334)));
        assert_eq!(Amount::ratio(1, 0), None);
        assert_eq!(Amount::ratio(u64::MAX, 1), None);
        assert_eq!(Amount(u64::MAX).plus(Amount(1)), None);
        assert_eq!(Amount(1).minus(Amount(2)), Amount(0));
    }
}
