//! Numbers that describe numeric variables, as `summary` and `table1` need them: for each *cell* (a
//! variable, or a variable within a group) count, missing, mean, standard deviation, quartiles.

use crate::analysis::{AnalysisError, Setting};
use crate::quantiles::{Column, Grid, interpolate, quartiles};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dictionary, Kind, Variable, suggest};
use konsil_disclosure::{
    Counts, FOUND_PER_MILLE, Policy, Query, Release, evenly_made, large_enough,
    large_enough_or_zero, suppress,
};
use konsil_kernels::moments;
use konsil_mpc::{MpcError, Opening, Session, Shared, fixed, linear};
use konsil_ring::{ONE, ULP, Word, encode, encode_count};

/// Most points of a variable's grid: 2^40.
const POINTS_MAX: f64 = 1_099_511_627_776.0;

/// A numeric variable with its public range and grid.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Numeric {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) grid: Grid,
    centre: f64,
    scale: f64,
    /// Whether the mean is a count in disguise: then both values need enough patients.
    two_values: bool,
    /// Largest magnitude of the public range, at least 1e-9.
    reach: f64,
}

impl Numeric {
    /// The variable as the dictionary describes it.
    pub(crate) fn new(variable: &Variable) -> Result<Self, String> {
        let name = &variable.name;
        let range = variable.range().ok_or_else(|| {
            format!("`{name}` has no min and max in the dictionary; quartiles need a public range")
        })?;
        // numbers without declared decimals are found to a millionth
        let step = variable.step().unwrap_or(1e-6);
        let points = ((range.1 - range.0) / step).round() + 1.0;
        if !(1.0..=POINTS_MAX).contains(&points) {
            return Err(format!(
                "`{name}` has more than 2^40 possible values; declare fewer decimals"
            ));
        }
        let half = (range.1 - range.0) / 2.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 2^40, see above"
        )]
        let points = points as u64;
        Ok(Self {
            name: name.clone(),
            label: label(variable),
            grid: Grid { start: range.0, step, points },
            centre: f64::midpoint(range.0, range.1),
            scale: if half > 0.0 { half } else { 1.0 },
            two_values: points == 2,
            reach: range.0.abs().max(range.1.abs()).max(1e-9),
        })
    }
}

impl Numeric {
    /// The difference of two variables, on the finer of their grids.
    pub(crate) fn difference(first: &Self, second: &Self) -> Result<Self, String> {
        let step = first.grid.step.min(second.grid.step);
        let end = |it: &Self| it.grid.start + (it.grid.points - 1) as f64 * it.grid.step;
        let (low, high) = (first.grid.start - end(second), end(first) - second.grid.start);
        let points = ((high - low) / step).round() + 1.0;
        if !(1.0..=POINTS_MAX).contains(&points) {
            return Err(format!(
                "`{}` and `{}` have more than 2^40 possible differences; declare fewer decimals",
                first.name, second.name
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 2^40, see above"
        )]
        let points = points as u64;
        let half = (high - low) / 2.0;
        Ok(Self {
            name: format!("{} - {}", first.name, second.name),
            label: format!("{} minus {}", first.label, second.label),
            grid: Grid { start: low, step, points },
            centre: f64::midpoint(low, high),
            scale: if half > 0.0 { half } else { 1.0 },
            two_values: points == 2,
            reach: low.abs().max(high.abs()).max(1e-9),
        })
    }

    /// Centre and scale of the public range.
    pub(crate) fn frame(&self) -> (f64, f64) {
        (self.centre, self.scale)
    }

    /// The magnitude of a value that was moved and scaled, in parts of the public reach.
    pub(crate) fn part_of_reach(&self, scaled: f64) -> f64 {
        (self.centre + self.scale * scaled).abs() / self.reach
    }

    /// The point of the grid next to a value.
    pub(crate) fn place(&self, value: f64) -> usize {
        let place = ((value - self.grid.start) / self.grid.step).round();
        let last = (self.grid.points - 1) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the grid; NaN becomes 0"
        )]
        let place = place.clamp(0.0, last) as usize;
        place
    }

    /// Values moved and scaled into [-1, 1] by the public range, NaN where there is none; or their
    /// squares.
    pub(crate) fn scaled(&self, values: &[Option<f64>], squared: bool) -> Vec<f64> {
        let scaled = |value: f64| (value - self.centre) / self.scale;
        let scaled = |value: f64| if squared { scaled(value).powi(2) } else { scaled(value) };
        values.iter().map(|it| it.map_or(f64::NAN, scaled)).collect()
    }
}

/// The label of a variable, with its unit.
pub(crate) fn label(variable: &Variable) -> String {
    let label = if variable.label.is_empty() { &variable.name } else { &variable.label };
    match &variable.unit {
        Some(unit) if !unit.is_empty() => format!("{label}, {unit}"),
        _ => label.clone(),
    }
}

/// Whether a variable is described by its levels rather than as a number.
pub(crate) fn has_levels(variable: &Variable) -> bool {
    !variable.levels.is_empty() || matches!(variable.kind, Kind::Boolean | Kind::Category)
}

/// The variable of a name, or an error with a suggestion.
pub(crate) fn find<'a>(dictionary: &'a Dictionary, name: &str) -> Result<&'a Variable, String> {
    let variable = dictionary.variable(name).ok_or_else(|| {
        let names = dictionary.variables.iter().map(|variable| variable.name.as_str());
        let hint = suggest(name, names).map(|name| format!("; did you mean `{name}`?"));
        format!(
            "no variable `{name}` in dictionary {}{}",
            dictionary.title(),
            hint.unwrap_or_default()
        )
    })?;
    if variable.is_identifier() {
        return Err(format!("`{name}` names patients and cannot be analysed"));
    }
    Ok(variable)
}

/// One cell at one centre: its values, in any order.
pub(crate) struct LocalCell<'a> {
    pub(crate) numeric: &'a Numeric,
    pub(crate) values: Vec<Option<f64>>,
}

/// Where the shares of the cells go.
#[derive(Clone, Copy)]
pub(crate) struct Names {
    /// The path of the quartiles, to the centres.
    pub(crate) path: Opening,
    /// Verdicts and counts, `[cell][COUNTS_EACH]`: verdict, n, verdict and number of missing values,
    /// verdict of the quartiles.
    pub(crate) counts: Opening,
    /// `[cell][sum, squares]`, fixed point.
    pub(crate) sums: Opening,
    /// Places of order statistics: `[cell][6]`.
    pub(crate) places: Opening,
}

/// Numbers of a cell under [`Names::counts`].
pub(crate) const COUNTS_EACH: usize = 5;

/// Describes cells: verdicts on shares, then release of what passed.
///
/// Rounds: 40 for the verdicts, 7 for each step of the finest grid.
pub(crate) fn describe(
    session: &mut dyn Session,
    (setting, queries): (&Setting, usize),
    names: Names,
    cells: &[LocalCell<'_>],
) -> Result<(), AnalysisError> {
    let policy = &setting.policy;
    let (mut known, mut missing) = (Vec::new(), Vec::new());
    let (mut sum, mut squares) = (Vec::new(), Vec::new());
    let mut sorted = Vec::with_capacity(cells.len());
    for cell in cells {
        let numeric = cell.numeric;
        let sums = moments(cell.values.iter().copied(), (numeric.centre, numeric.scale))?;
        known.push(sums.known);
        missing.push(sums.missing);
        sum.push(sums.sum);
        squares.push(sums.squares);
        let mut values: Vec<f64> = cell.values.iter().flatten().copied().collect();
        values.sort_by(f64::total_cmp);
        sorted.push(values);
    }
    if setting.noise.is_some() {
        let local = [&known[..], &missing, &sum, &squares];
        return noised(session, (setting, queries), names, local);
    }
    let (sum, squares) = (session.input(&sum)?, session.input(&squares)?);
    let known = Counts::input(session, policy, &known)?;
    let missing = Counts::input(session, policy, &missing)?;
    let verdict = large_enough(session, policy, &known)?;
    let (largest, magnitudes) = magnitudes(cells)?;
    let even = evenly_made(session, policy, (&largest, &magnitudes))?;
    let verdict = session.multiply_raw(&verdict, &even)?;
    let (known, pooled_missing) = (known.total, missing.total.clone());
    let two_values: Vec<bool> = cells.iter().map(|cell| cell.numeric.two_values).collect();
    let verdict = both_values(session, policy, (&verdict, &known, &sum), &two_values)?;
    // nobody missing is no small cell
    let zeros = vec![true; cells.len()];
    let missing_verdict = large_enough_or_zero(session, policy, (&missing, &zeros))?;
    let many = linear::reaches(session, &known, policy.quartiles_min())?;
    let quartile_verdict = session.multiply_raw(&verdict, &many)?;
    let shown = Shared::concat([&verdict, &missing_verdict, &verdict, &verdict]);
    let all = Shared::concat([&known, &pooled_missing, &sum, &squares]);
    let masked = suppress(session, &shown, &all)?;
    let part = |at: usize| masked.slice(at * cells.len(), (at + 1) * cells.len());
    let by_cell = |parts: &[Shared]| Shared::concat(parts).transposed(parts.len(), cells.len());
    let counts = [verdict, part(0), missing_verdict, part(1), quartile_verdict.clone()];
    session.release(names.counts, &by_cell(&counts))?;
    session.release(names.sums, &by_cell(&[part(2), part(3)]))?;
    let columns = cells.iter().zip(&sorted);
    let columns: Vec<Column<'_>> =
        columns.map(|(cell, sorted)| Column { sorted, grid: cell.numeric.grid }).collect();
    let places = quartiles(session, names.path, &columns, (&known, &quartile_verdict))?;
    let places: Vec<u128> = places.into_iter().map(u128::from).collect();
    let places = session.constant(&places);
    Ok(session.release(names.places, &places)?)
}

/// Independent numbers about the patients that mean, deviation and three quartiles of a variable
/// amount to: `(tr R)^2 / |R|^2` of their correlations is 2.3 for normal values.
pub(crate) const STATISTICS_EACH: usize = 3;

/// Numbers of one patient's that an analysis with noise releases for each numeric variable.
pub(crate) const QUERIES_EACH: usize = 3;

/// This centre's numbers with its parts of the noise, as shares of the noised sums. One patient
/// changes at most one of the numbers by at most `unit`; the analysis releases `queries` such.
pub(crate) fn with_noise(
    session: &mut dyn Session,
    setting: &Setting,
    (label, unit, queries): (&str, f64, usize),
    mine: &[Word],
) -> Result<Shared, AnalysisError> {
    let Some(noise) = &setting.noise else {
        return Ok(session.input(mine)?);
    };
    let query = Query { label, one_of: queries, sensitivity: unit };
    let parts = noise.parts(session.parties(), &query, mine.len())?;
    let noised = mine.iter().zip(parts).map(|(number, part)| number.wrapping_add(part));
    Ok(session.input(&noised.collect::<Vec<_>>())?)
}

/// Releases cells with noise instead of verdicts: counts, and sums of values scaled into [-1, 1]. No
/// quartiles, whose path would be exact.
///
/// Of each variable a patient is in one cell, with a value or without one: adding or removing one
/// changes one count by 1, one sum and one sum of squares by at most 1.
fn noised(
    session: &mut dyn Session,
    (setting, queries): (&Setting, usize),
    names: Names,
    [known, missing, sum, squares]: [&[Word]; 4],
) -> Result<(), AnalysisError> {
    let (len, unit) = (known.len(), ONE as f64);
    let both = [known, missing].concat();
    let counts = with_noise(session, setting, ("counts", 1.0, queries), &both)?;
    let sum = with_noise(session, setting, ("sums", unit, queries), sum)?;
    let squares = with_noise(session, setting, ("squares", unit, queries), squares)?;
    let one = session.constant(&vec![1; len]);
    let (known, missing) = (counts.slice(0, len), counts.slice(len, 2 * len));
    let parts = [one.clone(), known, one, missing, Shared::zeros(len)];
    session.release(names.counts, &Shared::concat(&parts).transposed(COUNTS_EACH, len))?;
    session.release(names.sums, &Shared::concat([&sum, &squares]).transposed(2, len))?;
    Ok(session.release(names.places, &Shared::zeros(6 * len))?)
}

/// This centre's largest magnitude and sum of magnitudes of each cell, in parts of the public reach.
pub(crate) fn magnitudes(cells: &[LocalCell<'_>]) -> Result<(Vec<Word>, Vec<Word>), AnalysisError> {
    let (mut largest, mut sums) = (Vec::new(), vec![0; cells.len()]);
    for (cell, sum) in cells.iter().zip(&mut sums) {
        let mut most = 0.0_f64;
        for value in cell.values.iter().flatten() {
            let size = value.abs() / cell.numeric.reach;
            most = most.max(size);
            konsil_kernels::add_rounded(std::slice::from_mut(sum), &[size])?;
        }
        largest.push(encode(most)?);
    }
    Ok((largest, sums))
}

/// Verdicts of cells; where a variable has two values only, both must have enough patients too,
/// because the mean says how many have which. Values are -1 and 1 after scaling. 6 rounds.
fn both_values(
    session: &mut dyn Session,
    policy: &Policy,
    (verdicts, known, sums): (&Shared, &Shared, &Shared),
    two_values: &[bool],
) -> Result<Shared, MpcError> {
    let places = two_values.iter().enumerate().filter(|(_, two)| **two);
    let places: Vec<usize> = places.map(|(at, _)| at).collect();
    if places.is_empty() {
        return Ok(verdicts.clone());
    }
    let pick = |column: &Shared| column.pick(places.iter().copied());
    let (known, sums) = (pick(known).integer_to_fixed(), pick(sums));
    // twice the patients with the upper and with the lower value
    let twice = Shared::concat([&known.plus(&sums), &known.minus(&sums)]);
    let least = encode_count(policy.threshold.saturating_mul(2)).wrapping_mul(ONE);
    let enough = fixed::at_least(session, &twice, least)?;
    let enough = session.to_integers(&enough)?;
    let (upper, lower) = (enough.slice(0, places.len()), enough.slice(places.len(), twice.len()));
    let both = session.multiply_raw(&upper, &lower)?;
    let both = session.multiply_raw(&pick(verdicts), &both)?;
    Ok(verdicts.replaced(&places, &both))
}

/// What is known of one cell after the release; `None` where it was suppressed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Described {
    pub(crate) known: Option<f64>,
    pub(crate) missing: Option<f64>,
    pub(crate) mean: Option<f64>,
    pub(crate) deviation: Option<f64>,
    pub(crate) quartiles: Option<[f64; 3]>,
}

/// Reads one cell back from released numbers (counts, sums, places).
pub(crate) fn read_cell(
    numeric: &Numeric,
    counts: &[f64],
    sums: &[f64],
    places: &[f64],
) -> Described {
    let (Some([verdict, known, missing_verdict, missing, quartiles]), Some([sum, squares])) =
        (counts.first_chunk::<COUNTS_EACH>(), sums.first_chunk::<2>())
    else {
        return Described {
            known: None,
            missing: None,
            mean: None,
            deviation: None,
            quartiles: None,
        };
    };
    // with noise there can be fewer than none
    let shown = *verdict > 0.5 && *known >= 2.0;
    let mean = sum / known;
    let variance = (squares - sum * mean) / (known - 1.0);
    // every square was rounded to a unit: less than a few is nothing
    let variance = if variance < 8.0 * ULP { 0.0 } else { variance };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places are whole numbers below 2^40"
    )]
    let places: Vec<u64> = places.iter().map(|place| *place as u64).collect();
    Described {
        known: shown.then_some(*known),
        missing: (*missing_verdict > 0.5).then_some(*missing),
        mean: shown.then_some(numeric.centre + numeric.scale * mean),
        deviation: shown.then(|| numeric.scale * variance.sqrt()),
        quartiles: (*quartiles > 0.5).then(|| interpolate(&places, numeric.grid, *known)),
    }
}

/// The patients of one group, from the group of each patient.
pub(crate) fn of_group(groups: &[Option<usize>], group: usize) -> Picked {
    groups.iter().map(|it| it.map(|of| of == group)).collect()
}

/// The rate of members found, as released: less than so many percent. `None` with noise.
pub(crate) fn found_percent(
    release: &Release,
    found: Opening,
) -> Result<Option<f64>, AnalysisError> {
    let Ok(reached) = release.counts(found) else {
        return Ok(None);
    };
    let reached = reached.first().copied().unwrap_or(0.0);
    let above = FOUND_PER_MILLE.iter().enumerate().find(|(at, _)| *at as f64 >= reached);
    Ok(Some(above.map_or(100.0, |(_, level)| *level as f64 / 10.0)))
}
