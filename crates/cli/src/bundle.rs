//! A result's folder as a research object: `ro-crate-metadata.json` names every file with its SHA-256, the
//! program, and the run that made them (RO-Crate 1.1 with the profile Process Run Crate 0.5).

use crate::failure::Failure;
use konsil_node::{Clock, Outcome, StudyRun, rfc_3339, write_private};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Read;
use std::path::Path;

/// The file that describes all others.
pub(crate) const METADATA: &str = "ro-crate-metadata.json";
/// The question, in its canonical form.
pub(crate) const STUDY: &str = "study.json";

const CRATE: &str = "https://w3id.org/ro/crate/1.1";
const PROFILE: &str = "https://w3id.org/ro/wfrun/process/0.5";
const SHA256: &str = "https://w3id.org/ro/terms/workflow-run#sha256";
/// Bytes that are hashed at once.
const BLOCK: usize = 1 << 16;

/// Files that belong to every result, and what they are.
const FIXED: [(&str, &str); 7] = [
    (STUDY, "The question, as all centres computed it; its SHA-256 names the study."),
    ("study.toml", "The question, as it was written."),
    ("plan.json", "What was planned: numbers to be revealed, bytes, rules, guarantee."),
    ("ledger.json", "What was revealed and sent."),
    ("privacy-audit.json", "What was judged before anything was released."),
    ("report.html", "Question, methods, results and guarantee as one page."),
    ("result.json", "All tables and notes in one file."),
];

/// Ends of names and what such files are, in words and as a media type.
const KINDS: [(&str, &str, &str); 9] = [
    (".csv", "A table of results.", "text/csv"),
    (".svg", "A figure, drawn from the tables.", "image/svg+xml"),
    (".model.json", "A fitted model, for konsil predict and validate.", "application/json"),
    (".json", "", "application/json"),
    (".html", "", "text/html"),
    (".toml", "", "application/toml"),
    (".gz", "Results by variant, compressed.", "application/gzip"),
    (".yaml", "What the file of the same name means.", "application/yaml"),
    ("", "Results by variant.", "text/tab-separated-values"),
];

/// SHA-256 of a file and its length.
pub(crate) fn hash_of(path: &Path) -> Result<(String, u64), Failure> {
    let fail = |error: std::io::Error| Failure::file(path, &error);
    let mut file = fs::File::open(path).map_err(fail)?;
    let (mut hash, mut length) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block).map_err(fail)?;
        let Some(part) = block.get(..read).filter(|it| !it.is_empty()) else { break };
        hash.update(part);
        length += u64::try_from(read).unwrap_or(0);
    }
    let hex = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((hex, length))
}

/// The files of a run's result in a folder, by name; other runs may have left theirs beside them.
fn files_of(run: &StudyRun, folder: &Path) -> Result<Vec<String>, Failure> {
    let fail = |error: std::io::Error| Failure::file(folder, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(fail)? {
        let Ok(name) = entry.map_err(fail)?.file_name().into_string() else { continue };
        let fixed = FIXED.iter().any(|(it, _)| *it == name);
        let id = name.split('.').next().unwrap_or_default();
        let own = name.contains('.') && run.study.analysis.iter().any(|it| it.id == id);
        if fixed || (own && !name.ends_with(".part") && !name.ends_with(".new")) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// A file's entry.
fn entry((name, folder): (&str, &Path)) -> Result<Value, Failure> {
    let (hash, length) = hash_of(&folder.join(name))?;
    let (_, kind, format) =
        KINDS.iter().find(|it| name.ends_with(it.0)).copied().unwrap_or_default();
    let says = FIXED.iter().find(|it| it.0 == name).map_or(kind, |it| it.1);
    Ok(json!({
        "@id": name, "@type": "File", "name": name, "description": says,
        "encodingFormat": format, "contentSize": length.to_string(), "sha256": hash,
    }))
}

/// A time with its offset, which judges of the profile ask for.
fn at_utc(seconds: i64) -> String {
    rfc_3339(seconds).replace('Z', "+00:00")
}

/// Program, researcher and the run itself.
fn action(run: &StudyRun, outcome: &Outcome, files: &[String]) -> Vec<Value> {
    let end = Clock::system().now().as_second();
    let seconds = i64::try_from(outcome.elapsed.as_secs()).unwrap_or(0);
    let at = |name: &String| json!({"@id": name});
    let results = files.iter().filter(|it| *it != STUDY && *it != "study.toml").map(at);
    let none = outcome.analyses.iter().all(|it| it.findings.is_err());
    let status = if none { "FailedActionStatus" } else { "CompletedActionStatus" };
    let centres = run.plan.centres.join(", ");
    let mut action = json!({
        "@id": format!("#run-{}", outcome.session), "@type": "CreateAction",
        "name": format!("Run {} of the study {}", outcome.session, run.plan.study),
        "description": format!(
            "The centres {centres} computed on secret shares of their own patients; study {}. {}",
            run.plan.study_hash, run.plan.guarantee
        ),
        "startTime": at_utc(end - seconds), "endTime": at_utc(end),
        "instrument": {"@id": "#konsil"}, "agent": {"@id": "#researcher"},
        "object": {"@id": STUDY}, "result": results.collect::<Vec<_>>(),
        "actionStatus": format!("http://schema.org/{status}"),
    });
    let first = outcome.analyses.iter().find_map(|it| it.findings.as_ref().err());
    if let Some((code, text)) = first.filter(|_| none) {
        action["error"] = json!(format!("{code}: {text}"));
    }
    vec![
        action,
        json!({
            "@id": "#konsil", "@type": "SoftwareApplication", "name": "Konsil",
            "description": "Secure joint analysis of several medical centres' patients.",
            "version": env!("CARGO_PKG_VERSION"),
        }),
        json!({
            "@id": "#researcher", "@type": "Person",
            "name": format!("The researcher who asked for {}", run.plan.study),
        }),
    ]
}

/// Writes the description of a run's files, after all of them.
pub(crate) fn write(run: &StudyRun, outcome: &Outcome, folder: &Path) -> Result<(), Failure> {
    let files = files_of(run, folder)?;
    let head = &run.study.study;
    let title = if head.title.is_empty() { &head.id } else { &head.title };
    let at = |name: &String| json!({"@id": name});
    let parts: Vec<Value> = files.iter().map(at).collect();
    let mut graph = vec![
        json!({
            "@id": METADATA, "@type": "CreativeWork",
            "conformsTo": {"@id": CRATE}, "about": {"@id": "./"},
        }),
        json!({
            "@id": "./", "@type": "Dataset", "name": title,
            "description": format!(
                "Results of the study {} over {} centres (purpose: {}). Computed on secret shares; only \
                 the numbers that ledger.json lists were revealed.",
                head.id, run.plan.centres.len(),
                if head.purpose.is_empty() { "not said" } else { &head.purpose }
            ),
            "datePublished": Clock::system().now().strftime("%Y-%m-%d").to_string(),
            "license": {"@id": "#terms"}, "conformsTo": {"@id": PROFILE}, "hasPart": parts,
            "author": {"@id": "#researcher"}, "mentions": {"@id": format!("#run-{}", outcome.session)},
        }),
        json!({
            "@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5",
        }),
        json!({
            "@id": "#terms", "@type": "CreativeWork", "name": "Terms of the study",
            "description": format!(
                "Released under the rules of the centres: {}. The agreement of the network says what \
                 may be done with the results.",
                run.plan.rules.in_words()
            ),
        }),
    ];
    graph.extend(action(run, outcome, &files));
    for name in &files {
        graph.push(entry((name, folder))?);
    }
    let value =
        json!({"@context": [format!("{CRATE}/context"), {"sha256": SHA256}], "@graph": graph});
    Ok(write_private(&folder.join(METADATA), format!("{value:#}\n").as_bytes())?)
}

/// A file of a bundle, as its description has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    hash: String,
}

/// The files that a bundle's description names. Names that lead out of the folder are refused.
pub(crate) fn listed(folder: &Path) -> Result<Vec<Listed>, Failure> {
    let path = folder.join(METADATA);
    let text = fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
    let wrong = |what: &str| Failure::coded("K0803", format!("{}: {what}", path.display()));
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("it is no description of a bundle ({error})")))?;
    let graph = value["@graph"].as_array().ok_or_else(|| wrong("it has no @graph"))?;
    let mut files = Vec::new();
    for entity in graph.iter().filter(|it| it["@type"] == "File") {
        let text = |key: &str| entity[key].as_str().unwrap_or_default().to_owned();
        let (name, hash) = (text("@id"), text("sha256"));
        let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\']);
        if !plain || hash.len() != 64 {
            return Err(wrong("it names a file without SHA-256, or one outside of the folder"));
        }
        files.push(Listed { name, hash });
    }
    if !files.iter().any(|it| it.name == STUDY) {
        return Err(wrong("it names no study.json"));
    }
    Ok(files)
}

/// Compares a bundle's files with its description; gives their names.
pub(crate) fn verify(folder: &Path) -> Result<Vec<String>, Failure> {
    let files = listed(folder)?;
    let mut wrong = Vec::new();
    for file in &files {
        let path = folder.join(&file.name);
        if !path.is_file() {
            wrong.push(format!("{} is missing", file.name));
        } else if hash_of(&path)?.0 != file.hash {
            wrong.push(format!("{} is not the file that was written", file.name));
        }
    }
    if wrong.is_empty() {
        return Ok(files.into_iter().map(|it| it.name).collect());
    }
    let text = format!(
        "{}: {}; take the folder from whoever has it as it was written",
        folder.display(),
        wrong.join("; ")
    );
    Err(Failure::coded("K0803", text))
}
