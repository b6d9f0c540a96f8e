//! Figures of a scan: small for millions of variants, whole with odd numbers.

use crate::sample::{Dice, check_within};
use konsil_plot::svg::{
    ManhattanPlot, NamedSpot, QuantilePlot, RegionPlot, RegionPoint, Spot, manhattan, quantiles,
    region,
};

/// Lengths of the chromosomes in megabases.
const LENGTHS: [u32; 22] = [
    249, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64,
    47, 51,
];

/// A scan of as many variants, with two loci.
fn scan(variants: u32) -> Vec<(String, u32, f64)> {
    let total: u32 = LENGTHS.iter().sum();
    let mut dice = Dice::new(7);
    let mut spots = Vec::new();
    for (length, number) in LENGTHS.iter().zip(1..) {
        let count = variants * length / total;
        for at in 0..count {
            let position = at * (length * 1_000_000 / count) + 1;
            let chance = -((dice.below(1 << 30) as f64 + 0.5) / f64::from(1 << 30)).log10();
            let locus = match number {
                6 => (32_000_000, 14.0),
                19 => (44_908_684, 31.0),
                _ => (0, 0.0),
            };
            let away = (f64::from(position) - f64::from(locus.0)).abs() / 300_000.0;
            let peak = locus.1 * (-away).exp() * (0.4 + 0.6 * dice.below(1000) as f64 / 1000.0);
            spots.push((number.to_string(), position, chance + peak));
        }
    }
    spots
}

fn spots(scan: &[(String, u32, f64)]) -> impl Iterator<Item = Spot<'_>> + Clone {
    let spot = |it: &'_ (String, u32, f64)| -> (u32, f64) { (it.1, it.2) };
    scan.iter().map(move |it| {
        let (position, log10_p) = spot(it);
        Spot { chromosome: &it.0, position, log10_p }
    })
}

fn named(chromosome: &str, position: u32, log10_p: f64, label: &str) -> NamedSpot {
    let says = format!("{label} at {chromosome}:{position}");
    NamedSpot {
        chromosome: chromosome.to_owned(),
        position,
        log10_p,
        label: label.to_owned(),
        says,
    }
}

/// The figures of a large scan, in the order Manhattan, quantiles, region.
fn figures() -> [String; 3] {
    let scan = scan(1_000_000);
    let best = |chromosome: &str| {
        let of = scan.iter().filter(|it| it.0 == chromosome);
        of.max_by(|a, b| a.2.total_cmp(&b.2)).unwrap().clone()
    };
    let (six, nineteen) = (best("6"), best("19"));
    let names = vec![
        named("19", nineteen.1, nineteen.2, "rs429358"),
        named("6", six.1, six.2, "rs9271192"),
    ];
    let tails = scan.iter().map(|it| it.2).collect();
    let near: Vec<RegionPoint> = scan
        .iter()
        .filter(|it| it.0 == "19" && it.1.abs_diff(nineteen.1) < 500_000)
        .map(|it| RegionPoint { position: it.1, log10_p: it.2, correlation: None })
        .collect();
    let at = near.iter().position(|it| it.position == nineteen.1).unwrap();
    let plot = RegionPlot {
        title: "Locus of rs429358".to_owned(),
        chromosome: "19".to_owned(),
        ends: (nineteen.1 - 500_000, nineteen.1 + 500_000),
        points: near,
        best: Some((at, "rs429358".to_owned())),
    };
    let lambda = 1.012;
    [
        manhattan(&ManhattanPlot::new("ad: p values along the genome", spots(&scan), names)),
        quantiles(&QuantilePlot::new("ad: p values against chance", tails, lambda)),
        region(&plot),
    ]
}

// A report with a point for each variant would not open.
#[test]
fn a_million_variants_make_a_small_figure() {
    let [manhattan, quantiles, region] = figures();
    check_within(&manhattan, 100_000);
    check_within(&quantiles, 40_000);
    check_within(&region, 40_000);
    assert!(manhattan.contains(">rs429358</text>") && manhattan.contains(">rs9271192</text>"));
    assert!(manhattan.contains(">5\u{d7}10\u{207b}\u{2078}</text>"));
    assert!(manhattan.contains("variants on chromosomes 1 to 22"));
    assert!(quantiles.contains("\u{3bb} = 1.012"));
    assert!(region.contains("position on chromosome 19, Mb"));
}

// A locus that is not drawn is missed.
#[test]
fn every_strong_variant_is_drawn() {
    let mut scan = scan(20_000);
    for at in [5, 9_000, 19_000] {
        scan[at].2 = 60.0;
    }
    let svg = manhattan(&ManhattanPlot::new("", spots(&scan), Vec::new()));
    // the highest cells: strokes that begin at the place of the strongest
    let top = svg.split('M').filter(|it| {
        let y = it.split([' ', 'V', 'h']).nth(1).and_then(|it| it.parse::<f64>().ok());
        y.is_some_and(|y| y < 90.0) && it.starts_with(|it: char| it.is_ascii_digit())
    });
    assert_eq!(top.count(), 3);
}

#[test]
fn odd_scans_have_figures() {
    let mut dice = Dice::new(3);
    for _ in 0..300 {
        let chromosomes = ["1", "2", "", "X", "<b>&\"contig"];
        let count = dice.below(20);
        let mut scan: Vec<(String, u32, f64)> = (0..count)
            .map(|_| {
                let position = [0, 1, 77_777, u32::MAX][dice.below(4)];
                (chromosomes[dice.below(5)].to_owned(), position, dice.number())
            })
            .collect();
        scan.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let names = vec![named("1", 3, dice.number(), &dice.label()), named("9", 1, 8.0, "gone")];
        check_within(&manhattan(&ManhattanPlot::new(dice.label(), spots(&scan), names)), 60_000);
        let tails = scan.iter().map(|it| it.2).collect();
        check_within(&quantiles(&QuantilePlot::new("", tails, dice.number())), 60_000);
        let points = scan.iter().map(|it| RegionPoint {
            position: it.1,
            log10_p: it.2,
            correlation: (it.1 > 0).then_some(it.2),
        });
        let plot = RegionPlot {
            title: dice.label(),
            chromosome: dice.label(),
            ends: (0, u32::try_from(dice.below(3)).unwrap() * 50_000),
            points: points.collect(),
            best: Some((dice.below(20), dice.label())),
        };
        check_within(&region(&plot), 60_000);
    }
}

#[test]
fn nothing_tested_is_said() {
    let svg = manhattan(&ManhattanPlot::new("ad", std::iter::empty(), Vec::new()));
    assert!(svg.contains("No variant was tested."));
    check_within(&svg, 5_000);
    check_within(&quantiles(&QuantilePlot::new("ad", Vec::new(), f64::NAN)), 5_000);
    check_within(&region(&RegionPlot::default()), 5_000);
}
