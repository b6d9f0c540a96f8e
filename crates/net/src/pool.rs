//! Payload buffers that are used again, so that large rounds do not pay for fresh pages.

use std::sync::Mutex;

use crate::sync::lock;

/// Buffers kept at most.
const KEPT_MAX: usize = 4;
/// Smaller buffers are not worth keeping.
const KEPT_BYTES_MIN: usize = 16 << 10;

/// The spare buffers of one link.
#[derive(Default)]
pub(crate) struct Pool {
    spare: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// An empty buffer, of at least `bytes` capacity if there is one.
    pub(crate) fn take(&self, bytes: usize) -> Option<Vec<u8>> {
        if bytes < KEPT_BYTES_MIN {
            return None;
        }
        let mut spare = lock(&self.spare);
        let found = spare.iter().position(|buffer| buffer.capacity() >= bytes)?;
        Some(spare.swap_remove(found))
    }

    /// Hands a buffer back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() < KEPT_BYTES_MIN {
            return;
        }
        buffer.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < KEPT_MAX {
            spare.push(buffer);
        } else if let Some(least) = spare.iter_mut().min_by_key(|kept| kept.capacity())
            && least.capacity() < buffer.capacity()
        {
            *least = buffer;
        }
    }
}
