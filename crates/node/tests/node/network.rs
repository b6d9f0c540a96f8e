//! A network of nodes, each in threads of this process.

use konsil_cohort::{Dataset, Dictionary, ImportOptions, Key, import, save};
use konsil_disclosure::Policy;
use konsil_governance::budget::Limits;
use konsil_net::Identity;
use konsil_node::{
    Clock, DealerConfig, NetworkFile, NodeConfig, Peer, freeze, serve_centre_by, serve_dealer,
    write_toml,
};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The shortest study.
pub(crate) const STUDY: &str = r#"
    [study]
    id = "short"
    [[analysis]]
    id = "summary"
    kind = "summary"
    variables = ["age"]
"#;

pub(crate) const NAMES: [&str; 3] = ["ahorn", "birke", "eiche"];

const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
pid,Patient,category,,,,,,,,identifier,
age,Age,integer,a,,18,110,,,,quasi,
arm,Arm,category,,old|new,,,,,,clinical,
months,Follow-up,integer,mo,,0,60,,,,clinical,
died,Died,boolean,,,,,,,,clinical,
crp,C-reactive protein,number,mg/L,,0,100,9,,,clinical,
";

pub(crate) const HEADER: &str = "pid,age,arm,months,died,crp";

pub(crate) fn dictionary() -> Dictionary {
    Dictionary::parse("test", DICTIONARY).unwrap()
}

/// One centre's made-up patients.
pub(crate) fn patients(centre: usize, count: usize) -> String {
    let mut text = format!("{HEADER}\n");
    for row in 0..count {
        let number = (row * 7919 + centre * 104_729 + 13) % 99_991;
        let age = 20 + number % 70;
        let arm = ["old", "new"][number / 3 % 2];
        let died = u8::from(number % 100 < age);
        let (months, crp) = (number % 61, (number % 5003) as f64 / 100.0);
        writeln!(text, "c{centre}p{row},{age},{arm},{months},{died},{crp}").unwrap();
    }
    text
}

/// A CSV text as a data set.
pub(crate) fn data_set(folder: &Path, text: &str) -> Dataset {
    let path = folder.join("import.csv");
    fs::write(&path, text).unwrap();
    let (dataset, _) = import(&path, &dictionary(), &ImportOptions::new("patients")).unwrap();
    fs::remove_file(&path).unwrap();
    dataset
}

/// Three centres, a dealer and a researcher. The daemons end with the test's process.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) folder: TempDir,
    /// The centres with keys and addresses.
    pub(crate) centres: Vec<Peer>,
    /// The dealer with key and address.
    pub(crate) dealer: Peer,
}

fn new_peer(name: &str, folder: &Path) -> Peer {
    fs::create_dir_all(folder).unwrap();
    let identity = Identity::create(&folder.join("identity.key")).unwrap();
    let key = identity.public_key().to_string();
    Peer { name: name.to_owned(), key, ..Peer::default() }
}

impl Network {
    /// Starts everything; every centre has as many patients and approves by policy.
    pub(crate) fn start(count: usize) -> Self {
        Self::start_by(count, true, &Clock::system(), |_, _| {})
    }

    /// As [`Network::start`]; `prepare` may write into each centre's folder before it starts.
    pub(crate) fn start_by(
        count: usize,
        approve_by_policy: bool,
        clock: &Clock,
        prepare: impl Fn(&str, &Path),
    ) -> Self {
        Self::start_at(count, approve_by_policy, &|_| clock.clone(), prepare)
    }

    /// As [`Network::start_by`], each centre by a clock of its own.
    pub(crate) fn start_at(
        count: usize,
        approve_by_policy: bool,
        clock: &dyn Fn(&str) -> Clock,
        prepare: impl Fn(&str, &Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut centres: Vec<Peer> = NAMES.iter().map(|name| new_peer(name, &at(name))).collect();
        let mut dealer = new_peer("dealer", &at("dealer"));
        let researcher = new_peer("researcher", &at("researcher"));
        for (number, name) in NAMES.iter().enumerate() {
            let config = NodeConfig {
                unfrozen_data: false,
                genotypes: "geno".to_owned(),
                name: (*name).to_owned(),
                network: "test".to_owned(),
                listen: "127.0.0.1:0".to_owned(),
                dataset: "patients".to_owned(),
                approve_by_policy,
                policy: Policy::default(),
                budget: Limits::default(),
                centre: centres.clone(),
                dealer: dealer.clone(),
                researcher: vec![researcher.clone()],
            };
            write_toml(&at(name).join("konsil.toml"), &config).unwrap();
            let key = Key::create(&at(name).join("data.key")).unwrap();
            let dataset = data_set(&at(name), &patients(number, count));
            save(&at(name).join("data"), "patients", &dataset, &key).unwrap();
            freeze(&at(name), "patients", &clock(name)).unwrap();
            prepare(name, &at(name));
        }
        let listen = "127.0.0.1:0".to_owned();
        let config = DealerConfig { network: "test".to_owned(), listen, centre: centres.clone() };
        write_toml(&at("dealer").join("konsil.toml"), &config).unwrap();
        for centre in &mut centres {
            let (folder, clock) = (at(&centre.name), clock(&centre.name));
            let serve = move |ready| serve_centre_by(clock, &folder, ready).unwrap();
            centre.address = listening(serve);
        }
        let own = at("dealer");
        dealer.address = listening(move |ready| serve_dealer(&own, ready).unwrap());
        let file = NetworkFile {
            network: "test".to_owned(),
            identity: "researcher/identity.key".to_owned(),
            centre: centres.clone(),
            dealer: dealer.clone(),
        };
        write_toml(&at("network.toml"), &file).unwrap();
        Self { folder, centres, dealer }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        Identity::open(&self.path(name).join("identity.key")).unwrap()
    }
}

/// Runs a daemon in a thread; gives the address at which it listens.
fn listening(daemon: impl FnOnce(Box<dyn FnOnce(String) + Send>) + Send + 'static) -> String {
    let (sender, receiver) = mpsc::channel();
    let ready = move |address| sender.send(address).unwrap();
    thread::spawn(move || daemon(Box::new(ready)));
    receiver.recv_timeout(Duration::from_secs(30)).unwrap()
}
