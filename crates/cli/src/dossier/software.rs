//! Version and bill of materials, from the lock file that the program was built with.

use konsil_plot::document::Part;
use serde::Deserialize;

const LOCK: &str = include_str!("../../../../Cargo.lock");

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    checksum: String,
}

/// The crates of the lock file; tests and tools of the project are among them.
pub(super) fn software() -> Part {
    let packages = toml::from_str::<Lock>(LOCK).map(|it| it.package).unwrap_or_default();
    let own = packages.iter().filter(|it| it.checksum.is_empty()).count();
    let part = Part::new("Software and bill of materials").text(format!(
        "konsil {}, Apache-2.0: {own} crates of its own and {} libraries, each pinned by version \
         and SHA-256 of its source. Licences are checked by cargo-deny against the list in \
         deny.toml; docs/dependencies.md names the licences of the libraries that are used \
         directly. The list includes libraries that only tests use.",
        env!("CARGO_PKG_VERSION"),
        packages.len() - own
    ));
    let rows = packages.into_iter().filter(|it| !it.checksum.is_empty());
    let rows = rows.map(|it| vec![it.name, it.version, it.checksum]);
    part.table(["Library", "Version", "SHA-256"], rows.collect())
}
