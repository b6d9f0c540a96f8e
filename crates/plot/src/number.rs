//! Numbers as people read them, one way for every table, figure and report.

use std::time::Duration;

/// Stands for a number that is not there: withheld, or not defined.
pub const ABSENT: &str = "\u{2013}";

/// Where a number will be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A page or figure: `8 412` with narrow no-break spaces, a true minus, `2.1×10⁻¹⁴`.
    Html,
    /// A terminal or log: `8,412`, `-0.21`, `2.1e-14`.
    Terminal,
}

impl Medium {
    fn thousands(self) -> char {
        match self {
            Self::Html => '\u{202f}',
            Self::Terminal => ',',
        }
    }

    fn before_unit(self) -> char {
        match self {
            Self::Html => '\u{a0}',
            Self::Terminal => ' ',
        }
    }

    fn minus(self) -> char {
        match self {
            Self::Html => '\u{2212}',
            Self::Terminal => '-',
        }
    }
}

/// An estimate with about three digits: `1.42`, `0.67`, `0.0021`, `12.3`, `1,234`, `2.1e-5`, `∞`.
#[must_use]
pub fn estimate(value: f64, medium: Medium) -> String {
    let size = value.abs();
    if value.is_nan() {
        return ABSENT.to_owned();
    }
    // The bounds are those of the rounded value, so that 9.996 becomes 10.0 and not 10.00.
    let text = match size {
        _ if size.is_infinite() => "\u{221e}".to_owned(),
        0.0 => return "0".to_owned(),
        _ if size >= 999_999_999.5 => scientific(size, medium),
        _ if size >= 99.95 => grouped(&format!("{size:.0}"), medium),
        _ if size >= 9.995 => format!("{size:.1}"),
        _ if size >= 0.099_5 => format!("{size:.2}"),
        _ if size >= 0.009_95 => format!("{size:.3}"),
        _ if size >= 0.000_995 => format!("{size:.4}"),
        _ => scientific(size, medium),
    };
    signed(value, text, medium)
}

/// An estimate with its limits: `1.42 (1.33 to 1.52)`.
#[must_use]
pub fn interval(value: f64, low: f64, high: f64, medium: Medium) -> String {
    let [value, low, high] = [value, low, high].map(|it| estimate(it, medium));
    format!("{value} ({low} to {high})")
}

/// A p value with two digits: `0.0021`, `5.7e-12`, `<1e-16`, `>0.99`; absent outside `[0, 1]`.
#[must_use]
pub fn p_value(p: f64, medium: Medium) -> String {
    if !(0.0..=1.0).contains(&p) {
        return ABSENT.to_owned();
    }
    match p {
        _ if p < 1e-16 && medium == Medium::Html => format!("<10{}", superscript("-16")),
        _ if p < 1e-16 => "<1e-16".to_owned(),
        _ if p < 0.000_1 => scientific(p, medium),
        _ if p < 0.001 => format!("{p:.5}"),
        _ if p < 0.01 => format!("{p:.4}"),
        _ if p < 0.1 => format!("{p:.3}"),
        _ if p <= 0.99 => format!("{p:.2}"),
        _ => ">0.99".to_owned(),
    }
}

/// A p value as a statement: `p = 0.0021`, `p < 1e-16`.
#[must_use]
pub fn p_statement(p: f64, medium: Medium) -> String {
    let text = p_value(p, medium);
    match (text.strip_prefix('<'), text.strip_prefix('>')) {
        (Some(bound), _) => format!("p < {bound}"),
        (_, Some(bound)) => format!("p > {bound}"),
        _ => format!("p = {text}"),
    }
}

/// A fraction as per cent, with this many decimals: `percent(0.561, 1)` is `56.1%`.
#[must_use]
pub fn percent(fraction: f64, decimals: usize, medium: Medium) -> String {
    if !fraction.is_finite() {
        return ABSENT.to_owned();
    }
    let text = format!("{:.decimals$}%", (fraction * 100.0).abs());
    signed(fraction, text, medium)
}

/// A whole number with its thousands apart: `8,412`.
#[must_use]
pub fn count(value: f64, medium: Medium) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    let text = grouped(&format!("{:.0}", value.abs()), medium);
    signed(value, text, medium)
}

/// Bytes with three digits, in powers of 1000: `512 B`, `38.4 MB`.
#[must_use]
pub fn bytes(value: u64, medium: Medium) -> String {
    let gap = medium.before_unit();
    if value < 1000 {
        return format!("{value}{gap}B");
    }
    let mut size = value as f64 / 1000.0;
    let mut units = ["kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    while size >= 999.5 {
        let Some(larger) = units.next() else { break };
        size /= 1000.0;
        unit = larger;
    }
    match size {
        _ if size < 9.995 => format!("{size:.2}{gap}{unit}"),
        _ if size < 99.95 => format!("{size:.1}{gap}{unit}"),
        _ => format!("{}{gap}{unit}", grouped(&format!("{size:.0}"), medium)),
    }
}

/// Bytes to the last one: `38,412,288 B`.
#[must_use]
pub fn bytes_exact(value: u64, medium: Medium) -> String {
    let gap = medium.before_unit();
    format!("{}{gap}B", grouped(&value.to_string(), medium))
}

/// A time span: `0.6 s`, `24 s`, `1 min 34 s`, `4 h 12 min`, `2 d 3 h`.
#[must_use]
pub fn duration(value: Duration, medium: Medium) -> String {
    let gap = medium.before_unit();
    let millis = value.as_millis();
    if millis < 9_950 {
        return format!("{:.1}{gap}s", value.as_secs_f64());
    }
    let seconds = (millis + 500) / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if seconds < 60 => format!("{seconds}{gap}s"),
        () if minutes < 60 => format!("{minutes}{gap}min {}{gap}s", seconds % 60),
        () if hours < 24 => format!("{hours}{gap}h {}{gap}min", minutes % 60),
        () => format!("{days}{gap}d {}{gap}h", hours % 24),
    }
}

/// Two digits and a power of ten.
fn scientific(value: f64, medium: Medium) -> String {
    let text = format!("{value:.1e}");
    match (medium, text.split_once('e')) {
        (Medium::Html, Some((digits, power))) => {
            format!("{digits}\u{d7}10{}", superscript(power))
        }
        _ => text,
    }
}

pub(crate) fn superscript(power: &str) -> String {
    let raised = |character| match character {
        '-' => '\u{207b}',
        '0' => '\u{2070}',
        '1' => '\u{b9}',
        '2' => '\u{b2}',
        '3' => '\u{b3}',
        '4' => '\u{2074}',
        '5' => '\u{2075}',
        '6' => '\u{2076}',
        '7' => '\u{2077}',
        '8' => '\u{2078}',
        '9' => '\u{2079}',
        other => other,
    };
    power.chars().map(raised).collect()
}

/// Puts the thousands of a row of digits apart.
fn grouped(digits: &str, medium: Medium) -> String {
    let length = digits.chars().count();
    let mut out = String::with_capacity(length + length / 3 * 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (length - index).is_multiple_of(3) {
            out.push(medium.thousands());
        }
        out.push(digit);
    }
    out
}

/// Puts the sign before a size, unless the size rounded to zero.
fn signed(value: f64, size: String, medium: Medium) -> String {
    let zero = !size.contains(|it: char| it.is_ascii_digit() && it != '0') && value.is_finite();
    if value < 0.0 && !zero {
        return format!("{}{size}", medium.minus());
    }
    size
}

#[cfg(test)]
mod tests {
    use super::Medium::{Html, Terminal};
    use super::*;

    #[test]
    fn estimates_keep_about_three_digits() {
        let read = |value| estimate(value, Terminal);
        assert_eq!(read(1.4234), "1.42");
        assert_eq!(read(-0.671), "-0.67");
        assert_eq!(read(9.996), "10.0");
        assert_eq!(read(0.0021), "0.0021");
        assert_eq!(read(1_234.4), "1,234");
        assert_eq!(read(2.14e-5), "2.1e-5");
        assert_eq!(read(f64::NEG_INFINITY), "-\u{221e}");
        assert_eq!(read(f64::NAN), ABSENT);
        assert_eq!(read(-0.0), "0");
        assert_eq!(estimate(-2.14e-5, Html), "\u{2212}2.1\u{d7}10\u{207b}\u{2075}");
        assert_eq!(interval(1.42, 1.33, 1.5249, Terminal), "1.42 (1.33 to 1.52)");
    }

    #[test]
    fn p_values_never_read_zero_or_one() {
        let read = |value| p_value(value, Terminal);
        assert_eq!(read(0.0), "<1e-16");
        assert_eq!(read(5.7e-12), "5.7e-12");
        assert_eq!(read(0.002_11), "0.0021");
        assert_eq!(read(0.047), "0.047");
        assert_eq!(read(0.5), "0.50");
        assert_eq!(read(1.0), ">0.99");
        assert_eq!(read(f64::NAN), ABSENT);
        assert_eq!(read(1.5), ABSENT);
        assert_eq!(p_value(2.1e-14, Html), "2.1\u{d7}10\u{207b}\u{b9}\u{2074}");
        assert_eq!(p_statement(1e-20, Terminal), "p < 1e-16");
        assert_eq!(p_statement(0.0021, Terminal), "p = 0.0021");
    }

    #[test]
    fn counts_bytes_and_times_have_their_units() {
        assert_eq!(count(1_234_567.0, Terminal), "1,234,567");
        assert_eq!(count(8_412.0, Html), "8\u{202f}412");
        assert_eq!(count(-0.2, Terminal), "0");
        assert_eq!(percent(0.561, 0, Terminal), "56%");
        assert_eq!(percent(-0.000_1, 1, Terminal), "0.0%");
        assert_eq!(bytes(0, Terminal), "0 B");
        assert_eq!(bytes(38_412_288, Terminal), "38.4 MB");
        assert_eq!(bytes(999_600, Terminal), "1.00 MB");
        assert_eq!(bytes(u64::MAX, Terminal), "18,446,744 TB");
        assert_eq!(bytes_exact(38_412_288, Terminal), "38,412,288 B");
        assert_eq!(duration(Duration::from_millis(640), Terminal), "0.6 s");
        assert_eq!(duration(Duration::from_millis(59_700), Terminal), "1 min 0 s");
        assert_eq!(duration(Duration::from_secs(94), Terminal), "1 min 34 s");
        assert_eq!(duration(Duration::from_secs(15_120), Terminal), "4 h 12 min");
        assert_eq!(duration(Duration::from_secs(183_600), Terminal), "2 d 3 h");
    }
}
