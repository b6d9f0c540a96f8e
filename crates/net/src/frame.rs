//! The 32 bytes in front of every payload.
//!
//! | bytes | field    | meaning                                                             |
//! |-------|----------|---------------------------------------------------------------------|
//! | 0–7   | tag      | first 8 bytes of SHA-256 over [`Binding`], sender and receiver      |
//! | 8–15  | seq      | number of the frame in its direction of the link, from 0            |
//! | 16–19 | length   | bytes of payload                                                    |
//! | 20–21 | kind     | [`Kind`]                                                            |
//! | 22–23 | version  | version of the protocol                                             |
//! | 24–31 | checksum | first 8 bytes of SHA-256 over the 32 bytes with this field zero     |
//!
//! All numbers are little-endian. The layout is the same in every version, so that two versions
//! can tell each other apart.
//!
//! The tag and the checksum keep mistakes apart, not attackers: who sent a frame is known from
//! the TLS connection on which it came.

use konsil_mpc::{FRAME_OVERHEAD_BYTES, WireError};
use sha2::{Digest, Sha256};

/// The version of the protocol that this build speaks.
pub const PROTOCOL_VERSION: u16 = 1;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 32;

const _: () = assert!(HEADER_BYTES as u64 == FRAME_OVERHEAD_BYTES, "planned bytes = sent bytes");

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first frame of each direction: who speaks, about which session.
    Hello,
    /// A message of the engine.
    Round,
    /// A sign of life.
    Heartbeat,
    /// A message of the node.
    Control,
    /// A seed of the dealer. Key material: the receiver zeroises it after use.
    Seed,
    /// A part of the dealer's corrections.
    Corrections,
    /// The peer ends the session; the payload is its public reason.
    Abort,
    /// The peer has said all it had to say.
    Bye,
}

impl Kind {
    /// The number by which the header knows the kind.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Hello => 1,
            Self::Round => 2,
            Self::Heartbeat => 3,
            Self::Control => 4,
            Self::Seed => 5,
            Self::Corrections => 6,
            Self::Abort => 7,
            Self::Bye => 8,
        }
    }

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::Hello,
            2 => Self::Round,
            3 => Self::Heartbeat,
            4 => Self::Control,
            5 => Self::Seed,
            6 => Self::Corrections,
            7 => Self::Abort,
            8 => Self::Bye,
            _ => return None,
        })
    }

    /// The longest payload of this kind, in bytes.
    #[must_use]
    pub fn limit_bytes(self) -> u32 {
        match self {
            Self::Heartbeat | Self::Bye => 0,
            Self::Hello | Self::Abort => 256,
            Self::Seed => 1 << 20,
            Self::Corrections => (1 << 20) + 64,
            Self::Control => 16 << 20,
            Self::Round => 64 << 20,
        }
    }
}

/// What a header says. It is only known to be undamaged, not yet to be acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Session, sender and receiver.
    pub tag: u64,
    /// Number of the frame.
    pub seq: u64,
    /// Bytes of payload that follow.
    pub length: u32,
    /// [`Kind::code`].
    pub kind: u16,
    /// Version of the protocol.
    pub version: u16,
}

/// Writes a header.
#[must_use]
pub fn encode_header(header: &Header) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[0..8].copy_from_slice(&header.tag.to_le_bytes());
    bytes[8..16].copy_from_slice(&header.seq.to_le_bytes());
    bytes[16..20].copy_from_slice(&header.length.to_le_bytes());
    bytes[20..22].copy_from_slice(&header.kind.to_le_bytes());
    bytes[22..24].copy_from_slice(&header.version.to_le_bytes());
    let sum = checksum(&bytes);
    bytes[24..32].copy_from_slice(&sum);
    bytes
}

/// Reads a header; `None` when its checksum is wrong.
#[must_use]
pub fn decode_header(bytes: &[u8; HEADER_BYTES]) -> Option<Header> {
    if bytes[24..32] != checksum(bytes) {
        return None;
    }
    let (tag, rest) = bytes.split_first_chunk::<8>()?;
    let (seq, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<2>()?;
    let (version, _) = rest.split_first_chunk::<2>()?;
    Some(Header {
        tag: u64::from_le_bytes(*tag),
        seq: u64::from_le_bytes(*seq),
        length: u32::from_le_bytes(*length),
        kind: u16::from_le_bytes(*kind),
        version: u16::from_le_bytes(*version),
    })
}

fn checksum(bytes: &[u8; HEADER_BYTES]) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(&bytes[..24]);
    hash.update([0; 8]);
    first_eight(&hash.finalize().into())
}

/// The first 8 bytes of a digest.
pub(crate) fn first_eight(digest: &[u8; 32]) -> [u8; 8] {
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    first
}

/// What both ends of a link have to agree on before they exchange anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Version of the protocol, [`PROTOCOL_VERSION`] except in tests.
    pub version: u16,
    /// The network of centres.
    pub network: [u8; 16],
    /// Hash of the approved study.
    pub study: [u8; 32],
    /// The session; never used twice.
    pub session: [u8; 16],
}

impl Binding {
    /// A binding of the version that this build speaks.
    #[must_use]
    pub fn new(network: [u8; 16], study: [u8; 32], session: [u8; 16]) -> Self {
        Self { version: PROTOCOL_VERSION, network, study, session }
    }

    /// The tag of frames from party `from` to party `to`: the first 8 bytes of SHA-256 over
    /// network, version, study, session, sender and receiver, each of fixed width.
    #[must_use]
    pub fn tag(&self, from: u16, to: u16) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.network);
        hash.update(self.version.to_le_bytes());
        hash.update(self.study);
        hash.update(self.session);
        hash.update(from.to_le_bytes());
        hash.update(to.to_le_bytes());
        u64::from_le_bytes(first_eight(&hash.finalize().into()))
    }
}

/// Numbers the frames of one direction of a link.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) tag: u64,
    pub(crate) seq: u64,
    pub(crate) version: u16,
}

impl Sender {
    /// The header of the next frame.
    ///
    /// # Errors
    /// [`WireError::FrameTooLarge`] when the payload is longer than its kind allows.
    pub(crate) fn next(
        &mut self,
        kind: Kind,
        payload: &[u8],
    ) -> Result<[u8; HEADER_BYTES], WireError> {
        let limit = kind.limit_bytes();
        let length = u32::try_from(payload.len()).ok().filter(|&length| length <= limit);
        let Some(length) = length else {
            let announced = u64::try_from(payload.len()).unwrap_or(u64::MAX);
            return Err(WireError::FrameTooLarge { announced, limit: u64::from(limit) });
        };
        let (tag, seq, version) = (self.tag, self.seq, self.version);
        self.seq += 1;
        Ok(encode_header(&Header { tag, seq, length, kind: kind.code(), version }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two builds that disagree about these bytes cannot talk.
    #[test]
    fn golden_bytes() {
        let binding = Binding::new([1; 16], [2; 32], [3; 16]);
        let header = Header {
            tag: binding.tag(4, 5),
            seq: 6,
            length: 7,
            kind: Kind::Round.code(),
            version: PROTOCOL_VERSION,
        };
        let bytes = encode_header(&header);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "248216d733d4913d06000000000000000700000002000100412176dc61ca0584");
        assert_eq!(decode_header(&bytes), Some(header));
    }

    /// A damaged length must never be believed.
    #[test]
    fn every_flipped_bit_is_noticed() {
        let header = Header { tag: 9, seq: 8, length: 7, kind: 2, version: 1 };
        let bytes = encode_header(&header);
        for bit in 0..256 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_header(&damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn kinds_round_trip() {
        let known: Vec<Kind> = (0..100).filter_map(Kind::from_code).collect();
        assert_eq!(known.len(), 8);
        assert!(known.iter().all(|kind| Kind::from_code(kind.code()) == Some(*kind)));
    }

    /// A frame of one session, direction or study is foreign to every other.
    #[test]
    fn tags_differ() {
        let binding = Binding::new([1; 16], [2; 32], [3; 16]);
        let mut tags = vec![binding.tag(0, 1), binding.tag(1, 0), binding.tag(0, 2)];
        tags.push(Binding { study: [0; 32], ..binding }.tag(0, 1));
        tags.push(Binding { session: [0; 16], ..binding }.tag(0, 1));
        tags.push(Binding { network: [0; 16], ..binding }.tag(0, 1));
        tags.push(Binding { version: 2, ..binding }.tag(0, 1));
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 7);
    }
}
