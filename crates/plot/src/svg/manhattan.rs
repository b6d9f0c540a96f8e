//! Manhattan plots: the p values of a scan along the genome.

use super::axis::{Axis, tick_label};
use super::drawing::{Drawing, Path, WIDTH, text_width};
use super::{limits, power_of_ten};
use crate::number::{Medium, count};

const TOP: f64 = 62.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 62.0;
/// Space between chromosomes.
const GAP: f64 = 3.0;
/// Variants in one cell are one mark, so that millions make a small figure.
const CELL_WIDTH: f64 = 1.5;
const CELL_HEIGHT: f64 = 2.0;
/// Labels that a figure has room for.
const NAMED_MAX: usize = 40;
/// Chromosomes, or contigs, that are told apart.
const STRIPS_MAX: usize = 100;

/// A variant of a scan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spot<'a> {
    /// Its chromosome.
    pub chromosome: &'a str,
    /// Its position, in bases.
    pub position: u32,
    /// `-log10` of its p value; what is not finite is left out.
    pub log10_p: f64,
}

/// A variant with a label: the best of a locus.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamedSpot {
    /// Its chromosome.
    pub chromosome: String,
    /// Its position, in bases.
    pub position: u32,
    /// `-log10` of its p value.
    pub log10_p: f64,
    /// What stands beside it.
    pub label: String,
    /// What shows when it is pointed at.
    pub says: String,
}

/// A chromosome's part of the horizontal axis.
#[derive(Clone, Debug, PartialEq)]
struct Strip {
    name: String,
    first: u32,
    last: u32,
    /// Its places.
    from: f64,
    to: f64,
    /// For each column, which cells have a variant; cells count from the lower end.
    columns: Vec<Vec<bool>>,
}

/// What a Manhattan plot shows, already in cells.
#[derive(Clone, Debug, PartialEq)]
pub struct ManhattanPlot {
    title: String,
    strips: Vec<Strip>,
    /// Upper end of the vertical axis.
    high: f64,
    best: f64,
    variants: usize,
    named: Vec<NamedSpot>,
}

impl ManhattanPlot {
    /// A plot of these variants, in the order of the genome. They are read twice and not kept.
    #[must_use]
    pub fn new<'a>(
        title: impl Into<String>,
        spots: impl Iterator<Item = Spot<'a>> + Clone,
        named: Vec<NamedSpot>,
    ) -> Self {
        let spots = spots.filter(|it| it.log10_p.is_finite() && it.log10_p >= 0.0);
        let mut strips: Vec<Strip> = Vec::new();
        let (mut best, mut variants) = (0.0_f64, 0);
        for spot in spots.clone() {
            best = best.max(spot.log10_p);
            variants += 1;
            let full = strips.len() == STRIPS_MAX;
            match strips.last_mut() {
                Some(last) if full || last.name == spot.chromosome => {
                    last.first = last.first.min(spot.position);
                    last.last = last.last.max(spot.position);
                }
                _ => strips.push(Strip {
                    name: spot.chromosome.to_owned(),
                    first: spot.position,
                    last: spot.position,
                    from: 0.0,
                    to: 0.0,
                    columns: Vec::new(),
                }),
            }
        }
        let high = (best * 1.08).max(8.6);
        let mut plot = Self { title: title.into(), strips, high, best, variants, named };
        plot.lay_out();
        let cells = plot.cells();
        let mut at = 0;
        for spot in spots {
            while plot.strips.get(at).is_some_and(|it| it.name != spot.chromosome)
                && at + 1 < plot.strips.len()
            {
                at += 1;
            }
            let cell = index(spot.log10_p / high * cells as f64);
            let Some(strip) = plot.strips.get_mut(at) else { continue };
            let column = index((strip.place(spot.position) - strip.from) / CELL_WIDTH);
            let last = strip.columns.len().saturating_sub(1);
            let column = strip.columns.get_mut(column.min(last));
            if let Some(cell) = column.and_then(|it| it.get_mut(cell.min(cells - 1))) {
                *cell = true;
            }
        }
        plot.named.retain(|it| it.log10_p.is_finite());
        plot.named.truncate(NAMED_MAX);
        plot
    }

    fn cells(&self) -> usize {
        index(HEIGHT / CELL_HEIGHT).max(1)
    }

    /// Gives each chromosome room by its length, and at least for one column.
    fn lay_out(&mut self) {
        let cells = self.cells();
        let gaps = GAP * self.strips.len().saturating_sub(1) as f64;
        let room = WIDTH - LEFT - RIGHT - gaps - CELL_WIDTH * self.strips.len() as f64;
        let length = |it: &Strip| f64::from(it.last - it.first) + 1.0;
        let total: f64 = self.strips.iter().map(length).sum();
        let mut at = LEFT;
        for strip in &mut self.strips {
            let width = CELL_WIDTH + room.max(0.0) * length(strip) / total;
            (strip.from, strip.to) = (at, at + width);
            strip.columns = vec![vec![false; cells]; index(width / CELL_WIDTH).max(1)];
            at += width + GAP;
        }
    }
}

impl Strip {
    fn place(&self, position: u32) -> f64 {
        let share = f64::from(position.saturating_sub(self.first))
            / f64::from(self.last - self.first).max(1.0);
        self.from + share.min(1.0) * (self.to - self.from)
    }
}

/// A number as a place in a list.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places of cells are small; below 0 and NaN become 0"
)]
fn index(value: f64) -> usize {
    value as usize
}

/// Draws a Manhattan plot.
#[must_use]
pub fn manhattan(plot: &ManhattanPlot) -> String {
    let mut drawing = Drawing::default();
    let y = Axis { low: 0.0, high: plot.high, from: TOP + HEIGHT, to: TOP, log: false };
    drawing.text("head", (LEFT - 42.0, 24.0), &plot.title, WIDTH - LEFT);
    axes(&mut drawing, &y, plot);
    for (at, strip) in plot.strips.iter().enumerate() {
        drawing.open(if at % 2 == 0 { "s1" } else { "s6" });
        drawing.path("spots", &marks(strip));
        drawing.close();
    }
    names(&mut drawing, &y, plot);
    if plot.variants == 0 {
        let middle = (f64::midpoint(LEFT, WIDTH - RIGHT), TOP + HEIGHT / 2.0);
        drawing.text("soft mid", middle, "No variant was tested.", 400.0);
    }
    drawing.finish(TOP + HEIGHT + 52.0, &plot.title, &description(plot))
}

/// Neighbouring cells of a column are one stroke.
fn marks(strip: &Strip) -> Path {
    let mut path = Path::default();
    let middle = |cell: usize| TOP + HEIGHT - (cell as f64 + 0.5) * CELL_HEIGHT;
    for (column, cells) in strip.columns.iter().enumerate() {
        let x = (strip.from + (column as f64 + 0.5) * CELL_WIDTH).min(strip.to);
        let mut cell = 0;
        for run in cells.chunk_by(|a, b| a == b) {
            if run.first() == Some(&true) {
                path.start(x, middle(cell));
                path.stroke_to(middle(cell + run.len() - 1), run.len() == 1);
            }
            cell += run.len();
        }
    }
    path
}

fn axes(drawing: &mut Drawing, y: &Axis, plot: &ManhattanPlot) {
    let (right, bottom) = (WIDTH - RIGHT, TOP + HEIGHT);
    drawing.open("axes");
    drawing.text("soft", (LEFT - 42.0, TOP - 12.0), "\u{2212}log\u{2081}\u{2080} p", 80.0);
    let ticks = y.ticks();
    for tick in &ticks {
        let at = y.place(*tick);
        drawing.line("grid", (LEFT, at), (right, at));
        drawing.text("soft end", (LEFT - 8.0, at + 4.0), &tick_label(*tick, &ticks), 50.0);
    }
    limits(drawing, y, (LEFT, right), RIGHT);
    drawing.line("axis", (LEFT, bottom), (right, bottom));
    if let [only] = plot.strips.as_slice() {
        let megabases = |it: u32| f64::from(it) / 1e6;
        let (low, high) = (megabases(only.first), megabases(only.last));
        let x = Axis { low, high: high.max(low + 1e-6), from: only.from, to: only.to, log: false };
        let ticks = x.ticks();
        for tick in &ticks {
            let label = tick_label(*tick, &ticks);
            drawing.text("soft mid", (x.place(*tick), bottom + 18.0), &label, 90.0);
        }
        let label = format!("position on chromosome {}, Mb", only.name);
        drawing.text("mid", (f64::midpoint(LEFT, right), bottom + 40.0), &label, 500.0);
    } else {
        let mut free = 0.0;
        for strip in &plot.strips {
            let (middle, half) =
                (f64::midpoint(strip.from, strip.to), text_width(&strip.name) * 0.46);
            if middle - half >= free {
                drawing.text("soft mid", (middle, bottom + 18.0), &strip.name, 90.0);
                free = middle + half + 3.0;
            }
        }
        drawing.text("mid", (f64::midpoint(LEFT, right), bottom + 40.0), "chromosome", 500.0);
    }
    drawing.close();
}

/// The best variants of loci, best first; a label that would cover another is left out.
fn names(drawing: &mut Drawing, y: &Axis, plot: &ManhattanPlot) {
    let mut taken: Vec<(f64, f64, f64)> = Vec::new();
    let mut order: Vec<&NamedSpot> = plot.named.iter().collect();
    order.sort_by(|a, b| b.log10_p.total_cmp(&a.log10_p));
    for spot in order {
        let Some(strip) = plot.strips.iter().find(|it| it.name == spot.chromosome) else {
            continue;
        };
        let at = (strip.place(spot.position), y.place(spot.log10_p));
        drawing.open("s2");
        drawing.named_dot("mark", at, &spot.says);
        drawing.close();
        let width = text_width(&spot.label) * 0.93;
        // beside the dot where there is room, else on its other side
        let right = at.0 + 7.0 + width < WIDTH - RIGHT + 8.0;
        let (class, from) =
            if right { ("soft", at.0 + 7.0) } else { ("soft end", at.0 - 7.0 - width) };
        let line = at.1 + 4.0;
        let free = |(x, to, other): &(f64, f64, f64)| {
            from > *to || from + width < *x || (line - other).abs() > 12.0
        };
        if taken.iter().all(free) {
            let x = if right { from } else { at.0 - 7.0 };
            drawing.text(class, (x, line), &spot.label, 200.0);
            taken.push((from, from + width, line));
        }
    }
}

fn description(plot: &ManhattanPlot) -> String {
    let names: Vec<&str> = plot.strips.iter().map(|it| it.name.as_str()).collect();
    let on = match names.as_slice() {
        [] => String::new(),
        [only] => format!(" on chromosome {only}"),
        [first, .., last] => format!(" on chromosomes {first} to {last}"),
    };
    let mut text = format!(
        "{} variants{on}; the smallest p value is {}.",
        count(plot.variants as f64, Medium::Html),
        power_of_ten(plot.best)
    );
    for spot in plot.named.iter().take(10) {
        text.push_str(&format!(" {}.", spot.says));
    }
    text
}
