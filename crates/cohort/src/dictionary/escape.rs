//! Lists of levels in one cell: `code=label|code=label`. A backslash takes the meaning from a `|`, a
//! `=` or another backslash, so that levels such as `<=20` can be written.

/// The parts between separators that are not escaped; escapes stay in them.
pub(super) fn split(field: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, letter) in field.char_indices() {
        if letter == separator && !escaped {
            parts.push(&field[start..at]);
            start = at + letter.len_utf8();
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.push(&field[start..]);
    parts
}

/// The text that an escaped one stands for. A backslash before any other letter is one.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied().filter(|it| matches!(it, '|' | '=' | '\\'));
        match (letter, next) {
            ('\\', Some(next)) => {
                out.push(next);
                letters.next();
            }
            _ => out.push(letter),
        }
    }
    out
}

/// A text with its escapes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '|' | '=' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn levels_may_hold_any_sign() {
        let field = r"\<=20=small|a\|b|\\|20-50";
        assert_eq!(split(field, '|'), [r"\<=20=small", r"a\|b", r"\\", "20-50"]);
        assert_eq!(plain(r"a\|b"), "a|b");
        assert_eq!(plain(r"\<\=20"), r"\<=20");
        assert_eq!(escaped("<=20"), r"<\=20");
        assert_eq!(split("", '|'), [""]);
        assert_eq!(plain(r"end\"), r"end\");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in prop::collection::vec(r"[a|=\\é]{1,5}", 1..5)) {
            let field = parts.iter().map(|it| escaped(it)).collect::<Vec<_>>().join("|");
            let read: Vec<String> = split(&field, '|').into_iter().map(plain).collect();
            prop_assert_eq!(read, parts);
        }
    }
}
