//! Corrections from the dealer to the centre that receives them.

use std::thread;

use konsil_mpc::{CorrectionSource, WireError};
use konsil_net::memory::{pair, pair_with};
use konsil_net::{ChannelCorrections, Fault, FaultKind, Faults, Kind, Options, send_corrections};

use crate::setup::link;

fn sample(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 253).try_into().unwrap()).collect()
}

#[test]
fn corrections_arrive_in_parts() {
    let (dealer, centre) = link(&Options::default());
    let lengths = [0, 1, 1 << 20, (1 << 20) + 1, (5 << 20) + 17];
    thread::scope(|scope| {
        scope.spawn(|| {
            for (counter, &length) in (0..).zip(&lengths) {
                send_corrections(&dealer, counter, &sample(length)).unwrap();
            }
        });
        let mut source = ChannelCorrections::new(centre);
        for (counter, &length) in (0..).zip(&lengths) {
            let mut into = vec![0; length];
            source.corrections(counter, &mut into).unwrap();
            assert!(into == sample(length));
        }
    });
}

#[test]
fn other_corrections_than_asked_for_are_corrupt() {
    let corrupt = Err(WireError::DealerCorrupt);
    for (counter, length) in [(8, 100), (7, 99), (7, 101), (7, 0)] {
        let (dealer, centre) = pair();
        send_corrections(&dealer, counter, &sample(length)).unwrap();
        let mut source = ChannelCorrections::new(centre);
        assert_eq!(source.corrections(7, &mut [0; 100]), corrupt);
        let told = WireError::Aborted { party: 1, reason: "dealer-corrupt".to_owned() };
        assert_eq!(dealer.receive().unwrap_err(), told);
    }
    let (dealer, centre) = pair();
    dealer.send(Kind::Control, &[0; 128]).unwrap();
    assert_eq!(ChannelCorrections::new(centre).corrections(7, &mut [0; 100]), corrupt);
}

/// Every bit of a part counts.
#[test]
fn damaged_corrections_are_corrupt() {
    for bit in (256..256 + 8 * 128).step_by(7) {
        let script = vec![Fault { from: 0, to: 1, frame: 0, kind: FaultKind::Flip { bit } }];
        let (dealer, centre) = pair_with(&Faults { script, ..Faults::default() });
        send_corrections(&dealer, 7, &sample(100)).unwrap();
        let got = ChannelCorrections::new(centre).corrections(7, &mut [0; 100]);
        assert_eq!(got, Err(WireError::DealerCorrupt), "bit {bit}");
    }
}

/// Case 3: the dealer goes in the middle.
#[test]
fn dealer_that_goes_away_is_incomplete() {
    for kind in [FaultKind::Cut, FaultKind::Truncate { bytes: 40 }] {
        let script = vec![Fault { from: 0, to: 1, frame: 1, kind }];
        let (dealer, centre) = pair_with(&Faults { script, ..Faults::default() });
        let _ = send_corrections(&dealer, 0, &sample(2 << 20));
        let got = ChannelCorrections::new(centre).corrections(0, &mut vec![0; 2 << 20]);
        assert_eq!(got, Err(WireError::DealerIncomplete));
    }
    let (dealer, centre) = pair();
    dealer.abort("out-of-material");
    let aborted = WireError::Aborted { party: 0, reason: "out-of-material".to_owned() };
    assert_eq!(ChannelCorrections::new(centre).corrections(0, &mut [0]), Err(aborted));
}
