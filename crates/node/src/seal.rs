//! Sealing of released parts to the researcher's key of one run: HPKE (RFC 9180) with X-Wing, a
//! hybrid of ML-KEM-768 and X25519, and AES-256-GCM.

use crate::error::NodeError;
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};

type Private = <XWing as Kem>::PrivateKey;

/// Bytes that sealing adds: the encapsulated key and the tag.
pub const SEALED_OVERHEAD_BYTES: u64 = 1120 + 16;

const INFO: &[u8] = b"konsil sealed release v1";

/// The researcher's key pair of one run; it lives in memory only.
pub(crate) struct ResultKey {
    private: Private,
    public: Vec<u8>,
}

impl ResultKey {
    pub(crate) fn generate() -> Result<Self, NodeError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        getrandom::fill(&mut *seed).map_err(|_| NodeError::Random)?;
        let (private, public) = XWing::derive_keypair(&*seed);
        Ok(Self { private, public: public.to_bytes().to_vec() })
    }

    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// Opens what a centre sealed for this run; `context` must be the one it was sealed with.
    pub(crate) fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, NodeError> {
        let key_bytes = <XWing as Kem>::EncappedKey::size();
        let (key, text) = sealed.split_at_checked(key_bytes).ok_or(NodeError::Sealed)?;
        let key = <XWing as Kem>::EncappedKey::from_bytes(key).map_err(|_| NodeError::Sealed)?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, XWing>(
            &OpModeR::Base,
            &self.private,
            &key,
            INFO,
            text,
            context,
        )
        .map_err(|_| NodeError::Sealed)
    }
}

/// Seals bytes to the researcher's key. `context` names run and centre and is authenticated.
pub(crate) fn seal(public: &[u8], bytes: &[u8], context: &[u8]) -> Result<Vec<u8>, NodeError> {
    let key = <XWing as Kem>::PublicKey::from_bytes(public).map_err(|_| NodeError::Sealed)?;
    let (encapsulated, text) = hpke::single_shot_seal::<AesGcm256, HkdfSha256, XWing>(
        &OpModeS::Base,
        &key,
        INFO,
        bytes,
        context,
    )
    .map_err(|_| NodeError::Sealed)?;
    Ok([encapsulated.to_bytes().as_slice(), &text].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Only this run's key opens it, and only under the same run and centre.
    #[test]
    fn sealing_binds_key_and_context() {
        let key = ResultKey::generate().unwrap();
        let sealed = seal(key.public(), b"parts", b"run 1, a").unwrap();
        assert_eq!(u64::try_from(sealed.len()).unwrap(), 5 + SEALED_OVERHEAD_BYTES);
        assert_eq!(key.open(&sealed, b"run 1, a").unwrap(), b"parts");
        assert!(key.open(&sealed, b"run 2, a").is_err());
        assert!(ResultKey::generate().unwrap().open(&sealed, b"run 1, a").is_err());
        assert!(key.open(&sealed[..40], b"run 1, a").is_err());
        assert!(seal(b"no key", b"parts", b"").is_err());
    }
}
