//! Ids of the people of a BGEN file: in it, or in a `.sample` file beside.

use super::Input;
use crate::error::{GenoError, Place};
use crate::lines::{Counter, Lines, fields, text};
use crate::source::Sample;
use konsil_cohort::Sex;
use std::path::Path;

/// Bytes of the longest line of a .sample file.
const LINE_MAX: usize = 1 << 20;

/// The ids in the file.
pub(super) fn inside(input: &mut Input, people: u32) -> Result<Vec<Sample>, GenoError> {
    let (_length, count) = (input.u32()?, input.u32()?);
    if count != people {
        let what = format!("the file has {people} people, but ids of {count}; it is damaged");
        return Err(input.wrong(what));
    }
    let mut samples = Vec::new();
    let mut id = Vec::new();
    for at in 1..=u64::from(people) {
        let length = input.u16()?;
        input.fill(&mut id, u64::from(length))?;
        let Some(id) = text(&id).filter(|it| !it.is_empty()) else {
            return Err(input.wrong(format!("the id of person {at} is no text in UTF-8")));
        };
        let other = id.strip_prefix("0_").or_else(|| half(id)).map(str::to_owned);
        let (sex, place) = (Sex::Unknown, Place::Person(at));
        samples.push(Sample { id: id.to_owned(), other, sex, place });
    }
    Ok(samples)
}

/// `A` of `A_A`, as programs write that take family and person together.
fn half(id: &str) -> Option<&str> {
    let (one, other) = (id.get(..id.len() / 2)?, id.get(id.len() / 2..)?);
    other.strip_prefix('_').filter(|it| *it == one)
}

/// The ids of the .sample file.
pub(super) fn beside(path: &Path, people: u32) -> Result<Vec<Sample>, GenoError> {
    let file = path.with_extension("sample");
    if !file.exists() {
        let what = format!(
            "the file has no ids of its people, and there is no {}; whose genotypes they are cannot be \
             told without",
            file.display()
        );
        return Err(GenoError::people(path, what));
    }
    let mut lines = Lines::open(&file, LINE_MAX, &Counter::default())?;
    let mut samples = Vec::new();
    let mut sex_at = None;
    while lines.next()?.is_some() {
        let place = lines.place();
        let wrong = |what: &str| GenoError::links(&file, place, what);
        let mut own = fields(lines.line()).map(text);
        let (Some(Some(family)), Some(Some(id))) = (own.next(), own.next()) else {
            return Err(wrong("a line begins with two ids, in UTF-8"));
        };
        match place {
            // after the two ids
            Place::Line(1) if family == "ID_1" && id == "ID_2" => {
                let is_sex = |it: Option<&str>| it.is_some_and(|it| it.eq_ignore_ascii_case("sex"));
                sex_at = own.position(is_sex);
            }
            Place::Line(1) => return Err(wrong("the first line begins with ID_1 ID_2")),
            Place::Line(2) if family == "0" && id == "0" => (),
            Place::Line(2) => return Err(wrong("the second line begins with 0 0")),
            _ => {
                let other = Some(format!("{family}_{id}"));
                let sex = sex_at.and_then(|at| own.nth(at)).flatten();
                let sex = sex.and_then(Sex::parse).unwrap_or_default();
                samples.push(Sample { id: id.to_owned(), other, sex, place });
            }
        }
    }
    if samples.len() as u64 != u64::from(people) {
        let what = format!(
            "{} has {} people, the genotypes are of {people}; it belongs to another file",
            file.display(),
            samples.len()
        );
        return Err(GenoError::people(path, what));
    }
    Ok(samples)
}
