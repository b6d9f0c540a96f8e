//! One run at one centre: check, plan, connect, compute, seal.

use crate::admission::{Admission, Asker};
use crate::audit::exchange;
use crate::centre::{CentreNode, network_id};
use crate::charge::Charge;
use crate::config::Peer;
use crate::control::{Ledgered, RunRequest, RunSummary, StageSummary};
use crate::dealer::{Order, digest_of, key_of};
use crate::error::NodeError;
use crate::lifecycle::{admit_by_policy, begin_run, end_run, give_back};
use crate::lineage::{Asked, Cohort};
use crate::membership::check_members;
use crate::question::{Token, exchange_tokens, question};
use crate::seal::{SEALED_OVERHEAD_BYTES, seal};
use crate::sets::Sets;
use konsil_analyses::{AnalysisError, Setting};
use konsil_cohort::{Dataset, Predicate, rows_at_most};
use konsil_disclosure::{DIFFERENCES, Policy, compare_cohorts};
use konsil_governance::audit::Event;
use konsil_governance::{
    CentrePlan, Moment, Revealed, Stage, Study, from_hex, seed_bytes, stages, to_hex, token_bytes,
    witness_bytes,
};
use konsil_mpc::{
    CorrectionSource, Links, MpcError, Seed, Session, SharedSession, Topology, Wire, WireError,
};
use konsil_net::{
    Binding, ChannelCorrections, Hello, Kind, Member, Mesh, PartyId, Role, connect, connect_mesh,
};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;
use zeroize::Zeroizing;

/// Largest number in a study's rules: beyond the engine's range a threshold would wrap around.
const POLICY_MAX: u64 = 1 << 32;
/// Most analyses of a study, and most variables of one.
const ANALYSES_MAX: usize = 100;
const VARIABLES_MAX: usize = 1000;
/// Most rows that a member may announce.
const ROWS_MAX: usize = 1 << 32;

/// Told when a step begins: stage and analysis.
pub(crate) type Progress<'a> = &'a (dyn Fn(&str, &str) + Sync);

/// A request that was checked.
pub(crate) struct Checked {
    pub(crate) study: Study,
    /// Key of the researcher.
    pub(crate) key: String,
    me: usize,
    pub(crate) names: Vec<String>,
    binding: Binding,
    result_key: Vec<u8>,
    topology: Topology,
}

impl Checked {
    pub(crate) fn asker(&self) -> Asker<'_> {
        Asker { study: &self.study, key: &self.key, names: &self.names }
    }
}

/// Runs a study at this centre.
pub(crate) fn run(
    node: &CentreNode,
    (request, key): (&RunRequest, &str),
    progress: Progress<'_>,
) -> Result<RunSummary, NodeError> {
    let mut begun = false;
    let result = admitted(node, (request, key), progress, &mut begun);
    if let (Err(error), false) = (&result, begun) {
        node.log_refusal(request, error);
    }
    result
}

/// Checks a request and runs it; `begun` tells that it was no longer refused.
fn admitted(
    node: &CentreNode,
    (request, key): (&RunRequest, &str),
    progress: Progress<'_>,
    begun: &mut bool,
) -> Result<RunSummary, NodeError> {
    let begin = Instant::now();
    node.state.check()?;
    node.state.check_rollbacks(&node.config.name)?;
    let checked = check(node, request, key)?;
    node.desk.not_too_often(&node.desk.policy()?, key)?;
    let approved = match node.desk.admit(&node.identity, &checked.asker()) {
        Err(error) if !node.config.approve_by_policy => return Err(error),
        approved => approved,
    };
    if approved.is_err()
        && let Some(no) = node.desk.said_no(&checked.asker())?
    {
        return Err(no.into());
    }
    let dataset = node.patients()?;
    let rows = request.rows_at_most.clone();
    let setting = Setting { policy: checked.study.policy(), rows_at_most: rows, noise: None };
    if request.rows_at_most.get(checked.me) != Some(&rows_at_most(dataset.rows())) {
        return Err(NodeError::Stale("the data set has changed since the plan"));
    }
    let consenting = node.consenting(dataset, &checked.study.study.purpose)?;
    let dataset = node.scored(consenting.clone(), &checked.study)?;
    let condition = &checked.study.cohort.condition;
    if !condition.is_empty() {
        Predicate::parse(condition, dataset.dictionary()).map_err(NodeError::condition)?;
    }
    let place = (checked.me, checked.topology);
    node.check_lineage(request, &checked.study)?;
    let earlier: Vec<usize> = request.lineage.iter().map(|it| it.sets).collect();
    let sizes = (setting.rows_at_most.as_slice(), earlier.as_slice());
    let plan = stages(&checked.study, dataset.dictionary(), sizes, place)?;
    let admission = match approved {
        Ok(admission) => admission,
        Err(_) => admit_by_policy(node, request, &checked, &consenting)?,
    };
    node.desk.unchanged(&admission)?;
    let planned = plan.cost.bytes
        + seed_bytes(checked.me, checked.names.len())
        + witness_bytes(checked.names.len())
        + token_bytes(&checked.study, checked.names.len())
        + 16 * plan.released
        + SEALED_OVERHEAD_BYTES;
    let charge = node.charge(request, (&checked, &plan, &dataset))?;
    begin_run(node, request, (&checked, &charge, &admission), planned)?;
    *begun = true;
    progress("connect", "");
    let result = node.charged(dataset, (&checked.study, &charge)).and_then(|dataset| {
        let permitted = (&checked, &admission, &charge);
        compute(node, request, permitted, (&plan, &dataset, &setting), progress)
    });
    match result {
        Ok(mut summary) => {
            summary.planned_bytes = planned;
            summary.connect_milliseconds =
                milliseconds(begin).saturating_sub(summary.secure_milliseconds);
            end_run(node, request, ("released", ""), (&checked, planned, summary.sent_bytes))?;
            Ok(summary)
        }
        Err(error) => {
            end_run(node, request, ("aborted", error.code()), (&checked, planned, 0))?;
            // the centres never came together: the stewards need not decide again
            give_back(node, request, &checked, &admission)?;
            Err(error)
        }
    }
}

/// Whether a study's own rules are at least as strict as the centre's.
pub(crate) fn check_rules(mine: &Policy, study: &Study) -> Result<(), NodeError> {
    let refuse = |what: &str| NodeError::Refused(what.to_owned());
    study.check()?;
    let asked = study.policy();
    if asked.threshold < mine.threshold || asked.centres_min < mine.centres_min {
        return Err(NodeError::Refused(format!(
            "the study asks for threshold {} and {} centres, this centre's policy for at least {} \
             and {}; change [release] or min_centres",
            asked.threshold, asked.centres_min, mine.threshold, mine.centres_min
        )));
    }
    if asked.threshold > POLICY_MAX || asked.centres_min > POLICY_MAX {
        return Err(refuse("no study has so many patients or centres as its rules ask for"));
    }
    let variables = study.analysis.iter().map(|it| it.variables.len()).max().unwrap_or(0);
    if study.analysis.len() > ANALYSES_MAX || variables > VARIABLES_MAX {
        return Err(refuse("the study is too large: at most 100 analyses of 1,000 variables"));
    }
    if asked.zero_cells && !mine.zero_cells {
        return Err(refuse("this centre's policy does not show counts of 0"));
    }
    if !asked.at_least_as_strict_as(mine) {
        let what = "a rule of this centre's policy is stricter than the study's; plan again, or \
                    state it in [release.rules]";
        return Err(refuse(what));
    }
    Ok(())
}

fn check(node: &CentreNode, request: &RunRequest, key: &str) -> Result<Checked, NodeError> {
    let refuse = |what: &str| NodeError::Refused(what.to_owned());
    let study: Study =
        serde_json::from_str(&request.study).map_err(|_| NodeError::Message("unreadable study"))?;
    if study.canonical() != request.study {
        return Err(refuse("the study is not in its canonical form"));
    }
    check_rules(&node.desk.policy()?.rules, &study)?;
    let names: Vec<String> = request.members.iter().map(|peer| peer.name.clone()).collect();
    let me = names.iter().position(|name| *name == node.config.name);
    let me = me.ok_or_else(|| refuse("this centre is not among the members"))?;
    for (at, member) in request.members.iter().enumerate() {
        if names[..at].contains(&member.name) {
            return Err(refuse("a member stands twice in the list"));
        }
        let known =
            node.config.centre.iter().any(|it| it.name == member.name && it.key == member.key);
        if !known {
            return Err(refuse("a member is not in this centre's list of the network"));
        }
    }
    let sizes = &request.rows_at_most;
    let fit = sizes.len() == names.len() && sizes.iter().all(|rows| *rows <= ROWS_MAX);
    if request.dealer.key != node.config.dealer.key || !fit {
        return Err(refuse("dealer or sizes are not those of the network"));
    }
    check_members(&node.config, &names, key, node.desk.today())?;
    let session: Option<[u8; 16]> = from_hex(&request.session).and_then(|it| it.try_into().ok());
    let session = session.ok_or(NodeError::Message("session"))?;
    let result_key = from_hex(&request.result_key).ok_or(NodeError::Message("result key"))?;
    let binding = Binding::new(network_id(&node.config.network), study.hash(), session);
    let topology = if request.star { Topology::Star } else { Topology::Mesh };
    let key = key.to_owned();
    Ok(Checked { study, key, me, names, binding, result_key, topology })
}

/// Links to the other centres and to the dealer; all centres' tokens where `token` is this one's.
fn link(
    node: &CentreNode,
    request: &RunRequest,
    checked: &Checked,
    plan: &CentrePlan,
    token: Option<Token>,
) -> Result<(Links, Vec<Token>), NodeError> {
    let named = |error: WireError| NodeError::wire(error, &checked.names);
    let member = |peer: &Peer| {
        let key = key_of(&peer.key).ok_or(NodeError::Message("member key"))?;
        Ok::<_, NodeError>(Member { key, address: peer.address.clone() })
    };
    let members = request.members.iter().map(member).collect::<Result<Vec<_>, _>>()?;
    let (me, binding) = (checked.me, &checked.binding);
    let mut mesh = connect_mesh(me, &node.identity, &members, binding, &node.board, &node.options)
        .map_err(named)?;
    let pairwise = agree_on_seeds(&mut mesh).map_err(named)?;
    exchange(node, &mut mesh, &request.members)?;
    let tokens = token.map(|mine| exchange_tokens(&mut mesh, &mine)).transpose().map_err(named)?;
    let parties = u16::try_from(members.len()).map_err(|_| NodeError::Message("members"))?;
    let number = u16::try_from(me).map_err(|_| NodeError::Message("members"))?;
    let hello =
        Hello { binding: *binding, from: PartyId(number), to: PartyId::DEALER, role: Role::Centre };
    let dealer = member(&request.dealer)?;
    let lost = |error: WireError| match error {
        WireError::PeerLost { .. } => named(WireError::DealerIncomplete),
        other => named(other),
    };
    let channel = connect(&dealer.address, &node.identity, dealer.key, &hello, &node.options)
        .map_err(lost)?;
    let mut kinds = Vec::new();
    plan.kinds.iter().for_each(|kind| kind.encode(&mut kinds));
    // another party receives the corrections in each session
    let receiver = usize::from(binding.session[0]) % members.len() == me;
    let digest = digest_of(&kinds);
    let kinds = if receiver { kinds } else { Vec::new() };
    let order = Order { parties, me: number, digest, kinds };
    channel.send(Kind::Control, &order.encode()).map_err(lost)?;
    let mut seed = Zeroizing::new([0; 32]);
    channel.receive_into(Kind::Seed, &mut *seed).map_err(lost)?;
    let source =
        receiver.then(|| Box::new(ChannelCorrections::new(channel)) as Box<dyn CorrectionSource>);
    let links = Links {
        wire: Box::new(mesh),
        seed: Seed::new(*seed),
        pairwise,
        corrections: source,
        burn: Box::new(node.state.burn_ledger(&request.session)),
    };
    Ok((links, tokens.unwrap_or_default()))
}

/// A fresh seed with every other party: the earlier one draws it.
fn agree_on_seeds(mesh: &mut Mesh) -> Result<Vec<Option<Seed>>, WireError> {
    let (me, parties) = (mesh.me(), mesh.parties());
    let mut seeds: Vec<Option<Seed>> = vec![None; parties];
    for (other, place) in seeds.iter_mut().enumerate().skip(me + 1) {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|_| WireError::Io(std::io::ErrorKind::Other))?;
        mesh.send(other, &*bytes)?;
        *place = Some(Seed::new(*bytes));
    }
    for (other, place) in seeds.iter_mut().enumerate().take(me) {
        let mut bytes = Zeroizing::new([0; 32]);
        mesh.receive(other, &mut *bytes)?;
        *place = Some(Seed::new(*bytes));
    }
    Ok(seeds)
}

fn compute(
    node: &CentreNode,
    request: &RunRequest,
    (checked, admission, charge): (&Checked, &Admission, &Charge),
    (plan, dataset, setting): (&CentrePlan, &Dataset, &Setting),
    progress: Progress<'_>,
) -> Result<RunSummary, NodeError> {
    let condition = &checked.study.cohort.condition;
    let selected = if condition.is_empty() {
        None
    } else {
        let predicate = Predicate::parse(condition, dataset.dictionary())?;
        Some(predicate.apply(dataset)?)
    };
    let patients = selected.as_ref().unwrap_or(dataset);
    let cohort = Cohort::of(patients);
    let token = node.token(&checked.study, &cohort)?;
    let (links, tokens) = link(node, request, checked, plan, token).inspect_err(|_| {
        let proof = ("the links failed; no analysis had begun", true);
        // a refund that is not written leaves the reservation spent, which harms nobody
        let _spent = node.state.refund(node.clock.now(), &request.session, proof);
    })?;
    let mut session = SharedSession::live(links, checked.topology, &[]);
    let begin = Instant::now();
    let settled = node.settle(charge, (&checked.study, &tokens, dataset));
    let ended = settled.and_then(|again| {
        let patients = (plan, patients, setting);
        let told = (&cohort, tokens.as_slice());
        let done = run_stages(node, request, &mut session, patients, (checked, progress), told)?;
        Ok((again, done))
    });
    let (again, (stages, words)) = match ended {
        Ok(done) => done,
        Err(error) => {
            session.abort(error.code());
            return Err(error);
        }
    };
    node.desk.count_withheld(&checked.key, &stages)?;
    progress("seal", "");
    let release = (node.event("release", &checked.study.study.id))
        .with("session", &request.session)
        .with("numbers", &words.len());
    let answer = (charge, again, tokens.as_slice());
    let released = permitted(node, request, (checked, admission), (&release, answer));
    if let Err(error) = released {
        session.abort(error.code());
        return Err(error);
    }
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let context = seal_context(&request.session, &node.config.name);
    let sealed = seal(&checked.result_key, &bytes, &context)?;
    let links = session.traffic().map_or(0, |traffic| traffic.bytes);
    Ok(RunSummary {
        stages,
        sent_bytes: links + u64::try_from(sealed.len()).unwrap_or(u64::MAX),
        sealed: to_hex(&sealed),
        planned_bytes: 0,
        rounds: session.cost().rounds,
        connect_milliseconds: 0,
        secure_milliseconds: milliseconds(begin),
    })
}

/// Books and logs a release, before anything of it leaves. What was computed under a permit is not
/// given out after its end.
fn permitted(
    node: &CentreNode,
    request: &RunRequest,
    (checked, admission): (&Checked, &Admission),
    (release, (charge, again, tokens)): (&Event, (&Charge, bool, &[Token])),
) -> Result<(), NodeError> {
    let permit = admission.permit.as_ref();
    node.desk.check_permit(permit, &checked.key, Moment::Release)?;
    node.state.log(node.clock.now(), release)?;
    if again {
        return Ok(());
    }
    node.note_answer((charge, &request.session), (&checked.study, tokens))?;
    node.state.commit(node.clock.now(), &request.session)
}

/// What a sealed result is bound to.
pub(crate) fn seal_context(session: &str, centre: &str) -> Vec<u8> {
    format!("{session}/{centre}").into_bytes()
}

fn run_stages(
    node: &CentreNode,
    request: &RunRequest,
    session: &mut SharedSession,
    (plan, patients, setting): (&CentrePlan, &Dataset, &Setting),
    (checked, progress): (&Checked, Progress<'_>),
    (cohort, tokens): (&Cohort, &[Token]),
) -> Result<(Vec<StageSummary>, Vec<u128>), NodeError> {
    node.keep_membership(&request.session, &checked.study.study, cohort.members())?;
    let exact = checked.study.noise_budget().is_none();
    let sets = if exact { picked(plan, patients, cohort)? } else { Vec::new() };
    if exact
        && let Some(withheld) =
            compare(node, request, session, (checked, setting), (cohort, &sets))?
    {
        return Ok((all_withheld(plan, &withheld), Vec::new()));
    }
    let secret = node.noise_secret()?;
    let mut summaries = Vec::with_capacity(plan.stages.len());
    let mut words = Vec::new();
    for stage in &plan.stages {
        progress("analysis", &stage.id);
        let begin = Instant::now();
        let before = session.cost();
        session.skip_to(&plan.kinds, stage.first).map_err(AnalysisError::from)?;
        session.next_program(stage.analysis.openings());
        let study = &checked.study.study.id;
        let planned = node.planned_event(&request.session, study, stage);
        node.state.log(node.clock.now(), &planned)?;
        let question = question(&checked.study, &stage.id, tokens);
        let noise = checked.study.noise(&secret, &question);
        let setting = Setting { noise, ..setting.clone() };
        let ended = told(session, (progress, &stage.id), |session| {
            stage.analysis.run(session, &setting, Some(patients))
        });
        let (ledger, released) = session.next_program(&[]);
        let withheld = match ended {
            Ok(()) => None,
            Err(error) => Some(shared_verdict(error, &checked.names)?),
        };
        let ledger: Vec<Ledgered> =
            ledger.lines().iter().map(|line| Revealed::from(line).into()).collect();
        record(node, (&request.session, study, &stage.id), &ledger, &withheld)?;
        if withheld.is_none() {
            words.extend(released.into_iter().flat_map(|(_, part)| part));
        }
        let cost = session.cost();
        summaries.push(StageSummary {
            id: stage.id.clone(),
            ledger,
            withheld,
            rounds: cost.rounds - before.rounds,
            bytes: cost.bytes - before.bytes,
            milliseconds: milliseconds(begin),
        });
    }
    if !words.is_empty() && exact {
        let shown = sets.iter().zip(&summaries).filter(|(_, it)| it.withheld.is_none());
        let shown = Sets::joined(shown.map(|(sets, _)| sets), cohort.members().len());
        let asked = Asked::of(&checked.study, &checked.names);
        node.note_release(&request.session, (cohort, &shown), asked)?;
    }
    Ok((summaries, words))
}

/// Runs a program and passes on how far it has come; says nothing where it is one part.
fn told<T>(
    session: &mut SharedSession,
    (progress, id): (Progress<'_>, &str),
    program: impl FnOnce(&mut SharedSession) -> T,
) -> T {
    let (sender, receiver) = channel::<(usize, usize)>();
    session.listen(Some(Box::new(move |done, of| {
        // who listens is there until the program ends
        let _sent = sender.send((done, of));
    })));
    thread::scope(|scope| {
        scope.spawn(move || {
            for (done, of) in receiver.into_iter().filter(|(_, of)| *of > 1) {
                progress("part", &format!("{id} {done}/{of}"));
            }
        });
        let ended = program(session);
        session.listen(None);
        ended
    })
}

/// The sets of patients that each stage is about.
fn picked(plan: &CentrePlan, patients: &Dataset, cohort: &Cohort) -> Result<Vec<Sets>, NodeError> {
    let sets = |stage: &Stage| {
        let picked = stage.analysis.pick(patients)?;
        Sets::picked(&picked, (stage.analysis.sets(), cohort.rows()))
    };
    Ok(plan.stages.iter().map(sets).collect::<Result<_, _>>()?)
}

/// Compares the cohort and the stages' sets with each other and with those of earlier releases; gives
/// the reason when nothing may be computed.
fn compare(
    node: &CentreNode,
    request: &RunRequest,
    session: &mut SharedSession,
    (checked, setting): (&Checked, &Setting),
    (cohort, sets): (&Cohort, &[Sets]),
) -> Result<Option<(String, String)>, NodeError> {
    let stages: Vec<usize> = sets.iter().map(Sets::len).collect();
    let sets = Sets::joined(sets, cohort.members().len());
    let asked = Asked::of(&checked.study, &checked.names);
    let overlaps = node.overlaps((cohort, &sets), &stages, (&request.lineage, asked))?;
    session.next_program(&[DIFFERENCES]);
    let ended = compare_cohorts(session, &setting.policy, &overlaps);
    let (ledger, _) = session.next_program(&[]);
    let ledger: Vec<Ledgered> =
        ledger.lines().iter().map(|line| Revealed::from(line).into()).collect();
    let withheld = match ended {
        Ok(()) => None,
        Err(error) => Some(shared_verdict(error.into(), &checked.names)?),
    };
    record(node, (&request.session, &checked.study.study.id, "study"), &ledger, &withheld)?;
    Ok(withheld)
}

/// Every analysis of a study, withheld for one reason.
fn all_withheld(plan: &CentrePlan, reason: &(String, String)) -> Vec<StageSummary> {
    let stage = |stage: &Stage| StageSummary {
        id: stage.id.clone(),
        ledger: Vec::new(),
        withheld: Some(reason.clone()),
        rounds: 0,
        bytes: 0,
        milliseconds: 0,
    };
    plan.stages.iter().map(stage).collect()
}

/// Verdicts that all centres reach together end an analysis; everything else ends the run.
fn shared_verdict(error: AnalysisError, names: &[String]) -> Result<(String, String), NodeError> {
    match &error {
        AnalysisError::Withheld(_)
        | AnalysisError::Collinear { .. }
        | AnalysisError::Ties { .. }
        | AnalysisError::Separation => Ok((error.code().to_owned(), error.to_string())),
        AnalysisError::Mpc(MpcError::Wire(error)) => Err(NodeError::wire(error.clone(), names)),
        _ => Err(error.into()),
    }
}

/// Logs what an analysis opened, and whether its result is withheld.
fn record(
    node: &CentreNode,
    (session, study, analysis): (&str, &str, &str),
    ledger: &[Ledgered],
    withheld: &Option<(String, String)>,
) -> Result<(), NodeError> {
    let mut events = node.opened_events((session, study, analysis), ledger);
    events.extend(withheld.as_ref().map(|(code, _)| {
        (node.event("withhold", study).with("session", &session))
            .with("analysis", &analysis)
            .with("code", code)
    }));
    let lines: Vec<(&str, &str, u64)> =
        ledger.iter().map(|it| (it.name.as_str(), it.to.as_str(), it.numbers)).collect();
    node.state.opened((node.clock.now(), &events), (session, analysis), &lines)
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}
