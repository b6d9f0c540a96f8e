//! The simplest possible network: a queue from each party to each other.

use konsil_mpc::{FRAME_OVERHEAD_BYTES, Traffic, Wire, WireError};
use std::sync::mpsc;

type Ends = (Vec<Option<mpsc::Sender<Vec<u8>>>>, Vec<Option<mpsc::Receiver<Vec<u8>>>>);

/// One party's end.
#[derive(Debug)]
pub struct ChannelWire {
    me: usize,
    round: u64,
    ends: Ends,
    traffic: Traffic,
}

/// The ends of a full mesh.
#[must_use]
pub fn mesh(parties: usize) -> Vec<ChannelWire> {
    let mut ends: Vec<Ends> = (0..parties)
        .map(|_| ((0..parties).map(|_| None).collect(), (0..parties).map(|_| None).collect()))
        .collect();
    for from in 0..parties {
        for to in (0..parties).filter(|to| *to != from) {
            let (sender, receiver) = mpsc::channel();
            ends[from].0[to] = Some(sender);
            ends[to].1[from] = Some(receiver);
        }
    }
    let wire = |(me, ends)| ChannelWire { me, round: 0, ends, traffic: Traffic::default() };
    ends.into_iter().enumerate().map(wire).collect()
}

impl ChannelWire {
    fn lost(&self, party: usize) -> WireError {
        WireError::PeerLost { party, round: self.round }
    }
}

impl Wire for ChannelWire {
    fn me(&self) -> usize {
        self.me
    }

    fn parties(&self) -> usize {
        self.ends.0.len()
    }

    fn send(&mut self, to: usize, payload: &[u8]) -> Result<(), WireError> {
        let lost = self.lost(to);
        let sender = self.ends.0.get(to).and_then(Option::as_ref);
        sender.and_then(|sender| sender.send(payload.to_vec()).ok()).ok_or(lost)?;
        self.traffic.messages += 1;
        self.traffic.bytes += FRAME_OVERHEAD_BYTES + u64::try_from(payload.len()).unwrap_or(0);
        Ok(())
    }

    fn receive(&mut self, from: usize, into: &mut [u8]) -> Result<(), WireError> {
        let lost = self.lost(from);
        let receiver = self.ends.1.get(from).and_then(Option::as_ref);
        let payload = receiver.and_then(|receiver| receiver.recv().ok()).ok_or(lost)?;
        if payload.len() != into.len() {
            let (expected, got) = (into.len(), payload.len());
            return Err(WireError::ShapeMismatch { party: from, expected, got });
        }
        into.copy_from_slice(&payload);
        Ok(())
    }

    fn begin_round(&mut self, round: u64) {
        self.round = round;
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
