//! Variants that a scan is conditioned on: covariates that each centre has at home.

use crate::analysis::AnalysisError;
use crate::design::Rows;
use crate::gwas_local::{Counting, Target};
use crate::gwas_null::Frame;
use crate::gwas_steps::{Counted, Step, dose_bits};
use konsil_kernels::Coding;
use konsil_mpc::Session;
use konsil_ring::encode_count;

/// Deviations of these variants' genotypes from the pooled mean, halved, `[row][variant]`; 0 for a
/// missing one. Opens verdicts and allele counts as for every variant.
///
/// # Errors
/// [`AnalysisError::Request`] for a variant that does not pass the floors.
pub(crate) fn doses_of(
    session: &mut dyn Session,
    frame: &Frame<'_>,
    rows: &Rows,
) -> Result<Vec<f64>, AnalysisError> {
    let asked = frame.asked;
    let numbers: Vec<usize> = asked.conditions.iter().map(|(number, _)| *number).collect();
    let people = frame.linked.map(|it| it.places(rows)).unwrap_or_default();
    let target = Target::counting(frame.linked.map(|_| people.as_slice()), rows.y.len());
    let counting = asked.counting;
    // nothing follows from how they count but what is opened
    let additive = Counting { coding: Coding::Additive, ..counting };
    let chosen = frame.linked.map(|it| it.choose(&numbers, additive)).transpose()?;
    let sums = target.chosen(chosen.as_ref(), numbers.len(), additive)?.sums;
    let patients = session.input(&[encode_count(target.patients())])?;
    let step =
        Step { floors: asked.floors, setting: frame.setting, target: &target, patients: &patients };
    let bits = if counting.doses { dose_bits(frame.setting) } else { 0 };
    let counted = match counting.doses {
        true => Counted::of_doses(&sums.doses, bits),
        false => step.counted(&sums.counts),
    };
    let groups = step.carriers(&sums.counts, &sums.doses);
    let verdicts = step.judge_groups(session, &counted, &groups)?;
    let alleles = step.alleles_of(session, &counted, &verdicts)?;
    session.narrow(16);
    let Some(chosen) = chosen else { return Ok(Vec::new()) };
    let named = asked.conditions.iter().zip(&verdicts);
    let failing: Vec<&str> = named
        .filter(|(_, verdict)| !verdict.passes())
        .map(|((_, name), _)| name.as_str())
        .collect();
    if !failing.is_empty() {
        let what = format!(
            "cannot be conditioned on {}: too rare, or known in too few patients",
            failing.join(", ")
        );
        return Err(AnalysisError::Request { id: "gwas".to_owned(), what });
    }
    let width = numbers.len();
    let mut doses = vec![0.0; rows.y.len() * width];
    for (column, (known, copies)) in alleles.iter().enumerate() {
        let mean = f64::from(*copies) * (-f64::from(bits)).exp2() / f64::from(*known).max(1.0);
        for (person, place) in people.iter().enumerate() {
            let Some(place) = place else { continue };
            if let Some(into) = doses.get_mut(place * width + column)
                && let Some(copies) = chosen.copies(column, person)
            {
                *into = (copies - mean) / 2.0;
            }
        }
    }
    Ok(doses)
}
