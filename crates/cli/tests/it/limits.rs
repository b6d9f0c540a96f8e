//! Disks that are full. A file may not grow beyond a limit here, which writes see as they see a full
//! disk: an error in the middle.

use crate::lab::{Lab, files, patients};
use crate::process::{Daemon, start};
use crate::studies::{ALL, SHORT};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// `konsil` whose files may have so many blocks of 512 bytes.
fn limited(folder: &Path, blocks: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_konsil")]);
    command.current_dir(folder).stdin(Stdio::null());
    command
}

// An import that finds the disk full keeps what was there before, and leaves no half a file.
#[test]
fn an_import_on_a_full_disk_changes_nothing() {
    let lab = Lab::with_patients(60, 61);
    let before = files(lab.folder.path());
    lab.write("patients.csv", &patients(3000, 62));
    let arguments = ["lab", "import", "lab", "--dict", "dictionary.csv", "--split-by", "centre"];
    let mut command = limited(lab.folder.path(), 16);
    let ran = start(command.args(arguments).arg("patients.csv")).wait(Duration::from_secs(60));
    ran.exits(1).says(&["K0701", "lab/centres/ahorn"]);
    assert_eq!(files(lab.folder.path()), before);
    let status = lab.konsil(&["lab", "status", "lab", "--json"]).exits(0).json();
    assert_eq!(status["centres"][0]["patients"], 20, "the earlier data set stands");
}

// The same for genotypes: the earlier ones stand, and nothing else is left.
#[test]
fn genotypes_on_a_full_disk_change_nothing() {
    let lab = Lab::with_patients(60, 61);
    lab.write("x.fam", &(0..60).map(|it| format!("0 p{it} 0 0 0 -9\n")).collect::<String>());
    lab.write("x.bim", &(1..=6_000).map(|it| format!("1 . 0 {it} G A\n")).collect::<String>());
    let bed = [&[0x6c, 0x1b, 1][..], &[0b10; 15 * 6_000]].concat();
    std::fs::write(lab.path("x.bed"), bed).unwrap();
    lab.konsil(&["geno", "panel", "x.bim"]).exits(0);
    let import = ["lab", "geno", "lab", "--panel", "panel.tsv", "--centre", "ahorn", "x.bed"];
    lab.konsil(&import).exits(0);
    let before = files(lab.folder.path());
    let mut command = limited(lab.folder.path(), 64);
    let ran = start(command.args(import)).wait(Duration::from_secs(60));
    ran.exits(1).says(&["K0701", "lab/centres/ahorn"]);
    assert_eq!(files(lab.folder.path()), before);
    let folder = lab.centre("ahorn");
    let list = ["geno", "list", "-C", folder.to_str().unwrap()];
    assert!(lab.konsil(&list).exits(0).out.contains("6000 of 6000"));
}

// A result that cannot be written is an error with the file's name, and no half a file.
#[test]
fn results_on_a_full_disk_are_named() {
    let lab = Lab::with_patients(240, 63);
    let held = lab.held();
    lab.write("study.toml", ALL);
    let mut command = limited(lab.folder.path(), 8);
    command.args(["run", "study.toml", "--network", "lab/network.toml", "--out", "r"]);
    let ran = start(&mut command).wait(Duration::from_secs(60));
    ran.exits(1).says(&["K0701", "r/"]);
    for file in files(&lab.path("r")) {
        assert!(file.extension().is_none_or(|it| it != "new"), "{}", file.display());
    }
    drop(held);
}

// A centre that cannot write its database takes part in nothing (fault catalogue, cases 23 and 24).
#[test]
fn a_centre_with_a_full_disk_refuses_and_stays_up() {
    let lab = Lab::with_patients(60, 64);
    lab.write("study.toml", SHORT);
    // the database exists; what it has to write next does not fit any more
    let mut held = lab.held();
    held.run("study.toml", "r").exits(0);
    held.centres[1].kill();
    let folder = lab.centre("birke");
    // the journal goes on where it was; there is room for the node's start, not for a run
    let journal = std::fs::metadata(folder.join("node.sqlite-wal")).unwrap().len();
    let blocks = u32::try_from(journal / 512).unwrap() + 120;
    held.centres[1] = Daemon::serve_by(limited(&folder, blocks), "node", &folder);
    held.note_addresses();
    let ran = held.run("study.toml", "r2");
    assert_ne!(ran.code, Some(0), "{ran:#?}");
    ran.says(&["birke"]);
    assert!(!lab.path("r2/summary.tidy.csv").exists());
    assert!(held.centres.iter_mut().all(Daemon::is_alive));
    held.centres[1].kill();
    held.centres[1].restart();
    held.note_addresses();
    held.run("study.toml", "r3").exits(0);
}
