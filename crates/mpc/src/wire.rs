//! What the engine asks of a network: ordered messages between parties, and nothing else.
//!
//! **Invariant:** lengths are public. A receiver always knows how long the next message is, so that
//! a wrong length is an error before anything is allocated.

use std::fmt;

/// Bytes of framing around every payload; planned and sent bytes include them.
pub const FRAME_OVERHEAD_BYTES: u64 = 32;

/// Bytes and messages a party has sent to the other parties of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages, one frame each.
    pub messages: u64,
    /// Payload and framing, without the TLS record layer.
    pub bytes: u64,
}

/// One party's end of the links to all other parties of one session.
///
/// Messages from one party arrive in the order in which they were sent.
pub trait Wire: Send {
    /// This party's number, from 0.
    fn me(&self) -> usize;

    /// How many parties the session has.
    fn parties(&self) -> usize;

    /// Sends one message. Returns when it is handed to the link, not when it has arrived.
    ///
    /// # Errors
    /// [`WireError::PeerLost`] when the link is gone.
    fn send(&mut self, to: usize, payload: &[u8]) -> Result<(), WireError>;

    /// Waits for the next message of `from` and writes it into `into`.
    ///
    /// # Errors
    /// [`WireError::ShapeMismatch`] when the message is not exactly as long as `into`, and every
    /// other variant for what a broken, slow or foreign link does.
    fn receive(&mut self, from: usize, into: &mut [u8]) -> Result<(), WireError>;

    /// Tells the wire that a round begins, so that its errors can name it. Rounds count from 1.
    fn begin_round(&mut self, round: u64);

    /// What this party has sent so far.
    fn traffic(&self) -> Traffic;

    /// Ends the session with a public reason, a code, that the other parties get. Best effort.
    fn abort(&mut self, _reason: &str) {}
}

/// Where the party that receives the dealer's corrections gets them from.
pub trait CorrectionSource: Send {
    /// Fills `into` with the corrections of the correlation numbered `counter`.
    ///
    /// # Errors
    /// [`WireError::DealerIncomplete`] when the dealer went away, [`WireError::DealerCorrupt`] when
    /// what it sent is not what was asked for.
    fn corrections(&mut self, counter: u64, into: &mut [u8]) -> Result<(), WireError>;
}

/// What goes wrong between parties. Every variant ends the session; none carries a value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// A peer's link closed or fell silent.
    PeerLost {
        /// Number of the party.
        party: usize,
        /// The round in which it was missed.
        round: u64,
    },
    /// A peer sends too slowly to finish.
    PeerTooSlow {
        /// Number of the party.
        party: usize,
    },
    /// The peer speaks another version of the protocol.
    VersionMismatch {
        /// Ours.
        mine: u32,
        /// Theirs.
        yours: u32,
    },
    /// A frame of another session, study, sender or receiver.
    SessionMismatch {
        /// Number of the party that sent it.
        party: usize,
    },
    /// A frame out of order.
    ProtocolOrder {
        /// Number of the party that sent it.
        party: usize,
        /// The sequence number that was due.
        expected: u64,
        /// The one that came.
        got: u64,
    },
    /// The connection ended within a frame.
    FrameTruncated,
    /// A frame announces more bytes than the limit.
    FrameTooLarge {
        /// What it announces.
        announced: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A message has another length than the protocol gives it at this point.
    ShapeMismatch {
        /// Number of the party that sent it.
        party: usize,
        /// Bytes that were due.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// The peer does not offer hybrid post-quantum key agreement.
    PqRequired,
    /// The peer's identity is not the one that the network lists.
    IdentityMismatch,
    /// The dealer went away before all correlations were dealt.
    DealerIncomplete,
    /// The dealer's message is not what was asked for.
    DealerCorrupt,
    /// Another centre ended the run; the text is its public reason.
    Aborted {
        /// Number of the party.
        party: usize,
        /// A code, never a value.
        reason: String,
    },
    /// The operating system refused.
    Io(std::io::ErrorKind),
}

impl WireError {
    /// The short name by which trust documents, logs and `konsil explain` know the error.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::PeerLost { .. } => "peer-lost",
            Self::PeerTooSlow { .. } => "peer-too-slow",
            Self::VersionMismatch { .. } => "version-mismatch",
            Self::SessionMismatch { .. } => "session-mismatch",
            Self::ProtocolOrder { .. } => "protocol-order",
            Self::FrameTruncated => "frame-truncated",
            Self::FrameTooLarge { .. } => "frame-too-large",
            Self::ShapeMismatch { .. } => "shape-mismatch",
            Self::PqRequired => "pq-required",
            Self::IdentityMismatch => "identity-mismatch",
            Self::DealerIncomplete => "dealer-incomplete",
            Self::DealerCorrupt => "dealer-corrupt",
            Self::Aborted { .. } => "peer-aborted",
            Self::Io(_) => "io",
        }
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::PeerLost { party, round } => write!(f, "{name}: party {party} in round {round}"),
            Self::PeerTooSlow { party } | Self::SessionMismatch { party } => {
                write!(f, "{name}: party {party}")
            }
            Self::VersionMismatch { mine, yours } => {
                write!(f, "{name}: we speak version {mine}, the peer {yours}")
            }
            Self::ProtocolOrder { party, expected, got } => {
                write!(f, "{name}: party {party} sent frame {got}, frame {expected} was due")
            }
            Self::FrameTooLarge { announced, limit } => {
                write!(f, "{name}: {announced} bytes announced, {limit} allowed")
            }
            Self::ShapeMismatch { party, expected, got } => {
                write!(f, "{name}: party {party} sent {got} bytes where {expected} were due")
            }
            Self::Aborted { party, reason } => write!(f, "{name}: party {party}: {reason}"),
            Self::Io(kind) => write!(f, "{name}: {kind}"),
            _ => f.write_str(name),
        }
    }
}

impl std::error::Error for WireError {}
