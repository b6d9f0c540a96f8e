//! Made-up genotypes in a lab: each centre gets those of its own people, sealed under its own key.

use crate::example_genotypes::{ExampleGenotypes, genotypes};
use crate::failure::Failure;
use crate::lab::Lab;
use crate::lab_geno::NAME;
use crate::panels;
use konsil_cohort::pseudonym_of;
use konsil_geno::{Builder, GenoError, Panel};
use konsil_kernels::{PEOPLE_OF_WORD, Packed};
use konsil_node::{Clock, freeze_genotypes, open_key};
use std::sync::Arc;

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
        store.finish(&key)?;
        freeze_genotypes((&folder, NAME), &key, &Clock::system())?;
    }
    let path = lab.folder().join("panel.tsv");
    panel.write(&path).map_err(GenoError::from)?;
    panels::read(&path)
}
