//! One thread per process that reminds idle links to send a heartbeat.

use std::io;
use std::sync::{Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use konsil_mpc::WireError;

use crate::sync::lock;

/// The longest the thread sleeps.
const IDLE: Duration = Duration::from_secs(60);

/// A link that wants to be reminded.
pub(crate) trait Beat: Send + Sync {
    /// Sends a heartbeat if one is due; returns when to ask again. Must not block for long.
    fn beat(&self, now: Instant) -> Instant;
}

struct Ticker {
    links: Mutex<Vec<Weak<dyn Beat>>>,
    changed: Condvar,
}

static TICKER: OnceLock<Ticker> = OnceLock::new();

/// Reminds `link` for as long as it lives.
///
/// # Errors
/// [`WireError::Io`] when the thread cannot be started.
pub(crate) fn register(link: Weak<dyn Beat>) -> Result<(), WireError> {
    let ticker = TICKER.get_or_init(|| Ticker { links: Mutex::default(), changed: Condvar::new() });
    static RUNNING: Mutex<bool> = Mutex::new(false);
    let mut running = lock(&RUNNING);
    if !*running {
        let started = thread::Builder::new().name("konsil-beat".to_owned()).spawn(|| run(ticker));
        started.map_err(|error: io::Error| WireError::Io(error.kind()))?;
        *running = true;
    }
    drop(running);
    lock(&ticker.links).push(link);
    ticker.changed.notify_one();
    Ok(())
}

fn run(ticker: &Ticker) {
    loop {
        // The list is not held while links are asked, so that new ones need not wait.
        let links: Vec<_> = {
            let mut links = lock(&ticker.links);
            links.retain(|link| link.strong_count() > 0);
            links.clone()
        };
        let now = Instant::now();
        let due = links.iter().filter_map(Weak::upgrade).map(|link| link.beat(now)).min();
        let pause = due.map_or(IDLE, |due| due.saturating_duration_since(Instant::now()));
        let known = links.len();
        drop(links);
        let guard = lock(&ticker.links);
        if guard.len() == known {
            let pause = pause.max(Duration::from_millis(1));
            drop(ticker.changed.wait_timeout(guard, pause).unwrap_or_else(PoisonError::into_inner));
        }
    }
}
