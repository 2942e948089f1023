//! A folder of `tests/golden`: a tiny checkpoint of transformers and what PyTorch says about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use finetone_backend::{Loss, Targets};
use finetone_model::checkpoint::NamedTensor;
use safetensors::{Dtype, SafeTensors};

/// The folder of a case.
pub fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name)
}

/// The models with a head.
pub const CLASSIFIERS: [&str; 14] = [
    "gpt2",
    "gpt2-inner",
    "bert",
    "bert-binary",
    "bert-multilabel",
    "distilbert",
    "roberta",
    "xlm-roberta",
    "roberta-bertweet-like",
    "llama",
    "llama-biased",
    "mistral",
    "qwen2",
    "qwen3",
];

/// The tensors of one file by name, with their shapes.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

/// Reads all tensors of a safetensors file; every number of the golden files is exact in `f64`.
pub fn tensors(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.iter()
        .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), numbers(view.dtype(), view.data()))))
        .collect()
}

fn numbers(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F32 => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect(),
        Dtype::F64 => bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        Dtype::I64 => bytes.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
        other => panic!("no golden file holds {other:?}"),
    }
}

/// What the sequences should be called.
pub enum Labels {
    Classes(Vec<u32>),
    Binary(Vec<f32>),
}

impl Labels {
    pub fn targets(&self) -> Targets<'_> {
        match self {
            Self::Classes(classes) => Targets::Classes(classes),
            Self::Binary(answers) => Targets::Binary(answers),
        }
    }

    /// What the mean divides by: the sequences, or all answers.
    pub fn count(&self) -> usize {
        match self {
            Self::Classes(classes) => classes.len(),
            Self::Binary(answers) => answers.len(),
        }
    }
}

/// What PyTorch says about one model.
pub struct Case {
    pub name: &'static str,
    pub sequences: Vec<Vec<u32>>,
    answers: Tensors,
}

impl Case {
    pub fn read(name: &'static str) -> Self {
        let answers = tensors(&folder(name).join("golden.safetensors"));
        let starts = answers["starts"].1.windows(2).map(|pair| pair[0] as usize..pair[1] as usize);
        let ids: Vec<u32> = answers["ids"].1.iter().map(|&id| id as u32).collect();
        let sequences = starts.map(|range| ids[range].to_vec()).collect();
        Self { name, sequences, answers }
    }

    /// A tensor of the answers.
    pub fn answer(&self, name: &str) -> &[f64] {
        &self.answers[name].1
    }

    pub fn labels(&self) -> Labels {
        let (shape, values) = &self.answers["labels"];
        match shape.len() {
            1 => Labels::Classes(values.iter().map(|&class| class as u32).collect()),
            _ => Labels::Binary(values.iter().map(|&answer| answer as f32).collect()),
        }
    }

    /// The mean loss over the sequences, or over all their answers.
    pub fn loss(&self) -> Loss {
        let classes = self.answers["logits"].0[1];
        let normaliser = self.labels().count() as f64;
        Loss { classes, smoothing: 0.0, class_weights: None, focal_gamma: 0.0, normaliser }
    }

    /// Holds tensors under Hugging Face's names against all of `kind` (`grad` or `final`), neither more nor fewer.
    pub fn compare_all(&self, kind: &str, ours: &[NamedTensor], mut compare: impl FnMut(&str, &[f64], &[f64])) {
        let prefix = format!("{kind}.");
        let theirs: Vec<&str> = self.answers.keys().filter_map(|name| name.strip_prefix(&prefix)).collect();
        let mut names: Vec<&str> = ours.iter().map(|tensor| tensor.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, theirs, "{}: the parameters", self.name);
        for tensor in ours {
            let (shape, expected) = &self.answers[&format!("{prefix}{}", tensor.name)];
            assert_eq!(&tensor.shape, shape, "{}: {}", self.name, tensor.name);
            let values: Vec<f64> = tensor.values.iter().map(|&value| f64::from(value)).collect();
            compare(&tensor.name, &values, expected);
        }
    }
}
