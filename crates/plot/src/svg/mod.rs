//! Figures as SVG: small, without scripts, readable on light and dark pages and on paper.
//!
//! A figure inside a page takes the page's text colour and, where the page sets them, its
//! `--series-1` to `--series-6` and `--accent`; alone it follows the reader's colour scheme. The
//! colours keep a contrast of at least 3 against white and against a dark page.

mod axis;
mod drawing;
mod forest;
mod manhattan;
mod quantiles;
mod region;
mod survival;
mod xy;

pub use forest::{ForestPlot, ForestRow, forest};
pub use manhattan::{ManhattanPlot, NamedSpot, Spot, manhattan};
pub use quantiles::{QuantilePlot, quantiles};
pub use region::{RegionPlot, RegionPoint, region};
pub use survival::{Curve, CurvePoint, KmPlot, kaplan_meier};
pub use xy::{Bar, Chart, Point, Scale, Series, Shape, chart};

/// The style sheet that every figure brings.
#[must_use]
pub fn style() -> &'static str {
    drawing::STYLE
}

/// `-log10` of 5e-8, below which a locus is taken to be real.
const GENOME_WIDE: f64 = 7.301_029_995_663_981;
/// `-log10` of 1e-5.
const SUGGESTIVE: f64 = 5.0;

/// The lines of 1e-5 and 5e-8, named at their right ends where there is room for both.
fn limits(drawing: &mut drawing::Drawing, y: &axis::Axis, ends: (f64, f64), room: f64) {
    let apart = y.place(SUGGESTIVE) - y.place(GENOME_WIDE);
    for (value, class) in [(SUGGESTIVE, "null"), (GENOME_WIDE, "limit")] {
        if !y.holds(value) {
            continue;
        }
        let at = y.place(value);
        drawing.line(class, (ends.0, at), (ends.1, at));
        if value == GENOME_WIDE || apart > 12.0 || !y.holds(GENOME_WIDE) {
            drawing.text("soft", (ends.1 + 6.0, at + 4.0), &power_of_ten(value), room - 8.0);
        }
    }
}

/// A p value as a power of ten from its `-log10`, with one digit: `5×10⁻⁸`, also where it is too small
/// for a number.
fn power_of_ten(log10_p: f64) -> String {
    if !log10_p.is_finite() || log10_p < 2.0 {
        return crate::number::p_value(10_f64.powf(-log10_p), crate::number::Medium::Html);
    }
    let whole = log10_p.ceil();
    let digit = 10_f64.powf(whole - log10_p).round();
    let (digit, whole) = if digit >= 10.0 { (1.0, whole - 1.0) } else { (digit, whole) };
    let power = crate::number::superscript(&format!("-{whole:.0}"));
    if digit == 1.0 { format!("10{power}") } else { format!("{digit:.0}\u{d7}10{power}") }
}
