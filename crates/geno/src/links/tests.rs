//! Who is linked, who is not, and what is refused.

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
        sex: Sex::Unknown,
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
    let same = links("FID,IID,centre\n1,S1,a\n1,S2,b\n1,S3,a\n1,S4,\n", Some("centre")).unwrap();
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

// Whoever is left out is not stored, and an id that nobody has ends the import: the person who was meant
// would stay.
#[test]
fn people_are_left_out_by_either_id() {
    let (folder, key) = key();
    let file = Path::new("1.fam");
    let all = samples(&[("a", Some("F_a")), ("b", Some("F_b")), ("c", None)]);
    let list = |text: &str| {
        let path = folder.path().join("out.txt");
        std::fs::write(&path, text).unwrap();
        LeaveOut::read(&path).unwrap()
    };
    let known: HashSet<Pseudonym> = ["b", "c"].iter().map(|id| pseudonym_of(&key, id)).collect();
    let links = links("sample,patient\na,a\nb,b\nc,c\n", None).unwrap();
    let new = || Linked::new(file, &all, Some(&links), Some(&known), &key).unwrap();
    let mut linked = new();
    assert_eq!(linked.without_data, Some(1));
    linked.leave_out(file, &all, &list("F_a\ta reason\n")).unwrap();
    assert_eq!(
        (linked.ids(), linked.left_out, linked.without_data),
        (&["b", "c"].map(str::to_owned)[..], 1, Some(0))
    );
    assert_eq!(linked.pseudonyms(), ["b", "c"].map(|id| pseudonym_of(&key, id)));
    assert_eq!(linked.examples.len(), 2);
    assert_eq!(linked.places(file, &all).unwrap(), Some(vec![1, 2]));
    let error = new().leave_out(file, &all, &list("a\n#\nx\n")).unwrap_err();
    assert!(error.code() == "K0129" && error.to_string().contains("line 3: nobody"), "{error}");
    let error = new().leave_out(file, &all, &list("a\nb\nF_b\nc\n")).unwrap_err();
    assert!(error.code() == "K0124" && error.to_string().contains("left out"), "{error}");
}

// The data set says what the file does not, and where they differ nobody knows.
#[test]
fn sexes_come_from_file_and_data_set() {
    let (_folder, key) = key();
    let mut all = samples(&[("a", None), ("b", None), ("c", None), ("d", None)]);
    for (sample, sex) in all.iter_mut().zip([Sex::Male, Sex::Female, Sex::Unknown, Sex::Male]) {
        sample.sex = sex;
    }
    let mut linked = Linked::new(Path::new("1"), &all, None, None, &key).unwrap();
    let of = [("a", Sex::Male), ("b", Sex::Male), ("c", Sex::Female), ("d", Sex::Unknown)];
    linked.add_sexes(&of.iter().map(|(id, sex)| (pseudonym_of(&key, id), *sex)).collect());
    assert_eq!(linked.sexes(), [Sex::Male, Sex::Unknown, Sex::Female, Sex::Male]);
    assert_eq!(linked.sexes_differ, 1);
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
