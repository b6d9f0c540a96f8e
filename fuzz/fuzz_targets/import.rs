//! A dictionary and a file of patients: imported whole or refused with a report, never a panic; and
//! what was imported is stored and read back as it was.
#![no_main]

use konsil_cohort::{Dictionary, ImportOptions, Key, import, load, save, split_by};
use libfuzzer_sys::fuzz_target;
use std::cell::OnceCell;
use tempfile::TempDir;

/// Between dictionary and patients.
const CUT: &[u8] = b"\n===\n";

thread_local! {
    static PLACE: OnceCell<(TempDir, Key)> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    let cut = data.windows(CUT.len()).position(|window| window == CUT);
    let (dictionary, patients) = match cut {
        Some(at) => (&data[..at], &data[at + CUT.len()..]),
        None => (&b""[..], data),
    };
    PLACE.with(|place| {
        let (folder, key) = place.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let key = Key::create(&folder.path().join("key")).unwrap();
            (folder, key)
        });
        let path = folder.path().join("patients.csv");
        std::fs::write(&path, patients).unwrap();
        let _parts = split_by(&path, "centre");
        let dictionary = match std::str::from_utf8(dictionary) {
            Ok(text) if !text.is_empty() => Dictionary::parse("fuzz", text),
            _ => Dictionary::infer("fuzz", &path),
        };
        let Ok(dictionary) = dictionary else { return };
        let again = Dictionary::parse("fuzz", &dictionary.to_csv()).unwrap();
        assert_eq!(again.hash(), dictionary.hash(), "a dictionary changes when it is written");
        match import(&path, &dictionary, &ImportOptions::new("fuzz")) {
            Ok((dataset, report)) => {
                assert_eq!(report.findings_total, 0);
                save(folder.path(), "fuzz", &dataset, key).unwrap();
                let read = load(folder.path(), "fuzz", key).unwrap();
                assert_eq!(read.rows(), dataset.rows());
                assert_eq!(read.dictionary_hash(), dataset.dictionary_hash());
            }
            Err(konsil_cohort::CohortError::CheckFailed(report)) => {
                assert!(report.findings_total > 0);
                assert!(!report.to_text().is_empty());
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
});
