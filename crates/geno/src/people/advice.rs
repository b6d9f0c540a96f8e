//! What a steward should look at, and whom to leave out.

use super::{Pair, People, Person};
use konsil_cohort::Sex;
use std::collections::{BTreeMap, BTreeSet};

/// Variants of X below which it says nothing about a person's sex.
const X_MIN: u64 = 50;
/// People below which nobody is compared with the mean of all.
const PEOPLE_MIN: usize = 20;

/// What is odd about a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Too many genotypes are missing: a poor sample.
    Missing,
    /// More heterozygous than others by far: two samples mixed, or other ancestry.
    TooHeterozygous,
    /// Less heterozygous than others by far: related parents, or other ancestry.
    TooHomozygous,
    /// X says another sex than file or data set: perhaps another person's sample.
    OtherSex,
    /// The same person as another one, or a twin, whose number this is.
    Same(usize),
    /// A relative of another one, whose number this is.
    Relative(usize),
}

/// A person whom a steward should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Number of the person.
    pub person: usize,
    /// Why.
    pub concern: Concern,
    /// Whether leaving the person out is advised.
    pub leave_out: bool,
}

/// Kinship from which two samples are of one person, or of identical twins.
const SAME: f64 = 0.354;

impl People {
    /// Whom to look at, and whom to leave out. Of relatives as few as can be are left out, by taking
    /// the one with the most relatives first, and of two with as many the one with more missing
    /// genotypes.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice> {
        let mut advice = Vec::new();
        let spread = self.spread();
        for (person, it) in self.persons.iter().enumerate() {
            let mut add = |concern, leave_out| advice.push(Advice { person, concern, leave_out });
            if it.missing_part() > self.options.missing_max {
                add(Concern::Missing, true);
            }
            if other_sex(it) {
                add(Concern::OtherSex, true);
            }
            let Some((mean, deviation)) = spread else { continue };
            let away = it.autosomes.inbreeding().map_or(0.0, |f| f - mean);
            if away.abs() > self.options.spread_max * deviation {
                let mixed = away < 0.0;
                let concern = if mixed { Concern::TooHeterozygous } else { Concern::TooHomozygous };
                add(concern, mixed);
            }
        }
        let out = advice.iter().filter(|it| it.leave_out).map(|it| it.person).collect();
        advice.extend(self.relatives(out));
        advice
    }

    /// Mean and standard deviation of F of people with enough genotypes.
    fn spread(&self) -> Option<(f64, f64)> {
        let good = self.persons.iter().filter(|it| it.missing_part() <= self.options.missing_max);
        let all: Vec<f64> = good.filter_map(|it| it.autosomes.inbreeding()).collect();
        if all.len() < PEOPLE_MIN {
            return None;
        }
        let count = super::as_f64(all.len() as u64);
        let mean = all.iter().sum::<f64>() / count;
        let squares: f64 = all.iter().map(|it| (it - mean).powi(2)).sum();
        Some((mean, (squares / (count - 1.0)).sqrt()))
    }

    /// Relatives: those who are left out, one for each choice, and those who stay, with whom. Mixed and
    /// poor samples seem to be relatives of many: of pairs with somebody who is left out before, only the
    /// same person twice is told of.
    fn relatives(&self, mut out: BTreeSet<usize>) -> Vec<Advice> {
        let before = out.clone();
        let mut chosen = BTreeSet::new();
        loop {
            let open = |it: &&Pair| !out.contains(&it.people.0) && !out.contains(&it.people.1);
            let mut relatives: BTreeMap<usize, usize> = BTreeMap::new();
            for pair in self.pairs.iter().filter(open) {
                *relatives.entry(pair.people.0).or_default() += 1;
                *relatives.entry(pair.people.1).or_default() += 1;
            }
            let weight = |(person, pairs): &(usize, usize)| {
                (*pairs, self.persons.get(*person).map_or(0, |it| it.missing), *person)
            };
            let Some((next, _)) = relatives.into_iter().max_by_key(weight) else { break };
            out.insert(next);
            chosen.insert(next);
        }
        let is_told = |it: &&Pair| {
            let is_out = before.contains(&it.people.0) || before.contains(&it.people.1);
            it.kinship >= SAME || !is_out
        };
        let both = self.pairs.iter().filter(is_told).flat_map(|pair| {
            let (a, b) = pair.people;
            [(a, b, pair), (b, a, pair)]
        });
        both.map(|(person, other, pair)| {
            let is_same = pair.kinship >= SAME;
            let concern = if is_same { Concern::Same(other) } else { Concern::Relative(other) };
            Advice { person, concern, leave_out: chosen.contains(&person) }
        })
        .collect()
    }
}

fn other_sex(person: &Person) -> bool {
    let by_x = person.sex_by_x();
    let both_known = person.sex != Sex::Unknown && by_x != Sex::Unknown;
    both_known && person.sex != by_x && person.x.called >= X_MIN
}
