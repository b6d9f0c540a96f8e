//! Forest plots: estimates with their limits, one row each.

use super::axis::{Axis, tick_label};
use super::drawing::{Drawing, Path, WIDTH, text_width};

/// Height of a row.
const ROW: f64 = 30.0;
/// Half the side of an estimate's square.
const HALF: f64 = 5.5;
/// Estimates and limits further from no effect than this run out of the plot, as arrows: an
/// estimate that has lost its data would leave no room for the others.
const RATIO_MAX: f64 = 60.0;

/// What a forest plot shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForestPlot {
    /// Above the figure, and its name for screen readers.
    pub title: String,
    /// Above the squares and below the axis: `Hazard ratio`.
    pub axis_label: String,
    /// Above the right column, in parts as the rows' texts: `HR (95% CI)  p`.
    pub text_label: String,
    /// Whether estimates are ratios: logarithmic axis, no effect at 1 instead of 0.
    pub ratios: bool,
    /// One for each term.
    pub rows: Vec<ForestRow>,
}

/// A row of a forest plot.
#[derive(Clone, Debug, PartialEq)]
pub struct ForestRow {
    /// The term.
    pub label: String,
    /// Its estimate; without a number the row has no mark: a heading or a reference level.
    pub estimate: f64,
    /// Lower limit; an infinite one is drawn as an arrow, a missing one not at all.
    pub low: f64,
    /// Upper limit.
    pub high: f64,
    /// Right column. Two spaces part it: `1.42 (1.33 to 1.52)  p<0.001`.
    pub text: String,
}

/// Draws estimates as squares and limits as whiskers around a line of no effect.
#[must_use]
pub fn forest(plot: &ForestPlot) -> String {
    let frame = Frame::new(plot);
    let mut drawing = Drawing::default();
    let first = if plot.title.is_empty() { 26.0 } else { 58.0 };
    drawing.text("head", (12.0, 22.0), &plot.title, WIDTH - 24.0);
    headings(&mut drawing, &frame, plot, first);
    let top = first + 14.0;
    let bottom = top + ROW * plot.rows.len().max(1) as f64;
    for index in (0..plot.rows.len()).step_by(2) {
        let corner = (0.0, top + ROW * index as f64);
        drawing.rectangle("stripe", corner, (WIDTH, ROW));
    }
    axis(&mut drawing, &frame, (top, bottom));
    for (index, row) in plot.rows.iter().enumerate() {
        draw_row(&mut drawing, &frame, row, top + ROW * (index as f64 + 0.5));
    }
    if plot.rows.is_empty() {
        let middle = (frame.axis.from + frame.axis.to) / 2.0;
        drawing.text("soft mid", (middle, top + 19.0), "No estimate to show.", 300.0);
    }
    drawing.finish(bottom + 36.0, &plot.title, &description(plot))
}

/// Where things are.
struct Frame {
    axis: Axis,
    /// No effect.
    null: f64,
    /// Left ends of the parts of the right column.
    parts: Vec<f64>,
}

impl Frame {
    fn new(plot: &ForestPlot) -> Self {
        let texts = plot.rows.iter().map(|row| row.text.as_str()).chain([plot.text_label.as_str()]);
        let mut widths: Vec<f64> = Vec::new();
        for text in texts {
            for (index, part) in parts(text).enumerate() {
                let width = (text_width(part) + 14.0).min(240.0);
                match widths.get_mut(index) {
                    Some(known) => *known = width.max(*known),
                    None => widths.push(width),
                }
            }
        }
        // Labels and texts leave at least a quarter of the width to the squares.
        let label = plot.rows.iter().map(|row| text_width(&row.label)).fold(70.0, f64::max);
        let texts = widths.iter().sum::<f64>().min(330.0);
        let label = label.min(WIDTH * 0.75 - texts - 50.0).max(60.0);
        let mut place = WIDTH - texts;
        let mut starts = Vec::new();
        for width in widths {
            starts.push(place);
            place += width;
        }
        let (from, to) = (label + 34.0, WIDTH - texts - 22.0);
        let (low, high) = range(plot);
        let null = if plot.ratios { 1.0 } else { 0.0 };
        Self { axis: Axis { low, high, from, to, log: plot.ratios }, null, parts: starts }
    }
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split("  ").map(str::trim).filter(|part| !part.is_empty())
}

/// Ends of the axis: all estimates and limits that are not too far out, and some room.
fn range(plot: &ForestPlot) -> (f64, f64) {
    let numbers = plot.rows.iter().filter(|row| row.estimate.is_finite());
    let numbers = numbers.flat_map(|row| [row.estimate, row.low, row.high]);
    if plot.ratios {
        let logs = numbers.filter(|it| it.is_finite() && *it > 0.0).map(f64::ln);
        let (low, high) = padded(logs, RATIO_MAX.ln(), 0.2);
        return (low.exp(), high.exp());
    }
    let numbers: Vec<f64> = numbers.filter(|it| it.is_finite()).collect();
    let mut sizes: Vec<f64> = numbers.iter().map(|it| it.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0).clamp(1e-12, 1e12);
    padded(numbers.into_iter(), median * 20.0, median * 0.2)
}

/// Bounds of some numbers and zero, not beyond a limit, with 6 % of room at both ends.
fn padded(numbers: impl Iterator<Item = f64>, limit: f64, least: f64) -> (f64, f64) {
    let (mut low, mut high) = (0.0_f64, 0.0_f64);
    for number in numbers {
        low = low.min(number.max(-limit));
        high = high.max(number.min(limit));
    }
    if high - low < least {
        (low, high) = (low - least, high + least);
    }
    let room = (high - low) * 0.06;
    (low - room, high + room)
}

fn headings(drawing: &mut Drawing, frame: &Frame, plot: &ForestPlot, y: f64) {
    drawing.open("headings");
    drawing.text("strong", (12.0, y), "Term", frame.axis.from - 30.0);
    let middle = (frame.axis.from + frame.axis.to) / 2.0;
    drawing.text("strong mid", (middle, y), &plot.axis_label, frame.axis.to - frame.axis.from);
    for (part, place) in parts(&plot.text_label).zip(&frame.parts) {
        drawing.text("strong", (*place, y), part, 240.0);
    }
    drawing.close();
}

fn axis(drawing: &mut Drawing, frame: &Frame, (top, bottom): (f64, f64)) {
    let ticks = frame.axis.ticks();
    drawing.open("axes");
    drawing.line("axis", (frame.axis.from, bottom), (frame.axis.to, bottom));
    for tick in &ticks {
        let x = frame.axis.place(*tick);
        drawing.line("grid", (x, top), (x, bottom));
        drawing.line("axis", (x, bottom), (x, bottom + 5.0));
        drawing.text("soft mid", (x, bottom + 20.0), &tick_label(*tick, &ticks), 80.0);
    }
    let null = frame.axis.place(frame.null);
    drawing.line("null", (null, top), (null, bottom));
    drawing.close();
}

fn draw_row(drawing: &mut Drawing, frame: &Frame, row: &ForestRow, y: f64) {
    drawing.text("label", (12.0, y + 4.5), &row.label, frame.axis.from - 30.0);
    for (part, place) in parts(&row.text).zip(&frame.parts) {
        drawing.text("text", (*place, y + 4.5), part, 240.0);
    }
    if row.estimate.is_nan() {
        return;
    }
    drawing.open("s0");
    let known = |limit: f64| if limit.is_nan() { row.estimate } else { limit };
    let (low, high) = (known(row.low), known(row.high));
    let (from, to) = (frame.axis.place(low), frame.axis.place(high));
    if from < to {
        drawing.line("whisker", (from, y), (to, y));
    }
    if low < frame.axis.low {
        drawing.path("mark", &arrow(from, y, -1.0));
    }
    if high > frame.axis.high {
        drawing.path("mark", &arrow(to, y, 1.0));
    }
    if frame.axis.holds(row.estimate) {
        let x = frame.axis.place(row.estimate);
        drawing.rectangle("mark", (x - HALF, y - HALF), (2.0 * HALF, 2.0 * HALF));
    }
    drawing.close();
}

/// The number lies beyond this end.
fn arrow(x: f64, y: f64, direction: f64) -> Path {
    let mut path = Path::default();
    path.start(x + direction * 7.0, y);
    path.to(x - direction, y - 5.0);
    path.down(y + 5.0);
    path.finish();
    path
}

fn description(plot: &ForestPlot) -> String {
    let mut text = format!("{} by term.", plot.axis_label);
    for row in &plot.rows {
        let says: Vec<&str> = parts(&row.text).collect();
        text.push_str(&format!(" {}: {}.", row.label, says.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(ratios: bool, rows: &[(f64, f64, f64)]) -> ForestPlot {
        let row = |(estimate, low, high): &(f64, f64, f64)| ForestRow {
            label: "term".to_owned(),
            estimate: *estimate,
            low: *low,
            high: *high,
            text: "1.4 (1.3 to 1.5)  p<0.001".to_owned(),
        };
        ForestPlot { ratios, rows: rows.iter().map(row).collect(), ..ForestPlot::default() }
    }

    #[test]
    fn the_axis_holds_all_estimates_and_no_effect() {
        let (low, high) = range(&plot(true, &[(1.4, 1.3, 1.5), (0.5, 0.4, 0.7)]));
        assert!(low < 0.4 && low > 0.3 && high > 1.5 && high < 2.0, "{low} {high}");
        let (low, high) = range(&plot(false, &[(3.0, 2.0, 4.0)]));
        assert!(low < 0.0 && high > 4.0, "{low} {high}");
    }

    #[test]
    fn a_separated_estimate_leaves_room_for_the_others() {
        let rows = [(1.4, 1.3, 1.5), (1e12, 0.0, f64::INFINITY)];
        let (low, high) = range(&plot(true, &rows));
        assert!(low > 0.001 && high < 100.0, "{low} {high}");
        let svg = forest(&plot(true, &rows));
        assert_eq!(svg.matches("<path class=\"mark\"").count(), 2);
        assert_eq!(svg.matches("<rect class=\"mark\"").count(), 1);
    }
}
