//! k-means clustering of numbers over all centres, each number scaled to unit variance unless asked
//! not to.
//!
//! # Local step
//! Each centre moves and scales the values of its patients into the public ranges. Its rows are
//! masked and opened once, filled up to the public bucket.
//!
//! # Secure step
//! Means and variances of all patients first, on shares. Clusters start at the means, moved by half a
//! standard deviation times numbers drawn from a public seed; several starts run at once. In each of
//! the steps, whose number is fixed beforehand, every patient's nearest cluster is found by
//! comparisons, and the new means of the clusters are divided on shares (Lloyd's steps). Of the starts
//! whose clusters are all large enough the one with the smallest sum of squares is chosen.
//!
//! The clusters' means stay shared, although that costs comparisons for every patient: the difference
//! of the means of two steps would show the values of the few patients who changed their cluster.
//!
//! A start is given up where a cluster is empty in some step, or too small at the end; clusters are
//! not merged. How many starts were given up is not opened.
//!
//! # Opens
//! To the centres: whether there are enough patients, and no one's values prevail, among all and in
//! the clusters that are released; which numbers are the same for all; whether a start is left; which
//! start is best; whether its means moved in the last step, which ends the analysis without a result:
//! the ends of two numbers of steps would differ by the few patients between. Not: means, sizes of clusters, anything of a step.
//!
//! # Release
//! Of the best start: means and sizes of the clusters, sums of squares within them and in all; means
//! and variances of all patients. No patient's
//! cluster: each centre can find those of its own patients from the means.
//!
//! # Sources
//! Lloyd (1982), IEEE Trans. Inf. Theory 28:129; R's `kmeans(algorithm = "Lloyd")`.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{admit_groups, admitted, number, released, text};
use crate::describe::Numeric;
use crate::kmeans_steps::{End, Frame, Lloyd, evenness};
use crate::public_numbers::PublicNumbers;
use crate::table::{Cell, Table};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Refusal, Release, evenly_made, require};
use konsil_kernels::add_rounded;
use konsil_mpc::{Audience, Opening, Session, Shared, fixed, linear, normalise};
use konsil_ring::{ONE, Word, encode, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 11] =
    [ADMITTED, EVEN, CONSTANT, LEFT, BEST, CLUSTERS_EVEN, SIZES, SQUARES, CENTERS, MOMENTS, MOVING];

const ADMITTED: Opening = admitted("kmeans.admitted");
const EVEN: Opening = to_centres(
    "kmeans.even",
    "Whether no patient has too large a part of a sum over all patients.",
);
const CONSTANT: Opening =
    to_centres("kmeans.constant", "For each number, whether it is the same for all patients.");
pub(crate) const LEFT: Opening =
    to_centres("kmeans.left", "Whether some start ends with clusters of enough patients.");
pub(crate) const BEST: Opening =
    to_centres("kmeans.best", "Which start has the smallest sum of squares.");
const CLUSTERS_EVEN: Opening = to_centres(
    "kmeans.clusters_even",
    "Whether no patient has too large a part of a cluster's sum.",
);
const SIZES: Opening = released("kmeans.sizes", "How many patients each cluster has.");
const SQUARES: Opening =
    released("kmeans.squares", "Sum of squares within each cluster, and of all patients.");
const CENTERS: Opening = released("kmeans.centers", "The clusters' means.");
const MOMENTS: Opening =
    released("kmeans.moments", "Mean and variance of each number over all patients.");
const MOVING: Opening =
    to_centres("kmeans.moving", "Whether the last step still changed a mean of the best start.");

const fn to_centres(name: &'static str, says: &'static str) -> Opening {
    Opening { name, says, to: Audience::Centres }
}

/// Most numbers, clusters, starts.
const VARIABLES_MAX: usize = 20;
const CLUSTERS_MAX: u32 = 10;
const STARTS_MAX: u32 = 20;
/// Most comparisons of a step: about 1 GiB of shares.
const COMPARISONS_MAX: usize = 1 << 24;
/// Starts and steps unless the request says otherwise.
const STARTS: u32 = 3;
const ITERATIONS: u32 = 20;
/// How far from the mean the public starting places are, in standard deviations.
const SPREAD: f64 = 0.5;
/// Smallest sum of squares about the mean, in parts of the square of half the public range.
const SQUARES_MIN: f64 = 1e-6;

struct Kmeans {
    variables: Vec<Numeric>,
    clusters: usize,
    starts: usize,
    iterations: u32,
    seed: u32,
    raw: bool,
}

/// One centre's patients with all values, moved and scaled into the public ranges, `[patient][p]`.
struct Local {
    values: Vec<f64>,
    patients: usize,
}

/// Checks a request: one or more numbers, and how many clusters to form.
///
/// # Errors
/// [`AnalysisError`] for anything else.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let names = &request.variables;
    if !(1..=VARIABLES_MAX).contains(&names.len()) {
        return Err(error(format!("takes 1 to {VARIABLES_MAX} numbers; give `variables = [..]`")));
    }
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(error(format!("names `{}` twice", twice.1)));
    }
    let variables = names.iter().map(|name| number(dictionary, name));
    let variables = variables.collect::<Result<_, _>>().map_err(error)?;
    let whole = |value: Option<u32>, usual: u32, (least, most): (u32, u32), name: &str| {
        let value = value.unwrap_or(usual);
        let fits = (least..=most).contains(&value);
        fits.then_some(value).ok_or_else(|| error(format!("needs {name} from {least} to {most}")))
    };
    let clusters = whole(request.k, 0, (2, CLUSTERS_MAX), "k, the number of clusters,")?;
    let starts = whole(request.starts, STARTS, (1, STARTS_MAX), "starts")?;
    let iterations = whole(request.iterations, ITERATIONS, (1, 50), "iterations")?;
    let seed = whole(request.seed, 1, (1, 2_147_483_646), "a seed")?;
    let size = |it: u32| usize::try_from(it).unwrap_or(usize::MAX);
    Ok(Box::new(Kmeans {
        variables,
        clusters: size(clusters),
        starts: size(starts),
        iterations,
        seed,
        raw: request.raw,
    }))
}

fn count(number: usize) -> Word {
    encode_count(u64::try_from(number).unwrap_or(u64::MAX))
}

impl Kmeans {
    fn p(&self) -> usize {
        self.variables.len()
    }

    fn local(&self, patients: Patients<'_>) -> Result<Local, AnalysisError> {
        let mut local = Local { values: Vec::new(), patients: 0 };
        let Some(dataset) = patients else {
            return Ok(local);
        };
        let mut columns = Vec::with_capacity(self.p());
        for variable in &self.variables {
            columns.push(variable.scaled(&dataset.numeric(&variable.name)?, false));
        }
        for row in 0..dataset.rows() {
            let values: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            if values.iter().all(|value| !value.is_nan()) {
                local.values.extend(values);
                local.patients += 1;
            }
        }
        Ok(local)
    }

    /// This centre's sums of values, then of their squares; largest parts of the public reach, and
    /// their sums.
    fn sums(&self, local: &Local) -> Result<[Vec<Word>; 3], AnalysisError> {
        let p = self.p();
        let (mut mine, mut largest, mut sizes) = (vec![0; 2 * p], vec![0.0_f64; p], vec![0; p]);
        for row in local.values.chunks(p) {
            let squares: Vec<f64> = row.iter().map(|it| it * it).collect();
            add_rounded(&mut mine, &[row, &squares].concat())?;
            let parts = self.parts(row);
            largest.iter_mut().zip(&parts).for_each(|(most, part)| *most = most.max(*part));
            add_rounded(&mut sizes, &parts)?;
        }
        let largest = largest.into_iter().map(encode).collect::<Result<Vec<Word>, _>>()?;
        Ok([mine, largest, sizes])
    }

    /// Means and variances of all patients, judged; they stay shared. About 150 rounds.
    fn frame(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        local: &Local,
    ) -> Result<Frame, AnalysisError> {
        let p = self.p();
        let [mine, largest, sizes] = self.sums(local)?;
        let even = evenly_made(session, &setting.policy, (&largest, &sizes))?;
        require(session, EVEN, &even, Refusal::TooFew)?;
        let n = session.input(&[count(local.patients)])?;
        let sums = session.input(&mine)?;
        let (first, squares) = (sums.slice(0, p), sums.slice(p, 2 * p));
        let fixed_n = n.integer_to_fixed();
        let means = normalise::divide(session, &first, &fixed_n.repeat(p))?;
        let about = squares.minus(&fixed::multiply(session, &first, &means)?);
        self.refuse_constant(session, &about)?;
        let freedom = fixed::add_public(session, &fixed_n, ONE.wrapping_neg()).repeat(p);
        let variances = normalise::divide(session, &about, &freedom)?;
        let weights = if self.raw {
            let units = self.variables.iter().map(|it| it.frame().1.powi(2) / self.unit());
            let units = units.map(encode).collect::<Result<Vec<Word>, _>>()?;
            session.constant(&units)
        } else {
            normalise::reciprocal(session, &variances)?
        };
        let all = fixed::dot(session, &about, &weights, p)?;
        Ok(Frame { means, variances, weights, all })
    }

    /// Refuses more comparisons in a step than fit into memory. Public.
    fn refuse_size(&self, setting: &Setting) -> Result<(), AnalysisError> {
        let pairs = self.clusters * (self.clusters - 1) / 2;
        let rows: usize = setting.rows_at_most.iter().sum();
        if rows.saturating_mul(self.starts * pairs) <= COMPARISONS_MAX {
            return Ok(());
        }
        let what = format!(
            "would compare {rows} patients {} times in each step; ask for fewer starts or clusters",
            self.starts * pairs
        );
        Err(AnalysisError::Request { id: "kmeans".to_owned(), what })
    }

    /// What sums of squares are divided by on shares.
    fn unit(&self) -> f64 {
        let scales = self.variables.iter().map(|it| it.frame().1.powi(2));
        if self.raw { scales.fold(0.0, f64::max) } else { 1.0 }
    }

    /// A patient's values as parts of the public reach.
    fn parts(&self, row: &[f64]) -> Vec<f64> {
        row.iter().zip(&self.variables).map(|(value, it)| it.part_of_reach(*value)).collect()
    }

    fn refuse_constant(
        &self,
        session: &mut dyn Session,
        squares: &Shared,
    ) -> Result<(), AnalysisError> {
        let enough = fixed::at_least(session, squares, encode(SQUARES_MIN)?)?;
        let enough = session.to_integers(&enough)?;
        let opened = session.open(CONSTANT, &linear::complement(session, &enough))?;
        let named = opened.iter().zip(&self.variables).filter(|(constant, _)| **constant != 0);
        let columns: Vec<String> = named.map(|(_, it)| it.name.clone()).collect();
        if columns.is_empty() { Ok(()) } else { Err(AnalysisError::Constant { columns }) }
    }

    /// The starting places, `[start][cluster][p]`. 40 rounds.
    fn begin(&self, session: &mut dyn Session, frame: &Frame) -> Result<Shared, AnalysisError> {
        let mut numbers = PublicNumbers::new(self.seed);
        let cells = self.starts * self.clusters;
        let factors: Vec<f64> = (0..cells * self.p()).map(|_| SPREAD * numbers.normal()).collect();
        let deviations = normalise::sqrt(session, &frame.variances)?;
        let moved = fixed::scale_each(session, &deviations.repeat(cells), &factors)?;
        Ok(frame.means.repeat(cells).plus(&moved))
    }
}

impl Analysis for Kmeans {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let (k, p) = (self.clusters, self.p());
        vec![
            format!(
                "{k} clusters: {k} sizes, {} means, {k} sums of squares; means and standard \
                 deviations of {p} numbers",
                k * p
            ),
            "to the centres: which of the starts is best; nothing of the steps".to_owned(),
        ]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.variables.iter().map(|it| format!("{} ({})", it.name, it.label)).collect();
        let scaled = if self.raw { "as they are" } else { "each scaled to unit variance" };
        lines.push(format!(
            "{} clusters of the numbers {scaled}, {} starts from the public seed {}, {} steps",
            self.clusters, self.starts, self.seed, self.iterations
        ));
        lines
    }

    fn statistics(&self) -> usize {
        self.clusters * (self.p() + 2) + 2 * self.p()
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        self.refuse_size(setting)?;
        let (local, p) = (self.local(patients)?, self.p());
        let size = u64::try_from(local.patients).unwrap_or(u64::MAX);
        admit_groups(session, ADMITTED, setting, (&[size], self.statistics()))?;
        let frame = self.frame(session, setting, &local)?;
        let mut lloyd =
            Lloyd::new(session, setting, (&local.values, p), (self.starts, self.clusters))?;
        let mut centers = self.begin(session, &frame)?;
        for _ in 0..self.iterations {
            centers = lloyd.step(session, &frame, &centers)?;
        }
        let End { sizes, within, centers, moving, members } =
            lloyd.end(session, setting, &frame, &centers)?;
        let parts: Vec<f64> = local.values.chunks(p).flat_map(|row| self.parts(row)).collect();
        // the ends of two numbers of steps differ by the few patients who changed their cluster
        if session.open(MOVING, &moving)?.iter().any(|it| *it != 0) {
            return Err(AnalysisError::Unsettled {
                what: "the clusters still moved in the last step; ask for more iterations",
            });
        }
        let even = evenness(session, setting, (&parts, p), &members)?;
        require(session, CLUSTERS_EVEN, &even, Refusal::TooFew)?;
        session.release(SIZES, &sizes)?;
        session.release(SQUARES, &Shared::concat([&within, &frame.all]))?;
        session.release(CENTERS, &centers)?;
        session.release(MOMENTS, &Shared::concat([&frame.means, &frame.variances]))?;
        Ok(())
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (k, p) = (self.clusters, self.p());
        let (sizes, centers) = (release.counts(SIZES)?, release.reals(CENTERS)?);
        let moments = release.reals(MOMENTS)?;
        let squares: Vec<f64> = release.reals(SQUARES)?.iter().map(|it| it * self.unit()).collect();
        let at = |numbers: &[f64], at: usize| numbers.get(at).copied().unwrap_or(f64::NAN);
        let mut tidy = Table::new("tidy", &["cluster", "size", "withinss"]);
        let columns = ["cluster", "variable", "center", "mean", "mean.all", "sd.all"];
        let mut means = Table::new("centers", &columns);
        for cluster in 0..k {
            let name = text(&(cluster + 1).to_string());
            let numbers = [Cell::Count(at(&sizes, cluster)), Cell::Number(at(&squares, cluster))];
            tidy.rows.push([vec![name.clone()], numbers.to_vec()].concat());
            for (place, variable) in self.variables.iter().enumerate() {
                let value = at(&centers, cluster * p + place);
                let (mean, deviation) = (at(&moments, place), at(&moments, p + place).sqrt());
                let (centre, scale) = variable.frame();
                let own = |it: f64| centre + scale * it;
                let center = if self.raw { own(value) } else { (value - mean) / deviation };
                let numbers = [center, own(value), own(mean), scale * deviation].map(Cell::Number);
                let names = vec![name.clone(), text(&variable.name)];
                means.rows.push([names, numbers.to_vec()].concat());
            }
        }
        let within: f64 = squares.iter().take(k).sum();
        let total = at(&squares, k);
        let glance = Table::of_one(
            "glance",
            [
                ("totss", Cell::Number(total)),
                ("tot.withinss", Cell::Number(within)),
                ("betweenss", Cell::Number(total - within)),
                ("iter", Cell::Count(f64::from(self.iterations))),
                ("converged", Cell::Flag(true)),
                ("nobs", Cell::Count(sizes.iter().sum())),
            ],
        );
        let title = format!("{k} clusters by k-means");
        Ok(Findings {
            title,
            tables: vec![tidy, means, glance],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
