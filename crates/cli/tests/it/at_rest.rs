//! Keys of what is at rest: listed, rotated, missing.

use crate::lab::{CENTRES, HEADER, Lab, files, patients};
use crate::process::{Ran, command, start};
use konsil_cohort::pseudonym_of;
use std::fmt::Write;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

const STUDY: &str = "[study]\nid = \"age\"\n[[analysis]]\nid = \"age\"\nkind = \"summary\"\nvariables = [\"age\"]\n";

// A centre's key is rotated between two studies: they see the same patients, and what was approved or
// frozen before still is. A node that runs holds its key.
#[test]
fn a_rotated_key_changes_nothing_for_studies() {
    let lab = Lab::with_patients(360, 95);
    lab.write("age.toml", STUDY);
    let run = |out: &str| lab.konsil(&["lab", "run", "lab", "age.toml", "--out", out]);
    run("before").exits(0);
    let folder = lab.centre(CENTRES[1]);
    let dir = folder.to_string_lossy().into_owned();
    let keys = || lab.konsil(&["node", "key", "list", "-C", &dir, "--json"]).exits(0).json();
    let first = keys();
    assert_eq!(first["keys"][0]["datasets"][0], "patients");
    assert_eq!(first["keys"][0]["rows"], 2);
    let sealed = fs::read(folder.join("data/patients.konsil")).unwrap();
    let rotate = || lab.konsil(&["node", "key", "rotate", "-C", &dir, "--json"]);
    lab.konsil(&["lab", "up", "lab"]).exits(0);
    rotate().exits(1).says(&["K0702"]);
    lab.konsil(&["lab", "down", "lab"]).exits(0);
    let rotated = rotate().exits(0).json();
    assert_eq!((&rotated["datasets"], &rotated["rows"]), (&1.into(), &2.into()));
    assert_eq!(rotated["from"][0], first["keys"][0]["id"]);
    let second = keys();
    assert_eq!(second["keys"].as_array().unwrap().len(), 1);
    assert_eq!(second["keys"][0]["id"], rotated["to"]);
    run("after").exits(0);
    let values = |out: &str| fs::read(lab.path(out).join("age.tidy.csv")).unwrap();
    assert_eq!(values("before"), values("after"));
    lab.konsil(&["audit", "verify", "-C", &dir]).exits(0);
    let log = lab.konsil(&["audit", "log", "-C", &dir]).exits(0);
    assert!(log.out.contains("key-rotate") && log.out.contains("key-drop"), "{log:?}");
    // the file from before is not the frozen one any more
    fs::write(folder.join("data/patients.konsil"), sealed).unwrap();
    run("old").exits(9).says(&["K0314"]);
}

// What was copied from a centre without its key is nothing elsewhere.
#[test]
fn data_without_their_key_do_not_open() {
    let lab = Lab::with_patients(60, 96);
    let folder = lab.centre(CENTRES[0]);
    let elsewhere = lab.path("elsewhere");
    fs::create_dir_all(elsewhere.join("data")).unwrap();
    let file = "data/patients.konsil";
    fs::copy(folder.join(file), elsewhere.join(file)).unwrap();
    let list = |says: &[&str], code| {
        lab.konsil(&["data", "list", "-C", "elsewhere"]).exits(code).says(says);
    };
    list(&["K0701", "data.key"], 1);
    fs::copy(lab.centre(CENTRES[1]).join("data.key"), elsewhere.join("data.key")).unwrap();
    list(&["K0312", "sealed under key", "konsil node key list"], 9);
    fs::copy(folder.join("data.key"), elsewhere.join("data.key")).unwrap();
    list(&[], 0);
}

// A stolen folder or backup of a centre, without its key, shows no patient: neither identifier nor
// pseudonym, neither a measured value nor what somebody has consented to, whatever was done with them.
#[test]
fn no_byte_of_a_centres_folder_is_about_a_patient() {
    let lab = Lab::empty();
    let mark = "CANARY51d0c3";
    let mut text = format!("{HEADER}\n");
    let mut ids = Vec::new();
    for (at, line) in patients(360, 97).lines().skip(1).enumerate() {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        if fields[0] == CENTRES[0] {
            fields[1] = format!("{mark}{at}");
            ids.push(fields[1].clone());
        }
        writeln!(text, "{}", fields.join(",")).unwrap();
    }
    lab.write("patients.csv", &text);
    lab.import("patients.csv").exits(0);
    let folder = lab.centre(CENTRES[0]);
    let dir = folder.to_string_lossy().into_owned();
    fs::write(folder.join("policy.toml"), "consent_required = true\n").unwrap();
    let config = folder.join("konsil.toml");
    let limited = fs::read_to_string(&config).unwrap();
    let limited = limited.replace("[budget]\n", "[budget]\npatient_rho = \"0.05\"\n");
    fs::write(&config, limited).unwrap();
    let rows: String = ids.iter().map(|id| format!("{id},leprosy,2020-01-01,\n")).collect();
    lab.write("consent.csv", &format!("id,purpose,from,to\n{rows}"));
    lab.konsil(&["consent", "import", "consent.csv", "-C", &dir]).exits(0);
    lab.write("ids.txt", &ids[..12].join("\n"));
    lab.konsil(&["consent", "withdraw", "--id-file", "ids.txt", "-C", &dir]).exits(0);
    for (out, release) in [("exact", ""), ("noise", "[release]\nepsilon = 0.5\n")] {
        let study = format!(
            "[study]\nid = \"{out}\"\npurpose = \"leprosy\"\n{release}[[analysis]]\nkind = \"table1\"\nvariables = [\"sex\"]\n"
        );
        lab.write("study.toml", &study);
        lab.konsil(&["lab", "run", "lab", "study.toml", "--out", out]).exits(0);
    }
    lab.konsil(&["node", "key", "rotate", "-C", &dir]).exits(0).says(&["sealed anew"]);
    let key = konsil_node::open_key(&folder).unwrap();
    let looked_at = files(&folder);
    assert!(looked_at.iter().any(|it| it.ends_with("node.sqlite")), "{looked_at:?}");
    for path in looked_at {
        let bytes = fs::read(&path).unwrap();
        let holds = |form: &[u8]| bytes.windows(form.len()).any(|it| it == form);
        assert!(!holds(mark.as_bytes()), "{} names a patient", path.display());
        assert!(!holds(b"\"deny\""), "{} shows a statement", path.display());
        for id in &ids[..20] {
            let pseudonym = pseudonym_of(&key, id);
            let hex = konsil_governance::to_hex(&pseudonym);
            let is_there = holds(&pseudonym) || holds(hex.as_bytes());
            assert!(!is_there, "{} shows a pseudonym", path.display());
        }
    }
}

/// Runs a command with a setting of the environment.
fn with(lab: &Lab, (name, value): (&str, &Path), arguments: &[&str]) -> Ran {
    let mut command = command(lab.folder.path());
    start(command.env(name, value).args(arguments)).wait(Duration::from_secs(120))
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

// A key under a passphrase: without it, with another one, or with a file that others may read nothing
// opens, and no node starts; with it everything does, also after a rotation.
#[test]
fn a_locked_key_opens_with_its_passphrase_only() {
    let lab = Lab::with_patients(360, 98);
    lab.write("age.toml", STUDY);
    let (right, wrong) = (lab.path("right"), lab.path("wrong"));
    for (path, text) in [(&right, "correct horse battery\n"), (&wrong, "correct horse cattery\n")] {
        fs::write(path, text).unwrap();
        set_mode(path, 0o600);
    }
    lab.write("short", "too short\n");
    set_mode(&lab.path("short"), 0o600);
    let folder = lab.centre(CENTRES[1]);
    let dir = folder.to_string_lossy().into_owned();
    let key = |words: &[&str]| [&["node", "key"], words, &["-C", &dir]].concat().join(" ");
    let by = |file: Option<&Path>, words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        file.map_or_else(
            || lab.konsil(&words),
            |it| with(&lab, ("KONSIL_PASSPHRASE_FILE", it), &words),
        )
    };
    by(None, &key(&["passphrase", "--file", "short"])).exits(5).says(&["12 characters"]);
    by(None, &key(&["passphrase"])).exits(1).says(&["terminal"]);
    by(None, &key(&["passphrase", "--file", "right"])).exits(0).says(&["key rotate"]);
    let list = key(&["list"]);
    by(None, &list).exits(1).says(&["K0316", "data.key", "KONSIL_PASSPHRASE_FILE"]);
    by(Some(&wrong), &list).exits(1).says(&["K0316", "does not open it"]);
    by(Some(&right), &list).exits(0);
    set_mode(&right, 0o640);
    by(Some(&right), &list).exits(1).says(&["K0701", "right", "640", "chmod 600"]);
    set_mode(&right, 0o600);
    by(None, "lab run lab age.toml --out no").exits(1).says(&["K0802", "locked by a passphrase"]);
    by(Some(&right), "lab run lab age.toml --out yes").exits(0);
    by(Some(&right), &key(&["rotate"])).exits(0);
    by(None, &list).exits(1).says(&["K0316"]);
    by(Some(&right), "lab run lab age.toml --out again").exits(0);
    by(Some(&right), &key(&["passphrase", "--remove"])).exits(0);
    by(None, &list).exits(0);
    by(None, "lab run lab age.toml --out open").exits(0);
    let log = lab.konsil(&["audit", "log", "-C", &dir]).exits(0);
    assert_eq!(log.out.matches("key-passphrase").count(), 2, "{log:?}");
}

// A key that systemd passes is used as it is; it cannot be changed, and the text says how
// else. Others may not read it, but for the list of rights that systemd itself sets.
#[test]
fn a_key_may_come_as_a_credential() {
    let lab = Lab::with_patients(60, 99);
    let folder = lab.centre(CENTRES[0]);
    let dir = folder.to_string_lossy().into_owned();
    let credentials = lab.path("credentials");
    fs::create_dir(&credentials).unwrap();
    let key = credentials.join("data.key");
    fs::rename(folder.join("data.key"), &key).unwrap();
    set_mode(&key, 0o400);
    let data = ["data", "list", "-C", &dir];
    lab.konsil(&data).exits(1).says(&["K0701", "data.key"]);
    let by = |words: &[&str]| with(&lab, ("CREDENTIALS_DIRECTORY", &credentials), words);
    by(&data).exits(0);
    by(&["node", "key", "list", "-C", &dir]).exits(0);
    let rotate = by(&["node", "key", "rotate", "-C", &dir]).exits(1);
    rotate.says(&["K0701", "credential", "make the credential anew"]);
    set_mode(&key, 0o440);
    let is_root = fs::metadata(&key).unwrap().uid() == 0;
    by(&data).exits(if is_root { 0 } else { 1 });
    for mode in [0o444, 0o640, 0o404] {
        set_mode(&key, mode);
        by(&data).exits(1).says(&["K0701", "key-file-mode"]);
    }
    // without one in it, the folder's own key is used
    fs::rename(&key, folder.join("data.key")).unwrap();
    set_mode(&folder.join("data.key"), 0o600);
    by(&data).exits(0);
}
