//! The loss of a language model: the next token, wherever the assistant speaks and is to be learnt from.
//!
//! The metrics have the names and the meanings that TRL's trainer gives them
//! (<https://huggingface.co/docs/trl/sft_trainer>): means over the tokens that are learnt, of the share whose likeliest token is
//! the right one, and of the entropy of what the model expects.

use std::collections::BTreeMap;

use finetone_backend::{Loss, Real, Targets};
use finetone_model::PackedBatch;

use crate::material::Rows;

/// The loss of a language model, and the targets of its batches.
pub struct TokenObjective {
    loss: Loss,
    ids: Vec<u32>,
}

/// What was thought of some tokens, summed up.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TokenScores {
    /// How many there are.
    pub tokens: usize,
    /// Sum of `-ln p` of the right tokens.
    pub loss: f64,
    /// How many are the likeliest in their place.
    pub right: usize,
    /// Sum of the entropies, in nats.
    pub entropy: f64,
}

impl TokenScores {
    /// Both together.
    pub fn with(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            loss: self.loss + other.loss,
            right: self.right + other.right,
            entropy: self.entropy + other.entropy,
        }
    }

    /// Mean loss.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.tokens as f64
    }

    /// Share of the tokens that are the likeliest.
    pub fn mean_token_accuracy(&self) -> f64 {
        self.right as f64 / self.tokens as f64
    }

    /// Mean entropy.
    pub fn mean_entropy(&self) -> f64 {
        self.entropy / self.tokens as f64
    }

    /// The means by name, with something before it.
    pub fn metrics(&self, prefix: &str) -> BTreeMap<String, f64> {
        let means = [
            ("loss", self.mean_loss()),
            ("mean_token_accuracy", self.mean_token_accuracy()),
            ("entropy", self.mean_entropy()),
        ];
        means.into_iter().map(|(name, mean)| (format!("{prefix}{name}"), mean)).collect()
    }
}

impl TokenObjective {
    /// The loss over so many tokens of the vocabulary.
    pub fn new(vocabulary: usize) -> Self {
        let plain =
            Loss { classes: vocabulary, smoothing: 0.0, class_weights: None, focal_gamma: 0.0, normaliser: 1.0 };
        Self { loss: plain, ids: Vec::new() }
    }

    /// Loss and targets of a group of chats within a batch with so many tokens to learn.
    pub fn of(&mut self, rows: &Rows, group: &[usize], weight: f64) -> (&Loss, Targets<'_>) {
        self.loss.normaliser = weight;
        self.ids.clear();
        self.ids.extend(learnt_ids(rows, group));
        (&self.loss, Targets::Classes(&self.ids))
    }

    /// What logits `[A, V]` say about the tokens that [`Self::of`] was last given.
    pub fn scores<R: Real>(&self, logits: &[R]) -> TokenScores {
        let rows = logits.chunks_exact(self.loss.classes).zip(&self.ids);
        rows.fold(TokenScores::default(), |sum, (row, &id)| sum.with(score(row, id)))
    }
}

/// The tokens to learn of a group of chats, in order.
pub fn learnt_ids(rows: &Rows, group: &[usize]) -> impl Iterator<Item = u32> {
    group.iter().flat_map(move |&i| rows.learnt[i].iter().map(move |&place| rows.ids[i][place as usize]))
}

/// Asks for what follows each token before one that is learnt.
pub fn ask(rows: &Rows, group: &[usize], batch: &mut PackedBatch) {
    let starts: Vec<u32> = batch.starts.clone();
    let chats = group.iter().zip(starts);
    batch.ask(chats.flat_map(|(&i, start)| rows.learnt[i].iter().map(move |place| start + place - 1)));
}

/// What a row of logits says about the token that follows. With `Z = Σ exp(x)` and `p = exp(x) / Z` the entropy is
/// `ln Z - Σ p x`.
pub fn score<R: Real>(row: &[R], id: u32) -> TokenScores {
    let number = |x: &R| Real::to_f64(*x);
    let (likeliest, top) = row
        .iter()
        .map(number)
        .enumerate()
        .fold((0, f64::NEG_INFINITY), |best, (place, x)| if x > best.1 { (place, x) } else { best });
    let (mut sum, mut weighted) = (0.0, 0.0);
    for x in row {
        // Single precision is enough for a probability and several times as fast.
        let shifted = number(x) - top;
        let power = f64::from((shifted as f32).exp());
        sum += power;
        weighted += power * shifted;
    }
    let log_sum = sum.ln();
    TokenScores {
        tokens: 1,
        loss: log_sum - (number(&row[id as usize]) - top),
        right: usize::from(likeliest == id as usize),
        entropy: log_sum - weighted / sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_scored_by_hand() {
        // Probabilities 1/2, 1/4, 1/4, whatever is added to all logits.
        let row = [2f64.ln() + 300.0, 300.0, 300.0];
        let found = score(&row, 1);
        assert!((found.loss - 4f64.ln()).abs() < 1e-6 && (found.entropy - 1.5 * 2f64.ln()).abs() < 1e-6, "{found:?}");
        assert_eq!((found.tokens, found.right, score(&row, 0).right), (1, 0, 1));
        let sure = score(&[0.0f32, 1e6, 0.0], 1);
        assert_eq!((sure.loss, sure.entropy, sure.right), (0.0, 0.0, 1));
    }

    #[test]
    fn means_are_over_tokens() {
        let both = score(&[0.0f64, 0.0], 0).with(score(&[0.0f64, 0.0], 1));
        let metrics = both.metrics("eval_");
        assert!((metrics["eval_loss"] - 2f64.ln()).abs() < 1e-6 && (metrics["eval_entropy"] - 2f64.ln()).abs() < 1e-6);
        assert_eq!(metrics["eval_mean_token_accuracy"], 0.5);
    }
}
