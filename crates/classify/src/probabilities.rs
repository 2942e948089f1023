//! Token ids to probabilities, by a model and its workspace.

use finetone_backend::{Backend, Real};
use finetone_data::batching::inference_batches;
use finetone_model::{Capacity, Model, Output, PackedBatch, Workspace};

use crate::Encoded;

/// Tokens computed at a time where nothing asks for another number: so few that what one layer writes is still in a cache
/// when the next one reads it, and enough that weights are not read too often.
pub const TOKEN_BUDGET: usize = 1024;

/// Memory to run texts through a model: planned once, and anew only for a text that is longer than any before it.
pub struct Forward<B: Backend> {
    workspace: Workspace<B>,
    batch: PackedBatch,
    token_budget: usize,
    from_block: usize,
    groups: usize,
}

impl<B: Backend> Forward<B> {
    /// Memory for batches of `token_budget` tokens, and for single texts of up to `max_tokens`.
    pub fn new(backend: &B, model: &Model<B>, token_budget: usize, max_tokens: usize) -> Self {
        let tokens = token_budget.max(max_tokens);
        // A sequence has at least one token, so a batch never has more sequences than tokens; far fewer are the rule.
        let sequences = tokens.min(MAX_TEXTS);
        Self::planned(backend, model, token_budget, Capacity { tokens, sequences, from_block: 0 })
    }

    /// Memory for these texts, in batches of `token_budget` tokens.
    pub fn for_texts(
        backend: &B,
        model: &Model<B>,
        token_budget: usize,
        texts: &Encoded<'_, impl AsRef<[u32]>>,
    ) -> Self {
        let (tokens, sequences) = texts.largest(&batches(texts, token_budget));
        Self::planned(backend, model, token_budget, Capacity { tokens, sequences, from_block: texts.from_block() })
    }

    fn planned(backend: &B, model: &Model<B>, token_budget: usize, capacity: Capacity) -> Self {
        let workspace = Workspace::for_inference(backend, &model.config, capacity);
        let from_block = capacity.from_block;
        Self { workspace, batch: PackedBatch::default(), token_budget, from_block, groups: 0 }
    }

    /// In how many groups the last texts were computed.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Makes room for the batch: a text of many windows may be longer than what was planned for.
    fn make_room(&mut self, backend: &B, model: &Model<B>) {
        let (tokens, sequences) = (self.batch.tokens(), self.batch.sequences());
        let (most_tokens, most_sequences) = (self.workspace.max_tokens(), self.workspace.max_sequences());
        if tokens > most_tokens || sequences > most_sequences {
            let (tokens, sequences) = (tokens.max(most_tokens), sequences.max(most_sequences));
            let capacity = Capacity { tokens, sequences, from_block: self.from_block };
            self.workspace = Workspace::for_inference(backend, &model.config, capacity);
        }
    }
}

/// The texts that are computed together.
fn batches(texts: &Encoded<'_, impl AsRef<[u32]>>, token_budget: usize) -> Vec<Vec<usize>> {
    let groups = inference_batches(&texts.lengths(), token_budget);
    groups.iter().flat_map(|group| group.chunks(MAX_TEXTS)).map(<[usize]>::to_vec).collect()
}

/// The most texts of one batch; bounds the head's memory.
pub(crate) const MAX_TEXTS: usize = 1024;

/// The logits' probabilities of each encoded text, row-major `[n, C]` over the classes, in the order given.
pub fn probabilities<B: Backend>(
    backend: &B,
    model: &Model<B>,
    forward: &mut Forward<B>,
    texts: &Encoded<'_, impl AsRef<[u32]>>,
) -> Vec<f32> {
    let head = &model.config.head;
    let (classes, width) = (head.labels.len(), head.logits());
    let logits = logits(backend, model, forward, texts);
    let mut all = vec![0.0; texts.ids.len() * classes];
    for (row, logits) in all.chunks_exact_mut(classes).zip(logits.chunks_exact(width)) {
        fill(row, logits, head.output);
    }
    all
}

/// The pooled vectors of each encoded text, row-major `[n, D]`: what the model's head reads.
pub fn pooled_vectors<B: Backend>(
    backend: &B,
    model: &Model<B>,
    forward: &mut Forward<B>,
    texts: &Encoded<'_, impl AsRef<[u32]>>,
) -> Vec<f32> {
    let mut vectors = Gathered::new(texts.ids.len(), model.config.hidden_size);
    each_group(backend, model, forward, texts, |workspace, group| vectors.take(backend, workspace.pooled(), group));
    vectors.singles()
}

/// The logits of each encoded text, row-major `[n, W]` with the head's width, in the order given.
pub(crate) fn logits<B: Backend>(
    backend: &B,
    model: &Model<B>,
    forward: &mut Forward<B>,
    texts: &Encoded<'_, impl AsRef<[u32]>>,
) -> Vec<f64> {
    let mut logits = Gathered::new(texts.ids.len(), model.config.head.logits());
    each_group(backend, model, forward, texts, |workspace, group| logits.take(backend, workspace.logits(), group));
    logits.doubles()
}

/// The logits and, by the same passes, the pooled vectors of each encoded text.
pub(crate) fn logits_and_vectors<B: Backend>(
    backend: &B,
    model: &Model<B>,
    forward: &mut Forward<B>,
    texts: &Encoded<'_, impl AsRef<[u32]>>,
) -> (Vec<f64>, Vec<f32>) {
    let of_width = |width| Gathered::new(texts.ids.len(), width);
    let (mut logits, mut vectors) = (of_width(model.config.head.logits()), of_width(model.config.hidden_size));
    each_group(backend, model, forward, texts, |workspace, group| {
        logits.take(backend, workspace.logits(), group);
        vectors.take(backend, workspace.pooled(), group);
    });
    (logits.doubles(), vectors.singles())
}

/// Runs the texts through the model, some at a time; `take` looks at what the workspace holds of these.
fn each_group<B: Backend>(
    backend: &B,
    model: &Model<B>,
    forward: &mut Forward<B>,
    texts: &Encoded<'_, impl AsRef<[u32]>>,
    mut take: impl FnMut(&Workspace<B>, &[usize]),
) {
    let groups = batches(texts, forward.token_budget);
    forward.groups = groups.len();
    for group in groups {
        texts.pack(&group, model.config.position_offset, &mut forward.batch);
        forward.make_room(backend, model);
        texts.give_states(backend, &group, &mut forward.workspace);
        let pass = model.pass(backend, &forward.batch, None);
        model.transformer.forward(&pass, &mut forward.workspace);
        take(&forward.workspace, &group);
    }
}

/// A row of numbers for each text, put together from groups of them.
struct Gathered<B: Backend> {
    width: usize,
    values: Vec<B::Real>,
    /// The rows of one group.
    host: Vec<B::Real>,
}

impl<B: Backend> Gathered<B> {
    fn new(texts: usize, width: usize) -> Self {
        Self { width, values: vec![B::Real::default(); texts * width], host: Vec::new() }
    }

    /// Takes the rows of the texts of a group, with which the buffer begins.
    fn take(&mut self, backend: &B, buffer: &B::Buffer, group: &[usize]) {
        let Self { width, values, host } = self;
        host.resize(group.len() * *width, B::Real::default());
        backend.read(host, buffer, 0..group.len() * *width);
        for (&text, row) in group.iter().zip(host.chunks_exact(*width)) {
            values[text * *width..(text + 1) * *width].copy_from_slice(row);
        }
    }

    fn doubles(self) -> Vec<f64> {
        self.values.into_iter().map(Real::to_f64).collect()
    }

    fn singles(self) -> Vec<f32> {
        self.values.into_iter().map(|value| value.to_f64() as f32).collect()
    }
}

/// One row of probabilities from one row of logits.
pub(crate) fn fill(row: &mut [f32], logits: &[f64], output: Output) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match output {
        Output::OneLogit => {
            let p = sigmoid(logits[0]);
            row.copy_from_slice(&[(1.0 - p) as f32, p as f32]);
        }
        Output::MultiLabel => row.iter_mut().zip(logits).for_each(|(p, &x)| *p = sigmoid(x) as f32),
        Output::Softmax => {
            let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = logits.iter().map(|x| (x - top).exp()).sum();
            row.iter_mut().zip(logits).for_each(|(p, x)| *p = ((x - top).exp() / sum) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_output_gives_its_probabilities() {
        let mut two = [0.0; 2];
        fill(&mut two, &[0.0], Output::OneLogit);
        assert_eq!(two, [0.5, 0.5]);
        fill(&mut two, &[1000.0, 998.0], Output::Softmax);
        assert!((two[0] - 0.880_797).abs() < 1e-6 && (two[0] + two[1] - 1.0).abs() < 1e-6);
        fill(&mut two, &[2.0, -2.0], Output::MultiLabel);
        assert!((two[0] - 0.880_797).abs() < 1e-6 && (two[1] - 0.119_203).abs() < 1e-6);
    }
}
