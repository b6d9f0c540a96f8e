//! The options of analyses: one list, from which commands, help and checks follow.

use crate::analysis::{AnalysisError, Request};
use crate::registry::Entry;
use serde_json::Value;

/// What an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// A word.
    Text,
    /// A whole number.
    Whole,
    /// A number.
    Number,
    /// Numbers, separated by commas on the command line.
    Numbers,
    /// Words, separated by commas on the command line.
    Words,
    /// Nothing: it is on or off.
    Nothing,
}

/// One option: a field of [`Request`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its name in study files; on the command line with `-` for `_`.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// What it is for, one line.
    pub help: &'static str,
}

/// All options, by name. Every field of [`Request`] but `id`, `kind`, `formula` and `variables` is
/// one.
pub const OPTIONS: &[Choice] = &[
    Choice {
        name: "alpha",
        takes: Takes::Number,
        help: "mixture of penalties, from 0 for ridge to 1 for lasso",
    },
    Choice {
        name: "among",
        takes: Takes::Text,
        help: "a file with the names of the variants that take part; all of the panel unless given",
    },
    Choice {
        name: "axes",
        takes: Takes::Whole,
        help: "principal axes of the genotypes that are covariates too, 0 to 10",
    },
    Choice {
        name: "background",
        takes: Takes::Number,
        help: "test each chromosome against the others' ridge regression, at this heritability",
    },
    Choice {
        name: "baseline",
        takes: Takes::Nothing,
        help: "show the baseline's cumulative hazard",
    },
    Choice {
        name: "below",
        takes: Takes::Number,
        help: "largest p value of a hit, 1e-4 unless given",
    },
    Choice { name: "bins", takes: Takes::Whole, help: "bins of a histogram, 20 unless given" },
    Choice { name: "by", takes: Takes::Text, help: "groups to compare: a variable with levels" },
    Choice {
        name: "center",
        takes: Takes::Text,
        help: "where distances are measured from: median or mean",
    },
    Choice {
        name: "chromosomes",
        takes: Takes::Numbers,
        help: "first variants of the chromosomes; follow from the panel's file",
    },
    Choice {
        name: "cluster",
        takes: Takes::Text,
        help: "what makes patients belong together: a variable, within each centre, or centre",
    },
    Choice {
        name: "coding",
        takes: Takes::Text,
        help: "how genotypes count: additive, dominant or recessive",
    },
    Choice {
        name: "coefficients",
        takes: Takes::Numbers,
        help: "the coefficients of a fitted model, in the order of its table",
    },
    Choice {
        name: "concordance",
        takes: Takes::Nothing,
        help: "compare pairs of patients: Harrell's concordance",
    },
    Choice {
        name: "condition",
        takes: Takes::Words,
        help: "variants of the panel that are covariates too",
    },
    Choice {
        name: "condition_at",
        takes: Takes::Numbers,
        help: "their numbers in the panel; follow from the panel's file",
    },
    Choice {
        name: "conf_type",
        takes: Takes::Text,
        help: "scale of a curve's limits: log, log-log or plain",
    },
    Choice {
        name: "correct",
        takes: Takes::Text,
        help: "test hits of an event once more: by spa, the saddle point, or firth",
    },
    Choice {
        name: "corstr",
        takes: Takes::Text,
        help: "how patients of a cluster are correlated: exchangeable or independence",
    },
    Choice {
        name: "cutoffs",
        takes: Takes::Numbers,
        help: "values of a marker from which on it means a case",
    },
    Choice {
        name: "cycles",
        takes: Takes::Whole,
        help: "how often each incomplete variable is imputed anew",
    },
    Choice {
        name: "dist",
        takes: Takes::Text,
        help: "distribution of times: weibull or exponential",
    },
    Choice {
        name: "doses",
        takes: Takes::Nothing,
        help: "count doses where genotypes were imputed, not the nearest genotypes",
    },
    Choice { name: "family", takes: Takes::Text, help: "distribution of the response" },
    Choice { name: "folds", takes: Takes::Whole, help: "folds of cross-validation" },
    Choice {
        name: "hits_max",
        takes: Takes::Whole,
        help: "most hits that are tested once more, 500 unless given",
    },
    Choice {
        name: "hwe",
        takes: Takes::Number,
        help: "smallest p value of Hardy-Weinberg proportions of a variant that is tested",
    },
    Choice { name: "imputations", takes: Takes::Whole, help: "how many completed sets to make" },
    Choice {
        name: "incomplete",
        takes: Takes::Words,
        help: "covariates whose missing values are imputed",
    },
    Choice {
        name: "iterations",
        takes: Takes::Whole,
        help: "Newton steps, fixed beforehand so that the duration tells nothing",
    },
    Choice { name: "k", takes: Takes::Whole, help: "how many clusters to form" },
    Choice {
        name: "kinship",
        takes: Takes::Number,
        help: "smallest kinship of relatives: 0.354 twins, 0.177 first degree, 0.0884 second, unless given",
    },
    Choice {
        name: "lambda",
        takes: Takes::Number,
        help: "the only penalty, instead of many to choose from",
    },
    Choice {
        name: "link",
        takes: Takes::Text,
        help: "how the mean depends on the columns: log, inverse, identity",
    },
    Choice {
        name: "maf",
        takes: Takes::Number,
        help: "smallest frequency of the rarer allele at which a variant is tested, 0.01 unless given",
    },
    Choice {
        name: "men",
        takes: Takes::Text,
        help: "what a man's copy of X counts: one or two, two unless given",
    },
    Choice {
        name: "meta",
        takes: Takes::Nothing,
        help: "fit each centre alone and combine effects by inverse variances, to compare with",
    },
    Choice {
        name: "missing_max",
        takes: Takes::Number,
        help: "largest part of patients without genotype at which a variant is tested, 0.05 unless given",
    },
    Choice {
        name: "ml",
        takes: Takes::Nothing,
        help: "fit by maximum likelihood instead of the restricted one (REML)",
    },
    Choice {
        name: "models",
        takes: Takes::Words,
        help: "nested models to compare, from the smallest to the largest",
    },
    Choice {
        name: "mu",
        takes: Takes::Number,
        help: "mean, or difference of means, to compare with",
    },
    Choice {
        name: "paired",
        takes: Takes::Nothing,
        help: "compare two variables of the same patients",
    },
    Choice {
        name: "panel",
        takes: Takes::Text,
        help: "the panel: its file on the command line, its SHA-256 in a study file",
    },
    Choice {
        name: "points",
        takes: Takes::Whole,
        help: "times at which a curve is shown, at most",
    },
    Choice {
        name: "r2",
        takes: Takes::Number,
        help: "squared correlation above which two variants are linked, 0.2 unless given",
    },
    Choice {
        name: "range",
        takes: Takes::Numbers,
        help: "the region's variants by number; follow from the panel's file",
    },
    Choice {
        name: "raw",
        takes: Takes::Nothing,
        help: "take the numbers as they are, not scaled to unit variance",
    },
    Choice {
        name: "region",
        takes: Takes::Text,
        help: "part of the genome that is tested: 19, or 19:44900000-45500000",
    },
    Choice { name: "rmean", takes: Takes::Number, help: "time up to which the mean is taken" },
    Choice {
        name: "robust",
        takes: Takes::Text,
        help: "standard errors that hold for unequal variances: HC0 to HC3",
    },
    Choice { name: "sealed", takes: Takes::Nothing, help: "open nothing but the result" },
    Choice {
        name: "seed",
        takes: Takes::Whole,
        help: "public number from which public random numbers are drawn",
    },
    Choice {
        name: "set_list",
        takes: Takes::Words,
        help: "sets of variants by number; follow from the file of sets",
    },
    Choice {
        name: "sets",
        takes: Takes::Text,
        help: "file of the sets: lines of set, variant and, if not 1, weight",
    },
    Choice {
        name: "show",
        takes: Takes::Text,
        help: "which variants are shown: all, or hits alone",
    },
    Choice {
        name: "smd",
        takes: Takes::Nothing,
        help: "compare the groups by standardised mean differences",
    },
    Choice {
        name: "starts",
        takes: Takes::Whole,
        help: "from how many places to start; the best end is kept",
    },
    Choice { name: "tests", takes: Takes::Nothing, help: "compare the groups by tests" },
    Choice { name: "ties", takes: Takes::Text, help: "events at the same time: efron or breslow" },
    Choice {
        name: "ties_max",
        takes: Takes::Whole,
        help: "for efron: most events at one time that it is prepared for; costs grow with it",
    },
    Choice {
        name: "traits",
        takes: Takes::Words,
        help: "further measured traits, tested with the same covariates in one pass",
    },
    Choice {
        name: "trend",
        takes: Takes::Nothing,
        help: "test the groups for a trend in the order of their levels",
    },
    Choice {
        name: "validate",
        takes: Takes::Text,
        help: "centre: judge each centre's patients by the model of the others; \
               `konsil leave_out --help` says what that opens",
    },
    Choice {
        name: "var_equal",
        takes: Takes::Nothing,
        help: "take the groups' variances to be equal",
    },
    Choice {
        name: "variants",
        takes: Takes::Whole,
        help: "how many variants the panel has; follows from the panel's file",
    },
    Choice {
        name: "weights",
        takes: Takes::Text,
        help: "the variable that has the patients' prior weights",
    },
    Choice {
        name: "window",
        takes: Takes::Whole,
        help: "variants behind each with which it is compared, 1 to 1000, 50 unless given",
    },
    Choice {
        name: "x",
        takes: Takes::Numbers,
        help: "the variants of X of which men have one copy; follow from the panel's file",
    },
    Choice { name: "zph", takes: Takes::Nothing, help: "test whether hazards are proportional" },
];

/// The option of a name.
#[must_use]
pub fn option(name: &str) -> Option<&'static Choice> {
    OPTIONS.iter().find(|it| it.name == name)
}

/// Refuses options that the analysis does not have, rather than to ignore them.
pub(crate) fn check(request: &Request, entry: &Entry) -> Result<(), AnalysisError> {
    let Ok(Value::Object(fields)) = serde_json::to_value(request) else {
        return Ok(());
    };
    let given = fields.keys().filter(|name| option(name).is_some());
    let Some(foreign) = given.into_iter().find(|name| !entry.options.contains(&name.as_str()))
    else {
        return Ok(());
    };
    let has = match entry.options {
        [] => "has no options".to_owned(),
        names => format!("has {}", names.join(", ")),
    };
    Err(AnalysisError::request(
        request,
        format!("`{}` does not take `{foreign}`; it {has}", entry.kind),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::REGISTRY;

    /// The fields of a request, as its parser names them.
    fn fields() -> Vec<String> {
        let error = serde_json::from_str::<Request>(r#"{"no such field": 1}"#).unwrap_err();
        let text = error.to_string();
        text.split('`').skip(3).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_field_is_an_option_and_every_option_a_field() {
        let plain = ["id", "kind", "formula", "variables"];
        let mut fields: Vec<String> =
            fields().into_iter().filter(|it| !plain.contains(&it.as_str())).collect();
        fields.sort();
        let names: Vec<&str> = OPTIONS.iter().map(|it| it.name).collect();
        assert_eq!(names, fields, "sorted by name, each a field");
    }

    #[test]
    fn every_option_is_taken_by_an_analysis_and_exists() {
        let taken: Vec<&str> = REGISTRY.iter().flat_map(|it| it.options.iter().copied()).collect();
        for name in &taken {
            assert!(option(name).is_some(), "{name}");
        }
        for choice in OPTIONS {
            assert!(taken.contains(&choice.name), "{}", choice.name);
        }
    }
}
