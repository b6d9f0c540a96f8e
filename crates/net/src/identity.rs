//! Who a party is: an Ed25519 key pair.
//!
//! **Invariant:** the network's member list decides who may speak. Certificates only carry keys;
//! their names and dates mean nothing.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

/// An Ed25519 seed in PKCS #8 version 1 is these bytes, then the seed (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// An Ed25519 public key in a certificate is these bytes, then the key (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Longest key file that is read, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Why an identity cannot be made, read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// The operating system gives no random numbers. There is no other source.
    #[error("no random numbers")]
    Random,
    /// Not an Ed25519 key.
    #[error("not an Ed25519 key")]
    Malformed,
    /// The key file may be read by others than its owner.
    #[error("key file mode is {mode:04o}, 0600 is required")]
    Permissions {
        /// The file's permission bits.
        mode: u32,
    },
    /// The operating system refused.
    #[error("key file: {0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for IdentityError {
    fn from(error: io::Error) -> Self {
        Self::Io(error.kind())
    }
}

/// An Ed25519 public key: the name of a party.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Whether `signature` was made over `message` by the owner of this key.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }

    /// The key as certificates carry it.
    pub(crate) fn to_spki(self) -> Vec<u8> {
        [&SPKI_PREFIX[..], &self.0].concat()
    }

    /// The key in a certificate's field; `None` when it is not an Ed25519 key.
    pub(crate) fn from_spki(spki: &[u8]) -> Option<Self> {
        spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = IdentityError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, IdentityError> {
        let digits = text.as_bytes();
        let mut key = [0; 32];
        if digits.len() != 64 {
            return Err(IdentityError::Malformed);
        }
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            for &digit in pair {
                let value = match digit {
                    b'0'..=b'9' => digit - b'0',
                    b'a'..=b'f' => digit - b'a' + 10,
                    b'A'..=b'F' => digit - b'A' + 10,
                    _ => return Err(IdentityError::Malformed),
                };
                *byte = *byte << 4 | value;
            }
        }
        Ok(Self(key))
    }
}

/// A party's key pair. Copies share the one key in memory.
#[derive(Clone)]
pub struct Identity {
    pair: Arc<Ed25519KeyPair>,
    public_key: PublicKey,
}

impl Identity {
    /// Makes a new identity from the operating system's random numbers.
    ///
    /// # Errors
    /// [`IdentityError::Random`] when there are none.
    pub fn generate() -> Result<Self, IdentityError> {
        Self::generate_from(|seed| getrandom::fill(seed).map_err(|_| IdentityError::Random))
    }

    fn generate_from(
        random: impl FnOnce(&mut [u8]) -> Result<(), IdentityError>,
    ) -> Result<Self, IdentityError> {
        let mut seed = Zeroizing::new([0; 32]);
        random(&mut seed[..])?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed[..]);
        pair.map_err(|_| IdentityError::Malformed).and_then(Self::from_pair)
    }

    /// Reads a private key in PKCS #8.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] when it is not an Ed25519 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, IdentityError> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der);
        pair.map_err(|_| IdentityError::Malformed).and_then(Self::from_pair)
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, IdentityError> {
        let public = pair.public_key().as_ref().try_into();
        let public_key = PublicKey(public.map_err(|_| IdentityError::Malformed)?);
        Ok(Self { pair: Arc::new(pair), public_key })
    }

    /// The private key in PKCS #8.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] when the cryptographic library does not hand it out.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        let seed = self.pair.seed().map_err(|_| IdentityError::Malformed)?;
        let seed: Curve25519SeedBin<'_> =
            seed.as_be_bytes().map_err(|_| IdentityError::Malformed)?;
        // Written in one piece: a vector that grows would leave a copy behind.
        let mut der = Zeroizing::new(Vec::with_capacity(PKCS8_PREFIX.len() + 32));
        der.extend_from_slice(&PKCS8_PREFIX);
        der.extend_from_slice(seed.as_ref());
        Ok(der)
    }

    /// Makes a new identity and writes it to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`IdentityError::Random`], and [`IdentityError::Io`] when the file exists already or cannot
    /// be written.
    pub fn create(path: &Path) -> Result<Self, IdentityError> {
        let identity = Self::generate()?;
        let der = identity.to_pkcs8()?;
        let mut file = private_file(path)?;
        file.write_all(&der)?;
        file.sync_all()?;
        Ok(identity)
    }

    /// Reads an identity from a file.
    ///
    /// # Errors
    /// [`IdentityError::Permissions`] when others than the owner may read or write the file,
    /// [`IdentityError::Malformed`] when it is not a key, [`IdentityError::Io`].
    pub fn open(path: &Path) -> Result<Self, IdentityError> {
        let file = File::open(path)?;
        check_private(&file)?;
        // Room for the longest file, so that reading never moves the key and leaves a copy.
        let mut der = Zeroizing::new(Vec::with_capacity(8192));
        file.take(KEY_FILE_BYTES_MAX).read_to_end(&mut der)?;
        Self::from_pkcs8(&der)
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.public_key
    }

    /// Signs a message.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`] when the cryptographic library refuses the key.
    pub fn sign(&self, message: &[u8]) -> Result<[u8; 64], IdentityError> {
        let signature = self.pair.try_sign(message).map_err(|_| IdentityError::Malformed)?;
        signature.as_ref().try_into().map_err(|_| IdentityError::Malformed)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.public_key)
    }
}

#[cfg(unix)]
fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Looks at the open file, not at its path, which could mean another file a moment later.
#[cfg(unix)]
fn check_private(file: &File) -> Result<(), IdentityError> {
    use std::os::unix::fs::PermissionsExt;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(IdentityError::Permissions { mode }) }
}

#[cfg(not(unix))]
fn check_private(_: &File) -> Result<(), IdentityError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine without random numbers must not get a key that others can guess.
    #[test]
    fn without_random_numbers_there_is_no_key() {
        let refused = Identity::generate_from(|_| Err(IdentityError::Random));
        assert_eq!(refused.err(), Some(IdentityError::Random));
    }

    #[test]
    fn key_survives_its_encoding() {
        let identity = Identity::generate().unwrap();
        let copy = Identity::from_pkcs8(&identity.to_pkcs8().unwrap()).unwrap();
        assert_eq!(copy.public_key(), identity.public_key());
        let text = identity.public_key().to_string();
        assert_eq!(text.parse(), Ok(identity.public_key()));
        assert_eq!(text[1..].parse::<PublicKey>(), Err(IdentityError::Malformed));
        assert_eq!(text.replace(&text[..1], "g").parse::<PublicKey>().ok(), None);
        assert!(Identity::from_pkcs8(b"not a key").is_err());
        let spki = identity.public_key().to_spki();
        assert_eq!(PublicKey::from_spki(&spki), Some(identity.public_key()));
        assert_eq!(PublicKey::from_spki(&spki[1..]), None);
    }

    #[test]
    fn signatures_are_bound_to_key_and_message() {
        let (one, two) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let signature = one.sign(b"message").unwrap();
        assert!(one.public_key().verify(b"message", &signature));
        assert!(!one.public_key().verify(b"massage", &signature));
        assert!(!two.public_key().verify(b"message", &signature));
        assert!(!one.public_key().verify(b"message", &signature[1..]));
    }

    /// A key that others can read is no key (case 42).
    #[cfg(unix)]
    #[test]
    fn readable_key_file_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let identity = Identity::create(&path).unwrap();
        assert_eq!(Identity::open(&path).unwrap().public_key(), identity.public_key());
        assert_eq!(
            Identity::create(&path).err(),
            Some(IdentityError::Io(io::ErrorKind::AlreadyExists))
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let refused = Identity::open(&path).err();
        assert_eq!(refused, Some(IdentityError::Permissions { mode: 0o644 }));
    }

    #[test]
    fn debug_shows_no_secret() {
        let identity = Identity::generate().unwrap();
        assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.public_key()));
    }
}
