//! Completed sets of a centre's patients, and the secret draws they are made of. Patient data.

use crate::analysis::AnalysisError;
use konsil_cohort::Dataset;
use konsil_cohort::Kind;
use konsil_mpc::{Prg, Seed};

/// Random numbers of one centre that nobody else can draw again.
pub(crate) struct Draws {
    generator: Prg,
    stream: u64,
    left: Vec<u128>,
}

impl Draws {
    /// A fresh generator.
    ///
    /// # Errors
    /// [`AnalysisError::Unsettled`] where the machine gives no random numbers.
    pub(crate) fn new() -> Result<Self, AnalysisError> {
        let mut bytes = [0; 32];
        let what = "this machine gave no random numbers; try again";
        getrandom::fill(&mut bytes).map_err(|_| AnalysisError::Unsettled { what })?;
        Ok(Self { generator: Prg::new(&Seed::new(bytes)), stream: 0, left: Vec::new() })
    }

    /// Evenly from 0 to 1, never 0 or 1.
    pub(crate) fn even(&mut self) -> f64 {
        if self.left.is_empty() {
            self.left = self.generator.expand(self.stream, 1024);
            self.stream += 1;
        }
        let word = self.left.pop().unwrap_or_default();
        ((word >> 76) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    /// Normal, by Box and Muller.
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.even(), self.even());
        (-2.0 * radius.ln()).sqrt() * (2.0 * std::f64::consts::PI * angle).cos()
    }

    /// One of so many.
    pub(crate) fn one_of(&mut self, count: usize) -> usize {
        let place = (self.even() * count as f64).floor();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and count"
        )]
        let place = place as usize;
        place.min(count.saturating_sub(1))
    }

    /// How often each of those that are known is drawn in a sample of as many, with replacement.
    pub(crate) fn sample(&mut self, missing: &[bool]) -> Vec<f64> {
        let known: Vec<usize> = (0..missing.len()).filter(|at| !missing[*at]).collect();
        let mut times = vec![0.0; missing.len()];
        for _ in 0..known.len() {
            times[known[self.one_of(known.len())]] += 1.0;
        }
        times
    }
}

/// One centre's patients with what was imputed so far, and who missed what.
pub(crate) struct Completed {
    /// `[imputation]`.
    pub(crate) sets: Vec<Dataset>,
    /// `[variable][patient]`.
    pub(crate) missing: Vec<Vec<bool>>,
    pub(crate) draws: Draws,
}

/// Values of a variable, categories by the index of the level.
fn values(dataset: &Dataset, name: &str) -> Result<Vec<Option<f64>>, AnalysisError> {
    let category = dataset.dictionary().variable(name).is_some_and(|it| it.kind == Kind::Category);
    if category {
        let levels = dataset.levels(name)?;
        return Ok(levels.into_iter().map(|level| level.map(f64::from)).collect());
    }
    Ok(dataset.numeric(name)?)
}

impl Completed {
    /// The patients who have all of `needed`, with each of `incomplete` filled by values of other
    /// patients of this centre, drawn; by `middles` where nobody has one.
    pub(crate) fn new(
        dataset: &Dataset,
        needed: &[String],
        (incomplete, middles): (&[String], &[f64]),
        imputations: usize,
    ) -> Result<Self, AnalysisError> {
        let mut keep = vec![true; dataset.rows()];
        for name in needed {
            let known = values(dataset, name)?;
            keep.iter_mut().zip(known).for_each(|(keep, value)| *keep &= value.is_some());
        }
        let kept = dataset.keep(&keep)?;
        let mut draws = Draws::new()?;
        let mut sets = vec![kept.clone(); imputations];
        let mut missing = Vec::with_capacity(incomplete.len());
        for (name, middle) in incomplete.iter().zip(middles) {
            let all = values(&kept, name)?;
            let known: Vec<f64> = all.iter().flatten().copied().collect();
            for set in &mut sets {
                let mut filled = Vec::with_capacity(all.len());
                for value in &all {
                    let drawn = known.get(draws.one_of(known.len())).copied().unwrap_or(*middle);
                    filled.push(value.unwrap_or(drawn));
                }
                *set = set.completed(name, &filled)?;
            }
            missing.push(all.iter().map(Option::is_none).collect());
        }
        Ok(Self { sets, missing, draws })
    }

    /// Replaces what was missing of a variable in one set; `draw` gets the patient and the draws.
    pub(crate) fn impute(
        &mut self,
        (set, variable): (usize, usize),
        name: &str,
        draw: impl Fn(usize, &mut Draws) -> f64,
    ) -> Result<(), AnalysisError> {
        let (Some(completed), Some(missing)) = (self.sets.get_mut(set), self.missing.get(variable))
        else {
            return Ok(());
        };
        let all = values(completed, name)?;
        let mut filled = Vec::with_capacity(all.len());
        for (patient, (value, missing)) in all.into_iter().zip(missing).enumerate() {
            filled.push(match value {
                Some(value) if !missing => value,
                _ => draw(patient, &mut self.draws),
            });
        }
        *completed = completed.completed(name, &filled)?;
        Ok(())
    }
}
