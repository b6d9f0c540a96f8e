//! The figures of an analysis, from the tables that it has released: nothing else is in them.

use crate::render;
use konsil_analyses::{Cell, Findings, Table};
use konsil_plot::number::{self, Medium};
use konsil_plot::report::Figure;
use konsil_plot::svg::{
    Bar, Chart, Curve, CurvePoint, ForestPlot, ForestRow, KmPlot, Point, Scale, Series, Shape,
};

/// The 97.5 % point of the standard normal distribution.
const Z_975: f64 = 1.959_963_984_540_054;

/// All figures, each under the name that its file gets.
pub(crate) fn of(findings: &Findings) -> Vec<(&'static str, Figure)> {
    let mut figures = Vec::new();
    for table in &findings.tables {
        let has = |column: &&str| table.columns.contains(column);
        match table.name {
            "km" => figures.push(("km", Figure::Survival(curves(table, findings)))),
            "tidy" if has(&"exp.estimate") => {
                figures.push(("forest", Figure::Forest(forest(table, "exp."))));
            }
            "tidy" if self::table(findings, "heterogeneity").is_some() => {
                figures.push(("forest", Figure::Forest(forest(table, ""))));
            }
            "curve" => figures.push(("curve", Figure::Chart(penalties(table, findings)))),
            "tidy" if has(&"cumulative") => figures.push(("scree", Figure::Chart(scree(table)))),
            "cuminc" => figures.push(("cuminc", Figure::Chart(incidence(table, findings)))),
            "calibration" => {
                figures.push(("roc", Figure::Chart(roc(&band_points(table), findings))));
                figures.push(("calibration", Figure::Chart(calibration(table))));
            }
            "benefit" => figures.push(("decision", Figure::Chart(decision(table)))),
            "cutoffs" => {
                figures.push(("roc", Figure::Chart(roc(&cutoff_points(table), findings))));
            }
            "rotation" => figures.push(("loadings", Figure::Chart(loadings(table, findings)))),
            "histogram" => figures.push(("histogram", Figure::Chart(histogram(table)))),
            _ => {}
        }
    }
    figures
}

fn value(table: &Table, row: usize, column: &str) -> f64 {
    table.get(row, column).and_then(Cell::number).unwrap_or(f64::NAN)
}

fn text(table: &Table, row: usize, column: &str) -> String {
    table.get(row, column).map(Cell::text).unwrap_or_default()
}

fn table<'a>(findings: &'a Findings, name: &str) -> Option<&'a Table> {
    findings.tables.iter().find(|it| it.name == name)
}

fn share(label: &str) -> Scale {
    Scale { label: label.to_owned(), ends: Some((0.0, 1.0)), percent: true }
}

fn scale(label: &str) -> Scale {
    Scale { label: label.to_owned(), ..Scale::default() }
}

fn point(x: f64, y: f64) -> Point {
    Point { x, y, ..Point::default() }
}

fn line(label: &str, points: Vec<Point>) -> Series {
    Series { label: label.to_owned(), shape: Shape::Line, points }
}

fn curves(table: &Table, findings: &Findings) -> KmPlot {
    let other = |name: &str| self::table(findings, name);
    let sizes = other("tidy");
    let labels = sizes.map(|it| (0..it.rows.len()).map(|row| text(it, row, "strata")).collect());
    let labels: Vec<String> = labels.unwrap_or_default();
    let curve = |(at, label): (usize, &String)| {
        let rows = (0..table.rows.len()).filter(|row| text(table, *row, "strata") == *label);
        let point = |row: usize| CurvePoint {
            time: value(table, row, "time"),
            survival: value(table, row, "surv"),
            lower: value(table, row, "lower"),
            upper: value(table, row, "upper"),
            at_risk: table.get(row, "n.risk").and_then(Cell::number),
        };
        let records = sizes.and_then(|it| it.get(at, "records")).and_then(Cell::number);
        Curve { label: label.clone(), records, points: rows.map(point).collect() }
    };
    KmPlot {
        title: "Survival".to_owned(),
        time_label: "time".to_owned(),
        curves: labels.iter().enumerate().map(curve).filter(|it| !it.points.is_empty()).collect(),
        p_value: other("glance").and_then(|it| it.get(0, "p.value.log")).and_then(Cell::number),
    }
}

/// Estimates in rows; `scale` is before the names of the columns that are drawn.
fn forest(table: &Table, scale: &str) -> ForestPlot {
    let named = |row: usize| match text(table, row, "method") {
        method if method.is_empty() => render::term(table, row),
        method => format!("{}, {method}", render::term(table, row)),
    };
    let columns = ["estimate", "conf.low", "conf.high"].map(|it| format!("{scale}{it}"));
    let numbers = |row: usize| [0, 1, 2].map(|at| value(table, row, &columns[at]));
    let rows =
        (0..table.rows.len()).filter(|row| !text(table, *row, "term").contains("(Intercept)"));
    let rows = rows.filter(|row| !numbers(*row)[0].is_nan());
    let row = |row: usize| {
        let [estimate, low, high] = numbers(row);
        let limits = number::interval(estimate, low, high, Medium::Html);
        let p = number::p_statement(value(table, row, "p.value"), Medium::Html);
        ForestRow { label: named(row), estimate, low, high, text: format!("{limits}  {p}") }
    };
    let ratios = !scale.is_empty();
    let words = if ratios {
        ["Ratios with 95 % limits", "ratio, log scale", "ratio (95 % CI)  p"]
    } else {
        ["Estimates with 95 % limits", "estimate", "estimate (95 % CI)  p"]
    };
    let [title, axis_label, text_label] = words.map(str::to_owned);
    ForestPlot { title, axis_label, text_label, ratios, rows: rows.map(row).collect() }
}

/// A curve for each group and cause, with limits symmetric about the estimate.
fn incidence(table: &Table, findings: &Findings) -> Chart {
    let mut series: Vec<Series> = Vec::new();
    for row in 0..table.rows.len() {
        let (group, outcome) = (text(table, row, "strata"), text(table, row, "outcome"));
        let label = if group == "All" { outcome } else { format!("{outcome}, {group}") };
        if series.last().is_none_or(|it| it.label != label) {
            let points = vec![Point { limits: Some((0.0, 0.0)), ..point(0.0, 0.0) }];
            series.push(Series { label, shape: Shape::Steps, points });
        }
        let (estimate, error) = (value(table, row, "estimate"), value(table, row, "std.error"));
        let limit = |side: f64| (estimate + side * Z_975 * error).clamp(0.0, 1.0);
        let limits = Some((limit(-1.0), limit(1.0)));
        if let Some(last) = series.last_mut() {
            last.points.push(Point { limits, ..point(value(table, row, "time"), estimate) });
        }
    }
    let tests = self::table(findings, "glance");
    let tests = tests.filter(|it| !it.rows.is_empty());
    let remark = tests.map(|it| (text(it, 0, "outcome"), value(it, 0, "p.value")));
    let remark = remark.filter(|(_, p)| !p.is_nan()).map_or_else(String::new, |(outcome, p)| {
        format!("Gray's test, {outcome}: {}", number::p_statement(p, Medium::Html))
    });
    let most = series.iter().flat_map(|it| &it.points).filter_map(|it| it.limits);
    let most = most.map(|(_, high)| high).fold(0.05, f64::max);
    Chart {
        title: "Cumulative incidence".to_owned(),
        x: scale("time"),
        y: Scale { ends: Some((0.0, most)), ..share("cumulative incidence") },
        series,
        remark,
        ..Chart::default()
    }
}

/// Sensitivity at each cutoff against false positives.
fn cutoff_points(table: &Table) -> Vec<Point> {
    let row = |row: usize| Point {
        label: text(table, row, "cutoff"),
        ..point(1.0 - value(table, row, "specificity"), value(table, row, "sensitivity"))
    };
    (0..table.rows.len()).map(row).collect()
}

/// The same at the limits of the bands of risk.
fn band_points(table: &Table) -> Vec<Point> {
    let counts = |row: usize| {
        let (n, cases) = (value(table, row, "n"), value(table, row, "cases"));
        (n - cases, cases)
    };
    let above = |row: usize| {
        let above = (row..table.rows.len()).map(counts);
        above.fold((0.0, 0.0), |sum, it| (sum.0 + it.0, sum.1 + it.1))
    };
    let total = above(0);
    let limit = |row: usize| {
        let (controls, cases) = above(row);
        let label = text(table, row, "risk.from");
        Point { label, ..point(controls / total.0, cases / total.1) }
    };
    (1..table.rows.len()).map(limit).collect()
}

fn roc(points: &[Point], findings: &Findings) -> Chart {
    let known = points.iter().filter(|it| it.x.is_finite() && it.y.is_finite()).cloned();
    let mut dots: Vec<Point> = known.collect();
    dots.sort_by(|a, b| (a.x, a.y).partial_cmp(&(b.x, b.y)).unwrap_or(std::cmp::Ordering::Equal));
    let ends = [point(0.0, 0.0), point(1.0, 1.0)];
    let [first, last] = ends;
    let curve = [vec![first], dots.clone(), vec![last]].concat();
    let series = if dots.is_empty() {
        Vec::new()
    } else {
        vec![line("", curve), Series { label: String::new(), shape: Shape::Dots, points: dots }]
    };
    let area = table(findings, "tidy").map(|it| {
        let numbers = ["estimate", "conf.low", "conf.high"].map(|column| value(it, 0, column));
        number::interval(numbers[0], numbers[1], numbers[2], Medium::Html)
    });
    Chart {
        title: "ROC curve".to_owned(),
        x: share("1 \u{2212} specificity"),
        y: share("sensitivity"),
        square: true,
        diagonal: true,
        series,
        remark: area.map_or_else(String::new, |area| format!("AUC {area}")),
        ..Chart::default()
    }
}

/// The share of cases in each band against the middle of the band, with Wilson's limits.
fn calibration(table: &Table) -> Chart {
    let row = |row: usize| {
        let middle = f64::midpoint(value(table, row, "risk.from"), value(table, row, "risk.to"));
        let (n, share) = (value(table, row, "n"), value(table, row, "observed"));
        let z = Z_975 * Z_975 / n;
        let centre = (share + z / 2.0) / (1.0 + z);
        let half = (share * (1.0 - share) / n + z / (4.0 * n)).sqrt() * Z_975 / (1.0 + z);
        Point { limits: Some((centre - half, centre + half)), ..point(middle, share) }
    };
    let points: Vec<Point> = (0..table.rows.len()).map(row).collect();
    Chart {
        title: "Calibration".to_owned(),
        x: share("risk by the model, middle of its band"),
        y: share("share of cases, 95 % limits"),
        square: true,
        diagonal: true,
        series: vec![Series { label: String::new(), shape: Shape::Dots, points }],
        ..Chart::default()
    }
}

fn decision(table: &Table) -> Chart {
    let column = |name: &str| {
        let row = |row: usize| point(value(table, row, "threshold"), value(table, row, name));
        (0..table.rows.len()).map(row).filter(|it| it.y.is_finite()).collect::<Vec<_>>()
    };
    let model = column("net.benefit");
    let most = model.iter().map(|it| it.y).fold(0.01, f64::max);
    let last = model.last().map_or(1.0, |it| (it.x * 1.1).min(1.0));
    Chart {
        title: "Decision curve".to_owned(),
        x: Scale { ends: Some((0.0, last)), ..share("threshold of risk") },
        // treating all at high thresholds does harm without bounds
        y: Scale { ends: Some((-most / 2.0, most * 1.1)), ..scale("net benefit") },
        series: vec![
            line("by the model", model),
            line("treat all", column("treat.all")),
            line("treat none", column("net.benefit.treat.none")),
        ],
        ..Chart::default()
    }
}

/// Cross-validated error by the logarithm of the penalty, with its error.
fn penalties(table: &Table, findings: &Findings) -> Chart {
    let row = |row: usize| Point {
        limits: Some((value(table, row, "conf.low"), value(table, row, "conf.high"))),
        ..point(value(table, row, "lambda").ln(), value(table, row, "estimate"))
    };
    let mut points: Vec<Point> = (0..table.rows.len()).map(row).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let best = self::table(findings, "glance").map_or(f64::NAN, |it| value(it, 0, "lambda.min"));
    let remark = if best.is_nan() {
        String::new()
    } else {
        format!("least at lambda {}", number::estimate(best, Medium::Html))
    };
    Chart {
        title: "Cross-validation".to_owned(),
        x: scale("log of lambda"),
        y: scale("error, with its standard error"),
        series: vec![Series { label: String::new(), shape: Shape::Dots, points }],
        remark,
        ..Chart::default()
    }
}

/// The first two components' loadings of each variable.
fn loadings(table: &Table, findings: &Findings) -> Chart {
    let of = |component: &str| {
        let rows = (0..table.rows.len()).filter(|row| text(table, *row, "component") == component);
        rows.map(|row| (text(table, row, "variable"), value(table, row, "loading")))
            .collect::<Vec<_>>()
    };
    let pairs = of("PC1").into_iter().zip(of("PC2"));
    let points = pairs.map(|((label, x), (_, y))| Point { label, ..point(x, y) }).collect();
    let percent = |row: usize| {
        let tidy = self::table(findings, "tidy");
        let part = tidy.map_or(f64::NAN, |it| value(it, row, "percent"));
        number::percent(part, 0, Medium::Html)
    };
    let axis = |at: usize| Scale {
        ends: Some((-1.1, 1.1)),
        ..scale(&format!("PC{}, {} of the variance", at + 1, percent(at)))
    };
    Chart {
        title: "Loadings of the first two components".to_owned(),
        x: axis(0),
        y: axis(1),
        square: true,
        series: vec![Series { label: String::new(), shape: Shape::Arrows, points }],
        ..Chart::default()
    }
}

fn scree(table: &Table) -> Chart {
    let row = |(row, at): (usize, u32)| Bar {
        from: f64::from(at) + 0.6,
        to: f64::from(at) + 1.4,
        height: value(table, row, "percent"),
    };
    let last = table.rows.len() as f64;
    Chart {
        title: "Variance of the components".to_owned(),
        x: Scale { ends: Some((0.4, last + 0.6)), ..scale("component") },
        y: Scale { percent: true, ..scale("share of the variance") },
        bars: (0..table.rows.len()).zip(0_u32..).map(row).collect(),
        ..Chart::default()
    }
}

fn histogram(table: &Table) -> Chart {
    let row = |row: usize| Bar {
        from: value(table, row, "from"),
        to: value(table, row, "to"),
        height: value(table, row, "n"),
    };
    let last = table.rows.len().saturating_sub(1);
    let ends = Some((value(table, 0, "from"), value(table, last, "to")));
    let hidden = (0..table.rows.len()).any(|row| value(table, row, "n").is_nan());
    Chart {
        title: "Histogram".to_owned(),
        x: Scale { ends, ..scale(&text(table, 0, "variable")) },
        y: scale("patients"),
        bars: (0..table.rows.len()).map(row).collect(),
        remark: if hidden { "? too few to be shown".to_owned() } else { String::new() },
        ..Chart::default()
    }
}
