//! GWAS-SSF, the format of the GWAS Catalog, with the description that goes with it.
//!
//! # Sources
//! GWAS-SSF v1.0 (Hayhurst et al. 2022); what `gwas-sumstats-tools` 2.0.2 accepts.

use super::md5::Summed;
use super::private::PrivateFile;
use super::{digits, frequency, numbered, rows};
use crate::failure::Failure;
use flate2::Compression;
use flate2::write::GzEncoder;
use konsil_analyses::{Scan, ScanTest};
use konsil_geno::{Panel, Variant};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const FIRST: &str = "chromosome\tbase_pair_location\teffect_allele\tother_allele\t";
const COLUMNS: &str = "\tstandard_error\teffect_allele_frequency\tp_value\tvariant_id\trsid\t\
                       ref_allele\tn\tneg_log_10_p_value\n";
/// Smallest frequency of the rarer allele that is written, unless said otherwise.
pub(crate) const FLOOR: f64 = 0.01;

/// What the description says beyond the scan.
#[derive(Clone, Debug)]
pub(crate) struct Ssf {
    /// Variants whose rarer allele is rarer are left out.
    pub(crate) floor: f64,
    /// `GRCh37` or `GRCh38`; `NR` where the panel does not say.
    pub(crate) assembly: String,
    /// The day, `2026-11-27`.
    pub(crate) date: String,
    /// What was adjusted for.
    pub(crate) covariates: Vec<String>,
    /// Patients with the event, where that is released.
    pub(crate) cases: Option<f64>,
}

impl Default for Ssf {
    fn default() -> Self {
        Self {
            floor: FLOOR,
            assembly: "NR".to_owned(),
            date: String::new(),
            covariates: Vec::new(),
            cases: None,
        }
    }
}

impl Ssf {
    /// Writes the table and, beside it, its description.
    pub(super) fn write(
        &self,
        scan: &Scan,
        panel: &Panel,
        path: &Path,
    ) -> Result<[PathBuf; 2], Failure> {
        let fail = |error: io::Error| Failure::file(path, &error);
        let summed = Summed::new(PrivateFile::create(path)?);
        let mut out = GzEncoder::new(summed, Compression::default());
        self.table(&mut out, scan, panel).map_err(fail)?;
        let (file, sum) = out.finish().map_err(fail)?.finish();
        file.finish()?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let beside = path.with_file_name(format!("{name}-meta.yaml"));
        konsil_node::write_private(&beside, self.description(scan, &name, &sum).as_bytes())?;
        Ok([path.to_owned(), beside])
    }

    /// Only what was tested, is no rarer than the floor and consists of bases has a row.
    fn table(&self, out: &mut dyn Write, scan: &Scan, panel: &Panel) -> io::Result<()> {
        let survival = scan.test == ScanTest::Cox;
        // with a ratio the standard error is that of its logarithm
        let effect = if survival { "hazard_ratio" } else { "beta" };
        out.write_all([FIRST, effect, COLUMNS].concat().as_bytes())?;
        let mut line = String::new();
        for (row, variant) in rows(scan, panel) {
            let share = frequency(row);
            let Variant { position, id, reference, alternative, .. } = variant;
            let rare = !(self.floor..=1.0 - self.floor).contains(&share);
            let sound = row.beta.is_finite() && row.error.is_finite() && row.log10_p >= 0.0;
            let bases = [reference, alternative].into_iter().all(is_bases);
            if row.skipped.is_some() || rare || !sound || !bases {
                continue;
            }
            line.clear();
            let chromosome = numbered(variant.chromosome);
            let _fits = write!(line, "{chromosome}\t{position}\t{alternative}\t{reference}");
            let effect = if survival { row.beta.exp() } else { row.beta };
            for value in [effect, row.error, share] {
                line.push('\t');
                digits::push(&mut line, value);
            }
            line.push('\t');
            digits::push_p(&mut line, row.log10_p);
            let rs = if is_rs(id) { id } else { "#NA" };
            let _fits =
                write!(line, "\t{chromosome}_{position}_{reference}_{alternative}\t{rs}\tOA\t");
            digits::push(&mut line, row.observed);
            line.push('\t');
            digits::push(&mut line, row.log10_p);
            line.push('\n');
            out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn description(&self, scan: &Scan, name: &str, sum: &str) -> String {
        // a JSON string is one of YAML too
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut text = String::from("# Study meta-data\n");
        let mut add = |line: String| text.push_str(&line);
        add(format!("date_metadata_last_modified: {}\n# Trait Information\n", self.date));
        add(format!("trait_description:\n  - {}\n", quoted(&scan.response)));
        add(format!("# Genotyping Information\ngenome_assembly: {}\n", quoted(&self.assembly)));
        add("coordinate_system: 1-based\n# Sample Information\nsamples:\n".to_owned());
        add(format!("  - sample_size: {:.0}\n", scan.patients));
        let events = scan.test == ScanTest::Score;
        add(format!("    case_control_study: {events}\n"));
        if let Some(cases) = self.cases.filter(|_| events) {
            add(format!("    case_count: {cases:.0}\n"));
            add(format!("    control_count: {:.0}\n", scan.patients - cases));
        }
        add(format!(
            "# Summary Statistic information\ndata_file_name: {}\nfile_type: GWAS-SSF v1.0\n\
             data_file_md5sum: {sum}\nanalysis_software: \"Konsil {}\"\n",
            quoted(name),
            env!("CARGO_PKG_VERSION")
        ));
        if !self.covariates.is_empty() {
            add("adjusted_covariates:\n".to_owned());
            for covariate in &self.covariates {
                add(format!("  - {}\n", quoted(covariate)));
            }
        }
        add(format!("minor_allele_freq_lower_limit: {}\n", self.floor));
        add("# Harmonization status\nis_harmonised: false\nis_sorted: true\n".to_owned());
        text
    }
}

fn is_bases(allele: &str) -> bool {
    !allele.is_empty() && allele.bytes().all(|it| b"ACGTacgt".contains(&it))
}

/// Whether a name is one of dbSNP.
fn is_rs(id: &str) -> bool {
    id.strip_prefix("rs")
        .is_some_and(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}
