//! What a party of the shared backend holds: links, seeds, the counter of used correlations.
//!
//! A party without links is *dry*: it runs the same program on zeros, sends nothing, and so finds
//! out the exact cost and the list of correlations beforehand.

use crate::correlation::{Correction, Kind};
use crate::dealer::{combine, combine_sections};
use crate::prg::{Prg, Seed};
use crate::session::{Cost, MpcError};
use crate::wire::{CorrectionSource, FRAME_OVERHEAD_BYTES, Wire, WireError};
use konsil_ring::Word;
use std::fmt;

/// How small vectors are opened. Large ones always go through rotating combiners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Topology {
    /// Everyone sends to everyone: one hop, for links with latency.
    #[default]
    Mesh,
    /// One party, in turn, adds up and sends back: two hops and few messages, for one machine.
    Star,
}

/// Vectors of at least this many words go through combiners, a slice at each party.
const SLICED_WORDS_MIN: usize = 1024;

/// Marks correlations as used, durably, before anything masked with them is sent.
pub trait BurnLedger: Send {
    /// Marks all correlations below `end` as used.
    ///
    /// # Errors
    /// A text when the mark could not be made durable; the session then ends.
    fn burn(&mut self, end: u64) -> Result<(), String>;
}

/// How many numbers are marked as used at a time.
const BURN_STEP: u64 = 4096;

/// A party's links and secrets for one session.
pub struct Links {
    /// The other parties.
    pub wire: Box<dyn Wire>,
    /// The seed that the dealer gave to this party.
    pub seed: Seed,
    /// A seed shared with each other party and with nobody else; `None` at this party's own place.
    pub pairwise: Vec<Option<Seed>>,
    /// The dealer's corrections, at the one party that receives them.
    pub corrections: Option<Box<dyn CorrectionSource>>,
    /// Where used correlations are marked.
    pub burn: Box<dyn BurnLedger>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Links(..)")
    }
}

struct Live {
    wire: Box<dyn Wire>,
    own: Prg,
    pairwise: Vec<Option<Prg>>,
    corrections: Option<Box<dyn CorrectionSource>>,
    burn: Box<dyn BurnLedger>,
    burnt_below: u64,
    rerandomised: u64,
    /// Room for what the dealer sends.
    corrections_in: Vec<Word>,
    /// Room for messages of less than whole words.
    cut: Vec<u8>,
}

/// Bytes of a word.
pub(crate) const WORD_BYTES: usize = 16;

/// How parts are put together, and how much of them.
#[derive(Clone, Copy)]
struct Rule {
    how: Correction,
    bytes: usize,
}

impl Rule {
    const ADD: Self = Self { how: Correction::Add128, bytes: WORD_BYTES };
    const XOR: Self = Self { how: Correction::Xor, bytes: WORD_BYTES };
}

/// The lowest bytes of each word, one after another.
fn cut(words: &[Word], bytes: usize, into: &mut Vec<u8>) {
    into.clear();
    into.reserve(words.len() * bytes);
    if bytes == 8 {
        // the usual width, without a loop over bytes
        into.extend(
            words.iter().flat_map(|word| {
                (word.to_le_bytes()).first_chunk::<8>().copied().unwrap_or_default()
            }),
        );
        return;
    }
    for word in words {
        into.extend_from_slice(word.to_le_bytes().get(..bytes).unwrap_or_default());
    }
}

/// Words of what [`cut`] made of them; what stood above the bytes is 0.
fn uncut(cut: &[u8], bytes: usize, words: &mut [Word]) {
    for (word, cut) in words.iter_mut().zip(cut.chunks_exact(bytes)) {
        let mut whole = [0; WORD_BYTES];
        if let Some(low) = whole.get_mut(..bytes) {
            low.copy_from_slice(cut);
        }
        *word = Word::from_le_bytes(whole);
    }
}

/// Drawn correlated randomness: this party's part.
pub(crate) struct Drawn {
    pub(crate) number: u64,
    pub(crate) words: Vec<Word>,
    pub(crate) free: usize,
}

pub(crate) struct Party {
    me: usize,
    parties: usize,
    topology: Topology,
    live: Option<Live>,
    next: u64,
    cost: Cost,
    kinds: Vec<Kind>,
}

impl Party {
    pub(crate) fn live(links: Links, topology: Topology) -> Self {
        let (me, parties) = (links.wire.me(), links.wire.parties());
        let live = Live {
            wire: links.wire,
            own: Prg::new(&links.seed),
            pairwise: links.pairwise.iter().map(|seed| seed.as_ref().map(Prg::new)).collect(),
            corrections: links.corrections,
            burn: links.burn,
            burnt_below: 0,
            rerandomised: 0,
            corrections_in: Vec::new(),
            cut: Vec::new(),
        };
        Self { live: Some(live), ..Self::dry(me, parties, topology) }
    }

    pub(crate) fn dry(me: usize, parties: usize, topology: Topology) -> Self {
        let cost = Cost::default();
        Self { me, parties, topology, live: None, next: 0, cost, kinds: Vec::new() }
    }

    pub(crate) fn me(&self) -> usize {
        self.me
    }

    pub(crate) fn parties(&self) -> usize {
        self.parties
    }

    pub(crate) fn is_dry(&self) -> bool {
        self.live.is_none()
    }

    pub(crate) fn cost(&self) -> Cost {
        self.cost
    }

    pub(crate) fn kinds(&self) -> &[Kind] {
        &self.kinds
    }

    pub(crate) fn wire(&self) -> Option<&dyn Wire> {
        self.live.as_ref().map(|live| &*live.wire)
    }

    /// The next batch of correlations.
    pub(crate) fn draw(&mut self, kind: Kind) -> Result<Drawn, MpcError> {
        let number = self.next;
        self.next += 1;
        let layout = kind.layout();
        self.cost.correlations += kind.count();
        self.cost.dealt_bytes += u64::try_from(kind.correction_bytes()).unwrap_or(u64::MAX);
        let free = layout.free;
        let Some(live) = &mut self.live else {
            self.kinds.push(kind);
            return Ok(Drawn { number, words: Vec::new(), free });
        };
        if number >= live.burnt_below {
            live.burn.burn(number + BURN_STEP).map_err(MpcError::Burn)?;
            live.burnt_below = number + BURN_STEP;
        }
        let foreign = matches!(kind, Kind::OwnMask { owner, .. } if owner != self.me);
        let mut words = if foreign { Vec::new() } else { live.own.expand(number, layout.words()) };
        if let Some(source) = &mut live.corrections
            && layout.corrected_words() > 0
        {
            live.corrections_in.resize(layout.corrected_words(), 0);
            source.corrections(number, bytemuck::cast_slice_mut(&mut live.corrections_in))?;
            let tail = words.get_mut(free..).unwrap_or_default();
            combine_sections(&layout, tail, &live.corrections_in);
        }
        Ok(Drawn { number, words, free })
    }

    /// Reads and forgets the corrections of unused correlations up to `number`.
    pub(crate) fn skip_to(&mut self, planned: &[Kind], number: u64) -> Result<(), MpcError> {
        while self.next < number {
            let kind = usize::try_from(self.next).ok().and_then(|at| planned.get(at));
            let bytes = kind.map_or(0, Kind::correction_bytes);
            let source = self.live.as_mut().and_then(|live| live.corrections.as_mut());
            if let Some(source) = source.filter(|_| bytes > 0) {
                source.corrections(self.next, &mut vec![0; bytes])?;
            }
            self.next += 1;
        }
        Ok(())
    }

    /// Tells the other parties why the session ends.
    pub(crate) fn abort(&mut self, reason: &str) {
        if let Some(live) = &mut self.live {
            live.wire.abort(reason);
        }
    }

    /// Adds a fresh sharing of zero, so that the part shows nothing of what it was made from.
    pub(crate) fn rerandomise(&mut self, part: &mut [Word]) {
        let Some(live) = &mut self.live else { return };
        let stream = live.rerandomised;
        live.rerandomised += 1;
        let mut mask = vec![0; part.len()];
        for (other, prg) in live.pairwise.iter().enumerate() {
            let Some(prg) = prg else { continue };
            prg.fill(stream, &mut mask);
            let add = other > self.me;
            for (part, mask) in part.iter_mut().zip(&mask) {
                *part = if add { part.wrapping_add(*mask) } else { part.wrapping_sub(*mask) };
            }
        }
    }

    /// Puts the parties' parts together: everyone learns the total.
    pub(crate) fn exchange(&mut self, part: Vec<Word>, xor: bool) -> Result<Vec<Word>, MpcError> {
        self.put_together(part, if xor { Rule::XOR } else { Rule::ADD })
    }

    /// Puts the lowest `bytes` bytes of the parties' parts together: everyone learns as much of the
    /// total. What stands above them in the result means nothing.
    pub(crate) fn exchange_narrow(
        &mut self,
        part: Vec<Word>,
        bytes: usize,
    ) -> Result<Vec<Word>, MpcError> {
        self.put_together(part, Rule { bytes: bytes.clamp(1, WORD_BYTES), ..Rule::ADD })
    }

    fn put_together(&mut self, mut part: Vec<Word>, rule: Rule) -> Result<Vec<Word>, MpcError> {
        if part.is_empty() {
            return Ok(part);
        }
        if part.len() >= SLICED_WORDS_MIN {
            self.exchange_sliced(&mut part, rule)?;
        } else if self.topology == Topology::Mesh {
            self.exchange_mesh(&mut part, rule)?;
        } else {
            self.exchange_star(&mut part, rule)?;
        }
        Ok(part)
    }

    fn exchange_mesh(&mut self, part: &mut [Word], rule: Rule) -> Result<(), WireError> {
        self.begin_round();
        for other in self.others() {
            self.send(other, part, rule.bytes)?;
        }
        let mut theirs = vec![0; part.len()];
        for other in self.others() {
            self.receive(other, &mut theirs, rule.bytes)?;
            combine(rule.how, part, &theirs);
        }
        Ok(())
    }

    fn exchange_star(&mut self, part: &mut [Word], rule: Rule) -> Result<(), WireError> {
        let turn = usize::try_from(self.cost.rounds / 2 % 1024).unwrap_or(0);
        let combiner = turn % self.parties;
        self.begin_round();
        if self.me == combiner {
            let mut theirs = vec![0; part.len()];
            for other in self.others() {
                self.receive(other, &mut theirs, rule.bytes)?;
                combine(rule.how, part, &theirs);
            }
            self.begin_round();
            for other in self.others() {
                self.send(other, part, rule.bytes)?;
            }
            Ok(())
        } else {
            self.send(combiner, part, rule.bytes)?;
            self.begin_round();
            self.receive(combiner, part, rule.bytes)
        }
    }

    fn exchange_sliced(&mut self, part: &mut [Word], rule: Rule) -> Result<(), WireError> {
        let (len, parties) = (part.len(), self.parties);
        let slice = move |party: usize| party * len / parties..(party + 1) * len / parties;
        self.begin_round();
        for other in self.others() {
            self.send(other, &part[slice(other)], rule.bytes)?;
        }
        let mine = slice(self.me);
        let mut theirs = vec![0; mine.len()];
        for other in self.others() {
            self.receive(other, &mut theirs, rule.bytes)?;
            combine(rule.how, &mut part[mine.clone()], &theirs);
        }
        self.begin_round();
        for other in self.others() {
            self.send(other, &part[mine.clone()], rule.bytes)?;
        }
        for other in self.others() {
            self.receive(other, &mut part[slice(other)], rule.bytes)?;
        }
        Ok(())
    }

    /// One party's words, sent to all others. Only the owner's `words` are read.
    pub(crate) fn broadcast(
        &mut self,
        owner: usize,
        words: Vec<Word>,
        len: usize,
    ) -> Result<Vec<Word>, MpcError> {
        self.begin_round();
        if owner == self.me {
            for other in self.others() {
                self.send(other, &words, WORD_BYTES)?;
            }
            return Ok(words);
        }
        let mut theirs = vec![0; if self.is_dry() { 0 } else { len }];
        self.receive(owner, &mut theirs, WORD_BYTES)?;
        Ok(theirs)
    }

    /// The other parties, starting with the next one, so that not all send to the first at once.
    fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let (me, parties) = (self.me, self.parties);
        (1..parties).map(move |step| (me + step) % parties)
    }

    fn begin_round(&mut self) {
        self.cost.rounds += 1;
        let round = self.cost.rounds;
        if let Some(live) = &mut self.live {
            live.wire.begin_round(round);
        }
    }

    fn send(&mut self, to: usize, words: &[Word], bytes: usize) -> Result<(), WireError> {
        let sent = u64::try_from(words.len() * bytes).unwrap_or(u64::MAX);
        self.cost.messages += 1;
        self.cost.bytes += FRAME_OVERHEAD_BYTES + sent;
        match &mut self.live {
            Some(live) if bytes == WORD_BYTES => live.wire.send(to, bytemuck::cast_slice(words)),
            Some(live) => {
                cut(words, bytes, &mut live.cut);
                live.wire.send(to, &live.cut)
            }
            None => Ok(()),
        }
    }

    fn receive(&mut self, from: usize, words: &mut [Word], bytes: usize) -> Result<(), WireError> {
        match &mut self.live {
            Some(live) if bytes == WORD_BYTES => {
                live.wire.receive(from, bytemuck::cast_slice_mut(words))
            }
            Some(live) => {
                live.cut.resize(words.len() * bytes, 0);
                live.wire.receive(from, &mut live.cut)?;
                uncut(&live.cut, bytes, words);
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Party[{} of {}]", self.me, self.parties)
    }
}
