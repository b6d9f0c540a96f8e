//! Simulated centres for tests: the same program at every centre, a thread each, either on the ideal
//! backend or on shares with an in-process network and dealer.

mod wire;

pub use wire::{ChannelWire, mesh};

use konsil_mpc::{
    BurnLedger, CorrectionSource, Cost, Dealer, IdealSession, Kind, Ledger, Links, MpcError,
    Opening, Seed, Session, SharedSession, Table, Topology, WireError,
};
use konsil_ring::Word;
use std::sync::mpsc;
use std::thread;

/// A program that every centre runs: its session, its number, its result.
pub trait Program<T>: Fn(&mut dyn Session, usize) -> Result<T, MpcError> + Sync {}
impl<T, F: Fn(&mut dyn Session, usize) -> Result<T, MpcError> + Sync> Program<T> for F {}

/// What one centre has after a run.
#[derive(Debug)]
pub struct Outcome<T> {
    /// The program's result.
    pub result: Result<T, MpcError>,
    /// What was revealed.
    pub ledger: Ledger,
    /// Parts of everything released.
    pub released: Vec<(Opening, Vec<Word>)>,
    /// What the run cost.
    pub cost: Cost,
    /// Bytes that the wire counted.
    pub wire_bytes: u64,
}

/// Runs a program at `parties` centres on the ideal backend.
pub fn ideal<T: Send>(
    parties: usize,
    manifest: &[Opening],
    program: impl Program<T>,
) -> Vec<Outcome<T>> {
    let table = Table::new(parties);
    let sessions = (0..parties).map(|me| IdealSession::new(me, table.clone(), manifest));
    let run = |(me, mut session): (usize, IdealSession)| {
        let result = program(&mut session, me);
        let (ledger, cost) = (session.ledger().clone(), session.cost());
        Outcome { result, ledger, cost, wire_bytes: 0, released: session.into_released() }
    };
    in_threads(sessions.enumerate().collect(), run)
}

/// Runs a program at `parties` centres on shares. The dealer learns beforehand, from a dry run, what
/// to deal.
pub fn shared<T: Send>(
    parties: usize,
    topology: Topology,
    manifest: &[Opening],
    program: impl Program<T>,
) -> Vec<Outcome<T>> {
    let kinds = dry(parties, topology, manifest, 0, &program).1;
    let seeds: Vec<Seed> = (0..parties).map(|party| seed(&[1, party])).collect();
    let (sender, receiver) = mpsc::sync_channel(64);
    let dealer = Dealer::new(&seeds);
    thread::scope(|scope| {
        scope.spawn(move || deal(&dealer, &kinds, &sender));
        let mut receiver = Some(receiver);
        let sessions = mesh(parties).into_iter().enumerate().map(|(me, wire)| {
            let pairwise =
                |other: usize| (other != me).then(|| seed(&[2, me.min(other), me.max(other)]));
            let source = if me + 1 == parties { receiver.take() } else { None };
            let links = Links {
                wire: Box::new(wire),
                seed: seeds[me].clone(),
                pairwise: (0..parties).map(pairwise).collect(),
                corrections: source.map(|it| Box::new(Dealt(it)) as Box<dyn CorrectionSource>),
                burn: Box::new(NoLedger),
            };
            SharedSession::live(links, topology, manifest)
        });
        let run = |(me, mut session): (usize, SharedSession)| {
            let result = program(&mut session, me);
            let (ledger, cost) = (session.ledger().clone(), session.cost());
            let wire_bytes = session.traffic().unwrap_or_default().bytes;
            Outcome { result, ledger, cost, wire_bytes, released: session.into_released() }
        };
        in_threads(sessions.enumerate().collect(), run)
    })
}

/// The cost of a program at one centre and the correlations it needs, without running it.
pub fn dry<T>(
    parties: usize,
    topology: Topology,
    manifest: &[Opening],
    me: usize,
    program: &impl Program<T>,
) -> (Cost, Vec<Kind>, Ledger) {
    let mut session = SharedSession::dry(me, parties, topology, manifest);
    let _stopped_early = program(&mut session, me).is_err();
    (session.cost(), session.kinds().to_vec(), session.ledger().clone())
}

/// Adds up what the centres released under one name.
#[must_use]
pub fn add_up<T>(outcomes: &[Outcome<T>], name: &str) -> Vec<Word> {
    let mut total: Vec<Word> = Vec::new();
    for outcome in outcomes {
        let parts = outcome.released.iter().filter(|(opening, _)| opening.name == name);
        let part: Vec<Word> = parts.flat_map(|(_, part)| part.iter().copied()).collect();
        total.resize(part.len(), 0);
        total.iter_mut().zip(part).for_each(|(total, part)| *total = total.wrapping_add(part));
    }
    total
}

fn in_threads<I: Send, O: Send>(items: Vec<I>, run: impl Fn(I) -> O + Sync) -> Vec<O> {
    thread::scope(|scope| {
        let run = &run;
        let handles: Vec<_> =
            items.into_iter().map(|item| scope.spawn(move || run(item))).collect();
        let join = |handle: thread::ScopedJoinHandle<'_, O>| {
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        handles.into_iter().map(join).collect()
    })
}

fn seed(numbers: &[usize]) -> Seed {
    let mut bytes = [0; 32];
    for (byte, number) in bytes.iter_mut().zip(numbers) {
        *byte = u8::try_from(*number).unwrap_or(u8::MAX);
    }
    Seed::new(bytes)
}

fn deal(dealer: &Dealer, kinds: &[Kind], sender: &mpsc::SyncSender<(u64, Vec<Word>)>) {
    for (counter, kind) in (0_u64..).zip(kinds) {
        let corrections = dealer.deal(counter, kind);
        if !corrections.is_empty() && sender.send((counter, corrections)).is_err() {
            return;
        }
    }
}

struct Dealt(mpsc::Receiver<(u64, Vec<Word>)>);

impl CorrectionSource for Dealt {
    fn corrections(&mut self, counter: u64, into: &mut [u8]) -> Result<(), WireError> {
        let (dealt, words) = self.0.recv().map_err(|_| WireError::DealerIncomplete)?;
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        if dealt != counter || words.len() * 16 != into.len() {
            return Err(WireError::DealerCorrupt);
        }
        into.iter_mut().zip(bytes).for_each(|(into, byte)| *into = byte);
        Ok(())
    }
}

struct NoLedger;

impl BurnLedger for NoLedger {
    fn burn(&mut self, _end: u64) -> Result<(), String> {
        Ok(())
    }
}
