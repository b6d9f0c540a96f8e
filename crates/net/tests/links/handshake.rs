//! Who is let in, and what both sides learn when somebody is not.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use konsil_mpc::WireError;
use konsil_net::{Binding, Hello, Identity, Kind, Listener, Options, PublicKey, connect};
use rustls::{AlertDescription, ServerConfig, ServerConnection};

use crate::setup::{
    Door, Rogue, answer, binding, crypto, hello, key_and_certificate, millis, wait_for,
};

/// Case 41, the peer connects.
#[test]
fn classical_client_is_refused() {
    let door = Door::new(&Options::default());
    let alert = Rogue::connect(&door.address(), true).err().unwrap();
    let alert = alert.into_inner().unwrap().downcast::<rustls::Error>().unwrap();
    assert_eq!(*alert, rustls::Error::AlertReceived(AlertDescription::HandshakeFailure));
    assert_eq!(door.refused().error, WireError::PqRequired);
}

/// Case 41, we connect.
#[test]
fn classical_server_is_refused() {
    let server = Identity::generate().unwrap();
    let (key, certificate) = key_and_certificate(&server);
    let config = ServerConfig::builder_with_provider(crypto(true))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let serving = thread::spawn(move || {
        let (mut peer, _) = socket.accept().unwrap();
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        assert!(tls.complete_io(&mut peer).is_err());
    });
    let me = Identity::generate().unwrap();
    let refused = connect(&address, &me, server.public_key(), &hello(), &Options::default());
    assert_eq!(refused.err(), Some(WireError::PqRequired));
    serving.join().unwrap();
}

/// The key decides, not the address.
#[test]
fn server_with_another_key_is_refused() {
    let door = Door::new(&Options::default());
    let (me, other) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let options = Options::default();
    let refused = connect(&door.address(), &me, other.public_key(), &hello(), &options);
    assert_eq!(refused.err(), Some(WireError::IdentityMismatch));
    assert_eq!(door.refused().error, WireError::IdentityMismatch);
}

#[test]
fn client_that_is_no_member_is_refused() {
    let me = Identity::generate().unwrap();
    let member = PublicKey([7; 32]);
    let door = Door::for_keys(&Options::default(), move |key| *key == member);
    let key = door.identity.public_key();
    let refused = connect(&door.address(), &me, key, &hello(), &Options::default());
    assert_eq!(refused.err(), Some(WireError::IdentityMismatch));
    assert_eq!(door.refused().error, WireError::IdentityMismatch);
}

/// Case 17: both sides learn both versions, before anything else is said.
#[test]
fn versions_are_compared_first() {
    let door = Door::new(&Options::default());
    let me = Identity::generate().unwrap();
    let newer = Hello { binding: Binding { version: 2, ..binding() }, ..hello() };
    let key = door.identity.public_key();
    let refused = connect(&door.address(), &me, key, &newer, &Options::default());
    assert_eq!(refused.err(), Some(WireError::VersionMismatch { mine: 2, yours: 1 }));
    let refused = door.refused();
    assert_eq!(refused.error, WireError::VersionMismatch { mine: 1, yours: 2 });
    assert_eq!(refused.peer_key, Some(me.public_key()));
}

/// Cases 13 and 14: another session, study or network, or another party.
#[test]
fn hellos_have_to_match() {
    let options = Options::default();
    let door = Door::new(&options);
    let me = Identity::generate().unwrap();
    let others = [
        Binding { session: [9; 16], ..binding() },
        Binding { study: [9; 32], ..binding() },
        Binding { network: [9; 16], ..binding() },
    ];
    let key = door.identity.public_key();
    for other in others {
        let foreign = Hello { binding: other, ..hello() };
        thread::scope(|scope| {
            let address = door.address();
            let (me, options) = (&me, &options);
            let one = scope.spawn(move || connect(&address, me, key, &foreign, options));
            let refused = door.incoming().accept(&answer(), options);
            assert_eq!(refused.err(), Some(WireError::SessionMismatch { party: 1 }));
            let refused = one.join().unwrap();
            assert_eq!(refused.err(), Some(WireError::SessionMismatch { party: 0 }));
        });
    }
}

/// A hello that lies about its tag, or is none.
#[test]
fn false_hellos_are_refused() {
    let door = Door::new(&Options::default());
    let mut liar = Rogue::connect(&door.address(), false).unwrap();
    liar.next.tag ^= 1;
    liar.say(Kind::Hello, &hello().encode());
    assert!(matches!(door.refused().error, WireError::SessionMismatch { .. }));
    assert_eq!(liar.hear().unwrap(), (Kind::Abort.code(), b"session-mismatch".to_vec()));
    let mut rude = Rogue::connect(&door.address(), false).unwrap();
    rude.say(Kind::Round, b"at once");
    assert!(matches!(door.refused().error, WireError::SessionMismatch { .. }));
    let mut hasty = Rogue::connect(&door.address(), false).unwrap();
    let both = [hasty.frame(Kind::Hello, &hello().encode()), hasty.frame(Kind::Round, b"x")];
    hasty.write(&both.concat());
    assert!(matches!(door.refused().error, WireError::SessionMismatch { .. }));
}

/// Case 15 at the door: peers that say nothing delay nobody and are shown out.
#[test]
fn silent_visitors_delay_nobody() {
    let options = Options { handshake_deadline: millis(300), ..Options::default() };
    let door = Door::new(&options);
    let address = door.address();
    let visitors: Vec<_> = (0..20).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let me = Identity::generate().unwrap();
    let began = Instant::now();
    let key = door.identity.public_key();
    thread::scope(|scope| {
        let one = scope.spawn(|| connect(&address, &me, key, &hello(), &options));
        let two = door.incoming().accept(&answer(), &options);
        assert!(one.join().unwrap().is_ok() && two.is_ok());
    });
    assert!(began.elapsed() < millis(280));
    for _ in &visitors {
        assert!(matches!(door.refused().error, WireError::PeerTooSlow { .. }));
    }
    for mut visitor in visitors {
        let mut rest = Vec::new();
        let _ = visitor.read_to_end(&mut rest);
    }
}

/// More connections from one address than may be pending are closed at once.
#[test]
fn visitors_are_limited() {
    let door = Door::new(&Options::default());
    let address = door.address();
    let visitors: Vec<_> = (0..150).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for visitor in &visitors {
        visitor.set_nonblocking(true).unwrap();
    }
    let closed = |visitor: &&TcpStream| matches!(visitor.peek(&mut [0]), Ok(0));
    wait_for(|| visitors.iter().filter(closed).count() == 150 - 128);
}

/// Case 16: a reset during the handshake is worth another try.
#[test]
fn reset_in_the_handshake_is_tried_again() {
    let fragile = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = fragile.local_addr().unwrap();
    let (server, me) = (Identity::generate().unwrap(), Identity::generate().unwrap());
    let options = Options::default();
    thread::scope(|scope| {
        let key = server.public_key();
        let text = address.to_string();
        let (me, waiting) = (&me, &options);
        let one = scope.spawn(move || connect(&text, me, key, &hello(), waiting));
        for _ in 0..3 {
            // Unread bytes make the system answer with a reset.
            let (peer, _) = fragile.accept().unwrap();
            peer.peek(&mut [0]).unwrap();
        }
        drop(fragile);
        let (sender, met) = std::sync::mpsc::channel();
        let handler = move |result| sender.send(result).unwrap_or_default();
        let allow = Arc::new(|_: &PublicKey| true);
        let _listener = Listener::bind(address, &server, allow, &options, handler).unwrap();
        let incoming = met.recv_timeout(millis(5000)).unwrap().unwrap();
        let two = incoming.accept(&answer(), &options);
        assert!(one.join().unwrap().is_ok() && two.is_ok());
    });
}

#[test]
fn tries_are_bounded() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let me = Identity::generate().unwrap();
    let options = Options { connect_tries: 3, ..Options::default() };
    let lost = connect(&free, &me, me.public_key(), &hello(), &options);
    assert_eq!(lost.err(), Some(WireError::PeerLost { party: 0, round: 0 }));
}

/// A closed listener frees its address.
#[test]
fn listener_ends_when_dropped() {
    let door = Door::new(&Options::default());
    let address = door.address();
    drop(door);
    wait_for(|| TcpListener::bind(&address).is_ok());
}
