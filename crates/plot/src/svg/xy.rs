//! Charts of numbers against numbers: curves, points with limits, bars, arrows.

use super::axis::{Axis, tick_label};
use super::drawing::{Drawing, Path, WIDTH, text_width};
use crate::number::{Medium, percent};

/// Height of the plot itself, and of one that is as wide as high.
const HEIGHT: f64 = 280.0;
const SQUARE: f64 = 360.0;
const TOP: f64 = 62.0;
/// Points that all series together may have, and bars.
const POINTS_MAX: usize = 1000;

/// What a chart shows. What is not finite is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Above the figure, and its name for screen readers.
    pub title: String,
    /// The horizontal axis.
    pub x: Scale,
    /// The vertical axis.
    pub y: Scale,
    /// Whether both axes have the same length.
    pub square: bool,
    /// Whether the line from corner to corner is drawn, where both axes say the same.
    pub diagonal: bool,
    /// Bars that stand on the lower end of the vertical axis.
    pub bars: Vec<Bar>,
    /// Curves and points.
    pub series: Vec<Series>,
    /// At the upper right: a number that belongs to the figure.
    pub remark: String,
}

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scale {
    /// What it measures, with the unit.
    pub label: String,
    /// Its ends; from the numbers themselves where there are none.
    pub ends: Option<(f64, f64)>,
    /// Whether the numbers are shares of 1, shown as percent.
    pub percent: bool,
}

/// A bar of a histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Left end.
    pub from: f64,
    /// Right end.
    pub to: f64,
    /// Height; not a number where it may not be shown.
    pub height: f64,
}

/// Points that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Its name.
    pub label: String,
    /// How it is drawn.
    pub shape: Shape,
    /// Its points, in the order in which they are joined.
    pub points: Vec<Point>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Joined by straight lines.
    #[default]
    Line,
    /// Level from each point to the next.
    Steps,
    /// Dots, each with its own name and limits.
    Dots,
    /// Lines from the origin to each point, with the point's name.
    Arrows,
}

/// A point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Point {
    /// Where, from left to right.
    pub x: f64,
    /// Where, from below.
    pub y: f64,
    /// Limits of `y`, where there are any.
    pub limits: Option<(f64, f64)>,
    /// Its name, of dots and arrows.
    pub label: String,
}

/// Draws a chart with a legend at the ends of curves.
#[must_use]
pub fn chart(chart: &Chart) -> String {
    let shown = cleaned(chart);
    let frame = Frame::new(&shown);
    let mut drawing = Drawing::default();
    drawing.text("head", (12.0, 22.0), &shown.title, WIDTH - 24.0);
    drawing.text("soft", (12.0, 48.0), &shown.y.label, 300.0);
    drawing.text("end", (frame.x.to, 48.0), &shown.remark, 330.0);
    axes(&mut drawing, &frame, &shown);
    draw_bars(&mut drawing, &frame, &shown.bars);
    if shown.diagonal {
        let end = |share: f64| {
            let x = frame.x.from + share * (frame.x.to - frame.x.from);
            (x, frame.y.from + share * (frame.y.to - frame.y.from))
        };
        drawing.line("null", end(0.0), end(1.0));
    }
    for (index, series) in shown.series.iter().enumerate() {
        draw(&mut drawing, &frame, (index, series));
    }
    legend(&mut drawing, &frame, &shown.series);
    if shown.series.iter().all(|it| it.points.is_empty()) && shown.bars.is_empty() {
        let middle = ((frame.x.from + frame.x.to) / 2.0, (frame.y.from + frame.y.to) / 2.0 - 8.0);
        drawing.text("soft mid", middle, "Nothing may be shown.", 400.0);
    }
    drawing.finish(frame.y.from + 56.0, &shown.title, &description(&shown))
}

fn cleaned(chart: &Chart) -> Chart {
    let mut chart = chart.clone();
    let each = POINTS_MAX / chart.series.len().max(1);
    for series in &mut chart.series {
        series.points.retain(|it| it.x.is_finite() && it.y.is_finite());
        let every = series.points.len().div_ceil(each.max(2)).max(1);
        let last = series.points.len().saturating_sub(1);
        let mut at = 0..;
        series.points.retain(|_| at.next().is_some_and(|at| at % every == 0 || at == last));
        for point in &mut series.points {
            point.limits = point.limits.filter(|(low, high)| low.is_finite() && high.is_finite());
        }
    }
    chart.bars.retain(|it| it.from.is_finite() && it.to.is_finite() && it.from < it.to);
    chart.bars.truncate(POINTS_MAX);
    chart
}

/// Where things are.
struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    fn new(chart: &Chart) -> Self {
        let named = chart.series.iter().filter(|it| !it.label.is_empty());
        let label = named.map(|it| text_width(&it.label)).fold(0.0, f64::max);
        let right = (label * 1.15 + 42.0).clamp(40.0, 220.0);
        let points = || chart.series.iter().flat_map(|it| &it.points);
        let xs = points().map(|it| it.x);
        let xs = xs.chain(chart.bars.iter().flat_map(|it| [it.from, it.to]));
        let (low, high) = ends(&chart.x, xs);
        let ys = points().flat_map(|it| {
            let (low, high) = it.limits.unwrap_or((it.y, it.y));
            [it.y, low, high]
        });
        let heights = chart.bars.iter().map(|it| it.height).filter(|it| it.is_finite());
        let ground = (!chart.bars.is_empty()).then_some(0.0);
        let (bottom, top) = ends(&chart.y, ys.chain(heights).chain(ground));
        let height = if chart.square { SQUARE } else { HEIGHT };
        let left = 76.0;
        let to = if chart.square { left + SQUARE } else { WIDTH - right };
        let axis = |low, high, from, to| Axis { low, high, from, to, log: false };
        Self { x: axis(low, high, left, to), y: axis(bottom, top, TOP + height, TOP) }
    }
}

/// Ends of an axis: those that were given, or those of the numbers with some room.
fn ends(scale: &Scale, numbers: impl Iterator<Item = f64>) -> (f64, f64) {
    if let Some((low, high)) =
        scale.ends.filter(|(low, high)| low < high && (high - low).is_finite())
    {
        return (low, high);
    }
    let numbers: Vec<f64> = numbers.map(|it| it.clamp(-1e15, 1e15)).collect();
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if low > high {
        return (0.0, 1.0);
    }
    let room = ((high - low) * 0.05).max(high.abs() * 1e-6).max(1e-12);
    let ground = if low >= 0.0 && low < high * 0.3 { 0.0 } else { low - room };
    (ground, high + room)
}

fn axes(drawing: &mut Drawing, frame: &Frame, chart: &Chart) {
    drawing.open("axes");
    let text = |scale: &Scale, tick: f64, ticks: &[f64]| {
        if scale.percent { percent(tick, 0, Medium::Html) } else { tick_label(tick, ticks) }
    };
    let (left, right, bottom) = (frame.x.from, frame.x.to, frame.y.from);
    let ticks = frame.y.ticks();
    for tick in &ticks {
        let y = frame.y.place(*tick);
        drawing.line("grid", (left, y), (right, y));
        drawing.text("soft end", (left - 10.0, y + 4.0), &text(&chart.y, *tick, &ticks), 62.0);
    }
    drawing.line("axis", (left, bottom), (right, bottom));
    let ticks = frame.x.ticks();
    for tick in &ticks {
        let x = frame.x.place(*tick);
        drawing.line("axis", (x, bottom), (x, bottom + 5.0));
        drawing.text("soft mid", (x, bottom + 19.0), &text(&chart.x, *tick, &ticks), 90.0);
    }
    drawing.text("mid", ((left + right) / 2.0, bottom + 40.0), &chart.x.label, right - left);
    drawing.close();
}

fn draw_bars(drawing: &mut Drawing, frame: &Frame, bars: &[Bar]) {
    if bars.is_empty() {
        return;
    }
    drawing.open("s0");
    for bar in bars {
        let (from, to) = (frame.x.place(bar.from), frame.x.place(bar.to));
        if bar.height.is_finite() {
            let top = frame.y.place(bar.height);
            let width = (to - from - 1.0).max(0.5);
            drawing.rectangle("bar", (from, top), (width, (frame.y.from - top).max(0.0)));
        } else {
            drawing.text("soft mid", ((from + to) / 2.0, frame.y.from - 5.0), "?", 20.0);
        }
    }
    drawing.close();
}

fn draw(drawing: &mut Drawing, frame: &Frame, (index, series): (usize, &Series)) {
    let place = |point: &Point| (frame.x.place(point.x), frame.y.place(point.y));
    drawing.open(&format!("s{}", index % 6 + 1));
    match series.shape {
        Shape::Line | Shape::Steps => {
            let stepped = series.shape == Shape::Steps;
            drawing.path("band", &band(frame, &series.points, stepped));
            let mut path = Path::default();
            let mut before: Option<(f64, f64)> = None;
            for point in &series.points {
                let (x, y) = place(point);
                match before {
                    None => path.start(x, y),
                    Some(_) if stepped => {
                        path.across(x);
                        path.down(y);
                    }
                    Some(_) => path.to(x, y),
                }
                before = Some((x, y));
            }
            drawing.path(&format!("curve d{}", index % 4 + 1), &path);
        }
        Shape::Dots | Shape::Arrows => {
            for point in &series.points {
                let (x, y) = place(point);
                if let Some((low, high)) = point.limits {
                    drawing.line("whisker", (x, frame.y.place(low)), (x, frame.y.place(high)));
                }
                if series.shape == Shape::Arrows {
                    let origin = (frame.x.place(0.0), frame.y.place(0.0));
                    drawing.line("whisker", origin, (x, y));
                }
                drawing.dot("mark", (x, y));
                // a curve through the dots rises, arrows may go anywhere
                let below = if series.shape == Shape::Dots { 15.0 } else { -5.0 };
                drawing.text("soft", (x + 7.0, y + below), &point.label, 160.0);
            }
        }
    }
    drawing.close();
}

/// The area between the limits of neighbouring points that have them.
fn band(frame: &Frame, points: &[Point], stepped: bool) -> Path {
    let mut path = Path::default();
    for run in points.chunk_by(|a, b| a.limits.is_some() == b.limits.is_some()) {
        let limited = |it: &Point| it.limits.map(|(low, high)| (it.x, low, high));
        let run: Vec<(f64, f64, f64)> = run.iter().filter_map(limited).collect();
        let Some((first, rest)) = run.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            continue;
        };
        path.start(frame.x.place(first.0), frame.y.place(first.2));
        for (x, _, high) in rest {
            let (x, y) = (frame.x.place(*x), frame.y.place(*high));
            if stepped {
                path.across(x);
                path.down(y);
            } else {
                path.to(x, y);
            }
        }
        for (x, low, _) in run.iter().rev() {
            let (x, y) = (frame.x.place(*x), frame.y.place(*low));
            if stepped {
                path.down(y);
                path.across(x);
            } else {
                path.to(x, y);
            }
        }
        path.finish();
    }
    path
}

/// Names below each other at the right, with a sample of each line.
fn legend(drawing: &mut Drawing, frame: &Frame, series: &[Series]) {
    drawing.open("legend");
    let named = series.iter().enumerate().filter(|(_, it)| !it.label.is_empty());
    for (line, (index, series)) in named.enumerate().take(24) {
        let (x, y) = (frame.x.to + 12.0, frame.y.to + 8.0 + 19.0 * line as f64);
        drawing.open(&format!("s{}", index % 6 + 1));
        let mut sample = Path::default();
        sample.start(x - 6.0, y);
        sample.across(x + 8.0);
        match series.shape {
            Shape::Line | Shape::Steps => {
                drawing.path(&format!("curve d{}", index % 4 + 1), &sample);
            }
            Shape::Dots | Shape::Arrows => drawing.dot("mark", (x + 1.0, y)),
        }
        drawing.close();
        drawing.text("strong", (x + 13.0, y + 4.5), &series.label, WIDTH - x - 15.0);
    }
    drawing.close();
}

fn description(chart: &Chart) -> String {
    let mut text = format!("{} by {}.", chart.y.label, chart.x.label);
    for series in &chart.series {
        if let (Some(first), Some(last)) = (series.points.first(), series.points.last()) {
            let number = |value: f64| tick_label((value * 1e3).round() / 1e3, &[]);
            text.push_str(&format!(
                " {}: from {} at {} to {} at {}.",
                series.label,
                number(first.y),
                number(first.x),
                number(last.y),
                number(last.x)
            ));
        }
    }
    if !chart.bars.is_empty() {
        let hidden = chart.bars.iter().filter(|it| !it.height.is_finite()).count();
        text.push_str(&format!(" {} bars, {hidden} of them not shown.", chart.bars.len()));
    }
    if !chart.remark.is_empty() {
        text.push_str(&format!(" {}.", chart.remark));
    }
    text
}
