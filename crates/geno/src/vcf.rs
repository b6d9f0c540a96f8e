//! VCF as text, compressed or not: calls (`GT`), doses (`DS`), or both.

use crate::calls::{Allele, Caller, HalfCall, Row};
use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use crate::header::Header;
use crate::lines::{Counter, Lines, number, text};
use crate::source::{Notes, Record, Sample, Source};
use std::ops::Range;
use std::path::Path;

/// Bytes of the longest line: a million people with calls, doses and probabilities.
pub(crate) const LINE_MAX: usize = 64 << 20;

/// What a variant has for each person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// Calls, and doses at this place of the format.
    Call(Option<usize>),
    /// Doses, at this place of the format.
    Dose(usize),
    Neither,
}

/// A VCF, read line by line.
pub(crate) struct Vcf {
    lines: Lines,
    header: Header,
    caller: Caller,
    counter: Counter,
    size: u64,
    chromosome: Option<Chromosome>,
    position: u32,
    reference: Range<usize>,
    /// Alternative alleles of the present line, and which of them is next.
    alternatives: Vec<Range<usize>>,
    next: usize,
    field: Field,
    /// Where the people of the present line begin.
    people: usize,
}

impl Vcf {
    pub(crate) fn open(path: &Path, half_call: HalfCall) -> Result<Self, GenoError> {
        let size = std::fs::metadata(path).map_err(|source| GenoError::io(path, source))?.len();
        let counter = Counter::default();
        let mut lines = Lines::open(path, LINE_MAX, &counter)?;
        let mut header = Header::new();
        let mut is_first = true;
        loop {
            let Some(line) = lines.next()? else {
                let what = "the file ends within its header; copy it again";
                return Err(GenoError::file(path, lines.place(), what));
            };
            if is_first && !line.starts_with(b"##fileformat=VCF") {
                let what = "a VCF begins with ##fileformat=VCF; is it another kind of file?";
                return Err(GenoError::file(path, Place::Line(1), what));
            }
            is_first = false;
            if header.line(lines.line(), path, lines.place())? {
                break;
            }
        }
        Ok(Self {
            lines,
            header,
            caller: Caller::new(half_call),
            counter,
            size,
            chromosome: None,
            position: 0,
            reference: 0..0,
            alternatives: Vec::new(),
            next: 0,
            field: Field::Neither,
            people: 0,
        })
    }

    /// Keeps doses or not.
    pub(crate) fn keeping_doses(mut self, keeps: bool) -> Self {
        self.caller.keeps_doses = keeps;
        self
    }

    fn wrong(&self, what: impl Into<String>) -> GenoError {
        GenoError::file(self.lines.file(), self.lines.place(), what)
    }

    /// Takes the fields before the people apart.
    fn start_line(&mut self) -> Result<(), GenoError> {
        let line = self.lines.line();
        let mut at = 0;
        let mut columns: [Range<usize>; 9] = Default::default();
        for column in &mut columns {
            let rest = line.get(at..).unwrap_or_default();
            let Some(length) = rest.iter().position(|it| *it == b'\t') else {
                return Err(self.wrong(
                    "a line has nine fields and one for each person, with tabs between; the file may be \
                     cut",
                ));
            };
            *column = at..at + length;
            at += length + 1;
        }
        let [chromosome, position, _, reference, alternatives, _, _, _, format] = columns;
        let field = |it: &Range<usize>| line.get(it.clone()).unwrap_or_default();
        self.chromosome = text(field(&chromosome)).and_then(Chromosome::parse);
        let Some(position) = number(field(&position)) else {
            return Err(self.wrong("the position is no whole number"));
        };
        if field(&reference).is_empty() {
            return Err(self.wrong("an allele is empty"));
        }
        let mut names = field(&format).split(|it| *it == b':');
        let dose = || field(&format).split(|it| *it == b':').position(|it| it == b"DS");
        self.field = match names.next() {
            Some(b"GT") => Field::Call(dose().filter(|_| self.caller.keeps_doses)),
            _ => dose().map_or(Field::Neither, Field::Dose),
        };
        self.alternatives.clear();
        let mut begin = alternatives.start;
        for allele in field(&alternatives).split(|it| *it == b',') {
            if allele.is_empty() {
                return Err(self.wrong("an allele is empty"));
            }
            self.alternatives.push(begin..begin + allele.len());
            begin += allele.len() + 1;
        }
        (self.position, self.reference, self.people, self.next) = (position, reference, at, 0);
        Ok(())
    }

    /// Reads the people of the present line.
    fn read_people(
        &mut self,
        words: &mut Vec<u64>,
        read: impl Fn(&mut Caller, &[u8]) -> Result<u8, &'static str>,
    ) -> Result<(), GenoError> {
        let mut rest = self.lines.line().get(self.people..).unwrap_or_default();
        let mut row = Row::new(words);
        let mut people = 0;
        loop {
            let end = rest.iter().position(|it| *it == b'\t');
            let own = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
            people += 1;
            match read(&mut self.caller, own) {
                Ok(genotype) => row.push(genotype),
                Err(what) => {
                    let (file, place) = (self.lines.file().to_owned(), self.lines.place());
                    let what = format!("person {people}: {what}");
                    return Err(GenoError::Genotype { file, place, what });
                }
            }
            let Some(end) = end else { break };
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        row.end();
        let wanted = self.header.samples.len();
        if people != wanted {
            return Err(self.wrong(format!(
                "the line has genotypes of {people} people, the header names {wanted}; the file may be \
                 cut"
            )));
        }
        Ok(())
    }
}

impl Source for Vcf {
    fn file(&self) -> &Path {
        self.lines.file()
    }

    fn samples(&self) -> &[Sample] {
        &self.header.samples
    }

    fn build(&self) -> Option<Build> {
        self.header.build
    }

    fn next(&mut self) -> Result<Option<Record<'_>>, GenoError> {
        if self.next >= self.alternatives.len() {
            if self.lines.next()?.is_none() {
                return Ok(None);
            }
            self.start_line()?;
        }
        let allele = self.alternatives.get(self.next).cloned().unwrap_or_default();
        self.next += 1;
        let line = self.lines.line();
        Ok(Some(Record {
            chromosome: self.chromosome,
            position: self.position,
            counted: line.get(allele).unwrap_or_default(),
            other: line.get(self.reference.clone()).unwrap_or_default(),
            is_split: self.alternatives.len() > 1,
        }))
    }

    fn genotypes(&mut self, words: &mut Vec<u64>) -> Result<(), GenoError> {
        let counted = u32::try_from(self.next).unwrap_or(u32::MAX);
        let alleles = u32::try_from(self.alternatives.len()).unwrap_or(u32::MAX);
        let may_be_haploid = self.chromosome.is_some_and(Chromosome::may_be_haploid);
        self.caller.begin();
        match self.field {
            Field::Call(dose) => self.read_people(words, |caller, own| {
                let (genotype, count) = match plain_call(own, counted) {
                    Some(genotype) => (genotype, 2),
                    None => {
                        let (called, count) = read_call(own, alleles)?;
                        let called = called.get(..count).unwrap_or_default();
                        (caller.call(called, counted, may_be_haploid)?, count)
                    }
                };
                if let Some(at) = dose {
                    let dose = read_dose(own, at, place_of(counted))?;
                    caller.called_dose(dose, count == 1 && may_be_haploid)?;
                }
                Ok(genotype)
            }),
            Field::Dose(at) => self.read_people(words, |caller, own| {
                let dose = read_dose(own, at, place_of(counted))?;
                caller.keep(dose);
                Ok(dose.map_or(3, |it| caller.dose(it)))
            }),
            Field::Neither => Err(self.wrong("the variant has neither calls (GT) nor doses (DS)")),
        }
    }

    fn doses(&self) -> &[u16] {
        self.caller.doses()
    }

    fn place(&self) -> Place {
        self.lines.place()
    }

    fn progress(&self) -> (u64, u64) {
        (self.counter.bytes().min(self.size), self.size)
    }

    fn notes(&self) -> Notes {
        self.caller.notes
    }
}

/// Place of an alternative allele among the numbers of a field that has one for each.
fn place_of(counted: u32) -> usize {
    usize::try_from(counted).unwrap_or(usize::MAX).saturating_sub(1)
}

/// The usual call, of two alleles with one digit each, and nothing that has to be decided.
fn plain_call(own: &[u8], counted: u32) -> Option<u8> {
    let [one, b'/' | b'|', other, rest @ ..] = own else { return None };
    let is_whole = matches!(rest.first(), None | Some(b':'));
    // 0 and 1 are alleles of every line
    let is_usual = matches!(one, b'0' | b'1') && matches!(other, b'0' | b'1');
    let is = |digit: u8| u8::from(u32::from(digit - b'0') == counted);
    (is_whole && is_usual).then(|| is(*one) + is(*other))
}

/// The alleles of a call, three at most, and how many there are.
fn read_call(own: &[u8], alleles: u32) -> Result<([Allele; 3], usize), &'static str> {
    let call = own.split(|it| *it == b':').next().unwrap_or_default();
    // since VCF 4.4 a sign may also stand before the first
    let call = call.strip_prefix(b"|").or_else(|| call.strip_prefix(b"/")).unwrap_or(call);
    let (mut called, mut count) = ([None; 3], 0);
    for allele in call.split(|it| matches!(it, b'/' | b'|')).take(3) {
        let read = match allele {
            b"." => None,
            digits => {
                let number: u32 = number(digits).ok_or("a call is no number or .")?;
                if number > alleles {
                    return Err("a call of an allele that the line does not have");
                }
                Some(number)
            }
        };
        if let Some(place) = called.get_mut(count) {
            *place = read;
        }
        count += 1;
    }
    Ok((called, count))
}

/// The dose of one alternative allele; none where it is missing.
fn read_dose(own: &[u8], field: usize, allele: usize) -> Result<Option<f64>, &'static str> {
    // what is missing at the end may be left out
    let Some(doses) = own.split(|it| *it == b':').nth(field) else { return Ok(None) };
    if doses == b"." {
        return Ok(None);
    }
    let dose = doses.split(|it| *it == b',').nth(allele);
    let dose = dose.ok_or("a dose for each alternative allele was expected")?;
    if dose == b"." {
        return Ok(None);
    }
    let dose: f64 = number(dose).ok_or("a dose is no number")?;
    match (0.0..=2.0).contains(&dose) {
        true => Ok(Some(dose)),
        false => Err("a dose is not between 0 and 2"),
    }
}

#[cfg(test)]
mod tests;
