//! Version and bill of materials: what this program was built from, as a part of the dossier and as
//! CycloneDX.

use konsil_node::{Clock, rfc_3339};
use konsil_plot::document::Part;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LOCK: &str = include_str!("../../../../Cargo.lock");
/// Made by `scripts/sbom.sh`; a test of `tidy` compares it with what is built.
const LIST: &str = include_str!("../../sbom.csv");
const VERSION: &str = env!("CARGO_PKG_VERSION");
const LICENCE: &str = env!("CARGO_PKG_LICENSE");

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

/// A crate of the program.
struct Library {
    name: &'static str,
    version: &'static str,
    licence: &'static str,
    /// SHA-256 of its source; none for the project's own.
    checksum: Option<String>,
}

/// Every crate that the program is built from, the project's own among them.
fn libraries() -> Vec<Library> {
    let packages = toml::from_str::<Lock>(LOCK).map(|it| it.package).unwrap_or_default();
    let mut checksums: BTreeMap<(String, String), String> =
        packages.into_iter().map(|it| ((it.name, it.version), it.checksum)).collect();
    let library = |line: &'static str| {
        let mut fields = line.splitn(3, ',');
        let (name, version, licence) = (fields.next()?, fields.next()?, fields.next()?);
        let checksum = checksums.remove(&(name.to_owned(), version.to_owned()));
        let checksum = checksum.filter(|it| !it.is_empty());
        Some(Library { name, version, licence, checksum })
    };
    LIST.lines().skip(1).filter_map(library).collect()
}

pub(super) fn software() -> Part {
    let libraries = libraries();
    let own = libraries.iter().filter(|it| it.checksum.is_none()).count();
    let part = Part::new("Software and bill of materials").text(format!(
        "konsil {VERSION}, {LICENCE}: {own} crates of its own and the {} libraries below, each \
         pinned by version and SHA-256 of its source, besides Rust's standard library (MIT OR \
         Apache-2.0). The sources of AWS-LC, SQLite and mimalloc in C come within aws-lc-sys, \
         libsqlite3-sys and libmimalloc-sys. The project's build fails at a licence that is not in \
         its list (deny.toml). The same list as CycloneDX: sbom.json.",
        libraries.len() - own
    ));
    let rows = libraries.into_iter().filter_map(|it| {
        let checksum = it.checksum?;
        Some(vec![it.name.to_owned(), it.version.to_owned(), it.licence.to_owned(), checksum])
    });
    part.table(["Library", "Version", "Licence (SPDX)", "SHA-256"], rows.collect())
}

/// The bill of materials as CycloneDX 1.6.
pub(super) fn cyclonedx() -> Value {
    let component = |it: Library| {
        let mut component = json!({
            "type": "library", "bom-ref": format!("{}@{}", it.name, it.version),
            "name": it.name, "version": it.version, "licenses": [{"expression": it.licence}],
        });
        if let Some(checksum) = it.checksum {
            // a plus, as in 1.0.0+x, is no plain character of a package URL
            let version = it.version.replace('+', "%2B");
            component["purl"] = json!(format!("pkg:cargo/{}@{version}", it.name));
            component["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        component
    };
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {
            "timestamp": rfc_3339(Clock::system().now().as_second()),
            "component": {"type": "application", "bom-ref": "konsil", "name": "konsil",
                "version": VERSION, "licenses": [{"expression": LICENCE}]},
        },
        "components": libraries().into_iter().map(component).collect::<Vec<_>>(),
    })
}
