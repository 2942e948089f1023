//! The tensors of a folder: one safetensors file, or shards with an index. The files are hostile until proven right.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use crate::error::ModelError;

/// The tensors of a folder, mapped into memory and read on demand.
pub struct Tensors {
    folder: PathBuf,
    files: Vec<Shard>,
    /// Tensor to the number of its file.
    index: HashMap<String, usize>,
}

struct Shard {
    path: PathBuf,
    map: Mmap,
}

impl Tensors {
    /// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names, and checks their headers.
    ///
    /// # Errors
    /// No safetensors file, a header that lies, a shard that is missing.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let single = folder.join("model.safetensors");
        let index = folder.join("model.safetensors.index.json");
        let paths = if single.exists() {
            vec![single]
        } else if index.exists() {
            shard_paths(folder, &index)?
        } else {
            return Err(no_weights(folder));
        };
        Self::of_files(folder, paths)
    }

    /// Opens one file.
    ///
    /// # Errors
    /// No such file, a header that lies.
    pub fn open_file(path: PathBuf) -> Result<Self, ModelError> {
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        Self::of_files(&folder, vec![path])
    }

    fn of_files(folder: &Path, paths: Vec<PathBuf>) -> Result<Self, ModelError> {
        let files = paths.into_iter().map(Shard::open).collect::<Result<Vec<_>, _>>()?;
        let mut index = HashMap::new();
        for (number, file) in files.iter().enumerate() {
            for name in file.parse()?.names() {
                index.insert(name.to_owned(), number);
            }
        }
        Ok(Self { folder: folder.to_owned(), files, index })
    }

    /// All names, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.index.contains_key(name)
    }

    /// The shape of a tensor, if it is there.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let file = &self.files[*self.index.get(name)?];
        Some(file.parse().ok()?.tensor(name).ok()?.shape().to_vec())
    }

    /// The numbers of a tensor of this shape, as `f32`.
    ///
    /// # Errors
    /// No such tensor, another shape, a type that is not floating-point.
    pub fn read(&self, name: &str, expected: &[usize]) -> Result<Vec<f32>, ModelError> {
        let missing = || ModelError::MissingTensor { path: self.folder.clone(), name: name.to_owned() };
        let file = &self.files[*self.index.get(name).ok_or_else(missing)?];
        let parsed = file.parse()?;
        let tensor = parsed.tensor(name).map_err(|_| missing())?;
        let (path, name) = (file.path.clone(), name.to_owned());
        if tensor.shape() != expected {
            let (found, expected) = (tensor.shape().to_vec(), expected.to_vec());
            return Err(ModelError::TensorShape { path, name, found, expected });
        }
        let data = tensor.data();
        // Tensors are not aligned within the file, so the bytes are copied out number by number.
        Ok(match tensor.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::F64 => data.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b) as f32).collect(),
            other => return Err(ModelError::TensorType { path, name, dtype: format!("{other:?}") }),
        })
    }
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self, ModelError> {
        let file = File::open(&path).map_err(ModelError::io(&path))?;
        // SAFETY: the map is only read. Another process that cuts the file short meanwhile would end this one with a bus
        // error, which no reader of mapped files can prevent; nothing in this project rewrites a checkpoint in place.
        #[expect(unsafe_code, reason = "a memory map of a checkpoint, the one there is")]
        let map = unsafe { Mmap::map(&file) }.map_err(ModelError::io(&path))?;
        let shard = Self { path, map };
        shard.parse()?;
        Ok(shard)
    }

    fn parse(&self) -> Result<SafeTensors<'_>, ModelError> {
        SafeTensors::deserialize(&self.map)
            .map_err(|error| ModelError::Safetensors { path: self.path.clone(), problem: error.to_string() })
    }
}

fn shard_paths(folder: &Path, index: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let damaged = |problem: &str| ModelError::config(index, problem, "download or export the folder again");
    let text = std::fs::read(index).map_err(ModelError::io(index))?;
    let parsed: Value = serde_json::from_slice(&text).map_err(|error| damaged(&format!("not JSON: {error}")))?;
    let map = parsed.get("weight_map").and_then(Value::as_object).ok_or_else(|| damaged("there is no `weight_map`"))?;
    let mut names: Vec<&str> = map.values().filter_map(Value::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| match Path::new(name).file_name() {
            // A shard lies in the folder itself: an index that points elsewhere is not followed.
            Some(file) if file == name => Ok(folder.join(name)),
            _ => Err(damaged(&format!("`weight_map` names `{name}`, which is not a file of this folder"))),
        })
        .collect()
}

fn no_weights(folder: &Path) -> ModelError {
    let pickles =
        ["pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack", "model.ckpt"];
    match pickles.into_iter().find(|name| folder.join(name).exists()) {
        Some(found) => ModelError::PickleOnly { folder: folder.to_owned(), found: found.to_owned() },
        None => ModelError::NoWeights { folder: folder.to_owned() },
    }
}
