//! Regression designs: public scaling, local model matrices, and the way back to raw coefficients.

use crate::analysis::{AnalysisError, Patients, Request};
use konsil_cohort::design::{Design, DesignColumn, DesignMatrix, Picked, Response};
use konsil_cohort::{Dataset, Dictionary, Formula, suggest};
use konsil_disclosure::Supports;
use konsil_kernels::Observed;
use konsil_mpc::linear::ORDER_MAX;
use std::collections::HashMap;
use std::hash::Hash;

/// A design with one way to move and scale each column, fixed by the dictionary.
pub(crate) struct Model {
    pub(crate) design: Design,
    /// Centre and scale of each column: the engine works with `(x - centre) / scale`.
    pub(crate) columns: Vec<(f64, f64)>,
    /// Columns that pick out patients: all but the intercept and plain numbers.
    picking: Vec<usize>,
    /// The variable that has the prior weights.
    weights: Option<String>,
    clusters: Clusters,
}

/// What makes patients belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Clusters {
    /// Nothing.
    None,
    /// The centre.
    Centre,
    /// A variable's value, at the same centre.
    Variable(String),
}

/// One centre's rows, moved and scaled.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) x: Vec<f64>,
    pub(crate) y: Vec<f64>,
    pub(crate) offset: Vec<f64>,
    /// Prior weights, all above 0; empty for 1.
    pub(crate) weights: Vec<f64>,
    /// Number of each patient's cluster within the centre; empty without clusters.
    pub(crate) clusters: Vec<usize>,
    /// Values of further variables in which patients are complete, see [`Model::also_complete_in`].
    pub(crate) also: Vec<Vec<f64>>,
    /// Which patients the columns pick out.
    pub(crate) supports: Supports,
    /// Which rows of the data set they are; as read, whatever weights leave out.
    pub(crate) kept: Vec<usize>,
}

impl Model {
    /// Expands the request's formula. `what` names the analysis in errors.
    pub(crate) fn new(request: &Request, dictionary: &Dictionary) -> Result<Self, AnalysisError> {
        let Some(text) = &request.formula else {
            let what = "needs a formula, such as `y ~ age + sex`";
            return Err(AnalysisError::request(request, what));
        };
        let design = Design::expand(&Formula::parse(text)?, dictionary)?;
        if matches!(design.response, Response::Survival { .. }) {
            let what = "has a survival response; use km or cox";
            return Err(AnalysisError::request(request, what));
        }
        if !design.strata.is_empty() {
            return Err(AnalysisError::request(request, "strata() has no meaning in this model"));
        }
        let centred = design.has_intercept;
        Self::of(request, dictionary, (design, centred))
    }

    /// The model of a survival response. Moving a column changes the baseline only, so that columns
    /// are moved without an intercept.
    pub(crate) fn survival(
        request: &Request,
        dictionary: &Dictionary,
    ) -> Result<Self, AnalysisError> {
        let Some(text) = &request.formula else {
            let what = "needs a formula, such as `Surv(months, died) ~ age + sex`";
            return Err(AnalysisError::request(request, what));
        };
        let design = Design::expand(&Formula::parse(text)?, dictionary)?;
        if !matches!(design.response, Response::Survival { .. }) {
            let what = "needs Surv(time, event) on the left of `~`";
            return Err(AnalysisError::request(request, what));
        }
        Self::of(request, dictionary, (design, true))
    }

    /// The same without strata and late entry, with the range of the time.
    pub(crate) fn plain_survival(
        request: &Request,
        dictionary: &Dictionary,
    ) -> Result<(Self, Option<(f64, f64)>), AnalysisError> {
        let model = Self::survival(request, dictionary)?;
        let design = &model.design;
        match design.response {
            Response::Survival { time_range, delayed_entry: false }
                if design.strata.is_empty() && !design.strata_by_centre =>
            {
                Ok((model, time_range))
            }
            _ => {
                let what = "takes neither strata() nor patients who enter late";
                Err(AnalysisError::request(request, what))
            }
        }
    }

    /// Coefficients of the researcher's choice, as a plan shows them.
    pub(crate) fn chosen(&self, coefficients: &[f64]) -> Vec<String> {
        let columns = self.names().zip(coefficients);
        let chosen = "coefficients chosen by the researcher:".to_owned();
        [chosen].into_iter().chain(columns.map(|(name, beta)| format!("{beta} x {name}"))).collect()
    }

    fn of(
        request: &Request,
        dictionary: &Dictionary,
        (design, centred): (Design, bool),
    ) -> Result<Self, AnalysisError> {
        let terms = design.columns.len();
        if terms > ORDER_MAX {
            let what =
                format!("has {terms} columns after expansion; at most {ORDER_MAX} are possible");
            return Err(AnalysisError::request(request, what));
        }
        // without an intercept a moved column would be another model
        let scaling = |column: &DesignColumn| {
            let centre = if centred { column.centre } else { 0.0 };
            let reach = column.range.map_or(column.scale, |(low, high)| low.abs().max(high.abs()));
            let scale = if centred { column.scale } else { reach };
            (centre, if scale > 0.0 { scale } else { 1.0 })
        };
        let columns = design.columns.iter().map(scaling).collect();
        let intercept = usize::from(design.has_intercept);
        let picking = design.columns.iter().enumerate().skip(intercept);
        let plain = |(at, column): &(usize, &DesignColumn)| {
            let name = design.straight(*at).unwrap_or_else(|| column.name.clone());
            is_plain(&name, dictionary)
        };
        let picking = picking.filter(|column| !plain(column));
        let picking = picking.map(|(at, _)| at).collect();
        let weights = request.weights.clone();
        let clusters = match request.cluster.as_deref() {
            None => Clusters::None,
            Some("centre") if dictionary.variable("centre").is_none() => Clusters::Centre,
            Some(name) => Clusters::Variable(name.to_owned()),
        };
        let design = besides(request, dictionary, design)?;
        Ok(Self { design, columns, picking, weights, clusters })
    }

    /// The model with further columns, which [`Rows::beside`] puts in.
    pub(crate) fn with_names(&self, names: &[String]) -> Self {
        let design = names.iter().fold(self.design.clone(), |design, name| design.with_name(name));
        let mut columns = self.columns.clone();
        columns.resize(columns.len() + names.len(), (0.0, 1.0));
        let (picking, weights) = (self.picking.clone(), self.weights.clone());
        Self { design, columns, picking, weights, clusters: self.clusters.clone() }
    }

    pub(crate) fn order(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.design.columns.iter().map(|column| column.name.as_str())
    }

    /// This centre's complete rows.
    pub(crate) fn rows(&self, patients: Patients<'_>) -> Result<Rows, AnalysisError> {
        let Some(dataset) = patients else {
            let supports = Supports::none(self.picking.len());
            return Ok(Rows { supports, ..Rows::default() });
        };
        let DesignMatrix { x, y, offset, besides, kept, .. } = self.design.matrix(dataset)?;
        let offset = if self.design.offset.is_some() { offset } else { Vec::new() };
        let mut besides = besides.into_iter();
        let weights = self.weights.as_ref().and_then(|_| besides.next()).unwrap_or_default();
        let clusters = match &self.clusters {
            Clusters::None => Vec::new(),
            Clusters::Centre => vec![0; y.len()],
            Clusters::Variable(_) => {
                numbered(besides.next().unwrap_or_default().iter().map(|it| it.to_bits()))
            }
        };
        let also = besides.collect();
        let mut rows = Rows { x, y, offset, weights, clusters, also, kept, ..Rows::default() };
        rows.keep_weighted(self.order());
        rows.supports = self.supports(&rows.x);
        self.scale(&mut rows.x);
        Ok(rows)
    }

    /// Leaves out patients who miss any of these variables.
    pub(crate) fn also_complete_in(&mut self, names: &[String]) {
        for name in names {
            if !self.design.variables_used().contains(name) {
                self.design = self.design.clone().reading(name);
            }
        }
    }

    /// What makes patients belong together.
    pub(crate) fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// Whether patients have prior weights.
    pub(crate) fn is_weighted(&self) -> bool {
        self.weights.is_some()
    }

    /// How many sets of patients the model is about: everybody, those whom columns pick out, and those
    /// whom they leave.
    pub(crate) fn sets(&self) -> usize {
        1 + 2 * self.picking.len()
    }

    /// These sets among all patients, whether complete or not.
    pub(crate) fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        let picked = self.design.picked(patients, &self.picking)?;
        let others = |set: &Picked| set.iter().map(|it| it.map(|picked| !picked)).collect();
        let left: Vec<Picked> = picked.iter().map(others).collect();
        // a formula may leave patients out, by weights, cut() or listed levels
        let mut everybody = self.design.left_in(patients)?;
        if let Some(name) = &self.weights {
            for (entry, weight) in everybody.iter_mut().zip(patients.numeric(name)?) {
                let counts = weight.map(|weight| weight > 0.0);
                *entry = entry.zip(counts).map(|(left_in, counts)| left_in && counts);
            }
        }
        Ok([vec![everybody], picked, left].concat())
    }

    /// Moves and scales rows.
    pub(crate) fn scale(&self, x: &mut [f64]) {
        for row in x.chunks_mut(self.order().max(1)) {
            for (value, (centre, scale)) in row.iter_mut().zip(&self.columns) {
                *value = (*value - centre) / scale;
            }
        }
    }

    /// How many sets of patients the columns pick out. Public.
    pub(crate) fn picking(&self) -> usize {
        self.picking.len()
    }

    /// Whom the columns pick out, patient by patient, `[patient][set]`; of rows as read.
    pub(crate) fn picked(&self, x: &[f64]) -> Vec<bool> {
        let rows = x.chunks(self.order().max(1));
        let in_row = |row: &[f64], column: &usize| row.get(*column).is_some_and(|it| *it != 0.0);
        rows.flat_map(|row| self.picking.iter().map(move |column| in_row(row, column))).collect()
    }

    /// Which patients the columns pick out: those in whom they are not 0.
    pub(crate) fn supports(&self, x: &[f64]) -> Supports {
        let words = self.picking.len().div_ceil(64);
        let order = self.order().max(1);
        let mut members = vec![0_u64; x.len() / order * words];
        for (row, members) in x.chunks(order).zip(members.chunks_mut(words.max(1))) {
            for (set, column) in self.picking.iter().enumerate() {
                if row.get(*column).is_some_and(|value| *value != 0.0) {
                    members[set / 64] |= 1 << (set % 64);
                }
            }
        }
        if words == 0 {
            return Supports::count(0, vec![&[][..]; x.len() / order]);
        }
        Supports::count(self.picking.len(), members.chunks(words))
    }

    /// The row of public factors that gives the raw intercept from the scaled coefficients:
    /// `beta_0 - sum beta_j centre_j / scale_j`.
    pub(crate) fn intercept_factors(&self) -> Vec<f64> {
        let factor = |(at, (centre, scale)): (usize, &(f64, f64))| {
            if at == 0 { 1.0 } else { -centre / scale }
        };
        self.columns.iter().enumerate().map(factor).collect()
    }

    /// Raw coefficients from scaled ones.
    pub(crate) fn raw(&self, scaled: &[f64]) -> Vec<f64> {
        let each = scaled.iter().zip(&self.columns).map(|(beta, (_, scale))| beta / scale);
        let mut raw: Vec<f64> = each.collect();
        if self.design.has_intercept {
            let factors = self.intercept_factors();
            raw[0] = scaled.iter().zip(&factors).map(|(beta, factor)| beta * factor).sum();
        }
        raw
    }

    /// Refuses columns whose range the dictionary does not tell, and such as hold the response itself:
    /// chosen coefficients could make steps of them.
    pub(crate) fn check_known(&self, request: &Request) -> Result<(), AnalysisError> {
        let mut columns = self.design.columns.iter();
        if let Some(column) = columns.find(|it| it.range.is_none()) {
            let what = format!(
                "needs the range of `{}`: give its variables min and max in the dictionary, as in \
                 log(x + 1) of x from 0",
                column.name
            );
            return Err(AnalysisError::request(request, what));
        }
        let text = request.formula.as_deref().unwrap_or_default();
        let (left, right) = text.split_once('~').unwrap_or_default();
        let words = |text: &str| -> Vec<String> {
            let part = |c: char| !(c.is_alphanumeric() || c == '_' || c == '.');
            text.split(part).filter(|it| !it.is_empty()).map(str::to_owned).collect()
        };
        let left = words(left);
        let mut used = self.design.variables_used().iter();
        let twice = used.find(|name| left.contains(name) && words(right).contains(name));
        match twice {
            Some(name) => {
                let what = format!("has `{name}` on both sides of `~`");
                Err(AnalysisError::request(request, what))
            }
            None => Ok(()),
        }
    }

    /// How the formula was understood, line by line.
    pub(crate) fn understood(&self) -> Vec<String> {
        self.design.describe().lines().map(str::to_owned).collect()
    }
}

impl Rows {
    /// The patients as the kernels read them.
    pub(crate) fn observed(&self) -> Observed<'_> {
        Observed { x: &self.x, y: &self.y, offset: &self.offset, weights: &self.weights }
    }

    /// Puts `width` further columns, `[row][width]`, beside those of a model of `order` columns.
    pub(crate) fn beside(&mut self, order: usize, (further, width): (&[f64], usize)) {
        if width == 0 || self.y.is_empty() {
            return;
        }
        let rows = self.x.chunks(order.max(1)).zip(further.chunks(width));
        self.x = rows.flat_map(|(row, further)| row.iter().chain(further).copied()).collect();
    }

    /// Leaves out patients of weight 0: they take no part, as in R.
    fn keep_weighted(&mut self, order: usize) {
        if self.weights.iter().all(|weight| *weight > 0.0) {
            return;
        }
        let keep: Vec<bool> = self.weights.iter().map(|weight| *weight > 0.0).collect();
        let by = |all: &mut Vec<f64>, each: usize| {
            let mut at = 0;
            all.retain(|_| {
                at += 1;
                keep.get((at - 1) / each.max(1)).copied().unwrap_or(false)
            });
        };
        by(&mut self.x, order);
        let single = [&mut self.y, &mut self.offset, &mut self.weights];
        single.into_iter().chain(&mut self.also).for_each(|all| by(all, 1));
        let mut kept = keep.iter();
        self.clusters.retain(|_| kept.next().copied().unwrap_or(false));
        self.clusters = numbered(self.clusters.iter().copied());
    }
}

/// Numbers of clusters in order of first appearance.
fn numbered<T: Eq + Hash>(values: impl Iterator<Item = T>) -> Vec<usize> {
    let mut known = HashMap::new();
    let number = |value| {
        let next = known.len();
        *known.entry(value).or_insert(next)
    };
    values.map(number).collect()
}

/// Lets the design read the variables of weights and clusters.
fn besides(
    request: &Request,
    dictionary: &Dictionary,
    mut design: Design,
) -> Result<Design, AnalysisError> {
    let error = |what: String| AnalysisError::request(request, what);
    let find = |option: &str, name: &str| {
        let found = dictionary.variable(name).filter(|it| !it.is_identifier());
        found.ok_or_else(|| {
            let near = suggest(name, dictionary.variables.iter().map(|it| it.name.as_str()));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            error(format!("has no variable `{name}` for {option}{near}"))
        })
    };
    if let Some(name) = &request.weights {
        let positive = find("weights", name)?.range().is_some_and(|(low, _)| low >= 0.0);
        if !positive {
            let what = "needs weights that are never below 0 by the dictionary";
            return Err(error(what.to_owned()));
        }
        design = design.reading(name);
    }
    if let Some(name) = request.cluster.as_ref().filter(|it| *it != "centre") {
        find("cluster", name)?;
        design = design.reading(name);
    }
    Ok(design)
}

/// Whether a column is a number of the dictionary as it is, or moved, scaled or bent as a whole: its
/// zeros pick out nobody by the researcher's choice.
fn is_plain(name: &str, dictionary: &Dictionary) -> bool {
    let wrappers = ["I(", "log(", "exp(", "sqrt(", "pmin(", "pmax("];
    let wrapped = wrappers.into_iter().find_map(|it| name.strip_prefix(it));
    let inner = wrapped.and_then(|it| it.strip_suffix(')')).unwrap_or(name);
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
    let end = inner.find(|c| !word(c)).unwrap_or(inner.len());
    let (variable, rest) = inner.split_at(end);
    let arithmetic = |c: char| c.is_ascii_digit() || " .,+-*/^".contains(c);
    let bound: Option<f64> = rest.strip_prefix(',').and_then(|it| it.trim().parse().ok());
    // cut off at 0, a number picks out those who are above or below
    if bound == Some(0.0) {
        return false;
    }
    dictionary.variable(variable).is_some_and(|it| !it.is_zero_one())
        && rest.chars().all(arithmetic)
}
