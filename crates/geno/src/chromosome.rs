//! Names of chromosomes, and the two builds of the human genome in use.

use std::fmt;
use std::ops::Range;

/// In the order of the genome.
const NAMES: [&str; Chromosome::COUNT] = [
    "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16", "17",
    "18", "19", "20", "21", "22", "X", "Y", "MT",
];

/// Bases of each chromosome of GRCh37.
const GRCH37: [u32; Chromosome::COUNT] = [
    249_250_621,
    243_199_373,
    198_022_430,
    191_154_276,
    180_915_260,
    171_115_067,
    159_138_663,
    146_364_022,
    141_213_431,
    135_534_747,
    135_006_516,
    133_851_895,
    115_169_878,
    107_349_540,
    102_531_392,
    90_354_753,
    81_195_210,
    78_077_248,
    59_128_983,
    63_025_520,
    48_129_895,
    51_304_566,
    155_270_560,
    59_373_566,
    16_569,
];

/// Bases of each chromosome of GRCh38.
const GRCH38: [u32; Chromosome::COUNT] = [
    248_956_422,
    242_193_529,
    198_295_559,
    190_214_555,
    181_538_259,
    170_805_979,
    159_345_973,
    145_138_636,
    138_394_717,
    133_797_422,
    135_086_622,
    133_275_309,
    114_364_328,
    107_043_718,
    101_991_189,
    90_338_345,
    83_257_441,
    80_373_285,
    58_617_616,
    64_444_167,
    46_709_983,
    50_818_468,
    156_040_895,
    57_227_415,
    16_569,
];

/// A chromosome: 1 to 22, X, Y or MT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chromosome(u8);

impl Chromosome {
    /// How many there are.
    pub const COUNT: usize = 25;
    /// The mitochondrial one.
    pub(crate) const MT: Self = Self(24);

    /// Reads a name: `7`, `07`, `chr7`, `X`, `Y`, `M`, `MT`, or PLINK's numbers 23 (X), 24 (Y), 25 (the
    /// pseudo-autosomal part of X) and 26 (MT). `None` for anything else, such as contigs.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bare = match text.get(..3) {
            Some(start) if start.eq_ignore_ascii_case("chr") => text.get(3..)?,
            _ => text,
        };
        if bare.len() <= 2 && bare.bytes().all(|it| it.is_ascii_digit()) {
            return match bare.parse::<u8>().ok()? {
                number @ 1..=22 => Some(Self(number - 1)),
                23 | 25 => Some(Self(22)),
                24 => Some(Self(23)),
                26 => Some(Self(24)),
                _ => None,
            };
        }
        match bare.to_ascii_uppercase().as_str() {
            "X" | "XY" | "PAR1" | "PAR2" => Some(Self(22)),
            "Y" => Some(Self(23)),
            "M" | "MT" => Some(Self(24)),
            _ => None,
        }
    }

    /// `1` to `22`, `X`, `Y` or `MT`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(self.index()).copied().unwrap_or_default()
    }

    /// Its place in the order of the genome, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// Whether some or all people have one copy only.
    #[must_use]
    pub fn may_be_haploid(self) -> bool {
        self.index() >= 22
    }
}

/// A build of the human genome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// GRCh37, also hg19 or b37.
    Grch37,
    /// GRCh38, also hg38.
    Grch38,
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grch37 => "GRCh37",
            Self::Grch38 => "GRCh38",
        })
    }
}

impl Build {
    /// Reads a name: `GRCh37`, `hg19`, `b37`, `GRCh38`, `hg38`, `b38`, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "grch37" | "hg19" | "b37" => Some(Self::Grch37),
            "grch38" | "hg38" | "b38" => Some(Self::Grch38),
            _ => None,
        }
    }

    /// Bases of a chromosome.
    #[must_use]
    pub fn length(self, chromosome: Chromosome) -> u32 {
        let lengths = match self {
            Self::Grch37 => &GRCH37,
            Self::Grch38 => &GRCH38,
        };
        lengths.get(chromosome.index()).copied().unwrap_or_default()
    }

    /// Positions of X that Y does not share, from the first to before the last: between its two
    /// pseudo-autosomal parts. Without a build those that Y does not share in either.
    #[must_use]
    pub fn own_part_of_x(build: Option<Self>) -> Range<u32> {
        match build {
            Some(Self::Grch37) => 2_699_521..154_931_044,
            Some(Self::Grch38) => 2_781_480..155_701_383,
            None => 2_781_480..154_931_044,
        }
    }

    /// The build in which a chromosome has this length; `None` for another length, and for MT, which
    /// has the same in both.
    #[must_use]
    pub fn of_length(chromosome: Chromosome, length: u32) -> Option<Self> {
        let fits = |build: &Self| build.length(chromosome) == length;
        let build = [Self::Grch37, Self::Grch38].into_iter().find(fits);
        build.filter(|_| chromosome != Chromosome::MT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_programs_are_understood() {
        let name = |text| Chromosome::parse(text).map(Chromosome::name);
        for (text, wanted) in [
            ("1", "1"),
            ("chr1", "1"),
            ("01", "1"),
            ("CHR22", "22"),
            ("23", "X"),
            ("chrX", "X"),
            ("25", "X"),
            ("XY", "X"),
            ("24", "Y"),
            ("26", "MT"),
            ("chrM", "MT"),
            ("MT", "MT"),
        ] {
            assert_eq!(name(text), Some(wanted), "{text}");
        }
        for text in ["", "0", "27", "chr", "+1", "1_random", "chrUn", "GL000192.1", "001", "é"] {
            assert_eq!(name(text), None, "{text}");
        }
    }

    #[test]
    fn lengths_tell_the_build() {
        let one = Chromosome::parse("1").unwrap();
        assert_eq!(Build::of_length(one, 249_250_621), Some(Build::Grch37));
        assert_eq!(Build::of_length(one, 248_956_422), Some(Build::Grch38));
        assert_eq!(Build::of_length(one, 1), None);
        assert_eq!(Build::of_length(Chromosome::MT, 16_569), None);
        assert_eq!(Build::parse("hg19"), Some(Build::Grch37));
        // no chromosome but MT has the same length in both builds
        let same = (0..24)
            .map(Chromosome)
            .filter(|it| Build::Grch37.length(*it) == Build::Grch38.length(*it));
        assert_eq!(same.count(), 0);
    }
}
