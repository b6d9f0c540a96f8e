//! Sessions of several parties over TLS.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use konsil_mpc::{Wire, WireError};
use konsil_net::{
    Hello, Identity, Listener, Member, Mesh, Options, PartyId, Switchboard, connect, connect_mesh,
};

use crate::setup::{binding, hello, millis};

struct Centre {
    identity: Identity,
    board: Switchboard,
    _listener: Listener,
}

/// Listening centres, and the list of them.
fn centres(count: usize, options: &Options) -> (Vec<Centre>, Vec<Member>) {
    let identities: Vec<_> = (0..count).map(|_| Identity::generate().unwrap()).collect();
    let keys: Vec<_> = identities.iter().map(Identity::public_key).collect();
    let allowed = move |key: &_| keys.contains(key);
    let allowed = Arc::new(allowed);
    let centres: Vec<_> = identities
        .into_iter()
        .map(|identity| {
            let board = Switchboard::new();
            let allow = allowed.clone();
            let listener =
                Listener::bind("127.0.0.1:0", &identity, allow, options, board.handler()).unwrap();
            Centre { identity, board, _listener: listener }
        })
        .collect();
    let member = |centre: &Centre| Member {
        key: centre.identity.public_key(),
        address: centre._listener.local_address().to_string(),
    };
    let members = centres.iter().map(member).collect();
    (centres, members)
}

/// Every party in its own thread.
fn run<T: Send>(
    centres: &[Centre],
    members: &[Member],
    options: &Options,
    party: impl Fn(usize, Result<Mesh, WireError>) -> T + Sync,
) -> Vec<T> {
    thread::scope(|scope| {
        let threads: Vec<_> = centres
            .iter()
            .enumerate()
            .map(|(me, centre)| {
                let party = &party;
                let binding = binding();
                scope.spawn(move || {
                    let (identity, board) = (&centre.identity, &centre.board);
                    party(me, connect_mesh(me, identity, members, &binding, board, options))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn message(from: usize, to: usize, round: u64) -> Vec<u8> {
    let seed = u64::try_from(from * 31 + to * 7).unwrap() + round * 1009;
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = 1000 + 13_331 * usize::try_from(round).unwrap();
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(next).collect()
}

#[test]
fn seven_parties_exchange_vectors() {
    let options = Options::default();
    let (centres, members) = centres(7, &options);
    let sent = run(&centres, &members, &options, |me, mesh| {
        let mut mesh = mesh.unwrap();
        assert_eq!((mesh.me(), mesh.parties()), (me, 7));
        for round in 1..=5 {
            mesh.begin_round(round);
            for to in (0..7).filter(|&to| to != me) {
                mesh.send(to, &message(me, to, round)).unwrap();
            }
            for from in (0..7).filter(|&from| from != me) {
                let expected = message(from, me, round);
                let mut received = vec![0; expected.len()];
                mesh.receive(from, &mut received).unwrap();
                assert!(received == expected);
            }
        }
        mesh.traffic().bytes
    });
    let payload: usize = (1..=5).map(|round| 6 * (message(0, 0, round).len() + 32)).sum();
    assert!(sent.iter().all(|&bytes| bytes == u64::try_from(payload).unwrap()));
}

/// Sixteen centres meet in well under a second when they have the machine to themselves; the bound
/// leaves room for a busy one.
#[test]
fn sixteen_parties_meet() {
    let options = Options::default();
    let (centres, members) = centres(16, &options);
    let began = Instant::now();
    let met = run(&centres, &members, &options, |_, mesh| {
        let mesh = mesh.unwrap();
        (began.elapsed(), mesh)
    });
    let last = met.iter().map(|(elapsed, _)| *elapsed).max().unwrap();
    assert!(last < millis(4000), "{last:?}");
}

#[test]
fn missing_member_is_named() {
    let options = Options { session_deadline: millis(400), ..Options::default() };
    let (mut centres, members) = centres(4, &options);
    centres.truncate(3);
    let lost = run(&centres, &members, &options, |_, mesh| mesh.err());
    assert!(lost.iter().all(|lost| *lost == Some(WireError::PeerLost { party: 3, round: 0 })));
}

/// A member that claims to be another one is sent away, and the session goes on without harm.
#[test]
fn impostor_is_refused() {
    let options = Options { session_deadline: millis(5000), ..Options::default() };
    let (centres, members) = centres(3, &options);
    let impostor = Hello { from: PartyId(1), to: PartyId(0), ..hello() };
    let met = thread::scope(|scope| {
        let refused = scope.spawn(|| {
            let (key, address) = (members[0].key, &members[0].address);
            connect(address, &centres[2].identity, key, &impostor, &options)
        });
        // The impostor is there first.
        crate::setup::wait_for(|| format!("{:?}", centres[0].board).contains('1'));
        let met = run(&centres, &members, &options, |_, mesh| mesh.is_ok());
        assert_eq!(refused.join().unwrap().err(), Some(WireError::IdentityMismatch));
        met
    });
    assert_eq!(met, [true; 3]);
}

/// An impostor is refused as well when it came before the member itself, and both wait.
#[test]
fn an_impostor_that_came_first_is_refused_too() {
    let options = Options { session_deadline: millis(5000), ..Options::default() };
    let (centres, members) = centres(2, &options);
    let stranger = &centres[0].identity;
    let (key, address) = (members[0].key, &members[0].address);
    let claim = Hello { from: PartyId(1), to: PartyId(0), ..hello() };
    thread::scope(|scope| {
        let refused = scope.spawn(|| connect(address, stranger, key, &claim, &options));
        crate::setup::wait_for(|| format!("{:?}", centres[0].board).contains('1'));
        let meet = |me: usize| {
            let Centre { identity, board, .. } = &centres[me];
            connect_mesh(me, identity, &members, &binding(), board, &options).is_ok()
        };
        let member = scope.spawn(move || meet(1));
        crate::setup::wait_for(|| format!("{:?}", centres[0].board).contains('2'));
        assert!(meet(0));
        assert!(member.join().unwrap());
        assert_eq!(refused.join().unwrap().err(), Some(WireError::IdentityMismatch));
    });
}

/// Case 1: one party ends without a word in the middle of a round; all others name it or hear of
/// it from each other, and nobody waits.
#[test]
fn end_of_one_party_ends_the_session() {
    let options = Options::default();
    let (centres, members) = centres(4, &options);
    let began = Instant::now();
    let errors = run(&centres, &members, &options, |me, mesh| {
        let mut mesh = mesh.unwrap();
        mesh.begin_round(7);
        if me == 3 {
            mesh.send(0, &[1]).unwrap();
            return None;
        }
        // Party 0 gets its message, then waits in vain like the others.
        if me == 0 {
            mesh.receive(3, &mut [0]).unwrap();
        }
        let from = if me == 2 { 1 } else { 3 };
        mesh.receive(from, &mut [0]).err()
    });
    assert!(began.elapsed() < millis(3000));
    let lost = WireError::PeerLost { party: 3, round: 7 };
    let heard = |error: &WireError| match error {
        WireError::Aborted { party, reason } => *party < 2 && reason == "peer-lost",
        other => *other == lost,
    };
    assert!(errors[..3].iter().all(|error| error.as_ref().is_some_and(heard)), "{errors:?}");
}

/// An abort reaches everybody with its reason, also those who wait for somebody else.
#[test]
fn abort_of_one_party_reaches_all() {
    let options = Options::default();
    let (centres, members) = centres(4, &options);
    let errors = run(&centres, &members, &options, |me, mesh| {
        let mut mesh = mesh.unwrap();
        if me == 1 {
            mesh.abort("consent-withdrawn");
        }
        mesh.receive((me + 2) % 4, &mut [0]).unwrap_err()
    });
    for error in errors {
        let WireError::Aborted { reason, .. } = error else {
            panic!("{error:?}");
        };
        assert_eq!(reason, "consent-withdrawn");
    }
}
