//! What can go wrong with a dictionary, a file, a formula or a cohort definition.

use crate::import::ImportReport;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why an operation on a centre's patients was refused.
///
/// No variant carries a value of a patient; the report inside [`CohortError::CheckFailed`] quotes
/// offending cells, stays at the centre, and is printed only by `ImportReport::to_text`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CohortError {
    /// A file could not be read or written.
    #[error("{}: cannot be read or written", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A dictionary's CSV does not say what a dictionary must say.
    #[error("dictionary {dictionary}, line {line}, column `{column}`: {what}")]
    Dictionary {
        /// Name of the dictionary.
        dictionary: String,
        /// Line of its CSV, the header being line 1.
        line: u64,
        /// Column of its CSV.
        column: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// A file of patients cannot be read as a table.
    #[error("{}{}: {what}", file.display(), at_line(*line))]
    Table {
        /// The file.
        file: PathBuf,
        /// Line of the file, where one line is to blame.
        line: Option<u64>,
        /// What is wrong and what to do.
        what: String,
    },
    /// Columns of the dictionary are not in the file.
    #[error(
        "{}: no column for {} of dictionary {dictionary}; add them, or allow missing columns",
        file.display(),
        columns.join(", ")
    )]
    MissingColumns {
        /// The file.
        file: PathBuf,
        /// The dictionary, with version.
        dictionary: String,
        /// Names of the variables without a column, with a similar header where there is one.
        columns: Vec<String>,
    },
    /// An import option cannot be understood.
    #[error("--map '{option}': {what}")]
    Mapping {
        /// The option as given.
        option: String,
        /// What is wrong and what to do.
        what: String,
    },
    /// Rows of a file contradict the dictionary; nothing was imported.
    #[error("{} cells contradict the dictionary, nothing was stored; see the report", .0.findings_total)]
    CheckFailed(Box<ImportReport>),
    /// The dictionary has no such variable.
    #[error("no variable `{name}` in dictionary {dictionary}{}", did_you_mean(suggestion.as_deref()))]
    UnknownVariable {
        /// The name asked for.
        name: String,
        /// The dictionary, with version.
        dictionary: String,
        /// The nearest name the dictionary has.
        suggestion: Option<String>,
    },
    /// A variable is of a kind that cannot be used so.
    #[error("variable `{name}` {what}")]
    WrongKind {
        /// The variable.
        name: String,
        /// Why it cannot be used and what to do.
        what: String,
    },
    /// A data set was imported with another dictionary than the plan's.
    #[error(
        "data set `{dataset}` was imported with another dictionary (hash {found}, the plan needs \
         {expected}); import it again with the dictionary of the plan"
    )]
    OtherDictionary {
        /// The data set.
        dataset: String,
        /// First digits of the hash of the data set's dictionary.
        found: String,
        /// First digits of the hash the plan was made with.
        expected: String,
    },
    /// A formula was refused.
    #[error(transparent)]
    Formula(Box<Diagnostic>),
    /// A cohort definition was refused.
    #[error(transparent)]
    Predicate(Box<Diagnostic>),
    /// A term of a formula has no finite value for a complete patient.
    #[error(
        "term `{term}` is not finite for some patients; narrow the cohort or the dictionary's range"
    )]
    NotFinite {
        /// The term.
        term: String,
    },
    /// A patient's follow-up starts at its end or later.
    #[error("`{term}`: some patients start at or after their end of follow-up; correct the data")]
    StartAfterEnd {
        /// The response as written.
        term: String,
    },
    /// A sealed data set was cut, changed, reordered or renamed, or the key is another one.
    #[error("{}: tampered: {what}; restore it from a backup or import again", file.display())]
    Tampered {
        /// The file.
        file: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// Something is sealed under a key that is not in the centre's key list.
    #[error(
        "{}: sealed under key {key}, which the centre's key list does not hold; restore the data.key \
         that holds it (konsil node key list), or import again",
        file.display()
    )]
    OtherKey {
        /// The file.
        file: PathBuf,
        /// Id of the key.
        key: String,
    },
    /// A sealed data set is not, byte for byte, the one that was frozen.
    #[error(
        "{}: snapshot-mismatch: the file is not the one that was frozen; put the frozen file back, \
         or, if it was replaced on purpose, freeze it:  konsil data freeze {dataset}",
        file.display()
    )]
    SnapshotMismatch {
        /// The file.
        file: PathBuf,
        /// Name of the data set.
        dataset: String,
    },
    /// A key file may be read by others.
    #[error("{}: key-file-mode: mode {mode:03o} lets others use the key; run chmod 600", path.display())]
    KeyFileMode {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key file is neither a key nor a list of keys.
    #[error(
        "{}: not a key file: it must hold exactly 32 bytes, or an undamaged list of keys; restore it \
         from a backup",
        path.display()
    )]
    KeyFile {
        /// The file.
        path: PathBuf,
    },
    /// A key file needs a passphrase, and there is none.
    #[error(
        "{}: locked by a passphrase; start the command at a terminal, or name a file with the \
         passphrase, for its owner only, in KONSIL_PASSPHRASE_FILE",
        path.display()
    )]
    Locked {
        /// The key file.
        path: PathBuf,
    },
    /// A passphrase does not open a key file.
    #[error(
        "{}: this passphrase does not open it, or the file was changed; try again, or restore the \
         file from a backup",
        path.display()
    )]
    Passphrase {
        /// The key file.
        path: PathBuf,
    },
    /// A data set's name cannot be a file name everywhere.
    #[error("data set name `{name}`: use 1 to 64 of a-z, 0-9, - and _, a letter or digit first")]
    DatasetName {
        /// The name.
        name: String,
    },
    /// A library below refused something that this crate has checked before.
    #[error("internal: {what}")]
    Internal {
        /// Which step.
        what: &'static str,
    },
}

impl CohortError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    pub(crate) fn table(file: &Path, line: Option<u64>, what: impl Into<String>) -> Self {
        Self::Table { file: file.to_owned(), line, what: what.into() }
    }
}

impl From<Diagnostic> for CohortError {
    /// A refused formula; refused cohort definitions are made by `Predicate::parse` alone.
    fn from(diagnostic: Diagnostic) -> Self {
        Self::Formula(Box::new(diagnostic))
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map(|line| format!(", line {line}")).unwrap_or_default()
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// A refused formula or cohort definition, with the place in its text.
///
/// Both are public texts of a study, so that the diagnostic may quote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Code for `konsil explain`, such as `K0203`.
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// What the text is: `formula` or `where`.
    pub origin: &'static str,
    /// The whole text.
    pub text: String,
    /// Bytes of the text that are to blame.
    pub span: Range<usize>,
    /// What to do, written after the carets; may be empty.
    pub label: String,
}

impl Diagnostic {
    /// Line and column of the first blamed character, both counted from 1, in characters.
    #[must_use]
    pub fn position(&self) -> (usize, usize) {
        let before = self.text.get(..self.span.start).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
        (line, column)
    }

    /// The diagnostic as the command shows it: message, place, the line, carets below.
    #[must_use]
    pub fn render(&self) -> String {
        let (line, column) = self.position();
        let text = self.text.lines().nth(line - 1).unwrap_or("");
        let blamed = self.text.get(self.span.clone()).unwrap_or("");
        let blamed = blamed.lines().next().unwrap_or("");
        let carets = "^".repeat(blamed.chars().count().max(1));
        let Self { code, message, origin, label, .. } = self;
        let space = " ".repeat(column - 1);
        let under = format!("{space}{carets} {label}");
        format!(
            "error[{code}]: {message}\n  ┌─ {origin}:{line}:{column}\n  │ {text}\n  │ {}\n",
            under.trim_end()
        )
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.position();
        write!(f, "{}:{line}:{column}: {} ({})", self.origin, self.message, self.code)?;
        if self.label.is_empty() {
            return Ok(());
        }
        write!(f, "; {}", self.label)
    }
}

impl std::error::Error for Diagnostic {}
