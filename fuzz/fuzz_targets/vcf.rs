//! A VCF or BCF, packed or not: read whole or refused, never a panic or memory without end.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../genotypes.rs"]
mod genotypes;

fuzz_target!(|data: &[u8]| {
    let name = if data.starts_with(b"BCF") { "x.bcf" } else { "x.vcf" };
    genotypes::read(&[(name, data)], name);
});
