//! Numbers and times as pages show them.

use konsil_plot::number::{self, Medium};

/// Bytes with a unit.
pub(crate) fn bytes(count: u64) -> String {
    number::bytes(count, Medium::Html)
}

/// Bytes, all digits.
pub(crate) fn bytes_exact(count: u64) -> String {
    number::bytes_exact(count, Medium::Html)
}

/// A count with blanks between thousands.
pub(crate) fn count(count: u64) -> String {
    number::count(count as f64, Medium::Html)
}

/// Seconds as people say them.
pub(crate) fn seconds(seconds: f64) -> String {
    let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    number::duration(time, Medium::Html)
}

/// Day and minute of a time in RFC 3339.
pub(crate) fn minute(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}
