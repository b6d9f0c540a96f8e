//! Passwords, kept as Argon2id says (RFC 9106): 19 MiB, two passes, a salt of their own.

use crate::error::WebError;
use crate::sessions::same;
use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

/// Letters of the shortest password, and of the longest that is looked at.
const LEAST: usize = 12;
const MOST: usize = 256;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

fn hash_of(password: &str, salt: &[u8]) -> Option<Zeroizing<String>> {
    let params = Params::new(19 * 1024, 2, 1, Some(HASH_BYTES)).ok()?;
    let mut hash = Zeroizing::new([0_u8; HASH_BYTES]);
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon.hash_password_into(password.as_bytes(), salt, hash.as_mut()).ok()?;
    Some(Zeroizing::new(hash.iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// What is kept of a password: `argon2id$SALT$HASH`.
///
/// # Errors
/// [`WebError::Account`] for one that is too short or too long.
pub(crate) fn keep(password: &str) -> Result<String, WebError> {
    if !(LEAST..=MOST).contains(&password.chars().count()) {
        let what = format!("a password has {LEAST} to {MOST} letters; take some words");
        return Err(WebError::Account(what));
    }
    let mut salt = [0_u8; SALT_BYTES];
    let random = |_| WebError::Internal("the operating system gave no random bytes");
    getrandom::fill(&mut salt).map_err(random)?;
    let hash = hash_of(password, &salt).ok_or(WebError::Internal("a password cannot be kept"))?;
    let salt: String = salt.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("argon2id${salt}${}", hash.as_str()))
}

/// Whether a password is the one that is kept. Without one it takes as long, and is not.
pub(crate) fn fits(password: &str, kept: Option<&str>) -> bool {
    let nobody = "argon2id$00000000000000000000000000000000$";
    let mut parts = kept.unwrap_or(nobody).split('$');
    let (Some("argon2id"), Some(salt), Some(hash)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Some(salt) = konsil_governance::from_hex(salt) else { return false };
    if password.chars().count() > MOST {
        return false;
    }
    hash_of(password, &salt).is_some_and(|it| same(&it, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_itself_alone() {
        let kept = keep("correct horse battery").unwrap();
        assert!(fits("correct horse battery", Some(&kept)));
        assert!(!fits("correct horse batterY", Some(&kept)));
        assert!(!fits("", Some(&kept)) && !fits("correct horse battery", None));
        assert!(!fits("x", Some("argon2id$zz$00")) && !fits("x", Some("")));
        assert_ne!(kept, keep("correct horse battery").unwrap());
        assert!(keep("short").is_err() && keep(&"x".repeat(257)).is_err());
    }
}
