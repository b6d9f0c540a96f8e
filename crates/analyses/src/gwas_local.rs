//! The local step of a genome-wide scan: who has genotypes, columns at right angles, sums of a block.

use crate::analysis::{AnalysisError, Patients};
use crate::design::Rows;
use konsil_cohort::{Dataset, Genotypes, Sex};
use konsil_kernels::{
    BlockSums, Coding, Dose, GenotypeCounts, PEOPLE_OF_WORD, Packed, SCAN_BITS, Scanner,
};
use std::collections::HashMap;
use std::sync::Arc;

/// A unit of the sums.
const UNIT: f64 = 1.0 / (1_u64 << SCAN_BITS) as f64;

/// One centre's patients who have genotypes.
pub(crate) struct Linked {
    /// Those of the cohort, in their order.
    pub(crate) patients: Dataset,
    pub(crate) genotypes: Arc<dyn Genotypes>,
    /// For each person of the genotypes the row among `patients`.
    people: Vec<Option<usize>>,
}

/// Whether each patient has genotypes.
pub(crate) fn have_genotypes(patients: &Dataset) -> Vec<bool> {
    let Some((genotypes, own)) = patients.genotypes().zip(patients.pseudonyms()) else {
        return vec![false; patients.rows()];
    };
    let people: std::collections::HashSet<_> = genotypes.people().iter().collect();
    own.iter().map(|pseudonym| people.contains(pseudonym)).collect()
}

impl Linked {
    /// Nothing while planning.
    ///
    /// # Errors
    /// [`AnalysisError::Genotypes`] for a centre that has none, or of another panel.
    pub(crate) fn new(
        patients: Patients<'_>,
        (panel, variants): (&str, usize),
    ) -> Result<Option<Self>, AnalysisError> {
        let Some(patients) = patients else { return Ok(None) };
        let wrong = |what| Err(AnalysisError::Genotypes { what });
        let Some(genotypes) = patients.genotypes().cloned() else {
            return wrong("this centre has imported none; konsil geno import");
        };
        if genotypes.panel_hash() != panel || genotypes.variants() != variants {
            return wrong("this centre has those of another panel; konsil geno list shows which");
        }
        let patients = patients.keep(&have_genotypes(patients))?;
        let Some(own) = patients.pseudonyms() else {
            return wrong("the patients have no identifiers, by which genotypes are found");
        };
        let rows: HashMap<_, usize> = own.iter().zip(0..).collect();
        let people = genotypes.people().iter().map(|it| rows.get(it).copied()).collect();
        Ok(Some(Self { patients, genotypes, people }))
    }

    /// The genotypes of some variants, given by rising numbers.
    ///
    /// # Errors
    /// [`AnalysisError::Cohort`].
    pub(crate) fn pick(&self, variants: &[usize]) -> Result<Packed, AnalysisError> {
        let people = self.genotypes.people().len();
        let mut words = Vec::with_capacity(variants.len() * Packed::stride_of(people));
        for variant in variants {
            words.extend_from_slice(self.genotypes.read(*variant, 1)?.words());
        }
        let what = "the file holds other people than its head says; import it again";
        Packed::new(people, words).ok_or(AnalysisError::Genotypes { what })
    }

    /// For each person of the genotypes the row among the patients, whatever values they miss.
    pub(crate) fn everyone(&self) -> &[Option<usize>] {
        &self.people
    }

    /// For each person of the genotypes the place among the rows of a model.
    pub(crate) fn places(&self, rows: &Rows) -> Vec<Option<usize>> {
        let mut place = vec![None; self.patients.rows()];
        for (at, row) in rows.kept.iter().enumerate() {
            if let Some(place) = place.get_mut(*row) {
                *place = Some(at);
            }
        }
        self.people.iter().map(|row| place.get((*row)?).copied().flatten()).collect()
    }
}

/// A trait without what the covariates say of it, and covariates at right angles: what each variant
/// is compared with. Patient data.
pub(crate) struct Target {
    scanner: Option<Scanner>,
    totals: Vec<f64>,
    patients: u64,
    /// Whether patients count by weights of their own, as in logistic regression.
    weighted: bool,
    /// Covariates that are projected out.
    pub(crate) covariates: usize,
    /// Traits; none where genotypes are only counted.
    pub(crate) traits: usize,
    /// Bits by which the traits were moved up before they were rounded.
    lift: u32,
}

/// The columns of a target, `[row]` or `[row][covariate]`. Patient data.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    /// What each trait's products with genotypes are made of.
    pub(crate) traits: &'a [Vec<f64>],
    /// The patients' own weights; empty for 1.
    pub(crate) weights: &'a [f64],
    /// The covariates, the intercept first. Without weights it needs no column: genotypes are moved by
    /// their mean.
    pub(crate) covariates: &'a [f64],
    pub(crate) order: usize,
    /// Bits by which traits are moved up before they are rounded.
    pub(crate) lift: u32,
}

/// How genotypes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counting {
    pub(crate) coding: Coding,
    /// Variants of which men have one copy, from the first to before the last number.
    pub(crate) x: Option<(usize, usize)>,
    /// Whether that copy counts one; else two.
    pub(crate) single: bool,
}

impl Counting {
    /// Whether something else is counted than copies as they stand.
    pub(crate) fn recodes(self) -> bool {
        self.coding != Coding::Additive || (self.single && self.x.is_some())
    }

    /// Variants of `count` from `first` of which men have one copy, counted from `first`.
    pub(crate) fn within(self, (first, count): (usize, usize)) -> Option<(usize, usize)> {
        let (from, to) = self.x?;
        let (from, to) = (from.max(first), to.min(first + count));
        (from < to).then(|| (from - first, to - first))
    }
}

/// Sums of a block, and the genotypes as they are, however they count.
pub(crate) struct Coded {
    pub(crate) counts: Vec<GenotypeCounts>,
    pub(crate) sums: BlockSums,
    /// Variants of the block of which men have one copy.
    pub(crate) x: Option<(usize, usize)>,
}

impl Target {
    /// Only counts genotypes, of `patients` people at these places; while planning of nobody.
    pub(crate) fn counting(places: Option<&[Option<usize>]>, patients: usize) -> Self {
        let scanner = places.map(|places| Scanner::new(places, &[], &[]));
        let patients = u64::try_from(patients).unwrap_or(u64::MAX);
        let (totals, weighted) = (Vec::new(), false);
        Self { scanner, patients, totals, weighted, covariates: 0, traits: 0, lift: 0 }
    }

    /// While planning: nobody.
    pub(crate) fn nobody(covariates: usize, traits: usize, weighted: bool) -> Self {
        let (scanner, totals) = (None, Vec::new());
        Self { scanner, totals, patients: 0, weighted, covariates, traits, lift: 0 }
    }

    /// Puts the columns beside each other.
    pub(crate) fn new(linked: &Linked, rows: &Rows, columns: Columns<'_>) -> Self {
        let Columns { traits, weights, order, lift, .. } = columns;
        let weighted = !weights.is_empty();
        let first = usize::from(!weighted);
        let mut doses = vec![Dose::Copies; traits.len()];
        if weighted {
            doses.extend([Dose::Copies, Dose::Squares]);
        }
        let covariates = order - first;
        doses.resize(doses.len() + covariates, Dose::Copies);
        let patients = rows.y.len();
        let mut values = Vec::with_capacity(doses.len() * patients);
        let up = f64::from(lift).exp2();
        for (at, row) in columns.covariates.chunks(order).enumerate() {
            let weight = weights.get(at).copied().unwrap_or(1.0);
            values.extend(traits.iter().map(|it| it.get(at).map_or(0.0, |it| it * up)));
            if weighted {
                values.extend([weight; 2]);
            }
            values.extend(row.iter().skip(first).map(|it| it * weight));
        }
        let scanner = Scanner::new(&linked.places(rows), &values, &doses);
        let totals = scanner.totals().iter().map(|it| *it as f64 * UNIT).collect();
        let patients = u64::try_from(patients).unwrap_or(u64::MAX);
        let (scanner, traits) = (Some(scanner), traits.len());
        Self { scanner, totals, patients, weighted, covariates, traits, lift }
    }

    /// Patients who take part.
    pub(crate) fn patients(&self) -> u64 {
        self.patients
    }

    /// The sums of `count` variants from `first`; of nothing while planning.
    pub(crate) fn sums(
        &self,
        genotypes: Option<&Arc<dyn Genotypes>>,
        (first, count): (usize, usize),
    ) -> Result<BlockSums, AnalysisError> {
        let block = match genotypes.filter(|_| self.scanner.is_some()) {
            Some(genotypes) => Some(genotypes.read(first, count)?),
            None => None,
        };
        self.sums_of(block.as_ref(), count)
    }

    /// The sums of `count` variants from `first`, genotypes counting as the model of inheritance says;
    /// of nothing while planning.
    pub(crate) fn coded(
        &self,
        genotypes: Option<&Arc<dyn Genotypes>>,
        (first, count): (usize, usize),
        counting: Counting,
    ) -> Result<Coded, AnalysisError> {
        let x = counting.within((first, count));
        let Some(genotypes) = genotypes.filter(|_| self.scanner.is_some()) else {
            return Ok(Coded { x, ..self.coded_of(None, count, counting.coding)? });
        };
        let block = genotypes.read(first, count)?;
        let Some(range) = x.filter(|_| counting.single) else {
            return Ok(Coded { x, ..self.coded_of(Some(&block), count, counting.coding)? });
        };
        let masks = sex_masks(genotypes.as_ref())?;
        let [stand, counted] = block.of_x((&masks[0], &masks[1]), range);
        let counts = self.scanner.as_ref().map(|it| it.counts(&stand)).unwrap_or_default();
        Ok(Coded { counts, sums: self.sums_of(Some(&counted), count)?, x })
    }

    /// As [`Target::coded`], of a block that was read.
    pub(crate) fn coded_of(
        &self,
        block: Option<&Packed>,
        count: usize,
        coding: Coding,
    ) -> Result<Coded, AnalysisError> {
        if coding == Coding::Additive {
            let sums = self.sums_of(block, count)?;
            return Ok(Coded { counts: sums.counts.clone(), sums, x: None });
        }
        let own = self.scanner.as_ref().zip(block).map(|(scanner, block)| scanner.counts(block));
        let sums = self.sums_of(block.map(|it| it.coded(coding)).as_ref(), count)?;
        Ok(Coded { counts: own.unwrap_or_else(|| sums.counts.clone()), sums, x: None })
    }

    /// The sums of a block of `count` variants; of nothing while planning.
    pub(crate) fn sums_of(
        &self,
        block: Option<&Packed>,
        count: usize,
    ) -> Result<BlockSums, AnalysisError> {
        let Some((scanner, block)) = self.scanner.as_ref().zip(block) else {
            return Ok(self.nothing(count));
        };
        let sums = scanner.scan(block);
        if sums.counts.len() != count {
            let what = "the file holds other people than its head says; import it again";
            return Err(AnalysisError::Genotypes { what });
        }
        Ok(sums)
    }

    fn nothing(&self, count: usize) -> BlockSums {
        let columns = count * self.columns();
        BlockSums {
            counts: vec![GenotypeCounts::default(); count],
            observed: vec![0; columns],
            missing: vec![0; columns],
        }
    }

    fn columns(&self) -> usize {
        self.traits + 2 * usize::from(self.weighted) + self.covariates
    }

    /// Variant `at` of a block, moved by `mean`, which stands for missing genotypes: gives
    /// `sum w (g - mean)^2`; `scores` takes `sum r (g - mean)` of each trait, `into` takes
    /// `sum w x (g - mean)` of each covariate.
    pub(crate) fn moved(
        &self,
        (sums, at): (&BlockSums, usize),
        mean: f64,
        (scores, into): (&mut [f64], &mut [f64]),
    ) -> f64 {
        let columns = self.columns();
        let place = at * columns..(at + 1) * columns;
        let observed = sums.observed.get(place.clone()).unwrap_or_default();
        let missing = sums.missing.get(place).unwrap_or_default();
        let known = |column: usize| {
            let total = self.totals.get(column).copied().unwrap_or(0.0);
            total - missing.get(column).map_or(0.0, |it| *it as f64 * UNIT)
        };
        let seen = |column: usize| observed.get(column).map_or(0.0, |it| *it as f64 * UNIT);
        let moved = |column: usize| seen(column) - mean * known(column);
        let down = (-f64::from(self.lift)).exp2();
        scores.iter_mut().enumerate().for_each(|(at, into)| *into = moved(at) * down);
        let first = columns - self.covariates;
        into.iter_mut().enumerate().for_each(|(at, into)| *into = moved(first + at));
        if self.weighted {
            let (copies, squares) = (self.traits, self.traits + 1);
            seen(squares) - mean * (2.0 * seen(copies) - mean * known(copies))
        } else {
            let counts = sums.counts.get(at).copied().unwrap_or_default();
            let (one, two) = (f64::from(counts.one), f64::from(counts.two));
            let people = self.patients as f64 - f64::from(counts.missing);
            one + 4.0 * two - mean * (2.0 * (one + 2.0 * two) - mean * people)
        }
    }
}

/// Both bits of the men, and of those whose sex is not known.
///
/// # Errors
/// [`AnalysisError::Genotypes`] for a centre that knows no sex at all.
fn sex_masks(genotypes: &dyn Genotypes) -> Result<[Vec<u64>; 2], AnalysisError> {
    let sexes = genotypes.sexes();
    if !sexes.iter().any(|it| *it != Sex::Unknown) {
        let what = "sexes are not known, by which men count one copy of X; import again with files \
                    that have them, or with --sex VARIABLE";
        return Err(AnalysisError::Genotypes { what });
    }
    let mut masks = [Sex::Male, Sex::Unknown].map(|_| vec![0; Packed::stride_of(sexes.len())]);
    for (person, sex) in sexes.iter().enumerate() {
        let [men, unknown] = &mut masks;
        let mask = match sex {
            Sex::Male => men,
            Sex::Unknown => unknown,
            Sex::Female => continue,
        };
        if let Some(word) = mask.get_mut(person / PEOPLE_OF_WORD) {
            *word |= 3 << (2 * (person % PEOPLE_OF_WORD));
        }
    }
    Ok(masks)
}

/// Rows of covariates at right angles to each other, `[row][order]`: `L z = row`.
pub(crate) fn turned(rows: &[f64], lower: &[f64], order: usize) -> Vec<f64> {
    rows.chunks(order.max(1)).flat_map(|row| forward(lower, row)).collect()
}

/// Solves `L z = row`.
fn forward(lower: &[f64], row: &[f64]) -> Vec<f64> {
    let order = row.len();
    let mut z = row.to_vec();
    for i in 0..order {
        let known: f64 = (0..i).map(|k| lower[i * order + k] * z[k]).sum();
        z[i] = (z[i] - known) / lower[i * order + i];
    }
    z
}
