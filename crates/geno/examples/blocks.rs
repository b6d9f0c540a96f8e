//! How fast sealed blocks are read: `blocks DATA NAME KEY`, a centre's data folder, the name of its
//! genotypes, and its key file.

use konsil_cohort::{Genotypes, Key};
use konsil_geno::Store;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [data, name, key] = arguments.as_slice() else {
        return Err("blocks DATA NAME KEY".into());
    };
    let store = Store::open(Path::new(data), name, &Key::open(Path::new(key))?)?;
    let (begin, mut words) = (Instant::now(), 0_usize);
    let mut first = 0;
    while first < store.variants() {
        let count = 4_096.min(store.variants() - first);
        words += store.read(first, count)?.words().len();
        first += count;
    }
    let (megabytes, seconds) = (words / 131_072, begin.elapsed().as_secs_f64());
    #[expect(clippy::print_stdout, reason = "what an example is for")]
    #[expect(clippy::cast_precision_loss, reason = "a speed for people")]
    {
        println!("{megabytes} MiB, {:.0} MiB/s", megabytes as f64 / seconds);
    }
    Ok(())
}
