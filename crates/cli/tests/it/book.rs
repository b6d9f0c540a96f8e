//! The documentation: every command of every page runs, as printed, in an empty folder of the page's own.
//!
//! Blocks named `sh` and the lines of `console` after `$ ` are run in their order, as one script; files are
//! written where a page shows them; what stands in a comment `<!-- run … -->` is run and not shown. Blocks
//! named `untested` need what a test has not: a browser, a person, a system's services.

use crate::process::{start, until};
use std::fmt::Write;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A page may take so long on a busy computer.
const PAGE_MAX: Duration = Duration::from_secs(240);
/// How long processes may take to end that a page has told to.
const ENDING_MOST: Duration = Duration::from_secs(5);
/// How many blocks may be `untested`, over all pages: a number that should not grow unseen.
const UNTESTED_MOST: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages that the table of contents names.
fn pages() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let links = summary.split("](").skip(1).filter_map(|it| it.split_once(')'));
    links.map(|(link, _)| docs.join(link)).collect()
}

/// What is between fences or in a comment.
#[derive(Clone, Copy, PartialEq)]
enum In<'a> {
    Text,
    Sh,
    Console,
    File(&'a str),
    Hidden,
    Other,
}

/// A page as a script, and how many of its blocks are not tested.
fn script(page: &str) -> (String, usize) {
    let (mut script, mut untested) = ("set -euo pipefail\n".to_owned(), 0);
    let (mut at, mut name, mut continued) = (In::Text, "", false);
    let lines: Vec<&str> = page.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        let line = *line;
        match at {
            In::Text if line.starts_with("<!-- run") => {
                at = In::Hidden;
                let rest = line.trim_start_matches("<!-- run");
                if let Some((rest, _)) = rest.split_once("-->") {
                    let _ok = writeln!(script, "{rest}");
                    at = In::Text;
                } else {
                    let _ok = writeln!(script, "{rest}");
                }
            }
            In::Text if line.starts_with("<!-- file: ") => {
                name = line.trim_start_matches("<!-- file: ").trim_end_matches("-->").trim();
            }
            In::Text if line.starts_with("```") => {
                let kind = line.trim_start_matches('`').trim();
                let first = lines.get(number + 1).copied().unwrap_or_default();
                let titled = first.strip_prefix("# ").filter(|it| it.ends_with(".toml"));
                at = match (kind, name, titled) {
                    ("sh", ..) => In::Sh,
                    ("console", ..) => In::Console,
                    ("toml", "", Some(name)) => In::File(name),
                    (_, "", _) => In::Other,
                    (_, name, _) => In::File(name),
                };
                untested += usize::from(kind.ends_with("untested"));
                if let In::File(name) = at {
                    let _ok = writeln!(script, "cat > '{name}' <<'END-OF-FILE'");
                }
                name = "";
            }
            In::Hidden if line.starts_with("-->") => at = In::Text,
            In::File(_) if line == "```" => {
                script.push_str("END-OF-FILE\n");
                at = In::Text;
            }
            _ if at != In::Text && at != In::Hidden && line == "```" => at = In::Text,
            In::Sh | In::Hidden | In::File(_) => {
                let _ok = writeln!(script, "{line}");
            }
            In::Console if continued || line.starts_with("$ ") => {
                continued = line.ends_with('\\');
                let _ok = writeln!(script, "{}", line.strip_prefix("$ ").unwrap_or(line));
            }
            In::Text | In::Console | In::Other => {}
        }
    }
    (script, untested)
}

/// Ids of processes that a folder's scripts have left.
fn left(folder: &Path) -> Vec<u32> {
    let folder = folder.as_os_str().as_encoded_bytes();
    let ids = fs::read_dir("/proc").unwrap().flatten();
    let ids = ids.filter_map(|it| it.file_name().to_str()?.parse::<u32>().ok());
    let belongs = |id: &u32| {
        let command = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let place = fs::read_link(format!("/proc/{id}/cwd")).unwrap_or_default();
        command.windows(folder.len()).any(|it| it == folder)
            || place.as_os_str().as_encoded_bytes().starts_with(folder)
    };
    ids.filter(belongs).collect()
}

/// Runs a page's script; what went wrong, with the last lines of it.
fn run(page: &Path) -> Option<String> {
    let (script, _) = script(&fs::read_to_string(page).unwrap());
    if script.lines().count() == 1 {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".page.sh"), script).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_konsil")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.arg("-x").arg(".page.sh").current_dir(folder.path()).env("PATH", path);
    command.env_remove("NO_COLOR").stdin(Stdio::null()).process_group(0);
    let ran = start(&mut command).wait(PAGE_MAX);
    let name = page.strip_prefix(root()).unwrap_or(page).display();
    println!("{name}: {:.1} s", ran.elapsed.as_secs_f64());
    // who was told to end may take a moment
    until(ENDING_MOST, || left(folder.path()).is_empty());
    let left = left(folder.path());
    for id in &left {
        let _ended = Command::new("kill").arg(id.to_string()).status();
    }
    let lines: Vec<&str> = ran.err.lines().collect();
    let last = lines.iter().rev().take(12).rev().copied().collect::<Vec<_>>().join("\n");
    if ran.code != Some(0) {
        return Some(format!("{name} ends with {:?}\n{last}\n{}", ran.code, ran.out));
    }
    (!left.is_empty()).then(|| format!("{name} leaves {} processes", left.len()))
}

/// Pages, every fourth one.
fn run_from(first: usize) {
    let pages = pages();
    let wrong: Vec<String> = pages.iter().skip(first).step_by(4).filter_map(|it| run(it)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn commands_of_the_documentation_run_1() {
    run_from(0);
}

#[test]
fn commands_of_the_documentation_run_2() {
    run_from(1);
}

#[test]
fn commands_of_the_documentation_run_3() {
    run_from(2);
}

#[test]
fn commands_of_the_documentation_run_4() {
    run_from(3);
}

// A link to a page that is not there, or a page that is in no table of contents, is a defect.
#[test]
fn pages_are_there_and_few_blocks_are_untested() {
    let pages = pages();
    let mut untested = 0;
    for page in &pages {
        let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{page:?}: {error}"));
        untested += script(&text).1;
        let folder = page.parent().unwrap();
        for (link, _) in text.split("](").skip(1).filter_map(|it| it.split_once(')')) {
            let file = link.split('#').next().unwrap_or_default();
            if file.ends_with(".md") && !file.contains(':') {
                assert!(folder.join(file).exists(), "{page:?}: no page {link}");
            }
        }
    }
    assert!(untested <= UNTESTED_MOST, "{untested} blocks are not tested");
    let docs = root().join("docs");
    for entry in fs::read_dir(&docs).unwrap().flatten() {
        let path = entry.path();
        let is_page = path.extension().is_some_and(|it| it == "md");
        let contents = path.file_name().is_some_and(|it| it == "SUMMARY.md");
        assert!(!is_page || contents || pages.contains(&path), "{path:?} is not in SUMMARY.md");
    }
}

// The page of error codes is what the program says.
#[test]
fn the_page_of_error_codes_is_the_programs() {
    let docs = root().join("docs");
    let mut command = Command::new("bash");
    command.arg(docs.join("make-errors.sh")).arg(env!("CARGO_BIN_EXE_konsil"));
    let ran = start(command.stdin(Stdio::null())).wait(PAGE_MAX).exits(0);
    let kept = fs::read_to_string(docs.join("errors.md")).unwrap();
    assert!(ran.out == kept, "run: bash docs/make-errors.sh PROGRAM > docs/errors.md");
}

#[test]
fn a_page_becomes_a_script() {
    let page = "# A page\n\n```sh\nkonsil a\n```\n\n```console\n$ konsil b \\\n    c\nsaid\n$ d # e\n```\n\
                <!-- run\nwait\n-->\n<!-- run true -->\n```sh untested\nsudo x\n```\n\
                ```toml\n# s.toml\na = 1\n```\n<!-- file: t.csv -->\n```csv\nx,y\n```\n";
    let (script, untested) = script(page);
    assert_eq!(untested, 1);
    let lines = [
        "set -euo pipefail",
        "konsil a",
        "konsil b \\",
        "    c",
        "d # e",
        "",
        "wait",
        " true ",
        "cat > 's.toml' <<'END-OF-FILE'",
        "# s.toml",
        "a = 1",
        "END-OF-FILE",
        "cat > 't.csv' <<'END-OF-FILE'",
        "x,y",
        "END-OF-FILE",
    ];
    assert_eq!(script.lines().collect::<Vec<_>>(), lines);
}
