//! Links within one process: the same frames through byte queues, decoded by the same code.
//!
//! There are no threads and no heartbeats: whoever receives, decodes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use konsil_mpc::WireError;

use crate::channel::{Channel, Link, Peer};
use crate::decode::{Decoder, Expect, Frame};
use crate::faults::{Fault, FaultKind, Faults, Shape};
use crate::frame::{Binding, Kind, PROTOCOL_VERSION, Sender};
use crate::mesh::Mesh;
use crate::pool::Pool;
use crate::sync::lock;

/// Two ends of one link, between party 0 and party 1.
#[must_use]
pub fn pair() -> (Channel, Channel) {
    pair_with(&Faults::default())
}

/// Two ends of one link between party 0 (the first channel's owner) and party 1, on a network that
/// behaves as told.
#[must_use]
pub fn pair_with(faults: &Faults) -> (Channel, Channel) {
    link(0, 1, faults)
}

/// All parties of a session of `n`, each with its channels to all others.
#[must_use]
pub fn mesh(n: usize) -> Vec<Mesh> {
    mesh_with(n, &Faults::default())
}

/// As [`mesh`], on a network that behaves as told.
#[must_use]
pub fn mesh_with(n: usize, faults: &Faults) -> Vec<Mesh> {
    let mut channels: Vec<Vec<Option<Channel>>> = Vec::with_capacity(n);
    for two in 0..n {
        let mut at_two = Vec::with_capacity(n);
        for (one, earlier) in channels.iter_mut().enumerate() {
            let (at_one, end) = link(one, two, faults);
            earlier.push(Some(at_one));
            at_two.push(Some(end));
        }
        at_two.push(None);
        channels.push(at_two);
    }
    let parties = channels.into_iter().enumerate();
    parties.map(|(me, channels)| Mesh::new(me, channels)).collect()
}

/// The binding of every session in memory.
#[must_use]
pub fn binding() -> Binding {
    Binding::new([0; 16], [0; 32], [0; 16])
}

fn link(one: usize, two: usize, faults: &Faults) -> (Channel, Channel) {
    let forth = Arc::new(Pipe::new(one, two, faults));
    let back = Arc::new(Pipe::new(two, one, faults));
    let at_one = MemoryLink::new((one, two), Arc::clone(&forth), Arc::clone(&back), faults);
    let at_two = MemoryLink::new((two, one), back, forth, faults);
    (Channel::new(Arc::new(at_one)), Channel::new(Arc::new(at_two)))
}

/// Bytes under way, and when they arrive.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Flow {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// No more will come.
    closed: bool,
    /// Nobody takes them any more.
    abandoned: bool,
    frames: u64,
    held: Option<Vec<u8>>,
    /// Until when the simulated line is busy.
    busy_until: Option<Instant>,
    /// Nothing may arrive before this.
    not_before: Option<Instant>,
}

/// One direction of a link.
struct Pipe {
    script: Vec<Fault>,
    shape: Option<Shape>,
    capacity_bytes: usize,
    flow: Mutex<Flow>,
    filled: Condvar,
    emptied: Condvar,
    pool: Pool,
}

/// What a pipe has to give.
enum Pulled {
    Bytes(Vec<u8>),
    Nothing,
    End,
}

impl Pipe {
    fn new(from: usize, to: usize, faults: &Faults) -> Self {
        let ours = |fault: &&Fault| fault.from == from && fault.to == to;
        Self {
            script: faults.script.iter().filter(ours).cloned().collect(),
            shape: faults.shape,
            capacity_bytes: faults.capacity_bytes.unwrap_or(usize::MAX),
            flow: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            pool: Pool::default(),
        }
    }

    /// Takes a frame on its way, at the latest when there is room for it; `false` when the link has
    /// ended. Last words need no room.
    fn push(&self, frame: Vec<u8>, last: bool) -> bool {
        let mut flow = lock(&self.flow);
        while !last
            && flow.bytes > 0
            && flow.bytes.saturating_add(frame.len()) > self.capacity_bytes
            && !flow.abandoned
        {
            flow = self.emptied.wait(flow).unwrap_or_else(PoisonError::into_inner);
        }
        if flow.closed || flow.abandoned {
            return false;
        }
        let number = flow.frames;
        flow.frames += 1;
        let fault = self.script.iter().find(|fault| fault.frame == number);
        self.dispatch(&mut flow, frame, fault.map(|fault| &fault.kind));
        drop(flow);
        self.filled.notify_one();
        true
    }

    fn dispatch(&self, flow: &mut Flow, mut frame: Vec<u8>, fault: Option<&FaultKind>) {
        match fault {
            None => {}
            Some(FaultKind::Delay(delay)) => flow.not_before = Some(Instant::now() + *delay),
            Some(FaultKind::Drop) => return,
            Some(FaultKind::Duplicate) => self.enqueue(flow, frame.clone()),
            Some(FaultKind::Swap) => {
                flow.held = Some(frame);
                return;
            }
            Some(FaultKind::Truncate { bytes }) => {
                frame.truncate(*bytes);
                flow.closed = true;
            }
            Some(FaultKind::Flip { bit }) => {
                if let Some(byte) = frame.get_mut(bit / 8) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            Some(FaultKind::Replace(other)) => frame.clone_from(other),
            Some(FaultKind::Cut) => {
                flow.closed = true;
                return;
            }
        }
        self.enqueue(flow, frame);
        if let Some(held) = flow.held.take() {
            self.enqueue(flow, held);
        }
    }

    fn enqueue(&self, flow: &mut Flow, bytes: Vec<u8>) {
        let now = Instant::now();
        let mut due = now;
        if let Some(shape) = &self.shape {
            let free = flow.busy_until.map_or(now, |busy| busy.max(now));
            let sent = free + shape.transmission(bytes.len());
            flow.busy_until = Some(sent);
            due = sent + shape.one_way;
        }
        if let Some(not_before) = flow.not_before {
            due = due.max(not_before);
        }
        flow.bytes += bytes.len();
        flow.chunks.push_back(Chunk { due, bytes });
    }

    /// The next bytes that have arrived by `deadline`.
    fn pull(&self, deadline: Instant) -> Pulled {
        let mut flow = lock(&self.flow);
        loop {
            let now = Instant::now();
            let due = flow.chunks.front().map(|chunk| chunk.due);
            if due.is_some_and(|due| due <= now)
                && let Some(chunk) = flow.chunks.pop_front()
            {
                flow.bytes -= chunk.bytes.len();
                drop(flow);
                self.emptied.notify_all();
                return Pulled::Bytes(chunk.bytes);
            }
            if due.is_none() && flow.closed {
                return Pulled::End;
            }
            if deadline <= now {
                return Pulled::Nothing;
            }
            let until = due.map_or(deadline, |due| due.min(deadline));
            let waited = self.filled.wait_timeout(flow, until.saturating_duration_since(now));
            flow = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn close(&self) {
        lock(&self.flow).closed = true;
        self.filled.notify_all();
    }

    fn abandon(&self) {
        let mut flow = lock(&self.flow);
        flow.abandoned = true;
        flow.chunks.clear();
        flow.bytes = 0;
        drop(flow);
        self.emptied.notify_all();
    }
}

/// The receiving half of one end.
struct Intake {
    decoder: Decoder,
    ready: VecDeque<Frame>,
    failure: Option<WireError>,
    farewell: bool,
    /// Since when somebody waits and nothing came. Time in which nobody asked does not count: the
    /// peer may have computed as long as we did.
    waiting_since: Option<Instant>,
}

struct MemoryLink {
    peer: Peer,
    out: Arc<Pipe>,
    sender: Mutex<Option<Sender>>,
    input: Arc<Pipe>,
    intake: Mutex<Intake>,
    duplicates: AtomicU64,
    pool: Pool,
    silence_limit: Option<Duration>,
}

impl MemoryLink {
    fn new((me, party): (usize, usize), out: Arc<Pipe>, input: Arc<Pipe>, faults: &Faults) -> Self {
        let tag = |from: usize, to: usize| {
            let number = |party: usize| u16::try_from(party).unwrap_or(u16::MAX);
            binding().tag(number(from), number(to))
        };
        let version = PROTOCOL_VERSION;
        let intake = Intake {
            decoder: Decoder::new(party, version, Expect::Tag(tag(party, me))),
            ready: VecDeque::new(),
            failure: None,
            farewell: false,
            waiting_since: None,
        };
        Self {
            peer: Peer::new(party),
            out,
            sender: Mutex::new(Some(Sender { tag: tag(me, party), seq: 0, version })),
            input,
            intake: Mutex::new(intake),
            duplicates: AtomicU64::new(0),
            pool: Pool::default(),
            silence_limit: faults.silence_limit,
        }
    }

    /// Decodes what has arrived by `deadline`; `false` when nothing has.
    fn pump(&self, intake: &mut Intake, deadline: Instant) -> bool {
        match self.input.pull(deadline) {
            Pulled::Nothing => return false,
            Pulled::End => {
                let truncated = intake.decoder.within_frame();
                let end = if truncated { WireError::FrameTruncated } else { self.peer.lost() };
                intake.failure = Some(end);
            }
            Pulled::Bytes(bytes) => {
                let ready = &mut intake.ready;
                let sink = &mut |frame| ready.push_back(frame);
                let pushed = intake.decoder.push(&bytes, &self.pool, sink);
                intake.failure = pushed.err();
                intake.waiting_since = None;
                self.input.pool.give(bytes);
                self.duplicates.store(intake.decoder.duplicates(), Ordering::Relaxed);
            }
        }
        true
    }

    /// The next frame that is not the link's own business.
    fn next(&self, intake: &mut Intake) -> Option<Frame> {
        while let Some(frame) = intake.ready.pop_front() {
            match frame.kind {
                Kind::Heartbeat => {}
                Kind::Abort => intake.failure = Some(self.peer.aborted(&frame.payload)),
                Kind::Bye => {
                    intake.farewell = true;
                    intake.failure = Some(self.peer.lost());
                }
                _ => return Some(frame),
            }
        }
        None
    }
}

impl Link for MemoryLink {
    fn send(&self, kind: Kind, payload: &[u8]) -> Result<(), WireError> {
        let mut sender = lock(&self.sender);
        let Some(sender) = sender.as_mut() else {
            return Err(self.peer.lost());
        };
        let header = sender.next(kind, payload)?;
        let bytes = header.len() + payload.len();
        let spare = self.out.pool.take(bytes);
        let mut frame = spare.unwrap_or_else(|| Vec::with_capacity(bytes));
        frame.extend_from_slice(&header);
        frame.extend_from_slice(payload);
        if self.out.push(frame, false) {
            return Ok(());
        }
        // The peer may have said why it went.
        Err(self.alarm().unwrap_or_else(|| self.peer.lost()))
    }

    fn receive(&self, wait: Duration) -> Result<Option<Frame>, WireError> {
        let deadline = Instant::now() + wait;
        let mut intake = lock(&self.intake);
        loop {
            if let Some(frame) = self.next(&mut intake) {
                return Ok(Some(frame));
            }
            if let Some(failure) = &intake.failure {
                return Err(failure.clone());
            }
            let since = *intake.waiting_since.get_or_insert_with(Instant::now);
            let silent = self.silence_limit.map(|limit| since + limit);
            let until = silent.map_or(deadline, |silent| silent.min(deadline));
            if !self.pump(&mut intake, until) {
                if silent.is_some_and(|silent| silent <= Instant::now()) {
                    intake.failure = Some(self.peer.lost());
                } else if deadline <= Instant::now() {
                    return Ok(None);
                }
            }
        }
    }

    fn recycle(&self, payload: Vec<u8>) {
        self.pool.give(payload);
    }

    fn alarm(&self) -> Option<WireError> {
        let mut intake = match self.intake.try_lock() {
            Ok(intake) => intake,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody receives, and will see for himself.
            Err(TryLockError::WouldBlock) => return None,
        };
        let now = Instant::now();
        while intake.failure.is_none() && self.pump(&mut intake, now) {}
        let is_abort = |frame: &&Frame| frame.kind == Kind::Abort;
        if let Some(frame) = intake.ready.iter().find(is_abort) {
            return Some(self.peer.aborted(&frame.payload));
        }
        let parted = intake.farewell || intake.ready.iter().any(|frame| frame.kind == Kind::Bye);
        if parted { None } else { intake.failure.clone() }
    }

    fn end(&self, last: Kind, payload: &[u8]) {
        let Some(mut sender) = lock(&self.sender).take() else {
            return;
        };
        if let Ok(header) = sender.next(last, payload) {
            self.out.push([&header[..], payload].concat(), true);
        }
        self.out.close();
        self.input.abandon();
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }
}
