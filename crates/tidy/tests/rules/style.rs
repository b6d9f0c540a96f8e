//! Files stay short, and hold nothing that is unfinished or switched off.

use super::{Source, assert_none, has_word, is_word, line_of, parts, sources};
use std::collections::BTreeSet;

const LINES_MAX: usize = 600;

/// Words of unfinished work, in pieces: this file must pass too.
const UNFINISHED: [[&str; 2]; 3] = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]];
/// Attributes that switch a check off.
const SWITCHED_OFF: [&str; 4] = ["#[ignore", "#[allow(", "#![allow(", "allow(clippy::"];
/// What only processes may do: print, read the environment, ask the time.
const PROCESS_ONLY: [&str; 7] =
    ["println!", "eprintln!", "print!", "eprint!", "std::env", "env::", "SystemTime::now"];

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let judged = matches!(source.part(), "src" | "tests");
    (judged && lines > LINES_MAX).then(|| format!("{}: {lines} lines", source.path))
}

fn unfinished(source: &Source) -> Vec<String> {
    let mut found = Vec::new();
    let comments = parts(&source.text).comments;
    for (index, line) in comments.lines().map(str::trim).enumerate() {
        let place = format!("{}:{}", source.path, index + 1);
        if line.starts_with("// ") && line.ends_with([';', '{']) {
            found.push(format!("{place}: commented-out code? {line}"));
        }
    }
    for word in UNFINISHED.map(|it| it.concat()) {
        if has_word(&source.text, &word) {
            found.push(format!("{}: {word}", source.path));
        }
    }
    found
}

fn switched_off(source: &Source) -> Vec<String> {
    let code = parts(&source.text).code;
    let attributes = SWITCHED_OFF.iter().flat_map(|it| code.match_indices(it));
    attributes.map(|(at, what)| format!("{}:{}: {what}", source.path, line_of(&code, at))).collect()
}

fn process_only(source: &Source) -> Vec<String> {
    if matches!(source.krate(), "node" | "cli") || source.part() == "examples" {
        return Vec::new();
    }
    let code = parts(&source.text).code;
    let mut lines = BTreeSet::new();
    // a test may look in the environment for the folder of shared data
    let in_test = source.part() == "tests";
    for what in PROCESS_ONLY.into_iter().filter(|what| !(in_test && what.contains("env"))) {
        let name = what.trim_end_matches([':', '!']);
        let places = code.match_indices(what);
        let places = places.filter(|(at, _)| is_word(&code, *at, name.len()));
        lines.extend(places.map(|(at, _)| line_of(&code, at)));
    }
    let text = |line: usize| source.text.lines().nth(line - 1).unwrap().trim();
    lines.into_iter().map(|it| format!("{}:{it}: {}", source.path, text(it))).collect()
}

#[test]
fn files_are_short() {
    let violations: Vec<String> = sources().iter().filter_map(too_long).collect();
    assert_none("a file has at most 600 lines", &violations);
}

#[test]
fn nothing_is_unfinished() {
    let violations: Vec<String> = sources().iter().flat_map(unfinished).collect();
    assert_none("no commented-out code and no notes of unfinished work", &violations);
}

#[test]
fn no_check_is_switched_off() {
    let violations: Vec<String> = sources().iter().flat_map(switched_off).collect();
    assert_none("no ignored test; `expect` with a reason instead of `allow`", &violations);
}

#[test]
fn only_processes_print_read_the_environment_and_ask_the_time() {
    let violations: Vec<String> = sources().iter().flat_map(process_only).collect();
    assert_none("only node, cli and examples print, use the environment or the clock", &violations);
}

#[test]
fn bad_style_is_found() {
    let source =
        |text: &str| Source { path: "crates/mpc/src/lib.rs".to_owned(), text: text.to_owned() };
    assert_eq!(unfinished(&source("    // let a = 1;\n// Why it is so.\n/// `a;`;\n")).len(), 1);
    assert_eq!(unfinished(&source(&format!("// {}{}: later\n", "TO", "DO"))).len(), 1);
    assert_eq!(switched_off(&source("#[allow(dead_code)]\n\"#[ignore]\"\n#[ignore]")).len(), 2);
    assert_eq!(process_only(&source("println!(); // println!\nuse std::env;")).len(), 2);
    assert_eq!(process_only(&source("env!(\"A\"); writeln!(f); my_env::a")).len(), 0);
    assert!(too_long(&source(&"\n".repeat(601))).is_some());
    assert!(too_long(&source(&"\n".repeat(600))).is_none());
}
