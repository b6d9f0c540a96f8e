//! What patients read: what can happen with their data, and which studies have used them. Public.

use crate::centre::Shared;
use crate::centre::doors::frame;
use crate::centre::steward::{Signed, waited};
use crate::page::{Frame, failed, show};
use crate::texts::Language;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use konsil_analyses::entry;
use konsil_node::PublicStudy;

struct StudyLine {
    day: String,
    question: String,
    who: String,
    centres: usize,
    learned: String,
}

/// What was learned, by analysis, in plain words.
fn learned(study: &PublicStudy, german: bool) -> String {
    let mut said: Vec<&str> = Vec::new();
    for it in &study.released {
        let word = entry(&it.kind).map_or(it.kind.as_str(), |it| it.says[usize::from(german)]);
        if !said.contains(&word) {
            said.push(word);
        }
    }
    said.join(", ")
}

fn line(study: &PublicStudy, language: Language) -> StudyLine {
    let german = language == Language::German;
    let day = study
        .day
        .map(|day| if german { day.strftime("%d.%m.%Y").to_string() } else { day.to_string() });
    let title = if study.title.is_empty() { &study.study } else { &study.title };
    StudyLine {
        day: day.unwrap_or_default(),
        question: title.clone(),
        who: study.researcher.clone(),
        centres: study.centres,
        learned: learned(study, german),
    }
}

#[derive(Template)]
#[template(path = "transparency.html")]
struct Transparency {
    f: Frame,
    centre: String,
    threshold: u64,
    studies: Vec<StudyLine>,
}

/// `GET /transparency`.
pub(crate) async fn transparency(
    State(office): State<Shared>,
    Extension(session): Signed,
    headers: HeaderMap,
) -> Response {
    let f = frame(&office, &headers, (session.as_ref(), "/transparency"));
    let read = waited(&office, |office| {
        Ok((office.desk.public_studies()?, office.desk.own_policy()?.rules.threshold))
    });
    match read.await {
        Ok((studies, threshold)) => {
            let studies = studies.iter().map(|it| line(it, f.language)).collect();
            show(&Transparency { f, centre: office.desk.centre().to_owned(), threshold, studies })
        }
        Err((code, text)) => failed(f, StatusCode::INTERNAL_SERVER_ERROR, (&code, &text)),
    }
}
