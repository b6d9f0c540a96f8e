//! Files of a scan: PLINK 2's or REGENIE's columns, and GWAS-SSF for the GWAS Catalog.
//!
//! Rows are written as they are read; a file of millions of variants needs no memory of its size.

pub(crate) mod digits;
mod md5;
pub(crate) mod private;
mod ssf;

pub(crate) use ssf::Ssf;

use crate::failure::Failure;
use konsil_analyses::{Scan, ScanRow, ScanTest};
use konsil_geno::{Panel, Variant};
use konsil_kernels::Coding;
use private::PrivateFile;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// How names of a scan's files and figures end, behind the trait.
pub(crate) const ENDS: [&str; 9] = [
    "glm.linear",
    "glm.logistic",
    "cox",
    "regenie",
    "ssf.tsv.gz",
    "ssf.tsv.gz-meta.yaml",
    "manhattan.svg",
    "qq.svg",
    ".locus.svg",
];

/// Whose columns the main file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Dialect {
    /// PLINK 2: `ID.TRAIT.glm.linear` or `.glm.logistic`; of a survival time `.cox`.
    Plink,
    /// REGENIE, step 2: `ID.TRAIT.regenie`.
    Regenie,
}

/// Writes all rows of one file.
type Rows = fn(&mut dyn Write, &Scan, &Panel) -> io::Result<()>;

/// What is written, and where.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The folder.
    pub(crate) out: &'a Path,
    /// The analysis' name: files begin with it.
    pub(crate) id: &'a str,
    /// Columns of the main file.
    pub(crate) dialect: Dialect,
    /// Also GWAS-SSF, with what its description says.
    pub(crate) ssf: Option<Ssf>,
}

/// Writes a scan's files; their paths, the main one first.
pub(crate) fn write(
    scan: &Scan,
    panel: &Panel,
    wanted: &Wanted<'_>,
) -> Result<Vec<PathBuf>, Failure> {
    if scan.panel != panel.hash() {
        return Err(Failure::process(format!(
            "the scan of `{}` is about the panel {}, this is the panel {}: give the network's list of \
             variants with which the scan was made",
            scan.response,
            scan.panel,
            panel.hash()
        )));
    }
    let name = |end: &str| wanted.out.join(format!("{}.{}.{end}", wanted.id, scan.response));
    let (end, rows): (_, Rows) = match (wanted.dialect, scan.test) {
        (Dialect::Plink, ScanTest::Linear) => ("glm.linear", plink),
        (Dialect::Plink, ScanTest::Score | ScanTest::Counts) => ("glm.logistic", plink),
        (Dialect::Plink, ScanTest::Cox) => ("cox", plink),
        (Dialect::Regenie, _) => ("regenie", regenie),
    };
    let mut file = PrivateFile::create(&name(end))?;
    rows(&mut file, scan, panel).map_err(|error| Failure::file(&name(end), &error))?;
    file.finish()?;
    let mut written = vec![name(end)];
    if let Some(ssf) = &wanted.ssf {
        written.extend(ssf.write(scan, panel, &name("ssf.tsv.gz"))?);
    }
    Ok(written)
}

/// Each row with its variant.
fn rows<'a>(
    scan: &'a Scan,
    panel: &'a Panel,
) -> impl Iterator<Item = (&'a ScanRow, Variant<'a>)> + use<'a> {
    let variant = |row: &'a ScanRow| {
        let at = usize::try_from(row.variant).ok()?;
        Some((row, panel.variant(at)?))
    };
    scan.rows.iter().filter_map(variant)
}

/// Share of the alternative allele among those that are known.
fn frequency(row: &ScanRow) -> f64 {
    row.alternative / (2.0 * row.observed)
}

/// PLINK's name of a model of inheritance.
fn test(coding: Coding) -> &'static str {
    match coding {
        Coding::Additive => "ADD",
        Coding::Dominant => "DOM",
        Coding::Recessive => "REC",
    }
}

/// PLINK 2's columns with `cols=+a1freq`, a hazard ratio in place of the odds ratio of a survival time; `A1` is always the alternative allele, as with `omit-ref`.
/// Ours are the columns at the end: `P` may be too small for who reads it; which hits were tested once
/// more, and how; of centres fitted alone, whether their effects are the same.
fn plink(out: &mut dyn Write, scan: &Scan, panel: &Panel) -> io::Result<()> {
    let linear = scan.test == ScanTest::Linear;
    let again = scan.corrected;
    let effects = match scan.test {
        ScanTest::Linear => "BETA\tSE\tT_STAT",
        ScanTest::Cox => "HR\tLOG(HR)_SE\tZ_STAT",
        ScanTest::Score | ScanTest::Counts => "OR\tLOG(OR)_SE\tZ_STAT",
    };
    writeln!(
        out,
        "#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tTEST\tOBS_CT\t{effects}\tP\tERRCODE\tNEG_LOG10_P{}{}",
        if again.is_some() { "\tCORRECTED" } else { "" },
        if scan.meta { "\tHET_NEG_LOG10_P" } else { "" },
    )?;
    let mut line = String::new();
    for (row, variant) in rows(scan, panel) {
        line.clear();
        let Variant { chromosome, position, id, reference, alternative } = variant;
        let _fits = write!(
            line,
            "{chromosome}\t{position}\t{id}\t{reference}\t{alternative}\t{alternative}\t"
        );
        digits::push(&mut line, frequency(row));
        line.push('\t');
        line.push_str(test(scan.coding));
        line.push('\t');
        digits::push(&mut line, row.observed);
        let effect = if linear { row.beta } else { row.beta.exp() };
        let tested = row.skipped.is_none();
        for value in [effect, row.error, row.statistic] {
            line.push('\t');
            digits::push(&mut line, if tested { value } else { f64::NAN });
        }
        line.push('\t');
        digits::push_p(&mut line, if tested { row.log10_p } else { f64::NAN });
        line.push('\t');
        line.push_str(row.skipped.map_or(".", |it| it.code()));
        line.push('\t');
        digits::push(&mut line, if tested { row.log10_p } else { f64::NAN });
        if let Some(how) = again {
            line.push('\t');
            line.push_str(if row.corrected { how } else { "." });
        }
        if scan.meta {
            line.push('\t');
            digits::push(&mut line, row.heterogeneity);
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// The columns of REGENIE's step 2; effects of events are logarithms of odds or hazard ratios.
fn regenie(out: &mut dyn Write, scan: &Scan, panel: &Panel) -> io::Result<()> {
    out.write_all(b"CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N TEST BETA SE CHISQ LOG10P EXTRA\n")?;
    let mut line = String::new();
    for (row, variant) in rows(scan, panel) {
        line.clear();
        let Variant { position, id, reference, alternative, .. } = variant;
        let chromosome = numbered(variant.chromosome);
        let _fits = write!(line, "{chromosome} {position} {id} {reference} {alternative} ");
        digits::push(&mut line, frequency(row));
        line.push(' ');
        digits::push(&mut line, row.observed);
        line.push(' ');
        line.push_str(test(scan.coding));
        let tested = row.skipped.is_none();
        for value in [row.beta, row.error, row.statistic * row.statistic, row.log10_p] {
            line.push(' ');
            digits::push(&mut line, if tested { value } else { f64::NAN });
        }
        line.push(' ');
        let corrected = scan.corrected.filter(|_| row.corrected);
        line.push_str(row.skipped.map_or(corrected.unwrap_or("NA"), |it| it.code()));
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// Chromosomes as numbers: X is 23, Y 24, MT 25.
fn numbered(chromosome: &str) -> &str {
    match chromosome {
        "X" => "23",
        "Y" => "24",
        "MT" => "25",
        other => other,
    }
}

#[cfg(test)]
mod tests;
