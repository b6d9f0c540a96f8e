//! Which kind of file a name means.

use crate::error::GenoError;
use crate::plink::{Plink, pgen_error};
use crate::source::Source;
use std::path::Path;

/// How files are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {}

/// Opens a file of genotypes by the end of its name: `.bed` (or `.bim`, `.fam`, or the name without an
/// end).
///
/// # Errors
/// [`GenoError::Convert`] for kinds that another program must convert, [`GenoError::People`] for unknown
/// ends, and those of the kind.
pub fn open(path: &Path, _options: &OpenOptions) -> Result<Box<dyn Source>, GenoError> {
    let end = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match end.as_str() {
        "bed" | "bim" | "fam" => Ok(Box::new(Plink::open(path)?)),
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
                crate::error::Place::Whole,
                "not a kind of genotype file that is known; give a .bed",
            ))
        }
    }
}
