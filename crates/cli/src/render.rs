//! Findings as people read them, in the terminal and in the report.

use konsil_analyses::{Cell, Findings, Table};
use konsil_plot::number::{self, Medium};
use konsil_plot::table::{Cell as Shown, Column, Table as ShownTable};
use konsil_plot::terminal::{self, TerminalStyle};

/// Findings for a terminal of 100 columns.
pub(crate) fn findings(findings: &Findings, colour: bool) -> String {
    let style = TerminalStyle { width: 100, colour };
    let mut text = format!("\n{}\n", findings.title);
    for table in tables(findings, Medium::Terminal) {
        text.push_str(&terminal::table(&table.columns, &table.rows, &style));
        text.push('\n');
    }
    for note in &findings.notes {
        text.push_str(&format!("  {note}\n"));
    }
    text
}

/// The tables that people read, in a form that fits: ratios for models, wide Table 1.
pub(crate) fn tables(findings: &Findings, medium: Medium) -> Vec<ShownTable> {
    let shown = findings.tables.iter().filter_map(|table| match table.name {
        "ard" => Some(table1(table, medium)),
        "tidy" if table.columns.contains(&"exp.estimate") => Some(model(table, medium)),
        "km" => None,
        _ => Some(plain(table, medium)),
    });
    shown.collect()
}

fn number_text(cell: &Cell, column: &str, medium: Medium) -> Shown {
    match cell {
        Cell::Missing => Shown::muted("–"),
        Cell::Count(count) => Shown::new(number::count(*count, medium)),
        Cell::Number(p) if column.contains("p.value") => Shown::new(number::p_value(*p, medium)),
        Cell::Number(value) => Shown::new(number::estimate(*value, medium)),
        Cell::Text(text) => Shown::new(text.clone()),
        Cell::Flag(flag) => Shown::new(if *flag { "yes" } else { "no" }),
    }
}

/// A table as it is.
fn plain(table: &Table, medium: Medium) -> ShownTable {
    let is_text =
        |at: usize| table.rows.iter().any(|row| matches!(row.get(at), Some(Cell::Text(_))));
    let kept: Vec<usize> = (0..table.columns.len())
        .filter(|at| !matches!(table.columns[*at], "suppressed" | "label"))
        .collect();
    let column = |at: &usize| {
        let name = table.columns[*at];
        if is_text(*at) { Column::words(name) } else { Column::numbers(name) }
    };
    let row = |row: &Vec<Cell>| {
        let cell = |at: &usize| {
            let cell = row.get(*at).unwrap_or(&Cell::Missing);
            number_text(cell, table.columns[*at], medium)
        };
        kept.iter().map(cell).collect::<Vec<Shown>>()
    };
    let caption = match table.name {
        "glance" if table.columns.contains(&"statistic.log") => "Log-rank test",
        "glance" => "Model",
        _ => "",
    };
    let columns = kept.iter().map(column).collect();
    table.rows.iter().map(row).fold(ShownTable::new(caption, columns), ShownTable::row)
}

/// The term of a row, with the level of the response that it is about, where there are several.
pub(crate) fn term(table: &Table, row: usize) -> String {
    let text = |column: &str| table.get(row, column).map(Cell::text);
    let term = text("term").unwrap_or_default();
    text("y.level").map_or_else(|| term.clone(), |level| format!("{level}: {term}"))
}

/// Coefficients of a model with a log link: ratios with their limits.
fn model(table: &Table, medium: Medium) -> ShownTable {
    let columns = vec![
        Column::words("term"),
        Column::numbers("estimate"),
        Column::numbers("std.error"),
        Column::numbers("ratio"),
        Column::words("95% CI"),
        Column::numbers("p"),
    ];
    let mut shown = ShownTable::new("", columns);
    for at in 0..table.rows.len() {
        let value = |column: &str| table.get(at, column).and_then(Cell::number).unwrap_or(f64::NAN);
        let estimate = |column: &str| number::estimate(value(column), medium);
        // a threshold or a standard deviation has no ratio
        let limits = match value("exp.conf.low").is_nan() {
            true => "–".to_owned(),
            false => format!("{} to {}", estimate("exp.conf.low"), estimate("exp.conf.high")),
        };
        shown = shown.row([
            term(table, at),
            estimate("estimate"),
            estimate("std.error"),
            estimate("exp.estimate"),
            limits,
            number::p_value(value("p.value"), medium),
        ]);
    }
    shown
}

/// Table 1 from its long form: a row for each variable or level, a column for each group.
fn table1(table: &Table, medium: Medium) -> ShownTable {
    let text =
        |row: usize, column: &str| table.get(row, column).map(Cell::text).unwrap_or_default();
    let mut groups: Vec<String> = Vec::new();
    let mut rows: Vec<(String, String)> = Vec::new();
    for at in 0..table.rows.len() {
        let group = text(at, "group1_level");
        if !groups.contains(&group) {
            groups.push(group);
        }
        let row = (text(at, "variable"), text(at, "variable_level"));
        if text(at, "context") != "missing" && !rows.contains(&row) {
            rows.push(row);
        }
    }
    let heading = |group: &String| {
        let name = table.get(0, "group1").map(Cell::text).unwrap_or_default();
        if name.is_empty() {
            Column::numbers("all")
        } else {
            Column::numbers(format!("{name} {group}"))
        }
    };
    let columns = [Column::words("")].into_iter().chain(groups.iter().map(heading)).collect();
    let mut shown = ShownTable::new("", columns);
    for (variable, level) in &rows {
        let value = |group: &String, stat: &str| {
            let at = (0..table.rows.len()).find(|at| {
                text(*at, "group1_level") == *group
                    && text(*at, "variable") == *variable
                    && text(*at, "variable_level") == *level
                    && text(*at, "stat_name") == stat
            });
            at.and_then(|at| table.get(at, "stat")).and_then(Cell::number)
        };
        let cell = |group: &String| group_cell(variable, level, &|stat| value(group, stat), medium);
        let label = match (variable.as_str(), level.as_str()) {
            ("..ard_total_n..", _) => Shown::new("n"),
            (variable, "") => Shown::new(format!("{variable}, median (q1, q3)")),
            (variable, level) => Shown::new(format!("{variable}: {level}")),
        };
        let cells: Vec<Shown> = [label].into_iter().chain(groups.iter().map(cell)).collect();
        shown = shown.row(cells);
    }
    shown
}

fn group_cell(
    variable: &str,
    level: &str,
    value: &dyn Fn(&str) -> Option<f64>,
    medium: Medium,
) -> Shown {
    let hidden = || Shown::muted("‹small›");
    if variable == "..ard_total_n.." {
        return value("N").map_or_else(hidden, |n| Shown::new(number::count(n, medium)));
    }
    if level.is_empty() {
        let parts = (value("median"), value("p25"), value("p75"));
        let (Some(median), Some(low), Some(high)) = parts else {
            return hidden();
        };
        let show = |value| number::estimate(value, medium);
        return Shown::new(format!("{} ({}, {})", show(median), show(low), show(high)));
    }
    let Some(count) = value("n") else {
        return hidden();
    };
    let share = value("p").map(|share| format!(" ({})", number::percent(share, 0, medium)));
    Shown::new(format!("{}{}", number::count(count, medium), share.unwrap_or_default()))
}
