//! Locks that outlive a panic of another thread.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock. A panic elsewhere leaves link state that is at worst broken off, which every
/// reader of that state reports as an error; it is never a reason to panic here as well.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
