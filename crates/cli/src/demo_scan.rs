//! The demo's genome-wide scan: made-up genotypes and a made-up trait beside the real patients, and the
//! same scan of all of them in one place.

use crate::example_genotypes::ExampleGenotypes;
use crate::example_import::{Someone, drawn};
use crate::failure::Failure;
use konsil_analyses::{Findings, Request};
use konsil_geno::Panel;
use std::fmt::Write as _;

/// Lines of the dictionary for what is made up.
const VARIABLES: &str = "\
pid,Number in the file,category,,,,,,,,identifier,
marker,Marker in blood (made up),number,,,-10,20,2,,,clinical,
";

/// The patients of the demo with what is made up.
pub(crate) struct DemoScan {
    pub(crate) people: Vec<Someone>,
    pub(crate) genotypes: ExampleGenotypes,
    /// The patients' table and its dictionary, with two columns more.
    pub(crate) table: String,
    pub(crate) dictionary: String,
    ages: Vec<f64>,
    markers: Vec<f64>,
}

/// Evenly from 0 to 1, from a number.
fn even(seed: u64) -> f64 {
    let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 29).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((mixed ^ mixed >> 32) >> 11) as f64 / (1_u64 << 53) as f64
}

impl DemoScan {
    /// From the table of patients, whose first column is the centre and whose second the age.
    pub(crate) fn new(patients: &str, dictionary: &str) -> Result<Self, Failure> {
        let mut lines = patients.lines();
        let header = lines.next().unwrap_or_default();
        let rows: Vec<&str> = lines.collect();
        let someone = |(number, line): (u32, &&str)| Someone {
            centre: line.split(',').next().unwrap_or_default().to_owned(),
            id: format!("d{number}"),
            number,
        };
        let people: Vec<Someone> = (1..).zip(&rows).map(someone).collect();
        let genotypes = drawn(&people)?;
        let age = |line: &&str| line.split(',').nth(1).and_then(|it| it.parse().ok());
        let ages: Vec<f64> = rows.iter().map(|line| age(line).unwrap_or(f64::NAN)).collect();
        let mut table = format!("{header},pid,marker\n");
        let mut markers = Vec::with_capacity(rows.len());
        for (at, (line, person)) in rows.iter().zip(&people).enumerate() {
            let copies = f64::from(genotypes.copies.get(at).copied().unwrap_or(0));
            let seed = 12 * u64::from(person.number);
            let normal: f64 = (0..12).map(|it| even(seed + it)).sum::<f64>() - 6.0;
            let marker = 3.0 + 0.02 * (ages[at] - 60.0) + 0.25 * copies + normal;
            let text = format!("{marker:.2}");
            let _ok = writeln!(table, "{line},{},{text}", person.id);
            markers.push(text.parse().unwrap_or(marker));
        }
        let dictionary = format!("{dictionary}{VARIABLES}");
        Ok(Self { people, genotypes, table, dictionary, ages, markers })
    }

    /// The analysis that the demo's study gets.
    pub(crate) fn request(panel: &Panel) -> Request {
        Request {
            id: "gwas".to_owned(),
            kind: "gwas".to_owned(),
            formula: Some("marker ~ age".to_owned()),
            panel: Some(panel.hash().to_owned()),
            variants: u32::try_from(panel.len()).ok(),
            ..Request::default()
        }
    }

    /// How far effects and standard errors are from those of all patients in one place, in parts of the
    /// standard error; what is missing counts as infinite.
    pub(crate) fn difference(&self, findings: &Findings) -> f64 {
        let Some(scan) = findings.scans.first() else { return f64::INFINITY };
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let centred = |all: &[f64]| {
            let mean = mean(all);
            all.iter().map(|it| it - mean).collect::<Vec<f64>>()
        };
        let age = centred(&self.ages);
        let rest = without(&centred(&self.markers), &age);
        let squares: f64 = rest.iter().map(|it| it * it).sum();
        let freedom = rest.len() as f64 - 3.0;
        let mut worst: f64 = 0.0;
        for (at, row) in scan.rows.iter().enumerate().filter(|(_, row)| row.skipped.is_none()) {
            let known = |it: &u8| *it < 3;
            let all: Vec<u8> =
                (0..rest.len()).map(|it| self.genotypes.block.genotype(at, it)).collect();
            let seen: Vec<f64> =
                all.iter().copied().filter(|it| known(it)).map(f64::from).collect();
            let mean = mean(&seen);
            let moved = all.iter().map(|it| if known(it) { f64::from(*it) - mean } else { 0.0 });
            let g = without(&moved.collect::<Vec<f64>>(), &age);
            let (own, with): (f64, f64) = g
                .iter()
                .zip(&rest)
                .fold((0.0, 0.0), |(own, with), (g, y)| (own + g * g, with + g * y));
            let beta = with / own;
            let error = ((squares - with * beta) / freedom / own).sqrt();
            worst = worst.max(((row.beta - beta) / error).abs());
            worst = worst.max((row.error / error - 1.0).abs());
        }
        worst
    }
}

/// What is left of numbers once what goes along with others is taken out.
fn without(numbers: &[f64], others: &[f64]) -> Vec<f64> {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let slope = product(numbers, others) / product(others, others);
    numbers.iter().zip(others).map(|(number, other)| number - slope * other).collect()
}
