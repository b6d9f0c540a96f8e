//! Signed documents as files, and questions to the person at the terminal.

use crate::failure::Failure;
use crate::screen::Screen;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use konsil_governance::Signed;
use konsil_governance::network::words;
use konsil_net::Identity;
use konsil_node::{Clock, NodeError, write_private};
use serde::{Serialize, de::DeserializeOwned};
use std::fs::File;
use std::io::{BufRead, Read};
use std::path::Path;

/// Longest document that is read, in bytes.
const DOCUMENT_MAX: u64 = 16 << 20;

/// The day, in UTC.
pub(crate) fn today() -> Date {
    Clock::system().now().to_zoned(TimeZone::UTC).date()
}

/// Reads a document.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let fail = |error: std::io::Error| Failure::file(path, &error);
    let mut text = String::new();
    let file = File::open(path).map_err(fail)?;
    file.take(DOCUMENT_MAX).read_to_string(&mut text).map_err(fail)?;
    serde_json::from_str(&text).map_err(|error| {
        let what = format!("{}: this is not the document that is needed: {error}", path.display());
        Failure::coded("K0664", what)
    })
}

/// Writes a document.
pub(crate) fn write<T: Serialize>(path: &Path, document: &T) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::coded("K0664", error.to_string()))?;
    Ok(write_private(path, format!("{text}\n").as_bytes())?)
}

/// Opens a key file.
pub(crate) fn key(path: &Path) -> Result<Identity, Failure> {
    Identity::open(path).map_err(|error| {
        let what = error.to_string();
        NodeError::File { path: path.to_owned(), what }.into()
    })
}

/// Signs a document.
pub(crate) fn sign<T: Serialize>(
    domain: &str,
    body: T,
    identity: &Identity,
) -> Result<Signed<T>, Failure> {
    let key = identity.public_key().to_string();
    Signed::new(domain, body, &key, |message| identity.sign(message).ok())
        .map_err(|error| Failure::coded("K0664", error.to_string()))
}

/// The words of a key.
pub(crate) fn words_of(key: &str) -> String {
    words(key).unwrap_or_else(|| "no valid key".to_owned())
}

/// The line that a person answers with; empty when nobody is there.
pub(crate) fn answer(question: &str, screen: &Screen) -> String {
    screen.note(&format!("? {question}"));
    let mut line = String::new();
    let _nobody = std::io::stdin().lock().read_line(&mut line);
    line.trim().to_lowercase()
}

/// Stops unless a person says yes.
pub(crate) fn confirm(question: &str, screen: &Screen) -> Result<(), Failure> {
    if answer(&format!("{question} (yes/no)"), screen) == "yes" {
        return Ok(());
    }
    Err(Failure::coded("K0665", "not confirmed; nothing was changed"))
}

/// Stops unless the words are those of the key, however they were separated.
pub(crate) fn compare_words(heard: &str, key: &str, name: &str) -> Result<(), Failure> {
    let heard: Vec<String> = heard
        .split(|it: char| !it.is_alphabetic())
        .filter(|it| !it.is_empty())
        .map(str::to_lowercase)
        .collect();
    if heard.join("-") == words_of(key) {
        return Ok(());
    }
    let what = format!(
        "the words are not those of the key in the file; nothing was changed. Call {name} again: \
         if its node shows other words, the file was exchanged on its way"
    );
    Err(Failure::coded("K0665", what))
}
