//! Validation of a logistic model centre by centre: each centre's patients are judged by the model that
//! the other centres' patients give.
//!
//! # Local step
//! As in a sealed `glm`, once for each centre, which then takes no part with its patients. With the
//! coefficients of the others each centre computes the risk of its own patients.
//!
//! # Secure step
//! A sealed fit without each centre in turn, nothing of which is opened but verdicts. Its coefficients
//! are opened under a mask that only the centre that was left out knows: it alone learns the model of
//! all others, from which nobody's own numbers can be taken away. Then as in `validate`, over the
//! predictions of all centres together.
//!
//! # Opens
//! To the centres: for each fit whether patients and events are enough, which columns cannot be told
//! apart, whether a column or a patient stands too much apart; masked coefficients, which are random
//! numbers to all but one; the recalibration's intercept and slope after each step.
//!
//! # Release
//! As `validate`, over all centres, and the largest last step of the fits: no centre's own performance,
//! no coefficients.
//!
//! # Sources
//! Royston, Parmar and Sylvester (2004), Stat. Med. 23:907 (internal-external cross-validation).

use crate::analysis::{Analysis, AnalysisError, Findings, Patients, Request, Setting};
use crate::design::Rows;
use crate::fit::reals;
use crate::glm::{self, Glm};
use crate::sealed::sealed_fit;
use crate::validate::{self, Predicted};
use konsil_cohort::design::Picked;
use konsil_cohort::{Dataset, Dictionary};
use konsil_disclosure::{Applicants, Release, Supports, admit};
use konsil_mpc::{Audience, Opening, Session, Shared, fixed};
use konsil_ring::Word;

/// Everything this analysis opens or releases.
pub const OPENINGS: [Opening; 10] = [
    ADMITTED,
    glm::UNSOUND,
    glm::APART,
    MASKED,
    LAST,
    validate::STEP,
    validate::COUNTS,
    validate::SUMS,
    validate::RECALIBRATION,
    validate::BANDS,
];

const ADMITTED: Opening = Opening {
    name: "leave_out.admitted",
    says: "Whether there are enough patients and events, also without any one centre.",
    to: Audience::Centres,
};
const MASKED: Opening = Opening {
    name: "leave_out.masked",
    says: "The coefficients without a centre, each plus a random number that only this centre knows.",
    to: Audience::Centres,
};

const LAST: Opening = Opening {
    name: "leave_out.last",
    says: "The size of the largest last step of all fits.",
    to: Audience::Researcher,
};

/// A last step of more than this has not settled.
const STILL: f64 = 1e-3;

struct LeaveOut {
    glm: Glm,
}

/// Checks a request: the formula of a logistic model without offset and weights.
///
/// # Errors
/// [`AnalysisError`] for a formula that does not fit the dictionary or a logistic model.
pub fn prepare(
    request: &Request,
    dictionary: &Dictionary,
) -> Result<Box<dyn Analysis>, AnalysisError> {
    let family = Some("binomial".to_owned());
    let request = Request { family, sealed: true, ..request.clone() };
    Ok(Box::new(LeaveOut { glm: Glm::new(&request, dictionary)? }))
}

/// Numbers below 2^128 that nobody else knows.
fn random(count: usize) -> Result<Vec<Word>, AnalysisError> {
    let mut bytes = vec![0; 16 * count];
    getrandom::fill(&mut bytes).map_err(|_| AnalysisError::Unsettled {
        what: "the operating system gave no random numbers; run again",
    })?;
    let (words, _) = bytes.as_chunks::<16>();
    Ok(words.iter().map(|word| Word::from_le_bytes(*word)).collect())
}

impl LeaveOut {
    /// The coefficients of the others, at each centre its own; and the size of the largest last step.
    fn coefficients(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        rows: &Rows,
    ) -> Result<(Vec<f64>, Shared), AnalysisError> {
        let me = session.party();
        let mut own = Vec::new();
        let mut last = Shared::zeros(1);
        for left_out in 0..session.parties() {
            let nobody =
                Rows { supports: Supports::none(self.glm.model.picking()), ..Rows::default() };
            let rows = if me == left_out { &nobody } else { rows };
            self.admit(session, setting, rows)?;
            let ends = sealed_fit(session, &self.glm, setting, rows)?;
            last = fixed::maximum(session, &last, &ends.last)?;
            let count = ends.coefficients.len();
            let mask = if me == left_out { random(count)? } else { vec![0; count] };
            let shared = session.input(&mask)?;
            let mut opened = session.open(MASKED, &ends.coefficients.plus(&shared))?;
            if me == left_out {
                let each = opened.iter_mut().zip(&mask);
                each.for_each(|(word, mask)| *word = word.wrapping_sub(*mask));
                own = reals(&opened);
            }
        }
        Ok((own, last))
    }

    fn admit(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        rows: &Rows,
    ) -> Result<(), AnalysisError> {
        let count = |it: usize| u64::try_from(it).unwrap_or(u64::MAX);
        let cases = rows.y.iter().filter(|y| **y > 0.5).count();
        let also = [count(cases), count(rows.y.len() - cases)];
        let applicants = Applicants {
            patients: rows.y.len(),
            parameters: self.glm.model.order(),
            statistics: validate::STATISTICS,
            also: &also,
        };
        Ok(admit(session, ADMITTED, &setting.policy, applicants)?)
    }
}

impl Analysis for LeaveOut {
    fn openings(&self) -> &'static [Opening] {
        &OPENINGS
    }

    fn reveals(&self) -> Vec<String> {
        let p = self.glm.model.order();
        let own = format!("to each centre: {p} coefficients of the model without its patients");
        validate::reveals().into_iter().chain([own]).collect()
    }

    fn understood(&self) -> Vec<String> {
        let mut lines = self.glm.model.understood();
        lines.push("each centre's patients are judged by the model of the others".to_owned());
        lines
    }

    fn statistics(&self) -> usize {
        validate::STATISTICS
    }

    fn sets(&self) -> usize {
        self.glm.model.sets()
    }

    fn pick(&self, patients: &Dataset) -> Result<Vec<Picked>, AnalysisError> {
        self.glm.model.pick(patients)
    }

    fn run(
        &self,
        session: &mut dyn Session,
        setting: &Setting,
        patients: Patients<'_>,
    ) -> Result<(), AnalysisError> {
        let rows = self.glm.model.rows(patients)?;
        let (beta, last) = self.coefficients(session, setting, &rows)?;
        session.release(LAST, &last)?;
        let predictor = |row: &[f64]| row.iter().zip(&beta).map(|(x, beta)| x * beta).sum::<f64>();
        let predictors = rows.x.chunks(self.glm.model.order().max(1)).map(predictor);
        let outcomes = rows.y.iter().map(|y| *y > 0.5).collect();
        validate::judge(session, setting, &Predicted::new(predictors, outcomes))
    }

    fn assemble(&self, release: &Release) -> Result<Findings, AnalysisError> {
        let title = "Validation, each centre by the model of the others".to_owned();
        let mut findings = validate::findings(release)?;
        if release.reals(LAST)?.iter().any(|last| *last > STILL) {
            findings.notes.push(
                "the model without one of the centres did not settle: its columns predict the \
                 response (almost) alone"
                    .to_owned(),
            );
        }
        Ok(Findings { title, ..findings })
    }
}
