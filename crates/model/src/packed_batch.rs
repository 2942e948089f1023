//! Sequences laid end to end, never padded.

/// A batch for the transformer: N tokens of S sequences, one after the other, which are T texts. A text is one sequence,
/// or several in a row where it is longer than the model can read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PackedBatch {
    /// N token ids.
    pub ids: Vec<u32>,
    /// N rows of the position embedding.
    pub positions: Vec<u32>,
    /// N token types, all 0.
    pub types: Vec<u32>,
    /// S + 1 offsets: sequence `s` is the tokens `starts[s]..starts[s + 1]`.
    pub starts: Vec<u32>,
    /// The offsets 0, 1, …, S of S sequences of one token each.
    pub ones: Vec<u32>,
    /// T + 1 offsets: text `t` is the sequences `texts[t]..texts[t + 1]`. Empty where each text is one sequence.
    pub texts: Vec<u32>,
    /// `[T, M]`: the numbers of each text that the head reads beside it, row by row. Packing clears them.
    pub features: Vec<f32>,
    /// A + 1 offsets for a language model, 0 and the places behind the A tokens whose next token is asked for. Packing
    /// clears them.
    pub asked: Vec<u32>,
    /// How many tokens of its one sequence a batch of one token continues, whose keys and values a workspace has kept.
    /// Packing sets it to 0.
    pub past: usize,
    /// The offsets 0 and `past + 1` of the sequence that such a batch continues.
    pub context: [u32; 2],
}

impl PackedBatch {
    /// Packs texts of one sequence each; the first position of each is `position_offset`.
    ///
    /// # Panics
    /// When a sequence is empty: pooling has nothing to take from it.
    pub fn pack<'a>(sequences: impl IntoIterator<Item = &'a [u32]>, position_offset: usize) -> Self {
        let mut batch = Self::default();
        batch.repack(sequences, position_offset);
        batch
    }

    /// Like [`PackedBatch::pack`], into the memory of this batch.
    ///
    /// # Panics
    /// When a sequence is empty.
    pub fn repack<'a>(&mut self, sequences: impl IntoIterator<Item = &'a [u32]>, position_offset: usize) {
        self.repack_texts(sequences.into_iter().map(std::iter::once), position_offset);
    }

    /// Packs texts of one sequence or more, into the memory of this batch.
    ///
    /// # Panics
    /// When a sequence is empty, or a text has none.
    pub fn repack_texts<'a, T>(&mut self, texts: impl IntoIterator<Item = T>, position_offset: usize)
    where
        T: IntoIterator<Item = &'a [u32]>,
    {
        for offsets in [&mut self.starts, &mut self.texts] {
            offsets.clear();
            offsets.push(0);
        }
        self.ids.clear();
        self.positions.clear();
        self.features.clear();
        self.asked.clear();
        self.past = 0;
        for text in texts {
            let before = self.sequences();
            text.into_iter().for_each(|sequence| self.append(sequence, position_offset as u32));
            assert!(self.sequences() > before, "a text without a sequence cannot be packed");
            self.texts.push(self.sequences() as u32);
        }
        if self.texts.len() == self.starts.len() {
            self.texts.clear();
        }
        self.ones.clear();
        self.ones.extend(0..self.starts.len() as u32);
        self.types.clear();
        self.types.resize(self.ids.len(), 0);
    }

    fn append(&mut self, sequence: &[u32], position_offset: u32) {
        assert!(!sequence.is_empty(), "an empty sequence cannot be packed");
        self.ids.extend_from_slice(sequence);
        self.positions.extend(position_offset..position_offset + sequence.len() as u32);
        self.starts.push(self.ids.len() as u32);
    }

    /// Its sequences as one text, so many times one after the other.
    pub(crate) fn repeated(&self, times: usize) -> Self {
        let sequence = |s: usize| &self.ids[self.starts[s] as usize..self.starts[s + 1] as usize];
        let mut batch = Self::default();
        let texts = (0..times).map(|_| (0..self.sequences()).map(sequence));
        batch.repack_texts(texts, self.positions[0] as usize);
        batch.features = self.features.repeat(times);
        batch
    }

    /// One token that continues a sequence of `past` tokens, and is asked about: a pass of a workspace that has kept the
    /// others' keys and values ([`crate::Workspace::for_generation`]).
    pub fn repack_next(&mut self, id: u32, past: usize, position_offset: usize) {
        self.repack([&[id][..]], position_offset + past);
        self.ask([0]);
        self.past = past;
        self.context = [0, past as u32 + 1];
    }

    /// Asks what follows these tokens, counted over all sequences of the batch.
    ///
    /// # Panics
    /// When they do not ascend, or one is not in the batch.
    pub fn ask(&mut self, tokens: impl IntoIterator<Item = u32>) {
        self.asked.clear();
        self.asked.push(0);
        for token in tokens {
            let before = self.asked[self.asked.len() - 1];
            assert!(token >= before && (token as usize) < self.tokens(), "token {token} asked for after {before}");
            self.asked.push(token + 1);
        }
    }

    /// Rows of logits that a head gives: one for each token that is asked about, or for each text.
    pub fn answers(&self) -> usize {
        if self.asked.is_empty() { self.texts() } else { self.asked.len() - 1 }
    }

    /// Number of tokens N.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Number of sequences S.
    pub fn sequences(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Number of texts T.
    pub fn texts(&self) -> usize {
        if self.texts.is_empty() { self.sequences() } else { self.texts.len() - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_lie_end_to_end_and_positions_start_anew() {
        let batch = PackedBatch::pack([&[5, 6, 7][..], &[8][..]], 2);
        assert_eq!(batch.ids, [5, 6, 7, 8]);
        assert_eq!(batch.positions, [2, 3, 4, 2]);
        assert_eq!(batch.starts, [0, 3, 4]);
        assert_eq!(batch.ones, [0, 1, 2]);
        assert_eq!((batch.tokens(), batch.sequences(), batch.texts()), (4, 2, 2));
    }

    #[test]
    fn tokens_that_are_asked_about_give_the_rows() {
        let mut batch = PackedBatch::pack([&[5, 6, 7][..], &[8][..]], 0);
        batch.ask([1, 3]);
        assert_eq!((&batch.asked[..], batch.answers()), (&[0, 2, 4][..], 2));
        batch.repack([&[5, 6][..]], 0);
        assert_eq!(batch.answers(), 1);
    }

    #[test]
    fn only_texts_of_several_sequences_need_offsets() {
        let texts: [&[&[u32]]; 2] = [&[&[5, 6], &[7]], &[&[8]]];
        let mut batch = PackedBatch::default();
        batch.repack_texts(texts.iter().map(|text| text.iter().copied()), 0);
        assert_eq!((&batch.starts[..], &batch.texts[..]), (&[0, 2, 3, 4][..], &[0, 2, 3][..]));
        assert_eq!((batch.sequences(), batch.texts()), (3, 2));
        batch.repack([&[5, 6][..], &[7][..]], 0);
        assert_eq!((batch.texts.len(), batch.texts()), (0, 2));
    }
}
