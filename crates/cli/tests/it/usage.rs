//! The command's manners: usage, explanations, completion, manuals, pipes, colours.

use crate::lab::Lab;
use crate::process::{command, konsil, start};
use crate::studies::SHORT;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::Duration;

// Wrong use is exit status 2, with a hint.
#[test]
fn wrong_use_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["frobnicate"][..],
        &["demo", "--nope"],
        &["lab"],
        &["lab", "new", "x"],
        &["summary"],
        &["run"],
        &["completion", "tcsh"],
        &["bench", "primitives", "--centres", "1"],
        &["--color", "sometimes", "explain"],
        &[],
    ] {
        let ran = konsil(folder.path(), arguments).exits(2);
        assert!(!ran.err.is_empty() && !ran.err.contains("panicked"), "{ran:#?}");
    }
    konsil(folder.path(), &["explain", "K9999"]).exits(2).says(&["K9999"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

// Every code has a meaning and a remedy; every subcommand has help.
#[test]
fn everything_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let all = konsil(folder.path(), &["explain", "--json"]).exits(0).json();
    let codes = all["codes"].as_array().unwrap();
    assert!(codes.len() > 50);
    for code in codes {
        for part in ["code", "meaning", "remedy"] {
            assert!(code[part].as_str().is_some_and(|text| text.len() >= 5), "{code}");
        }
    }
    let one = konsil(folder.path(), &["explain", "k0217"]).exits(0);
    assert!(one.out.starts_with("K0217"), "{}", one.out);
    for topic in ["exit-codes", "guarantee"] {
        assert!(konsil(folder.path(), &["explain", topic]).exits(0).out.len() > 50);
    }
    for help in [&["--help"][..], &["help", "lab"], &["lab", "import", "--help"], &["--version"]] {
        assert!(!konsil(folder.path(), help).exits(0).out.is_empty());
    }
}

// Packages ship completion and manuals; both come from the definition of the commands, which is
// checked as a whole when they are made.
#[test]
fn completion_and_manuals_are_complete() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = konsil(folder.path(), &["completion", shell]).exits(0);
        assert!(ran.out.contains("konsil") && ran.out.contains("table1"), "{shell}");
    }
    konsil(folder.path(), &["man", "pages"]).exits(0);
    let pages = fs::read_dir(folder.path().join("pages")).unwrap();
    let pages: Vec<String> =
        pages.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    for page in ["konsil.1", "konsil-run.1", "konsil-lab-new.1", "konsil-node-runs.1"] {
        assert!(pages.iter().any(|it| it == page), "no {page} in {pages:?}");
    }
}

// `konsil explain | head -1`: a reader that has seen enough is no error and no panic.
#[test]
fn a_closed_pipe_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["explain"][..], &["completion", "zsh"], &["--help"], &["explain", "--json"]]
    {
        let mut child = command(folder.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let status = child.wait().unwrap();
        assert!(!err.contains("panicked") && status.code() != Some(101), "{arguments:?} {err}");
    }
    // also while a study runs
    let lab = Lab::with_patients(60, 71);
    lab.write("study.toml", SHORT);
    let mut child = command(lab.folder.path())
        .args(["lab", "run", "lab", "study.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut line = String::new();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    err.read_line(&mut line).unwrap();
    drop(err);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{line}");
}

// Colour is for terminals: pipes get none unless asked, and NO_COLOR is honoured.
#[test]
fn pipes_get_no_colour_unless_asked() {
    let lab = Lab::with_patients(60, 72);
    lab.write("study.toml", SHORT);
    let run = |setting: Option<&str>, options: &[&str]| {
        let mut command = command(lab.folder.path());
        if let Some(value) = setting {
            command.env("NO_COLOR", value);
        }
        command.args(["lab", "run", "lab", "study.toml"]).args(options);
        start(&mut command).wait(Duration::from_secs(60)).exits(0)
    };
    for ran in [run(None, &[]), run(Some("1"), &[]), run(Some("1"), &["--color", "never"])] {
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:#?}");
        assert!(ran.out.contains("median"), "{ran:#?}");
    }
    let quiet = run(None, &["--quiet"]);
    assert!(quiet.out.is_empty() && quiet.err.is_empty(), "{quiet:#?}");
    let json = run(None, &["--json"]);
    assert_eq!(json.out.lines().count(), 1);
    assert_eq!(json.json()["schema"], "konsil.run.v1");
}
