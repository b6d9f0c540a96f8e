//! One command for each analysis of the registry: `konsil glm 'y ~ x' --family poisson`.

use crate::arguments::OneLine;
use crate::failure::Failure;
use crate::model::Model;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Subcommand};
use konsil_analyses::{Choice, Entry, REGISTRY, Request, Takes, entry, option};
use serde_json::{Map, Value};
use std::path::Path;

/// An analysis and what is asked of it.
#[derive(Clone, Debug)]
pub(crate) struct AnalysisCommand {
    kind: &'static str,
    options: Map<String, Value>,
    pub(crate) one: OneLine,
}

impl AnalysisCommand {
    fn takes(&self, choice: &Choice) -> bool {
        entry(self.kind).is_some_and(|it| it.options.contains(&choice.name))
    }

    /// The request of a study with this analysis only. A model file stands for its formula and
    /// coefficients.
    pub(crate) fn request(&self) -> Result<Request, Failure> {
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
        Ok(Self { kind: entry.kind, options, one: OneLine::from_arg_matches(matches)? })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
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
    choices(entry).fold(OneLine::augment_args(command), |command, choice| {
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
