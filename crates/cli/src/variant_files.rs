//! The file of a variant's quality: frequencies, missing genotypes, Hardy-Weinberg.

use crate::failure::Failure;
use crate::gwas_files::digits;
use crate::gwas_files::private::PrivateFile;
use konsil_analyses::Scan;
use konsil_geno::Panel;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

/// Columns named as in PLINK 2's `--freq`, `--missing` and `--hardy`.
const COLUMNS: &[u8] =
    b"#CHROM\tPOS\tID\tREF\tALT\tALT_FREQS\tOBS_CT\tF_MISS\tHOM_REF_CT\tHET_CT\t\
                         HOM_ALT_CT\tO(HET)\tE(HET)\tP\tERRCODE\tNEG_LOG10_P\n";

/// Writes the counts of all variants.
pub(crate) fn write(scan: &Scan, panel: &Panel, path: &Path) -> Result<(), Failure> {
    let fail = |error: std::io::Error| Failure::file(path, &error);
    let mut file = PrivateFile::create(path)?;
    file.write_all(COLUMNS).map_err(fail)?;
    let mut line = String::new();
    for row in &scan.genotypes {
        let variant = usize::try_from(row.variant).ok().and_then(|at| panel.variant(at));
        let Some(variant) = variant else { continue };
        line.clear();
        let _fits = write!(
            line,
            "{}\t{}\t{}\t{}\t{}",
            variant.chromosome,
            variant.position,
            variant.id,
            variant.reference,
            variant.alternative
        );
        let (known, frequency) = (row.observed, row.alternative / (2.0 * row.observed));
        let shown = row.skipped.is_none();
        let missing = if shown { 1.0 - known / scan.patients } else { f64::NAN };
        for value in [frequency, if shown { known } else { f64::NAN }, missing] {
            line.push('\t');
            digits::push(&mut line, value);
        }
        let expected = 2.0 * frequency * (1.0 - frequency);
        let expected = if row.one.is_nan() { f64::NAN } else { expected };
        for value in [known - row.one - row.two, row.one, row.two, row.one / known, expected] {
            line.push('\t');
            digits::push(&mut line, value);
        }
        line.push('\t');
        digits::push_p(&mut line, row.log10_p);
        line.push('\t');
        let small = if row.one.is_nan() { "SMALL_GROUP" } else { "." };
        line.push_str(row.skipped.map_or(small, |it| it.code()));
        line.push('\t');
        digits::push(&mut line, row.log10_p);
        line.push('\n');
        file.write_all(line.as_bytes()).map_err(fail)?;
    }
    file.finish()
}
