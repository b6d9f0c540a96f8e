//! Numbers that look random and that everybody can draw again from a public seed.

/// Park and Miller's generator (1988, Commun. ACM 31:1192) with the multiplier 48271.
pub(crate) struct PublicNumbers(u64);

impl PublicNumbers {
    /// From a seed of 1 to 2^31 - 2.
    pub(crate) fn new(seed: u32) -> Self {
        Self(u64::from(seed))
    }

    /// Evenly between 0 and 1, neither of them.
    pub(crate) fn even(&mut self) -> f64 {
        self.0 = self.0 * 48_271 % 2_147_483_647;
        self.0 as f64 / 2_147_483_647.0
    }

    /// Normal, by Box and Muller (1958), of two even ones.
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.even(), self.even());
        (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
    }

    /// Puts so many rows evenly into folds, in an order that is drawn.
    pub(crate) fn folds(&mut self, rows: usize, folds: usize) -> Vec<usize> {
        let keys: Vec<f64> = (0..rows).map(|_| self.even()).collect();
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by(|left, right| keys[*left].total_cmp(&keys[*right]));
        let mut fold = vec![0; rows];
        order.into_iter().enumerate().for_each(|(place, row)| fold[row] = place % folds.max(1));
        fold
    }
}
