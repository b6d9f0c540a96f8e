//! Studies at centres that approve by hand or by standing rules.

use crate::network::{NAMES, Network, STUDY, data_set, patients};
use jiff::Timestamp;
use konsil_cohort::{Dictionary, ImportOptions, Key, import, save};
use konsil_governance::{CentrePolicy, Person, RequestState, StandingRule, Study};
use konsil_mpc::Topology;
use konsil_net::Identity;
use konsil_node::{
    Clock, Desk, NodeError, RequestStatus, Researcher, State, StudyRun, freeze, write_toml,
};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// 1 March 2026.
pub(crate) const MARCH: i64 = 1_772_323_200;

/// A clock that tests move.
pub(crate) fn moved_clock() -> (Clock, Arc<AtomicI64>) {
    let time = Arc::new(AtomicI64::new(MARCH));
    let read = Arc::clone(&time);
    let now = move || Timestamp::from_second(read.load(Ordering::SeqCst)).unwrap();
    (Clock::new(now), time)
}

/// A steward's key in a centre's folder.
pub(crate) fn steward(folder: &Path, name: &str) -> (Identity, Person) {
    let path = folder.join(format!("{name}.key"));
    let identity = Identity::open(&path).or_else(|_| Identity::create(&path)).unwrap();
    let key = identity.public_key().to_string();
    (identity, Person { name: name.to_owned(), key })
}

/// A network whose centres have a steward and what else `change` makes of their policies.
pub(crate) fn by_hand(clock: &Clock, change: impl Fn(&str, &mut CentrePolicy)) -> Network {
    Network::start_by(60, false, clock, |name, folder| {
        let mut policy = CentrePolicy::default();
        policy.steward.push(steward(folder, "eva").1);
        change(name, &mut policy);
        write_toml(&folder.join("policy.toml"), &policy).unwrap();
    })
}

pub(crate) fn desk(network: &Network, name: &str, clock: &Clock) -> Desk {
    Desk::open(&network.path(name), clock.clone()).unwrap()
}

pub(crate) fn plan(network: &Network, text: &str) -> (Researcher, StudyRun) {
    let researcher = Researcher::connect(&network.path("network.toml")).unwrap();
    let run = researcher.plan(Study::parse(text).unwrap(), Topology::Star).unwrap();
    (researcher, run)
}

/// What every centre says, which must be an answer.
pub(crate) fn submit(researcher: &Researcher, run: &StudyRun, again: bool) -> Vec<RequestStatus> {
    let answers = researcher.submit(run, None, again).unwrap();
    answers.into_iter().map(|(_, status)| status.unwrap()).collect()
}

pub(crate) fn approve_all(network: &Network, clock: &Clock, number: i64) {
    for name in NAMES {
        let (eva, _) = steward(&network.path(name), "eva");
        let state = desk(network, name, clock).approve(number, &eva, "ok").unwrap();
        assert_eq!(state, RequestState::Approved);
    }
}

pub(crate) fn code<T>(result: Result<T, NodeError>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ran".to_owned())
}

/// Plans anew, since releases may have been made, and runs over links of its own: where one centre
/// refuses, the others' late answers stay on them.
pub(crate) fn run(network: &Network, run: &StudyRun) -> String {
    let researcher = Researcher::connect(&network.path("network.toml")).unwrap();
    let again = researcher.plan(run.study.clone(), Topology::Mesh).unwrap();
    code(researcher.run(&again, &|_| {}))
}

/// Kinds and codes of the events in a centre's log.
pub(crate) fn logged(network: &Network, name: &str) -> String {
    let database = Connection::open(network.path(name).join("node.sqlite")).unwrap();
    let mut query = database.prepare("SELECT event FROM audit_log").unwrap();
    let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
}

// R13: what cannot be compared is not computed. Were the patients of a release gone, every cohort
// would look far from it.
#[test]
fn a_release_whose_patients_are_gone_stops_other_cohorts() {
    let network = Network::start(60);
    let (_, planned) = plan(&network, STUDY);
    assert_eq!(run(&network, &planned), "ran");
    let database = Connection::open(network.path(NAMES[2]).join("node.sqlite")).unwrap();
    assert_eq!(database.execute("DELETE FROM memberships", []).unwrap(), 1);
    let text = STUDY.replace("[[analysis]]", "[cohort]\nwhere = \"age >= 40\"\n[[analysis]]");
    let (_, other) = plan(&network, &text.replace("short", "older"));
    assert_eq!(run(&network, &other), "K0312");
    // the same cohort is known by its digest
    assert_eq!(run(&network, &planned), "ran");
}

// Case 46: one approval, one run. A replayed run finds it used; so does the same approval put
// under another request in the database.
#[test]
fn a_replayed_approval_is_consumed() {
    let (clock, _) = moved_clock();
    let network = by_hand(&clock, |_, _| {});
    let (researcher, planned) = plan(&network, STUDY);
    assert_eq!(run(&network, &planned), "K0610");
    let states = submit(&researcher, &planned, false);
    assert!(states.iter().all(|it| it.number == 1 && it.state == RequestState::Waiting));
    assert_eq!(run(&network, &planned), "K0610");
    approve_all(&network, &clock, 1);
    assert_eq!(run(&network, &planned), "ran");
    assert_eq!(run(&network, &planned), "K0611");
    let states = submit(&researcher, &planned, false);
    assert!(states.iter().all(|it| it.number == 1 && it.state == RequestState::Consumed));
    // asked again it is a new request, and the old approval does not fit under it
    let states = submit(&researcher, &planned, true);
    assert!(states.iter().all(|it| it.number == 2 && it.state == RequestState::Waiting));
    let database = Connection::open(network.path(NAMES[0]).join("node.sqlite")).unwrap();
    database.execute("UPDATE approvals SET request = 2", []).unwrap();
    database.execute("UPDATE requests SET state = 'approved' WHERE number = 2", []).unwrap();
    assert_eq!(run(&network, &planned), "K0611");
    assert!(logged(&network, NAMES[0]).contains("K0611"));
}

// Case 47: any change of the study's meaning makes its approval void.
#[test]
fn an_edited_study_has_no_approval() {
    let (clock, _) = moved_clock();
    let network = by_hand(&clock, |_, _| {});
    let (researcher, planned) = plan(&network, STUDY);
    submit(&researcher, &planned, false);
    approve_all(&network, &clock, 1);
    let (_, edited) = plan(&network, &STUDY.replace("\"age\"", "\"crp\""));
    assert_eq!(run(&network, &edited), "K0612");
    let (_, other) = plan(&network, &STUDY.replace("\"short\"", "\"other\""));
    assert_eq!(run(&network, &other), "K0610");
    // spaces are no change
    let (_, same) = plan(&network, &STUDY.replace("    ", " "));
    assert_eq!(run(&network, &same), "ran");
}

// Case 48: who is no steward approves nothing: not at the desk, not by a row in the database. Both
// stand in the log.
#[test]
fn an_approval_without_the_right_is_refused_and_logged() {
    let (clock, _) = moved_clock();
    let network = by_hand(&clock, |_, _| {});
    let (researcher, planned) = plan(&network, STUDY);
    submit(&researcher, &planned, false);
    let stranger = Identity::generate().unwrap();
    let own = desk(&network, NAMES[0], &clock);
    assert_eq!(code(own.approve(1, &stranger, "")), "K0618");
    assert_eq!(code(own.decline(1, &stranger, "")), "K0618");
    assert!(logged(&network, NAMES[0]).contains("K0618"));
    // approved by a second steward, who then leaves, without another change of the policy's hash
    approve_all(&network, &clock, 1);
    let database = Connection::open(network.path(NAMES[1]).join("node.sqlite")).unwrap();
    let forged = stranger.public_key().to_string();
    let (eva, person) = steward(&network.path(NAMES[1]), "eva");
    assert_eq!(eva.public_key().to_string(), person.key);
    let sql = "UPDATE approvals SET document = replace(document, ?, ?)";
    database.execute(sql, [&person.key, &forged]).unwrap();
    assert_eq!(run(&network, &planned), "K0618");
    assert!(logged(&network, NAMES[1]).contains("K0618"));
    assert!(
        State::read(&network.path(NAMES[1]).join("node.sqlite"))
            .unwrap()
            .runs()
            .unwrap()
            .is_empty()
    );
}

// Each thing that an approval binds stops the run with its own code when it is another one.
#[test]
fn what_an_approval_binds_must_be_in_force() {
    let (clock, time) = moved_clock();
    let network = by_hand(&clock, |_, _| {});
    let (researcher, planned) = plan(&network, STUDY);
    let folder = network.path(NAMES[0]);
    let mut number = 0;
    let mut approved = || {
        number += 1;
        let states = submit(&researcher, &planned, true);
        assert!(states.iter().any(|it| it.state == RequestState::Waiting), "{states:?}");
        for (name, status) in NAMES.iter().zip(states) {
            if status.state == RequestState::Waiting {
                let (eva, _) = steward(&network.path(name), "eva");
                desk(&network, name, &clock).approve(status.number, &eva, "").unwrap();
            }
        }
        number
    };
    approved();
    let key = Key::open(&folder.join("data.key")).unwrap();
    let other = data_set(&folder, &patients(5, 60));
    save(&folder.join("data"), "patients", &other, &key).unwrap();
    freeze(&folder, "patients", &clock).unwrap();
    assert_eq!(run(&network, &planned), "K0613");
    approved();
    let path = folder.join("policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("approval_days = 30", "approval_days = 31")).unwrap();
    assert_eq!(run(&network, &planned), "K0614");
    let number = approved();
    let database = Connection::open(folder.join("node.sqlite")).unwrap();
    let row = "SELECT document FROM approvals WHERE request = ?";
    let text: String = database.query_row(row, [number], |row| row.get(0)).unwrap();
    let mut signed: konsil_governance::Signed<konsil_governance::Approval> =
        serde_json::from_str(&text).unwrap();
    signed.body.bound.version = "0.0.1".to_owned();
    let (eva, person) = steward(&folder, "eva");
    let signed = konsil_governance::Signed::new(
        konsil_governance::APPROVAL,
        signed.body,
        &person.key,
        |message| eva.sign(message).ok(),
    );
    let text = serde_json::to_string(&signed.unwrap()).unwrap();
    let row = "UPDATE approvals SET document = ? WHERE request = ?";
    database.execute(row, rusqlite::params![text, number]).unwrap();
    assert_eq!(run(&network, &planned), "K0615");
    approved();
    time.fetch_add(32 * 86_400, Ordering::SeqCst);
    assert_eq!(run(&network, &planned), "K0616");
    // one revokes, the others' approvals still hold
    let number = approved();
    let own = desk(&network, NAMES[0], &clock);
    own.revoke(number, &eva, "wrong study").unwrap();
    assert_eq!(run(&network, &planned), "K0617");
    assert_eq!(code(own.revoke(number, &eva, "")), "K0601");
}

// A centre that does not offer a variable, or an analysis, declines there (case 57); the others go
// on only if the study says that fewer are enough.
#[test]
fn a_study_wanting_what_a_centre_does_not_offer_is_declined_there() {
    let (clock, _) = moved_clock();
    let everything = |policy: &mut CentrePolicy| policy.standing.push(StandingRule::default());
    let network = by_hand(&clock, |name, policy| {
        everything(policy);
        if name == NAMES[1] {
            policy.analyses = vec!["km".to_owned()];
        }
    });
    // the third centre has never measured CRP
    let folder = network.path(NAMES[2]);
    let cut: Vec<String> =
        patients(2, 60).lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect();
    fs::write(folder.join("cut.csv"), cut.join("\n")).unwrap();
    let options = ImportOptions { allow_missing_columns: true, ..ImportOptions::new("patients") };
    let dictionary: Dictionary = crate::network::dictionary();
    let (dataset, _) = import(&folder.join("cut.csv"), &dictionary, &options).unwrap();
    let key = Key::open(&folder.join("data.key")).unwrap();
    save(&folder.join("data"), "patients", &dataset, &key).unwrap();
    freeze(&folder, "patients", &clock).unwrap();
    let (researcher, planned) = plan(&network, &STUDY.replace("\"age\"", "\"age\", \"crp\""));
    let codes: Vec<String> =
        submit(&researcher, &planned, false).into_iter().map(|it| it.code).collect();
    assert_eq!(codes, ["", "K0623", "K0626"]);
    let state = |at: usize| submit(&researcher, &planned, false)[at].state;
    assert_eq!((state(0), state(1)), (RequestState::Approved, RequestState::Declined));
    // two of three must not go on: neither the study nor the centres' rules allow it
    let among = [NAMES[0].to_owned(), NAMES[2].to_owned()];
    assert!(researcher.plan_among(&planned, &among).is_err());
    assert!(matches!(run(&network, &planned).as_str(), "K0625"));
}

// Rules: what they cover is approved at once, up to their number a day; the rest waits.
#[test]
fn standing_rules_approve_so_many_a_day() {
    let (clock, time) = moved_clock();
    let network = by_hand(&clock, |_, policy| {
        policy.standing.push(StandingRule {
            analyses: vec!["summary".to_owned()],
            threshold_min: 10,
            per_day: Some(2),
            ..StandingRule::default()
        });
    });
    let state = |id: &str, kind: &str| {
        let text = STUDY.replace("short", id).replace("kind = \"summary\"", kind);
        let (researcher, planned) = plan(&network, &text);
        let states = submit(&researcher, &planned, false);
        (states[0].state, run(&network, &planned))
    };
    let summary = "kind = \"summary\"";
    assert_eq!(state("a", summary), (RequestState::Approved, "ran".to_owned()));
    assert_eq!(state("b", summary), (RequestState::Approved, "ran".to_owned()));
    assert_eq!(state("c", summary), (RequestState::Waiting, "K0610".to_owned()));
    time.fetch_add(86_401, Ordering::SeqCst);
    assert_eq!(state("d", summary), (RequestState::Approved, "ran".to_owned()));
    assert_eq!(state("e", "kind = \"table1\"").0, RequestState::Waiting);
}

// Two people: one yes is not enough, the same person twice neither.
#[test]
fn two_different_stewards_must_approve() {
    let (clock, _) = moved_clock();
    let network = Network::start_by(60, false, &clock, |_, folder| {
        let stewards = [steward(folder, "eva").1, steward(folder, "jon").1];
        let policy = CentrePolicy {
            steward: stewards.to_vec(),
            two_person: true,
            ..CentrePolicy::default()
        };
        write_toml(&folder.join("policy.toml"), &policy).unwrap();
    });
    let (researcher, planned) = plan(&network, STUDY);
    submit(&researcher, &planned, false);
    for name in NAMES {
        let own = desk(&network, name, &clock);
        let (eva, jon) =
            (steward(&network.path(name), "eva").0, steward(&network.path(name), "jon").0);
        assert_eq!(own.approve(1, &eva, "").unwrap(), RequestState::Waiting);
        assert_eq!(code(own.approve(1, &eva, "")), "K0601");
        assert_eq!(own.view(1).unwrap().approved_by, ["eva"]);
        if name == NAMES[0] {
            assert_eq!(run(&network, &planned), "K0610");
        }
        assert_eq!(own.approve(1, &jon, "").unwrap(), RequestState::Approved);
    }
    assert_eq!(run(&network, &planned), "ran");
    // one of the two signatures taken out of the database leaves it incomplete
    submit(&researcher, &planned, true);
    for name in NAMES {
        let own = desk(&network, name, &clock);
        for person in ["eva", "jon"] {
            own.approve(2, &steward(&network.path(name), person).0, "").unwrap();
        }
    }
    let database = Connection::open(network.path(NAMES[0]).join("node.sqlite")).unwrap();
    let (_, jon) = steward(&network.path(NAMES[0]), "jon");
    database.execute("DELETE FROM approvals WHERE signer = ?", [jon.key]).unwrap();
    assert_eq!(run(&network, &planned), "K0610");
}

// Case 22: a queue has an end, and says when to come again. So has patience with refused requests.
#[test]
fn a_full_queue_says_when_to_try_again() {
    let (clock, time) = moved_clock();
    let network = by_hand(&clock, |_, policy| {
        policy.requests_waiting_max = 2;
        policy.refusals_per_day = 2;
        policy.analyses = vec!["summary".to_owned()];
    });
    let answer = |text: &str| {
        let (researcher, planned) = plan(&network, text);
        let mut answers = researcher.submit(&planned, None, false).unwrap();
        match answers.remove(0).1 {
            Ok(status) => (status.state.to_string(), status.code),
            Err(error) => (error.to_string(), error.code().to_owned()),
        }
    };
    let named = |id: &str| STUDY.replace("short", id);
    assert_eq!(answer(&named("a")).0, "waiting");
    assert_eq!(answer(&named("b")).0, "waiting");
    let (text, code) = answer(&named("c"));
    assert!(code == "K0624" && text.contains("try again after 2026-03-01T01:00"), "{text}");
    // the same one again is no further one; a decision makes room
    assert_eq!(answer(&named("b")).0, "waiting");
    let (eva, _) = steward(&network.path(NAMES[0]), "eva");
    desk(&network, NAMES[0], &clock).decline(1, &eva, "no vote").unwrap();
    assert_eq!(answer(&named("a")), ("declined".to_owned(), "K0625".to_owned()));
    assert_eq!(answer(&named("c")).0, "waiting");
    let table = |id: &str| named(id).replace("kind = \"summary\"", "kind = \"table1\"");
    assert_eq!(answer(&table("x")).1, "K0623");
    assert_eq!(answer(&table("y")).1, "K0623");
    let (text, code) = answer(&table("z"));
    assert!(code == "K0624" && text.contains("2026-03-02T00:00"), "{text}");
    time.fetch_add(86_400, Ordering::SeqCst);
    assert_eq!(answer(&table("z")).1, "K0623");
}

// R15: whoever is told again and again that something is withheld learns where the limits are.
#[test]
fn withheld_results_count_as_refusals() {
    let (clock, time) = moved_clock();
    let network = Network::start_by(2, true, &clock, |_, folder| {
        let policy = CentrePolicy { refusals_per_day: 2, ..CentrePolicy::default() };
        write_toml(&folder.join("policy.toml"), &policy).unwrap();
    });
    let (_, planned) = plan(&network, STUDY);
    assert_eq!([run(&network, &planned), run(&network, &planned)], ["ran", "ran"]);
    assert!(logged(&network, NAMES[0]).contains("K0501"));
    assert_eq!(run(&network, &planned), "K0624");
    time.fetch_add(86_400, Ordering::SeqCst);
    assert_eq!(run(&network, &planned), "ran");
}

// A centre that approves by policy does not overrule its steward.
#[test]
fn a_stewards_no_holds_where_runs_are_approved_by_policy() {
    let (clock, _) = moved_clock();
    let network = Network::start_by(60, true, &clock, |_, folder| {
        let mut policy = CentrePolicy::default();
        policy.steward.push(steward(folder, "eva").1);
        write_toml(&folder.join("policy.toml"), &policy).unwrap();
    });
    let (researcher, planned) = plan(&network, STUDY);
    submit(&researcher, &planned, false);
    let (eva, _) = steward(&network.path(NAMES[1]), "eva");
    desk(&network, NAMES[1], &clock).revoke(1, &eva, "no vote").unwrap();
    assert_eq!(run(&network, &planned), "K0617");
    let (_, other) = plan(&network, &STUDY.replace("short", "other"));
    assert_eq!(run(&network, &other), "ran");
}
