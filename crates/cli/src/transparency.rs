//! `konsil transparency`: a page for patients: which studies there were, and what protects them.

use crate::failure::Failure;
use crate::request::desk;
use crate::screen::Screen;
use clap::{Args, ValueEnum};
use konsil_analyses::entry;
use konsil_node::PublicStudy;
use konsil_plot::document::{Document, Part};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct TransparencyOptions {
    /// The centre's folder.
    #[arg(short = 'C', long, default_value = ".")]
    dir: PathBuf,
    /// Language of the page.
    #[arg(long, default_value = "en")]
    lang: Language,
    /// The page to write.
    #[arg(short, long, default_value = "transparency.html", value_name = "FILE.html")]
    out: PathBuf,
}

/// Languages of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Language {
    /// German.
    De,
    /// English.
    En,
}

pub(crate) fn transparency(options: &TransparencyOptions, screen: &Screen) -> Result<(), Failure> {
    let desk = desk(&options.dir)?;
    let studies = desk.public_studies()?;
    let facts = Facts {
        centre: desk.centre().to_owned(),
        threshold: desk.own_policy()?.rules.threshold,
        studies: &studies,
    };
    let page = match options.lang {
        Language::De => german(&facts),
        Language::En => english(&facts),
    };
    fs::write(&options.out, page.to_html()).map_err(|error| Failure::file(&options.out, &error))?;
    screen.note(&format!("✓ {}  {} studies", options.out.display(), studies.len()));
    screen.json_line(&json!({"schema": "konsil.transparency.v1", "centre": facts.centre,
        "threshold": facts.threshold, "studies": studies}));
    Ok(())
}

/// What a page tells.
struct Facts<'a> {
    centre: String,
    threshold: u64,
    studies: &'a [PublicStudy],
}

/// What was learned in a study: a line for each analysis, with the names of the released numbers.
fn learned(study: &PublicStudy, german: bool) -> String {
    let mut analyses: Vec<(&str, &str, u64, Vec<&str>)> = Vec::new();
    for it in &study.released {
        match analyses.last_mut().filter(|last| last.0 == it.analysis) {
            Some(last) => {
                last.2 += it.numbers;
                last.3.push(&it.name);
            }
            None => analyses.push((&it.analysis, &it.kind, it.numbers, vec![&it.name])),
        }
    }
    let line = |(id, kind, numbers, names): &(&str, &str, u64, Vec<&str>)| {
        let word = entry(kind).map_or(*id, |it| it.says[usize::from(german)]);
        let unit = if german { "Zahlen" } else { "numbers" };
        format!("{word}: {numbers} {unit} ({})", names.join(", "))
    };
    let lines: Vec<String> = analyses.iter().map(line).collect();
    lines.join("; ")
}

fn rows(facts: &Facts<'_>, german: bool) -> Vec<Vec<String>> {
    let row = |it: &PublicStudy| {
        let title = if it.title.is_empty() { &it.study } else { &it.title };
        let why =
            if it.purpose.is_empty() { title.clone() } else { format!("{title} ({})", it.purpose) };
        vec![
            it.day
                .map(
                    |day| {
                        if german { day.strftime("%d.%m.%Y").to_string() } else { day.to_string() }
                    },
                )
                .unwrap_or_default(),
            why,
            it.researcher.clone(),
            it.centres.to_string(),
            learned(it, german),
        ]
    };
    facts.studies.iter().map(row).collect()
}

fn label(pairs: [(String, &str); 5]) -> Vec<Vec<String>> {
    pairs.map(|(what, answer)| vec![what, answer.to_owned()]).to_vec()
}

fn english(facts: &Facts<'_>) -> Document {
    let Facts { centre, threshold, .. } = facts;
    let label = label([
        (format!("Does someone outside {centre} read your record?"), "No"),
        (format!("Does another centre learn numbers about the patients of {centre} alone?"), "No"),
        (
            format!("Does a result show numbers about fewer than {threshold} people?"),
            "No. Such numbers are hidden",
        ),
        ("What is published?".to_owned(), "Results about large groups"),
        (
            "What would break this protection?".to_owned(),
            "If all other centres secretly work together against the rules. Or if the dealer, a \
             computer that gives out random numbers, works together with one centre",
        ),
    ]);
    let studies = Part::new("Studies with data of this centre");
    let studies = if facts.studies.is_empty() {
        studies.text("There was no study yet.")
    } else {
        let head = ["When", "Question", "Who asked", "Centres", "What was learned"];
        studies.table(head, rows(facts, false))
    };
    Document::new(
        "en",
        "How your data help research",
        format!("Your record stays at {centre}. Other centres never see it."),
    )
    .part(Part::new("What can happen with your data").table(["Question", "Answer"], label))
    .part(studies)
    .part(
        Part::new("How it works")
            .text(
                "Each centre splits its numbers into random pieces. One piece alone says nothing. \
                 Only the result of all centres together becomes visible.",
            )
            .text(
                "A result is exact. Many results together can say more about a group than one. \
                 That is why the centre checks each question before it is answered.",
            ),
    )
    .part(Part::new("Your rights").text(format!(
        "You have questions, or you do not want your data to be used? Ask {centre}. Results that \
         are finished cannot be called back."
    )))
    .foot("This page loads nothing from the internet.")
}

fn german(facts: &Facts<'_>) -> Document {
    let Facts { centre, threshold, .. } = facts;
    let label = label([
        (format!("Liest jemand außerhalb von {centre} Ihre Akte?"), "Nein"),
        (
            format!("Erfährt ein anderes Zentrum Zahlen nur über die Patienten von {centre}?"),
            "Nein",
        ),
        (
            format!("Zeigt ein Ergebnis Zahlen über weniger als {threshold} Menschen?"),
            "Nein. Solche Zahlen werden verdeckt",
        ),
        ("Was wird veröffentlicht?".to_owned(), "Ergebnisse über große Gruppen"),
        (
            "Was würde diesen Schutz brechen?".to_owned(),
            "Wenn alle anderen Zentren heimlich gegen die Regeln zusammenarbeiten. Oder wenn der \
             Dealer, ein Computer, der Zufallszahlen verteilt, mit einem Zentrum zusammenarbeitet",
        ),
    ]);
    let studies = Part::new("Studien mit Daten dieses Zentrums");
    let studies = if facts.studies.is_empty() {
        studies.text("Es gab noch keine Studie.")
    } else {
        let head = ["Wann", "Frage", "Wer hat gefragt", "Zentren", "Was wurde gelernt"];
        studies.table(head, rows(facts, true))
    };
    Document::new(
        "de",
        "Wie Ihre Daten der Forschung helfen",
        format!("Ihre Akte bleibt in {centre}. Andere Zentren sehen sie nie."),
    )
    .part(Part::new("Was mit Ihren Daten geschehen kann").table(["Frage", "Antwort"], label))
    .part(studies)
    .part(
        Part::new("So funktioniert es")
            .text(
                "Jedes Zentrum zerlegt seine Zahlen in zufällige Teile. Ein Teil allein sagt \
                 nichts. Sichtbar wird nur das Ergebnis aller Zentren zusammen.",
            )
            .text(
                "Ein Ergebnis ist genau. Viele Ergebnisse zusammen können mehr über eine Gruppe \
                 sagen als eines. Darum prüft das Zentrum jede Frage, bevor sie beantwortet wird.",
            ),
    )
    .part(Part::new("Ihre Rechte").text(format!(
        "Sie haben Fragen, oder Sie möchten nicht, dass Ihre Daten genutzt werden? Fragen Sie \
         {centre}. Fertige Ergebnisse kann man nicht zurückholen."
    )))
    .foot("Diese Seite lädt nichts aus dem Internet.")
}
