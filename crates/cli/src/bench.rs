//! `konsil bench primitives`: the secure engine measured with a process for each centre and one for
//! the dealer, over TLS on loopback.
//!
//! Each operation is measured twice: with its correlations dealt within the measured time, and with
//! the corrections already received (*online*). Operations start together and end when the last
//! centre has its result.

mod party;
mod steps;
mod wan;

pub(crate) use party::{dealer, party};
pub(crate) use wan::wan;

use crate::arguments::PrimitivesOptions;
use crate::failure::Failure;
use crate::screen::Screen;
use konsil_mpc::Kind as Correlation;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// What all processes of a measurement know, in `bench.json` of its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Setup {
    centres: usize,
    runs: u16,
    /// Names of the operations.
    operations: Vec<String>,
    /// Public keys: centres, then dealer.
    keys: Vec<String>,
}

/// One measured operation, as the first centre reports it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    name: String,
    /// Elements, or multiply-adds for matrix products.
    count: u64,
    /// Seconds of each run, correlations included.
    seconds: Vec<f64>,
    /// Seconds of each run, corrections received beforehand.
    seconds_online: Vec<f64>,
    /// Bytes that all centres sent.
    bytes: u64,
    rounds: u64,
}

/// A process of the measurement; it ends with this value.
struct Part(Child);

impl Drop for Part {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(crate) fn primitives(options: &PrimitivesOptions, screen: &Screen) -> Result<(), Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::file(Path::new("temp"), &error))?;
    let dir = folder.path();
    let centres = usize::from(options.centres);
    let chosen = steps::NAMES.iter().filter(|name| name.contains(options.only.as_str()));
    let operations: Vec<String> = chosen.map(|name| (*name).to_owned()).collect();
    if operations.is_empty() {
        return Err(Failure::usage(format!("operations are {}", steps::NAMES.join(", "))));
    }
    let keys = (0..=centres).map(|at| crate::lab::new_identity(&dir.join(format!("{at}.key"))));
    let keys = keys.collect::<Result<Vec<_>, _>>()?;
    let setup = Setup { centres, runs: options.runs, operations, keys };
    let text = serde_json::to_vec(&setup).map_err(|_| Failure::process("bench.json"))?;
    konsil_node::write_private(&dir.join("bench.json"), &text)?;
    let mut parts = Vec::with_capacity(centres + 1);
    for me in 0..=centres {
        parts.push(spawn(dir, me, centres)?);
    }
    let mut readers = Vec::with_capacity(parts.len());
    let mut addresses = Vec::with_capacity(parts.len());
    for part in &mut parts {
        let out = part.0.stdout.take().ok_or_else(|| Failure::process("no output"))?;
        let mut reader = BufReader::new(out);
        let mut line = String::new();
        reader.read_line(&mut line).map_err(|error| Failure::file(dir, &error))?;
        addresses.push(line.trim().to_owned());
        readers.push(reader);
    }
    for part in &mut parts {
        let mut input = part.0.stdin.take().ok_or_else(|| Failure::process("no input"))?;
        writeln!(input, "{}", addresses.join(" ")).map_err(|error| Failure::file(dir, &error))?;
    }
    let mut results = Vec::new();
    for line in readers.remove(0).lines() {
        let line = line.map_err(|error| Failure::file(dir, &error))?;
        let measured: Measured = serde_json::from_str(&line)
            .map_err(|_| Failure::process(format!("a measured process failed: {line}")))?;
        screen.note(&format!("  {}", measured.name));
        results.push(measured);
    }
    if results.len() != setup.operations.len() {
        return Err(Failure::process("a measured process ended early"));
    }
    show(&results, (centres, &dealing_rates(centres)), screen);
    Ok(())
}

/// What one dealer deals in a second on one core: triples, truncations, comparisons.
fn dealing_rates(centres: usize) -> [(&'static str, f64); 3] {
    const LEN: usize = 1 << 14;
    let seed = |at: usize| konsil_mpc::Seed::new([u8::try_from(at).unwrap_or(0); 32]);
    let dealer = konsil_mpc::Dealer::new(&(0..centres).map(seed).collect::<Vec<_>>());
    let rate = |kinds: &[Correlation]| {
        let begin = std::time::Instant::now();
        let mut batches = 0_u32;
        while begin.elapsed().as_secs_f64() < 0.3 {
            for (counter, kind) in (0_u64..).zip(kinds) {
                std::hint::black_box(dealer.deal(counter, kind));
            }
            batches += 1;
        }
        f64::from(batches) * LEN as f64 / begin.elapsed().as_secs_f64()
    };
    let mut dry = konsil_mpc::SharedSession::dry(0, centres, konsil_mpc::Topology::Star, &[]);
    let _dry = steps::Step::new("compare", 1).run_on(&mut dry, LEN);
    [
        ("triple", rate(&[Correlation::Triple { len: LEN }])),
        ("truncation", rate(&[Correlation::Truncate { len: LEN, shift: 40 }])),
        ("compare", rate(dry.kinds())),
    ]
}

fn spawn(dir: &Path, me: usize, centres: usize) -> Result<Part, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::file(dir, &error))?;
    let mut command = Command::new(program);
    if me == centres {
        command.args(["bench", "dealer", "--dir"]).arg(dir);
    } else {
        command.args(["bench", "party", "--dir"]).arg(dir).args(["--me", &me.to_string()]);
    }
    command.env(crate::processes::KEEP_PAGES.0, crate::processes::KEEP_PAGES.1);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(Part(command.spawn().map_err(|error| Failure::file(dir, &error))?))
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn show(results: &[Measured], (centres, dealing): (usize, &[(&str, f64)]), screen: &Screen) {
    screen.table(&format!(
        "{:<22} {:>14} {:>14} {:>10} {:>7}   {centres} centres and a dealer, medians",
        "operation", "per second", "online", "bytes/op", "rounds"
    ));
    let mut operations = Vec::with_capacity(results.len());
    for it in results {
        let rate = |seconds: &[f64]| it.count as f64 / median(seconds);
        let (all, online) = (rate(&it.seconds), rate(&it.seconds_online));
        let bytes = it.bytes as f64 / it.count as f64;
        screen.table(&format!(
            "{:<22} {all:>14.0} {online:>14.0} {bytes:>10.1} {:>7}",
            it.name, it.rounds
        ));
        operations.push(json!({
            "name": it.name, "per_second": all, "per_second_online": online,
            "bytes_per_operation": bytes, "rounds": it.rounds,
        }));
    }
    for (name, rate) in dealing {
        screen.table(&format!(
            "{:<22} {rate:>14.0} {:>14}",
            format!("dealing of {name}"),
            "one core"
        ));
    }
    let dealing: Vec<_> =
        dealing.iter().map(|(name, rate)| json!({"name": name, "per_second": rate})).collect();
    screen.json_line(&json!({
        "schema": "konsil.bench.v1", "centres": centres, "operations": operations,
        "dealer": dealing,
    }));
}
