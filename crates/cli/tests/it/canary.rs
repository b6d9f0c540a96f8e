//! One centre's data carry marks; nobody else's files, screens or lines do.

use crate::lab::{HEADER, Lab, files, note_addresses, patients};
use crate::proxy::Proxy;
use crate::studies::ALL;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Sixteen letters in every identifier of the marked centre.
const MARK: &str = "CANARY7f3a91c4e5";
/// A measured value that no other patient has; larger than all others, so that no quartile is it.
const VALUE: f64 = 83.314_159_265;
const VALUE_TEXT: &str = "83.314159265";

/// The value in fixed point with 40 fractional bits.
fn fixed_point() -> u128 {
    let scaled = (VALUE * 2_f64.powi(40)).round();
    format!("{scaled:.0}").parse().unwrap()
}

/// The forms in which the marks could travel.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let fixed = fixed_point();
    let hex = |bytes: &[u8]| -> Vec<u8> {
        bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect()
    };
    let float = VALUE.to_le_bytes();
    vec![
        ("identifier", MARK.as_bytes().to_vec()),
        ("identifier in hexadecimal", hex(MARK.as_bytes())),
        ("decimal", VALUE_TEXT.as_bytes().to_vec()),
        ("float", float.to_vec()),
        ("float, big end first", VALUE.to_be_bytes().to_vec()),
        ("float in hexadecimal", hex(&float)),
        ("fixed point", fixed.to_le_bytes().to_vec()),
        ("fixed point, big end first", fixed.to_be_bytes().to_vec()),
        // the upper half is zeros, and a shorter integer type would drop it
        ("fixed point, lower half", fixed.to_le_bytes()[..8].to_vec()),
        ("fixed point in hexadecimal", hex(&fixed.to_le_bytes()[..8])),
    ]
}

/// Names of the forms that occur in these bytes.
fn found(bytes: &[u8]) -> Vec<&'static str> {
    let forms = forms();
    let mut begins = [false; 256];
    forms.iter().for_each(|(_, form)| begins[usize::from(form[0])] = true);
    let mut hits = vec![false; forms.len()];
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| begins[usize::from(**byte)]) {
        for ((_, form), hit) in forms.iter().zip(&mut hits) {
            *hit |= bytes[at..].starts_with(form);
        }
    }
    forms.iter().zip(hits).filter_map(|((name, _), hit)| hit.then_some(*name)).collect()
}

fn assert_clean(what: &str, bytes: &[u8]) {
    let found = found(bytes);
    assert!(found.is_empty(), "{what} contains the marked patient as {found:?}");
}

/// Patients of whom `ahorn`'s are marked.
fn marked() -> String {
    let mut text = format!("{HEADER}\n");
    for (at, line) in patients(240, 11).lines().skip(1).enumerate() {
        let mut fields: Vec<String> = line.split(',').map(str::to_owned).collect();
        if fields[0] == "ahorn" {
            fields[1] = format!("{MARK}{at}");
        }
        if at == 30 {
            fields[7] = VALUE_TEXT.to_owned();
        }
        writeln!(text, "{}", fields.join(",")).unwrap();
    }
    text
}

// The scanner sees a mark in every form, at any place; otherwise the other tests prove nothing.
#[test]
fn the_scanner_finds_every_form() {
    assert_eq!(found(marked().as_bytes()), ["identifier", "decimal"]);
    for (name, form) in forms() {
        let hidden = [&[7_u8; 13][..], &form, b"tail"].concat();
        assert!(found(&hidden).contains(&name), "{name}");
    }
    assert!(found(patients(240, 11).as_bytes()).is_empty());
}

// No patient of one centre shows up at another centre, the dealer, the researcher, or on a line, and
// the centre's own data set is sealed.
#[test]
fn marked_patients_stay_where_they_are() {
    let lab = Lab::empty();
    let outside = tempfile::tempdir().unwrap();
    let source = outside.path().join("patients.csv");
    fs::write(&source, marked()).unwrap();
    assert_eq!(found(&fs::read(&source).unwrap()), ["identifier", "decimal"]);
    let import = lab.import(&source.to_string_lossy()).exits(0);
    let held = lab.held();
    let lines: Vec<Proxy> = held.centres.iter().map(|it| Proxy::to(&it.address)).collect();
    let to_dealer = Proxy::to(&held.dealer.address);
    let addresses: Vec<String> = lines.iter().map(|it| it.address.clone()).collect();
    note_addresses(&lab.path("lab/network.toml"), &addresses, &to_dealer.address);
    lab.write("study.toml", ALL);
    let network = ["--network", "lab/network.toml"];
    let plan = lab.konsil(&[&["plan", "study.toml"], &network[..]].concat()).exits(0);
    let ran = lab.konsil(&[&["run", "study.toml", "--out", "r"], &network[..]].concat()).exits(0);
    for ran in [&import, &plan, &ran] {
        assert_clean("standard output", ran.out.as_bytes());
        assert_clean("standard error", ran.err.as_bytes());
    }
    let heard: Vec<Vec<u8>> =
        lines.iter().chain([&to_dealer]).flat_map(|line| line.heard()).collect();
    let bytes: usize = heard.iter().map(Vec::len).sum();
    assert!(bytes > 1_000_000, "the lines carried {bytes} bytes only");
    for line in &heard {
        assert_clean("a line", line);
        // the question is nobody's business on the way either
        assert!(!line.windows(9).any(|window| window == b"all-kinds"), "a study in the clear");
    }
    drop(held);
    let looked_at = files(lab.folder.path());
    assert!(looked_at.len() > 30, "{looked_at:?}");
    for path in looked_at {
        assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

// A file that does not fit is not left lying about in the clear, and what is said of it is for the
// centre's own screen only.
#[test]
fn a_refused_file_leaves_nothing_behind() {
    let lab = Lab::empty();
    let outside = tempfile::tempdir().unwrap();
    let source = outside.path().join("patients.csv");
    fs::write(&source, marked().replacen(",F,", ",unknown,", 1)).unwrap();
    lab.import(&source.to_string_lossy()).exits(10).says(&["K0114", "unknown"]);
    for path in files(lab.folder.path()) {
        assert_clean(&path.display().to_string(), &fs::read(&path).unwrap());
        assert!(!is_data_set(&path), "{} was stored", path.display());
    }
}

fn is_data_set(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "konsil")
}
