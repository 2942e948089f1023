//! A log of records in blocks, as [LevelDB's](https://github.com/google/leveldb/blob/main/doc/log_format.md), with a header
//! and plain CRC32 as Weights & Biases writes them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use super::messages::Record;
use crate::error::TrackError;

const BLOCK: usize = 32_768;
/// Checksum, length and kind before every piece.
const HEAD: usize = 7;
/// The mark of the format, its number and its version.
const HEADER: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];

/// A piece of a record.
#[derive(Clone, Copy)]
enum Piece {
    Full = 1,
    First = 2,
    Middle = 3,
    Last = 4,
}

/// A file that records are added to.
pub struct Log {
    path: PathBuf,
    out: Blocks<BufWriter<File>>,
    records: i64,
}

impl Log {
    /// An empty file, in place of any other.
    pub fn create(path: &Path) -> Result<Self, TrackError> {
        let file = File::create(path).map_err(TrackError::file(path))?;
        let out = Blocks::begin(BufWriter::new(file)).map_err(TrackError::file(path))?;
        Ok(Self { path: path.to_owned(), out, records: 0 })
    }

    /// Adds a record and gives it its number.
    pub fn write(&mut self, record: &mut Record) -> Result<(), TrackError> {
        self.records += 1;
        record.num = self.records;
        self.out.write(&record.encode_to_vec()).map_err(TrackError::file(&self.path))
    }

    /// Puts what was written on its way to the disk.
    pub fn flush(&mut self) -> Result<(), TrackError> {
        self.out.out.flush().map_err(TrackError::file(&self.path))
    }
}

/// Records cut into blocks.
struct Blocks<W> {
    out: W,
    /// Bytes of the block that are taken.
    taken: usize,
}

impl<W: Write> Blocks<W> {
    fn begin(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self { out, taken: HEADER.len() })
    }

    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        let (mut rest, mut first) = (record, true);
        loop {
            if BLOCK - self.taken < HEAD {
                self.out.write_all(&[0; HEAD][..BLOCK - self.taken])?;
                self.taken = 0;
            }
            let (data, after) = rest.split_at(rest.len().min(BLOCK - self.taken - HEAD));
            let piece = match (first, after.is_empty()) {
                (true, true) => Piece::Full,
                (true, false) => Piece::First,
                (false, false) => Piece::Middle,
                (false, true) => Piece::Last,
            };
            self.piece(piece, data)?;
            (rest, first) = (after, false);
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn piece(&mut self, piece: Piece, data: &[u8]) -> io::Result<()> {
        let kind = piece as u8;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&[kind]);
        checksum.update(data);
        self.out.write_all(&checksum.finalize().to_le_bytes())?;
        self.out.write_all(&(data.len() as u16).to_le_bytes())?;
        self.out.write_all(&[kind])?;
        self.out.write_all(data)?;
        self.taken = (self.taken + HEAD + data.len()) % BLOCK;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a log as the format describes it, checksums and padding included.
    fn records(bytes: &[u8]) -> Vec<Vec<u8>> {
        assert_eq!(bytes[..7], HEADER);
        let (mut all, mut open, mut at) = (Vec::new(), None::<Vec<u8>>, HEADER.len());
        while at < bytes.len() {
            let left = BLOCK - at % BLOCK;
            if left < HEAD {
                assert!(bytes[at..at + left].iter().all(|byte| *byte == 0));
                at += left;
                continue;
            }
            let length = usize::from(u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]));
            let (kind, data) = (bytes[at + 6], &bytes[at + HEAD..at + HEAD + length]);
            assert!(HEAD + length <= left, "a piece crosses a block");
            let checksum = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            assert_eq!(checksum, crc32fast::hash(&bytes[at + 6..at + HEAD + length]));
            match (kind, &mut open) {
                (1, None) => all.push(data.to_vec()),
                (2, None) => open = Some(data.to_vec()),
                (3, Some(open)) => open.extend(data),
                (4, Some(_)) => all.push([open.take().unwrap(), data.to_vec()].concat()),
                _ => panic!("a piece of kind {kind} out of place"),
            }
            at += HEAD + length;
        }
        assert!(open.is_none());
        all
    }

    #[test]
    fn records_of_any_length_come_back() {
        let room = BLOCK - HEADER.len() - HEAD;
        for lengths in [
            vec![0, 1, 5],
            vec![room],
            vec![room - 1, 3],
            // Less than a head, exactly a head, and one byte more are left in the block.
            vec![room - 6, 3],
            vec![room - 7, 3],
            vec![room - 8, 3],
            vec![room + 1, 70_000, 2, 200_000],
        ] {
            let written: Vec<Vec<u8>> = lengths.iter().map(|&n| (0..n).map(|i| (i % 251) as u8).collect()).collect();
            let mut blocks = Blocks::begin(Vec::new()).unwrap();
            written.iter().for_each(|record| blocks.write(record).unwrap());
            assert!(records(&blocks.out) == written, "{lengths:?}");
        }
    }
}
