//! One word for one thing.

use super::{Source, assert_none, line_of, parts, sources};

/// Words that we don't use, and what to say instead.
const FORBIDDEN: [(&str, &str); 10] = [
    ("site", "centre"),
    ("sites", "centres"),
    ("hospital", "centre"),
    ("hospitals", "centres"),
    ("helper", "dealer, or what it does"),
    ("helpers", "what they do"),
    ("util", "what it does"),
    ("utils", "what they do"),
    ("manager", "what it does"),
    ("managers", "what they do"),
];

/// Files in which a word means something else, with the word.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Words of a text in lower case, with their places: names fall apart at `_` and at capitals.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut all: Vec<(usize, String)> = Vec::new();
    let mut last = ' ';
    for (at, character) in text.char_indices() {
        if !character.is_alphabetic() {
            last = ' ';
            continue;
        }
        let begins = last == ' ' || (character.is_uppercase() && last.is_lowercase());
        match all.last_mut().filter(|_| !begins) {
            Some((_, word)) => word.extend(character.to_lowercase()),
            None => all.push((at, character.to_lowercase().collect())),
        }
        last = character;
    }
    all
}

fn forbidden(source: &Source) -> Vec<String> {
    let parts = parts(&source.text);
    let places = |text: &str| -> Vec<(usize, String)> {
        let lines = words(text).into_iter();
        lines.map(|(at, word)| (line_of(text, at), word)).collect()
    };
    let name: Vec<_> = words(&source.path).into_iter().map(|(_, word)| (0, word)).collect();
    let all = [name, places(&parts.code), places(&parts.comments)].concat();
    let mut found = Vec::new();
    for (line, word) in all {
        let excepted = EXCEPTIONS.contains(&(source.path.as_str(), word.as_str()));
        let known = FORBIDDEN.iter().find(|(it, _)| *it == word);
        if let Some((_, instead)) = known.filter(|_| !excepted) {
            found.push(format!("{}:{line}: `{word}`: say {instead}", source.path));
        }
    }
    found
}

#[test]
fn words_are_those_of_the_style_guide() {
    let violations: Vec<String> = sources().iter().flat_map(forbidden).collect();
    assert_none("forbidden words in names and comments", &violations);
}

#[test]
fn a_forbidden_word_is_found_inside_a_name() {
    let found = |text: &str| {
        let (path, text) = ("crates/mpc/src/lib.rs".to_owned(), text.to_owned());
        forbidden(&Source { path, text }).len()
    };
    assert_eq!(found("let n_sites = 1; struct SiteKey; // Each site.\n"), 3);
    assert_eq!(found("let requisite = \"site\"; // opposite\n"), 0);
    let path = "crates/mpc/src/utils.rs".to_owned();
    assert_eq!(forbidden(&Source { path, text: String::new() }).len(), 1);
}
