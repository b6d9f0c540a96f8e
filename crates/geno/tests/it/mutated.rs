//! Files that are nearly right: changed at random from a seed, they are read or refused by name, and
//! never end the program. `KONSIL_CASES` sets how many of each.

use crate::made::Numbers;
use konsil_geno::{GenoError, OpenOptions, open};
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that lengths and marks are made of.
const ODD: [u8; 10] = [0, 1, 0x7f, 0x80, 0xff, b'\t', b'\n', b',', b'.', b'9'];

fn cases() -> u64 {
    std::env::var("KONSIL_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(600)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn changed(bytes: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=numbers.below(4) {
        let length = bytes.len() as u64;
        if length < 2 {
            break;
        }
        let place = usize::try_from(numbers.below(length)).unwrap();
        let count = usize::try_from(numbers.below(20).min(length - place as u64)).unwrap();
        let odd = ODD[usize::try_from(numbers.below(10)).unwrap()];
        match numbers.below(7) {
            0 => bytes[place] = odd,
            1 => bytes[place] = u8::try_from(numbers.below(256)).unwrap(),
            2 => bytes[place] ^= 1 << numbers.below(8),
            3 => drop(bytes.drain(place..place + count)),
            4 => bytes.insert(place, odd),
            5 => {
                let copy = bytes[place..place + count].to_vec();
                let to = usize::try_from(numbers.below(length)).unwrap();
                bytes.splice(to..to, copy);
            }
            _ => bytes[place..place + count].fill(odd),
        }
    }
    bytes
}

/// Reads a file to its end; gives the number of its variants.
fn read(path: &Path) -> Result<usize, GenoError> {
    let mut source = open(path, &OpenOptions { doses: true, ..OpenOptions::default() })?;
    let people = source.samples().len();
    let stride = people.div_ceil(32);
    let (mut words, mut variants) = (Vec::new(), 0);
    while source.next()?.is_some() {
        source.genotypes(&mut words)?;
        assert_eq!(words.len(), stride);
        assert!(source.doses().is_empty() || source.doses().len() == people);
        variants += 1;
    }
    Ok(variants)
}

/// Changes one part of a file set at a time.
fn change_all(parts: &[(&str, Vec<u8>)], name: &str, seed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut numbers = Numbers(seed);
    let (mut whole, mut refused) = (0, 0);
    for case in 0..cases() {
        for (part, bytes) in parts {
            fs::write(folder.path().join(part), bytes).unwrap();
        }
        let (part, bytes) = &parts[usize::try_from(case).unwrap() % parts.len()];
        fs::write(folder.path().join(part), changed(bytes, &mut numbers)).unwrap();
        match read(&path) {
            Ok(_) => whole += 1,
            Err(error) => {
                let known = ["K0121", "K0122", "K0123", "K0124", "K0126", "K0127"];
                assert!(known.contains(&error.code()), "{case}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0 && whole + refused == cases(), "{name}: {whole} read");
}

fn change(file: &str, name: &str) {
    change_all(&[(name, fs::read(root().join(file)).unwrap())], name, 3);
}

#[test]
fn changed_plink_files_are_read_or_refused() {
    let vector = |end: &str| {
        let path = root().join(format!("crates/geno/tests/vectors/small.{end}"));
        fs::read(path).unwrap()
    };
    let parts = [("x.bed", vector("bed")), ("x.bim", vector("bim")), ("x.fam", vector("fam"))];
    change_all(&parts, "x.bed", 1);
}

#[test]
fn changed_vcf_and_bcf_are_read_or_refused() {
    change("fuzz/geno/seeds/vcf/text", "x.vcf");
    change("fuzz/geno/seeds/bcf/plain", "x.bcf");
    change("fuzz/geno/seeds/vcf/bgzip", "x.vcf.gz");
    change("crates/geno/tests/vectors/dose.vcf", "x.vcf");
    change("crates/geno/tests/vectors/small.bcf", "x.bcf");
}

#[test]
fn changed_bgen_files_are_read_or_refused() {
    change("fuzz/geno/seeds/bgen/zlib", "x.bgen");
    change("fuzz/geno/seeds/bgen/zstd", "x.bgen");
    change("crates/geno/tests/vectors/dose8.bgen", "x.bgen");
}
