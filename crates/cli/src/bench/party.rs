//! The processes of a measurement.

use super::steps::Step;
use super::{Measured, Setup};
use crate::failure::Failure;
use konsil_mpc::{
    BurnLedger, CorrectionSource, Dealer, Kind as Correlation, Links, Seed, Session, SharedSession,
    Topology, Traffic, Wire, WireError,
};
use konsil_net::{
    Allow, Binding, Channel, ChannelCorrections, Hello, Identity, Kind, Listener, Member, Mesh,
    Options, PartyId, PublicKey, Role, Switchboard, connect, connect_mesh, send_corrections,
};
use konsil_node::NodeError;
use std::collections::VecDeque;
use std::io::{BufRead, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const TOPOLOGY: Topology = Topology::Star;
const WAIT: Duration = Duration::from_secs(30);

/// What a process of the measurement holds.
struct Place {
    setup: Setup,
    identity: Identity,
    keys: Vec<PublicKey>,
    addresses: Vec<String>,
    board: Arc<Switchboard>,
    _listener: Listener,
}

fn failed(error: WireError) -> Failure {
    NodeError::wire(error, &[]).into()
}

/// Listens, tells the address, and reads everybody's.
fn take_place(dir: &Path, me: usize) -> Result<Place, Failure> {
    let path = dir.join("bench.json");
    let text = std::fs::read(&path).map_err(|error| Failure::file(&path, &error))?;
    let setup: Setup = serde_json::from_slice(&text).map_err(|_| Failure::process("bench.json"))?;
    let keys: Vec<PublicKey> =
        setup.keys.iter().filter_map(|key| PublicKey::from_str(key).ok()).collect();
    let identity = Identity::open(&dir.join(format!("{me}.key")))
        .map_err(|error| Failure::process(error.to_string()))?;
    let board = Arc::new(Switchboard::new());
    let allowed = keys.clone();
    let allow: Allow = Arc::new(move |key| allowed.contains(key));
    let options = Options::default();
    let listener = Listener::bind("127.0.0.1:0", &identity, allow, &options, board.handler())
        .map_err(failed)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", listener.local_address())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::file(dir, &error))?;
    drop(out);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(|error| Failure::file(dir, &error))?;
    let addresses = line.split_whitespace().map(str::to_owned).collect();
    Ok(Place { setup, identity, keys, addresses, board, _listener: listener })
}

fn binding() -> Binding {
    Binding::new([0; 16], [0; 32], [1; 16])
}

/// One centre: runs every operation, the first one reports.
pub(crate) fn party(dir: &Path, me: usize) -> Result<(), Failure> {
    let place = take_place(dir, me)?;
    let parties = place.setup.centres;
    let member = |at: usize| {
        let (key, address) = (place.keys.get(at), place.addresses.get(at));
        let both = key.copied().zip(address.cloned());
        both.map(|(key, address)| Member { key, address })
    };
    let members: Vec<Member> = (0..parties).filter_map(member).collect();
    let options = Options::default();
    let mesh = connect_mesh(me, &place.identity, &members, &binding(), &place.board, &options)
        .map_err(failed)?;
    let dealer = member(parties).ok_or_else(|| Failure::process("no dealer"))?;
    let number = u16::try_from(me).map_err(|_| Failure::process("too many centres"))?;
    let hello = Hello {
        binding: binding(),
        from: PartyId(number),
        to: PartyId::DEALER,
        role: Role::Centre,
    };
    let channel =
        connect(&dealer.address, &place.identity, dealer.key, &hello, &options).map_err(failed)?;
    let centre = Centre {
        me,
        parties,
        mesh: Arc::new(Mutex::new(mesh)),
        dealer: Arc::new(Mutex::new(Some(channel))),
    };
    for name in &place.setup.operations {
        let measured = centre.measure(name, place.setup.runs)?;
        if me == 0 {
            let line = serde_json::to_string(&measured).unwrap_or_default();
            let mut out = std::io::stdout().lock();
            writeln!(out, "{line}")
                .and_then(|()| out.flush())
                .map_err(|error| Failure::file(dir, &error))?;
        }
    }
    Ok(())
}

/// A mesh that outlives the sessions which borrow it.
struct Lent(Arc<Mutex<Mesh>>);

impl Lent {
    fn mesh(&self) -> MutexGuard<'_, Mesh> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire for Lent {
    fn me(&self) -> usize {
        self.mesh().me()
    }

    fn parties(&self) -> usize {
        self.mesh().parties()
    }

    fn send(&mut self, to: usize, payload: &[u8]) -> Result<(), WireError> {
        self.mesh().send(to, payload)
    }

    fn receive(&mut self, from: usize, into: &mut [u8]) -> Result<(), WireError> {
        self.mesh().receive(from, into)
    }

    fn begin_round(&mut self, round: u64) {
        self.mesh().begin_round(round);
    }

    fn traffic(&self) -> Traffic {
        self.mesh().traffic()
    }
}

/// Corrections that were received before the clock started.
struct Received(VecDeque<(u64, Vec<u8>)>);

impl CorrectionSource for Received {
    fn corrections(&mut self, counter: u64, into: &mut [u8]) -> Result<(), WireError> {
        match self.0.pop_front() {
            Some((number, bytes)) if number == counter && bytes.len() == into.len() => {
                into.copy_from_slice(&bytes);
                Ok(())
            }
            _ => Err(WireError::DealerCorrupt),
        }
    }
}

/// Corrections as they come; the channel goes back to its owner afterwards.
struct Streaming {
    source: Option<ChannelCorrections>,
    home: Arc<Mutex<Option<Channel>>>,
}

impl CorrectionSource for Streaming {
    fn corrections(&mut self, counter: u64, into: &mut [u8]) -> Result<(), WireError> {
        let source = self.source.as_mut().ok_or(WireError::DealerIncomplete)?;
        source.corrections(counter, into)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let channel = self.source.take().map(ChannelCorrections::into_channel);
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = channel;
    }
}

/// Nothing is kept of a measurement.
struct NoLedger;

impl BurnLedger for NoLedger {
    fn burn(&mut self, _end: u64) -> Result<(), String> {
        Ok(())
    }
}

struct Centre {
    me: usize,
    parties: usize,
    mesh: Arc<Mutex<Mesh>>,
    dealer: Arc<Mutex<Option<Channel>>>,
}

impl Centre {
    fn receives_corrections(&self) -> bool {
        self.me + 1 == self.parties
    }

    fn measure(&self, name: &str, runs: u16) -> Result<Measured, Failure> {
        let step = Step::new(name, self.me);
        let mut dry = SharedSession::dry(self.me, self.parties, TOPOLOGY, &[]);
        step.run(&mut dry)
            .map_err(konsil_analyses::AnalysisError::from)
            .map_err(NodeError::from)?;
        let (kinds, cost) = (dry.kinds().to_vec(), dry.cost());
        let mut bytes = 0;
        for me in 0..self.parties {
            let mut dry = SharedSession::dry(me, self.parties, TOPOLOGY, &[]);
            let _same = step.run(&mut dry);
            bytes += dry.cost().bytes;
        }
        let mut measured = Measured {
            name: name.to_owned(),
            count: step.count,
            seconds: Vec::new(),
            seconds_online: Vec::new(),
            bytes,
            rounds: cost.rounds,
        };
        for _ in 0..runs {
            measured.seconds.push(self.once(&step, &kinds, false)?);
            measured.seconds_online.push(self.once(&step, &kinds, true)?);
        }
        Ok(measured)
    }

    /// One measured run: seconds from the common start to the common end.
    fn once(&self, step: &Step, kinds: &[Correlation], online: bool) -> Result<f64, Failure> {
        self.meet()?;
        let mut begin = Instant::now();
        let corrections = self.order(kinds, online)?;
        let (seed, source) = corrections;
        if online {
            self.meet()?;
            begin = Instant::now();
        }
        let pairwise = |other: usize| {
            let seed = Seed::new([u8::try_from(self.me ^ other).unwrap_or(0); 32]);
            (other != self.me).then_some(seed)
        };
        let links = Links {
            wire: Box::new(Lent(Arc::clone(&self.mesh))),
            seed,
            pairwise: (0..self.parties).map(pairwise).collect(),
            corrections: source,
            burn: Box::new(NoLedger),
        };
        let mut session = SharedSession::live(links, TOPOLOGY, &[]);
        step.run(&mut session)
            .map_err(konsil_analyses::AnalysisError::from)
            .map_err(NodeError::from)?;
        self.meet()?;
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Asks the dealer for a fresh seed and the corrections of one run.
    fn order(
        &self,
        kinds: &[Correlation],
        online: bool,
    ) -> Result<(Seed, Option<Box<dyn CorrectionSource>>), Failure> {
        let channel = self.dealer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let channel = channel.ok_or_else(|| Failure::process("the dealer is gone"))?;
        let mut order = Vec::new();
        if self.receives_corrections() {
            kinds.iter().for_each(|kind| kind.encode(&mut order));
        }
        channel.send(Kind::Control, &order).map_err(failed)?;
        let mut seed = [0; 32];
        channel.receive_into(Kind::Seed, &mut seed).map_err(failed)?;
        let home = Arc::clone(&self.dealer);
        if !self.receives_corrections() {
            *home.lock().unwrap_or_else(PoisonError::into_inner) = Some(channel);
            return Ok((Seed::new(seed), None));
        }
        let mut stream = Streaming { source: Some(ChannelCorrections::new(channel)), home };
        if !online {
            return Ok((Seed::new(seed), Some(Box::new(stream))));
        }
        let mut received = VecDeque::new();
        for (counter, kind) in (0_u64..).zip(kinds) {
            let mut bytes = vec![0; kind.correction_bytes()];
            if !bytes.is_empty() {
                stream.corrections(counter, &mut bytes).map_err(failed)?;
                received.push_back((counter, bytes));
            }
        }
        Ok((Seed::new(seed), Some(Box::new(Received(received)))))
    }

    /// All centres are here.
    fn meet(&self) -> Result<(), Failure> {
        let mut mesh = self.mesh.lock().unwrap_or_else(PoisonError::into_inner);
        let mut nothing = [0; 1];
        if self.me == 0 {
            for other in 1..self.parties {
                mesh.receive(other, &mut nothing).map_err(failed)?;
            }
            for other in 1..self.parties {
                mesh.send(other, &nothing).map_err(failed)?;
            }
        } else {
            mesh.send(0, &nothing).map_err(failed)?;
            mesh.receive(0, &mut nothing).map_err(failed)?;
        }
        Ok(())
    }
}

/// The dealer: waits for an order from every centre, deals, and so on until they leave.
pub(crate) fn dealer(dir: &Path) -> Result<(), Failure> {
    let path = dir.join("bench.json");
    let text = std::fs::read(&path).map_err(|error| Failure::file(&path, &error))?;
    let setup: Setup = serde_json::from_slice(&text).map_err(|_| Failure::process("bench.json"))?;
    let place = take_place(dir, setup.centres)?;
    let mut channels: Vec<(u16, Channel)> = Vec::new();
    while channels.len() < setup.centres {
        let incoming = place.board.take(Instant::now() + WAIT, |_| true);
        let incoming = incoming.ok_or_else(|| Failure::process("a centre did not come"))?;
        let theirs = incoming.hello;
        let mine = Hello { from: PartyId::DEALER, to: theirs.from, role: Role::Dealer, ..theirs };
        let channel = incoming.accept(&mine, &Options::default()).map_err(failed)?;
        channels.push((theirs.from.0, channel));
    }
    channels.sort_by_key(|(number, _)| *number);
    // the centres leave when they are done
    while deal_once(&channels).is_ok() {}
    Ok(())
}

fn deal_once(channels: &[(u16, Channel)]) -> Result<(), WireError> {
    let mut kinds = Vec::new();
    for (_, channel) in channels {
        let frame = channel.receive()?;
        let mut rest = frame.payload.as_slice();
        while let Some(kind) = Correlation::decode(&mut rest) {
            kinds.push(kind);
        }
    }
    let mut seeds = Vec::with_capacity(channels.len());
    for (_, channel) in channels {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|_| WireError::DealerIncomplete)?;
        channel.send(Kind::Seed, &seed)?;
        seeds.push(Seed::new(seed));
    }
    let dealer = Dealer::new(&seeds);
    let (_, receiver) = channels.last().ok_or(WireError::DealerIncomplete)?;
    for (counter, kind) in (0_u64..).zip(&kinds) {
        let corrections = dealer.deal(counter, kind);
        if !corrections.is_empty() {
            send_corrections(receiver, counter, bytemuck::cast_slice(&corrections))?;
        }
    }
    Ok(())
}
