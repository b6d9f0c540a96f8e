//! Keys, data sets, configurations and ports that are not what they should be.

use crate::lab::{Lab, note_addresses};
use crate::process::{Daemon, Ran, konsil};
use crate::studies::SHORT;
use konsil_net::Identity;
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

fn run(lab: &Lab) -> Ran {
    lab.write("study.toml", SHORT);
    lab.konsil(&["lab", "run", "lab", "study.toml", "--out", "r"])
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
}

// A key that others may read is not used (fault catalogue, case 42).
#[test]
fn keys_that_others_may_read_are_refused() {
    let lab = Lab::with_patients(60, 51);
    open_to_all(&lab.centre("birke").join("data.key"));
    let list = lab.konsil(&["data", "list", "--dir", "lab/centres/birke"]).exits(1);
    list.says(&["K0701", "data.key", "644", "chmod 600"]);
    // the researcher hears that birke has a problem, but not where on its disk
    let ran = run(&lab).exits(10).says(&["K0311", "birke", "log of its node"]);
    assert!(!ran.err.contains("data.key"), "{}", ran.err);
    let log = fs::read_to_string(lab.centre("birke").join("log")).unwrap();
    assert!(log.contains("data.key"), "{log}");
    open_to_all(&lab.centre("ahorn").join("identity.key"));
    run(&lab).exits(1).says(&["K0701", "ahorn", "identity.key", "0644", "0600"]);
    let lab = Lab::with_patients(60, 52);
    open_to_all(&lab.path("lab/researcher.key"));
    run(&lab).exits(1).says(&["K0701", "researcher.key", "0644"]);
}

// A data set that was changed, cut or exchanged is not read.
#[test]
fn changed_data_sets_are_refused() {
    let lab = Lab::with_patients(60, 53);
    let path = lab.centre("eiche").join("data/patients.konsil");
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    let other = fs::read(lab.centre("ahorn").join("data/patients.konsil")).unwrap();
    for bad in [flipped, good[..good.len() - 1].to_vec(), Vec::new(), other] {
        fs::write(&path, bad).unwrap();
        let ran = run(&lab).exits(9).says(&["K0314", "eiche"]);
        assert!(!ran.err.contains("patients.konsil"), "{}", ran.err);
        lab.konsil(&["lab", "status", "lab"]).exits(9).says(&["K0312", "eiche", "import again"]);
    }
    fs::write(&path, good).unwrap();
    run(&lab).exits(0);
}

// A mistake in a configuration is named with file, line and key (fault catalogue, case 34).
#[test]
fn mistakes_in_configurations_are_named() {
    let lab = Lab::with_patients(60, 54);
    let path = lab.centre("ahorn").join("konsil.toml");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, says) in [
        ("dataset =", "datset =", &["line", "datset"][..]),
        ("threshold = 10", "threshold = 2", &["policy", "at least 3"]),
        ("threshold = 10", "threshold = ", &["line"]),
        ("centres_min = 3", "centres_min = 2", &["policy", "3 centres"]),
    ] {
        assert!(good.contains(from), "no {from} in {good}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let ran = lab.konsil(&["node", "serve", "--dir", "lab/centres/ahorn"]);
        ran.exits(1).says(&["K0701", "konsil.toml"]).says(says);
        run(&lab).exits(1).says(&["K0802", "ahorn", "konsil.toml"]).says(says);
    }
    fs::write(&path, good).unwrap();
    lab.write("lab/network.toml", "network = \n");
    run(&lab).exits(1).says(&["K0701", "network.toml", "line 1"]);
}

// A folder belongs to one process (fault catalogue, case 32).
#[test]
fn a_second_node_on_a_folder_ends() {
    let lab = Lab::with_patients(60, 55);
    let mut node = Daemon::serve("node", &lab.centre("ahorn"));
    let second = lab.konsil(&["node", "serve", "--dir", "lab/centres/ahorn"]).exits(1);
    second.says(&["K0702", "ahorn", "stop it first"]);
    assert!(node.is_alive());
    node.kill();
    node.restart();
    lab.konsil(&["node", "serve", "--dir", "nowhere"]).exits(1).says(&["K0701", "nowhere"]);
    lab.konsil(&["dealer", "serve", "--dir", "nowhere"]).exits(1).says(&["K0701", "nowhere"]);
}

// What answers at an address but is no node; what does not answer; who is not known there.
#[test]
fn wrong_peers_are_named() {
    let lab = Lab::with_patients(60, 56);
    let held = lab.held();
    lab.write("study.toml", SHORT);
    held.run("study.toml", "r").exits(0);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let no_node = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _asked = stream.read(&mut [0; 1024]);
            let _told = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let addresses: Vec<String> = held.centres.iter().map(|it| it.address.clone()).collect();
    let file = lab.path("lab/network.toml");
    let with = |at: usize, address: &str| {
        let mut addresses = addresses.clone();
        address.clone_into(&mut addresses[at]);
        note_addresses(&file, &addresses, &held.dealer.address);
        held.run("study.toml", "r2")
    };
    let ran = with(1, &no_node);
    assert!(matches!(ran.code, Some(8 | 9)), "{ran:#?}");
    ran.says(&["birke", &no_node]);
    with(2, "127.0.0.1:1").exits(8).says(&["K0411", "eiche", "127.0.0.1:1", "running?"]);
    with(0, "").exits(8).says(&["K0411", "ahorn", "address"]);
    with(0, "nowhere.invalid:80").exits(8).says(&["ahorn", "nowhere.invalid"]);
    // one centre at another's address: the key decides
    let swapped = with(0, &addresses[1]).exits(9);
    swapped.says(&["K0420", "ahorn"]);
    note_addresses(&file, &addresses, &held.dealer.address);
    let key = lab.path("lab/researcher.key");
    fs::rename(&key, lab.path("old.key")).unwrap();
    Identity::create(&key).unwrap();
    let stranger = held.run("study.toml", "r3");
    assert!(matches!(stranger.code, Some(8 | 9)), "{stranger:#?}");
    stranger.says(&["konsil explain"]);
    assert!(!lab.path("r3").exists(), "a stranger got a place for results");
}

// Labs that would protect nobody, or whose names would be paths.
#[test]
fn wrong_labs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let new = |centres: &str| konsil(folder.path(), &["lab", "new", "lab", "--centres", centres]);
    new("a,b").exits(2).says(&["at least 3 centres"]);
    new("a,b,b").exits(2).says(&["different names"]);
    for name in ["../a", "a/b", "A", "a b", "", "ä", "a\n"] {
        new(&format!("{name},b,c")).exits(2).says(&["a-z"]);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "something was made");
    new("a,b,c").exits(0);
    new("a,b,c").exits(2).says(&["a lab already"]);
    konsil(folder.path(), &["lab", "status", "other"]).exits(2).says(&["no lab", "lab new"]);
    let run = konsil(folder.path(), &["summary", "age"]).exits(2);
    run.says(&["network.toml", "--network"]);
}
