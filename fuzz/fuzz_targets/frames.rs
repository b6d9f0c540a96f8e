//! Whatever a peer sends in place of its frames: an error with a name, no panic, and no memory for
//! what was only announced.
#![no_main]

use konsil_net::frame::{Header, Kind, decode_header, encode_header};
use konsil_net::memory::{binding, pair_with};
use konsil_net::{Fault, FaultKind, Faults, Hello, PROTOCOL_VERSION};
use libfuzzer_sys::fuzz_target;

/// Frames after which the line is cut.
const FRAMES: u64 = 3;

fuzz_target!(|data: &[u8]| {
    let _hello = Hello::decode(data);
    if let Some(first) = data.first_chunk() {
        let _header = decode_header(first);
    }
    let Some((how, rest)) = data.split_first() else { return };
    let sent = if how % 2 == 0 { rest.to_vec() } else { with_good_checksums(rest, how / 2) };
    let fault = |frame, kind| Fault { from: 0, to: 1, frame, kind };
    let script = vec![fault(0, FaultKind::Replace(sent)), fault(FRAMES, FaultKind::Cut)];
    let (one, two) = pair_with(&Faults { script, ..Faults::default() });
    for _ in 0..=FRAMES {
        let _sent = one.send(Kind::Control, b"what the peer meant to say");
    }
    let mut frames = 0;
    while let Ok(frame) = two.receive() {
        frames += 1;
        assert!(frame.payload.len() <= usize::try_from(frame.kind.limit_bytes()).unwrap());
        assert!(frames <= data.len() + 8, "frames out of nothing");
    }
    assert!(two.alarm().is_some() || two.receive().is_err());
});

/// The bytes as frames whose headers are undamaged, as a malicious peer's would be: what they say
/// is the fuzzer's.
fn with_good_checksums(mut rest: &[u8], how: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut seq = 0;
    while let Some((&[kind, length, odd, extra], payload)) = rest.split_first_chunk::<4>() {
        let length = usize::from(length).min(payload.len());
        let (payload, after) = payload.split_at(length);
        let header = Header {
            tag: binding().tag(0, 1) ^ u64::from(odd & 1 & how),
            seq: seq + u64::from(odd >> 6),
            length: u32::try_from(length).unwrap() + (u32::from(extra) << (how % 25)),
            kind: u16::from(kind % 12),
            version: PROTOCOL_VERSION + u16::from(odd >> 1 & 1 & how),
        };
        bytes.extend(encode_header(&header));
        bytes.extend(payload);
        rest = after;
        seq += 1;
    }
    bytes
}
