//! PLINK 1: `.bed` with genotypes, `.bim` with variants, `.fam` with people.

use crate::bits::from_plink;
use crate::chromosome::{Build, Chromosome};
use crate::error::{GenoError, Place};
use crate::lines::{Counter, Lines, fields, number, text};
use crate::source::{Record, Sample, Source};
use konsil_cohort::Sex;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

const MAGIC: [u8; 2] = [0x6c, 0x1b];
const VARIANT_MAJOR: u8 = 1;
const HEAD_BYTES: u64 = 3;
/// Bytes of the longest line of a .bim or .fam.
const LINE_MAX: usize = 1 << 20;
/// People of the largest file.
const PEOPLE_MAX: usize = 10_000_000;

/// A PLINK 1 file set, read variant by variant.
pub struct Plink {
    bed: PathBuf,
    bim: Lines,
    reader: BufReader<File>,
    samples: Vec<Sample>,
    /// Genotypes of the present variant, as the file has them.
    row: Vec<u8>,
    variants: u64,
    /// Variants that were read.
    read: u64,
    /// Of the present line of the .bim, where each allele stands.
    alleles: [(usize, usize); 2],
}

impl std::fmt::Debug for Plink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plink[{} x {}]", self.variants, self.samples.len())
    }
}

/// One line of a .bim.
struct BimLine {
    chromosome: Option<Chromosome>,
    position: u32,
    /// First and second allele: begin and end within the line.
    alleles: [(usize, usize); 2],
}

impl Plink {
    /// Opens `NAME.bed` with `NAME.bim` and `NAME.fam` beside it; any of the three may be named. All of
    /// the .bim and .fam is checked, and the size of the .bed against both, before a genotype is read.
    ///
    /// # Errors
    /// [`GenoError::Convert`] for genotypes person by person, [`GenoError::File`] with the line or byte
    /// for files that are damaged or do not belong together, [`GenoError::Links`] for people twice.
    pub fn open(path: &Path) -> Result<Self, GenoError> {
        let bed = path.with_extension("bed");
        let (bim, fam) = (path.with_extension("bim"), path.with_extension("fam"));
        let samples = read_fam(&fam)?;
        let variants = check_bim(&bim)?;
        let file = File::open(&bed).map_err(|source| GenoError::io(&bed, source))?;
        let size = file.metadata().map_err(|source| GenoError::io(&bed, source))?.len();
        let mut reader = BufReader::with_capacity(1 << 20, file);
        check_head(&bed, &mut reader)?;
        let stride = samples.len().div_ceil(4);
        let wanted = variants.checked_mul(stride as u64).and_then(|it| it.checked_add(HEAD_BYTES));
        if wanted != Some(size) {
            let wanted = wanted.map_or_else(|| "too many".to_owned(), |it| it.to_string());
            let what = format!(
                "the file has {size} bytes, but {variants} variants of the .bim and {} people of the \
                 .fam take {wanted}; the three files do not belong together, or one is cut",
                samples.len()
            );
            return Err(GenoError::file(&bed, Place::Whole, what));
        }
        let bim = Lines::open(&bim, LINE_MAX, &Counter::default())?;
        let alleles = [(0, 0); 2];
        Ok(Self { bed, bim, reader, samples, row: vec![0; stride], variants, read: 0, alleles })
    }

    fn row_at(&self) -> u64 {
        HEAD_BYTES + self.read.saturating_sub(1) * self.row.len() as u64
    }
}

impl Source for Plink {
    fn file(&self) -> &Path {
        &self.bed
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn build(&self) -> Option<Build> {
        None
    }

    fn next(&mut self) -> Result<Option<Record<'_>>, GenoError> {
        if self.read == self.variants {
            return Ok(None);
        }
        self.read += 1;
        let at = self.row_at();
        self.reader.read_exact(&mut self.row).map_err(|_| {
            GenoError::file(&self.bed, Place::Byte(at), "the file ends here; copy it again")
        })?;
        if self.bim.next()?.is_none() {
            let what = "the file has become shorter while it was read";
            return Err(GenoError::file(self.bim.file(), self.bim.place(), what));
        }
        let line = bim_line(self.bim.line())
            .map_err(|what| GenoError::file(self.bim.file(), self.bim.place(), what))?;
        self.alleles = line.alleles;
        let allele = |at: usize| {
            let (begin, end) = self.alleles.get(at).copied().unwrap_or_default();
            self.bim.line().get(begin..end).unwrap_or_default()
        };
        Ok(Some(Record {
            chromosome: line.chromosome,
            position: line.position,
            counted: allele(0),
            other: allele(1),
            is_split: false,
        }))
    }

    fn genotypes(&mut self, words: &mut Vec<u64>) -> Result<(), GenoError> {
        from_plink(&self.row, self.samples.len(), words);
        Ok(())
    }

    fn place(&self) -> Place {
        Place::Variant(self.read)
    }

    fn progress(&self) -> (u64, u64) {
        let stride = self.row.len() as u64;
        (self.read * stride, self.variants * stride)
    }
}

/// The first three bytes: what the file is, and in which order its genotypes are.
fn check_head(bed: &Path, reader: &mut impl Read) -> Result<(), GenoError> {
    let mut head = [0_u8; 3];
    reader.read_exact(&mut head).map_err(|_| {
        GenoError::file(bed, Place::Byte(0), "the file has less than 3 bytes; copy it again")
    })?;
    let [first, second, mode] = head;
    if [first, second] != MAGIC {
        let what = "the file does not begin as a PLINK 1 .bed does (6c 1b); is it another kind of \
                    file, or damaged?";
        return Err(GenoError::file(bed, Place::Byte(0), what));
    }
    match mode {
        VARIANT_MAJOR => Ok(()),
        0 => Err(GenoError::Convert {
            file: bed.to_owned(),
            what: "genotypes are stored person by person (mode byte 00), as old programs did"
                .to_owned(),
            command: format!(
                "plink1.9 --bfile {0} --keep-allele-order --make-bed --out {0}.variants",
                bed.with_extension("").display()
            ),
        }),
        other => {
            let what =
                format!("the mode byte is {other:02x}; 01 was expected: the file is damaged");
            Err(GenoError::file(bed, Place::Byte(2), what))
        }
    }
}

/// People of a .fam. Two families may use the same id: then it is written with the family's.
pub(crate) fn read_fam(fam: &Path) -> Result<Vec<Sample>, GenoError> {
    let mut lines = Lines::open(fam, LINE_MAX, &Counter::default())?;
    let mut people: Vec<(String, String, Sex, Place)> = Vec::new();
    let mut empty: Option<Place> = None;
    while lines.next()?.is_some() {
        let place = lines.place();
        let wrong = |what: &str| GenoError::file(fam, place, what);
        let mut own = fields(lines.line());
        let Some(family) = own.next() else {
            empty = empty.or(Some(place));
            continue;
        };
        if let Some(empty) = empty {
            return Err(GenoError::file(fam, empty, "an empty line between people"));
        }
        let names = (text(family), own.next().map(text));
        let (Some(family), Some(Some(id))) = names else {
            return Err(wrong("a line begins with the ids of family and person, in UTF-8"));
        };
        let [_, _, sex, phenotype] = [(); 4].map(|()| own.next());
        if phenotype.is_none() || own.next().is_some() {
            return Err(wrong(
                "a line has six fields: family, person, father, mother, sex, phenotype",
            ));
        }
        if people.len() >= PEOPLE_MAX {
            return Err(wrong("there are more than ten million people"));
        }
        let sex = sex.and_then(text).and_then(Sex::parse).unwrap_or_default();
        people.push((family.to_owned(), id.to_owned(), sex, place));
    }
    if people.is_empty() {
        return Err(GenoError::file(fam, Place::Whole, "the file has no people"));
    }
    let mut seen: HashMap<(&str, &str), Place> = HashMap::with_capacity(people.len());
    let mut uses: HashMap<&str, u32> = HashMap::with_capacity(people.len());
    for (family, id, _, place) in &people {
        if let Some(before) = seen.insert((family, id), *place) {
            let what = format!(
                "the same family and person as in{}",
                before.to_string().trim_start_matches(',')
            );
            return Err(GenoError::links(fam, *place, what));
        }
        *uses.entry(id).or_default() += 1;
    }
    let sample = |(family, id, sex, place): &(String, String, Sex, Place)| {
        let whole = format!("{family}_{id}");
        let is_unique = uses.get(id.as_str()) == Some(&1);
        let (sex, place) = (*sex, *place);
        match is_unique {
            true => Sample { id: id.clone(), other: Some(whole), sex, place },
            false => Sample { id: whole, other: None, sex, place },
        }
    };
    Ok(people.iter().map(sample).collect())
}

/// Checks every line of a .bim and counts them.
fn check_bim(bim: &Path) -> Result<u64, GenoError> {
    let mut lines = Lines::open(bim, LINE_MAX, &Counter::default())?;
    let mut variants = 0_u64;
    while lines.next()?.is_some() {
        bim_line(lines.line()).map_err(|what| GenoError::file(bim, lines.place(), what))?;
        variants += 1;
    }
    if variants == 0 {
        return Err(GenoError::file(bim, Place::Whole, "the file has no variants"));
    }
    Ok(variants)
}

fn bim_line(line: &[u8]) -> Result<BimLine, &'static str> {
    let six = "a line has six fields: chromosome, name, centimorgan, position, two alleles";
    let mut own = fields(line);
    let mut field = || own.next().ok_or(six);
    let (name, _id, _cm, position) = (field()?, field()?, field()?, field()?);
    let (first, second) = (field()?, field()?);
    if own.next().is_some() {
        return Err(six);
    }
    let position: i64 = number(position).ok_or("the position is no whole number")?;
    // a field is a part of the line
    let place = |field: &[u8]| {
        let begin = field.as_ptr().addr() - line.as_ptr().addr();
        (begin, begin + field.len())
    };
    Ok(BimLine {
        chromosome: text(name).and_then(Chromosome::parse),
        // positions below 1 are PLINK's way to leave a variant out
        position: u32::try_from(position).unwrap_or(0),
        alleles: [place(first), place(second)],
    })
}

/// The error for a PLINK 2 file, with the line that converts it.
pub(crate) fn pgen_error(path: &Path) -> GenoError {
    let stem = path.with_extension("");
    GenoError::Convert {
        file: path.to_owned(),
        what: "PLINK 2 files are not read".to_owned(),
        command: format!("plink2 --pfile {0} --make-bed --out {0}", stem.display()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use konsil_kernels::Packed;
    use std::fs;

    pub(crate) const BIM: &str = "1\trs1\t0\t100\tG\tA\nchrX rs2 0.5 7 T G\n0 . 0 0 0 C\n";
    pub(crate) const FAM: &str =
        "F1 P1 0 0 1 -9\nF1 P2 0 0 2 -9\nF2 P1 0 0 1 -9\nF3 P3 0 0 0 1\nF4 P4 0 0 1 2\n";
    pub(crate) const BED: [u8; 9] =
        [0x6c, 0x1b, 1, 0b11_10_01_00, 0b10, 0xff, 0b11, 0b01_01_01_01, 0b01];

    fn write(folder: &Path, bed: &[u8], bim: &str, fam: &str) -> PathBuf {
        let path = folder.join("small.bed");
        fs::write(&path, bed).unwrap();
        fs::write(path.with_extension("bim"), bim).unwrap();
        fs::write(path.with_extension("fam"), fam).unwrap();
        path
    }

    #[test]
    fn variants_and_people_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &BED, BIM, FAM);
        let mut plink = Plink::open(&path.with_extension("fam")).unwrap();
        let ids: Vec<_> =
            plink.samples().iter().map(|it| (it.id.clone(), it.other.clone())).collect();
        let other = |id: &str| (id.to_owned(), None);
        assert_eq!(ids[0], other("F1_P1"));
        assert_eq!(ids[1], ("P2".to_owned(), Some("F1_P2".to_owned())));
        assert_eq!(ids[2], other("F2_P1"));
        let record = plink.next().unwrap().unwrap();
        assert_eq!((record.chromosome, record.position), (Chromosome::parse("1"), 100));
        assert_eq!((record.counted, record.other), (&b"G"[..], &b"A"[..]));
        let mut words = Vec::new();
        plink.genotypes(&mut words).unwrap();
        let packed = Packed::new(5, words.clone()).unwrap();
        let genotypes: Vec<u8> = (0..5).map(|it| packed.genotype(0, it)).collect();
        assert_eq!((genotypes, packed.words()), (vec![2, 3, 1, 0, 1], words.as_slice()));
        assert_eq!(plink.next().unwrap().unwrap().chromosome, Chromosome::parse("X"));
        let last = plink.next().unwrap().unwrap();
        assert_eq!((last.chromosome, last.position, last.counted), (None, 0, &b"0"[..]));
        assert!(plink.next().unwrap().is_none());
        assert_eq!(plink.progress(), (6, 6));
    }

    // Each damage is named with its file and place before any genotype is read.
    #[test]
    fn damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let open = |bed: &[u8], bim: &str, fam: &str| {
            let error = Plink::open(&write(folder.path(), bed, bim, fam)).unwrap_err();
            (error.code(), error.to_string())
        };
        let cases = [
            (open(&BED[..8], BIM, FAM), "K0121", "8 bytes"),
            (open(&[BED.as_slice(), &[0]].concat(), BIM, FAM), "K0121", "take 9"),
            (open(&[0x1f, 0x8b, 1, 0], BIM, FAM), "K0121", "byte 0"),
            (open(&BED[..2], BIM, FAM), "K0121", "less than 3"),
            (open(&[0x6c, 0x1b, 0, 0], BIM, FAM), "K0122", "plink1.9 --bfile"),
            (open(&[0x6c, 0x1b, 2, 0], BIM, FAM), "K0121", "byte 2"),
            (open(&BED, "", FAM), "K0121", "no variants"),
            (open(&BED, "1 a 0 1 A\n", FAM), "K0121", "bim, line 1"),
            (open(&BED, &BIM.replace("\t100\t", "\t1e2\t"), FAM), "K0121", "bim, line 1"),
            (open(&BED, &BIM.replace("chrX rs2", "chrX\nrs2"), FAM), "K0121", "bim, line 2"),
            (open(&BED, BIM, ""), "K0121", "no people"),
            (open(&BED, BIM, &FAM.replace("F2 P1 0", "F2 P1")), "K0121", "fam, line 3"),
            (open(&BED, BIM, &FAM.replace("F2", "\nF2")), "K0121", "fam, line 3: an empty"),
            (
                open(&BED, BIM, &FAM.replace("F2", "F1")),
                "K0123",
                "fam, line 3: the same family and person as in line 1",
            ),
            (open(&BED, &"A".repeat(LINE_MAX + 1), FAM), "K0127", "line 1"),
        ];
        for ((code, text), wanted, words) in cases {
            assert_eq!(code, wanted, "{text}");
            assert!(text.contains(words), "{text}: {words}");
            assert!(!text.contains("P1"), "names a person: {text}");
        }
        // any byte changed, cut anywhere: read or refused
        for (at, kind) in (0..BIM.len()).map(|it| (it, 0)).chain((0..FAM.len()).map(|it| (it, 1))) {
            let text = [BIM, FAM][kind].as_bytes();
            for byte in [b' ', b'\n', 0xff, 0, b'9'] {
                let mut changed = text.to_vec();
                changed[at] = byte;
                for bytes in [&changed[..], &text[..at]] {
                    let path = write(folder.path(), &BED, BIM, FAM);
                    fs::write(path.with_extension(["bim", "fam"][kind]), bytes).unwrap();
                    let Ok(mut plink) = Plink::open(&path) else { continue };
                    while plink.next().unwrap().is_some() {}
                }
            }
        }
        let error = pgen_error(Path::new("a/x.pgen")).to_string();
        assert!(error.contains("plink2 --pfile a/x --make-bed --out a/x"), "{error}");
        fs::remove_file(folder.path().join("small.bim")).unwrap();
        assert_eq!(Plink::open(&folder.path().join("small.bed")).unwrap_err().code(), "K0701");
    }
}
