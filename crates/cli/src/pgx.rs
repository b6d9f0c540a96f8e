//! `konsil pgx`: from star alleles to phenotypes and recommendations, by tables that the user keeps.
//!
//! The tables follow CPIC's, as PharmCAT and PyPGx lay them out. They are read, never written; none
//! comes with Konsil. Everything happens on this computer.

mod tables;

use crate::failure::Failure;
use crate::screen::Screen;
use clap::Args;
use konsil_plot::table::{Cell, Column};
use konsil_plot::terminal::{self, TerminalStyle};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tables::Tables;

/// Options of `konsil pgx`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PgxOptions {
    /// Genes with what a patient has, `CYP2C19=*1/*17`; with --file the column that says so,
    /// `CYP2C19=cyp2c19_diplotype`.
    #[arg(required = true, value_name = "GENE=DIPLOTYPE")]
    genes: Vec<String>,
    /// Folder of the tables: `diplotype-table.csv`, `recommendation-table.csv` and, for genes with
    /// activity scores, `allele-table.csv` and `equation-table.csv`.
    #[arg(long, value_name = "DIR")]
    tables: PathBuf,
    /// Only this drug; may be given several times.
    #[arg(long, value_name = "NAME")]
    drug: Vec<String>,
    /// A CSV file of patients. It is read here and sent nowhere.
    #[arg(long, value_name = "CSV")]
    file: Option<PathBuf>,
    /// The file to write, with --file: the patients' rows, phenotypes, recommendations.
    #[arg(short, long, default_value = "pgx.csv", value_name = "CSV")]
    out: PathBuf,
}

pub(crate) fn pgx(options: &PgxOptions, screen: &Screen) -> Result<(), Failure> {
    let mut genes = Vec::new();
    for text in &options.genes {
        let pair = text.split_once('=').filter(|(gene, it)| !gene.is_empty() && !it.is_empty());
        let Some((gene, it)) = pair else {
            return Err(Failure::usage(format!(
                "`{text}`: write GENE=DIPLOTYPE, as CYP2C19=*1/*17"
            )));
        };
        if genes.iter().any(|(known, _)| *known == gene) {
            return Err(Failure::usage(format!("`{gene}` is given twice")));
        }
        genes.push((gene, it));
    }
    let tables = Tables::read(&options.tables)?;
    for (gene, _) in &genes {
        tables.knows(gene)?;
    }
    for drug in &options.drug {
        tables.knows_drug(drug)?;
    }
    match &options.file {
        Some(file) => patients(&tables, &genes, (file, options), screen),
        None => one(&tables, &genes, options, screen),
    }
}

/// One patient, on the screen.
fn one(
    tables: &Tables,
    genes: &[(&str, &str)],
    options: &PgxOptions,
    screen: &Screen,
) -> Result<(), Failure> {
    let mut phenotypes = Vec::new();
    for (gene, diplotype) in genes {
        let phenotype = tables.phenotype(gene, diplotype).ok_or_else(|| {
            Failure::usage(format!(
                "`{diplotype}` of {gene} is not in the tables of {}; write both alleles, as *1/*2",
                options.tables.display()
            ))
        })?;
        phenotypes.push((*gene, phenotype));
    }
    let found = tables.recommendations(&phenotypes, &options.drug);
    let style = TerminalStyle { width: 100, colour: screen.colour };
    let columns = ["gene", "diplotype", "phenotype"].map(Column::words);
    let rows = genes.iter().zip(&phenotypes).map(|((gene, diplotype), (_, phenotype))| {
        [gene, diplotype, &phenotype.as_str()].map(|it| Cell::new(*it)).to_vec()
    });
    screen.table(&terminal::table(&columns, &rows.collect::<Vec<_>>(), &style));
    // a recommendation is a sentence or more: a list reads better than a table
    for (drug, text) in &found {
        screen.table(&format!("\n{drug}\n  {text}"));
    }
    if found.is_empty() {
        screen.note("The tables have no recommendation for these phenotypes.");
    }
    let list = |pairs: &[(&str, String)], name: &str, value: &str| -> Vec<Value> {
        pairs.iter().map(|(a, b)| json!({name: a, value: b})).collect()
    };
    let recommended: Vec<(&str, String)> =
        found.iter().map(|(drug, text)| (*drug, (*text).to_owned())).collect();
    screen.json_line(&json!({
        "schema": "konsil.pgx.v1",
        "phenotypes": list(&phenotypes, "gene", "phenotype"),
        "recommendations": list(&recommended, "drug", "recommendation"),
    }));
    Ok(())
}

/// A file of patients: their rows, with a column for each gene's phenotype and for each drug.
fn patients(
    tables: &Tables,
    genes: &[(&str, &str)],
    (file, options): (&Path, &PgxOptions),
    screen: &Screen,
) -> Result<(), Failure> {
    let wrong = |what: String| Failure::usage(format!("{}: {what}", file.display()));
    let mut reader = csv::Reader::from_path(file).map_err(|error| wrong(error.to_string()))?;
    let header = reader.headers().map_err(|error| wrong(error.to_string()))?.clone();
    let mut places = Vec::new();
    for (gene, column) in genes {
        let at = header.iter().position(|it| it == *column).ok_or_else(|| {
            let known = header.iter().collect::<Vec<_>>().join(", ");
            wrong(format!("no column `{column}` for {gene} (there are {known})"))
        })?;
        places.push((*gene, at));
    }
    let mut writer = csv::Writer::from_writer(Vec::new());
    let fail = |_| Failure::process("the phenotypes cannot be written");
    let added = genes.iter().map(|(gene, _)| format!("{gene}.phenotype"));
    let added = added.chain(options.drug.iter().map(|it| format!("{it}.recommendation")));
    let names: Vec<String> = header.iter().map(str::to_owned).chain(added).collect();
    writer.write_record(&names).map_err(fail)?;
    let (mut read, mut without) = (0, 0);
    for record in reader.records() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut cells: Vec<String> = record.iter().map(str::to_owned).collect();
        let mut phenotypes = Vec::new();
        for (gene, at) in &places {
            let cell = record.get(*at).unwrap_or_default().trim();
            let phenotype = tables.phenotype(gene, cell);
            if phenotype.is_none() && !cell.is_empty() {
                // the cell is a patient's: it is not repeated here
                return Err(wrong(format!(
                    "line {line}, column {}: no diplotype of {gene} in the tables; write both alleles, \
                     as *1/*2, or leave the cell empty",
                    at + 1
                )));
            }
            cells.push(phenotype.clone().unwrap_or_default());
            phenotypes.extend(phenotype.map(|it| (*gene, it)));
        }
        read += 1;
        without += usize::from(phenotypes.len() < places.len());
        for drug in &options.drug {
            let found = tables.recommendations(&phenotypes, std::slice::from_ref(drug));
            cells.push(found.first().map_or_else(String::new, |(_, text)| (*text).to_owned()));
        }
        writer.write_record(&cells).map_err(fail)?;
    }
    let bytes = writer.into_inner().map_err(|_| Failure::process("the phenotypes were lost"))?;
    konsil_node::write_private(&options.out, &bytes)?;
    screen.note(&format!(
        "✓ {}  {read} patients, {without} of them without a diplotype of some gene",
        options.out.display()
    ));
    screen.json_line(&json!({
        "schema": "konsil.pgx.v1", "patients": read, "without": without, "out": options.out,
    }));
    Ok(())
}

#[cfg(test)]
mod tests;
