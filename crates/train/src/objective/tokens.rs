//! The loss of a language model: the next token, wherever the assistant speaks and is to be learnt from.

use finetone_backend::{Loss, Real, Targets};
use finetone_model::PackedBatch;

use super::Judgement;
use crate::material::Rows;

/// The loss of a language model, and the targets of its batches.
pub struct TokenObjective {
    loss: Loss,
    ids: Vec<u32>,
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

    /// How these logits `[A, V]` judge the tokens that [`Self::of`] was last given.
    pub fn judge<R: Real>(&self, logits: &[R]) -> Judgement {
        let rows = logits.chunks_exact(self.loss.classes).zip(&self.ids);
        rows.map(|(row, &id)| Judgement::of_class(row, id as usize)).sum()
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
