//! From called alleles, doses and probabilities to genotypes.

use crate::doses::nearest;
use crate::source::Notes;
use konsil_kernels::DOSE_MISSING;

/// What becomes of a call with one allele missing, such as `0/.`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfCall {
    /// A missing genotype.
    #[default]
    Missing,
    /// The missing allele is the reference.
    Reference,
    /// Two copies of the allele that was called.
    Haploid,
    /// The end of the import.
    Error,
}

/// How far a dose may be from a whole number: 0.1, and what 1.9 is off it in binary.
pub(crate) const DOSE_TOLERANCE: f64 = 0.1 + 1e-7;

/// One called allele: its number, or none.
pub(crate) type Allele = Option<u32>;

/// Turns calls into genotypes, and counts what had to be decided.
#[derive(Clone, Default)]
pub(crate) struct Caller {
    pub(crate) half_call: HalfCall,
    pub(crate) notes: Notes,
    /// Whether doses are kept beside genotypes.
    pub(crate) keeps_doses: bool,
    /// Those of the present variant.
    doses: Vec<u16>,
}

impl Caller {
    pub(crate) fn new(half_call: HalfCall) -> Self {
        Self { half_call, ..Self::default() }
    }

    /// Begins another variant.
    pub(crate) fn begin(&mut self) {
        self.doses.clear();
    }

    /// Keeps the next person's dose, if doses are kept.
    pub(crate) fn keep(&mut self, dose: Option<f64>) {
        if self.keeps_doses {
            self.doses.push(dose.map_or(DOSE_MISSING, nearest));
        }
    }

    /// The doses of the present variant.
    pub(crate) fn doses(&self) -> &[u16] {
        &self.doses
    }

    /// The dose of a called person: of one copy, if the call is of one, from 0 to 1.
    pub(crate) fn called_dose(
        &mut self,
        dose: Option<f64>,
        is_haploid: bool,
    ) -> Result<(), &'static str> {
        if is_haploid && dose.is_some_and(|it| it > 1.0) {
            return Err("a call of one copy with a dose above 1; import with --doses off");
        }
        self.keep(if is_haploid { dose.map(|it| 2.0 * it) } else { dose });
        Ok(())
    }

    /// Copies of the allele `counted` in a call of one or two alleles; 3 for missing.
    pub(crate) fn call(
        &mut self,
        alleles: &[Allele],
        counted: u32,
        may_be_haploid: bool,
    ) -> Result<u8, &'static str> {
        let is = |allele: u32| u8::from(allele == counted);
        match *alleles {
            [Some(one), Some(other)] => Ok(is(one) + is(other)),
            [None, None] | [None] | [] => Ok(3),
            [Some(one), None] | [None, Some(one)] => {
                self.notes.half_calls += 1;
                match self.half_call {
                    HalfCall::Missing => Ok(3),
                    HalfCall::Reference => Ok(is(one)),
                    HalfCall::Haploid => Ok(2 * is(one)),
                    HalfCall::Error => {
                        Err("a call with one allele missing; choose what becomes of it \
                        with --half-call missing, reference or haploid")
                    }
                }
            }
            [Some(one)] if may_be_haploid => {
                self.notes.haploid += 1;
                Ok(2 * is(one))
            }
            [Some(_)] => Err("a genotype of one copy, on a chromosome of which people have two"),
            _ => {
                Err("a genotype of more than two copies (ploidy 3 or more); leave these people or \
                      variants out")
            }
        }
    }

    /// The genotype that a dose of 0 to 2 copies is near to; 3 where it is near to none.
    pub(crate) fn dose(&mut self, dose: f64) -> u8 {
        for (genotype, whole) in [(0, 0.0), (1, 1.0), (2, 2.0)] {
            if (dose - whole).abs() <= DOSE_TOLERANCE {
                return genotype;
            }
        }
        self.notes.unclear += 1;
        3
    }
}

/// Genotypes of one variant, put together person by person.
pub(crate) struct Row<'a> {
    words: &'a mut Vec<u64>,
    word: u64,
    shift: u32,
}

impl<'a> Row<'a> {
    pub(crate) fn new(words: &'a mut Vec<u64>) -> Self {
        words.clear();
        Self { words, word: u64::MAX, shift: 0 }
    }

    pub(crate) fn push(&mut self, genotype: u8) {
        self.word ^= u64::from(genotype & 3 ^ 3) << self.shift;
        self.shift += 2;
        if self.shift == u64::BITS {
            self.words.push(self.word);
            (self.word, self.shift) = (u64::MAX, 0);
        }
    }

    /// Ends the row; what is left of the last word is missing.
    pub(crate) fn end(self) {
        if self.shift > 0 {
            self.words.push(self.word);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_become_genotypes() {
        let mut caller = Caller::default();
        for (alleles, counted, wanted) in [
            (&[Some(0), Some(0)][..], 1, 0),
            (&[Some(0), Some(1)], 1, 1),
            (&[Some(1), Some(1)], 1, 2),
            (&[Some(1), Some(2)], 1, 1),
            (&[Some(1), Some(2)], 2, 1),
            (&[Some(2), Some(2)], 1, 0),
            (&[None, None], 1, 3),
            (&[None], 1, 3),
            (&[], 1, 3),
            (&[Some(0), None], 1, 3),
            (&[Some(1)], 1, 2),
            (&[Some(0)], 1, 0),
        ] {
            assert_eq!(caller.call(alleles, counted, true), Ok(wanted), "{alleles:?}");
        }
        assert_eq!((caller.notes.half_calls, caller.notes.haploid), (1, 2));
        assert!(caller.call(&[Some(1)], 1, false).unwrap_err().contains("one copy"));
        assert!(caller.call(&[Some(1); 3], 1, true).unwrap_err().contains("ploidy 3"));
        assert!(caller.call(&[None; 3], 1, true).unwrap_err().contains("ploidy 3"));
        let half = |rule| Caller::new(rule).call(&[None, Some(1)], 1, false);
        assert_eq!((half(HalfCall::Reference), half(HalfCall::Haploid)), (Ok(1), Ok(2)));
        assert!(half(HalfCall::Error).unwrap_err().contains("--half-call"));
        let doses = [0.0, 0.1, 0.11, 0.95, 1.5, 1.9, 2.0, 2.2, f64::NAN, f64::INFINITY];
        let genotypes = doses.map(|it| caller.dose(it));
        assert_eq!((genotypes, caller.notes.unclear), ([0, 0, 3, 1, 3, 2, 2, 3, 3, 3], 5));
    }

    #[test]
    fn rows_are_padded_with_missing() {
        let mut words = vec![7];
        let mut row = Row::new(&mut words);
        (0..33).for_each(|_| row.push(1));
        row.end();
        assert_eq!(words, [0x5555_5555_5555_5555, u64::MAX << 2 | 1]);
        Row::new(&mut words).end();
        assert!(words.is_empty());
    }
}
