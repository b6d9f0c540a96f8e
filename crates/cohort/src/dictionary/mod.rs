//! The shared dictionary: which variables there are, with types, levels, units and public bounds.
//!
//! Everything that an analysis may know before it has seen a patient stands here: levels of a
//! category come from the dictionary and never from rows, because a level seen at one centre
//! already says something about that centre's patients.

mod diff;
mod escape;
mod infer;
mod read;
mod suggest;

pub use diff::Difference;
pub use suggest::suggest;

use crate::error::CohortError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Greatest number of levels of one variable: a category with more is an identifier in disguise.
pub const LEVELS_MAX: usize = 1_000;

/// Longest span `max - min` of an integer variable that may serve as a factor without levels.
pub const INTEGER_FACTOR_SPAN_MAX: f64 = 60.0;

/// Largest integer that survives the step to a floating-point number unchanged: `2^53`.
pub(crate) const INTEGER_MAX: f64 = 9_007_199_254_740_992.0;

/// What kind of values a variable has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Measured on a scale, with or without decimals.
    Number,
    /// Counted, or a numeric code.
    Integer,
    /// One of the listed levels.
    Category,
    /// True or false.
    Boolean,
}

impl Kind {
    /// The word for the kind in a dictionary's `type` column.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Integer => "integer",
            Self::Category => "category",
            Self::Boolean => "boolean",
        }
    }
}

/// How carefully a variable must be handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensitivity {
    /// May help to recognise a person together with others, such as age.
    Quasi,
    /// A clinical value.
    Clinical,
    /// Names one patient; read for the check for duplicates only, never stored or analysed.
    Identifier,
    /// Describes the measurement, such as the device.
    Technical,
}

impl Sensitivity {
    /// The word in a dictionary's `sensitivity` column.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quasi => "quasi",
            Self::Clinical => "clinical",
            Self::Identifier => "identifier",
            Self::Technical => "technical",
        }
    }
}

/// One permitted value of a category, or one code of an integer variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Level {
    /// The value as it stands in files, formulas and names of columns.
    pub code: String,
    /// The value for people to read; the code where the dictionary gives no other.
    pub label: String,
}

/// One variable of a dictionary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// Name in files, formulas and cohort definitions.
    pub name: String,
    /// Name for people to read; may be empty.
    pub label: String,
    /// Kind of values.
    pub kind: Kind,
    /// Unit (UCUM), such as `mmol/mol`.
    pub unit: Option<String>,
    /// Levels in the dictionary's order; the first is the reference.
    pub levels: Vec<Level>,
    /// Smallest permitted value.
    pub min: Option<f64>,
    /// Largest permitted value.
    pub max: Option<f64>,
    /// Number of decimals that the variable is recorded with.
    pub decimals: Option<u8>,
    /// Texts that stand for a missing value, besides an empty field.
    pub missing: Vec<String>,
    /// Code of a terminology, such as `LOINC 59261-8`; may be empty.
    pub code: String,
    /// How carefully the variable must be handled.
    pub sensitivity: Sensitivity,
    /// Remarks; may be empty.
    pub notes: String,
}

impl Variable {
    /// A variable with nothing but a name and a kind, clinical.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        Self {
            name: name.to_owned(),
            label: String::new(),
            kind,
            unit: None,
            levels: Vec::new(),
            min: None,
            max: None,
            decimals: None,
            missing: Vec::new(),
            code: String::new(),
            sensitivity: Sensitivity::Clinical,
            notes: String::new(),
        }
    }

    /// Public smallest and largest value of a number or an integer; 0 and 1 of a boolean.
    ///
    /// `None` for categories, and where the dictionary lacks a bound.
    #[must_use]
    pub fn range(&self) -> Option<(f64, f64)> {
        match self.kind {
            Kind::Number => self.min.zip(self.max),
            Kind::Integer => self.min.zip(self.max).or_else(|| self.range_of_codes()),
            Kind::Boolean => Some((0.0, 1.0)),
            Kind::Category => None,
        }
    }

    fn range_of_codes(&self) -> Option<(f64, f64)> {
        let codes = self.levels.iter().map(|level| level.code.parse::<f64>());
        let codes: Vec<f64> = codes.collect::<Result<_, _>>().ok()?;
        let lowest = codes.iter().copied().reduce(f64::min)?;
        let highest = codes.iter().copied().reduce(f64::max)?;
        Some((lowest, highest))
    }

    /// Distance between neighbouring values: 1 for integers, `10^-decimals` for numbers.
    ///
    /// `None` for categories, booleans, and numbers without a declared number of decimals.
    #[must_use]
    pub fn step(&self) -> Option<f64> {
        match self.kind {
            Kind::Integer => Some(1.0),
            Kind::Number => self.decimals.map(|decimals| {
                // A power of ten is exact up to 10^22, so that the step is the nearest double.
                1.0 / 10_f64.powi(i32::from(decimals))
            }),
            Kind::Category | Kind::Boolean => None,
        }
    }

    /// Whether the variable names patients and is read for the check for duplicates only.
    #[must_use]
    pub fn is_identifier(&self) -> bool {
        self.sensitivity == Sensitivity::Identifier
    }

    /// Whether values are 0 and 1 only, so that the variable can stand as a condition.
    #[must_use]
    pub fn is_zero_one(&self) -> bool {
        match self.kind {
            Kind::Boolean => true,
            Kind::Integer => self.range() == Some((0.0, 1.0)),
            Kind::Number | Kind::Category => false,
        }
    }

    /// Codes of the levels as a factor: of a category, of a boolean (`FALSE`, `TRUE`), and of an
    /// integer with listed levels or with bounds at most 60 apart.
    ///
    /// `None` where the dictionary does not say which values there can be.
    #[must_use]
    pub fn factor_levels(&self) -> Option<Vec<String>> {
        match self.kind {
            Kind::Boolean => Some(vec!["FALSE".to_owned(), "TRUE".to_owned()]),
            Kind::Category if self.levels.is_empty() => None,
            Kind::Integer if self.levels.is_empty() => {
                let (low, high) = self.range()?;
                if high - low > INTEGER_FACTOR_SPAN_MAX {
                    return None;
                }
                let mut codes = Vec::new();
                let mut value = low;
                while value <= high {
                    codes.push(format!("{value}"));
                    value += 1.0;
                }
                Some(codes)
            }
            Kind::Category | Kind::Integer => {
                Some(self.levels.iter().map(|level| level.code.clone()).collect())
            }
            Kind::Number => None,
        }
    }

    /// Index of a level by its code.
    #[must_use]
    pub fn level(&self, code: &str) -> Option<usize> {
        self.levels.iter().position(|level| level.code == code)
    }
}

/// The variables that the centres of a network agreed on. Public.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dictionary {
    /// Name, such as `hmsp`.
    pub name: String,
    /// Version, counted from 1.
    pub version: u32,
    /// Variables in the dictionary's order.
    pub variables: Vec<Variable>,
}

impl Dictionary {
    /// Reads a dictionary from its CSV. `name` may carry a version: `hmsp@4`; without, it is 1.
    ///
    /// The columns are `name, label, type, unit, levels, min, max, decimals, missing, code,
    /// sensitivity, notes` in any order; only `name` and `type` must be there. Levels are written
    /// `code=label|code=label`, with a backslash before a `|` or `=` that belongs to one.
    ///
    /// # Errors
    /// [`CohortError::Dictionary`] with line and column for anything that is not as above.
    pub fn parse(name: &str, text: &str) -> Result<Self, CohortError> {
        read::parse(name, text)
    }

    /// Proposes a dictionary from a centre's file, which stays at the centre.
    ///
    /// Bounds are widened and rounded outward to two significant digits, so that no patient's
    /// exact extreme enters the dictionary; integers spanning at most 12 are taken for a code and
    /// keep theirs. Text columns get sorted levels, unless they look like identifiers: named `id`
    /// or `patient_id`, more than 60 values, or another value in every row.
    ///
    /// # Errors
    /// As [`crate::import()`] for a file that cannot be read; [`CohortError::Table`] where two
    /// headers give the same variable name.
    pub fn infer(name: &str, path: &std::path::Path) -> Result<Self, CohortError> {
        infer::infer(name, path)
    }

    /// The canonical CSV: all columns, in a fixed order, variables in the dictionary's order.
    #[must_use]
    pub fn to_csv(&self) -> String {
        read::to_csv(self)
    }

    /// SHA-256 of the canonical CSV, in hexadecimal. Name and version do not enter.
    #[must_use]
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.to_csv().as_bytes()))
    }

    /// The variable of that name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }

    /// The same with further variables behind the others.
    ///
    /// # Errors
    /// [`CohortError::Dictionary`] for a variable that no dictionary may have.
    pub fn with(&self, variables: &[Variable]) -> Result<Self, CohortError> {
        let mut longer = self.clone();
        longer.variables.extend_from_slice(variables);
        Self::parse(&format!("{}@{}", self.name, self.version), &longer.to_csv())
    }

    /// Name and version as people write it: `hmsp v4`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} v{}", self.name, self.version)
    }

    /// The nearest variable that may be analysed.
    pub(crate) fn suggestion(&self, name: &str) -> Option<String> {
        let names = self.variables.iter().filter(|v| !v.is_identifier());
        suggest(name, names.map(|variable| variable.name.as_str())).map(str::to_owned)
    }

    pub(crate) fn require(&self, name: &str) -> Result<&Variable, CohortError> {
        self.variable(name).ok_or_else(|| CohortError::UnknownVariable {
            name: name.to_owned(),
            dictionary: self.title(),
            suggestion: self.suggestion(name),
        })
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a text can be the name of a variable: a letter, then letters, digits, `_` and `.`.
pub(crate) fn is_variable_name(name: &str) -> bool {
    const RESERVED: [&str; 6] = ["TRUE", "FALSE", "NULL", "NA", "NaN", "Inf"];
    let mut letters = name.chars();
    letters.next().is_some_and(char::is_alphabetic)
        && letters.all(|c| c.is_alphanumeric() || c == '_' || c == '.')
        && name.chars().count() <= 64
        && !RESERVED.contains(&name)
}

/// The variable name that a header stands for: odd characters become one `_` each run.
pub(crate) fn clean_name(header: &str) -> String {
    let mut name = String::new();
    for letter in header.trim().chars().take(64) {
        if letter.is_alphanumeric() || letter == '_' || letter == '.' {
            name.push(letter);
        } else if !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_matches('_');
    if is_variable_name(name) {
        return name.to_owned();
    }
    format!("x_{name}").chars().take(64).collect()
}
