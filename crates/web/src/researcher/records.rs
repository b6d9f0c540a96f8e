//! What is kept of a job: a file of the researcher's folder, written anew at each step.

use konsil_governance::{Plan, Study};
use konsil_node::{BudgetForecast, Clock, Forecast, RequestStatus, Researcher, StudyRun, rfc_3339};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    /// Centres are asked.
    Waiting,
    /// Centres compute.
    Running,
    /// Results are here, of some analyses at least.
    Released,
    /// Disclosure control has withheld all results.
    Withheld,
    /// It ended without results.
    Failed,
    /// The researcher has ended it.
    Cancelled,
}

impl JobState {
    pub(crate) fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }

    /// The message that names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "state-waiting",
            Self::Running => "state-running",
            Self::Released => "state-released",
            Self::Withheld => "state-withheld",
            Self::Failed => "state-failed",
            Self::Cancelled => "state-cancelled",
        }
    }

    /// The colour of its chip.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Waiting => "warn",
            Self::Running => "run",
            Self::Released => "ok",
            Self::Withheld | Self::Failed => "bad",
            Self::Cancelled => "soft",
        }
    }
}

/// A centre in a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct CentreState {
    pub(crate) name: String,
    /// Its number of the request; 0 before it was asked.
    pub(crate) request: i64,
    /// `waiting`, `approved`, `declined`, …; empty before it was asked.
    pub(crate) approval: String,
    /// Words of its steward or its policy.
    pub(crate) note: String,
    /// `connect`, `load`, `analysis`, `seal` or `done`; empty before the run.
    pub(crate) stage: String,
    /// Analyses that it has done.
    pub(crate) done: usize,
    /// Percent of the analysis that it works on.
    pub(crate) percent: u32,
    pub(crate) planned_bytes: u64,
    pub(crate) sent_bytes: u64,
}

/// What a study will reveal, leave and cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct PlanView {
    pub(crate) study: String,
    pub(crate) study_hash: String,
    pub(crate) centres: Vec<String>,
    pub(crate) rows_at_most: u64,
    pub(crate) analyses: Vec<AnalysisView>,
    pub(crate) rounds: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) sent_bytes_by_centre: Vec<u64>,
    pub(crate) dealt_bytes: u64,
    pub(crate) clear_patient_bytes: u64,
    pub(crate) rules: String,
    pub(crate) guarantee: String,
    pub(crate) noise: Option<String>,
    /// How long it will take about; absent in jobs of earlier versions.
    #[serde(default)]
    pub(crate) forecast: Option<ForecastView>,
    /// What it spends of budgets that have a limit.
    #[serde(default)]
    pub(crate) budgets: Vec<BudgetView>,
}

/// How long a run will take about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct ForecastView {
    pub(crate) seconds_from: f64,
    pub(crate) seconds_to: f64,
    /// How long the farthest centre's computer took to take a connection of this one.
    pub(crate) round_trip_milliseconds: f64,
    /// The line that is taken between centres, in megabits a second.
    pub(crate) megabits_taken: f64,
}

/// A centre's budget for its data set in this year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct BudgetView {
    pub(crate) centre: String,
    /// `rho` of results with noise, or `exposure` by exact results.
    pub(crate) currency: String,
    /// Decimal numbers.
    pub(crate) spent: String,
    pub(crate) asked: String,
    pub(crate) left_after: String,
    pub(crate) limit: String,
    pub(crate) fits: bool,
}

/// One analysis of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct AnalysisView {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) reveals: Vec<String>,
    pub(crate) understood: Vec<String>,
    pub(crate) ledger: Vec<RevealedView>,
    /// Percent of its patients that a membership test finds at most; of descriptions alone.
    pub(crate) found_percent_at_most: Option<f64>,
}

/// Numbers under one name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(crate) struct RevealedView {
    pub(crate) name: String,
    pub(crate) says: String,
    pub(crate) to: String,
    pub(crate) numbers: u64,
}

impl From<&Plan> for PlanView {
    fn from(plan: &Plan) -> Self {
        let analysis = |it: &konsil_governance::AnalysisPlan| AnalysisView {
            id: it.id.clone(),
            kind: it.kind.clone(),
            reveals: it.reveals.clone(),
            understood: it.understood.clone(),
            ledger: it.ledger.iter().map(RevealedView::from).collect(),
            found_percent_at_most: it.exposure.as_ref().map(|it| it.found_at_1_percent),
        };
        Self {
            study: plan.study.clone(),
            study_hash: plan.study_hash.clone(),
            centres: plan.centres.clone(),
            rows_at_most: u64::try_from(plan.rows_at_most).unwrap_or(u64::MAX),
            analyses: plan.analyses.iter().map(analysis).collect(),
            rounds: plan.rounds,
            sent_bytes: plan.sent_bytes,
            sent_bytes_by_centre: plan.sent_bytes_by_centre.clone(),
            dealt_bytes: plan.dealt_bytes,
            clear_patient_bytes: plan.clear_patient_bytes,
            rules: plan.rules.in_words(),
            guarantee: plan.guarantee.clone(),
            noise: plan.noise.clone(),
            forecast: None,
            budgets: Vec::new(),
        }
    }
}

impl PlanView {
    /// A plan, with what the centres answer now.
    pub(crate) fn of(researcher: &Researcher, run: &StudyRun) -> Self {
        let Forecast { seconds_from, seconds_to, round_trip_milliseconds, megabits_taken } =
            researcher.forecast(run);
        let budget = |it: BudgetForecast| BudgetView {
            fits: it.fits(),
            currency: it.currency.to_string(),
            spent: it.spent.to_string(),
            asked: it.asked.to_string(),
            left_after: it.limit.minus(it.spent).minus(it.asked).to_string(),
            limit: it.limit.to_string(),
            centre: it.centre,
        };
        Self {
            forecast: Some(ForecastView {
                seconds_from,
                seconds_to,
                round_trip_milliseconds,
                megabits_taken,
            }),
            budgets: researcher.budgets(run).into_iter().map(budget).collect(),
            ..Self::from(&run.plan)
        }
    }
}

impl From<&konsil_governance::Revealed> for RevealedView {
    fn from(it: &konsil_governance::Revealed) -> Self {
        let konsil_governance::Revealed { name, says, to, numbers } = it.clone();
        Self { name, says, to, numbers }
    }
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub(crate) struct Job {
    /// `konsil.job.v1`.
    pub(crate) schema: String,
    /// Eight hexadecimal digits.
    pub(crate) id: String,
    /// Id of the study.
    pub(crate) study: String,
    pub(crate) title: String,
    pub(crate) purpose: String,
    pub(crate) state: JobState,
    /// When it was begun, RFC 3339.
    pub(crate) created: String,
    pub(crate) plan: PlanView,
    pub(crate) centres: Vec<CentreState>,
    /// The run's session; empty before it.
    pub(crate) session: String,
    /// Why it ended without results: a code and words.
    pub(crate) code: String,
    pub(crate) text: String,
    pub(crate) sent_bytes: u64,
    pub(crate) elapsed_seconds: f64,
    /// Files of the result.
    pub(crate) files: Vec<String>,
}

impl Job {
    /// A job that nobody was asked for yet.
    pub(crate) fn new(id: &str, study: &Study, plan: PlanView) -> Self {
        let centre = |(name, bytes): (&String, &u64)| CentreState {
            name: name.clone(),
            request: 0,
            approval: String::new(),
            note: String::new(),
            stage: String::new(),
            done: 0,
            percent: 0,
            planned_bytes: *bytes,
            sent_bytes: 0,
        };
        let centres = plan.centres.iter().zip(&plan.sent_bytes_by_centre).map(centre).collect();
        let head = &study.study;
        Self {
            schema: "konsil.job.v1".to_owned(),
            id: id.to_owned(),
            study: head.id.clone(),
            title: if head.title.is_empty() { head.id.clone() } else { head.title.clone() },
            purpose: head.purpose.clone(),
            state: JobState::Waiting,
            created: rfc_3339(Clock::system().now().as_second()),
            plan,
            centres,
            session: String::new(),
            code: String::new(),
            text: String::new(),
            sent_bytes: 0,
            elapsed_seconds: 0.0,
            files: Vec::new(),
        }
    }

    /// The largest step that it has reached, of six: plan, approvals, local and secure computation,
    /// disclosure, release.
    pub(crate) fn step(&self) -> usize {
        match self.state {
            JobState::Released => 6,
            JobState::Running if self.centres.iter().all(|it| it.stage == "done") => 4,
            JobState::Running => 3,
            JobState::Withheld => 4,
            _ => 1,
        }
    }

    /// Takes in what the centres answer to a request.
    pub(crate) fn answered(&mut self, statuses: &[RequestStatus]) {
        for status in statuses {
            if let Some(centre) = self.centres.iter_mut().find(|it| it.name == status.centre) {
                centre.request = status.number;
                centre.approval = status.state.to_string();
                let words = [status.code.as_str(), status.note.as_str()];
                centre.note = words.join(" ").trim().to_owned();
            }
        }
    }
}
