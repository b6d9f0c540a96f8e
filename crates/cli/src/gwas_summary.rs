//! A scan in a few lines: how much was tested, genomic control, the loci.

use konsil_analyses::log_tails::chi_squared_of;
use konsil_analyses::{Scan, ScanRow, ScanTest, Skipped};
use konsil_geno::{Hit, Panel, clump};
use konsil_plot::number::{self, Medium};
use konsil_plot::table::{Cell, Column, Table};
use serde_json::{Value, json};

/// `-log10` of 5e-8, below which a locus is taken to be real.
pub(crate) const GENOME_WIDE: f64 = 7.301_029_995_663_981;
/// Bases within which the best variant stands for all.
pub(crate) const DISTANCE: u32 = 250_000;
/// The median of a chi-squared variable with one degree of freedom.
const MEDIAN: f64 = 0.454_936_423_119_572_7;
/// Why variants have no result.
const REASONS: [Skipped; 5] =
    [Skipped::Rare, Skipped::Missing, Skipped::Collinear, Skipped::Uneven, Skipped::Hidden];
/// Loci that the screen shows.
const SHOWN: usize = 10;

/// What a scan found, in short.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Summary {
    /// Variants with a result.
    pub(crate) tested: usize,
    /// Variants without, by the code that result files have.
    pub(crate) skipped: Vec<(&'static str, usize)>,
    /// Genomic control: the median of the tests over what it is where nothing acts.
    pub(crate) lambda: f64,
    /// The best variant of each locus below 5e-8, best first: its number in the panel.
    pub(crate) loci: Vec<u32>,
    /// The best variant of each locus, whatever its p value, best first, a few.
    pub(crate) top: Vec<u32>,
}

impl Summary {
    /// Looks through a scan.
    pub(crate) fn of(scan: &Scan, panel: &Panel) -> Self {
        let tested = || scan.rows.iter().filter(|it| it.skipped.is_none());
        let mut skipped = Vec::new();
        for reason in REASONS {
            let count = scan.rows.iter().filter(|it| it.skipped == Some(reason)).count();
            if count > 0 {
                skipped.push((reason.code(), count));
            }
        }
        let best = tested().map(|it| it.log10_p).fold(0.0, f64::max);
        // where nothing is genome-wide a few of the best are shown
        let least = (best - 3.0).clamp(0.0, 5.0);
        let strong = tested().filter(|it| it.log10_p >= least);
        let (rows, hits): (Vec<u32>, Vec<Hit<'_>>) =
            strong.filter_map(|row| hit(row, panel)).unzip();
        let numbers = |threshold: f64| {
            let found = clump(&hits, threshold, DISTANCE).into_iter();
            found.filter_map(|at| rows.get(at).copied()).collect::<Vec<u32>>()
        };
        let loci = numbers(GENOME_WIDE);
        let top = if loci.is_empty() { numbers(least) } else { loci.clone() };
        let top = top.into_iter().take(SHOWN).collect();
        let tails: Vec<f64> = tested().map(|it| it.log10_p).collect();
        let tested = tails.len();
        // hits alone say nothing of the many where nothing acts
        let lambda = if hits_alone(scan) { f64::NAN } else { lambda(tails) };
        Self { tested, skipped, lambda, loci, top }
    }

    /// The first lines on the screen: `5,214,880 variants (887,568 LOW_MAF)`, then what was found.
    pub(crate) fn lines(&self, scan: &Scan, panel: &Panel) -> Vec<String> {
        let count = |it: usize| number::count(it as f64, Medium::Terminal);
        let skipped = self.skipped.iter().map(|(code, it)| format!("{} {code}", count(*it)));
        let skipped = skipped.collect::<Vec<_>>().join(", ");
        let skipped = if skipped.is_empty() { skipped } else { format!(" ({skipped})") };
        let mut found = format!(
            "{} loci below 5e-8, by distance of {} kb",
            count(self.loci.len()),
            DISTANCE / 1000
        );
        if self.lambda.is_finite() {
            found = format!("λ {:.3} · {found}", self.lambda);
        }
        let best = self.top.first().and_then(|it| row(scan, *it));
        if let Some((row, (name, effect))) =
            best.and_then(|row| Some((row, in_words(scan, panel, row)?)))
        {
            found.push_str(&format!(" · top {name}  {effect}  P {}", p_text(row.log10_p)));
        }
        vec![format!("{} variants{skipped}", count(self.tested)), found]
    }

    /// The best variants as a table.
    pub(crate) fn table(&self, scan: &Scan, panel: &Panel) -> Table {
        let effect = effect_name(scan);
        let words = ["#CHROM", "POS", "ID", "REF", "ALT"].map(Column::words);
        let numbers = ["A1_FREQ", "OBS_CT", effect, "SE", "P"].map(Column::numbers);
        let columns = words.into_iter().chain(numbers).collect();
        let rows = self.top.iter().filter_map(|at| {
            let row = row(scan, *at)?;
            let variant = panel.variant(usize::try_from(*at).ok()?)?;
            let texts = [
                variant.chromosome.to_owned(),
                variant.position.to_string(),
                variant.id.to_owned(),
                variant.reference.to_owned(),
                variant.alternative.to_owned(),
                format!("{:.4}", row.alternative / (2.0 * row.observed)),
                format!("{:.0}", row.observed),
                format!("{:.4}", effect_of(scan, row)),
                format!("{:.4}", row.error),
                p_text(row.log10_p),
            ];
            Some(texts.map(Cell::new).to_vec())
        });
        let found = if self.loci.is_empty() { "nothing below 5e-8" } else { "loci below 5e-8" };
        let caption = format!("{}: best variants, {found}", scan.response);
        Table { caption, columns, rows: rows.collect() }
    }

    /// For scripts: counts, genomic control, the best variants.
    pub(crate) fn json(&self, scan: &Scan, panel: &Panel) -> Value {
        let skipped: serde_json::Map<String, Value> =
            self.skipped.iter().map(|(code, count)| ((*code).to_owned(), json!(count))).collect();
        let top = self.top.iter().filter_map(|at| {
            let row = row(scan, *at)?;
            let variant = panel.variant(usize::try_from(*at).ok()?)?;
            Some(json!({
                "chromosome": variant.chromosome, "position": variant.position, "id": variant.id,
                "reference": variant.reference, "alternative": variant.alternative,
                "observed": row.observed, "frequency": row.alternative / (2.0 * row.observed),
                "beta": row.beta, "error": row.error, "log10_p": row.log10_p,
            }))
        });
        json!({
            "response": scan.response, "patients": scan.patients, "tested": self.tested,
            "skipped": skipped, "lambda": self.lambda, "loci": self.loci.len(),
            "top": top.collect::<Vec<_>>(),
        })
    }
}

/// Whether a scan shows its hits only.
pub(crate) fn hits_alone(scan: &Scan) -> bool {
    scan.rows.iter().any(|it| it.skipped == Some(Skipped::Hidden))
}

/// What the effect is.
fn effect_name(scan: &Scan) -> &'static str {
    match scan.test {
        ScanTest::Linear => "BETA",
        ScanTest::Score | ScanTest::Counts => "OR",
        ScanTest::Cox => "HR",
    }
}

/// The effect as result files have it: of events an odds ratio, of a survival time a hazard ratio.
fn effect_of(scan: &Scan, row: &ScanRow) -> f64 {
    if scan.test == ScanTest::Linear { row.beta } else { row.beta.exp() }
}

/// A variant's place, and where its result stands.
fn hit<'a>(row: &ScanRow, panel: &'a Panel) -> Option<(u32, Hit<'a>)> {
    let variant = panel.variant(usize::try_from(row.variant).ok()?)?;
    let (chromosome, position) = (variant.chromosome, variant.position);
    Some((row.variant, Hit { chromosome, position, log10_p: row.log10_p }))
}

/// Genomic control of the tests.
fn lambda(mut tails: Vec<f64>) -> f64 {
    tails.retain(|it| *it >= 0.0);
    if tails.is_empty() {
        return f64::NAN;
    }
    let middle = tails.len() / 2;
    let even = tails.len().is_multiple_of(2);
    let (below, at, _) = tails.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = chi_squared_of(*at);
    let lower =
        if even { chi_squared_of(below.iter().copied().fold(0.0, f64::max)) } else { upper };
    f64::midpoint(lower, upper) / MEDIAN
}

/// The row of a variant: rows are in the panel's order, mostly all of them.
pub(crate) fn row(scan: &Scan, variant: u32) -> Option<&ScanRow> {
    let at = scan.rows.binary_search_by_key(&variant, |it| it.variant).ok()?;
    scan.rows.get(at)
}

/// `rs429358 19:44908684 T/C` and `OR 2.91`.
fn in_words(scan: &Scan, panel: &Panel, row: &ScanRow) -> Option<(String, String)> {
    let it = panel.variant(usize::try_from(row.variant).ok()?)?;
    let name = if it.id == "." { String::new() } else { format!("{} ", it.id) };
    let place = format!("{}:{} {}/{}", it.chromosome, it.position, it.reference, it.alternative);
    let effect = number::estimate(effect_of(scan, row), Medium::Terminal);
    Some((format!("{name}{place}"), format!("{} {effect}", effect_name(scan))))
}

/// A p value with two digits, however small.
pub(crate) fn p_text(log10_p: f64) -> String {
    if !log10_p.is_finite() {
        return "0".to_owned();
    }
    if log10_p < 4.0 {
        return number::p_value(10_f64.powf(-log10_p), Medium::Terminal);
    }
    let whole = log10_p.ceil();
    let mantissa = format!("{:.1}", 10_f64.powf(whole - log10_p));
    if mantissa == "10.0" {
        return format!("1.0e-{:.0}", whole - 1.0);
    }
    format!("{mantissa}e-{whole:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_analyses::log_tails::{chi_squared, normal};

    /// Variants 100 kb apart; the statistics' absolute values are spread as a normal sample's are.
    fn scan(test: ScanTest, factor: f64) -> (Scan, Panel) {
        let mut panel = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
        let mut rows = Vec::new();
        for variant in 0..1000_u32 {
            let chromosome = 1 + variant / 500;
            panel.push_str(&format!(
                "{chromosome}\t{}\trs{variant}\tT\tC\n",
                (variant % 500 + 1) * 100_000
            ));
            // the variants in another order, so that the strong ones are not neighbours
            let place = f64::from((variant * 387) % 1000) + 0.5;
            let log10_p = chi_squared(factor * chi_squared_of(-(place / 1000.0).log10()), 1.0);
            rows.push(ScanRow {
                variant,
                observed: 500.0,
                alternative: 250.0,
                beta: 0.5,
                error: 0.1,
                statistic: 5.0,
                log10_p,
                skipped: None,
                corrected: false,
                heterogeneity: f64::NAN,
            });
        }
        let panel = Panel::parse(panel).unwrap();
        let hash = panel.hash().to_owned();
        let response = "y".to_owned();
        (
            Scan {
                response,
                test,
                panel: hash,
                patients: 500.0,
                freedom: 488.0,
                rows,
                genotypes: Vec::new(),
                coding: konsil_kernels::Coding::Additive,
                corrected: None,
                meta: false,
            },
            panel,
        )
    }

    // Inflation says that centres or ancestries were mixed up; it must not be hidden or invented.
    #[test]
    fn lambda_is_the_factor_of_the_tests() {
        for factor in [1.0, 1.3] {
            let (scan, panel) = scan(ScanTest::Linear, factor);
            let summary = Summary::of(&scan, &panel);
            assert!((summary.lambda - factor).abs() < 2e-3, "{}", summary.lambda);
            assert!(summary.loci.is_empty() && !summary.top.is_empty());
        }
    }

    #[test]
    fn effects_are_named_by_the_test() {
        for (test, name) in [
            (ScanTest::Linear, "BETA 0.5"),
            (ScanTest::Score, "OR 1.65"),
            (ScanTest::Cox, "HR 1.65"),
        ] {
            let (scan, panel) = scan(test, 1.0);
            let lines = Summary::of(&scan, &panel).lines(&scan, &panel);
            assert!(lines[1].contains(name), "{name}: {}", lines[1]);
        }
    }

    #[test]
    fn loci_and_skipped_variants_are_told() {
        let (mut scan, panel) = scan(ScanTest::Score, 1.0);
        for (variant, log10_p) in [(10, 9.0), (11, 87.657_577), (13, 8.0), (14, 7.4), (700, 400.0)]
        {
            scan.rows[variant].log10_p = log10_p;
        }
        scan.rows[0].skipped = Some(Skipped::Rare);
        scan.rows[1].skipped = Some(Skipped::Rare);
        scan.rows[2].skipped = Some(Skipped::Collinear);
        let summary = Summary::of(&scan, &panel);
        assert_eq!(summary.loci, [700, 11, 14]);
        assert_eq!(summary.skipped, [("LOW_MAF", 2), ("VIF_TOO_HIGH", 1)]);
        let lines = summary.lines(&scan, &panel);
        assert_eq!(lines[0], "997 variants (2 LOW_MAF, 1 VIF_TOO_HIGH)");
        assert!(
            lines[1].contains("3 loci below 5e-8")
                && lines[1].ends_with("top rs700 2:20100000 T/C  OR 1.65  P 1.0e-400"),
            "{}",
            lines[1]
        );
        let table = summary.table(&scan, &panel);
        assert_eq!((table.rows.len(), table.columns.len()), (3, 10));
        let json = summary.json(&scan, &panel);
        assert_eq!(
            (json["loci"].as_u64(), json["skipped"]["LOW_MAF"].as_u64()),
            (Some(3), Some(2))
        );
        assert_eq!(json["top"][1]["id"], "rs11");
        let none = Scan { rows: Vec::new(), ..scan };
        assert!(Summary::of(&none, &panel).lambda.is_nan());
    }

    #[test]
    fn p_values_have_two_digits() {
        assert_eq!(p_text(normal(1.0)), "0.32");
        assert_eq!(p_text(8.0), "1.0e-8");
        assert_eq!(p_text(87.657_577), "2.2e-88");
        assert_eq!(p_text(f64::INFINITY), "0");
    }
}
