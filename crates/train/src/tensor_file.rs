//! Safetensors files that are written and read in pieces, so that a checkpoint is never in memory as a whole.
//!
//! The header is the library's, which also checks that of a file that is read. The values are `f32`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

/// Values in a piece.
const PIECE: usize = 1 << 16;
/// A header beyond this is not one of ours.
const LONGEST_HEADER: u64 = 1 << 26;
/// Bytes of a value.
const BYTES: usize = size_of::<f32>();

/// A tensor to be written.
pub struct Tensor<'a, T> {
    pub name: &'a str,
    /// Number of values.
    pub len: usize,
    /// What they are read from.
    pub source: T,
}

/// Writes tensors; `values(source, range, piece)` fills in the values at `range` of one of them.
///
/// # Errors
/// What the system says.
pub fn write<T>(
    path: &Path,
    notes: HashMap<String, String>,
    tensors: &[Tensor<'_, T>],
    mut values: impl FnMut(&T, Range<usize>, &mut [f32]),
) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(&header(notes, tensors)?)?;
    let (mut piece, mut bytes) = (vec![0.0; PIECE], Vec::with_capacity(PIECE * BYTES));
    for Tensor { len, source, .. } in tensors {
        for range in pieces(*len) {
            let piece = &mut piece[..range.len()];
            values(source, range, piece);
            bytes.clear();
            bytes.extend(piece.iter().flat_map(|value| value.to_le_bytes()));
            file.write_all(&bytes)?;
        }
    }
    Ok(())
}

fn header<T>(notes: HashMap<String, String>, tensors: &[Tensor<'_, T>]) -> Result<Vec<u8>> {
    let mut end = 0;
    let infos = tensors.iter().map(|Tensor { name, len, .. }| {
        let start = end;
        end += len * BYTES;
        ((*name).to_owned(), TensorInfo { dtype: Dtype::F32, shape: vec![*len], data_offsets: (start, end) })
    });
    let metadata = Metadata::new(Some(notes), infos.collect()).map_err(Error::other)?;
    let mut text = serde_json::to_vec(&metadata)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok([&(text.len() as u64).to_le_bytes(), &text[..]].concat())
}

/// The pieces of a tensor of `len` values.
fn pieces(len: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(PIECE).map(move |start| start..len.min(start + PIECE))
}

/// A file that was opened for reading.
pub struct TensorFile {
    file: File,
    metadata: Metadata,
    /// Where the values begin.
    start: u64,
}

impl TensorFile {
    /// Reads the header.
    ///
    /// # Errors
    /// What the system says, or [`ErrorKind::InvalidData`] for a header that is damaged or does not fit the file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path)?;
        let mut len = [0; 8];
        file.read_exact(&mut len)?;
        let len = u64::from_le_bytes(len);
        if len > LONGEST_HEADER {
            return Err(invalid("the header is too long"));
        }
        let mut text = vec![0; len as usize];
        file.read_exact(&mut text)?;
        let metadata: Metadata = serde_json::from_slice(&text)?;
        let start = 8 + len;
        if file.metadata()?.len() != start + metadata.data_len() as u64 {
            return Err(invalid("the header and the length of the file do not agree"));
        }
        Ok(Self { file, metadata, start })
    }

    /// What was noted in the header under this name.
    pub fn note(&self, name: &str) -> Option<&str> {
        Some(self.metadata.metadata().as_ref()?.get(name)?)
    }

    /// The values of a tensor, which has `len` of them.
    ///
    /// # Errors
    /// What the system says, or [`ErrorKind::InvalidData`] where there is no such tensor.
    pub fn values(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let info = self.metadata.info(name).ok_or_else(|| invalid(&format!("`{name}` is missing")))?;
        if info.shape != [len] || info.dtype != Dtype::F32 {
            return Err(invalid(&format!("`{name}` has another size than the model of this run")));
        }
        self.file.seek(SeekFrom::Start(self.start + info.data_offsets.0 as u64))?;
        let mut values = Vec::with_capacity(len);
        let mut bytes = vec![0; PIECE * BYTES];
        for range in pieces(len) {
            let bytes = &mut bytes[..range.len() * BYTES];
            self.file.read_exact(bytes)?;
            values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
        Ok(values)
    }
}

fn invalid(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use safetensors::SafeTensors;

    use super::*;

    /// Tensors whose source is their number.
    fn tensors() -> [Tensor<'static, usize>; 3] {
        let [a, many, none] = [("a", 3), ("many", 2 * PIECE + 5), ("none", 0)];
        [(0, a), (1, many), (2, none)].map(|(source, (name, len))| Tensor { name, len, source })
    }

    fn value(tensor: usize, i: usize) -> f32 {
        (tensor * 1000) as f32 + i as f32
    }

    fn written(path: &Path) {
        let notes = HashMap::from([("who".to_owned(), "a test".to_owned())]);
        write(path, notes, &tensors(), |tensor, range, piece| {
            piece.iter_mut().zip(range).for_each(|(place, i)| *place = value(*tensor, i));
        })
        .unwrap();
    }

    #[test]
    fn what_is_written_in_pieces_is_read_in_pieces_and_by_the_library() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        written(&path);
        let bytes = std::fs::read(&path).unwrap();
        let whole = SafeTensors::deserialize(&bytes).unwrap();
        let mut file = TensorFile::open(&path).unwrap();
        assert_eq!(file.note("who"), Some("a test"));
        assert_eq!(file.note("what"), None);
        for Tensor { name, len, source } in tensors() {
            let wanted: Vec<f32> = (0..len).map(|i| value(source, i)).collect();
            assert_eq!(file.values(name, len).unwrap(), wanted);
            let bytes: Vec<u8> = wanted.iter().flat_map(|value| value.to_le_bytes()).collect();
            assert_eq!(whole.tensor(name).unwrap().data(), bytes);
        }
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        written(&path);
        assert!(TensorFile::open(&path).unwrap().values("a", 4).is_err());
        assert!(TensorFile::open(&path).unwrap().values("b", 3).is_err());
        let bytes = std::fs::read(&path).unwrap();
        let huge = u64::MAX.to_le_bytes();
        for damaged in [&bytes[..bytes.len() - 1], &bytes[..20], &bytes[..4], &[&huge[..], &bytes[8..]].concat()] {
            std::fs::write(&path, damaged).unwrap();
            assert!(TensorFile::open(&path).is_err(), "{} bytes", damaged.len());
        }
    }
}
