//! Which kind of file a name means.

use crate::bcf::Bcf;
use crate::bgen::Bgen;
use crate::calls::HalfCall;
use crate::error::{GenoError, Place};
use crate::plink::{Plink, pgen_error};
use crate::source::Source;
use crate::vcf::Vcf;
use std::path::Path;

/// How files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// What becomes of calls with one allele missing.
    pub half_call: HalfCall,
    /// Whether doses of imputed genotypes are kept beside these.
    pub doses: bool,
}

/// Opens a file of genotypes by the end of its name: `.bed` (or `.bim`, `.fam`, or the name without an
/// end), `.vcf`, `.vcf.gz`, `.bcf`, `.bgen`.
///
/// # Errors
/// [`GenoError::Convert`] for kinds that another program must convert, [`GenoError::People`] for unknown
/// ends, and those of the kind.
pub fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn Source>, GenoError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if [".vcf", ".vcf.gz", ".vcf.bgz"].iter().any(|end| name.ends_with(end)) {
        return Ok(Box::new(Vcf::open(path, options.half_call)?.keeping_doses(options.doses)));
    }
    let end = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match end.as_str() {
        "bed" | "bim" | "fam" => Ok(Box::new(Plink::open(path)?)),
        "bcf" => Ok(Box::new(Bcf::open(path, options.half_call)?.keeping_doses(options.doses))),
        "bgen" => Ok(Box::new(Bgen::open(path)?.keeping_doses(options.doses))),
        "pgen" | "pvar" | "psam" => Err(pgen_error(path)),
        _ => {
            // `NAME` of NAME.bed, which may have points in it
            let mut bed = path.as_os_str().to_owned();
            bed.push(".bed");
            let bed = Path::new(&bed);
            if bed.exists() {
                return Ok(Box::new(Plink::open(bed)?));
            }
            Err(GenoError::file(
                path,
                Place::Whole,
                "not a kind of genotype file that is known; give a .bed, .vcf, .vcf.gz, .bcf or .bgen",
            ))
        }
    }
}
