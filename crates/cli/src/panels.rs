//! Panels of variants that this process has read: requests name them by hash.

use crate::failure::Failure;
use crate::regions;
use konsil_analyses::Request;
use konsil_geno::{GenoError, Panel};
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

/// Puts hash and size in place of a panel's file, which stands beside `folder` unless its path is
/// whole. A hash with a size stays.
pub(crate) fn resolve(request: &mut Request, folder: &Path) -> Result<(), Failure> {
    let Some(text) = &request.panel else { return Ok(()) };
    let is_hash = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    if is_hash && request.variants.is_some() {
        return Ok(());
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
    if let Some(sets) = &request.sets {
        request.set_list = regions::sets_of(&panel, &folder.join(sets))?;
    }
    if !request.condition.is_empty() {
        request.condition_at = regions::named(&panel, &request.condition)?;
    }
    Ok(())
}
