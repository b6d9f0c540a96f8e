//! The study file: question, cohort, analyses, rules of release.

use crate::score::StudyScore;
use konsil_analyses::Request;
use konsil_cohort::suggest;
use konsil_disclosure::{Mechanism, NANO, Noise, Policy, PolicyError, Rounding, Scans};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A study as the researcher writes it and the centres approve it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Name and purpose.
    pub study: StudyHead,
    /// Who is looked at.
    #[serde(default)]
    pub cohort: Cohort,
    /// What is asked.
    #[serde(default)]
    pub analysis: Vec<Request>,
    /// Disclosure rules.
    #[serde(default)]
    pub release: ReleaseRules,
    /// Scores of genotypes that it brings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub score: Vec<StudyScore>,
}

/// `[study]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyHead {
    /// Short name.
    pub id: String,
    /// Title for people.
    #[serde(default)]
    pub title: String,
    /// Purpose code.
    #[serde(default)]
    pub purpose: String,
    /// Number of the ethics vote.
    #[serde(default)]
    pub ethics: String,
    /// The version of the dictionary that it is for, such as `hmsp@4`; empty for the one that all
    /// centres have.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dictionary: String,
    /// Which centres take part.
    #[serde(default)]
    pub centres: Centres,
    /// Fewest centres that must contribute patients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_centres: Option<u64>,
}

/// `centres = "all"` or a list of names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Centres {
    /// A word, which must be `all`.
    Word(String),
    /// These.
    Named(Vec<String>),
}

impl Default for Centres {
    fn default() -> Self {
        Self::Word("all".to_owned())
    }
}

/// `[cohort]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cohort {
    /// Condition in SQL that a patient must meet; empty for all patients.
    #[serde(rename = "where")]
    pub condition: String,
}

/// `[release]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseRules {
    /// Fewest patients behind any released number.
    pub threshold: u64,
    /// `none` or `midpoint6`: how the counts of survival curves are rounded.
    pub rounding: Rounding,
    /// Loss of privacy that noise limits; 0 for exact results under the rules above.
    pub epsilon: f64,
    /// With Gaussian noise, how likely the loss is larger.
    pub delta: f64,
    /// `gaussian` or `laplace`.
    pub mechanism: Mechanism,
    /// All rules in force, by number; those of the centres are filled in when a study is planned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Policy>,
    /// Whether counts of 0 may be shown.
    pub zero_cells: bool,
}

/// Chance of a larger loss unless the study says otherwise.
const DELTA: f64 = 1e-6;
/// Readings after which a study's numbers stay, more than enough.
const SETTLED_MOST: usize = 8;
/// Largest epsilon of a study: beyond that noise protects nobody.
const EPSILON_MAX: f64 = 10.0;

impl Default for ReleaseRules {
    fn default() -> Self {
        let Policy { threshold, zero_cells, .. } = Policy::default();
        Self {
            threshold,
            rounding: Rounding::None,
            zero_cells,
            epsilon: 0.0,
            delta: DELTA,
            mechanism: Mechanism::Gaussian,
            rules: None,
        }
    }
}

impl ReleaseRules {
    fn check(&self) -> Result<(), &'static str> {
        if !(0.0..=EPSILON_MAX).contains(&self.epsilon) {
            return Err("`epsilon` lies between 0, for exact results, and 10");
        }
        if !(1e-12..=1e-3).contains(&self.delta) {
            return Err("`delta` lies between 1e-12 and 1e-3");
        }
        Ok(())
    }
}

/// Why a study file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// Not TOML, or keys that mean nothing.
    #[error("{0}")]
    Syntax(String),
    /// A value that cannot be used.
    #[error("study `{id}`: {what}")]
    Value {
        /// The study.
        id: String,
        /// What is wrong and what to do.
        what: String,
    },
}

impl Study {
    /// Reads a study file and checks what can be checked without a dictionary.
    ///
    /// # Errors
    /// [`StudyError`] with line and column, and a suggestion for a mistyped key.
    pub fn parse(text: &str) -> Result<Self, StudyError> {
        let mut study: Self = toml::from_str(text).map_err(|error| syntax(&error))?;
        study.complete()?;
        Ok(study)
    }

    /// Reads a study in its canonical form, as a result's folder has it.
    ///
    /// # Errors
    /// [`StudyError`].
    pub fn parse_canonical(text: &str) -> Result<Self, StudyError> {
        let study: Self = serde_json::from_str(text).map_err(|error| StudyError::Value {
            id: "study.json".to_owned(),
            what: format!("cannot be read: {error}"),
        })?;
        study.check()?;
        Ok(study)
    }

    /// Names analyses that have no id, and checks.
    fn complete(&mut self) -> Result<(), StudyError> {
        for (at, analysis) in self.analysis.iter_mut().enumerate() {
            if analysis.id.is_empty() {
                analysis.id = format!("{}-{}", analysis.kind, at + 1);
            }
        }
        self.check()
    }

    /// Checks what can be checked without a dictionary.
    ///
    /// # Errors
    /// [`StudyError::Value`].
    pub fn check(&self) -> Result<(), StudyError> {
        let id = self.study.id.clone();
        let error = |what: String| StudyError::Value { id: id.clone(), what };
        if !is_name(&id) {
            return Err(error("`id` must be 1 to 64 letters, digits, - or _".to_owned()));
        }
        let version = self.study.dictionary.rsplit_once('@');
        let version = version.filter(|(name, _)| !name.is_empty()).map(|(_, it)| it.parse::<u32>());
        if !self.study.dictionary.is_empty() && !matches!(version, Some(Ok(1..))) {
            return Err(error("`dictionary` is NAME@VERSION, such as hmsp@4".to_owned()));
        }
        if self.analysis.is_empty() {
            return Err(error("has no [[analysis]]".to_owned()));
        }
        if let Centres::Word(word) = &self.study.centres
            && word != "all"
        {
            return Err(error("`centres` is \"all\" or a list of names".to_owned()));
        }
        self.release.check().map_err(|what| error(what.to_owned()))?;
        self.policy().check().map_err(|it: PolicyError| error(it.to_string()))?;
        let mut names: Vec<&str> = Vec::new();
        for analysis in &self.analysis {
            if !is_name(&analysis.id) || names.contains(&analysis.id.as_str()) {
                let what = format!("analysis id `{}` is no name or stands twice", analysis.id);
                return Err(error(what));
            }
            names.push(&analysis.id);
        }
        Ok(())
    }

    /// The disclosure rules that the study asks for.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let own = Policy {
            threshold: self.release.threshold,
            centres_min: self.study.min_centres.unwrap_or(Policy::default().centres_min),
            zero_cells: self.release.zero_cells,
            rounding: self.release.rounding,
            // what a scan shows is for the centres to limit
            scans: Scans::All,
            ..Policy::default()
        };
        self.release.rules.as_ref().map_or_else(|| own.clone(), |rules| own.strictest(rules))
    }

    /// The same study under rules that are at least as strict as all of these, but for the numbers
    /// that a study file states itself: what it asks for there, a centre allows or refuses.
    #[must_use]
    pub fn under<'a>(mut self, centres: impl IntoIterator<Item = &'a Policy>) -> Self {
        let own = self.policy();
        let all = centres.into_iter().fold(own.clone(), |all, it| all.strictest(it));
        let Policy { threshold, centres_min, zero_cells, .. } = own;
        let rules = Policy { threshold, centres_min, zero_cells, ..all };
        if rules != own {
            self.release.rules = Some(rules);
        }
        self
    }

    /// What the study spends on noise: the mechanism and, in billionths, rho of a Gaussian or epsilon
    /// of Laplace; `None` for exact results.
    ///
    /// Gaussian: the largest rho with `rho + 2 sqrt(rho ln(1/delta)) <= epsilon` (Bun and Steinke 2016,
    /// proposition 1.3), rounded down.
    #[must_use]
    pub fn noise_budget(&self) -> Option<(Mechanism, u64)> {
        let ReleaseRules { epsilon, delta, mechanism, .. } = self.release;
        if epsilon <= 0.0 {
            return None;
        }
        let loss = match mechanism {
            Mechanism::Laplace => epsilon,
            _ => {
                let likely = (1.0 / delta).ln();
                ((likely + epsilon).sqrt() - likely.sqrt()).powi(2)
            }
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 10 billion, see EPSILON_MAX"
        )]
        let nano = (loss.min(EPSILON_MAX) * NANO * (1.0 - 1e-12)) as u64;
        Some((mechanism, nano))
    }

    /// What the study's noise costs every patient, in billionths of rho: of Laplace noise
    /// `epsilon^2 / 2` (Bun and Steinke 2016, proposition 1.4), rounded up. `None` for exact results.
    #[must_use]
    pub fn rho_nano(&self) -> Option<u64> {
        match self.noise_budget()? {
            (Mechanism::Gaussian, rho) => Some(rho),
            (_, epsilon) => {
                let squared = u128::from(epsilon) * u128::from(epsilon);
                u64::try_from(squared.div_ceil(2_000_000_000)).ok()
            }
        }
    }

    /// The noise of one analysis, an equal part of the study's. `secret` is a centre's own;
    /// `question` says what is asked of whom, and the same question gets the same noise.
    #[must_use]
    pub fn noise(&self, secret: &[u8; 32], question: &[u8]) -> Option<Noise> {
        let (mechanism, budget) = self.noise_budget()?;
        let analyses = u64::try_from(self.analysis.len()).unwrap_or(u64::MAX).max(1);
        let numbers = (budget / analyses, self.policy().noise_colluders);
        Some(Noise::new(mechanism, numbers, (secret, question)))
    }

    /// The same study with numbers as a reader of its canonical form has them: of a number with seventeen
    /// digits a reader may find the neighbour, and both must name the study by the same text.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for _ in 0..SETTLED_MOST {
            let text = self.canonical();
            let Ok(read) = serde_json::from_str::<Self>(&text) else { return self };
            if read.canonical() == text {
                return read;
            }
            self = read;
        }
        self
    }

    /// The canonical form: JSON with keys in the order of the definition.
    #[must_use]
    pub fn canonical(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What identifies the study: SHA-256 of its canonical form.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.canonical()).into()
    }

    /// The numbers, among `names`, of the centres that take part.
    ///
    /// # Errors
    /// [`StudyError::Value`] for a name that the network doesn't know.
    pub fn members(&self, names: &[String]) -> Result<Vec<usize>, StudyError> {
        let Centres::Named(chosen) = &self.study.centres else {
            return Ok((0..names.len()).collect());
        };
        let place = |name: &String| {
            names.iter().position(|it| it == name).ok_or_else(|| {
                let hint = suggest(name, names.iter().map(String::as_str));
                let hint = hint.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
                let what = format!("no centre `{name}` in the network{hint}");
                StudyError::Value { id: self.study.id.clone(), what }
            })
        };
        let mut places = chosen.iter().map(place).collect::<Result<Vec<usize>, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }
}

/// Letters, digits, `-`, `_`: names become files.
fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

fn syntax(error: &toml::de::Error) -> StudyError {
    StudyError::Syntax(syntax_text(error))
}

/// TOML's own message, with a suggestion where a key is mistyped.
pub(crate) fn syntax_text(error: &toml::de::Error) -> String {
    let message = error.to_string();
    let quoted: Vec<&str> = error.message().split('`').skip(1).step_by(2).collect();
    let hint = match quoted.split_first() {
        Some((wrong, known)) if error.message().starts_with("unknown field") => {
            suggest(wrong, known.iter().copied())
        }
        _ => None,
    };
    let hint = hint.map(|key| format!("did you mean `{key}`?")).unwrap_or_default();
    format!("{}\n{hint}", message.trim_end()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUDY: &str = r#"
        [study]
        id = "ad-survival"
        [cohort]
        where = "age >= 50"
        [[analysis]]
        kind = "km"
        formula = "Surv(months, died) ~ arm"
    "#;

    // What is approved is the meaning, not the spaces.
    #[test]
    fn the_hash_is_of_the_meaning() {
        let study = Study::parse(STUDY).unwrap();
        assert_eq!(study.hash(), Study::parse(&STUDY.replace("    ", "  ")).unwrap().hash());
        assert_ne!(study.hash(), Study::parse(&STUDY.replace("50", "51")).unwrap().hash());
        assert_eq!(study.analysis[0].id, "km-1");
        let again: Study = serde_json::from_str(&study.canonical()).unwrap();
        assert_eq!(again.hash(), study.hash());
    }

    // Numbers copied from a table of results have all their digits.
    #[test]
    fn a_settled_study_is_read_as_it_is_written() {
        let long = "kind = \"validate\"\ncoefficients = [-3.5, 1.2423028777675427, 0.1, 5e-324]";
        let study = Study::parse(&STUDY.replace("kind = \"km\"", long)).unwrap().settled();
        let read: Study = serde_json::from_str(&study.canonical()).unwrap();
        assert_eq!(read.canonical(), study.canonical());
        let number = study.analysis[0].coefficients[1];
        assert!((number - 1.242_302_877_767_542_7).abs() < 1e-15, "{number}");
    }

    #[test]
    fn mistakes_are_named() {
        let error =
            |from: &str, to: &str| Study::parse(&STUDY.replace(from, to)).unwrap_err().to_string();
        let typo = error("formula =", "formul =");
        assert!(typo.contains("did you mean `formula`?") && typo.contains("line 8"), "{typo}");
        assert!(error("ad-survival", "../x").contains("letters"));
        assert!(error("[cohort]", "min_centres = 2\n[cohort]").contains("3 centres"));
        assert!(error("[cohort]", "[release]\nthreshold = 1\n[cohort]").contains("at least 3"));
        assert!(error("[cohort]", "[release]\nepsilon = 50\n[cohort]").contains("between 0"));
        assert!(error("[cohort]", "[release]\nrounding = \"up\"\n[cohort]").contains("midpoint6"));
    }
}
