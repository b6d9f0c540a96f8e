//! Who is who: which patient of the centre a person of a genotype file is.
//!
//! A link file is a table with a header (comma, semicolon or tab between): a column with the ids of the
//! genotype file and one with the patients' ids. They are known by their names, `sample`, `sample_id`,
//! `iid`, `genotype_id` and `patient`, `patient_id`, `pid`, or are the first and the second column.
//! Where there is a column named for samples and none for patients, the ids are the same.

use crate::error::{GenoError, Place};
use crate::leave_out::LeaveOut;
use crate::source::Sample;
use konsil_cohort::{Key, Pseudonym, Sex, pseudonym_of};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

const SAMPLE: [&str; 6] = ["sample", "sample_id", "iid", "#iid", "genotype_id", "geno_id"];
const PATIENT: [&str; 4] = ["patient", "patient_id", "pid", "subject_id"];
/// Bytes of the largest link file.
const FILE_MAX: u64 = 1 << 30;
/// Matched people whose ids are shown.
const EXAMPLES: usize = 3;

/// A link file. Patient data.
pub struct Links {
    file: PathBuf,
    /// Of each sample: its patient, empty for none, and its line.
    patients: HashMap<String, (String, u64)>,
    /// Of each sample: the value of the column that was asked for.
    parts: HashMap<String, String>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Links[{}]", self.patients.len())
    }
}

impl Links {
    /// Reads a link file; with `part`, a further column is kept by which the file can be divided.
    ///
    /// # Errors
    /// [`GenoError::Links`] with the line: no header, no such column, a sample or a patient twice.
    pub fn read(file: &Path, part: Option<&str>) -> Result<Self, GenoError> {
        let bytes = read_limited(file)?;
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&bytes);
        let head = bytes.split(|it| *it == b'\n').next().unwrap_or_default();
        let count = |mark: u8| head.iter().filter(|it| **it == mark).count();
        let mark = [b',', b';', b'\t'].into_iter().max_by_key(|it| count(*it)).unwrap_or(b',');
        let mut reader =
            csv::ReaderBuilder::new().delimiter(mark).trim(csv::Trim::All).from_reader(bytes);
        let damaged = |error: &csv::Error| {
            let line = error.position().map_or(Place::Whole, |it| Place::Line(it.line()));
            GenoError::links(
                file,
                line,
                "no table in UTF-8 with as many fields in each line as in its head",
            )
        };
        let head = reader.headers().map_err(|error| damaged(&error))?.clone();
        let columns = Columns::of(&head, part)
            .map_err(|what| GenoError::links(file, Place::Line(1), what))?;
        let mut links =
            Self { file: file.to_owned(), patients: HashMap::new(), parts: HashMap::new() };
        let mut owners: HashMap<String, u64> = HashMap::new();
        for row in reader.records() {
            let row = row.map_err(|error| damaged(&error))?;
            let line = row.position().map_or(0, csv::Position::line);
            links.row(&row, &columns, line, &mut owners)?;
        }
        if links.patients.is_empty() {
            return Err(GenoError::links(file, Place::Whole, "the file links nobody"));
        }
        Ok(links)
    }

    fn row(
        &mut self,
        row: &csv::StringRecord,
        columns: &Columns,
        line: u64,
        owners: &mut HashMap<String, u64>,
    ) -> Result<(), GenoError> {
        let field = |at: usize| row.get(at).unwrap_or_default();
        let (sample, patient) = (field(columns.sample), field(columns.patient));
        let twice = |what: &str, before: u64| {
            let what = format!("the same {what} as in line {before}; leave one");
            GenoError::links(&self.file, Place::Line(line), what)
        };
        if sample.is_empty() {
            return Ok(());
        }
        if let Some((_, before)) = self.patients.get(sample) {
            return Err(twice("sample", *before));
        }
        if !patient.is_empty()
            && let Some(before) = owners.insert(patient.to_owned(), line)
        {
            return Err(twice("patient", before));
        }
        if let Some(part) = columns.part {
            self.parts.insert(sample.to_owned(), field(part).to_owned());
        }
        self.patients.insert(sample.to_owned(), (patient.to_owned(), line));
        Ok(())
    }

    /// Ids of the genotype file by the pseudonym of the patient, under a centre's key.
    #[must_use]
    pub fn ids(&self, key: &Key) -> HashMap<Pseudonym, String> {
        let linked = self.patients.iter().filter(|(_, (patient, _))| !patient.is_empty());
        linked.map(|(id, (patient, _))| (pseudonym_of(key, patient), id.clone())).collect()
    }

    /// The values of the column that was asked for, in order.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        let parts: HashSet<&String> = self.parts.values().filter(|it| !it.is_empty()).collect();
        let mut parts: Vec<String> = parts.into_iter().cloned().collect();
        parts.sort();
        parts
    }

    /// The links of all but these people, as a link file, in the order of this one; and how many were left
    /// out.
    #[must_use]
    pub fn without(&self, people: &HashSet<Pseudonym>, key: &Key) -> (String, usize) {
        let mut rows: Vec<_> =
            self.patients.iter().map(|(sample, it)| (it.1, sample, &it.0)).collect();
        rows.sort_unstable();
        let before = rows.len();
        rows.retain(|(_, _, patient)| !people.contains(&pseudonym_of(key, patient)));
        let quoted = |text: &str| {
            let special = text.contains([',', ';', '\t', '"', '\n', '\r']);
            if special { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
        };
        let mut text = "sample,patient\n".to_owned();
        for (_, sample, patient) in &rows {
            text.push_str(&format!("{},{}\n", quoted(sample), quoted(patient)));
        }
        (text, before - rows.len())
    }

    /// The links of those with this value in the column that was asked for.
    #[must_use]
    pub fn part(&self, value: &str) -> Self {
        let own = |sample: &String| self.parts.get(sample).is_some_and(|it| it == value);
        let patients = self.patients.iter().filter(|(sample, _)| own(sample));
        let patients = patients.map(|(sample, it)| (sample.clone(), it.clone())).collect();
        Self { file: self.file.clone(), patients, parts: HashMap::new() }
    }
}

/// Places of the columns.
struct Columns {
    sample: usize,
    patient: usize,
    part: Option<usize>,
}

impl Columns {
    fn of(head: &csv::StringRecord, part: Option<&str>) -> Result<Self, String> {
        let named = |names: &[&str]| {
            head.iter().position(|it| names.contains(&it.to_ascii_lowercase().as_str()))
        };
        let column = |name: &str| {
            head.iter().position(|it| it == name).ok_or_else(|| {
                let all = head.iter().collect::<Vec<_>>().join(", ");
                format!("there is no column `{name}`; the columns are {all}")
            })
        };
        let part = part.map(column).transpose()?;
        let (sample, patient) = match (named(&SAMPLE), named(&PATIENT)) {
            (Some(sample), Some(patient)) => (sample, patient),
            (Some(sample), None) => (sample, sample),
            (None, Some(1)) | (None, None) => (0, 1),
            (None, Some(patient)) => {
                return Err(format!(
                    "column {} has the patients' ids; name the column with the ids of the genotype \
                     file `sample`",
                    patient + 1
                ));
            }
        };
        if head.len() <= sample.max(patient) {
            return Err(
                "a link file has a column with the ids of the genotype file, and one with the \
                        patients'"
                    .to_owned(),
            );
        }
        Ok(Self { sample, patient, part })
    }
}

/// Which people of a genotype file are stored, and as whom. Patient data.
pub struct Linked {
    /// Id of each in the genotype file, in the order of the first file.
    ids: Vec<String>,
    /// Who each is.
    pseudonyms: Vec<Pseudonym>,
    sexes: Vec<Sex>,
    /// Whether the centre's data set knows each; nobody where there is none.
    known: Vec<bool>,
    /// Ids of the first, as the file and as the centre has them: for the centre's own screen.
    pub examples: Vec<(String, String)>,
    /// People of the file.
    pub people: usize,
    /// People of the file without a link: set aside.
    pub unlinked: usize,
    /// Linked people of whom the centre's data set knows nothing; none where there is no data set.
    pub without_data: Option<usize>,
    /// Links without a person in the file.
    pub unused_links: usize,
    /// People who are left out on purpose.
    pub left_out: usize,
    /// People of another sex in the data set than in the file; theirs is unknown.
    pub sexes_differ: usize,
}

impl fmt::Debug for Linked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Linked[{}]", self.ids.len())
    }
}

impl Linked {
    /// Finds the patient of each person of a file. Without links the ids are the patients' own, and
    /// people that are no patients of the centre's data set (`known`) are set aside.
    ///
    /// # Errors
    /// [`GenoError::Links`] for an id twice in the file, or two people who are one patient;
    /// [`GenoError::People`] where nobody is linked.
    pub fn new(
        file: &Path,
        samples: &[Sample],
        links: Option<&Links>,
        known: Option<&HashSet<Pseudonym>>,
        key: &Key,
    ) -> Result<Self, GenoError> {
        check_unique(file, samples)?;
        let mut linked = Self {
            ids: Vec::new(),
            pseudonyms: Vec::new(),
            sexes: Vec::new(),
            known: Vec::new(),
            examples: Vec::new(),
            people: samples.len(),
            unlinked: 0,
            without_data: known.map(|_| 0),
            unused_links: 0,
            left_out: 0,
            sexes_differ: 0,
        };
        let mut seen: HashMap<Pseudonym, Place> = HashMap::new();
        for sample in samples {
            let patient = match links {
                Some(links) => links.patient(sample),
                None => patient_itself(sample, known, key),
            };
            let Some(patient) = patient else {
                linked.unlinked += 1;
                continue;
            };
            let pseudonym = pseudonym_of(key, patient);
            if let Some(before) = seen.insert(pseudonym, sample.place) {
                let what = format!("the same patient as in{}; leave one", named(before));
                return Err(GenoError::links(file, sample.place, what));
            }
            if linked.examples.len() < EXAMPLES {
                linked.examples.push((sample.id.clone(), patient.to_owned()));
            }
            linked.ids.push(sample.id.clone());
            linked.known.push(known.is_some_and(|it| it.contains(&pseudonym)));
            linked.pseudonyms.push(pseudonym);
            linked.sexes.push(sample.sex);
        }
        linked.count_known();
        linked.unused_links = links.map_or(0, |it| it.patients.len().saturating_sub(seen.len()));
        if linked.ids.is_empty() {
            return Err(GenoError::people(file, nobody(samples, links, known)));
        }
        if linked.without_data == Some(linked.ids.len()) {
            let what = format!(
                "none of the {} linked people is a patient of the data set; look at the patients' ids \
                 in the link file",
                linked.ids.len()
            );
            return Err(GenoError::people(file, what));
        }
        Ok(linked)
    }

    /// Who is stored, in their order.
    #[must_use]
    pub fn pseudonyms(&self) -> &[Pseudonym] {
        &self.pseudonyms
    }

    /// The id of each in the genotype file, in their order.
    #[must_use]
    pub fn ids(&self) -> &[String] {
        &self.ids
    }

    /// The sex of each, in their order.
    #[must_use]
    pub fn sexes(&self) -> &[Sex] {
        &self.sexes
    }

    /// Takes sexes in that the centre's data set knows. Where file and data set differ, nobody knows.
    pub fn add_sexes(&mut self, of_patients: &HashMap<Pseudonym, Sex>) {
        for (sex, patient) in self.sexes.iter_mut().zip(&self.pseudonyms) {
            let own = of_patients.get(patient).copied().unwrap_or_default();
            match (*sex, own) {
                (_, Sex::Unknown) => {}
                (Sex::Unknown, own) => *sex = own,
                (of_file, own) if of_file == own => {}
                _ => {
                    *sex = Sex::Unknown;
                    self.sexes_differ += 1;
                }
            }
        }
    }

    /// Leaves people out.
    ///
    /// # Errors
    /// [`GenoError::LeaveOut`] with the line of an id that nobody in the file has: whoever was meant would
    /// stay; [`GenoError::People`] where nobody is left.
    pub fn leave_out(
        &mut self,
        file: &Path,
        samples: &[Sample],
        list: &LeaveOut,
    ) -> Result<(), GenoError> {
        let mut owners: HashMap<&str, &str> = HashMap::with_capacity(2 * samples.len());
        for sample in samples {
            let own = sample.id.as_str();
            owners.insert(own, own);
            if let Some(other) = &sample.other {
                owners.entry(other).or_insert(own);
            }
        }
        let mut out: HashSet<&str> = HashSet::new();
        for (id, line) in list.ids() {
            let what =
                "nobody in the genotype file has this id; write it as the file does, one a line";
            let owner = owners.get(id.as_str());
            out.insert(owner.ok_or_else(|| list.wrong(Place::Line(*line), what))?);
        }
        let stays: Vec<bool> = self.ids.iter().map(|id| !out.contains(id.as_str())).collect();
        self.examples.retain(|(id, _)| !out.contains(id.as_str()));
        keep(&mut self.ids, &stays);
        keep(&mut self.pseudonyms, &stays);
        keep(&mut self.sexes, &stays);
        keep(&mut self.known, &stays);
        self.left_out = stays.len() - self.ids.len();
        self.count_known();
        match self.ids.is_empty() {
            true => Err(GenoError::people(file, "everybody who is linked is left out")),
            false => Ok(()),
        }
    }

    fn count_known(&mut self) {
        let unknown = self.known.iter().filter(|it| !**it).count();
        self.without_data = self.without_data.map(|_| unknown);
    }

    /// Places of the stored people in a file; `None` where they are all of it, in its order.
    ///
    /// # Errors
    /// [`GenoError::Links`] for an id twice; [`GenoError::People`] where one of them is missing: several
    /// files have the same people.
    pub(crate) fn places(
        &self,
        file: &Path,
        samples: &[Sample],
    ) -> Result<Option<Vec<u32>>, GenoError> {
        let is_same = samples.len() == self.ids.len();
        if is_same && samples.iter().zip(&self.ids).all(|(sample, id)| sample.id == *id) {
            return Ok(None);
        }
        check_unique(file, samples)?;
        let places: HashMap<&str, usize> =
            samples.iter().enumerate().map(|(at, it)| (it.id.as_str(), at)).collect();
        let place = |id: &String| places.get(id.as_str()).and_then(|it| u32::try_from(*it).ok());
        let found: Option<Vec<u32>> = self.ids.iter().map(place).collect();
        let missing = self.ids.iter().filter(|id| place(id).is_none()).count();
        found.map(Some).ok_or_else(|| {
            let what = format!(
                "{missing} of the {} linked people of the first file are not in this one; files that \
                 are imported together have the same people",
                self.ids.len()
            );
            GenoError::people(file, what)
        })
    }
}

impl Links {
    fn patient(&self, sample: &Sample) -> Option<&str> {
        let found = self.patients.get(&sample.id);
        let found = found.or_else(|| self.patients.get(sample.other.as_ref()?));
        found.map(|(patient, _)| patient.as_str()).filter(|it| !it.is_empty())
    }
}

/// The id by which the centre knows a person of the file.
fn patient_itself<'a>(
    sample: &'a Sample,
    known: Option<&HashSet<Pseudonym>>,
    key: &Key,
) -> Option<&'a str> {
    let Some(known) = known else { return Some(&sample.id) };
    let ids = [Some(&sample.id), sample.other.as_ref()].into_iter().flatten();
    ids.map(String::as_str).find(|id| known.contains(&pseudonym_of(key, id)))
}

/// Refuses a file in which an id stands twice.
fn check_unique(file: &Path, samples: &[Sample]) -> Result<(), GenoError> {
    let mut seen: HashMap<&str, Place> = HashMap::with_capacity(samples.len());
    for sample in samples {
        if let Some(before) = seen.insert(&sample.id, sample.place) {
            let what = format!("the same id as in{}; people need different ids", named(before));
            return Err(GenoError::links(file, sample.place, what));
        }
    }
    Ok(())
}

/// Keeps the values whose place is marked.
fn keep<T>(values: &mut Vec<T>, marks: &[bool]) {
    let mut marks = marks.iter();
    values.retain(|_| marks.next().copied().unwrap_or(false));
}

fn named(place: Place) -> String {
    place.to_string().trim_start_matches(',').to_owned()
}

/// Why nobody is linked.
fn nobody(samples: &[Sample], links: Option<&Links>, known: Option<&HashSet<Pseudonym>>) -> String {
    let people = samples.len();
    let Some(links) = links else {
        let known = known.map_or(0, HashSet::len);
        return format!(
            "none of its {people} people has the id of one of the {known} patients of the data set; \
             give a file that links them with --id-map"
        );
    };
    let reversed = links
        .patients
        .values()
        .filter(|(patient, _)| samples.iter().take(1_000).any(|it| it.id == *patient));
    let hint = match reversed.count() {
        0 => {
            "ids must be written as in the genotype file, with the family before (FAMILY_PERSON) \
              where ids alone are not unique"
        }
        _ => {
            "the columns seem to be reversed: the genotype file's ids come first, or name the columns \
              `sample` and `patient`"
        }
    };
    format!("none of its {people} people stands in {}; {hint}", links.file.display())
}

fn read_limited(file: &Path) -> Result<Vec<u8>, GenoError> {
    let failed = |source| GenoError::io(file, source);
    if std::fs::metadata(file).map_err(failed)?.len() > FILE_MAX {
        let what = "a link file of more than 1 GiB".to_owned();
        return Err(GenoError::Limit { file: file.to_owned(), place: Place::Whole, what });
    }
    std::fs::read(file).map_err(failed)
}

#[cfg(test)]
mod tests;
