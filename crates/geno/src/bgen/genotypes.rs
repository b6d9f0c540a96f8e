//! Probabilities of one variant of a BGEN file, as genotypes.

use crate::calls::{Caller, Row};
use flate2::{Decompress, FlushDecompress, Status};

/// The least probability of a genotype that is one: 0.9, and what 8 bits are off it.
const SURE: f64 = 0.9 - 0.5 / 255.0;
/// Bytes before the ploidies.
const HEAD_BYTES: usize = 8;

/// How genotypes are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    None,
    Zlib,
    Zstd,
}

/// Why the genotypes of a variant cannot be read.
pub(super) enum Problem {
    /// The file.
    Damaged(String),
    /// What they are.
    Kind(String),
}

/// What is the same for all variants of a file.
pub(super) struct Coding {
    people: usize,
    compression: Compression,
    plain: Vec<u8>,
}

fn damaged(what: &str) -> Problem {
    Problem::Damaged(format!("{what}; the file is damaged"))
}

impl Coding {
    pub(super) fn new(people: usize, compression: Compression) -> Self {
        Self { people, compression, plain: Vec::new() }
    }

    /// Reads a variant with two alleles: copies of the second.
    pub(super) fn read(
        &mut self,
        block: &[u8],
        may_be_haploid: bool,
        caller: &mut Caller,
        words: &mut Vec<u64>,
    ) -> Result<(), Problem> {
        self.unpack(block)?;
        let people = self.people;
        let short = || damaged("the probabilities are cut");
        let (head, rest) = self.plain.split_first_chunk::<HEAD_BYTES>().ok_or_else(short)?;
        let [n0, n1, n2, n3, k0, k1, _least, _most] = *head;
        let count = u32::from_le_bytes([n0, n1, n2, n3]);
        if usize::try_from(count) != Ok(people) || u16::from_le_bytes([k0, k1]) != 2 {
            return Err(damaged(
                "the variant has another number of people or alleles than the header",
            ));
        }
        let (ploidies, rest) = rest.split_at_checked(people).ok_or_else(short)?;
        let ([phased, bits], values) = rest.split_first_chunk::<2>().ok_or_else(short)?;
        if *phased != 0 {
            let what = "phased probabilities; write them unphased, for instance with  plink2 --bgen \
                        FILE ref-first --sample FILE --erase-phase --export bgen-1.2 bits=8";
            return Err(Problem::Kind(what.to_owned()));
        }
        let width = match bits {
            8 => 1,
            16 => 2,
            bits => {
                let what = format!(
                    "probabilities of {bits} bits; 8 and 16 are read: write them anew with  plink2 \
                     --export bgen-1.2 bits=8"
                );
                return Err(Problem::Kind(what));
            }
        };
        let stored: usize = ploidies.iter().map(|it| usize::from(it & 0x3f) * width).sum();
        if values.len() != stored {
            return Err(short());
        }
        let mut row = Row::new(words);
        caller.begin();
        let mut values = Values { bytes: values, width };
        for (person, ploidy) in ploidies.iter().enumerate() {
            let is_missing = ploidy & 0x80 != 0;
            let genotype = match ploidy & 0x3f {
                2 => values.diploid(),
                1 if may_be_haploid => {
                    caller.notes.haploid += u64::from(!is_missing);
                    values.haploid()
                }
                1 if is_missing => values.haploid(),
                copies => {
                    let what =
                        format!("person {}: {copies} copies where people have two", person + 1);
                    return Err(Problem::Kind(what));
                }
            };
            let (genotype, dose) =
                genotype.ok_or_else(|| damaged("probabilities of more than 1"))?;
            caller.keep(Some(dose).filter(|_| !is_missing));
            caller.notes.unclear += u64::from(genotype == 3 && !is_missing);
            row.push(if is_missing { 3 } else { genotype });
        }
        row.end();
        Ok(())
    }

    fn unpack(&mut self, block: &[u8]) -> Result<(), Problem> {
        // two copies of at most 32 bits: no variant that can be read has more
        let most = HEAD_BYTES + 2 + self.people * 9;
        if self.compression == Compression::None {
            self.plain.clear();
            self.plain.extend_from_slice(block);
            return Ok(());
        }
        let (size, packed) = block.split_first_chunk().ok_or_else(|| damaged("no genotypes"))?;
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        if size > most {
            let what = "genotypes of more than two copies, or of more than 32 bits";
            return Err(Problem::Kind(what.to_owned()));
        }
        self.plain.clear();
        self.plain.resize(size, 0);
        let is_whole = match self.compression {
            Compression::Zlib => {
                let mut decoder = Decompress::new(true);
                let status = decoder.decompress(packed, &mut self.plain, FlushDecompress::Finish);
                matches!(status, Ok(Status::StreamEnd)) && decoder.total_out() == size as u64
            }
            _ => {
                let read = zstd::bulk::decompress_to_buffer(packed, self.plain.as_mut_slice());
                read.is_ok_and(|it| it == size)
            }
        };
        match is_whole {
            true => Ok(()),
            false => Err(damaged("the genotypes cannot be unpacked")),
        }
    }
}

/// Probabilities, one after another.
struct Values<'a> {
    bytes: &'a [u8],
    width: usize,
}

impl Values<'_> {
    /// The next probability.
    fn next(&mut self) -> Option<f64> {
        let (own, rest) = self.bytes.split_at_checked(self.width)?;
        self.bytes = rest;
        match *own {
            [one] => Some(f64::from(one) / 255.0),
            [one, two] => Some(f64::from(u16::from_le_bytes([one, two])) / 65_535.0),
            _ => None,
        }
    }

    /// Of two copies of the first allele, and of one; the rest is of none.
    fn diploid(&mut self) -> Option<(u8, f64)> {
        let (none, one) = (self.next()?, self.next()?);
        surest(&[(0, none), (1, one), (2, 1.0 - none - one)])
    }

    /// Of the first allele; the rest is of the second.
    fn haploid(&mut self) -> Option<(u8, f64)> {
        let none = self.next()?;
        surest(&[(0, none), (2, 1.0 - none)])
    }
}

/// The genotype that is sure, 3 where none is, and the copies that are expected; none for what are no
/// probabilities.
fn surest(genotypes: &[(u8, f64)]) -> Option<(u8, f64)> {
    if genotypes.iter().any(|(_, probability)| *probability < -1e-9) {
        return None;
    }
    let sure = genotypes.iter().find(|(_, probability)| *probability >= SURE);
    let copies = genotypes.iter().map(|(copies, probability)| f64::from(*copies) * probability);
    Some((sure.map_or(3, |it| it.0), copies.sum()))
}
