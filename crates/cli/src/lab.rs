//! Labs: a whole network on this computer, for teaching, tests and benchmarks.

use crate::arguments::{LabCommand, Topology};
use crate::example;
use crate::example_import;
use crate::failure::Failure;
use crate::processes::{self, Daemon, Role};
use crate::request::desk;
use crate::results;
use crate::screen::Screen;
use crate::study;
use crate::submit::{self, Patience};
use konsil_cohort::{Dataset, Dictionary, ImportOptions, Key, import, save, split_by};
use konsil_disclosure::{Policy, Scans};
use konsil_governance::budget::Limits;
use konsil_net::Identity;
use konsil_node::{
    Clock, DealerConfig, NetworkFile, NodeConfig, Peer, RequestStatus, Researcher, freeze_with,
    open_key, read_toml, write_private, write_toml,
};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Name of the data set that a lab's studies run on.
pub(crate) const DATASET: &str = "patients";

/// What `lab up` leaves behind: processes and where they listen.
#[derive(Debug, Serialize, Deserialize)]
struct Running {
    /// Process ids, the dealer's last.
    ids: Vec<u32>,
}

/// A lab's folder.
#[derive(Clone, Debug)]
pub(crate) struct Lab {
    folder: PathBuf,
    centres: Vec<String>,
}

/// Daemons of a lab that runs as long as this value lives.
#[derive(Debug)]
pub(crate) struct LabRun {
    /// Centres in order, then the dealer; they end with this value. None where the lab was up.
    _daemons: Vec<Daemon>,
    /// The researcher's connections.
    pub(crate) researcher: Researcher,
}

pub(crate) fn lab(command: LabCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        LabCommand::New { lab, by_hand, example: true, .. } => new_example(&lab, by_hand, screen),
        LabCommand::New { lab, centres, by_hand, example: false } => {
            Lab::create(&lab, &centres, by_hand)?;
            screen.note(&format!(
                "✓ lab {} with {} centres, a dealer and a researcher\nNext: konsil lab import {} --dict DICTIONARY.csv --split-by COLUMN FILE.csv",
                lab.display(), centres.len(), lab.display()
            ));
            Ok(())
        }
        LabCommand::Import { lab, dict, centre, split_by, map, files } => {
            let lab = Lab::open(&lab)?;
            let dictionary = crate::data::read_dictionary(&dict)?;
            match (centre, split_by) {
                (Some(centre), None) => {
                    lab.import_centre(&centre, &files, (&dictionary, &map), screen)
                }
                (None, Some(column)) => {
                    lab.import_split(&column, &files, (&dictionary, &map), screen)
                }
                _ => Err(Failure::usage("say which centre: --centre NAME, or --split-by COLUMN")),
            }
        }
        LabCommand::Geno(options) => crate::lab_geno::lab_geno(&options, screen),
        LabCommand::Plan { lab, study } => {
            let study = study::read(&study)?;
            let run = Lab::open(&lab)?.start()?;
            let planned = run.researcher.plan(study, konsil_mpc::Topology::Star)?;
            study::show_plan(&planned.plan, screen);
            Ok(())
        }
        LabCommand::Run { lab, study, out, topology } => {
            let study = study::read(&study)?;
            let lab = Lab::open(&lab)?;
            run_study(&lab, study, (&out, topology), screen)
        }
        LabCommand::Up { lab } => Lab::open(&lab)?.up(screen),
        LabCommand::Down { lab } => Lab::open(&lab)?.down(screen),
        LabCommand::Status { lab } => Lab::open(&lab)?.status(screen),
    }
}

/// A lab of six centres with made-up patients, on which the examples of the help run.
fn new_example(folder: &Path, by_hand: bool, screen: &Screen) -> Result<(), Failure> {
    let lab = Lab::create(folder, &example::CENTRES.map(str::to_owned), by_hand)?;
    let (data, dictionary) = (folder.join("example.csv"), folder.join("dictionary.csv"));
    let people = example::people();
    let genotypes = example_import::drawn(&people)?;
    for (path, text) in [
        (&data, example::patients(&genotypes.copies)),
        (&dictionary, example::DICTIONARY.to_owned()),
    ] {
        fs::write(path, text).map_err(|error| Failure::file(path, &error))?;
    }
    let read = crate::data::read_dictionary(&dictionary)?;
    lab.import_split(example::CENTRE, &[data], (&read, &[]), screen)?;
    example_import::put(&lab, &people, &genotypes)?;
    screen.note(&format!(
        "✓ lab {} with six centres, made-up patients and made-up genotypes\nNext: konsil lab up {}, then any example \
         of the help with --network {}",
        folder.display(),
        folder.display(),
        folder.join("network.toml").display()
    ));
    Ok(())
}

fn run_study(
    lab: &Lab,
    study: konsil_governance::Study,
    (out, topology): (&Path, Topology),
    screen: &Screen,
) -> Result<(), Failure> {
    let begin = std::time::Instant::now();
    results::make_place(out)?;
    let run = lab.start()?;
    let planned = run.researcher.plan(study, topology.into())?;
    let hint =
        |status: &RequestStatus| submit::lab_hint(&lab.centre_folder(&status.centre), status);
    let patience = Patience::default();
    let fewer = submit::ready(&run.researcher, &planned, &patience, &hint, screen)?;
    let planned = fewer.unwrap_or(planned);
    let outcome = study::run_with_progress(&run.researcher, &planned, screen)?;
    drop(run);
    results::finish(&planned, &outcome, (results::Place::new(out), begin.elapsed()), screen)
}

impl Lab {
    /// Makes folders, keys and configurations.
    pub(crate) fn create(
        folder: &Path,
        centres: &[String],
        by_hand: bool,
    ) -> Result<Self, Failure> {
        let slug = |name: &String| {
            (1..=32).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        if let Some(bad) = centres.iter().find(|name| !slug(name)) {
            let what = format!("`{bad}`: names of centres are 1 to 32 of a-z, 0-9 and -");
            return Err(Failure::usage(what));
        }
        let twice = centres.iter().enumerate().any(|(at, name)| centres[..at].contains(name));
        if centres.len() < 3 || twice {
            let what = "a lab needs at least 3 centres with different names: with two, each could subtract its own part";
            return Err(Failure::usage(what));
        }
        if folder.join("network.toml").exists() {
            let what = format!("{} is a lab already; choose another folder", folder.display());
            return Err(Failure::usage(what));
        }
        let lab = Self { folder: folder.to_owned(), centres: centres.to_vec() };
        let peer = |name: &str, key: String| Peer { name: name.to_owned(), key, ..Peer::default() };
        let mut members = Vec::with_capacity(centres.len());
        for centre in centres {
            let own = lab.centre_folder(centre);
            make_folder(&own.join("data"))?;
            members.push(peer(centre, new_identity(&own.join("identity.key"))?));
            Key::create(&own.join("data.key"))?;
        }
        make_folder(&lab.dealer_folder())?;
        let dealer = peer("dealer", new_identity(&lab.dealer_folder().join("identity.key"))?);
        let researcher = peer("researcher", new_identity(&folder.join("researcher.key"))?);
        let network = folder.file_name().map_or_else(|| "lab".into(), |it| it.to_string_lossy());
        for centre in centres {
            let config = NodeConfig {
                unfrozen_data: false,
                genotypes: "geno".to_owned(),
                name: centre.clone(),
                network: network.to_string(),
                listen: "127.0.0.1:0".to_owned(),
                dataset: DATASET.to_owned(),
                approve_by_policy: !by_hand,
                // a lab is there for trying; a centre's own policy shows hits alone
                policy: Policy { scans: Scans::All, ..Policy::default() },
                budget: Limits::default(),
                centre: members.clone(),
                dealer: dealer.clone(),
                researcher: vec![researcher.clone()],
            };
            let own = lab.centre_folder(centre);
            write_toml(&own.join("konsil.toml"), &config)?;
            if by_hand {
                let key = own.join("steward.key");
                crate::steward::add(&desk(&own)?, &own, (&format!("{centre}-steward"), &key))?;
            }
        }
        let listen = "127.0.0.1:0".to_owned();
        let config = DealerConfig { network: network.to_string(), listen, centre: members.clone() };
        write_toml(&lab.dealer_folder().join("konsil.toml"), &config)?;
        let identity = "researcher.key".to_owned();
        let file = NetworkFile { network: network.to_string(), identity, centre: members, dealer };
        write_toml(&folder.join("network.toml"), &file)?;
        Ok(lab)
    }

    /// Opens an existing lab.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join("network.toml");
        if !path.exists() {
            let what = format!(
                "{} is no lab; make one with  konsil lab new {} --centres a,b,c",
                folder.display(),
                folder.display()
            );
            return Err(Failure::usage(what));
        }
        let file: NetworkFile = read_toml(&path)?;
        let centres = file.centre.into_iter().map(|peer| peer.name).collect();
        // processes are found by their folder, from wherever the command is called
        let folder = folder.canonicalize().map_err(|error| Failure::file(folder, &error))?;
        Ok(Self { folder, centres })
    }

    pub(crate) fn centre_folder(&self, name: &str) -> PathBuf {
        self.folder.join("centres").join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Names of the centres, in order.
    pub(crate) fn centres(&self) -> &[String] {
        &self.centres
    }

    /// Whether there is such a centre.
    pub(crate) fn check_centre(&self, centre: &str) -> Result<(), Failure> {
        if self.centres.iter().any(|name| name == centre) {
            return Ok(());
        }
        let hint = konsil_cohort::suggest(centre, self.centres.iter().map(String::as_str));
        let hint = hint.map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
        Err(Failure::usage(format!("no centre `{centre}` in this lab{hint}")))
    }

    fn dealer_folder(&self) -> PathBuf {
        self.folder.join("dealer")
    }

    fn network_file(&self) -> PathBuf {
        self.folder.join("network.toml")
    }

    /// Imports one centre's files, which become its data set.
    fn import_centre(
        &self,
        centre: &str,
        files: &[PathBuf],
        (dictionary, map): (&Dictionary, &[String]),
        screen: &Screen,
    ) -> Result<(), Failure> {
        self.check_centre(centre)?;
        let dataset = match files {
            [file] => {
                let options = ImportOptions { map: map.to_vec(), ..ImportOptions::new(DATASET) };
                import(file, dictionary, &options)?.0
            }
            _ => {
                let whole = self.centre_folder(centre).join("all-files.csv");
                write_private(&whole, &put_together(files)?)?;
                check_part(centre, &whole, (dictionary, map))?
            }
        };
        self.store(centre, &dataset)?;
        let rows = dataset.rows();
        screen.note(&format!("✓ {centre:<16} {rows:>8} patients, encrypted"));
        Ok(())
    }

    /// Cuts one file by a column and imports each part at its centre.
    pub(crate) fn import_split(
        &self,
        column: &str,
        files: &[PathBuf],
        (dictionary, map): (&Dictionary, &[String]),
        screen: &Screen,
    ) -> Result<(), Failure> {
        let [file] = files else {
            return Err(Failure::usage(
                "one file with a centre column; put several together first",
            ));
        };
        let parts = split_by(file, column)?;
        let names: Vec<&str> = parts.iter().map(|(name, _)| name.as_str()).collect();
        // parts named like the centres go there; otherwise they are taken in order
        let by_name = names.iter().all(|name| self.centres.iter().any(|it| it == name));
        if parts.len() != self.centres.len() {
            let what = format!(
                "`{column}` has {} values ({}), the lab has {} centres; make a lab with --centres {}",
                parts.len(),
                names.join(", "),
                self.centres.len(),
                names.join(",")
            );
            return Err(Failure::usage(what));
        }
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        // parts are texts, whatever the whole was
        let tabs = file.extension().is_some_and(|it| it.eq_ignore_ascii_case("tsv"));
        let part_name = format!("{stem}.{}", if tabs { "tsv" } else { "csv" });
        let mut checked = Vec::with_capacity(parts.len());
        for (at, (name, bytes)) in parts.iter().enumerate() {
            let centre = if by_name { name } else { &self.centres[at] };
            let part = self.centre_folder(centre).join(&part_name);
            write_private(&part, bytes)?;
            checked.push((centre, name, check_part(centre, &part, (dictionary, map))?));
        }
        // nothing is stored anywhere unless every part fits
        for (centre, name, dataset) in checked {
            self.store(centre, &dataset)?;
            let from = if by_name { String::new() } else { format!("  ({column} {name})") };
            let rows = dataset.rows();
            screen.note(&format!("✓ {centre:<16} {rows:>8} patients, encrypted{from}"));
        }
        Ok(())
    }

    fn store(&self, centre: &str, dataset: &Dataset) -> Result<(), Failure> {
        let folder = self.centre_folder(centre);
        let key = open_key(&folder)?;
        save(&folder.join("data"), DATASET, dataset, &key)?;
        freeze_with((&folder, DATASET), &key, &Clock::system())?;
        Ok(())
    }

    fn folders(&self) -> Vec<(Role, PathBuf)> {
        let centres = self.centres.iter().map(|name| (Role::Centre, self.centre_folder(name)));
        centres.chain([(Role::Dealer, self.dealer_folder())]).collect()
    }

    /// Starts all processes and connects; they end with the returned value. A lab that is up is
    /// used as it is.
    pub(crate) fn start(&self) -> Result<LabRun, Failure> {
        let mut daemons = Vec::new();
        if self.running().is_none() {
            daemons = processes::start(&self.folders(), true)?;
            self.note_addresses(&daemons)?;
        }
        let researcher = Researcher::connect(&self.network_file())?;
        Ok(LabRun { _daemons: daemons, researcher })
    }

    fn note_addresses(&self, daemons: &[Daemon]) -> Result<(), Failure> {
        let mut file: NetworkFile = read_toml(&self.network_file())?;
        let peers = file.centre.iter_mut().chain([&mut file.dealer]);
        for (peer, daemon) in peers.zip(daemons) {
            peer.address.clone_from(&daemon.address);
        }
        Ok(write_toml(&self.network_file(), &file)?)
    }

    fn up(&self, screen: &Screen) -> Result<(), Failure> {
        if self.running().is_some() {
            let what =
                "the lab is running; see  konsil lab status,  or end it with  konsil lab down";
            return Err(Failure::usage(what));
        }
        let daemons = processes::start(&self.folders(), false)?;
        self.note_addresses(&daemons)?;
        let ids: Vec<u32> = daemons.iter().map(Daemon::id).collect();
        write_toml(&self.folder.join("running.toml"), &Running { ids })?;
        daemons.into_iter().for_each(Daemon::detach);
        let network = self.network_file();
        screen.note(&format!(
            "✓ {} centres and the dealer are up\nNext: konsil plan STUDY.toml --network {}",
            self.centres.len(),
            network.display()
        ));
        Ok(())
    }

    fn running(&self) -> Option<Running> {
        let running: Running = read_toml(&self.folder.join("running.toml")).ok()?;
        let alive = running.ids.iter().zip(self.folders());
        let mut alive = alive.map(|(id, (_, folder))| processes::is_running(*id, &folder));
        alive.any(|it| it).then_some(running)
    }

    fn down(&self, screen: &Screen) -> Result<(), Failure> {
        let Some(running) = self.running() else {
            screen.note("the lab is not running");
            return Ok(());
        };
        let folders = self.folders();
        let ended = running.ids.iter().zip(&folders);
        let ended = ended.filter(|(id, (_, folder))| processes::end(**id, folder)).count();
        let path = self.folder.join("running.toml");
        fs::remove_file(&path).map_err(|error| Failure::file(&path, &error))?;
        screen.note(&format!("✓ {ended} processes ended"));
        Ok(())
    }

    fn status(&self, screen: &Screen) -> Result<(), Failure> {
        let running = self.running();
        let mut lines = String::new();
        let mut centres = Vec::with_capacity(self.centres.len());
        for (at, name) in self.centres.iter().enumerate() {
            let folder = self.centre_folder(name);
            let key = open_key(&folder)?;
            let stored = folder.join("data").join(format!("{DATASET}.konsil")).exists();
            let dataset = stored.then(|| konsil_cohort::load(&folder.join("data"), DATASET, &key));
            let rows = dataset.transpose()?.as_ref().map(Dataset::rows);
            let id = running.as_ref().and_then(|it| it.ids.get(at).copied());
            let up = id.filter(|id| processes::is_running(*id, &folder));
            let data = rows.map_or("no data".to_owned(), |rows| format!("{rows} patients"));
            let state = up.map_or("stopped".to_owned(), |id| format!("running, process {id}"));
            lines.push_str(&format!("{name:<16} {data:<18} {state}\n"));
            centres.push(serde_json::json!({"name": name, "patients": rows, "process": up}));
        }
        screen.table(&lines);
        screen.json_line(&serde_json::json!({"schema": "konsil.lab.v1", "centres": centres}));
        Ok(())
    }
}

/// One centre's part of a file, checked against the dictionary. The part is in the clear only as
/// long as the check takes.
fn check_part(
    centre: &str,
    part: &Path,
    (dictionary, map): (&Dictionary, &[String]),
) -> Result<Dataset, Failure> {
    let options = ImportOptions { map: map.to_vec(), ..ImportOptions::new(DATASET) };
    let imported = import(part, dictionary, &options);
    fs::remove_file(part).map_err(|error| Failure::file(part, &error))?;
    imported.map(|(dataset, _)| dataset).map_err(|error| {
        let mut failure = Failure::from(error);
        let rows = "rows are counted within its part of the file";
        failure.text = format!("{centre} ({rows}):\n{}", failure.text);
        failure
    })
}

/// Several CSV files with the same header as one, so that a patient who stands in two is found.
fn put_together(files: &[PathBuf]) -> Result<Vec<u8>, Failure> {
    let mut whole: Vec<u8> = Vec::new();
    let mut header: Option<Vec<u8>> = None;
    for file in files {
        let bytes = fs::read(file).map_err(|error| Failure::file(file, &error))?;
        let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
        let (own, rows) = bytes.split_at(end);
        match &header {
            None => {
                header = Some(own.trim_ascii_end().to_vec());
                whole.extend_from_slice(own);
            }
            Some(header) if header == own.trim_ascii_end() => {}
            Some(_) => {
                let what = format!(
                    "{} has another header than {}; several files of a centre are CSV with the same columns",
                    file.display(),
                    files.first().map(|it| it.display().to_string()).unwrap_or_default()
                );
                return Err(Failure::usage(what));
            }
        }
        whole.extend_from_slice(rows);
        if !whole.ends_with(b"\n") {
            whole.push(b'\n');
        }
    }
    Ok(whole)
}

fn make_folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(|error| Failure::file(path, &error))
}

/// A new key file; gives back the public key.
pub(crate) fn new_identity(path: &Path) -> Result<String, Failure> {
    let identity = Identity::create(path).map_err(|error| {
        Failure::from(konsil_node::NodeError::File {
            path: path.to_owned(),
            what: error.to_string(),
        })
    })?;
    Ok(identity.public_key().to_string())
}
