//! Layouts against what PLINK 2 wrote, and against GWAS-SSF's rules.

use super::*;
use flate2::read::GzDecoder;
use konsil_analyses::Skipped;
use konsil_analyses::log_tails::{Student, normal};
use std::io::Read;

/// Written by PLINK v2.00a3.5 with `--glm hide-covar no-firth omit-ref cols=+a1freq` from the set of
/// `scripts/bench/genotypes.py OUT --people 6000 --variants 20000`.
const LINEAR: &str = include_str!("../../tests/vectors/plink.ldl.glm.linear");
const LOGISTIC: &str = include_str!("../../tests/vectors/plink.ad.glm.logistic");

/// The panel and the scan that PLINK's rows show.
fn read(text: &str, test: ScanTest) -> (Scan, Panel) {
    let mut panel = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
    let mut rows = Vec::new();
    let freedom = 5900.0;
    for (line, variant) in text.lines().skip(1).zip(0..) {
        let fields: Vec<&str> = line.split('\t').collect();
        panel.push_str(&format!("{}\n", fields[..5].join("\t")));
        let number = |at: usize| fields[at].parse::<f64>().unwrap();
        let (observed, statistic) = (number(8), number(11));
        let (beta, log10_p) = match test {
            ScanTest::Linear => (number(9), Student::new(observed - 12.0).tail(statistic)),
            _ => (number(9).ln(), normal(statistic)),
        };
        let alternative = (number(6) * 2.0 * observed).round();
        let error = number(10);
        rows.push(ScanRow {
            variant,
            observed,
            alternative,
            beta,
            error,
            statistic,
            log10_p,
            skipped: None,
            corrected: false,
            heterogeneity: f64::NAN,
        });
    }
    let panel = Panel::parse(panel).unwrap();
    let response = if test == ScanTest::Linear { "ldl" } else { "ad" }.to_owned();
    let hash = panel.hash().to_owned();
    (
        Scan {
            response,
            test,
            panel: hash,
            patients: 6000.0,
            freedom,
            rows,
            genotypes: Vec::new(),
            coding: Coding::Additive,
            corrected: None,
            meta: false,
        },
        panel,
    )
}

fn text(scan: &Scan, panel: &Panel, rows: Rows) -> String {
    let mut bytes = Vec::new();
    rows(&mut bytes, scan, panel).unwrap();
    String::from_utf8(bytes).unwrap()
}

// Scripts that read PLINK's files find columns by place and name.
#[test]
fn a_file_has_the_columns_and_numbers_of_plink() {
    for (theirs, test) in [(LINEAR, ScanTest::Linear), (LOGISTIC, ScanTest::Score)] {
        let (scan, panel) = read(theirs, test);
        let ours = text(&scan, &panel, plink);
        assert_eq!(ours.lines().count(), theirs.lines().count());
        let header = format!("{}\tNEG_LOG10_P", theirs.lines().next().unwrap());
        assert_eq!(ours.lines().next().unwrap(), header);
        for (ours, theirs) in ours.lines().zip(theirs.lines()).skip(1) {
            let (ours, theirs): (Vec<&str>, Vec<&str>) =
                (ours.split('\t').collect(), theirs.split('\t').collect());
            assert_eq!(ours.len(), theirs.len() + 1);
            for (at, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
                let numbers = (ours.parse::<f64>(), theirs.parse::<f64>());
                match numbers {
                    (Ok(ours), Ok(theirs)) => {
                        // six digits of theirs, of which p values make fewer
                        let most = if at == 12 { 2e-4 } else { 2e-5 };
                        assert!((ours / theirs - 1.0).abs() < most, "column {at}: {ours} {theirs}");
                    }
                    _ => assert_eq!(ours, theirs),
                }
            }
            let p: f64 = ours[12].parse().unwrap();
            let log: f64 = ours[14].parse().unwrap();
            assert!((p.log10() + log).abs() < 2e-8 * (1.0 + log));
        }
    }
}

// What was not tested has no numbers, but its row: files of two traits have the same rows.
#[test]
fn variants_that_were_not_tested_say_why() {
    let (mut scan, panel) = read(LINEAR, ScanTest::Linear);
    scan.rows[0].skipped = Some(Skipped::Rare);
    scan.rows[0].observed = f64::NAN;
    scan.rows[0].alternative = f64::NAN;
    scan.rows[1].skipped = Some(Skipped::Collinear);
    let ours = text(&scan, &panel, plink);
    let line = |at: usize| ours.lines().nth(at).unwrap();
    assert!(line(1).ends_with("\tNA\tADD\tNA\tNA\tNA\tNA\tNA\tLOW_MAF\tNA"), "{}", line(1));
    assert!(line(2).ends_with("\tNA\tNA\tNA\tNA\tVIF_TOO_HIGH\tNA"), "{}", line(2));
    let ours = text(&scan, &panel, regenie);
    let line = ours.lines().nth(1).unwrap();
    assert!(line.ends_with(" NA NA ADD NA NA NA NA LOW_MAF"), "{line}");
}

#[test]
fn regenie_has_its_columns() {
    let (scan, panel) = read(LOGISTIC, ScanTest::Score);
    let ours = text(&scan, &panel, regenie);
    let header = "CHROM GENPOS ID ALLELE0 ALLELE1 A1FREQ N TEST BETA SE CHISQ LOG10P EXTRA";
    assert_eq!(ours.lines().next().unwrap(), header);
    for (line, row) in ours.lines().skip(1).zip(&scan.rows) {
        let fields: Vec<&str> = line.split(' ').collect();
        assert_eq!(fields.len(), 13);
        let number = |at: usize| fields[at].parse::<f64>().unwrap();
        assert!((number(8) - row.beta).abs() < 1e-8);
        assert!((number(10) - row.statistic.powi(2)).abs() < 1e-6 * number(10));
        assert_eq!((fields[7], fields[12]), ("ADD", "NA"));
    }
}

/// A scan with a variant of each chromosome, of which some may not go into a GWAS-SSF file.
fn whole_genome() -> (Scan, Panel) {
    let chromosomes = (1..=22).map(|it| it.to_string()).chain(["X", "Y", "MT"].map(str::to_owned));
    let mut panel = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
    for chromosome in chromosomes {
        panel.push_str(&format!("{chromosome}\t1000\trs7{chromosome}\tA\tG\n"));
        panel.push_str(&format!("{chromosome}\t2000\t.\tCT\tC\n"));
    }
    let panel = Panel::parse(panel).unwrap();
    let row = |variant: u32| ScanRow {
        variant,
        observed: 1000.0,
        alternative: if variant == 0 { 10.0 } else { 400.0 + f64::from(variant) },
        beta: 0.25,
        error: 0.01,
        statistic: 25.0,
        log10_p: 1.0 + 20.0 * f64::from(variant),
        skipped: (variant == 2).then_some(Skipped::Missing),
        corrected: false,
        heterogeneity: f64::NAN,
    };
    let rows = (0..u32::try_from(panel.len()).unwrap()).map(row).collect();
    let (response, hash) = ("a\"d".to_owned(), panel.hash().to_owned());
    let scan = Scan {
        response,
        test: ScanTest::Score,
        panel: hash,
        patients: 1000.0,
        freedom: 0.0,
        rows,
        genotypes: Vec::new(),
        coding: Coding::Additive,
        corrected: None,
        meta: false,
    };
    (scan, panel)
}

// The GWAS Catalog's own program refuses a file for the order of its columns, for alleles that are no
// bases and for names of another kind; these rules are its rules.
#[test]
fn gwas_ssf_has_what_the_catalog_takes() {
    let (scan, panel) = whole_genome();
    let folder = tempfile::tempdir().unwrap();
    let ssf = Ssf {
        assembly: "GRCh37".to_owned(),
        date: "2026-11-27".to_owned(),
        covariates: vec!["age".to_owned(), "sex".to_owned()],
        cases: Some(300.0),
        ..Ssf::default()
    };
    let wanted = Wanted { out: folder.path(), id: "gwas", dialect: Dialect::Plink, ssf: Some(ssf) };
    let written = write(&scan, &panel, &wanted).unwrap();
    let names: Vec<String> =
        written.iter().map(|it| it.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(
        names,
        ["gwas.a\"d.glm.logistic", "gwas.a\"d.ssf.tsv.gz", "gwas.a\"d.ssf.tsv.gz-meta.yaml"]
    );
    let mut table = String::new();
    GzDecoder::new(std::fs::File::open(&written[1]).unwrap()).read_to_string(&mut table).unwrap();
    assert!(table.starts_with(
        "chromosome\tbase_pair_location\teffect_allele\tother_allele\tbeta\tstandard_error\t\
         effect_allele_frequency\tp_value\t"
    ));
    // 25 chromosomes with two sound variants each; one is too rare, one was not tested
    assert_eq!(table.lines().count(), 1 + 50 - 2);
    let last = "25\t2000\tC\tCT\t0.25\t0.01\t0.2245\t1e-981\t25_2000_CT_C\t#NA\tOA\t1000\t981";
    assert_eq!(table.lines().last().unwrap(), last);
    let x = table.lines().find(|it| it.starts_with("23\t1000")).unwrap();
    // not a name of dbSNP
    assert!(x.contains("\t23_1000_A_G\t#NA\tOA\t"), "{x}");
    assert!(table.contains("\t22_1000_A_G\trs722\tOA\t"));
    let meta = std::fs::read_to_string(&written[2]).unwrap();
    for line in [
        "trait_description:\n  - \"a\\\"d\"\n",
        "genome_assembly: \"GRCh37\"\n",
        "  - sample_size: 1000\n    case_control_study: true\n    case_count: 300\n    control_count: 700\n",
        "file_type: GWAS-SSF v1.0\n",
        "adjusted_covariates:\n  - \"age\"\n  - \"sex\"\n",
        "minor_allele_freq_lower_limit: 0.01\n",
    ] {
        assert!(meta.contains(line), "{line} in {meta}");
    }
    // results are the researcher's alone
    for path in &written {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// A survival time has hazard ratios, with the standard error of their logarithm.
#[test]
fn survival_times_have_hazard_ratios() {
    let (mut scan, panel) = whole_genome();
    scan.test = ScanTest::Cox;
    scan.response = "died".to_owned();
    let folder = tempfile::tempdir().unwrap();
    let ssf = Some(Ssf::default());
    let wanted = Wanted { out: folder.path(), id: "gwas", dialect: Dialect::Plink, ssf };
    let written = write(&scan, &panel, &wanted).unwrap();
    assert_eq!(written[0].file_name().unwrap().to_string_lossy(), "gwas.died.cox");
    let plink = std::fs::read_to_string(&written[0]).unwrap();
    let lines: Vec<&str> = plink.lines().collect();
    assert!(lines[0].contains("\tOBS_CT\tHR\tLOG(HR)_SE\tZ_STAT\tP\t"), "{}", lines[0]);
    let fields: Vec<&str> = lines[2].split('\t').collect();
    let ratio: f64 = fields[9].parse().unwrap();
    assert!((ratio - 0.25_f64.exp()).abs() < 1e-8 && fields[10] == "0.01", "{}", lines[2]);
    let mut table = String::new();
    GzDecoder::new(std::fs::File::open(&written[1]).unwrap()).read_to_string(&mut table).unwrap();
    assert!(table.starts_with(
        "chromosome\tbase_pair_location\teffect_allele\tother_allele\thazard_ratio\t\
         standard_error\teffect_allele_frequency\t"
    ));
    let last: Vec<&str> = table.lines().last().unwrap().split('\t').collect();
    let ratio: f64 = last[4].parse().unwrap();
    assert!((ratio - 0.25_f64.exp()).abs() < 1e-8 && last[5] == "0.01", "{last:?}");
    let meta = std::fs::read_to_string(&written[2]).unwrap();
    assert!(meta.contains("case_control_study: false"));
}

// Rows of one panel beside the names of another would be wrong results that look right.
#[test]
fn another_panel_is_refused() {
    let (scan, _) = read(LINEAR, ScanTest::Linear);
    let (_, other) = whole_genome();
    let folder = tempfile::tempdir().unwrap();
    let wanted = Wanted { out: folder.path(), id: "gwas", dialect: Dialect::Plink, ssf: None };
    let failure = write(&scan, &other, &wanted).unwrap_err();
    assert!(failure.text.contains("panel"), "{}", failure.text);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
