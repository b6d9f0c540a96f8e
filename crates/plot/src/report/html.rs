//! The report's markup.

use super::{Question, Report, Revealed, Section, Status, style::STYLE};
use crate::escape;
use crate::number::{Medium, bytes, bytes_exact, count, duration};
use crate::table::{Align, Cell, Column, Table};

/// No script, no other host, not even this page's own: everything is inside.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

pub(super) fn page(report: &Report) -> String {
    let title = escape(&report.title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{title} · konsil</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">To the results</a>\n\
         <header class=\"top\"><strong class=\"logo\">konsil</strong>{}</header>\n\
         <main id=\"main\">\n{}</main>\n\
         <footer>This page is one file: no scripts, no requests to any server.</footer>\n\
         </body>\n</html>\n",
        contents(report),
        heading(report) + &body(report),
    )
}

/// All but heading and frame.
pub(super) fn body(report: &Report) -> String {
    let parts = [
        status(&report.status),
        understood(report),
        report.sections.iter().enumerate().map(section).collect(),
        ledger(&report.revealed),
        guarantee(&report.guarantee),
        card("methods", "Methods and versions", &pairs(&report.methods, "kv")),
    ];
    parts.concat()
}

/// Links to the parts that are there.
fn contents(report: &Report) -> String {
    let results = report.sections.iter().enumerate().map(|(index, section)| {
        let heading = escape(&section.heading);
        format!("<a href=\"#analysis-{}\">{heading}</a>", index + 1)
    });
    let mut links: Vec<String> = results.collect();
    let others = [
        ("revealed", "Revealed", !report.revealed.is_empty()),
        ("guarantee", "Guarantee", !report.guarantee.is_empty()),
        ("methods", "Methods", !report.methods.is_empty()),
    ];
    for (id, name, there) in others {
        if there {
            links.push(format!("<a href=\"#{id}\">{name}</a>"));
        }
    }
    format!("<nav aria-label=\"Contents\">{}</nav>", links.concat())
}

fn heading(report: &Report) -> String {
    let title = escape(&report.title);
    let asked = question(&report.question);
    format!("<h1>{title} <span class=\"chip ok\">released</span></h1>\n{asked}")
}

fn question(question: &Question) -> String {
    let rows = [("Study", &question.study), ("Purpose", &question.purpose)];
    let mut list: String = rows.iter().map(|(name, value)| pair(name, value)).collect();
    let centres = question.centres.iter();
    let centres: String = centres.map(|it| format!("<li>{}</li>", escape(it))).collect();
    if !centres.is_empty() {
        let centres = format!("<ul class=\"chips\">{centres}</ul>");
        list.push_str(&format!("<dt>Centres</dt><dd>{centres}</dd>"));
    }
    match list.is_empty() {
        true => list,
        false => format!("<dl class=\"kv\">{list}</dl>\n"),
    }
}

fn status(status: &Status) -> String {
    let html = Medium::Html;
    let patients = status.patients.map_or("not said".to_owned(), |it| count(it, html));
    let [planned, sent] = [status.planned_bytes, status.sent_bytes].map(|it| bytes_exact(it, html));
    let traffic = match status.planned_bytes == status.sent_bytes {
        true => ("ok", format!("\u{2713} planned = sent = {sent}")),
        false => ("bad", format!("\u{2717} planned {planned}, sent {sent}")),
    };
    let clear = match status.clear_bytes {
        0 => ("ok", "\u{2713} of patient data in the clear"),
        _ => ("bad", "\u{2717} of patient data in the clear"),
    };
    let tiles = [
        tile("", &count(status.centres as f64, html), "centres"),
        tile("", &patients, "patients over all centres"),
        tile(traffic.0, &bytes(status.sent_bytes, html), &traffic.1),
        tile(clear.0, &bytes(status.clear_bytes, html), clear.1),
        tile("", &duration(status.elapsed, html), "from start to release"),
    ];
    format!(
        "<section class=\"strip\" aria-label=\"The run in numbers\">{}</section>\n",
        tiles.concat()
    )
}

fn tile(class: &str, number: &str, says: &str) -> String {
    let (number, says) = (escape(number), escape(says));
    format!("<p class=\"tile {class}\"><b>{number}</b> <span>{says}</span></p>\n")
}

fn understood(report: &Report) -> String {
    let list = pairs(&report.understood, "kv mono");
    card("understood", "How the question was understood", &list)
}

fn section((index, section): (usize, &Section)) -> String {
    let mut body = String::new();
    for figure in &section.figures {
        let drawn = figure.to_svg();
        body.push_str(&format!("<figure class=\"scroll\" tabindex=\"0\">\n{drawn}</figure>\n"));
    }
    for (number, each) in (1..).zip(&section.tables) {
        let name = format!("{}, table {number}: {}", section.heading, each.caption);
        body.push_str(&table(each, "results", name.trim_end_matches([':', ' '])));
    }
    for note in &section.notes {
        body.push_str(&format!("<p class=\"fine\">{}</p>\n", escape(note)));
    }
    card(&format!("analysis-{}", index + 1), &section.heading, &body)
}

fn ledger(revealed: &[Revealed]) -> String {
    if revealed.is_empty() {
        return String::new();
    }
    let columns = vec![
        Column::words("Name"),
        Column::words("What it says"),
        Column::words("To whom"),
        Column::numbers("Numbers"),
    ];
    let numbers = |it: u64| count(it as f64, Medium::Html);
    let mut all = Table::new("Every number that left the protection of the protocol", columns);
    for it in revealed {
        all = all.row([it.name.clone(), it.says.clone(), it.to.clone(), numbers(it.numbers)]);
    }
    let total = numbers(revealed.iter().map(|it| it.numbers).sum());
    all = all.row(["In all".to_owned(), String::new(), String::new(), total]);
    card("revealed", "What was revealed", &table(&all, "ledger", "What was revealed, all of it"))
}

fn guarantee(paragraphs: &[String]) -> String {
    let text = paragraphs.iter().map(|it| format!("<p>{}</p>\n", escape(it)));
    card("guarantee", "Guarantee", &text.collect::<String>())
}

/// A part of the page with its heading; nothing where there is nothing to say.
fn card(id: &str, heading: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    let heading = escape(heading);
    format!(
        "<section class=\"card\" id=\"{id}\" aria-labelledby=\"{id}-title\">\n\
         <h2 id=\"{id}-title\">{heading}</h2>\n{body}</section>\n"
    )
}

fn pairs(pairs: &[(String, String)], class: &str) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let list: String = pairs.iter().map(|(name, value)| pair(name, value)).collect();
    format!("<dl class=\"{class}\">{list}</dl>\n")
}

fn pair(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let (name, value) = (escape(name), escape(value));
    format!("<dt>{name}</dt><dd>{value}</dd>\n")
}

/// A wide table scrolls inside its own box, which the keyboard can reach.
/// `name` tells the table's region from all others of the page.
fn table(table: &Table, class: &str, name: &str) -> String {
    let (caption, region) = (escape(&table.caption), escape(name));
    let mut head = String::new();
    for column in &table.columns {
        let (name, class) = (escape(&column.name), number_class(column.align));
        head.push_str(&match name.is_empty() {
            true => format!("<td{class}></td>"),
            false => format!("<th scope=\"col\"{class}>{name}</th>"),
        });
    }
    let mut body = String::new();
    for row in &table.rows {
        body.push_str("<tr>");
        let cells = row.iter().cloned().chain(std::iter::repeat(Cell::default()));
        for (index, (column, cell)) in table.columns.iter().zip(cells).enumerate() {
            body.push_str(&entry(index == 0, column.align, &cell));
        }
        body.push_str("</tr>\n");
    }
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{region}\" tabindex=\"0\">\n<table class=\"{class}\">\n\
         <caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n\
         </table>\n</div>\n"
    )
}

fn entry(first: bool, align: Align, cell: &Cell) -> String {
    let mut classes = Vec::new();
    if align == Align::Right {
        classes.push("num");
    }
    if cell.muted {
        classes.push("muted");
    }
    if first && cell.text.starts_with("  ") {
        classes.push("level");
    }
    let class = match classes.is_empty() {
        true => String::new(),
        false => format!(" class=\"{}\"", classes.join(" ")),
    };
    let text = escape(cell.text.trim_start());
    if first {
        return format!("<th scope=\"row\"{class}>{text}</th>");
    }
    format!("<td{class}>{text}</td>")
}

fn number_class(align: Align) -> &'static str {
    match align {
        Align::Left => "",
        Align::Right => " class=\"num\"",
    }
}
