//! Who is signed in: sessions by cookie, tokens of forms, and how often a password may be tried.

use crate::error::WebError;
use crate::page::cookie;
use axum::http::{HeaderMap, header};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A session ends after so long without a request, and at all.
const IDLE: Duration = Duration::from_secs(30 * 60);
const WHOLE: Duration = Duration::from_secs(10 * 60 * 60);
/// Most sessions that are kept; the oldest goes first.
const SESSIONS_MAX: usize = 1000;
/// Failed tries of one name after which it waits, and how long: twice as long after each further one.
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_secs(30);
const WAIT_MOST: Duration = Duration::from_secs(15 * 60);
/// Most names of failed tries that are kept.
const NAMES_MAX: usize = 10_000;

/// 32 random bytes in hexadecimal.
pub(crate) fn token() -> Result<String, WebError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|_| WebError::Internal("the operating system gave no random bytes"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether two tokens are the same, in a time that does not tell where they differ.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let differ = one.iter().zip(other).fold(0, |sum, (one, other)| sum | (one ^ other));
    one.len() == other.len() && differ == 0 && !one.is_empty()
}

/// A person who is signed in, with the token of the session's forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session<T> {
    pub(crate) who: T,
    pub(crate) csrf: String,
}

struct Held<T> {
    session: Session<T>,
    begun: Instant,
    seen: Instant,
}

/// All sessions of a server; they end with its process.
pub(crate) struct Sessions<T> {
    /// Cookies of one host are not told apart by port, so that the name does it.
    cookie: String,
    secure: bool,
    held: Mutex<HashMap<String, Held<T>>>,
    tries: Mutex<HashMap<String, (u32, Instant)>>,
}

impl<T> std::fmt::Debug for Sessions<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sessions[{}]", self.cookie)
    }
}

impl<T: Clone> Sessions<T> {
    /// `secure`: whether browsers reach the server over TLS only.
    pub(crate) fn new(port: u16, secure: bool) -> Self {
        let begin = if secure { "__Host-" } else { "" };
        let cookie = format!("{begin}konsil-{port}");
        Self { cookie, secure, held: Mutex::default(), tries: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held<T>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Signs somebody in: gives the `Set-Cookie` of a session that nobody had before.
    pub(crate) fn begin(&self, who: T) -> Result<String, WebError> {
        let (id, csrf, now) = (token()?, token()?, Instant::now());
        let mut held = self.lock();
        held.retain(|_, it| is_open(it, now));
        if held.len() >= SESSIONS_MAX
            && let Some(oldest) =
                held.iter().min_by_key(|(_, it)| it.seen).map(|(id, _)| id.clone())
        {
            held.remove(&oldest);
        }
        held.insert(id.clone(), Held { session: Session { who, csrf }, begun: now, seen: now });
        Ok(self.set_cookie(&id, WHOLE.as_secs()))
    }

    /// The same in place of the request's own session, which ends.
    pub(crate) fn renew(&self, headers: &HeaderMap, who: T) -> Result<String, WebError> {
        self.end(headers);
        self.begin(who)
    }

    fn set_cookie(&self, value: &str, seconds: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!(
            "{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}",
            self.cookie
        )
    }

    /// The session of a request.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session<T>> {
        let text = headers.get(header::COOKIE)?.to_str().ok()?;
        let id = cookie(text, &self.cookie)?;
        let now = Instant::now();
        let mut held = self.lock();
        let it = held.get_mut(id)?;
        if !is_open(it, now) {
            held.remove(id);
            return None;
        }
        it.seen = now;
        Some(it.session.clone())
    }

    /// Signs out: gives the `Set-Cookie` that takes the cookie away.
    pub(crate) fn end(&self, headers: &HeaderMap) -> String {
        let text = headers.get(header::COOKIE).and_then(|it| it.to_str().ok()).unwrap_or_default();
        if let Some(id) = cookie(text, &self.cookie) {
            self.lock().remove(id);
        }
        self.set_cookie("", 0)
    }

    fn tries(&self) -> MutexGuard<'_, HashMap<String, (u32, Instant)>> {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seconds for which a name has to wait before a password is looked at.
    pub(crate) fn waits(&self, name: &str) -> Option<u64> {
        let tries = self.tries();
        let (failed, last) = tries.get(name)?;
        let further = failed.checked_sub(TRIES)?;
        let wait = WAIT.saturating_mul(1 << further.min(10)).min(WAIT_MOST);
        let left = wait.checked_sub(last.elapsed())?;
        Some(left.as_secs() + 1)
    }

    /// Counts a try of a name, or forgets those that failed.
    pub(crate) fn tried(&self, name: &str, succeeded: bool) {
        let mut tries = self.tries();
        if succeeded {
            tries.remove(name);
            return;
        }
        if tries.len() >= NAMES_MAX {
            tries.retain(|_, (_, last)| last.elapsed() < WAIT_MOST);
            let oldest =
                tries.iter().min_by_key(|(_, (_, last))| *last).map(|(name, _)| name.clone());
            if let Some(oldest) = oldest.filter(|_| tries.len() >= NAMES_MAX) {
                tries.remove(&oldest);
            }
        }
        let entry = tries.entry(name.to_owned()).or_insert((0, Instant::now()));
        *entry = (entry.0.saturating_add(1), Instant::now());
    }
}

fn is_open<T>(held: &Held<T>, now: Instant) -> bool {
    now.duration_since(held.seen) < IDLE && now.duration_since(held.begun) < WHOLE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let pair = set.split(';').next().unwrap();
        headers.insert(header::COOKIE, format!("other=1; {pair}").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_is_found_and_ends() {
        let sessions = Sessions::new(7070, false);
        let set = sessions.begin("anna").unwrap();
        assert!(set.contains("HttpOnly; SameSite=Strict") && !set.contains("Secure"));
        let headers = with(&set);
        let session = sessions.of(&headers).unwrap();
        assert_eq!((session.who, session.csrf.len()), ("anna", 64));
        assert!(sessions.of(&HeaderMap::new()).is_none());
        assert!(sessions.of(&with("konsil-7070=00")).is_none());
        assert!(sessions.end(&headers).contains("Max-Age=0"));
        assert!(sessions.of(&headers).is_none());
        let secure = Sessions::new(443, true).begin("anna").unwrap();
        assert!(secure.starts_with("__Host-konsil-443=") && secure.ends_with("; Secure"));
    }

    #[test]
    fn who_fails_often_waits() {
        let sessions: Sessions<()> = Sessions::new(1, false);
        for _ in 0..TRIES {
            assert_eq!(sessions.waits("anna"), None);
            sessions.tried("anna", false);
        }
        assert!(sessions.waits("anna").is_some_and(|it| (25..=31).contains(&it)));
        sessions.tried("anna", false);
        assert!(sessions.waits("anna").is_some_and(|it| it > 31));
        assert_eq!(sessions.waits("bert"), None);
        sessions.tried("anna", true);
        assert_eq!(sessions.waits("anna"), None);
    }

    #[test]
    fn tokens_are_compared_whole() {
        let one = token().unwrap();
        assert!(same(&one, &one.clone()) && !same(&one, &token().unwrap()));
        assert!(!same(&one, &one[..63]) && !same("", ""));
    }
}
