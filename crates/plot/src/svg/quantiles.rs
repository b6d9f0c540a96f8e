//! Quantile plots of p values: whether a scan has more small ones than chance makes.

use super::axis::{Axis, tick_label};
use super::drawing::{Drawing, Path, WIDTH};
use crate::number::{Medium, count};

const TOP: f64 = 62.0;
const SIDE: f64 = 360.0;
const LEFT: f64 = 70.0;
/// Points nearer than this are one.
const CELL: f64 = 1.5;
/// Places at which the band is computed.
const BAND: u32 = 80;
const Z_975: f64 = 1.959_963_984_540_054;

/// What a quantile plot shows, already thinned out.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantilePlot {
    title: String,
    variants: usize,
    lambda: f64,
    /// Expected and observed, the smallest p value first.
    points: Vec<(f64, f64)>,
}

impl QuantilePlot {
    /// A plot of `-log10` p values, in any order; `lambda` is their genomic control.
    #[must_use]
    pub fn new(title: impl Into<String>, mut log10_p: Vec<f64>, lambda: f64) -> Self {
        log10_p.retain(|it| it.is_finite() && *it >= 0.0);
        log10_p.sort_by(|a, b| b.total_cmp(a));
        let variants = log10_p.len();
        let expected = |rank: usize| -((rank as f64 + 0.5) / variants as f64).log10();
        let most = log10_p.first().copied().unwrap_or(1.0).max(1.0);
        let step = (expected(0).max(1.0) * CELL / SIDE, most * CELL / SIDE);
        let mut points: Vec<(f64, f64)> = Vec::new();
        for (rank, observed) in log10_p.iter().enumerate() {
            let point = (expected(rank), *observed);
            let far = |last: &(f64, f64)| {
                last.0 - point.0 >= step.0 || last.1 - point.1 >= step.1 || rank + 1 == variants
            };
            if points.last().is_none_or(far) {
                points.push(point);
            }
        }
        Self { title: title.into(), variants, lambda, points }
    }

    /// Expected value and 95 % limits of the ordered p values, from the smallest on.
    fn band(&self) -> Vec<(f64, f64, f64)> {
        let n = self.variants as f64;
        let last = n.ln().max(1e-9);
        let rank = |at: u32| (last * f64::from(at) / f64::from(BAND)).exp().round();
        let mut ranks: Vec<f64> = (0..=BAND).map(rank).map(|it| it.clamp(1.0, n)).collect();
        ranks.dedup();
        let log = |p: f64| -p.clamp(1e-300, 1.0).log10();
        let limits = |rank: f64| {
            // of a beta variable with rank and n - rank + 1
            let side = |z: f64| {
                let spread = (1.0 - rank / (n + 1.0)).max(0.0).sqrt() * z / (3.0 * rank.sqrt());
                rank * (1.0 - 1.0 / (9.0 * rank) + spread).powi(3).max(0.0) / n
            };
            // the smallest has an exact form, where the cube is worst
            let low = if rank < 1.5 { 0.025_317_808 / n } else { side(-Z_975) };
            (log((rank - 0.5) / n), log(side(Z_975)), log(low))
        };
        ranks.into_iter().map(limits).collect()
    }
}

/// Draws a quantile plot.
#[must_use]
pub fn quantiles(plot: &QuantilePlot) -> String {
    let mut drawing = Drawing::default();
    let band = if plot.variants > 1 { plot.band() } else { Vec::new() };
    let furthest = plot.points.first().map_or(1.0, |it| it.0).max(1.0) * 1.04;
    let highest = plot.points.iter().map(|it| it.1).fold(1.0, f64::max);
    let top = band.first().map_or(1.0, |it| it.2);
    let high = highest.max(top.min(furthest * 1.6)) * 1.05;
    let x = Axis { low: 0.0, high: furthest, from: LEFT, to: LEFT + SIDE, log: false };
    let y = Axis { low: 0.0, high, from: TOP + SIDE, to: TOP, log: false };
    drawing.text("head", (LEFT - 54.0, 24.0), &plot.title, WIDTH - LEFT);
    axes(&mut drawing, &x, &y);
    drawing.open("s6");
    drawing.path("band", &area(&band, &x, &y));
    drawing.close();
    let end = furthest.min(high);
    drawing.line("null", (x.place(0.0), y.place(0.0)), (x.place(end), y.place(end)));
    drawing.open("s1");
    let mut path = Path::default();
    for (expected, observed) in &plot.points {
        path.start(x.place(*expected), y.place(*observed));
        path.stroke_to(y.place(*observed), true);
    }
    drawing.path("spots", &path);
    drawing.close();
    remarks(&mut drawing, plot);
    drawing.finish(TOP + SIDE + 52.0, &plot.title, &description(plot))
}

fn axes(drawing: &mut Drawing, x: &Axis, y: &Axis) {
    let bottom = y.from;
    drawing.open("axes");
    let label = "observed \u{2212}log\u{2081}\u{2080} p";
    drawing.text("soft", (LEFT - 54.0, TOP - 12.0), label, 200.0);
    let ticks = y.ticks();
    for tick in &ticks {
        let at = y.place(*tick);
        drawing.line("grid", (x.from, at), (x.to, at));
        drawing.text("soft end", (x.from - 8.0, at + 4.0), &tick_label(*tick, &ticks), 60.0);
    }
    drawing.line("axis", (x.from, bottom), (x.to, bottom));
    let ticks = x.ticks();
    for tick in &ticks {
        let at = x.place(*tick);
        drawing.line("axis", (at, bottom), (at, bottom + 5.0));
        drawing.text("soft mid", (at, bottom + 19.0), &tick_label(*tick, &ticks), 90.0);
    }
    let label = "\u{2212}log\u{2081}\u{2080} p expected by chance";
    drawing.text("mid", (f64::midpoint(x.from, x.to), bottom + 40.0), label, SIDE);
    drawing.close();
}

fn area(band: &[(f64, f64, f64)], x: &Axis, y: &Axis) -> Path {
    let mut path = Path::default();
    for (at, (expected, _, high)) in band.iter().enumerate() {
        let place = (x.place(*expected), y.place(*high));
        if at == 0 { path.start(place.0, place.1) } else { path.to(place.0, place.1) }
    }
    for (expected, low, _) in band.iter().rev() {
        path.to(x.place(*expected), y.place(*low));
    }
    if !band.is_empty() {
        path.finish();
    }
    path
}

fn remarks(drawing: &mut Drawing, plot: &QuantilePlot) {
    let at = |line: f64| (LEFT + SIDE + 26.0, TOP + 14.0 + 22.0 * line);
    let width = WIDTH - LEFT - SIDE - 30.0;
    if plot.lambda.is_finite() {
        drawing.text("strong", at(0.0), &format!("\u{3bb} = {:.3}", plot.lambda), width);
    }
    let variants = format!("{} variants", count(plot.variants as f64, Medium::Html));
    drawing.text("soft", at(1.0), &variants, width);
    if plot.variants > 1 {
        drawing.text("soft", at(2.0), "grey: 95% of scans without effects", width);
    }
}

fn description(plot: &QuantilePlot) -> String {
    let variants = count(plot.variants as f64, Medium::Html);
    let lambda = if plot.lambda.is_finite() {
        format!("; genomic control {:.3}", plot.lambda)
    } else {
        String::new()
    };
    let first = plot.points.first();
    let first = first.map_or_else(String::new, |(expected, observed)| {
        format!(" The smallest has {observed:.1} where {expected:.1} is expected.")
    });
    format!("Observed against expected negative logarithms of {variants} p values{lambda}.{first}")
}
