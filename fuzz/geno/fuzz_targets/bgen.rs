//! A BGEN file: read whole or refused, never a panic or memory without end.
#![no_main]

use konsil_fuzz_geno::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read(&[("x.bgen", data)], "x.bgen"));
