//! The decoder against everything that bytes can be.

use proptest::prelude::*;

use super::*;
use crate::frame::{PROTOCOL_VERSION, Sender, encode_header};

const TAG: u64 = 77;

fn decoder() -> Decoder {
    Decoder::new(3, PROTOCOL_VERSION, Expect::Tag(TAG))
}

fn header() -> Header {
    Header { tag: TAG, seq: 0, length: 0, kind: Kind::Round.code(), version: PROTOCOL_VERSION }
}

fn push(decoder: &mut Decoder, bytes: &[u8]) -> Result<Vec<Frame>, WireError> {
    let mut frames = Vec::new();
    decoder.push(bytes, &Pool::default(), &mut |frame| frames.push(frame))?;
    Ok(frames)
}

fn refusal(header: &Header) -> WireError {
    push(&mut decoder(), &encode_header(header)).unwrap_err()
}

/// A length that no memory holds is refused by its header alone (case 11).
#[test]
fn oversized_length_is_refused_before_allocation() {
    let announced = u64::from(u32::MAX);
    let refused = refusal(&Header { length: u32::MAX, ..header() });
    assert_eq!(refused, WireError::FrameTooLarge { announced, limit: 64 << 20 });
    let refused = refusal(&Header { length: 1, kind: Kind::Bye.code(), ..header() });
    assert_eq!(refused, WireError::FrameTooLarge { announced: 1, limit: 0 });
}

/// An allowed length is not believed before its bytes come.
#[test]
fn announced_length_alone_costs_little_memory() {
    let mut decoder = decoder();
    push(&mut decoder, &encode_header(&Header { length: 64 << 20, ..header() })).unwrap();
    let State::Payload { payload, .. } = &decoder.state else {
        panic!("the payload is due");
    };
    assert!(payload.capacity() <= FIRST_ALLOCATION_BYTES);
}

/// Cases 13, 14 and 17.
#[test]
fn foreign_headers_have_named_errors() {
    let foreign = WireError::SessionMismatch { party: 3 };
    assert_eq!(refusal(&Header { tag: 78, ..header() }), foreign);
    assert_eq!(refusal(&Header { kind: 99, ..header() }), foreign);
    let other = refusal(&Header { version: 9, tag: 78, ..header() });
    assert_eq!(other, WireError::VersionMismatch { mine: 1, yours: 9 });
    let early = refusal(&Header { seq: 2, ..header() });
    assert_eq!(early, WireError::ProtocolOrder { party: 3, expected: 0, got: 2 });
}

/// A damaged header is foreign, whichever bit it is.
#[test]
fn flipped_bits_in_a_header_are_foreign() {
    let bytes = encode_header(&header());
    for bit in 0..256 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        let refused = push(&mut decoder(), &damaged).unwrap_err();
        assert_eq!(refused, WireError::SessionMismatch { party: 3 }, "bit {bit}");
    }
}

/// Case 8: a frame that comes twice counts once.
#[test]
fn duplicates_are_skipped_and_counted() {
    let mut sender = Sender { tag: TAG, seq: 0, version: PROTOCOL_VERSION };
    let one = [&sender.next(Kind::Round, b"one").unwrap()[..], b"one"].concat();
    let two = [&sender.next(Kind::Round, b"two").unwrap()[..], b"two"].concat();
    let mut decoder = decoder();
    let frames = push(&mut decoder, &[&one[..], &one, &two, &one].concat()).unwrap();
    let payloads: Vec<_> = frames.iter().map(|frame| &frame.payload[..]).collect();
    assert_eq!(payloads, [b"one", b"two"]);
    assert_eq!(decoder.duplicates(), 2);
    assert!(!decoder.within_frame());
}

/// Before the first hello, nothing but a hello is read.
#[test]
fn only_a_hello_may_come_first() {
    let mut first = Decoder::new(3, PROTOCOL_VERSION, Expect::FirstHello);
    let refused = push(&mut first, &encode_header(&header())).unwrap_err();
    assert_eq!(refused, WireError::SessionMismatch { party: 3 });
}

proptest! {
    /// No bytes make the decoder panic, in whatever pieces they come.
    #[test]
    fn arbitrary_bytes_do_no_harm(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20)) {
        let mut decoder = decoder();
        for piece in pieces {
            if push(&mut decoder, &piece).is_err() {
                break;
            }
        }
    }

    /// Nor do headers with a good checksum and arbitrary content.
    #[test]
    fn arbitrary_headers_do_no_harm(
        tag in prop_oneof![Just(TAG), any::<u64>()],
        seq in prop_oneof![0..3_u64, any::<u64>()],
        length in prop_oneof![0..100_u32, any::<u32>()],
        kind in prop_oneof![0..10_u16, any::<u16>()],
        version in prop_oneof![Just(PROTOCOL_VERSION), any::<u16>()],
        rest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let bytes = encode_header(&Header { tag, seq, length, kind, version });
        let mut decoder = decoder();
        if push(&mut decoder, &bytes).is_ok() {
            let _ = push(&mut decoder, &rest);
        }
    }

    /// What is encoded is decoded, however the stream is cut.
    #[test]
    fn frames_round_trip(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
        piece in 1..97_usize,
    ) {
        let mut sender = Sender { tag: TAG, seq: 0, version: PROTOCOL_VERSION };
        let mut bytes = Vec::new();
        for payload in &payloads {
            bytes.extend_from_slice(&sender.next(Kind::Round, payload).unwrap());
            bytes.extend_from_slice(payload);
        }
        let mut decoder = decoder();
        let mut frames = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.extend(push(&mut decoder, piece).unwrap());
        }
        let decoded: Vec<_> = frames.into_iter().map(|frame| frame.payload).collect();
        prop_assert_eq!(decoded, payloads);
        prop_assert!(!decoder.within_frame());
    }
}
