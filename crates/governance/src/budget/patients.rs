//! What each patient has been charged, at the patient's own centre.

use super::amount::Amount;
use std::collections::BTreeMap;
use std::fmt;

/// A counter for each patient, by local pseudonym. It never leaves the centre, and how many
/// counters are full is told to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PatientCounters {
    spent: BTreeMap<String, Amount>,
}

impl PatientCounters {
    /// Counters as they were stored.
    #[must_use]
    pub fn new(spent: BTreeMap<String, Amount>) -> Self {
        Self { spent }
    }

    /// What a patient has been charged.
    #[must_use]
    pub fn spent(&self, pseudonym: &str) -> Amount {
        self.spent.get(pseudonym).copied().unwrap_or_default()
    }

    /// Charges every patient who can still bear it, and says for each whether that was so: who
    /// could not is left out of the release.
    pub fn charge(&mut self, pseudonyms: &[String], amount: Amount, limit: Amount) -> Vec<bool> {
        let mut charged = Vec::with_capacity(pseudonyms.len());
        for pseudonym in pseudonyms {
            let total = self.spent(pseudonym).plus(amount).filter(|it| *it <= limit);
            if let Some(total) = total {
                self.spent.insert(pseudonym.clone(), total);
            }
            charged.push(total.is_some());
        }
        charged
    }
}

impl fmt::Debug for PatientCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientCounters(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_counter_leaves_the_patient_out() {
        let mut counters = PatientCounters::default();
        let all = ["a".to_owned(), "b".to_owned()];
        assert_eq!(counters.charge(&all[..1], Amount(7), Amount(10)), [true]);
        assert_eq!(counters.charge(&all, Amount(4), Amount(10)), [false, true]);
        assert_eq!(counters.charge(&all, Amount(3), Amount(10)), [true, true]);
        assert_eq!((counters.spent("a"), counters.spent("b")), (Amount(10), Amount(7)));
        assert_eq!(counters.charge(&all, Amount(u64::MAX), Amount(10)), [false, false]);
        assert!(!format!("{counters:?}").contains("\"a\""));
    }
}
