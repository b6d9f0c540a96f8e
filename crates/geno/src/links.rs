//! Who is who: which patient of the centre a person of a genotype file is.
//!
//! A link file is a table with a header (comma, semicolon or tab between): a column with the ids of the
//! genotype file and one with the patients' ids. They are known by their names, `sample`, `sample_id`,
//! `iid`, `genotype_id` and `patient`, `patient_id`, `pid`, or are the first and the second column.
//! Where there is a column named for samples and none for patients, the ids are the same.

use crate::error::{GenoError, Place};
use crate::source::Sample;
use konsil_cohort::{Key, Pseudonym, pseudonym_of};
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
            examples: Vec::new(),
            people: samples.len(),
            unlinked: 0,
            without_data: known.map(|_| 0),
            unused_links: 0,
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
            let is_unknown = known.is_some_and(|it| !it.contains(&pseudonym));
            linked.without_data = linked.without_data.map(|it| it + usize::from(is_unknown));
            if linked.examples.len() < EXAMPLES {
                linked.examples.push((sample.id.clone(), patient.to_owned()));
            }
            linked.ids.push(sample.id.clone());
            linked.pseudonyms.push(pseudonym);
        }
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
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn links(text: &str, part: Option<&str>) -> Result<Links, GenoError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("links.csv");
        std::fs::write(&file, text).unwrap();
        Links::read(&file, part)
    }

    fn samples(ids: &[(&str, Option<&str>)]) -> Vec<Sample> {
        let sample = |(at, (id, other)): (usize, &(&str, Option<&str>))| Sample {
            id: (*id).to_owned(),
            other: other.map(str::to_owned),
            place: Place::Line(at as u64 + 1),
        };
        ids.iter().enumerate().map(sample).collect()
    }

    fn key() -> (TempDir, Key) {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::create(&folder.path().join("key")).unwrap();
        (folder, key)
    }

    fn link(
        ids: &[(&str, Option<&str>)],
        links: Option<&Links>,
        known: Option<&[&str]>,
    ) -> Result<(Vec<String>, [usize; 3]), GenoError> {
        let (_folder, key) = key();
        let known: Option<HashSet<Pseudonym>> =
            known.map(|it| it.iter().map(|id| pseudonym_of(&key, id)).collect());
        let linked = Linked::new(Path::new("f.fam"), &samples(ids), links, known.as_ref(), &key)?;
        let patients = linked.examples.iter().map(|it| it.1.clone()).collect::<Vec<_>>();
        let own: Vec<_> = patients.iter().map(|id| pseudonym_of(&key, id)).collect();
        assert_eq!(linked.pseudonyms(), own);
        Ok((patients, [linked.unlinked, linked.without_data.unwrap_or(9), linked.unused_links]))
    }

    #[test]
    fn columns_are_known_by_name_or_place() {
        for text in [
            "a,b\nS1,P1\nS2,P2\n",
            "\u{feff}IID;Patient_ID\r\nS1;P1\r\nS2;P2\r\n",
            "centre\tpid\tsample\nx\tP1\tS1\nx\tP2\t S2 \n",
        ] {
            let links = links(text, None).unwrap();
            let (patients, counts) =
                link(&[("S2", None), ("S9", None), ("S1", None)], Some(&links), None).unwrap();
            assert_eq!(
                (patients, counts),
                (vec!["P2".to_owned(), "P1".to_owned()], [1, 9, 0]),
                "{text}"
            );
        }
        let same =
            links("FID,IID,centre\n1,S1,a\n1,S2,b\n1,S3,a\n1,S4,\n", Some("centre")).unwrap();
        assert_eq!(same.parts(), ["a", "b"]);
        let (patients, counts) =
            link(&[("S1", None), ("S2", None), ("S3", None)], Some(&same.part("a")), Some(&["S1"]))
                .unwrap();
        assert_eq!((patients, counts), (vec!["S1".to_owned(), "S3".to_owned()], [1, 1, 0]));
    }

    #[test]
    fn people_are_found_with_family_and_without_links() {
        let by_family = links("sample,patient\nF_1,P1\n2,P2\n3,\n", None).unwrap();
        let ids = [("1", Some("F_1")), ("2", Some("F_2")), ("3", None)];
        assert_eq!(link(&ids, Some(&by_family), None).unwrap().0, ["P1", "P2"]);
        let ids = [("A A_A", None), ("A_B_A_B", Some("A_B")), ("x", None)];
        let (patients, counts) = link(&ids, None, Some(&["A A_A", "A_B"])).unwrap();
        assert_eq!((patients, counts), (vec!["A A_A".to_owned(), "A_B".to_owned()], [1, 0, 0]));
        assert_eq!(link(&ids, None, None).unwrap().1, [0, 9, 0]);
    }

    #[test]
    fn wrong_links_are_named_by_line_and_never_by_id() {
        let refused = |text: &str, part: Option<&str>, words: &str| {
            let error = links(text, part).unwrap_err();
            assert_eq!(error.code(), "K0123");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains("S1"), "{error}");
        };
        refused("a,b\nS1,P1\nS2,P2\nS1,P3\n", None, "line 4: the same sample as in line 2");
        refused("a,b\nS1,P1\nS2,P1\n", None, "line 3: the same patient as in line 2");
        refused("a,b\nS1,P1,3\n", None, "line 2");
        refused("a\nS1\n", None, "line 1");
        refused("a,b\n", None, "links nobody");
        refused("", None, "a link file has");
        refused("a,b,pid\nS1,P1,1\n", None, "name the column");
        refused("a,b\nS1,P1\n", Some("c"), "no column `c`; the columns are a, b");
        let people = |ids: &[(&str, Option<&str>)], own: Option<&Links>, known: Option<&[&str]>| {
            let error = link(ids, own, known).unwrap_err();
            (error.code(), error.to_string())
        };
        let own = links("a,b\nS1,P1\nS2,P2\n", None).unwrap();
        let (code, text) = people(&[("P1", None), ("P2", None)], Some(&own), None);
        assert!(code == "K0124" && text.contains("reversed"), "{text}");
        let (code, text) = people(&[("1", None)], Some(&own), None);
        assert!(code == "K0124" && text.contains("FAMILY_PERSON"), "{text}");
        let (code, text) = people(&[("1", None)], None, Some(&["2"]));
        assert!(code == "K0124" && text.contains("--id-map"), "{text}");
        let (code, text) = people(&[("S1", None)], Some(&own), Some(&["S1"]));
        assert!(code == "K0124" && text.contains("patient of the data set"), "{text}");
        let (code, text) = people(&[("S1", None), ("S2", None), ("S1", None)], None, None);
        assert!(code == "K0123" && text.contains("line 3: the same id as in line 1"), "{text}");
        let twice = links("a,b\nS1,P1\nF_2,P2\n", None).unwrap();
        let (code, text) = people(&[("S1", None), ("S2", Some("S1"))], Some(&twice), None);
        assert!(code == "K0123" && text.contains("same patient"), "{text}");
    }

    // A link file without some people is one that can be read again, whatever stands in the ids.
    #[test]
    fn some_people_are_left_out() {
        let (_folder, key) = key();
        let all = links("patient;sample\nP1;\"S;1\"\nP2;S2\n\"P \"\"3\";S3\n;S4\n", None).unwrap();
        let people = ["P2", "P9"].map(|it| pseudonym_of(&key, it)).into_iter().collect();
        let (text, left_out) = all.without(&people, &key);
        assert_eq!(text, "sample,patient\n\"S;1\",P1\nS3,\"P \"\"3\"\nS4,\n");
        assert_eq!(left_out, 1);
        let again = links(&text, None).unwrap();
        assert_eq!(again.without(&HashSet::new(), &key), (text, 0));
    }

    #[test]
    fn further_files_have_the_same_people_in_any_order() {
        let (_folder, key) = key();
        let first = samples(&[("a", None), ("b", None), ("c", None)]);
        let linked = Linked::new(Path::new("1"), &first, None, None, &key).unwrap();
        let file = Path::new("2.fam");
        assert_eq!(linked.places(file, &first).unwrap(), None);
        let other = samples(&[("c", None), ("x", None), ("b", None), ("a", None)]);
        assert_eq!(linked.places(file, &other).unwrap(), Some(vec![3, 2, 0]));
        let error = linked.places(file, &other[..3]).unwrap_err();
        assert!(error.to_string().contains("1 of the 3"), "{error}");
        let twice = samples(&[("a", None), ("b", None), ("c", None), ("a", None)]);
        let error = linked.places(file, &twice).unwrap_err();
        assert!(error.to_string().contains("line 4: the same id as in line 1"), "{error}");
    }
}
