//! Genotypes of a lab: each centre gets those of its own people only.

use crate::failure::Failure;
use crate::geno::{GenoRules, Rules, To, Waiting, Who, patients, read_files};
use crate::lab::{DATASET, Lab};
use crate::screen::Screen;
use clap::Args;
use konsil_geno::{GenoError, Links};
use konsil_node::open_key;
use std::path::{Path, PathBuf};

/// Name of the genotypes of a lab.
pub(crate) const NAME: &str = "geno";

#[derive(Debug, Args)]
pub(crate) struct LabGenoOptions {
    /// The lab's folder.
    lab: PathBuf,
    /// The centre that the files belong to.
    #[arg(long, conflicts_with = "split_by")]
    centre: Option<String>,
    /// A link file, and its column whose values are the centres: each centre gets its own people.
    #[arg(long, value_name = "CSV:COLUMN")]
    split_by: Option<String>,
    /// Who is who, with --centre; without it the ids are the patients' own.
    #[arg(long, value_name = "CSV", conflicts_with = "split_by")]
    id_map: Option<PathBuf>,
    #[command(flatten)]
    rules: GenoRules,
    /// Genotype files of the same people, such as one for each chromosome.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn lab_geno(options: &LabGenoOptions, screen: &Screen) -> Result<(), Failure> {
    let lab = Lab::open(&options.lab)?;
    let rules = options.rules.read()?;
    let parts: Vec<(String, Option<Links>)> = match (&options.centre, &options.split_by) {
        (Some(centre), None) => {
            lab.check_centre(centre)?;
            let links = options.id_map.as_deref().map(|it| Links::read(it, None)).transpose()?;
            vec![(centre.clone(), links)]
        }
        (None, Some(split)) => split_by(&lab, split)?,
        _ => {
            let what = "say whose they are: --centre NAME, or --split-by links.csv:COLUMN";
            return Err(Failure::usage(what));
        }
    };
    // nothing takes its place anywhere unless every part fits
    let mut waiting = Vec::with_capacity(parts.len());
    for (centre, links) in &parts {
        waiting.push((centre, read_part(&lab, centre, links.as_ref(), (options, &rules), screen)?));
    }
    for (centre, store) in waiting {
        screen.note(&format!("{centre}:"));
        store.finish(&rules.panel, &*open_key(&lab.centre_folder(centre))?, screen)?;
    }
    rules.panel.write(&lab.folder().join("panel.tsv")).map_err(GenoError::from)?;
    Ok(())
}

/// The links of each centre's people.
fn split_by(lab: &Lab, split: &str) -> Result<Vec<(String, Option<Links>)>, Failure> {
    let Some((file, column)) = split.rsplit_once(':') else {
        return Err(Failure::usage("--split-by takes a file and a column: links.csv:centre"));
    };
    let links = Links::read(Path::new(file), Some(column))?;
    let (values, centres) = (links.parts(), lab.centres());
    // parts named like the centres go there; otherwise they are taken in order
    let by_name = values.iter().all(|value| centres.contains(value));
    if !by_name && values.len() != centres.len() {
        let what = format!(
            "`{column}` has {} values ({}), the lab has the centres {}",
            values.len(),
            values.join(", "),
            centres.join(", ")
        );
        return Err(Failure::usage(what));
    }
    let own = |(at, value): (usize, &String)| {
        let centre = if by_name { Some(value) } else { centres.get(at) };
        Some((centre?.clone(), Some(links.part(value))))
    };
    Ok(values.iter().enumerate().filter_map(own).collect())
}

fn read_part(
    lab: &Lab,
    centre: &str,
    links: Option<&Links>,
    (options, rules): (&LabGenoOptions, &Rules),
    screen: &Screen,
) -> Result<Waiting, Failure> {
    let named = |mut failure: Failure| {
        failure.text = format!("{centre}: {}", failure.text);
        failure
    };
    let folder = lab.centre_folder(centre);
    let key = open_key(&folder)?;
    let sex = rules.sex.as_deref();
    let patients = patients(&folder, Some(DATASET), sex, &key).map_err(|failure| match failure
        .code
        .as_str()
    {
        "K0701" => {
            Failure::coded("K0313", format!("{centre} has no patients yet: konsil lab import"))
        }
        _ => failure,
    })?;
    let who = Who { links, patients: patients.as_ref(), key: &key };
    let read = read_files(&options.files, rules, &who, &To::Store(&folder, NAME), screen);
    let read = read.map_err(named)?;
    screen.note(&format!("{centre}\n{}", read.text.trim_end()));
    read.store.ok_or_else(|| Failure::usage("nothing was read"))
}
