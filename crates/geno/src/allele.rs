//! Alleles: what is one, and the other strand.

/// Bases of the longest allele that a panel may name.
pub(crate) const BASES_MAX: usize = 1_000;

/// Whether a text is an allele as a panel writes it: A, C, G, T, N in capitals.
pub(crate) fn is_allele(text: &[u8]) -> bool {
    let is_base = |base: &u8| matches!(base, b'A' | b'C' | b'G' | b'T' | b'N');
    (1..=BASES_MAX).contains(&text.len()) && text.iter().all(is_base)
}

/// The base on the other strand.
fn opposite(base: u8) -> Option<u8> {
    match base.to_ascii_uppercase() {
        b'A' => Some(b'T'),
        b'C' => Some(b'G'),
        b'G' => Some(b'C'),
        b'T' => Some(b'A'),
        _ => None,
    }
}

/// Whether one base is the other as the other strand has it. Longer alleles are anchored at their left
/// end, which the other strand does not have: they are never taken for one another.
pub(crate) fn is_opposite(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([one], [other]) => opposite(*one) == Some(other.to_ascii_uppercase()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strands_are_told_apart_for_single_bases_only() {
        assert!(is_opposite(b"A", b"T") && is_opposite(b"g", b"C"));
        assert!(!is_opposite(b"A", b"G") && !is_opposite(b"N", b"N"));
        assert!(!is_opposite(b"AC", b"GT") && !is_opposite(b"", b""));
        assert!(
            is_allele(b"ACGTN") && !is_allele(b"acgt") && !is_allele(b"") && !is_allele(b"<DEL>")
        );
        assert!(!is_allele(&[b'A'; BASES_MAX + 1]));
    }
}
