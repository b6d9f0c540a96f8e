//! Links in memory, and every fault that a script can ask for.

use std::time::{Duration, Instant};

use konsil_mpc::{Wire, WireError};
use konsil_net::memory::{mesh, mesh_with, pair, pair_with};
use konsil_net::{Channel, Fault, FaultKind, Faults, Kind, Shape};

use crate::setup::millis;

/// A link on which `kind` happens to the frame numbered 1 of party 0.
fn faulty(kind: FaultKind) -> (Channel, Channel) {
    let script = vec![Fault { from: 0, to: 1, frame: 1, kind }];
    let (one, two) = pair_with(&Faults { script, ..Faults::default() });
    two.begin_round(9);
    (one, two)
}

/// Sends four numbered frames and returns what arrives, and the error after it.
fn outcome(kind: FaultKind) -> (Vec<u8>, WireError, u64) {
    let (one, two) = faulty(kind);
    for number in 0..4 {
        if one.send(Kind::Round, &[number]).is_err() {
            break;
        }
    }
    one.close();
    let mut arrived = Vec::new();
    loop {
        match two.receive() {
            Ok(frame) => arrived.extend(frame.payload),
            Err(error) => return (arrived, error, two.duplicates()),
        }
    }
}

const LOST: WireError = WireError::PeerLost { party: 0, round: 9 };
const FOREIGN: WireError = WireError::SessionMismatch { party: 0 };

#[test]
fn every_fault_has_its_error() {
    let order = |expected, got| WireError::ProtocolOrder { party: 0, expected, got };
    assert_eq!(outcome(FaultKind::Drop), (vec![0], order(1, 2), 0));
    assert_eq!(outcome(FaultKind::Duplicate), (vec![0, 1, 2, 3], LOST, 1));
    assert_eq!(outcome(FaultKind::Swap), (vec![0], order(1, 2), 0));
    assert_eq!(outcome(FaultKind::Truncate { bytes: 0 }), (vec![0], LOST, 0));
    for bytes in [1, 31, 32] {
        let truncated = outcome(FaultKind::Truncate { bytes });
        assert_eq!(truncated, (vec![0], WireError::FrameTruncated, 0));
    }
    assert_eq!(outcome(FaultKind::Cut), (vec![0], LOST, 0));
    for bit in 0..256 {
        assert_eq!(outcome(FaultKind::Flip { bit }), (vec![0], FOREIGN, 0), "bit {bit}");
    }
    // Frames carry no checksum of the payload: TLS and the engine's own checks see to that.
    assert_eq!(outcome(FaultKind::Flip { bit: 256 }), (vec![0, 0, 2, 3], LOST, 0));
    assert_eq!(outcome(FaultKind::Replace(vec![0; 33])), (vec![0], FOREIGN, 0));
    let delayed = outcome(FaultKind::Delay(millis(5)));
    assert_eq!(delayed, (vec![0, 1, 2, 3], LOST, 0));
}

#[test]
fn shape_delays_what_is_sent() {
    let shape = Shape { one_way: millis(10), bits_per_second: 8_000_000 };
    let (one, two) = pair_with(&Faults { shape: Some(shape), ..Faults::default() });
    let began = Instant::now();
    one.send(Kind::Round, &[0; 9_968]).unwrap();
    one.send(Kind::Round, &[0; 9_968]).unwrap();
    assert!(two.receive_until(began + millis(5)).unwrap().is_none());
    two.receive().unwrap();
    assert!(began.elapsed() >= millis(20));
    two.receive().unwrap();
    assert!(began.elapsed() >= millis(30));
}

/// A bounded link holds its sender back, until the receiver goes.
#[test]
fn bounded_link_waits_and_wakes() {
    let (one, two) = pair_with(&Faults { capacity_bytes: Some(1000), ..Faults::default() });
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| {
            for number in 0..10 {
                one.send(Kind::Round, &[number; 600]).unwrap();
            }
            one.send(Kind::Round, &[0; 600]).and_then(|()| one.send(Kind::Round, &[0; 600]))
        });
        for number in 0..10 {
            assert_eq!(two.receive().unwrap().payload, [number; 600]);
        }
        two.abort("enough");
        let aborted = WireError::Aborted { party: 1, reason: "enough".to_owned() };
        assert_eq!(sending.join().unwrap(), Err(aborted));
    });
}

#[test]
fn abort_and_goodbye_arrive_after_what_was_sent() {
    let (one, two) = pair();
    one.send(Kind::Round, b"before").unwrap();
    one.abort("why");
    assert_eq!(two.receive().unwrap().payload, b"before");
    let aborted = WireError::Aborted { party: 0, reason: "why".to_owned() };
    assert_eq!(two.receive().unwrap_err(), aborted);
    let (one, two) = pair();
    drop(two);
    assert_eq!(one.receive().unwrap_err(), WireError::PeerLost { party: 1, round: 0 });
    assert_eq!(one.alarm(), None);
}

/// Case 19: nothing is written where it does not fit, and the session ends for everybody.
#[test]
fn wrong_length_ends_the_session() {
    let mut parties = mesh(3);
    parties[0].send(1, &[1; 10]).unwrap();
    let mut into = [0; 11];
    let error = WireError::ShapeMismatch { party: 0, expected: 11, got: 10 };
    assert_eq!(parties[1].receive(0, &mut into), Err(error.clone()));
    assert_eq!(into, [0; 11]);
    assert_eq!(parties[1].send(2, &[]), Err(error));
    // Party 2 waits for party 0, which says nothing: the abort of party 1 ends the wait.
    let aborted = WireError::Aborted { party: 1, reason: "shape-mismatch".to_owned() };
    let began = Instant::now();
    assert_eq!(parties[2].receive(0, &mut into), Err(aborted));
    assert!(began.elapsed() < millis(1000));
}

/// A party that falls silent is named, with the round.
#[test]
fn silent_party_is_lost() {
    let faults = Faults { silence_limit: Some(millis(120)), ..Faults::default() };
    let mut parties = mesh_with(3, &faults);
    parties[0].begin_round(4);
    let began = Instant::now();
    let lost = WireError::PeerLost { party: 2, round: 4 };
    assert_eq!(parties[0].receive(2, &mut [0]), Err(lost));
    assert!(began.elapsed() < millis(1000));
}

#[test]
fn traffic_is_payload_and_headers() {
    let mut parties = mesh(2);
    for bytes in [0, 1, 1000] {
        parties[0].send(1, &vec![0; bytes]).unwrap();
    }
    assert_eq!((parties[0].traffic().messages, parties[0].traffic().bytes), (3, 1001 + 96));
    assert_eq!(parties[1].traffic().bytes, 0);
    assert!(parties[0].send(0, &[]).is_err());
}

/// Computation between rounds is no silence: only waiting counts.
#[test]
fn busy_parties_are_not_silent() {
    let faults = Faults { silence_limit: Some(millis(60)), ..Faults::default() };
    let (one, two) = pair_with(&faults);
    std::thread::sleep(Duration::from_millis(90));
    one.send(Kind::Round, b"late").unwrap();
    assert_eq!(two.receive().unwrap().payload, b"late");
}
