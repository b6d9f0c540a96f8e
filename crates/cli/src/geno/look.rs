//! What a steward sees of a centre's people: missing genotypes, heterozygosity, sex, relatives.
//!
//! It is for the centre's own screen and files, and names people; `--json` has counts only.

use crate::failure::Failure;
use crate::screen::Screen;
use clap::Args;
use konsil_cohort::{Genotypes, Pseudonym, Sex};
use konsil_geno::{
    Advice, Concern, GenoError, Links, Pair, Panel, People, PeopleOptions, Person, Store,
};
use konsil_node::{open_key, write_private};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// People on the screen; files have all.
const SHOWN: usize = 30;
/// People below which frequencies are rough.
const FEW: usize = 50;
/// Variants below which kinship is rough.
const FEW_VARIANTS: usize = 10_000;
const HEAD: &str = "#ID\tSEX\tMISSING_CT\tVARIANT_CT\tF_MISS\tO_HOM\tE_HOM\tOBS_CT\tF\tX_CT\tX_F\t\
                    SEX_BY_X\tRELATIVES\tNEAREST\tKINSHIP\tLEAVE_OUT\tWHY\n";

/// How people are looked at, and where it is written.
#[derive(Clone, Debug, Args)]
pub(crate) struct LookOptions {
    /// Tell of people who lack more than this part of the variants.
    #[arg(long, default_value_t = 0.05, value_parser = super::part, value_name = "PART")]
    person_missing_max: f64,
    /// Tell of two people from this kinship on: 0.354 the same person, 0.177 parents, children, siblings,
    /// 0.0884 the second degree.
    #[arg(long, default_value_t = 0.177, value_parser = super::part, value_name = "KINSHIP")]
    kinship_min: f64,
    /// Look for relatives with so many variants at most, evenly taken.
    #[arg(long, default_value_t = 100_000, value_name = "NUMBER")]
    kinship_variants: usize,
    /// A file to write with a line for each person.
    #[arg(short, long, value_name = "TSV")]
    out: Option<PathBuf>,
    /// A file to write with the people whom to leave out is advised, for `import --exclude`.
    #[arg(long, value_name = "FILE")]
    suggest: Option<PathBuf>,
}

/// Options of `konsil geno people`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PeopleCommand {
    /// Name of the genotypes.
    #[arg(long, default_value = "geno")]
    name: String,
    /// The link file of the import: with it people have the genotype file's ids, otherwise the first
    /// digits of their pseudonyms.
    #[arg(long, value_name = "CSV")]
    id_map: Option<PathBuf>,
    #[command(flatten)]
    look: LookOptions,
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
}

/// Looks at the people of imported genotypes.
pub(super) fn people(command: &PeopleCommand, screen: &Screen) -> Result<(), Failure> {
    let key = open_key(&command.dir)?;
    let data = command.dir.join("data");
    let store = Store::open(&data, &command.name, &key)?;
    let panel = panel_of(&data, &command.name, &store)?;
    let links = command.id_map.as_deref().map(|it| Links::read(it, None)).transpose()?;
    let known = links.map(|it| it.ids(&key)).unwrap_or_default();
    let id = |it: &Pseudonym| known.get(it).cloned().unwrap_or_else(|| digits(it));
    let ids: Vec<String> = store.people().iter().map(id).collect();
    let found = command.look.show(&store, (&panel, &ids), screen)?;
    screen.json_line(&json!({"schema": "konsil.geno-people.v1", "look": found}));
    Ok(())
}

/// The panel beside a store.
pub(crate) fn panel_of(data: &Path, name: &str, store: &Store) -> Result<Panel, Failure> {
    let path = data.join(format!("{name}.panel.tsv"));
    let panel = Panel::read(&path).map_err(GenoError::from)?;
    match panel.hash() == store.panel_hash() {
        true => Ok(panel),
        false => Err(Failure::usage(format!(
            "{} is not the panel that the genotypes were imported with; import them again",
            path.display()
        ))),
    }
}

fn digits(pseudonym: &Pseudonym) -> String {
    pseudonym.iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl LookOptions {
    /// Looks, shows, writes files; gives counts.
    pub(super) fn show(
        &self,
        genotypes: &dyn Genotypes,
        (panel, ids): (&Panel, &[String]),
        screen: &Screen,
    ) -> Result<Value, Failure> {
        let mut files = [&self.out, &self.suggest].into_iter().flatten();
        if let Some(file) = files.find(|it| it.exists()) {
            let what = format!("{} exists; choose another name or remove it", file.display());
            return Err(Failure::usage(what));
        }
        let options = PeopleOptions {
            missing_max: self.person_missing_max,
            kinship_min: self.kinship_min,
            kinship_variants: self.kinship_variants,
            ..PeopleOptions::default()
        };
        screen.progress("  looking at people …");
        let people = People::look_at(genotypes, panel, &options)?;
        screen.progress("");
        let told = Told { people: &people, ids, advice: by_person(&people.advice()) };
        screen.table(told.summary().trim_end());
        screen.table(told.list().trim_end());
        if let Some(file) = &self.out {
            write_private(file, told.table().as_bytes())?;
            screen.note(&format!("✓ {}  a line for each person", file.display()));
        }
        let out = told.left_out();
        if let Some(file) = &self.suggest {
            write_private(file, told.suggestion().as_bytes())?;
            screen.note(&format!(
                "✓ {}  {} people; read it, then  konsil geno import … --exclude {}",
                file.display(),
                out.len(),
                file.display()
            ));
        } else if !out.is_empty() {
            screen
                .note("  --suggest out.txt writes their ids, for  konsil geno import … --exclude");
        }
        Ok(told.counts())
    }
}

fn by_person(advice: &[Advice]) -> BTreeMap<usize, Vec<Advice>> {
    let mut all: BTreeMap<usize, Vec<Advice>> = BTreeMap::new();
    advice.iter().for_each(|it| all.entry(it.person).or_default().push(*it));
    all
}

/// What is told of people.
struct Told<'a> {
    people: &'a People,
    ids: &'a [String],
    advice: BTreeMap<usize, Vec<Advice>>,
}

impl Told<'_> {
    fn id(&self, person: usize) -> &str {
        self.ids.get(person).map_or("?", String::as_str)
    }

    fn left_out(&self) -> BTreeSet<usize> {
        let out = self.advice.iter().filter(|(_, all)| all.iter().any(|it| it.leave_out));
        out.map(|(person, _)| *person).collect()
    }

    fn summary(&self) -> String {
        let People { persons, variants: (autosomes, x), .. } = self.people;
        let count = |sex: Sex| persons.iter().filter(|it| it.sex_by_x() == sex).count();
        let mut missing: Vec<f64> = persons.iter().map(Person::missing_part).collect();
        missing.sort_by(f64::total_cmp);
        let percent = |at: usize| missing.get(at).map_or(0.0, |it| 100.0 * it);
        let inbreeding: Vec<f64> =
            persons.iter().filter_map(|it| it.autosomes.inbreeding()).collect();
        let mean = inbreeding.iter().sum::<f64>() / (inbreeding.len().max(1) as f64);
        let (low, high) =
            inbreeding.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), it| {
                (it.min(low), it.max(high))
            });
        let rough = match persons.len() < FEW {
            true => "; of so few people frequencies, and so F, are rough",
            false => "",
        };
        let mut text = format!(
            "{} people, {autosomes} variants of chromosomes 1 to 22, {x} of X{rough}\n  missing    half \
             of the people {:.2} % or less, the most {:.2} %\n",
            persons.len(),
            percent(missing.len() / 2),
            percent(missing.len().saturating_sub(1)),
        );
        if !inbreeding.is_empty() {
            let _ = writeln!(text, "  F          mean {mean:.4}, from {low:.4} to {high:.4}");
        }
        if *x > 0 {
            let [men, women, unclear] = [Sex::Male, Sex::Female, Sex::Unknown].map(count);
            let _ = writeln!(text, "  sex by X   {men} men, {women} women, {unclear} unclear");
        }
        let few = match self.people.kinship_variants < FEW_VARIANTS {
            true => ": so few that strangers can seem related",
            false => "",
        };
        let _ = writeln!(
            text,
            "  relatives  {} pairs with a kinship of {} or more, by {} variants{few}",
            self.people.pairs.len(),
            self.people.options.kinship_min,
            self.people.kinship_variants
        );
        text
    }

    /// Those to look at.
    fn list(&self) -> String {
        if self.advice.is_empty() {
            return "  nobody to look at".to_owned();
        }
        let out = self.left_out();
        let mut text = format!(
            "{} people to look at, {} of them to leave out, as advised:\n  {:<20} {:>8} {:>8}  {:<4} \
             {:<4}  why\n",
            self.advice.len(),
            out.len(),
            "ID",
            "missing",
            "F",
            "sex",
            "by X"
        );
        let mut order: Vec<&usize> = self.advice.keys().collect();
        order.sort_by_key(|person| !out.contains(person));
        for person in order.into_iter().take(SHOWN) {
            let Some(it) = self.people.persons.get(*person) else { continue };
            let f = it.autosomes.inbreeding().map_or("NA".to_owned(), |it| format!("{it:.4}"));
            let _ = writeln!(
                text,
                "  {:<20} {:>6.2} % {f:>8}  {:<4} {:<4}  {}",
                self.id(*person),
                100.0 * it.missing_part(),
                letter(it.sex),
                letter(it.sex_by_x()),
                self.why(*person)
            );
        }
        let more = self.advice.len().saturating_sub(SHOWN);
        if more > 0 {
            let _ = writeln!(text, "  and {more} more: --out people.tsv has all");
        }
        text
    }

    fn why(&self, person: usize) -> String {
        let all = self.advice.get(&person).map(Vec::as_slice).unwrap_or_default();
        let missing_max = 100.0 * self.people.options.missing_max;
        let what = |it: &Advice| match it.concern {
            Concern::Missing => format!("more than {missing_max} % missing: a poor sample"),
            Concern::OtherSex => "X says another sex: another person's sample?".to_owned(),
            Concern::TooHeterozygous => {
                "more heterozygous than others: samples mixed, or other ancestry".to_owned()
            }
            Concern::TooHomozygous => {
                "less heterozygous than others: related parents, or other ancestry".to_owned()
            }
            Concern::Same(other) => format!("the same person as {}, or a twin", self.id(other)),
            Concern::Relative(other) => format!("a relative of {}", self.id(other)),
        };
        let mut why = all.iter().map(what).collect::<Vec<_>>().join("; ");
        if all.iter().any(|it| it.leave_out) {
            why += "; leave out";
        }
        why
    }

    /// A line for each person.
    fn table(&self) -> String {
        let mut near: BTreeMap<usize, (usize, &Pair, usize)> = BTreeMap::new();
        // the nearest come first
        for pair in &self.people.pairs {
            let (a, b) = pair.people;
            for (person, other) in [(a, b), (b, a)] {
                near.entry(person).or_insert((other, pair, 0)).2 += 1;
            }
        }
        let out = self.left_out();
        let mut text = HEAD.to_owned();
        for (person, it) in self.people.persons.iter().enumerate() {
            let number =
                |value: Option<f64>| value.map_or("NA".to_owned(), |it| format!("{it:.6}"));
            let (relatives, nearest, kinship) = match near.get(&person) {
                Some((other, pair, count)) => (*count, self.id(*other), Some(pair.kinship)),
                None => (0, ".", None),
            };
            let why = match self.why(person) {
                empty if empty.is_empty() => ".".to_owned(),
                why => why,
            };
            let _ = writeln!(
                text,
                "{}\t{}\t{}\t{}\t{:.6}\t{}\t{:.3}\t{}\t{}\t{}\t{}\t{}\t{relatives}\t{nearest}\t{}\t{}\t{why}",
                self.id(person),
                it.sex.code(),
                it.missing,
                it.variants,
                it.missing_part(),
                it.autosomes.observed,
                it.autosomes.expected,
                it.autosomes.called,
                number(it.autosomes.inbreeding()),
                it.x.called,
                number(it.x.inbreeding()),
                it.sex_by_x().code(),
                number(kinship),
                u8::from(out.contains(&person)),
            );
        }
        text
    }

    /// Ids of those to leave out, with the reason after a tab.
    fn suggestion(&self) -> String {
        let mut text =
            "# ids of people to leave out, one a line; after a tab the reason\n".to_owned();
        for person in self.left_out() {
            let _ = writeln!(text, "{}\t{}", self.id(person), self.why(person));
        }
        text
    }

    fn counts(&self) -> Value {
        let count = |is: fn(&Concern) -> bool| {
            self.advice.values().filter(|all| all.iter().any(|it| is(&it.concern))).count()
        };
        json!({
            "people": self.people.persons.len(),
            "variants": self.people.variants.0,
            "x_variants": self.people.variants.1,
            "kinship_variants": self.people.kinship_variants,
            "pairs": self.people.pairs.len(),
            "missing": count(|it| *it == Concern::Missing),
            "other_sex": count(|it| *it == Concern::OtherSex),
            "heterozygosity": count(|it| {
                matches!(it, Concern::TooHeterozygous | Concern::TooHomozygous)
            }),
            "same": count(|it| matches!(it, Concern::Same(_))),
            "relatives": count(|it| matches!(it, Concern::Relative(_))),
            "leave_out": self.left_out().len(),
        })
    }
}

fn letter(sex: Sex) -> &'static str {
    match sex {
        Sex::Male => "M",
        Sex::Female => "F",
        Sex::Unknown => "-",
    }
}
