//! Some variants of a panel, named by their numbers: `0,3-7,12`.

use crate::analysis::{AnalysisError, Request};
use crate::gwas_local::Linked;
use konsil_kernels::Packed;
use std::fmt::Write;

/// Rising numbers as a request has them: runs of neighbours as `first-last`, commas between.
#[must_use]
pub fn listed(numbers: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = numbers.iter().copied().peekable();
    while let Some(first) = rest.next() {
        let mut last = first;
        while let Some(next) = rest.next_if(|next| *next == last + 1) {
            last = next;
        }
        let comma = if text.is_empty() { "" } else { "," };
        let _fits = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}-{last}")
        };
    }
    text
}

/// Whether a text is such a list, rather than the name of a file.
#[must_use]
pub fn is_list(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit() || it == b',' || it == b'-')
}

/// The variants that take part: all of a panel, or those of a list.
pub(crate) struct Among {
    numbers: Option<Vec<usize>>,
    panel: usize,
}

impl Among {
    /// Those of a request about a panel of `panel` variants.
    ///
    /// # Errors
    /// [`AnalysisError::Request`] for a list that is none, or does not rise within the panel.
    pub(crate) fn new(request: &Request, panel: usize) -> Result<Self, AnalysisError> {
        let Some(text) = &request.among else { return Ok(Self { numbers: None, panel }) };
        let error = |what: &str| AnalysisError::request(request, what);
        if !is_list(text) {
            return Err(error("has an `among` that is no list of numbers, such as 0,3-7,12"));
        }
        let mut numbers: Vec<usize> = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let ends = first.parse::<usize>().ok().zip(last.parse::<usize>().ok());
            let rises = |(first, last): &(usize, usize)| {
                numbers.last().is_none_or(|before| before < first) && first <= last && *last < panel
            };
            let (first, last) = ends.filter(rises).ok_or_else(|| {
                error("has an `among` whose numbers do not rise, or lie outside the panel")
            })?;
            numbers.extend(first..=last);
        }
        Ok(Self { numbers: Some(numbers), panel })
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.numbers.as_ref().map_or(self.panel, Vec::len)
    }

    /// The number in the panel of the one at a place.
    pub(crate) fn number(&self, at: usize) -> u32 {
        let number = self.numbers.as_ref().map_or(Some(&at), |it| it.get(at));
        number.and_then(|it| u32::try_from(*it).ok()).unwrap_or(u32::MAX)
    }

    /// The genotypes of `count` of them from place `first`; nothing while planning.
    pub(crate) fn read(
        &self,
        linked: Option<&Linked>,
        (first, count): (usize, usize),
    ) -> Result<Option<Packed>, AnalysisError> {
        let Some(linked) = linked else { return Ok(None) };
        let block = match &self.numbers {
            None => linked.genotypes.read(first, count)?,
            Some(numbers) => linked.pick(numbers.get(first..first + count).unwrap_or_default())?,
        };
        Ok(Some(block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(text: &str) -> Result<Among, AnalysisError> {
        let request = Request { among: Some(text.to_owned()), ..Request::default() };
        Among::new(&request, 20)
    }

    #[test]
    fn lists_are_read_as_they_are_written() {
        for numbers in [&[0][..], &[3, 4, 5], &[0, 2, 3, 9, 11, 12, 13, 19]] {
            let text = listed(numbers);
            assert!(is_list(&text));
            let read = among(&text).unwrap();
            assert_eq!(read.len(), numbers.len());
            for (at, number) in numbers.iter().enumerate() {
                assert_eq!(usize::try_from(read.number(at)).unwrap(), *number);
            }
        }
        assert_eq!(listed(&[0, 2, 3, 9]), "0,2-3,9");
        assert_eq!(Among::new(&Request::default(), 20).unwrap().len(), 20);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["", "a", "1,,2", "2,1", "1,1", "5-3", "3-20", "20", "-", "1-2-3", "prune.in"] {
            assert!(among(text).is_err(), "{text}");
        }
    }
}
