//! Labs with made-up patients.

use crate::process::{Daemon, Ran, konsil};
use konsil_node::{NetworkFile, read_toml, write_toml};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const CENTRES: [&str; 3] = ["ahorn", "birke", "eiche"];

pub(crate) const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
pid,Patient,category,,,,,,,,identifier,
age,Age,integer,a,,18,110,,,,quasi,
sex,Sex,category,,F=female|M=male,,,,,,quasi,
arm,Arm,category,,old|new,,,,,,clinical,
months,Follow-up,integer,mo,,0,240,,,,clinical,
died,Died,boolean,,,,,,,,clinical,
crp,C-reactive protein,number,mg/L,,0,100,9,,,clinical,
";

pub(crate) const HEADER: &str = "centre,pid,age,sex,arm,months,died,crp";

/// A small generator of numbers (Knuth's MMIX constants); the seed makes a test repeatable.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A whole number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Made-up patients of all centres, a line each; centres in turn.
pub(crate) fn patients(count: usize, seed: u64) -> String {
    let mut random = Random(seed);
    let mut text = format!("{HEADER}\n");
    for patient in 0..count {
        let centre = CENTRES[patient % CENTRES.len()];
        let age = 20 + random.below(70);
        let sex = ["F", "M"][usize::from(random.below(2) == 1)];
        let arm = ["old", "new"][usize::from(random.below(2) == 1)];
        let months = random.below(120) + random.below(120);
        let died = u8::from(random.below(120) < age);
        let crp = random.below(5000) as f64 / 100.0;
        writeln!(text, "{centre},p{patient},{age},{sex},{arm},{months},{died},{crp}").unwrap();
    }
    text
}

/// A lab in a temporary folder.
#[derive(Debug)]
pub(crate) struct Lab {
    pub(crate) folder: TempDir,
}

impl Lab {
    /// A lab whose centres have imported made-up patients.
    pub(crate) fn with_patients(count: usize, seed: u64) -> Self {
        let lab = Self::empty();
        lab.write("patients.csv", &patients(count, seed));
        lab.import("patients.csv").exits(0);
        lab
    }

    /// A lab without data, and `dictionary.csv`.
    pub(crate) fn empty() -> Self {
        Self::of(&CENTRES)
    }

    /// The same, of these centres.
    pub(crate) fn of(centres: &[&str]) -> Self {
        let lab = Self { folder: tempfile::tempdir().unwrap() };
        lab.write("dictionary.csv", DICTIONARY);
        lab.konsil(&["lab", "new", "lab", "--centres", &centres.join(",")]).exits(0);
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn konsil(&self, arguments: &[&str]) -> Ran {
        konsil(self.folder.path(), arguments)
    }

    /// Imports a file of all centres.
    pub(crate) fn import(&self, file: &str) -> Ran {
        let dictionary = ["--dict", "dictionary.csv", "--split-by", "centre"];
        self.konsil(&[&["lab", "import", "lab"], &dictionary[..], &[file]].concat())
    }

    pub(crate) fn centre(&self, name: &str) -> PathBuf {
        self.path("lab/centres").join(name)
    }

    /// Starts all daemons, held by the test.
    pub(crate) fn held(&self) -> Held<'_> {
        let centres = CENTRES.map(|name| Daemon::serve("node", &self.centre(name)));
        let dealer = Daemon::serve("dealer", &self.path("lab/dealer"));
        let held = Held { lab: self, centres, dealer };
        held.note_addresses();
        held
    }
}

impl Drop for Lab {
    /// A test that fails leaves no process behind.
    fn drop(&mut self) {
        if self.path("lab/running.toml").exists() {
            let mut down = crate::process::command(self.folder.path());
            let _ended = down.args(["lab", "down", "lab", "--quiet"]).status();
        }
    }
}

/// A lab whose daemons the test holds, and may kill.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) centres: [Daemon; 3],
    pub(crate) dealer: Daemon,
}

impl Held<'_> {
    /// Tells the researcher's network file where everybody listens.
    pub(crate) fn note_addresses(&self) {
        let centres: Vec<String> = self.centres.iter().map(|it| it.address.clone()).collect();
        note_addresses(&self.lab.path("lab/network.toml"), &centres, &self.dealer.address);
    }

    /// Runs a study file over the network, as the researcher.
    pub(crate) fn run(&self, study: &str, out: &str) -> Ran {
        self.lab.konsil(&["run", study, "--network", "lab/network.toml", "--out", out, "--json"])
    }
}

/// Writes addresses into a network file.
pub(crate) fn note_addresses(file: &Path, centres: &[String], dealer: &str) {
    let mut network: NetworkFile = read_toml(file).unwrap();
    for (peer, address) in network.centre.iter_mut().zip(centres) {
        peer.address.clone_from(address);
    }
    network.dealer.address = dealer.to_owned();
    write_toml(file, &network).unwrap();
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
