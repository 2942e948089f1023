//! Sequences laid end to end, never padded.

/// A batch for the transformer: N tokens of S sequences, one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
}

impl PackedBatch {
    /// Packs sequences; the first position of each is `position_offset`.
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
        self.ids.clear();
        self.positions.clear();
        self.starts.clear();
        self.starts.push(0);
        let offset = position_offset as u32;
        for sequence in sequences {
            assert!(!sequence.is_empty(), "an empty sequence cannot be packed");
            self.ids.extend_from_slice(sequence);
            self.positions.extend(offset..offset + sequence.len() as u32);
            self.starts.push(self.ids.len() as u32);
        }
        self.ones.clear();
        self.ones.extend(0..self.starts.len() as u32);
        self.types.clear();
        self.types.resize(self.ids.len(), 0);
    }

    /// Number of tokens N.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Number of sequences S.
    pub fn sequences(&self) -> usize {
        self.starts.len().saturating_sub(1)
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
        assert_eq!((batch.tokens(), batch.sequences()), (4, 2));
    }
}
