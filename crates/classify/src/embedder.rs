//! Vectors of texts: the pooled hidden states of a model that stays as it is.
//!
//! A text's vector is the mean of its tokens' hidden states (Reimers and Gurevych 2019, <https://arxiv.org/abs/1908.10084>),
//! or what the folder of a sentence-transformers model says.

use std::path::Path;
use std::sync::Arc;

use finetone_backend::{Backend, PoolShape, Pooling, Real};
use finetone_data::batching::inference_batches;
use finetone_model::checkpoint::HeadImport;
use finetone_model::{Model, PackedBatch, Workspace};
use serde::Deserialize;

use crate::probabilities::MAX_TEXTS;
use crate::transformer::Loaded;
use crate::{ClassifyError, Reading, TextReader};

/// A model with its tokenizer, whose head, if it has one, is not used.
pub struct Embedder<B: Backend> {
    backend: B,
    model: Model<B>,
    reader: Arc<TextReader>,
    pooling: Pooling,
    token_budget: usize,
}

impl<B: Backend> Embedder<B> {
    /// Opens a folder; batches have about `token_budget` tokens.
    ///
    /// # Errors
    /// A folder that lacks files, or whose parts do not fit together.
    pub fn open(backend: B, folder: &Path, token_budget: usize) -> Result<Self, ClassifyError> {
        let loaded = Loaded::open(&backend, folder, HeadImport::FreshWhereMissing(0))?;
        Self::from_folder(backend, folder, loaded, token_budget)
    }

    /// Puts together what was loaded from a folder, reading texts as the folder says.
    pub(crate) fn from_folder(
        backend: B,
        folder: &Path,
        loaded: Loaded<B>,
        token_budget: usize,
    ) -> Result<Self, ClassifyError> {
        let reader = TextReader::of(&loaded.model.config, loaded.tokenizer)?;
        Self::new((backend, loaded.model), reader, folder, token_budget)
    }

    /// Puts a model on its backend together with the way it reads texts; the folder says how to pool.
    pub(crate) fn new(
        (backend, model): (B, Model<B>),
        reader: TextReader,
        folder: &Path,
        token_budget: usize,
    ) -> Result<Self, ClassifyError> {
        Ok(Self { backend, model, reader: Arc::new(reader), pooling: pooling(folder)?, token_budget })
    }

    /// Numbers of a vector.
    pub fn width(&self) -> usize {
        self.model.config.hidden_size
    }

    /// What a vector is made of.
    pub fn pooling(&self) -> Pooling {
        self.pooling
    }

    /// How texts are read.
    pub fn reader(&self) -> &Arc<TextReader> {
        &self.reader
    }

    /// Vectors `[n, D]` of the texts. A text in windows has the mean of their vectors.
    ///
    /// # Errors
    /// A device that failed.
    pub fn vectors(&self, readings: &[Reading]) -> Result<Vec<f64>, ClassifyError> {
        let windows: Vec<_> = readings.iter().map(|reading| self.reader.limit().sequences(&reading.ids)).collect();
        let counts: Vec<usize> = windows.iter().map(ExactSizeIterator::len).collect();
        let sequences: Vec<&[u32]> = windows.into_iter().flatten().collect();
        let width = self.width();
        let vectors = self.pooled(&sequences);
        self.backend.synchronize()?;
        let (mut all, mut rest) = (Vec::with_capacity(readings.len() * width), vectors.as_slice());
        for count in counts {
            let (own, others) = rest.split_at(count * width);
            let mean = |column| own.iter().skip(column).step_by(width).sum::<f64>() / count as f64;
            all.extend((0..width).map(mean));
            rest = others;
        }
        Ok(all)
    }

    /// The pooled hidden states `[S, D]` of sequences, whatever their number.
    fn pooled(&self, sequences: &[&[u32]]) -> Vec<f64> {
        let lengths: Vec<usize> = sequences.iter().map(|ids| ids.len()).collect();
        let width = self.width();
        let groups = inference_batches(&lengths, self.token_budget);
        let parts: Vec<&[usize]> = groups.iter().flat_map(|group| group.chunks(MAX_TEXTS)).collect();
        let tokens = parts.iter().map(|part| part.iter().map(|&i| lengths[i]).sum()).max().unwrap_or(1);
        let most = parts.iter().map(|part| part.len()).max().unwrap_or(1);
        let mut workspace = Workspace::for_hidden_states(&self.backend, &self.model.config, (tokens, most));
        let (mut pooled, mut values) = (self.backend.zeros(most * width), vec![B::Real::default(); most * width]);
        let (mut batch, mut all) = (PackedBatch::default(), vec![0.0; sequences.len() * width]);
        for part in parts {
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
        all
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
    use crate::TextLimit;
    use crate::baselines::small_model::{TEXTS, folder};

    fn open(folder: &Path, limit: TextLimit, token_budget: usize) -> Embedder<Reference<f64>> {
        let backend = Reference::new();
        let loaded = Loaded::open(&backend, folder, HeadImport::FreshWhereMissing(0)).unwrap();
        let reader = TextReader::plain(loaded.tokenizer, limit);
        Embedder::new((backend, loaded.model), reader, folder, token_budget).unwrap()
    }

    fn embed(embedder: &Embedder<Reference<f64>>, texts: &[&str]) -> Vec<f64> {
        embedder.vectors(&embedder.reader.read_prepared(texts)).unwrap()
    }

    #[test]
    fn a_vector_is_the_mean_of_the_hidden_states_whatever_the_batch() {
        let folder = folder();
        let embedder = open(folder.path(), TextLimit::head(8), 1_000);
        let (width, model, backend) = (embedder.width(), &embedder.model, &embedder.backend);
        let all = embed(&embedder, &TEXTS);
        for (text, vector) in TEXTS.iter().zip(all.chunks_exact(width)) {
            let ids = embedder.reader.tokenizer().encode(text, &TextLimit::head(8)).ids;
            let batch = PackedBatch::pack([ids.as_slice()], model.config.position_offset);
            let mut workspace = Workspace::for_hidden_states(backend, &model.config, (ids.len(), 1));
            model.transformer.forward(&model.pass(backend, &batch, None), &mut workspace);
            let mut hidden = vec![0.0; ids.len() * width];
            backend.read(&mut hidden, workspace.hidden(), 0..ids.len() * width);
            for (column, value) in vector.iter().enumerate() {
                let mean = hidden.iter().skip(column).step_by(width).sum::<f64>() / ids.len() as f64;
                assert!((mean - value).abs() < 1e-12, "{text}: {mean} {value}");
            }
        }
        assert_eq!(embed(&open(folder.path(), TextLimit::head(8), 1), &TEXTS), all);
    }

    #[test]
    fn a_text_in_windows_is_the_mean_of_them() {
        let folder = folder();
        let limit = TextLimit { max_tokens: 5, keep: Keep::Windows { overlap: 0 } };
        let embedder = open(folder.path(), limit, 100);
        let width = embedder.width();
        let whole = embed(&embedder, &["the net in the tent at"]);
        let parts = embed(&embedder, &["the net in", "the tent at"]);
        for column in 0..width {
            assert!((whole[column] - (parts[column] + parts[width + column]) / 2.0).abs() < 1e-12);
        }
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
