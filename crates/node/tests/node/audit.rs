//! The log over a real run.

use crate::approvals::MARCH;
use crate::network::{NAMES, Network, STUDY};
use jiff::Timestamp;
use konsil_governance::Study;
use konsil_governance::audit::{EntryProof, to_syslog};
use konsil_governance::budget::{Amount, Currency};
use konsil_mpc::Topology;
use konsil_net::PublicKey;
use konsil_node::{
    Balances, Clock, Researcher, audit_entries, audit_proof, budget_balances, verify_audit,
};

// Case 36: centres whose clocks are far apart sign nothing for each other, and no run begins; a few
// minutes do no harm.
#[test]
fn centres_with_clocks_apart_run_nothing() {
    for (seconds, code) in [(-599, "ran"), (700, "K0635")] {
        let apart = move |name: &str| {
            let seconds = if name == NAMES[1] { seconds } else { 0 };
            Clock::new(move || Timestamp::from_second(MARCH + seconds).unwrap())
        };
        let network = Network::start_at(60, true, &apart, |_, _| {});
        let researcher = Researcher::connect(&network.path("network.toml")).unwrap();
        let planned = researcher.plan(Study::parse(STUDY).unwrap(), Topology::Mesh).unwrap();
        let ended = researcher.run(&planned, &|_| {});
        match ended {
            Ok(_) => assert_eq!(code, "ran"),
            Err(error) => {
                assert_eq!(error.code(), code, "{error}");
                assert!(error.to_string().contains("clock-skew"), "{error}");
                let Balances { balances, open, .. } =
                    budget_balances(&network.path(NAMES[0])).unwrap();
                assert!(open.is_empty() && balances.iter().all(|it| it.spent == Amount::default()));
            }
        }
    }
}

// A run is logged before it takes effect, opening by opening; every centre's log is then held by all
// others, and the budget is committed.
#[test]
fn a_run_is_logged_and_witnessed_by_all() {
    let network = Network::start(60);
    for _ in 0..2 {
        let researcher = Researcher::connect(&network.path("network.toml")).unwrap();
        let planned = researcher.plan(Study::parse(STUDY).unwrap(), Topology::Mesh).unwrap();
        let outcome = researcher.run(&planned, &|_| {}).unwrap();
        assert_eq!(outcome.bytes().0, outcome.bytes().1, "planned bytes are sent bytes");
    }
    for name in NAMES {
        let folder = network.path(name);
        let report = verify_audit(&folder).unwrap();
        let others: Vec<&str> = NAMES.into_iter().filter(|it| *it != name).collect();
        let held: Vec<&str> = report.held_by.iter().map(|(it, _)| it.as_str()).collect();
        assert_eq!(held, others);
        assert!(report.held_by.iter().all(|(_, size)| *size == report.signed));
        assert_eq!(report.witnessed.len(), 2);
        let entries = audit_entries(&folder, None, None).unwrap();
        let mut kinds: Vec<&str> = entries.iter().map(|(_, it)| it.kind.as_str()).collect();
        let opened = kinds.iter().filter(|it| **it == "open").count();
        assert!(opened >= 4, "{kinds:?}");
        kinds.dedup();
        let run = [
            "request",
            "approve",
            "run",
            "budget-reserve",
            "analysis",
            "open",
            "release",
            "budget-commit",
            "end",
        ];
        // the second run's cohort is compared with the first one's
        let second = [&run[..4], &["open"], &run[4..]].concat();
        assert_eq!(kinds, [&["freeze", "start", "dataset"], &run[..], &second].concat());
        let end = &entries.last().unwrap().1;
        assert_eq!(end.facts["planned_bytes"], end.facts["sent_bytes"]);
        let of_study = audit_entries(&folder, Some("short"), None).unwrap();
        assert!(of_study.len() < entries.len() && of_study.len() > 10);
        let Balances { balances, open, .. } = budget_balances(&folder).unwrap();
        assert!(open.is_empty() && balances.iter().all(|it| it.currency == Currency::Exact));
    }
    // an entry is proven to whoever knows the centre's key
    let proof = audit_proof(&network.path(NAMES[0]), 6).unwrap();
    let read = EntryProof::parse(&proof.to_string()).unwrap();
    let key: PublicKey = network.centres[0].key.parse().unwrap();
    let other: PublicKey = network.centres[1].key.parse().unwrap();
    assert!(read.entry.contains("\"kind\":\"run\""));
    assert!(read.verified(&key.0).is_ok() && read.verified(&other.0).is_err());
    assert!(audit_proof(&network.path(NAMES[0]), 0).is_err());
    assert!(audit_proof(&network.path(NAMES[0]), 10_000).is_err());
    let entries = audit_entries(&network.path(NAMES[0]), None, None).unwrap();
    let (record, event) = &entries[0];
    let line = to_syslog(&konsil_governance::audit::Exported { record, event, origin: "x/y" }, 1);
    assert!(line.contains(" y konsil - freeze "), "{line}");
}
