//! Scores that a study brings: weighted sums of genotypes, which each centre computes of its own
//! patients before anything else, and which then are variables like others.
//!
//! Weights are public, part of the study and of its hash. The variable's range follows from them alone,
//! so that all parties have the same dictionary.
//!
//! Whoever writes a study chooses the weights, and could make a score that is a genotype of few people.
//! So it may stand only where a rule looks at each column before anything of it is opened: as a term of
//! a model. It is no response, no marker, no group, and no condition of the cohort. Patients without it
//! are not part of the study.

use crate::hex::to_hex;
use crate::study::{Study, StudyError};
use konsil_cohort::{Dictionary, Kind, Variable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Scores of a study.
const SCORES_MAX: usize = 8;
/// Variants of a score.
const WEIGHTS_MAX: usize = 50_000;
/// Analyses that judge the columns of their model, and refuse one that picks out few patients.
const MODELS: [&str; 4] = ["lm", "glm", "cox", "leave_out"];
const DECIMALS_MAX: u8 = 9;
/// Largest weight, either way.
const WEIGHT_MAX: f64 = 1e6;

/// `[[score]]`: a weighted sum of copies of alternative alleles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudyScore {
    /// Name of the variable.
    pub name: String,
    /// A scoring file of the PGS Catalog: in a study file only, which is read with it. Whoever plans
    /// puts variants and weights in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the panel; in a study file with `file` the panel's file.
    pub panel: String,
    /// How many variants the panel has.
    pub panel_variants: u32,
    /// Decimals that the score is rounded to.
    pub decimals: u8,
    /// What everybody has, such as of weights of reference alleles.
    pub constant: f64,
    /// Numbers of variants on the panel, rising.
    pub variants: Vec<u32>,
    /// The weight of a copy of the alternative allele of each.
    pub weights: Vec<f64>,
    /// The frequency of the alternative allele of each, which a missing genotype is set to; empty for
    /// that of each centre's own people.
    pub frequencies: Vec<f64>,
}

impl StudyScore {
    /// Checks what can be checked without a panel.
    fn check(&self) -> Result<(), String> {
        if self.file.is_some() {
            return Err("a scoring file must be read where the study is planned".to_owned());
        }
        let count = self.variants.len();
        let is_hash = self.panel.len() == 64 && self.panel.bytes().all(|it| it.is_ascii_hexdigit());
        let rises = self.variants.is_sorted_by(|a, b| a < b)
            && self.variants.last().is_some_and(|it| *it < self.panel_variants);
        let weights = self.weights.iter().chain([&self.constant]);
        let is_fine = weights.clone().all(|it| it.abs() <= WEIGHT_MAX);
        let frequencies = self.frequencies.iter().all(|it| (0.0..=1.0).contains(it));
        let same = self.weights.len() == count
            && (self.frequencies.is_empty() || self.frequencies.len() == count);
        let what = if !is_hash {
            "`panel` is the SHA-256 of a panel"
        } else if !rises || !same || count > WEIGHTS_MAX {
            "`variants` are rising numbers of the panel, at most 50,000, with a weight for each"
        } else if !is_fine || self.weights.iter().all(|it| *it == 0.0) {
            "weights are numbers of at most a million, and not all 0"
        } else if !frequencies || self.decimals > DECIMALS_MAX {
            "frequencies lie between 0 and 1, and `decimals` is at most 9"
        } else {
            return Ok(());
        };
        Err(what.to_owned())
    }

    /// The variable that it becomes: its range is what the weights allow, and its notes name them.
    #[must_use]
    pub fn variable(&self) -> Variable {
        let per = 10_f64.powi(i32::from(self.decimals));
        let both: f64 = self.weights.iter().map(|it| 2.0 * it.min(0.0)).sum();
        let high: f64 = self.weights.iter().map(|it| 2.0 * it.max(0.0)).sum();
        let mut variable = Variable::new(&self.name, Kind::Number);
        // a step of room for what rounding does
        variable.min = Some(((self.constant + both) * per - 1.0).floor() / per);
        variable.max = Some(((self.constant + high) * per + 1.0).ceil() / per);
        variable.decimals = Some(self.decimals);
        variable.label = format!("Score of {} variants", self.variants.len());
        let text = serde_json::to_string(self).unwrap_or_default();
        variable.notes = format!("score {}", to_hex(&Sha256::digest(text)));
        variable
    }

    /// What it is, for people who read a plan.
    #[must_use]
    pub fn understood(&self) -> String {
        format!(
            "{}: a score of {} variants of panel {}…, which each centre computes of its patients' \
             genotypes",
            self.name,
            self.variants.len(),
            self.panel.get(..12).unwrap_or_default()
        )
    }
}

impl Study {
    /// The dictionary with the study's scores; none where the study brings none, or the dictionary has
    /// them already.
    ///
    /// # Errors
    /// [`StudyError::Value`] for a score that cannot be used, or has a name of the dictionary.
    pub fn extended(&self, dictionary: &Dictionary) -> Result<Option<Dictionary>, StudyError> {
        let wrong = |what: String| StudyError::Value { id: self.study.id.clone(), what };
        let mut new = Vec::new();
        if self.score.len() > SCORES_MAX {
            return Err(wrong(format!("brings more than {SCORES_MAX} scores")));
        }
        if !self.score.is_empty() && self.noise_budget().is_some() {
            return Err(wrong("a study with noise brings no score".to_owned()));
        }
        for score in &self.score {
            let named = |what: String| wrong(format!("score `{}`: {what}", score.name));
            score.check().map_err(named)?;
            let variable = score.variable();
            match dictionary.variable(&score.name) {
                Some(known) if known.notes == variable.notes => {}
                Some(_) => {
                    return Err(named("the dictionary has a variable of this name".to_owned()));
                }
                None => new.push(variable),
            }
        }
        self.check_use()?;
        if new.is_empty() {
            return Ok(None);
        }
        let extended = dictionary.with(&new).map_err(|error| wrong(error.to_string()))?;
        Ok(Some(extended))
    }

    /// Scores stand on the right side of models only.
    fn check_use(&self) -> Result<(), StudyError> {
        let wrong = |what: String| StudyError::Value { id: self.study.id.clone(), what };
        for score in &self.score {
            let named = |text: &str| mentions(text, &score.name);
            if named(&self.cohort.condition) {
                let what = format!("score `{}` cannot stand in the cohort's condition", score.name);
                return Err(wrong(what));
            }
            for request in &self.analysis {
                let right = request.formula.as_deref().and_then(|it| it.split_once('~'));
                let plain = konsil_analyses::Request {
                    id: String::new(),
                    formula: right.map(|it| it.0.to_owned()).or_else(|| request.formula.clone()),
                    ..request.clone()
                };
                let elsewhere = serde_json::to_string(&plain).is_ok_and(|text| named(&text));
                let is_term = right.is_some_and(|it| named(it.1));
                if elsewhere || (is_term && !MODELS.contains(&request.kind.as_str())) {
                    return Err(wrong(format!(
                        "analysis `{}`: score `{}` can only be a term, right of ~, of {}",
                        request.id,
                        score.name,
                        MODELS.join(", ")
                    )));
                }
            }
        }
        Ok(())
    }
}

/// Whether a name stands in a text, in any case, as a word of its own.
fn mentions(text: &str, name: &str) -> bool {
    let part = |it: char| it.is_alphanumeric() || it == '_' || it == '.';
    text.split(|it: char| !part(it)).any(|word| word.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DICTIONARY: &str = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
        pid,,category,,,,,,,,identifier,\nage,,integer,a,,18,110,,,,quasi,\n";

    fn score() -> StudyScore {
        StudyScore {
            name: "prs".to_owned(),
            panel: "0a".repeat(32),
            panel_variants: 10,
            decimals: 2,
            constant: 0.5,
            variants: vec![2, 9],
            weights: vec![0.25, -1.5],
            ..StudyScore::default()
        }
    }

    fn study(scores: Vec<StudyScore>) -> Study {
        let text = "[study]\nid = \"s\"\n[[analysis]]\nkind = \"lm\"\nformula = \"age ~ prs\"\n";
        Study { score: scores, ..Study::parse(text).unwrap() }
    }

    // All parties come to the same dictionary, from the study alone; again is as once.
    #[test]
    fn a_score_is_a_variable_of_every_partys_dictionary() {
        let own = Dictionary::parse("d@3", DICTIONARY).unwrap();
        let study = study(vec![score()]);
        let again: Study = serde_json::from_str(&study.canonical()).unwrap();
        let extended = study.extended(&own).unwrap().unwrap();
        assert_eq!(extended.hash(), again.extended(&own).unwrap().unwrap().hash());
        let prs = extended.variable("prs").unwrap();
        assert_eq!((prs.min, prs.max, prs.decimals), (Some(-2.51), Some(1.01), Some(2)));
        assert_eq!((extended.version, extended.name.as_str()), (own.version, "d"));
        assert!(study.extended(&extended).unwrap().is_none());
        assert!(self::study(Vec::new()).extended(&own).unwrap().is_none());
        let mut other = score();
        other.weights[0] = 0.26;
        let error = self::study(vec![other]).extended(&extended).unwrap_err().to_string();
        assert!(error.contains("of this name"), "{error}");
    }

    #[test]
    fn scores_that_cannot_be_used_are_refused() {
        let own = Dictionary::parse("d@3", DICTIONARY).unwrap();
        let refused = |change: &dyn Fn(&mut StudyScore), words: &str| {
            let mut score = score();
            change(&mut score);
            let error = study(vec![score]).extended(&own).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(&|it| it.name = "age".to_owned(), "of this name");
        refused(&|it| it.name = "1 x".to_owned(), "1 x");
        refused(&|it| it.file = Some("x".to_owned()), "must be read");
        refused(&|it| it.panel.truncate(9), "SHA-256");
        refused(&|it| it.variants = vec![9, 2], "rising");
        refused(&|it| it.variants = vec![2, 10], "rising");
        refused(&|it| it.variants.clear(), "rising");
        refused(&|it| it.weights = vec![1.0], "with a weight");
        refused(&|it| it.weights = vec![0.0, 0.0], "not all 0");
        refused(&|it| it.weights[1] = f64::NAN, "a million");
        refused(&|it| it.constant = 1e9, "a million");
        refused(&|it| it.frequencies = vec![0.5, 1.5], "between 0 and 1");
        refused(&|it| it.decimals = 12, "at most 9");
        let error = study(vec![score(); 9]).extended(&own).unwrap_err().to_string();
        assert!(error.contains("more than 8"), "{error}");
        let mut noised = study(vec![score()]);
        noised.release.epsilon = 1.0;
        let error = noised.extended(&own).unwrap_err().to_string();
        assert!(error.contains("noise"), "{error}");
        assert!(study(vec![score(), score()]).extended(&own).is_err());
    }

    // A score of one rare allele must not reach an analysis that takes any variable for what it is.
    #[test]
    fn scores_are_terms_of_models_and_nothing_else() {
        let own = Dictionary::parse("d@3", DICTIONARY).unwrap();
        let outcome = |change: &dyn Fn(&mut Study)| {
            let mut study = study(vec![score()]);
            change(&mut study);
            study.extended(&own).map_err(|it| it.to_string())
        };
        let formula = |study: &mut Study, kind: &str, text: &str| {
            study.analysis[0].kind = kind.to_owned();
            study.analysis[0].formula = Some(text.to_owned());
        };
        for (kind, text) in [
            ("lm", "age ~ prs"),
            ("glm", "died ~ ns(prs, 3) + age"),
            ("cox", "Surv(months, died) ~ prs:arm"),
            ("leave_out", "died ~ I(prs^2)"),
            ("roc", "prs2 ~ died"),
        ] {
            assert!(outcome(&|it| formula(it, kind, text)).is_ok(), "{text}");
        }
        for (kind, text) in [
            ("lm", "prs ~ age"),
            ("roc", "prs ~ died"),
            ("t_test", "age ~ prs"),
            ("gwas", "age ~ prs"),
            ("glm", "I(PRS > 1) ~ age"),
        ] {
            let error = outcome(&|it| formula(it, kind, text)).unwrap_err();
            assert!(error.contains("can only be a term"), "{text}: {error}");
        }
        let variables = |it: &mut Study| it.analysis[0].variables = vec!["prs".to_owned()];
        assert!(outcome(&variables).unwrap_err().contains("can only be a term"));
        let weights = |it: &mut Study| it.analysis[0].weights = Some("prs".to_owned());
        assert!(outcome(&weights).unwrap_err().contains("can only be a term"));
        let condition = |it: &mut Study| it.cohort.condition = "age > 5 and Prs > 1".to_owned();
        assert!(outcome(&condition).unwrap_err().contains("cohort's condition"));
    }
}
