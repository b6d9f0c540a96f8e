//! Numbers of the secure engine: rings modulo powers of two, fixed point, packed bits.
