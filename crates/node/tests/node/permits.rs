//! Permits: their days, and the use that they claim.

use crate::approvals::{MARCH, approve_all, by_hand, code, logged, moved_clock, plan};
use crate::network::{NAMES, STUDY};
use jiff::Timestamp;
use jiff::civil::date;
use konsil_governance::{
    CentrePolicy, Format, PERMIT, Permit, Person, Purpose, Signed, StandingRule, UseTerms,
};
use konsil_net::Identity;
use konsil_node::{Clock, State};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

fn issuer() -> (Identity, Person) {
    let identity = Identity::generate().unwrap();
    let key = identity.public_key().to_string();
    (identity, Person { name: "a data access body".to_owned(), key })
}

/// A permit for March 2026.
fn permit(by: &Identity, person: &str, terms: UseTerms) -> Signed<Permit> {
    let permit = Permit {
        id: "HDAB-7".to_owned(),
        body: "a data access body".to_owned(),
        purpose: Purpose::Research,
        terms,
        persons: vec![person.to_owned()],
        centres: NAMES.map(str::to_owned).to_vec(),
        valid_from: date(2026, 3, 1),
        valid_to: date(2026, 3, 31),
        format: Format::Statistical,
    };
    let key = by.public_key().to_string();
    Signed::new(PERMIT, permit, &key, |message| by.sign(message).ok()).unwrap()
}

/// Seconds from the permit's first moment to the first after its end.
const MONTH: i64 = 31 * 86_400;

// Case 49, first half: a permit that ends between approval and run stops the run at its start, and
// none is accepted once it is over.
#[test]
fn a_permit_that_ends_stops_the_run_at_start() {
    let (body, person) = issuer();
    let (clock, time) = moved_clock();
    let network = by_hand(&clock, |_, policy| {
        policy.permit_issuer = vec![person.clone()];
        policy.needs_permit = true;
        policy.approval_days = 365;
    });
    let (researcher, planned) = plan(&network, STUDY);
    let none = researcher.submit(&planned, None, false).unwrap().remove(0).1.unwrap();
    assert!(none.code == "K0620" && none.note.contains("--permit"), "{none:?}");
    let permit = permit(&body, &researcher.key(), UseTerms::default());
    let answers = researcher.submit(&planned, Some(&permit), false).unwrap();
    let numbers: Vec<i64> = answers.into_iter().map(|(_, it)| it.unwrap().number).collect();
    assert_eq!(numbers, [2, 2, 2]);
    approve_all(&network, &clock, 2);
    time.store(MARCH + MONTH, Ordering::SeqCst);
    let error = researcher.run(&planned, &|_| {}).unwrap_err();
    let text = error.to_string();
    assert!(
        error.code() == "K0620" && text.contains("at start") && text.contains("ended"),
        "{text}"
    );
    let late = researcher.submit(&planned, Some(&permit), false).unwrap().remove(0).1.unwrap();
    assert_eq!(late.number, 2, "what is known stays; it cannot run");
    // within its days the approval is still good for its one run
    time.store(MARCH + MONTH - 1, Ordering::SeqCst);
    assert_eq!(code(researcher.run(&planned, &|_| {})), "ran");
}

// Case 49, second half: a permit that ends while a run is on its way: the centre seals nothing.
#[test]
fn a_permit_that_ends_stops_the_run_before_release() {
    let (body, person) = issuer();
    // a clock that jumps past the permit's end when the run has begun at every centre
    let watched: Arc<OnceLock<[PathBuf; 3]>> = Arc::default();
    let paths = Arc::clone(&watched);
    let clock = Clock::new(move || {
        let has_run = |path: &PathBuf| {
            State::read(path).is_ok_and(|it| it.runs().is_ok_and(|runs| !runs.is_empty()))
        };
        let begun = paths.get().is_some_and(|it| it.iter().all(has_run));
        Timestamp::from_second(MARCH + if begun { MONTH } else { 0 }).unwrap()
    });
    let network = by_hand(&clock, |_, policy| {
        policy.permit_issuer = vec![person.clone()];
        policy.standing.push(StandingRule::default());
    });
    watched.set(NAMES.map(|name| network.path(name).join("node.sqlite"))).unwrap();
    let (researcher, planned) = plan(&network, STUDY);
    let permit = permit(&body, &researcher.key(), UseTerms::default());
    researcher.submit(&planned, Some(&permit), false).unwrap();
    let error = researcher.run(&planned, &|_| {}).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.code(), "K0620", "{text}");
    assert!(text.contains("at release"), "{text}");
    for (name, path) in NAMES.iter().zip(watched.get().unwrap()) {
        let run = State::read(path).unwrap().runs().unwrap().remove(0);
        assert_eq!((run.state.as_str(), run.reason.as_str()), ("aborted", "K0620"), "{name}");
        assert!(!logged(&network, name).contains("\"kind\":\"release\""));
    }
}

// Case 53: the refusal names the pair of claim and code; a permit that claims otherwise passes.
#[test]
fn a_commercial_request_on_non_commercial_data_is_refused() {
    let (body, person) = issuer();
    let (clock, _) = moved_clock();
    let network = by_hand(&clock, |name, policy: &mut CentrePolicy| {
        policy.permit_issuer = vec![person.clone()];
        if name == NAMES[2] {
            policy.duo = vec!["GRU".parse().unwrap(), "NCU".parse().unwrap()];
        }
    });
    let (researcher, planned) = plan(&network, STUDY);
    let state = |commercial: Option<bool>| {
        let terms = UseTerms { commercial, ..UseTerms::default() };
        let permit = permit(&body, &researcher.key(), terms);
        let mut answers = researcher.submit(&planned, Some(&permit), false).unwrap();
        answers.remove(2).1.unwrap()
    };
    let refused = state(Some(true));
    assert_eq!(refused.code, "K0621");
    assert!(refused.note.contains("`commercial` on data `NCU`"), "{}", refused.note);
    assert_eq!(state(None).code, "K0621");
    assert_eq!(state(Some(false)).state.to_string(), "waiting");
    // a permit of another body, or for another person, is none
    let (stranger, _) = issuer();
    for permit in [
        permit(&stranger, &researcher.key(), UseTerms::default()),
        permit(&body, &stranger.public_key().to_string(), UseTerms::default()),
    ] {
        let answers = researcher.submit(&planned, Some(&permit), false).unwrap();
        assert!(answers.into_iter().all(|(_, it)| it.unwrap().code == "K0620"));
    }
}
