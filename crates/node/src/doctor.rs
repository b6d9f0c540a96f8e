//! `konsil node doctor`: looks at a node's folder and its peers, and says what to do.

mod genotypes;

use crate::centre::open_identity;
use crate::clock::Clock;
use crate::config::{DealerConfig, NodeConfig, Peer, read_toml};
use crate::error::NodeError;
use crate::keys::open_key;
use crate::policies::{check_floor, demanded, own_policy};
use crate::presence::knock;
use crate::snapshots::check_frozen;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use konsil_governance::network::{Standing, standing};
use konsil_net::Identity;
use serde::Serialize;
use std::path::Path;
use std::thread;

/// Seconds by which clocks may differ; beyond the first a warning, beyond the second a fault.
const CLOCK_WARN: i64 = 10;
const CLOCK_LATE: i64 = CLOCK_WARN + 1;
/// Clocks that are further apart sign nothing for each other.
pub(crate) const CLOCK_MAX: i64 = 600;

/// Free bytes below which to warn, and below which a node should not run.
const DISK_WARN: u64 = 5 << 30;
const DISK_MIN: u64 = 200 << 20;

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Mark {
    /// In order.
    Fine,
    /// To be looked at.
    Look,
    /// A run would fail.
    Wrong,
}

/// One line of the examination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How well it is.
    pub mark: Mark,
    /// What was found.
    pub text: String,
    /// What to do; empty when nothing.
    pub fix: String,
}

/// Which kind of folder is examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Patient {
    /// A centre's.
    Centre,
    /// The dealer's.
    Dealer,
}

/// A folder's configuration, as far as the examination needs it.
struct Settings {
    name: String,
    network: String,
    dataset: Option<(String, bool)>,
    /// Name of the genotypes of its patients.
    genotypes: String,
    centres: Vec<Peer>,
    dealer: Option<Peer>,
    researchers: Vec<Peer>,
}

/// Examines a folder. The node may run or not.
#[must_use]
pub fn examine(folder: &Path, kind: Patient, clock: &Clock) -> Vec<Finding> {
    let mut findings = Vec::new();
    let identity = check_identity(folder, &mut findings);
    let settings = match settings(folder, kind) {
        Ok(settings) => {
            findings.push(fine("konsil.toml can be read"));
            settings
        }
        Err(error) => {
            findings.push(wrong(error.to_string(), "correct the line that is named"));
            return findings;
        }
    };
    if let Some((dataset, unfrozen)) = &settings.dataset {
        check_data(folder, (dataset, *unfrozen), &mut findings);
        genotypes::check(folder, (&settings.genotypes, dataset, *unfrozen), &mut findings);
        findings.push(check_rules(folder));
    }
    check_disk(folder, &mut findings);
    if settings.centres.is_empty() {
        let fix = "konsil node join INVITE,  then  konsil node accept network.json";
        findings.push(wrong("no network joined yet", fix));
        return findings;
    }
    let today = clock.now().to_zoned(TimeZone::UTC).date();
    check_ends(&settings, today, &mut findings);
    if kind == Patient::Dealer {
        findings.push(fine("centres connect to the dealer; it need not reach anybody"));
    } else if let Some(identity) = identity {
        check_own_key(&settings, &identity, &mut findings);
        findings.extend(check_peers(&settings, &identity, clock));
    }
    findings
}

fn fine(text: impl Into<String>) -> Finding {
    Finding { mark: Mark::Fine, text: text.into(), fix: String::new() }
}

fn look(text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { mark: Mark::Look, text: text.into(), fix: fix.into() }
}

fn wrong(text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { mark: Mark::Wrong, text: text.into(), fix: fix.into() }
}

fn settings(folder: &Path, kind: Patient) -> Result<Settings, NodeError> {
    let path = folder.join("konsil.toml");
    Ok(match kind {
        Patient::Centre => {
            let config: NodeConfig = read_toml(&path)?;
            Settings {
                name: config.name,
                network: config.network,
                dataset: Some((config.dataset, config.unfrozen_data)),
                genotypes: config.genotypes,
                centres: config.centre,
                dealer: Some(config.dealer),
                researchers: config.researcher,
            }
        }
        Patient::Dealer => {
            let config: DealerConfig = read_toml(&path)?;
            Settings {
                name: String::new(),
                network: config.network,
                dataset: None,
                genotypes: String::new(),
                centres: config.centre,
                dealer: None,
                researchers: Vec::new(),
            }
        }
    })
}

fn check_identity(folder: &Path, findings: &mut Vec<Finding>) -> Option<Identity> {
    match open_identity(folder) {
        Ok(identity) => {
            findings.push(fine("identity.key is there, readable by its owner only"));
            Some(identity)
        }
        Err(error) => {
            let fix = "chmod 600 identity.key; if others could read it, exchange it: \
                       konsil node rotate";
            findings.push(wrong(error.to_string(), fix));
            None
        }
    }
}

fn check_data(folder: &Path, (dataset, unfrozen): (&str, bool), findings: &mut Vec<Finding>) {
    let key = match open_key(folder) {
        Ok(key) => key,
        Err(error) => {
            findings.push(wrong(error.to_string(), "chmod 600 data.key, or restore it"));
            return;
        }
    };
    findings.push(fine("data.key is there, readable by its owner only"));
    let file = folder.join("data").join(format!("{dataset}.konsil"));
    if !file.exists() {
        let fix = format!("konsil data import FILE --as {dataset} --dict DICTIONARY.csv");
        findings.push(look(format!("no data set `{dataset}` yet"), fix));
        return;
    }
    match konsil_cohort::load(&folder.join("data"), dataset, &key) {
        Ok(data) => {
            let title = data.dictionary().title();
            findings.push(fine(format!("data set `{dataset}` opens, dictionary {title}")));
            if let Err(error) = check_frozen(folder, dataset, unfrozen) {
                let fix = "restore the frozen file, import again, or konsil data freeze";
                findings.push(wrong(error.to_string(), fix));
            } else if unfrozen {
                let fix = "take  unfrozen_data  out of konsil.toml";
                findings.push(look("data sets that were never frozen are used as they are", fix));
            }
        }
        Err(error) => findings.push(wrong(error.to_string(), "restore it, or import again")),
    }
}

/// Whether the policy can be used, and is strict enough for the network.
fn check_rules(folder: &Path) -> Finding {
    let policy = read_toml(&folder.join("konsil.toml")).and_then(|it| own_policy(folder, &it));
    if policy.as_ref().is_ok_and(|it| it.steward.is_empty() && it.standing.is_empty()) {
        let what = "nobody is named who may approve: every study waits here";
        return look(what, "konsil steward init --name NAME");
    }
    let kept =
        policy.and_then(|policy| check_floor(folder, &policy)).and_then(|()| demanded(folder));
    match kept {
        Ok(Some(rules)) => {
            fine(format!("the policy keeps to what the network demands: {}", rules.in_words()))
        }
        Ok(None) => fine("the policy can be used"),
        Err(error) => wrong(error.to_string(), "konsil policy show,  konsil policy edit"),
    }
}

fn check_disk(folder: &Path, findings: &mut Vec<Finding>) {
    let Ok(disk) = rustix::fs::statvfs(folder) else {
        findings.push(look("free disk space is not known", ""));
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = format!("{:.1} GiB free", free as f64 / f64::from(1 << 30));
    let fix = "make room: a node that cannot write its log does nothing more";
    findings.push(match free {
        ..DISK_MIN => wrong(text, fix),
        DISK_MIN..DISK_WARN => look(text, fix),
        _ => fine(text),
    });
}

fn check_ends(settings: &Settings, today: Date, findings: &mut Vec<Finding>) {
    let all = settings.centres.iter().chain(&settings.dealer).chain(&settings.researchers);
    let mut earliest: Option<Date> = None;
    for peer in all {
        let Some(last) = peer.expires else { continue };
        let fix = format!("konsil network renew {}  at the administrator's", peer.name);
        match standing(last, today) {
            Standing::Expired => {
                findings.push(wrong(format!("{}: membership ended on {last}", peer.name), fix));
            }
            Standing::Ends(days) => {
                let text = format!("{}: membership ends in {days} days, on {last}", peer.name);
                findings.push(look(text, fix));
            }
            _ => earliest = Some(earliest.map_or(last, |it| it.min(last))),
        }
    }
    if let Some(last) = earliest {
        findings.push(fine(format!("other memberships hold until {last} at least")));
    }
}

fn check_own_key(settings: &Settings, identity: &Identity, findings: &mut Vec<Finding>) {
    let own = identity.public_key().to_string();
    let Some(listed) = settings.centres.iter().find(|it| it.name == settings.name) else {
        return;
    };
    findings.push(if listed.key == own {
        fine("the network lists this node's key")
    } else {
        wrong("the network lists another key for this node", "konsil node accept network.json")
    });
}

/// Knocks at all peers at once.
fn check_peers(settings: &Settings, identity: &Identity, clock: &Clock) -> Vec<Finding> {
    let others = settings.centres.iter().filter(|it| it.name != settings.name);
    let peers = others.map(|it| (it, false)).chain(settings.dealer.iter().map(|it| (it, true)));
    thread::scope(|scope| {
        let threads: Vec<_> = peers
            .map(|peer| scope.spawn(move || check_peer(settings, identity, peer, clock)))
            .collect();
        let findings = threads.into_iter().filter_map(|it| it.join().ok());
        findings.collect()
    })
}

fn check_peer(
    settings: &Settings,
    identity: &Identity,
    (peer, dealer): (&Peer, bool),
    clock: &Clock,
) -> Finding {
    let name = &peer.name;
    if peer.address.is_empty() {
        let fix = "its address is told with each run; nothing to do in a lab";
        return look(format!("{name}: no address listed"), fix);
    }
    let (presence, away) = match knock(identity, &settings.network, (peer, dealer)) {
        Ok(reached) => reached,
        Err(error) => {
            let fix = format!("is its node up, and is {} open between you?", peer.address);
            return wrong(format!("{name} at {}: {error}", peer.address), fix);
        }
    };
    let skew = presence.time.saturating_sub(clock.now().as_second());
    let away = 1000.0 * away.as_secs_f64();
    let text = format!("{name} at {}: reached, key as listed", peer.address);
    if presence.version != env!("CARGO_PKG_VERSION") {
        let (theirs, ours) = (presence.version, env!("CARGO_PKG_VERSION"));
        let fix = "run the same version everywhere";
        return wrong(format!("{name}: version {theirs}, here {ours}"), fix);
    }
    let fix = "set the clocks right (NTP)";
    match skew.abs() {
        ..=CLOCK_WARN => {
            fine(format!("{text}, same version, clock {skew} s off, {away:.1} ms there and back"))
        }
        CLOCK_LATE..=CLOCK_MAX => look(format!("{text}, clock {skew} s off"), fix),
        _ => wrong(format!("{name}: clock-skew: {skew} s off"), fix),
    }
}
