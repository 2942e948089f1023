//! Encoded texts on their way into a batch.

use finetone_data::tokenizer::Limit;
use finetone_model::PackedBatch;

/// Texts as a model reads them.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a, T> {
    /// Token ids of each text.
    pub ids: &'a [T],
    /// How they were cut, which says what sequences a text is.
    pub limit: Limit,
}

impl<T: AsRef<[u32]>> Encoded<'_, T> {
    /// Tokens of each text, all its sequences together.
    pub fn lengths(&self) -> Vec<usize> {
        self.ids.iter().map(|ids| ids.as_ref().len()).collect()
    }

    /// Packs some of the texts.
    pub fn pack(&self, group: &[usize], position_offset: usize, batch: &mut PackedBatch) {
        batch.repack_texts(group.iter().map(|&text| self.limit.sequences(self.ids[text].as_ref())), position_offset);
    }
}
