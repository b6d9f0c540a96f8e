//! The Merkle tree of RFC 6962, section 2.1, over the hashes of entries.

use sha2::{Digest, Sha256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of an entry as a leaf: SHA-256 of 0x00 and the entry.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(entry);
    hasher.finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// A tree that only grows. Keeps the hash of every complete subtree, so that roots and proofs of
/// this and of every earlier size cost a logarithm of the size; 64 bytes an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// `levels[k][i]`: hash over the leaves from `i * 2^k` on, `2^k` of them.
    levels: Vec<Vec<Hash>>,
}

impl Tree {
    /// How many leaves it has.
    #[must_use]
    pub fn size(&self) -> usize {
        self.levels.first().map_or(0, Vec::len)
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(own) = self.levels.get_mut(level) else { return };
            own.push(hash);
            let (true, Some([left, right])) =
                (own.len().is_multiple_of(2), own.last_chunk::<2>().copied())
            else {
                return;
            };
            hash = node_hash(&left, &right);
        }
    }

    /// The root over the first `size` leaves; `None` when there are fewer.
    #[must_use]
    pub fn root(&self, size: usize) -> Option<Hash> {
        match size {
            0 => Some(Sha256::digest([]).into()),
            _ if size > self.size() => None,
            _ => self.range(0, size),
        }
    }

    /// Hash over the leaves from `from` on, `count` of them; `from` is a multiple of the greatest
    /// power of two below `count`.
    fn range(&self, from: usize, count: usize) -> Option<Hash> {
        if count.is_power_of_two() {
            let level = usize::try_from(count.trailing_zeros()).ok()?;
            return self.levels.get(level)?.get(from >> level).copied();
        }
        let left = split(count);
        Some(node_hash(&self.range(from, left)?, &self.range(from + left, count - left)?))
    }

    /// Proof that leaf `index` (from 0) is among the first `size`: RFC 6962, section 2.1.1.
    #[must_use]
    pub fn inclusion(&self, index: usize, size: usize) -> Option<Vec<Hash>> {
        if index >= size || size > self.size() {
            return None;
        }
        let mut path = Vec::new();
        let (mut from, mut count) = (0, size);
        while count > 1 {
            let left = split(count);
            if index < from + left {
                path.push(self.range(from + left, count - left)?);
                count = left;
            } else {
                path.push(self.range(from, left)?);
                (from, count) = (from + left, count - left);
            }
        }
        path.reverse();
        Some(path)
    }

    /// Proof that the tree of `old` leaves is the beginning of the tree of `new` leaves: RFC 6962,
    /// section 2.1.2. Empty for equal sizes and for `old` = 0.
    #[must_use]
    pub fn consistency(&self, old: usize, new: usize) -> Option<Vec<Hash>> {
        if old > new || new > self.size() {
            return None;
        }
        let mut path = Vec::new();
        let (mut from, mut count, mut whole) = (0, new, true);
        while old != 0 && from + count != old {
            let left = split(count);
            if old <= from + left {
                path.push(self.range(from + left, count - left)?);
                count = left;
            } else {
                path.push(self.range(from, left)?);
                (from, count, whole) = (from + left, count - left, false);
            }
        }
        if !whole {
            path.push(self.range(from, count)?);
        }
        path.reverse();
        Some(path)
    }
}

/// The greatest power of two below `count`, which is at least 2.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// Whether `path` proves that `leaf` stands at `index` of the tree with `size` leaves and `root`:
/// RFC 9162, section 2.1.3.2.
#[must_use]
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    (size, root): (u64, &Hash),
    path: &[Hash],
) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether `path` proves that the tree (size, root) `old` is the beginning of the tree `new`: RFC
/// 9162, section 2.1.4.2.
#[must_use]
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), path: &[Hash]) -> bool {
    if old.0 > new.0 || (old.0 == new.0 && old.1 != new.1) {
        return false;
    }
    if old.0 == new.0 || old.0 == 0 {
        return path.is_empty();
    }
    let (mut at, mut last) = (old.0 - 1, new.0 - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // a complete old tree is its own first node
    let own = [*old.1];
    let mut nodes = if at == 0 { own.iter().chain(path) } else { [].iter().chain(path) };
    let Some(first) = nodes.next() else { return false };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for node in nodes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (old_hash, new_hash) = (node_hash(node, &old_hash), node_hash(node, &new_hash));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = node_hash(&new_hash, node);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == *old.1 && new_hash == *new.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex::{from_hex, to_hex};

    fn tree(size: usize) -> Tree {
        let mut tree = Tree::default();
        (0..size).for_each(|at| tree.push(leaf_hash(&at.to_le_bytes())));
        tree
    }

    /// The definition of RFC 6962, section 2.1, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let mut left = 1;
                while left * 2 < many.len() {
                    left *= 2;
                }
                node_hash(&defined(&many[..left]), &defined(&many[left..]))
            }
        }
    }

    // Roots that Certificate Transparency's reference implementation gives for these entries.
    #[test]
    fn roots_are_those_of_certificate_transparency() {
        let entries = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "60616263646566676869",
        ];
        let mut tree = Tree::default();
        assert_eq!(
            to_hex(&tree.root(0).unwrap()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        for entry in entries {
            tree.push(leaf_hash(&from_hex(entry).unwrap()));
        }
        let wanted = [
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        ];
        for (size, root) in wanted {
            assert_eq!(to_hex(&tree.root(size).unwrap()), root, "{size}");
        }
    }

    #[test]
    fn roots_follow_the_definition() {
        let all = tree(70);
        for size in 0..=70 {
            assert_eq!(all.root(size), Some(defined(&all.levels[0][..size])));
        }
        assert_eq!(all.root(71), None);
    }

    // Every proof holds for what it proves, and for nothing else.
    #[test]
    fn proofs_hold_for_one_place_and_one_tree() {
        let all = tree(40);
        for size in 1..=40_usize {
            let root = all.root(size).unwrap();
            let long = size as u64;
            for index in 0..size {
                let path = all.inclusion(index, size).unwrap();
                let leaf = all.levels[0][index];
                assert!(verify_inclusion(&leaf, index as u64, (long, &root), &path));
                let other = (index as u64 + 1) % long;
                assert!(size == 1 || !verify_inclusion(&leaf, other, (long, &root), &path));
                assert!(!verify_inclusion(&leaf_hash(b"x"), index as u64, (long, &root), &path));
                if let Some((_, cut)) = path.split_last() {
                    assert!(!verify_inclusion(&leaf, index as u64, (long, &root), cut));
                }
            }
            for old in 0..=size {
                let path = all.consistency(old, size).unwrap();
                let before = all.root(old).unwrap();
                assert!(verify_consistency((old as u64, &before), (long, &root), &path));
                let wrong = [9; 32];
                assert!(
                    old == 0 || !verify_consistency((old as u64, &wrong), (long, &root), &path)
                );
                assert!(!verify_consistency((long + 1, &before), (long, &root), &path));
                if old > 0 && old < size {
                    assert!(!verify_consistency((old as u64, &before), (long, &wrong), &path));
                    assert!(!verify_consistency((old as u64, &before), (long, &root), &[]));
                }
            }
        }
        assert_eq!(all.inclusion(3, 3), None);
        assert_eq!(all.consistency(4, 3), None);
        assert_eq!(all.consistency(4, 41), None);
    }
}
