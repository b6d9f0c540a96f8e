//! A BCF: what is packed in blocks, and what is not, read whole or refused, never a panic or memory
//! without end.
#![no_main]

use konsil_fuzz_geno::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read(&[("x.bcf", data)], "x.bcf"));
