//! Requests that a centre must refuse, whoever sends them.

use crate::network::{NAMES, Network, STUDY};
use konsil_disclosure::Policy;
use konsil_governance::Study;
use konsil_mpc::Topology;
use konsil_net::{
    Binding, Channel, Hello, Identity, Kind, Options, PartyId, PublicKey, Role, connect,
};
use konsil_node::{Researcher, State};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

pub(crate) fn binding() -> Binding {
    let digest: [u8; 32] = Sha256::digest(b"test").into();
    Binding::new(*digest.first_chunk::<16>().unwrap(), [0; 32], [0; 16])
}

/// A researcher's connection to a centre, made by hand.
fn dial(
    network: &Network,
    at: usize,
    identity: &Identity,
) -> Result<Channel, konsil_mpc::WireError> {
    let to = PartyId(u16::try_from(at).unwrap());
    let hello = Hello { binding: binding(), from: PartyId::RESEARCHER, to, role: Role::Researcher };
    let centre = &network.centres[at];
    let key: PublicKey = centre.key.parse().unwrap();
    let options = Options { connect_tries: 2, ..Options::default() };
    connect(&centre.address, identity, key, &hello, &options)
}

fn ask(channel: &Channel, message: &[u8]) -> Option<Value> {
    channel.send(Kind::Control, message).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let frame = channel.receive_until(deadline).ok()??;
    Some(serde_json::from_slice(&frame.payload).unwrap())
}

/// A request that is in order, but for what a test changes.
fn request(network: &Network, study: &str) -> Value {
    json!({
        "type": "run", "session": "00112233445566778899aabbccddeeff", "study": study,
        "members": network.centres, "dealer": network.dealer, "rows_at_most": [64, 64, 64],
        "star": true, "result_key": "00",
    })
}

fn canonical(change: impl FnOnce(&mut Study)) -> String {
    let mut study = Study::parse(STUDY).unwrap();
    change(&mut study);
    // under the centres' rules, as a plan is
    study.under([&Policy::default()]).canonical()
}

/// Panics so far, in any thread.
fn panics() -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::SeqCst);
        println!("{panic}");
    }));
    count
}

/// The code with which a centre fails a request.
fn refusal(channel: &Channel, request: &Value) -> (String, String) {
    let answer = ask(channel, request.to_string().as_bytes()).unwrap();
    assert_eq!(answer["type"], "failed", "{answer}");
    (answer["code"].as_str().unwrap().to_owned(), answer["text"].as_str().unwrap().to_owned())
}

/// A refusal that a request must meet: code, words, request.
type Case = (&'static str, &'static str, Value);

/// Studies whose rules or form a centre does not accept.
fn wrong_studies(network: &Network) -> Vec<Case> {
    let study = |change: &dyn Fn(&mut Study)| request(network, &canonical(change));
    let spaced = format!(" {}", canonical(|_| {}));
    vec![
        ("K0430", "study", request(network, "no JSON")),
        ("K0601", "canonical", request(network, &spaced)),
        ("K0601", "threshold", study(&|it| it.release.threshold = 3)),
        ("K0704", "3 centres", study(&|it| it.study.min_centres = Some(2))),
        ("K0601", "counts of 0", study(&|it| it.release.zero_cells = true)),
        ("K0704", "between 0", study(&|it| it.release.epsilon = 50.0)),
    ]
}

/// Members, dealers, sizes and keys that are not those of the network.
fn wrong_parties(network: &Network) -> Vec<Case> {
    let with = |key: &str, value: Value| {
        let mut request = request(network, &canonical(|_| {}));
        request[key] = value;
        request
    };
    let members = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut members = json!(network.centres).as_array().unwrap().clone();
        change(&mut members);
        with("members", Value::Array(members))
    };
    let key = network.identity("researcher").public_key().to_string();
    vec![
        ("K0601", "not among", members(&|it| drop(it.remove(0)))),
        ("K0601", "twice", members(&|it| it[1] = it[0].clone())),
        ("K0601", "list of the network", members(&|it| it[2]["key"] = json!(key))),
        ("K0601", "list of the network", members(&|it| it[2]["name"] = json!("../../x"))),
        ("K0601", "dealer", with("dealer", json!({"name": "dealer", "key": key}))),
        ("K0601", "sizes", with("rows_at_most", json!([64, 64]))),
        ("K0629", "plan again", with("rows_at_most", json!([128, 64, 64]))),
        ("K0430", "session", with("session", json!("zz"))),
        ("K0430", "session", with("session", json!("'; drop table runs; --"))),
        ("K0430", "result key", with("result_key", json!("ü"))),
    ]
}

/// Conditions and formulas that the researcher's own command would not have sent.
fn wrong_questions(network: &Network) -> Vec<Case> {
    let study = |change: &dyn Fn(&mut Study)| request(network, &canonical(change));
    let cohort = |condition: &str| study(&|it| it.cohort.condition = condition.to_owned());
    let deep = format!("{}age > 1{}", "(".repeat(10_000), ")".repeat(10_000));
    let long = format!("age > 1{}", " and age > 1".repeat(800_000));
    let formula = |it: &mut Study| {
        it.analysis[0].kind = "lm".to_owned();
        it.analysis[0].formula = Some(format!("age ~ {}", "(".repeat(10_000)));
    };
    vec![
        ("K0303", "agee", cohort("agee > 1")),
        ("K0301", "", cohort("age > 1; drop table runs")),
        ("K0304", "pid", cohort("pid = 'x'")),
        ("K0302", "", cohort(&deep)),
        ("K0302", "", cohort(&long)),
        ("K0220", "", study(&|it| it.analysis[0].kind = "../km".to_owned())),
        ("K0220", "", study(&|it| it.analysis[0].variables = vec!["pid".to_owned()])),
        ("K0202", "", study(&formula)),
    ]
}

// A centre checks everything a researcher claims: rules, members, sizes, forms. It stays up, and
// tells no path of its own.
#[test]
fn requests_against_the_rules_are_refused_by_name() {
    let panics = panics();
    let network = Network::start(60);
    let channel = dial(&network, 0, &network.identity("researcher")).unwrap();
    let cases = [wrong_studies(&network), wrong_parties(&network), wrong_questions(&network)];
    for (code, says, request) in cases.concat() {
        let (got, text) = refusal(&channel, &request);
        assert!(got == code && text.contains(says), "{code} {says}: got {got} {text}");
        assert!(!text.contains(&*network.folder.path().to_string_lossy()), "{text}");
    }
    // still there, and none of it was recorded as a run
    let answer = ask(&channel, br#"{"type":"describe"}"#).unwrap();
    assert_eq!(answer["type"], "description");
    assert_eq!(answer["rows_at_most"], 64, "60 patients are told as at most 64");
    let runs = State::read(&network.path(NAMES[0]).join("node.sqlite")).unwrap().runs().unwrap();
    assert!(runs.is_empty(), "{runs:?}");
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

// Absurd numbers in an otherwise good request meet checks, not arithmetic that overflows. A
// threshold beyond the ring's range would wrap around and admit everybody.
#[test]
fn absurd_numbers_do_not_stop_a_centre() {
    let panics = panics();
    let network = Network::start(60);
    let identity = network.identity("researcher");
    let study = |change: &dyn Fn(&mut Study)| request(&network, &canonical(change));
    let mut sizes = request(&network, &canonical(|_| {}));
    sizes["rows_at_most"] = json!([usize::MAX, 64, usize::MAX - 63]);
    let requests = vec![
        ("K0601", study(&|it| it.release.threshold = u64::MAX)),
        ("K0601", study(&|it| it.release.threshold = 1 << 63)),
        ("K0601", study(&|it| it.study.min_centres = Some(u64::MAX))),
        ("K0601", sizes),
        ("K0601", study(&|it| it.analysis[0].variables = vec!["age".to_owned(); 100_000])),
        (
            "K0220",
            study(&|it| {
                it.analysis[0].kind = "km".to_owned();
                it.analysis[0].formula = Some("Surv(months, died) ~ arm".to_owned());
                it.analysis[0].points = Some(u32::MAX);
            }),
        ),
        (
            "K0220",
            study(&|it| {
                it.analysis[0].kind = "glm".to_owned();
                it.analysis[0].formula = Some("died ~ age".to_owned());
                it.analysis[0].iterations = Some(u32::MAX);
            }),
        ),
    ];
    for (wanted, request) in requests {
        let channel = dial(&network, 1, &identity).unwrap();
        let (code, text) = refusal(&channel, &request);
        assert_eq!(code, wanted, "{text}");
    }
    let channel = dial(&network, 1, &identity).unwrap();
    assert_eq!(ask(&channel, br#"{"type":"describe"}"#).unwrap()["type"], "description");
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

// Bytes that are no request end the connection, not the node.
#[test]
fn what_is_no_message_ends_the_connection_only() {
    let panics = panics();
    let network = Network::start(60);
    let identity = network.identity("researcher");
    let deep = "[".repeat(1 << 20);
    for message in [&b""[..], b"\0\xff", b"{}", br#"{"type":"stop"}"#, deep.as_bytes()] {
        let channel = dial(&network, 2, &identity).unwrap();
        assert!(ask(&channel, message).is_none());
    }
    let channel = dial(&network, 2, &identity).unwrap();
    channel.send(Kind::Round, b"shares?").unwrap();
    assert!(channel.receive().is_err());
    let channel = dial(&network, 2, &identity).unwrap();
    assert_eq!(ask(&channel, br#"{"type":"describe"}"#).unwrap()["type"], "description");
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}

// Who is not on the list is nobody; who is on it speaks in its own role only.
#[test]
fn strangers_and_wrong_roles_get_no_answer() {
    let network = Network::start(60);
    let stranger = Identity::generate().unwrap();
    assert!(dial(&network, 0, &stranger).is_err());
    let centre = network.identity(NAMES[1]);
    let told = dial(&network, 0, &centre).unwrap_err();
    assert_eq!(told, konsil_mpc::WireError::IdentityMismatch);
    // as a centre it may ask whether another one is there, and nothing else
    let hello = Hello { binding: binding(), from: PartyId(1), to: PartyId(0), role: Role::Centre };
    let key: PublicKey = network.centres[0].key.parse().unwrap();
    let knock = |message: &[u8]| {
        let address = &network.centres[0].address;
        let channel = connect(address, &centre, key, &hello, &Options::default()).unwrap();
        ask(&channel, message).unwrap()["type"].clone()
    };
    assert_eq!(knock(br#"{"type":"presence"}"#), "presence");
    assert_eq!(knock(br#"{"type":"describe"}"#), "failed");
}

// A session is used once: what was masked with its randomness is never masked again.
#[test]
fn a_session_cannot_be_run_again() {
    let network = Network::start(60);
    let researcher = Researcher::connect(&network.path("network.toml")).unwrap();
    let planned = researcher.plan(Study::parse(STUDY).unwrap(), Topology::Star).unwrap();
    let outcome = researcher.run(&planned, &|_| {}).unwrap();
    assert_eq!(outcome.bytes().0, outcome.bytes().1);
    let channel = dial(&network, 0, &network.identity("researcher")).unwrap();
    let mut request = request(&network, &canonical(|_| {}));
    request["session"] = json!(outcome.session);
    let known = ask(&channel, br#"{"type":"describe"}"#).unwrap();
    request["lineage"] = known["lineage"].clone();
    assert_eq!(request["lineage"][0]["session"], outcome.session);
    let (code, text) = refusal(&channel, &request);
    assert!(code == "K0601" && text.contains("session"), "{code} {text}");
    let runs = State::read(&network.path(NAMES[0]).join("node.sqlite")).unwrap().runs().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].state, "released");
    assert!(runs[0].burnt > 0);
}
