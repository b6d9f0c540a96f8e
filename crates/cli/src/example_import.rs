//! Made-up genotypes in a lab: each centre gets those of its own people, sealed under its own key.

use crate::example_genotypes::{ExampleGenotypes, genotypes};
use crate::failure::Failure;
use crate::lab::Lab;
use crate::lab_geno::NAME;
use crate::panels;
use konsil_cohort::pseudonym_of;
use konsil_geno::{Builder, GenoError, Panel, Sink};
use konsil_kernels::{PEOPLE_OF_WORD, Packed};
use konsil_node::{Clock, freeze_genotypes, open_key};
use std::sync::Arc;

/// Made-up genes of the example, and variants of each.
const GENES: usize = 20;
const GENE_VARIANTS: usize = 3;
/// Frequency below which a variant of them is.
const RARE: f64 = 0.15;

/// One made-up person: centre, identifier, number from which the genotypes are drawn.
#[derive(Clone, Debug)]
pub(crate) struct Someone {
    pub(crate) centre: String,
    pub(crate) id: String,
    pub(crate) number: u32,
}

/// The genotypes of made-up people.
pub(crate) fn drawn(people: &[Someone]) -> Result<ExampleGenotypes, Failure> {
    let numbers: Vec<u32> = people.iter().map(|it| it.number).collect();
    genotypes(&numbers).ok_or_else(|| Failure::process("the made-up genotypes could not be made"))
}

/// Puts them into a lab whose centres have their patients already, with the panel beside. Gives the
/// panel.
pub(crate) fn put(
    lab: &Lab,
    people: &[Someone],
    drawn: &ExampleGenotypes,
) -> Result<Arc<Panel>, Failure> {
    let panel = &drawn.panel;
    for centre in lab.centres() {
        let folder = lab.centre_folder(centre);
        let key = open_key(&folder)?;
        let own: Vec<usize> =
            (0..people.len()).filter(|at| people[*at].centre == *centre).collect();
        let pseudonyms: Vec<_> = own.iter().map(|at| pseudonym_of(&key, &people[*at].id)).collect();
        let about = (panel.hash(), panel.len());
        let mut store = Builder::create(&folder.join("data"), NAME, about, &pseudonyms)?;
        let mut words = vec![0_u64; Packed::stride_of(own.len())];
        for variant in 0..panel.len() {
            words.fill(0);
            for (place, person) in own.iter().enumerate() {
                let code = u64::from(drawn.block.genotype(variant, *person));
                words[place / PEOPLE_OF_WORD] |= code << (2 * (place % PEOPLE_OF_WORD));
            }
            store.put(variant, &words)?;
        }
        let beside = folder.join("data").join(format!("{NAME}.panel.tsv"));
        panel.write(&beside).map_err(GenoError::from)?;
        store.finish(&key)?;
        freeze_genotypes((&folder, NAME), &key, &Clock::system())?;
    }
    let path = lab.folder().join("panel.tsv");
    panel.write(&path).map_err(GenoError::from)?;
    let sets = lab.folder().join("genes.tsv");
    std::fs::write(&sets, example_sets(drawn)).map_err(|error| Failure::file(&sets, &error))?;
    panels::read(&path)
}

/// Made-up genes: the rarer variants, a few neighbours each, the rarest counting most.
fn example_sets(drawn: &ExampleGenotypes) -> String {
    let people = drawn.block.people();
    let frequency = |at: usize| {
        let copies = |person| f64::from(drawn.block.genotype(at, person) % 3);
        (0..people).map(copies).sum::<f64>() / (2.0 * people.max(1) as f64)
    };
    let rare = (0..drawn.panel.len()).map(|at| (at, frequency(at)));
    let rare: Vec<(usize, f64)> = rare.filter(|(_, it)| (0.01..RARE).contains(it)).collect();
    let mut text = "set\tvariant\tweight\n".to_owned();
    for (gene, variants) in rare.chunks(GENE_VARIANTS).take(GENES).enumerate() {
        for (at, frequency) in variants {
            let Some(variant) = drawn.panel.variant(*at) else { continue };
            let weight = (RARE / frequency).clamp(1.0, 4.0);
            text.push_str(&format!("gene{}\t{}\t{weight:.2}\n", gene + 1, variant.id));
        }
    }
    text
}
