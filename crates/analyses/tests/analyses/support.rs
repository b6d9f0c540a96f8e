//! Runs one analysis at simulated centres and checks what every run must keep: only declared
//! openings, as planned, at the planned cost.

use konsil_analyses::{Analysis, AnalysisError, Cell, Findings, Request, Setting, Table, prepare};
use konsil_cohort::{Dataset, Dictionary, ImportOptions, import, split_by};
use konsil_disclosure::{Noise, Policy, Release, Residual, Scans, SealedPart};
use konsil_mpc::{Cost, Ledger, MpcError, Session, Topology};
use konsil_ring::Word;
use konsil_testing::{Outcome, dry, ideal, shared};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Rows of a centre are public up to this step only.
const ROWS_BUCKET: usize = 64;

/// Centres with their patients, a dictionary, the rules in force.
pub(crate) struct Network {
    pub(crate) dictionary: Dictionary,
    pub(crate) centres: Vec<Dataset>,
    pub(crate) policy: Policy,
    pub(crate) noise: Option<Noise>,
}

/// What a run gave: findings or the error that all centres agree on, and what it took.
pub(crate) struct Run {
    pub(crate) findings: Result<Findings, AnalysisError>,
    pub(crate) release: Vec<(String, Vec<Word>)>,
    pub(crate) ledger: Ledger,
    pub(crate) cost: Cost,
    pub(crate) took: Duration,
}

impl Network {
    /// Centres from their CSV files under one dictionary.
    pub(crate) fn new(dictionary: Dictionary, files: &[impl AsRef<[u8]>]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let read = |(at, csv): (usize, &[u8])| {
            let path = folder.path().join(format!("centre{at}.csv"));
            std::fs::write(&path, csv).unwrap();
            let options = ImportOptions::new(&format!("centre{at}"));
            import(&path, &dictionary, &options)
                .map(|it| it.0)
                .unwrap_or_else(|error| panic!("centre {at}: {error} {error:?}"))
        };
        let centres = files.iter().map(AsRef::as_ref).enumerate().map(read);
        let centres = centres.collect();
        // what R shows is compared where only the pooled counts are judged
        let policy = Policy {
            residual: Residual::None,
            exposure_percent_max: 100,
            scans: Scans::All,
            ..Policy::default()
        };
        Self { dictionary, centres, policy, noise: None }
    }

    /// Centres from one file, by a column; the dictionary is inferred unless given.
    pub(crate) fn split(path: &Path, column: &str, dictionary: Option<Dictionary>) -> Self {
        let mut dictionary =
            dictionary.unwrap_or_else(|| Dictionary::infer("pooled", path).unwrap());
        dictionary.variables.retain(|it| it.name != column);
        let parts = split_by(path, column).unwrap();
        let files: Vec<Vec<u8>> = parts.into_iter().map(|(_, csv)| csv).collect();
        Self::new(dictionary, &files)
    }

    /// The same network and a centre that has nobody.
    pub(crate) fn with_empty_centre(mut self) -> Self {
        let names: Vec<&str> =
            self.dictionary.variables.iter().map(|it| it.name.as_str()).collect();
        let empty = Self::new(self.dictionary.clone(), &[names.join(",") + "\n"]);
        self.centres.extend(empty.centres);
        self
    }

    /// The same network with other rules.
    pub(crate) fn under(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The same network where a patient may have half of a fit: for samples so small, or covariates
    /// so skewed, that the default refuses them.
    pub(crate) fn with_large_leverage(mut self) -> Self {
        self.policy.leverage_percent_max = 50;
        self
    }

    pub(crate) fn setting(&self) -> Setting {
        let bucket = |centre: &Dataset| centre.rows().div_ceil(ROWS_BUCKET).max(1) * ROWS_BUCKET;
        Setting {
            policy: self.policy.clone(),
            rows_at_most: self.centres.iter().map(bucket).collect(),
            noise: self.noise.clone(),
        }
    }

    /// Runs on the ideal backend; panics when the request itself is refused.
    pub(crate) fn on_ideal(&self, request: &Request) -> Run {
        let analysis = prepare(request, &self.dictionary).unwrap();
        let setting = self.setting();
        let start = Instant::now();
        let outcomes = ideal(
            self.centres.len(),
            analysis.openings(),
            |session: &mut dyn Session, me: usize| {
                Ok(analysis.run(session, &setting, Some(&self.centres[me])))
            },
        );
        finish(analysis.as_ref(), outcomes, start.elapsed())
    }

    /// Runs on shares over a mesh, and holds ledger, cost and bytes against the plan.
    pub(crate) fn on_shares(&self, request: &Request) -> Run {
        self.on_shares_over(request, Topology::Mesh)
    }

    pub(crate) fn on_shares_over(&self, request: &Request, topology: Topology) -> Run {
        let analysis = prepare(request, &self.dictionary).unwrap();
        let setting = self.setting();
        let (parties, openings) = (self.centres.len(), analysis.openings());
        let start = Instant::now();
        // the harness calls the program once to plan; a plan never sees a patient
        let planned = AtomicBool::new(false);
        let outcomes =
            shared(parties, topology, openings, |session: &mut dyn Session, me: usize| {
                let live = planned.swap(true, Ordering::Relaxed);
                let patients = live.then(|| &self.centres[me]);
                Ok(analysis.run(session, &setting, patients))
            });
        let took = start.elapsed();
        for (me, outcome) in outcomes.iter().enumerate() {
            let plan = |session: &mut dyn Session, _: usize| {
                Ok::<_, MpcError>(analysis.run(session, &setting, None).is_ok())
            };
            let (cost, _, ledger) = dry(parties, topology, openings, me, &plan);
            if matches!(outcome.result, Ok(Ok(()))) {
                assert_eq!(outcome.cost, cost, "planned cost is the cost");
                assert_eq!(outcome.wire_bytes, cost.bytes, "planned bytes are sent");
                assert_eq!(outcome.ledger, ledger, "planned openings are the openings");
            } else {
                assert!(outcome.cost.bytes <= cost.bytes);
            }
        }
        finish(analysis.as_ref(), outcomes, took)
    }
}

/// Adds up the parts and assembles, after checking that nothing undeclared was revealed.
fn finish(
    analysis: &dyn Analysis,
    outcomes: Vec<Outcome<Result<(), AnalysisError>>>,
    took: Duration,
) -> Run {
    let openings = analysis.openings();
    for outcome in &outcomes {
        for line in outcome.ledger.lines() {
            assert!(openings.contains(&line.opening), "{}", line.opening.name);
        }
        assert_eq!(outcome.ledger, outcomes[0].ledger);
    }
    let part = |outcome: &Outcome<_>| -> Vec<SealedPart> {
        let released = outcome.released.iter();
        released
            .map(|(opening, words)| SealedPart {
                name: opening.name.to_owned(),
                words: words.clone(),
            })
            .collect()
    };
    let parts: Vec<Vec<SealedPart>> = outcomes.iter().map(part).collect();
    let (ledger, cost) = (outcomes[0].ledger.clone(), outcomes[0].cost);
    let release = openings
        .iter()
        .map(|opening| {
            let words = konsil_testing::add_up(&outcomes, opening.name);
            (opening.name.to_owned(), words)
        })
        .collect();
    let results = outcomes.into_iter().map(|outcome| outcome.result.unwrap());
    let mut errors: Vec<AnalysisError> = results.filter_map(Result::err).collect();
    // where one centre stops alone, the others only see that it is gone
    errors.sort_by_key(|error| matches!(error, AnalysisError::Mpc(_)));
    let findings = match errors.into_iter().next() {
        Some(error) => Err(error),
        None => {
            let release = Release::add_up(&parts, openings).unwrap();
            analysis.assemble(&release)
        }
    };
    Run { findings, release, ledger, cost, took }
}

impl Run {
    /// The findings, where the run must have ended well.
    pub(crate) fn found(&self) -> &Findings {
        self.findings.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The error, where the run must have been refused.
    pub(crate) fn refused(&self) -> &AnalysisError {
        self.findings.as_ref().expect_err("must be refused")
    }

    /// The words released under a name, put together.
    pub(crate) fn words(&self, name: &str) -> &[Word] {
        let found = self.release.iter().find(|(known, _)| known == name);
        found.map_or(&[], |(_, words)| words)
    }

    pub(crate) fn table(&self, name: &str) -> &Table {
        let tables = &self.found().tables;
        tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("no table {name}"))
    }
}

/// The row whose text in `column` is `text`.
pub(crate) fn row_of(table: &Table, column: &str, text: &str) -> usize {
    (0..table.rows.len())
        .find(|row| table.get(*row, column).map(Cell::text).as_deref() == Some(text))
        .unwrap_or_else(|| panic!("no row {column} = {text}"))
}

/// The number in a row and column; NaN where the cell is empty.
pub(crate) fn number(table: &Table, row: usize, column: &str) -> f64 {
    let cell = table.get(row, column).unwrap_or_else(|| panic!("no column {column}"));
    cell.number().unwrap_or(f64::NAN)
}

/// A committed vector.
pub(crate) fn vector(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(name)
}

/// The dictionary of the made-up patients.
pub(crate) fn dictionary() -> Dictionary {
    let text = std::fs::read_to_string(vector("patients.dictionary.csv")).unwrap();
    Dictionary::parse("patients", &text).unwrap()
}

/// The made-up patients, by one of the two columns that name a centre.
pub(crate) fn patients(column: &str) -> Network {
    Network::split(&vector("patients.csv"), column, Some(dictionary()))
}

/// A request for descriptions of variables.
pub(crate) fn summary(names: &[&str]) -> Request {
    Request {
        id: "test".to_owned(),
        kind: "summary".to_owned(),
        variables: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Request::default()
    }
}

/// A request of a kind with a formula.
pub(crate) fn model(kind: &str, formula: &str) -> Request {
    Request {
        id: "test".to_owned(),
        kind: kind.to_owned(),
        formula: Some(formula.to_owned()),
        ..Request::default()
    }
}

/// The statistic of a group, variable and level in an analysis results data set.
pub(crate) fn ard(table: &Table, key: (&str, &str, &str, &str)) -> f64 {
    let text = |row: usize, column: &str| table.get(row, column).map(Cell::text);
    let columns = ["group1_level", "variable", "variable_level", "stat_name"];
    let wanted = [key.0, key.1, key.2, key.3];
    let fits = |row: &usize| {
        let mut pairs = columns.iter().zip(wanted);
        pairs.all(|(column, wanted)| text(*row, column).as_deref() == Some(wanted))
    };
    let row = (0..table.rows.len()).find(fits);
    number(table, row.unwrap_or_else(|| panic!("no {key:?}")), "stat")
}
