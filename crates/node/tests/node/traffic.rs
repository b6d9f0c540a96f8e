//! What the protocol says before TLS hides it.

use crate::network::{HEADER, data_set, dictionary, patients};
use konsil_analyses::{Request, Setting, prepare};
use konsil_disclosure::Policy;
use konsil_mpc::{
    BurnLedger, CorrectionSource, Dealer, Links, Seed, SharedSession, Topology, Traffic, Wire,
    WireError,
};
use konsil_net::Mesh;
use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::thread;

/// A measured value of one patient.
const VALUE: f64 = 83.314_159_265;

type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// A party's wire, with a copy of every payload it sends.
struct Recorder {
    wire: Mesh,
    heard: Heard,
}

impl Wire for Recorder {
    fn me(&self) -> usize {
        self.wire.me()
    }

    fn parties(&self) -> usize {
        self.wire.parties()
    }

    fn send(&mut self, to: usize, payload: &[u8]) -> Result<(), WireError> {
        self.heard.lock().unwrap().push(payload.to_vec());
        self.wire.send(to, payload)
    }

    fn receive(&mut self, from: usize, into: &mut [u8]) -> Result<(), WireError> {
        self.wire.receive(from, into)
    }

    fn begin_round(&mut self, round: u64) {
        self.wire.begin_round(round);
    }

    fn traffic(&self) -> Traffic {
        self.wire.traffic()
    }
}

/// Everything the dealer has to say, in order.
struct Dealt(VecDeque<Vec<u8>>);

impl CorrectionSource for Dealt {
    fn corrections(&mut self, _counter: u64, into: &mut [u8]) -> Result<(), WireError> {
        into.copy_from_slice(&self.0.pop_front().ok_or(WireError::DealerIncomplete)?);
        Ok(())
    }
}

struct NoLedger;

impl BurnLedger for NoLedger {
    fn burn(&mut self, _end: u64) -> Result<(), String> {
        Ok(())
    }
}

fn random_seed() -> Seed {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).unwrap();
    Seed::new(bytes)
}

/// Runs one analysis over three centres' files; what each centre has sent.
fn run(request: &Request, texts: &[String; 3]) -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let setting = Setting { policy: Policy::default(), rows_at_most: vec![128; 3], noise: None };
    let mut dry = SharedSession::dry(0, 3, Topology::Mesh, &[]);
    let analysis = prepare(request, &dictionary()).unwrap();
    dry.next_program(analysis.openings());
    analysis.run(&mut dry, &setting, None).unwrap();
    let seeds = [(); 3].map(|()| random_seed());
    let dealer = Dealer::new(&seeds);
    let dealt = (0_u64..).zip(dry.kinds()).map(|(counter, kind)| dealer.deal(counter, kind));
    let dealt = dealt.filter(|words| !words.is_empty());
    let dealt = dealt.map(|words| words.iter().flat_map(|it| it.to_le_bytes()).collect());
    let mut dealt: Option<VecDeque<Vec<u8>>> = Some(dealt.collect());
    let pairs: Vec<Seed> = (0..3).map(|_| random_seed()).collect();
    let heard = Heard::default();
    thread::scope(|scope| {
        for (me, wire) in konsil_net::memory::mesh(3).into_iter().enumerate() {
            // the pair of 0 and 1 is number 0, of 0 and 2 number 1, of 1 and 2 number 2
            let pairwise = (0..3).map(|other| (other != me).then(|| pairs[me + other - 1].clone()));
            let source = if me == 2 { dealt.take() } else { None };
            let links = Links {
                wire: Box::new(Recorder { wire, heard: Arc::clone(&heard) }),
                seed: seeds[me].clone(),
                pairwise: pairwise.collect(),
                corrections: source.map(|it| Box::new(Dealt(it)) as Box<dyn CorrectionSource>),
                burn: Box::new(NoLedger),
            };
            let dataset = data_set(folder.path(), &texts[me]);
            let setting = &setting;
            scope.spawn(move || {
                let analysis = prepare(request, &dictionary()).unwrap();
                let mut session = SharedSession::live(links, Topology::Mesh, &[]);
                session.next_program(analysis.openings());
                analysis.run(&mut session, setting, Some(&dataset)).unwrap();
            });
        }
    });
    Arc::try_unwrap(heard).unwrap().into_inner().unwrap()
}

/// Ways in which a number could stand in a message.
fn forms(value: f64) -> Vec<Vec<u8>> {
    let fixed: u128 = format!("{:.0}", (value * 2_f64.powi(40)).round()).parse().unwrap();
    vec![
        value.to_le_bytes().to_vec(),
        value.to_be_bytes().to_vec(),
        value.to_string().into_bytes(),
        fixed.to_le_bytes()[..8].to_vec(),
        fixed.wrapping_neg().to_le_bytes()[..8].to_vec(),
        fixed.to_be_bytes()[8..].to_vec(),
    ]
}

fn contains(messages: &[Vec<u8>], form: &[u8]) -> bool {
    messages.iter().any(|message| message.windows(form.len()).any(|window| window == form))
}

fn requests() -> Vec<Request> {
    let request = |kind: &str, formula: Option<&str>, variables: &[&str]| Request {
        id: kind.to_owned(),
        kind: kind.to_owned(),
        formula: formula.map(str::to_owned),
        variables: variables.iter().map(|it| (*it).to_owned()).collect(),
        ..Request::default()
    };
    vec![
        request("summary", None, &["age", "crp"]),
        request("table1", Some("arm ~ age + crp"), &[]),
        request("lm", Some("crp ~ age"), &[]),
        request("glm", Some("died ~ age + crp"), &[]),
        request("km", Some("Surv(months, died) ~ arm"), &[]),
    ]
}

// A centre with a single patient is the hardest case: its sums are that patient. None of the
// patient's numbers stands in any message of any analysis; the scanner would see it if it did.
#[test]
fn a_single_patients_numbers_are_in_no_message() {
    let mut alone = format!("{HEADER}\n");
    writeln!(alone, "only,47,old,31,1,{VALUE}").unwrap();
    let texts = [alone, patients(1, 120), patients(2, 120)];
    let mut bytes = 0;
    for request in requests() {
        let messages = run(&request, &texts);
        bytes += messages.iter().map(Vec::len).sum::<usize>();
        for derived in [VALUE, VALUE * VALUE, VALUE * 47.0] {
            for form in forms(derived) {
                assert!(!contains(&messages, &form), "{}: {derived} as {form:?}", request.kind);
            }
        }
        // the control: a message with the number is found
        for form in forms(VALUE) {
            let leak = [&b"before"[..], &form, b"after"].concat();
            assert!(contains(&[messages.concat(), leak], &form));
        }
    }
    assert!(bytes > 100_000, "{bytes} bytes only");
}

// Messages look random: every byte value comes up about equally often, whatever the patients. All
// patients alike would show through a mask that is too small or used twice.
#[test]
fn messages_are_uniform_even_when_all_patients_are_alike() {
    let alike = |centre: usize| {
        let mut text = format!("{HEADER}\n");
        for row in 0..100 {
            writeln!(text, "c{centre}p{row},50,{},30,{},7.5", ["old", "new"][row % 2], row % 2)
                .unwrap();
        }
        text
    };
    let request = Request {
        id: "km".to_owned(),
        kind: "km".to_owned(),
        formula: Some("Surv(months, died) ~ arm".to_owned()),
        ..Request::default()
    };
    // short messages may be openings, which are public; vectors over the time grid are masked
    let mut messages = run(&request, &[alike(0), alike(1), alike(2)]);
    // what goes to two parties alike counts once
    messages.sort();
    messages.dedup();
    let long: Vec<u8> = messages.into_iter().filter(|it| it.len() >= 1024).flatten().collect();
    assert!(long.len() > 10_000, "{} bytes only", long.len());
    let mut counts = [0_u32; 256];
    long.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = long.len() as f64 / 256.0;
    let chi_squared: f64 =
        counts.map(|count| (f64::from(count) - expected).powi(2) / expected).iter().sum();
    // 255 degrees of freedom: 420 is exceeded once in about 10^10 runs
    assert!(chi_squared < 420.0, "chi squared {chi_squared:.0}");
}
