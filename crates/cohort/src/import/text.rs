//! Bytes to text, text to fields and numbers; never by guessing a type.

/// How a file's bytes stand for letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Utf8,
    Utf8WithMark,
    Windows1252,
}

impl Encoding {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf8WithMark => "UTF-8 with BOM",
            Self::Windows1252 => "Windows-1252",
        }
    }
}

/// Why bytes are no text, with the line to blame where there is one.
pub(crate) type NoText = (Option<u64>, &'static str);

/// Letters of the bytes 0x80 to 0x9f in Windows-1252; five bytes stand for nothing.
const WINDOWS_1252: [Option<char>; 32] = [
    Some('€'),
    None,
    Some('‚'),
    Some('ƒ'),
    Some('„'),
    Some('…'),
    Some('†'),
    Some('‡'),
    Some('ˆ'),
    Some('‰'),
    Some('Š'),
    Some('‹'),
    Some('Œ'),
    None,
    Some('Ž'),
    None,
    None,
    Some('‘'),
    Some('’'),
    Some('“'),
    Some('”'),
    Some('•'),
    Some('–'),
    Some('—'),
    Some('˜'),
    Some('™'),
    Some('š'),
    Some('›'),
    Some('œ'),
    None,
    Some('ž'),
    Some('Ÿ'),
];

/// Reads bytes as UTF-8, and as Windows-1252 (which contains Latin-1) where they are not.
pub(crate) fn decode(bytes: &[u8]) -> Result<(String, Encoding), NoText> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err((None, "the file is UTF-16; save it as CSV UTF-8"));
    }
    if bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(b"PK\x03\x04") {
        return Err((None, "the file is compressed or a workbook; save it as CSV"));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err((Some(line_of(bytes, at)), "a NUL byte; the file is damaged"));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok(match text.strip_prefix('\u{feff}') {
            Some(text) => (text.to_owned(), Encoding::Utf8WithMark),
            None => (text.to_owned(), Encoding::Utf8),
        });
    }
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for (at, byte) in bytes.iter().enumerate() {
        let letter = match byte {
            0x80..=0x9f => WINDOWS_1252.get(usize::from(byte - 0x80)).copied().flatten(),
            _ => Some(char::from(*byte)),
        };
        let Some(letter) = letter else {
            let line = Some(line_of(bytes, at));
            return Err((line, "a byte that is neither UTF-8 nor Windows-1252"));
        };
        text.push(letter);
    }
    Ok((text, Encoding::Windows1252))
}

fn line_of(bytes: &[u8], at: usize) -> u64 {
    let before = bytes.iter().take(at).filter(|byte| **byte == b'\n');
    before.count() as u64 + 1
}

/// The commonest of comma, semicolon and tab in the header line, outside quotes; else the comma.
pub(crate) fn delimiter_of(text: &str) -> u8 {
    let mut counts = [(b';', 0_usize), (b'\t', 0), (b',', 0)];
    let mut quoted = false;
    for byte in text.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            _ if quoted => {}
            _ => {
                for (delimiter, count) in &mut counts {
                    *count += usize::from(*delimiter == byte);
                }
            }
        }
    }
    let best = counts.iter().max_by_key(|(_, count)| *count);
    best.map_or(b',', |(delimiter, _)| *delimiter)
}

/// A plain decimal number: sign, digits, one decimal point, exponent. Infinite if too large.
///
/// With `decimal_comma`, a comma may stand for the point. Nothing else is a number: no thousands
/// separators, no `NaN`, no hexadecimal digits.
pub(crate) fn number(text: &str, decimal_comma: bool) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let points = |c: char| c == '.' || (c == ',' && decimal_comma);
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once(points).unwrap_or((mantissa, ""));
    if !digits(whole) || !digits(fraction) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let bare = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if bare.is_empty() || !digits(bare) {
            return None;
        }
    }
    let value: f64 = text.replace(',', ".").parse().ok()?;
    // Adding zero turns -0 into 0.
    Some(value + 0.0)
}

/// A field of a CSV line, in quotes where it needs them.
pub(crate) fn quoted(field: &str, delimiter: u8) -> String {
    let special = [char::from(delimiter), '"', '\n', '\r'];
    let outer_space = field.trim() != field;
    if field.contains(special) || outer_space {
        return format!("\"{}\"", field.replace('"', "\"\""));
    }
    field.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_never_guessed() {
        assert_eq!(number("-1.5e2", false), Some(-150.0));
        assert_eq!(number("1,5", true), Some(1.5));
        assert_eq!(number(".5", false), Some(0.5));
        assert!(number("-0", false).unwrap().is_sign_positive());
        assert_eq!(number("1e400", false), Some(f64::INFINITY));
        for text in
            ["", "-", ".", "1,5", "1.234,5", "NaN", "inf", "0x10", "1e", "1 000", "−1", "1_0"]
        {
            assert_eq!(number(text, false), None, "{text}");
        }
        assert_eq!(number("1.234,5", true), None);
    }

    #[test]
    fn delimiters_inside_quotes_do_not_count() {
        assert_eq!(delimiter_of("\"a,b,c\";d\n1,2,3"), b';');
        assert_eq!(delimiter_of("a\tb"), b'\t');
        assert_eq!(delimiter_of("a"), b',');
        assert_eq!(delimiter_of(""), b',');
    }

    #[test]
    fn latin_1_is_read_and_damage_is_named() {
        let (text, encoding) = decode(b"gr\xf6\xdfe \x80").unwrap();
        assert_eq!((text.as_str(), encoding), ("größe €", Encoding::Windows1252));
        assert_eq!(decode(b"a\nb\0").unwrap_err().0, Some(2));
        assert_eq!(decode(b"a\n\xe4\n\x81").unwrap_err().0, Some(3));
        assert!(decode(b"\xff\xfea\0").is_err());
    }
}
