//! `konsil bench wan`: a logistic regression over a simulated network with latency and bandwidth,
//! every centre and the dealer a thread of this process.

use crate::arguments::WanOptions;
use crate::failure::Failure;
use crate::screen::Screen;
use konsil_analyses::{AnalysisError, Request, Setting, prepare};
use konsil_cohort::{Dataset, Dictionary, ImportOptions, import};
use konsil_disclosure::Policy;
use konsil_mpc::{
    BurnLedger, CorrectionSource, Cost, Dealer, Links, Seed, Session, SharedSession, Topology,
};
use konsil_net::memory;
use konsil_net::{ChannelCorrections, Faults, Shape, send_corrections};
use konsil_node::NodeError;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// Nothing is kept of a measurement.
struct NoLedger;

impl BurnLedger for NoLedger {
    fn burn(&mut self, _end: u64) -> Result<(), String> {
        Ok(())
    }
}

pub(crate) fn wan(options: &WanOptions, screen: &Screen) -> Result<(), Failure> {
    let centres = usize::from(options.centres);
    let covariates = usize::from(options.covariates);
    let one_way = Duration::from_secs_f64(options.round_trip_ms / 2000.0);
    let shape = Shape { one_way, bits_per_second: options.megabits * 1_000_000 };
    let faults = Faults { shape: Some(shape), ..Faults::default() };
    let names: Vec<String> = (1..=covariates).map(|at| format!("x{at}")).collect();
    let dictionary = dictionary(&names)?;
    let data = (0..centres).map(|at| patients(&dictionary, &names, (at, options.rows)));
    let data = data.collect::<Result<Vec<_>, _>>()?;
    let request = Request {
        id: "model".to_owned(),
        kind: "glm".to_owned(),
        formula: Some(format!("y ~ {}", names.join(" + "))),
        sealed: options.sealed,
        ..Request::default()
    };
    let analysis = prepare(&request, &dictionary).map_err(NodeError::from)?;
    let rows = data.iter().map(|it| it.rows().next_multiple_of(64)).collect();
    let setting = Setting { policy: Policy::default(), rows_at_most: rows, noise: None };
    let fail = |error: AnalysisError| Failure::from(NodeError::from(error));
    let mut dry = SharedSession::dry(0, centres, Topology::Mesh, analysis.openings());
    analysis.run(&mut dry, &setting, None).map_err(fail)?;
    let kinds = dry.kinds().to_vec();
    let seeds: Vec<Seed> =
        (0..centres).map(|at| Seed::new([u8::try_from(at).unwrap_or(0); 32])).collect();
    let dealer = Dealer::new(&seeds);
    let (dealing, receiving) = memory::pair_with(&faults);
    let mut receiving = Some(receiving);
    let begin = Instant::now();
    let ends: Vec<Result<Cost, Failure>> = thread::scope(|scope| {
        scope.spawn(|| {
            for (counter, kind) in (0_u64..).zip(&kinds) {
                let words = dealer.deal(counter, kind);
                let bytes = bytemuck::cast_slice(&words);
                if !words.is_empty() && send_corrections(&dealing, counter, bytes).is_err() {
                    return;
                }
            }
        });
        let (analysis, setting, seeds) = (&analysis, &setting, &seeds);
        let data = &data;
        let run = |(me, mesh): (usize, konsil_net::Mesh)| {
            let source = receiving.take_if(|_| me == 0).map(ChannelCorrections::new);
            let links = Links {
                wire: Box::new(mesh),
                seed: seeds[me].clone(),
                pairwise: pairwise(me, centres),
                corrections: source.map(|it| Box::new(it) as Box<dyn CorrectionSource>),
                burn: Box::new(NoLedger),
            };
            scope.spawn(move || {
                let mut session = SharedSession::live(links, Topology::Mesh, analysis.openings());
                analysis
                    .run(&mut session, setting, data.get(me))
                    .map_err(|error| Failure::from(NodeError::from(error)))?;
                Ok(session.cost())
            })
        };
        let meshes = memory::mesh_with(centres, &faults).into_iter();
        let threads: Vec<_> = meshes.enumerate().map(run).collect();
        let gone = || Failure::process("a simulated centre failed");
        threads.into_iter().map(|it| it.join().map_err(|_| gone())?).collect()
    });
    let seconds = begin.elapsed().as_secs_f64();
    let costs = ends.into_iter().collect::<Result<Vec<Cost>, Failure>>()?;
    show(options, seconds, &costs, screen);
    Ok(())
}

fn show(options: &WanOptions, seconds: f64, costs: &[Cost], screen: &Screen) {
    let first = costs.first().copied().unwrap_or_default();
    let bytes = costs.iter().map(|it| it.bytes).max().unwrap_or(0);
    let (centres, covariates, rounds) = (options.centres, options.covariates, first.rounds);
    screen.table(&format!(
        "logistic regression, {covariates} covariates, {centres} centres: {seconds:.1} s, {rounds} rounds, {bytes} bytes sent by a centre"
    ));
    screen.json_line(&json!({
        "schema": "konsil.bench.wan.v1", "centres": centres, "covariates": covariates,
        "sealed": options.sealed, "round_trip_ms": options.round_trip_ms,
        "megabits": options.megabits, "seconds": seconds, "rounds": rounds,
        "bytes_by_centre": bytes, "dealt_bytes": first.dealt_bytes,
    }));
}

fn pairwise(me: usize, centres: usize) -> Vec<Option<Seed>> {
    let seed = |other: usize| Seed::new([u8::try_from(me * other + me + other).unwrap_or(0); 32]);
    (0..centres).map(|other| (other != me).then(|| seed(other))).collect()
}

fn dictionary(names: &[String]) -> Result<Dictionary, Failure> {
    let mut text = "name,type,min,max,decimals\ny,integer,0,1,\n".to_owned();
    for name in names {
        let _ok = writeln!(text, "{name},number,-2,2,4");
    }
    Ok(Dictionary::parse("wan", &text)?)
}

/// Simulated patients of one centre; a simple generator with a fixed seed.
fn patients(
    dictionary: &Dictionary,
    names: &[String],
    (centre, rows): (usize, u32),
) -> Result<Dataset, Failure> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(centre as u64 + 1);
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut text = format!("y,{}\n", names.join(","));
    for _ in 0..rows {
        let x: Vec<f64> = names.iter().map(|_| (uniform() * 4.0 - 2.0) * 0.99).collect();
        let eta: f64 = x.iter().enumerate().map(|(at, x)| x * (at as f64).cos() / 2.0).sum();
        let y = u8::from(uniform() < 1.0 / (1.0 + (1.0 - eta).exp()));
        let cells: Vec<String> = x.iter().map(|x| format!("{x:.4}")).collect();
        let _ok = writeln!(text, "{y},{}", cells.join(","));
    }
    let folder = tempfile::tempdir().map_err(|error| Failure::file(Path::new("temp"), &error))?;
    let path = folder.path().join("patients.csv");
    std::fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
    Ok(import(&path, dictionary, &ImportOptions::new("wan"))?.0)
}
