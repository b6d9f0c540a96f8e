//! MD5, which GWAS-SSF's description wants as a checksum against broken transfers. It protects nothing
//! here: whoever can change a file can make another with the same MD5.
//!
//! # Sources
//! RFC 1321.

use std::io::{self, Write};

/// Left rotations of the four rounds.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// Passes bytes on and adds them to their MD5.
pub(crate) struct Summed<W> {
    inner: W,
    state: [u32; 4],
    rest: Vec<u8>,
    length: u64,
    /// `floor(2^32 |sin(i + 1)|)`.
    sines: [u32; 64],
}

impl<W: Write> Summed<W> {
    pub(crate) fn new(inner: W) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below 2^32, not negative, and truncation is its definition"
        )]
        let sine = |at: usize| ((at as f64 + 1.0).sin().abs() * 4_294_967_296.0) as u32;
        Self {
            inner,
            state: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476],
            rest: Vec::new(),
            length: 0,
            sines: std::array::from_fn(sine),
        }
    }

    /// What was written to, and the MD5 of all bytes in hexadecimal.
    pub(crate) fn finish(mut self) -> (W, String) {
        let bits = self.length.wrapping_mul(8);
        let mut end = std::mem::take(&mut self.rest);
        end.push(0x80);
        while end.len() % 64 != 56 {
            end.push(0);
        }
        end.extend(bits.to_le_bytes());
        self.add(&end);
        let bytes = self.state.iter().flat_map(|it| it.to_le_bytes());
        let text = bytes.map(|it| format!("{it:02x}")).collect();
        (self.inner, text)
    }

    /// Adds whole blocks; what is left over is returned.
    fn add<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (blocks, rest) = bytes.as_chunks::<64>();
        for block in blocks {
            self.block(block);
        }
        rest
    }

    fn block(&mut self, block: &[u8; 64]) {
        let (words, _) = block.as_chunks::<4>();
        let [mut a, mut b, mut c, mut d] = self.state;
        for (at, sine) in self.sines.iter().enumerate() {
            let (mixed, word) = match at / 16 {
                0 => ((b & c) | (!b & d), at),
                1 => ((d & b) | (!d & c), 5 * at + 1),
                2 => (b ^ c ^ d, 3 * at + 5),
                _ => (c ^ (b | !d), 7 * at),
            };
            let word = words.get(word % 16).map_or(0, |it| u32::from_le_bytes(*it));
            let turn = TURNS.get(at / 16).and_then(|it| it.get(at % 4)).copied().unwrap_or(0);
            let sum = a.wrapping_add(mixed).wrapping_add(*sine).wrapping_add(word);
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(turn)));
        }
        for (state, it) in self.state.iter_mut().zip([a, b, c, d]) {
            *state = state.wrapping_add(it);
        }
    }
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let bytes = bytes.get(..written).unwrap_or_default();
        self.length = self.length.wrapping_add(bytes.len() as u64);
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        self.rest = self.add(&all).to_vec();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A wrong checksum makes the archive refuse the file.
    #[test]
    fn sums_are_those_of_rfc_1321() {
        let sum = |text: &str| {
            let mut out = Summed::new(Vec::new());
            for piece in text.as_bytes().chunks(7) {
                out.write_all(piece).unwrap();
            }
            let (bytes, sum) = out.finish();
            assert_eq!(bytes, text.as_bytes());
            sum
        };
        assert_eq!(sum(""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(sum("abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(sum("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
        assert_eq!(sum(&"1234567890".repeat(8)), "57edf4a22be3c955ac49da2e2107b67a");
    }
}
