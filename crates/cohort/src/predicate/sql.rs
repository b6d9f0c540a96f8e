//! A definition written back as SQL, in one canonical spelling.

use super::{Arithmetic, Comparison, Condition, Number};
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

/// The condition as SQL; `inner` asks for parentheses around what is not one word or call.
pub(super) fn condition(of: &Condition, inner: bool) -> String {
    let not = |negated: bool| if negated { "NOT " } else { "" };
    let text = match of {
        Condition::Constant(true) => return "TRUE".to_owned(),
        Condition::Constant(false) => return "FALSE".to_owned(),
        Condition::Flag { name, .. } => return identifier(name),
        Condition::And(parts) => joined(parts, " AND "),
        Condition::Or(parts) => joined(parts, " OR "),
        Condition::Not(part) => format!("NOT {}", condition(part, true)),
        Condition::Compare(comparison, left, right) => {
            format!("{} {} {}", number(left), sign(*comparison), number(right))
        }
        Condition::Levels { name, levels, negated } => {
            let codes: Vec<String> = levels.iter().map(|(code, _)| literal(code)).collect();
            match (codes.as_slice(), negated) {
                ([code], false) => format!("{} = {code}", identifier(name)),
                ([code], true) => format!("{} <> {code}", identifier(name)),
                (codes, negated) => {
                    let codes = codes.join(", ");
                    format!("{} {}IN ({codes})", identifier(name), not(*negated))
                }
            }
        }
        Condition::OneOf { number: of, values, negated } => {
            let values: Vec<String> = values.iter().map(|value| digits(*value)).collect();
            let values = values.join(", ");
            format!("{} {}IN ({values})", number(of), not(*negated))
        }
        Condition::Between { number: of, low, high, negated } => {
            let (low, high) = (number(low), number(high));
            format!("{} {}BETWEEN {low} AND {high}", number(of), not(*negated))
        }
        Condition::Missing { name, negated } => {
            format!("{} IS {}NULL", identifier(name), not(*negated))
        }
    };
    if inner { format!("({text})") } else { text }
}

fn joined(parts: &[Condition], word: &str) -> String {
    let parts: Vec<String> = parts.iter().map(|part| condition(part, true)).collect();
    parts.join(word)
}

fn number(of: &Number) -> String {
    match of {
        Number::Variable { name, .. } => identifier(name),
        Number::Literal(value) => digits(*value),
        Number::Negative(inner) => format!("(- {})", number(inner)),
        Number::Arithmetic(arithmetic, left, right) => {
            let sign = match arithmetic {
                Arithmetic::Add => "+",
                Arithmetic::Subtract => "-",
                Arithmetic::Multiply => "*",
                Arithmetic::Divide => "/",
            };
            format!("({} {sign} {})", number(left), number(right))
        }
        Number::Call(function, arguments) => {
            let arguments: Vec<String> = arguments.iter().map(number).collect();
            format!("{}({})", function.word(), arguments.join(", "))
        }
    }
}

fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::Unequal => "<>",
        Comparison::Less => "<",
        Comparison::LessEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterEqual => ">=",
    }
}

/// A number with as many digits as tell it from every other; a sign keeps apart from a minus.
fn digits(value: f64) -> String {
    if value < 0.0 {
        format!("(- {})", digits(-value))
    } else if value > 0.0 && !(1e-5..1e16).contains(&value) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name, in double quotes where SQL would read it as something else.
fn identifier(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let upper = name.to_uppercase();
    if plain && ALL_KEYWORDS.binary_search(&upper.as_str()).is_err() {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}
