//! The numbers of the disclosure rules in force.

use konsil_mpc::MpcError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose own patients are taken away from a count before it is judged; later ones are stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Residual {
    /// Nobody's: only the pooled count is judged.
    None,
    /// Any one centre's: what is left of a count without one centre's patients is 0 or large enough.
    #[default]
    OneCentre,
    /// All centres' but one: what each centre brings to a count is 0 or large enough. Then so is what
    /// any of them leaves.
    AllButOne,
}

/// How the counts of survival curves are rounded before anything is computed from them; later ones
/// are stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Rounding {
    /// Not at all.
    #[default]
    None,
    /// To midpoints of six: 1 to 6 become 3, 7 to 12 become 9, 0 stays.
    Midpoint6,
}

/// What is shown of a scan of all variants of a genome; later ones are stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Scans {
    /// All variants that are common enough.
    All,
    /// Only variants whose p value is small.
    #[default]
    Hits,
}

/// The numbers of the disclosure rules in force. Part of what is approved.
///
/// The rules have the numbers of the project's catalogue (`docs/disclosure.md`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// R1: fewest patients, over all centres, behind any released number.
    pub threshold: u64,
    /// Fewest centres that must contribute patients.
    pub centres_min: u64,
    /// R1: whether a count of exactly 0 may be shown.
    pub zero_cells: bool,
    /// R2: who is thought to subtract their own patients from what is released.
    pub residual: Residual,
    /// R3: largest part of a cohort's patients that one centre may have, in percent.
    pub centre_percent_max: u64,
    /// R3: largest part of a sum that one patient may have, in percent.
    pub patient_percent_max: u64,
    /// R4: fewest patients beyond the number of parameters of a model.
    pub freedom_min: u64,
    /// R4: most parameters of a model for a hundred patients.
    pub parameters_percent_max: u64,
    /// R7: largest leverage of a patient in a regression, in percent. A combination of columns that
    /// is not 0 in s patients only gives one of them a leverage of 1/s at least, however the columns
    /// are written: at 10 % no combination singles out fewer than ten.
    pub leverage_percent_max: u64,
    /// Largest exposure of a description: independent numbers for a hundred patients. Whoever knows a
    /// person's values tells members from others by them (likelihood ratio) with a true positive rate of
    /// `1 - Phi(2.33 - sqrt(exposure / 100))` at 1 % false positives: 2 % at an exposure of 7.
    pub exposure_percent_max: u64,
    /// Most members that a likelihood ratio may find at 1 % false positives, in percent, when it is
    /// tried on the patients of a description before anything is released.
    pub found_percent_max: u64,
    /// R9: rounding of the counts of survival curves.
    pub rounding: Rounding,
    /// R11: what is shown of a scan. Numbers of a hundred thousand variants tell who was among a few
    /// thousand patients to whoever knows a genome.
    pub scans: Scans,
    /// How many centres may put their parts of the noise together without taking it away.
    pub noise_colluders: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            threshold: 10,
            centres_min: 3,
            zero_cells: false,
            residual: Residual::OneCentre,
            centre_percent_max: 90,
            patient_percent_max: 50,
            freedom_min: 10,
            parameters_percent_max: 10,
            leverage_percent_max: 10,
            exposure_percent_max: 7,
            found_percent_max: 5,
            rounding: Rounding::None,
            scans: Scans::Hits,
            noise_colluders: 1,
        }
    }
}

/// A policy that would protect nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Fewer than three patients.
    ThresholdTooLow,
    /// With two centres each can subtract its own part from everything.
    TooFewCentres,
    /// A percentage of 0 or above 100.
    Percent,
    /// More parameters than a third of the patients: membership shows.
    TooManyParameters,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThresholdTooLow => "the threshold of patients must be at least 3",
            Self::TooFewCentres => {
                "at least 3 centres must contribute: with two, each can subtract its own part"
            }
            Self::Percent => "percentages lie between 1 and 100",
            Self::TooManyParameters => {
                "parameters_percent_max is at most 33: beyond that a model shows who was in it"
            }
        })
    }
}

impl std::error::Error for PolicyError {}

/// R4: the limit that no policy may exceed, in percent.
const PARAMETERS_PERCENT_HARD: u64 = 33;

impl Policy {
    /// Checks that the policy protects anything.
    ///
    /// # Errors
    /// [`PolicyError`].
    pub fn check(&self) -> Result<(), PolicyError> {
        let percentages = [
            self.centre_percent_max,
            self.patient_percent_max,
            self.parameters_percent_max,
            self.leverage_percent_max,
            self.exposure_percent_max,
            self.found_percent_max,
        ];
        if self.threshold < 3 {
            Err(PolicyError::ThresholdTooLow)
        } else if self.centres_min < 3 {
            Err(PolicyError::TooFewCentres)
        } else if percentages.iter().any(|it| !(1..=100).contains(it)) {
            Err(PolicyError::Percent)
        } else if self.parameters_percent_max > PARAMETERS_PERCENT_HARD {
            Err(PolicyError::TooManyParameters)
        } else {
            Ok(())
        }
    }

    /// Whether every rule of this policy is at least as strict as the other's.
    #[must_use]
    pub fn at_least_as_strict_as(&self, other: &Self) -> bool {
        self.threshold >= other.threshold
            && self.centres_min >= other.centres_min
            && (other.zero_cells || !self.zero_cells)
            && self.residual >= other.residual
            && self.centre_percent_max <= other.centre_percent_max
            && self.patient_percent_max <= other.patient_percent_max
            && self.freedom_min >= other.freedom_min
            && self.parameters_percent_max <= other.parameters_percent_max
            && self.leverage_percent_max <= other.leverage_percent_max
            && self.exposure_percent_max <= other.exposure_percent_max
            && self.found_percent_max <= other.found_percent_max
            && self.rounding >= other.rounding
            && self.scans >= other.scans
            && self.noise_colluders >= other.noise_colluders
    }

    /// The stricter number of both in every rule.
    #[must_use]
    pub fn strictest(&self, other: &Self) -> Self {
        Self {
            threshold: self.threshold.max(other.threshold),
            centres_min: self.centres_min.max(other.centres_min),
            zero_cells: self.zero_cells && other.zero_cells,
            residual: self.residual.max(other.residual),
            centre_percent_max: self.centre_percent_max.min(other.centre_percent_max),
            patient_percent_max: self.patient_percent_max.min(other.patient_percent_max),
            freedom_min: self.freedom_min.max(other.freedom_min),
            parameters_percent_max: self.parameters_percent_max.min(other.parameters_percent_max),
            leverage_percent_max: self.leverage_percent_max.min(other.leverage_percent_max),
            exposure_percent_max: self.exposure_percent_max.min(other.exposure_percent_max),
            found_percent_max: self.found_percent_max.min(other.found_percent_max),
            rounding: self.rounding.max(other.rounding),
            scans: self.scans.max(other.scans),
            noise_colluders: self.noise_colluders.max(other.noise_colluders),
        }
    }

    /// The rules in words and numbers, for a plan.
    #[must_use]
    pub fn in_words(&self) -> String {
        let without = match self.residual {
            Residual::None => "",
            Residual::OneCentre => ", also without any one centre's",
            Residual::AllButOne => ", also of each centre alone",
        };
        let rounded = match self.rounding {
            Rounding::None => "",
            Rounding::Midpoint6 => "; counts of survival curves to midpoints of six",
        };
        let scanned = match self.scans {
            Scans::All => "",
            Scans::Hits => "; of scans of a genome hits alone",
        };
        format!(
            "at least {} patients{without} and {} centres behind a number; no centre above {} % of a \
             cohort, no patient above {} % of a sum; {} patients for a parameter; leverage at most \
             {} %; {} patients for a described number, of whom an attack finds {} % at most{rounded}{scanned}",
            self.threshold,
            self.centres_min,
            self.centre_percent_max,
            self.patient_percent_max,
            100_u64.div_ceil(self.parameters_percent_max.max(1)),
            self.leverage_percent_max,
            100_u64.div_ceil(self.exposure_percent_max.max(1)),
            self.found_percent_max,
        )
    }

    /// R1 and R4: fewest patients of a model with so many parameters.
    #[must_use]
    pub fn patients_min(&self, parameters: usize) -> u64 {
        if parameters == 0 {
            return self.threshold;
        }
        let parameters = u64::try_from(parameters).unwrap_or(u64::MAX);
        let freedom = parameters.saturating_add(self.freedom_min);
        let part = parameters.saturating_mul(100).div_ceil(self.parameters_percent_max.max(1));
        self.threshold.max(freedom).max(part)
    }

    /// Fewest patients behind so many independent numbers that describe them, see
    /// [`Policy::exposure_percent_max`].
    #[must_use]
    pub fn patients_exposed_min(&self, statistics: usize) -> u64 {
        let statistics = u64::try_from(statistics).unwrap_or(u64::MAX);
        statistics.saturating_mul(100).div_ceil(self.exposure_percent_max.max(1))
    }

    /// R8: fewest patients of a group whose quartiles are shown: a quarter of them is enough.
    #[must_use]
    pub fn quartiles_min(&self) -> u64 {
        self.threshold.saturating_mul(4)
    }
}

/// Why nothing is released. Says no count: that would reveal a small one (R15).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Too few patients over all centres, or too few centres with any (R1 to R4).
    TooFew,
    /// Columns of a model, or patients of it, that would let single patients be read (R5 to R7).
    Revealing,
    /// The cohort differs from that of an earlier release by a few patients (R6, R13).
    Differencing,
    /// An attack found too many of the patients behind a description.
    Exposed,
    /// The verdict could not be reached.
    Mpc(MpcError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew => f.write_str(
                "too few patients over all centres, too few centres with patients, or too few \
                 patients without one of the centres",
            ),
            Self::Revealing => f.write_str(
                "a column of the model, or a patient in it, stands too much apart: too few \
                 patients have a level, two columns differ for too few, or a patient decides the fit",
            ),
            Self::Differencing => f.write_str(
                "cohort, group or column differs from another one, of this study or of an earlier \
                 result, by too few patients or centres; the difference would be about them",
            ),
            Self::Exposed => f.write_str(
                "the numbers would tell too many of the patients from others: describe fewer \
                 variables or groups, or more patients, or ask for noise",
            ),
            Self::Mpc(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<MpcError> for Refusal {
    fn from(error: MpcError) -> Self {
        Self::Mpc(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A study may ask for more protection than a centre's policy, never for less.
    #[test]
    fn stricter_is_stricter_in_every_rule() {
        let policy = Policy::default();
        assert!(policy.at_least_as_strict_as(&policy));
        let looser = [
            Policy { threshold: 9, ..policy.clone() },
            Policy { zero_cells: true, ..policy.clone() },
            Policy { residual: Residual::None, ..policy.clone() },
            Policy { centre_percent_max: 91, ..policy.clone() },
            Policy { patient_percent_max: 60, ..policy.clone() },
            Policy { freedom_min: 9, ..policy.clone() },
            Policy { parameters_percent_max: 11, ..policy.clone() },
            Policy { leverage_percent_max: 11, ..policy.clone() },
            Policy { exposure_percent_max: 8, ..policy.clone() },
            Policy { scans: Scans::All, ..policy.clone() },
            Policy { noise_colluders: 0, ..policy },
        ];
        for looser in looser {
            assert!(!looser.at_least_as_strict_as(&policy), "{looser:?}");
        }
        assert_eq!(
            Policy { parameters_percent_max: 34, ..policy }.check(),
            Err(PolicyError::TooManyParameters)
        );
    }

    #[test]
    fn models_need_patients_for_their_parameters() {
        let policy = Policy::default();
        assert_eq!(policy.patients_min(0), 10);
        assert_eq!(policy.patients_min(1), 11);
        assert_eq!(policy.patients_min(5), 50);
        assert_eq!(policy.quartiles_min(), 40);
    }
}
