//! The figures of a scan, from what was released of it.

use crate::gwas_summary::{DISTANCE, Summary, hits_alone, p_text, row};
use konsil_analyses::{Scan, ScanRow};
use konsil_geno::{Panel, Variant};
use konsil_plot::report::Figure;
use konsil_plot::svg::{ManhattanPlot, NamedSpot, QuantilePlot, RegionPlot, RegionPoint, Spot};

/// Loci that get a regional plot.
const REGIONS: usize = 3;
/// Variants without which a regional plot shows no more than the table.
const POINTS_MIN: usize = 5;
/// Bases on each side of a regional plot.
const AROUND: u32 = 2 * DISTANCE;

/// All figures of a scan, each under the name that its file gets: `TRAIT.manhattan`, `TRAIT.qq`,
/// `TRAIT.1.locus` and so on.
pub(crate) fn of(scan: &Scan, panel: &Panel, summary: &Summary) -> Vec<(String, Figure)> {
    let name = |what: &str| format!("{}.{what}", scan.response);
    let title = |what: &str| format!("{}: {what}", scan.response);
    let named = summary.loci.iter().filter_map(|at| named(scan, panel, *at)).collect();
    let spots = tested(scan, panel).map(|(row, variant)| Spot {
        chromosome: variant.chromosome,
        position: variant.position,
        log10_p: row.log10_p,
    });
    let manhattan = ManhattanPlot::new(title("p values along the genome"), spots, named);
    let tails = scan.rows.iter().filter(|it| it.skipped.is_none()).map(|it| it.log10_p);
    let against = title("p values against chance");
    let quantiles = QuantilePlot::new(against, tails.collect(), summary.lambda);
    let mut figures = vec![(name("manhattan"), Figure::Manhattan(manhattan))];
    // hits alone cannot be compared with what chance gives
    if !hits_alone(scan) {
        figures.push((name("qq"), Figure::Quantiles(quantiles)));
    }
    let regions = summary.loci.iter().filter_map(|at| region(scan, panel, *at));
    let regions = regions.filter(|it| it.points.len() >= POINTS_MIN);
    for (number, plot) in (1..).zip(regions.take(REGIONS)) {
        figures.push((name(&format!("{number}.locus")), Figure::Region(plot)));
    }
    figures
}

fn tested<'a>(
    scan: &'a Scan,
    panel: &'a Panel,
) -> impl Iterator<Item = (&'a ScanRow, Variant<'a>)> + Clone + use<'a> {
    let tested = scan.rows.iter().filter(|it| it.skipped.is_none());
    tested.filter_map(|row| Some((row, panel.variant(usize::try_from(row.variant).ok()?)?)))
}

/// What a variant is called: its name, or its place where it has none.
fn called(variant: &Variant<'_>) -> String {
    if variant.id == "." {
        format!("{}:{}", variant.chromosome, variant.position)
    } else {
        variant.id.to_owned()
    }
}

fn named(scan: &Scan, panel: &Panel, at: u32) -> Option<NamedSpot> {
    let (row, variant) = (row(scan, at)?, panel.variant(usize::try_from(at).ok()?)?);
    let Variant { chromosome, position, reference, alternative, .. } = variant;
    let label = called(&variant);
    let p = p_text(row.log10_p);
    let says = format!("{label}, {chromosome}:{position} {reference}/{alternative}, p {p}");
    let chromosome = chromosome.to_owned();
    Some(NamedSpot { chromosome, position, log10_p: row.log10_p, label, says })
}

/// The variants around one.
fn region(scan: &Scan, panel: &Panel, at: u32) -> Option<RegionPlot> {
    let middle = panel.variant(usize::try_from(at).ok()?)?;
    let place = scan.rows.binary_search_by_key(&at, |it| it.variant).ok()?;
    // rows are in the order of the genome: neighbours are near
    let near = |row: &&ScanRow| {
        let variant = usize::try_from(row.variant).ok().and_then(|it| panel.variant(it));
        variant.is_some_and(|it| {
            it.chromosome == middle.chromosome && it.position.abs_diff(middle.position) <= AROUND
        })
    };
    let (below, above) = scan.rows.split_at(place);
    let below: Vec<&ScanRow> = below.iter().rev().take_while(near).collect();
    let above = above.iter().take_while(near);
    let mut points = Vec::new();
    let mut best = None;
    for row in below.into_iter().rev().chain(above).filter(|it| it.skipped.is_none()) {
        if row.variant == at {
            best = Some((points.len(), called(&middle)));
        }
        let position = panel.variant(usize::try_from(row.variant).ok()?)?.position;
        points.push(RegionPoint { position, log10_p: row.log10_p, correlation: None });
    }
    Some(RegionPlot {
        title: format!("{}: locus of {}", scan.response, called(&middle)),
        chromosome: middle.chromosome.to_owned(),
        ends: (middle.position.saturating_sub(AROUND), middle.position.saturating_add(AROUND)),
        points,
        best,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use konsil_analyses::{ScanTest, Skipped};

    // A figure of another locus than the one named beside it would be believed.
    #[test]
    fn a_scan_has_its_figures() {
        let mut text = String::from("#CHROM\tPOS\tID\tREF\tALT\n");
        for at in 0..200 {
            let name = if at == 150 { ".".to_owned() } else { format!("rs{at}") };
            text.push_str(&format!(
                "{}\t{}\t{name}\tA\tG\n",
                1 + at / 100,
                (at % 100 + 1) * 50_000
            ));
        }
        let panel = Panel::parse(text).unwrap();
        let row = |variant: u32| ScanRow {
            variant,
            observed: 100.0,
            alternative: 50.0,
            beta: 0.1,
            error: 0.1,
            statistic: 1.0,
            log10_p: if variant == 40 || variant == 150 { 9.0 } else { 0.5 },
            skipped: (variant == 41).then_some(Skipped::Rare),
            corrected: false,
            heterogeneity: f64::NAN,
        };
        let scan = Scan {
            coding: konsil_kernels::Coding::Additive,
            corrected: None,
            meta: false,
            response: "ldl".to_owned(),
            test: ScanTest::Linear,
            panel: panel.hash().to_owned(),
            patients: 100.0,
            freedom: 90.0,
            rows: (0..200).map(row).collect(),
            genotypes: Vec::new(),
        };
        let summary = Summary::of(&scan, &panel);
        let figures = of(&scan, &panel, &summary);
        let names: Vec<&str> = figures.iter().map(|it| it.0.as_str()).collect();
        assert_eq!(names, ["ldl.manhattan", "ldl.qq", "ldl.1.locus", "ldl.2.locus"]);
        let svg = figures[0].1.to_svg();
        assert!(svg.contains(">rs40</text>") && svg.contains(">2:2550000</text>"), "{svg}");
        assert!(svg.contains("rs40, 1:2050000 A/G, p 1.0e-9"));
        assert!(svg.contains("199 variants on chromosomes 1 to 2"));
        let Figure::Region(locus) = &figures[2].1 else { panic!("a region") };
        // ten on each side, without the one that was not tested
        assert_eq!((locus.points.len(), locus.best.clone()), (20, Some((10, "rs40".to_owned()))));
        assert_eq!(locus.ends, (1_550_000, 2_550_000));
    }
}
