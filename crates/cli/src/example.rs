//! Made-up patients for `konsil lab new --example`: every command of the help runs on them.
//!
//! Not real, and not meant to be: a small generator with a fixed seed draws them, so that everybody
//! sees the same numbers.

use crate::example_import::Someone;
use std::fmt::Write;

/// Centres of the example; the last is small.
pub(crate) const CENTRES: [&str; 6] = ["acacia", "brauna", "cedro", "figueira", "imbuia", "jatoba"];

/// Patients of each centre.
const SIZES: [u32; 6] = [420, 380, 320, 260, 200, 60];

/// The column that names the centre.
pub(crate) const CENTRE: &str = "centre";

/// The dictionary.
pub(crate) const DICTIONARY: &str = "\
name,label,type,unit,levels,min,max,decimals,missing,code,sensitivity,notes
pid,Patient,category,,,,,,,,identifier,
age,Age,integer,a,,18,95,,,,quasi,
sex,Sex,category,,F=female|M=male,,,,,,quasi,
arm,Arm,category,,old|new,,,,,,clinical,
stage,Stage,category,,I|II|III,,,,,,clinical,
smoker,Smokes,boolean,,,,,,,,clinical,
bmi,Body mass index,number,kg/m2,,14,56,1,,,clinical,
sbp,Systolic pressure at begin,integer,mmHg,,70,230,,,,clinical,
sbp_later,Systolic pressure after a year,integer,mmHg,,70,230,,,,clinical,
crp,C-reactive protein,number,mg/L,,0,80,1,,,clinical,
visits,Visits in a year,integer,,,0,60,,,,clinical,
cost,Cost of a year,integer,EUR,,1,20000,,,,clinical,
pain,Pain at begin,category,,no|yes,,,,,,clinical,
pain_later,Pain after a year,category,,no|yes,,,,,,clinical,
response,Response,category,,none|partial|full,,,,,,clinical,
entry,Start of observation,integer,mo,,0,12,,,,clinical,
months,End of observation,integer,mo,,1,60,,,,clinical,
died,Died,integer,,,0,1,,,,clinical,
cause,How observation ended,category,,alive|disease|other,,,,,,clinical,
ldl,LDL cholesterol,number,mmol/L,,0.2,12,2,,,clinical,
";

/// Numbers that look random, the same ones every time (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    /// Evenly between 0 and 1.
    fn even(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly normal: twelve even ones added up.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.even() < probability
    }
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// Who they are: from the number a person's genotypes are drawn.
pub(crate) fn people() -> Vec<Someone> {
    let centres = CENTRES.into_iter().zip(SIZES);
    let all = centres.flat_map(|(centre, size)| (0..size).map(move |_| centre));
    let someone = |(number, centre): (u32, &str)| Someone {
        centre: centre.to_owned(),
        id: format!("p{number}"),
        number,
    };
    (1..).zip(all).map(someone).collect()
}

/// The patients of all centres, as CSV with a column for the centre. `copies` are those of the allele
/// that raises `ldl`.
pub(crate) fn patients(copies: &[u8]) -> String {
    let mut numbers = Numbers(2026);
    let mut blood = Numbers(1127);
    let mut text = format!(
        "{CENTRE},pid,age,sex,arm,stage,smoker,bmi,sbp,sbp_later,crp,visits,cost,pain,pain_later,\
         response,entry,months,died,cause,ldl\n"
    );
    let mut patient = 0;
    for (centre, size) in CENTRES.into_iter().zip(SIZES) {
        for _ in 0..size {
            patient += 1;
            let own = copies.get(patient - 1).copied().unwrap_or(0);
            let ldl = (3.2 + 0.4 * f64::from(own) + 0.8 * blood.normal()).clamp(0.2, 12.0);
            let _ok = writeln!(text, "{centre},p{patient},{},{ldl:.2}", line(&mut numbers));
        }
    }
    text
}

fn line(numbers: &mut Numbers) -> String {
    let age = (62.0 + 11.0 * numbers.normal()).round().clamp(18.0, 95.0);
    let (male, new) = (numbers.chance(0.48), numbers.chance(0.5));
    let severity = numbers.even() + 0.004 * (age - 62.0);
    let stage = if severity < 0.4 { 0 } else { 1 + usize::from(severity > 0.72) };
    let smoker = numbers.chance(if male { 0.32 } else { 0.22 });
    let bmi = (26.5 + 0.03 * (age - 62.0) + 4.0 * numbers.normal()).clamp(14.0, 56.0);
    let sbp = 128.0 + 0.5 * (age - 62.0) + 0.6 * (bmi - 26.5) + 14.0 * numbers.normal();
    let later = sbp - if new { 9.0 } else { 3.0 } + 9.0 * numbers.normal();
    let crp = (0.9 + 0.5 * stage as f64 + 0.8 * numbers.normal()).exp().clamp(0.1, 80.0);
    let rate = (1.1 + 0.2 * stage as f64 + 0.3 * numbers.normal()).exp();
    let visits = (rate + rate.sqrt() * numbers.normal()).round().clamp(0.0, 60.0);
    let cost = (6.0 + 0.25 * stage as f64 + 0.05 * visits + 0.6 * numbers.normal()).exp();
    let pain = numbers.chance(logistic(-0.6 + 0.4 * stage as f64));
    let pain_later = numbers.chance(if pain { 0.6 } else { 0.15 });
    let lean = logistic(-0.4 + 0.7 * f64::from(u8::from(new)) - 0.4 * stage as f64);
    let response = usize::from(numbers.chance(lean)) + usize::from(numbers.chance(lean));
    let entry = (12.0 * numbers.even() * numbers.even()).floor();
    let risk = 0.03 * (age - 62.0) + 0.5 * stage as f64 - 0.45 * f64::from(u8::from(new));
    let until = -(1.0 - numbers.even()).ln() * 70.0 / risk.exp();
    let censored = 24.0 + 36.0 * numbers.even();
    let months = (entry + until.min(censored)).ceil().clamp(entry + 1.0, 60.0);
    let died = until <= censored && months < 60.0;
    let cause = if died { 1 + usize::from(numbers.chance(0.35)) } else { 0 };
    let crp = if numbers.chance(0.04) { String::new() } else { format!("{crp:.1}") };
    format!(
        "{age},{},{},{},{},{bmi:.1},{},{},{crp},{visits},{},{},{},{},{entry},{months},{},{}",
        ["F", "M"][usize::from(male)],
        ["old", "new"][usize::from(new)],
        ["I", "II", "III"][stage],
        u8::from(smoker),
        sbp.round().clamp(70.0, 230.0),
        later.round().clamp(70.0, 230.0),
        cost.round().clamp(1.0, 20_000.0),
        ["no", "yes"][usize::from(pain)],
        ["no", "yes"][usize::from(pain_later)],
        ["none", "partial", "full"][response],
        u8::from(died),
        ["alive", "disease", "other"][cause],
    )
}
