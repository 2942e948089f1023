//! The rows that are asked for.
//!
//! A head that takes one token of each sequence reads S of the last block's N rows, so only these are computed: the
//! block's attention still looks at all tokens, but for S queries, and what comes after it has S rows. The hidden states
//! are then packed sequences of one token each, and nothing behind the block has to know.

use finetone_backend::{Backend, PoolShape, Pooling, Queries};

use crate::config::{HeadPooling, ModelConfig};
use crate::transformer::Pass;

/// Whose hidden states the head of this configuration reads.
pub(crate) fn asked_by_head(config: &ModelConfig) -> Queries {
    if config.language.is_some() {
        return Queries::All;
    }
    match config.head.pooling {
        HeadPooling::First => Queries::First,
        HeadPooling::Last => Queries::Last,
        HeadPooling::Mean | HeadPooling::Attention { .. } => Queries::All,
    }
}

impl<'a, B: Backend> Pass<'a, B> {
    /// The same pass where these hidden states are asked for.
    pub(crate) fn asking(&self, asked: Queries) -> Self {
        let Self { backend, table, parameters, batch, dropout, .. } = *self;
        Self { backend, table, parameters, batch, dropout, asked }
    }

    /// Number of rows asked for: N or S.
    pub(crate) fn rows(&self) -> usize {
        match self.asked {
            Queries::All => self.batch.tokens(),
            Queries::First | Queries::Last => self.batch.sequences(),
        }
    }

    /// The starts of the packed sequences that the rows asked for are.
    pub(crate) fn starts(&self) -> &'a [u32] {
        match self.asked {
            Queries::All => &self.batch.starts,
            Queries::First | Queries::Last => &self.batch.ones,
        }
    }

    /// How the rows asked for are taken from those of all tokens, if not all are.
    fn taken(&self, width: usize) -> Option<(Pooling, PoolShape<'a>)> {
        let shape = PoolShape { starts: &self.batch.starts, width };
        match self.asked {
            Queries::All => None,
            Queries::First => Some((Pooling::First, shape)),
            Queries::Last => Some((Pooling::Last, shape)),
        }
    }

    /// Of `x[N, width]` the rows asked for: `x` itself, or what is gathered in `rows[S, width]`.
    pub(crate) fn take<'b>(&self, rows: &'b mut B::Buffer, x: &'b B::Buffer, width: usize) -> &'b B::Buffer {
        let Some((pooling, shape)) = self.taken(width) else { return x };
        self.backend.pool_forward(rows, x, pooling, shape);
        rows
    }

    /// `dx[N, width] += drows` at the rows asked for; `spread[N, width]` is scratch.
    pub(crate) fn add_taken(&self, dx: &mut B::Buffer, spread: &mut B::Buffer, drows: &B::Buffer, width: usize) {
        let len = self.batch.tokens() * width;
        match self.taken(width) {
            None => self.backend.add(dx, drows, len),
            Some((pooling, shape)) => {
                self.backend.pool_backward(spread, drows, pooling, shape);
                self.backend.add(dx, spread, len);
            }
        }
    }
}
