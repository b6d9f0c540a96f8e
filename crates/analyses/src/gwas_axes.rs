//! Principal axes of the genotypes of all centres: which way people differ, so that traits can be
//! compared among like.
//!
//! Of variants spread evenly over the panel, those that pass the floors are standardised by their pooled
//! frequencies. Block Lanczos steps with full orthogonalisation: in each, every centre multiplies its own
//! genotypes with the public directions of the last, and the sums over all centres, a number for each
//! variant and direction, are opened to the centres. The axes are then known to every centre, which
//! places its own people on them at home; nobody else learns where a person stands.
//!
//! # Sources
//! Golub and Underwood (1977), The block Lanczos method, in Mathematical Software III. Standardised
//! genotypes: Price and others (2006), Nat. Genet. 38:904.

use crate::analysis::{AnalysisError, Setting};
use crate::correlated::eigen;
use crate::design::Rows;
use crate::gwas::AXES;
use crate::gwas_local::{Linked, Target};
use crate::gwas_steps::{Floors, Step};
use crate::public_numbers::PublicNumbers;
use crate::table::{Cell, Table};
use konsil_kernels::{Dose, PEOPLE_OF_WORD, Packed, SCAN_BITS, Scanner};
use konsil_mpc::{Session, Shared};
use konsil_ring::{decode_scaled, encode_count};

/// Directions beyond those that are asked for, which make the last ones settle.
const BEYOND: usize = 3;
/// Steps.
const STEPS: usize = 10;
/// Most variants that are looked at.
const CHOSEN_MAX: usize = 20_000;
/// Public seed of the first directions.
const SEED: u32 = 20_261_127;
/// Fractional bits, and bytes, of a number that is opened.
const AXIS_BITS: u32 = 40;
const AXIS_BYTES: usize = 8;

/// What is asked: how many axes, of which panel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axes {
    pub(crate) count: usize,
    pub(crate) panel: usize,
    pub(crate) floors: Floors,
}

/// Where this centre's patients stand, `[row][axis]`, in units of about a standard deviation; and the
/// eigenvalues of the matrix of relationships, known to all centres.
pub(crate) struct Placed {
    pub(crate) scores: Vec<f64>,
    pub(crate) eigenvalues: Vec<f64>,
}

/// The mean, and one over the standard deviation, of a variant that takes part.
type Standard = Option<(f64, f64)>;

/// Standardised genotypes of this centre's patients.
pub(crate) struct Genome {
    packed: Packed,
    places: Vec<Option<usize>>,
    standards: Vec<Standard>,
    rows: usize,
}

impl Axes {
    /// Numbers that are opened for each variant: the parameters of this model of the genotypes.
    pub(crate) fn parameters(&self) -> usize {
        if self.count == 0 { 0 } else { (self.count + BEYOND) * STEPS }
    }

    /// Variants that are looked at, evenly over the panel.
    fn chosen(&self) -> Vec<usize> {
        let step = self.panel.div_ceil(CHOSEN_MAX).max(1);
        (0..self.panel).step_by(step).collect()
    }

    /// How many variants are looked at.
    pub(crate) fn variants(&self) -> usize {
        self.chosen().len()
    }

    /// Finds the axes and places this centre's patients on them.
    ///
    /// # Errors
    /// [`AnalysisError`]; [`AnalysisError::Unsettled`] where fewer axes exist than were asked for.
    pub(crate) fn place(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        (linked, rows): (Option<&Linked>, &Rows),
    ) -> Result<Placed, AnalysisError> {
        let frame = (setting, linked);
        let (chosen, genome) = self.standardised(session, frame, rows)?;
        let genotypes = genome.as_ref();
        let (axes, eigenvalues) = self.lanczos(session, genotypes, chosen.len())?;
        let Some(genotypes) = genotypes else {
            return Ok(Placed { scores: Vec::new(), eigenvalues });
        };
        let mut scores = genotypes.projected(&axes, self.count);
        // public: each axis' scores have the eigenvalue as their sum of squares
        let used = genotypes.used();
        let people: usize = setting.rows_at_most.iter().sum();
        for row in scores.chunks_mut(self.count.max(1)) {
            for (score, value) in row.iter_mut().zip(&eigenvalues) {
                *score *= (people as f64 / (value * used)).sqrt();
            }
        }
        Ok(Placed { scores, eigenvalues })
    }

    /// The variants that are looked at, and their genotypes, standardised by what all centres know of
    /// them; nobody's while planning.
    pub(crate) fn standardised(
        &self,
        session: &mut dyn Session,
        (setting, linked): (&Setting, Option<&Linked>),
        rows: &Rows,
    ) -> Result<(Vec<usize>, Option<Genome>), AnalysisError> {
        let chosen = self.chosen();
        let places = linked.map(|it| it.places(rows)).unwrap_or_default();
        let target = Target::counting(linked.map(|_| places.as_slice()), rows.y.len());
        let packed = linked.map(|it| it.pick(&chosen)).transpose()?;
        let sums = target.sums_of(packed.as_ref(), chosen.len())?;
        let patients = session.input(&[encode_count(target.patients())])?;
        let step = Step { floors: self.floors, setting, target: &target, patients: &patients };
        let verdicts = step.judge(session, &sums.counts)?;
        let alleles = step.alleles(session, &sums.counts, &verdicts)?;
        session.narrow(16);
        let standard = |(known, copies): &(u32, u32)| {
            let mean = f64::from(*copies) / f64::from(*known);
            let variance = mean * (1.0 - mean / 2.0);
            (variance > 0.0).then(|| (mean, variance.sqrt().recip()))
        };
        let standards: Vec<Standard> = alleles.iter().map(standard).collect();
        let rows = rows.y.len();
        let genome = packed.map(|packed| Genome { packed, places, standards, rows });
        Ok((chosen, genome))
    }

    /// The directions, `[variant][axis]`, and their eigenvalues.
    fn lanczos(
        &self,
        session: &mut dyn Session,
        genotypes: Option<&Genome>,
        variants: usize,
    ) -> Result<(Vec<f64>, Vec<f64>), AnalysisError> {
        let width = self.count + BEYOND;
        let used = genotypes.map_or(1.0, Genome::used);
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let mut images: Vec<Vec<f64>> = Vec::new();
        let mut numbers = PublicNumbers::new(SEED);
        let mut drawn = |at: usize| {
            let takes_part = genotypes.is_some_and(|it| it.takes_part(at));
            if takes_part { numbers.normal() } else { 0.0 }
        };
        let mut next: Vec<Vec<f64>> =
            (0..width).map(|_| (0..variants).map(&mut drawn).collect()).collect();
        for _ in 0..STEPS {
            if genotypes.is_some() {
                orthogonalise(&basis, &mut next);
            }
            let own = genotypes.map_or_else(
                || vec![0.0; variants * width],
                |it| it.returned(&it.projected(&by_variant(&next), width), width),
            );
            let mine: Vec<_> = own.iter().map(|it| fixed(it / used)).collect();
            let shared: Shared = session.input(&mine)?;
            session.narrow(AXIS_BYTES);
            let opened = session.open(AXES, &shared)?;
            session.narrow(16);
            let opened: Vec<f64> = opened.iter().map(|it| decode_scaled(*it, AXIS_BITS)).collect();
            let columns: Vec<Vec<f64>> = (0..width)
                .map(|at| opened.iter().skip(at).step_by(width).copied().collect())
                .collect();
            basis.append(&mut next);
            images.extend(columns.iter().cloned());
            next = columns;
        }
        if genotypes.is_none() {
            return Ok((Vec::new(), vec![0.0; self.count]));
        }
        self.ritz(&basis, &images)
    }

    /// The best axes within the space of all directions, whose images are known.
    fn ritz(
        &self,
        basis: &[Vec<f64>],
        images: &[Vec<f64>],
    ) -> Result<(Vec<f64>, Vec<f64>), AnalysisError> {
        let order = basis.len();
        let mut form = vec![0.0; order * order];
        for (i, left) in basis.iter().enumerate() {
            for (j, right) in images.iter().enumerate().skip(i) {
                let value = product(left, right);
                form[i * order + j] = value;
                form[j * order + i] = value;
            }
        }
        let found = eigen(&form, order);
        let mut axes: Vec<Vec<f64>> = Vec::new();
        let mut eigenvalues = Vec::new();
        for (value, vector) in found.into_iter().take(self.count) {
            if value < 1e-9 {
                let what = "the genotypes have fewer axes than were asked for; ask for fewer";
                return Err(AnalysisError::Unsettled { what });
            }
            let mut axis = vec![0.0; basis.first().map_or(0, Vec::len)];
            for (weight, column) in vector.iter().zip(basis) {
                axis.iter_mut().zip(column).for_each(|(sum, it)| *sum += weight * it);
            }
            axes.push(axis);
            eigenvalues.push(value);
        }
        Ok((by_variant(&axes), eigenvalues))
    }
}

/// A real in fixed point; too large ones, which only a wrong input makes, are cut off.
fn fixed(real: f64) -> u128 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let whole = (real * (1_u64 << AXIS_BITS) as f64).round() as i64;
    i128::from(whole).cast_unsigned()
}

fn product(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(a, b)| a * b).sum()
}

/// `[variant][column]` of columns.
fn by_variant(columns: &[Vec<f64>]) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect()
}

/// Takes the basis and each other out of the columns, twice, and gives them unit length; what is left
/// of a column that depended on them is 0.
fn orthogonalise(basis: &[Vec<f64>], columns: &mut [Vec<f64>]) {
    for at in 0..columns.len() {
        let (before, rest) = columns.split_at_mut(at);
        let Some(column) = rest.first_mut() else { return };
        let length = product(column, column).sqrt();
        for _ in 0..2 {
            for other in basis.iter().chain(before.iter()) {
                let part = product(other, column);
                column.iter_mut().zip(other).for_each(|(it, other)| *it -= part * other);
            }
        }
        let left = product(column, column).sqrt();
        let factor = if left > 1e-10 * length { left.recip() } else { 0.0 };
        column.iter_mut().for_each(|it| *it *= factor);
    }
}

impl Genome {
    /// How many variants take part.
    pub(crate) fn used(&self) -> f64 {
        self.standards.iter().flatten().count().max(1) as f64
    }

    fn takes_part(&self, variant: usize) -> bool {
        self.standards.get(variant).is_some_and(Option::is_some)
    }

    /// This centre's patients times directions `[variant][width]`: `[row][width]`.
    pub(crate) fn projected(&self, directions: &[f64], width: usize) -> Vec<f64> {
        let mut scores = vec![0.0; self.rows * width];
        let mut entries = vec![0.0; 4 * width];
        for (variant, standard) in self.standards.iter().enumerate() {
            let Some((mean, inverse)) = standard else { continue };
            let weights =
                directions.get(variant * width..(variant + 1) * width).unwrap_or_default();
            for (copies, entries) in [0.0, 1.0, 2.0, *mean].iter().zip(entries.chunks_mut(width)) {
                let value = (copies - mean) * inverse;
                entries.iter_mut().zip(weights).for_each(|(it, weight)| *it = value * weight);
            }
            let words = self.packed.variant(variant);
            for (places, word) in self.places.chunks(PEOPLE_OF_WORD).zip(words) {
                for (person, row) in places.iter().enumerate() {
                    let Some(row) = row else { continue };
                    let genotype = usize::try_from(word >> (2 * person) & 3).unwrap_or(3);
                    let entry = entries.get(genotype * width..).unwrap_or_default();
                    let into = scores.get_mut(row * width..(row + 1) * width).unwrap_or_default();
                    into.iter_mut().zip(entry).for_each(|(sum, it)| *sum += it);
                }
            }
        }
        scores
    }

    /// Scores `[row][width]` times genotypes: `[variant][width]`.
    pub(crate) fn returned(&self, scores: &[f64], width: usize) -> Vec<f64> {
        const UNIT: f64 = 1.0 / (1_u64 << SCAN_BITS) as f64;
        let scanner = Scanner::new(&self.places, scores, &vec![Dose::Copies; width]);
        let totals = scanner.totals();
        let sums = scanner.scan(&self.packed);
        let mut returned = vec![0.0; self.standards.len() * width];
        for (variant, standard) in self.standards.iter().enumerate() {
            let Some((mean, inverse)) = standard else { continue };
            for (column, total) in totals.iter().enumerate() {
                let at = variant * width + column;
                let seen = sums.observed[at] as f64;
                let known = (total - sums.missing[at]) as f64;
                returned[at] = (seen - mean * known) * UNIT * inverse;
            }
        }
        returned
    }
}

/// Eigenvalues of the matrix of relationships, as PLINK's `eigenval` has them.
pub(crate) fn eigenvalue_table(values: &[f64]) -> Vec<Table> {
    if values.is_empty() {
        return Vec::new();
    }
    let mut table = Table::new("axes", &["axis", "eigenvalue"]);
    for (at, value) in (1_u32..).zip(values) {
        table.rows.push(vec![Cell::Count(f64::from(at)), Cell::Number(*value)]);
    }
    vec![table]
}
