//! Kaplan-Meier curves with bands and the number at risk.

use super::axis::{Axis, tick_label, time_ticks};
use super::drawing::{Drawing, Path, WIDTH, text_width};
use crate::number::{ABSENT, Medium, count, p_statement, percent};

/// Points that all curves together may have; more would only make the file larger.
const POINTS_MAX: usize = 1000;
/// Height of the plot itself and of a row below it.
const PLOT_HEIGHT: f64 = 280.0;
const ROW: f64 = 19.0;
/// Where the names of the groups begin below the plot, after samples of their lines.
const SAMPLE: f64 = 36.0;

/// What a Kaplan-Meier figure shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KmPlot {
    /// Above the figure, and its name for screen readers.
    pub title: String,
    /// Below the time axis, with the unit: `Months since diagnosis`.
    pub time_label: String,
    /// One for each group.
    pub curves: Vec<Curve>,
    /// Log-rank p value.
    pub p_value: Option<f64>,
}

/// One group's curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    /// Name of the group.
    pub label: String,
    /// Patients at the start: what the table of numbers at risk says at time 0.
    pub records: Option<f64>,
    /// The points that may be shown; (0, 1) need not be among them. Any order.
    pub points: Vec<CurvePoint>,
}

/// A step of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// When, in the unit of the axis. A point before 0 or without a finite time is left out.
    pub time: f64,
    /// Survival from then on, in `[0, 1]`.
    pub survival: f64,
    /// Lower confidence limit; the band has a gap where a limit is not finite.
    pub lower: f64,
    /// Upper confidence limit.
    pub upper: f64,
    /// Patients at risk, where that may be shown.
    pub at_risk: Option<f64>,
}

/// Draws survival curves as steps from (0, 1), with bands, a legend beside the curves' ends and the
/// number at risk below the ticks.
///
/// The number at risk at a tick is that of the curve's last point at or before it; where the curve
/// has ended, or nothing may be said, there is a dash.
#[must_use]
pub fn kaplan_meier(plot: &KmPlot) -> String {
    let curves: Vec<Curve> = plot.curves.iter().map(cleaned).collect();
    let last = curves.iter().filter_map(|it| it.points.last()).map(|it| it.time);
    let last = last.fold(0.0, f64::max);
    let frame = Frame::new(&curves, if last > 0.0 { last } else { 1.0 });
    let ticks = time_ticks(frame.time.high, &plot.time_label);
    let mut drawing = Drawing::default();
    header(&mut drawing, &frame, plot);
    axes(&mut drawing, &frame, &ticks, &plot.time_label);
    draw_curves(&mut drawing, &frame, &curves);
    legend(&mut drawing, &frame, &curves);
    let height = at_risk(&mut drawing, &frame, &curves, &ticks);
    drawing.finish(height, &plot.title, &description(plot, &curves))
}

/// Where things are.
struct Frame {
    time: Axis,
    survival: Axis,
}

impl Frame {
    fn new(curves: &[Curve], last: f64) -> Self {
        let label = curves.iter().map(|it| text_width(&it.label)).fold(0.0, f64::max);
        let left = (label + SAMPLE + 34.0).clamp(92.0, 240.0);
        let right = (label * 1.12 + 22.0).clamp(40.0, 160.0);
        let top = 62.0;
        let axis = |low, high, from, to| Axis { low, high, from, to, log: false };
        Self {
            time: axis(0.0, last, left, WIDTH - right),
            survival: axis(0.0, 1.0, top + PLOT_HEIGHT, top),
        }
    }
}

/// Points in order, with finite times and survival in `[0, 1]`, and no more than can be seen.
fn cleaned(curve: &Curve) -> Curve {
    let usable =
        |it: &&CurvePoint| it.time.is_finite() && it.time >= 0.0 && it.survival.is_finite();
    let mut points: Vec<CurvePoint> = curve.points.iter().filter(usable).copied().collect();
    points.sort_by(|a, b| a.time.total_cmp(&b.time));
    for point in &mut points {
        point.survival = point.survival.clamp(0.0, 1.0);
        point.lower = point.lower.clamp(0.0, 1.0);
        point.upper = point.upper.clamp(0.0, 1.0);
    }
    Curve { points, ..curve.clone() }
}

/// The last point of each of so many equal stretches of time: the curve is exact at their ends.
fn thinned(points: &[CurvePoint], stretches: usize, last: f64) -> Vec<CurvePoint> {
    if points.len() <= stretches {
        return points.to_vec();
    }
    let stretch = |point: &CurvePoint| (point.time / last * stretches as f64).ceil();
    let ends = points.chunk_by(|a, b| stretch(a) == stretch(b));
    ends.filter_map(|chunk| chunk.last().copied()).collect()
}

fn header(drawing: &mut Drawing, frame: &Frame, plot: &KmPlot) {
    drawing.text("head", (12.0, 22.0), &plot.title, WIDTH - 24.0);
    drawing.text("soft end", (frame.time.from - 10.0, 48.0), "Survival", 120.0);
    if let Some(p) = plot.p_value.filter(|p| !p.is_nan()) {
        let text = format!("Log-rank {}", p_statement(p, Medium::Html));
        drawing.text("end", (frame.time.to, 48.0), &text, 300.0);
    }
}

fn axes(drawing: &mut Drawing, frame: &Frame, ticks: &[f64], label: &str) {
    let (left, right) = (frame.time.from, frame.time.to);
    drawing.open("axes");
    for survival in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let y = frame.survival.place(survival);
        let class = if survival == 0.0 { "axis" } else { "grid" };
        drawing.line(class, (left, y), (right, y));
        let text = percent(survival, 0, Medium::Html);
        drawing.text("soft end", (left - 10.0, y + 4.0), &text, 60.0);
    }
    let bottom = frame.survival.from;
    for tick in ticks {
        let x = frame.time.place(*tick);
        drawing.line("axis", (x, bottom), (x, bottom + 5.0));
        drawing.text("soft mid", (x, bottom + 19.0), &tick_label(*tick, ticks), 90.0);
    }
    let middle = (left + right) / 2.0;
    drawing.text("mid", (middle, bottom + 40.0), label, right - left);
    drawing.close();
}

fn draw_curves(drawing: &mut Drawing, frame: &Frame, curves: &[Curve]) {
    if curves.is_empty() {
        let x = (frame.time.from + frame.time.to) / 2.0;
        let y = frame.survival.place(0.5) - 8.0;
        drawing.text("mid soft", (x, y), "No curve may be shown.", 400.0);
    }
    let stretches = POINTS_MAX / curves.len().max(1);
    let shown = curves.iter().map(|it| thinned(&it.points, stretches.max(2), frame.time.high));
    let shown: Vec<Vec<CurvePoint>> = shown.collect();
    // All bands first: no band may cover a curve.
    for (index, points) in shown.iter().enumerate() {
        drawing.open(&series(index));
        drawing.path("band", &band(frame, points));
        drawing.close();
    }
    for (index, points) in shown.iter().enumerate() {
        drawing.open(&series(index));
        drawing.path(&format!("curve {}", dashes(index)), &steps(frame, points));
        drawing.close();
    }
}

fn series(index: usize) -> String {
    format!("s{}", index % 6 + 1)
}

/// Curves differ by their dashes too: for print and for eyes that see other colours.
fn dashes(index: usize) -> String {
    format!("d{}", index % 4 + 1)
}

fn steps(frame: &Frame, points: &[CurvePoint]) -> Path {
    let mut path = Path::default();
    path.start(frame.time.from, frame.survival.place(1.0));
    for point in points {
        path.across(frame.time.place(point.time));
        path.down(frame.survival.place(point.survival));
    }
    path
}

/// The band between the limits: one outline for each stretch on which both limits are numbers.
fn band(frame: &Frame, points: &[CurvePoint]) -> Path {
    let mut path = Path::default();
    let limited = |it: &CurvePoint| it.lower.is_finite() && it.upper.is_finite();
    for run in points.chunk_by(|a, b| limited(a) == limited(b)) {
        let Some(first) = run.first().filter(|it| limited(it)) else {
            continue;
        };
        // A point's limits hold until the next point's time.
        let last = run.last().map_or(first.time, |it| it.time);
        let next = points.iter().find(|it| it.time > last);
        let end = frame.time.place(next.map_or(last, |it| it.time));
        path.start(frame.time.place(first.time), frame.survival.place(first.upper));
        for point in run.iter().skip(1) {
            path.across(frame.time.place(point.time));
            path.down(frame.survival.place(point.upper));
        }
        path.across(end);
        for point in run.iter().rev() {
            path.down(frame.survival.place(point.lower));
            path.across(frame.time.place(point.time));
        }
        path.finish();
    }
    path
}

/// Names at the right of the curves' ends, as far apart as reading needs.
fn legend(drawing: &mut Drawing, frame: &Frame, curves: &[Curve]) {
    let end = |curve: &Curve| {
        let last = curve.points.last();
        let (time, survival) = last.map_or((0.0, 1.0), |it| (it.time, it.survival));
        (frame.time.place(time), frame.survival.place(survival))
    };
    let ends: Vec<(f64, f64)> = curves.iter().map(end).collect();
    let places = apart(&ends.iter().map(|it| it.1).collect::<Vec<_>>(), &frame.survival);
    drawing.open("legend");
    for (index, (curve, (end, place))) in curves.iter().zip(ends.iter().zip(places)).enumerate() {
        let mut lead = Path::default();
        lead.start(end.0, end.1);
        lead.to(frame.time.to + 6.0, place);
        lead.across(frame.time.to + 12.0);
        drawing.open(&series(index));
        if end.0 < frame.time.to - 1.0 {
            // This curve ends earlier: nobody may take the way to its name for survival.
            drawing.dot("mark", *end);
            drawing.path("lead far", &lead);
        } else {
            drawing.path("lead", &lead);
        }
        drawing.close();
        let at = (frame.time.to + 16.0, place + 4.5);
        drawing.text("strong", at, &curve.label, WIDTH - frame.time.to - 18.0);
    }
    drawing.close();
}

/// Moves heights apart, in the order they have, and keeps them inside the plot while there is room.
fn apart(heights: &[f64], survival: &Axis) -> Vec<f64> {
    let room = (survival.from - survival.to) / heights.len().max(1) as f64;
    let gap = room.min(17.0);
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
    let mut places = heights.to_vec();
    let mut above = f64::NEG_INFINITY;
    for index in &order {
        places[*index] = heights[*index].max(above + gap);
        above = places[*index];
    }
    let mut below = survival.from + gap;
    for index in order.iter().rev() {
        places[*index] = places[*index].min(below - gap);
        below = places[*index];
    }
    places
}

/// The table of numbers at risk; returns where the figure ends.
fn at_risk(drawing: &mut Drawing, frame: &Frame, curves: &[Curve], ticks: &[f64]) -> f64 {
    let top = frame.survival.from + 68.0;
    let left = frame.time.from;
    let any = |it: &Curve| it.records.is_some() || it.points.iter().any(|it| it.at_risk.is_some());
    if !curves.iter().any(any) {
        return top - 16.0;
    }
    drawing.open("at-risk");
    drawing.text("strong", (12.0, top), "Number at risk", 300.0);
    for (index, curve) in curves.iter().enumerate() {
        let y = top + ROW * (index as f64 + 1.0);
        let mut sample = Path::default();
        sample.start(12.0, y - 4.0);
        sample.across(30.0);
        drawing.open(&series(index));
        drawing.path(&format!("curve {}", dashes(index)), &sample);
        drawing.close();
        drawing.text("label", (SAMPLE, y), &curve.label, left - SAMPLE - 32.0);
        for tick in ticks {
            let text =
                number_at(curve, *tick).map_or(ABSENT.to_owned(), |it| count(it, Medium::Html));
            drawing.text("soft mid", (frame.time.place(*tick), y), &text, 90.0);
        }
    }
    drawing.close();
    top + ROW * curves.len() as f64 + 12.0
}

fn number_at(curve: &Curve, tick: f64) -> Option<f64> {
    let point = curve.points.iter().rev().find(|it| it.time <= tick);
    let ended = curve.points.last().is_some_and(|it| it.time < tick * (1.0 - 1e-9));
    let number = match point {
        _ if tick == 0.0 && curve.records.is_some() => curve.records,
        _ if ended => None,
        Some(point) => point.at_risk,
        None => curve.records,
    };
    number.filter(|it| it.is_finite())
}

fn description(plot: &KmPlot, curves: &[Curve]) -> String {
    let mut text = format!("Kaplan-Meier survival by time ({}).", plot.time_label);
    for curve in curves {
        let last = curve.points.last();
        let (time, survival) = last.map_or((0.0, 1.0), |it| (it.time, it.survival));
        let survival = percent(survival, 0, Medium::Terminal);
        text.push_str(&format!(" {}: {survival} at {}.", curve.label, tick_label(time, &[])));
    }
    if let Some(p) = plot.p_value.filter(|p| !p.is_nan()) {
        text.push_str(&format!(" Log-rank {}.", p_statement(p, Medium::Terminal)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(time: f64, survival: f64) -> CurvePoint {
        CurvePoint {
            time,
            survival,
            lower: survival - 0.1,
            upper: survival + 0.1,
            at_risk: Some(90.0),
        }
    }

    #[test]
    fn the_number_at_risk_is_that_of_the_last_point_until_the_curve_ends() {
        let curve = Curve {
            label: "arm".to_owned(),
            records: Some(120.0),
            points: vec![point(3.0, 0.9), point(9.0, 0.8)],
        };
        assert_eq!(number_at(&curve, 0.0), Some(120.0));
        assert_eq!(number_at(&curve, 2.0), Some(120.0));
        assert_eq!(number_at(&curve, 3.0), Some(90.0));
        assert_eq!(number_at(&curve, 9.0), Some(90.0));
        assert_eq!(number_at(&curve, 12.0), None);
    }

    #[test]
    fn names_move_apart_and_stay_inside() {
        let axis = Axis { low: 0.0, high: 1.0, from: 300.0, to: 100.0, log: false };
        assert_eq!(apart(&[200.0, 201.0, 120.0], &axis), [200.0, 217.0, 120.0]);
        let places = apart(&[299.0, 299.5, 300.0], &axis);
        assert_eq!(places, [266.0, 283.0, 300.0]);
        assert!(apart(&[300.0; 40], &axis).iter().all(|it| (100.0..=300.0).contains(it)));
    }

    #[test]
    fn thinning_keeps_the_ends_of_stretches() {
        let points: Vec<_> = (0..=100).map(|it| point(f64::from(it), 1.0)).collect();
        let kept: Vec<f64> = thinned(&points, 10, 100.0).iter().map(|it| it.time).collect();
        assert_eq!(kept, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0]);
    }
}
