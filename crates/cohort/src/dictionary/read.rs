//! A dictionary's CSV, read and written.

use super::escape;
use super::{
    Dictionary, INTEGER_MAX, Kind, LEVELS_MAX, Level, Sensitivity, Variable, is_variable_name,
    suggest,
};
use crate::error::CohortError;
use crate::import::text;
use std::collections::HashSet;

const COLUMNS: [&str; 12] = [
    "name",
    "label",
    "type",
    "unit",
    "levels",
    "min",
    "max",
    "decimals",
    "missing",
    "code",
    "sensitivity",
    "notes",
];
const KINDS: [Kind; 4] = [Kind::Number, Kind::Integer, Kind::Category, Kind::Boolean];
const SENSITIVITIES: [Sensitivity; 4] =
    [Sensitivity::Quasi, Sensitivity::Clinical, Sensitivity::Identifier, Sensitivity::Technical];
const BYTES_MAX: usize = 16 << 20;
const VARIABLES_MAX: usize = 10_000;
const DECIMALS_MAX: u8 = 12;

pub(super) fn parse(name: &str, csv_text: &str) -> Result<Dictionary, CohortError> {
    let (name, version) = name_and_version(name)?;
    let whole = Place { dictionary: &name, line: 1 };
    if csv_text.len() > BYTES_MAX {
        return Err(whole.error("name", "a dictionary larger than 16 MiB is refused"));
    }
    let csv_text = csv_text.strip_prefix('\u{feff}').unwrap_or(csv_text);
    let delimiter = text::delimiter_of(csv_text);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(csv_text.as_bytes());
    let mut records = reader.records();
    let Some(Ok(header)) = records.next() else {
        return Err(whole.error("name", "the file is empty; the header line is missing"));
    };
    let order = columns_of(&header, &whole)?;
    let mut variables: Vec<Variable> = Vec::new();
    let mut names = HashSet::new();
    for record in records {
        let record = record.map_err(|_| whole.error("name", "the text is not a CSV table"))?;
        let place =
            Place { dictionary: &name, line: record.position().map_or(0, csv::Position::line) };
        if record.len() != order.len() {
            let what = format!(
                "{} fields, the header has {}; quote a field that contains `{}`",
                record.len(),
                order.len(),
                char::from(delimiter)
            );
            return Err(place.error("name", what));
        }
        let row = Row {
            fields: COLUMNS.map(|column| {
                let at = order.iter().position(|known| *known == column);
                at.and_then(|at| record.get(at)).unwrap_or("").trim()
            }),
            place,
            decimal_comma: delimiter == b';',
        };
        let variable = row.variable()?;
        if !names.insert(variable.name.clone()) {
            let what = format!("variable `{}` is declared twice", variable.name);
            return Err(row.place.error("name", what));
        }
        variables.push(variable);
        if variables.len() > VARIABLES_MAX {
            return Err(row.place.error("name", "more than 10,000 variables"));
        }
    }
    Ok(Dictionary { name, version, variables })
}

fn name_and_version(name: &str) -> Result<(String, u32), CohortError> {
    let Some((bare, version)) = name.rsplit_once('@') else {
        return Ok((name.to_owned(), 1));
    };
    match version.parse() {
        Ok(version) if version > 0 => Ok((bare.to_owned(), version)),
        _ => Err(CohortError::Dictionary {
            dictionary: bare.to_owned(),
            line: 0,
            column: "name".to_owned(),
            what: format!("`{version}` is not a version; write it as in hmsp@4"),
        }),
    }
}

/// The known name of each column of the header.
fn columns_of(
    header: &csv::StringRecord,
    place: &Place<'_>,
) -> Result<Vec<&'static str>, CohortError> {
    let mut order = Vec::new();
    for field in header {
        let field = field.trim();
        let Some(known) = COLUMNS.iter().find(|known| **known == field) else {
            let hint = suggest(field, COLUMNS).map_or_else(
                || format!("known are {}", COLUMNS.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(place.error(field, format!("unknown column; {hint}")));
        };
        if order.contains(known) {
            return Err(place.error(field, "the column stands twice in the header"));
        }
        order.push(*known);
    }
    for needed in ["name", "type"] {
        if !order.contains(&needed) {
            return Err(place.error(needed, "the column is missing"));
        }
    }
    Ok(order)
}

struct Place<'a> {
    dictionary: &'a str,
    line: u64,
}

impl Place<'_> {
    fn error(&self, column: &str, what: impl Into<String>) -> CohortError {
        CohortError::Dictionary {
            dictionary: self.dictionary.to_owned(),
            line: self.line,
            column: column.to_owned(),
            what: what.into(),
        }
    }
}

/// One line of the CSV, its fields in the order of `COLUMNS`.
struct Row<'a> {
    fields: [&'a str; 12],
    place: Place<'a>,
    decimal_comma: bool,
}

impl Row<'_> {
    fn field(&self, column: &str) -> &str {
        COLUMNS
            .iter()
            .zip(self.fields)
            .find(|(known, _)| **known == column)
            .map_or("", |(_, field)| field)
    }

    fn error(&self, column: &str, what: impl Into<String>) -> CohortError {
        self.place.error(column, what)
    }

    fn variable(&self) -> Result<Variable, CohortError> {
        let name = self.field("name");
        if !is_variable_name(name) {
            let what = format!(
                "`{name}` is not a variable name: a letter, then at most 63 letters, digits, _ or ."
            );
            return Err(self.error("name", what));
        }
        let kind = self.kind()?;
        let sensitivity = self.sensitivity()?;
        let mut variable = Variable::new(name, kind);
        variable.sensitivity = sensitivity;
        self.field("label").clone_into(&mut variable.label);
        let unit = self.field("unit");
        variable.unit = (!unit.is_empty()).then(|| unit.to_owned());
        variable.levels = self.levels(kind)?;
        if kind == Kind::Category && variable.levels.is_empty() && !variable.is_identifier() {
            return Err(self.error("levels", "a category needs levels, as in F=female|M=male"));
        }
        variable.min = self.bound("min", kind)?;
        variable.max = self.bound("max", kind)?;
        if let Some((min, max)) = variable.min.zip(variable.max)
            && min > max
        {
            return Err(self.error("max", "max is below min"));
        }
        variable.decimals = self.decimals(kind)?;
        variable.missing = self.missing(&variable.levels)?;
        self.field("code").clone_into(&mut variable.code);
        self.field("notes").clone_into(&mut variable.notes);
        Ok(variable)
    }

    fn kind(&self) -> Result<Kind, CohortError> {
        let word = self.field("type");
        let found = KINDS.into_iter().find(|kind| kind.word() == word);
        found.ok_or_else(|| {
            let known = KINDS.map(Kind::word);
            let what = suggest(word, known).map_or_else(
                || format!("`{word}` is not one of {}", known.join(", ")),
                |near| format!("`{word}` is no type; did you mean `{near}`?"),
            );
            self.error("type", what)
        })
    }

    fn sensitivity(&self) -> Result<Sensitivity, CohortError> {
        let word = self.field("sensitivity");
        if word.is_empty() {
            return Ok(Sensitivity::Clinical);
        }
        let found = SENSITIVITIES.into_iter().find(|known| known.word() == word);
        found.ok_or_else(|| {
            let known = SENSITIVITIES.map(Sensitivity::word).join(", ");
            self.error("sensitivity", format!("`{word}` is not one of {known}"))
        })
    }

    fn levels(&self, kind: Kind) -> Result<Vec<Level>, CohortError> {
        let field = self.field("levels");
        if field.is_empty() {
            return Ok(Vec::new());
        }
        if matches!(kind, Kind::Number | Kind::Boolean) {
            let what = format!("a {} has no levels; make it a category", kind.word());
            return Err(self.error("levels", what));
        }
        let mut levels: Vec<Level> = Vec::new();
        let mut seen = HashSet::new();
        for part in escape::split(field, '|') {
            let code = escape::split(part, '=')[0];
            let label = part.get(code.len() + 1..).unwrap_or(part);
            let (code, label) = (escape::plain(code.trim()), escape::plain(label.trim()));
            if code.is_empty() {
                return Err(self.error("levels", "a level without a code between two |"));
            }
            if kind == Kind::Integer && !code.parse::<i64>().is_ok_and(|c| c.to_string() == code) {
                let what = format!("level `{code}` of an integer is not an integer");
                return Err(self.error("levels", what));
            }
            if !seen.insert(code.clone()) {
                return Err(self.error("levels", format!("level `{code}` stands twice")));
            }
            let label = if label.is_empty() { code.clone() } else { label };
            levels.push(Level { code, label });
        }
        if levels.len() > LEVELS_MAX {
            let what = format!("{} levels, more than {LEVELS_MAX}", levels.len());
            return Err(self.error("levels", what));
        }
        Ok(levels)
    }

    fn bound(&self, column: &str, kind: Kind) -> Result<Option<f64>, CohortError> {
        let field = self.field(column);
        if field.is_empty() {
            return Ok(None);
        }
        if matches!(kind, Kind::Category | Kind::Boolean) {
            let what = format!("a {} has no {column}; leave it empty", kind.word());
            return Err(self.error(column, what));
        }
        let number = text::number(field, self.decimal_comma)
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.error(column, format!("`{field}` is not a number")))?;
        let whole = number.fract() == 0.0 && number.abs() <= INTEGER_MAX;
        if kind == Kind::Integer && !whole {
            return Err(self.error(column, format!("`{field}` is not an integer")));
        }
        Ok(Some(number))
    }

    fn decimals(&self, kind: Kind) -> Result<Option<u8>, CohortError> {
        let field = self.field("decimals");
        if field.is_empty() {
            return Ok(None);
        }
        if kind != Kind::Number {
            return Err(self.error("decimals", "only a number has decimals; leave it empty"));
        }
        match field.parse::<u8>() {
            Ok(decimals) if decimals <= DECIMALS_MAX => Ok(Some(decimals)),
            _ => {
                let what = format!("`{field}` is not a whole number from 0 to {DECIMALS_MAX}");
                Err(self.error("decimals", what))
            }
        }
    }

    fn missing(&self, levels: &[Level]) -> Result<Vec<String>, CohortError> {
        let field = self.field("missing");
        if field.is_empty() {
            return Ok(Vec::new());
        }
        let codes = escape::split(field, '|').into_iter();
        let codes: Vec<String> = codes.map(|code| escape::plain(code.trim())).collect();
        for code in &codes {
            if code.is_empty() {
                return Err(self.error("missing", "an empty field is always missing; drop the |"));
            }
            if levels.iter().any(|level| level.code == *code) {
                let what = format!("`{code}` is a level; it cannot mean missing as well");
                return Err(self.error("missing", what));
            }
        }
        Ok(codes)
    }
}

pub(super) fn to_csv(dictionary: &Dictionary) -> String {
    let mut lines = vec![COLUMNS.join(",")];
    for variable in &dictionary.variables {
        let levels: Vec<String> = variable
            .levels
            .iter()
            .map(|level| {
                let code = escape::escaped(&level.code);
                if level.label == level.code {
                    code
                } else {
                    // only the first `=` of a level ends its code
                    format!("{code}={}", escape::escaped(&level.label).replace("\\=", "="))
                }
            })
            .collect();
        let missing: Vec<String> = variable.missing.iter().map(|it| escape::escaped(it)).collect();
        let number = |bound: Option<f64>| bound.map(|b| format!("{b}")).unwrap_or_default();
        let fields = [
            variable.name.clone(),
            variable.label.clone(),
            variable.kind.word().to_owned(),
            variable.unit.clone().unwrap_or_default(),
            levels.join("|"),
            number(variable.min),
            number(variable.max),
            variable.decimals.map(|d| d.to_string()).unwrap_or_default(),
            missing.join("|"),
            variable.code.clone(),
            variable.sensitivity.word().to_owned(),
            variable.notes.clone(),
        ];
        lines.push(fields.map(|field| text::quoted(&field, b',')).join(","));
    }
    lines.push(String::new());
    lines.join("\n")
}
