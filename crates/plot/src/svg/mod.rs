//! Figures as SVG: small, without scripts, readable on light and dark pages and on paper.
//!
//! A figure inside a page takes the page's text colour and, where the page sets them, its
//! `--series-1` to `--series-6` and `--accent`; alone it follows the reader's colour scheme. The
//! colours keep a contrast of at least 3 against white and against a dark page.

mod axis;
mod drawing;
mod forest;
mod survival;
mod xy;

pub use forest::{ForestPlot, ForestRow, forest};
pub use survival::{Curve, CurvePoint, KmPlot, kaplan_meier};
pub use xy::{Bar, Chart, Point, Scale, Series, Shape, chart};
