//! Lines of a text file, compressed or not, one at a time, of limited length.

use crate::bgzf::{Bgzf, END, is_bgzf};
use crate::error::{GenoError, Place};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const BUFFER_BYTES: usize = 1 << 20;

/// How much of a file has been read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// A reader that counts.
struct Counted<R> {
    inner: R,
    counter: Counter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter.add(read);
        Ok(read)
    }
}

/// A file as a stream of its content: gzip, also in blocks, is taken off.
///
/// # Errors
/// [`GenoError::File`] for blocks without the empty one that ends them, [`GenoError::Io`].
pub(crate) fn open_text(
    path: &Path,
    counter: &Counter,
) -> Result<Box<dyn BufRead + Send>, GenoError> {
    let mut file = File::open(path).map_err(|source| GenoError::io(path, source))?;
    let mut last = Vec::with_capacity(END.len());
    let back = i64::try_from(END.len()).unwrap_or(0);
    // shorter files have no such end
    if file.seek(SeekFrom::End(-back)).is_ok() {
        file.read_to_end(&mut last).map_err(|source| GenoError::io(path, source))?;
    }
    file.seek(SeekFrom::Start(0)).map_err(|source| GenoError::io(path, source))?;
    let counted = Counted { inner: file, counter: counter.clone() };
    let mut reader = BufReader::with_capacity(BUFFER_BYTES, counted);
    let start = reader.fill_buf().map_err(|source| GenoError::io(path, source))?;
    if is_bgzf(start) {
        if last != END {
            let what =
                "the file was cut: it lacks the block that ends files of bgzip; copy it again";
            return Err(GenoError::file(path, Place::Whole, what));
        }
        let reader = Bgzf::new(reader).map_err(|source| GenoError::io(path, source))?;
        return Ok(Box::new(reader));
    }
    if start.starts_with(&[0x1f, 0x8b]) {
        let decoder = MultiGzDecoder::new(reader);
        return Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder)));
    }
    Ok(Box::new(reader))
}

/// Lines of a file.
pub(crate) struct Lines {
    file: PathBuf,
    reader: Box<dyn BufRead + Send>,
    buffer: Vec<u8>,
    number: u64,
    /// Bytes of the longest line.
    limit: usize,
}

impl Lines {
    /// Opens a text file of lines of at most `limit` bytes.
    pub(crate) fn open(path: &Path, limit: usize, counter: &Counter) -> Result<Self, GenoError> {
        Ok(Self::new(path, open_text(path, counter)?, limit))
    }

    pub(crate) fn new(path: &Path, reader: Box<dyn BufRead + Send>, limit: usize) -> Self {
        Self { file: path.to_owned(), reader, buffer: Vec::new(), number: 0, limit }
    }

    /// The next line, without its end.
    ///
    /// # Errors
    /// [`GenoError::Limit`] for a longer line, [`GenoError::File`] where the compressed stream is cut or
    /// damaged, [`GenoError::Io`].
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, GenoError> {
        self.buffer.clear();
        self.number += 1;
        let most = self.limit as u64 + 2;
        let read = (&mut self.reader).take(most).read_until(b'\n', &mut self.buffer);
        read.map_err(|source| unread(&self.file, self.place(), source))?;
        if self.buffer.is_empty() {
            return Ok(None);
        }
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
            if self.buffer.last() == Some(&b'\r') {
                self.buffer.pop();
            }
        }
        if self.buffer.len() > self.limit {
            return Err(GenoError::Limit {
                file: self.file.clone(),
                place: self.place(),
                what: format!("the line has more than {} bytes", self.limit),
            });
        }
        Ok(Some(&self.buffer))
    }

    /// The line that [`Lines::next`] gave last.
    pub(crate) fn line(&self) -> &[u8] {
        &self.buffer
    }

    /// Where that line is.
    pub(crate) fn place(&self) -> Place {
        Place::Line(self.number)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }
}

/// Why a stream ended early.
pub(crate) fn unread(file: &Path, place: Place, source: std::io::Error) -> GenoError {
    let what = match source.kind() {
        ErrorKind::UnexpectedEof => "the compressed file is cut; copy it again",
        ErrorKind::InvalidData | ErrorKind::InvalidInput => {
            "the compressed file is damaged; copy it again"
        }
        _ => return GenoError::io(file, source),
    };
    GenoError::file(file, place, what)
}

/// Fields of a line between spaces and tabs.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|it| matches!(it, b' ' | b'\t')).filter(|it| !it.is_empty())
}

/// A field that is text.
pub(crate) fn text(field: &[u8]) -> Option<&str> {
    std::str::from_utf8(field).ok()
}

/// A field that is a whole number.
pub(crate) fn number<T: std::str::FromStr>(field: &[u8]) -> Option<T> {
    text(field).filter(|it| !it.starts_with('+'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    fn all(path: &Path) -> Result<Vec<String>, GenoError> {
        let mut lines = Lines::open(path, 10, &Counter::default())?;
        let mut all = Vec::new();
        while let Some(line) = lines.next()? {
            all.push(String::from_utf8(line.to_vec()).unwrap());
        }
        Ok(all)
    }

    #[test]
    fn lines_are_read_packed_or_not_and_are_limited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, "one\r\n\ntwo").unwrap();
        assert_eq!(all(&path).unwrap(), ["one", "", "two"]);
        let mut packed = Vec::new();
        for part in ["one\ntw", "o\n"] {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            packed.extend(encoder.finish().unwrap());
        }
        std::fs::write(&path, &packed).unwrap();
        assert_eq!(all(&path).unwrap(), ["one", "two"]);
        std::fs::write(&path, &packed[..packed.len() - 3]).unwrap();
        assert!(all(&path).unwrap_err().to_string().contains("is cut"));
        packed[12] ^= 255;
        std::fs::write(&path, &packed).unwrap();
        assert!(all(&path).unwrap_err().to_string().contains("is damaged"));
        std::fs::write(&path, "1234567890\n12345678901\n").unwrap();
        let error = all(&path).unwrap_err();
        assert_eq!(error.code(), "K0127");
        assert!(error.to_string().contains("line 2"), "{error}");
        let packed = crate::bgzf::tests::pack(b"one\ntwo", 3);
        std::fs::write(&path, &packed).unwrap();
        assert_eq!(all(&path).unwrap(), ["one", "two"]);
        std::fs::write(&path, &packed[..packed.len() - 1]).unwrap();
        assert!(all(&path).unwrap_err().to_string().contains("bgzip"));
        assert_eq!(all(&folder.path().join("none")).unwrap_err().code(), "K0701");
    }
}
