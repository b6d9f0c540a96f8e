//! Every operation on shares equals the ideal one within its stated error, the ideal one equals
//! mathematics, and costs are known beforehand, at 2 to 7 centres.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use konsil_mpc::{
    Audience, Gate, MpcError, Opening, Session, Shared, Topology, fixed, linear, normalise,
    transcendental,
};
use konsil_ring::{ONE, ULP, Word, decode, encode, encode_count};
use konsil_testing::{Outcome, add_up, dry, ideal, shared};
use proptest::prelude::*;

const OUT: Opening = Opening {
    name: "test.out",
    says: "The result of the operation under test.",
    to: Audience::Researcher,
};
const SEEN: Opening =
    Opening { name: "test.seen", says: "An opened number.", to: Audience::Centres };
const MANIFEST: [Opening; 2] = [OUT, SEEN];

/// Splits pooled numbers so that the parts of `parties` centres add up to them.
fn part(pooled: &[Word], parties: usize, me: usize) -> Vec<Word> {
    let noise = |party: usize, i: usize| -> Word {
        let odd = (party as u128 + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        odd.wrapping_mul(i as u128 * 2 + 1).rotate_left(31)
    };
    (pooled.iter().enumerate())
        .map(|(i, value)| {
            if me + 1 == parties {
                (0..me).fold(*value, |rest, party| rest.wrapping_sub(noise(party, i)))
            } else {
                noise(me, i)
            }
        })
        .collect()
}

type Step<'a> = dyn Fn(&mut dyn Session, &[Shared]) -> Result<Vec<Shared>, MpcError> + Sync + 'a;

/// Runs `step` on both backends and gives back (ideal, shared), after checking ledger and cost.
fn both(
    parties: usize,
    topology: Topology,
    inputs: &[Vec<Word>],
    step: &Step<'_>,
) -> (Vec<Word>, Vec<Word>) {
    let program = |session: &mut dyn Session, me: usize| {
        let inputs: Result<Vec<Shared>, MpcError> =
            inputs.iter().map(|pooled| session.input(&part(pooled, parties, me))).collect();
        for output in step(session, &inputs?)? {
            session.release(OUT, &output)?;
        }
        Ok(())
    };
    let fine = |outcomes: &[Outcome<()>]| {
        outcomes.iter().for_each(|outcome| assert_eq!(outcome.result, Ok(())));
    };
    let wanted = ideal(parties, &MANIFEST, program);
    let got = shared(parties, topology, &MANIFEST, program);
    fine(&wanted);
    fine(&got);
    for (me, outcome) in got.iter().enumerate() {
        let (cost, _, ledger) = dry(parties, topology, &MANIFEST, me, &program);
        assert_eq!(outcome.cost, cost, "planned cost is the cost");
        assert_eq!(outcome.wire_bytes, cost.bytes, "planned bytes are sent bytes");
        assert_eq!(outcome.ledger, ledger, "planned openings are the openings");
        assert_eq!(outcome.ledger, wanted[me].ledger);
    }
    (add_up(&wanted, OUT.name), add_up(&got, OUT.name))
}

fn reals(values: &[f64]) -> Vec<Word> {
    values.iter().map(|value| encode(*value).unwrap()).collect()
}

fn close(got: &[Word], wanted: &[f64], bound: impl Fn(f64) -> f64) {
    assert_eq!(got.len(), wanted.len());
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let error = (decode(*got) - wanted).abs();
        assert!(error <= bound(*wanted), "element {i}: {} for {wanted}", decode(*got));
    }
}

fn units(got: &[Word], wanted: &[Word], units: i128) {
    assert_eq!(got.len(), wanted.len());
    for (i, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        let apart = got.wrapping_sub(*wanted).cast_signed();
        assert!(apart.abs() <= units, "element {i} is {apart} units off");
    }
}

fn topologies() -> impl Strategy<Value = Topology> {
    prop_oneof![Just(Topology::Mesh), Just(Topology::Star)]
}

/// Numbers up to the limit of a product, of all magnitudes.
fn magnitudes(limit_bits: f64) -> impl Strategy<Value = f64> {
    (-30.0..limit_bits, any::<bool>()).prop_map(
        |(power, negative)| {
            if negative { -power.exp2() } else { power.exp2() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_and_truncation(
        parties in 2..=7_usize,
        topology in topologies(),
        pairs in prop::collection::vec((magnitudes(22.5), magnitudes(22.5)), 1..300),
    ) {
        let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
        let inputs = [reals(&a), reals(&b)];
        let (wanted, got) = both(parties, topology, &inputs, &|session, inputs| {
            let raw = session.multiply_raw(&inputs[0], &inputs[1])?;
            let square = session.square_raw(&inputs[0])?;
            let dot = session.dot_raw(&inputs[0], &inputs[1], inputs[0].len())?;
            let product = fixed::multiply(session, &inputs[0], &inputs[1])?;
            Ok(vec![raw, square, dot, product])
        });
        let n = a.len();
        prop_assert_eq!(&got[..2 * n + 1], &wanted[..2 * n + 1]);
        units(&got[2 * n + 1..], &wanted[2 * n + 1..], 1);
    }

    #[test]
    fn comparisons_and_bits(
        parties in 2..=7_usize,
        topology in topologies(),
        values in prop::collection::vec(any::<i128>().prop_map(|v| v >> 1), 1..300),
        (from, to) in (0..128_usize, 0..=128_usize),
        other: i64,
    ) {
        let words: Vec<Word> = values.iter().map(|value| value.cast_unsigned()).collect();
        let (wanted, got) = both(parties, topology, &[words], &|session, inputs| {
            let x = &inputs[0];
            let mut out = Vec::new();
            let bits = session.negative(x)?;
            out.push(session.to_integers(&bits)?);
            for plane in session.bits(x, from.min(to), to)? {
                out.push(session.to_integers(&plane)?);
            }
            let small = x.times_integer(0).plus(&session.constant(&vec![i128::from(other).cast_unsigned(); x.len()]));
            out.push(normalise::is_zero(session, &small)?);
            Ok(out)
        });
        prop_assert_eq!(&got, &wanted);
        let negative: Vec<Word> = values.iter().map(|value| Word::from(*value < 0)).collect();
        prop_assert_eq!(&got[..values.len()], &negative[..]);
    }

    #[test]
    fn lookups_and_gates(
        parties in 2..=7_usize,
        places in prop::collection::vec(0..64_u32, 1..200),
    ) {
        let words: Vec<Word> = places.iter().map(|place| encode_count(u64::from(*place))).collect();
        let table: Vec<Word> = (0..64).map(|i: u128| i.wrapping_mul(u128::MAX / 7)).collect();
        let expected: Vec<Word> = places.iter().map(|place| table[*place as usize]).collect();
        let (wanted, got) = both(parties, Topology::Mesh, &[words], &|session, inputs| {
            let bits = session.bits(&inputs[0], 0, 6)?;
            let mut out = session.lookup(&bits, std::slice::from_ref(&table))?;
            for gate in [Gate::Prefix(3), Gate::Carry(3)] {
                for product in session.gate(gate, &bits[..gate.variables()])? {
                    out.push(session.to_integers(&product)?);
                }
            }
            Ok(out)
        });
        prop_assert_eq!(&got, &wanted);
        prop_assert_eq!(&got[..places.len()], &expected[..]);
    }

    #[test]
    fn division_and_roots(
        parties in 2..=5_usize,
        pairs in prop::collection::vec((magnitudes(20.0), -18.0..40.0_f64), 1..40),
    ) {
        let a: Vec<f64> = pairs.iter().map(|(a, _)| decode(encode(*a).unwrap())).collect();
        let x: Vec<f64> = pairs.iter().map(|(_, p)| decode(encode(p.exp2()).unwrap())).collect();
        let inputs = [reals(&a), reals(&x)];
        let n = a.len();
        let (wanted, got) = both(parties, Topology::Star, &inputs, &|session, inputs| {
            Ok(vec![
                normalise::divide(session, &inputs[0], &inputs[1])?,
                normalise::reciprocal(session, &inputs[1])?,
                normalise::sqrt(session, &inputs[1])?,
                normalise::inverse_sqrt(session, &inputs[1])?,
            ])
        });
        for out in [&wanted, &got] {
            for i in 0..n {
                let relative = 2.0_f64.powi(-36);
                let check = |value: f64, exact: f64, extra: f64| {
                    (value - exact).abs() <= exact.abs() * relative + 2.0 * ULP + extra
                };
                prop_assert!(check(decode(out[i]), a[i] / x[i], 2.0 * ULP / x[i]));
                prop_assert!(check(decode(out[n + i]), 1.0 / x[i], 0.0));
                prop_assert!(check(decode(out[2 * n + i]), x[i].sqrt(), 0.0));
                prop_assert!(check(decode(out[3 * n + i]), 1.0 / x[i].sqrt(), 0.0));
            }
        }
    }

    #[test]
    fn exponentials(parties in 2..=5_usize, x in prop::collection::vec(-43.9..27.9_f64, 1..40)) {
        let (wanted, got) = both(parties, Topology::Star, &[reals(&x)], &|session, inputs| {
            Ok(vec![transcendental::exp(session, &inputs[0])?])
        });
        let exact: Vec<f64> = x.iter().map(|x| x.exp()).collect();
        for out in [wanted, got] {
            close(&out, &exact, |value| value * 2.0_f64.powi(-35) + 2.0 * ULP);
        }
    }

    #[test]
    fn logarithms(parties in 2..=5_usize, p in prop::collection::vec(-20.0..43.9_f64, 1..40)) {
        let x: Vec<f64> = p.iter().map(|p| decode(encode(p.exp2()).unwrap())).collect();
        let (wanted, got) = both(parties, Topology::Mesh, &[reals(&x)], &|session, inputs| {
            Ok(vec![transcendental::ln(session, &inputs[0])?])
        });
        let exact: Vec<f64> = x.iter().map(|x| x.ln()).collect();
        for out in [wanted, got] {
            close(&out, &exact, |_| 40.0 * ULP);
        }
    }

    #[test]
    fn logistic_values(
        parties in 2..=5_usize,
        x in prop::collection::vec(prop_oneof![-40.0..40.0_f64, -1e9..1e9_f64], 1..40),
    ) {
        let (wanted, got) = both(parties, Topology::Star, &[reals(&x)], &|session, inputs| {
            Ok(vec![transcendental::logistic(session, &inputs[0])?])
        });
        let exact: Vec<f64> = x.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect();
        for out in [wanted, got] {
            close(&out, &exact, |_| 1e-10);
        }
    }

    #[test]
    fn maxima(parties in 2..=4_usize, x in prop::collection::vec(magnitudes(40.0), 1..9)) {
        let (wanted, got) = both(parties, Topology::Mesh, &[reals(&x)], &|session, inputs| {
            Ok(vec![fixed::largest(session, &inputs[0])?])
        });
        let exact = x.iter().copied().fold(f64::MIN, f64::max);
        close(&got, &[exact], |value| value.abs() * 1e-15 + ULP);
        prop_assert_eq!(wanted, got);
    }

    #[test]
    fn matrices(
        parties in 2..=5_usize,
        (m, k, n) in (1..9_usize, 1..9_usize, 1..9_usize),
        seed in prop::collection::vec(-50.0..50.0_f64, 81),
        transposed: bool,
        owner in 0..2_usize,
    ) {
        let left: Vec<f64> = seed[..m * k].to_vec();
        let right: Vec<f64> = seed.iter().rev().take(k * n).copied().collect();
        let inputs = [reals(&left), reals(&right)];
        let left_words = inputs[0].clone();
        let stored = if transposed { (k, m) } else { (m, k) };
        let (wanted, got) = both(parties, Topology::Mesh, &inputs, &|session, inputs| {
            let shared = linear::product(session, &inputs[0], &inputs[1], (m, k, n))?;
            let left = if transposed { inputs[0].transposed(m, k) } else { inputs[0].clone() };
            let left = session.mask(&left, stored)?;
            let right = session.mask(&inputs[1], (k, n))?;
            let cached = session.product(&left, transposed, &right)?;
            let again = session.product(&left, transposed, &right)?;
            let own = if session.party() == owner { left_words.clone() } else { Vec::new() };
            let own = session.mask_own(owner, &own, (m, k))?;
            let own = session.product(&own, false, &right)?;
            Ok(vec![cached, again, own, shared])
        });
        let cells = m * n;
        prop_assert_eq!(&got[..3 * cells], &wanted[..3 * cells]);
        prop_assert_eq!(&got[..cells], &got[2 * cells..3 * cells]);
        units(&got[3 * cells..], &wanted[3 * cells..], 1);
    }
}

// A product too large for one piece is put together from blocks of rows.
#[test]
fn large_products_come_in_blocks() {
    let (m, k, n) = (5, 2, 100_000);
    let left: Vec<Word> = (0..m * k).map(|at| encode_count(at as u64 + 1)).collect();
    let right: Vec<Word> = (0..k * n).map(|at| encode_count(at as u64 % 977)).collect();
    let (wanted, got) = both(3, Topology::Star, &[left, right], &|session, inputs| {
        Ok(vec![konsil_mpc::matrix_raw(session, &inputs[0], &inputs[1], (m, k, n))?])
    });
    assert_eq!(got, wanted);
}

/// A covariance-like matrix with eigenvalues from 1 down to 1e-3, scaled unevenly.
fn positive_definite(order: usize) -> Vec<f64> {
    let wave = |i: usize, r: usize| ((i * 7 + r * 13) as f64 * 0.7).sin();
    let scale = |i: usize| 10.0_f64.powi(i32::try_from(i % 4).unwrap());
    let entry = |i: usize, j: usize| {
        let sum: f64 = (0..3 * order).map(|r| wave(i, r) * wave(j, r)).sum();
        (sum / order as f64 + if i == j { 0.05 } else { 0.0 }) * scale(i) * scale(j)
    };
    (0..order * order).map(|at| entry(at / order, at % order)).collect()
}

// The models rest on these three; 64 is the largest order.
#[test]
fn inverses_and_triangles() {
    for order in [1, 2, 5, 12] {
        let matrix = positive_definite(order);
        let right: Vec<f64> = (0..order).map(|i| i as f64 - 1.5).collect();
        let inputs = [reals(&matrix), reals(&right)];
        let (_, got) = both(3, Topology::Star, &inputs, &|session, inputs| {
            let inverse = linear::inverse(session, &inputs[0], order)?;
            let sound = inverse.sound(session)?;
            let sound = session.to_integers(&sound)?;
            let solution = inverse.times(session, &inputs[1])?;
            let (lower, diagonal) = linear::cholesky(session, &inputs[0], order)?;
            let half = linear::solve_lower(session, &lower, &diagonal, &inputs[1])?;
            let again = linear::solve_upper(session, &lower, &diagonal, &half)?;
            Ok(vec![sound.integer_to_fixed(), solution, again])
        });
        assert!(got[..order].iter().all(|sound| *sound == ONE));
        for solution in got[order..].chunks(order) {
            for i in 0..order {
                let image: f64 =
                    (0..order).map(|j| matrix[i * order + j] * decode(solution[j])).sum();
                let scale = matrix[i * order + i];
                assert!((image - right[i]).abs() < 1e-6 * scale.max(1.0), "row {i} of {order}");
            }
        }
    }
}

// A column that repeats another has no coefficient of its own (fault case 72).
#[test]
fn a_singular_matrix_is_noticed() {
    let matrix = [4.0, 4.0, 1.0, 4.0, 4.0, 1.0, 1.0, 1.0, 9.0];
    let (_, got) = both(3, Topology::Mesh, &[reals(&matrix)], &|session, inputs| {
        let inverse = linear::inverse(session, &inputs[0], 3)?;
        let sound = inverse.sound(session)?;
        Ok(vec![session.to_integers(&sound)?])
    });
    assert_eq!(got, [0, 0, 1]);
}

// Nothing that the approved manifest does not list is opened, and nothing to somebody else.
#[test]
fn undeclared_openings_are_refused() {
    let other = Opening { name: "test.other", ..SEEN };
    let outcomes = shared(3, Topology::Mesh, &MANIFEST, |session, _| {
        let x = session.input(&[1])?;
        let opened = session.open(SEEN, &x)?;
        assert_eq!(session.open(other, &x), Err(MpcError::NotDeclared { name: "test.other" }));
        let turned = Opening { to: Audience::Centres, ..OUT };
        assert!(session.open(turned, &x).is_err());
        assert!(session.release(SEEN, &x).is_err());
        Ok(opened)
    });
    for outcome in outcomes {
        assert_eq!(outcome.result, Ok(vec![3]));
        assert_eq!(outcome.ledger.lines().len(), 1);
        assert_eq!(outcome.ledger.lines()[0].numbers, 1);
    }
}

// What is pinned here is what `docs/protocols.md` says; a change is a decision, not an accident.
#[test]
fn costs_are_pinned() {
    let cost =
        |program: &(dyn Fn(&mut dyn Session, &Shared) -> Result<Shared, MpcError> + Sync)| {
            let dry_program = |session: &mut dyn Session, _: usize| {
                let x = session.input(&[0; 128])?;
                program(session, &x).map(|_| ())
            };
            let (cost, _, _) = dry(6, Topology::Mesh, &MANIFEST, 0, &dry_program);
            (cost.rounds, cost.dealt_bytes / 128)
        };
    let costs = [
        cost(&|session, x| fixed::multiply(session, x, x)),
        cost(&|session, x| fixed::maximum(session, x, x)),
        cost(&|session, x| normalise::divide(session, x, x)),
        cost(&normalise::inverse_sqrt),
        cost(&transcendental::exp),
        cost(&transcendental::logistic),
    ];
    assert_eq!(costs, [(2, 40), (6, 119), (34, 1152), (38, 1264), (20, 844), (21, 1603)]);
}

/// Numbers of up to `bits` bits on both sides of 0, the borders among them.
fn within(bits: u32) -> Vec<i128> {
    let most = (1_i128 << bits) - 1;
    let spread = (0..1500).map(|i: i128| (i * 0x9e37_79b9_7f4a_7c15 * 7 + i * i) % (most + 1));
    let signed = spread.enumerate().map(|(i, it)| if i % 2 == 0 { it } else { -it });
    [0, 1, -1, most, -most, -most - 1].into_iter().chain(signed).collect()
}

// In every width: products, sums of products, signs and openings are those of the integers, once they
// are lifted to whole words; and they cost as many bytes as the width has.
#[test]
fn narrow_numbers_are_numbers() {
    let mut bytes_before = 0;
    for bytes in 1..=16_u32 {
        let whole = u32::BITS * 4 - 8 * bytes;
        let a: Vec<i128> = within(if bytes == 1 { 3 } else { 4 * bytes - 4 });
        let b: Vec<i128> = a.iter().rev().copied().collect();
        let wide: Vec<i128> = within(8 * bytes - 1);
        let words = |numbers: &[i128]| numbers.iter().map(|it| it.cast_unsigned()).collect();
        let inputs: [Vec<Word>; 3] = [words(&a), words(&b), words(&wide)];
        for (parties, topology) in [(2, Topology::Mesh), (3, Topology::Star), (5, Topology::Star)] {
            let step = |session: &mut dyn Session, x: &[Shared]| {
                let lift = |x: &Shared| {
                    if whole == 0 {
                        x.clone()
                    } else {
                        x.times_integer((1_i128 << (whole - 1)) * 2)
                    }
                };
                session.narrow(usize::try_from(bytes).unwrap());
                let product = session.multiply_raw(&x[0], &x[1])?;
                let square = session.square_raw(&x[0])?;
                let dot = session.dot_raw(&x[0], &x[1], 2)?;
                let pair = session.masks(&[(&x[0], (x[0].len(), 1)), (&x[1], (1, x[1].len()))])?;
                let outer = session.product(&pair[0], false, &pair[1])?;
                let outer = outer.pick((0..x[0].len()).map(|at| at * (x[0].len() + 1)));
                let sign = session.negative(&x[2])?;
                let opened = session.open(SEEN, &x[2])?;
                session.narrow(16);
                let opened = session.constant(&opened);
                Ok(vec![
                    lift(&product),
                    lift(&square),
                    lift(&dot),
                    lift(&outer),
                    session.to_integers(&sign)?,
                    opened,
                ])
            };
            let (ideal, shared) = both(parties, topology, &inputs, &step);
            assert_eq!(ideal, shared, "{bytes} bytes, {parties} centres");
            let lifted = |it: i128| it.cast_unsigned().wrapping_shl(whole);
            let product = a.iter().zip(&b).map(|(a, b)| lifted(a * b));
            let square = a.iter().map(|a| lifted(a * a));
            let dots = a.chunks(2).zip(b.chunks(2)).map(|(a, b)| lifted(a[0] * b[0] + a[1] * b[1]));
            let signs = wide.iter().map(|it| Word::from(*it < 0));
            let opened = wide.iter().map(|it| it.cast_unsigned());
            // while planning, everything opened is 0
            let all: Vec<Word> = product
                .clone()
                .chain(square)
                .chain(dots)
                .chain(product)
                .chain(signs)
                .chain(opened)
                .collect();
            assert_eq!(ideal.len(), all.len());
            let wrong = ideal.iter().zip(&all).position(|(a, b)| a != b);
            assert_eq!(wrong, None, "{bytes} bytes, {parties} centres");
        }
        let square = |session: &mut dyn Session, me: usize| {
            session.narrow(usize::try_from(bytes).unwrap());
            let x = session.input(&part(&vec![1; 6000], 3, me))?;
            session.square_raw(&x).map(|_| ())
        };
        let cost = dry(3, Topology::Star, &MANIFEST, 0, &square).0.bytes;
        // each centre sends two thirds of the numbers twice
        assert_eq!(cost - bytes_before, if bytes == 1 { cost } else { 8000 });
        bytes_before = cost;
    }
}
