//! Any order of submitting, approving, revoking, editing and running.

use crate::approvals::{by_hand, desk, moved_clock, plan, run, steward};
use crate::network::{NAMES, STUDY};
use konsil_governance::RequestState;
use konsil_node::{RequestRecord, State};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[derive(Clone, Debug)]
enum Step {
    Submit(usize, bool),
    Approve(usize),
    Revoke(usize),
    Decline(usize),
    Run(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..2_usize, any::<bool>()).prop_map(|(study, again)| Step::Submit(study, again)),
        (1..4_usize).prop_map(Step::Approve),
        (1..4_usize).prop_map(Step::Revoke),
        (1..4_usize).prop_map(Step::Decline),
        (0..2_usize).prop_map(Step::Run),
    ]
}

// No sequence of steps runs a study but with an approval of that study that is valid and unused; one
// that has it does run. The stewards of all centres do the same.
#[test]
fn nothing_runs_without_a_valid_unused_approval() {
    let (clock, _) = moved_clock();
    let network = by_hand(&clock, |_, _| {});
    let texts = [STUDY.to_owned(), STUDY.replace("\"age\"", "\"crp\"")];
    let studies = texts.each_ref().map(|text| plan(&network, text));
    let desks =
        NAMES.map(|name| (desk(&network, name, &clock), steward(&network.path(name), "eva").0));
    let approved = |study: usize| {
        let hash = &studies[study].1.plan.study_hash;
        let records = desks[0].0.requests().unwrap();
        let good =
            |it: &&RequestRecord| it.study_hash == *hash && it.state == RequestState::Approved;
        records.iter().filter(good).count()
    };
    let settings = Config { cases: 64, failure_persistence: None, ..Config::default() };
    let checked = TestRunner::new(settings).run(&vec(step(), 1..12), |steps| {
        // the newest request is 1, the one before it 2
        let number = |at: usize| {
            let newest = i64::try_from(desks[0].0.requests().unwrap().len()).unwrap();
            newest + 1 - i64::try_from(at).unwrap()
        };
        for step in steps {
            match step {
                Step::Submit(study, again) => {
                    let (researcher, planned) = &studies[study];
                    let before = approved(study);
                    researcher.submit(planned, None, again).unwrap();
                    prop_assert_eq!(approved(study), before, "asking is not approving");
                }
                Step::Approve(at) => {
                    desks.iter().for_each(|(it, eva)| drop(it.approve(number(at), eva, "")));
                }
                Step::Revoke(at) => {
                    desks.iter().for_each(|(it, eva)| drop(it.revoke(number(at), eva, "")));
                }
                Step::Decline(at) => {
                    desks.iter().for_each(|(it, eva)| drop(it.decline(number(at), eva, "")));
                }
                Step::Run(study) => {
                    let before = approved(study);
                    let ended = run(&network, &studies[study].1);
                    prop_assert_eq!(ended == "ran", before > 0, "{} with {}", ended, before);
                    prop_assert_eq!(approved(study), before.saturating_sub(1));
                }
            }
        }
        Ok(())
    });
    checked.unwrap();
    let runs = State::read(&network.path(NAMES[0]).join("node.sqlite")).unwrap().runs().unwrap();
    assert!(runs.len() > 3, "only {} runs: the sequences try nothing", runs.len());
    println!("{} runs", runs.len());
}
