//! Chains, joining and words.

use super::*;
use crate::hex::to_hex;
use crate::{Signed, hash_of};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

struct Key(Ed25519KeyPair);

impl Key {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn text(&self) -> String {
        to_hex(self.0.public_key().as_ref())
    }

    fn sign<T: Serialize>(&self, domain: &str, body: T) -> Signed<T> {
        let sign = |message: &[u8]| self.0.sign(message).as_ref().try_into().ok();
        Signed::new(domain, body, &self.text(), sign).unwrap()
    }
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

fn member(name: &str, key: &Key) -> Member {
    Member {
        name: name.to_owned(),
        role: MemberRole::Centre,
        key: key.text(),
        address: "127.0.0.1:1".to_owned(),
        since: day("2026-01-01"),
        expires: day("2026-12-31"),
    }
}

/// Version 1 without members, version 2 with one, version 3 with two.
fn chain(admin: &Key) -> Vec<Signed<Network>> {
    let one = Network::new("net", &admin.text());
    let mut two = one.next().unwrap();
    two.members.push(member("north", &Key::new(10)));
    let mut three = two.next().unwrap();
    three.members.push(member("south", &Key::new(11)));
    [one, two, three].map(|it| admin.sign(NETWORK, it)).to_vec()
}

fn code(chain: &[Signed<Network>]) -> Option<&'static str> {
    verify(chain).err().map(|it| it.code())
}

#[test]
fn a_chain_holds_and_any_change_is_found() {
    let admin = Key::new(1);
    let good = chain(&admin);
    assert_eq!(verify(&good).unwrap().version, 3);
    assert_eq!(verify(&[]), Err(NetworkError::Empty));
    // a changed member under the old signature
    let mut changed = good.clone();
    changed[1].body.members[0].key = Key::new(66).text();
    assert_eq!(verify(&changed), Err(NetworkError::Signature(2)));
    // a version signed by a stranger, who even names himself administrator
    let stranger = Key::new(2);
    let mut taken = good[1].body.next().unwrap();
    taken.admins = vec![stranger.text()];
    let taken = [&good[..2], &[stranger.sign(NETWORK, taken)]].concat();
    assert_eq!(verify(&taken), Err(NetworkError::Signature(3)));
    // a version left out; a version of another history
    assert_eq!(code(&[good[0].clone(), good[2].clone()]), Some("K0662"));
    let mut other = good[2].body.clone();
    other.previous = hash_of(&good[0].body).unwrap();
    let other = [&good[..2], &[admin.sign(NETWORK, other)]].concat();
    assert_eq!(verify(&other), Err(NetworkError::Unlinked(3)));
    // the next administrator signs the version after the one that names it
    let mut handed = good[2].body.next().unwrap();
    handed.admins = vec![stranger.text()];
    let after = handed.next().unwrap();
    let handed =
        [&good[..], &[admin.sign(NETWORK, handed), stranger.sign(NETWORK, after)]].concat();
    assert_eq!(verify(&handed).unwrap().version, 5);
}

#[test]
fn versions_that_make_no_sense_are_refused() {
    let admin = Key::new(1);
    let refused = |change: &dyn Fn(&mut Network)| {
        let mut chain = chain(&admin);
        let mut next = chain[2].body.next().unwrap();
        change(&mut next);
        chain.push(admin.sign(NETWORK, next));
        code(&chain)
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|it| it.members[0].name = "North".to_owned()), Some("K0664"));
    assert_eq!(refused(&|it| it.members[1].name = "north".to_owned()), Some("K0664"));
    assert_eq!(refused(&|it| it.members.push(it.members[0].clone())), Some("K0664"));
    assert_eq!(refused(&|it| it.members[1].expires = day("2020-01-01")), Some("K0664"));
    assert_eq!(refused(&|it| it.admins.clear()), Some("K0664"));
    assert_eq!(refused(&|it| it.name = "other".to_owned()), Some("K0664"));
    assert_eq!(
        refused(&|it| it.members.iter_mut().for_each(|m| m.role = MemberRole::Dealer)),
        Some("K0664")
    );
}

// A key is exchanged with its own consent only (case 40).
#[test]
fn a_new_key_needs_the_old_ones_signature() {
    let admin = Key::new(1);
    let (old, new, thief) = (Key::new(10), Key::new(20), Key::new(30));
    let consent = |by: &Key, to: &Key| {
        let rotation = Rotation {
            network: "net".to_owned(),
            name: "north".to_owned(),
            old_key: old.text(),
            new_key: to.text(),
        };
        by.sign(ROTATION, rotation)
    };
    let rotated = |rotations: Vec<Signed<Rotation>>| {
        let mut chain = chain(&admin);
        let mut next = chain[2].body.next().unwrap();
        next.members[0].key = new.text();
        next.rotations = rotations;
        chain.push(admin.sign(NETWORK, next));
        verify(&chain).map(|it| it.version)
    };
    assert_eq!(rotated(vec![consent(&old, &new)]), Ok(4));
    let unasked = Err(NetworkError::KeyChanged { version: 4, name: "north".to_owned() });
    assert_eq!(rotated(vec![]), unasked);
    assert_eq!(rotated(vec![consent(&thief, &new)]), unasked);
    assert_eq!(rotated(vec![consent(&old, &thief)]), unasked);
}

#[test]
fn older_and_forked_lists_are_refused() {
    let admin = Key::new(1);
    let good = chain(&admin);
    assert_eq!(continues(&good, &good[..2]), Ok(()));
    assert_eq!(continues(&good, &[]), Ok(()));
    let older = NetworkError::Older { offered: 2, accepted: 3 };
    assert_eq!(continues(&good[..2], &good), Err(older));
    let mut fork = good[1].body.next().unwrap();
    fork.members.clear();
    let fork = [&good[..2], &[admin.sign(NETWORK, fork)]].concat();
    assert!(verify(&fork).is_ok(), "the fork is well signed");
    assert_eq!(continues(&fork, &good), Err(NetworkError::Forked(3)));
    let lines = changes(Some(&good[1].body), &good[2].body);
    assert_eq!(lines, ["+ centre south 127.0.0.1:1 until 2026-12-31"]);
    assert_eq!(changes(Some(&good[2].body), &fork[2].body), ["- centre north", "- centre south"]);
}

#[test]
fn invites_and_joins_hold_for_one_name_and_a_few_days() {
    let (admin, own) = (Key::new(1), Key::new(9));
    let network = chain(&admin);
    let invite = Invite {
        network: "net".to_owned(),
        network_hash: hash_of(&network[2].body).unwrap(),
        name: "west".to_owned(),
        role: MemberRole::Centre,
        nonce: "00".repeat(16),
        valid_to: day("2026-03-07"),
    };
    let invitation = Invitation { invite: admin.sign(INVITE, invite.clone()), network };
    let today = day("2026-03-07");
    assert_eq!(check_invite(&invitation, today).unwrap().1.version, 3);
    let late = NetworkError::InviteExpired(invite.valid_to);
    assert_eq!(check_invite(&invitation, day("2026-03-08")).unwrap_err(), late);
    let stranger = Invitation { invite: own.sign(INVITE, invite.clone()), ..invitation.clone() };
    assert_eq!(check_invite(&stranger, today).unwrap_err().code(), "K0663");
    let older = Invitation { network: invitation.network[..2].to_vec(), ..invitation };
    assert_eq!(check_invite(&older, today).unwrap_err().code(), "K0663");

    let join = Join {
        network: "net".to_owned(),
        nonce: invite.nonce.clone(),
        name: "west".to_owned(),
        key: own.text(),
        address: String::new(),
    };
    let signed = own.sign(JOIN, join.clone());
    assert_eq!(check_join(&signed, &invite, today), Ok(&join));
    assert_eq!(check_join(&signed, &invite, day("2026-03-08")), Err(late));
    let wrong = [
        admin.sign(JOIN, join.clone()),
        own.sign(JOIN, Join { nonce: "11".repeat(16), ..join.clone() }),
        own.sign(JOIN, Join { name: "north".to_owned(), ..join.clone() }),
        Signed { body: Join { address: "a:1".to_owned(), ..join }, ..signed },
    ];
    for join in wrong {
        assert_eq!(check_join(&join, &invite, today).unwrap_err().code(), "K0663");
    }
}

// Every rule is a floor: stricter policies pass, a laxer one is told by the rule's name.
#[test]
fn a_policy_laxer_than_the_networks_rules_is_told_by_name() {
    let rules = Rules { two_person: true, threshold: 20, centres_min: 4 };
    let mut policy = CentrePolicy { two_person: true, ..CentrePolicy::default() };
    (policy.rules.threshold, policy.rules.centres_min) = (20, 4);
    assert_eq!(rules.laxer(&policy), Vec::<String>::new());
    (policy.rules.threshold, policy.rules.centres_min) = (30, 5);
    assert_eq!(rules.laxer(&policy), Vec::<String>::new());
    let found = |wanted: &str, change: &dyn Fn(&mut CentrePolicy)| {
        let mut other = policy.clone();
        change(&mut other);
        let found = rules.laxer(&other);
        assert!(found.len() == 1 && found[0].starts_with(wanted), "{found:?}");
    };
    found("threshold is 19", &|it| it.rules.threshold = 19);
    found("centres_min is 3", &|it| it.rules.centres_min = 3);
    found("two_person is false", &|it| it.two_person = false);
    found("a standing rule", &|it| it.standing.push(crate::StandingRule::default()));
    assert_eq!(Rules::default().laxer(&CentrePolicy::default()), Vec::<String>::new());
    assert!(Rules { threshold: 2, ..Rules::default() }.fault().is_some());
    assert!(Rules { centres_min: 2, ..Rules::default() }.fault().is_some());
    assert_eq!(rules.fault(), None);
    let words = "two people approve · at least 20 patients and 4 centres";
    assert_eq!(rules.in_words(), words);
}

// Warnings at 30, 7 and 1 days; the last day is still valid (case 38).
#[test]
fn a_membership_ends_after_its_last_day() {
    let end = day("2026-12-31");
    for (today, wanted) in [
        ("2026-11-30", Standing::Valid),
        ("2026-12-01", Standing::Ends(30)),
        ("2026-12-24", Standing::Ends(7)),
        ("2026-12-30", Standing::Ends(1)),
        ("2026-12-31", Standing::Ends(0)),
        ("2027-01-01", Standing::Expired),
        ("2025-01-01", Standing::Valid),
    ] {
        assert_eq!(standing(end, day(today)), wanted, "{today}");
    }
}

#[test]
fn words_are_five_and_follow_the_key() {
    let one = words(&Key::new(1).text()).unwrap();
    assert_eq!(one.split('-').count(), WORDS);
    assert_eq!(words(&Key::new(1).text()), Some(one.clone()));
    assert_ne!(words(&Key::new(2).text()), Some(one));
    assert_eq!(words("no key"), None);
    // of zeros SHA-256 begins with 66687aadf862bd77: in steps of 11 bits 819, 542, 1371, 1926, 350
    assert_eq!(words(&"00".repeat(32)).unwrap(), expected_of_zeros());
}

fn expected_of_zeros() -> String {
    let list = bip39::Language::English.word_list();
    [819, 542, 1371, 1926, 350].map(|at| list[at]).join("-")
}
