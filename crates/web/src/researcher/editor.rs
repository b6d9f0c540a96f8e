//! The study editor: fields and the file beside them, each made of the other; formulas are expanded
//! while they are written.
//!
//! Nothing is kept at the server between two steps: the form holds the study.

use crate::page::{Frame, failed, show};
use crate::researcher::Shared;
use crate::researcher::bench::{Known, Words};
use crate::researcher::pages::{own_form, signed_in, waited};
use crate::researcher::records::PlanView;
use crate::view;
use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use konsil_analyses::{REGISTRY, Request, prepare};
use konsil_cohort::{Dictionary, Predicate};
use konsil_governance::{Centres, Cohort, ReleaseRules, Study, StudyHead};
use serde_json::{Map, Value};
use std::fs;

/// Comparisons of the cohort builder.
const COMPARISONS: [&str; 6] = ["=", "<>", ">=", ">", "<=", "<"];

/// An analysis in the list of the editor.
struct Asked {
    /// The request in JSON, which the form keeps.
    json: String,
    kind: String,
    what: String,
}

impl Asked {
    fn of(request: &Request) -> Self {
        let by = request.by.as_ref().map(|it| format!(" by {it}")).unwrap_or_default();
        let what = request.formula.clone().unwrap_or_else(|| request.variables.join(", "));
        let json = serde_json::to_string(request).unwrap_or_default();
        Self { json, kind: request.kind.clone(), what: format!("{what}{by}") }
    }
}

#[derive(Template)]
#[template(path = "editor.html")]
struct Editor {
    f: Frame,
    study: Study,
    analyses: Vec<Asked>,
    toml: String,
    kinds: Vec<(&'static str, &'static str)>,
    variables: Vec<String>,
    comparisons: [&'static str; 6],
    /// What the new analysis says now.
    kind: String,
    what: String,
    checked: Checked,
    trouble: String,
}

/// What was understood of a formula, or why nothing was.
#[derive(Default, Template)]
#[template(path = "checked.html")]
struct Checked {
    understood: Vec<String>,
    reveals: Vec<String>,
    trouble: String,
    code: String,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    f: Frame,
    plan: PlanView,
    title: String,
    toml: String,
    sent: String,
    sent_exact: String,
    dealt: String,
    /// Seconds at least and at most.
    from: String,
    to: String,
}

/// Lines that end as on this system: browsers send them otherwise.
pub(crate) fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn empty() -> Study {
    let study = StudyHead {
        id: String::new(),
        title: String::new(),
        purpose: String::new(),
        ethics: String::new(),
        dictionary: String::new(),
        centres: Centres::default(),
        min_centres: None,
    };
    let (cohort, release) = (Cohort::default(), ReleaseRules::default());
    Study { study, cohort, analysis: Vec::new(), release, score: Vec::new() }
}

/// Keys in the order in which people read them; others come after these.
const FIRST: [&str; 10] = [
    "id",
    "title",
    "kind",
    "purpose",
    "ethics",
    "dictionary",
    "centres",
    "min_centres",
    "formula",
    "variables",
];

/// A table's lines, the first keys first; nothing of what says nothing. `path` is the table's own.
fn lines_of(path: &str, table: &toml::Table) -> String {
    let place = |key: &str| FIRST.iter().position(|it| *it == key).unwrap_or(FIRST.len());
    let mut entries: Vec<_> =
        table.iter().filter(|(_, value)| value.as_str() != Some("")).collect();
    entries.sort_by_key(|(key, _)| place(key));
    let (tables, plain): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(_, it)| it.is_table());
    let line = |(key, value): (&String, &toml::Value)| match value.as_table() {
        Some(table) => {
            let path = format!("{path}.{key}");
            format!("\n[{path}]\n{}", lines_of(&path, table))
        }
        None => {
            let one = toml::Table::from_iter([(key.clone(), value.clone())]);
            toml::to_string(&one).unwrap_or_default()
        }
    };
    plain.into_iter().chain(tables).map(line).collect()
}

/// A study as a file, without what says nothing.
pub(crate) fn toml_of(study: &Study) -> String {
    let Ok(table) = toml::Table::try_from(study) else { return String::new() };
    let mut text = String::new();
    for (name, is_plain) in [
        ("study", false),
        ("cohort", study.cohort == Cohort::default()),
        ("analysis", false),
        ("release", study.release == ReleaseRules::default()),
        ("score", false),
    ] {
        match table.get(name) {
            Some(toml::Value::Table(section)) if !is_plain => {
                text.push_str(&format!("[{name}]\n{}\n", lines_of(name, section)));
            }
            Some(toml::Value::Array(sections)) => {
                for section in sections.iter().filter_map(toml::Value::as_table) {
                    text.push_str(&format!("[[{name}]]\n{}\n", lines_of(name, section)));
                }
            }
            _ => {}
        }
    }
    text.trim_end().to_owned() + "\n"
}

/// A request for an analysis: a formula, or names of variables.
pub(crate) fn request(kind: &str, what: &str, known: &[Request]) -> Result<Request, Words> {
    let taken = |id: &str| known.iter().any(|it| it.id == id);
    let numbered = (2..1000).map(|number| format!("{kind}{number}"));
    let id = std::iter::once(kind.to_owned()).chain(numbered).find(|id| !taken(id));
    let mut fields = Map::new();
    fields.insert("id".to_owned(), id.unwrap_or_default().into());
    fields.insert("kind".to_owned(), kind.into());
    if what.contains('~') {
        fields.insert("formula".to_owned(), what.into());
    } else {
        let names = what.split([',', ' ']).filter(|it| !it.is_empty()).collect::<Vec<_>>();
        fields.insert("variables".to_owned(), names.into());
    }
    serde_json::from_value(Value::Object(fields))
        .map_err(|error| ("K0220".to_owned(), error.to_string()))
}

fn checked((kind, what): (&str, &str), dictionary: &Dictionary) -> Checked {
    if what.trim().is_empty() {
        return Checked::default();
    }
    let request = match request(kind, what, &[]) {
        Ok(request) => request,
        Err((code, trouble)) => return Checked { trouble, code, ..Checked::default() },
    };
    match prepare(&request, dictionary) {
        Ok(analysis) => Checked {
            understood: analysis.understood(),
            reveals: analysis.reveals(),
            ..Checked::default()
        },
        Err(error) => Checked {
            trouble: error.to_string(),
            code: error.code().to_owned(),
            ..Checked::default()
        },
    }
}

/// The fields of the form; a name may come several times.
struct Sent(Vec<(String, String)>);

impl Sent {
    fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim()).unwrap_or_default()
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The study that the fields make.
    fn study(&self) -> Study {
        let mut study = empty();
        let head = &mut study.study;
        let set = |into: &mut String, name: &str| *into = self.get(name).to_owned();
        set(&mut head.id, "id");
        set(&mut head.title, "title");
        set(&mut head.purpose, "purpose");
        set(&mut head.ethics, "ethics");
        if head.id.is_empty() {
            head.id = id_of(&head.title);
        }
        self.get("cohort").clone_into(&mut study.cohort.condition);
        study.analysis =
            self.all("analysis").filter_map(|it| serde_json::from_str(it).ok()).collect();
        // what the fields do not show comes from the file
        if let Ok(file) = toml::from_str::<Study>(&unix_lines(self.get("toml"))) {
            (study.release, study.score) = (file.release, file.score);
            study.study.centres = file.study.centres;
            study.study.min_centres = file.study.min_centres;
            study.study.dictionary = file.study.dictionary;
        }
        study
    }
}

/// A short name of a title.
fn id_of(title: &str) -> String {
    let letters = title.to_lowercase();
    let words = letters.split(|c: char| !c.is_ascii_alphanumeric()).filter(|it| !it.is_empty());
    let id: String = words.take(6).collect::<Vec<_>>().join("-").chars().take(40).collect();
    if id.is_empty() { "study".to_owned() } else { id }
}

/// The condition with one more comparison.
fn narrowed(condition: &str, how: &str, sent: &Sent, dictionary: &Dictionary) -> String {
    let (name, compared, value) = (sent.get("variable"), sent.get("compared"), sent.get("value"));
    if name.is_empty() || value.is_empty() || !COMPARISONS.contains(&compared) {
        return condition.to_owned();
    }
    let variable = dictionary.variable(name);
    let is_text = variable.is_some_and(|it| !it.levels.is_empty());
    let value = if is_text { format!("'{}'", value.replace('\'', "''")) } else { value.to_owned() };
    let piece = format!("{name} {compared} {value}");
    match (condition, how) {
        ("", "not") => format!("not ({piece})"),
        ("", _) => piece,
        (before, "or") => format!("({before}) or {piece}"),
        (before, "not") => format!("{before} and not ({piece})"),
        (before, _) => format!("{before} and {piece}"),
    }
}

fn editor(f: Frame, (study, known): (Study, &Known), new: (&str, &str), trouble: &str) -> Editor {
    let dictionary = &known.dictionary;
    let names = dictionary.variables.iter().map(|it| it.name.clone());
    let mut trouble = trouble.to_owned();
    let condition = &study.cohort.condition;
    if trouble.is_empty()
        && !condition.is_empty()
        && let Err(error) = Predicate::parse(condition, dictionary)
    {
        trouble = error.to_string();
    }
    Editor {
        f,
        analyses: study.analysis.iter().map(Asked::of).collect(),
        toml: toml_of(&study),
        study,
        kinds: REGISTRY.iter().map(|it| (it.kind, it.title)).collect(),
        variables: names.collect(),
        comparisons: COMPARISONS,
        kind: new.0.to_owned(),
        what: new.1.to_owned(),
        checked: checked(new, dictionary),
        trouble,
    }
}

#[derive(serde::Deserialize)]
pub(crate) struct From {
    #[serde(default)]
    job: String,
}

/// `GET /studies/new`, also from an earlier job.
pub(crate) async fn show_editor(
    State(desk): State<Shared>,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Response {
    let (_, f) = match signed_in(&desk, &headers, "/studies/new") {
        Ok(it) => it,
        Err(page) => return *page,
    };
    let folder = desk.bench.board.folder_of(&from.job);
    let text = folder.and_then(|it| fs::read_to_string(it.join("study.toml")).ok());
    let study = text.and_then(|it| toml::from_str(&it).ok()).unwrap_or_else(empty);
    match waited(&desk.bench, |bench| bench.known()).await {
        Ok(known) => show(&editor(f, (study, &known), ("table1", ""), "")),
        Err((code, text)) => failed(f, StatusCode::BAD_GATEWAY, (&code, &text)),
    }
}

/// `POST /studies/new`: one step of editing, or the plan.
pub(crate) async fn change(
    State(desk): State<Shared>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let sent = Sent(pairs);
    let f = match own_form(&desk, &headers, ("/studies/new", sent.get("csrf"))) {
        Ok(f) => f,
        Err(page) => return *page,
    };
    let known = match waited(&desk.bench, |bench| bench.known()).await {
        Ok(known) => known,
        Err((code, text)) => return failed(f, StatusCode::BAD_GATEWAY, (&code, &text)),
    };
    let mut study = sent.study();
    let (mut kind, mut what) = (sent.get("kind").to_owned(), sent.get("what").to_owned());
    let mut trouble = String::new();
    match sent.get("do").split_once(' ').unwrap_or((sent.get("do"), "")) {
        ("narrow", how) => {
            let condition = std::mem::take(&mut study.cohort.condition);
            study.cohort.condition = narrowed(&condition, how, &sent, &known.dictionary);
        }
        ("add", _) => match add(&mut study, (&kind, &what), &known.dictionary) {
            Ok(()) => (kind, what) = ("table1".to_owned(), String::new()),
            Err((_, text)) => trouble = text,
        },
        ("drop", at) => {
            if let Some(at) = at.parse().ok().filter(|at| *at < study.analysis.len()) {
                study.analysis.remove(at);
            }
        }
        ("file", _) => match toml::from_str::<Study>(&unix_lines(sent.get("toml"))) {
            Ok(read) => study = read,
            Err(error) => trouble = error.to_string(),
        },
        ("plan", _) => {
            if !what.is_empty()
                && let Err((_, text)) = add(&mut study, (&kind, &what), &known.dictionary)
            {
                return show(&editor(f, (study, &known), (&kind, &what), &text));
            }
            return plan(&desk, f, (study, &known)).await;
        }
        _ => {}
    }
    show(&editor(f, (study, &known), (&kind, &what), &trouble))
}

/// Adds an analysis that the dictionary can answer.
fn add(
    study: &mut Study,
    (kind, what): (&str, &str),
    dictionary: &Dictionary,
) -> Result<(), Words> {
    let request = request(kind, what, &study.analysis)?;
    prepare(&request, dictionary).map_err(|error| (error.code().to_owned(), error.to_string()))?;
    study.analysis.push(request);
    Ok(())
}

/// The plan of a study, or the editor with what is wrong.
async fn plan(desk: &Shared, f: Frame, (study, known): (Study, &Known)) -> Response {
    let (toml, head) = (toml_of(&study), study.study.clone());
    let text = toml.clone();
    let planned = waited(&desk.bench, move |bench| bench.plan_view(bench.read(&text)?)).await;
    match planned {
        Ok(plan) => show(&PlanPage {
            f,
            title: if head.title.is_empty() { head.id } else { head.title },
            sent: view::bytes(plan.sent_bytes),
            sent_exact: view::bytes_exact(plan.sent_bytes),
            dealt: view::bytes(plan.dealt_bytes),
            from: view::seconds(
                plan.forecast.as_ref().map_or(0.0, |it| it.seconds_from.max(1.0).floor()),
            ),
            to: view::seconds(plan.forecast.as_ref().map_or(0.0, |it| it.seconds_to.ceil())),
            toml,
            plan,
        }),
        Err((code, text)) => {
            let trouble = format!("{code} {text}");
            show(&editor(f, (study, known), ("table1", ""), &trouble))
        }
    }
}

/// `POST /studies/check`: what a formula means, while it is written.
pub(crate) async fn check(
    State(desk): State<Shared>,
    headers: HeaderMap,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Response {
    let sent = Sent(pairs);
    if let Err(page) = own_form(&desk, &headers, ("/studies/new", sent.get("csrf"))) {
        return *page;
    }
    match waited(&desk.bench, |bench| bench.known()).await {
        Ok(known) => show(&checked((sent.get("kind"), sent.get("what")), &known.dictionary)),
        Err((code, trouble)) => show(&Checked { trouble, code, ..Checked::default() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_is_its_file() {
        let mut study = empty();
        study.study.title = "Who \"dies\"\nearly?".to_owned();
        study.study.id = id_of(&study.study.title);
        study.cohort.condition = "age >= 50 and sex = 'F'".to_owned();
        study.release.epsilon = 0.5;
        study.release.rules = Some(konsil_disclosure::Policy::default());
        for (kind, what) in [("glm", "died ~ age"), ("glm", "died ~ sex"), ("summary", "age, bmi")]
        {
            let request = request(kind, what, &study.analysis).unwrap();
            study.analysis.push(request);
        }
        let ids: Vec<&str> = study.analysis.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["glm", "glm2", "summary"]);
        let text = toml_of(&study);
        assert!(text.starts_with("[study]\nid = \"who-dies-early\""), "{text}");
        let read: Study = toml::from_str(&text).unwrap();
        assert_eq!(read, study, "{text}");
        assert_eq!(toml::from_str::<Study>(&toml_of(&empty())).ok().map(|it| it.analysis), None);
    }

    #[test]
    fn conditions_grow_by_comparisons() {
        let text = "name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes\n\
                    age,,number,,,0,100,,,,,\nsex,,category,,F|M,,,,,,,\n";
        let dictionary = Dictionary::parse("test", text).unwrap();
        let sent = |name: &str, value: &str| {
            let pairs = [("variable", name), ("compared", ">="), ("value", value)];
            Sent(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec())
        };
        let one = narrowed("", "and", &sent("age", "50"), &dictionary);
        assert_eq!(one, "age >= 50");
        let two = narrowed(&one, "or", &sent("sex", "o'F"), &dictionary);
        assert_eq!(two, "(age >= 50) or sex >= 'o''F'");
        assert_eq!(narrowed(&two, "and", &sent("age", ""), &dictionary), two);
    }
}
