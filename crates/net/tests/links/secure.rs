//! A link over TLS, from its first frame to its last.

use std::io::Write;
use std::net::Shutdown;
use std::thread;
use std::time::Instant;

use konsil_mpc::WireError;
use konsil_net::frame::{Header, encode_header};
use konsil_net::{Channel, Kind, Options};

use crate::setup::{hasty, link, millis, rogue_link, wait_for};

/// A link that waits for acknowledgements or collects small writes takes 40 ms and more.
#[test]
fn round_trip_of_16_kib_is_fast() {
    let (one, two) = link(&Options::default());
    let mut message = vec![5; 16 << 10];
    let mut times = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut message = vec![0; 16 << 10];
            for _ in 0..101 {
                two.receive_into(Kind::Round, &mut message).unwrap();
                two.send(Kind::Round, &message).unwrap();
            }
        });
        for _ in 0..101 {
            let began = Instant::now();
            one.send(Kind::Round, &message).unwrap();
            one.receive_into(Kind::Round, &mut message).unwrap();
            times.push(began.elapsed());
        }
    });
    times.sort();
    assert!(times[50] < millis(5), "median {:?}", times[50]);
    assert_eq!(one.traffic().messages, 101);
    assert_eq!(one.traffic().bytes, 101 * (32 + (16 << 10)));
}

/// All lengths around the sizes of TLS records and pieces arrive as they were.
#[test]
fn payloads_of_all_sizes_arrive() {
    let (one, two) = link(&Options::default());
    let edges = [1, 32, 16_352, 16_384, 16_385, 131_040, 131_041, 131_072, 300_000, 5_000_000];
    let sizes = [&edges[..], &[0]].concat();
    let payload = |size: usize| -> Vec<u8> {
        (0..size).map(|index| (index * 31 % 251).try_into().unwrap()).collect()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            for &size in &sizes {
                one.send(Kind::Control, &payload(size)).unwrap();
            }
        });
        for &size in &sizes {
            let frame = two.receive().unwrap();
            assert_eq!(frame.kind, Kind::Control);
            assert!(frame.payload == payload(size), "{size} bytes");
        }
    });
}

/// Both sides send more than the sockets hold before either has read: the links must not wait
/// for each other.
#[test]
fn both_sides_may_send_first() {
    let (one, two) = link(&Options::default());
    let exchange = |channel: &Channel, mine: u8, theirs: u8| {
        let mut received = vec![0; 24 << 20];
        channel.send(Kind::Round, &vec![mine; 24 << 20]).unwrap();
        channel.receive_into(Kind::Round, &mut received).unwrap();
        assert!(received.iter().all(|&byte| byte == theirs));
    };
    thread::scope(|scope| {
        scope.spawn(|| exchange(&one, 1, 2));
        exchange(&two, 2, 1);
    });
}

/// Who does not read makes the sender wait, not the memory grow; nobody counts as silent or slow
/// meanwhile.
#[test]
fn full_inbox_holds_the_sender_back() {
    let options = Options { inbox_bytes: 100_000, ..hasty() };
    let (one, two) = link(&options);
    thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..400_u32 {
                one.send(Kind::Control, &number.to_le_bytes().repeat(25_000)).unwrap();
            }
        });
        thread::sleep(millis(400));
        assert!(one.traffic().messages < 400);
        for number in 0..400_u32 {
            let frame = two.receive().unwrap();
            assert_eq!(frame.payload[..4], number.to_le_bytes());
            two.recycle(frame.payload);
        }
    });
}

/// A frame longer than allowed is refused before it is sent, and the link lives on.
#[test]
fn oversized_payload_is_not_sent() {
    let (one, two) = link(&Options::default());
    let refused = one.send(Kind::Seed, &vec![0; (1 << 20) + 1]);
    let (announced, limit) = ((1 << 20) + 1, 1 << 20);
    assert_eq!(refused, Err(WireError::FrameTooLarge { announced, limit }));
    one.send(Kind::Seed, b"seed").unwrap();
    assert_eq!(two.receive().unwrap().payload, b"seed");
}

/// Heartbeats keep an idle link alive in both directions, and are not traffic.
#[test]
fn idle_link_lives() {
    let (one, two) = link(&hasty());
    thread::sleep(millis(400));
    one.send(Kind::Round, b"late").unwrap();
    assert_eq!(two.receive().unwrap().payload, b"late");
    two.send(Kind::Round, b"later").unwrap();
    assert_eq!(one.receive().unwrap().payload, b"later");
    assert_eq!(one.traffic().messages, 1);
}

/// Case 6: a peer that falls silent is lost, and the error names the round.
#[test]
fn silence_is_loss() {
    let (channel, _rogue) = rogue_link(&hasty());
    channel.begin_round(12);
    let began = Instant::now();
    let lost = WireError::PeerLost { party: 1, round: 12 };
    assert_eq!(channel.receive().unwrap_err(), lost);
    assert!(began.elapsed() < millis(1000));
    assert_eq!(channel.send(Kind::Round, b""), Err(lost));
}

/// Case 15: a peer that drips, in whole TLS records or in crumbs of one.
#[test]
fn dripping_peer_is_too_slow() {
    for within_record in [false, true] {
        let (channel, mut rogue) = rogue_link(&hasty());
        let frame = rogue.frame(Kind::Round, &[0; 1000]);
        thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(channel.receive().unwrap_err(), WireError::PeerTooSlow { party: 1 });
            });
            let bytes = if within_record {
                let mut record = Vec::new();
                rogue.tls.conn.writer().write_all(&frame).unwrap();
                rogue.tls.conn.write_tls(&mut record).unwrap();
                record
            } else {
                frame
            };
            for byte in bytes.iter().take(300) {
                let crumb = std::slice::from_ref(byte);
                let sent = if within_record {
                    rogue.tls.sock.write_all(crumb)
                } else {
                    rogue.tls.write_all(crumb).and_then(|()| rogue.tls.flush())
                };
                if sent.is_err() || channel.alarm().is_some() {
                    break;
                }
                thread::sleep(millis(2));
            }
        });
    }
}

/// Case 10, between and within TLS records.
#[test]
fn end_within_a_frame_is_truncation() {
    for kept in [7, 32, 50] {
        let (channel, mut rogue) = rogue_link(&Options::default());
        let frame = rogue.frame(Kind::Round, &[0; 100]);
        rogue.write(&frame[..kept]);
        rogue.tls.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(channel.receive().unwrap_err(), WireError::FrameTruncated);
    }
    let (channel, mut rogue) = rogue_link(&Options::default());
    let mut record = Vec::new();
    let frame = rogue.frame(Kind::Round, &[0; 100]);
    rogue.tls.conn.writer().write_all(&frame).unwrap();
    rogue.tls.conn.write_tls(&mut record).unwrap();
    rogue.tls.sock.write_all(&record[..90]).unwrap();
    rogue.tls.sock.shutdown(Shutdown::Write).unwrap();
    assert_eq!(channel.receive().unwrap_err(), WireError::FrameTruncated);
}

/// Case 1: the end between frames is a loss; what came before still counts.
#[test]
fn killed_peer_is_lost() {
    let (channel, mut rogue) = rogue_link(&Options::default());
    channel.begin_round(3);
    rogue.say(Kind::Round, b"last");
    drop(rogue.tls.sock.shutdown(Shutdown::Both));
    assert_eq!(channel.receive().unwrap().payload, b"last");
    assert_eq!(channel.receive().unwrap_err(), WireError::PeerLost { party: 1, round: 3 });
    assert!(channel.alarm().is_some());
}

/// A flipped bit within TLS ends the link, whatever it was.
#[test]
fn damaged_record_is_not_read() {
    let (channel, mut rogue) = rogue_link(&Options::default());
    let frame = rogue.frame(Kind::Round, &[0; 100]);
    let mut record = Vec::new();
    rogue.tls.conn.writer().write_all(&frame).unwrap();
    rogue.tls.conn.write_tls(&mut record).unwrap();
    record[40] ^= 1;
    rogue.tls.sock.write_all(&record).unwrap();
    let refused = channel.receive().unwrap_err();
    assert_eq!(refused, WireError::Io(std::io::ErrorKind::InvalidData));
}

/// Cases 8, 9, 11, 13: frames of a peer that is who it is, and misbehaves all the same. It is told
/// why the link ends.
#[test]
fn misbehaving_peer_is_refused_by_name() {
    type Change = fn(&mut Header);
    let cases: [(Change, WireError); 4] = [
        (|header| header.tag ^= 1, WireError::SessionMismatch { party: 1 }),
        (|header| header.seq = 5, WireError::ProtocolOrder { party: 1, expected: 1, got: 5 }),
        (
            |header| header.length = u32::MAX,
            WireError::FrameTooLarge { announced: u32::MAX.into(), limit: 64 << 20 },
        ),
        (|header| header.version = 8, WireError::VersionMismatch { mine: 1, yours: 8 }),
    ];
    for (change, error) in cases {
        let (channel, mut rogue) = rogue_link(&Options::default());
        let mut header = Header { kind: Kind::Round.code(), ..rogue.next };
        change(&mut header);
        rogue.write(&encode_header(&header));
        assert_eq!(channel.receive().unwrap_err(), error);
        let told = (Kind::Abort.code(), error.name().as_bytes().to_vec());
        assert_eq!(rogue.hear().unwrap(), told);
    }
}

#[test]
fn duplicates_are_ignored() {
    let (channel, mut rogue) = rogue_link(&Options::default());
    let frame = rogue.frame(Kind::Round, b"once");
    rogue.write(&[&frame[..], &frame, &frame].concat());
    rogue.say(Kind::Round, b"next");
    assert_eq!(channel.receive().unwrap().payload, b"once");
    assert_eq!(channel.receive().unwrap().payload, b"next");
    assert_eq!(channel.duplicates(), 2);
}

/// TLS renews its keys on long links: data must flow before and after, both ways.
#[test]
fn renewed_keys_do_not_disturb() {
    let (channel, mut rogue) = rogue_link(&hasty());
    for round in 0..5 {
        rogue.say(Kind::Round, &[round]);
        assert_eq!(channel.receive().unwrap().payload, [round]);
        rogue.tls.conn.refresh_traffic_keys().unwrap();
        rogue.say(Kind::Round, &[round, round]);
        assert_eq!(channel.receive().unwrap().payload, [round, round]);
        channel.send(Kind::Round, &[round; 3]).unwrap();
        assert_eq!(rogue.hear().unwrap().1, [round; 3]);
    }
}

#[test]
fn abort_reaches_the_peer_with_its_reason() {
    let (one, two) = link(&Options::default());
    one.send(Kind::Round, b"before").unwrap();
    one.abort("budget-exhausted\n\u{e9}");
    assert_eq!(two.receive().unwrap().payload, b"before");
    let aborted = WireError::Aborted { party: 1, reason: "budget-exhausted???".to_owned() };
    assert_eq!(two.receive().unwrap_err(), aborted);
    assert_eq!(two.send(Kind::Round, b""), Err(aborted.clone()));
    assert_eq!(two.alarm(), Some(aborted));
    assert!(one.send(Kind::Round, b"").is_err());
}

/// A goodbye loses nothing, not even when the peer has sent what nobody read, and is no alarm.
#[test]
fn goodbye_loses_nothing() {
    let (one, two) = link(&Options::default());
    two.send(Kind::Round, &[1; 100_000]).unwrap();
    for _ in 0..50 {
        one.send(Kind::Control, &[2; 100_000]).unwrap();
    }
    drop(one);
    for _ in 0..50 {
        assert_eq!(two.receive().unwrap().payload.len(), 100_000);
    }
    assert_eq!(two.receive().unwrap_err(), WireError::PeerLost { party: 1, round: 0 });
    assert_eq!(two.alarm(), None);
}

/// Many threads may send on one channel; frames stay whole.
#[test]
fn threads_share_a_channel() {
    let (one, two) = link(&hasty());
    thread::scope(|scope| {
        for number in 0..4_u8 {
            let one = &one;
            scope.spawn(move || {
                for _ in 0..50 {
                    one.send(Kind::Control, &[number; 40_000]).unwrap();
                }
            });
        }
        let mut count = [0; 4];
        for _ in 0..200 {
            let payload = two.receive().unwrap().payload;
            assert!(payload.iter().all(|&byte| byte == payload[0]));
            count[usize::from(payload[0])] += 1;
        }
        assert_eq!(count, [50; 4]);
    });
}

/// A sender that waits for a peer who does not read learns of the end.
#[test]
fn blocked_sender_wakes_up() {
    let options = Options { inbox_bytes: 1000, ..Options::default() };
    let (one, two) = link(&options);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = Ok(());
            while sent.is_ok() {
                sent = one.send(Kind::Round, &vec![0; 8 << 20]);
            }
        });
        thread::sleep(millis(50));
        two.abort("enough");
        wait_for(|| sending.is_finished());
    });
}

/// Nor can a blocked sender keep its own side from ending the link.
#[test]
fn blocked_sender_is_broken_off() {
    let options = Options { inbox_bytes: 1000, ..Options::default() };
    let (one, two) = link(&options);
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let mut sent = Ok(());
            while sent.is_ok() {
                sent = one.send(Kind::Round, &vec![0; 8 << 20]);
            }
        });
        thread::sleep(millis(50));
        one.abort("enough");
        wait_for(|| sending.is_finished());
        while two.receive().is_ok() {}
    });
}
