//! Scoring files of the PGS Catalog, format version 2.0.
//!
//! # Sources
//! <https://www.pgscatalog.org/downloads/#scoring_header>

use crate::score::Weight;
use std::fmt::Write;
use thiserror::Error;

/// A variant of a score.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreEntry {
    /// Its name in dbSNP; empty is none.
    pub id: String,
    /// Its chromosome, without `chr`.
    pub chromosome: String,
    /// Its position.
    pub position: u32,
    /// The allele that has the weight.
    pub effect_allele: String,
    /// The other one; empty where the file does not say.
    pub other_allele: String,
    /// Effect of one copy.
    pub effect_weight: f64,
    /// Frequency of the allele with the weight; NaN where the file does not say.
    pub frequency: f64,
}

impl ScoreEntry {
    pub(crate) fn weight(&self) -> Weight {
        let (weight, frequency) = (self.effect_weight, self.frequency);
        Weight { variant: 0, alternative: true, weight, frequency }
    }
}

/// A score: what its header says, and its variants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreFile {
    /// `pgs_name`.
    pub name: String,
    /// `trait_reported`.
    pub response: String,
    /// `genome_build`: `GRCh37`, `GRCh38`; empty where the file does not say.
    pub build: String,
    /// `weight_type`: `beta`, `OR` and so on.
    pub weight_type: String,
    /// Further lines of the header, as name and value.
    pub more: Vec<(String, String)>,
    /// Its variants.
    pub entries: Vec<ScoreEntry>,
}

/// Why a file is no score.
#[derive(Debug, Error)]
#[error("line {line}: {what}")]
pub struct ScoreFileError {
    /// Line of the file, from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

/// Where the columns are.
struct Columns {
    id: Option<usize>,
    chromosome: usize,
    position: usize,
    effect: usize,
    other: Option<usize>,
    weight: usize,
    frequency: Option<usize>,
    /// Columns that make a row more than one weight.
    special: Vec<(usize, String)>,
}

/// Columns in which a row that says yes has no weight for each copy of one allele.
const SPECIAL: [&str; 4] = ["is_haplotype", "is_diplotype", "is_dominant", "is_recessive"];

impl ScoreFile {
    /// Reads a scoring file. Where the catalog has harmonised positions, these are taken.
    ///
    /// # Errors
    /// [`ScoreFileError`], with the line.
    pub fn parse(text: &str) -> Result<Self, ScoreFileError> {
        let mut file = Self::default();
        let mut columns: Option<Columns> = None;
        for (number, line) in text.lines().enumerate() {
            let wrong = |what: String| ScoreFileError { line: number + 1, what };
            let line = line.trim_end_matches('\r');
            if let Some(head) = line.strip_prefix('#') {
                file.head(head);
                continue;
            }
            let fields: Vec<&str> = line.split('\t').collect();
            match &columns {
                _ if line.trim().is_empty() => {}
                None => columns = Some(Columns::find(&fields).map_err(wrong)?),
                Some(columns) => file.entries.push(columns.entry(&fields).map_err(wrong)?),
            }
        }
        if file.entries.is_empty() {
            let what =
                "the file has no variants; give a scoring file of the PGS Catalog".to_owned();
            return Err(ScoreFileError { line: text.lines().count().max(1), what });
        }
        Ok(file)
    }

    fn head(&mut self, line: &str) {
        let Some((name, value)) = line.trim_start_matches('#').split_once('=') else { return };
        let (name, value) = (name.trim(), value.trim().to_owned());
        match name {
            "format_version" | "variants_number" | "pgs_id" if value.is_empty() => {}
            "format_version" | "variants_number" => {}
            "pgs_name" => self.name = value,
            "trait_reported" => self.response = value,
            "genome_build" if self.build.is_empty() => self.build = value,
            // what the positions that are taken are about
            "HmPOS_build" => self.build = value,
            "weight_type" => self.weight_type = value,
            _ => self.more.push((name.to_owned(), value)),
        }
    }

    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // a value that went into another line would be a line of the header
        let one = |it: &str| it.replace(['\n', '\r', '\t'], " ");
        let mut text = String::from(
            "###PGS CATALOG SCORING FILE - see https://www.pgscatalog.org/downloads/#dl_ftp_scoring for additional information\n\
             #format_version=2.0\n##POLYGENIC SCORE (PGS) INFORMATION\n",
        );
        let lines = [
            ("pgs_name", one(&self.name)),
            ("trait_reported", one(&self.response)),
            (
                "genome_build",
                if self.build.is_empty() { "NR".to_owned() } else { one(&self.build) },
            ),
            ("variants_number", self.entries.len().to_string()),
            ("weight_type", one(&self.weight_type)),
        ];
        for (name, value) in lines {
            let _fits = writeln!(text, "#{name}={value}");
        }
        text.push_str("##SOURCE INFORMATION\n");
        for (name, value) in &self.more {
            let _fits = writeln!(text, "#{}={}", one(name), one(value));
        }
        text.push_str(
            "rsID\tchr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\t\
             allelefrequency_effect\n",
        );
        for it in &self.entries {
            let frequency =
                if it.frequency.is_finite() { it.frequency.to_string() } else { String::new() };
            let _fits = writeln!(
                text,
                "{}\t{}\t{}\t{}\t{}\t{}\t{frequency}",
                it.id,
                it.chromosome,
                it.position,
                it.effect_allele,
                it.other_allele,
                it.effect_weight
            );
        }
        text
    }
}

impl Columns {
    fn find(header: &[&str]) -> Result<Self, String> {
        let at = |name: &str| header.iter().position(|it| it.trim() == name);
        let needed = |names: &[&str]| {
            names.iter().find_map(|it| at(it)).ok_or_else(|| {
                format!(
                    "the header has no column {}; give a scoring file of the PGS Catalog with positions",
                    names.join(" or ")
                )
            })
        };
        let special = SPECIAL.iter().filter_map(|it| Some((at(it)?, (*it).to_owned())));
        Ok(Self {
            id: at("rsID").or_else(|| at("hm_rsID")),
            chromosome: needed(&["hm_chr", "chr_name"])?,
            position: needed(&["hm_pos", "chr_position"])?,
            effect: needed(&["effect_allele"])?,
            other: at("other_allele").or_else(|| at("hm_inferOtherAllele")),
            weight: needed(&["effect_weight"])?,
            frequency: at("allelefrequency_effect"),
            special: special.collect(),
        })
    }

    fn entry(&self, fields: &[&str]) -> Result<ScoreEntry, String> {
        let field = |at: usize| fields.get(at).map_or("", |it| it.trim());
        let optional = |at: Option<usize>| at.map_or("", field);
        for (at, name) in &self.special {
            if field(*at).eq_ignore_ascii_case("true") {
                return Err(format!(
                    "{name} is true, but only weights for each copy of an allele can be applied; leave \
                     the row out if the score is meant without it"
                ));
            }
        }
        let number = |at: usize, name: &str| {
            let value = field(at).parse::<f64>().ok().filter(|it| it.is_finite());
            value.ok_or_else(|| format!("column {}, {name}, is no number", at + 1))
        };
        let position = field(self.position).parse::<u32>().ok().filter(|it| *it > 0);
        let position = position
            .ok_or_else(|| format!("column {}, the position, is no position", self.position + 1))?;
        let effect_allele = field(self.effect).to_owned();
        let chromosome = field(self.chromosome);
        if effect_allele.is_empty() || chromosome.is_empty() {
            return Err("the chromosome or the effect allele is empty".to_owned());
        }
        let other = optional(self.other);
        let frequency = match self.frequency {
            Some(at) if !matches!(field(at), "" | "NA" | "NR") => {
                let value = number(at, "the frequency")?;
                if !(0.0..=1.0).contains(&value) {
                    return Err(format!("column {}: a frequency lies between 0 and 1", at + 1));
                }
                value
            }
            _ => f64::NAN,
        };
        Ok(ScoreEntry {
            id: optional(self.id).to_owned(),
            chromosome: plain_chromosome(chromosome),
            position,
            effect_allele,
            // several that were inferred say no more than none
            other_allele: if other.contains('/') { String::new() } else { other.to_owned() },
            effect_weight: number(self.weight, "the weight")?,
            frequency,
        })
    }
}

/// `1` to `22`, `X`, `Y`, `MT`, as panels write them.
fn plain_chromosome(text: &str) -> String {
    let text = text.strip_prefix("chr").unwrap_or(text);
    match text.to_ascii_uppercase().as_str() {
        "23" => "X".to_owned(),
        "24" => "Y".to_owned(),
        "M" | "26" => "MT".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> ScoreFile {
        ScoreFile {
            name: "ldl 5e-8".to_owned(),
            response: "ldl".to_owned(),
            build: "GRCh37".to_owned(),
            weight_type: "beta".to_owned(),
            more: vec![("citation".to_owned(), "Konsil study s1".to_owned())],
            entries: vec![ScoreEntry {
                id: "rs1".to_owned(),
                chromosome: "19".to_owned(),
                position: 44_908_684,
                effect_allele: "C".to_owned(),
                other_allele: "T".to_owned(),
                effect_weight: 0.123_456_789,
                frequency: 0.15,
            }],
        }
    }

    #[test]
    fn a_file_comes_back() {
        let text = sample().to_text();
        assert!(text.starts_with("###PGS CATALOG SCORING FILE"));
        assert!(
            text.contains("\n#format_version=2.0\n") && text.contains("\n#variants_number=1\n")
        );
        assert!(
            text.contains("\n#weight_type=beta\n") && text.contains("\n#genome_build=GRCh37\n")
        );
        assert_eq!(ScoreFile::parse(&text).unwrap(), sample());
    }

    // Weights at positions of another build would be weights of other variants.
    #[test]
    fn harmonised_positions_come_first() {
        let text = "#genome_build=GRCh37\n#HmPOS_build=GRCh38\nrsID\tchr_name\tchr_position\t\
                    effect_allele\teffect_weight\thm_chr\thm_pos\nrs1\t1\t100\tA\t-0.5\t1\t200\n";
        let file = ScoreFile::parse(text).unwrap();
        assert_eq!((file.build.as_str(), file.entries[0].position), ("GRCh38", 200));
        assert!(file.entries[0].frequency.is_nan() && file.entries[0].other_allele.is_empty());
    }

    #[test]
    fn wrong_files_say_where() {
        let head = "chr_name\tchr_position\teffect_allele\tother_allele\teffect_weight\t\
                    allelefrequency_effect\tis_recessive\n";
        let message = |text: &str| ScoreFile::parse(text).unwrap_err().to_string();
        assert!(message("").starts_with("line 1: the file has no variants"));
        assert!(message("rsID\teffect_allele\n").contains("no column hm_chr or chr_name"));
        for (row, what) in [
            ("1\t0\tA\tC\t1\t\t", "column 2"),
            ("1\t5\tA\tC\tx\t\t", "column 5"),
            ("1\t5\tA\tC\tNaN\t\t", "column 5"),
            ("1\t5\tA\tC\t1\t1.5\t", "column 6"),
            ("1\t5\t\tC\t1\t\t", "effect allele"),
            ("1\t5\tA\tC\t1\t\tTrue", "is_recessive"),
        ] {
            let message = message(&format!("# a\n{head}{row}\n"));
            assert!(message.starts_with("line 3: ") && message.contains(what), "{message}");
        }
    }
}
