//! A network made from nothing: invited, joined, compared by words, run, changed, refused.

use crate::lab::DICTIONARY;
use crate::process::{Daemon, Ran, konsil};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use tempfile::TempDir;

const CENTRES: [&str; 3] = ["ahorn", "birke", "eiche"];

/// Folders of an administrator, three centres, a dealer and a researcher, side by side.
struct Joined {
    folder: TempDir,
}

/// An address of this computer that is free now.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl Joined {
    fn konsil(&self, line: &str) -> Ran {
        konsil(self.folder.path(), &line.split_whitespace().collect::<Vec<_>>())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap()
    }

    fn write(&self, name: &str, value: &Value) {
        fs::write(self.path(name), value.to_string()).unwrap();
    }

    /// A network without members.
    fn new() -> Self {
        let joined = Self { folder: tempfile::tempdir().unwrap() };
        joined.konsil("network new hmsp --dir admin").exits(0);
        joined
    }

    /// One member from nothing to the list; its own folder does not know the others yet.
    fn add(&self, name: &str, role: &str) {
        let program = if role == "centre" { "node" } else { role };
        self.konsil(&format!("network invite {name} --role {role} --dir admin")).exits(0);
        let listen = free_address();
        self.konsil(&format!("{program} init {name} --name {name} --listen {listen}")).exits(0);
        let join = format!("{program} join admin/{name}-invite.json -C {name} --json");
        let words = self.konsil(&join).exits(0).json()["words"].as_str().unwrap().to_owned();
        self.konsil(&format!("network add {name}/join.json --words {words} --dir admin")).exits(0);
    }

    fn accept(&self, name: &str, role: &str) -> Ran {
        let program = if role == "centre" { "node" } else { role };
        self.konsil(&format!("{program} accept admin/network.json --yes -C {name}"))
    }

    /// Everybody has joined and taken the last version over; the centres have patients.
    fn complete() -> Self {
        let joined = Self::new();
        for (name, role) in Self::members() {
            joined.add(name, role);
        }
        for (name, role) in Self::members() {
            joined.accept(name, role).exits(0);
        }
        fs::write(joined.path("dict.csv"), DICTIONARY).unwrap();
        for (at, centre) in CENTRES.iter().enumerate() {
            let mut text = "pid,age,sex,arm,months,died,crp\n".to_owned();
            for row in 0..60 {
                let age = 20 + (row * 7 + at * 11) % 70;
                writeln!(text, "{centre}{row},{age},F,old,{row},{},1.5", row % 2).unwrap();
            }
            fs::write(joined.path("rows.csv"), text).unwrap();
            let import = format!("data import rows.csv --as patients --dict dict.csv -C {centre}");
            joined.konsil(&import).exits(0);
            let config = joined.path(centre).join("konsil.toml");
            let text = fs::read_to_string(&config).unwrap();
            let text = text.replacen("network =", "approve_by_policy = true\nnetwork =", 1);
            fs::write(config, text).unwrap();
        }
        joined
    }

    fn members() -> [(&'static str, &'static str); 5] {
        [
            ("ahorn", "centre"),
            ("birke", "centre"),
            ("eiche", "centre"),
            ("mischer", "dealer"),
            ("anna", "researcher"),
        ]
    }

    fn serve(&self) -> Vec<Daemon> {
        let centres = CENTRES.iter().map(|it| Daemon::serve("node", &self.path(it)));
        centres.chain([Daemon::serve("dealer", &self.path("mischer"))]).collect()
    }

    fn summary(&self) -> Ran {
        self.konsil("summary age --network anna/network.toml --out r --json")
    }
}

// From nothing to a result with these commands alone; and the doctor finds all in order.
#[test]
fn a_network_from_nothing_runs_a_study() {
    let joined = Joined::complete();
    let daemons = joined.serve();
    let ran = joined.summary().exits(0);
    assert_eq!(ran.json()["clear_patient_bytes"], 0);
    let doctor = joined.konsil("node doctor -C ahorn --json").exits(0).json();
    let texts = doctor["findings"].to_string();
    for part in ["birke at", "eiche at", "mischer at", "reached, key as listed, same version"] {
        assert!(texts.contains(part), "no {part} in {texts}");
    }
    let dealer = joined.konsil("dealer doctor -C mischer").exits(0).out;
    assert!(dealer.contains("✓ identity.key") && !dealer.contains("✗"), "{dealer}");
    let shown = joined.konsil("network show --dir admin").exits(0).out;
    assert!(shown.contains("hmsp version 6") && shown.contains("mischer"), "{shown}");
    let same = joined.konsil("network export --for anna --out exported.toml --dir admin").exits(0);
    assert!(same.err.contains("researcher.key"));
    assert_eq!(
        fs::read_to_string(joined.path("exported.toml")).unwrap(),
        fs::read_to_string(joined.path("anna/network.toml")).unwrap()
    );
    drop(daemons);
    let doctor = joined.konsil("node doctor -C ahorn").exits(1).says(&["K0666"]);
    assert!(doctor.out.contains("✗ birke at") && doctor.out.contains("→"), "{}", doctor.out);
}

// A member whose time is over takes part in nothing, and is named (38, 39).
#[test]
fn an_expired_member_is_refused_by_name() {
    let joined = Joined::complete();
    joined.konsil("network renew birke --until 2020-02-01 --dir admin").exits(0);
    for (name, role) in Joined::members() {
        joined.accept(name, role).exits(0);
    }
    let _daemons = joined.serve();
    joined.summary().exits(5).says(&["K0660", "birke", "2020-02-01", "network renew birke"]);
    let doctor = joined.konsil("node doctor -C ahorn").exits(1);
    assert!(doctor.out.contains("✗ birke: membership ended on 2020-02-01"), "{}", doctor.out);
    // the centre itself starts, and says why nothing will run
    let log = fs::read_to_string(joined.path("birke/log")).unwrap();
    assert!(log.contains("K0660") && log.contains("2020-02-01"), "{log}");
}

// What the signed list demands holds at every centre: whose policy asks for less takes part in nothing, and
// is told which number; a stricter one may.
#[test]
fn a_policy_laxer_than_the_network_lets_nothing_run() {
    let joined = Joined::complete();
    let everybody = || Joined::members().map(|(name, role)| joined.accept(name, role).exits(0));
    joined.konsil("network rules --threshold 2 --dir admin").exits(2).says(&["at least 3"]);
    let changed = joined.konsil("network rules --threshold 20 --dir admin").exits(0);
    changed.says(&["~ rules", "at least 10 patients", "at least 20 patients"]);
    let [first, ..] = everybody();
    first.says(&["K0627", "threshold is 10, the network demands at least 20"]);
    let policy = |text: &str| {
        for centre in CENTRES {
            fs::write(joined.path(centre).join("policy.toml"), text).unwrap();
        }
    };
    {
        let _daemons = joined.serve();
        joined.summary().exits(5).says(&["K0627", "policy-too-lax", "threshold is 10"]);
        let log = fs::read_to_string(joined.path("birke/log")).unwrap();
        assert!(log.contains("K0627") && log.contains("every study is refused"), "{log}");
        let doctor = joined.konsil("node doctor -C ahorn").exits(1);
        assert!(doctor.out.contains("✗ policy-too-lax: threshold is 10"), "{}", doctor.out);
        let shown = joined.konsil("policy show -C ahorn --json").exits(0).json();
        assert_eq!(
            (&shown["demanded"]["threshold"], &shown["laxer"][0]),
            (&20.into(), &"threshold is 10, the network demands at least 20".into())
        );
        // the policy is read anew for each study: two are strict enough now, all are next
        policy("[rules]\nthreshold = 20\n");
        fs::write(joined.path("eiche/policy.toml"), "[rules]\nthreshold = 19\n").unwrap();
        joined.summary().exits(5).says(&["eiche", "K0627", "threshold is 19"]);
        policy("[rules]\nthreshold = 25\n");
        let study = "[study]\nid = \"age\"\n[release]\nthreshold = 25\n[[analysis]]\nkind = \"summary\"\nvariables = [\"age\"]\n";
        fs::write(joined.path("age.toml"), study).unwrap();
        joined.konsil("run age.toml --network anna/network.toml --out r").exits(0);
        let doctor = joined.konsil("node doctor -C ahorn").exits(0).out;
        assert!(doctor.contains("the policy keeps to what the network demands"), "{doctor}");
    }
    // no node approves by itself where two people must
    joined.konsil("network rules --two-person true --centres-min 4 --dir admin").exits(0);
    let [first, ..] = everybody();
    first.says(&["two_person is false", "approve_by_policy approves", "centres_min is 3"]);
    let _daemons = joined.serve();
    joined.summary().exits(5).says(&["K0627", "two people"]);
    joined.konsil("dossier -C ahorn --out papers").exits(0);
    let dossier = fs::read_to_string(joined.path("papers/dossier.md")).unwrap();
    assert!(dossier.contains("The network demands: two people approve"), "{dossier}");
    // a list that was changed on the disk is no list: nothing runs
    let mut list = joined.json("ahorn/network.json");
    list[7]["body"]["rules"]["two_person"] = false.into();
    joined.write("ahorn/network.json", &list);
    joined.konsil("policy show -C ahorn").exits(9).says(&["K0661"]);
    joined.summary().exits(9).says(&["K0661", "ahorn"]);
}

// Changed, older and foreign lists are not taken over, and nothing is written then.
#[test]
fn tampered_and_old_networks_are_refused() {
    let joined = Joined::new();
    joined.add("ahorn", "centre");
    joined.add("mischer", "dealer");
    joined.accept("ahorn", "centre").exits(0);
    let config = fs::read_to_string(joined.path("ahorn/konsil.toml")).unwrap();
    let good = joined.json("admin/network.json");
    let refused = |network: &Value, code: &str, exit: i32| {
        joined.write("other.json", network);
        let ran = joined.konsil("node accept other.json --yes -C ahorn").exits(exit);
        ran.says(&[code]);
        assert_eq!(fs::read_to_string(joined.path("ahorn/konsil.toml")).unwrap(), config);
    };
    let mut changed = good.clone();
    changed[2]["body"]["members"][1]["address"] = "6.6.6.6:1".into();
    refused(&changed, "K0661", 9);
    let mut older = good.clone();
    older.as_array_mut().unwrap().pop();
    refused(&older, "K0662", 9);
    let mut gap = good;
    gap.as_array_mut().unwrap().remove(1);
    refused(&gap, "K0662", 9);
    refused(&serde_json::json!([]), "K0664", 2);
    refused(&serde_json::json!({"a": 1}), "K0664", 2);
    // another administrator's network of the same name
    joined.konsil("network new hmsp --dir admin2").exits(0);
    refused(&joined.json("admin2/network.json"), "K0662", 9);
    joined.konsil("network verify other.json").exits(0);
    joined.write("other.json", &changed);
    joined.konsil("network verify other.json").exits(9).says(&["K0661", "version 3"]);
}

// Words that do not match, and no answer at all, stop the joining.
#[test]
fn wrong_words_stop() {
    let joined = Joined::new();
    joined.konsil("network invite ahorn --dir admin").exits(0);
    joined.konsil("node init ahorn --name ahorn --listen 127.0.0.1:7400").exits(0);
    joined.konsil("node accept admin/network.json --yes -C ahorn").exits(9).says(&["K0663"]);
    joined.konsil("node serve -C ahorn").exits(1).says(&["joined no network", "node join INVITE"]);
    joined.konsil("node join admin/ahorn-invite.json -C ahorn").exits(0);
    let add = "network add ahorn/join.json --dir admin";
    let words = "--words abandon-ability-able-about-above";
    joined.konsil(&format!("{add} {words}")).exits(9).says(&["K0665", "nothing was changed"]);
    joined.konsil(add).exits(9).says(&["K0665"]);
    assert_eq!(joined.json("admin/network.json").as_array().unwrap().len(), 1);
    // an exchanged key, and an invite for another name
    let mut stolen = joined.json("ahorn/join.json");
    stolen["body"]["address"] = "6.6.6.6:1".into();
    joined.write("stolen.json", &stolen);
    joined.konsil("network add stolen.json --yes --dir admin").exits(9).says(&["K0663"]);
    joined.konsil("node init birke --name birke --listen 127.0.0.1:7400").exits(0);
    joined.konsil("node join admin/ahorn-invite.json -C birke").exits(9).says(&["K0663"]);
    joined.konsil(&format!("{add} --yes")).exits(0);
    // an invite is used once
    joined.konsil(&format!("{add} --yes")).exits(9).says(&["K0663", "used once"]);
    // without a person who says yes nothing is taken over
    joined.konsil("node accept admin/network.json -C ahorn").exits(9).says(&["K0665"]);
}

// A key is exchanged with consent of the old one; the node changes over with the new list (40).
#[test]
fn a_key_is_exchanged_with_consent_of_the_old_one() {
    let joined = Joined::complete();
    let before = fs::read(joined.path("birke/identity.key")).unwrap();
    joined.konsil("node rotate -C birke").exits(0);
    assert_eq!(fs::read(joined.path("birke/identity.key")).unwrap(), before);
    joined.konsil("network rotate birke/rotation.json --yes --dir admin").exits(0);
    for (name, role) in Joined::members() {
        joined.accept(name, role).exits(0);
    }
    assert_ne!(fs::read(joined.path("birke/identity.key")).unwrap(), before);
    let _daemons = joined.serve();
    joined.summary().exits(0);
}

// A dictionary is proposed by one centre and counts at each that accepts it.
#[test]
fn dictionaries_are_proposed_and_accepted() {
    let joined = Joined::complete();
    let wider = DICTIONARY.replace(
        "crp,C-reactive protein,number,mg/L,,0,100",
        "crp,C-reactive protein,number,mg/L,,0,200",
    );
    fs::write(joined.path("dict@2.csv"), wider).unwrap();
    let diff = joined.konsil("dict diff dict.csv dict@2.csv").exits(0).out;
    assert_eq!(diff.split_whitespace().collect::<Vec<_>>(), ["~", "crp", "max", "100", "→", "200"]);
    joined.konsil("dict propose dict.csv -C ahorn").exits(0);
    joined.konsil("dict accept ahorn/dict@1-proposal.json -C birke").exits(9).says(&["K0665"]);
    for centre in CENTRES {
        joined
            .konsil(&format!("dict accept ahorn/dict@1-proposal.json --yes -C {centre}"))
            .exits(0);
    }
    joined.konsil("dict propose dict@2.csv -C ahorn").exits(0);
    let next = "dict accept ahorn/dict@2-proposal.json --yes -C ahorn";
    joined.konsil(next).exits(0).says(&["max 100 → 200"]);
    joined.konsil(next).exits(9).says(&["K0668", "dict@2"]);
    let import = "data import rows.csv --as patients --dict ahorn/dictionary/dict@2.csv -C ahorn";
    joined.konsil(import).exits(0);
    let mut changed = joined.json("ahorn/dict@2-proposal.json");
    changed["body"]["dictionary"] = DICTIONARY.into();
    joined.write("changed.json", &changed);
    joined.konsil("dict accept changed.json --yes -C birke").exits(9).says(&["K0667"]);
    let _daemons = joined.serve();
    let status = joined.konsil("dict status --network anna/network.toml --json").exits(0).json();
    let names = status["centres"].as_array().unwrap().iter().map(|it| &it["dictionary"]);
    assert_eq!(names.collect::<Vec<_>>(), ["dict@2", "dict@1", "dict@1"]);
    assert_eq!(status["same"], false);
}

// A study runs only under a version that each centre has accepted; whoever has not, or has imported under
// another one, declines it by name.
#[test]
fn a_study_for_a_version_that_a_centre_has_not_accepted_is_declined_there() {
    let joined = Joined::complete();
    let study = |version: &str| {
        let text = format!(
            "[study]\nid = \"age\"\ndictionary = \"{version}\"\n[[analysis]]\nkind = \"summary\"\nvariables = [\"age\"]\n"
        );
        fs::write(joined.path("age.toml"), text).unwrap();
        joined.konsil("run age.toml --network anna/network.toml --out r")
    };
    let proposed = |version: u32| {
        joined.konsil(&format!("dict propose dict@{version}.csv -C ahorn")).exits(0);
    };
    let accept = |version: u32, centre: &str| {
        let proposal = format!("ahorn/dict@{version}-proposal.json");
        joined.konsil(&format!("dict accept {proposal} --yes -C {centre}")).exits(0);
    };
    let import = |file: &str, centre: &str| {
        joined.konsil(&format!("data import rows.csv --as patients --dict {file} -C {centre}"));
    };
    let second = DICTIONARY.replace("C-reactive protein", "CRP in serum");
    fs::write(joined.path("dict@1.csv"), DICTIONARY).unwrap();
    fs::write(joined.path("dict@2.csv"), &second).unwrap();
    let _daemons = joined.serve();
    // nobody has proposed anything: the version of the data sets counts
    study("dict").exits(2).says(&["NAME@VERSION"]);
    study("dict@2").exits(5).says(&["K0628", "the study is for dict@2", "under dict@1"]);
    study("dict@1").exits(0);
    proposed(1);
    CENTRES.iter().for_each(|it| accept(1, it));
    study("dict@1").exits(0);
    // all import under the second version, but one has not accepted it
    proposed(2);
    accept(2, "ahorn");
    accept(2, "birke");
    CENTRES.iter().for_each(|it| import("dict@2.csv", it));
    study("dict@2").exits(5).says(&["K0628", "eiche", "dict@2, which was not accepted here"]);
    joined.summary().exits(5).says(&["K0628", "eiche"]);
    accept(2, "eiche");
    study("dict@2").exits(0);
    // an earlier version stays accepted
    CENTRES.iter().for_each(|it| import("dict@1.csv", it));
    study("dict@2").exits(5).says(&["K0628"]);
    study("dict@1").exits(0);
    // another text under an accepted name is none that was accepted
    fs::write(joined.path("dict@2.csv"), second.replace("CRP in serum", "CRP")).unwrap();
    CENTRES.iter().for_each(|it| import("dict@2.csv", it));
    study("dict@2").exits(5).says(&["K0628", "not accepted here"]);
    fs::write(joined.path("birke/dictionary/dict.json"), "{").unwrap();
    study("dict@2").exits(5).says(&["K0628"]);
}

// A key file that others may read is refused, by the node and by the doctor (42).
#[cfg(unix)]
#[test]
fn a_member_with_an_open_key_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let joined = Joined::new();
    joined.add("ahorn", "centre");
    joined.accept("ahorn", "centre").exits(0);
    let key = joined.path("ahorn/identity.key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    joined.konsil("node serve -C ahorn").exits(1).says(&["K0701", "identity.key", "0600"]);
    let doctor = joined.konsil("node doctor -C ahorn").exits(1);
    assert!(doctor.out.contains("✗ ") && doctor.out.contains("chmod 600"), "{}", doctor.out);
}
