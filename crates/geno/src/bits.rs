//! Genotypes of one variant, two bits a person, 32 people a word.

use konsil_kernels::Packed;

/// The low bit of each genotype.
pub(crate) const LOW: u64 = 0x5555_5555_5555_5555;
const PEOPLE_OF_WORD: usize = 32;

/// From PLINK's coding (00 two copies of the first allele, 01 missing, 10 one, 11 none) to copies of
/// the first allele, 3 for missing.
pub(crate) fn from_plink(bytes: &[u8], people: usize, words: &mut Vec<u64>) {
    words.clear();
    for chunk in bytes.chunks(8) {
        let mut eight = [0_u8; 8];
        for (to, from) in eight.iter_mut().zip(chunk) {
            *to = *from;
        }
        let word = u64::from_le_bytes(eight);
        let (high, low) = (word >> 1 & LOW, word & LOW);
        words.push((high ^ LOW) << 1 | (high ^ low));
    }
    pad(people, words);
}

/// Makes what is left of the last word missing.
pub(crate) fn pad(people: usize, words: &mut Vec<u64>) {
    words.resize(Packed::stride_of(people), u64::MAX);
    let used = people % PEOPLE_OF_WORD;
    if used > 0
        && let Some(last) = words.last_mut()
    {
        *last |= u64::MAX << (2 * used);
    }
}

/// Counts the other allele instead: 0 and 2 change places.
pub(crate) fn swap(words: &mut [u64]) {
    for word in words {
        let even = (*word & LOW) ^ LOW;
        *word ^= even << 1;
    }
}

/// Genotypes of some people, in their order; the rest of the last word is missing.
pub(crate) fn take(words: &[u64], people: &[u32], taken: &mut Vec<u64>) {
    taken.clear();
    for chunk in people.chunks(PEOPLE_OF_WORD) {
        let mut word = u64::MAX;
        for (at, person) in chunk.iter().enumerate() {
            let person = *person as usize;
            let from = words.get(person / PEOPLE_OF_WORD).copied().unwrap_or(u64::MAX);
            let genotype = from >> (2 * (person % PEOPLE_OF_WORD)) & 3;
            word ^= (genotype ^ 3) << (2 * at);
        }
        taken.push(word);
    }
}

/// Copies of the counted allele and missing genotypes of some people, whose words are padded.
pub(crate) fn count(words: &[u64], people: usize) -> (u64, u64) {
    let (mut copies, mut missing) = (0_u64, 0_u64);
    for word in words {
        let (high, low) = (word >> 1 & LOW, word & LOW);
        missing += u64::from((high & low).count_ones());
        copies += u64::from((low & !high).count_ones()) + 2 * u64::from((high & !low).count_ones());
    }
    let padding = words.len() * PEOPLE_OF_WORD - people.min(words.len() * PEOPLE_OF_WORD);
    (copies, missing - padding as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Row;

    fn packed(genotypes: &[u8]) -> Vec<u64> {
        let mut words = Vec::new();
        let mut row = Row::new(&mut words);
        genotypes.iter().for_each(|it| row.push(*it));
        row.end();
        words
    }

    fn unpacked(words: &[u64], people: usize) -> Vec<u8> {
        let packed = Packed::new(people, words.to_vec()).unwrap();
        assert_eq!(packed.words(), words, "padding is missing");
        (0..people).map(|it| packed.genotype(0, it)).collect()
    }

    #[test]
    fn genotypes_are_converted_swapped_taken_and_counted() {
        let all: Vec<u8> =
            (0..75_u32).map(|it| u8::try_from((it * it + it / 7) % 4).unwrap()).collect();
        let words = packed(&all);
        assert_eq!(unpacked(&words, 75), all);
        // 0, 1, 2 copies and missing in PLINK's coding
        let mut bytes = vec![0_u8; 75_usize.div_ceil(4)];
        for (at, it) in all.iter().enumerate() {
            bytes[at / 4] |= [3_u8, 2, 0, 1][usize::from(*it)] << (2 * (at % 4));
        }
        let mut read = Vec::new();
        from_plink(&bytes, 75, &mut read);
        assert_eq!(read, words);
        let mut swapped = words.clone();
        swap(&mut swapped);
        let wanted: Vec<u8> = all.iter().map(|it| [2, 1, 0, 3][usize::from(*it)]).collect();
        assert_eq!(unpacked(&swapped, 75), wanted);
        let people: Vec<u32> = (0..75).rev().step_by(2).collect();
        let mut taken = Vec::new();
        take(&words, &people, &mut taken);
        let wanted: Vec<u8> = people.iter().map(|it| all[*it as usize]).collect();
        assert_eq!(unpacked(&taken, people.len()), wanted);
        let copies: u64 = all.iter().filter(|it| **it < 3).map(|it| u64::from(*it)).sum();
        let missing = all.iter().filter(|it| **it == 3).count() as u64;
        assert_eq!(count(&words, 75), (copies, missing));
        assert_eq!(count(&packed(&[3; 32]), 32), (0, 32));
        assert_eq!(count(&[], 0), (0, 0));
    }
}
