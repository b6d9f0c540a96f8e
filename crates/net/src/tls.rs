//! TLS 1.3 with hybrid post-quantum key agreement and pinned keys on both sides, nothing else.
//!
//! No session is resumed and no data is sent before the handshake is complete.

use std::fmt;
use std::io;
use std::sync::Arc;

use konsil_mpc::WireError;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, Connection,
    DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible, ServerConfig,
    ServerConnection, SignatureAlgorithm, SignatureScheme,
};

use crate::identity::{Identity, PublicKey};

/// Says which keys may connect. Asked during each handshake, so that a member who was removed is
/// refused at once.
pub type Allow = Arc<dyn Fn(&PublicKey) -> bool + Send + Sync>;

/// AES-GCM only, X25519MLKEM768 only.
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![kx_group::X25519MLKEM768],
        ..default_provider()
    }
}

/// A TLS client that shows `identity` and talks to `peer` only.
pub(crate) fn client(identity: &Identity, peer: PublicKey) -> Result<Connection, WireError> {
    let name = ServerName::try_from("konsil.invalid").map_err(|_| WireError::IdentityMismatch)?;
    let config = client_config(identity, peer).map_err(|error| wire_error(&error))?;
    let connection = ClientConnection::new(Arc::new(config), name);
    connection.map(Connection::from).map_err(|error| wire_error(&error))
}

/// The TLS side of a listener that shows `identity`.
pub(crate) fn server(config: Arc<ServerConfig>) -> Result<Connection, WireError> {
    ServerConnection::new(config).map(Connection::from).map_err(|error| wire_error(&error))
}

fn client_config(identity: &Identity, peer: PublicKey) -> Result<ClientConfig, Error> {
    let provider = provider();
    let verifier = Pinned::new(&provider, Arc::new(move |key| *key == peer));
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(certified(identity)?);
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    Ok(config)
}

/// What a listener offers: `identity`, to the keys that `allow` names.
pub(crate) fn server_config(
    identity: &Identity,
    allow: Allow,
) -> Result<Arc<ServerConfig>, WireError> {
    build_server_config(identity, allow).map(Arc::new).map_err(|error| wire_error(&error))
}

fn build_server_config(identity: &Identity, allow: Allow) -> Result<ServerConfig, Error> {
    let provider = provider();
    let verifier = Pinned::new(&provider, allow);
    let builder = ServerConfig::builder_with_provider(Arc::new(provider));
    let mut config = builder
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(certified(identity)?);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

/// The key that the peer has proved to own in the handshake.
pub(crate) fn peer_key(connection: &Connection) -> Option<PublicKey> {
    key_of(connection.peer_certificates()?.first()?)
}

fn key_of(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    PublicKey::from_spki(&parsed.subject_public_key_info())
}

/// A self-signed certificate around the identity's key, made anew each time.
fn certified(identity: &Identity) -> Result<Arc<SingleCertAndKey>, Error> {
    let key = TlsKey::new(identity);
    let certificate = rcgen::CertificateParams::default().self_signed(&key);
    let certificate = certificate.map_err(|_| Error::General("no certificate".to_owned()))?;
    let chain = vec![certificate.der().clone()];
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, Arc::new(key)))))
}

/// The identity as TLS and certificates use it; the private key itself is never copied to them.
#[derive(Clone)]
struct TlsKey {
    identity: Identity,
    public: [u8; 32],
}

impl fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsKey(..)")
    }
}

impl TlsKey {
    fn new(identity: &Identity) -> Self {
        Self { identity: identity.clone(), public: identity.public_key().0 }
    }
}

impl SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let offered = offered.contains(&SignatureScheme::ED25519);
        offered.then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(self.identity.public_key().to_spki().into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature = self.identity.sign(message).map(Vec::from);
        signature.map_err(|_| Error::General("no signature".to_owned()))
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

impl rcgen::PublicKeyData for TlsKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for TlsKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.identity.sign(message).map(Vec::from).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

/// Accepts a certificate for its key alone. The peer proves in the handshake that it owns the key.
struct Pinned {
    allow: Allow,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(provider: &CryptoProvider, allow: Allow) -> Self {
        Self { allow, algorithms: provider.signature_verification_algorithms }
    }

    fn check(&self, certificate: &CertificateDer<'_>) -> Result<(), Error> {
        match key_of(certificate) {
            Some(key) if (self.allow)(&key) => Ok(()),
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn check_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if signature.scheme != SignatureScheme::ED25519 {
            return Err(CertificateError::BadSignature.into());
        }
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pinned")
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.check(end_entity).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ClientCertVerifier for Pinned {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.check(end_entity).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.check_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// What a TLS error means to us.
pub(crate) fn wire_error(error: &Error) -> WireError {
    match error {
        Error::PeerIncompatible(_) => WireError::PqRequired,
        Error::InvalidCertificate(_)
        | Error::NoCertificatesPresented
        | Error::UnsupportedNameType => WireError::IdentityMismatch,
        Error::AlertReceived(alert) => alert_error(*alert),
        Error::FailedToGetRandomBytes | Error::FailedToGetCurrentTime => {
            WireError::Io(io::ErrorKind::Other)
        }
        _ => WireError::Io(io::ErrorKind::InvalidData),
    }
}

/// What the peer's complaint means. A peer that shares no key agreement, cipher or version with us
/// says so by one of the first three.
fn alert_error(alert: AlertDescription) -> WireError {
    match alert {
        AlertDescription::HandshakeFailure
        | AlertDescription::ProtocolVersion
        | AlertDescription::InsufficientSecurity => WireError::PqRequired,
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateRequired
        | AlertDescription::UnknownCA => WireError::IdentityMismatch,
        _ => WireError::Io(io::ErrorKind::ConnectionAborted),
    }
}
