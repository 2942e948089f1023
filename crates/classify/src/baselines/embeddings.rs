//! Vectors of a pretrained model that stays as it is.
//!
//! A text's vector is the mean of its tokens' hidden states (Reimers and Gurevych 2019, <https://arxiv.org/abs/1908.10084>),
//! or what the folder of a sentence-transformers model says. Each of its D numbers is brought to mean 0 and deviation
//! `1 / √D` over the first texts it sees, the training texts: a direction that all texts share, as most language models have
//! one, then does not drown the others, and a vector is about as long as a row of words is, so that the same strengths of
//! regularisation suit both.

use std::path::Path;

use finetone_backend::{Backend, PoolShape, Pooling, Real};
use finetone_data::batching::inference_batches;
use finetone_data::tokenizer::Tokenizer;
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, PackedBatch, Workspace};
use serde::Deserialize;

use super::Pretrained;
use super::linear::Featurise;
use super::matrix::Matrix;
use crate::probabilities::MAX_TEXTS;
use crate::{ClassifyError, TextLimit, check_vocabulary};

/// A model with its tokenizer, and how its vectors are scaled.
pub(super) struct FrozenEmbeddings<B: Backend> {
    backend: B,
    model: Model<B>,
    tokenizer: Tokenizer,
    limit: TextLimit,
    pooling: Pooling,
    token_budget: usize,
    scale: Option<Scale>,
}

/// Mean and factor of each number of a vector.
struct Scale {
    means: Vec<f64>,
    factors: Vec<f64>,
}

impl<B: Backend> FrozenEmbeddings<B> {
    /// Opens a folder. Its head, if it has one, is not used.
    pub(super) fn open(pretrained: &Pretrained<'_, B>) -> Result<Self, ClassifyError> {
        let Pretrained { backend, folder, limit, token_budget } = *pretrained;
        let source = ModelFolder::open(folder)?;
        let tokenizer = Tokenizer::from_folder(folder)?;
        check_vocabulary(folder, &tokenizer, source.config())?;
        let (model, _) = source.load(backend, source.config().clone(), HeadImport::FreshWhereMissing(0))?;
        let limit = limit(&tokenizer, model.config.max_tokens());
        let pooling = pooling(folder)?;
        Ok(Self { backend: backend.clone(), model, tokenizer, limit, pooling, token_budget, scale: None })
    }

    /// What the vectors are, in a few words.
    pub(super) fn detail(&self) -> String {
        let pooling = match self.pooling {
            Pooling::First => "the first token",
            Pooling::Last => "the last token",
            Pooling::Mean => "the mean of all tokens",
        };
        format!("{} numbers, {pooling}", self.model.config.hidden_size)
    }

    /// Vectors `[n, D]` of the texts, and how many of these were cut. A text in windows has the mean of their vectors.
    fn embed(&self, texts: &[&str]) -> Result<(Vec<f64>, usize), ClassifyError> {
        let encodings = self.tokenizer.encode_batch(texts, &self.limit);
        let truncated = encodings.iter().filter(|encoding| encoding.truncated).count();
        let windows: Vec<_> = encodings.iter().map(|encoding| self.limit.sequences(&encoding.ids)).collect();
        let counts: Vec<usize> = windows.iter().map(ExactSizeIterator::len).collect();
        let sequences: Vec<&[u32]> = windows.into_iter().flatten().collect();
        let width = self.model.config.hidden_size;
        let vectors = self.pooled(&sequences);
        self.backend.synchronize()?;
        let (mut all, mut rest) = (Vec::with_capacity(texts.len() * width), vectors.as_slice());
        for count in counts {
            let (own, others) = rest.split_at(count * width);
            let mean = |column| own.iter().skip(column).step_by(width).sum::<f64>() / count as f64;
            all.extend((0..width).map(mean));
            rest = others;
        }
        Ok((all, truncated))
    }

    /// The pooled hidden states `[S, D]` of sequences, whatever their number.
    fn pooled(&self, sequences: &[&[u32]]) -> Vec<f64> {
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        let width = self.model.config.hidden_size;
        let tokens = self.token_budget.max(lengths.iter().copied().max().unwrap_or(1));
        let most = tokens.min(MAX_TEXTS);
        let mut workspace = Workspace::for_hidden_states(&self.backend, &self.model.config, (tokens, most));
        let (mut pooled, mut values) = (self.backend.zeros(most * width), vec![B::Real::default(); most * width]);
        let (mut batch, mut all) = (PackedBatch::default(), vec![0.0; sequences.len() * width]);
        for group in inference_batches(&lengths, self.token_budget) {
            for part in group.chunks(MAX_TEXTS) {
                batch.repack(part.iter().map(|&i| sequences[i]), self.model.config.position_offset);
                self.model.transformer.forward(&self.model.pass(&self.backend, &batch, None), &mut workspace);
                let shape = PoolShape { starts: &batch.starts, width };
                self.backend.pool_forward(&mut pooled, workspace.hidden(), self.pooling, shape);
                let values = &mut values[..part.len() * width];
                self.backend.read(values, &pooled, 0..part.len() * width);
                for (&sequence, vector) in part.iter().zip(values.chunks_exact(width)) {
                    let row = &mut all[sequence * width..(sequence + 1) * width];
                    row.iter_mut().zip(vector).for_each(|(to, from)| *to = from.to_f64());
                }
            }
        }
        all
    }
}

impl Scale {
    fn of(vectors: &[f64], width: usize) -> Self {
        let n = (vectors.len() / width) as f64;
        let column = |column: usize| vectors.iter().skip(column).step_by(width);
        let means: Vec<f64> = (0..width).map(|c| column(c).sum::<f64>() / n).collect();
        let factor = |c: usize| {
            let variance = column(c).map(|value| (value - means[c]).powi(2)).sum::<f64>() / n;
            // A number that is the same for all texts says nothing.
            if variance > 0.0 { 1.0 / (variance * width as f64).sqrt() } else { 0.0 }
        };
        let factors = (0..width).map(factor).collect();
        Self { means, factors }
    }

    fn apply(&self, vectors: &mut [f64]) {
        for vector in vectors.chunks_exact_mut(self.means.len()) {
            for ((value, mean), factor) in vector.iter_mut().zip(&self.means).zip(&self.factors) {
                *value = (*value - mean) * factor;
            }
        }
    }
}

impl<B: Backend> Featurise for FrozenEmbeddings<B> {
    fn features(&mut self, texts: &[&str]) -> Result<(Matrix, usize), ClassifyError> {
        let width = self.model.config.hidden_size;
        let (mut values, truncated) = self.embed(texts)?;
        self.scale.get_or_insert_with(|| Scale::of(&values, width)).apply(&mut values);
        Ok((Matrix::Dense { width, values }, truncated))
    }
}

/// What `1_Pooling/config.json` of a sentence-transformers folder says. Ways to pool that are not computed here are left to the
/// mean.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingFile {
    pooling_mode_cls_token: bool,
    pooling_mode_lasttoken: bool,
}

fn pooling(folder: &Path) -> Result<Pooling, ClassifyError> {
    let path = folder.join("1_Pooling").join("config.json");
    let Ok(text) = std::fs::read(&path) else { return Ok(Pooling::Mean) };
    let file: PoolingFile =
        serde_json::from_slice(&text).map_err(|error| ClassifyError::Pooling { path, problem: error.to_string() })?;
    Ok(match (file.pooling_mode_cls_token, file.pooling_mode_lasttoken) {
        (true, _) => Pooling::First,
        (_, true) => Pooling::Last,
        _ => Pooling::Mean,
    })
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;
    use finetone_data::tokenizer::Keep;

    use super::*;

    const TEXTS: [&str; 4] = ["the net in the tent", "nine", "a tin tea hen at ten in the heat at ten", "neat ant"];

    /// The tiny BERT of the golden files with a tokenizer of few words, which fits it.
    fn folder() -> tempfile::TempDir {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/bert");
        let folder = tempfile::tempdir().unwrap();
        for file in ["config.json", "model.safetensors"] {
            std::fs::copy(golden.join(file), folder.path().join(file)).unwrap();
        }
        let words = "[PAD] [UNK] [CLS] [SEP] [MASK] the net in tent nine a tin tea hen at ten heat neat";
        std::fs::write(folder.path().join("vocab.txt"), words.replace(' ', "\n")).unwrap();
        folder
    }

    fn open(folder: &Path, token_budget: usize) -> Result<FrozenEmbeddings<Reference<f64>>, ClassifyError> {
        let backend = Reference::new();
        FrozenEmbeddings::open(&Pretrained {
            backend: &backend,
            folder,
            limit: &|_, _| TextLimit::head(8),
            token_budget,
        })
    }

    #[test]
    fn a_vector_is_the_mean_of_the_hidden_states_whatever_the_batch() {
        let folder = folder();
        let frozen = open(folder.path(), 1_000).unwrap();
        let width = frozen.model.config.hidden_size;
        let (all, truncated) = frozen.embed(&TEXTS).unwrap();
        assert_eq!(
            truncated,
            TEXTS.iter().filter(|text| frozen.tokenizer.encode(text, &frozen.limit).truncated).count()
        );
        for (text, vector) in TEXTS.iter().zip(all.chunks_exact(width)) {
            let ids = frozen.tokenizer.encode(text, &frozen.limit).ids;
            let batch = PackedBatch::pack([ids.as_slice()], frozen.model.config.position_offset);
            let mut workspace = Workspace::for_hidden_states(&frozen.backend, &frozen.model.config, (ids.len(), 1));
            frozen.model.transformer.forward(&frozen.model.pass(&frozen.backend, &batch, None), &mut workspace);
            let mut hidden = vec![0.0; ids.len() * width];
            frozen.backend.read(&mut hidden, workspace.hidden(), 0..ids.len() * width);
            for (column, value) in vector.iter().enumerate() {
                let mean = hidden.iter().skip(column).step_by(width).sum::<f64>() / ids.len() as f64;
                assert!((mean - value).abs() < 1e-12, "{text}: {mean} {value}");
            }
        }
        assert_eq!(open(folder.path(), 1).unwrap().embed(&TEXTS).unwrap().0, all);
    }

    #[test]
    fn a_text_in_windows_is_the_mean_of_them() {
        let folder = folder();
        let mut frozen = open(folder.path(), 100).unwrap();
        frozen.limit = TextLimit { max_tokens: 5, keep: Keep::Windows { overlap: 0 } };
        let width = frozen.model.config.hidden_size;
        let (whole, truncated) = frozen.embed(&["the net in the tent at"]).unwrap();
        let (parts, _) = frozen.embed(&["the net in", "the tent at"]).unwrap();
        assert_eq!(truncated, 0);
        for column in 0..width {
            assert!((whole[column] - (parts[column] + parts[width + column]) / 2.0).abs() < 1e-12);
        }
    }

    #[test]
    fn vectors_are_scaled_by_the_first_texts_alone() {
        let folder = folder();
        let mut frozen = open(folder.path(), 100).unwrap();
        let width = frozen.model.config.hidden_size;
        let (Matrix::Dense { values, .. }, _) = frozen.features(&TEXTS).unwrap() else { panic!("not dense") };
        for column in 0..width {
            let column: Vec<f64> = values.iter().skip(column).step_by(width).copied().collect();
            let (sum, squares) = (column.iter().sum::<f64>(), column.iter().map(|v| v * v).sum::<f64>());
            assert!(sum.abs() < 1e-9 && (squares - 4.0 / width as f64).abs() < 1e-9, "{sum} {squares}");
        }
        let (Matrix::Dense { values: alone, .. }, _) = frozen.features(&TEXTS[1..2]).unwrap() else {
            panic!("not dense")
        };
        assert_eq!(alone, values[width..2 * width]);
    }

    #[test]
    fn the_folder_says_how_to_pool() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(pooling(folder.path()).unwrap(), Pooling::Mean);
        std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        let say = |text: &str| {
            std::fs::write(folder.path().join("1_Pooling/config.json"), text).unwrap();
            pooling(folder.path())
        };
        assert_eq!(say(r#"{"pooling_mode_cls_token": true}"#).unwrap(), Pooling::First);
        assert_eq!(say(r#"{"pooling_mode_lasttoken": true}"#).unwrap(), Pooling::Last);
        assert_eq!(say(r#"{"pooling_mode_mean_tokens": true, "word_embedding_dimension": 8}"#).unwrap(), Pooling::Mean);
        let error = say("{").unwrap_err();
        assert!(error.to_string().contains("1_Pooling") && error.hint().is_some(), "{error}");
    }
}
