//! All links of one party in one session, as the engine sees them.
//!
//! **Invariant:** one message is one frame, so that planned bytes equal sent bytes.

use std::time::{Duration, Instant};

use konsil_mpc::{FRAME_OVERHEAD_BYTES, Traffic, Wire, WireError};

use crate::channel::Channel;
use crate::frame::Kind;

/// How long a wait for one party lasts before the other links are looked at: an abort of any
/// party ends the wait for every other.
const GLANCE: Duration = Duration::from_millis(50);

/// A party's channels to all other parties.
#[derive(Debug)]
pub struct Mesh {
    me: usize,
    channels: Vec<Option<Channel>>,
    traffic: Traffic,
    round: u64,
    failure: Option<WireError>,
}

impl Mesh {
    /// Party `me` of a session; `channels[j]` leads to party `j`, and there is none at `me`.
    #[must_use]
    pub fn new(me: usize, channels: Vec<Option<Channel>>) -> Self {
        Self { me, channels, traffic: Traffic::default(), round: 0, failure: None }
    }

    /// Ends the session with a public reason, which every other party gets.
    pub fn abort(&mut self, reason: &str) {
        for channel in self.channels.iter().flatten() {
            channel.abort(reason);
        }
        let party = self.me;
        self.failure.get_or_insert_with(|| WireError::Aborted { party, reason: reason.to_owned() });
    }

    /// Says goodbye to all parties. What was sent before still arrives.
    pub fn close(self) {
        drop(self);
    }

    fn channel(&self, party: usize) -> Result<&Channel, WireError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let channel = self.channels.get(party).and_then(Option::as_ref);
        channel.ok_or(WireError::PeerLost { party, round: self.round })
    }

    fn try_receive(&self, from: usize, into: &mut [u8]) -> Result<(), WireError> {
        let channel = self.channel(from)?;
        loop {
            if let Some(frame) = channel.receive_until(Instant::now() + GLANCE)? {
                return channel.unpack(frame, Kind::Round, into);
            }
            if let Some(alarm) = self.channels.iter().flatten().find_map(Channel::alarm) {
                return Err(alarm);
            }
        }
    }

    /// Any error ends the session for everybody.
    fn settle(&mut self, result: Result<(), WireError>) -> Result<(), WireError> {
        if let Err(error) = &result
            && self.failure.is_none()
        {
            self.failure = Some(error.clone());
            let reason = match error {
                WireError::Aborted { reason, .. } => reason,
                other => other.name(),
            };
            for channel in self.channels.iter().flatten() {
                channel.abort(reason);
            }
        }
        result
    }
}

impl Wire for Mesh {
    fn me(&self) -> usize {
        self.me
    }

    fn parties(&self) -> usize {
        self.channels.len()
    }

    fn send(&mut self, to: usize, payload: &[u8]) -> Result<(), WireError> {
        let sent = self.channel(to).and_then(|channel| channel.send(Kind::Round, payload));
        if sent.is_ok() {
            let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
            self.traffic.messages += 1;
            self.traffic.bytes += bytes + FRAME_OVERHEAD_BYTES;
        }
        self.settle(sent)
    }

    fn receive(&mut self, from: usize, into: &mut [u8]) -> Result<(), WireError> {
        let received = self.try_receive(from, into);
        self.settle(received)
    }

    fn begin_round(&mut self, round: u64) {
        self.round = round;
        for channel in self.channels.iter().flatten() {
            channel.begin_round(round);
        }
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }

    fn abort(&mut self, reason: &str) {
        Self::abort(self, reason);
    }
}
