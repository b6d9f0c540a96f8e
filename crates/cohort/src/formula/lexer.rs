//! A formula's text cut into tokens.

use super::{Operator, Span};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    Number(f64),
    Text(String),
    Name(String),
    Operator(Operator),
    Tilde,
    Open,
    Close,
    Comma,
    /// `=`, which names an argument.
    Assign,
    End,
}

/// What the lexer could not read.
pub(super) struct Unreadable {
    pub(super) span: Span,
    pub(super) message: String,
    pub(super) label: &'static str,
}

/// Longest first, so that `<=` is not read as `<`.
const OPERATORS: [(&str, Operator); 19] = [
    ("%in%", Operator::In),
    ("**", Operator::Power),
    ("==", Operator::Equal),
    ("!=", Operator::Unequal),
    ("<=", Operator::LessEqual),
    (">=", Operator::GreaterEqual),
    ("&&", Operator::And),
    ("||", Operator::Or),
    ("+", Operator::Add),
    ("-", Operator::Subtract),
    ("*", Operator::Multiply),
    ("/", Operator::Divide),
    ("^", Operator::Power),
    (":", Operator::Colon),
    ("<", Operator::Less),
    (">", Operator::Greater),
    ("&", Operator::And),
    ("|", Operator::Or),
    ("!", Operator::Not),
];

/// All tokens with the bytes they stand on; the last one is `End`.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Unreadable> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let (token, length) = token(rest, first, at)?;
        tokens.push((token, at..at + length));
        at += length;
    }
    tokens.push((Token::End, text.len()..text.len()));
    Ok(tokens)
}

fn token(rest: &str, first: char, at: usize) -> Result<(Token, usize), Unreadable> {
    let digit_after_dot = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
    if first.is_ascii_digit() || digit_after_dot {
        return number(rest, at);
    }
    if first.is_alphabetic() || first == '.' {
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(rest.len());
        return Ok((Token::Name(rest[..length].to_owned()), length));
    }
    match first {
        '\'' | '"' => return quoted(rest, first, at),
        '`' => {
            let Some(end) = rest[1..].find('`') else {
                return Err(unreadable(at, rest.len(), "the ` is not closed", ""));
            };
            return Ok((Token::Name(rest[1..=end].to_owned()), end + 2));
        }
        '~' => return Ok((Token::Tilde, 1)),
        '(' => return Ok((Token::Open, 1)),
        ')' => return Ok((Token::Close, 1)),
        ',' => return Ok((Token::Comma, 1)),
        _ => {}
    }
    let operator = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign));
    if let Some((sign, operator)) = operator {
        return Ok((Token::Operator(*operator), sign.len()));
    }
    if first == '=' {
        return Ok((Token::Assign, 1));
    }
    if first == '%' {
        let length = rest[1..].find('%').map_or(1, |end| end + 2);
        let message = "unknown operator between %";
        return Err(unreadable(at, length, message, "only %in% is known"));
    }
    let message = format!("unexpected character `{}`", first.escape_default());
    Err(unreadable(at, first.len_utf8(), &message, ""))
}

fn number(rest: &str, at: usize) -> Result<(Token, usize), Unreadable> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut length = digits(rest);
    if rest[length..].starts_with('.') {
        length += 1;
        length += digits(&rest[length..]);
    }
    if rest[length..].starts_with(['e', 'E']) {
        let sign = usize::from(rest[length + 1..].starts_with(['+', '-']));
        let exponent = digits(&rest[length + 1 + sign..]);
        if exponent > 0 {
            length += 1 + sign + exponent;
        }
    }
    let value = rest[..length].parse::<f64>().ok().filter(|v| v.is_finite());
    let Some(value) = value else {
        return Err(unreadable(at, length, "the number is too large", ""));
    };
    // R writes integers as 60L.
    if rest[length..].starts_with('L') && value.fract() == 0.0 {
        length += 1;
    }
    if rest[length..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') {
        let message = "a number runs into a name";
        return Err(unreadable(at, length, message, "a name starts with a letter"));
    }
    Ok((Token::Number(value), length))
}

fn quoted(rest: &str, quote: char, at: usize) -> Result<(Token, usize), Unreadable> {
    let mut text = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((index, letter)) = letters.next() {
        if letter == quote {
            return Ok((Token::Text(text), index + 1));
        }
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some((_, 'n')) => text.push('\n'),
            Some((_, 't')) => text.push('\t'),
            Some((_, escaped @ ('\\' | '\'' | '"'))) => text.push(escaped),
            _ => {
                let message = "unknown escape after \\ in a text";
                return Err(unreadable(at + index, 1, message, ""));
            }
        }
    }
    Err(unreadable(at, rest.len(), "the quote is not closed", ""))
}

fn unreadable(at: usize, length: usize, message: &str, label: &'static str) -> Unreadable {
    Unreadable { span: at..at + length, message: message.to_owned(), label }
}
