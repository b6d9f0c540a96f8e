//! The dealer's corrections on their way to the one centre that receives them.
//!
//! A message is cut into parts of at most 1 MiB, one frame each: counter (8 bytes), number of the
//! part (4), bytes of the whole message (8), first 8 bytes of SHA-256 over the part (8), the part.

use konsil_mpc::{CorrectionSource, WireError};
use sha2::{Digest, Sha256};

use crate::channel::Channel;
use crate::frame::{Kind, first_eight};

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
    prefix[20..28].copy_from_slice(&first_eight(&Sha256::digest(part).into()));
    prefix
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
