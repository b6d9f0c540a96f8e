//! Numbers in result files: what is needed to read the same number back, up to nine digits.

use std::fmt::Write;

/// Digits behind the first.
const DECIMALS: usize = 8;

/// Adds a number as C's `%.9g` writes it; `NA` where there is none.
pub(crate) fn push(text: &mut String, value: f64) {
    if !value.is_finite() {
        text.push_str(match value {
            f64::INFINITY => "inf",
            f64::NEG_INFINITY => "-inf",
            _ => "NA",
        });
        return;
    }
    // counts are the most frequent
    if value == value.trunc() && value.abs() < 1e9 {
        let _fits = write!(text, "{:.0}", value + 0.0);
        return;
    }
    let written = format!("{value:.DECIMALS$e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let power = exponent.parse::<i32>().unwrap_or(0);
    if (-4..9).contains(&power) {
        let decimals = usize::try_from(8 - power).unwrap_or(0);
        let fixed = format!("{value:.decimals$}");
        text.push_str(if decimals > 0 { trimmed(&fixed) } else { &fixed });
    } else {
        let _fits = write!(text, "{}e{power}", trimmed(mantissa));
    }
}

/// Adds a p value from its `-log10`: also one that is too small for a number of this machine.
pub(crate) fn push_p(text: &mut String, log10_p: f64) {
    if log10_p.is_nan() {
        text.push_str("NA");
    } else if log10_p.is_infinite() {
        text.push('0');
    } else if log10_p < 290.0 {
        push(text, 10_f64.powf(-log10_p));
    } else {
        let whole = log10_p.ceil();
        let mantissa = format!("{:.DECIMALS$}", 10_f64.powf(whole - log10_p));
        // rounding may have made it ten
        let (mantissa, power) =
            if mantissa.starts_with("10") { ("1", whole - 1.0) } else { (&*mantissa, whole) };
        let _fits = write!(text, "{}e-{power:.0}", trimmed(mantissa));
    }
}

/// Without zeros at the end of the decimals.
fn trimmed(number: &str) -> &str {
    if !number.contains('.') {
        return number;
    }
    number.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> String {
        let mut text = String::new();
        push(&mut text, value);
        text
    }

    fn p(log10_p: f64) -> String {
        let mut text = String::new();
        push_p(&mut text, log10_p);
        text
    }

    #[test]
    fn numbers_are_short_and_come_back() {
        assert_eq!(number(0.0), "0");
        assert_eq!(number(-0.0), "0");
        assert_eq!(number(5935.0), "5935");
        assert_eq!(number(0.1), "0.1");
        assert_eq!(number(-0.059_123_456_789), "-0.0591234568");
        assert_eq!(number(1e9), "1e9");
        assert_eq!(number(123_456_789.4), "123456789");
        assert_eq!(number(0.999_999_999_9), "1");
        assert_eq!(number(0.000_123), "0.000123");
        assert_eq!(number(0.000_012_3), "1.23e-5");
        assert_eq!(number(-2.5e-300), "-2.5e-300");
        assert_eq!(number(f64::NAN), "NA");
        assert_eq!(number(f64::INFINITY), "inf");
        for value in [1.0 / 3.0, 2e8 / 3.0, 1e-9 / 7.0, -77.123_456_7] {
            let back: f64 = number(value).parse().unwrap();
            assert!((back / value - 1.0).abs() < 5.1e-9, "{value}");
        }
    }

    // Where a p value would be 0 the strongest locus could not be told from the next.
    #[test]
    fn p_values_do_not_end_at_the_smallest_number() {
        assert_eq!(p(0.0), "1");
        assert_eq!(p(1.0), "0.1");
        assert_eq!(p(8.0), "1e-8");
        assert_eq!(p(400.0), "1e-400");
        assert_eq!(p(399.5), "3.16227766e-400");
        assert_eq!(p(399.000_000_000_000_1), "1e-399");
        assert_eq!(p(99_999.25), "5.62341325e-100000");
        assert_eq!(p(f64::NAN), "NA");
        assert_eq!(p(f64::INFINITY), "0");
    }
}
