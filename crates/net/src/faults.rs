//! Faults that a simulated network commits on purpose.

use std::time::Duration;

/// What happens to one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It arrives this much later, and so do those behind it.
    Delay(Duration),
    /// It never arrives.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It changes places with the next frame.
    Swap,
    /// Only its first bytes arrive, and the link ends.
    Truncate {
        /// How many, header included.
        bytes: usize,
    },
    /// One bit is inverted. Bits count from the start of the header; beyond the end nothing
    /// happens.
    Flip {
        /// Which.
        bit: usize,
    },
    /// Other bytes arrive in its place.
    Replace(Vec<u8>),
    /// The link ends in front of it.
    Cut,
}

/// One fault: the frame numbered `frame`, from 0, on the way from party `from` to party `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Sender.
    pub from: usize,
    /// Receiver.
    pub to: usize,
    /// Number of the frame in this direction, from 0.
    pub frame: u64,
    /// What happens to it.
    pub kind: FaultKind,
}

/// The speed of a simulated link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// From sender to receiver.
    pub one_way: Duration,
    /// Bandwidth in each direction; 0 means unlimited.
    pub bits_per_second: u64,
}

impl Shape {
    /// How long a frame keeps the link busy.
    pub(crate) fn transmission(&self, bytes: usize) -> Duration {
        let bits = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(8);
        let nanos = bits.saturating_mul(1_000_000_000) / u128::from(self.bits_per_second.max(1));
        let busy = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        if self.bits_per_second == 0 { Duration::ZERO } else { busy }
    }
}

/// How a simulated network behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// What goes wrong.
    pub script: Vec<Fault>,
    /// Speed of all links; `None` means as fast as memory.
    pub shape: Option<Shape>,
    /// A party that sends nothing for this long is lost. Links in memory send no heartbeats, so
    /// this must be longer than the longest computation. `None` means never.
    pub silence_limit: Option<Duration>,
    /// Bytes that may be under way on one link before its sender waits. `None` means any number.
    pub capacity_bytes: Option<usize>,
}
