//! Reads a file of genotypes from beginning to end, as an import does.

use crate::bits::{count, swap};
use crate::harmonise::find;
use crate::open::{OpenOptions, open};
use crate::panel::Panel;
use std::cell::OnceCell;
use std::fs;
use std::sync::LazyLock;
use tempfile::TempDir;

thread_local! {
    static PLACE: OnceCell<TempDir> = const { OnceCell::new() };
}

/// Where variants of a file are looked for.
static PANEL: LazyLock<Panel> = LazyLock::new(|| {
    let text = "#CHROM\tPOS\tID\tREF\tALT\n1\t100\trs1\tA\tG\n1\t200\trs2\tA\tT\nX\t7\trs3\tC\tG\n";
    Panel::parse(text.to_owned()).unwrap()
});

/// Writes files, opens one, and reads all that it has; whatever is refused says why.
pub fn read(files: &[(&str, &[u8])], name: &str) {
    PLACE.with(|place| {
        let folder = place.get_or_init(|| tempfile::tempdir_in("/dev/shm").unwrap());
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let mut source = match open(&folder.path().join(name), &OpenOptions::default()) {
            Ok(source) => source,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                return;
            }
        };
        let people = source.samples().len();
        let stride = people.div_ceil(32);
        let mut words = Vec::new();
        let mut panel = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
        loop {
            match source.next() {
                Ok(Some(record)) => {
                    let _ = find(&PANEL, &record);
                    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
                    let (other, counted) = (text(record.other), text(record.counted));
                    panel.push_str(&format!("1\t{}\t.\t{other}\t{counted}\n", record.position));
                }
                Ok(None) => break,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    break;
                }
            }
            if source.genotypes(&mut words).is_ok() {
                assert_eq!(words.len(), stride);
                let (copies, missing) = count(&words, people);
                let called = people as u64 - missing;
                assert!(copies <= 2 * called);
                swap(&mut words);
                assert_eq!(count(&words, people), (2 * called - copies, missing));
            }
        }
        if let Ok(panel) = Panel::parse(panel) {
            assert_eq!(Panel::parse(panel.text().to_owned()).unwrap(), panel);
        }
    });
}
