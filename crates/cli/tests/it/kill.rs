//! Parties that are killed at any moment, as by a power cut.

use crate::lab::{CENTRES, Held, Lab, Random, note_addresses};
use crate::process::{Ran, start, until};
use crate::proxy::Proxy;
use crate::studies::{LONG, SHORT};
use serde_json::Value;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A command ends at the latest so long after a party was killed.
const END_MAX: Duration = Duration::from_secs(20);

/// A seed from the clock; it is printed, so that a failure can be repeated.
fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "a seed for a test; the test prints it")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = u64::from(now.subsec_nanos()) ^ now.as_secs() << 30;
    println!("seed {seed}");
    seed
}

/// The runs in a centre's database, as `konsil node runs` shows them.
fn runs(lab: &Lab, centre: &str) -> Vec<Value> {
    let folder = lab.centre(centre);
    let json = lab.konsil(&["node", "runs", "--dir", &folder.to_string_lossy(), "--json"]).exits(0);
    json.json()["runs"].as_array().unwrap().clone()
}

/// A lab with a long and a short study, and how long the long one takes.
fn ready(lab: &Lab) -> (Held<'_>, Duration) {
    lab.write("long.toml", LONG);
    lab.write("short.toml", SHORT);
    let held = lab.held();
    // the faster of two: what else the computer does at the first run must not count
    let first = held.run("long.toml", "first").exits(0).elapsed;
    let second = held.run("long.toml", "second").exits(0).elapsed;
    (held, first.min(second))
}

/// Starts the long study and kills a party after a while: centre 0 to 2, or 3 for the dealer.
/// `None` when the study was faster.
fn interrupt(held: &mut Held<'_>, party: usize, after: Duration) -> Option<Ran> {
    let _earlier = std::fs::remove_dir_all(held.lab.path("killed"));
    let mut command = crate::process::command(held.lab.folder.path());
    let network = ["--network", "lab/network.toml", "--out", "killed", "--json"];
    let mut running = start(command.args(["run", "long.toml"]).args(network));
    let begin = Instant::now();
    if until(after, || running.has_ended() || begin.elapsed() >= after) && running.has_ended() {
        running.wait(END_MAX).exits(0);
        return None;
    }
    match held.centres.get_mut(party) {
        Some(centre) => centre.kill(),
        None => held.dealer.kill(),
    }
    Some(running.wait(END_MAX))
}

fn nothing_released(lab: &Lab, out: &str) {
    let left: Vec<_> = std::fs::read_dir(lab.path(out)).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A moment within a duration.
fn moment(random: &mut Random, within: Duration) -> Duration {
    within.mul_f64(random.below(1000) as f64 / 1000.0)
}

// Whenever a centre dies: the researcher is told which one, soon, and gets nothing; the others stay
// up; after its restart everything works again and its database tells what happened.
fn a_killed_centre(interruptions: u32, seed: u64) {
    let lab = Lab::with_patients(240, 21);
    let mut random = Random(seed);
    let (mut held, whole) = ready(&lab);
    let mut interrupted = 0;
    let mut tries = 0;
    // a run that was faster than the kill, because the computer had less else to do, does not count
    while interrupted < interruptions {
        tries += 1;
        assert!(tries <= 5 * interruptions, "only {interrupted} of {tries} kills came in time");
        let party = usize::try_from(random.below(3)).unwrap();
        let after = moment(&mut random, whole);
        let killed = CENTRES[party];
        let ran = interrupt(&mut held, party, after);
        let Some(ran) = ran else { continue };
        if ran.code == Some(0) {
            // everything had been said already
            held.centres[party].restart();
            held.note_addresses();
            continue;
        }
        interrupted += 1;
        let ran = ran.exits(8).says(&["peer-lost", killed, "K0411"]);
        assert_eq!(ran.json()["code"], "K0411");
        nothing_released(&lab, "killed");
        for (at, centre) in held.centres.iter_mut().enumerate() {
            assert_eq!(centre.is_alive(), at != party, "{}", CENTRES[at]);
        }
        let before = runs(&lab, killed);
        held.centres[party].restart();
        held.note_addresses();
        let after_restart = runs(&lab, killed);
        assert_eq!(before.len(), after_restart.len());
        for (before, after) in before.iter().zip(&after_restart) {
            assert_ne!(after["state"], "running");
            assert_eq!(before["burnt"], after["burnt"], "what is burnt stays burnt");
            if before["state"] == "running" {
                assert_eq!(after["state"], "aborted");
                assert_eq!(after["reason"], "the node stopped");
            }
        }
        held.run("short.toml", "good").exits(0);
    }
    // the survivors know what happened too
    let aborted: usize = CENTRES
        .iter()
        .map(|name| runs(&lab, name).iter().filter(|run| run["state"] == "aborted").count())
        .sum();
    assert!(aborted > 0);
}

#[test]
fn a_centre_killed_at_any_moment_names_itself_and_nothing_is_released() {
    a_killed_centre(8, seed());
}

#[test]
fn a_centre_killed_at_other_moments_too() {
    a_killed_centre(8, seed().rotate_left(7));
}

// A dealer that dies while dealing ends the run by name; one that is not there at all does too.
#[test]
fn a_killed_dealer_names_itself_and_nothing_is_released() {
    let lab = Lab::with_patients(240, 22);
    let mut random = Random(seed());
    let (mut held, whole) = ready(&lab);
    for round in 0..4_u32 {
        // early moments: later ones find all dealt, which is the next test
        let after = moment(&mut random, whole / 4);
        println!("round {round}: after {after:?}");
        let ran = interrupt(&mut held, 3, after);
        if let Some(ran) = ran.filter(|ran| ran.code != Some(0)) {
            ran.exits(8).says(&["dealer-incomplete", "K0421"]);
            nothing_released(&lab, "killed");
        }
        assert!(held.centres.iter_mut().all(|centre| centre.is_alive()));
        if round == 0 {
            let none = held.run("short.toml", "none").exits(8);
            none.says(&["dealer-incomplete", "K0421"]);
            nothing_released(&lab, "none");
        }
        held.dealer.restart();
        held.note_addresses();
        held.run("short.toml", "good").exits(0);
    }
}

// A dealer that has dealt everything is not needed any more (fault catalogue, case 4).
#[test]
fn a_dealer_killed_after_dealing_harms_nobody() {
    let lab = Lab::with_patients(240, 23);
    let long = LONG.replace("iterations = 25", "iterations = 50");
    let (mut held, _) = ready(&lab);
    lab.write("long.toml", &long);
    let line = Proxy::to(&held.dealer.address);
    let addresses: Vec<String> = held.centres.iter().map(|it| it.address.clone()).collect();
    note_addresses(&lab.path("lab/network.toml"), &addresses, &line.address);
    let mut command = crate::process::command(lab.folder.path());
    let network = ["--network", "lab/network.toml", "--out", "after", "--json"];
    let mut running = start(command.args(["run", "long.toml"]).args(network));
    // the dealer closes each centre's connection when it has said all
    let dealt = until(END_MAX, || line.answered() == CENTRES.len() || running.has_ended());
    assert!(dealt, "{} of the dealer's connections ended", line.answered());
    held.dealer.kill();
    assert!(!running.has_ended(), "the study was too short to prove anything");
    let ran = running.wait(END_MAX).exits(0);
    assert_eq!(ran.json()["planned_bytes"], ran.json()["sent_bytes"]);
}
