//! The dealer's corrections on their way to the one centre that receives them.
//!
//! A message is cut into parts of at most 1 MiB, one frame each: counter (8 bytes), number of the
//! part (4), bytes of the whole message (8), checksum of the part (8), the part.
//!
//! The link is authenticated, so that the checksum guards against a faulty dealer, not against an
//! attacker: two running sums over 64-bit words (Fletcher 1982), at the speed of memory.

use konsil_mpc::{CorrectionSource, WireError};

use crate::channel::Channel;
use crate::frame::Kind;

/// Longest part, in bytes.
const PART_BYTES: usize = 1 << 20;
/// Bytes in front of a part.
const PREFIX_BYTES: usize = 28;

/// Sends the corrections of the correlation numbered `counter`. Returns when they are handed to
/// the link.
///
/// # Errors
/// As [`Channel::send`].
pub fn send_corrections(
    channel: &Channel,
    counter: u64,
    corrections: &[u8],
) -> Result<(), WireError> {
    let total = u64::try_from(corrections.len()).unwrap_or(u64::MAX);
    let mut frame = Vec::with_capacity(PREFIX_BYTES + corrections.len().min(PART_BYTES));
    let mut number: u32 = 0;
    let mut rest = corrections;
    loop {
        let (part, later) = rest.split_at(rest.len().min(PART_BYTES));
        frame.clear();
        frame.extend_from_slice(&prefix(counter, number, total, part));
        frame.extend_from_slice(part);
        channel.send(Kind::Corrections, &frame)?;
        if later.is_empty() {
            return Ok(());
        }
        number = number.checked_add(1).ok_or(WireError::DealerCorrupt)?;
        rest = later;
    }
}

fn prefix(counter: u64, number: u32, total: u64, part: &[u8]) -> [u8; PREFIX_BYTES] {
    let mut prefix = [0; PREFIX_BYTES];
    prefix[0..8].copy_from_slice(&counter.to_le_bytes());
    prefix[8..12].copy_from_slice(&number.to_le_bytes());
    prefix[12..20].copy_from_slice(&total.to_le_bytes());
    prefix[20..28].copy_from_slice(&checksum(part).to_le_bytes());
    prefix
}

/// Two running sums over the 64-bit words of a part; the last word is filled up with zeros.
fn checksum(part: &[u8]) -> u64 {
    let (mut sum, mut sums) = (0_u64, 0_u64);
    let mut add = |word: u64| {
        sum = sum.wrapping_add(word);
        sums = sums.wrapping_add(sum);
    };
    let mut words = part.chunks_exact(8);
    words
        .by_ref()
        .filter_map(|it| it.first_chunk::<8>())
        .for_each(|it| add(u64::from_le_bytes(*it)));
    let mut last = [0; 8];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    add(u64::from_le_bytes(last));
    sum.rotate_left(32) ^ sums
}

/// Receives corrections from the dealer's channel.
#[derive(Debug)]
pub struct ChannelCorrections {
    channel: Channel,
}

impl ChannelCorrections {
    /// Takes the channel to the dealer.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self { channel }
    }

    /// Gives the channel back, for a dealer that deals again.
    #[must_use]
    pub fn into_channel(self) -> Channel {
        self.channel
    }
}

impl CorrectionSource for ChannelCorrections {
    fn corrections(&mut self, counter: u64, into: &mut [u8]) -> Result<(), WireError> {
        let total = u64::try_from(into.len()).unwrap_or(u64::MAX);
        let mut number: u32 = 0;
        let mut rest = into;
        loop {
            let frame = self.channel.receive().map_err(|error| match error {
                WireError::PeerLost { .. } | WireError::FrameTruncated | WireError::Io(_) => {
                    WireError::DealerIncomplete
                }
                other => other,
            })?;
            let (part, later) = rest.split_at_mut(rest.len().min(PART_BYTES));
            // The whole prefix is known in advance but for the digest, so it is simply compared.
            let came = frame.payload.split_at_checked(PREFIX_BYTES);
            match came {
                Some((told, bytes))
                    if frame.kind == Kind::Corrections
                        && bytes.len() == part.len()
                        && told == prefix(counter, number, total, bytes) =>
                {
                    part.copy_from_slice(bytes);
                }
                _ => {
                    self.channel.abort(WireError::DealerCorrupt.name());
                    return Err(WireError::DealerCorrupt);
                }
            }
            self.channel.recycle(frame.payload);
            if later.is_empty() {
                return Ok(());
            }
            number = number.checked_add(1).ok_or(WireError::DealerCorrupt)?;
            rest = later;
        }
    }
}
