//! Scans of real genotypes, as PLINK 2 has them.

use crate::gwas::{InMemory, of, quality, scan};
use crate::reference::{say, shared_set};
use crate::support::Network;
use konsil_analyses::{GenotypeRow, Request, ScanRow};
use konsil_cohort::Dictionary;
use konsil_kernels::MISSING;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A file with tabs between, packed with gzip or not: its header's columns, then rows.
pub(crate) fn table(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let text = if path.extension().is_some_and(|it| it == "gz") {
        let output = Command::new("gzip").arg("-dc").arg(path).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    } else {
        std::fs::read_to_string(path).unwrap()
    };
    let mut lines = text.lines().map(|line| line.split(['\t', ',']).map(str::to_owned).collect());
    (lines.next().unwrap(), lines.collect())
}

fn place(header: &[String], name: &str) -> usize {
    header.iter().position(|it| it == name).unwrap_or_else(|| panic!("no column {name}"))
}

/// Genotypes of PLINK 1 files, `[variant][person]`: copies of the first allele of the list.
pub(crate) fn bed(stem: &Path) -> (Vec<String>, Vec<Vec<u8>>) {
    let bytes = std::fs::read(stem.with_extension("bed")).unwrap();
    let text = |extension: &str| std::fs::read_to_string(stem.with_extension(extension)).unwrap();
    let people = text("fam").lines().count();
    let ids = text("bim").lines().map(|it| it.split('\t').nth(1).unwrap().to_owned()).collect();
    let code = |bytes: &[u8], person: usize| match bytes[person / 4] >> (2 * (person % 4)) & 3 {
        0 => 2,
        1 => MISSING,
        2 => 1,
        _ => 0,
    };
    let rows = bytes[3..].chunks(people.div_ceil(4));
    (ids, rows.map(|row| (0..people).map(|at| code(row, at)).collect()).collect())
}

/// A real set of genotypes with a made-up trait, in six centres.
pub(crate) fn real_set(name: &str, stem: &str) -> Option<(Network, Vec<String>, usize)> {
    let folder = shared_set(name)?;
    let (header, samples) = table(&folder.join("samples.csv"));
    let (traits, phenotypes) = table(&folder.join("pheno.txt"));
    let (names, covariates) = table(&folder.join("covar_with_pcs.txt"));
    let dictionary = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
        pid,Patient,category,,,,,,,,identifier,\ny,Trait,number,,,-10,10,,,,,\n\
        ill,Case,boolean,,,,,,,,,\nage,Age,number,,,0,120,,,,,\nsex,Sex,number,,,0,2,,,,,\n\
        pc1,,number,,,-1,1,,,,,\npc2,,number,,,-1,1,,,,,\npc3,,number,,,-1,1,,,,,\n\
        pc4,,number,,,-1,1,,,,,\n";
    let quantitative = traits.iter().position(|it| it == "QT");
    let mut files = vec!["pid,y,ill,age,sex,pc1,pc2,pc3,pc4\n".to_owned(); 6];
    let mut centres = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        let centre: usize = sample[place(&header, "centre6")].parse().unwrap();
        let of = |name: &str| {
            names.iter().position(|it| it == name).map_or("0", |it| &covariates[at][it])
        };
        let y = quantitative.map_or("0", |it| &phenotypes[at][it]);
        let ill = if phenotypes[at][place(&traits, "CC")] == "2" { "true" } else { "false" };
        let values =
            [&sample[1], y, ill, of("age"), of("sex"), of("PC1"), of("PC2"), of("PC3"), of("PC4")];
        files[centre - 1] += &(values.join(",") + "\n");
        centres.push(centre - 1);
    }
    let mut network = Network::new(Dictionary::parse("genes", dictionary).unwrap(), &files);
    let (ids, genotypes) = bed(&folder.join(stem));
    for (centre, dataset) in network.centres.iter_mut().enumerate() {
        let places: Vec<usize> = (0..centres.len()).filter(|at| centres[*at] == centre).collect();
        let own = |row: &Vec<u8>| places.iter().map(|at| row[*at]).collect();
        let held = InMemory {
            people: dataset.pseudonyms().unwrap(),
            genotypes: genotypes.iter().map(own).collect(),
        };
        *dataset = dataset.clone().with_genotypes(Arc::new(held));
    }
    // covariates of small centres stand apart
    Some((network.with_large_leverage(), ids, genotypes.len()))
}

/// PLINK 2 drops patients whose genotype is missing, so that variants with missing ones differ; it
/// prints six digits.
fn as_plink(name: &str, stem: &str, (formula, reference): (&str, &str)) {
    let Some((network, ids, variants)) = real_set(name, stem) else { return };
    let run = network.on_shares(&scan(formula, "gaussian", variants));
    let by_id: HashMap<&str, &ScanRow> =
        ids.iter().map(String::as_str).zip(&of(run.found()).rows).collect();
    let (header, rows) = table(&shared_set(name).unwrap().join(reference));
    let [id, allele, beta, error, p, seen] =
        ["ID", "A1", "BETA", "SE", "P", "OBS_CT"].map(|name| place(&header, name));
    let alternative = place(&header, "ALT");
    let (mut compared, mut worst, mut worst_p): (u32, f64, f64) = (0, 0.0, 0.0);
    for row in rows {
        let Some(ours) = by_id.get(row[id].as_str()).filter(|it| it.skipped.is_none()) else {
            continue;
        };
        if row[beta] == "NA"
            || ours.observed < network.centres.iter().map(|it| it.rows() as f64).sum()
        {
            continue;
        }
        assert_eq!(row[seen], ours.observed.to_string());
        let sign = if row[allele] == row[alternative] { 1.0 } else { -1.0 };
        let number = |at: usize| row[at].parse::<f64>().unwrap();
        compared += 1;
        // half a unit of the sixth digit
        let unit = |value: f64| 0.5 * 10_f64.powf(value.abs().log10().floor() - 5.0);
        let beyond = |ours: f64, theirs: f64| (ours - theirs).abs() / unit(theirs);
        worst = worst.max(beyond(ours.error, number(error)));
        // of an effect near 0, digits count from its standard error on
        let off = (sign * ours.beta - number(beta)).abs() - 1e-10 * ours.error;
        worst = worst.max(off / unit(number(beta)));
        worst_p = worst_p.max((ours.log10_p + number(p).log10()).abs());
    }
    say(&format!(
        "gwas {name}: {compared} of {variants} variants as PLINK 2, {worst:.2} half units of its \
         sixth digit, -log10 p to {worst_p:.1e}; {} B sent, {} rounds, {:?}",
        run.cost.bytes, run.cost.rounds, run.took
    ));
    assert!(compared > 3000 && worst < 1.1 && worst_p < 3e-6, "{compared} {worst} {worst_p}");
}

#[test]
fn europeans_are_as_plink_says() {
    let model = ("y ~ age + sex + pc1 + pc2 + pc3 + pc4", "ref_m2.QT.glm.linear.gz");
    as_plink("geno_eur379", "EUR_subset.bed", model);
}

#[test]
fn six_hundred_made_up_people_are_as_plink_says() {
    let model = ("y ~ age + sex + pc1 + pc2 + pc3 + pc4", "ref_m2.QT.glm.linear.gz");
    as_plink("geno_sim600x100k", "sim.bed", model);
}

/// Counts, frequencies, missing genotypes and Hardy-Weinberg tests of real people.
#[test]
fn counts_are_as_plink_says() {
    let Some((mut network, ids, variants)) = real_set("geno_eur379", "EUR_subset.bed") else {
        return;
    };
    network.policy.threshold = 3;
    let request = Request { missing_max: Some(0.1), ..quality(variants) };
    let run = network.on_shares(&request);
    let rows: HashMap<&str, &GenotypeRow> =
        ids.iter().map(String::as_str).zip(&of(run.found()).genotypes).collect();
    let folder = shared_set("geno_eur379").unwrap();
    let counts = |name: &str| table(&folder.join(name));
    let (header, alleles) = counts("ref_acount.gz");
    let [id, copies, known] = ["ID", "ALT_CTS", "OBS_CT"].map(|it| place(&header, it));
    let mut compared = 0;
    for line in &alleles {
        let Some(row) = rows.get(line[id].as_str()).filter(|it| it.skipped.is_none()) else {
            continue;
        };
        compared += 1;
        assert_eq!(line[copies], row.alternative.to_string());
        assert_eq!(line[known], (2.0 * row.observed).to_string());
    }
    let (header, missing) = counts("ref_vmiss.gz");
    let [id, count] = ["ID", "MISSING_CT"].map(|it| place(&header, it));
    for line in &missing {
        let Some(row) = rows.get(line[id].as_str()).filter(|it| it.skipped.is_none()) else {
            continue;
        };
        assert_eq!(line[count], (379.0 - row.observed).to_string());
    }
    let (header, hardy) = counts("ref_hardy.gz");
    let [id, one, p] = ["ID", "HET_A1_CT", "P"].map(|it| place(&header, it));
    let (mut tested, mut worst): (u32, f64) = (0, 0.0);
    for line in &hardy {
        let Some(row) = rows.get(line[id].as_str()).filter(|it| !it.one.is_nan()) else { continue };
        tested += 1;
        assert_eq!(line[one], row.one.to_string());
        let wanted: f64 = line[p].parse().unwrap();
        worst = worst.max((10_f64.powf(-row.log10_p) - wanted).abs() / wanted);
    }
    say(&format!(
        "variant_qc: {compared} variants exact, {tested} tests to {worst:.1e}, {} B",
        run.cost.bytes
    ));
    assert!(compared > 50_000 && tested > 20_000 && worst < 6e-6);
}

/// 517 people of 19 populations: the score test without covariates is the trend test of PLINK 1.9.
#[test]
fn score_tests_without_covariates_are_trend_tests() {
    let Some(folder) = shared_set("geno_bigsnpr517") else { return };
    let (traits, phenotypes) = table(&folder.join("pheno.txt"));
    let dictionary = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
        pid,Patient,category,,,,,,,,identifier,\nill,Case,boolean,,,,,,,,,\n";
    let case = place(&traits, "CC");
    let mut files = vec!["pid,ill\n".to_owned(); 5];
    for (at, person) in phenotypes.iter().enumerate() {
        files[at % 5] += &format!("{}_{},{}\n", person[0], person[1], person[case] == "2");
    }
    let mut network = Network::new(Dictionary::parse("genes", dictionary).unwrap(), &files);
    let (ids, genotypes) = bed(&folder.join("example.bed"));
    for (centre, dataset) in network.centres.iter_mut().enumerate() {
        let own = |row: &Vec<u8>| row.iter().skip(centre).step_by(5).copied().collect();
        let held = InMemory {
            people: dataset.pseudonyms().unwrap(),
            genotypes: genotypes.iter().map(own).collect(),
        };
        *dataset = dataset.clone().with_genotypes(Arc::new(held));
    }
    let run = network.on_shares(&scan("ill ~ 1", "binomial", genotypes.len()));
    let rows: HashMap<&str, &ScanRow> =
        ids.iter().map(String::as_str).zip(&of(run.found()).rows).collect();
    let packed = folder.join("ref_m3.CC.trend.gz");
    let output = Command::new("gzip").arg("-dc").arg(packed).output().unwrap();
    let (mut compared, mut worst): (u32, f64) = (0, 0.0);
    for line in String::from_utf8(output.stdout).unwrap().lines().skip(1) {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let [_, id, _, _, _, _, _, wanted, _, _] = cells[..] else { panic!("{line}") };
        let row = rows.get(id).filter(|it| it.skipped.is_none());
        let (Some(row), Ok(wanted)) = (row, wanted.parse::<f64>()) else { continue };
        compared += 1;
        // four digits are printed
        let unit = 0.5 * 10_f64.powf(wanted.max(1e-9).log10().floor() - 3.0);
        worst = worst.max((row.statistic * row.statistic - wanted).abs() / unit);
    }
    say(&format!("gwas geno_bigsnpr517: {compared} trend tests, {worst:.2} half units of a digit"));
    assert!(compared > 4000 && worst < 1.05, "{compared} {worst}");
}
