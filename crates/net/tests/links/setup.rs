//! Two ends of a link on loopback, and a peer that does whatever a test wants.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use konsil_net::frame::{HEADER_BYTES, Header, decode_header, encode_header};
use konsil_net::{
    Binding, Channel, Hello, Identity, Incoming, Kind, Listener, Options, PROTOCOL_VERSION,
    PartyId, PublicKey, Refused, Role, connect,
};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Limits so short that tests see them pass.
pub(crate) fn hasty() -> Options {
    Options {
        heartbeat: millis(10),
        silence_limit: millis(150),
        rate_window: millis(60),
        rate_min: 100_000,
        ..Options::default()
    }
}

pub(crate) fn binding() -> Binding {
    Binding::new([1; 16], [2; 32], [3; 16])
}

/// What party 1 says to party 0.
pub(crate) fn hello() -> Hello {
    Hello { binding: binding(), from: PartyId(1), to: PartyId(0), role: Role::Centre }
}

/// What party 0 answers.
pub(crate) fn answer() -> Hello {
    Hello { from: PartyId(0), to: PartyId(1), ..hello() }
}

/// A listener that hands everything to the test.
pub(crate) struct Door {
    pub(crate) identity: Identity,
    pub(crate) listener: Listener,
    pub(crate) met: mpsc::Receiver<Result<Incoming, Refused>>,
}

impl Door {
    pub(crate) fn new(options: &Options) -> Self {
        Self::for_keys(options, |_| true)
    }

    pub(crate) fn for_keys(
        options: &Options,
        allow: impl Fn(&PublicKey) -> bool + Send + Sync + 'static,
    ) -> Self {
        let identity = Identity::generate().unwrap();
        let (sender, met) = mpsc::channel();
        let handler = move |result| sender.send(result).unwrap_or_default();
        let listener =
            Listener::bind("127.0.0.1:0", &identity, Arc::new(allow), options, handler).unwrap();
        Self { identity, listener, met }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_address().to_string()
    }

    pub(crate) fn incoming(&self) -> Incoming {
        self.met.recv_timeout(millis(5000)).unwrap().unwrap()
    }

    pub(crate) fn refused(&self) -> Refused {
        self.met.recv_timeout(millis(5000)).unwrap().unwrap_err()
    }
}

/// Both ends of a link: party 1's and party 0's.
pub(crate) fn link(options: &Options) -> (Channel, Channel) {
    let door = Door::new(options);
    let client = Identity::generate().unwrap();
    std::thread::scope(|scope| {
        let (address, key) = (door.address(), door.identity.public_key());
        let connecting =
            scope.spawn(move || connect(&address, &client, key, &hello(), options).unwrap());
        let two = door.incoming().accept(&answer(), options).unwrap();
        (connecting.join().unwrap(), two)
    })
}

/// A channel of party 0, and party 1 as a peer without manners.
pub(crate) fn rogue_link(options: &Options) -> (Channel, Rogue) {
    let door = Door::new(options);
    let mut rogue = Rogue::connect(&door.address(), false).unwrap();
    rogue.say(Kind::Hello, &hello().encode());
    let channel = door.incoming().accept(&answer(), options).unwrap();
    assert_eq!(rogue.hear().unwrap().0, Kind::Hello.code());
    (channel, rogue)
}

/// A peer that speaks TLS and for the rest does as it likes.
pub(crate) struct Rogue {
    pub(crate) tls: StreamOwned<ClientConnection, TcpStream>,
    pub(crate) next: Header,
}

impl Rogue {
    pub(crate) fn connect(address: &str, classical: bool) -> std::io::Result<Self> {
        let identity = Identity::generate().unwrap();
        let name = ServerName::try_from("konsil.invalid").unwrap();
        let config = Arc::new(client_config(&identity, classical));
        let connection = ClientConnection::new(config, name).unwrap();
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(millis(3000)))?;
        socket.set_nodelay(true)?;
        let mut tls = StreamOwned::new(connection, socket);
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock)?;
        }
        let (tag, version) = (binding().tag(1, 0), PROTOCOL_VERSION);
        Ok(Self { tls, next: Header { tag, seq: 0, length: 0, kind: 0, version } })
    }

    /// The next frame of this peer, in order.
    pub(crate) fn frame(&mut self, kind: Kind, payload: &[u8]) -> Vec<u8> {
        let length = payload.len().try_into().unwrap();
        let header = Header { length, kind: kind.code(), ..self.next };
        self.next.seq += 1;
        [&encode_header(&header)[..], payload].concat()
    }

    pub(crate) fn say(&mut self, kind: Kind, payload: &[u8]) {
        let frame = self.frame(kind, payload);
        self.write(&frame);
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.tls.write_all(bytes).unwrap();
        self.tls.flush().unwrap();
    }

    /// The next frame of the other side that is not a heartbeat: kind and payload.
    pub(crate) fn hear(&mut self) -> std::io::Result<(u16, Vec<u8>)> {
        loop {
            let mut header = [0; HEADER_BYTES];
            self.tls.read_exact(&mut header)?;
            let header = decode_header(&header).unwrap();
            let mut payload = vec![0; header.length.try_into().unwrap()];
            self.tls.read_exact(&mut payload)?;
            if header.kind != Kind::Heartbeat.code() {
                return Ok((header.kind, payload));
            }
        }
    }
}

pub(crate) fn key_and_certificate(
    identity: &Identity,
) -> (PrivateKeyDer<'static>, CertificateDer<'static>) {
    let der = PrivatePkcs8KeyDer::from(identity.to_pkcs8().unwrap().to_vec());
    let key = rcgen::KeyPair::try_from(&der).unwrap();
    let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
    (der.into(), certificate.der().clone())
}

/// Cryptography of a peer that does not know post-quantum key agreement.
pub(crate) fn crypto(classical: bool) -> Arc<rustls::crypto::CryptoProvider> {
    let mut provider = default_provider();
    if classical {
        provider.kx_groups = vec![kx_group::X25519, kx_group::SECP256R1];
    }
    Arc::new(provider)
}

fn client_config(identity: &Identity, classical: bool) -> ClientConfig {
    let (key, certificate) = key_and_certificate(identity);
    ClientConfig::builder_with_provider(crypto(classical))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_client_auth_cert(vec![certificate], key)
        .unwrap()
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Waits until `condition` holds; fails the test when it does not within 5 s.
pub(crate) fn wait_for(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + millis(5000);
    while !condition() {
        assert!(Instant::now() < deadline, "nothing happened");
        std::thread::sleep(millis(1));
    }
}
