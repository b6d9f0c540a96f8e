//! A report as a study would give it, with made-up numbers, and a check of markup.

use konsil_plot::report::{Figure, Question, Report, Revealed, Section, Status};
use konsil_plot::svg::{Curve, CurvePoint, ForestPlot, ForestRow, KmPlot};
use konsil_plot::table::{Cell, Column, Table};
use std::time::Duration;

/// A curve that falls by a constant hazard, in steps of three months.
pub(crate) fn curve(label: &str, patients: f64, hazard: f64) -> Curve {
    let step = |index: u32| {
        let time = f64::from(index) * 3.0;
        let survival = (-hazard * time).exp();
        let at_risk = patients * survival * (1.0 - time / 70.0);
        let error = 1.96 * (survival * (1.0 - survival) / at_risk.max(1.0)).sqrt();
        CurvePoint {
            time,
            survival,
            lower: survival - error,
            upper: survival + error,
            at_risk: Some(at_risk.round()),
        }
    };
    Curve { label: label.to_owned(), records: Some(patients), points: (1..=20).map(step).collect() }
}

pub(crate) fn km() -> KmPlot {
    KmPlot {
        title: "Survival after diagnosis by APOE status".to_owned(),
        time_label: "Months since diagnosis".to_owned(),
        curves: vec![curve("APOE e4 carrier", 2481.0, 0.0165), curve("Non-carrier", 5211.0, 0.009)],
        p_value: Some(2.1e-14),
    }
}

/// A row with the text that its numbers have.
pub(crate) fn row(label: &str, numbers: (f64, f64, f64), text: &str) -> ForestRow {
    let (estimate, low, high) = numbers;
    let (label, text) = (label.to_owned(), text.to_owned());
    ForestRow { label, estimate, low, high, text }
}

pub(crate) fn forest() -> ForestPlot {
    let nan = f64::NAN;
    ForestPlot {
        title: "Hazard of death, Cox model".to_owned(),
        axis_label: "Hazard ratio".to_owned(),
        text_label: "HR (95% CI)  p".to_owned(),
        ratios: true,
        rows: vec![
            row("Age, per 10 years", (1.42, 1.33, 1.52), "1.42 (1.33 to 1.52)  p<0.001"),
            row("Sex: female", (nan, nan, nan), "reference"),
            row("Sex: male", (1.18, 1.06, 1.31), "1.18 (1.06 to 1.31)  p=0.0021"),
            row("APOE e4 carrier", (1.61, 1.44, 1.80), "1.61 (1.44 to 1.80)  p<0.001"),
            row("HbA1c, per 10 mmol/mol", (1.09, 1.03, 1.15), "1.09 (1.03 to 1.15)  p=0.0022"),
            row("Smoker: ever", (0.82, 0.70, 0.97), "0.82 (0.70 to 0.97)  p=0.018"),
            row("Rare variant", (2.2, 0.9, f64::INFINITY), "2.20 (0.90 to \u{221e})  p=0.09"),
        ],
    }
}

fn table1() -> Table {
    let columns = vec![
        Column::words("Characteristic"),
        Column::numbers("APOE e4 carrier"),
        Column::numbers("Non-carrier"),
        Column::numbers("Standardised difference"),
    ];
    Table::new("Patients at diagnosis, by APOE status", columns)
        .row(["Patients", "2\u{202f}481", "5\u{202f}211", ""])
        .row(["Age, years: median (quartiles)", "71 (66, 77)", "74 (68, 80)", "0.31"])
        .row(["Smoker", "", "", "0.08"])
        .row(["  never", "1\u{202f}204 (49%)", "2\u{202f}611 (50%)", ""])
        .row(["  former", "901 (36%)", "1\u{202f}988 (38%)", ""])
        .row([Cell::new("  not known"), Cell::muted("<10"), Cell::muted("withheld"), "".into()])
}

fn revealed(name: &str, says: &str, to: &str, numbers: u64) -> Revealed {
    let [name, says, to] = [name, says, to].map(str::to_owned);
    Revealed { name, says, to, numbers }
}

/// A whole report.
pub(crate) fn report() -> Report {
    let centres = ["Aachen", "Bonn", "Dresden", "Heidelberg", "Jena", "Ulm"];
    let status = Status {
        centres: 6,
        patients: Some(7690.0),
        planned_bytes: 38_412_288,
        sent_bytes: 38_412_288,
        clear_bytes: 0,
        elapsed: Duration::from_secs(94),
    };
    let question = Question {
        study: "Survival with Alzheimer's disease by APOE".to_owned(),
        purpose: "Dementia research, ethics vote 2026-114".to_owned(),
        centres: centres.map(str::to_owned).to_vec(),
    };
    let survival = Section::new("Kaplan-Meier").figure(Figure::Survival(km())).note(
        "Times on a grid of 3 months. A step is shown once 10 events have happened since the last.",
    );
    Report::new("Survival after diagnosis by APOE status", status)
        .question(question)
        .understood("Cohort", "dx_ad and age >= 50")
        .understood("Cox model", "Surv(months, died) ~ I(age/10) + sex + apoe4 + I(hba1c/10) + smoker")
        .section(Section::new("Table 1").table(table1()))
        .section(survival)
        .section(Section::new("Cox model").figure(Figure::Forest(forest())))
        .revealed(revealed("table1.counts", "Patients of each level, unless too few.", "researcher", 48))
        .revealed(revealed("km.curve", "Survival at times between which enough events happened.", "researcher", 40))
        .revealed(revealed("km.admitted", "Whether the cohort has enough patients, events and centres.", "centres", 1))
        .guarantee("No centre, and not the dealer, sees another centre's patients or its subtotals. Each number that leaves a centre is split into random-looking shares; all six are needed to rebuild it, and only the results above are rebuilt.")
        .guarantee("This holds unless all other five centres, or the dealer together with one centre, join forces, or a centre runs changed software.")
        .method("konsil", "0.1.0")
        .method("Survival", "Kaplan and Meier 1958; limits on the log scale; log-rank by Mantel 1966")
        .method("Study file", "sha256 8be1f03a97c2")
}

/// Panics unless every tag is closed in order, and returns the names of the elements.
pub(crate) fn elements(markup: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "link", "br", "!doctype"];
    let (mut open, mut all) = (Vec::new(), Vec::new());
    let mut rest = markup;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("a tag ends");
        let tag = &rest[start + 1..end];
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap().to_owned();
        assert!(!tag.contains('<'), "`<` inside the tag {tag}");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes of {tag}");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "closed by {closed}");
        } else {
            all.push(name.clone());
            if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
                open.push(name);
            }
        }
        rest = &rest[end + 1..];
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    all
}

/// Numbers that a result can hold when something went wrong.
pub(crate) const ODD: [f64; 12] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.37,
    1e-308,
    1e300,
    -1e300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    59.999,
];

/// A repeatable row of choices.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    pub(crate) fn number(&mut self) -> f64 {
        match self.below(3) {
            0 => ODD[self.below(ODD.len())],
            1 => self.below(1000) as f64 / 1000.0,
            _ => self.below(100) as f64,
        }
    }

    pub(crate) fn maybe(&mut self) -> Option<f64> {
        (self.below(3) > 0).then(|| self.number())
    }

    pub(crate) fn label(&mut self) -> String {
        const LABELS: [&str; 5] = [
            "",
            "arm A",
            "<script>alert(1)</script>",
            "\"><g onload='x'>\u{0}",
            "Überlänge \u{1f9ec} .",
        ];
        LABELS[self.below(LABELS.len())].repeat(self.below(4))
    }
}

/// Every attribute with a number must hold finite numbers only.
pub(crate) fn check_within(svg: &str, bytes_max: usize) {
    let names = elements(svg);
    assert!(!names.iter().any(|name| name == "script"), "{svg}");
    assert!(svg.len() < bytes_max, "{} bytes", svg.len());
    for (index, piece) in svg.split('"').enumerate() {
        if index % 2 == 1 && !piece.starts_with("http") {
            let piece = piece.to_lowercase();
            assert!(!piece.contains("nan") && !piece.contains("inf"), "{piece} in {svg}");
        }
    }
    assert!(svg.starts_with("<svg xmlns=") && svg.contains("role=\"img\""));
    assert!(svg.contains("<title>") && svg.contains("<desc>"));
}
