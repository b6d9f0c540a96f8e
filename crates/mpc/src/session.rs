//! One party's end of one secure computation: the operations, the ledger of what is opened, costs.

use crate::monomials::Gate;
use crate::shared::{Bits, Shared};
use crate::wire::WireError;
use konsil_ring::{EncodeError, Word};
use thiserror::Error;

/// Who learns an opened value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Every centre of the session.
    Centres,
    /// The researcher only; the centres hand over shares and learn nothing.
    Researcher,
}

/// One thing an analysis reveals, named so that approval, audit and tests can speak of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// Short name, `analysis.thing`; unique.
    pub name: &'static str,
    /// One sentence a data-protection officer can read.
    pub says: &'static str,
    /// Who learns it.
    pub to: Audience,
}

/// A line of the opening ledger: how many numbers were revealed under a name, in how many steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// What was opened.
    pub opening: Opening,
    /// Numbers in all.
    pub numbers: u64,
    /// Openings that carried them.
    pub steps: u64,
}

/// Everything that was revealed in a session, in order of first appearance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    lines: Vec<LedgerLine>,
}

impl Ledger {
    /// The lines, one for each name.
    #[must_use]
    pub fn lines(&self) -> &[LedgerLine] {
        &self.lines
    }

    pub(crate) fn record(&mut self, opening: Opening, numbers: usize) {
        let numbers = u64::try_from(numbers).unwrap_or(u64::MAX);
        if let Some(line) = self.lines.iter_mut().find(|line| line.opening == opening) {
            line.numbers = line.numbers.saturating_add(numbers);
            line.steps = line.steps.saturating_add(1);
        } else {
            self.lines.push(LedgerLine { opening, numbers, steps: 1 });
        }
    }
}

/// What a computation costs one party. Depends on public sizes only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Exchanges that wait for each other.
    pub rounds: u64,
    /// Messages this party sends.
    pub messages: u64,
    /// Bytes this party sends to other parties, framing included.
    pub bytes: u64,
    /// Correlations used up, see [`crate::Kind::count`].
    pub correlations: u64,
    /// Bytes that the dealer sends for them.
    pub dealt_bytes: u64,
}

/// Why a secure step stopped. Never carries a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MpcError {
    /// The network or a peer.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// Columns or matrices that do not fit together.
    #[error("shapes do not fit: {left} and {right}")]
    Shape {
        /// Size of the first operand.
        left: usize,
        /// Size of the second.
        right: usize,
    },
    /// An opening that the approved manifest does not list.
    #[error("opening-not-declared: `{name}` is not in the approved manifest")]
    NotDeclared {
        /// Its name.
        name: &'static str,
    },
    /// A real without an encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Correlated randomness could not be marked as used, so nothing masked with it was sent.
    #[error("burn-ledger: {0}")]
    Burn(String),
}

/// A matrix that is opened under a mask once and then used in many products.
pub struct Masked {
    pub(crate) number: u64,
    pub(crate) owner: Option<usize>,
    pub(crate) opened: Vec<Word>,
    pub(crate) mask: Vec<Word>,
    pub(crate) shape: (usize, usize),
    /// Bytes of each number that are right.
    pub(crate) bytes: usize,
}

impl Masked {
    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }
}

impl std::fmt::Debug for Masked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Masked[{}x{}]", self.shape.0, self.shape.1)
    }
}

/// One party's end of a secure computation. Every centre runs the same program on it.
///
/// Two backends: the ideal one, which computes in the clear among threads of one process and says
/// what the result should be, and the shared one, which computes on shares. *Raw* products are
/// products of ring integers: of two fixed-point numbers they have 80 fractional bits.
///
/// Rounds are those of the mesh; over a combiner each counts twice. `n` is the number of elements.
pub trait Session {
    /// This party's number.
    fn party(&self) -> usize;

    /// How many parties there are.
    fn parties(&self) -> usize;

    /// From now on `multiply_raw`, `square_raw`, `dot_raw`, `masks`, `negative` and `open` work modulo
    /// `2^(8 bytes)` and send as many bytes for each number (products of masked matrices are right in
    /// as many as the narrower of both was masked with): cheaper where numbers are known to lie
    /// within `2^(8 bytes - 1)` on both sides of 0. What they give is right in its lowest bytes only;
    /// multiplied by `2^(128 - 8 bytes)` it is right as a whole again, for [`Session::release`] too.
    /// All other operations keep whole words and must not be given such numbers. Ends with the
    /// program, or with `narrow(16)`. No messages.
    fn narrow(&mut self, bytes: usize);

    /// Public numbers as shares. No messages.
    fn constant(&self, values: &[Word]) -> Shared;

    /// The sum over the centres of what each brings; a centre's own part is its share. No messages:
    /// whatever depends on it is masked by dealt randomness before it is sent, and re-randomised
    /// with pairwise seeds before it is opened or released.
    ///
    /// # Errors
    /// None on shares; the ideal backend reports centres that bring different lengths.
    fn input(&mut self, mine: &[Word]) -> Result<Shared, MpcError>;

    /// `a * b`, element by element. 1 round, 2n words opened, n triples.
    ///
    /// # Errors
    /// [`MpcError::Shape`], [`MpcError::Wire`]; so for all operations below.
    fn multiply_raw(&mut self, a: &Shared, b: &Shared) -> Result<Shared, MpcError>;

    /// `a * a`. 1 round, n words opened, n square pairs.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn square_raw(&mut self, a: &Shared) -> Result<Shared, MpcError>;

    /// For `a`, `b` of `[rows][len]`: the sum of `a * b` over each row. 1 round, 2n words opened.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn dot_raw(&mut self, a: &Shared, b: &Shared, len: usize) -> Result<Shared, MpcError>;

    /// Masks and opens shared matrices for use in products. 1 round in all, rows x columns words
    /// opened of each.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn masks(&mut self, matrices: &[(&Shared, (usize, usize))]) -> Result<Vec<Masked>, MpcError>;

    /// Masks and opens one matrix. As [`Session::masks`].
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn mask(&mut self, matrix: &Shared, shape: (usize, usize)) -> Result<Masked, MpcError> {
        let wrong = MpcError::Shape { left: matrix.len(), right: shape.0 * shape.1 };
        self.masks(&[(matrix, shape)])?.pop().ok_or(wrong)
    }

    /// Masks a matrix that `owner` alone knows and sends it to the others. `mine` is read at the
    /// owner only. 1 round; the owner sends rows x columns words to each.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn mask_own(
        &mut self,
        owner: usize,
        mine: &[Word],
        shape: (usize, usize),
    ) -> Result<Masked, MpcError>;

    /// The raw product of two masked matrices, the left one transposed if asked. No messages beyond
    /// the masks' own; the dealer sends one word for each element of the product.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn product(
        &mut self,
        left: &Masked,
        left_transposed: bool,
        right: &Masked,
    ) -> Result<Shared, MpcError>;

    /// `x / 2^shift`, rounded down, off by at most one unit. Needs `|x| < 2^126`. 1 round, n words
    /// opened. Known-top-bit truncation (Dalskov, Escudero, Keller, eprint 2019/131, section 4.2).
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn truncate(&mut self, x: Shared, shift: u32) -> Result<Shared, MpcError>;

    /// Whether each number is below 0, for `|x| < 2^127`. 4 rounds; n words and about 9n bytes
    /// opened.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn negative(&mut self, x: &Shared) -> Result<Bits, MpcError>;

    /// Bits `from` to `to` (not included) of each number's two's complement. 5 rounds.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn bits(&mut self, x: &Shared, from: usize, to: usize) -> Result<Vec<Bits>, MpcError>;

    /// The products of several gates, each over bits of its own. 1 round in all, one bit opened for
    /// each variable and lane.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn gates(&mut self, batches: &[(Gate, Vec<Bits>)]) -> Result<Vec<Vec<Bits>>, MpcError>;

    /// The products of one gate. As [`Session::gates`].
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn gate(&mut self, gate: Gate, variables: &[Bits]) -> Result<Vec<Bits>, MpcError> {
        let mut products = self.gates(&[(gate, variables.to_vec())])?;
        Ok(products.pop().unwrap_or_default())
    }

    /// The complement of each bit. No messages.
    fn not(&self, bits: &Bits) -> Bits;

    /// Bits as the integers 0 and 1. 1 round, n bits opened.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn to_integers(&mut self, bits: &Bits) -> Result<Shared, MpcError>;

    /// Looks up public tables at secret places. `index` are the places' bits, lowest first; each
    /// table has `2^index.len()` entries. 1 round; a bit opened for each index bit and lane.
    ///
    /// # Errors
    /// As [`Session::multiply_raw`].
    fn lookup(&mut self, index: &[Bits], tables: &[Vec<Word>]) -> Result<Vec<Shared>, MpcError>;

    /// Opens numbers to every centre and writes it into the ledger. 1 round, n words.
    ///
    /// # Errors
    /// [`MpcError::NotDeclared`] when the manifest does not list `opening`; otherwise as above.
    fn open(&mut self, opening: Opening, x: &Shared) -> Result<Vec<Word>, MpcError>;

    /// Hands re-randomised shares to the researcher and writes it into the ledger. The centres
    /// learn nothing.
    ///
    /// # Errors
    /// [`MpcError::NotDeclared`].
    fn release(&mut self, opening: Opening, x: &Shared) -> Result<(), MpcError>;

    /// Says how far a long program has come, in parts that it counts itself; public. No messages.
    fn tell(&self, done: usize, of: usize) {
        let _nobody_listens = (done, of);
    }

    /// What the session has cost so far.
    fn cost(&self) -> Cost;

    /// What the session has revealed so far.
    fn ledger(&self) -> &Ledger;
}
