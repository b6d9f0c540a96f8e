//! What an import kept and set aside. It stays at the centre.

use crate::chromosome::Build;
use crate::import::ImportOptions;
use crate::links::Linked;
use crate::source::Notes;
use konsil_cohort::Sex;
use std::fmt::Write;

/// Counts of an import; of the centre alone, and never sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Variants of the files, each alternative allele by itself.
    pub read: u64,
    /// Variants that are stored.
    pub kept: u64,
    /// Variants of the panel.
    pub panel: u64,
    /// Set aside: the panel has no variant at the position.
    pub not_on_panel: u64,
    /// Set aside: the panel has other alleles at the position, or the file names none.
    pub other_alleles: u64,
    /// Set aside: the same variant was there before.
    pub duplicates: u64,
    /// Set aside: missing in too many of the stored people.
    pub missing: u64,
    /// Set aside: A and T, or C and G, near 50 %, where strands cannot be told apart.
    pub ambiguous: u64,
    /// Set aside: the steward leaves them out.
    pub left_out: u64,
    /// Kept, of lines with several alternative alleles.
    pub split: u64,
    /// Kept, with the panel's reference allele counted in the file.
    pub swapped: u64,
    /// Kept, of the other strand.
    pub other_strand: u64,
    /// Kept, with doses beside genotypes.
    pub with_doses: u64,
    /// What had to be decided about genotypes.
    pub notes: Notes,
    /// The build of the files, where they say it.
    pub build: Option<Build>,
}

impl ImportReport {
    /// Variants that were set aside.
    #[must_use]
    pub fn set_aside(&self) -> u64 {
        self.read - self.kept
    }

    /// The report as the command shows it.
    #[must_use]
    pub fn to_text(&self, linked: &Linked, options: &ImportOptions) -> String {
        let mut text = people(linked);
        let build = match self.build {
            Some(build) => format!("  {build} by lengths of contigs ·"),
            None => "  build not said by the file ·".to_owned(),
        };
        let kept = with_commas(self.kept);
        let panel = with_commas(self.panel);
        let _ = writeln!(text, "{build} {kept} variants kept, of {panel} on the panel");
        let changed = [
            (self.swapped, "with alleles the other way round"),
            (self.other_strand, "of the other strand"),
            (self.split, "of lines with several alternative alleles"),
            (self.with_doses, "with doses"),
        ];
        list(&mut text, "  of these", &changed);
        let percent = options.missing_max * 100.0;
        let missing = format!("missing >{percent} %");
        let set_aside = [
            (self.not_on_panel, "not on the panel"),
            (self.other_alleles, "with other alleles than the panel's"),
            (self.duplicates, "twice"),
            (self.missing, &missing),
            (self.ambiguous, "A/T or C/G near 50 %"),
            (self.left_out, "of the list to leave out"),
        ];
        list(&mut text, &format!("  set aside {}:", with_commas(self.set_aside())), &set_aside);
        let Notes { half_calls, haploid, unclear } = self.notes;
        let notes = [
            (half_calls, "half calls (--half-call)"),
            (haploid, "genotypes of one copy, counted as 0 or 2"),
            (unclear, "doses or probabilities that are no clear genotype, missing as genotypes"),
        ];
        list(&mut text, "  genotypes:", &notes);
        text
    }
}

fn people(linked: &Linked) -> String {
    let own = linked.pseudonyms().len();
    let mut text = format!(
        "✓ {} of {} people linked",
        with_commas(own as u64),
        with_commas(linked.people as u64)
    );
    let others = [
        (linked.unlinked, "without a link set aside"),
        (linked.without_data.unwrap_or(0), "without clinical data (unused)"),
        (linked.unused_links, "links without a person in the file"),
        (linked.left_out, "of the list left out"),
    ];
    for (count, what) in others.iter().filter(|it| it.0 > 0) {
        let _ = write!(text, ", {} {what}", with_commas(*count as u64));
    }
    let examples = linked.examples.iter().map(|(sample, patient)| match sample == patient {
        true => sample.clone(),
        false => format!("{sample} → {patient}"),
    });
    let _ = writeln!(text, "\n  the first: {}", examples.collect::<Vec<_>>().join(", "));
    text + &sexes(linked)
}

/// Whose sex is known, and how many people are of another sex in the data set than in the file.
fn sexes(linked: &Linked) -> String {
    let count = |sex: Sex| linked.sexes().iter().filter(|it| **it == sex).count() as u64;
    let [men, women, unknown] = [Sex::Male, Sex::Female, Sex::Unknown].map(count);
    if men + women == 0 && linked.sexes_differ == 0 {
        return "  sexes not known: give --sex VARIABLE of the data set, or files that have them\n"
            .to_owned();
    }
    let (men, women) = (with_commas(men), with_commas(women));
    let mut text = format!("  sexes: {men} men, {women} women, {} unknown", with_commas(unknown));
    if linked.sexes_differ > 0 {
        let _ = write!(
            text,
            "; of these {} have another sex in the data set than in the file: look whether samples were \
             mixed up",
            linked.sexes_differ
        );
    }
    text + "\n"
}

fn list(text: &mut String, title: &str, counts: &[(u64, &str)]) {
    let shown = counts.iter().filter(|it| it.0 > 0);
    let shown: Vec<_> =
        shown.map(|(count, what)| format!("{} {what}", with_commas(*count))).collect();
    if !shown.is_empty() {
        let _ = writeln!(text, "{title} {}", shown.join(", "));
    }
}

fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
