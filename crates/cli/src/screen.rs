//! The only place that prints: results on standard output, everything else on standard error.

use crate::arguments::{Arguments, Colour};
use crate::failure::Failure;
use std::io::{IsTerminal, Write};

/// How to talk to the person or script at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    /// JSON instead of tables.
    pub(crate) json: bool,
    /// Colour on standard output.
    pub(crate) colour: bool,
    quiet: bool,
}

impl Screen {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let colour = match arguments.color {
            Colour::Always => true,
            Colour::Never => false,
            Colour::Auto => {
                std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none()
                    && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
            }
        };
        Self { json: arguments.json, colour, quiet: arguments.quiet }
    }

    /// A result for people or for a pipe. A reader that has seen enough is no error.
    pub(crate) fn result(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _closed = out
            .write_all(text.as_bytes())
            .and_then(|()| if text.ends_with('\n') { Ok(()) } else { out.write_all(b"\n") });
    }

    /// A table or sentence for people; nothing when JSON is asked for.
    pub(crate) fn table(&self, text: &str) {
        if !self.json && !self.quiet {
            self.result(text);
        }
    }

    /// The JSON result, one line.
    pub(crate) fn json_line(&self, value: &serde_json::Value) {
        if self.json {
            self.result(&value.to_string());
        }
    }

    /// Progress and remarks.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            let _closed = writeln!(std::io::stderr().lock(), "{text}");
        }
    }

    /// How far something is, in a line that the next one takes the place of; on a terminal only.
    pub(crate) fn progress(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        if !self.quiet && err.is_terminal() {
            let _closed = write!(err, "\r\u{1b}[K{text}").and_then(|()| err.flush());
        }
    }

    /// Why the command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        let mut err = std::io::stderr().lock();
        let explained = failure.text.contains(failure.code.as_str());
        let code = if explained { String::new() } else { format!(" {}", failure.code) };
        let _closed = writeln!(err, "✗{code} {}", failure.text.trim_end());
        let hint = format!("konsil explain {}", failure.code);
        if !failure.text.contains(&hint) {
            let _closed = writeln!(err, "  {hint}");
        }
        if self.json {
            let value = serde_json::json!({
                "schema": "konsil.error.v1", "code": failure.code, "text": failure.text,
                "exit": failure.exit,
            });
            drop(err);
            self.result(&value.to_string());
        }
    }
}
