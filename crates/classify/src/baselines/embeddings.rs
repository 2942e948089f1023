//! Vectors of a pretrained model that stays as it is, as numbers for a linear model.
//!
//! Each of the D numbers of a vector is brought to mean 0 and deviation `1 / √D` over the first texts it sees, the training
//! texts: a direction that all texts share, as most language models have one, then does not drown the others, and a vector is
//! about as long as a row of words is, so that the same strengths of regularisation suit both.

use finetone_backend::{Backend, Pooling};
use finetone_model::checkpoint::HeadImport;

use super::Pretrained;
use super::linear::Featurise;
use super::matrix::Matrix;
use crate::transformer::Loaded;
use crate::{ClassifyError, Embedder, TextReader};

/// A model's vectors, and how they are scaled.
pub(super) struct FrozenEmbeddings<B: Backend> {
    embedder: Embedder<B>,
    scale: Option<Scale>,
}

/// Mean and factor of each number of a vector.
pub(super) struct Scale {
    means: Vec<f64>,
    factors: Vec<f64>,
}

impl<B: Backend> FrozenEmbeddings<B> {
    /// Opens a folder. Its head, if it has one, is not used.
    pub(super) fn open(pretrained: &Pretrained<'_, B>) -> Result<Self, ClassifyError> {
        let Pretrained { backend, folder, limit, token_budget } = *pretrained;
        let Loaded { model, tokenizer, .. } = Loaded::open(backend, folder, HeadImport::FreshWhereMissing(0))?;
        let limit = limit(&tokenizer, model.config.max_tokens());
        let reader = TextReader::plain(tokenizer, limit);
        Ok(Self { embedder: Embedder::new((backend.clone(), model), reader, folder, token_budget)?, scale: None })
    }

    /// What the vectors are, in a few words.
    pub(super) fn detail(&self) -> String {
        let pooling = match self.embedder.pooling() {
            Pooling::First => "the first token",
            Pooling::Last => "the last token",
            Pooling::Mean => "the mean of all tokens",
        };
        format!("{} numbers, {pooling}", self.embedder.width())
    }
}

impl Scale {
    pub(super) fn of(vectors: &[f64], width: usize) -> Self {
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

    pub(super) fn apply(&self, vectors: &mut [f64]) {
        for vector in vectors.chunks_exact_mut(self.means.len()) {
            for ((value, mean), factor) in vector.iter_mut().zip(&self.means).zip(&self.factors) {
                *value = (*value - mean) * factor;
            }
        }
    }
}

impl<B: Backend> Featurise for FrozenEmbeddings<B> {
    fn features(&mut self, texts: &[&str]) -> Result<(Matrix, usize), ClassifyError> {
        let width = self.embedder.width();
        let readings = self.embedder.reader().read_prepared(texts);
        let truncated = readings.iter().filter(|reading| reading.truncated).count();
        let mut values = self.embedder.vectors(&readings)?;
        self.scale.get_or_insert_with(|| Scale::of(&values, width)).apply(&mut values);
        Ok((Matrix::Dense { width, values }, truncated))
    }
}

#[cfg(test)]
mod tests {
    use finetone_backend::Reference;

    use super::*;
    use crate::TextLimit;
    use crate::baselines::small_model::{TEXTS, folder};

    #[test]
    fn vectors_are_scaled_by_the_first_texts_alone() {
        let folder = folder();
        let limit = &|_: &_, _| TextLimit::head(8);
        let backend = Reference::<f64>::new();
        let pretrained = Pretrained { backend: &backend, folder: folder.path(), limit, token_budget: 100 };
        let mut frozen = FrozenEmbeddings::open(&pretrained).unwrap();
        let width = frozen.embedder.width();
        let (Matrix::Dense { values, .. }, cut) = frozen.features(&TEXTS).unwrap() else { panic!("not dense") };
        assert_eq!(cut, 1);
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
}
