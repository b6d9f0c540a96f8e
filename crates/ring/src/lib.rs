//! Numbers of the secure engine: rings of integers modulo a power of two, fixed-point encoding of
//! reals, and bits packed into planes.
//!
//! **Invariant:** arithmetic here wraps by design and says so (`wrapping_*`); encoding never does.

mod bits;
mod fixed;
mod ring;

pub use bits::{LANES, lanes_to_words, transpose};
pub use fixed::{
    EncodeError, FRACTION_BITS, MAGNITUDE_MAX, ONE, ULP, Word, decode, decode_count, decode_scaled,
    encode, encode_count, encode_scaled,
};
pub use ring::{Ring, Wide192};
