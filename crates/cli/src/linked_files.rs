//! Files of linkage: linked pairs, and a thinned list of variants.

use crate::failure::Failure;
use crate::gwas_files::private::PrivateFile;
use konsil_analyses::{GenotypeRow, Request, Scan};
use konsil_geno::{Names, Panel, Variant, prune};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// How names of these files end, behind the analysis' name.
pub(crate) const ENDS: [&str; 3] = ["linked.tsv", "prune.in", "prune.out"];

/// Linked pairs of one chromosome, and which variants are kept.
pub(crate) struct Thinned {
    /// Places of rows; the first is the earlier one.
    pub(crate) pairs: Vec<(usize, usize)>,
    pub(crate) kept: Vec<bool>,
}

/// Whether pairs were compared.
pub(crate) fn is_linkage(scan: &Scan) -> bool {
    scan.genotypes.iter().any(|it| it.linked.is_some())
}

fn variant<'a>(row: &GenotypeRow, panel: &'a Panel) -> Option<Variant<'a>> {
    panel.variant(usize::try_from(row.variant).ok()?)
}

/// Drops pairs across chromosomes, and thins.
pub(crate) fn thin(scan: &Scan, panel: &Panel) -> Thinned {
    let rows = &scan.genotypes;
    let places: HashMap<u32, usize> =
        rows.iter().enumerate().map(|(at, row)| (row.variant, at)).collect();
    let chromosome = |at: usize| Some(variant(rows.get(at)?, panel)?.chromosome);
    let mut linked = vec![Vec::new(); rows.len()];
    let mut pairs = Vec::new();
    for ((first, row), into) in rows.iter().enumerate().zip(&mut linked) {
        let others = row.linked.iter().flatten().filter_map(|it| places.get(it).copied());
        for second in others.filter(|it| chromosome(*it) == chromosome(first)) {
            into.push(second);
            pairs.push((first, second));
        }
    }
    let frequency = |row: &GenotypeRow| {
        let share = row.alternative / (2.0 * row.observed);
        row.skipped.is_none().then(|| share.min(1.0 - share))
    };
    let frequencies: Vec<Option<f64>> = rows.iter().map(frequency).collect();
    Thinned { pairs, kept: prune(&frequencies, &linked) }
}

/// Writes `ID.linked.tsv`, `ID.prune.in` and `ID.prune.out`. As PLINK's, the last one has the variants
/// that are linked with a kept one; those that did not pass are in neither.
pub(crate) fn write(
    scan: &Scan,
    panel: &Panel,
    (out, id, request): (&Path, &str, Option<&Request>),
) -> Result<(), Failure> {
    let thinned = thin(scan, panel);
    let rows = &scan.genotypes;
    let [linked, kept, left] = ENDS.map(|end| out.join(format!("{id}.{end}")));
    let fail = |error: std::io::Error| Failure::file(&linked, &error);
    let mut file = PrivateFile::create(&linked)?;
    writeln!(file, "##panel={}", scan.panel).map_err(fail)?;
    for (name, value) in [
        ("r2", request.and_then(|it| it.r2)),
        ("window", request.and_then(|it| it.window).map(f64::from)),
    ] {
        let default = if name == "r2" { 0.2 } else { 50.0 };
        writeln!(file, "##{name}={}", value.unwrap_or(default)).map_err(fail)?;
    }
    let header = "#CHROM\tPOS_A\tID_A\tREF_A\tALT_A\tPOS_B\tID_B\tREF_B\tALT_B";
    writeln!(file, "{header}").map_err(fail)?;
    for (first, second) in &thinned.pairs {
        let both = rows.get(*first).zip(rows.get(*second));
        let both = both.and_then(|(a, b)| variant(a, panel).zip(variant(b, panel)));
        let Some((a, b)) = both else { continue };
        writeln!(
            file,
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}",
            a.chromosome,
            a.position,
            a.id,
            a.reference,
            a.alternative,
            b.position,
            b.id,
            b.reference,
            b.alternative
        )
        .map_err(fail)?;
    }
    file.finish()?;
    let names = Names::new(panel);
    for (path, wanted) in [(&kept, true), (&left, false)] {
        let fail = |error: std::io::Error| Failure::file(path, &error);
        let mut file = PrivateFile::create(path)?;
        let own = rows.iter().zip(&thinned.kept);
        for (row, _) in own.filter(|(row, kept)| row.skipped.is_none() && **kept == wanted) {
            let at = usize::try_from(row.variant).unwrap_or(usize::MAX);
            writeln!(file, "{}", names.name(at)).map_err(fail)?;
        }
        file.finish()?;
    }
    Ok(())
}

/// What the screen shows.
pub(crate) fn line(scan: &Scan, panel: &Panel) -> String {
    let (pairs, kept, passed) = counts(scan, panel);
    format!("{pairs} linked pairs · {kept} of {passed} variants kept, no two of them linked")
}

/// For scripts.
pub(crate) fn json(scan: &Scan, panel: &Panel) -> Value {
    let (pairs, kept, passed) = counts(scan, panel);
    json!({"linked_pairs": pairs, "kept": kept, "passed": passed, "variants": scan.genotypes.len()})
}

/// Linked pairs, variants that are kept, variants that passed.
fn counts(scan: &Scan, panel: &Panel) -> (usize, usize, usize) {
    let thinned = thin(scan, panel);
    let kept = thinned.kept.iter().filter(|it| **it).count();
    let passed = scan.genotypes.iter().filter(|it| it.skipped.is_none()).count();
    (thinned.pairs.len(), kept, passed)
}
