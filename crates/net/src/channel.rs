//! One link to one peer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use konsil_mpc::WireError;

use crate::decode::Frame;
use crate::frame::Kind;

/// Longest reason that an abort carries, in bytes.
const REASON_BYTES_MAX: usize = 128;

/// How long one wait for a frame lasts before it is begun again.
const WAIT: Duration = Duration::from_secs(3600);

/// What a link is made of: TLS over TCP, or queues in memory.
pub(crate) trait Link: Send + Sync {
    fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), WireError>;
    /// The next frame that is not the link's own business; `None` when there is none in time.
    fn receive(&self, wait: Duration) -> Result<Option<Frame>, WireError>;
    /// Takes a payload's buffer back.
    fn recycle(&self, payload: Vec<u8>);
    /// Why the link broke, if it did, without waiting. Never the end after a goodbye.
    fn alarm(&self) -> Option<WireError>;
    /// Says `last` if that is possible at once, and ends the link.
    fn end(&self, last: Kind, payload: &[u8]);
    fn peer(&self) -> &Peer;
    fn duplicates(&self) -> u64;
}

/// Whom a link leads to, and what errors have to say about it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) party: usize,
    round: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    /// Microseconds in which the peer's computer took the connection; 0 where it was not asked.
    dialled: AtomicU64,
}

impl Peer {
    pub(crate) fn new(party: usize) -> Self {
        let zero = AtomicU64::default;
        Self { party, round: zero(), messages: zero(), bytes: zero(), dialled: zero() }
    }

    pub(crate) fn lost(&self) -> WireError {
        WireError::PeerLost { party: self.party, round: self.round.load(Ordering::Relaxed) }
    }

    /// The error that an abort frame with this payload stands for.
    pub(crate) fn aborted(&self, payload: &[u8]) -> WireError {
        WireError::Aborted { party: self.party, reason: public_reason(payload) }
    }
}

/// Keeps of a reason what a log can hold: printable ASCII, not long.
pub(crate) fn public_reason(payload: &[u8]) -> String {
    let printable = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    payload.iter().take(REASON_BYTES_MAX).map(printable).collect()
}

/// What one end of a channel has sent, without heartbeats and without the TLS record layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelTraffic {
    /// Frames.
    pub messages: u64,
    /// Payload and headers, in bytes.
    pub bytes: u64,
}

/// One authenticated, framed, duplex link to one peer.
///
/// One thread may send while another receives. Dropping a channel closes it.
pub struct Channel {
    link: Arc<dyn Link>,
}

impl Channel {
    pub(crate) fn new(link: Arc<dyn Link>) -> Self {
        Self { link }
    }

    /// The number of the party at the other end.
    #[must_use]
    pub fn party(&self) -> usize {
        self.link.peer().party
    }

    /// How long the peer's computer took to take the connection, about one way there and back; nothing
    /// where the peer has dialled.
    #[must_use]
    pub fn dialled(&self) -> Duration {
        Duration::from_micros(self.link.peer().dialled.load(Ordering::Relaxed))
    }

    pub(crate) fn note_dialled(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.link.peer().dialled.store(micros, Ordering::Relaxed);
    }

    /// Sends one frame. Returns when it is handed to the link, not when it has arrived; waits
    /// while the peer does not read.
    ///
    /// # Errors
    /// [`WireError::FrameTooLarge`] when the payload is longer than its kind allows (the link stays
    /// usable), else the reason why the link ended.
    pub fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), WireError> {
        self.link.send(kind, payload).map_err(|error| self.dated(error))?;
        let peer = self.link.peer();
        let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
        peer.messages.fetch_add(1, Ordering::Relaxed);
        peer.bytes.fetch_add(bytes + konsil_mpc::FRAME_OVERHEAD_BYTES, Ordering::Relaxed);
        Ok(())
    }

    /// Waits for the next frame, for as long as the peer shows signs of life.
    ///
    /// # Errors
    /// [`WireError::PeerLost`], [`WireError::PeerTooSlow`], [`WireError::FrameTruncated`],
    /// [`WireError::Aborted`] and what a foreign frame does; frames that came before the error are
    /// delivered first.
    pub fn receive(&self) -> Result<Frame, WireError> {
        loop {
            if let Some(frame) = self.next(WAIT)? {
                return Ok(frame);
            }
        }
    }

    /// Waits for the next frame until `deadline`; `None` when there is none by then.
    ///
    /// # Errors
    /// As [`Channel::receive`].
    pub fn receive_until(&self, deadline: Instant) -> Result<Option<Frame>, WireError> {
        self.next(deadline.saturating_duration_since(Instant::now()))
    }

    /// Waits for the next frame and copies its payload into `into`.
    ///
    /// # Errors
    /// [`WireError::ShapeMismatch`] when the frame is of another kind or length, and as
    /// [`Channel::receive`].
    pub fn receive_into(&self, kind: Kind, into: &mut [u8]) -> Result<(), WireError> {
        let frame = self.receive()?;
        self.unpack(frame, kind, into)
    }

    fn next(&self, wait: Duration) -> Result<Option<Frame>, WireError> {
        self.link.receive(wait).map_err(|error| self.dated(error))
    }

    /// A loss is named by the round in which it is felt, which may be later than the one in which
    /// the link broke.
    fn dated(&self, error: WireError) -> WireError {
        match error {
            WireError::PeerLost { .. } => self.link.peer().lost(),
            other => other,
        }
    }

    pub(crate) fn unpack(
        &self,
        frame: Frame,
        kind: Kind,
        into: &mut [u8],
    ) -> Result<(), WireError> {
        if frame.kind != kind || frame.payload.len() != into.len() {
            let (expected, got) = (into.len(), frame.payload.len());
            return Err(WireError::ShapeMismatch { party: self.party(), expected, got });
        }
        into.copy_from_slice(&frame.payload);
        self.recycle(frame.payload);
        Ok(())
    }

    /// Hands a payload's buffer back, so that a later frame need not allocate one. Not for key
    /// material.
    pub fn recycle(&self, payload: Vec<u8>) {
        self.link.recycle(payload);
    }

    /// Why the link broke, if it did. Does not wait, and leaves waiting frames where they are.
    #[must_use]
    pub fn alarm(&self) -> Option<WireError> {
        self.link.alarm().map(|error| self.dated(error))
    }

    /// Tells the channel which round it is in, so that its errors can name it.
    pub fn begin_round(&self, round: u64) {
        self.link.peer().round.store(round, Ordering::Relaxed);
    }

    /// What this end has sent.
    #[must_use]
    pub fn traffic(&self) -> ChannelTraffic {
        let peer = self.link.peer();
        ChannelTraffic {
            messages: peer.messages.load(Ordering::Relaxed),
            bytes: peer.bytes.load(Ordering::Relaxed),
        }
    }

    /// Frames of the peer that came twice and were ignored.
    #[must_use]
    pub fn duplicates(&self) -> u64 {
        self.link.duplicates()
    }

    /// Says goodbye and ends the link. What was sent before still arrives.
    pub fn close(&self) {
        self.link.end(Kind::Bye, &[]);
    }

    /// Ends the link with a reason, which the peer gets as [`WireError::Aborted`]. The reason is a
    /// public code, never a value; what is not printable ASCII or beyond 128 bytes is lost.
    pub fn abort(&self, reason: &str) {
        self.link.end(Kind::Abort, public_reason(reason.as_bytes()).as_bytes());
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("peer", self.link.peer()).finish_non_exhaustive()
    }
}
