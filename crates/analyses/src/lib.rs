//! One file per analysis.
