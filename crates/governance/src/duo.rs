//! Terms of data use: the Data Use Ontology of GA4GH, and whether a request fits a data set.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// Code, words, whether a term follows after a colon.
const CODES: [(&str, &str, bool); 23] = [
    ("NRES", "no restriction", false),
    ("GRU", "general research use", false),
    ("HMB", "health, medical and biomedical research only", false),
    ("DS", "research on one disease only", true),
    ("POA", "research on populations and ancestry only", false),
    ("CC", "clinical care use only", false),
    ("NPOA", "no research on populations and ancestry", false),
    ("NMDS", "no general methods research", false),
    ("GSO", "genetic studies only", false),
    ("NCU", "non-commercial use only", false),
    ("NPU", "not-for-profit organisations only", false),
    ("NPUNCU", "not-for-profit organisations and non-commercial use only", false),
    ("PUB", "results must be published", false),
    ("COL", "collaboration with the data's owners required", false),
    ("IRB", "ethics approval required", false),
    ("RTN", "results must be returned", false),
    ("RS", "another research restriction", true),
    ("GS", "certain places only", true),
    ("IS", "certain institutions only", true),
    ("PS", "one project only", true),
    ("US", "certain users only", true),
    ("MOR", "no publication before a date", true),
    ("TS", "for a limited time", true),
];

/// One condition of use of a data set, such as `NCU` or `DS:MONDO:0004975`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Duo {
    code: &'static str,
    term: String,
}

impl Duo {
    /// The code without its term.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What it means.
    #[must_use]
    pub fn words(&self) -> &'static str {
        CODES.iter().find(|(code, ..)| *code == self.code).map_or("", |(_, words, _)| words)
    }

    /// Whether only a person can tell if a request keeps to it: places, users, times.
    #[must_use]
    pub fn by_hand(&self) -> bool {
        matches!(self.code, "RS" | "GS" | "IS" | "PS" | "US" | "MOR" | "TS")
    }
}

impl FromStr for Duo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (code, term) = text.split_once(':').unwrap_or((text, ""));
        let known = CODES.iter().find(|(it, ..)| it.eq_ignore_ascii_case(code));
        let Some((code, _, needs_term)) = known else {
            let hint = konsil_cohort::suggest(code, CODES.iter().map(|(it, ..)| *it));
            let hint = hint.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
            return Err(format!("no data use code `{code}`{hint}"));
        };
        if *needs_term == term.is_empty() {
            let what = if *needs_term { "needs a term, as in" } else { "takes no term:" };
            return Err(format!(
                "data use code {code} {what} `{code}{}`",
                if *needs_term { ":…" } else { "" }
            ));
        }
        Ok(Self { code, term: term.to_owned() })
    }
}

impl<'de> Deserialize<'de> for Duo {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

impl From<Duo> for String {
    fn from(duo: Duo) -> Self {
        duo.to_string()
    }
}

impl fmt::Display for Duo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)?;
        if self.term.is_empty() { Ok(()) } else { write!(f, ":{}", self.term) }
    }
}

/// What a request says about its use of the data. What is not said is taken for the worst.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UseTerms {
    /// `GRU`, `HMB`, `DS:<disease>`, `POA`, `CC` or `methods`; empty when not said.
    pub research: String,
    /// Whether the use is commercial.
    pub commercial: Option<bool>,
    /// Whether the organisation makes profit.
    pub for_profit: Option<bool>,
    /// Whether it is a genetic study.
    pub genetic: bool,
    /// Whether results will be published.
    pub publishes: bool,
    /// Whether the data's owners take part.
    pub collaborates: bool,
    /// Whether results are given back.
    pub returns: bool,
    /// Number of the ethics vote.
    pub ethics: String,
}

/// A request that does not fit, as a pair: what it claims, and the data set's code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuoMismatch {
    /// What the request claims, or lacks.
    pub claim: String,
    /// The data set's code.
    pub code: String,
}

impl fmt::Display for DuoMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.code.split('|').filter_map(|it| it.parse::<Duo>().ok());
        let words: Vec<&str> = words.map(|it| it.words()).collect();
        write!(
            f,
            "request `{}` on data `{}` ({}); ask for a permit with other terms, or run without this centre",
            self.claim,
            self.code,
            words.join(" or ")
        )
    }
}

/// Whether a request fits the conditions of a data set.
///
/// # Errors
/// [`DuoMismatch`], the first pair that does not fit.
pub fn duo_match(request: &UseTerms, dataset: &[Duo]) -> Result<(), DuoMismatch> {
    let mismatch = |claim: &str, code: String| {
        let claim = if claim.is_empty() { "research not stated" } else { claim };
        Err(DuoMismatch { claim: claim.to_owned(), code })
    };
    let is_permission = |it: &&Duo| matches!(it.code, "NRES" | "GRU" | "HMB" | "DS" | "POA" | "CC");
    let permissions: Vec<&Duo> = dataset.iter().filter(is_permission).collect();
    if !permissions.is_empty() && !permissions.iter().any(|it| permits(it, &request.research)) {
        let codes: Vec<String> = permissions.iter().map(ToString::to_string).collect();
        return mismatch(&request.research, codes.join("|"));
    }
    for duo in dataset {
        if let Some(claim) = breaks(duo, request) {
            return mismatch(claim, duo.to_string());
        }
    }
    Ok(())
}

fn permits(permission: &Duo, research: &str) -> bool {
    let disease = research.get(..3).is_some_and(|it| it.eq_ignore_ascii_case("DS:"));
    match permission.code {
        "NRES" => true,
        "GRU" => !research.eq_ignore_ascii_case("CC"),
        "HMB" => disease || research.eq_ignore_ascii_case("HMB"),
        _ => research.eq_ignore_ascii_case(&permission.to_string()),
    }
}

/// What of a request breaks a modifier.
fn breaks<'a>(duo: &Duo, request: &'a UseTerms) -> Option<&'a str> {
    let stated = |yes: Option<bool>, claim: &'static str, unstated: &'static str| match yes {
        Some(true) => Some(claim),
        Some(false) => None,
        None => Some(unstated),
    };
    let commercial = || stated(request.commercial, "commercial", "commercial use not ruled out");
    let profit = || stated(request.for_profit, "for profit", "profit not ruled out");
    let lacking = |has: bool, claim: &'static str| (!has).then_some(claim);
    match duo.code {
        "NCU" => commercial(),
        "NPU" => profit(),
        "NPUNCU" => commercial().or_else(profit),
        "NPOA" => request.research.eq_ignore_ascii_case("POA").then_some("POA"),
        "NMDS" => request.research.eq_ignore_ascii_case("methods").then_some("methods"),
        "GSO" => lacking(request.genetic, "no genetic study"),
        "PUB" => lacking(request.publishes, "no publication"),
        "COL" => lacking(request.collaborates, "no collaboration"),
        "IRB" => lacking(!request.ethics.is_empty(), "no ethics vote"),
        "RTN" => lacking(request.returns, "results not returned"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matched(request: &UseTerms, codes: &[&str]) -> Result<(), (String, String)> {
        let codes: Vec<Duo> = codes.iter().map(|it| it.parse().unwrap()).collect();
        duo_match(request, &codes).map_err(|it| (it.claim, it.code))
    }

    // Case 53: what is not stated is no permission.
    #[test]
    fn terms_fit_or_give_the_pair() {
        let pair = |claim: &str, code: &str| Err((claim.to_owned(), code.to_owned()));
        let fair = UseTerms {
            research: "DS:MONDO:0004975".to_owned(),
            commercial: Some(false),
            for_profit: Some(false),
            ..UseTerms::default()
        };
        assert_eq!(matched(&fair, &["HMB", "NPUNCU"]), Ok(()));
        assert_eq!(matched(&fair, &["DS:mondo:0004975"]), Ok(()));
        assert_eq!(matched(&fair, &["DS:MONDO:1", "HMB"]), Ok(()));
        assert_eq!(matched(&fair, &["DS:MONDO:1"]), pair("DS:MONDO:0004975", "DS:MONDO:1"));
        assert_eq!(matched(&fair, &["GRU", "IRB"]), pair("no ethics vote", "IRB"));
        let sells = UseTerms { commercial: Some(true), ..fair };
        assert_eq!(matched(&sells, &["GRU", "NCU"]), pair("commercial", "NCU"));
        assert_eq!(matched(&sells, &["GRU"]), Ok(()));
        let silent = UseTerms::default();
        assert_eq!(matched(&silent, &["NCU"]), pair("commercial use not ruled out", "NCU"));
        assert_eq!(matched(&silent, &["HMB"]), pair("research not stated", "HMB"));
        assert_eq!(matched(&silent, &[]), Ok(()));
        assert!("NCO".parse::<Duo>().unwrap_err().contains("NCU"));
        assert!("DS".parse::<Duo>().is_err() && "NCU:x".parse::<Duo>().is_err());
    }
}
