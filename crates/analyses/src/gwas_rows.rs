//! What the researcher reads out of a scan's release: rows of variants, tables.

use crate::analysis::{AnalysisError, Findings};
use crate::gwas::{CORRECTED, Gwas, STATISTICS, TOTALS, blocks_of};
use crate::gwas_alone::{Combined, EACH, combined, words_of};
use crate::gwas_axes::eigenvalue_table;
use crate::gwas_block::{DOSE_BITS_AT, Layout};
use crate::gwas_null::{Null, Trait};
use crate::gwas_request::Correct;
use crate::gwas_steps::Verdict;
use crate::log_tails::{Student, normal};
use crate::scan::{Scan, ScanRow, ScanTest, Skipped};
use crate::table::{Cell, Table};
use konsil_disclosure::Release;
use konsil_ring::{Word, decode_scaled};

/// Variants of a block.
pub(crate) const BLOCK: usize = 8192;
/// A variant whose deviations are explained by the covariates up to this part is one of them.
pub(crate) const EXPLAINED: f64 = 1e-6;
/// Numbers of a corrected hit: which variant, effect, standard error, statistic, `-log10 p`.
pub(crate) const CORRECTED_EACH: usize = 5;
/// Fractional bits of the others.
pub(crate) const CORRECTED_BITS: u32 = 60;

/// What all rows of a scan share.
struct Totals {
    patients: f64,
    square_bits: u32,
    score_bits: u32,
    count_bits: u32,
    /// What a count of alleles counts.
    count_unit: f64,
    /// Bits below a square in its word; 0 where scores stand apart.
    lift: u32,
    /// Residual sums of squares of the traits, or of one trait for each chromosome.
    squares: Vec<f64>,
    eigenvalues: Vec<f64>,
    freedom: f64,
    student: Student,
    /// Whether centres were fitted alone.
    meta: bool,
}

/// One variant's numbers.
struct Numbers {
    square: f64,
    scores: Vec<f64>,
    /// Where centres were fitted alone, one for each trait.
    combined: Vec<Combined>,
    known: u32,
    copies: u32,
}

impl Totals {
    fn of(words: &[Word], (squares, order): (usize, usize), meta: bool) -> Self {
        let at = |at: usize| words.get(at).copied().unwrap_or_default();
        let bits = |place: usize| u32::try_from(at(place) & 0xffff_ffff).unwrap_or(0);
        let dose_bits = u32::try_from(at(3) >> DOSE_BITS_AT).unwrap_or(0).min(31);
        let reals = |from: usize| words.iter().skip(from).map(|it| decode_scaled(*it, 40));
        let patients = decode_scaled(at(0), 0);
        let freedom = patients - order as f64 - 1.0;
        Self {
            patients,
            square_bits: bits(1),
            score_bits: bits(2),
            count_bits: bits(3),
            count_unit: (-f64::from(dose_bits)).exp2(),
            lift: bits(4),
            squares: reals(5).take(squares).collect(),
            eigenvalues: reals(5 + squares).collect(),
            freedom,
            student: Student::new(freedom),
            meta,
        }
    }

    /// Words of a block of so many variants.
    fn words(&self, variants: usize, (traits, counts): (usize, usize)) -> usize {
        if self.meta {
            return words_of(variants, traits, (self.count_bits, counts));
        }
        let numbers = if self.lift > 0 { 1 + (traits - 1).div_ceil(2) } else { 1 + traits };
        let each = Layout::in_word(self.count_bits, counts).max(1);
        numbers * variants + variants.div_ceil(each)
    }

    /// The numbers of a block's variants.
    fn numbers(&self, words: &[Word], variants: usize, sizes: (usize, usize)) -> Vec<Numbers> {
        let (traits, counts) = sizes;
        let word = |column: usize, at: usize| {
            words.get(column * variants + at).copied().unwrap_or_default()
        };
        let low = |word: Word, bits: u32| {
            let above = u128::BITS - bits;
            ((word << above).cast_signed() >> above).cast_unsigned()
        };
        let score = |word: Word| decode_scaled(word, self.score_bits);
        let each = Layout::in_word(self.count_bits, counts).max(1);
        let before = self.words(variants, sizes) - variants.div_ceil(each);
        let count = |at: usize, field: u32| {
            let word = words.get(before + at / each).copied().unwrap_or_default();
            let place = u32::try_from(at % each * counts).unwrap_or(0) + field;
            let count = word >> (place * self.count_bits) & ((1 << self.count_bits) - 1);
            u32::try_from(count).unwrap_or(0)
        };
        let one = |at: usize| {
            if self.meta {
                let sums =
                    |number: usize| combined([0, 1, 2].map(|it| word(EACH * number + it, at)));
                let combined = (0..traits).map(sums).collect();
                let (square, scores) = (f64::NAN, Vec::new());
                return Numbers {
                    square,
                    scores,
                    combined,
                    known: count(at, 0),
                    copies: count(at, 1),
                };
            }
            let first = word(0, at);
            let (square, scores) = if self.lift > 0 {
                let own = low(first, self.lift);
                let further = (1..traits).map(|number| {
                    let pair = word(1 + (number - 1) / 2, at);
                    let second = (number - 1) % 2 == 1;
                    let below = low(pair, 64);
                    if second { low(pair.wrapping_sub(below) >> 64, 64) } else { below }
                });
                let scores = std::iter::once(own).chain(further).map(score).collect();
                (first.wrapping_sub(own), scores)
            } else {
                (first, (1..=traits).map(|column| score(word(column, at))).collect())
            };
            let square = decode_scaled(square, self.square_bits);
            let combined = Vec::new();
            Numbers { square, scores, combined, known: count(at, 0), copies: count(at, 1) }
        };
        (0..variants).map(one).collect()
    }
}

/// One variant's row for one trait.
fn row(
    variant: u32,
    numbers: &Numbers,
    (squares, number, measured): (usize, usize, Option<&Trait>),
    totals: &Totals,
) -> ScanRow {
    let score = numbers.scores.get(number).copied().unwrap_or(f64::NAN);
    let square = numbers.square;
    let mut row = ScanRow {
        variant,
        observed: f64::from(numbers.known),
        alternative: f64::from(numbers.copies) * totals.count_unit,
        beta: f64::NAN,
        error: f64::NAN,
        statistic: f64::NAN,
        log10_p: f64::NAN,
        skipped: None,
        corrected: false,
        heterogeneity: f64::NAN,
    };
    if numbers.known == 0 {
        row.alternative = f64::NAN;
        row.skipped = Some(Verdict::of_code(numbers.copies).skipped());
        return row;
    }
    if let Some(combined) = numbers.combined.get(number) {
        let scale = measured.map_or(1.0, |it| it.scale);
        if !combined.beta.is_finite() {
            row.skipped = Some(Skipped::Collinear);
            return row;
        }
        (row.beta, row.error) = (combined.beta * scale, combined.error * scale);
        row.statistic = combined.beta / combined.error;
        (row.log10_p, row.heterogeneity) = (combined.log10_p, combined.heterogeneity);
        return row;
    }
    if square <= EXPLAINED * row.alternative.min(2.0 * row.observed - row.alternative) {
        row.skipped = Some(Skipped::Collinear);
        return row;
    }
    let beta = score / square;
    if let Some(Trait { scale, .. }) = measured {
        let all = totals.squares.get(squares).copied().unwrap_or(f64::NAN);
        let rest = (all - score * beta) / totals.freedom;
        let error = (rest / square).max(0.0).sqrt();
        row.beta = beta * scale;
        row.error = error * scale;
        row.statistic = beta / error;
        row.log10_p = totals.student.tail(row.statistic);
    } else {
        row.beta = beta;
        row.error = square.sqrt().recip();
        row.statistic = score / square.sqrt();
        row.log10_p = normal(row.statistic);
    }
    row
}

impl Gwas {
    /// Puts corrected hits in place of their rows; how many there are.
    fn correct(&self, release: &Release, rows: &mut [ScanRow]) -> Result<usize, AnalysisError> {
        if self.asked.hits.is_none_or(|it| it.correct.is_none()) {
            return Ok(0);
        }
        let mut corrected = 0;
        for hit in release.words(CORRECTED)?.chunks_exact(CORRECTED_EACH) {
            let number = |at: usize| decode_scaled(hit[at], CORRECTED_BITS);
            let Some(at) = usize::try_from(hit[0]).ok().and_then(|it| it.checked_sub(1)) else {
                continue;
            };
            let place = at.checked_sub(self.asked.range.0);
            let Some(row) = place.and_then(|place| rows.get_mut(place)) else { continue };
            (row.beta, row.error) = (number(1), number(2));
            (row.statistic, row.log10_p) = (number(3), number(4));
            row.corrected = true;
            corrected += 1;
        }
        Ok(corrected)
    }

    /// Rows of all traits.
    fn scans(&self, release: &Release, totals: &Totals) -> Result<Vec<Scan>, AnalysisError> {
        let measured: Option<&[Trait]> = match &self.null {
            Null::Linear(_, traits) => Some(traits),
            Null::Logistic(_) | Null::Survival(_) => None,
        };
        let sizes = (self.null.traits(), self.counts());
        let mut rows: Vec<Vec<ScanRow>> = vec![Vec::new(); sizes.0];
        let mut words = release.words(STATISTICS)?;
        let parts = self.parts();
        let blocks = parts.iter().enumerate();
        let blocks = blocks.flat_map(|(part, range)| blocks_of(*range).map(move |it| (part, it)));
        for (part, (first, variants)) in blocks {
            let (block, rest) = words.split_at(totals.words(variants, sizes).min(words.len()));
            words = rest;
            for (at, numbers) in totals.numbers(block, variants, sizes).iter().enumerate() {
                let variant = u32::try_from(first + at).unwrap_or(u32::MAX);
                for (number, rows) in rows.iter_mut().enumerate() {
                    let of = measured.and_then(|it| it.get(number));
                    rows.push(row(variant, numbers, (number.max(part), number, of), totals));
                }
            }
        }
        let linear = measured.is_some();
        let test = match self.null {
            Null::Linear(..) => ScanTest::Linear,
            Null::Logistic(_) => ScanTest::Score,
            Null::Survival(_) => ScanTest::Cox,
        };
        let scan = |(number, rows): (usize, Vec<ScanRow>)| Scan {
            response: measured
                .and_then(|it| it.get(number))
                .map_or_else(|| self.response.clone(), |it| it.name.clone()),
            test,
            panel: self.asked.panel.clone(),
            patients: totals.patients,
            freedom: if linear && !self.asked.meta { totals.freedom } else { 0.0 },
            coding: self.asked.counting.coding,
            meta: self.asked.meta,
            corrected: self.asked.hits.and_then(|it| it.correct).map(Correct::name),
            rows,
            genotypes: Vec::new(),
        };
        Ok(rows.into_iter().enumerate().map(scan).collect())
    }

    pub(crate) fn findings(&self, release: &Release) -> Result<Findings, AnalysisError> {
        // of a survival time events and windows instead
        let least = if matches!(self.null, Null::Survival(_)) { 2 } else { 1 };
        let squares = self.null.traits().max(self.parts().len()).max(least);
        let sizes = (squares, self.null.model().order());
        let totals = Totals::of(release.words(TOTALS)?, sizes, self.asked.meta);
        let mut scans = self.scans(release, &totals)?;
        let mut notes = Vec::new();
        let mut corrected = 0;
        if let Some(scan) = scans.first_mut() {
            corrected = self.correct(release, &mut scan.rows)?;
        }
        if let Some(hits) =
            self.asked.hits.filter(|it| it.correct.is_some() && corrected == it.most)
        {
            notes.push(format!(
                "only the first {} hits are corrected; ask with a smaller `below` or a larger \
                 `hits_max`",
                hits.most
            ));
        }
        let glance = scans.first().map(|scan| self.glance(scan, &totals, corrected));
        Ok(Findings {
            title: format!("Genome-wide scan of {}", self.response),
            tables: glance.into_iter().chain(eigenvalue_table(&totals.eigenvalues)).collect(),
            notes,
            found_percent_below: None,
            scans,
        })
    }

    fn glance(&self, scan: &Scan, totals: &Totals, corrected: usize) -> Table {
        let counted = |skipped: Option<Skipped>| {
            Cell::Count(scan.rows.iter().filter(|row| row.skipped == skipped).count() as f64)
        };
        let mut cells = vec![("nobs", Cell::Count(totals.patients))];
        if matches!(self.null, Null::Survival(_)) {
            let counts = ["nevent", "windows"].into_iter().zip(&totals.squares);
            cells.extend(counts.map(|(name, count)| (name, Cell::Count(*count))));
        }
        cells.extend([
            ("variants", Cell::Count(scan.rows.len() as f64)),
            ("tested", counted(None)),
            ("rare", counted(Some(Skipped::Rare))),
            ("missing", counted(Some(Skipped::Missing))),
            ("collinear", counted(Some(Skipped::Collinear))),
        ]);
        if self.asked.hardy_weinberg.is_some() {
            cells.push(("hwe", counted(Some(Skipped::Uneven))));
        }
        if let Some(hits) = self.asked.hits {
            if hits.alone {
                cells.push(("not.shown", counted(Some(Skipped::Hidden))));
            }
            if hits.correct.is_some() {
                cells.push(("corrected", Cell::Count(corrected as f64)));
            }
        }
        let (names, values): (Vec<_>, Vec<_>) = cells.into_iter().unzip();
        let mut table = Table::new("glance", &names);
        table.rows.push(values);
        table
    }
}
