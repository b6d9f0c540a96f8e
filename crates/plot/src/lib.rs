//! Results as SVG.
