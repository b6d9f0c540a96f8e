//! The local step of a genome-wide scan: who has genotypes, columns at right angles, sums of a block.

use crate::analysis::{AnalysisError, Patients};
use crate::design::Rows;
use konsil_cohort::{Dataset, Genotypes, Sex};
use konsil_kernels::{
    BlockSums, Coding, DOSE_BITS, Dose, DoseCounts, Doses, GenotypeCounts, PEOPLE_OF_WORD, Packed,
    SCAN_BITS, Scanner, copies_of,
};
use std::collections::HashMap;
use std::sync::Arc;

/// A unit of the sums.
const UNIT: f64 = 1.0 / (1_u64 << SCAN_BITS) as f64;

/// Doses that are in memory at a time, but for a few variants of very many people.
const DOSES_MAX: usize = 1 << 25;
/// These few.
const DOSED_MIN: usize = 64;

/// Genotypes of some variants, and doses where these count. Patient data.
pub(crate) struct Chosen {
    pub(crate) packed: Packed,
    pub(crate) doses: Doses,
}

impl Chosen {
    /// What a person's genotype counts; none for a missing one.
    pub(crate) fn copies(&self, variant: usize, person: usize) -> Option<f64> {
        match self.doses.of(variant) {
            Some(doses) => doses.get(person).and_then(|it| copies_of(*it)),
            None => {
                let copies = self.packed.genotype(variant, person);
                (copies < 3).then(|| f64::from(copies))
            }
        }
    }
}

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

    /// The genotypes of some variants, given by rising numbers, and doses if these count.
    ///
    /// # Errors
    /// [`AnalysisError::Cohort`].
    pub(crate) fn choose(
        &self,
        variants: &[usize],
        counting: Counting,
    ) -> Result<Chosen, AnalysisError> {
        let mut doses = Doses::none(self.genotypes.people().len());
        for (at, variant) in variants.iter().enumerate().filter(|_| counting.doses) {
            if let Some(own) = self.genotypes.doses(*variant, 1)?.of(0) {
                doses.push(at, own);
            }
        }
        Ok(Chosen { packed: self.pick(variants)?, doses })
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
    /// The patients' own weights, be there a patient or not; `None` where each counts 1.
    pub(crate) weights: Option<&'a [f64]>,
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
    /// Whether doses count where there are any.
    pub(crate) doses: bool,
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
#[derive(Default)]
pub(crate) struct Coded {
    pub(crate) counts: Vec<GenotypeCounts>,
    pub(crate) sums: BlockSums,
    /// Variants of the block of which men have one copy.
    pub(crate) x: Option<(usize, usize)>,
}

impl Coded {
    /// Adds the variants of another block behind these.
    fn append(&mut self, mut other: Self) {
        self.counts.append(&mut other.counts);
        self.sums.counts.append(&mut other.sums.counts);
        self.sums.observed.append(&mut other.sums.observed);
        self.sums.missing.append(&mut other.sums.missing);
        self.sums.doses.append(&mut other.sums.doses);
    }
}

/// Sums of as many variants as were asked for.
fn checked(sums: BlockSums, count: usize) -> Result<BlockSums, AnalysisError> {
    if sums.counts.len() != count {
        let what = "the file holds other people than its head says; import it again";
        return Err(AnalysisError::Genotypes { what });
    }
    Ok(sums)
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
        let weighted = weights.is_some();
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
            let weight = weights.map_or(1.0, |it| it.get(at).copied().unwrap_or(0.0));
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

    /// The sums of `count` variants from `first`, genotypes counting as is said; of nothing while
    /// planning.
    pub(crate) fn coded(
        &self,
        genotypes: Option<&Arc<dyn Genotypes>>,
        (first, count): (usize, usize),
        counting: Counting,
    ) -> Result<Coded, AnalysisError> {
        let genotypes = genotypes.filter(|_| self.scanner.is_some());
        if counting.doses {
            let Some(genotypes) = genotypes else { return self.dosed_of(None, count) };
            let people = genotypes.people().len().max(1);
            return self.dosed(genotypes, (first, count), (DOSES_MAX / people).max(DOSED_MIN));
        }
        let x = counting.within((first, count));
        let Some(genotypes) = genotypes else {
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

    /// The sums of `count` variants from `first` with doses, `step` of them in memory at a time.
    fn dosed(
        &self,
        genotypes: &Arc<dyn Genotypes>,
        (first, count): (usize, usize),
        step: usize,
    ) -> Result<Coded, AnalysisError> {
        let mut all = Coded::default();
        for at in (0..count).step_by(step.max(1)) {
            let (first, few) = (first + at, step.min(count - at));
            let (packed, doses) = (genotypes.read(first, few)?, genotypes.doses(first, few)?);
            all.append(self.dosed_of(Some(&Chosen { packed, doses }), few)?);
        }
        Ok(all)
    }

    /// As [`Target::coded`], of variants that were chosen; of nothing while planning.
    pub(crate) fn chosen(
        &self,
        chosen: Option<&Chosen>,
        count: usize,
        counting: Counting,
    ) -> Result<Coded, AnalysisError> {
        if counting.doses {
            self.dosed_of(chosen, count)
        } else {
            self.coded_of(chosen.map(|it| &it.packed), count, counting.coding)
        }
    }

    /// The sums of `count` variants with doses; of nothing while planning.
    fn dosed_of(&self, chosen: Option<&Chosen>, count: usize) -> Result<Coded, AnalysisError> {
        let sums = match self.scanner.as_ref().zip(chosen) {
            Some((scanner, it)) => checked(scanner.scan_doses(&it.packed, &it.doses), count)?,
            None => {
                let doses = vec![DoseCounts::default(); count];
                BlockSums { doses, ..self.nothing(count) }
            }
        };
        Ok(Coded { counts: sums.counts.clone(), sums, x: None })
    }

    /// As [`Target::coded`], of a block that was read.
    fn coded_of(
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
        checked(scanner.scan(block), count)
    }

    fn nothing(&self, count: usize) -> BlockSums {
        let columns = count * self.columns();
        BlockSums {
            counts: vec![GenotypeCounts::default(); count],
            observed: vec![0; columns],
            missing: vec![0; columns],
            doses: Vec::new(),
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
            let (people, copies, squares) = match sums.doses.get(at) {
                Some(doses) => {
                    let unit = (-f64::from(DOSE_BITS)).exp2();
                    let (copies, squares) = (doses.sum as f64, doses.squares as f64);
                    (f64::from(doses.known), copies * unit, squares * unit * unit)
                }
                None => (people, one + 2.0 * two, one + 4.0 * two),
            };
            squares - mean * (2.0 * copies - mean * people)
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

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_cohort::{CohortError, Pseudonym};

    /// Three people: at variant `n` genotypes and doses follow from `n`; the odd ones have doses.
    #[derive(Debug)]
    struct Made(Vec<Pseudonym>);

    impl Genotypes for Made {
        fn panel_hash(&self) -> &'static str {
            ""
        }

        fn variants(&self) -> usize {
            7
        }

        fn people(&self) -> &[Pseudonym] {
            &self.0
        }

        fn read(&self, first: usize, count: usize) -> Result<Packed, CohortError> {
            let words = (first..first + count).map(|it| [0b01_10_00, 0b11_01_10][it % 2]);
            Ok(Packed::new(3, words.collect()).unwrap())
        }

        fn doses(&self, first: usize, count: usize) -> Result<Doses, CohortError> {
            let mut doses = Doses::none(3);
            for at in (0..count).filter(|at| (first + at) % 2 == 1) {
                let dose = u16::try_from(first + at).unwrap();
                assert!(doses.push(at, &[dose, 2 * dose, 3 * dose]));
            }
            Ok(doses)
        }
    }

    // However many are in memory at a time; of nobody while planning.
    #[test]
    fn blocks_with_doses_are_read_in_steps() {
        let genotypes: Arc<dyn Genotypes> = Arc::new(Made(vec![[1; 16], [2; 16], [3; 16]]));
        let target = Target::counting(Some(&[Some(0), Some(1), Some(2)]), 3);
        let whole = target.dosed(&genotypes, (1, 6), 6).unwrap();
        let sums: Vec<u64> = whole.sums.doses.iter().map(|it| it.sum).collect();
        let copies = 3 << DOSE_BITS;
        assert_eq!(sums, [6, copies, 18, copies, 30, copies]);
        for step in [1, 2, 4, 5] {
            let parts = target.dosed(&genotypes, (1, 6), step).unwrap();
            assert!(parts.sums.doses == whole.sums.doses && parts.counts == whole.counts, "{step}");
        }
        let counting = Counting { doses: true, ..Counting::default() };
        let planned =
            Target::nobody(2, 1, false).coded(Some(&genotypes), (1, 6), counting).unwrap();
        assert_eq!((planned.sums.doses.len(), planned.sums.observed.len()), (6, 18));
    }
}
