//! How well a survival model orders patients: Harrell's concordance of chosen coefficients.
//!
//! # Local step
//! Each centre computes the linear predictor of its patients from the model's public coefficients, and
//! counts patients with and without the event on a public grid of times and predictors.
//!
//! # Secure step
//! For each point of the grid, how many patients with smaller and with larger predictors outlive it, or
//! were outlived, follows from running sums of the counts, which are shares; pairs and the squares of
//! the variance are products of shares.
//!
//! # Opens
//! To the centres: whether cohort and events are large enough; which columns cannot be told apart;
//! whether a column or a patient stands too much apart.
//!
//! # Release
//! Patients, events, pairs that can be compared, concordant ones, three sums of squares of the variance.
//!
//! # Sources
//! Harrell et al. (1982), J. Am. Med. Assoc. 247:2543; the variance by the infinitesimal jackknife, as
//! Therneau's `concordance`: Efron (1982), The Jackknife, the Bootstrap and Other Resampling Plans, 6.

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::compared::{admitted, release_is_short, released, text};
use crate::design::Model;
use crate::fit::check_columns;
use crate::grid::TimeGrid;
use crate::statistics::{Z_975, p_normal};
use crate::table::{Cell, Table};
use konsil_cohort::design::{DesignMatrix, Picked};
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, Supports, admit};
use konsil_mpc::{Audience, MpcError, Opening, Session, Shared};
use konsil_ring::{Word, encode_count};

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 5] = [ADMITTED, UNSOUND, APART, COUNTS, PAIRS];

const ADMITTED: Opening = admitted("concordance.admitted");
const UNSOUND: Opening = Opening {
    name: "concordance.collinear",
    says: "For each column of the model, whether it is a combination of others.",
    to: Audience::Centres,
};
const APART: Opening = Opening {
    name: "concordance.apart",
    says: "Whether a column or a patient of the model stands too much apart.",
    to: Audience::Centres,
};
const COUNTS: Opening =
    released("concordance.counts", "How many patients and events there are over all centres.");
const PAIRS: Opening = released(
    "concordance.pairs",
    "Concordant pairs of patients, pairs that can be compared, and the parts of the variance.",
);

/// Most points of the grid of times and predictors; each has patients with and without the event.
const CELLS_MAX: usize = 1 << 16;
/// Most and fewest steps of the predictor.
const LEVELS: (usize, usize) = (100, 4000);
/// Most that the linear predictor may move over half the dictionary's ranges, as in `validate`.
const GENTLE_MAX: f64 = 12.0;
/// Numbers about the patients.
const STATISTICS: usize = 5;

struct Concordance {
    model: Model,
    coefficients: Vec<f64>,
    times: TimeGrid,
    /// Largest distance of a predictor from the middle, and the steps of the grid from end to end.
    reach: f64,
    levels: usize,
}

/// Checks a request: a survival formula and its coefficients; one column needs none.
///
/// # Errors
/// [`AnalysisError`] for strata, late entry, another number of coefficients, steep ones.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let (model, time_range) = Model::plain_survival(request, dictionary)?;
    if model.design.offset.is_some() {
        return Err(error("takes no offset".to_owned()));
    }
    let mut coefficients = request.coefficients.clone();
    if coefficients.is_empty() && model.order() == 1 {
        coefficients.push(1.0 / model.columns[0].1);
    }
    if coefficients.len() != model.order() || coefficients.iter().any(|it| !it.is_finite()) {
        let names: Vec<&str> = model.names().collect();
        let (given, wanted) = (coefficients.len(), names.len());
        let names = names.join(", ");
        return Err(error(format!("has {given} coefficients for {wanted} columns: {names}")));
    }
    let each = coefficients.iter().zip(&model.columns);
    let reach: f64 = each.map(|(beta, (_, scale))| (beta * scale).abs()).sum();
    model.check_known(request)?;
    if reach > GENTLE_MAX || reach == 0.0 {
        return Err(error(format!(
            "moves the linear predictor by {reach:.1} over half the dictionary's ranges; more than 0 \
             and at most {GENTLE_MAX} are possible: steps would tell patients apart"
        )));
    }
    let time = model.design.time().unwrap_or_default();
    let times = TimeGrid::new(&time, time_range, dictionary).map_err(error)?;
    let levels = (CELLS_MAX / times.points).min(LEVELS.1);
    if levels < LEVELS.0 {
        return Err(error(format!(
            "has {} points of time, too many beside {} steps of the predictor: declare fewer decimals \
             or a smaller max of `{time}`",
            times.points, LEVELS.0
        )));
    }
    Ok(Box::new(Concordance { model, coefficients, times, reach, levels }))
}

/// One centre's patients.
struct Local {
    /// Columns with the constant first, for the verdicts.
    with_one: Vec<f64>,
    supports: Supports,
    /// `[time][level]`, with the event and without.
    events: Vec<Word>,
    others: Vec<Word>,
    patients: u64,
    happened: u64,
}

impl Concordance {
    fn local(&self, patients: Patients<'_>) -> Result<Local, AnalysisError> {
        let cells = self.times.points * self.levels;
        let mut local = Local {
            with_one: Vec::new(),
            supports: Supports::none(self.model.picking()),
            events: vec![0; cells],
            others: vec![0; cells],
            patients: 0,
            happened: 0,
        };
        let Some(dataset) = patients else {
            return Ok(local);
        };
        let DesignMatrix { mut x, survival, .. } = self.model.design.matrix(dataset)?;
        local.supports = self.model.supports(&x);
        self.model.scale(&mut x);
        let follow_up = survival.into_iter().flat_map(|it| it.time.into_iter().zip(it.event));
        for (row, (time, event)) in x.chunks(self.model.order().max(1)).zip(follow_up) {
            let cell = self.times.place(time) * self.levels + self.level(row);
            let counts = if event { &mut local.events } else { &mut local.others };
            counts.iter_mut().skip(cell).take(1).for_each(|count| *count += 1);
            local.patients += 1;
            local.happened += u64::from(event);
            local.with_one.push(1.0);
            local.with_one.extend(row);
        }
        Ok(local)
    }

    /// The grid's step of the predictor of a moved and scaled row.
    fn level(&self, row: &[f64]) -> usize {
        let terms = row.iter().zip(&self.coefficients).zip(&self.model.columns);
        let sum: f64 = terms.map(|((x, beta), (_, scale))| x * beta * scale).sum();
        let last = (self.levels - 1) as f64;
        let place = ((sum / self.reach + 1.0) / 2.0 * last).round().clamp(0.0, last);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the grid; NaN becomes 0"
        )]
        let place = place as usize;
        place
    }

    /// The sums that are released, from counts `[time][level]`. 5 rounds.
    fn sums(
        &self,
        session: &mut dyn Session,
        (events, others): (&Shared, &Shared),
    ) -> Result<Shared, MpcError> {
        let (points, levels) = (self.times.points, self.levels);
        let row = |of: &Shared, at: usize| of.slice(at * levels, (at + 1) * levels);
        // doubled concordances of a row of patients with partners of smaller or larger predictors
        let below = |of: &Shared| of.running_sums().times_integer(2).minus(of);
        let above = |of: &Shared| of.total().repeat(levels).times_integer(2).minus(&below(of));
        // who outlives a point
        let mut later: Vec<Shared> = vec![Shared::zeros(levels); points + 1];
        for at in (0..points).rev() {
            let next = later.get(at + 1).cloned().unwrap_or_default();
            later[at] = next.plus(&row(events, at)).plus(&row(others, at));
        }
        let mut earlier = Shared::zeros(levels);
        // by point, with the event and without: scores of each level, pairs of each patient
        let (mut first, mut known) = (Vec::new(), Vec::new());
        let (mut scores, mut pairs) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for at in 0..points {
            let outlived = later.get(at + 1).cloned().unwrap_or_default().plus(&row(others, at));
            let own = below(&outlived);
            scores[0].push(own.plus(&above(&earlier)));
            pairs[0].push(outlived.total().plus(&earlier.total()));
            first.push(own);
            known.push(outlived.total());
            earlier = earlier.plus(&row(events, at));
            scores[1].push(above(&earlier));
            pairs[1].push(earlier.total());
        }
        let scores = Shared::concat(&scores.concat());
        let pairs = Shared::concat(&pairs.concat());
        let counts = Shared::concat([events, others]);
        let totals: Vec<Shared> = (0..2 * points).map(|at| row(&counts, at).total()).collect();
        let totals = Shared::concat(&totals);
        // everybody with the own score, every row with its pairs
        let left = Shared::concat([&counts, &totals]);
        let products = session.multiply_raw(&left, &Shared::concat([&scores, &pairs]))?;
        let cells = 2 * points * levels;
        let own: Vec<Shared> = (0..2 * points).map(|at| row(&products, at).total()).collect();
        let squares = session.dot_raw(&products.slice(0, cells), &scores, cells)?;
        let by_row = Shared::concat([&Shared::concat(&own), &products.slice(cells, left.len())]);
        let others = Shared::concat([&pairs, &pairs]);
        let by_row = session.dot_raw(&by_row, &others, 2 * points)?;
        let score = session.dot_raw(events, &Shared::concat(&first), cells / 2)?;
        let with_event = totals.slice(0, points);
        let known = session.dot_raw(&with_event, &Shared::concat(&known), points)?;
        Ok(Shared::concat([&score, &known, &squares, &by_row]))
    }
}

impl Analysis for Concordance {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        vec!["patients, events, concordance with its variance, pairs compared".to_owned()]
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.model.chosen(&self.coefficients);
        lines.push(self.times.describe(&self.model.design.time().unwrap_or_default()));
        lines.push(format!("linear predictor in {} steps of its public range", self.levels));
        lines
    }

    fn statistics(&self) -> usize {
        STATISTICS
    }

    fn sets(&self) -> usize {
        self.model.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.model.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let own = self.local(patients)?;
        let applicants = Applicants {
            patients: usize::try_from(own.patients).unwrap_or(usize::MAX),
            parameters: self.model.order(),
            statistics: STATISTICS,
            also: &[own.happened],
        };
        admit(session, ADMITTED, &setting.policy, applicants)?;
        let rows = (own.with_one.as_slice(), &own.supports);
        check_columns(session, (UNSOUND, APART), (&self.model, setting), rows)?;
        let events = session.input(&own.events)?;
        let others = session.input(&own.others)?;
        let sums = self.sums(session, (&events, &others))?;
        let counts = session.input(&[encode_count(own.patients), encode_count(own.happened)])?;
        session.release(COUNTS, &counts)?;
        Ok(session.release(PAIRS, &sums)?)
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let (counts, sums) = (release.counts(COUNTS)?, release.counts(PAIRS)?);
        let (&[n, events], &[score, known, squares, mixed, pairs]) = (&counts[..], &sums[..])
        else {
            return Err(release_is_short(PAIRS));
        };
        let c = score / 2.0 / known;
        // scores are doubled
        let variance = (squares / 4.0 - c * mixed + c * c * pairs) / (known * known);
        let error = variance.max(0.0).sqrt();
        let tidy = Table::of_one(
            "tidy",
            [
                ("estimate", Cell::Number(c)),
                ("std.error", Cell::Number(error)),
                ("conf.low", Cell::Number((c - Z_975 * error).max(0.0))),
                ("conf.high", Cell::Number((c + Z_975 * error).min(1.0))),
                ("p.value", Cell::Number(p_normal((c - 0.5) / error))),
                ("pairs", Cell::Count(known)),
                ("nobs", Cell::Count(n)),
                ("nevent", Cell::Count(events)),
                ("method", text("Harrell's concordance, infinitesimal jackknife")),
            ],
        );
        Ok(Findings {
            title: "Concordance".to_owned(),
            tables: vec![tidy],
            notes: Vec::new(),
            found_percent_below: None,
            scans: Vec::new(),
        })
    }
}
