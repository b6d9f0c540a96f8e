//! `konsil prs evaluate`: a score, judged over all centres in one study. It is a variable that they keep,
//! or a scoring file that the study brings.
//!
//! Every model is of the same patients: those who have a score. An event is judged by a logistic model,
//! and by `leave_out`, each centre's patients by the model of the others: area under the ROC curve,
//! calibration, Brier score, with the covariates and without the score. A number is judged by two linear
//! models, whose R² tell what the score adds.

use crate::arguments::NetworkOptions;
use crate::failure::Failure;
use crate::panels;
use crate::prs::brought;
use crate::results::Place;
use crate::screen::Screen;
use crate::study::{self, connect};
use clap::Args;
use konsil_analyses::{Request, prepare};
use konsil_cohort::{Dictionary, Kind};
use konsil_governance::{Centres, Cohort, ReleaseRules, Study, StudyHead, StudyScore};
use konsil_node::{NodeError, write_toml};
use std::path::{Path, PathBuf};

/// Centres from which each can be judged by the model of the others, of whom there are three then.
const CENTRES_MIN: usize = 4;

/// Options of `konsil prs evaluate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EvaluateOptions {
    /// A scoring file of the PGS Catalog, with --panel; or the variable in which the centres keep the
    /// score, as `konsil prs apply` does.
    score: String,
    /// What the score should tell: an event (a boolean, or 0 and 1), or a number.
    outcome: String,
    /// The network's list of variants: the score is a file, which each centre applies at home.
    #[arg(long, value_name = "TSV")]
    panel: Option<PathBuf>,
    /// What the variable of the score is called, with --panel.
    #[arg(long, default_value = "prs", requires = "panel", value_name = "NAME")]
    name: String,
    /// Covariates that the score is compared with and added to.
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    covar: Vec<String>,
    /// Condition that patients must meet, in SQL, such as that they were not in the scan.
    #[arg(long, value_name = "WHERE")]
    cohort: Option<String>,
    #[command(flatten)]
    network: NetworkOptions,
    /// Folder for the results.
    #[arg(short, long, default_value = "results")]
    out: PathBuf,
    /// Only show the plan.
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Write the study to this file instead, for  konsil submit.
    #[arg(long, value_name = "TOML", conflicts_with = "dry_run")]
    study: Option<PathBuf>,
}

pub(super) fn evaluate(options: &EvaluateOptions, screen: &Screen) -> Result<(), Failure> {
    let researcher = connect(&options.network.network)?;
    let centres = researcher.descriptions().len();
    let (options, brought) = &bring(options, screen)?;
    let study = study_of(options, brought.clone(), (researcher.dictionary(), centres))?;
    drop(researcher);
    if !study.analysis.iter().any(|it| it.kind != "glm") {
        screen.note(
            "! with fewer than four centres there is no leave_out; roc judges a score that the centres \
             keep as a variable of few decimals (konsil prs apply)",
        );
    }
    if let Some(file) = &options.study {
        if file.exists() {
            let what = format!("{} exists; choose another name or remove it", file.display());
            return Err(Failure::usage(what));
        }
        write_toml(file, &study)?;
        screen.note(&format!("✓ {}  {} analyses", file.display(), study.analysis.len()));
        return Ok(());
    }
    study::run_made(study, &options.network, (Place::new(&options.out), options.dry_run), screen)
}

/// Reads a scoring file, if one is named; its variable then stands in its place.
fn bring(
    options: &EvaluateOptions,
    screen: &Screen,
) -> Result<(EvaluateOptions, Vec<StudyScore>), Failure> {
    let Some(panel) = &options.panel else { return Ok((options.clone(), Vec::new())) };
    let panel = panels::read(panel)?;
    let (score, matched) = brought::read(&options.name, Path::new(&options.score), &panel)?;
    brought::say((&score, &matched), screen);
    Ok((EvaluateOptions { score: options.name.clone(), ..options.clone() }, vec![score]))
}

/// The study that judges a score.
fn study_of(
    options: &EvaluateOptions,
    brought: Vec<StudyScore>,
    (dictionary, centres): (&Dictionary, usize),
) -> Result<Study, Failure> {
    let EvaluateOptions { score, outcome, .. } = options;
    let head = StudyHead {
        id: "prs-evaluate".to_owned(),
        title: format!("How well {score} tells {outcome}"),
        purpose: String::new(),
        ethics: String::new(),
        dictionary: String::new(),
        centres: Centres::default(),
        min_centres: None,
    };
    let (cohort, release) = (Cohort::default(), ReleaseRules::default());
    let is_brought = !brought.is_empty();
    let mut study = Study { study: head, cohort, analysis: Vec::new(), release, score: brought };
    let extended = study.extended(dictionary).map_err(NodeError::from)?;
    let dictionary = extended.as_ref().unwrap_or(dictionary);
    let is_event = is_event(options, dictionary)?;
    let mut analysis = models(options, (is_event, centres >= CENTRES_MIN));
    let roc = Request {
        id: "roc-score".to_owned(),
        kind: "roc".to_owned(),
        formula: Some(format!("{score} ~ {outcome}")),
        ..Request::default()
    };
    // a score with many decimals has too many places on its grid; one that is brought is no marker
    if is_event && !is_brought && prepare(&roc, dictionary).is_ok() {
        analysis.push(roc);
    }
    let own = format!("{score} IS NOT NULL");
    study.cohort.condition = match &options.cohort {
        // who lacks a score that is brought is not part of the study
        more if is_brought => more.clone().unwrap_or_default(),
        Some(more) => format!("({more}) AND {own}"),
        None => own,
    };
    study.analysis = analysis;
    Ok(study)
}

/// Whether the outcome is an event, not a number; refuses what cannot be judged.
fn is_event(options: &EvaluateOptions, dictionary: &Dictionary) -> Result<bool, Failure> {
    let EvaluateOptions { score, outcome, covar, .. } = options;
    let known = |name: &String| {
        let found = dictionary.variable(name).filter(|it| !it.is_identifier());
        found.ok_or_else(|| {
            let what = format!("`{name}` is no variable of the network's dictionary to analyse");
            Failure::coded("K0203", what)
        })
    };
    for name in covar {
        known(name)?;
    }
    let is_number = known(score)?.kind == Kind::Number;
    if !is_number || covar.contains(score) || score == outcome || covar.contains(outcome) {
        let what = format!(
            "`{score}` is no number, or a variable stands twice among score, outcome and covariates"
        );
        return Err(Failure::usage(what));
    }
    let found = known(outcome)?;
    match found.kind {
        Kind::Boolean => Ok(true),
        Kind::Integer => Ok((found.min, found.max) == (Some(0.0), Some(1.0))),
        Kind::Number => Ok(false),
        Kind::Category => Err(Failure::usage(format!(
            "`{outcome}` is a category; a score is judged by an event or a number"
        ))),
    }
}

/// The models that judge a score: alone, the covariates alone, and both.
fn models(options: &EvaluateOptions, (is_event, by_centre): (bool, bool)) -> Vec<Request> {
    let EvaluateOptions { score, outcome, covar, .. } = options;
    let mut all = vec![score.clone()];
    all.extend_from_slice(covar);
    let models =
        [("score", score.clone()), ("covariates", covar.join(" + ")), ("both", all.join(" + "))];
    let mut analysis = Vec::new();
    for (name, right) in models.iter().filter(|it| !covar.is_empty() || it.0 == "score") {
        let request = |kind: &str, family: Option<&str>| Request {
            id: format!("{kind}-{name}"),
            kind: kind.to_owned(),
            formula: Some(format!("{outcome} ~ {right}")),
            family: family.map(str::to_owned),
            ..Request::default()
        };
        match is_event {
            false => analysis.push(request("lm", None)),
            true => {
                // the covariates' coefficients without the score are of no interest here
                if *name != "covariates" {
                    analysis.push(request("glm", Some("binomial")));
                }
                if by_centre {
                    analysis.push(request("leave_out", None));
                }
            }
        }
    }
    analysis
}

#[cfg(test)]
mod tests {
    use super::*;

    const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
pid,Patient,category,,,,,,,,identifier,
age,Age,integer,a,,18,110,,,,quasi,
arm,Arm,category,,old|new,,,,,,clinical,
died,Died,integer,,,0,1,,,,clinical,
ill,Ill,boolean,,,,,,,,clinical,
ldl,LDL,number,,,0,12,2,,,clinical,
prs,Score,number,,,-5,5,1,,,clinical,
fine,Score,number,,,-5,5,9,,,clinical,
";

    fn made_of(words: &[&str], centres: usize) -> Result<Study, Failure> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: EvaluateOptions,
        }
        let line: Line = clap::Parser::parse_from([&["evaluate"][..], words].concat());
        study_of(
            &line.options,
            Vec::new(),
            (&Dictionary::parse("test@1", DICTIONARY).unwrap(), centres),
        )
    }

    fn made(words: &[&str]) -> Result<Study, Failure> {
        made_of(words, 4)
    }

    fn ids(words: &[&str]) -> Vec<String> {
        made(words).unwrap().analysis.into_iter().map(|it| it.id).collect()
    }

    #[test]
    fn events_and_numbers_have_their_models() {
        assert_eq!(ids(&["prs", "died"]), ["glm-score", "leave_out-score", "roc-score"]);
        assert_eq!(ids(&["fine", "ill"]), ["glm-score", "leave_out-score"]);
        let few = made_of(&["prs", "died", "--covar", "age"], 3).unwrap();
        let few: Vec<String> = few.analysis.into_iter().map(|it| it.id).collect();
        assert_eq!(few, ["glm-score", "glm-both", "roc-score"]);
        let both =
            ["glm-score", "leave_out-score", "leave_out-covariates", "glm-both", "leave_out-both"];
        assert_eq!(ids(&["fine", "ill", "--covar", "age,arm"]), both);
        assert_eq!(ids(&["prs", "ldl"]), ["lm-score"]);
        let study = made(&["prs", "ldl", "--covar", "age", "--cohort", "age > 50 OR ill"]).unwrap();
        assert_eq!(study.cohort.condition, "(age > 50 OR ill) AND prs IS NOT NULL");
        let formulas: Vec<&str> =
            study.analysis.iter().filter_map(|it| it.formula.as_deref()).collect();
        assert_eq!(formulas, ["ldl ~ prs", "ldl ~ age", "ldl ~ prs + age"]);
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for (words, code, text) in [
            (&["prz", "died"][..], "K0203", "`prz`"),
            (&["prs", "dead"], "K0203", "`dead`"),
            (&["prs", "pid"], "K0203", "`pid`"),
            (&["prs", "died", "--covar", "agee"], "K0203", "`agee`"),
            (&["arm", "died"], "K0801", "is no number"),
            (&["prs", "prs"], "K0801", "is no number"),
            (&["prs", "died", "--covar", "prs"], "K0801", "stands twice"),
            (&["prs", "died", "--covar", "age,died"], "K0801", "stands twice"),
            (&["prs", "arm"], "K0801", "is a category"),
        ] {
            let failure = made(words).unwrap_err();
            assert_eq!(failure.code, code);
            assert!(failure.text.contains(text), "{}", failure.text);
        }
    }
}
