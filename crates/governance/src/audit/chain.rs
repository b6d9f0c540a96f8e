//! Entries, each bound to the one before.

use super::event::Event;
use super::tree::{Hash, Tree, leaf_hash};
use crate::hex::to_hex;
use crate::signing::{SignatureError, canonical};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// An entry as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// Seconds since 1970; never less than the entry before.
    pub time: i64,
    /// Whether the clock said an earlier time than the entry before has; its time was kept then.
    pub clock_back: bool,
    /// The event in canonical JSON.
    pub event: String,
    /// SHA-256 of the entry's text.
    pub hash: Hash,
}

impl Record {
    /// The entry's canonical JSON, after an entry with the hash `previous`: what is hashed.
    #[must_use]
    pub fn text(&self, previous: &Hash) -> String {
        let Self { seq, time, clock_back, event, .. } = self;
        let previous = to_hex(previous);
        format!(
            "{{\"seq\":{seq},\"time\":{time},\"clock_back\":{clock_back},\"event\":{event},\
             \"prev_hash\":\"{previous}\"}}"
        )
    }
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How many entries there are.
    pub size: u64,
    /// Hash of the last one; zeros before the first.
    pub hash: Hash,
    /// Time of the last one.
    pub time: i64,
}

impl Head {
    /// The entry that an event at a time becomes after this one.
    ///
    /// # Errors
    /// [`SignatureError::Unwritable`].
    pub fn next(&self, time: i64, event: &Event) -> Result<Record, SignatureError> {
        let Self { size, hash, time: last } = *self;
        let clock_back = size > 0 && time < last;
        let time = if clock_back { last } else { time };
        let event = canonical(event)?;
        let mut record = Record { seq: size + 1, time, clock_back, event, hash };
        record.hash = Sha256::digest(record.text(&hash)).into();
        Ok(record)
    }
}

impl From<&Record> for Head {
    fn from(record: &Record) -> Self {
        Self { size: record.seq, hash: record.hash, time: record.time }
    }
}

/// An entry that does not continue the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("entry {seq} does not continue the log")]
pub struct Broken {
    /// The number that should be here.
    pub seq: u64,
}

/// A log's chain and tree, without its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    head: Head,
    tree: Tree,
}

impl Log {
    /// The end of the chain.
    #[must_use]
    pub fn head(&self) -> Head {
        self.head
    }

    /// The tree over all entries.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The entry that an event at a time becomes. It is not in the log until it is accepted.
    ///
    /// # Errors
    /// [`SignatureError::Unwritable`].
    pub fn next(&self, time: i64, event: &Event) -> Result<Record, SignatureError> {
        self.head.next(time, event)
    }

    /// Takes a stored entry into the log.
    ///
    /// # Errors
    /// [`Broken`] when it is not the one that comes next, or was changed.
    pub fn accept(&mut self, record: &Record) -> Result<(), Broken> {
        let Head { size, hash, time } = self.head;
        let broken = Broken { seq: size + 1 };
        let text = record.text(&hash);
        let own: Hash = Sha256::digest(&text).into();
        let orderly = record.seq == size + 1 && (size == 0 || record.time >= time);
        if !orderly || own != record.hash {
            return Err(broken);
        }
        self.head = record.into();
        self.tree.push(leaf_hash(text.as_bytes()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u32) -> Event {
        Event::new("run", "study", "node@north").with("number", &number)
    }

    fn grow(log: &mut Log, time: i64, number: u32) -> Record {
        let record = log.next(time, &event(number)).unwrap();
        log.accept(&record).unwrap();
        record
    }

    // The text is JSON in the order seq, time, clock_back, event, prev_hash, and is never changed:
    // these bytes are what others have signed.
    #[test]
    fn the_text_of_an_entry_is_fixed() {
        let mut log = Log::default();
        let first = grow(&mut log, 1_700_000_000, 1);
        let text = first.text(&[0; 32]);
        assert_eq!(
            text,
            format!(
                r#"{{"seq":1,"time":1700000000,"clock_back":false,"event":{{"kind":"run","subject":"study","actor":"node@north","facts":{{"number":"1"}}}},"prev_hash":"{}"}}"#,
                "0".repeat(64)
            )
        );
        assert_eq!(first.hash, <[u8; 32]>::from(Sha256::digest(&text)));
        let second = grow(&mut log, 1_700_000_001, 2);
        assert!(second.text(&first.hash).ends_with(&format!("\"{}\"}}", to_hex(&first.hash))));
    }

    // Order never relies on clocks (case 37).
    #[test]
    fn a_time_never_decreases_and_a_jump_back_is_flagged() {
        let mut log = Log::default();
        assert!(!grow(&mut log, 100, 1).clock_back);
        let back = grow(&mut log, 40, 2);
        assert_eq!((back.time, back.clock_back), (100, true));
        let after = grow(&mut log, 101, 3);
        assert_eq!((after.time, after.clock_back), (101, false));
    }

    #[test]
    fn changed_records_are_not_accepted() {
        let mut log = Log::default();
        grow(&mut log, 5, 1);
        let good = log.next(6, &event(2)).unwrap();
        let wrong = [
            Record { seq: 3, ..good.clone() },
            Record { time: 7, ..good.clone() },
            Record { clock_back: true, ..good.clone() },
            Record { event: good.event.replace("north", "south"), ..good.clone() },
            Record { hash: [1; 32], ..good.clone() },
        ];
        for record in wrong {
            assert_eq!(log.clone().accept(&record), Err(Broken { seq: 2 }));
        }
        log.accept(&good).unwrap();
        assert_eq!(log.accept(&good), Err(Broken { seq: 3 }), "an entry twice");
    }
}
