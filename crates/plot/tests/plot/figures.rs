//! Figures: their structure, and odd numbers.

use crate::sample::{self, Dice, check_within};
use konsil_plot::svg::{
    Bar, Chart, Curve, CurvePoint, ForestPlot, KmPlot, Point, Scale, Series, Shape, chart, forest,
    kaplan_meier,
};

impl Dice {
    fn point(&mut self) -> CurvePoint {
        CurvePoint {
            time: self.number(),
            survival: self.number(),
            lower: self.number(),
            upper: self.number(),
            at_risk: self.maybe(),
        }
    }

    fn curve(&mut self) -> Curve {
        Curve {
            label: self.label(),
            records: self.maybe(),
            points: (0..self.below(30)).map(|_| self.point()).collect(),
        }
    }
}

fn check(svg: &str) {
    check_within(svg, 60_000);
}

#[test]
fn a_survival_figure_has_a_curve_a_band_and_a_row_for_each_group() {
    let svg = kaplan_meier(&sample::km());
    check(&svg);
    assert_eq!(svg.matches("<path class=\"band\"").count(), 2);
    // Each group's curve, and its sample in the table of numbers at risk.
    assert_eq!(svg.matches("<path class=\"curve").count(), 4);
    assert_eq!(svg.matches("<path class=\"lead\"").count(), 2);
    assert!(svg.contains("Log-rank p = 2.1\u{d7}10\u{207b}\u{b9}\u{2074}"), "{svg}");
    assert!(svg.contains(">2\u{202f}481</text>") && svg.contains(">Number at risk</text>"));
    assert!(svg.contains(">12</text>") && svg.contains(">60</text>"));
}

#[test]
fn a_forest_has_a_square_and_a_whisker_for_each_estimate() {
    let svg = forest(&sample::forest());
    check(&svg);
    assert_eq!(svg.matches("<rect class=\"mark\"").count(), 6);
    assert_eq!(svg.matches("<line class=\"whisker\"").count(), 6);
    // One interval has no upper end: an arrow.
    assert_eq!(svg.matches("<path class=\"mark\"").count(), 1);
    assert!(svg.contains(">1.42 (1.33 to 1.52)</text>") && svg.contains(">p&lt;0.001</text>"));
}

fn roc() -> Chart {
    let share =
        |label: &str| Scale { label: label.to_owned(), ends: Some((0.0, 1.0)), percent: true };
    let point = |x: f64| Point { x, y: x.sqrt(), ..Point::default() };
    Chart {
        title: "ROC curve".to_owned(),
        x: share("1 - specificity"),
        y: share("sensitivity"),
        square: true,
        diagonal: true,
        series: vec![Series {
            label: "crp".to_owned(),
            shape: Shape::Line,
            points: (0..=10).map(|it| point(f64::from(it) / 10.0)).collect(),
        }],
        remark: "AUC 0.67".to_owned(),
        ..Chart::default()
    }
}

#[test]
fn a_chart_has_a_curve_a_diagonal_and_percent() {
    let svg = chart(&roc());
    check(&svg);
    assert_eq!(svg.matches("<path class=\"curve").count(), 2, "curve and sample");
    assert_eq!(svg.matches("class=\"null\"").count(), 1);
    assert!(svg.contains(">100\u{202f}%</text>") || svg.contains(">100%</text>"), "{svg}");
    assert!(svg.contains("AUC 0.67"));
}

#[test]
fn a_histogram_marks_what_it_may_not_show() {
    let bar = |at: u32| Bar {
        from: f64::from(at),
        to: f64::from(at + 1),
        height: if at == 3 { f64::NAN } else { f64::from(20 + at) },
    };
    let bars: Vec<Bar> = (0..8).map(bar).collect();
    let svg = chart(&Chart { bars, ..Chart::default() });
    check(&svg);
    assert_eq!(svg.matches("<rect class=\"bar\"").count(), 7);
    assert!(svg.contains(">?</text>") && svg.contains("1 of them not shown"));
}

#[test]
fn dots_have_whiskers_and_arrows_names() {
    let point = |x: f64, label: &str| Point {
        x,
        y: 1.0 - x,
        limits: Some((0.1, 0.9)),
        label: label.to_owned(),
    };
    let points = vec![point(0.2, "a"), point(0.7, "<b>")];
    for shape in [Shape::Dots, Shape::Arrows, Shape::Steps, Shape::Line] {
        let series = vec![Series { label: "s".to_owned(), shape, points: points.clone() }];
        let svg = chart(&Chart { series, ..Chart::default() });
        check(&svg);
        let named = matches!(shape, Shape::Dots | Shape::Arrows);
        assert_eq!(svg.contains("&lt;b&gt;"), named);
        assert_eq!(svg.matches("<circle").count(), if named { 3 } else { 0 });
    }
}

#[test]
fn odd_numbers_leave_a_chart_whole() {
    let mut dice = Dice::new(11);
    for _ in 0..400 {
        let mut number = || dice.number();
        let ends = Some((number(), number()));
        let bars = (0..5).map(|_| Bar { from: number(), to: number(), height: number() }).collect();
        let shapes = [Shape::Line, Shape::Steps, Shape::Dots, Shape::Arrows];
        let mut series = Vec::new();
        for shape in shapes {
            let mut point = || Point {
                x: number(),
                y: number(),
                limits: Some((number(), number())),
                label: String::new(),
            };
            let points = (0..9).map(|_| point()).collect();
            series.push(Series { label: "s".to_owned(), shape, points });
        }
        let scale = Scale { label: "x".to_owned(), ends, percent: false };
        check(&chart(&Chart { x: scale, bars, series, ..Chart::default() }));
    }
}

#[test]
fn nothing_to_show_is_said() {
    let svg = kaplan_meier(&KmPlot::default());
    check(&svg);
    assert!(svg.contains("No curve may be shown."));
    let svg = forest(&ForestPlot::default());
    check(&svg);
    assert!(svg.contains("No estimate to show."));
    let one = Curve {
        points: vec![CurvePoint {
            time: 0.0,
            survival: 1.0,
            lower: 1.0,
            upper: 1.0,
            at_risk: None,
        }],
        ..Curve::default()
    };
    check(&kaplan_meier(&KmPlot { curves: vec![one, Curve::default()], ..KmPlot::default() }));
}

#[test]
fn odd_survival_still_gives_a_sound_figure() {
    for seed in 0..600 {
        let mut dice = Dice::new(seed);
        let plot = KmPlot {
            title: dice.label(),
            time_label: dice.label(),
            curves: (0..dice.below(8)).map(|_| dice.curve()).collect(),
            p_value: dice.maybe(),
        };
        check(&kaplan_meier(&plot));
    }
}

#[test]
fn odd_estimates_still_give_a_sound_figure() {
    for seed in 0..600 {
        let mut dice = Dice::new(seed);
        let mut row = || {
            let numbers = (dice.number(), dice.number(), dice.number());
            sample::row(&dice.label(), numbers, &dice.label())
        };
        let rows = (0..seed % 12).map(|_| row()).collect();
        let (title, axis_label, text_label) = (dice.label(), dice.label(), dice.label());
        check(&forest(&ForestPlot { title, axis_label, text_label, ratios: seed % 2 == 0, rows }));
    }
}

/// A curve on a grid of days must not make a large file.
#[test]
fn a_fine_grid_is_thinned() {
    let point = |index: u32| {
        let time = f64::from(index);
        let survival = (-time / 9000.0).exp();
        CurvePoint {
            time,
            survival,
            lower: survival - 0.02,
            upper: survival + 0.02,
            at_risk: Some(9.0),
        }
    };
    let curve = || Curve { points: (0..20_000).map(point).collect(), ..Curve::default() };
    let curves = (0..6).map(|_| curve()).collect();
    check(&kaplan_meier(&KmPlot { curves, time_label: "days".to_owned(), ..KmPlot::default() }));
}
