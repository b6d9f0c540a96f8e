//! Names by which variants of a panel are told apart in lists.

use crate::chromosome::Chromosome;
use crate::panel::{Panel, Variant};
use std::collections::HashMap;

/// The names of a panel's variants.
#[derive(Debug)]
pub struct Names<'a> {
    panel: &'a Panel,
    /// The variant of each name; nothing where several have it.
    ids: HashMap<&'a str, Option<usize>>,
}

impl<'a> Names<'a> {
    /// The names of this panel.
    #[must_use]
    pub fn new(panel: &'a Panel) -> Self {
        let mut ids = HashMap::with_capacity(panel.len());
        for (at, variant) in panel.variants().enumerate().filter(|it| it.1.id != ".") {
            ids.entry(variant.id).and_modify(|it| *it = None).or_insert(Some(at));
        }
        Self { panel, ids }
    }

    /// Its own name where no other variant has it, `chromosome:position:reference:alternative`
    /// otherwise; empty for a variant that is not there.
    #[must_use]
    pub fn name(&self, at: usize) -> String {
        let Some(variant) = self.panel.variant(at) else { return String::new() };
        if self.ids.get(variant.id) == Some(&Some(at)) {
            return variant.id.to_owned();
        }
        let Variant { chromosome, position, reference, alternative, .. } = variant;
        format!("{chromosome}:{position}:{reference}:{alternative}")
    }

    /// The variant of a name, either way.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        if let Some(Some(at)) = self.ids.get(name) {
            return Some(*at);
        }
        let mut fields = name.split(':');
        let chromosome = Chromosome::parse(fields.next()?)?;
        let position = fields.next()?.parse().ok()?;
        let alleles = (fields.next()?, fields.next()?);
        let mut range = self.panel.at(chromosome, position);
        range.find(|at| {
            self.panel.variant(*at).is_some_and(|it| (it.reference, it.alternative) == alleles)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A name that two variants share names none of them.
    #[test]
    fn names_lead_back_to_their_variant() {
        let text = "#CHROM\tPOS\tID\tREF\tALT\n1\t5\ta\tA\tC\n1\t7\tb\tA\tC\n1\t7\tb\tA\tG\n2\t7\t.\tA\tG\n";
        let panel = Panel::parse(text.to_owned()).unwrap();
        let names = Names::new(&panel);
        let all: Vec<String> = (0..4).map(|at| names.name(at)).collect();
        assert_eq!(all, ["a", "1:7:A:C", "1:7:A:G", "2:7:A:G"]);
        for (at, name) in all.iter().enumerate() {
            assert_eq!(names.find(name), Some(at));
        }
        for unknown in ["b", ".", "", "1:7:A:T", "1:x:A:C", "q:1:A:C"] {
            assert_eq!(names.find(unknown), None, "{unknown}");
        }
        assert_eq!(names.name(9), "");
    }
}
