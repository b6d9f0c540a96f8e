//! A document for people: headings, paragraphs, lists and tables, as Markdown and as one HTML page.

use crate::escape;
use crate::report::style::STYLE;
use std::fmt::Write;

/// No script, no other host.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// A piece of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// Points.
    List(Vec<String>),
    /// A table with its head.
    Table(Vec<String>, Vec<Vec<String>>),
}

/// A heading with what stands under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    heading: String,
    blocks: Vec<Block>,
}

impl Part {
    /// A part with nothing in it.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), blocks: Vec::new() }
    }

    /// Adds a paragraph.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.blocks.push(Block::Text(text.into()));
        self
    }

    /// Adds points.
    #[must_use]
    pub fn list<T: Into<String>>(mut self, points: impl IntoIterator<Item = T>) -> Self {
        self.blocks.push(Block::List(points.into_iter().map(Into::into).collect()));
        self
    }

    /// Adds a table.
    #[must_use]
    pub fn table<T: Into<String>>(
        mut self,
        head: impl IntoIterator<Item = T>,
        rows: Vec<Vec<String>>,
    ) -> Self {
        self.blocks.push(Block::Table(head.into_iter().map(Into::into).collect(), rows));
        self
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    language: String,
    title: String,
    lead: String,
    parts: Vec<Part>,
    foot: String,
}

impl Document {
    /// An empty document in a language (`de`, `en`).
    pub fn new(language: &str, title: impl Into<String>, lead: impl Into<String>) -> Self {
        let (title, lead) = (title.into(), lead.into());
        let language = language.to_owned();
        Self { language, title, lead, parts: Vec::new(), foot: String::new() }
    }

    /// Adds a part.
    #[must_use]
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    /// Sets the last line.
    #[must_use]
    pub fn foot(mut self, text: impl Into<String>) -> Self {
        self.foot = text.into();
        self
    }

    /// As Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!("# {}\n\n{}\n", self.title, self.lead);
        for part in &self.parts {
            let _ = write!(out, "\n## {}\n", part.heading);
            part.blocks.iter().for_each(|block| markdown(block, &mut out));
        }
        if !self.foot.is_empty() {
            let _ = write!(out, "\n{}\n", self.foot);
        }
        out
    }

    /// As one page without requests to any server.
    #[must_use]
    pub fn to_html(&self) -> String {
        let (title, lead) = (escape(&self.title), escape(&self.lead));
        let parts: String = self.parts.iter().map(html_part).collect();
        format!(
            "<!doctype html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n\
             <title>{title} · konsil</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <header class=\"top\"><strong class=\"logo\">konsil</strong></header>\n\
             <main id=\"main\">\n<h1>{title}</h1>\n<p>{lead}</p>\n{parts}</main>\n\
             <footer>{}</footer>\n</body>\n</html>\n",
            escape(&self.language),
            escape(&self.foot),
        )
    }
}

fn markdown(block: &Block, out: &mut String) {
    // a line break or a bar would end a cell
    let plain = |text: &str| text.replace(['\n', '\r'], " ").replace('|', "\\|");
    out.push('\n');
    match block {
        Block::Text(text) => {
            let _ = writeln!(out, "{}", text.replace(['\n', '\r'], " "));
        }
        Block::List(points) => {
            for point in points {
                let _ = writeln!(out, "- {}", point.replace(['\n', '\r'], " "));
            }
        }
        Block::Table(head, rows) => {
            let line = |cells: &[String]| {
                let cells: Vec<String> = cells.iter().map(|it| plain(it)).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            out.push_str(&line(head));
            out.push_str(&format!("|{}\n", "---|".repeat(head.len())));
            rows.iter().for_each(|row| out.push_str(&line(row)));
        }
    }
}

fn html_part(part: &Part) -> String {
    let blocks: String = part.blocks.iter().map(html_block).collect();
    format!("<section class=\"card\">\n<h2>{}</h2>\n{blocks}</section>\n", escape(&part.heading))
}

fn html_block(block: &Block) -> String {
    match block {
        Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
        Block::List(points) => {
            let points = points.iter().map(|it| format!("<li>{}</li>\n", escape(it)));
            format!("<ul>\n{}</ul>\n", points.collect::<String>())
        }
        Block::Table(head, rows) => {
            let head = head.iter().map(|it| format!("<th scope=\"col\">{}</th>", escape(it)));
            let row = |cells: &Vec<String>| {
                let cells = cells.iter().map(|it| format!("<td>{}</td>", escape(it)));
                format!("<tr>{}</tr>\n", cells.collect::<String>())
            };
            format!(
                "<div class=\"scroll\"><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody>\n\
                 </table></div>\n",
                head.collect::<String>(),
                rows.iter().map(row).collect::<String>()
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Names come from files of others: they stay texts in both forms.
    #[test]
    fn texts_stay_texts_and_nothing_is_requested() {
        let part = Part::new("Who")
            .text("a <b>")
            .list(["one\ntwo"])
            .table(["x", "y"], vec![vec!["a|b".to_owned(), "<script>".to_owned()]]);
        let document = Document::new("en", "T & U", "lead").part(part).foot("end");
        let text = document.to_markdown();
        assert!(text.contains("# T & U\n\nlead\n\n## Who\n\na <b>\n\n- one two\n"), "{text}");
        assert!(text.contains("| x | y |\n|---|---|\n| a\\|b | <script> |\n"), "{text}");
        let page = document.to_html();
        assert!(page.contains("<h1>T &amp; U</h1>") && page.contains("&lt;script&gt;"), "{page}");
        for outside in ["http://", "https://", "<script", "src=", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
