//! A TLS connection before it becomes a channel: one thread, deadlines, first frames.

use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use konsil_mpc::WireError;
use rustls::Connection;

use crate::channel::Peer;
use crate::decode::{Decoder, Frame};
use crate::frame::{Kind, PROTOCOL_VERSION, Sender};
use crate::pool::Pool;
use crate::tls::wire_error;

/// How often a wait looks at its deadline and at whether it was called off.
const TICK: Duration = Duration::from_millis(25);

/// How long a refused peer may take to read why.
const FAREWELL: Duration = Duration::from_millis(250);

/// Bytes read at once during set-up.
const READ_BYTES: usize = 8 << 10;

/// Until when to wait, and a flag that calls it off.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wait<'a> {
    pub(crate) deadline: Instant,
    pub(crate) cancelled: Option<&'a AtomicBool>,
}

impl Wait<'_> {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, cancelled: None }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.deadline <= Instant::now()
            || self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// The same wait, but no longer than `limit` from now.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + limit), ..self }
    }

    /// Sleeps for `pause`, or less when the wait is over earlier.
    pub(crate) fn sleep(&self, pause: Duration) {
        let end = Instant::now() + pause;
        while !self.is_over() && Instant::now() < end {
            let left = end.saturating_duration_since(Instant::now());
            std::thread::sleep(left.min(TICK).max(Duration::from_micros(100)));
        }
    }
}

/// Follows the lengths in TLS record headers, to tell an end of stream between records from one
/// within a record.
#[derive(Default)]
pub(crate) struct Records {
    header: [u8; 5],
    filled: usize,
    left: usize,
}

impl Records {
    fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            let taken = bytes.len().min(self.header.len() - self.filled);
            self.header[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled == self.header.len() {
                self.left = usize::from(u16::from_be_bytes([self.header[3], self.header[4]]));
                self.filled = 0;
            }
        }
    }

    fn within(&self) -> bool {
        self.filled > 0 || self.left > 0
    }
}

/// The receiving half: from ciphertext to frames.
pub(crate) struct Intake {
    pub(crate) records: Records,
    pub(crate) decoder: Decoder,
}

impl Intake {
    /// Whether the stream so far ends within something.
    pub(crate) fn unfinished(&self) -> bool {
        self.records.within() || self.decoder.within_frame()
    }

    /// Decrypts `bytes` and hands every complete frame to `sink`.
    ///
    /// # Errors
    /// What TLS or the decoder finds wrong. TLS may then have an alert to send.
    pub(crate) fn feed(
        &mut self,
        tls: &mut Connection,
        mut bytes: &[u8],
        pool: &Pool,
        sink: &mut impl FnMut(Frame),
    ) -> Result<(), WireError> {
        self.records.follow(bytes);
        while !bytes.is_empty() {
            // Nothing is taken after the peer's close_notify: what follows is not authenticated.
            if tls.read_tls(&mut bytes).map_err(|error| WireError::Io(error.kind()))? == 0 {
                return Ok(());
            }
            tls.process_new_packets().map_err(|error| wire_error(&error))?;
            self.drain(tls, pool, sink)?;
        }
        Ok(())
    }

    /// Decodes what TLS has decrypted. The records' own buffers are read in place.
    pub(crate) fn drain(
        &mut self,
        tls: &mut Connection,
        pool: &Pool,
        sink: &mut impl FnMut(Frame),
    ) -> Result<(), WireError> {
        let mut reader = tls.reader();
        while let Ok(chunk) = reader.fill_buf() {
            let taken = chunk.len();
            if taken == 0 {
                break;
            }
            self.decoder.push(chunk, pool, sink)?;
            reader.consume(taken);
        }
        Ok(())
    }
}

/// A TLS connection that one thread sets up.
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    pub(crate) tls: Connection,
    pub(crate) intake: Intake,
    pub(crate) ready: VecDeque<Frame>,
    /// What was wrong with frames that came together with the end of the handshake.
    deferred: Option<WireError>,
    pool: Pool,
}

impl Stream {
    pub(crate) fn new(socket: TcpStream, tls: Connection, decoder: Decoder) -> Self {
        let intake = Intake { records: Records::default(), decoder };
        Self { socket, tls, intake, ready: VecDeque::new(), deferred: None, pool: Pool::default() }
    }

    /// Runs the TLS handshake. On failure the peer is told.
    ///
    /// # Errors
    /// [`WireError::PqRequired`], [`WireError::IdentityMismatch`]; [`WireError::PeerTooSlow`] when
    /// the wait is over; [`WireError::Io`] when the connection breaks.
    pub(crate) fn handshake(&mut self, party: usize, wait: Wait<'_>) -> Result<(), WireError> {
        let done = loop {
            if let Err(error) = self.flush(party, wait) {
                break Err(error);
            }
            if !self.tls.is_handshaking() {
                break Ok(());
            }
            match self.fill(party, wait) {
                Err(error) if self.tls.is_handshaking() => break Err(error),
                filled => self.deferred = filled.err(),
            }
        };
        if done.is_err() {
            self.part(wait);
        }
        done
    }

    /// Sends one frame.
    pub(crate) fn send(
        &mut self,
        party: usize,
        sender: &mut Sender,
        kind: Kind,
        payload: &[u8],
        wait: Wait<'_>,
    ) -> Result<(), WireError> {
        let header = sender.next(kind, payload)?;
        let frame = [&header[..], payload].concat();
        self.tls.writer().write_all(&frame).map_err(|error| WireError::Io(error.kind()))?;
        self.flush(party, wait)
    }

    /// Waits for one frame that is not a heartbeat; an abort frame becomes an error.
    pub(crate) fn receive(&mut self, party: usize, wait: Wait<'_>) -> Result<Frame, WireError> {
        loop {
            while let Some(frame) = self.ready.pop_front() {
                match frame.kind {
                    Kind::Heartbeat => {}
                    Kind::Abort => return Err(Peer::new(party).aborted(&frame.payload)),
                    _ => return Ok(frame),
                }
            }
            if let Some(error) = self.deferred.take() {
                return Err(error);
            }
            self.fill(party, wait)?;
        }
    }

    /// Says why there will be no session, and parts.
    pub(crate) fn refuse(&mut self, party: usize, tag: u64, reason: &str) {
        let wait = Wait::until(Instant::now() + FAREWELL);
        let mut sender = Sender { tag, seq: 0, version: PROTOCOL_VERSION };
        if self.send(party, &mut sender, Kind::Abort, reason.as_bytes(), wait).is_ok() {
            self.part(wait);
        }
    }

    /// Sends what TLS has to say, closes our half, and gives the peer a moment to read it: closing
    /// at once would throw the message away if bytes of the peer are still unread.
    pub(crate) fn part(&mut self, wait: Wait<'_>) {
        let wait = wait.at_most(FAREWELL);
        self.tls.send_close_notify();
        if self.write_out(wait).is_err() {
            return;
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        let mut rest = [0; 1024];
        let _ = self.socket.set_read_timeout(Some(TICK));
        while !wait.is_over() {
            match self.socket.read(&mut rest) {
                Ok(0) => break,
                Err(error) if !is_pause(&error) => break,
                _ => {}
            }
        }
    }

    /// Writes what TLS has to say. When the connection is broken, the peer's last words say why.
    fn flush(&mut self, party: usize, wait: Wait<'_>) -> Result<(), WireError> {
        let Err(error) = self.write_out(wait) else {
            return Ok(());
        };
        let last = wait.at_most(FAREWELL);
        while !last.is_over() {
            match self.fill(party, last) {
                Ok(()) => {}
                Err(WireError::Io(_) | WireError::PeerTooSlow { .. }) => break,
                Err(words) => return Err(words),
            }
        }
        Err(error)
    }

    fn write_out(&mut self, wait: Wait<'_>) -> Result<(), WireError> {
        set(self.socket.set_write_timeout(Some(TICK)))?;
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if is_pause(&error) && !wait.is_over() => {}
                Err(error) => return Err(WireError::Io(error.kind())),
            }
        }
        Ok(())
    }

    fn fill(&mut self, party: usize, wait: Wait<'_>) -> Result<(), WireError> {
        set(self.socket.set_read_timeout(Some(TICK)))?;
        let mut bytes = [0; READ_BYTES];
        loop {
            let read = match self.socket.read(&mut bytes) {
                Ok(0) => return Err(WireError::Io(ErrorKind::UnexpectedEof)),
                Ok(read) => read,
                Err(error) if is_pause(&error) => {
                    if wait.is_over() {
                        return Err(WireError::PeerTooSlow { party });
                    }
                    continue;
                }
                Err(error) => return Err(WireError::Io(error.kind())),
            };
            // A peer that keeps dripping bytes must not outlive its deadline either.
            if wait.is_over() {
                return Err(WireError::PeerTooSlow { party });
            }
            let (intake, ready) = (&mut self.intake, &mut self.ready);
            let sink = &mut |frame| ready.push_back(frame);
            return intake.feed(&mut self.tls, &bytes[..read], &self.pool, sink);
        }
    }
}

fn set(result: io::Result<()>) -> Result<(), WireError> {
    result.map_err(|error| WireError::Io(error.kind()))
}

/// Whether a socket only says that its time-out is over.
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
