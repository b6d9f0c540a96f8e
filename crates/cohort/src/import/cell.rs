//! One cell against its variable: typed, or refused with the reason.

use super::text;
use crate::dictionary::{INTEGER_MAX, Kind, Variable};
use std::collections::HashMap;

/// Longest quotation of a cell in a report, in letters.
const QUOTE_MAX: usize = 40;

/// A typed cell.
#[derive(Clone, Copy)]
pub(super) enum Cell {
    Missing,
    Number(f64),
    Integer(i64),
    Level(u32),
    Flag(bool),
}

/// Why a cell was refused.
pub(super) struct Refusal {
    pub(super) code: &'static str,
    /// What is wrong with this cell, quoting it.
    pub(super) what: String,
    /// What is wrong with all cells of the kind; rows with the same text are counted together.
    pub(super) group: String,
    /// Whether the same text can be mapped away.
    pub(super) mappable: bool,
}

/// The rules for the cells of one column.
pub(super) struct Column<'a> {
    pub(super) variable: &'a Variable,
    pub(super) dictionary: String,
    /// Texts that `--map` replaces; `None` stands for missing.
    pub(super) map: HashMap<&'a str, Option<&'a str>>,
    levels: HashMap<&'a str, u32>,
    decimal_comma: bool,
}

impl<'a> Column<'a> {
    pub(super) fn new(variable: &'a Variable, dictionary: String, decimal_comma: bool) -> Self {
        let levels = variable.levels.iter().zip(0..);
        Self {
            variable,
            dictionary,
            map: HashMap::new(),
            levels: levels.map(|(level, index)| (level.code.as_str(), index)).collect(),
            decimal_comma,
        }
    }

    pub(super) fn check(&self, text: &str) -> Result<Cell, Refusal> {
        let text = text.trim();
        let text = match self.map.get(text) {
            Some(None) => return Ok(Cell::Missing),
            Some(Some(other)) => other,
            None => text,
        };
        if text.is_empty() || self.variable.missing.iter().any(|code| code == text) {
            return Ok(Cell::Missing);
        }
        match self.variable.kind {
            Kind::Category => self.level(text),
            Kind::Boolean => self.flag(text),
            Kind::Number => self.number(text).map(Cell::Number),
            Kind::Integer => self.integer(text),
        }
    }

    fn level(&self, text: &str) -> Result<Cell, Refusal> {
        if let Some(index) = self.levels.get(text) {
            return Ok(Cell::Level(*index));
        }
        let codes: Vec<&str> = self.variable.levels.iter().map(|l| l.code.as_str()).collect();
        let shown = codes.iter().take(6).copied().collect::<Vec<_>>().join(", ");
        let more = if codes.len() > 6 { ", …" } else { "" };
        let what =
            format!("\"{}\", not a level of {} ({shown}{more})", shorten(text), self.dictionary);
        Err(quoting("K0114", &what))
    }

    fn flag(&self, text: &str) -> Result<Cell, Refusal> {
        match text.to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "ja" | "j" => Ok(Cell::Flag(true)),
            "false" | "f" | "no" | "n" | "0" | "nein" => Ok(Cell::Flag(false)),
            _ => {
                let what = format!("\"{}\", neither true nor false", shorten(text));
                Err(quoting("K0105", &what))
            }
        }
    }

    fn number(&self, text: &str) -> Result<f64, Refusal> {
        let number = text::number(text, self.decimal_comma);
        let bare = text.trim_start_matches(['+', '-']).to_ascii_lowercase();
        let word = matches!(bare.as_str(), "nan" | "inf" | "infinity" | "-nan");
        let value = match number {
            None if word => f64::NAN,
            None => {
                let what = format!("\"{}\", not a number", shorten(text));
                return Err(quoting("K0102", &what));
            }
            Some(value) => value,
        };
        // Subnormal numbers lose digits in every further step, unlike an exact zero.
        if !value.is_finite() || value.is_subnormal() {
            let what = format!("\"{}\", outside of what can be computed with", shorten(text));
            return Err(quoting("K0103", &what));
        }
        self.within(value, text)
    }

    fn within(&self, value: f64, text: &str) -> Result<f64, Refusal> {
        let refuse = |side: &str, bound: f64| Refusal {
            code: "K0101",
            what: format!("has \"{}\", {side} {bound}", shorten(text)),
            group: format!("{side} {bound}"),
            mappable: false,
        };
        if let Some(min) = self.variable.min
            && value < min
        {
            return Err(refuse("below the minimum", min));
        }
        if let Some(max) = self.variable.max
            && value > max
        {
            return Err(refuse("above the maximum", max));
        }
        Ok(value)
    }

    fn integer(&self, text: &str) -> Result<Cell, Refusal> {
        let value = self.number(text)?;
        if value.fract() != 0.0 {
            let what = format!("\"{}\", an integer with decimals", shorten(text));
            return Err(quoting("K0104", &what));
        }
        let listed = self.variable.levels.is_empty();
        let integer = format!("{value:.0}").parse::<i64>();
        match integer {
            Ok(integer) if value.abs() <= INTEGER_MAX => {
                if !listed && !self.levels.contains_key(integer.to_string().as_str()) {
                    return self.level(text);
                }
                Ok(Cell::Integer(integer))
            }
            _ => {
                let what = format!("\"{}\", outside of what can be computed with", shorten(text));
                Err(quoting("K0103", &what))
            }
        }
    }
}

fn quoting(code: &'static str, what: &str) -> Refusal {
    Refusal { code, what: format!("has {what}"), group: format!("have {what}"), mappable: true }
}

/// A cell's text for a report: short, on one line, without control characters.
pub(super) fn shorten(text: &str) -> String {
    let letters = text.chars().take(QUOTE_MAX);
    let mut short: String = letters.flat_map(printable).collect();
    if text.chars().nth(QUOTE_MAX).is_some() {
        short.push('…');
    }
    short
}

fn printable(letter: char) -> Vec<char> {
    if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }
}
