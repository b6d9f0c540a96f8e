//! From a stream of bytes to frames that belong to this session and came in order.

use std::fmt;

use konsil_mpc::WireError;

use crate::frame::{HEADER_BYTES, Header, Kind, decode_header};
use crate::pool::Pool;

/// A payload's buffer starts with at most this capacity: whoever announces much has to send much
/// before it costs us memory.
const FIRST_ALLOCATION_BYTES: usize = 1 << 20;

/// One frame, as its receiver sees it.
pub struct Frame {
    /// What it is for.
    pub kind: Kind,
    /// What it carries. For [`Kind::Seed`] this is key material, which the receiver zeroises.
    pub payload: Vec<u8>,
    /// The tag it came with; of interest for the first frame only.
    pub(crate) tag: u64,
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({:?}, {} bytes)", self.kind, self.payload.len())
    }
}

/// Which tag frames must carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Exactly this one.
    Tag(u64),
    /// Any, but the frame must be a [`Kind::Hello`], by which the tag is then judged.
    FirstHello,
}

enum State {
    Header { bytes: [u8; HEADER_BYTES], filled: usize },
    Payload { kind: Kind, tag: u64, length: usize, payload: Vec<u8> },
    Skip { left: usize },
}

const START: State = State::Header { bytes: [0; HEADER_BYTES], filled: 0 };

/// Cuts one direction of a link into frames and checks each of them.
pub(crate) struct Decoder {
    party: usize,
    version: u16,
    expect: Expect,
    next_seq: u64,
    duplicates: u64,
    state: State,
}

impl Decoder {
    /// A decoder for frames of `party`.
    pub(crate) fn new(party: usize, version: u16, expect: Expect) -> Self {
        Self { party, version, expect, next_seq: 0, duplicates: 0, state: START }
    }

    /// Changes what frames from now on must carry.
    pub(crate) fn expect(&mut self, party: usize, expect: Expect) {
        self.party = party;
        self.expect = expect;
    }

    /// Frames that came twice and were ignored.
    pub(crate) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Whether the bytes so far end within a frame.
    pub(crate) fn within_frame(&self) -> bool {
        !matches!(self.state, State::Header { filled: 0, .. })
    }

    /// Takes bytes as they come and hands every complete frame to `sink`.
    ///
    /// # Errors
    /// [`WireError::VersionMismatch`], [`WireError::SessionMismatch`] (also for a damaged header),
    /// [`WireError::FrameTooLarge`], [`WireError::ProtocolOrder`]. After an error the stream has
    /// no meaning any more.
    pub(crate) fn push(
        &mut self,
        mut input: &[u8],
        pool: &Pool,
        sink: &mut impl FnMut(Frame),
    ) -> Result<(), WireError> {
        while !input.is_empty() {
            match &mut self.state {
                State::Header { bytes, filled } => {
                    let taken = input.len().min(HEADER_BYTES - *filled);
                    bytes[*filled..*filled + taken].copy_from_slice(&input[..taken]);
                    *filled += taken;
                    input = &input[taken..];
                    if *filled == HEADER_BYTES {
                        let bytes = *bytes;
                        self.state = self.accept(&bytes, pool)?;
                    }
                }
                State::Payload { length, payload, .. } => {
                    let taken = input.len().min(*length - payload.len());
                    if payload.capacity() < payload.len() + taken {
                        payload.reserve_exact(*length - payload.len());
                    }
                    payload.extend_from_slice(&input[..taken]);
                    input = &input[taken..];
                }
                State::Skip { left } => {
                    let taken = input.len().min(*left);
                    *left -= taken;
                    input = &input[taken..];
                }
            }
            self.finish(sink);
        }
        Ok(())
    }

    /// Emits the frame if its last byte is there.
    fn finish(&mut self, sink: &mut impl FnMut(Frame)) {
        match &mut self.state {
            State::Payload { kind, tag, length, payload } if payload.len() == *length => {
                sink(Frame { kind: *kind, payload: std::mem::take(payload), tag: *tag });
                self.state = START;
            }
            State::Skip { left: 0 } => self.state = START,
            _ => {}
        }
    }

    /// Judges a complete header; nothing is allocated before everything in it is accepted.
    fn accept(&mut self, bytes: &[u8; HEADER_BYTES], pool: &Pool) -> Result<State, WireError> {
        let foreign = WireError::SessionMismatch { party: self.party };
        let Some(header) = decode_header(bytes) else {
            return Err(foreign);
        };
        if header.version != self.version {
            let (mine, yours) = (u32::from(self.version), u32::from(header.version));
            return Err(WireError::VersionMismatch { mine, yours });
        }
        let Some(kind) = Kind::from_code(header.kind) else {
            return Err(foreign);
        };
        let expected = match self.expect {
            Expect::Tag(tag) => header.tag == tag,
            Expect::FirstHello => kind == Kind::Hello,
        };
        if !expected {
            return Err(foreign);
        }
        let limit = kind.limit_bytes();
        if header.length > limit {
            let (announced, limit) = (u64::from(header.length), u64::from(limit));
            return Err(WireError::FrameTooLarge { announced, limit });
        }
        self.order(&header, kind, pool)
    }

    fn order(&mut self, header: &Header, kind: Kind, pool: &Pool) -> Result<State, WireError> {
        // The limits of all kinds fit into memory's address range.
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        if header.seq < self.next_seq {
            self.duplicates += 1;
            return Ok(State::Skip { left: length });
        }
        if header.seq > self.next_seq {
            let (expected, got) = (self.next_seq, header.seq);
            return Err(WireError::ProtocolOrder { party: self.party, expected, got });
        }
        self.next_seq += 1;
        let spare = pool.take(length);
        let payload =
            spare.unwrap_or_else(|| Vec::with_capacity(length.min(FIRST_ALLOCATION_BYTES)));
        Ok(State::Payload { kind, tag: header.tag, length, payload })
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
