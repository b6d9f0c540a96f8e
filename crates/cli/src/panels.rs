//! Panels of variants that this process has read: requests name them by hash.

use crate::failure::Failure;
use crate::regions;
use konsil_analyses::{Request, among};
use konsil_geno::{GenoError, Names, Panel};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

static KNOWN: Mutex<Vec<Arc<Panel>>> = Mutex::new(Vec::new());

/// Reads a panel's file and keeps it for the results.
pub(crate) fn read(path: &Path) -> Result<Arc<Panel>, Failure> {
    let panel = Arc::new(Panel::read(path).map_err(GenoError::from)?);
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&panel));
    Ok(panel)
}

/// The panel with a hash, if it was read.
pub(crate) fn of_hash(hash: &str) -> Option<Arc<Panel>> {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().find(|it| it.hash() == hash).cloned()
}

/// Puts hash and size in place of a panel's file, and numbers in place of a list of its variants, which
/// stand beside `folder` unless their paths are whole. A hash with a size stays.
pub(crate) fn resolve(request: &mut Request, folder: &Path) -> Result<(), Failure> {
    let Some(text) = &request.panel else { return Ok(()) };
    let is_hash = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    if is_hash && request.variants.is_some() {
        return resolve_among(request, folder);
    }
    let panel = read(&folder.join(text))?;
    let variants = u32::try_from(panel.len()).unwrap_or(u32::MAX);
    if request.variants.is_some_and(|it| it != variants) {
        let what = format!("`variants` is not the number of variants of {text}, {variants}");
        return Err(Failure::usage(what));
    }
    request.variants = Some(variants);
    request.panel = Some(panel.hash().to_owned());
    if let Some(region) = &request.region {
        let range = regions::range_of(&panel, region)?;
        request.range = [range.start, range.end].map(|it| u32::try_from(it).unwrap_or(0)).to_vec();
    }
    if request.background.is_some() {
        request.chromosomes = regions::starts_of(&panel);
    }
    if request.men.is_some() || request.hwe.is_some() {
        request.x = regions::single_in_men(&panel);
    }
    if let Some(sets) = &request.sets {
        request.set_list = regions::sets_of(&panel, &folder.join(sets))?;
    }
    if !request.condition.is_empty() {
        request.condition_at = regions::named(&panel, &request.condition)?;
    }
    resolve_among(request, folder)
}

/// Puts numbers in place of a file of names.
fn resolve_among(request: &mut Request, folder: &Path) -> Result<(), Failure> {
    let Some(text) = request.among.as_ref().filter(|it| !among::is_list(it)) else { return Ok(()) };
    let path = folder.join(text);
    let panel = request.panel.as_deref().and_then(of_hash).ok_or_else(|| {
        Failure::usage("`among` names variants of a panel: give the panel's file too, not its hash")
    })?;
    let text = fs::read_to_string(&path).map_err(|error| Failure::file(&path, &error))?;
    let numbers = listed_in(&text, &panel)
        .map_err(|what| Failure::usage(format!("{}{what}", path.display())))?;
    request.among = Some(among::listed(&numbers));
    Ok(())
}

/// The variants that a text names, a line each: in the column `ID` where a first line that begins with `#`
/// has one, else the first word.
fn listed_in(text: &str, panel: &Panel) -> Result<Vec<usize>, String> {
    let names = Names::new(panel);
    let mut numbers = Vec::new();
    let mut column = 0;
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with('#') {
            column = text.split_whitespace().position(|it| it == "ID").unwrap_or(column);
            continue;
        }
        let Some(name) = text.split_whitespace().nth(column) else { continue };
        let number = names.find(name).ok_or_else(|| {
            format!(
                ", line {line}: the panel has no variant `{name}`, or several; name it by \
                 CHROMOSOME:POSITION:REF:ALT"
            )
        })?;
        numbers.push(number);
    }
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.is_empty() {
        return Err(": it names no variant; one name a line".to_owned());
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_names_are_numbers_of_the_panel() {
        let text = "#CHROM\tPOS\tID\tREF\tALT\n1\t5\ta\tA\tC\n1\t7\tb\tA\tC\n1\t9\t.\tA\tG\n";
        let panel = Panel::parse(text.to_owned()).unwrap();
        assert_eq!(listed_in("b\na\n\nb\n", &panel), Ok(vec![0, 1]));
        assert_eq!(
            listed_in("#CHROM POS ID P\n1 9 1:9:A:G 0.1\n1 5 a 0.2\n", &panel),
            Ok(vec![0, 2])
        );
        assert!(listed_in("a\nc\n", &panel).unwrap_err().contains("line 2"));
        assert!(listed_in("#ID\n", &panel).unwrap_err().contains("no variant"));
    }
}
