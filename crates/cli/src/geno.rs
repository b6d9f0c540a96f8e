//! Genotypes of one centre: the panel, import, check, list.

mod look;
mod people;

pub(crate) use look::panel_of;
pub(crate) use people::{Patients, dataset_name, nameless, patients};

use crate::failure::Failure;
use crate::screen::Screen;
use clap::{Args, Subcommand};
use konsil_cohort::{Genotypes, Key};
use konsil_geno::{
    Build, Builder, GenoError, HalfCall, ImportOptions, ImportReport, InMemory, LeaveOut, Linked,
    Links, OpenOptions, Panel, Progress, RefAllele, Sink, Source, Store, geno_names, import,
    make_panel, open,
};
use konsil_node::{Clock, freeze_genotypes, open_key};
use look::{LookOptions, PeopleCommand};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Between two lines of progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub(crate) enum GenoCommand {
    /// Make the network's list of variants from a file: .bim, .pvar or VCF. All centres use the same.
    #[command(
        after_help = "Example:\n  konsil geno panel reference.bim --out panel.tsv --build GRCh38"
    )]
    Panel {
        /// The file whose variants are listed.
        file: PathBuf,
        /// The panel to write.
        #[arg(short, long, default_value = "panel.tsv")]
        out: PathBuf,
        /// The build of the positions: GRCh37 or GRCh38.
        #[arg(long, value_parser = build)]
        build: Option<Build>,
        /// Which allele of a .bim is the reference: its first (a1) or its second (a2).
        #[arg(long = "ref", default_value = "a2", value_name = "ALLELE")]
        reference: Reference,
    },
    /// Import genotypes of a centre's patients into its encrypted blocks.
    #[command(
        after_help = "Example:\n  konsil geno import chr1.bed chr2.bed --panel panel.tsv --id-map links.csv -C centre"
    )]
    Import {
        #[command(flatten)]
        files: GenoFiles,
        /// Name of the genotypes.
        #[arg(long, default_value = "geno")]
        name: String,
    },
    /// Check files as an import would, look at their people, and store nothing.
    #[command(
        after_help = "Example:\n  konsil geno check chr1.bed --panel panel.tsv --out people.tsv -C centre"
    )]
    Check {
        #[command(flatten)]
        files: GenoFiles,
        /// Do not look at people: missing genotypes, heterozygosity, sex, relatives.
        #[arg(long, conflicts_with_all = ["out", "suggest"])]
        no_people: bool,
        #[command(flatten)]
        look: LookOptions,
    },
    /// Show how many of a centre's people have a relative in an earlier centre, as `konsil relatives` has
    /// found, and write a link file without them.
    #[command(
        after_help = "Example:\n  konsil geno relatives --id-map links.csv --out kept.csv -C centre"
    )]
    Relatives {
        /// Name of the genotypes.
        #[arg(long, default_value = "geno")]
        name: String,
        /// The link file with which they were imported; or a table with the patients' ids in a column
        /// `sample`.
        #[arg(long, value_name = "CSV")]
        id_map: Option<PathBuf>,
        /// The link file to write: for another import, which then leaves these people out.
        #[arg(short, long, value_name = "CSV", requires = "id_map")]
        out: Option<PathBuf>,
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
    /// Look at the people of imported genotypes: missing genotypes, heterozygosity, sex, relatives.
    #[command(
        after_help = "Example:\n  konsil geno people --id-map links.csv --out people.tsv -C centre"
    )]
    People(PeopleCommand),
    /// Show a centre's genotypes.
    #[command(after_help = "Example:\n  konsil geno list -C centre")]
    List {
        /// The centre's folder.
        #[arg(short = 'C', long, default_value = ".")]
        dir: PathBuf,
    },
}

/// Which allele of a `.bim` is the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Reference {
    /// The first.
    A1,
    /// The second, as PLINK writes what it has read from a VCF.
    A2,
}

#[derive(Debug, Args)]
pub(crate) struct GenoFiles {
    /// Genotype files of the same people, such as one for each chromosome.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Who is who: a CSV file with a column `sample` (ids of the genotype file) and a column `patient`.
    /// Without it the ids are the patients' own.
    #[arg(long, value_name = "CSV")]
    id_map: Option<PathBuf>,
    /// The data set whose patients these are; otherwise that of konsil.toml, or the only one.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    #[command(flatten)]
    rules: GenoRules,
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
}

/// How files are read and what is set aside.
#[derive(Clone, Debug, Args)]
pub(crate) struct GenoRules {
    /// The network's list of variants.
    #[arg(long, value_name = "TSV")]
    panel: PathBuf,
    /// Set variants aside that are missing in more than this part of the people.
    #[arg(long, default_value_t = 0.05, value_parser = part)]
    missing_max: f64,
    /// What becomes of calls with one allele missing, such as 0/. in a VCF.
    #[arg(long, default_value = "missing", value_name = "WHAT")]
    half_call: Half,
    /// Whether doses of imputed genotypes are kept beside the nearest genotypes: of a VCF or BCF with DS,
    /// and of BGEN.
    #[arg(long, default_value = "on", value_name = "ON|OFF")]
    doses: Doses,
    /// Keep variants of A/T and C/G near 50 %: the files' strand is known to be the panel's.
    #[arg(long)]
    keep_ambiguous: bool,
    /// People to leave out: a file with their ids, as the genotype file has them, one a line.
    #[arg(long, value_name = "FILE")]
    exclude: Option<PathBuf>,
    /// Variants to leave out: a file with names of the panel, 1:12345 or 1:12345:A:G, one a line.
    #[arg(long, value_name = "FILE")]
    exclude_variants: Option<PathBuf>,
    /// The variable of the data set that says who is a man and who a woman.
    #[arg(long, value_name = "VARIABLE")]
    sex: Option<String>,
}

/// What becomes of calls with one allele missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Half {
    /// They are missing.
    Missing,
    /// The missing allele is the reference.
    Reference,
    /// Two copies of the allele that was called.
    Haploid,
    /// They end the import.
    Error,
}

/// Whether doses are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Doses {
    /// They are.
    On,
    /// Nothing but genotypes is.
    Off,
}

/// The rules, read.
pub(crate) struct Rules {
    pub(crate) panel: Panel,
    /// The variable of the data set that says the sex.
    pub(crate) sex: Option<String>,
    open: OpenOptions,
    import: ImportOptions,
    people_out: Option<LeaveOut>,
    /// Ids of the list of variants to leave out that are not on the panel.
    not_on_panel: usize,
}

impl GenoRules {
    pub(crate) fn read(&self) -> Result<Rules, Failure> {
        let panel = Panel::read(&self.panel).map_err(GenoError::from)?;
        let (mut leave_out, mut not_on_panel) = (BTreeSet::new(), 0);
        if let Some(file) = &self.exclude_variants {
            let list = LeaveOut::read(file)?;
            let (found, known) = list.variants(&panel)?;
            (leave_out, not_on_panel) = (found, list.len() - known);
        }
        let people_out = self.exclude.as_deref().map(LeaveOut::read).transpose()?;
        let (missing_max, keep_ambiguous) = (self.missing_max, self.keep_ambiguous);
        let import = ImportOptions { missing_max, keep_ambiguous, leave_out };
        let half_call = match self.half_call {
            Half::Missing => HalfCall::Missing,
            Half::Reference => HalfCall::Reference,
            Half::Haploid => HalfCall::Haploid,
            Half::Error => HalfCall::Error,
        };
        let doses = self.doses == Doses::On;
        let (open, sex) = (OpenOptions { half_call, doses }, self.sex.clone());
        Ok(Rules { panel, sex, open, import, people_out, not_on_panel })
    }
}

fn build(text: &str) -> Result<Build, String> {
    Build::parse(text).ok_or_else(|| "GRCh37 or GRCh38".to_owned())
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|it| (0.0..=1.0).contains(it));
    part.ok_or_else(|| "a part between 0 and 1, such as 0.05".to_owned())
}

pub(crate) fn geno(command: GenoCommand, screen: &Screen) -> Result<(), Failure> {
    match command {
        GenoCommand::Panel { file, out, build, reference } => {
            panel(&file, &out, (build, reference), screen)
        }
        GenoCommand::Relatives { name, id_map, out, dir } => {
            relatives((&dir, &name), (id_map.as_deref(), out.as_deref()), screen)
        }
        GenoCommand::Import { files, name } => {
            run(&files, &To::Store(&files.dir, &name), None, screen)
        }
        GenoCommand::Check { files, no_people: true, .. } => {
            run(&files, &To::Nowhere, None, screen)
        }
        GenoCommand::Check { files, look, .. } => run(&files, &To::Memory, Some(&look), screen),
        GenoCommand::People(command) => look::people(&command, screen),
        GenoCommand::List { dir } => list(&dir, screen),
    }
}

fn panel(
    file: &Path,
    out: &Path,
    (build, reference): (Option<Build>, Reference),
    screen: &Screen,
) -> Result<(), Failure> {
    if out.exists() {
        let what = format!("{} exists; choose another name or remove it", out.display());
        return Err(Failure::usage(what));
    }
    let reference = match reference {
        Reference::A1 => RefAllele::First,
        Reference::A2 => RefAllele::Second,
    };
    let (panel, made) = make_panel(file, reference, build)?;
    panel.write(out).map_err(GenoError::from)?;
    let build =
        panel.build().map_or("build not said: give --build".to_owned(), |it| it.to_string());
    screen.note(&format!(
        "✓ {}  {} variants, {build}, sha256 {}…\n  left out: {} of other chromosomes, {} with other \
         alleles than A, C, G, T, {} twice",
        out.display(),
        made.kept,
        panel.hash().get(..12).unwrap_or_default(),
        made.other_places,
        made.other_alleles,
        made.duplicates
    ));
    let hash = panel.hash();
    let json =
        serde_json::json!({"schema": "konsil.panel.v1", "variants": made.kept, "sha256": hash});
    screen.json_line(&json);
    Ok(())
}

/// Where genotypes go.
pub(crate) enum To<'a> {
    /// The sealed store: the centre's folder, and a name.
    Store(&'a Path, &'a str),
    /// Memory, to be looked at.
    Memory,
    Nowhere,
}

fn run(
    files: &GenoFiles,
    to: &To<'_>,
    look: Option<&LookOptions>,
    screen: &Screen,
) -> Result<(), Failure> {
    let rules = files.rules.read()?;
    let key = open_key(&files.dir)?;
    let patients = patients(&files.dir, files.dataset.as_deref(), rules.sex.as_deref(), &key)?;
    let links = files.id_map.as_deref().map(|it| Links::read(it, None)).transpose()?;
    let who = Who { links: links.as_ref(), patients: patients.as_ref(), key: &key };
    let read = read_files(&files.files, &rules, &who, to, screen)?;
    screen.note(read.text.trim_end());
    if let Some(waiting) = read.store {
        return waiting.finish(&rules.panel, &key, screen);
    }
    let mut json = json(&read.report, read.linked.pseudonyms().len());
    if let (Some(memory), Some(look)) = (&read.memory, look) {
        json["look"] = look.show(memory, (&rules.panel, read.linked.ids()), screen)?;
    }
    screen.note("Nothing was stored: this was a check.");
    screen.json_line(&json);
    Ok(())
}

/// Whose genotypes are stored.
pub(crate) struct Who<'a> {
    /// Who is who, unless the ids are the patients' own.
    pub(crate) links: Option<&'a Links>,
    /// The patients of the centre's data set.
    pub(crate) patients: Option<&'a Patients>,
    pub(crate) key: &'a Key,
}

/// Files that were read.
pub(crate) struct ReadFiles {
    /// For the centre's own screen: it names people.
    pub(crate) text: String,
    report: ImportReport,
    linked: Linked,
    /// What is not in its place yet.
    pub(crate) store: Option<Waiting>,
    memory: Option<InMemory>,
}

/// A store that is written and waits for its place.
pub(crate) struct Waiting {
    builder: Builder,
    /// The centre's folder.
    dir: PathBuf,
    name: String,
    json: serde_json::Value,
}

/// Reads files, and writes a store that waits for its place if one is wanted.
pub(crate) fn read_files(
    files: &[PathBuf],
    rules: &Rules,
    who: &Who<'_>,
    to: &To<'_>,
    screen: &Screen,
) -> Result<ReadFiles, Failure> {
    let opened = files.iter().map(|file| open(file, &rules.open));
    let mut sources: Vec<Box<dyn Source>> = opened.collect::<Result<_, _>>()?;
    let Some(first) = sources.first() else {
        return Err(Failure::usage("name at least one file of genotypes"));
    };
    let linked = link(first.as_ref(), rules, who)?;
    let shape = (rules.panel.hash(), rules.panel.len());
    let (mut builder, mut memory) = (None, None);
    match to {
        To::Store(dir, name) => {
            let begun = Builder::create(&dir.join("data"), name, shape, linked.pseudonyms());
            builder = Some(begun.map_err(GenoError::from)?);
        }
        To::Memory => memory = Some(InMemory::new(shape, linked.pseudonyms(), linked.sexes())),
        To::Nowhere => {}
    }
    if let Some(builder) = &mut builder {
        builder.set_sexes(linked.sexes())?;
    }
    let begun = Instant::now();
    let mut shown = begun;
    let mut progress = |it: Progress| {
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            screen.progress(&progress_text(files, &it, begun.elapsed()));
        }
    };
    let sink = match (&mut builder, &mut memory) {
        (Some(builder), _) => Some(builder as &mut dyn Sink),
        (None, memory) => memory.as_mut().map(|it| it as &mut dyn Sink),
    };
    let pair = (&rules.panel, &linked);
    let report = import(&mut sources, pair, &rules.import, sink, &mut progress)?;
    screen.progress("");
    let json = json(&report, linked.pseudonyms().len());
    let store = match (builder, to) {
        (Some(builder), To::Store(dir, name)) => {
            let (dir, name) = ((*dir).to_owned(), (*name).to_owned());
            Some(Waiting { builder, dir, name, json })
        }
        _ => None,
    };
    let mut text = report.to_text(&linked, &rules.import);
    if rules.not_on_panel > 0 {
        text += &format!("  {} variants to leave out are not on the panel\n", rules.not_on_panel);
    }
    Ok(ReadFiles { text, report, linked, store, memory })
}

/// Whose genotypes of a file are stored.
fn link(first: &dyn Source, rules: &Rules, who: &Who<'_>) -> Result<Linked, Failure> {
    let (file, samples) = (first.file(), first.samples());
    let known = who.patients.map(|it| &it.known);
    let mut linked = Linked::new(file, samples, who.links, known, who.key)?;
    if let Some(list) = &rules.people_out {
        linked.leave_out(file, samples, list)?;
    }
    if let Some(patients) = who.patients {
        linked.add_sexes(&patients.sexes);
    }
    Ok(linked)
}

impl Waiting {
    /// Puts a store, and the panel beside it, in their places, and freezes it.
    pub(crate) fn finish(self, panel: &Panel, key: &Key, screen: &Screen) -> Result<(), Failure> {
        let Self { builder, dir, name, json } = self;
        panel
            .write(&dir.join("data").join(format!("{name}.panel.tsv")))
            .map_err(GenoError::from)?;
        let stored = builder.finish(key).map_err(GenoError::from)?;
        freeze_genotypes((&dir, &name), key, &Clock::system())?;
        screen.note(&format!(
            "✓ {name}  {} variants, {} bytes, encrypted; frozen as {}…, studies use these and no other",
            stored.variants,
            stored.bytes,
            stored.digest.get(..12).unwrap_or_default()
        ));
        screen.json_line(&json);
        Ok(())
    }
}

fn progress_text(files: &[PathBuf], progress: &Progress, elapsed: Duration) -> String {
    let name = files.get(progress.file).and_then(|it| it.file_name()).unwrap_or_default();
    let percent = 100 * progress.bytes.0 / progress.bytes.1.max(1);
    let minutes = elapsed.as_secs_f64() / 60.0;
    #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
    let speed = progress.variants as f64 / 1e6 / minutes.max(1e-9);
    let (file, all) = (progress.file + 1, files.len());
    format!(
        "  {} {percent} %  file {file}/{all}  {speed:.1} M variants/min",
        name.to_string_lossy()
    )
}

fn json(report: &ImportReport, people: usize) -> serde_json::Value {
    serde_json::json!({
        "schema": "konsil.geno.v1",
        "people": people,
        "panel": report.panel,
        "read": report.read,
        "kept": report.kept,
        "set_aside": {
            "not_on_panel": report.not_on_panel,
            "other_alleles": report.other_alleles,
            "duplicates": report.duplicates,
            "missing": report.missing,
            "ambiguous": report.ambiguous,
            "left_out": report.left_out,
        },
        "swapped": report.swapped,
        "other_strand": report.other_strand,
        "split": report.split,
        "with_doses": report.with_doses,
        "half_calls": report.notes.half_calls,
        "haploid": report.notes.haploid,
        "unclear": report.notes.unclear,
    })
}

fn relatives(
    (dir, name): (&Path, &str),
    (links, out): (Option<&Path>, Option<&Path>),
    screen: &Screen,
) -> Result<(), Failure> {
    let key = open_key(dir)?;
    let store = Store::open(&dir.join("data"), name, &key)?;
    let Some(marked) = store.relatives()? else {
        let what = "no study has looked for relatives of these people: konsil relatives, in a study of \
                    all centres; another import forgets what was found";
        return Err(Failure::usage(what));
    };
    screen.note(&format!(
        "{} of {} people have a relative in a centre that stands before this one",
        marked.len(),
        store.people().len()
    ));
    if let Some(links) = links {
        let (text, left_out) = Links::read(links, None)?.without(&marked, &key);
        screen.note(&format!("{left_out} of them are in {}", links.display()));
        if let Some(out) = out {
            konsil_node::write_private(out, text.as_bytes())?;
            screen.note(&format!("✓ {}  import again with --id-map and this file", out.display()));
        }
    }
    screen.json_line(&serde_json::json!({
        "schema": "konsil.geno-relatives.v1", "name": name, "people": store.people().len(),
        "marked": marked.len(), "out": out,
    }));
    Ok(())
}

fn list(dir: &Path, screen: &Screen) -> Result<(), Failure> {
    let key = open_key(dir)?;
    let data = dir.join("data");
    let names = geno_names(&data)?;
    let mut rows = Vec::with_capacity(names.len());
    for name in names {
        let store = Store::open(&data, &name, &key)?;
        let (people, kept, variants) = (store.people().len(), store.kept(), store.variants());
        let (panel, digest) = (store.panel_hash(), store.digest());
        let short = |text: &str| text.get(..12).unwrap_or_default().to_owned();
        screen.table(&format!(
            "{name:<20} {people:>9} people   {kept:>10} of {variants} variants   panel {}…   {}…",
            short(panel),
            short(digest)
        ));
        rows.push(serde_json::json!({
            "name": name, "people": people, "kept": kept, "with_doses": store.with_doses(),
            "variants": variants, "panel": panel, "digest": digest,
        }));
    }
    screen.json_line(&serde_json::json!({"schema": "konsil.genotypes.v1", "genotypes": rows}));
    Ok(())
}

impl From<GenoError> for Failure {
    fn from(error: GenoError) -> Self {
        match error {
            GenoError::Cohort(error) => error.into(),
            error => Self::coded(error.code(), error.to_string()),
        }
    }
}
