//! A report: everything that was asked, found, sent and revealed, on one page.

mod html;
pub(crate) mod style;

/// The style sheet of reports, for pages that show the same parts.
#[must_use]
pub fn style() -> &'static str {
    style::STYLE
}

use crate::svg::{self, Chart, ForestPlot, KmPlot, ManhattanPlot, QuantilePlot, RegionPlot};
use crate::table::Table;
use std::time::Duration;

/// A report in the making; [`Report::to_html`] writes it.
///
/// The page is one file without scripts that asks nothing of any server and says so in its content
/// security policy. It follows the reader's light or dark scheme and prints in black on white.
///
/// ```
/// use konsil_plot::report::{Report, Section, Status};
/// let section = Section::new("Kaplan-Meier").note("Times on a grid of 3 months.");
/// let html = Report::new("Survival by APOE", Status::default()).section(section).to_html();
/// assert!(html.starts_with("<!doctype html>"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    title: String,
    question: Question,
    status: Status,
    understood: Vec<(String, String)>,
    sections: Vec<Section>,
    revealed: Vec<Revealed>,
    guarantee: Vec<String>,
    methods: Vec<(String, String)>,
}

/// What was asked, and of whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// Title of the study.
    pub study: String,
    /// What the answer is for.
    pub purpose: String,
    /// Names of the centres that took part.
    pub centres: Vec<String>,
}

/// The run in five numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Status {
    /// Centres that took part.
    pub centres: usize,
    /// Patients over all centres, where that may be said.
    pub patients: Option<f64>,
    /// Bytes that the plan forecast.
    pub planned_bytes: u64,
    /// Bytes that were sent.
    pub sent_bytes: u64,
    /// Bytes of patient data that left a centre in the clear.
    pub clear_bytes: u64,
    /// From start to release.
    pub elapsed: Duration,
}

/// An analysis with its results.
#[derive(Clone, Debug, Default)]
pub struct Section {
    heading: String,
    notes: Vec<String>,
    tables: Vec<Table>,
    figures: Vec<Figure>,
}

/// A figure. It is drawn by the report, so that no foreign markup can come in.
#[derive(Clone, Debug)]
pub enum Figure {
    /// Survival curves.
    Survival(KmPlot),
    /// Estimates with their limits.
    Forest(ForestPlot),
    /// Any other numbers.
    Chart(Chart),
    /// The p values of a scan along the genome.
    Manhattan(ManhattanPlot),
    /// The p values of a scan against those of chance.
    Quantiles(QuantilePlot),
    /// A locus of a scan.
    Region(RegionPlot),
}

impl Figure {
    /// The figure as an SVG file.
    #[must_use]
    pub fn to_svg(&self) -> String {
        match self {
            Self::Survival(plot) => svg::kaplan_meier(plot),
            Self::Forest(plot) => svg::forest(plot),
            Self::Chart(chart) => svg::chart(chart),
            Self::Manhattan(plot) => svg::manhattan(plot),
            Self::Quantiles(plot) => svg::quantiles(plot),
            Self::Region(plot) => svg::region(plot),
        }
    }
}

/// An entry of the ledger: something that was revealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revealed {
    /// Its name in the plan: `km.curve`.
    pub name: String,
    /// What it says.
    pub says: String,
    /// Who learnt it: the centres, or the researcher.
    pub to: String,
    /// How many numbers it was.
    pub numbers: u64,
}

impl Section {
    /// An analysis without results yet.
    #[must_use]
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..Self::default() }
    }

    /// Adds a sentence below the results.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// Adds a figure.
    #[must_use]
    pub fn figure(mut self, figure: Figure) -> Self {
        self.figures.push(figure);
        self
    }
}

impl Report {
    /// A report of a run.
    #[must_use]
    pub fn new(title: impl Into<String>, status: Status) -> Self {
        Self { title: title.into(), status, ..Self::default() }
    }

    /// Says what was asked, and of whom.
    #[must_use]
    pub fn question(mut self, question: Question) -> Self {
        self.question = question;
        self
    }

    /// Says how a part of the question was understood: its formula written out, levels, units.
    #[must_use]
    pub fn understood(mut self, part: impl Into<String>, meaning: impl Into<String>) -> Self {
        self.understood.push((part.into(), meaning.into()));
        self
    }

    /// Adds an analysis.
    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Adds an entry to the ledger of what was revealed.
    #[must_use]
    pub fn revealed(mut self, entry: Revealed) -> Self {
        self.revealed.push(entry);
        self
    }

    /// Adds a paragraph to the guarantee.
    #[must_use]
    pub fn guarantee(mut self, text: impl Into<String>) -> Self {
        self.guarantee.push(text.into());
        self
    }

    /// Adds a method, version or digest.
    #[must_use]
    pub fn method(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.methods.push((name.into(), value.into()));
        self
    }

    /// The results alone, for a page that says the rest itself: numbers of the run, sections, ledger,
    /// guarantee, methods.
    #[must_use]
    pub fn to_body(&self) -> String {
        html::body(self)
    }

    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        html::page(self)
    }
}
