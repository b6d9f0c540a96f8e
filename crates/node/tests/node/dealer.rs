//! Centres that tell the dealer nonsense.

use crate::network::{NAMES, Network, STUDY};
use crate::requests::binding;
use konsil_governance::Study;
use konsil_mpc::{Topology, WireError};
use konsil_net::{Channel, Hello, Identity, Kind, Options, PartyId, PublicKey, Role, connect};
use konsil_node::Researcher;

fn dial(
    network: &Network,
    (identity, me): (&Identity, u16),
    session: u8,
) -> Result<Channel, WireError> {
    let mut binding = binding();
    binding.session = [session; 16];
    let hello = Hello { binding, from: PartyId(me), to: PartyId::DEALER, role: Role::Centre };
    let key: PublicKey = network.dealer.key.parse().unwrap();
    let options = Options { connect_tries: 2, ..Options::default() };
    connect(&network.dealer.address, identity, key, &hello, &options)
}

/// An order as centres send it: parties, number, digest, list.
fn order(parties: u16, me: u16, digest: [u8; 32], list: &[u8]) -> Vec<u8> {
    [&parties.to_le_bytes()[..], &me.to_le_bytes(), &digest, list].concat()
}

// Nonsense costs its sender the session and nobody else: the dealer goes on dealing.
#[test]
fn nonsense_ends_its_own_session_only() {
    let network = Network::start(60);
    let own = network.identity(NAMES[0]);
    let cases = [
        Vec::new(),
        vec![0; 35],
        order(1, 0, [0; 32], &[]),
        order(60_000, 0, [0; 32], &[]),
        order(3, 3, [0; 32], &[]),
        order(3, 1, [0; 32], &[]),
    ];
    for (session, order) in (1_u8..).zip(cases) {
        let channel = dial(&network, (&own, 0), session).unwrap();
        channel.send(Kind::Control, &order).unwrap();
        let told = channel.receive().unwrap_err();
        let reason = "dealer-order".to_owned();
        assert_eq!(told, WireError::Aborted { party: channel.party(), reason }, "{order:?}");
    }
    // one centre that comes as all three, and lists that differ or are none
    for (session, digests, list) in [
        (50, [[7; 32], [8; 32], [7; 32]], &b""[..]),
        (51, [[7; 32]; 3], b"no list of correlations"),
    ] {
        let orders = [0, 1, 2].map(|me| order(3, me, digests[usize::from(me)], list));
        let channels = [0, 1, 2].map(|me| dial(&network, (&own, me), session).unwrap());
        for (channel, order) in channels.iter().zip(&orders) {
            channel.send(Kind::Control, order).unwrap();
        }
        for channel in &channels {
            let told = channel.receive().unwrap_err();
            assert!(matches!(&told, WireError::Aborted { reason, .. } if reason == "plans-differ"));
        }
    }
    assert!(dial(&network, (&Identity::generate().unwrap(), 0), 60).is_err());
    // more sessions begun than are kept: those whose centre went away make room
    for session in 100..170 {
        let channel = dial(&network, (&own, 0), session).unwrap();
        channel.send(Kind::Control, &order(3, 0, [0; 32], &[])).unwrap();
    }
    let researcher = Researcher::connect(&network.path("network.toml")).unwrap();
    let planned = researcher.plan(Study::parse(STUDY).unwrap(), Topology::Mesh).unwrap();
    let outcome = researcher.run(&planned, &|_| {}).unwrap();
    assert!(outcome.analyses[0].findings.is_ok());
}
