//! Polygenic scores in the PGS Catalog's format: made from a released scan, applied at a centre.

mod apply;
pub(crate) mod brought;
mod clump;
mod evaluate;
mod linked;

use apply::ApplyOptions;
use clump::ClumpOptions;
use evaluate::EvaluateOptions;

use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Args, Subcommand};
use flate2::read::MultiGzDecoder;
use konsil_geno::{Hit, ScoreEntry, ScoreFile, clump, clump_linked};
use serde_json::json;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Polygenic scores.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PrsCommand {
    /// Make scores of a scan's results: the best variant of each locus, on this computer.
    #[command(
        after_help = "Example:\n  konsil prs fit results/gwas.ldl.glm.linear --p 5e-8,1e-5,1e-3 --out ldl.txt"
    )]
    Fit(FitOptions),
    /// Compute a score of a centre's patients and keep it as a variable of their data set.
    #[command(after_help = "Example:\n  konsil prs apply ldl.txt --variable prs_ldl -C centre")]
    Apply(ApplyOptions),
    /// List the independent signals of a scan, by the linkage that `konsil ld` found.
    #[command(
        after_help = "Example:\n  konsil prs clump results/gwas.ldl.glm.linear --ld results/ld.linked.tsv"
    )]
    Clump(ClumpOptions),
    /// Judge a score that the centres keep as a variable, over all centres, in one study.
    #[command(
        after_help = "Example:\n  konsil prs evaluate prs_ldl chd --covar age,sex --network lab/network.toml"
    )]
    Evaluate(EvaluateOptions),
}

/// Options of `konsil prs fit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct FitOptions {
    /// The scan: `gwas.ldl.glm.linear` or `gwas.ad.glm.logistic`, also with `.gz`.
    scan: PathBuf,
    /// Variants with a larger p value are left out; several make a score each.
    #[arg(long, default_value = "5e-8", value_name = "P", value_delimiter = ',')]
    p: Vec<f64>,
    /// Kilobases around a better variant in which others are left out.
    #[arg(long, default_value = "250", value_name = "KB")]
    distance: u32,
    /// Leave out only those that are linked with a better one too: the pairs that `konsil ld` left.
    #[arg(long, value_name = "FILE")]
    ld: Option<PathBuf>,
    /// Variants whose rarer allele is rarer are left out.
    #[arg(long, default_value = "0.01", value_name = "SHARE")]
    maf: f64,
    /// The score's name; the file's name unless given.
    #[arg(long)]
    name: Option<String>,
    /// What the positions are about: GRCh37 or GRCh38.
    #[arg(long, value_name = "BUILD")]
    build: Option<String>,
    /// The file to write; of several p values `score.p1e-5.txt` and so on.
    #[arg(short, long, default_value = "score.txt", value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn prs(command: &PrsCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        PrsCommand::Fit(options) => fit(options, screen),
        PrsCommand::Apply(options) => apply::apply(options, screen),
        PrsCommand::Clump(options) => clump::clump(options, screen),
        PrsCommand::Evaluate(options) => evaluate::evaluate(options, screen),
    }
}

/// A variant of a scan's file.
struct Row {
    /// Its name in the file, of whatever kind.
    id: String,
    entry: ScoreEntry,
    log10_p: f64,
}

/// The variants as clumping sees them.
fn hits(rows: &[Row]) -> Vec<Hit<'_>> {
    rows.iter()
        .map(|it| Hit {
            chromosome: &it.entry.chromosome,
            position: it.entry.position,
            log10_p: it.log10_p,
        })
        .collect()
}

fn fit(options: &FitOptions, screen: &Screen) -> Result<(), Failure> {
    let mut thresholds = options.p.clone();
    if !thresholds.iter().all(|it| *it > 0.0 && *it <= 1.0) {
        return Err(Failure::usage("--p lies above 0 and is at most 1"));
    }
    if !(0.0..0.5).contains(&options.maf) {
        return Err(Failure::usage("--maf lies between 0 and 0.5"));
    }
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let loosest = thresholds.last().copied().unwrap_or(1.0);
    let (rows, read) = read_scan(&options.scan, -loosest.log10(), options.maf)?;
    let distance = options.distance.saturating_mul(1000);
    let linked = options.ld.as_ref().map(|path| linked::read(path, &rows)).transpose()?;
    let hits = hits(&rows);
    let mut scores = Vec::with_capacity(thresholds.len());
    for p in &thresholds {
        let reach = hits.iter().filter(|it| it.log10_p >= -p.log10()).count();
        let mut kept: Vec<usize> = match &linked {
            None => clump(&hits, -p.log10(), distance),
            Some(linked) => {
                let clumps = clump_linked(&hits, (-p.log10(), -p.log10()), distance, linked);
                clumps.into_iter().map(|it| it.index).collect()
            }
        };
        // in the order of the scan, which is that of the genome
        kept.sort_unstable();
        let entry = |at: &usize| Some(rows.get(*at)?.entry.clone());
        scores.push((*p, reach, kept.iter().filter_map(entry).collect::<Vec<_>>()));
    }
    if scores.iter().all(|(.., entries)| entries.is_empty()) {
        return Err(Failure::usage(format!(
            "{}: none of its {read} variants has a p value of at most {loosest} and a frequency of at \
             least {}; take a larger --p",
            options.scan.display(),
            options.maf
        )));
    }
    screen.table(&format!("{:>10} {:>10} {:>10}  score", "p ≤", "variants", "kept"));
    let mut written = Vec::with_capacity(scores.len());
    for (p, reach, entries) in scores {
        let kept = entries.len();
        let out = (kept > 0).then(|| place_of(options, p));
        let name = out.as_ref().map_or("none".to_owned(), |it| it.display().to_string());
        let shown = format!("{p:e}");
        screen.table(&format!("{shown:>10} {reach:>10} {kept:>10}  {name}"));
        if let Some(out) = &out {
            let score = score_file(options, p, entries);
            konsil_node::write_private(out, score.to_text().as_bytes())?;
        }
        written.push(json!({"p": p, "reach": reach, "variants": kept, "out": out}));
    }
    screen.note(&format!(
        "  Of {read} variants, one in {} kb. Weights of the patients they were found in are too large for \
         others, and the best of several scores looks better than it is: choose and judge with patients \
         who were not in the scan.",
        options.distance
    ));
    screen.json_line(&json!({
        "schema": "konsil.prs-fit.v1", "read": read, "distance_kb": options.distance,
        "scores": written,
    }));
    Ok(())
}

/// The file of a p value.
fn place_of(options: &FitOptions, p: f64) -> PathBuf {
    if options.p.len() == 1 {
        return options.out.clone();
    }
    let stem = options.out.file_stem().unwrap_or_default().to_string_lossy();
    let end = options.out.extension().map(|it| format!(".{}", it.to_string_lossy()));
    options.out.with_file_name(format!("{stem}.p{p:e}{}", end.unwrap_or_default()))
}

fn score_file(options: &FitOptions, p: f64, entries: Vec<ScoreEntry>) -> ScoreFile {
    let file_name = options.scan.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let by = if options.ld.is_some() { "linkage and distance" } else { "distance" };
    ScoreFile {
        name: options.name.clone().unwrap_or_else(|| file_name.clone()),
        response: trait_of(&file_name),
        build: options.build.clone().unwrap_or_default(),
        weight_type: "beta".to_owned(),
        more: vec![
            ("method_name".to_owned(), format!("clumping by {by} and thresholding")),
            (
                "method_params".to_owned(),
                format!("p <= {p}; {} kb; MAF >= {}", options.distance, options.maf),
            ),
            ("source_file".to_owned(), file_name),
        ],
        entries,
    }
}

/// The trait in `gwas.ldl.glm.linear`; the whole name of another file.
fn trait_of(file_name: &str) -> String {
    let head = file_name.split(".glm.").next().unwrap_or_default();
    head.split_once('.').map_or(head, |it| it.1).to_owned()
}

/// Reads a file, also one that is compressed.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let fail = |error: std::io::Error| Failure::file(path, &error);
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut it| it.read_to_end(&mut bytes)).map_err(fail)?;
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut plain = Vec::new();
        MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).map_err(fail)?;
        bytes = plain;
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::usage(format!("{}: byte {at} is no UTF-8 text", path.display()))
    })
}

/// Where the columns of a scan's file are.
struct Columns {
    chromosome: usize,
    position: usize,
    id: usize,
    alleles: [usize; 2],
    counted: usize,
    frequency: Option<usize>,
    effect: usize,
    ratio: bool,
    p: Option<usize>,
    log10_p: Option<usize>,
    test: Option<usize>,
}

impl Columns {
    fn find(header: &str) -> Result<Self, String> {
        let names: Vec<&str> = header.split('\t').collect();
        let at = |name: &str| names.iter().position(|it| *it == name);
        let needed = |name: &str| {
            at(name).ok_or_else(|| {
                format!("there is no column {name}; give a file of PLINK 2's --glm columns")
            })
        };
        let (beta, ratio) = (at("BETA"), at("OR"));
        let effect = beta.or(ratio).ok_or_else(|| {
            "there is neither a column BETA nor OR; give a file of PLINK 2's --glm columns"
                .to_owned()
        })?;
        let (p, log10_p) = (at("P"), at("NEG_LOG10_P"));
        if p.or(log10_p).is_none() {
            return Err("there is neither a column P nor NEG_LOG10_P".to_owned());
        }
        Ok(Self {
            chromosome: needed("#CHROM")?,
            position: needed("POS")?,
            id: needed("ID")?,
            alleles: [needed("REF")?, needed("ALT")?],
            counted: needed("A1")?,
            frequency: at("A1_FREQ"),
            effect,
            ratio: beta.is_none(),
            p,
            log10_p,
            test: at("TEST"),
        })
    }

    /// A tested variant; none for a line without a result.
    fn row(&self, line: &str) -> Result<Option<Row>, String> {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or_default();
        let number = |at: usize| match field(at) {
            "NA" => Ok(f64::NAN),
            text => text.parse::<f64>().map_err(|_| format!("column {} is no number", at + 1)),
        };
        if self.test.is_some_and(|at| field(at) != "ADD") {
            return Ok(None);
        }
        let effect = number(self.effect)?;
        let effect = if self.ratio { effect.ln() } else { effect };
        let log10_p = match (self.log10_p, self.p) {
            (Some(at), _) => number(at)?,
            (None, Some(at)) => -number(at)?.log10(),
            (None, None) => f64::NAN,
        };
        if !effect.is_finite() || log10_p.is_nan() {
            return Ok(None);
        }
        let position = field(self.position);
        let position = position
            .parse::<u32>()
            .map_err(|_| format!("column {} is no position", self.position + 1))?;
        let counted = field(self.counted);
        let [reference, alternative] = self.alleles.map(field);
        let other = if counted == alternative {
            reference
        } else if counted == reference {
            alternative
        } else {
            return Err("A1 is neither REF nor ALT".to_owned());
        };
        let id = field(self.id);
        let named = id.to_owned();
        let entry = ScoreEntry {
            id: if id.starts_with("rs") { id.to_owned() } else { String::new() },
            chromosome: field(self.chromosome).to_owned(),
            position,
            effect_allele: counted.to_owned(),
            other_allele: other.to_owned(),
            effect_weight: effect,
            frequency: self.frequency.map_or(Ok(f64::NAN), number)?,
        };
        Ok(Some(Row { id: named, entry, log10_p }))
    }
}

/// Variants that reach a threshold, and how many have a result.
fn read_scan(path: &Path, threshold: f64, maf: f64) -> Result<(Vec<Row>, usize), Failure> {
    let text = read_text(path)?;
    let wrong = |line: usize, what: String| {
        Failure::usage(format!("{}, line {line}: {what}", path.display()))
    };
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default();
    let columns = Columns::find(header).map_err(|what| wrong(1, what))?;
    let (mut rows, mut read) = (Vec::new(), 0);
    for (line, text) in (2..).zip(lines) {
        let Some(row) = columns.row(text).map_err(|what| wrong(line, what))? else { continue };
        read += 1;
        let rare = row.entry.frequency < maf || row.entry.frequency > 1.0 - maf;
        if row.log10_p >= threshold && !rare {
            rows.push(row);
        }
    }
    Ok((rows, read))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCAN: &str = "#CHROM\tPOS\tID\tREF\tALT\tA1\tA1_FREQ\tTEST\tOBS_CT\tOR\tLOG(OR)_SE\tZ_STAT\tP\t\
                        ERRCODE\tNEG_LOG10_P\n\
                        1\t1000\trs1\tA\tG\tG\t0.3\tADD\t900\t2\t0.1\t6.9\t0\t.\t400\n\
                        1\t2000\trs2\tA\tG\tA\t0.3\tADD\t900\t2\t0.1\t6.9\t1e-9\t.\t9\n\
                        1\t999000\tx\tA\tG\tA\t0.7\tADD\t900\t0.5\t0.1\t6.9\t1e-9\t.\t9\n\
                        2\t1000\trs4\tA\tG\tG\t0.001\tADD\t900\t2\t0.1\t6.9\t1e-9\t.\t9\n\
                        2\t2000\trs5\tA\tG\tG\tNA\tADD\tNA\tNA\tNA\tNA\tNA\tLOW_MAF\tNA\n\
                        2\t3000\trs6\tA\tG\tG\t0.3\tADD\t900\t2\t0.1\t1\t0.3\t.\t0.52\n";

    fn options(folder: &Path) -> FitOptions {
        FitOptions {
            scan: folder.join("gwas.ad.glm.logistic"),
            p: vec![5e-8],
            distance: 250,
            ld: None,
            maf: 0.01,
            name: None,
            build: Some("GRCh37".to_owned()),
            out: folder.join("score.txt"),
        }
    }

    fn quiet() -> Screen {
        Screen::new(&clap::Parser::parse_from(["konsil", "-q", "explain"]))
    }

    // The odds ratio's logarithm is what is added up; the ratio itself is not.
    #[test]
    fn a_score_has_the_best_variants_of_a_scan() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        std::fs::write(&options.scan, SCAN).unwrap();
        fit(&options, &quiet()).unwrap();
        let score = ScoreFile::parse(&std::fs::read_to_string(&options.out).unwrap()).unwrap();
        assert_eq!((score.response.as_str(), score.build.as_str()), ("ad", "GRCh37"));
        let found: Vec<(&str, u32, &str, &str)> = score
            .entries
            .iter()
            .map(|it| (&*it.id, it.position, &*it.effect_allele, &*it.other_allele))
            .collect();
        assert_eq!(found, [("rs1", 1000, "G", "A"), ("", 999_000, "A", "G")]);
        assert!((score.entries[0].effect_weight - 2_f64.ln()).abs() < 1e-15);
        assert!((score.entries[1].effect_weight + 2_f64.ln()).abs() < 1e-15);
    }

    // A score for each p value, each with what the stricter ones have.
    #[test]
    fn several_p_values_make_a_score_each() {
        let folder = tempfile::tempdir().unwrap();
        let p = vec![1e-3, 1e-12, 1e-8, 1e-3];
        let options = FitOptions { p, distance: 0, maf: 0.0, ..options(folder.path()) };
        std::fs::write(&options.scan, SCAN.replace("\t0.3\t.\t0.52", "\t1e-4\t.\t4")).unwrap();
        fit(&options, &quiet()).unwrap();
        let variants = |name: &str| {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            let score = ScoreFile::parse(&text).unwrap();
            assert!(text.contains("method_params"));
            score.entries.iter().map(|it| it.position).collect::<Vec<_>>()
        };
        assert_eq!(variants("score.p1e-12.txt"), [1000]);
        assert_eq!(variants("score.p1e-8.txt"), [1000, 2000, 999_000, 1000]);
        assert_eq!(variants("score.p1e-3.txt"), [1000, 2000, 999_000, 1000, 3000]);
        assert!(!options.out.exists());
        let strict = FitOptions { p: vec![1e-8, 0.0], ..options };
        assert!(fit(&strict, &quiet()).unwrap_err().text.contains("--p lies above 0"));
    }

    #[test]
    fn wrong_scans_say_where() {
        let folder = tempfile::tempdir().unwrap();
        let options = options(folder.path());
        let failure = |text: &str| {
            std::fs::write(&options.scan, text).unwrap();
            fit(&options, &quiet()).unwrap_err().text
        };
        assert!(failure("").contains("line 1: there is neither a column BETA nor OR"));
        assert!(failure("#CHROM\tBETA\tP\n").contains("line 1: there is no column POS"));
        assert!(failure(&SCAN.replace("999000", "far")).contains("line 4: column 2"));
        assert!(failure(&SCAN.replace("\t0.5\t0.1", "\t?\t0.1")).contains("line 4: column 10"));
        assert!(failure(&SCAN.replace("\tA\t0.7", "\tT\t0.7")).contains("line 4: A1 is neither"));
        let weak = SCAN.replace("\t400", "\t1").replace("\t9\n", "\t1\n");
        assert!(failure(&weak).contains("none of its 5 variants"));
        assert!(!options.out.exists());
    }
}
