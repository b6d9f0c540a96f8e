//! A key list under a passphrase: AES-256-GCM under a key that Argon2id makes of the passphrase.
//!
//! ```text
//! konsil locked key list v1
//! argon2id 65536 3 4 SALT
//! NONCE, LIST AND TAG
//! ```
//!
//! The first two lines are bound to the rest. Cost: 64 MiB, three passes, four lanes, the second
//! recommendation of RFC 9106, section 4.

use super::key::{push_hex, unhex};
use super::random;
use crate::error::CohortError;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

const TITLE: &str = "konsil locked key list v1\n";
const COST: Cost = Cost { memory_kib: 64 << 10, passes: 3, lanes: 4 };
/// A file may not ask for more than this: 1 GiB, 64 passes, 64 lanes.
const COST_MAX: Cost = Cost { memory_kib: 1 << 20, passes: 64, lanes: 64 };
const SALT_BYTES: usize = 16;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What a list is locked with: made of a passphrase once, so that the list can be written again.
#[derive(Clone)]
pub(super) struct Lock {
    cost: Cost,
    salt: [u8; SALT_BYTES],
    key: Zeroizing<[u8; 32]>,
}

/// Why a locked list does not open.
pub(super) enum Locked {
    /// It is no such file.
    Damaged,
    /// The passphrase is another one, or something was changed.
    Wrong,
}

impl Lock {
    pub(super) fn new(passphrase: &[u8]) -> Result<Self, CohortError> {
        let mut salt = [0; SALT_BYTES];
        random(&mut salt)?;
        let lock = Self::with(COST, salt, passphrase);
        lock.ok_or(CohortError::Internal { what: "no key could be made of the passphrase" })
    }

    fn with(cost: Cost, salt: [u8; SALT_BYTES], passphrase: &[u8]) -> Option<Self> {
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).ok()?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let mut key = Zeroizing::new([0; 32]);
        argon.hash_password_into(passphrase, &salt, key.as_mut()).ok()?;
        Some(Self { cost, salt, key })
    }

    fn aead(&self) -> Option<LessSafeKey> {
        Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.key.as_ref()).ok()?))
    }

    /// A list as it is written.
    pub(super) fn seal(&self, list: &[u8]) -> Result<Vec<u8>, CohortError> {
        let internal = || CohortError::Internal { what: "the key list could not be sealed" };
        let Cost { memory_kib, passes, lanes } = self.cost;
        let mut text = format!("{TITLE}argon2id {memory_kib} {passes} {lanes} ");
        push_hex(&mut text, &self.salt);
        text.push('\n');
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce)?;
        let mut sealed = Zeroizing::new(list.to_vec());
        let aead = self.aead().ok_or_else(internal)?;
        let (nonce_of, aad) = (Nonce::assume_unique_for_key(nonce), Aad::from(text.as_bytes()));
        let tag = aead.seal_in_place_separate_tag(nonce_of, aad, &mut sealed);
        let tag = tag.map_err(|_| internal())?;
        for part in [&nonce, sealed.as_slice(), tag.as_ref()] {
            push_hex(&mut text, part);
        }
        text.push('\n');
        Ok(text.into_bytes())
    }
}

pub(super) fn is_locked(content: &[u8]) -> bool {
    content.starts_with(TITLE.as_bytes())
}

/// The list in a locked file, and its lock.
pub(super) fn unlock(
    content: &[u8],
    passphrase: &[u8],
) -> Result<(Zeroizing<Vec<u8>>, Lock), Locked> {
    let (head, cost, salt, sealed) = parse(content).ok_or(Locked::Damaged)?;
    let lock = Lock::with(cost, salt, passphrase).ok_or(Locked::Damaged)?;
    let aead = lock.aead().ok_or(Locked::Damaged)?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(Locked::Damaged)?;
    let mut list = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = aead.open_in_place(nonce, Aad::from(head), &mut list);
    let length = opened.map_err(|_| Locked::Wrong)?.len();
    list.truncate(length);
    Ok((list, lock))
}

type Parsed<'a> = (&'a [u8], Cost, [u8; SALT_BYTES], Zeroizing<Vec<u8>>);

/// The two first lines, what the second one says, and the rest.
fn parse(content: &[u8]) -> Option<Parsed<'_>> {
    let text = std::str::from_utf8(content).ok()?;
    let (line, rest) = text.strip_prefix(TITLE)?.split_once('\n')?;
    let head = text.get(..TITLE.len() + line.len() + 1)?;
    let mut fields = line.strip_prefix("argon2id ")?.split(' ');
    let mut number = |most: u32| fields.next()?.parse().ok().filter(|it| *it <= most);
    let cost = Cost {
        memory_kib: number(COST_MAX.memory_kib)?,
        passes: number(COST_MAX.passes)?,
        lanes: number(COST_MAX.lanes)?,
    };
    let salt = unhex(fields.next()?)?.as_slice().try_into().ok()?;
    Some((head.as_bytes(), cost, salt, unhex(rest.strip_suffix('\n')?)?))
}
