//! The automatic checks of a request against a centre's policy.

use crate::duo::{UseTerms, duo_match};
use crate::permit::{Moment, Permit, PermitFault, PermitFlaw, PermitUse, prohibited};
use crate::policy::CentrePolicy;
use crate::refusal::Refusal;
use crate::signing::Signed;
use crate::study::Study;
use konsil_cohort::{Dictionary, Predicate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One line of what was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Whether a steward need not look at it.
    pub ok: bool,
    /// What was found.
    pub text: String,
}

impl Check {
    /// A line that is in order.
    fn fine(text: impl Into<String>) -> Self {
        Self { ok: true, text: text.into() }
    }

    /// A line for a person to judge.
    fn look(text: impl Into<String>) -> Self {
        Self { ok: false, text: text.into() }
    }
}

/// What is asked, by whom, and what this centre has.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The study.
    pub study: &'a Study,
    /// Its permit.
    pub permit: Option<&'a Signed<Permit>>,
    /// Researcher, centre, day, trusted issuers.
    pub by: PermitUse<'a>,
    /// The dictionary of the centre's data set.
    pub dictionary: &'a Dictionary,
    /// Versions of it that the centre has accepted by proposal, each with its hash; empty where it has
    /// accepted none, and the one of the data set counts.
    pub accepted: &'a BTreeMap<u32, String>,
    /// Columns that the centre has imported.
    pub columns: &'a [String],
}

/// The purpose of a request: the permit's, or else what the study says of itself.
#[must_use]
pub fn purpose_of<'a>(study: &'a Study, permit: Option<&Signed<Permit>>) -> &'a str {
    permit.map_or(study.study.purpose.as_str(), |it| it.body.purpose.code())
}

/// Checks everything of a request that a policy can judge by itself.
///
/// # Errors
/// The first [`Refusal`].
pub fn judge(policy: &CentrePolicy, asked: &Asked<'_>) -> Result<Vec<Check>, Refusal> {
    Ok([
        analyses(policy, asked.study)?,
        permit(policy, asked)?,
        purpose(policy, asked)?,
        terms(policy, asked)?,
        dictionary(asked)?,
        offered(asked)?,
        ethics(asked.study),
    ]
    .into_iter()
    .chain(asked.study.score.iter().map(|it| Check::look(it.understood())))
    .collect())
}

fn analyses(policy: &CentrePolicy, study: &Study) -> Result<Check, Refusal> {
    let allowed = |kind: &String| policy.analyses.is_empty() || policy.analyses.contains(kind);
    match study.analysis.iter().find(|it| !allowed(&it.kind)) {
        Some(other) => {
            Err(Refusal::Analysis { kind: other.kind.clone(), allowed: policy.analyses.join(", ") })
        }
        None => Ok(Check::fine("all analyses are allowed here")),
    }
}

fn permit(policy: &CentrePolicy, asked: &Asked<'_>) -> Result<Check, Refusal> {
    match asked.permit {
        Some(signed) => {
            let permit =
                Permit::check(signed, Moment::Submit, &asked.by).map_err(Refusal::Permit)?;
            Ok(Check::fine(format!(
                "permit {} of {}, {} to {}",
                permit.id, permit.body, permit.valid_from, permit.valid_to
            )))
        }
        None if policy.needs_permit => {
            Err(Refusal::Permit(PermitFault { at: Moment::Submit, why: PermitFlaw::None }))
        }
        None => Ok(Check::fine("no permit; this centre needs none")),
    }
}

fn purpose(policy: &CentrePolicy, asked: &Asked<'_>) -> Result<Check, Refusal> {
    let purpose = purpose_of(asked.study, asked.permit);
    if let Some(what) = prohibited(purpose).or_else(|| prohibited(&asked.study.study.purpose)) {
        return Err(Refusal::Purpose(what));
    }
    if !policy.purposes.is_empty() && !policy.purposes.iter().any(|it| it == purpose) {
        let said = if purpose.is_empty() {
            "no purpose is stated".to_owned()
        } else {
            format!("`{purpose}`")
        };
        let allowed = policy.purposes.join(", ");
        return Err(Refusal::Purpose(format!(
            "{said}; this centre allows {allowed}; state it as `purpose` in [study] or in the permit"
        )));
    }
    Ok(match (purpose, asked.permit) {
        ("", _) => Check::look("the study states no purpose"),
        (purpose, Some(_)) => Check::fine(format!("purpose {purpose}, by the permit")),
        (purpose, None) => Check::fine(format!("purpose {purpose}, by the study's own word")),
    })
}

fn terms(policy: &CentrePolicy, asked: &Asked<'_>) -> Result<Check, Refusal> {
    let own = UseTerms { ethics: asked.study.study.ethics.clone(), ..UseTerms::default() };
    let terms = asked.permit.map_or(&own, |it| &it.body.terms);
    duo_match(terms, &policy.duo).map_err(Refusal::Duo)?;
    let by_hand = policy.duo.iter().filter(|it| it.by_hand());
    let by_hand: Vec<String> = by_hand.map(|it| format!("{it} ({})", it.words())).collect();
    if !by_hand.is_empty() {
        let what = format!("data use {}: please judge yourself", by_hand.join(", "));
        return Ok(Check::look(what));
    }
    let codes: Vec<String> = policy.duo.iter().map(ToString::to_string).collect();
    Ok(Check::fine(match codes.as_slice() {
        [] => "the data set has no data use codes".to_owned(),
        codes => format!("data use {} is kept", codes.join(" ")),
    }))
}

fn dictionary(asked: &Asked<'_>) -> Result<Check, Refusal> {
    let own = format!("{}@{}", asked.dictionary.name, asked.dictionary.version);
    let wanted = &asked.study.study.dictionary;
    if !wanted.is_empty() && *wanted != own {
        return Err(Refusal::Dictionary(format!(
            "the study is for {wanted}, this centre's data set was imported under {own}"
        )));
    }
    let version = asked.accepted.get(&asked.dictionary.version);
    if !asked.accepted.is_empty() && version != Some(&asked.dictionary.hash()) {
        return Err(Refusal::Dictionary(format!(
            "this centre's data set was imported under {own}, which was not accepted here"
        )));
    }
    Ok(Check::fine(match (version, wanted.as_str()) {
        (Some(_), _) => format!("dictionary {own}, accepted here"),
        (None, "") => format!("dictionary {own}"),
        (None, _) => format!("dictionary {own}, as the study names it"),
    }))
}

fn offered(asked: &Asked<'_>) -> Result<Check, Refusal> {
    let used = variables_used(asked.study, asked.dictionary);
    match used.iter().find(|it| !asked.columns.contains(it)) {
        Some(other) => Err(Refusal::NotOffered(other.clone())),
        None => Ok(Check::fine("all variables are in this centre's data set")),
    }
}

fn ethics(study: &Study) -> Check {
    match study.study.ethics.as_str() {
        "" => Check::look("the study names no ethics vote"),
        number => Check::fine(format!("ethics vote {number}")),
    }
}

/// Variables of the dictionary that a study reads, in the dictionary's order.
#[must_use]
pub fn variables_used(study: &Study, dictionary: &Dictionary) -> Vec<String> {
    let cohort = Predicate::parse(&study.cohort.condition, dictionary);
    let cohort = cohort.map(|it| it.variables_used()).unwrap_or_default();
    let part = |it: char| it.is_alphanumeric() || it == '_' || it == '.';
    let formulas = study.analysis.iter().filter_map(|it| it.formula.as_deref());
    let words = formulas.flat_map(|text| text.split(|it: char| !part(it)));
    let listed = study.analysis.iter().flat_map(|it| it.variables.iter().chain(&it.by));
    let used: Vec<&str> =
        words.chain(listed.map(String::as_str)).chain(cohort.iter().map(String::as_str)).collect();
    let names = dictionary.variables.iter().map(|it| &it.name);
    names.filter(|name| used.contains(&name.as_str())).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const DICTIONARY: &str = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
        pid,,category,,,,,,,,identifier,\nage,,integer,a,,18,110,,,,quasi,\narm,,category,,old|new,,,,,,clinical,\n";

    // What a centre does not allow or have is refused by its name, the rest is listed.
    #[test]
    fn a_request_is_judged_line_by_line() {
        let text = "[study]\nid = \"s\"\npurpose = \"statistics\"\n[cohort]\nwhere = \"age > 20\"\n\
            [[analysis]]\nkind = \"table1\"\nby = \"arm\"\nvariables = [\"age\"]\n";
        let study = Study::parse(text).unwrap();
        let dictionary = Dictionary::parse("d", DICTIONARY).unwrap();
        assert_eq!(variables_used(&study, &dictionary), ["age", "arm"]);
        let columns = ["age".to_owned(), "arm".to_owned()];
        let by =
            PermitUse { researcher: "k", centre: "north", today: date(2026, 1, 1), issuers: &[] };
        let (dictionary, columns, accepted) = (&dictionary, &columns[..], &BTreeMap::new());
        let asked = Asked { study: &study, permit: None, by, dictionary, accepted, columns };
        let code = |change: &dyn Fn(&mut CentrePolicy)| {
            let mut policy = CentrePolicy::default();
            change(&mut policy);
            judge(&policy, &asked)
                .map(|it| it.iter().filter(|it| it.ok).count())
                .map_err(|it| it.code())
        };
        assert_eq!(code(&|_| {}), Ok(6), "only the ethics vote is left for a person");
        assert_eq!(code(&|it| it.analyses = vec!["km".to_owned()]), Err("K0623"));
        assert_eq!(code(&|it| it.purposes = vec!["education".to_owned()]), Err("K0622"));
        assert_eq!(code(&|it| it.needs_permit = true), Err("K0620"));
        assert_eq!(code(&|it| it.duo = vec!["HMB".parse().unwrap()]), Err("K0621"));
        assert_eq!(code(&|it| it.duo = vec!["GS:DE".parse().unwrap()]), Ok(5));
        let fewer = Asked { columns: &columns[..1], ..asked };
        assert_eq!(judge(&CentrePolicy::default(), &fewer).unwrap_err().code(), "K0626");
        // the version that the study names, and those that the centre has accepted
        let named = |name: &str| {
            let head = format!("id = \"s\"\ndictionary = \"{name}\"");
            Study::parse(&text.replace("id = \"s\"", &head)).unwrap()
        };
        let hash = dictionary.hash();
        for (name, accepted, wanted) in [
            ("d@1", vec![], None),
            ("d@2", vec![], Some("K0628")),
            ("e@1", vec![], Some("K0628")),
            ("d@1", vec![(1, hash.clone())], None),
            ("d@1", vec![(1, hash.clone()), (2, "x".to_owned())], None),
            ("d@1", vec![(1, "x".to_owned())], Some("K0628")),
            ("d@1", vec![(2, hash)], Some("K0628")),
        ] {
            let (study, accepted) = (named(name), BTreeMap::from_iter(accepted));
            let asked = Asked { study: &study, accepted: &accepted, ..asked };
            let refused = judge(&CentrePolicy::default(), &asked).err();
            assert_eq!(refused.map(|it| it.code()), wanted, "{name} {accepted:?}");
        }
        let sold = Study::parse(&text.replace("statistics", "marketing")).unwrap();
        let sold = Asked { study: &sold, ..asked };
        assert_eq!(judge(&CentrePolicy::default(), &sold).unwrap_err().code(), "K0622");
    }
}
