//! The frames of one link that wait for their reader, and why there will be no more.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use konsil_mpc::WireError;

use crate::decode::Frame;
use crate::sync::lock;

/// What a waiting frame costs beside its payload, so that empty frames cannot pile up either.
const FRAME_COST_BYTES: usize = 64;

#[derive(Default)]
struct State {
    frames: VecDeque<Frame>,
    bytes: usize,
    failure: Option<WireError>,
    /// The peer said goodbye, or we did: the end of the link is no alarm.
    farewell: bool,
}

/// A queue bounded in bytes. One frame always fits, however large.
pub(crate) struct Inbox {
    limit_bytes: usize,
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
}

impl Inbox {
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        }
    }

    /// Adds a frame; waits while the queue is full. `false` when nobody will read it any more.
    pub(crate) fn push(&self, frame: Frame) -> bool {
        let cost = frame.payload.len() + FRAME_COST_BYTES;
        let mut state = lock(&self.state);
        while state.bytes > 0 && state.bytes + cost > self.limit_bytes && state.failure.is_none() {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failure.is_some() {
            return false;
        }
        state.bytes += cost;
        state.frames.push_back(frame);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// The next frame; `None` when there is none within `wait`.
    ///
    /// # Errors
    /// Why the link ended, after the last frame that came before.
    pub(crate) fn pop(&self, wait: Duration) -> Result<Option<Frame>, WireError> {
        let deadline = Instant::now() + wait;
        let mut state = lock(&self.state);
        loop {
            if let Some(frame) = state.frames.pop_front() {
                state.bytes -= frame.payload.len() + FRAME_COST_BYTES;
                drop(state);
                self.emptied.notify_one();
                return Ok(Some(frame));
            }
            if let Some(failure) = &state.failure {
                return Err(failure.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let waited = self.filled.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the queue. The first reason stays.
    pub(crate) fn fail(&self, error: WireError) {
        let mut state = lock(&self.state);
        if state.failure.is_none() {
            state.failure = Some(error);
        }
        drop(state);
        self.filled.notify_all();
        self.emptied.notify_all();
    }

    /// Ends the queue in peace: either side said goodbye. Nothing happens if it has ended already.
    pub(crate) fn part(&self, error: WireError) {
        let mut state = lock(&self.state);
        state.farewell |= state.failure.is_none();
        drop(state);
        self.fail(error);
    }

    /// Why the link ended, if it did.
    pub(crate) fn failure(&self) -> Option<WireError> {
        lock(&self.state).failure.clone()
    }

    /// Like [`Inbox::failure`], but not for a link that ended as it should.
    pub(crate) fn alarm(&self) -> Option<WireError> {
        let state = lock(&self.state);
        if state.farewell { None } else { state.failure.clone() }
    }

    /// Waits for the reason why the link ended.
    pub(crate) fn wait_failure(&self, wait: Duration) -> Option<WireError> {
        let state = lock(&self.state);
        let waited = self.filled.wait_timeout_while(state, wait, |state| state.failure.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.failure.clone()
    }
}
