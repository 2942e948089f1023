//! Encoded texts on their way into a batch.

use finetone_backend::Backend;
use finetone_data::tokenizer::Limit;
use finetone_model::{PackedBatch, Workspace};

use crate::States;

/// Texts as a model reads them.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a, T> {
    /// Token ids of each text.
    pub ids: &'a [T],
    /// How they were cut, which says what sequences a text is.
    pub limit: Limit,
    /// Numbers beside each text that the model reads as well, row-major; empty where it reads none.
    pub features: &'a [f32],
    /// What the first blocks of the model give for them, where that was computed before.
    pub states: Option<&'a States>,
}

impl<T: AsRef<[u32]>> Encoded<'_, T> {
    /// Tokens and sequences of each text.
    pub fn sizes(&self) -> impl Iterator<Item = (usize, usize)> {
        self.ids.iter().map(|ids| (ids.as_ref().len(), self.limit.sequences(ids.as_ref()).len()))
    }

    /// Tokens of each text, all its sequences together.
    pub fn lengths(&self) -> Vec<usize> {
        self.sizes().map(|(tokens, _)| tokens).collect()
    }

    /// The most tokens and the most sequences of any of these groups of texts.
    pub fn largest(&self, groups: &[Vec<usize>]) -> (usize, usize) {
        let sizes: Vec<_> = self.sizes().collect();
        groups.iter().fold((0, 0), |largest, group| {
            let sum = |of: fn(&(usize, usize)) -> usize| group.iter().map(|&text| of(&sizes[text])).sum::<usize>();
            (largest.0.max(sum(|size| size.0)), largest.1.max(sum(|size| size.1)))
        })
    }

    /// The first block that runs over them.
    pub fn from_block(&self) -> usize {
        self.states.map_or(0, States::blocks)
    }

    /// Packs some of the texts.
    pub fn pack(&self, group: &[usize], position_offset: usize, batch: &mut PackedBatch) {
        batch.repack_texts(group.iter().map(|&text| self.limit.sequences(self.ids[text].as_ref())), position_offset);
        let width = self.features.len() / self.ids.len();
        group.iter().for_each(|&text| batch.features.extend_from_slice(&self.features[text * width..][..width]));
    }

    /// Gives the workspace the hidden states of these texts, where a pass begins with such.
    pub fn give_states<B: Backend>(&self, backend: &B, group: &[usize], workspace: &mut Workspace<B>) {
        if let Some(states) = self.states {
            workspace.give_states(backend, |values| group.iter().for_each(|&text| states.append(text, values)));
        }
    }
}
