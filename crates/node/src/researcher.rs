//! The researcher's end: asks the centres, starts a run, adds up the sealed parts.
//!
//! **Invariant:** only this process, which belongs to the researcher, sees the released numbers.

use crate::config::{NetworkFile, Peer};
use crate::control::{
    Answer, Ask, Description, RunRequest, RunSummary, receive, receive_until, send,
};
use crate::dealer::key_of;
use crate::error::NodeError;
use crate::lineage::Earlier;
use crate::run::seal_context;
use crate::seal::{ResultKey, SEALED_OVERHEAD_BYTES};
use konsil_analyses::{Analysis, Findings, prepare};
use konsil_cohort::Dictionary;
use konsil_disclosure::{Release, SealedPart};
use konsil_governance::{Plan, Revealed, Study, from_hex, network_plan, to_hex};
use konsil_mpc::{Topology, WireError};
use konsil_net::{Binding, Channel, Hello, Identity, Options, PartyId, Role, connect};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

/// A researcher's connections to the centres of a network.
#[derive(Debug)]
pub struct Researcher {
    pub(crate) network: NetworkFile,
    pub(crate) identity: Identity,
    pub(crate) channels: Vec<Channel>,
    descriptions: Vec<Description>,
    dictionary: Dictionary,
    /// How long the farthest centre's computer took to take a connection.
    pub(crate) round_trip: Duration,
}

/// A study with everything that its run needs.
#[derive(Debug)]
pub struct StudyRun {
    /// The study.
    pub study: Study,
    /// What it will reveal and cost.
    pub plan: Plan,
    pub(crate) members: Vec<usize>,
    pub(crate) topology: Topology,
    /// Sessions of earlier releases that the cohort is compared with.
    lineage: Vec<Earlier>,
}

/// Something that a person may want to see during a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// A centre begins a step.
    Progress {
        /// The centre.
        centre: String,
        /// `connect`, `analysis`, `part` or `seal`.
        stage: String,
        /// Which analysis; of a part also how many are done, as in `gwas 3/13`.
        analysis: String,
    },
    /// A centre is done.
    Done {
        /// The centre.
        centre: String,
    },
}

/// How one analysis ended.
#[derive(Debug)]
pub struct AnalysisResult {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The result, or code and text of why there is none.
    pub findings: Result<Findings, (String, String)>,
    /// What was revealed.
    pub ledger: Vec<Revealed>,
    /// Exchanges.
    pub rounds: u64,
    /// Bytes sent by the first centre.
    pub bytes: u64,
    /// Time at the slowest centre.
    pub elapsed: Duration,
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The run's session.
    pub session: String,
    /// One for each analysis of the study.
    pub analyses: Vec<AnalysisResult>,
    /// What each centre reports, by name.
    pub centres: Vec<(String, RunSummary)>,
    /// From the request to the last answer.
    pub elapsed: Duration,
}

impl Outcome {
    /// Bytes that the centres planned to send, and sent.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let sum = |of: fn(&RunSummary) -> u64| self.centres.iter().map(|(_, it)| of(it)).sum();
        (sum(|it| it.planned_bytes), sum(|it| it.sent_bytes))
    }

    /// Time of the secure computation at the slowest centre.
    #[must_use]
    pub fn secure(&self) -> Duration {
        let slowest = self.centres.iter().map(|(_, it)| it.secure_milliseconds).max();
        Duration::from_millis(slowest.unwrap_or(0))
    }
}

/// A link to each centre, and what it says of itself.
type Answered = Vec<(Channel, Description)>;

impl Researcher {
    /// Connects to every centre of a network file and asks for their descriptions.
    ///
    /// # Errors
    /// [`NodeError`] when a centre cannot be reached, or the dictionaries differ.
    pub fn connect(file: &Path) -> Result<Self, NodeError> {
        let (network, identity, answers) = Self::call(file)?;
        let (channels, descriptions): (Vec<_>, Vec<_>) = answers.into_iter().unzip();
        let dictionary = common_dictionary(&descriptions)?;
        let round_trip = channels.iter().map(Channel::dialled).max().unwrap_or_default();
        Ok(Self { network, identity, channels, descriptions, dictionary, round_trip })
    }

    /// What the centres of a network say of themselves, whether their dictionaries fit or not.
    ///
    /// # Errors
    /// [`NodeError`] when a centre cannot be reached.
    pub fn describe(file: &Path) -> Result<Vec<Description>, NodeError> {
        Ok(Self::call(file)?.2.into_iter().map(|(_, description)| description).collect())
    }

    /// Connects to every centre and asks for its description.
    fn call(file: &Path) -> Result<(NetworkFile, Identity, Answered), NodeError> {
        let network: NetworkFile = crate::config::read_toml(file)?;
        let folder = file.parent().unwrap_or_else(|| Path::new("."));
        let path = folder.join(&network.identity);
        let identity = Identity::open(&path)
            .map_err(|error| NodeError::File { path, what: error.to_string() })?;
        let network_id = crate::centre::network_id(&network.network);
        let names: Vec<String> = network.centre.iter().map(|peer| peer.name.clone()).collect();
        let ask = |(number, peer): (usize, &Peer)| {
            let fail = |error: WireError| unreachable(peer, NodeError::wire(error, &names));
            let key = key_of(&peer.key).ok_or(NodeError::Message("a centre's key"))?;
            let to = PartyId(u16::try_from(number).map_err(|_| NodeError::Message("centres"))?);
            let binding = Binding::new(network_id, [0; 32], [0; 16]);
            let hello = Hello { binding, from: PartyId::RESEARCHER, to, role: Role::Researcher };
            let options = Options { connect_tries: CONNECT_TRIES, ..Options::default() };
            let channel = connect(&peer.address, &identity, key, &hello, &options).map_err(fail)?;
            send(&channel, &Ask::Describe).map_err(|error| unreachable(peer, error))?;
            match receive::<Answer>(&channel).map_err(|error| unreachable(peer, error))? {
                Answer::Description(description) => Ok((channel, description)),
                Answer::Failed { code, text } => {
                    Err(NodeError::Centre { centre: peer.name.clone(), code, text })
                }
                _ => Err(NodeError::Message("description")),
            }
        };
        let answers = thread::scope(|scope| {
            let ask = &ask;
            let threads: Vec<_> = (network.centre.iter().enumerate())
                .map(|it| scope.spawn(move || ask(it)))
                .collect();
            let joined = threads.into_iter().map(|it| it.join().map_err(|_| NodeError::Random)?);
            joined.collect::<Result<Vec<_>, NodeError>>()
        })?;
        Ok((network, identity, answers))
    }

    /// The dictionary that all centres share.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// What the centres say of themselves.
    #[must_use]
    pub fn descriptions(&self) -> &[Description] {
        &self.descriptions
    }

    /// Plans a study. Patients are not looked at.
    ///
    /// # Errors
    /// [`NodeError::Study`], [`NodeError::Plan`].
    pub fn plan(&self, study: Study, topology: Topology) -> Result<StudyRun, NodeError> {
        let names: Vec<String> = self.network.centre.iter().map(|it| it.name.clone()).collect();
        let members = study.members(&names)?;
        self.plan_members(study, topology, members)
    }

    /// Plans a study among the centres at these places.
    pub(crate) fn plan_members(
        &self,
        study: Study,
        topology: Topology,
        members: Vec<usize>,
    ) -> Result<StudyRun, NodeError> {
        let names: Vec<String> = self.network.centre.iter().map(|it| it.name.clone()).collect();
        let centres: Vec<(String, usize)> = (members.iter())
            .filter_map(|at| {
                Some((names.get(*at)?.clone(), self.descriptions.get(*at)?.rows_at_most))
            })
            .collect();
        let rules = members.iter().filter_map(|at| Some(&self.descriptions.get(*at)?.rules));
        let study = study.under(rules).settled();
        let lineage = self.lineage(&study, &members);
        let extended = study.extended(&self.dictionary)?;
        let dictionary = extended.as_ref().unwrap_or(&self.dictionary);
        let condition = &study.cohort.condition;
        if !condition.is_empty() {
            konsil_cohort::Predicate::parse(condition, dictionary).map_err(NodeError::condition)?;
        }
        let plan = network_plan(
            &study,
            dictionary,
            (&centres, &lineage.iter().map(|it| it.sets).collect::<Vec<_>>()),
            (topology, SEALED_OVERHEAD_BYTES),
        )?;
        Ok(StudyRun { study, plan, members, topology, lineage })
    }

    /// Earlier releases that the members know of; none for a study with noise, whose cohort is exact
    /// nowhere.
    fn lineage(&self, study: &Study, members: &[usize]) -> Vec<Earlier> {
        if study.noise_budget().is_some() {
            return Vec::new();
        }
        let known = members.iter().filter_map(|at| self.descriptions.get(*at));
        let all: BTreeSet<&Earlier> = known.flat_map(|it| &it.lineage).collect();
        all.into_iter().cloned().collect()
    }

    /// Runs a planned study and adds up what it releases.
    ///
    /// # Errors
    /// [`NodeError`] of the first centre that failed for a reason of its own.
    pub fn run(
        &self,
        run: &StudyRun,
        on_event: &(dyn Fn(Event) + Sync),
    ) -> Result<Outcome, NodeError> {
        let begin = Instant::now();
        let key = ResultKey::generate()?;
        let mut session = [0; 16];
        getrandom::fill(&mut session).map_err(|_| NodeError::Random)?;
        let session = to_hex(&session);
        let peers = run.members.iter().filter_map(|at| self.network.centre.get(*at).cloned());
        let rows = run.members.iter().filter_map(|at| self.descriptions.get(*at));
        let request = Ask::Run(Box::new(RunRequest {
            session: session.clone(),
            study: run.study.canonical(),
            members: peers.collect(),
            dealer: self.network.dealer.clone(),
            rows_at_most: rows.map(|it| it.rows_at_most).collect(),
            lineage: run.lineage.clone(),
            star: run.topology == Topology::Star,
            result_key: to_hex(key.public()),
        }));
        let failed: OnceLock<Instant> = OnceLock::new();
        let answers: Vec<Result<RunSummary, NodeError>> = thread::scope(|scope| {
            let (request, failed) = (&request, &failed);
            let ask = |at: &usize| {
                let (channel, centre) =
                    (&self.channels[*at], self.descriptions[*at].centre.clone());
                scope.spawn(move || {
                    let answer = follow(channel, &centre, request, (on_event, failed));
                    if answer.is_err() {
                        let _first = failed.get_or_init(Instant::now);
                    }
                    answer
                })
            };
            let threads: Vec<_> = run.members.iter().map(ask).collect();
            let join =
                |it: thread::ScopedJoinHandle<'_, _>| it.join().unwrap_or(Err(NodeError::Random));
            threads.into_iter().map(join).collect()
        });
        let summaries = first_cause(answers)?;
        let names = run.members.iter().map(|at| self.descriptions[*at].centre.clone());
        let centres: Vec<(String, RunSummary)> = names.zip(summaries).collect();
        let analyses = self.assemble(run, &key, &session, &centres)?;
        Ok(Outcome { session, analyses, centres, elapsed: begin.elapsed() })
    }

    /// Unseals every centre's parts, adds them up and turns them into tables.
    fn assemble(
        &self,
        run: &StudyRun,
        key: &ResultKey,
        session: &str,
        centres: &[(String, RunSummary)],
    ) -> Result<Vec<AnalysisResult>, NodeError> {
        let mut parts = Vec::with_capacity(centres.len());
        for (name, summary) in centres {
            let sealed = from_hex(&summary.sealed).ok_or(NodeError::Sealed)?;
            let bytes = key.open(&sealed, &seal_context(session, name))?;
            let words = bytes.chunks_exact(16).filter_map(|it| it.first_chunk::<16>());
            parts.push(words.map(|word| u128::from_le_bytes(*word)).collect::<Vec<u128>>());
        }
        let mut at = vec![0; centres.len()];
        let mut results = Vec::with_capacity(run.study.analysis.len());
        let extended = run.study.extended(&self.dictionary)?;
        let dictionary = extended.as_ref().unwrap_or(&self.dictionary);
        for (number, request) in run.study.analysis.iter().enumerate() {
            let analysis = prepare(request, dictionary)?;
            let mut own = Vec::with_capacity(centres.len());
            for (((_, summary), parts), at) in centres.iter().zip(&parts).zip(&mut at) {
                let stage = summary.stages.get(number).ok_or(NodeError::Message("stages"))?;
                own.push(take_parts(stage, parts, at));
            }
            results.push(result(request, &*analysis, number, (&own, centres))?);
        }
        Ok(results)
    }
}

/// How often a researcher knocks at a node: about a second, because a person waits.
const CONNECT_TRIES: u32 = 10;

/// The error of a link to one centre, with its name and what to look at.
fn unreachable(peer: &Peer, error: NodeError) -> NodeError {
    let code = error.code().to_owned();
    let text = match &error {
        NodeError::Wire { error: WireError::PeerLost { .. }, .. } if peer.address.is_empty() => {
            "peer-lost: the network file has no address for it; start the lab with  konsil lab up"
                .to_owned()
        }
        NodeError::Wire { error: WireError::PeerLost { .. }, .. } => {
            format!("peer-lost: no node answers at {}; is it running?", peer.address)
        }
        NodeError::Wire { error: WireError::Io(kind), .. } => {
            format!("the link to {} failed: {kind}", peer.address)
        }
        NodeError::Wire { .. } => format!("at {}: {error}", peer.address),
        _ => return error,
    };
    NodeError::Centre { centre: peer.name.clone(), code, text }
}

/// The parts of one analysis, in the order of its ledger.
fn take_parts(
    stage: &crate::control::StageSummary,
    parts: &[u128],
    at: &mut usize,
) -> Vec<SealedPart> {
    if stage.withheld.is_some() {
        return Vec::new();
    }
    let mut own = Vec::new();
    for line in stage.ledger.iter().filter(|line| line.to == "researcher") {
        let count = usize::try_from(line.numbers).unwrap_or(usize::MAX);
        let end = at.saturating_add(count).min(parts.len());
        let words = parts.get(*at..end).unwrap_or_default().to_vec();
        own.push(SealedPart { name: line.name.clone(), words });
        *at = end;
    }
    own
}

fn result(
    request: &konsil_analyses::Request,
    analysis: &dyn Analysis,
    number: usize,
    (own, centres): (&[Vec<SealedPart>], &[(String, RunSummary)]),
) -> Result<AnalysisResult, NodeError> {
    let stages = centres.iter().filter_map(|(_, summary)| summary.stages.get(number));
    let slowest = stages.clone().map(|stage| stage.milliseconds).max().unwrap_or(0);
    let first = stages.clone().next().ok_or(NodeError::Message("stages"))?;
    let mut ledgers = stages.map(|stage| (&stage.ledger, &stage.withheld));
    if !ledgers.all(|it| it == (&first.ledger, &first.withheld)) {
        return Err(NodeError::Message("the centres' ledgers differ"));
    }
    let findings = match &first.withheld {
        Some(reason) => Err(reason.clone()),
        None => {
            let release = Release::add_up(own, analysis.openings())
                .map_err(konsil_analyses::AnalysisError::from)?;
            Ok(analysis.assemble(&release)?)
        }
    };
    let says = |name: &str| {
        let known = analysis.openings().iter().find(|opening| opening.name == name);
        known.map(|opening| opening.says.to_owned()).unwrap_or_default()
    };
    let ledger = first.ledger.iter().map(|line| Revealed {
        name: line.name.clone(),
        says: says(&line.name),
        to: line.to.clone(),
        numbers: line.numbers,
    });
    Ok(AnalysisResult {
        id: request.id.clone(),
        kind: request.kind.clone(),
        findings,
        ledger: ledger.collect(),
        rounds: first.rounds,
        bytes: first.bytes,
        elapsed: Duration::from_millis(slowest),
    })
}

/// How long the other centres may take to say why a run failed, once it has failed.
const GRACE: Duration = Duration::from_secs(2);

/// How often a silent centre's follower looks whether the run has failed elsewhere.
const FAILURE_POLL: Duration = Duration::from_millis(100);

/// Follows one centre's part of a run to its end, or until `failed` elsewhere: a centre that waits
/// for another's link would only say so when its own time is over.
fn follow(
    channel: &Channel,
    centre: &str,
    request: &Ask,
    (on_event, failed): (&(dyn Fn(Event) + Sync), &OnceLock<Instant>),
) -> Result<RunSummary, NodeError> {
    let lost = |error| match error {
        NodeError::Wire { error, .. } => NodeError::Lost { centre: centre.to_owned(), error },
        other => other,
    };
    send(channel, request).map_err(lost)?;
    loop {
        let next = receive_until::<Answer>(channel, Instant::now() + FAILURE_POLL).map_err(lost)?;
        let Some(answer) = next else {
            if failed.get().is_some_and(|since| since.elapsed() > GRACE) {
                let (code, text) = ("K0423".to_owned(), "did not end in time".to_owned());
                return Err(NodeError::Centre { centre: centre.to_owned(), code, text });
            }
            continue;
        };
        match answer {
            Answer::Progress { stage, analysis } => {
                on_event(Event::Progress { centre: centre.to_owned(), stage, analysis });
            }
            Answer::Done(summary) => {
                on_event(Event::Done { centre: centre.to_owned() });
                return Ok(*summary);
            }
            Answer::Failed { code, text } => {
                return Err(NodeError::Centre { centre: centre.to_owned(), code, text });
            }
            Answer::Presence(_) | Answer::Description(_) | Answer::Requested(_) => {
                return Err(NodeError::Message("answer"));
            }
        }
    }
}

/// All summaries, or the error that came first: one that is no echo of another centre's.
fn first_cause(answers: Vec<Result<RunSummary, NodeError>>) -> Result<Vec<RunSummary>, NodeError> {
    let (summaries, mut errors) = answers.into_iter().fold(
        (Vec::new(), Vec::new()),
        |(mut summaries, mut errors), answer| {
            match answer {
                Ok(summary) => summaries.push(summary),
                Err(error) => errors.push(error),
            }
            (summaries, errors)
        },
    );
    if errors.is_empty() {
        return Ok(summaries);
    }
    // a node that is gone is the cause; the others, and the dealer to them, only feel it
    let echo = |error: &NodeError| match (error, error.code()) {
        (NodeError::Lost { .. }, _) => 0,
        (_, "K0421") => 2,
        (_, "K0411") => 3,
        (_, "K0423") => 4,
        _ => 1,
    };
    errors.sort_by_key(echo);
    Err(errors.remove(0))
}

/// The one dictionary of all centres.
fn common_dictionary(descriptions: &[Description]) -> Result<Dictionary, NodeError> {
    let Some(first) = descriptions.first() else {
        return Err(NodeError::Refused("the network has no centres".to_owned()));
    };
    if let Some(other) = descriptions.iter().find(|it| it.dictionary_hash != first.dictionary_hash)
    {
        let what = format!(
            "{} and {} have imported their data under different dictionaries; import again under the same",
            first.centre, other.centre
        );
        return Err(NodeError::Refused(what));
    }
    Ok(Dictionary::parse(&first.dictionary_name, &first.dictionary)?)
}
