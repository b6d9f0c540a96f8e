//! The time and memory limits of links.

use std::time::Duration;

/// Limits of one link. The defaults suit centres on the internet; tests set them to milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// A heartbeat is sent when nothing else was sent for this long.
    pub heartbeat: Duration,
    /// A peer from which no byte came for this long is lost.
    pub silence_limit: Duration,
    /// A peer must finish what it began at this rate or faster, in bytes per second.
    pub rate_min: u64,
    /// The time over which the rate is averaged.
    pub rate_window: Duration,
    /// TLS handshake and the first frame must be complete within this time.
    pub handshake_deadline: Duration,
    /// All members of a session must be connected within this time.
    pub session_deadline: Duration,
    /// How often a connection is tried before the peer counts as lost.
    pub connect_tries: u32,
    /// Received frames that wait for their reader may hold this many bytes; then the link stops
    /// reading, and the peer stops sending.
    pub inbox_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            silence_limit: Duration::from_secs(10),
            rate_min: 1024,
            rate_window: Duration::from_secs(10),
            handshake_deadline: Duration::from_secs(10),
            session_deadline: Duration::from_secs(30),
            connect_tries: 20,
            inbox_bytes: 64 << 20,
        }
    }
}

impl Options {
    /// How long a read may block before the limits are looked at again.
    pub(crate) fn read_tick(&self) -> Duration {
        let shortest = self.silence_limit.min(self.rate_window) / 4;
        shortest.clamp(Duration::from_millis(1), Duration::from_secs(1))
    }

    /// Fewest bytes that a peer with an unfinished frame has to send per window.
    pub(crate) fn window_bytes_min(&self) -> u64 {
        let millis = u64::try_from(self.rate_window.as_millis()).unwrap_or(u64::MAX);
        self.rate_min.saturating_mul(millis) / 1000
    }
}
