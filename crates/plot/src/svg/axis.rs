//! Axes: from numbers to places, and ticks at numbers that people like.

use crate::number::{Medium, count};

/// A horizontal or vertical axis.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    /// Numbers at its two ends, `low < high`, both positive on a logarithmic axis.
    pub(crate) low: f64,
    /// The upper end.
    pub(crate) high: f64,
    /// Places of the two ends.
    pub(crate) from: f64,
    /// Place of the upper end.
    pub(crate) to: f64,
    /// Whether equal ratios take equal space.
    pub(crate) log: bool,
}

impl Axis {
    /// Place of a number; beyond the ends it is that of the nearer end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let scale = |it: f64| if self.log { it.ln() } else { it };
        let value = scale(value.clamp(self.low, self.high));
        let share = (value - scale(self.low)) / (scale(self.high) - scale(self.low));
        self.from + share.clamp(0.0, 1.0) * (self.to - self.from)
    }

    /// Whether a number lies between the ends.
    pub(crate) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Numbers to mark, in order, all between the ends, at least one.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        if !self.log {
            return linear_ticks(self.low, self.high, &[1.0, 2.0, 5.0]);
        }
        const DENSITIES: [&[f64]; 4] =
            [&[1.0], &[1.0, 3.0], &[1.0, 2.0, 5.0], &[1.0, 1.5, 2.0, 3.0, 5.0, 7.5]];
        let all = DENSITIES.iter().map(|digits| log_ticks(self.low, self.high, digits));
        let enough = |ticks: &Vec<f64>| (4..=8).contains(&ticks.len());
        let fallback = || linear_ticks(self.low, self.high, &[1.0, 2.0, 5.0]);
        all.into_iter().find(enough).unwrap_or_else(fallback)
    }
}

/// Ticks of a time axis from 0: whole years where the unit is months, whole weeks where it is days.
pub(crate) fn time_ticks(high: f64, label: &str) -> Vec<f64> {
    const TICKS_MAX: f64 = 7.0;
    let label = label.to_lowercase();
    let steps: &[f64] = match () {
        () if label.contains("month") => &[1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 60.0, 120.0],
        () if label.contains("day") => &[1.0, 2.0, 7.0, 14.0, 28.0, 91.0, 182.0, 365.0, 730.0],
        () => &[],
    };
    let step = steps.iter().find(|step| high / **step <= TICKS_MAX);
    match step {
        Some(step) if high >= *step => multiples(0.0, high, *step),
        _ => linear_ticks(0.0, high, &[1.0, 2.0, 5.0]),
    }
}

/// Text of a tick among others: as many decimals as their distance needs.
pub(crate) fn tick_label(value: f64, ticks: &[f64]) -> String {
    let distances = ticks.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let step = distances.fold(f64::INFINITY, f64::min);
    let step = if step.is_finite() { step } else { 0.0 };
    if value != 0.0 && !(1e-4..1e9).contains(&value.abs()) {
        return format!("{value:.0e}");
    }
    let exact = |decimals: &usize| {
        let text = format!("{value:.decimals$}");
        text.parse::<f64>().is_ok_and(|it| (it - value).abs() <= 1e-9 * value.abs() + 1e-3 * step)
    };
    match (0..6).find(exact).unwrap_or(6) {
        0 => count(value, Medium::Html),
        decimals => format!("{value:.decimals$}").replace('-', "\u{2212}"),
    }
}

fn linear_ticks(low: f64, high: f64, digits: &[f64]) -> Vec<f64> {
    let rough = (high - low) / 6.0;
    let power = 10_f64.powf(rough.log10().floor());
    let mut steps = digits.iter().map(|digit| digit * power).chain([10.0 * power]);
    let step = steps.find(|step| *step >= rough * 0.999).unwrap_or(rough);
    multiples(low, high, step)
}

/// Multiples of a step between two numbers; the lower one alone where there is no sensible step.
fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    if !step.is_normal() || step <= 0.0 || !(high - low).is_finite() || (high - low) / step > 50.0 {
        return vec![low];
    }
    let first = (low / step - 1e-9).ceil();
    let ticks = (0..=50_u32).map(|index| (first + f64::from(index)) * step);
    let ticks: Vec<f64> =
        ticks.take_while(|tick| tick.is_finite() && *tick <= high + step * 1e-9).collect();
    if ticks.is_empty() { vec![low] } else { ticks }
}

fn log_ticks(low: f64, high: f64, digits: &[f64]) -> Vec<f64> {
    let (first, last) = (low.log10().floor(), high.log10().ceil());
    if !(last - first).is_finite() {
        return Vec::new();
    }
    let powers = (0..=40_u32).map(|index| first + f64::from(index));
    let powers = powers.take_while(|power| *power <= last);
    let ticks = powers.flat_map(|power| digits.iter().map(move |it| it * 10_f64.powf(power)));
    ticks.filter(|tick| (low..=high).contains(tick)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(ticks: &[f64]) -> Vec<String> {
        ticks.iter().map(|tick| tick_label(*tick, ticks)).collect()
    }

    #[test]
    fn months_are_marked_at_whole_years() {
        let ticks = time_ticks(60.0, "Months since diagnosis");
        assert_eq!(ticks, [0.0, 12.0, 24.0, 36.0, 48.0, 60.0]);
        assert_eq!(labels(&time_ticks(1.7, "years")), ["0", "0.5", "1", "1.5"]);
        assert_eq!(labels(&time_ticks(4000.0, "")).last().unwrap(), "4\u{202f}000");
    }

    #[test]
    fn ratios_are_marked_at_ratios() {
        let axis = |low, high| Axis { low, high, from: 0.0, to: 100.0, log: true };
        assert_eq!(labels(&axis(0.7, 2.2).ticks()), ["0.75", "1", "1.5", "2"]);
        assert_eq!(labels(&axis(0.09, 12.0).ticks()), ["0.1", "0.3", "1", "3", "10"]);
        assert_eq!(axis(0.25, 4.0).place(1.0), 50.0);
        assert_eq!(axis(0.25, 4.0).place(0.0), 0.0);
    }

    #[test]
    fn odd_ranges_still_have_ticks() {
        for (low, high) in
            [(0.0, 1e-308), (0.0, f64::MAX), (-f64::MAX, f64::MAX), (1e9, 1e9 + 1e-7)]
        {
            let ticks = linear_ticks(low, high, &[1.0, 2.0, 5.0]);
            assert!(!ticks.is_empty() && ticks.iter().all(|tick| tick.is_finite()), "{ticks:?}");
        }
    }
}
