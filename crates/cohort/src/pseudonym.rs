//! Pseudonyms: which row is which patient, for the patient's own centre only.
//!
//! A data set keeps a pseudonym of each patient in a column that no formula, condition or listing can
//! name. At rest it depends on the centre's key, so that no other centre, and nobody without the key,
//! can tell whose it is.

use crate::store::{Key, Secret};
use datafusion::arrow::array::{Array, ArrayRef, FixedSizeBinaryArray};
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::datatypes::DataType;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A patient of one centre.
pub type Pseudonym = [u8; PSEUDONYM_BYTES];

/// Bytes of a pseudonym.
pub const PSEUDONYM_BYTES: usize = 16;

/// Columns that hold them: as imported, under a centre's key, and, without identifiers, the places of
/// rows in the imported file. No variable can have such a name.
pub(crate) const FRESH: &str = ":patient-fresh";
pub(crate) const KEYED: &str = ":patient";
pub(crate) const ROWS: &str = ":row";

fn short(digest: Sha256) -> Pseudonym {
    let digest: [u8; 32] = digest.finalize().into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// Of an identifier as the file has it, trimmed; in memory only, until the data set is saved.
pub(crate) fn fresh(identifier: &str) -> Pseudonym {
    let mut digest = Sha256::new();
    digest.update(b"konsil patient v1\n");
    digest.update(identifier.trim().as_bytes());
    short(digest)
}

/// Of a row without identifier: it is nobody else's.
pub(crate) fn nameless(row: usize) -> Pseudonym {
    fresh(&format!(": row {row}"))
}

fn keyed(secret: &[u8; 32], fresh: &[u8]) -> Pseudonym {
    let mut digest = Sha256::new();
    digest.update(secret);
    digest.update(fresh);
    short(digest)
}

/// The pseudonym of an identifier under a centre's key.
#[must_use]
pub fn pseudonym_of(key: &Key, identifier: &str) -> Pseudonym {
    keyed(&key.secret(Secret::Pseudonyms), &fresh(identifier))
}

pub(crate) fn data_type() -> DataType {
    DataType::FixedSizeBinary(16)
}

/// A column of pseudonyms.
pub(crate) fn array(pseudonyms: &[Pseudonym]) -> Option<ArrayRef> {
    let bytes = Buffer::from_vec(pseudonyms.concat());
    let array = FixedSizeBinaryArray::try_new(16, bytes, None).ok()?;
    Some(Arc::new(array))
}

/// The pseudonyms in a column.
pub(crate) fn values(column: &dyn Array) -> Vec<Pseudonym> {
    let column = column.as_any().downcast_ref::<FixedSizeBinaryArray>();
    let value = |bytes: Option<&[u8]>| bytes.and_then(|it| it.try_into().ok()).unwrap_or_default();
    column.map_or_else(Vec::new, |column| column.iter().map(value).collect())
}

/// The same column under a centre's key.
pub(crate) fn under(key: &Key, column: &dyn Array) -> Option<ArrayRef> {
    let secret = key.secret(Secret::Pseudonyms);
    array(&values(column).iter().map(|fresh| keyed(&secret, fresh)).collect::<Vec<_>>())
}
