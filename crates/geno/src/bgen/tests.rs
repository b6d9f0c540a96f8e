//! Files made by hand: what is read, and what is refused.

use super::*;
use flate2::Compression as Level;
use flate2::write::ZlibEncoder;
use konsil_kernels::Packed;
use std::fs;
use std::io::Write;
use tempfile::TempDir;

/// A file of three people.
struct File3 {
    ids: Option<[&'static str; 3]>,
    flags: u32,
    chromosome: &'static str,
    alleles: Vec<&'static str>,
    ploidies: [u8; 3],
    phased: u8,
    bits: u8,
    values: Vec<u8>,
}

impl File3 {
    fn new() -> Self {
        Self {
            ids: Some(["A", "0_B", "C_C"]),
            flags: 2 << 2,
            chromosome: "01",
            alleles: vec!["A", "G"],
            ploidies: [2, 2, 0x82],
            phased: 0,
            bits: 8,
            values: vec![255, 0, 20, 235, 0, 0],
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut ids = Vec::new();
        if let Some(names) = self.ids {
            let texts: Vec<u8> = names
                .iter()
                .flat_map(|it| {
                    [&u16::try_from(it.len()).unwrap().to_le_bytes()[..], it.as_bytes()].concat()
                })
                .collect();
            ids.extend(u32::try_from(texts.len() + 8).unwrap().to_le_bytes());
            ids.extend(3_u32.to_le_bytes());
            ids.extend(texts);
        }
        let mut plain = 3_u32.to_le_bytes().to_vec();
        plain.extend(u16::try_from(self.alleles.len()).unwrap().to_le_bytes());
        plain.extend([1, 2]);
        plain.extend(self.ploidies);
        plain.extend([self.phased, self.bits]);
        plain.extend(&self.values);
        let size = u32::try_from(plain.len()).unwrap().to_le_bytes();
        let block = match self.flags & 3 {
            1 => {
                let mut encoder = ZlibEncoder::new(size.to_vec(), Level::fast());
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            }
            2 => [&size[..], &zstd::bulk::compress(&plain, 1).unwrap()].concat(),
            _ => plain,
        };
        let flags = self.flags | u32::from(self.ids.is_some()) << 31;
        let mut file = u32::try_from(20 + ids.len()).unwrap().to_le_bytes().to_vec();
        [20, 2, 3].iter().for_each(|it: &u32| file.extend(it.to_le_bytes()));
        file.extend(b"bgen");
        file.extend(flags.to_le_bytes());
        file.extend(ids);
        for position in [5_u32, 6] {
            for text in ["id", "rs", self.chromosome] {
                file.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
                file.extend(text.as_bytes());
            }
            file.extend(position.to_le_bytes());
            file.extend(u16::try_from(self.alleles.len()).unwrap().to_le_bytes());
            for allele in &self.alleles {
                file.extend(u32::try_from(allele.len()).unwrap().to_le_bytes());
                file.extend(allele.as_bytes());
            }
            file.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
            file.extend(&block);
        }
        file
    }
}

/// Ids, genotypes of each variant, and what had to be decided.
type Read3 = (Vec<String>, Vec<Vec<u8>>, Notes);

fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.bgen");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn read_at(path: &Path) -> Result<Read3, GenoError> {
    let mut bgen = Bgen::open(path)?;
    let ids = bgen.samples().iter().map(|it| it.other.clone().unwrap_or(it.id.clone())).collect();
    let (mut all, mut words) = (Vec::new(), Vec::new());
    while let Some(record) = bgen.next()? {
        assert_eq!((record.position as usize, record.other), (all.len() + 5, &b"A"[..]));
        bgen.genotypes(&mut words)?;
        let packed = Packed::new(3, words.clone()).unwrap();
        assert_eq!(packed.words(), words);
        all.push((0..3).map(|it| packed.genotype(0, it)).collect());
    }
    assert_eq!(bgen.progress().0, bgen.progress().1);
    Ok((ids, all, bgen.notes()))
}

fn read(file: &File3) -> Result<Read3, GenoError> {
    let (_folder, path) = written(&file.bytes());
    read_at(&path)
}

#[test]
fn probabilities_of_both_widths_and_all_packings_are_read() {
    for packing in 0..3 {
        let mut file = File3::new();
        file.flags |= packing;
        let (ids, all, notes) = read(&file).unwrap();
        assert_eq!(ids, ["A", "B", "C"]);
        assert_eq!((all, notes.unclear), (vec![vec![0, 1, 3]; 2], 0), "{packing}");
        file.bits = 16;
        file.values =
            [0_u16, 0, 30_000, 30_000, 0, 0].iter().flat_map(|it| it.to_le_bytes()).collect();
        let (_, all, notes) = read(&file).unwrap();
        assert_eq!((all, notes.unclear), (vec![vec![2, 3, 3]; 2], 2), "{packing}");
    }
    let mut men = File3::new();
    (men.chromosome, men.ploidies, men.values) = ("X", [1, 2, 0x81], vec![0, 0, 0, 0]);
    let (_, all, notes) = read(&men).unwrap();
    assert_eq!((all, notes.haploid), (vec![vec![2, 2, 3]; 2], 2));
}

#[test]
fn ids_come_from_the_file_or_from_beside() {
    let mut file = File3::new();
    file.ids = None;
    let (_folder, path) = written(&file.bytes());
    let error = read_at(&path).unwrap_err();
    assert!(error.code() == "K0124" && error.to_string().contains("x.sample"), "{error}");
    let sample = path.with_extension("sample");
    let good = "ID_1 ID_2 missing\n0 0 0\nF A 0\nF B 0\nF C 0\n";
    fs::write(&sample, good).unwrap();
    assert_eq!(read_at(&path).unwrap().0, ["F_A", "F_B", "F_C"]);
    for (text, code, words) in [
        (good.replace("F C 0\n", ""), "K0124", "2 people, the genotypes are of 3"),
        (good.replace("0 0 0\n", ""), "K0123", "line 2"),
        (good.replace("ID_1 ", ""), "K0123", "line 1"),
        (good.replace("F B 0", "F"), "K0123", "line 4"),
    ] {
        fs::write(&sample, text).unwrap();
        let error = read_at(&path).unwrap_err();
        assert!(error.code() == code && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn what_cannot_be_counted_is_refused_with_its_variant() {
    let refused = |change: &dyn Fn(&mut File3), code: &str, words: &str| {
        let mut file = File3::new();
        change(&mut file);
        let error = read(&file).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(&|it| it.phased = 1, "K0126", "variant 1: phased");
    refused(&|it| it.bits = 12, "K0126", "12 bits");
    refused(&|it| it.flags = 1 << 2, "K0122", "qctool");
    refused(&|it| it.flags |= 3, "K0121", "packed");
    refused(
        &|it| (it.ploidies, it.values) = ([3, 2, 2], vec![0; 7]),
        "K0126",
        "person 1: 3 copies",
    );
    refused(
        &|it| (it.ploidies, it.values) = ([2, 1, 2], vec![0; 5]),
        "K0126",
        "person 2: 1 copies",
    );
    refused(&|it| it.values = vec![200, 200, 0, 0, 0, 0], "K0121", "more than 1");
    refused(&|it| it.values = vec![0; 5], "K0121", "cut");
    refused(
        &|it| (it.flags, it.values) = (2 << 2 | 1, vec![0; 100]),
        "K0126",
        "more than two copies",
    );
    let mut three = File3::new();
    three.alleles = vec!["A", "G", "T"];
    let (_folder, path) = written(&three.bytes());
    assert_eq!(Bgen::open(&path).unwrap().next().unwrap().unwrap().counted, b"*");
}

// Cut anywhere, or with any number of the header or a block changed: named, no panic, no memory.
#[test]
fn cut_and_damaged_files_are_named() {
    for packing in 0..3 {
        let mut file = File3::new();
        file.flags |= packing;
        let good = file.bytes();
        for end in 0..good.len() {
            let (_folder, path) = written(&good[..end]);
            let error = read_at(&path).unwrap_err();
            assert_eq!(error.code(), "K0121", "{end}: {error}");
        }
        for at in 0..good.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[at] ^= change;
                let (_folder, path) = written(&changed);
                let Ok(mut bgen) = Bgen::open(&path) else { continue };
                let mut words = Vec::new();
                while let Ok(Some(_)) = bgen.next() {
                    let _read = bgen.genotypes(&mut words);
                    assert!(words.len() <= 1);
                }
            }
        }
    }
}
