//! Permits: what a health data access body allows whom, from when to when (EHDS, Art. 53, 54, 68).

use crate::duo::UseTerms;
use crate::signing::Signed;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Domain of the signature under a permit.
pub const PERMIT: &str = "permit";

/// Purposes of secondary use that Art. 53(1) allows: code, paragraph, words.
const ALLOWED: [(Purpose, &str, &str, &str); 8] = [
    (
        Purpose::PublicHealth,
        "public-health",
        "53(1)(a)",
        "public or occupational health, such as surveillance and safety of care",
    ),
    (Purpose::Policy, "policy-making", "53(1)(b)", "policy making and regulation by public bodies"),
    (Purpose::Statistics, "statistics", "53(1)(c)", "official statistics"),
    (Purpose::Education, "education", "53(1)(d)", "teaching in health and care"),
    (
        Purpose::Research,
        "scientific-research",
        "53(1)(e)",
        "scientific research on health and care",
    ),
    (
        Purpose::Development,
        "development",
        "53(1)(e)(i)",
        "development of products and services for health",
    ),
    (
        Purpose::Algorithms,
        "algorithms",
        "53(1)(e)(ii)",
        "training and testing of algorithms for health",
    ),
    (Purpose::Care, "better-care", "53(1)(f)", "better treatment and care from the data of others"),
];

/// Purposes that Art. 54 prohibits: code, paragraph, words.
const PROHIBITED: [(&str, &str, &str); 5] = [
    ("detriment", "54(a)", "decisions to the detriment of a person or group"),
    ("insurance", "54(b)", "job offers, insurance, credit and other terms for persons"),
    ("marketing", "54(c)", "advertising or marketing"),
    ("harmful-products", "54(d)", "products that harm people or society"),
    ("unethical", "54(e)", "what national ethical rules forbid"),
];

/// A purpose of secondary use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Purpose {
    /// Public or occupational health.
    PublicHealth,
    /// Policy making and regulation.
    Policy,
    /// Official statistics.
    Statistics,
    /// Teaching.
    Education,
    /// Scientific research.
    Research,
    /// Development of products and services.
    Development,
    /// Training and testing of algorithms.
    Algorithms,
    /// Better treatment.
    Care,
}

impl Purpose {
    fn entry(self) -> (&'static str, &'static str, &'static str) {
        let found = ALLOWED.iter().find(|it| it.0 == self);
        found.map_or(("", "", ""), |(_, code, article, words)| (code, article, words))
    }

    /// Its code, as permits and policies write it.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.entry().0
    }

    /// What it means, with its place in the law.
    #[must_use]
    pub fn words(self) -> String {
        let (_, article, words) = self.entry();
        format!("{words} (EHDS Art. {article})")
    }
}

/// The words of a purpose that Art. 54 prohibits; `None` for any other text.
#[must_use]
pub(crate) fn prohibited(purpose: &str) -> Option<String> {
    let found = PROHIBITED.iter().find(|(code, ..)| *code == purpose)?;
    let (code, article, words) = found;
    Some(format!("purpose `{code}` is prohibited: {words} (EHDS Art. {article})"))
}

impl FromStr for Purpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(what) = prohibited(text) {
            return Err(what);
        }
        let found = ALLOWED.iter().find(|it| it.1 == text);
        found.map(|it| it.0).ok_or_else(|| {
            let codes = ALLOWED.map(|it| it.1);
            let hint = konsil_cohort::suggest(text, codes);
            let hint = hint.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
            format!("no purpose `{text}`{hint} (there are {})", codes.join(", "))
        })
    }
}

impl TryFrom<String> for Purpose {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.code().to_owned()
    }
}

/// In which form data may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Only as statistics.
    Statistical,
    /// Also record by record, under pseudonyms. Konsil gives out statistics all the same.
    Pseudonymised,
}

/// What a health data access body permits. Its signer is the issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permit {
    /// Its number at the body.
    pub id: String,
    /// Name of the body.
    pub body: String,
    /// What for.
    pub purpose: Purpose,
    /// Which use of the data it claims.
    #[serde(default)]
    pub terms: UseTerms,
    /// Keys of the researchers who may act under it.
    pub persons: Vec<String>,
    /// Centres whose data it covers.
    pub centres: Vec<String>,
    /// First day.
    pub valid_from: Date,
    /// Last day.
    pub valid_to: Date,
    /// In which form.
    pub format: Format,
}

/// When a permit is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A study arrives.
    Submit,
    /// A run begins.
    Start,
    /// Results are about to be sealed.
    Release,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Submit => "submit",
            Self::Start => "start",
            Self::Release => "release",
        })
    }
}

/// Why a permit does not allow something, and when that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermitFault {
    /// When.
    pub at: Moment,
    /// Why.
    pub why: PermitFlaw,
}

/// What is wrong with a permit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PermitFlaw {
    /// The centre wants one and there is none.
    None,
    /// The signature is wrong, or the centre doesn't trust its key.
    Issuer(String),
    /// Not valid yet.
    NotYet(String, Date),
    /// No longer valid.
    Ended(String, Date),
    /// The researcher is not named in it.
    Person(String),
    /// The centre is not named in it.
    Centre(String),
}

impl fmt::Display for PermitFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {}: ", self.at)?;
        match &self.why {
            PermitFlaw::None => f.write_str(
                "this centre needs a permit; send one with  konsil submit --permit FILE",
            ),
            PermitFlaw::Issuer(id) => {
                write!(f, "permit `{id}` is not signed by a body that this centre trusts")
            }
            PermitFlaw::NotYet(id, day) => write!(f, "permit `{id}` begins on {day}"),
            PermitFlaw::Ended(id, day) => {
                write!(f, "permit `{id}` ended on {day}; have it renewed and submit again")
            }
            PermitFlaw::Person(id) => write!(f, "permit `{id}` does not name this researcher"),
            PermitFlaw::Centre(id) => write!(f, "permit `{id}` does not name this centre"),
        }
    }
}

/// Who uses a permit, where, and on which day.
#[derive(Clone, Copy, Debug)]
pub struct PermitUse<'a> {
    /// Key of the researcher.
    pub researcher: &'a str,
    /// The centre.
    pub centre: &'a str,
    /// The day, in UTC.
    pub today: Date,
    /// Keys of the bodies that the centre trusts.
    pub issuers: &'a [String],
}

impl Permit {
    /// Checks a signed permit at a moment of a study's life.
    ///
    /// # Errors
    /// [`PermitFault`].
    pub fn check<'a>(
        signed: &'a Signed<Self>,
        at: Moment,
        by: &PermitUse<'_>,
    ) -> Result<&'a Self, PermitFault> {
        let fault = |why: PermitFlaw| PermitFault { at, why };
        let id = || signed.body.id.clone();
        let trusted = by.issuers.contains(&signed.signer);
        let permit = signed.verified(PERMIT).ok().filter(|_| trusted);
        let permit = permit.ok_or_else(|| fault(PermitFlaw::Issuer(id())))?;
        if by.today < permit.valid_from {
            Err(fault(PermitFlaw::NotYet(id(), permit.valid_from)))
        } else if by.today > permit.valid_to {
            Err(fault(PermitFlaw::Ended(id(), permit.valid_to)))
        } else if !permit.persons.iter().any(|it| it == by.researcher) {
            Err(fault(PermitFlaw::Person(id())))
        } else if !permit.centres.iter().any(|it| it == by.centre) {
            Err(fault(PermitFlaw::Centre(id())))
        } else {
            Ok(permit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::to_hex;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use jiff::civil::date;

    fn permit() -> Permit {
        Permit {
            id: "HDAB-7".to_owned(),
            body: "a body".to_owned(),
            purpose: Purpose::Research,
            terms: UseTerms::default(),
            persons: vec!["k1".to_owned()],
            centres: vec!["north".to_owned()],
            valid_from: date(2026, 3, 1),
            valid_to: date(2026, 3, 31),
            format: Format::Statistical,
        }
    }

    // Case 49: each day, person, place and issuer that does not fit is named, at its moment.
    #[test]
    fn a_permit_holds_for_its_days_persons_and_centres() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = to_hex(pair.public_key().as_ref());
        let sign = |message: &[u8]| pair.sign(message).as_ref().try_into().ok();
        let signed = Signed::new(PERMIT, permit(), &key, sign).unwrap();
        let issuers = [key];
        let used = PermitUse {
            researcher: "k1",
            centre: "north",
            today: date(2026, 3, 31),
            issuers: &issuers,
        };
        let why = |by: &PermitUse<'_>| Permit::check(&signed, Moment::Start, by).unwrap_err().why;
        assert!(Permit::check(&signed, Moment::Submit, &used).is_ok());
        let id = "HDAB-7".to_owned();
        let late = PermitUse { today: date(2026, 4, 1), ..used };
        assert_eq!(why(&late), PermitFlaw::Ended(id.clone(), date(2026, 3, 31)));
        let early = PermitUse { today: date(2026, 2, 28), ..used };
        assert_eq!(why(&early), PermitFlaw::NotYet(id.clone(), date(2026, 3, 1)));
        let other = PermitUse { researcher: "k2", ..used };
        assert_eq!(why(&other), PermitFlaw::Person(id.clone()));
        let south = PermitUse { centre: "south", ..used };
        assert_eq!(why(&south), PermitFlaw::Centre(id.clone()));
        let stranger = PermitUse { issuers: &[], ..used };
        assert_eq!(why(&stranger), PermitFlaw::Issuer(id));
        let mut longer = signed.clone();
        longer.body.valid_to = date(2027, 1, 1);
        assert!(Permit::check(&longer, Moment::Start, &late).is_err());
    }

    // Article 54: no permit can be written for these.
    #[test]
    fn prohibited_purposes_are_refused_by_their_paragraph() {
        let text = serde_json::to_string(&permit()).unwrap();
        assert!(text.contains("scientific-research") && text.contains("2026-03-01"));
        let sold = text.replace("scientific-research", "marketing");
        let error = serde_json::from_str::<Permit>(&sold).unwrap_err().to_string();
        assert!(error.contains("prohibited") && error.contains("54(c)"), "{error}");
        assert!("scientific-reserch".parse::<Purpose>().unwrap_err().contains("did you mean"));
        for (purpose, code, ..) in ALLOWED {
            assert_eq!(code.parse(), Ok(purpose));
        }
    }
}
