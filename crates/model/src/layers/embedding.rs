//! `y = drop(norm(token[id] + position[p] + type[0]))`; the norm, the positions and the types only where the family has them

use finetone_backend::{Backend, EmbeddingShape};

use super::{Declare, Dropout, Norm};
use crate::config::{ModelConfig, Positions};
use crate::gradients::Gradients;
use crate::params::{Init, ParamId};
use crate::transformer::Pass;
use crate::workspace::Plan;

/// Token ids to vectors.
#[derive(Debug, Clone)]
pub struct Embedding {
    token: ParamId,
    position: Option<ParamId>,
    token_type: Option<ParamId>,
    norm: Option<Norm>,
    dropout: Dropout,
    width: usize,
}

/// What the embedding keeps for its backward.
pub struct EmbeddingSaved<B: Backend> {
    /// `[N, D]`, the sum of the tables' rows; the output where there is no norm.
    sum: B::Buffer,
    /// `[N, D]` and `[2 N]`, where there is a norm.
    normed: Option<(B::Buffer, B::Buffer)>,
}

impl<B: Backend> EmbeddingSaved<B> {
    pub(crate) fn new(plan: &Plan<'_, B>) -> Self {
        let hidden = || plan.zeros(plan.tokens * plan.config.hidden_size);
        let normed = plan.config.embedding_norm.then(|| (hidden(), plan.zeros(2 * plan.tokens)));
        Self { sum: hidden(), normed }
    }

    /// The embedding's output `[N, D]`.
    pub fn output(&self) -> &B::Buffer {
        self.normed.as_ref().map_or(&self.sum, |(normed, _)| normed)
    }
}

impl Embedding {
    pub(crate) fn declare(at: &mut Declare<'_>, config: &ModelConfig) -> Self {
        let d = config.hidden_size;
        let init = Init::Normal(config.initializer_range);
        Self {
            token: at.lookup("token", config.vocab_size, d, init),
            position: (config.positions == Positions::Learned)
                .then(|| at.lookup("position", config.max_position_embeddings, d, init)),
            token_type: (config.type_vocab_size > 0).then(|| at.lookup("type", config.type_vocab_size, d, init)),
            norm: config.embedding_norm.then(|| at.within("norm", |at| Norm::declare(at, config))),
            dropout: Dropout::declare(at, config.dropout.embedding),
            width: d,
        }
    }

    /// Writes the output, `saved.output()`.
    pub fn forward<B: Backend>(&self, pass: &Pass<'_, B>, saved: &mut EmbeddingSaved<B>) {
        let batch = pass.batch;
        let tokens = batch.tokens();
        let shape = EmbeddingShape { tokens, width: self.width };
        let mut terms = [(&batch.ids[..], pass.parameters.get(self.token)); 3];
        let mut count = 1;
        for (id, rows) in [(self.position, &batch.positions), (self.token_type, &batch.types)] {
            let Some(id) = id else { continue };
            terms[count] = (&rows[..], pass.parameters.get(id));
            count += 1;
        }
        pass.backend.embedding_forward(&mut saved.sum, &terms[..count], shape);
        let output = match (&self.norm, &mut saved.normed) {
            (Some(norm), Some((normed, stats))) => {
                norm.forward(pass, normed, stats, &saved.sum, tokens);
                normed
            }
            _ => &mut saved.sum,
        };
        self.dropout.apply(pass, output, tokens * self.width);
    }

    /// Accumulates the tables' gradients. `dy` is overwritten; `scratch` has `[N, D]` values.
    pub fn backward<B: Backend>(
        &self,
        pass: &Pass<'_, B>,
        grads: &mut Gradients<B>,
        scratch: &mut B::Buffer,
        dy: &mut B::Buffer,
        saved: &EmbeddingSaved<B>,
    ) {
        let batch = pass.batch;
        let tokens = batch.tokens();
        self.dropout.apply(pass, dy, tokens * self.width);
        let dsum = match (&self.norm, &saved.normed) {
            (Some(norm), Some((_, stats))) => {
                norm.backward(pass, scratch, grads, dy, (&saved.sum, stats), tokens);
                scratch
            }
            _ => dy,
        };
        let shape = EmbeddingShape { tokens, width: self.width };
        let tables =
            [(Some(self.token), &batch.ids), (self.position, &batch.positions), (self.token_type, &batch.types)];
        for (table, ids) in tables {
            let Some((id, span)) = table.and_then(|id| Some((id, pass.table.span(id)?))) else { continue };
            pass.backend.embedding_backward(&mut grads.buffer, span, dsum, ids, shape);
            grads.looked_up(id, ids);
        }
    }
}
