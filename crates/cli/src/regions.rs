//! What requests name of a panel: regions, chromosomes, variants, sets of variants.

use crate::failure::Failure;
use konsil_geno::{Build, Chromosome, Panel};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// The variants of a region such as `19` or `19:44900000-45500000`, ends included.
pub(crate) fn range_of(panel: &Panel, region: &str) -> Result<Range<usize>, Failure> {
    let wrong = || {
        let what = format!(
            "the region `{region}` is none; write a chromosome, or one with positions, as in \
             19:44900000-45500000"
        );
        Failure::usage(what)
    };
    let (chromosome, positions) =
        region.split_once(':').map_or((region, None), |(name, it)| (name, Some(it)));
    let chromosome = Chromosome::parse(chromosome).ok_or_else(wrong)?;
    let all = panel.range(chromosome);
    let position = |text: &str| text.trim().replace([',', '_'], "").parse::<u32>().ok();
    let range = match positions {
        None => all,
        Some(text) => {
            let (from, to) = text.split_once('-').ok_or_else(wrong)?;
            let (from, to) = position(from).zip(position(to)).ok_or_else(wrong)?;
            let below = |end: u32| {
                let at = |at: &usize| panel.variant(*at).is_some_and(|it| it.position < end);
                all.start + all.clone().take_while(at).count()
            };
            below(from)..below(to.saturating_add(1))
        }
    };
    if range.is_empty() {
        return Err(Failure::usage(format!("the panel has no variant in the region `{region}`")));
    }
    Ok(range)
}

/// Sets of variants: lines of a set's name, a variant's name and, if it is not 1, a weight, separated by
/// tabs, below a line of column names.
pub(crate) fn sets_of(panel: &Panel, path: &Path) -> Result<Vec<String>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    let numbers: HashMap<&str, usize> =
        panel.variants().enumerate().map(|(at, it)| (it.id, at)).collect();
    let mut sets: Vec<(String, String)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (number, line) in (1..).zip(text.lines()).skip(1).filter(|it| !it.1.trim().is_empty()) {
        let wrong = |what: &str| Failure::usage(format!("{}:{number}: {what}", path.display()));
        let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
        let (set, variant, weight) = match cells[..] {
            [set, variant] => (set, variant, "1"),
            [set, variant, weight] => (set, variant, weight),
            _ => return Err(wrong("write set, variant and, if it is not 1, weight, with tabs")),
        };
        if set.is_empty() || set.contains(' ') {
            return Err(wrong("a set needs a name without blanks"));
        }
        let Some(at) = numbers.get(variant) else {
            return Err(wrong(&format!("the panel has no variant `{variant}`")));
        };
        if !weight.parse::<f64>().is_ok_and(|it| it > 0.0 && it.is_finite()) {
            return Err(wrong("a weight is a number above 0"));
        }
        let entry = if weight == "1" { format!(" {at}") } else { format!(" {at}*{weight}") };
        let place = *places.entry(set.to_owned()).or_insert_with(|| {
            sets.push((set.to_owned(), String::new()));
            sets.len() - 1
        });
        sets[place].1.push_str(&entry);
    }
    if sets.is_empty() {
        let what = format!("{}: no set below the first line", path.display());
        return Err(Failure::usage(what));
    }
    Ok(sets.into_iter().map(|(name, variants)| name + &variants).collect())
}

/// The first variant of each chromosome.
pub(crate) fn starts_of(panel: &Panel) -> Vec<u32> {
    let mut starts = Vec::new();
    let mut last = None;
    for (at, variant) in (0_u32..).zip(panel.variants()) {
        if last != Some(variant.chromosome) {
            starts.push(at);
            last = Some(variant.chromosome);
        }
    }
    starts
}

/// Names of the panel's chromosomes, in its order.
pub(crate) fn chromosomes_of(panel: &Panel) -> Vec<String> {
    let starts = starts_of(panel).into_iter();
    let at = starts.filter_map(|at| panel.variant(usize::try_from(at).ok()?));
    at.map(|it| it.chromosome.to_owned()).collect()
}

/// Variants of X outside the parts that it shares with Y, the first and the one after the last; none
/// where the panel has none.
pub(crate) fn single_in_men(panel: &Panel) -> Vec<u32> {
    let Some(x) = Chromosome::parse("X") else { return Vec::new() };
    let all = panel.range(x);
    let own = Build::own_part_of_x(panel.build());
    let position = |at: usize| panel.variant(at).map_or(0, |it| it.position);
    let first = all.clone().find(|at| position(*at) >= own.start).unwrap_or(all.end);
    let end = (first..all.end).find(|at| position(*at) >= own.end).unwrap_or(all.end);
    if first == end {
        return Vec::new();
    }
    [first, end].map(|it| u32::try_from(it).unwrap_or(u32::MAX)).to_vec()
}

/// Numbers of variants by name.
pub(crate) fn named(panel: &Panel, names: &[String]) -> Result<Vec<u32>, Failure> {
    let find = |name: &String| {
        let at = panel.variants().position(|it| it.id == *name);
        at.and_then(|it| u32::try_from(it).ok()).ok_or_else(|| {
            Failure::usage(format!(
                "the panel has no variant `{name}`; `grep` its file for how it writes names"
            ))
        })
    };
    names.iter().map(find).collect()
}
