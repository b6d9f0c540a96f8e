//! A large file that only its owner may read, written piece by piece, there at once when it is whole.

use crate::failure::Failure;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Bytes that are gathered before the disk is asked.
const GATHERED: usize = 1 << 18;

/// A file in the making; dropped before [`PrivateFile::finish`], it was never there.
pub(crate) struct PrivateFile {
    path: PathBuf,
    new: PathBuf,
    out: Option<BufWriter<File>>,
}

impl PrivateFile {
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
        let file = file.map_err(|error| Failure::file(&new, &error))?;
        let out = Some(BufWriter::with_capacity(GATHERED, file));
        Ok(Self { path: path.to_owned(), new, out })
    }

    /// Makes sure that all is on disk, and gives the file its name.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let fail = |error: io::Error| Failure::file(&self.path, &error);
        let Some(out) = self.out.take() else { return Ok(()) };
        let file = out.into_inner().map_err(|error| fail(error.into_error()));
        let done = file.and_then(|it| it.sync_all().map_err(fail));
        let done = done.and_then(|()| fs::rename(&self.new, &self.path).map_err(fail));
        if done.is_err() {
            let _gone = fs::remove_file(&self.new);
        }
        done
    }
}

impl Write for PrivateFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.as_mut().map_or(Ok(0), |it| it.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.as_mut().map_or(Ok(()), BufWriter::flush)
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // what was there before still stands
        if self.out.take().is_some() {
            let _gone = fs::remove_file(&self.new);
        }
    }
}
