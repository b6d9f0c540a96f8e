//! Syntax written back as R writes it, since R names the columns of a model matrix so.

use super::{Node, Operator, Syntax};

pub(super) fn deparse(node: &Node) -> String {
    match &node.what {
        Syntax::Number(number) => number_text(*number),
        Syntax::Text(text) => quoted(text),
        Syntax::Logical(true) => "TRUE".to_owned(),
        Syntax::Logical(false) => "FALSE".to_owned(),
        Syntax::Name(name) => name.clone(),
        Syntax::Parenthesis(inner) => format!("({})", deparse(inner)),
        Syntax::Unary(Operator::Not, inner) => format!("!{}", deparse(inner)),
        Syntax::Unary(operator, inner) => {
            format!("{}{}", operator.deparsed().trim(), deparse(inner))
        }
        Syntax::Binary(operator, left, right) => {
            format!("{}{}{}", deparse(left), operator.deparsed(), deparse(right))
        }
        Syntax::Call(function, arguments) => {
            let arguments: Vec<String> = arguments
                .iter()
                .map(|argument| match &argument.name {
                    Some(name) => format!("{name} = {}", deparse(&argument.value)),
                    None => deparse(&argument.value),
                })
                .collect();
            format!("{function}({})", arguments.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// A number with at most 15 significant digits, in whichever of fixed and scientific is shorter.
pub(crate) fn number_text(number: f64) -> String {
    let (digits, exponent) = match rounded(number, 15) {
        Ok(parts) => parts,
        Err(special) => return special.to_owned(),
    };
    let scientific = scientific(&digits, exponent);
    let fixed = fixed(number, &digits, exponent);
    if fixed.len() <= scientific.len() { fixed } else { scientific }
}

/// A number as C's `%.<digits>g` writes it; R labels the intervals of `cut` so.
pub(crate) fn general(number: f64, precision: usize) -> String {
    let (digits, exponent) = match rounded(number, precision) {
        Ok(parts) => parts,
        Err(special) => return special.to_owned(),
    };
    let limit = i32::try_from(precision).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        scientific(&digits, exponent)
    } else {
        fixed(number, &digits, exponent)
    }
}

/// Mantissa without trailing zeros, and decimal exponent, after rounding to `precision` digits.
fn rounded(number: f64, precision: usize) -> Result<(String, i32), &'static str> {
    if number == 0.0 {
        return Err("0");
    }
    if !number.is_finite() {
        return Err(if number > 0.0 { "Inf" } else { "-Inf" });
    }
    let written = format!("{number:.*e}", precision.saturating_sub(1));
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let mantissa = if mantissa.contains('.') {
        mantissa.trim_end_matches('0').trim_end_matches('.')
    } else {
        mantissa
    };
    Ok((mantissa.to_owned(), exponent.parse().unwrap_or(0)))
}

fn scientific(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn fixed(number: f64, mantissa: &str, exponent: i32) -> String {
    let digits = mantissa.chars().filter(char::is_ascii_digit).count();
    let decimals = i32::try_from(digits).unwrap_or(1) - 1 - exponent;
    let decimals = usize::try_from(decimals.max(0)).unwrap_or(0);
    format!("{number:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::number_text;

    // R: deparse(100000) is "1e+05", deparse(123456) is "123456".
    #[test]
    fn numbers_are_written_as_r_does() {
        let cases = [
            (10.0, "10"),
            (0.1, "0.1"),
            (100_000.0, "1e+05"),
            (123_456.0, "123456"),
            (0.0001, "1e-04"),
            (0.00012, "0.00012"),
            (1.0 / 3.0, "0.333333333333333"),
            (0.1 + 0.2, "0.3"),
            (1e300, "1e+300"),
            (1e22, "1e+22"),
        ];
        for (number, text) in cases {
            assert_eq!(number_text(number), text);
        }
    }
}
