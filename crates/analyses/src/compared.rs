//! What comparisons of groups share: a number, a variable with levels, how both are read, ranks on
//! a public grid.

use crate::analysis::{AnalysisError, Patients, Request, Setting};
use crate::describe::{Numeric, find, label, of_group};
use crate::table::Cell;
use crate::table1::sides;
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, admit};
use konsil_mpc::{Audience, MpcError, Opening, Session, Shared};
use konsil_ring::Word;
use std::ops::RangeInclusive;

/// Most cells of a group's histogram, over all groups.
const CELLS_MAX: u64 = 1 << 18;

/// The opening of an admission.
pub(crate) const fn admitted(name: &'static str) -> Opening {
    Opening {
        name,
        says: "Whether the cohort and each of its groups have enough patients.",
        to: Audience::Centres,
    }
}

/// A released number.
pub(crate) const fn released(name: &'static str, says: &'static str) -> Opening {
    Opening { name, says, to: Audience::Researcher }
}

/// A variable with levels.
#[derive(Clone, Debug)]
pub(crate) struct Factor {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) levels: Vec<String>,
}

impl Factor {
    /// The variable of a name, which must have levels.
    pub(crate) fn new(dictionary: &Dictionary, name: &str) -> Result<Self, String> {
        let variable = find(dictionary, name)?;
        let levels = variable.factor_levels();
        let levels = levels.ok_or_else(|| format!("`{name}` has no levels in the dictionary"))?;
        Ok(Self { name: name.to_owned(), label: label(variable), levels })
    }

    /// The level of each patient.
    pub(crate) fn of(&self, dataset: &Dataset) -> Result<Vec<Option<usize>>, AnalysisError> {
        let levels = dataset.levels(&self.name)?;
        Ok(levels.into_iter().map(|level| usize::try_from(level?).ok()).collect())
    }

    /// How it is described in a plan.
    pub(crate) fn understood(&self) -> String {
        format!("{} ({}): {}", self.name, self.label, self.levels.join(", "))
    }
}

/// A number compared between the levels of a variable, or described as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Compared {
    pub(crate) numeric: Numeric,
    /// The second variable of a pair, taken from the first.
    pub(crate) minus: Option<Numeric>,
    pub(crate) by: Option<Factor>,
}

impl Compared {
    /// `y ~ group`, where the group has so many levels; with 1 among them also `y ~ 1`.
    pub(crate) fn new(
        request: &Request,
        dictionary: &Dictionary,
        groups: RangeInclusive<usize>,
    ) -> Result<Self, AnalysisError> {
        let error = |what: String| AnalysisError::request(request, what);
        let wanted = || error("needs a formula, such as `crp ~ arm`".to_owned());
        let text = request.formula.as_ref().ok_or_else(wanted)?;
        let (Some(left), right) = sides(text).map_err(error)? else {
            return Err(wanted());
        };
        let [right] = &right[..] else {
            return Err(error("compares one number between the levels of one variable".to_owned()));
        };
        let numeric = number(dictionary, &left).map_err(error)?;
        if right == "1" && groups.contains(&1) {
            return Ok(Self { numeric, minus: None, by: None });
        }
        let by = Factor::new(dictionary, right).map_err(error)?;
        if !groups.contains(&by.levels.len()) {
            let (least, most) = (*groups.start().max(&2), groups.end());
            let many =
                if least == *most { format!("{least}") } else { format!("{least} to {most}") };
            let what = format!(
                "compares {many} groups, and `{right}` has {} levels; choose another analysis, or \
                 select patients of fewer levels of another variable",
                by.levels.len()
            );
            return Err(error(what));
        }
        Ok(Self { numeric, minus: None, by: Some(by) })
    }

    /// The differences of two numbers of the same patients.
    pub(crate) fn paired(
        request: &Request,
        dictionary: &Dictionary,
    ) -> Result<Self, AnalysisError> {
        let error = |what: String| AnalysisError::request(request, what);
        let [first, second] = &request.variables[..] else {
            return Err(error("compares two variables of the same patients; name both".to_owned()));
        };
        let (first, second) =
            (number(dictionary, first).map_err(error)?, number(dictionary, second).map_err(error)?);
        let numeric = Numeric::difference(&first, &second).map_err(error)?;
        Ok(Self { numeric, minus: Some(second), by: None })
    }

    pub(crate) fn groups(&self) -> usize {
        self.by.as_ref().map_or(1, |by| by.levels.len())
    }

    /// The name of a group; empty where there is one only.
    pub(crate) fn group(&self, at: usize) -> &str {
        self.by.as_ref().and_then(|by| by.levels.get(at)).map_or("", String::as_str)
    }

    /// The known values of each group at this centre.
    pub(crate) fn values(&self, patients: Patients<'_>) -> Result<Vec<Vec<f64>>, AnalysisError> {
        let mut values = vec![Vec::new(); self.groups()];
        let Some(dataset) = patients else {
            return Ok(values);
        };
        let first = self.minus.as_ref().map_or(self.numeric.name.as_str(), |_| {
            self.numeric.name.split(" - ").next().unwrap_or_default()
        });
        let mut column = dataset.numeric(first)?;
        if let Some(second) = &self.minus {
            for (value, other) in column.iter_mut().zip(dataset.numeric(&second.name)?) {
                *value = value.zip(other).map(|(value, other)| value - other);
            }
        }
        let groups = self.membership(dataset)?;
        for (value, group) in column.into_iter().zip(groups) {
            if let (Some(value), Some(group)) = (value, group)
                && let Some(of) = values.get_mut(group)
            {
                of.push(value);
            }
        }
        Ok(values)
    }

    fn membership(&self, dataset: &Dataset) -> Result<Vec<Option<usize>>, AnalysisError> {
        match &self.by {
            Some(by) => by.of(dataset),
            None => Ok(vec![Some(0); dataset.rows()]),
        }
    }

    /// As [`crate::Analysis::pick`].
    pub(crate) fn pick(&self, dataset: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let groups = self.membership(dataset)?;
        Ok((0..self.groups()).map(|group| of_group(&groups, group)).collect())
    }

    /// As [`crate::Analysis::understood`].
    pub(crate) fn understood(&self) -> Vec<String> {
        let number = format!("{} ({})", self.numeric.name, self.numeric.label);
        let by = self.by.as_ref().map(|by| format!("by {}", by.understood()));
        [number].into_iter().chain(by).collect()
    }

    /// As [`Compared::new`], of a number whose grid has few enough points for a histogram.
    pub(crate) fn ranked(
        request: &Request,
        dictionary: &Dictionary,
        groups: RangeInclusive<usize>,
    ) -> Result<Self, AnalysisError> {
        Self::new(request, dictionary, groups)?.on_grid(request)
    }

    /// Refuses grids with too many points for a histogram.
    pub(crate) fn on_grid(self, request: &Request) -> Result<Self, AnalysisError> {
        let groups = u64::try_from(self.groups()).unwrap_or(u64::MAX);
        check_cells(request, &self.numeric, groups)?;
        Ok(self)
    }

    /// As [`crate::Analysis::understood`], with the grid.
    pub(crate) fn understood_on_grid(&self) -> Vec<String> {
        let mut lines = self.understood();
        lines.push(grid_words(&self.numeric));
        lines
    }

    /// This centre's patients at each point of the grid, `[group][point]`.
    pub(crate) fn histogram(&self, values: &[Vec<f64>]) -> Vec<Word> {
        let points = self.points();
        let mut counts = vec![0; values.len() * points];
        for (group, values) in values.iter().enumerate() {
            for value in values {
                counts[group * points + self.numeric.place(*value)] += 1;
            }
        }
        counts
    }

    /// Points of the grid.
    pub(crate) fn points(&self) -> usize {
        usize::try_from(self.numeric.grid.points).unwrap_or(usize::MAX)
    }
}

/// A numeric variable with more than two values.
pub(crate) fn number(dictionary: &Dictionary, name: &str) -> Result<Numeric, String> {
    let variable = find(dictionary, name)?;
    if !variable.levels.is_empty() || variable.factor_levels().is_some_and(|it| it.len() <= 2) {
        return Err(format!("`{name}` has levels and is no number; compare it with chisq"));
    }
    Numeric::new(variable)
}

/// Refuses grids with too many points for a histogram.
pub(crate) fn check_cells(
    request: &Request,
    numeric: &Numeric,
    times: u64,
) -> Result<(), AnalysisError> {
    if numeric.grid.points.saturating_mul(times) <= CELLS_MAX {
        return Ok(());
    }
    let what = format!(
        "ranks `{}` on its public grid of {} points; more than {CELLS_MAX} over all groups are too \
         many: declare fewer decimals or a narrower range in the dictionary",
        numeric.name, numeric.grid.points
    );
    Err(AnalysisError::request(request, what))
}

/// Numbers of patients as counts.
pub(crate) fn sizes(values: &[Vec<f64>]) -> Vec<u64> {
    values.iter().map(|it| u64::try_from(it.len()).unwrap_or(u64::MAX)).collect()
}

/// Admits a comparison whose groups must all be large enough. Cost as [`admit`].
pub(crate) fn admit_groups(
    session: &mut dyn Session,
    opening: Opening,
    setting: &Setting,
    (sizes, statistics): (&[u64], usize),
) -> Result<(), AnalysisError> {
    let all = sizes.iter().sum::<u64>();
    let patients = usize::try_from(all).unwrap_or(usize::MAX);
    let applicants = Applicants { patients, parameters: 0, statistics, also: sizes };
    Ok(admit(session, opening, &setting.policy, applicants)?)
}

/// The columns of `[group][point]` added over the groups.
pub(crate) fn over_groups(counts: &Shared, points: usize) -> Shared {
    let groups = counts.len().checked_div(points).unwrap_or(0);
    let group = |at: usize| counts.slice(at * points, (at + 1) * points);
    (0..groups).fold(Shared::zeros(points), |sum, at| sum.plus(&group(at)))
}

/// Twice the mean rank of those at each point, from the counts at the points. No messages.
pub(crate) fn doubled_ranks(session: &dyn Session, counts: &Shared) -> Shared {
    let one = session.constant(&vec![1; counts.len()]);
    counts.running_sums().times_integer(2).minus(counts).plus(&one)
}

/// The sum of `t^3 - t` over groups of `t` tied values, from the counts. 2 rounds.
pub(crate) fn tied(session: &mut dyn Session, counts: &Shared) -> Result<Shared, MpcError> {
    let squares = session.square_raw(counts)?;
    Ok(session.dot_raw(&squares, counts, counts.len())?.minus(&counts.total()))
}

/// Totals of `[group][point]` by group.
pub(crate) fn group_totals(counts: &Shared, points: usize) -> Shared {
    let groups = counts.len().checked_div(points).unwrap_or(0);
    let totals: Vec<Shared> =
        (0..groups).map(|at| counts.slice(at * points, (at + 1) * points).total()).collect();
    Shared::concat(&totals)
}

/// A text cell.
pub(crate) fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

/// How the public grid of a number is described in a plan.
pub(crate) fn grid_words(numeric: &Numeric) -> String {
    let grid = numeric.grid;
    format!(
        "{} from {} in {} steps of {}: exact for values with the dictionary's decimals",
        numeric.name,
        grid.start,
        grid.points - 1,
        grid.step
    )
}

/// The sign of a number; 0 of 0.
pub(crate) fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// A release with fewer numbers than the analysis released.
pub(crate) fn release_is_short(opening: Opening) -> AnalysisError {
    AnalysisError::Release(konsil_disclosure::ReleaseError::Missing { name: opening.name })
}
