//! Signed documents: what a person or a node puts its name to.
//!
//! A signature covers a domain (what kind of document this is) and the canonical JSON of the body,
//! so that a signature under one kind of document is worth nothing under another.

use crate::hex::{from_hex, to_hex};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A document with the key that signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// The document.
    pub body: T,
    /// Ed25519 public key, 64 hexadecimal digits.
    pub signer: String,
    /// Signature, 128 hexadecimal digits.
    pub signature: String,
}

/// Why a signature is worth nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The document has no canonical form.
    #[error("the document cannot be written down")]
    Unwritable,
    /// The signer's key could not sign.
    #[error("the key could not sign")]
    Unsigned,
    /// Key or signature are not what they should be, or do not belong to this document.
    #[error("the signature does not belong to this document")]
    Wrong,
}

/// The canonical form of a document: JSON with keys in the order of its definition.
///
/// # Errors
/// [`SignatureError::Unwritable`].
pub fn canonical<T: Serialize>(body: &T) -> Result<String, SignatureError> {
    serde_json::to_string(body).map_err(|_| SignatureError::Unwritable)
}

/// SHA-256 of the canonical form, in hexadecimal.
///
/// # Errors
/// [`SignatureError::Unwritable`].
pub fn hash_of<T: Serialize>(body: &T) -> Result<String, SignatureError> {
    Ok(to_hex(&Sha256::digest(canonical(body)?)))
}

fn message<T: Serialize>(domain: &str, body: &T) -> Result<Vec<u8>, SignatureError> {
    let mut message = format!("konsil {domain} v1\n").into_bytes();
    message.extend_from_slice(canonical(body)?.as_bytes());
    Ok(message)
}

impl<T: Serialize> Signed<T> {
    /// Signs a document. `sign` makes an Ed25519 signature with the key of `signer`.
    ///
    /// # Errors
    /// [`SignatureError::Unwritable`], [`SignatureError::Unsigned`].
    pub fn new(
        domain: &str,
        body: T,
        signer: &str,
        sign: impl FnOnce(&[u8]) -> Option<[u8; 64]>,
    ) -> Result<Self, SignatureError> {
        let signature = sign(&message(domain, &body)?).ok_or(SignatureError::Unsigned)?;
        Ok(Self { body, signer: signer.to_owned(), signature: to_hex(&signature) })
    }

    /// The document, if its signature holds under `domain`. Whether the signer may sign is for the
    /// caller to decide.
    ///
    /// # Errors
    /// [`SignatureError::Wrong`].
    pub fn verified(&self, domain: &str) -> Result<&T, SignatureError> {
        let key = from_hex(&self.signer).ok_or(SignatureError::Wrong)?;
        let signature = from_hex(&self.signature).ok_or(SignatureError::Wrong)?;
        let message = message(domain, &self.body)?;
        UnparsedPublicKey::new(&ED25519, key)
            .verify(&message, &signature)
            .map(|()| &self.body)
            .map_err(|_| SignatureError::Wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    // A signature holds for one document, one kind and one key.
    #[test]
    fn signatures_bind_kind_body_and_key() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = to_hex(pair.public_key().as_ref());
        let sign = |message: &[u8]| pair.sign(message).as_ref().try_into().ok();
        let signed = Signed::new("approval", vec![1, 2], &key, sign).unwrap();
        assert_eq!(signed.verified("approval").unwrap(), &[1, 2]);
        assert_eq!(signed.verified("permit"), Err(SignatureError::Wrong));
        let other = Signed { body: vec![1, 3], ..signed.clone() };
        assert_eq!(other.verified("approval"), Err(SignatureError::Wrong));
        let stranger = to_hex(Ed25519KeyPair::generate().unwrap().public_key().as_ref());
        let stolen = Signed { signer: stranger, ..signed.clone() };
        assert_eq!(stolen.verified("approval"), Err(SignatureError::Wrong));
        let cut = Signed { signature: signed.signature[2..].to_owned(), ..signed };
        assert_eq!(cut.verified("approval"), Err(SignatureError::Wrong));
    }
}
