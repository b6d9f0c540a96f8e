//! Gzip in blocks (BGZF), as VCF and BCF use it, unpacked by several threads.
//!
//! One thread reads blocks and gives them in batches to workers in turn; the reader takes them back in
//! the same order. The format: SAM specification, section 4.1.

use flate2::{Crc, Decompress, FlushDecompress, Status};
use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Blocks that a worker gets at once.
const BATCH: usize = 16;
/// Batches that wait at each worker.
const WAITING: usize = 2;
const THREADS_MAX: usize = 4;
/// Bytes of a block, packed and unpacked.
const BLOCK_MAX: usize = 1 << 16;
/// Bytes of a gzip header before its extra fields, and of what follows the content.
const HEAD_BYTES: usize = 12;
const TAIL_BYTES: usize = 8;

/// Blocks that belong together, or the end of the file.
enum Batch<T> {
    Blocks(T),
    Failed(io::Error),
    End,
}

/// A block as it was read.
struct Packed {
    content: Vec<u8>,
    crc: u32,
    size: usize,
}

/// The unpacked stream.
pub(crate) struct Bgzf {
    /// Of each worker.
    unpacked: Vec<Receiver<Batch<Vec<u8>>>>,
    /// Whose turn it is.
    turn: usize,
    bytes: Vec<u8>,
    at: usize,
    is_over: bool,
    /// The threads, which end when nobody takes what they give.
    threads: Vec<JoinHandle<()>>,
}

/// Whether a file begins as one in blocks does.
pub(crate) fn is_bgzf(start: &[u8]) -> bool {
    start.starts_with(&[0x1f, 0x8b, 8, 4]) && start.get(12..14) == Some(b"BC")
}

impl Bgzf {
    /// Starts reading.
    ///
    /// # Errors
    /// Where the system gives no threads.
    pub(crate) fn new(mut reader: impl Read + Send + 'static) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let mut packed: Vec<SyncSender<Batch<Vec<Packed>>>> = Vec::with_capacity(threads);
        let mut unpacked = Vec::with_capacity(threads);
        let mut running = Vec::with_capacity(threads + 1);
        for _ in 0..threads {
            let (to_worker, from_reader) = sync_channel(WAITING);
            let (to_consumer, from_worker) = sync_channel(WAITING);
            running.push(thread::Builder::new().spawn(move || work(&from_reader, &to_consumer))?);
            packed.push(to_worker);
            unpacked.push(from_worker);
        }
        running.push(thread::Builder::new().spawn(move || {
            for worker in packed.iter().cycle() {
                let batch = read_batch(&mut reader);
                let is_last = !matches!(batch, Batch::Blocks(_));
                // a reader that has gone away wants no more
                if worker.send(batch).is_err() || is_last {
                    return;
                }
            }
        })?);
        let (turn, bytes, at) = (0, Vec::new(), 0);
        Ok(Self { unpacked, turn, bytes, at, is_over: false, threads: running })
    }
}

impl Drop for Bgzf {
    /// Leaves no thread behind that holds the file, or genotypes.
    fn drop(&mut self) {
        // whoever waits for these to take something ends
        self.unpacked.clear();
        for thread in self.threads.drain(..) {
            // one that has ended by itself leaves nothing either
            let _ = thread.join();
        }
    }
}

impl BufRead for Bgzf {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at >= self.bytes.len() && !self.is_over {
            let batch = self.unpacked.get(self.turn).and_then(|it| it.recv().ok());
            self.turn = (self.turn + 1) % self.unpacked.len().max(1);
            match batch {
                Some(Batch::Blocks(bytes)) => (self.bytes, self.at) = (bytes, 0),
                Some(Batch::End) => self.is_over = true,
                Some(Batch::Failed(error)) => {
                    self.is_over = true;
                    return Err(error);
                }
                None => return Err(io::Error::other("a thread that unpacks has ended")),
            }
        }
        Ok(self.bytes.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Bgzf {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// Unpacks batches until none comes, or nobody wants one.
fn work(packed: &Receiver<Batch<Vec<Packed>>>, unpacked: &SyncSender<Batch<Vec<u8>>>) {
    let mut decoder = Decompress::new(false);
    while let Ok(batch) = packed.recv() {
        let batch = match batch {
            Batch::Blocks(blocks) => match unpack(&mut decoder, &blocks) {
                Ok(bytes) => Batch::Blocks(bytes),
                Err(error) => Batch::Failed(error),
            },
            Batch::Failed(error) => Batch::Failed(error),
            Batch::End => Batch::End,
        };
        if unpacked.send(batch).is_err() {
            return;
        }
    }
}

fn unpack(decoder: &mut Decompress, blocks: &[Packed]) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::from(ErrorKind::InvalidData);
    let mut bytes = vec![0; blocks.iter().map(|it| it.size).sum()];
    let mut rest = bytes.as_mut_slice();
    for block in blocks {
        let (own, after) = rest.split_at_mut_checked(block.size).ok_or_else(damaged)?;
        decoder.reset(false);
        let status = decoder.decompress(&block.content, own, FlushDecompress::Finish);
        let is_whole = matches!(status, Ok(Status::StreamEnd));
        let mut crc = Crc::new();
        crc.update(own);
        if !is_whole || decoder.total_out() != block.size as u64 || crc.sum() != block.crc {
            return Err(damaged());
        }
        rest = after;
    }
    Ok(bytes)
}

/// The next blocks. A file ends with an empty block; one that ends otherwise was cut.
fn read_batch(reader: &mut impl Read) -> Batch<Vec<Packed>> {
    let mut blocks = Vec::with_capacity(BATCH);
    while blocks.len() < BATCH {
        match read_block(reader) {
            Ok(Some(block)) => blocks.push(block),
            Ok(None) if blocks.is_empty() => return Batch::End,
            Ok(None) => break,
            Err(error) => return Batch::Failed(error),
        }
    }
    Batch::Blocks(blocks)
}

/// One block; none at the end of the file.
fn read_block(reader: &mut impl Read) -> io::Result<Option<Packed>> {
    let damaged = || io::Error::from(ErrorKind::InvalidData);
    let mut head = Vec::with_capacity(HEAD_BYTES);
    reader.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(None);
    }
    let head: [u8; HEAD_BYTES] =
        head.try_into().map_err(|_| io::Error::from(ErrorKind::UnexpectedEof))?;
    let [0x1f, 0x8b, 8, 4, _, _, _, _, _, _, low, high] = head else { return Err(damaged()) };
    let mut extra = vec![0; usize::from(u16::from_le_bytes([low, high]))];
    reader.read_exact(&mut extra)?;
    let size = block_size(&extra).ok_or_else(damaged)?;
    let content = size.checked_sub(HEAD_BYTES + extra.len() + TAIL_BYTES).ok_or_else(damaged)?;
    let mut content = vec![0; content];
    reader.read_exact(&mut content)?;
    let (mut crc, mut size) = ([0; 4], [0; 4]);
    reader.read_exact(&mut crc)?;
    reader.read_exact(&mut size)?;
    let size = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
    let crc = u32::from_le_bytes(crc);
    if size > BLOCK_MAX {
        return Err(damaged());
    }
    Ok(Some(Packed { content, crc, size }))
}

/// Bytes of the whole block, by its extra field `BC`.
fn block_size(mut extra: &[u8]) -> Option<usize> {
    loop {
        let (head, rest) = extra.split_first_chunk::<4>()?;
        let [first, second, low, high] = *head;
        let (own, after) = rest.split_at_checked(usize::from(u16::from_le_bytes([low, high])))?;
        if let ([b'B', b'C'], [low, high]) = ([first, second], own) {
            return Some(usize::from(u16::from_le_bytes([*low, *high])) + 1);
        }
        extra = after;
    }
}

/// The empty block that ends a file.
pub(crate) const END: [u8; 28] = [
    0x1f, 0x8b, 0x08, 0x04, 0, 0, 0, 0, 0, 0xff, 0x06, 0, 0x42, 0x43, 0x02, 0, 0x1b, 0, 0x03, 0, 0,
    0, 0, 0, 0, 0, 0, 0,
];

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use std::io::{Cursor, Write};

    /// Packs bytes into blocks of a few bytes.
    pub(crate) fn pack(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut packed = Vec::new();
        for chunk in bytes.chunks(size) {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(chunk).unwrap();
            let content = encoder.finish().unwrap();
            let mut crc = Crc::new();
            crc.update(chunk);
            packed.extend_from_slice(&END[..16]);
            packed.extend(u16::try_from(content.len() + 25).unwrap().to_le_bytes());
            packed.extend(&content);
            packed.extend(crc.sum().to_le_bytes());
            packed.extend(u32::try_from(chunk.len()).unwrap().to_le_bytes());
        }
        packed.extend(END);
        packed
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Bgzf::new(Cursor::new(bytes.to_vec()))?.read_to_end(&mut all)?;
        Ok(all)
    }

    /// Threads of this process.
    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").unwrap().count()
    }

    // Found by fuzzing: threads outlived their reader, with what they had unpacked.
    #[test]
    fn a_reader_that_goes_away_leaves_no_thread() {
        let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        let packed = pack(&text, 60_000);
        let before = threads();
        for read in [0, 10, 100_000, text.len()] {
            let mut reader = Bgzf::new(Cursor::new(packed.clone())).unwrap();
            reader.read_exact(&mut vec![0; read]).unwrap();
            assert!(threads() > before || read == text.len());
            drop(reader);
            // a thread that has been waited for may take a moment to go
            let gone = (0..1_000).any(|_| {
                thread::yield_now();
                threads() == before
            });
            assert!(gone, "{read}");
        }
        drop(Bgzf::new(Cursor::new(packed[..70_000].to_vec())).unwrap());
    }

    #[test]
    fn blocks_come_back_in_order_and_any_damage_is_found() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|it| (it % 977).to_le_bytes()).collect();
        for size in [1_000, 65_280, 7_777] {
            assert!(unpacked(&pack(&text, size)).unwrap() == text, "{size}");
        }
        assert!(unpacked(&pack(&[], 9)).unwrap().is_empty());
        assert!(is_bgzf(&END) && !is_bgzf(&END[..13]) && !is_bgzf(b"##fileformat=VCF"));
        let packed = pack(&text, 10_000);
        for at in (0..packed.len() - 28).step_by(packed.len() / 300) {
            let mut changed = packed.clone();
            changed[at] ^= 0x10;
            // a date or a system in the header says nothing about the content
            match unpacked(&changed) {
                Ok(found) => assert!(found == text, "{at}"),
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof),
                    "{at}: {error}"
                ),
            }
            let cut = unpacked(&packed[..at.max(1)]);
            assert!(cut.is_err() || cut.unwrap().len() < text.len());
        }
        // a reader that goes away does not hang
        let mut reader = Bgzf::new(Cursor::new(packed)).unwrap();
        reader.read_exact(&mut [0; 10]).unwrap();
    }
}
