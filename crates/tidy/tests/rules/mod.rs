//! Reading the repository: files, and Rust sources taken apart into code, comments and strings.

mod analyses;
mod documents;
mod layers;
mod licences;
mod secrets;
mod style;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
pub(crate) struct Source {
    /// Where it is, from the repository's root, with `/`.
    pub(crate) path: String,
    /// What it says.
    pub(crate) text: String,
}

impl Source {
    /// The crate it belongs to, by its folder.
    pub(crate) fn krate(&self) -> &str {
        let mut parts = self.path.split('/');
        match (parts.next(), parts.next()) {
            (Some("crates"), Some(name)) => name,
            _ => "",
        }
    }

    /// Whether it is the manifest of a crate of this workspace; `fuzz` is one of its own.
    pub(crate) fn is_manifest(&self) -> bool {
        self.path.starts_with("crates/") && self.path.ends_with("/Cargo.toml")
    }

    /// The folder inside the crate: `src`, `tests` or `examples`.
    pub(crate) fn part(&self) -> &str {
        self.path.split('/').nth(2).unwrap_or_default()
    }
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every text file of the repository that is not a build's output, in order.
pub(crate) fn texts() -> Vec<Source> {
    let mut all = Vec::new();
    collect(&root(), "", &mut all);
    all.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(all.len() > 20, "the repository was not found");
    all
}

/// Every Rust source of every crate.
pub(crate) fn sources() -> Vec<Source> {
    let rust = |it: &Source| it.path.starts_with("crates/") && it.path.ends_with(".rs");
    texts().into_iter().filter(rust).collect()
}

/// Names of all crates, by their folders.
pub(crate) fn crates() -> Vec<String> {
    let manifests = texts().into_iter().filter(Source::is_manifest);
    manifests.map(|it| it.krate().to_owned()).collect()
}

fn collect(folder: &Path, prefix: &str, all: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().unwrap();
        // Cargo marks its build folders, wherever they are.
        let built = || entry.path().join("CACHEDIR.TAG").exists();
        if name == ".git" {
            // A folder, or in a second working tree a file that names a folder.
            continue;
        }
        if kind.is_dir() && name != "target" && !built() {
            collect(&entry.path(), &format!("{path}/"), all);
        } else if kind.is_file() && !name.ends_with(".tmp") && name != ".git" {
            // A file that goes away while we look, or holds no text, has no text to judge.
            let text = fs::read(entry.path()).ok().and_then(|it| String::from_utf8(it).ok());
            if let Some(text) = text.filter(|it| !it.contains('\0')) {
                all.push(Source { path, text });
            }
        }
    }
}

/// Fails with all violations of a rule.
pub(crate) fn assert_none(rule: &str, violations: &[String]) {
    let count = violations.len();
    assert!(violations.is_empty(), "{rule}: {count} broken\n  {}", violations.join("\n  "));
}

/// Whether a text stands at a place as a word of its own.
pub(crate) fn is_word(text: &str, start: usize, length: usize) -> bool {
    let part = |it: char| it.is_alphanumeric() || it == '_';
    let before = text[..start].chars().next_back().is_some_and(part);
    let after = text[start + length..].chars().next().is_some_and(part);
    !before && !after
}

/// Whether a text holds a word.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| is_word(text, at, word.len()))
}

/// Number of the line of a place, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// A Rust source taken apart. The three texts have the length of the source; what belongs to
/// another one is blank, so that places and lines are the same in all.
pub(crate) struct Parts {
    /// Names, operators, brackets.
    pub(crate) code: String,
    /// Comments and documentation.
    pub(crate) comments: String,
    /// String and character literals.
    pub(crate) strings: String,
}

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Code,
    Comment,
    Literal,
}

/// Takes a Rust source apart.
pub(crate) fn parts(text: &str) -> Parts {
    let mut kinds = vec![Part::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (kind, length) = match rest.chars().next().unwrap() {
            '/' if rest.starts_with("//") => (Part::Comment, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (Part::Comment, block_comment(rest)),
            'r' if starts_name(text, at) && raw_string(rest).is_some() => {
                (Part::Literal, raw_string(rest).unwrap())
            }
            '"' => (Part::Literal, quoted(rest, '"')),
            '\'' if is_character(rest) => (Part::Literal, quoted(rest, '\'')),
            other => (Part::Code, other.len_utf8()),
        };
        kinds[at..at + length].fill(kind);
        at += length;
    }
    let only = |kind: Part| {
        let keep = |(at, it): (usize, char)| match it {
            '\n' => "\n".to_owned(),
            it if kinds[at] == kind => it.to_string(),
            it => " ".repeat(it.len_utf8()),
        };
        text.char_indices().map(keep).collect()
    };
    Parts { code: only(Part::Code), comments: only(Part::Comment), strings: only(Part::Literal) }
}

/// Whether no name is going on here; `br` and `cr` begin strings as `r` does.
fn starts_name(text: &str, at: usize) -> bool {
    let before = text[..at].strip_suffix(['b', 'c']).unwrap_or(&text[..at]);
    !before.ends_with(|it: char| it.is_alphanumeric() || it == '_')
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else {
            at += rest[at..].chars().next().unwrap().len_utf8();
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].chars().take_while(|it| *it == '#').count();
    let inside = rest[1 + hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = inside.find(&end).map_or(inside.len(), |it| it + end.len());
    Some(2 + hashes + length)
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            it if it == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Whether a quote begins a character and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut next = rest.chars().skip(1);
    next.next() == Some('\\') || next.next() == Some('\'')
}

#[test]
fn sources_are_taken_apart() {
    let text = "let a = \"// no; {\"; // yes \"b\"\nlet c: &'a str = r#\"/* no */ \"\"#; /* ja /* n */ */\n'{' '\\'' x";
    let parts = parts(text);
    assert_eq!(parts.comments.split_whitespace().collect::<String>(), "//yes\"b\"/*ja/*n*/*/");
    assert_eq!(parts.code.split_whitespace().collect::<String>(), "leta=;letc:&'astr=;x");
    assert!(parts.strings.contains("\"// no; {\"") && parts.strings.contains("'\\''"));
    assert_eq!(parts.code.len(), text.len());
}

#[test]
fn words_are_whole() {
    assert!(has_word("a Debug, b", "Debug"));
    assert!(!has_word("a Debugger my_Debug", "Debug"));
}
