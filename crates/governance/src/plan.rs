//! Plans: what a study will reveal and cost, found by running it on nothing.

use crate::exposure::{Exposure, exposure};
use crate::guarantee::{guarantee, noise_statement};
use crate::score::StudyScore;
use crate::study::{Study, StudyError};
use konsil_analyses::{Analysis, AnalysisError, Setting, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{DIFFERENCES, Overlaps, PAIRS_MAX, Policy, compare_cohorts};
use konsil_mpc::{Audience, Cost, Kind, LedgerLine, SharedSession, Topology};
use serde::Serialize;
use thiserror::Error;

/// Why no plan can be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PlanError {
    /// One of the analyses.
    #[error("{0}")]
    Analysis(AnalysisError),
    /// The condition of the cohort.
    #[error("{0}")]
    Cohort(String),
    /// A score that the study brings.
    #[error("{0}")]
    Score(StudyError),
    /// More groups and columns than can be compared with those of earlier releases.
    #[error(
        "the study's groups and columns make {pairs} pairs with each other and with those of earlier \
         releases, more than {PAIRS_MAX}; ask for fewer groups, levels or analyses at once"
    )]
    TooManyPairs {
        /// Pairs of sets of patients.
        pairs: usize,
    },
    /// Fewer centres than the policy asks for.
    #[error("{centres} centres take part, at least {needed} must")]
    TooFewCentres {
        /// Centres that take part.
        centres: usize,
        /// Fewest that must.
        needed: u64,
    },
}

impl From<AnalysisError> for PlanError {
    fn from(error: AnalysisError) -> Self {
        Self::Analysis(error)
    }
}

/// One analysis of a study, ready to run, with its place among the session's correlations.
pub struct Stage {
    /// Its id in the study.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The analysis.
    pub analysis: Box<dyn Analysis>,
    /// Number of its first correlation.
    pub first: u64,
    /// The planned ledger.
    pub ledger: Vec<LedgerLine>,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stage({})", self.id)
    }
}

/// What one party will do: its stages, all correlations in order, its exact cost.
#[derive(Debug)]
pub struct CentrePlan {
    /// The analyses in order.
    pub stages: Vec<Stage>,
    /// What the comparison with earlier releases opens.
    pub compared: Vec<LedgerLine>,
    /// Correlations of the whole session.
    pub kinds: Vec<Kind>,
    /// What this party sends to other centres, and the rounds.
    pub cost: Cost,
    /// Numbers handed to the researcher.
    pub released: u64,
}

/// Which sets of patients of a study are compared: its cohort is number 0, the sets of its `stages`
/// follow; then come the cohort and the sets of each earlier release. The counts of patients are 0.
///
/// Cohorts are compared with earlier cohorts; sets of a stage with those of other stages and of
/// earlier releases.
///
/// # Errors
/// [`PlanError::TooManyPairs`].
pub fn overlaps(stages: &[usize], earlier: &[usize]) -> Result<Overlaps, PlanError> {
    let sum = |sets: &[usize]| sets.iter().fold(0_usize, |sum, it| sum.saturating_add(*it));
    let (own, old) = (sum(stages), sum(earlier));
    let within = stages.iter().fold(0_usize, |sum, it| sum.saturating_add(it.saturating_mul(*it)));
    let pairs = (own.saturating_mul(own).saturating_sub(within) / 2)
        .saturating_add(own.max(1).saturating_mul(old))
        .saturating_add(earlier.len());
    if pairs > PAIRS_MAX {
        return Err(PlanError::TooManyPairs { pairs });
    }
    let numbered = stages.iter().enumerate();
    let stage_of: Vec<usize> = numbered.flat_map(|(at, sets)| vec![at; *sets]).collect();
    let mut first = 1 + own;
    let mut pairs = Vec::with_capacity(pairs);
    let mut earlier_sets = Vec::with_capacity(old);
    for sets in earlier {
        pairs.push((0, first));
        earlier_sets.extend(first + 1..=first + sets);
        first += 1 + sets;
    }
    for one in 0..own {
        let later = (one + 1..own).filter(|other| stage_of[one] != stage_of[*other]);
        pairs.extend(later.map(|other| (1 + one, 1 + other)));
        pairs.extend(earlier_sets.iter().map(|other| (1 + one, *other)));
    }
    Ok(Overlaps::none(first, pairs, vec![Some(0); earlier.len()]))
}

/// Plans one party's part of a study. Patients are not looked at. `earlier` says of how many sets of
/// patients each earlier release was that the study is compared with.
///
/// # Errors
/// [`PlanError`] for a study that the dictionary or the policy does not allow.
pub fn stages(
    study: &Study,
    dictionary: &Dictionary,
    (rows_at_most, earlier): (&[usize], &[usize]),
    (me, topology): (usize, Topology),
) -> Result<CentrePlan, PlanError> {
    let extended = study.extended(dictionary).map_err(PlanError::Score)?;
    let dictionary = extended.as_ref().unwrap_or(dictionary);
    let policy = study.policy();
    let centres = rows_at_most.len();
    if u64::try_from(centres).unwrap_or(0) < policy.centres_min {
        return Err(PlanError::TooFewCentres { centres, needed: policy.centres_min });
    }
    // the drawn numbers don't matter here, only that there is noise
    let noise = study.noise(&[0; 32], b"plan");
    let setting = Setting { policy, rows_at_most: rows_at_most.to_vec(), noise };
    let mut session = SharedSession::dry(me, centres, topology, &[]);
    let prepared = |request| prepare(request, dictionary);
    let analyses = study.analysis.iter().map(prepared).collect::<Result<Vec<_>, _>>()?;
    // results with noise have no exact difference
    if setting.noise.is_none() {
        let sets: Vec<usize> = analyses.iter().map(|it| it.sets()).collect();
        session.next_program(&[DIFFERENCES]);
        compare_cohorts(&mut session, &setting.policy, &overlaps(&sets, earlier)?)
            .map_err(AnalysisError::from)?;
    }
    let (compared, _) = session.next_program(&[]);
    let mut stages = Vec::with_capacity(study.analysis.len());
    for (request, analysis) in study.analysis.iter().zip(analyses) {
        if setting.noise.is_some() && !analysis.takes_noise() {
            let what = "has no results with noise; ask it in a study with epsilon = 0";
            return Err(AnalysisError::request(request, what).into());
        }
        let first = u64::try_from(session.kinds().len()).unwrap_or(u64::MAX);
        session.next_program(analysis.openings());
        analysis.run(&mut session, &setting, None)?;
        let (ledger, _) = session.next_program(&[]);
        let (id, kind) = (request.id.clone(), request.kind.clone());
        stages.push(Stage { id, kind, analysis, first, ledger: ledger.lines().to_vec() });
    }
    let lines = stages.iter().flat_map(|stage| &stage.ledger);
    let to_researcher = lines.filter(|line| line.opening.to == Audience::Researcher);
    Ok(CentrePlan {
        released: to_researcher.map(|line| line.numbers).sum(),
        kinds: session.kinds().to_vec(),
        compared: compared.lines().to_vec(),
        cost: konsil_mpc::Session::cost(&session),
        stages,
    })
}

/// One line of what is revealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Revealed {
    /// Name of the opening.
    pub name: String,
    /// What it is.
    pub says: String,
    /// `centres` or `researcher`.
    pub to: String,
    /// How many numbers.
    pub numbers: u64,
}

impl From<&LedgerLine> for Revealed {
    fn from(line: &LedgerLine) -> Self {
        Self {
            name: line.opening.name.to_owned(),
            says: line.opening.says.to_owned(),
            to: match line.opening.to {
                Audience::Centres => "centres",
                Audience::Researcher => "researcher",
            }
            .to_owned(),
            numbers: line.numbers,
        }
    }
}

/// One analysis in a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnalysisPlan {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// What is revealed, in words.
    pub reveals: Vec<String>,
    /// How the question was understood.
    pub understood: Vec<String>,
    /// Everything that will be opened, with counts.
    pub ledger: Vec<Revealed>,
    /// How well the results tell patients from others; nothing for models, curves and noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<Exposure>,
}

/// The plan that a person reads before a run. Exact in bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// `konsil.plan.v1`.
    pub schema: &'static str,
    /// The study.
    pub study: String,
    /// Its hash.
    pub study_hash: String,
    /// Centres that take part.
    pub centres: Vec<String>,
    /// Rows of all centres' data sets, rounded up.
    pub rows_at_most: usize,
    /// The analyses.
    pub analyses: Vec<AnalysisPlan>,
    /// What the comparison with the cohorts of earlier releases opens.
    pub compared: Vec<Revealed>,
    /// Exchanges that wait for each other.
    pub rounds: u64,
    /// Bytes that each centre sends, in order, the result for the researcher included.
    pub sent_bytes_by_centre: Vec<u64>,
    /// Their sum.
    pub sent_bytes: u64,
    /// Bytes that the dealer sends.
    pub dealt_bytes: u64,
    /// Correlations used.
    pub correlations: u64,
    /// Patient-derived bytes that leave a centre in the clear.
    pub clear_patient_bytes: u64,
    /// The disclosure rules in force.
    pub rules: Policy,
    /// The guarantee in words.
    pub guarantee: String,
    /// What the noise promises, in words; nothing for exact results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<String>,
}

/// Bytes that party `me` of `centres` sends for pairwise seeds before the first round: one to each
/// later party.
#[must_use]
pub fn seed_bytes(me: usize, centres: usize) -> u64 {
    let later = centres.saturating_sub(me + 1);
    u64::try_from(later).unwrap_or(0) * (32 + konsil_mpc::FRAME_OVERHEAD_BYTES)
}

/// Bytes that each of `centres` parties sends before the first round so that all see each other's
/// logs: a claim, an answer and a co-signature to each other one.
#[must_use]
pub fn witness_bytes(centres: usize) -> u64 {
    let messages =
        [crate::audit::CLAIM_BYTES, crate::audit::ANSWER_BYTES, crate::audit::WITNESS_BYTES];
    let bytes = |length: usize| {
        u64::try_from(length).unwrap_or(u64::MAX) + konsil_mpc::FRAME_OVERHEAD_BYTES
    };
    let others = u64::try_from(centres.saturating_sub(1)).unwrap_or(0);
    others * messages.map(bytes).iter().sum::<u64>()
}

/// Bytes of what one centre tells another of its patients for a study with noise: a digest that only
/// says whether they are the same as before.
pub const TOKEN_BYTES: usize = 32;

/// Bytes that each of `centres` parties sends for a study with noise before the first round; none
/// for exact results.
#[must_use]
pub fn token_bytes(study: &Study, centres: usize) -> u64 {
    let others = u64::try_from(centres.saturating_sub(1)).unwrap_or(0);
    let each = TOKEN_BYTES as u64 + konsil_mpc::FRAME_OVERHEAD_BYTES;
    if study.noise_budget().is_some() { others * each } else { 0 }
}

/// Plans a study for all its centres.
///
/// `sealed_overhead` is what sealing adds to the released numbers of each centre, in bytes.
///
/// # Errors
/// As [`stages`].
pub fn network_plan(
    study: &Study,
    dictionary: &Dictionary,
    (centres, earlier): (&[(String, usize)], &[usize]),
    (topology, sealed_overhead): (Topology, u64),
) -> Result<Plan, PlanError> {
    let extended = study.extended(dictionary).map_err(PlanError::Score)?;
    let dictionary = extended.as_ref().unwrap_or(dictionary);
    if !study.cohort.condition.is_empty() {
        konsil_cohort::Predicate::parse(&study.cohort.condition, dictionary)
            .map_err(|error| PlanError::Cohort(error.to_string()))?;
    }
    let rows: Vec<usize> = centres.iter().map(|(_, rows)| *rows).collect();
    let mut sent = Vec::with_capacity(rows.len());
    let mut first = None;
    for me in 0..rows.len() {
        let plan = stages(study, dictionary, (&rows, earlier), (me, topology))?;
        sent.push(
            plan.cost.bytes
                + seed_bytes(me, rows.len())
                + witness_bytes(rows.len())
                + token_bytes(study, rows.len())
                + 16 * plan.released
                + sealed_overhead,
        );
        first.get_or_insert(plan);
    }
    let scores: Vec<String> = study.score.iter().map(StudyScore::understood).collect();
    let (noised, policy) = (study.noise_budget().is_some(), study.policy());
    let (analyses, compared, cost) = first.map_or_else(Default::default, |plan| {
        let analysis = |stage: &Stage| AnalysisPlan {
            id: stage.id.clone(),
            kind: stage.kind.clone(),
            reveals: stage.analysis.reveals(),
            understood: [scores.clone(), stage.analysis.understood()].concat(),
            ledger: stage.ledger.iter().map(Revealed::from).collect(),
            exposure: exposure(if noised { 0 } else { stage.analysis.statistics() }, &policy),
        };
        let compared = plan.compared.iter().map(Revealed::from).collect();
        (plan.stages.iter().map(analysis).collect::<Vec<_>>(), compared, plan.cost)
    });
    Ok(Plan {
        schema: "konsil.plan.v1",
        study: study.study.id.clone(),
        study_hash: study.hash().iter().map(|byte| format!("{byte:02x}")).collect(),
        centres: centres.iter().map(|(name, _)| name.clone()).collect(),
        rows_at_most: rows.iter().sum(),
        analyses,
        compared,
        rounds: cost.rounds,
        sent_bytes: sent.iter().sum(),
        sent_bytes_by_centre: sent,
        dealt_bytes: cost.dealt_bytes,
        correlations: cost.correlations,
        clear_patient_bytes: 0,
        rules: study.policy(),
        guarantee: guarantee(centres.len(), study.noise_budget().is_some()),
        noise: noise_statement(study),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Cohort 0, sets 1 and 2 of one stage and 3 of another; then two earlier releases of 0 and 2 sets.
    #[test]
    fn every_pair_that_can_be_subtracted_is_compared() {
        let it = overlaps(&[2, 1], &[0, 2]).unwrap();
        assert_eq!((it.sizes.len(), it.chosen.len()), (8, 2));
        let wanted =
            [(0, 4), (0, 5), (1, 3), (1, 6), (1, 7), (2, 3), (2, 6), (2, 7), (3, 6), (3, 7)];
        assert_eq!(it.pairs, wanted);
        assert!(overlaps(&[1], &[]).unwrap().pairs.is_empty());
        let many = overlaps(&[100], &[100; 20]).unwrap_err();
        assert!(matches!(many, PlanError::TooManyPairs { pairs: 200_020 }), "{many}");
    }
}
