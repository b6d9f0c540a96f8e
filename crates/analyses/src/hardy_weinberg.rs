//! Exact test of Hardy-Weinberg proportions.
//!
//! # Sources
//! Wigginton, Cutler and Abecasis (2005), Am. J. Hum. Genet. 76:887.

/// Ties with the observed table are counted although rounding may make them a little likelier.
const TIE: f64 = 1.0 + 1e-8;

/// `-log10` of the p value of `one` heterozygous people beside `two` and `none` homozygous ones: the
/// probability of tables of the same alleles that are no likelier. Counts are whole numbers.
///
/// One step for each possible table; p down to 1e-300 and, by the logarithm of the largest term, below.
#[must_use]
pub fn hardy_weinberg(one: f64, two: f64, none: f64) -> f64 {
    let people = one + two + none;
    let rare = 2.0 * two.min(none) + one;
    if rare <= 0.0 {
        return 0.0;
    }
    let (middle, start) = likeliest(people, rare);
    let down = walk(start, -1.0);
    let up = walk(start, 1.0);
    let at = ((one - middle) / 2.0).abs();
    let side = if one < middle { &down } else { &up };
    let place = side.iter().zip(0_u32..).find(|(_, step)| f64::from(*step) + 1.0 == at);
    let own = if at == 0.0 { 1.0 } else { place.map_or(0.0, |(term, _)| *term) };
    let terms = || down.iter().chain(&up).chain(std::iter::once(&1.0));
    let total: f64 = terms().sum();
    if own > 0.0 {
        let tail: f64 = terms().filter(|term| **term <= own * TIE).sum();
        return -(tail / total).min(1.0).log10();
    }
    // beyond the smallest numbers: the observed table's own term is nearly all of the tail
    (total.log10() - log10_of(start, (one - middle) / 2.0)).max(0.0)
}

/// The fewest and the most heterozygous people for which the p value is at least `limit`, of so many
/// people with so many alternative alleles. Nobody and everybody where there is one allele only.
#[must_use]
pub fn heterozygous_within(people: u32, copies: u32, limit: f64) -> (i64, i64) {
    let (people, copies) = (f64::from(people), f64::from(copies));
    let rare = copies.min(2.0 * people - copies);
    let whole = |number: f64| -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a count of people")]
        let whole = number.round() as i64;
        whole
    };
    if rare <= 0.0 {
        return (0, whole(people));
    }
    let (middle, start) = likeliest(people, rare);
    let (mut down, mut up) = (walk(start, -1.0), walk(start, 1.0));
    let total: f64 = down.iter().chain(&up).sum::<f64>() + 1.0;
    let mut tail = 0.0;
    // the least likely tables go first, those that are equally likely together
    loop {
        let ends = [down.last(), up.last()].into_iter().flatten();
        let Some(least) = ends.copied().reduce(f64::min) else { break };
        let (before, equal) = ((down.len(), up.len()), least * TIE);
        let mut taken = tail;
        for side in [&mut down, &mut up] {
            while let Some(term) = side.last().copied().filter(|term| *term <= equal) {
                taken += term;
                side.pop();
            }
        }
        if taken / total >= limit {
            let steps = |count: usize| 2.0 * count as f64;
            return (whole(middle - steps(before.0)), whole(middle + steps(before.1)));
        }
        tail = taken;
    }
    (whole(middle), whole(middle))
}

/// The likeliest number of heterozygous people, and the table: those, and people with two of the rarer
/// and two of the commoner allele. It has the parity of the rarer alleles.
fn likeliest(people: f64, rare: f64) -> (f64, (f64, f64, f64)) {
    let common = 2.0 * people - rare;
    let mut middle = (rare * common / (2.0 * people)).floor();
    if (middle - rare).rem_euclid(2.0) != 0.0 {
        middle += 1.0;
    }
    (middle, (middle, (rare - middle) / 2.0, (common - middle) / 2.0))
}

/// Terms on one side of the likeliest table, relative to it, until they vanish.
fn walk((one, rare, common): (f64, f64, f64), side: f64) -> Vec<f64> {
    let (mut one, mut rare, mut common, mut term) = (one, rare, common, 1.0);
    let mut terms = Vec::new();
    loop {
        term *= ratio((one, rare, common), side);
        if term <= 0.0 {
            return terms;
        }
        (one, rare, common) = (one + 2.0 * side, rare - side, common - side);
        terms.push(term);
    }
}

/// The next table's probability over this one's.
fn ratio((one, rare, common): (f64, f64, f64), side: f64) -> f64 {
    if side < 0.0 {
        one * (one - 1.0) / (4.0 * (rare + 1.0) * (common + 1.0))
    } else {
        4.0 * rare * common / ((one + 2.0) * (one + 1.0))
    }
}

/// The logarithm of a term that is too small to be written down.
fn log10_of(start: (f64, f64, f64), steps: f64) -> f64 {
    let side = steps.signum();
    let (mut one, mut rare, mut common) = start;
    let (mut left, mut log) = (steps.abs(), 0.0);
    while left > 0.0 {
        log += ratio((one, rare, common), side).log10();
        (one, rare, common) = (one + 2.0 * side, rare - side, common - side);
        left -= 1.0;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition, with factorials.
    fn by_definition(one: u32, two: u32, none: u32) -> f64 {
        let log = |n: u32| (1..=n).map(|it| f64::from(it).ln()).sum::<f64>();
        let rare = 2 * two.min(none) + one;
        let people = one + two + none;
        let weight = |one: u32| {
            let few = (rare - one) / 2;
            let many = people - one - few;
            (f64::from(one) * 2_f64.ln() - log(one) - log(few) - log(many)).exp()
        };
        let all: Vec<f64> = (0..=rare).filter(|it| it % 2 == rare % 2).map(weight).collect();
        let own = weight(one) * (1.0 + 1e-8);
        let tail: f64 = all.iter().filter(|it| **it <= own).sum();
        -(tail / all.iter().sum::<f64>()).log10()
    }

    #[test]
    fn small_tables_are_as_defined() {
        for (one, two, none) in
            [(0, 3, 4), (5, 0, 0), (10, 2, 30), (7, 9, 9), (1, 0, 99), (30, 10, 10), (2, 20, 20)]
        {
            let ours = hardy_weinberg(f64::from(one), f64::from(two), f64::from(none));
            let wanted = by_definition(one, two, none);
            assert!((ours - wanted).abs() < 1e-9, "{one} {two} {none}: {ours} {wanted}");
        }
        assert_eq!(hardy_weinberg(0.0, 0.0, 50.0), 0.0);
    }

    #[test]
    fn bounds_are_where_p_values_pass_the_limit() {
        for (people, copies) in
            [(50, 13), (50, 50), (60, 1), (200, 87), (40, 0), (33, 66), (500, 900)]
        {
            for limit in [1e-12, 1e-6, 0.001, 0.05, 0.3] {
                let (low, high) = heterozygous_within(people, copies, limit);
                for one in (copies % 2..=copies.min(2 * people - copies)).step_by(2) {
                    let two = (copies - one) / 2;
                    let p = hardy_weinberg(one.into(), two.into(), (people - one - two).into());
                    let inside = (low..=high).contains(&i64::from(one));
                    assert_eq!(inside, p <= -limit.log10(), "{people} {copies} {one} {limit}");
                }
            }
        }
    }

    #[test]
    fn tails_beyond_the_smallest_number_are_large() {
        let p = hardy_weinberg(0.0, 2000.0, 2000.0);
        assert!((1100.0..1300.0).contains(&p), "{p}");
        assert!(hardy_weinberg(4000.0, 0.0, 0.0) > 1100.0);
    }
}
