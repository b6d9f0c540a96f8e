//! Log, budget and the processes that keep them.

use crate::lab::{CENTRES, Held, Lab};
use crate::studies::SHORT;
use rusqlite::Connection;
use serde_json::Value;
use std::fs;

fn ready(lab: &Lab) -> Held<'_> {
    lab.write("study.toml", SHORT);
    let held = lab.held();
    held.run("study.toml", "r1").exits(0);
    held
}

fn centre_command(lab: &Lab, words: &[&str], centre: &str) -> crate::process::Ran {
    let dir = lab.centre(centre);
    lab.konsil(&[words, &["-C", &dir.to_string_lossy(), "--json"]].concat())
}

/// Copies a centre's database, as a backup does.
fn copy_database(lab: &Lab, centre: &str, (from, to): (&str, &str)) {
    for file in ["node.sqlite", "node.sqlite-wal", "node.sqlite-shm"] {
        let (from, to) = (format!("{from}{file}"), format!("{to}{file}"));
        let folder = lab.centre(centre);
        let _earlier = fs::remove_file(folder.join(&to));
        if folder.join(&from).exists() {
            fs::copy(folder.join(&from), folder.join(&to)).unwrap();
        }
    }
}

// Case 31: a backup was restored. The first run ends and names the centre; the centre itself then
// refuses every run, and with it all randomness it could have used before, until its administrator
// accepts what is lost, and so do the others.
#[test]
fn a_restored_backup_is_found_by_its_peers() {
    let lab = Lab::with_patients(60, 81);
    let mut held = ready(&lab);
    held.centres[1].kill();
    copy_database(&lab, "birke", ("", "backup-"));
    held.centres[1].restart();
    held.note_addresses();
    held.run("study.toml", "r2").exits(0);
    held.centres[1].kill();
    copy_database(&lab, "birke", ("backup-", ""));
    held.centres[1].restart();
    held.note_addresses();
    let ran = held.run("study.toml", "r3").exits(9);
    ran.says(&["rollback-detected", "birke", "K0631"]);
    assert!(!lab.path("r3/summary.tidy.csv").exists());
    // it is remembered, and the restored database takes part in nothing
    let ran = held.run("study.toml", "r4").exits(9);
    ran.says(&["rollback-detected", "birke"]);
    centre_command(&lab, &["audit", "verify"], "birke").exits(9).says(&["K0631"]);
    // accepted at home only: the others have not
    centre_command(&lab, &["audit", "accept-rollback"], "birke").exits(1).says(&["K0702"]);
    held.centres[1].kill();
    centre_command(&lab, &["audit", "accept-rollback"], "birke").exits(0);
    centre_command(&lab, &["audit", "accept-rollback"], "birke").exits(5);
    centre_command(&lab, &["audit", "verify"], "birke").exits(0);
    held.centres[1].restart();
    held.note_addresses();
    // nobody knows what was spent since: all of it is, until the centre signs that it counts anew
    held.run("study.toml", "r5").exits(7).says(&["K0643", "birke", "budget renew"]);
    let show = || centre_command(&lab, &["budget", "show"], "birke").exits(0).json();
    assert_eq!(show()["void"], true);
    let renew = |centre: &str| {
        let key = lab.centre(centre).join("identity.key");
        let words = ["budget", "renew", "--signed-by", &key.to_string_lossy()];
        centre_command(&lab, &words, "birke")
    };
    renew("ahorn").exits(5).says(&["no steward's"]);
    renew("birke").exits(0).says(&["admin@birke"]);
    renew("birke").exits(5).says(&["not void"]);
    assert_eq!(show()["void"], false);
    held.run("study.toml", "r6").exits(9).says(&["rollback-detected", "birke"]);
    for (at, centre) in [(0, "ahorn"), (2, "eiche")] {
        held.centres[at].kill();
        let words = ["audit", "accept-rollback", "--peer", "birke"];
        centre_command(&lab, &words, centre).exits(0);
        held.centres[at].restart();
    }
    held.note_addresses();
    held.run("study.toml", "r7").exits(0);
    centre_command(&lab, &["audit", "verify"], "birke").exits(0);
    let json = centre_command(&lab, &["audit", "log"], "birke").exits(0).json();
    let kinds: Vec<&str> = json["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["event"]["kind"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"rollback") && kinds.contains(&"accept-rollback"), "{kinds:?}");
}

// Case 33: no memory of a daemon is ever written to a disk by a crash.
#[test]
fn daemons_leave_no_core_dump() {
    let lab = Lab::with_patients(60, 82);
    let held = lab.held();
    for id in held.centres.iter().map(|it| it.id()).chain([held.dealer.id()]) {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
        let line = limits.lines().find(|it| it.starts_with("Max core file size")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[4..6], ["0", "0"], "{line}");
    }
}

// What a data-protection officer does with the log.
#[test]
fn the_log_is_shown_verified_exported_and_proven() {
    let lab = Lab::with_patients(60, 83);
    let held = ready(&lab);
    let report = centre_command(&lab, &["audit", "verify"], "ahorn").exits(0).json();
    assert_eq!(report["report"]["held_by"].as_array().unwrap().len(), CENTRES.len() - 1);
    let dir = lab.centre("ahorn");
    let at = ["-C", &dir.to_string_lossy()];
    let all = lab.konsil(&[&["audit", "log"], &at[..]].concat()).exits(0).out;
    let recent = ["audit", "log", "--study", "short", "--since", "7d"];
    let short = lab.konsil(&[&recent[..], &at].concat()).exits(0).out;
    assert!(all.contains(" start ") && !short.contains(" start ") && short.contains("release"));
    lab.konsil(&["audit", "log", "--since", "7y"]).exits(2);
    let export = |format: &str| {
        lab.konsil(&[&["audit", "export", "--format", format], &at[..]].concat()).exits(0).out
    };
    for line in export("fhir").lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["resourceType"], "AuditEvent");
    }
    assert!(export("syslog").lines().all(|it| it.starts_with("<10") && it.contains("[konsil@")));
    let jsonl = export("jsonl");
    assert_eq!(jsonl.lines().count(), all.lines().count());
    assert!(jsonl.lines().next().unwrap().starts_with("{\"seq\":1,"));
    // a proof is checked without the node; a changed one proves nothing
    let proof = lab.konsil(&[&["audit", "proof", "3"], &at[..]].concat()).exits(0).out;
    lab.write("entry.tlog-proof", &proof);
    let check = ["audit", "check-proof", "entry.tlog-proof", "--network", "lab/network.toml"];
    let ran = lab.konsil(&check).exits(0);
    assert!(ran.out.contains("entry 3 of") && ran.out.contains("\"kind\":\"dataset\""));
    lab.write("entry.tlog-proof", &proof.replace("index 2", "index 3"));
    lab.konsil(&check).exits(9).says(&["K0634", "not in the log"]);
    lab.konsil(&[&["audit", "proof", "9999"], &at[..]].concat()).exits(2);
    let budget = centre_command(&lab, &["budget", "show"], "ahorn").exits(0).json();
    assert_eq!(budget["reserved"].as_array().unwrap().len(), 0);
    assert_eq!(budget["balances"][0]["currency"], "exact");
    drop(held);
    // one bit, and the command says where
    let connection = Connection::open(dir.join("node.sqlite")).unwrap();
    let change = "UPDATE audit_log SET time = time + 1 WHERE seq = 3";
    connection.execute(change, []).unwrap();
    drop(connection);
    let ran = centre_command(&lab, &["audit", "verify"], "ahorn").exits(9);
    ran.says(&["K0632", "entry 3 "]);
    lab.konsil(&[&["node", "serve"], &at[..]].concat()).exits(9).says(&["K0632", "entry 3 "]);
}

// A study that would spend more than is left is refused before anything is computed.
#[test]
fn an_exhausted_budget_refuses_the_run() {
    let lab = Lab::with_patients(60, 84);
    lab.write("study.toml", SHORT);
    let path = lab.centre("eiche").join("konsil.toml");
    let config = fs::read_to_string(&path).unwrap();
    let limits = "[budget]\nstudy_exposure = \"0.000001\"\n";
    fs::write(&path, format!("{}\n{limits}", config.replace("[budget]", ""))).unwrap();
    let held = lab.held();
    let ran = held.run("study.toml", "r1").exits(7);
    ran.says(&["eiche", "budget-exhausted", "would spend", "of 0.000001 left", "K0640"]);
    let budget = centre_command(&lab, &["budget", "show"], "eiche").exits(0).json();
    assert_eq!(budget["balances"].as_array().unwrap().len(), 0);
}
