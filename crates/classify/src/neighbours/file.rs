//! `neighbours.safetensors`, which lies beside the model, or does not.
//!
//! Tensors `vectors` `[N, D]` and `centre` `[D]` in f32, `classes` `[N, C]` of yes and no, `lines` `[N]`; where texts are kept
//! `texts`, which are the bytes of all of them, and `text_ends` `[N]`. The header notes the interpolation and the labels. As every
//! file of others it is hostile until it is read.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::path::Path;

use finetone_evaluate::Interpolation;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde::{Deserialize, Serialize};

use super::{Kept, Neighbourhood};
use crate::ClassifyError;

/// The file within a model folder that holds a [`Neighbourhood`]. Without it the model answers alone.
pub const NEIGHBOURS_FILE: &str = "neighbours.safetensors";

const NOTE: &str = "neighbours";

/// What the header says beside the tensors: one entry, because several would stand there in any order.
#[derive(Serialize, Deserialize)]
struct Note {
    interpolation: Interpolation,
    labels: Vec<String>,
}

/// A tensor to be written: name, type, shape and bytes.
type Part = (&'static str, Dtype, Vec<usize>, Vec<u8>);

impl Neighbourhood {
    /// Writes the file into a model folder, whose labels these are.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, folder: &Path, labels: &[String]) -> Result<(), ClassifyError> {
        let path = folder.join(NEIGHBOURS_FILE);
        let note = Note { interpolation: self.interpolation, labels: labels.to_vec() };
        let text = serde_json::to_string(&note).expect("numbers and names have a JSON form");
        let notes = HashMap::from([(NOTE.to_owned(), text)]);
        let parts = self.parts(labels.len());
        let views = parts.iter().map(|(name, dtype, shape, bytes)| {
            (*name, TensorView::new(*dtype, shape.clone(), bytes).expect("shape and bytes of a part agree"))
        });
        let written = safetensors::serialize_to_file(views, Some(notes), &path).map_err(|error| error.to_string());
        let kept = written.and_then(|()| File::open(&path).and_then(|file| file.sync_all()).map_err(|e| e.to_string()));
        kept.map_err(|problem| ClassifyError::Neighbours { path, problem })
    }

    fn parts(&self, labels: usize) -> Vec<Part> {
        let (texts, width) = (self.len(), self.width());
        let numbers = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let wholes = |values: &mut dyn Iterator<Item = u64>| values.flat_map(u64::to_le_bytes).collect::<Vec<u8>>();
        let mut classes = vec![0; texts * labels];
        for (row, kept) in classes.chunks_exact_mut(labels).zip(&self.kept) {
            kept.classes.iter().for_each(|&class| row[class] = 1);
        }
        let mut parts = vec![
            ("vectors", Dtype::F32, vec![texts, width], numbers(&self.vectors)),
            ("centre", Dtype::F32, vec![width], numbers(&self.centre)),
            ("classes", Dtype::BOOL, vec![texts, labels], classes),
            ("lines", Dtype::U64, vec![texts], wholes(&mut self.kept.iter().map(|kept| kept.line))),
        ];
        if self.has_texts() {
            let of = || self.kept.iter().filter_map(|kept| kept.text.as_deref());
            let bytes: Vec<u8> = of().flat_map(str::bytes).collect();
            let mut ends = of().scan(0, |end, text| {
                *end += text.len() as u64;
                Some(*end)
            });
            parts.push(("text_ends", Dtype::U64, vec![texts], wholes(&mut ends)));
            parts.push(("texts", Dtype::U8, vec![bytes.len()], bytes));
        }
        parts
    }

    /// Reads the file of a model folder, if there is one. The model has these labels, and vectors of `width` numbers.
    ///
    /// # Errors
    /// A file that cannot be read, is damaged, or is of another model.
    pub fn open(folder: &Path, labels: &[String], width: usize) -> Result<Option<Self>, ClassifyError> {
        let path = folder.join(NEIGHBOURS_FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ClassifyError::Neighbours { path, problem: error.to_string() }),
        };
        let read = read(&bytes, labels, width);
        read.map(Some).map_err(|problem| ClassifyError::Neighbours { path, problem })
    }
}

fn read(bytes: &[u8], labels: &[String], width: usize) -> Result<Neighbourhood, String> {
    let told = |error: safetensors::SafeTensorError| error.to_string();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(told)?;
    let file = SafeTensors::deserialize(bytes).map_err(told)?;
    let note = header.metadata().as_ref().and_then(|notes| notes.get(NOTE));
    let note = note.ok_or_else(|| format!("it has no note `{NOTE}`"))?;
    let Note { interpolation, labels: known } =
        serde_json::from_str(note).map_err(|error| format!("`{NOTE}`: {error}"))?;
    if known != labels {
        return Err(format!("it is about the labels {}, the model has {}", known.join(", "), labels.join(", ")));
    }
    let texts = file.tensor("lines").ok().and_then(|lines| lines.shape().first().copied()).unwrap_or(0);
    if texts == 0 || labels.is_empty() {
        return Err("it keeps no labelled texts".to_owned());
    }
    let parts = Parts { file, texts };
    let numbers = |name: &str, shape: &[usize]| -> Result<Vec<f32>, String> {
        let values: Vec<f32> =
            parts.data(name, Dtype::F32, shape)?.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(format!("`{name}` has no numbers")) }
    };
    let (centre, vectors) = (numbers("centre", &[width])?, numbers("vectors", &[texts, width])?);
    Ok(Neighbourhood { interpolation, centre, vectors, kept: parts.kept(labels.len())? })
}

/// The tensors of a file that is about so many texts.
struct Parts<'a> {
    file: SafeTensors<'a>,
    texts: usize,
}

impl<'a> Parts<'a> {
    fn data(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&'a [u8], String> {
        let tensor = self.file.tensor(name).map_err(|_| format!("`{name}` is missing"))?;
        if tensor.dtype() != dtype || tensor.shape() != shape {
            let (found, dtype_found) = (tensor.shape(), tensor.dtype());
            return Err(format!("`{name}` should be {dtype:?} {shape:?} and is {dtype_found:?} {found:?}"));
        }
        Ok(tensor.data())
    }

    fn wholes(&self, name: &str) -> Result<Vec<u64>, String> {
        let data = self.data(name, Dtype::U64, &[self.texts])?;
        Ok(data.as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect())
    }

    fn kept(&self, labels: usize) -> Result<Vec<Kept>, String> {
        let classes = self.data("classes", Dtype::BOOL, &[self.texts, labels])?;
        let (lines, mut texts) = (self.wholes("lines")?, self.written()?.into_iter());
        let of_row = |row: &[u8]| (0..labels).filter(|&class| row[class] != 0).collect();
        let kept = classes.chunks_exact(labels).zip(lines);
        Ok(kept.map(|(row, line)| Kept { classes: of_row(row), line, text: texts.next() }).collect())
    }

    /// The texts, or none where they are not kept.
    fn written(&self) -> Result<Vec<String>, String> {
        let Ok(all) = self.file.tensor("texts") else { return Ok(Vec::new()) };
        let all = self.data("texts", Dtype::U8, all.shape())?;
        let mut start = 0;
        let texts = self.wholes("text_ends")?.into_iter().map(|end| {
            let end = usize::try_from(end).unwrap_or(usize::MAX);
            let text = all.get(start..end).and_then(|bytes| std::str::from_utf8(bytes).ok());
            start = end;
            text.map(str::to_owned).ok_or_else(|| "`texts` are no texts that end where `text_ends` says".to_owned())
        });
        texts.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Vec<String> {
        ["bad", "good"].map(str::to_owned).to_vec()
    }

    fn hood(texts: [Option<&str>; 3]) -> Neighbourhood {
        let kept = |(place, text): (usize, Option<&str>)| Kept {
            classes: [vec![0], vec![], vec![0, 1]][place].clone(),
            line: u64::MAX - place as u64,
            text: text.map(str::to_owned),
        };
        Neighbourhood::new(vec![1.0, 2.0, 3.0, 5.0, 7.0, 11.0], texts.into_iter().enumerate().map(kept).collect())
    }

    #[test]
    fn what_is_written_is_read_with_or_without_texts() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Neighbourhood::open(folder.path(), &labels(), 2).unwrap(), None);
        for texts in [[None; 3], [Some("a"), Some(""), Some("dřív")]] {
            let hood = hood(texts);
            hood.save(folder.path(), &labels()).unwrap();
            assert_eq!(Neighbourhood::open(folder.path(), &labels(), 2).unwrap(), Some(hood));
        }
        let bytes = std::fs::read(folder.path().join(NEIGHBOURS_FILE)).unwrap();
        assert!(bytes.windows(7).any(|part| part == "adřív".as_bytes()));
        hood([None; 3]).save(folder.path(), &labels()).unwrap();
        let bytes = std::fs::read(folder.path().join(NEIGHBOURS_FILE)).unwrap();
        assert!(!bytes.windows(4).any(|part| part == b"text"), "no texts, not even their ends");
    }

    #[test]
    fn a_file_of_another_model_or_a_damaged_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NEIGHBOURS_FILE);
        hood([Some("a"), Some("é"), Some("c")]).save(folder.path(), &labels()).unwrap();
        let other = ["good".to_owned(), "bad".to_owned()];
        let refused = |labels: &[String], width| {
            let error = Neighbourhood::open(folder.path(), labels, width).unwrap_err();
            assert!(error.hint().is_some() && error.to_string().contains(NEIGHBOURS_FILE), "{error}");
            error.to_string()
        };
        assert!(refused(&other, 2).contains("bad, good"));
        assert!(refused(&labels(), 3).contains("should be F32 [3] and is F32 [2]"));
        let whole = std::fs::read(&path).unwrap();
        let place = |part: &[u8]| whole.windows(part.len()).position(|found| found == part).expect("it is there");
        let replaced = |from: &str, to: &str| {
            let at = place(from.as_bytes());
            [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
        };
        let lies = [
            (whole[..whole.len() - 1].to_vec(), ""),
            (replaced("neighbours", "neighboors"), "has no note"),
            (replaced("interpolation", "extrapolation"), "missing field"),
            (replaced("\\\"share\\\":0.0", "\\\"share\\\":1.5"), "no such interpolation"),
            (replaced("\"text_ends\"", "\"text_enda\""), "`text_ends` is missing"),
            (replaced("\"classes\"", "\"clazzes\""), "`classes` is missing"),
            (replaced("\"BOOL\"", "\"I8\"  "), "should be BOOL"),
        ];
        for (bytes, told) in lies {
            std::fs::write(&path, bytes).unwrap();
            assert!(refused(&labels(), 2).contains(told), "{told}: {}", refused(&labels(), 2));
        }
        // The second text ends within a letter, or before the first.
        let ends: Vec<u8> = [1_u64, 3, 4].iter().flat_map(|end| end.to_le_bytes()).collect();
        let at = place(&ends);
        for wrong in [2_u64, 0, u64::MAX] {
            let mut bytes = whole.clone();
            bytes[at + 8..at + 16].copy_from_slice(&wrong.to_le_bytes());
            std::fs::write(&path, bytes).unwrap();
            assert!(refused(&labels(), 2).contains("`text_ends`"));
        }
        let number = place(&hood([None; 3]).centre[0].to_le_bytes());
        let mut bytes = whole.clone();
        bytes[number..number + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        assert!(refused(&labels(), 2).contains("no numbers"));
    }
}
