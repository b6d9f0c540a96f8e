//! Reads a file of genotypes from beginning to end.

use konsil_geno::{OpenOptions, Panel, open};
use std::cell::OnceCell;
use std::fs;
use tempfile::TempDir;

thread_local! {
    static PLACE: OnceCell<TempDir> = const { OnceCell::new() };
}

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
        let stride = source.samples().len().div_ceil(32);
        let mut words = Vec::new();
        let mut panel = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
        loop {
            match source.next() {
                Ok(Some(record)) => {
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
            }
        }
        if let Ok(panel) = Panel::parse(panel) {
            assert_eq!(Panel::parse(panel.text().to_owned()).unwrap(), panel);
        }
    });
}
