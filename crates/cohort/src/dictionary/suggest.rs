//! The nearest known name to a misspelt one.

/// The candidate that a person most likely meant by `name`, if one is near enough.
///
/// Near enough is at most a third of the letters changed, and at least one letter kept; a
/// difference in upper and lower case only is always near enough.
///
/// ```
/// let known = ["age", "smoker"];
/// assert_eq!(konsil_cohort::suggest("smoke", known), Some("smoker"));
/// assert_eq!(konsil_cohort::suggest("weight", known), None);
/// ```
#[must_use]
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(64).collect();
    let limit = (wanted.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| {
            let letters: Vec<char> = candidate.to_lowercase().chars().take(64).collect();
            (distance(&wanted, &letters), letters.len(), candidate)
        })
        .filter(|(changes, letters, _)| {
            *changes <= limit && *changes < (*letters).max(wanted.len())
        })
        .min_by_key(|(changes, _, _)| *changes)
        .map(|(_, _, candidate)| candidate)
}

/// Letters to insert, delete, change or swap with their neighbour to get from `a` to `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, &to) in b.iter().enumerate() {
            let change = last[j] + usize::from(from != to);
            let mut best = change.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::suggest;

    #[test]
    fn swapped_letters_and_case_are_near() {
        assert_eq!(suggest("aeg", ["age", "sex"]), Some("age"));
        assert_eq!(suggest("SEX", ["age", "sex"]), Some("sex"));
        assert_eq!(suggest("", ["age"]), None);
        assert_eq!(suggest("zz", ["age", "sex"]), None);
    }
}
