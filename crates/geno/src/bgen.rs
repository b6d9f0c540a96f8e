//! BGEN, layout 2: probabilities of 8 or 16 bits, packed with zlib, zstd or not at all.
//!
//! A genotype is the one that has a probability of at least 0.9; otherwise it is missing. A dose is the
//! number of copies that is expected by the probabilities. Which allele
//! is the reference follows from the panel, as everywhere, so that files with the reference first and
//! with the reference last are read alike.
//!
//! Sources: the BGEN specification, version 1.3.

mod genotypes;
mod people;

use crate::calls::{Caller, HalfCall};
use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use crate::lines::text;
use crate::source::{Notes, Record, Sample, Source};
use genotypes::{Coding, Compression};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// People of the largest file.
const PEOPLE_MAX: u32 = 10_000_000;
/// Bytes of the longest allele, and of all alleles of a variant.
const ALLELES_MAX: usize = 1 << 20;
/// Bytes of the largest packed variant.
const BLOCK_MAX: u32 = 512 << 20;

/// A BGEN file, read variant by variant.
pub(crate) struct Bgen {
    input: Input,
    samples: Vec<Sample>,
    coding: Coding,
    caller: Caller,
    variants: u64,
    chromosome: Option<Chromosome>,
    position: u32,
    alleles: Vec<u8>,
    /// The first two alleles, within those.
    two: [Range<usize>; 2],
    is_biallelic: bool,
    /// Packed genotypes of the present variant.
    block: Vec<u8>,
}

/// The file, with the variant that is read.
struct Input {
    file: PathBuf,
    reader: BufReader<File>,
    size: u64,
    read: u64,
    /// From 1; 0 for the header.
    variant: u64,
}

impl Input {
    fn open(path: &Path) -> Result<Self, GenoError> {
        let file = File::open(path).map_err(|source| GenoError::io(path, source))?;
        let size = file.metadata().map_err(|source| GenoError::io(path, source))?.len();
        let reader = BufReader::with_capacity(1 << 20, file);
        Ok(Self { file: path.to_owned(), reader, size, read: 0, variant: 0 })
    }

    fn place(&self) -> Place {
        match self.variant {
            0 => Place::Byte(self.read),
            variant => Place::Variant(variant),
        }
    }

    fn wrong(&self, what: impl Into<String>) -> GenoError {
        GenoError::file(&self.file, self.place(), what)
    }

    fn limit(&self, what: impl Into<String>) -> GenoError {
        GenoError::Limit { file: self.file.clone(), place: self.place(), what: what.into() }
    }

    /// Fills a buffer with the next bytes, whose number was compared with the size of the file.
    fn fill(&mut self, buffer: &mut Vec<u8>, bytes: u64) -> Result<(), GenoError> {
        buffer.clear();
        if bytes > self.size.saturating_sub(self.read) {
            return Err(self.wrong("the file ends here; copy it again"));
        }
        let read = (&mut self.reader).take(bytes).read_to_end(buffer);
        let read = read.map_err(|source| GenoError::io(&self.file, source))?;
        self.read += read as u64;
        match read as u64 == bytes {
            true => Ok(()),
            false => Err(self.wrong("the file ends here; copy it again")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], GenoError> {
        let mut bytes = [0; N];
        match self.reader.read_exact(&mut bytes) {
            Ok(()) => {
                self.read += N as u64;
                Ok(bytes)
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(self.wrong("the file ends here; copy it again"))
            }
            Err(error) => Err(GenoError::io(&self.file, error)),
        }
    }

    fn u16(&mut self) -> Result<u16, GenoError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, GenoError> {
        Ok(u32::from_le_bytes(self.array()?))
    }
}

impl Bgen {
    /// Opens a BGEN file; ids of people are in it, or in a `.sample` file of the same name.
    ///
    /// # Errors
    /// [`GenoError::File`] for what is no BGEN file or is cut, [`GenoError::Convert`] for layout 1,
    /// [`GenoError::People`] without ids of people.
    pub(crate) fn open(path: &Path) -> Result<Self, GenoError> {
        let mut input = Input::open(path)?;
        let offset = input.u32()?;
        let (length, variants, people) = (input.u32()?, input.u32()?, input.u32()?);
        let magic = input.array::<4>()?;
        if (magic != *b"bgen" && magic != [0; 4]) || length < 20 || offset < length {
            return Err(input.wrong("the file does not begin as a BGEN file does"));
        }
        if people == 0 || people > PEOPLE_MAX {
            return Err(input.limit(format!("the header says that there are {people} people")));
        }
        let mut free = Vec::new();
        input.fill(&mut free, u64::from(length) - 20)?;
        let flags = input.u32()?;
        if flags >> 2 & 15 != 2 {
            return Err(GenoError::Convert {
                file: path.to_owned(),
                what: "only layout 2 of BGEN is read (version 1.2 and later)".to_owned(),
                command: format!(
                    "qctool -g {} -og {}.v12.bgen",
                    path.display(),
                    path.with_extension("").display()
                ),
            });
        }
        let compression = match flags & 3 {
            0 => Compression::None,
            1 => Compression::Zlib,
            2 => Compression::Zstd,
            _ => return Err(input.wrong("genotypes are packed in a way that BGEN does not have")),
        };
        let samples = match flags >> 31 {
            1 => people::inside(&mut input, people)?,
            _ => people::beside(path, people)?,
        };
        let begin = u64::from(offset) + 4;
        let gap = begin.checked_sub(input.read).ok_or_else(|| {
            input.wrong("the variants begin before the header ends; the file is damaged")
        })?;
        input.fill(&mut free, gap)?;
        Ok(Self {
            input,
            coding: Coding::new(samples.len(), compression),
            samples,
            caller: Caller::new(HalfCall::Missing),
            variants: u64::from(variants),
            chromosome: None,
            position: 0,
            alleles: Vec::new(),
            two: [0..0, 0..0],
            is_biallelic: false,
            block: Vec::new(),
        })
    }

    /// Keeps doses or not.
    pub(crate) fn keeping_doses(mut self, keeps: bool) -> Self {
        self.caller.keeps_doses = keeps;
        self
    }

    /// Reads a variant up to its genotypes, and those packed.
    fn read_variant(&mut self) -> Result<(), GenoError> {
        let input = &mut self.input;
        for _ in 0..2 {
            let length = input.u16()?;
            input.fill(&mut self.alleles, u64::from(length))?;
        }
        let length = input.u16()?;
        input.fill(&mut self.alleles, u64::from(length))?;
        self.chromosome = text(&self.alleles).and_then(Chromosome::parse);
        self.position = input.u32()?;
        let count = input.u16()?;
        if count == 0 {
            return Err(input.wrong("a variant without alleles; the file is damaged"));
        }
        self.alleles.clear();
        self.two = [0..0, 0..0];
        let mut allele = Vec::new();
        for at in 0..usize::from(count) {
            let length = input.u32()?;
            if usize::try_from(length).is_ok_and(|it| it + self.alleles.len() > ALLELES_MAX) {
                return Err(input.limit("alleles of more than a million bases"));
            }
            input.fill(&mut allele, u64::from(length))?;
            let begin = self.alleles.len();
            self.alleles.extend_from_slice(&allele);
            if let Some(place) = self.two.get_mut(at) {
                *place = begin..self.alleles.len();
            }
        }
        self.is_biallelic = count == 2;
        let length = input.u32()?;
        if length > BLOCK_MAX {
            return Err(input.limit(format!("the genotypes have {length} bytes")));
        }
        input.fill(&mut self.block, u64::from(length))
    }
}

impl Source for Bgen {
    fn file(&self) -> &Path {
        &self.input.file
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn build(&self) -> Option<Build> {
        None
    }

    fn next(&mut self) -> Result<Option<Record<'_>>, GenoError> {
        if self.input.variant == self.variants {
            return Ok(None);
        }
        self.input.variant += 1;
        self.read_variant()?;
        let [first, second] = &self.two;
        let allele = |at: &Range<usize>| self.alleles.get(at.clone()).unwrap_or_default();
        // no panel has the allele `*`: variants with other than two alleles are set aside
        let counted = if self.is_biallelic { allele(second) } else { b"*" };
        Ok(Some(Record {
            chromosome: self.chromosome,
            position: self.position,
            counted,
            other: allele(first),
            is_split: false,
        }))
    }

    fn genotypes(&mut self, words: &mut Vec<u64>) -> Result<(), GenoError> {
        let may_be_haploid = self.chromosome.is_some_and(Chromosome::may_be_haploid);
        let read = self.coding.read(&self.block, may_be_haploid, &mut self.caller, words);
        read.map_err(|problem| {
            let (file, place) = (self.input.file.clone(), self.input.place());
            match problem {
                genotypes::Problem::Damaged(what) => GenoError::file(&file, place, what),
                genotypes::Problem::Kind(what) => GenoError::Genotype { file, place, what },
            }
        })
    }

    fn doses(&self) -> &[u16] {
        self.caller.doses()
    }

    fn place(&self) -> Place {
        self.input.place()
    }

    fn progress(&self) -> (u64, u64) {
        (self.input.read, self.input.size)
    }

    fn notes(&self) -> Notes {
        self.caller.notes
    }
}

#[cfg(test)]
mod tests;
