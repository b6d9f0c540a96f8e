//! A lab in which every study waits for each centre's steward.

use crate::lab::{CENTRES, DICTIONARY, Lab, patients};
use crate::process::{Ran, command, konsil, start};
use crate::studies::SHORT;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

/// A lab of which each centre has a steward, with data.
fn by_hand() -> Lab {
    by_hand_of(&CENTRES, &patients(240, 7))
}

fn by_hand_of(centres: &[&str], patients: &str) -> Lab {
    let lab = Lab { folder: tempfile::tempdir().unwrap() };
    lab.write("dictionary.csv", DICTIONARY);
    lab.konsil(&["lab", "new", "lab", "--by-hand", "--centres", &centres.join(",")]).exits(0);
    lab.write("patients.csv", patients);
    lab.import("patients.csv").exits(0);
    lab.write("study.toml", SHORT);
    lab
}

fn decide(lab: &Lab, centre: &str, words: &[&str]) -> Ran {
    let folder = lab.centre(centre);
    let dir = ["-C", folder.to_str().unwrap(), "--json"];
    lab.konsil(&[&["request"], words, &dir[..]].concat())
}

// Case 44: a steward leaves. Two others take the name out, and what it had approved runs no more.
#[test]
fn a_steward_who_left_is_taken_out_by_two_others() {
    let lab = by_hand();
    let folder = lab.centre("birke");
    let konsil = |words: &[&str]| konsil(&folder, words);
    let file = folder.join("policy.toml");
    let text = fs::read_to_string(&file).unwrap() + "# kept by us since 2024\n";
    fs::write(&file, text).unwrap();
    for (name, key) in [("eva", "eva.key"), ("jon", "jon.key")] {
        konsil(&["steward", "init", "--name", name, "--key", key]).exits(0);
    }
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    let network = ["--network", "lab/network.toml", "--json"];
    lab.konsil(&[&["submit", "study.toml"], &network[..]].concat()).exits(0);
    for centre in ["ahorn", "eiche"] {
        decide(&lab, centre, &["approve", "1", "--yes"]).exits(0);
    }
    let eva = folder.join("eva.key").display().to_string();
    decide(&lab, "birke", &["approve", "1", "--yes", "--key", &eva]).exits(0);
    let remove = |keys: &[&str]| {
        let signed = keys.iter().flat_map(|it| ["--signed-by", it]);
        konsil(&["steward", "remove", "eva"].into_iter().chain(signed).collect::<Vec<_>>())
    };
    remove(&["jon.key"]).exits(2).says(&["two sign"]);
    remove(&["jon.key", "jon.key"]).exits(2).says(&["stands twice"]);
    remove(&["jon.key", "eva.key"]).exits(2).says(&["no other steward"]);
    konsil(&["steward", "remove", "ida", "--signed-by", "jon.key"]).exits(2).says(&["no steward"]);
    remove(&["jon.key", "identity.key"]).exits(0).says(&["jon and admin@birke"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("# kept by us") && text.contains("jon") && !text.contains("eva"));
    let log = konsil(&["audit", "log", "--json"]).exits(0).out;
    assert!(log.contains("steward-removed") && log.contains("second_signature"), "{log}");
    lab.konsil(&[&["run", "study.toml", "--out", "r"], &network[..]].concat()).exits(5);
    lab.konsil(&["lab", "down", "lab"]).exits(0);
}

// The everyday path by hand: ask, read, approve at three centres, run once. The same approval again
// and an edited study are refused.
#[test]
fn stewards_approve_a_study_for_one_run() {
    let lab = by_hand();
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    let network = ["--network", "lab/network.toml", "--json"];
    let run = |study: &str| lab.konsil(&[&["run", study, "--out", "r"], &network[..]].concat());
    run("study.toml").exits(5).says(&["K0610", "waits for its steward", "#1", "--wait"]);
    let sent = lab.konsil(&[&["submit", "study.toml"], &network[..]].concat()).exits(0).json();
    assert_eq!(sent["schema"], "konsil.submit.v1");
    assert!(sent["centres"].as_array().unwrap().iter().all(|it| it["number"] == 1));
    let shown = decide(&lab, "ahorn", &["show", "1"]).exits(0).json();
    assert_eq!(shown["researcher"], "researcher");
    assert_eq!(shown["variables"], serde_json::json!(["age"]));
    assert!(shown["own_bytes"].as_u64().unwrap() > 0);
    assert!(!shown["plan"]["analyses"][0]["ledger"].as_array().unwrap().is_empty());
    let screen = konsil(&lab.centre("ahorn"), &["request", "show", "1"]).exits(0).out;
    for says in [
        "Will be revealed, value by value",
        "Guarantee",
        "Asks        summary    age",
        "Leaves here",
        "✓ all variables",
    ] {
        assert!(screen.contains(says), "{screen}");
    }
    assert!(screen.lines().count() < 40, "one screen: {screen}");
    decide(&lab, "ahorn", &["approve", "1"]).exits(2).says(&["not approved"]);
    decide(&lab, "ahorn", &["approve", "1", "--yes"]).exits(0).says(&["approved and logged"]);
    decide(&lab, "birke", &["ask", "1", "--note", "which vote?"]).exits(0);
    let asked = run("study.toml").exits(5).says(&["K0610", "which vote?"]);
    assert_eq!(asked.json()["exit"], 5);
    // the name of the study, typed, signs it
    let mut typed = command(&lab.centre("birke"));
    let mut child = typed.args(["request", "approve", "1"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"short\n").unwrap();
    assert!(child.wait().unwrap().success());
    // a researcher who waits
    let waiting = [&["run", "study.toml", "--out", "r", "--wait", "60"], &network[..]].concat();
    let waiting = start(command(lab.folder.path()).args(waiting));
    decide(&lab, "eiche", &["approve", "1", "--yes", "--note", "vote 2026-114"]).exits(0);
    let ran = waiting.wait(Duration::from_secs(90)).exits(0).json();
    assert_eq!(ran["planned_bytes"], ran["sent_bytes"]);
    run("study.toml").exits(5).says(&["K0611", "konsil submit"]);
    lab.write("edited.toml", &SHORT.replace("age", "crp"));
    run("edited.toml").exits(5).says(&["K0610", "#2"]);
    let list = decide(&lab, "eiche", &["list"]).exits(0).json();
    let states: Vec<&Value> =
        list["requests"].as_array().unwrap().iter().map(|it| &it["state"]).collect();
    assert_eq!(states, ["consumed", "waiting"]);
    decide(&lab, "eiche", &["decline", "2", "--note", "no vote"]).exits(0);
    run("edited.toml").exits(5).says(&["K0625", "no vote"]);
    decide(&lab, "birke", &["approve", "2", "--yes"]).exits(0);
    decide(&lab, "birke", &["revoke", "2"]).exits(0);
    decide(&lab, "birke", &["revoke", "2"]).exits(5).says(&["K0601"]);
    lab.konsil(&["lab", "down", "lab"]).exits(0);
}

// `lab run` says which commands approve; these work as they stand.
#[test]
fn lab_run_gives_the_commands_that_approve() {
    let lab = by_hand();
    let waits = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(5);
    let lines = waits.err.lines().filter(|it| it.starts_with("konsil request approve"));
    let commands: Vec<Vec<&str>> = lines.map(|it| it.split(' ').skip(1).collect()).collect();
    assert_eq!(commands.len(), 3, "{waits:?}");
    for words in commands {
        lab.konsil(&[&words[..], &["--yes"]].concat()).exits(0);
    }
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(0);
}

// Case 57: a centre that does not offer what is asked stays out; the others go on if the study says
// that they are enough, and only then.
#[test]
fn a_study_goes_on_without_a_centre_that_declines() {
    let patients = patients(240, 9);
    let lines = patients.lines().enumerate().map(|(at, line)| match at % 4 {
        3 => line.replacen(CENTRES[(at + 2) % 3], "linde", 1),
        _ => line.to_owned(),
    });
    let patients = lines.collect::<Vec<_>>().join("\n");
    let lab = by_hand_of(&[CENTRES[0], CENTRES[1], CENTRES[2], "linde"], &patients);
    let policy = lab.centre("linde").join("policy.toml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, text.replace("analyses = []", "analyses = [\"km\"]")).unwrap();
    lab.write("fewer.toml", &SHORT.replace("id = \"short\"", "id = \"short\"\nmin_centres = 3"));
    for (study, code) in [("study.toml", "K0623"), ("fewer.toml", "K0610")] {
        let ran = lab.konsil(&["lab", "run", "lab", study, "--out", "r"]).exits(5);
        ran.says(&[code, "linde"]);
    }
    for centre in CENTRES {
        for number in ["1", "2"] {
            decide(&lab, centre, &["approve", number, "--yes"]).exits(0);
        }
    }
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(5).says(&["K0623"]);
    let ran = lab.konsil(&["lab", "run", "lab", "fewer.toml", "--out", "r", "--json"]).exits(0);
    assert_eq!(ran.json()["planned_bytes"], ran.json()["sent_bytes"]);
    ran.says(&["goes on without linde"]);
    let plan = fs::read_to_string(lab.path("r/plan.json")).unwrap();
    assert!(!plan.contains("linde"), "{plan}");
}

// Stewards, their keys, and the policy file with what a person may do wrong in it.
#[test]
fn stewards_keys_and_policies_are_checked() {
    let lab = by_hand();
    let folder = lab.centre("ahorn");
    let dir = folder.to_str().unwrap();
    let key = lab.path("jon.key");
    let key = key.to_str().unwrap();
    let policy = folder.join("policy.toml");
    fs::write(&policy, format!("# ours\n{}", fs::read_to_string(&policy).unwrap())).unwrap();
    let init = ["steward", "init", "-C", dir, "--name", "jon", "--key", key];
    lab.konsil(&init).exits(0).says(&["jon is a steward"]);
    assert!(fs::read_to_string(&policy).unwrap().starts_with("# ours"), "comments stay");
    lab.konsil(&init).exits(2).says(&["already"]);
    let shown = lab.konsil(&["policy", "show", "-C", dir, "--json"]).exits(0).json();
    assert_eq!(shown["policy"]["steward"].as_array().unwrap().len(), 2);
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(5);
    let approve = ["request", "approve", "1", "-C", dir, "--yes", "--key", key];
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    lab.konsil(&approve).exits(1).says(&["K0701", "0600"]);
    fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    // who is no steward here is refused, also with a good key of another centre
    let other = lab.centre("birke").join("steward.key");
    let foreign = ["request", "approve", "1", "-C", dir, "--yes", "--key", other.to_str().unwrap()];
    lab.konsil(&foreign).exits(5).says(&["K0618", "not a steward"]);
    lab.konsil(&approve).exits(0);
    let edit = |script: &str| {
        lab.write("editor.sh", script);
        let editor = format!("sh {}", lab.path("editor.sh").display());
        let mut edit = command(lab.folder.path());
        edit.args(["policy", "edit", "-C", dir]).env("EDITOR", editor);
        start(&mut edit).wait(Duration::from_secs(30))
    };
    let broken = edit("sed -i 's/^two_person = /two_persons = /' \"$1\"");
    broken.exits(1).says(&["did you mean `two_person`?", "stays as it was"]);
    edit("sed -i 's/^analyses = .*/analyses = [\"km\"]/' \"$1\"").exits(0).says(&["void"]);
    let tried = lab.konsil(&["policy", "test", "-C", dir, "--json"]).exits(0).json();
    assert!(tried["requests"][0]["decision"].as_str().unwrap().contains("K0623"), "{tried}");
    // the approval was for the policy as it was
    for centre in ["birke", "eiche"] {
        decide(&lab, centre, &["approve", "1", "--yes"]).exits(0);
    }
    let ran = lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"]).exits(5);
    ran.says(&["K0614", "ahorn"]);
}

// A permit from its body to a run's refusal, all by commands.
#[test]
fn permits_are_made_shown_and_refused() {
    let lab = by_hand();
    let me =
        lab.konsil(&["permit", "me", "--network", "lab/network.toml", "--json"]).exits(0).json();
    let me = me["key"].as_str().unwrap().to_owned();
    let new = |purpose: &str, to: &str| {
        let words = ["permit", "new", "--key", "body.key", "--id", "HDAB-7", "--body", "a body"];
        let days = ["--from", "2020-01-01", "--to", to, "--centres", "ahorn,birke,eiche"];
        let who = ["--purpose", purpose, "--person", &me, "--commercial", "true", "--json"];
        lab.konsil(&[&words[..], &days, &who].concat())
    };
    new("marketing", "2099-12-31").exits(2).says(&["54(c)"]);
    let permit = new("scientific-research", "2099-12-31").exits(0).json();
    let issuer = permit["permit"]["signer"].as_str().unwrap();
    lab.konsil(&["permit", "show", "permit.json"]).exits(0);
    let text = fs::read_to_string(lab.path("permit.json")).unwrap();
    lab.write("forged.json", &text.replace("2099", "2199"));
    lab.konsil(&["permit", "show", "forged.json"]).exits(5).says(&["K0620"]);
    for centre in CENTRES {
        let path = lab.centre(centre).join("policy.toml");
        let policy = fs::read_to_string(&path).unwrap();
        let duo = if centre == "birke" { "duo = [\"NCU\"]" } else { "duo = []" };
        let issuer = format!("\n[[permit_issuer]]\nname = \"a body\"\nkey = \"{issuer}\"\n");
        let policy = policy.replace("permit_issuer = []\n", "").replace("duo = []", duo);
        fs::write(&path, policy + &issuer).unwrap();
    }
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    let submit = |permit: &str| {
        lab.konsil(&["submit", "study.toml", "--network", "lab/network.toml", "--permit", permit])
    };
    submit("permit.json").exits(5).says(&["K0621", "`commercial` on data `NCU`"]);
    submit("forged.json").exits(5).says(&["K0620", "at submit"]);
    new("scientific-research", "2020-12-31").exits(0);
    submit("permit.json").exits(5).says(&["K0620", "ended on 2020-12-31"]);
    lab.konsil(&["lab", "down", "lab"]).exits(0);
}
