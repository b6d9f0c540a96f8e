//! BCF, the binary form of VCF: version 2.1 or 2.2.
//!
//! Sources: the VCF specification, section 6 (BCF).

use crate::calls::{Allele, Caller, HalfCall, Row};
use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use crate::header::Header;
use crate::lines::{Counter, open_text, unread};
use crate::source::{Notes, Record, Sample, Source};
use std::io::{BufRead, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes of the longest header, and of the longest record.
const HEADER_MAX: u32 = 256 << 20;
const RECORD_MAX: u32 = 256 << 20;

/// What a value of a record is, and how many there are.
#[derive(Clone, Copy)]
struct Kind {
    count: usize,
    size: usize,
    code: u8,
}

/// Genotypes of all people within the present record.
#[derive(Clone)]
enum Field {
    /// Calls, and doses beside them.
    Calls(Kind, Range<usize>, Option<(Kind, Range<usize>)>),
    Doses(Kind, Range<usize>),
    Neither,
}

/// A BCF, read record by record.
pub(crate) struct Bcf {
    file: PathBuf,
    reader: Box<dyn BufRead + Send>,
    header: Header,
    caller: Caller,
    counter: Counter,
    size: u64,
    /// The present record: first what is said of the variant, then of people.
    record: Vec<u8>,
    number: u64,
    chromosome: Option<Chromosome>,
    position: u32,
    /// Places of the alleles, the reference first; and the next alternative one.
    alleles: Vec<Range<usize>>,
    next: usize,
    field: Field,
}

/// A part of a record that is read from its beginning.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A number whose kind stands before it.
    fn number(&mut self) -> Option<usize> {
        let kind = self.kind()?;
        let bytes = self.take(kind.size)?;
        let value = integer(bytes)?;
        (kind.count == 1 && matches!(kind.code, 1..=3)).then_some(usize::try_from(value).ok()?)
    }

    fn kind(&mut self) -> Option<Kind> {
        let byte = *self.take(1)?.first()?;
        let (code, mut count) = (byte & 15, usize::from(byte >> 4));
        let size = match code {
            0 => 0,
            1 | 7 => 1,
            2 => 2,
            3 | 5 => 4,
            _ => return None,
        };
        if count == 15 {
            count = self.number()?;
        }
        Some(Kind { count, size, code })
    }

    /// Passes over values; gives their place.
    fn skip(&mut self, kind: Kind, times: usize) -> Option<Range<usize>> {
        let begin = self.at;
        self.take(kind.count.checked_mul(kind.size)?.checked_mul(times)?)?;
        Some(begin..self.at)
    }
}

/// A signed number of 1, 2 or 4 bytes.
fn integer(bytes: &[u8]) -> Option<i32> {
    match *bytes {
        [one] => Some(i32::from(i8::from_le_bytes([one]))),
        [one, two] => Some(i32::from(i16::from_le_bytes([one, two]))),
        [one, two, three, four] => Some(i32::from_le_bytes([one, two, three, four])),
        _ => None,
    }
}

/// Whether a number stands for the end of a shorter list.
fn is_end(value: i32, size: usize) -> bool {
    match size {
        1 => value == i32::from(i8::MIN) + 1,
        2 => value == i32::from(i16::MIN) + 1,
        _ => value == i32::MIN + 1,
    }
}

impl Bcf {
    pub(crate) fn open(path: &Path, half_call: HalfCall) -> Result<Self, GenoError> {
        let size = std::fs::metadata(path).map_err(|source| GenoError::io(path, source))?.len();
        let counter = Counter::default();
        let mut reader = open_text(path, &counter)?;
        let wrong = |what: &str| GenoError::file(path, Place::Byte(0), what);
        let mut start = [0; 9];
        reader.read_exact(&mut start).map_err(|source| unread(path, Place::Whole, source))?;
        let [b'B', b'C', b'F', 2, 1 | 2, length @ ..] = start else {
            return Err(wrong("the file does not begin as a BCF of version 2.1 or 2.2 does"));
        };
        let length = u32::from_le_bytes(length);
        if length > HEADER_MAX {
            let what = format!("the header says that it has {length} bytes");
            return Err(GenoError::Limit { file: path.to_owned(), place: Place::Byte(5), what });
        }
        let mut text = Vec::new();
        let read = (&mut reader).take(u64::from(length)).read_to_end(&mut text);
        read.map_err(|source| unread(path, Place::Whole, source))?;
        if text.len() as u64 != u64::from(length) {
            return Err(wrong("the file ends within its header; copy it again"));
        }
        let header = read_header(&text, path)?;
        Ok(Self {
            file: path.to_owned(),
            reader,
            header,
            caller: Caller::new(half_call),
            counter,
            size,
            record: Vec::new(),
            number: 0,
            chromosome: None,
            position: 0,
            alleles: Vec::new(),
            next: 1,
            field: Field::Neither,
        })
    }

    /// Keeps doses or not.
    pub(crate) fn keeping_doses(mut self, keeps: bool) -> Self {
        self.caller.keeps_doses = keeps;
        self
    }

    fn wrong(&self, what: impl Into<String>) -> GenoError {
        GenoError::file(&self.file, self.place(), what)
    }

    /// Reads the next record; says whether there was one.
    fn read_record(&mut self) -> Result<bool, GenoError> {
        self.number += 1;
        let mut lengths = Vec::with_capacity(8);
        let read = (&mut self.reader).take(8).read_to_end(&mut lengths);
        read.map_err(|source| unread(&self.file, Place::Variant(self.number), source))?;
        if lengths.is_empty() {
            return Ok(false);
        }
        let Some(([shared, people], [])) = lengths.as_chunks::<4>().0.split_first_chunk::<2>()
        else {
            return Err(self.wrong("the file ends within a record; copy it again"));
        };
        let (shared, people) = (u32::from_le_bytes(*shared), u32::from_le_bytes(*people));
        let all = u64::from(shared) + u64::from(people);
        if all > u64::from(RECORD_MAX) {
            let (file, place) = (self.file.clone(), self.place());
            return Err(GenoError::Limit {
                file,
                place,
                what: format!("the record has {all} bytes"),
            });
        }
        self.record.clear();
        let read = (&mut self.reader).take(all).read_to_end(&mut self.record);
        read.map_err(|source| unread(&self.file, Place::Variant(self.number), source))?;
        if self.record.len() as u64 != all {
            return Err(self.wrong("the file ends within a record; copy it again"));
        }
        let shared = usize::try_from(shared).unwrap_or(usize::MAX);
        match self.take_apart(shared) {
            Some(()) => Ok(true),
            None => Err(self.wrong("the record does not hold together; the file is damaged")),
        }
    }

    /// Finds chromosome, position, alleles and the genotypes in a record.
    fn take_apart(&mut self, shared: usize) -> Option<()> {
        let mut cursor = Cursor { bytes: self.record.get(..shared)?, at: 0 };
        let contig = usize::try_from(cursor.u32()?).ok()?;
        self.chromosome = *self.header.contigs.get(&contig)?;
        // counted from 0, and -1 for the end of a chromosome
        self.position = cursor.u32()?.wrapping_add(1);
        cursor.take(8)?;
        let (counts, people) = (cursor.u32()?, cursor.u32()?);
        let alleles = usize::try_from(counts >> 16).ok()?;
        let (samples, formats) = (usize::try_from(people & 0xff_ffff).ok()?, people >> 24);
        if samples != self.header.samples.len() {
            return None;
        }
        let id = cursor.kind()?;
        cursor.skip(id, 1)?;
        self.alleles.clear();
        for _ in 0..alleles {
            let kind = cursor.kind()?;
            let place = cursor.skip(kind, 1)?;
            if kind.code != 7 || kind.count == 0 {
                return None;
            }
            self.alleles.push(place);
        }
        self.next = 1;
        let mut cursor = Cursor { bytes: &self.record, at: shared };
        let (mut called, mut dosed) = (None, None);
        let (calls, doses) = (self.header.keys.get("GT"), self.header.keys.get("DS"));
        for _ in 0..formats {
            let key = cursor.number()?;
            let kind = cursor.kind()?;
            let place = cursor.skip(kind, samples)?;
            if Some(&key) == calls && matches!(kind.code, 0..=3) {
                called = Some((kind, place));
            } else if Some(&key) == doses && kind.code == 5 {
                dosed = Some((kind, place));
            }
        }
        self.field = match (called, dosed) {
            (Some((kind, place)), dosed) => {
                Field::Calls(kind, place, dosed.filter(|_| self.caller.keeps_doses))
            }
            (None, Some((kind, place))) => Field::Doses(kind, place),
            (None, None) => Field::Neither,
        };
        (!self.alleles.is_empty()).then_some(())
    }

    fn refused(&self, person: usize, what: &str) -> GenoError {
        let what = format!("person {}: {what}", person + 1);
        GenoError::Genotype { file: self.file.clone(), place: self.place(), what }
    }
}

fn read_header(text: &[u8], path: &Path) -> Result<Header, GenoError> {
    let mut header = Header::new();
    let text = text.split(|it| *it == 0).next().unwrap_or_default();
    for (at, line) in text.split(|it| *it == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if header.line(line, path, Place::Line(at as u64 + 1))? {
            return Ok(header);
        }
    }
    Err(GenoError::file(path, Place::Whole, "the header ends without its line #CHROM"))
}

/// Alleles of a call, three at most.
fn read_call(bytes: &[u8], kind: Kind, alleles: usize) -> Option<([Allele; 3], usize)> {
    let (mut called, mut count) = ([None; 3], 0);
    for value in bytes.chunks_exact(kind.size.max(1)) {
        let value = integer(value)?;
        if is_end(value, kind.size) {
            break;
        }
        // the lowest bit says whether the call is phased; 0 is a missing allele
        let allele = u32::try_from(value).ok()? >> 1;
        let allele = allele.checked_sub(1);
        if allele.is_some_and(|it| usize::try_from(it).is_ok_and(|it| it >= alleles)) {
            return None;
        }
        if let Some(place) = called.get_mut(count) {
            *place = allele;
        }
        count = (count + 1).min(3);
    }
    Some((called, count))
}

impl Source for Bcf {
    fn file(&self) -> &Path {
        &self.file
    }

    fn samples(&self) -> &[Sample] {
        &self.header.samples
    }

    fn build(&self) -> Option<Build> {
        self.header.build
    }

    fn next(&mut self) -> Result<Option<Record<'_>>, GenoError> {
        while self.next >= self.alleles.len() {
            if !self.read_record()? {
                return Ok(None);
            }
        }
        let allele = |at: usize| {
            let place = self.alleles.get(at).cloned().unwrap_or_default();
            self.record.get(place).unwrap_or_default()
        };
        let record = Record {
            chromosome: self.chromosome,
            position: self.position,
            counted: allele(self.next),
            other: allele(0),
            is_split: self.alleles.len() > 2,
        };
        self.next += 1;
        Ok(Some(record))
    }

    fn genotypes(&mut self, words: &mut Vec<u64>) -> Result<(), GenoError> {
        let counted = self.next.saturating_sub(1);
        let may_be_haploid = self.chromosome.is_some_and(Chromosome::may_be_haploid);
        let people = self.header.samples.len();
        let mut row = Row::new(words);
        let (calls, doses) = match self.field.clone() {
            Field::Calls(kind, place, doses) => (Some((kind, place)), doses),
            Field::Doses(kind, place) => (None, Some((kind, place))),
            Field::Neither => {
                return Err(self.wrong("the variant has neither calls (GT) nor doses (DS)"));
            }
        };
        self.caller.begin();
        for person in 0..people {
            let dose = doses.as_ref().map(|it| read_dose(own(&self.record, it, person), counted));
            let dose = dose.transpose().map_err(|what| self.refused(person, what))?;
            let Some(calls) = &calls else {
                let dose = dose.flatten();
                self.caller.keep(dose);
                row.push(dose.map_or(3, |it| self.caller.dose(it)));
                continue;
            };
            let called = read_call(own(&self.record, calls, person), calls.0, self.alleles.len());
            let Some((called, count)) = called else {
                return Err(
                    self.refused(person, "a call of an allele that the record does not have")
                );
            };
            let called = called.get(..count).unwrap_or_default();
            let counted = u32::try_from(counted).unwrap_or(u32::MAX);
            let genotype = self.caller.call(called, counted, may_be_haploid);
            row.push(genotype.map_err(|what| self.refused(person, what))?);
            if let Some(dose) = dose {
                let kept = self.caller.called_dose(dose, count == 1 && may_be_haploid);
                kept.map_err(|what| self.refused(person, what))?;
            }
        }
        row.end();
        Ok(())
    }

    fn doses(&self) -> &[u16] {
        self.caller.doses()
    }

    fn place(&self) -> Place {
        Place::Variant(self.number)
    }

    fn progress(&self) -> (u64, u64) {
        (self.counter.bytes().min(self.size), self.size)
    }

    fn notes(&self) -> Notes {
        self.caller.notes
    }
}

/// What a field has for one person.
fn own<'a>(record: &'a [u8], (kind, place): &(Kind, Range<usize>), person: usize) -> &'a [u8] {
    let width = kind.count * kind.size;
    let begin = place.start + person * width;
    record.get(begin..begin + width).unwrap_or_default()
}

/// The dose of an alternative allele, from 1; none where it is missing, which is a NaN.
fn read_dose(bytes: &[u8], counted: usize) -> Result<Option<f64>, &'static str> {
    let dose = bytes.as_chunks::<4>().0.get(counted.saturating_sub(1));
    let dose = dose.ok_or("a dose for each alternative allele was expected")?;
    let dose = f64::from(f32::from_le_bytes(*dose));
    match dose {
        _ if dose.is_nan() => Ok(None),
        _ if (0.0..=2.0).contains(&dose) => Ok(Some(dose)),
        _ => Err("a dose is not between 0 and 2"),
    }
}
