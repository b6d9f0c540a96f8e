//! The link over TLS: a thread reads, whoever sends writes.
//!
//! Two locks keep order. `out` is held for a whole frame, from its number to its last byte on the
//! socket, so that frames and TLS records leave in the order in which they were encrypted. `tls`
//! is held only while bytes are encrypted or decrypted, never while a socket blocks: two parties
//! that send to each other at once still read. `out` is always taken before `tls`.
//!
//! Replies that TLS itself owes the peer (key updates) are encrypted under `tls` and leave with the
//! next frame, a heartbeat at the latest.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use konsil_mpc::WireError;
use rustls::Connection;

use crate::channel::{Channel, Link, Peer};
use crate::decode::Frame;
use crate::frame::{HEADER_BYTES, Kind, Sender};
use crate::inbox::Inbox;
use crate::options::Options;
use crate::pool::Pool;
use crate::stream::{Intake, Stream, is_pause};
use crate::sync::lock;
use crate::ticker::{self, Beat};

/// Plaintext that is encrypted and written at once: eight full TLS records.
const PIECE_BYTES: usize = 128 << 10;

/// Ciphertext that is read at once.
const READ_BYTES: usize = 256 << 10;

/// How often a blocked write looks whether the link has failed meanwhile.
const WRITE_TICK: Duration = Duration::from_millis(50);

/// How long last words may take to leave, and the peer's last words to arrive.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// How long the socket stays open after we said goodbye, so that unread bytes of the peer do not
/// make the system throw away what we sent.
const LINGER: Duration = Duration::from_secs(2);

/// The sending half.
struct Out {
    sender: Sender,
    /// Ciphertext; `written` bytes of it are already on the socket.
    pending: Vec<u8>,
    written: usize,
    last: Instant,
    /// A frame was broken off: nothing that follows could be understood.
    broken: bool,
    ended: bool,
}

struct SecureLink {
    peer: Peer,
    options: Options,
    socket: TcpStream,
    tls: Mutex<Connection>,
    out: Mutex<Out>,
    inbox: Inbox,
    pool: Pool,
    duplicates: AtomicU64,
    /// When the reader has to stop, after we said goodbye.
    linger: Mutex<Option<Instant>>,
}

/// Makes a channel of a connection whose first frames have been exchanged.
///
/// # Errors
/// [`WireError::Io`] when the system gives no thread or refuses a socket option.
pub(crate) fn open(
    stream: Stream,
    sender: Sender,
    party: usize,
    options: &Options,
) -> Result<Channel, WireError> {
    let Stream { socket, mut tls, intake, ready, .. } = stream;
    let io = |error: std::io::Error| WireError::Io(error.kind());
    socket.set_nodelay(true).map_err(io)?;
    socket.set_read_timeout(Some(options.read_tick())).map_err(io)?;
    socket.set_write_timeout(Some(WRITE_TICK)).map_err(io)?;
    tls.set_buffer_limit(None);
    let out = Out {
        sender,
        pending: Vec::new(),
        written: 0,
        last: Instant::now(),
        broken: false,
        ended: false,
    };
    let link = Arc::new(SecureLink {
        peer: Peer::new(party),
        options: options.clone(),
        socket,
        tls: Mutex::new(tls),
        out: Mutex::new(out),
        inbox: Inbox::new(options.inbox_bytes),
        pool: Pool::default(),
        duplicates: AtomicU64::new(0),
        linger: Mutex::new(None),
    });
    let reader = Reader { link: Arc::clone(&link), intake, pace: Pace::new(options) };
    let name = format!("konsil-read-{party}");
    thread::Builder::new().name(name).spawn(move || reader.run(ready)).map_err(io)?;
    // Coerced in two steps: the ticker must not keep the link alive.
    let beat: Arc<dyn Beat> = Arc::<SecureLink>::clone(&link);
    let weak: Weak<dyn Beat> = Arc::downgrade(&beat);
    ticker::register(weak)?;
    Ok(Channel::new(link))
}

impl SecureLink {
    /// Sends one frame, pieces of it at a time.
    fn send_frame(&self, out: &mut Out, kind: Kind, payload: &[u8]) -> Result<(), WireError> {
        let header = out.sender.next(kind, payload)?;
        let (first, rest) = payload.split_at(payload.len().min(PIECE_BYTES - HEADER_BYTES));
        self.encrypt(out, &[&header, first])?;
        self.write(out, None)?;
        for piece in rest.chunks(PIECE_BYTES) {
            self.encrypt(out, &[piece])?;
            self.write(out, None)?;
        }
        out.last = Instant::now();
        Ok(())
    }

    /// Encrypts into `out.pending`.
    fn encrypt(&self, out: &mut Out, parts: &[&[u8]]) -> Result<(), WireError> {
        let mut tls = lock(&self.tls);
        let slices: Vec<_> = parts.iter().map(|part| std::io::IoSlice::new(part)).collect();
        let due: usize = parts.iter().map(|part| part.len()).sum();
        let taken = tls.writer().write_vectored(&slices);
        // Without a limit TLS takes everything, unless its keys are used up.
        if taken.map_err(|error| WireError::Io(error.kind()))? != due {
            return Err(WireError::Io(ErrorKind::WriteZero));
        }
        collect(&mut tls, &mut out.pending)
    }

    /// Writes `out.pending`, until `deadline` if there is one. Whether the link lives is for the
    /// reader to judge: a peer that is busy may let us wait as long as it shows signs of life.
    fn write(&self, out: &mut Out, deadline: Option<Instant>) -> Result<(), WireError> {
        while out.written < out.pending.len() {
            match (&self.socket).write(&out.pending[out.written..]) {
                Ok(0) => return Err(self.broken()),
                Ok(written) => out.written += written,
                Err(error) if is_pause(&error) => {
                    if let Some(failure) = self.inbox.failure() {
                        return Err(failure);
                    }
                    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Ok(());
                    }
                }
                Err(_) => return Err(self.broken()),
            }
        }
        out.pending.clear();
        out.written = 0;
        Ok(())
    }

    /// The sending half, for last words. A send that is still blocked at the deadline is broken
    /// off.
    fn out_before(&self, deadline: Instant) -> MutexGuard<'_, Out> {
        loop {
            match self.out.try_lock() {
                Ok(out) => return out,
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner(),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    self.inbox.part(self.peer.lost());
                    return lock(&self.out);
                }
            }
        }
    }

    /// Why a write failed: the peer's last words, if the reader finds any, else its loss.
    fn broken(&self) -> WireError {
        let known = self.inbox.wait_failure(LAST_WORDS);
        known.unwrap_or_else(|| self.peer.lost())
    }

    fn fail(&self, error: WireError) {
        self.inbox.fail(error);
    }
}

/// Moves ciphertext from TLS into a buffer.
fn collect(tls: &mut Connection, into: &mut Vec<u8>) -> Result<(), WireError> {
    while tls.wants_write() {
        tls.write_tls(into).map_err(|error| WireError::Io(error.kind()))?;
    }
    Ok(())
}

impl Link for SecureLink {
    fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), WireError> {
        let mut out = lock(&self.out);
        if let Some(failure) = self.inbox.failure() {
            return Err(failure);
        }
        let sent = self.write(&mut out, None).and_then(|()| {
            if out.ended { Err(self.peer.lost()) } else { self.send_frame(&mut out, kind, payload) }
        });
        match sent {
            // Refused before its first byte was sent: the link is as it was.
            Err(WireError::FrameTooLarge { .. }) | Ok(()) => {}
            Err(ref error) => {
                out.broken = true;
                self.fail(error.clone());
            }
        }
        sent
    }

    fn receive(&self, wait: Duration) -> Result<Option<Frame>, WireError> {
        self.inbox.pop(wait)
    }

    fn recycle(&self, payload: Vec<u8>) {
        self.pool.give(payload);
    }

    fn alarm(&self) -> Option<WireError> {
        self.inbox.alarm()
    }

    fn end(&self, last: Kind, payload: &[u8]) {
        let deadline = Instant::now() + LAST_WORDS;
        let mut out = self.out_before(deadline);
        if out.ended {
            return;
        }
        out.ended = true;
        if !out.broken
            && self.write(&mut out, Some(deadline)).is_ok()
            && out.pending.is_empty()
            && let Ok(header) = out.sender.next(last, payload)
            && self.encrypt(&mut out, &[&header, payload]).is_ok()
        {
            lock(&self.tls).send_close_notify();
            let _ = collect(&mut lock(&self.tls), &mut out.pending);
            let _ = self.write(&mut out, Some(deadline));
        }
        drop(out);
        *lock(&self.linger) = Some(Instant::now() + LINGER);
        let _ = self.socket.shutdown(Shutdown::Write);
        self.inbox.part(self.peer.lost());
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }
}

impl Beat for SecureLink {
    fn beat(&self, now: Instant) -> Instant {
        let interval = self.options.heartbeat;
        let mut out = match self.out.try_lock() {
            Ok(out) => out,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody is sending: that is sign enough.
            Err(TryLockError::WouldBlock) => return now + interval / 2,
        };
        if out.ended || self.inbox.failure().is_some() {
            return now + Duration::from_secs(60);
        }
        if now < out.last + interval {
            return out.last + interval;
        }
        out.last = now;
        // What does not leave at once stays pending and goes before the next frame.
        let deadline = Some(now);
        let flushed = self.write(&mut out, deadline);
        if flushed.is_ok()
            && out.pending.is_empty()
            && let Ok(header) = out.sender.next(Kind::Heartbeat, &[])
            && self.encrypt(&mut out, &[&header]).is_ok()
        {
            let _ = self.write(&mut out, deadline);
        }
        now + interval
    }
}

/// Whether a peer is silent or too slow.
struct Pace {
    last_byte: Instant,
    window_began: Instant,
    window_bytes: u64,
    window_bytes_min: u64,
}

impl Pace {
    fn new(options: &Options) -> Self {
        let now = Instant::now();
        let window_bytes_min = options.window_bytes_min();
        Self { last_byte: now, window_began: now, window_bytes: 0, window_bytes_min }
    }

    /// Starts to count anew: nothing is unfinished, or it was us who did not read.
    fn restart(&mut self, now: Instant) {
        self.window_began = now;
        self.window_bytes = 0;
    }

    fn saw(&mut self, bytes: usize, now: Instant) {
        self.last_byte = now;
        self.window_bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    fn check(&mut self, link: &SecureLink, unfinished: bool) -> Result<(), WireError> {
        let now = Instant::now();
        if now.duration_since(self.last_byte) >= link.options.silence_limit {
            return Err(link.peer.lost());
        }
        if !unfinished {
            self.restart(now);
        } else if now.duration_since(self.window_began) >= link.options.rate_window {
            if self.window_bytes < self.window_bytes_min {
                return Err(WireError::PeerTooSlow { party: link.peer.party });
            }
            self.restart(now);
        }
        Ok(())
    }
}

/// The receiving half, in its own thread.
struct Reader {
    link: Arc<SecureLink>,
    intake: Intake,
    pace: Pace,
}

impl Reader {
    fn run(mut self, ready: std::collections::VecDeque<Frame>) {
        let mut frames: Vec<Frame> = ready.into();
        let mut bytes = vec![0; READ_BYTES];
        let end = loop {
            if let Err(end) = self.deliver(&mut frames) {
                break end;
            }
            if let Err(end) = self.read(&mut bytes, &mut frames) {
                // What came before the end still counts.
                break self.deliver(&mut frames).err().unwrap_or(end);
            }
        };
        self.link.fail(end.clone());
        self.dismiss(&end, &mut bytes);
    }

    /// Reads once and decodes.
    fn read(&mut self, bytes: &mut [u8], frames: &mut Vec<Frame>) -> Result<(), WireError> {
        let link = &self.link;
        let unfinished = self.intake.unfinished();
        match (&link.socket).read(bytes) {
            Ok(0) if unfinished => return Err(WireError::FrameTruncated),
            Ok(0) => return Err(link.peer.lost()),
            Ok(read) => {
                self.pace.saw(read, Instant::now());
                let fed = self.intake.feed(
                    &mut lock(&link.tls),
                    &bytes[..read],
                    &link.pool,
                    &mut |frame| frames.push(frame),
                );
                link.duplicates.store(self.intake.decoder.duplicates(), Ordering::Relaxed);
                fed?;
            }
            Err(error) if is_pause(&error) => {
                if link.inbox.failure().is_some() {
                    return Err(link.peer.lost());
                }
            }
            Err(_) => return Err(link.peer.lost()),
        }
        self.pace.check(&self.link, self.intake.unfinished())
    }

    /// Hands frames on. Waits while the queue is full: then nothing is read, and the peer's sends
    /// block in turn.
    fn deliver(&mut self, frames: &mut Vec<Frame>) -> Result<(), WireError> {
        if frames.is_empty() {
            return Ok(());
        }
        let link = &self.link;
        for frame in frames.drain(..) {
            match frame.kind {
                Kind::Heartbeat => {}
                Kind::Abort => return Err(link.peer.aborted(&frame.payload)),
                Kind::Hello => {
                    return Err(WireError::SessionMismatch { party: link.peer.party });
                }
                Kind::Bye => {
                    link.inbox.part(link.peer.lost());
                    return Err(link.peer.lost());
                }
                _ => {
                    if !link.inbox.push(frame) {
                        return Err(link.peer.lost());
                    }
                }
            }
        }
        // A frame was finished, and time spent waiting here is not the peer's.
        let now = Instant::now();
        self.pace.last_byte = now;
        self.pace.restart(now);
        Ok(())
    }

    /// After the end: tells the peer why, then keeps the socket open for a while.
    fn dismiss(&self, end: &WireError, bytes: &mut [u8]) {
        let link = &self.link;
        match end {
            WireError::Aborted { .. } => link.end(Kind::Bye, &[]),
            _ if link.inbox.alarm().is_none() => link.end(Kind::Bye, &[]),
            _ => link.end(Kind::Abort, end.name().as_bytes()),
        }
        while lock(&link.linger).is_some_and(|end| Instant::now() < end) {
            match (&link.socket).read(bytes) {
                Ok(0) => break,
                Err(error) if !is_pause(&error) => break,
                _ => {}
            }
        }
        let _ = link.socket.shutdown(Shutdown::Both);
    }
}
