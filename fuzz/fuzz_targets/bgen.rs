//! A BGEN file: read whole or refused, never a panic or memory without end.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../genotypes.rs"]
mod genotypes;

fuzz_target!(|data: &[u8]| genotypes::read(&[("x.bgen", data)], "x.bgen"));
