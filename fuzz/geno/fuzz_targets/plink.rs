//! A PLINK 1 file set, parts divided by a line `===`: read whole or refused, never a panic; and what is
//! read has the number of variants and people that the files say.
#![no_main]

use konsil_fuzz_geno::read;
use libfuzzer_sys::fuzz_target;

const CUT: &[u8] = b"\n===\n";

fuzz_target!(|data: &[u8]| {
    let mut parts = Vec::new();
    let mut rest = data;
    for _ in 0..2 {
        let Some(at) = rest.windows(CUT.len()).position(|it| it == CUT) else { return };
        parts.push(&rest[..at + 1]);
        rest = &rest[at + CUT.len()..];
    }
    let [bim, fam] = parts.as_slice() else { return };
    read(&[("x.bim", bim), ("x.fam", fam), ("x.bed", rest)], "x.bed");
});
