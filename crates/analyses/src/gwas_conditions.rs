//! Variants that a scan is conditioned on: covariates that each centre has at home.

use crate::analysis::AnalysisError;
use crate::design::Rows;
use crate::gwas_local::Target;
use crate::gwas_null::Frame;
use crate::gwas_steps::Step;
use konsil_kernels::MISSING;
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
    let packed = frame.linked.map(|it| it.pick(&numbers)).transpose()?;
    let sums = target.sums_of(packed.as_ref(), numbers.len())?;
    let patients = session.input(&[encode_count(target.patients())])?;
    let step =
        Step { floors: asked.floors, setting: frame.setting, target: &target, patients: &patients };
    let verdicts = step.judge(session, &sums.counts)?;
    let alleles = step.alleles(session, &sums.counts, &verdicts)?;
    session.narrow(16);
    let Some(packed) = packed else { return Ok(Vec::new()) };
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
        let mean = f64::from(*copies) / f64::from(*known).max(1.0);
        for (person, place) in people.iter().enumerate() {
            let Some(place) = place else { continue };
            let copies = packed.genotype(column, person);
            if let Some(into) = doses.get_mut(place * width + column)
                && copies != MISSING
            {
                *into = (f64::from(copies) - mean) / 2.0;
            }
        }
    }
    Ok(doses)
}
