//! `konsil prs clump`: the independent signals of a scan, with the variants that each explains.

use crate::failure::Failure;
use crate::prs::{Row, hits, linked, read_scan};
use crate::screen::Screen;
use clap::Args;
use konsil_geno::{Clump, clump_linked};
use konsil_plot::table::{Cell, Column};
use konsil_plot::terminal::{self, TerminalStyle};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Clumps that the screen shows.
const SHOWN: usize = 20;

/// Options of `konsil prs clump`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClumpOptions {
    /// The scan: `gwas.ldl.glm.linear` or `gwas.ad.glm.logistic`, also with `.gz`.
    scan: PathBuf,
    /// The linked pairs that `konsil ld` left: `ld.linked.tsv`.
    #[arg(long, value_name = "FILE")]
    ld: PathBuf,
    /// Largest p value of a clump's best variant.
    #[arg(long, default_value = "5e-8", value_name = "P")]
    p: f64,
    /// Largest p value of the others.
    #[arg(long, default_value = "1e-4", value_name = "P")]
    p2: f64,
    /// Kilobases from the best variant within which others belong to it.
    #[arg(long, default_value = "250", value_name = "KB")]
    distance: u32,
    /// Variants whose rarer allele is rarer are left out.
    #[arg(long, default_value = "0.01", value_name = "SHARE")]
    maf: f64,
    /// The file to write.
    #[arg(short, long, default_value = "clumps.tsv", value_name = "FILE")]
    out: PathBuf,
}

pub(super) fn clump(options: &ClumpOptions, screen: &Screen) -> Result<(), Failure> {
    if !(options.p > 0.0 && options.p <= options.p2 && options.p2 <= 1.0) {
        return Err(Failure::usage("--p lies above 0, and is at most --p2, which is at most 1"));
    }
    let thresholds = (-options.p.log10(), -options.p2.log10());
    let (rows, read) = read_scan(&options.scan, thresholds.1, options.maf)?;
    let linked = linked::read(&options.ld, &rows)?;
    let distance = options.distance.saturating_mul(1000);
    let clumps = clump_linked(&hits(&rows), thresholds, distance, &linked);
    let mut text =
        "#CHROM\tPOS\tID\tEFFECT_ALLELE\tOTHER_ALLELE\tNEG_LOG10_P\tTOTAL\tSP2\n".to_owned();
    let mut lines = Vec::new();
    for clump in &clumps {
        let Some(cells) = cells(clump, &rows) else { continue };
        let _fits = writeln!(text, "{}", cells.join("\t"));
        lines.push(cells);
    }
    konsil_node::write_private(&options.out, text.as_bytes())?;
    let columns = ["chr", "pos", "id", "effect", "other", "-log10 p", "others", "which"];
    let columns = columns.map(Column::words);
    let cells = |line: &Vec<String>| line.iter().cloned().map(Cell::new).collect();
    let shown: Vec<Vec<Cell>> = lines.iter().take(SHOWN).map(cells).collect();
    if !shown.is_empty() {
        let style = TerminalStyle { width: 100, colour: screen.colour };
        screen.table(&terminal::table(&columns, &shown, &style));
    }
    screen.note(&format!(
        "✓ {}  {} clumps of {read} variants (p ≤ {:e}, others p ≤ {:e}, linked and within {} kb)",
        options.out.display(),
        clumps.len(),
        options.p,
        options.p2,
        options.distance
    ));
    screen.json_line(&json!({
        "schema": "konsil.prs-clump.v1", "clumps": clumps.len(), "read": read, "p": options.p,
        "p2": options.p2, "distance_kb": options.distance, "out": options.out,
    }));
    Ok(())
}

fn cells(clump: &Clump, rows: &[Row]) -> Option<Vec<String>> {
    let best = rows.get(clump.index)?;
    let members: Vec<String> =
        clump.members.iter().filter_map(|at| Some(name(rows.get(*at)?))).collect();
    Some(vec![
        best.entry.chromosome.clone(),
        best.entry.position.to_string(),
        name(best),
        best.entry.effect_allele.clone(),
        best.entry.other_allele.clone(),
        format!("{:.3}", best.log10_p),
        members.len().to_string(),
        if members.is_empty() { ".".to_owned() } else { members.join(",") },
    ])
}

/// The variant's name; where it has none, what it is.
fn name(row: &Row) -> String {
    let entry = &row.entry;
    if row.id == "." {
        let (a, b) = (&entry.other_allele, &entry.effect_allele);
        return format!("{}:{}:{a}:{b}", entry.chromosome, entry.position);
    }
    row.id.clone()
}
