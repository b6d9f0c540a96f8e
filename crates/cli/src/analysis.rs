//! One command for each analysis of the registry: `konsil glm 'y ~ x' --family poisson`.

use crate::arguments::OneLine;
use crate::failure::Failure;
use crate::gwas_files::Dialect;
use crate::model::Model;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use konsil_analyses::{Choice, Entry, REGISTRY, Request, Takes, entry, option};
use serde_json::{Map, Value};
use std::path::Path;

/// An analysis and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct AnalysisCommand {
    pub(crate) kind: &'static str,
    /// Of a scan: traits, and covariates of each.
    traits: Vec<String>,
    covariates: Vec<String>,
    pub(crate) dialect: Dialect,
    /// Of a scan: whether each chromosome is a study of its own.
    pub(crate) by_chromosome: bool,
    options: Map<String, Value>,
    pub(crate) one: OneLine,
}

impl AnalysisCommand {
    fn takes(&self, choice: &Choice) -> bool {
        entry(self.kind).is_some_and(|it| it.options.contains(&choice.name))
    }

    /// The requests of a study with this analysis only: one, or one for each trait of a scan.
    pub(crate) fn requests(&self) -> Result<Vec<Request>, Failure> {
        if self.traits.is_empty() {
            return Ok(vec![self.request()?]);
        }
        if !self.one.what.is_empty() {
            let what = "give a formula, or --pheno and --covar; not both";
            return Err(Failure::usage(what));
        }
        let covariates = listed(&self.covariates);
        let right = if covariates.is_empty() { "1".to_owned() } else { covariates.join(" + ") };
        let scan = |name: &String| {
            let mut command = self.clone();
            command.one.what = vec![format!("{name} ~ {right}")];
            let request = command.request()?;
            let several = self.traits.len() > 1;
            let id = if several { format!("{}-{name}", self.kind) } else { request.id.clone() };
            Ok(Request { id, ..request })
        };
        self.traits.iter().map(scan).collect()
    }

    /// The request of a study with this analysis only. A model file stands for its formula and
    /// coefficients.
    fn request(&self) -> Result<Request, Failure> {
        let text = self.one.what.join(" ");
        let mut fields = self.options.clone();
        let set = |fields: &mut Map<String, Value>, name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        set(&mut fields, "id", self.kind.into());
        set(&mut fields, "kind", self.kind.into());
        let is_model = self.one.what.len() == 1 && text.ends_with(".json");
        if is_model && option("coefficients").is_some_and(|it| self.takes(it)) {
            let model = Model::read(Path::new(&text))?;
            if self.kind == "validate" && model.is_survival() {
                set(&mut fields, "id", "concordance".into());
                set(&mut fields, "kind", "concordance".into());
            }
            set(&mut fields, "coefficients", model.coefficients().into_iter().collect());
            set(&mut fields, "formula", model.formula.into());
        } else if text.contains('~') {
            set(&mut fields, "formula", text.into());
        } else {
            let names = text.split([' ', '+', ',']).filter(|it| !it.is_empty());
            set(&mut fields, "variables", names.collect());
        }
        serde_json::from_value(Value::Object(fields))
            .map_err(|error| Failure::usage(format!("`konsil {}`: {error}", self.kind)))
    }
}

impl Subcommand for AnalysisCommand {
    fn augment_subcommands(mut command: Command) -> Command {
        for entry in REGISTRY {
            command = command.subcommand(subcommand(entry));
        }
        command
    }

    fn augment_subcommands_for_update(command: Command) -> Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        entry(name).is_some()
    }
}

impl FromArgMatches for AnalysisCommand {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let missing = || clap::Error::new(clap::error::ErrorKind::MissingSubcommand);
        let (name, matches) = matches.subcommand().ok_or_else(missing)?;
        let entry = entry(name).ok_or_else(missing)?;
        let mut options = Map::new();
        for choice in choices(entry) {
            if let Some(value) = value(matches, choice) {
                options.insert(choice.name.to_owned(), value);
            }
        }
        let words = |name: &str| match matches.try_get_many::<String>(name) {
            Ok(Some(words)) => words.cloned().collect(),
            _ => Vec::new(),
        };
        let (traits, covariates) = (words(TRAITS), words(COVARIATES));
        let one = OneLine::from_arg_matches(matches)?;
        let regenie = words(DIALECT).iter().any(|it| it == "regenie");
        let dialect = if regenie { Dialect::Regenie } else { Dialect::Plink };
        let by_chromosome = matches!(matches.try_get_one::<bool>(BY_CHROMOSOME), Ok(Some(true)));
        let kind = entry.kind;
        Ok(Self { kind, traits, covariates, dialect, by_chromosome, options, one })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Options of scans, named as PLINK's.
const TRAITS: &str = "pheno";
const COVARIATES: &str = "covar";
const DIALECT: &str = "dialect";
const BY_CHROMOSOME: &str = "by-chromosome";

/// Names in which `PC1-PC4` stands for `PC1`, `PC2`, `PC3`, `PC4`.
fn listed(names: &[String]) -> Vec<String> {
    let numbered = |name: &str| {
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        name.get(stem.len()..)?.parse::<u32>().ok().map(|number| (stem.to_owned(), number))
    };
    let expand = |name: &String| {
        let ends = name.split_once('-').and_then(|(a, b)| Some((numbered(a)?, numbered(b)?)));
        match ends {
            Some(((stem, from), (same, to))) if stem == same && from <= to && to - from < 1000 => {
                (from..=to).map(|number| format!("{stem}{number}")).collect()
            }
            _ => vec![name.clone()],
        }
    };
    names.iter().flat_map(expand).collect()
}

fn choices(entry: &'static Entry) -> impl Iterator<Item = &'static Choice> {
    entry.options.iter().filter_map(|name| option(name))
}

/// The command of an analysis, with its options and an example.
fn subcommand(entry: &'static Entry) -> Command {
    let mut about = entry.title.to_owned();
    if let Some(first) = about.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let revealed = entry.openings.iter().map(|it| format!("  {}", it.says));
    let after = format!(
        "Example:\n  {}\n\nWhat it can reveal, over all centres together:\n{}\n\nCompared with: {}",
        entry.example,
        revealed.collect::<Vec<_>>().join("\n"),
        entry.reference,
    );
    let command = Command::new(entry.kind).about(about).after_help(after);
    let mut command = OneLine::augment_args(command);
    if entry.options.contains(&"panel") {
        let several = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).value_name("NAME,NAME,..").value_delimiter(',').help(help)
        };
        let traits = several(TRAITS, "traits, one scan each, instead of a formula");
        let covariates = several(COVARIATES, "covariates of each trait; PC1-PC4 stands for four");
        let covariates = covariates.requires(TRAITS);
        command = command.mut_arg("what", |arg| arg.required(false));
        let dialect = Arg::new(DIALECT)
            .long(DIALECT)
            .value_parser(["plink", "regenie"])
            .default_value("plink")
            .help("whose columns the result file has");
        if entry.options.contains(&"family") {
            command = command.arg(traits).arg(covariates).arg(dialect);
        }
        if entry.kind == "gwas" {
            let parts = Arg::new(BY_CHROMOSOME).long(BY_CHROMOSOME).action(ArgAction::SetTrue);
            command = command.arg(parts.help(
                "a study and a folder for each chromosome; called again after an interruption, it goes on \
                 with those that are not done",
            ));
        }
    }
    choices(entry).fold(command, |command, choice| {
        let flag = choice.name.replace('_', "-");
        let arg = Arg::new(choice.name).long(flag).help(choice.help);
        command.arg(match choice.takes {
            Takes::Nothing => arg.action(ArgAction::SetTrue),
            Takes::Text => arg.value_name("WORD"),
            Takes::Whole => arg.value_name("N").value_parser(clap::value_parser!(u32)),
            Takes::Number => arg
                .value_name("X")
                .value_parser(clap::value_parser!(f64))
                .allow_negative_numbers(true),
            Takes::Numbers => arg
                .value_name("X,X,..")
                .value_parser(clap::value_parser!(f64))
                .value_delimiter(',')
                .allow_hyphen_values(true),
            Takes::Words => arg.value_name("WORD,WORD,..").value_delimiter(','),
        })
    })
}

/// The value of an option as the request's field has it; `None` where it was not given.
fn value(matches: &ArgMatches, choice: &Choice) -> Option<Value> {
    let name = choice.name;
    match choice.takes {
        Takes::Nothing => matches.get_flag(name).then_some(Value::Bool(true)),
        Takes::Text => matches.get_one::<String>(name).cloned().map(Value::from),
        Takes::Whole => matches.get_one::<u32>(name).copied().map(Value::from),
        Takes::Number => matches.get_one::<f64>(name).copied().map(Value::from),
        Takes::Numbers => Some(matches.get_many::<f64>(name)?.copied().collect()),
        Takes::Words => Some(matches.get_many::<String>(name)?.cloned().collect()),
    }
}
