//! Regional plots: a locus and what is around it.

use super::axis::{Axis, tick_label};
use super::drawing::{Drawing, Path, WIDTH, text_width};
use super::{limits, power_of_ten};
use crate::number::{Medium, count};

const TOP: f64 = 62.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 96.0;
/// Variants nearer than this are one mark, where there are many.
const CELL: f64 = 2.0;
const POINTS_MAX: usize = 1500;
/// Classes of correlation with the best variant: lower end, words, colour.
const CORRELATION: [(f64, &str, &str); 5] = [
    (0.8, "0.8 to 1", "s2"),
    (0.6, "0.6 to 0.8", "s5"),
    (0.4, "0.4 to 0.6", "s3"),
    (0.2, "0.2 to 0.4", "s1"),
    (0.0, "below 0.2", "s6"),
];

/// A variant near a locus.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RegionPoint {
    /// Its position, in bases.
    pub position: u32,
    /// `-log10` of its p value; what is not finite is left out.
    pub log10_p: f64,
    /// Squared correlation with the best variant, where it is known.
    pub correlation: Option<f64>,
}

/// What a regional plot shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegionPlot {
    /// Above the figure, and its name for screen readers.
    pub title: String,
    /// The chromosome.
    pub chromosome: String,
    /// First and last position of the axis.
    pub ends: (u32, u32),
    /// All variants, the best one too.
    pub points: Vec<RegionPoint>,
    /// The best variant's place in `points`, and its name.
    pub best: Option<(usize, String)>,
}

/// Draws a regional plot.
#[must_use]
pub fn region(plot: &RegionPlot) -> String {
    let mut drawing = Drawing::default();
    let finite = |it: &&RegionPoint| it.log10_p.is_finite() && it.log10_p >= 0.0;
    let best = plot.best.as_ref().and_then(|(at, name)| Some((plot.points.get(*at)?, name)));
    let best = best.filter(|(it, _)| it.log10_p.is_finite());
    let shown: Vec<&RegionPoint> = plot.points.iter().filter(finite).collect();
    let most = shown.iter().map(|it| it.log10_p).fold(0.0, f64::max);
    let megabases = |it: u32| f64::from(it) / 1e6;
    let (low, high) = (megabases(plot.ends.0), megabases(plot.ends.1));
    let high = if high > low { high } else { low + 1e-3 };
    let x = Axis { low, high, from: LEFT, to: WIDTH - RIGHT, log: false };
    let high = (most * 1.12).max(5.5);
    let y = Axis { low: 0.0, high, from: TOP + HEIGHT, to: TOP, log: false };
    drawing.text("head", (LEFT - 42.0, 24.0), &plot.title, WIDTH - LEFT);
    axes(&mut drawing, &x, &y, &plot.chromosome);
    let known = shown.iter().any(|it| it.correlation.is_some());
    for (class, points) in classes(&shown, known) {
        drawing.open(class);
        drawing.path("spots wide", &marks(&points, &x, &y, shown.len() > POINTS_MAX));
        drawing.close();
    }
    if let Some((point, name)) = best {
        let at = (x.place(megabases(point.position)), y.place(point.log10_p));
        draw_best(&mut drawing, at, name);
    }
    if known {
        legend(&mut drawing);
    }
    drawing.finish(TOP + HEIGHT + 52.0, &plot.title, &description(plot, shown.len(), most))
}

/// Variants of each colour, the strongest correlation last, so that it lies on top.
fn classes<'a>(
    shown: &[&'a RegionPoint],
    known: bool,
) -> Vec<(&'static str, Vec<&'a RegionPoint>)> {
    if !known {
        return vec![("s1", shown.to_vec())];
    }
    let class = |it: &RegionPoint| {
        let value = it.correlation.unwrap_or(0.0);
        let found = CORRELATION.iter().find(|(low, _, _)| value >= *low);
        found.map_or("s6", |it| it.2)
    };
    let of = |colour: &'static str| {
        let points = shown.iter().filter(|it| class(it) == colour);
        (colour, points.copied().collect::<Vec<_>>())
    };
    CORRELATION.iter().rev().map(|(_, _, colour)| of(colour)).collect()
}

fn marks(points: &[&RegionPoint], x: &Axis, y: &Axis, many: bool) -> Path {
    let mut path = Path::default();
    let mut taken = std::collections::BTreeSet::new();
    for point in points {
        let at = (x.place(f64::from(point.position) / 1e6), y.place(point.log10_p));
        let cell = |it: f64| (it / CELL).round().to_bits();
        if !many || taken.insert((cell(at.0), cell(at.1))) {
            path.start(at.0, at.1);
            path.stroke_to(at.1, true);
        }
    }
    path
}

fn axes(drawing: &mut Drawing, x: &Axis, y: &Axis, chromosome: &str) {
    let bottom = y.from;
    drawing.open("axes");
    drawing.text("soft", (LEFT - 42.0, TOP - 12.0), "\u{2212}log\u{2081}\u{2080} p", 80.0);
    let ticks = y.ticks();
    for tick in &ticks {
        let at = y.place(*tick);
        drawing.line("grid", (x.from, at), (x.to, at));
        drawing.text("soft end", (x.from - 8.0, at + 4.0), &tick_label(*tick, &ticks), 50.0);
    }
    limits(drawing, y, (x.from, x.to), RIGHT);
    drawing.line("axis", (x.from, bottom), (x.to, bottom));
    let ticks = x.ticks();
    for tick in &ticks {
        let at = x.place(*tick);
        drawing.line("axis", (at, bottom), (at, bottom + 5.0));
        drawing.text("soft mid", (at, bottom + 19.0), &tick_label(*tick, &ticks), 90.0);
    }
    let label = format!("position on chromosome {chromosome}, Mb");
    drawing.text("mid", (f64::midpoint(x.from, x.to), bottom + 40.0), &label, 500.0);
    drawing.close();
}

/// The best variant as a diamond with its name.
fn draw_best(drawing: &mut Drawing, at: (f64, f64), name: &str) {
    drawing.open("s2");
    let mut path = Path::default();
    path.start(at.0, at.1 - 6.0);
    path.to(at.0 + 6.0, at.1);
    path.to(at.0, at.1 + 6.0);
    path.to(at.0 - 6.0, at.1);
    path.finish();
    drawing.path("mark", &path);
    drawing.close();
    let right = at.0 + 12.0 + text_width(name) * 1.12 < WIDTH - 4.0;
    let (class, x) = if right { ("strong", at.0 + 11.0) } else { ("strong end", at.0 - 11.0) };
    drawing.text(class, (x, at.1 + 4.5), name, 300.0);
}

fn legend(drawing: &mut Drawing) {
    drawing.open("legend");
    let x = WIDTH - RIGHT + 16.0;
    drawing.text("soft", (x - 8.0, TOP + 16.0), "r\u{b2}", RIGHT);
    for (line, (_, words, colour)) in CORRELATION.iter().enumerate() {
        let y = TOP + 36.0 + 18.0 * line as f64;
        drawing.open(colour);
        drawing.dot("mark", (x - 5.0, y));
        drawing.close();
        drawing.text("soft", (x + 3.0, y + 4.0), words, RIGHT - 20.0);
    }
    drawing.close();
}

fn description(plot: &RegionPlot, shown: usize, most: f64) -> String {
    let mut text = format!(
        "{} variants on chromosome {} between {} and {}; the smallest p value is {}.",
        count(shown as f64, Medium::Html),
        plot.chromosome,
        count(f64::from(plot.ends.0), Medium::Html),
        count(f64::from(plot.ends.1), Medium::Html),
        power_of_ten(most)
    );
    if let Some((_, name)) = &plot.best {
        text.push_str(&format!(" The best one is {name}."));
    }
    text
}
