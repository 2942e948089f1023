//! Which tokens decided: integrated gradients ([Sundararajan, Taly and Yan 2017](https://arxiv.org/abs/1703.01365)).
//!
//! ```text
//! a(n) = Σ_d (x(n,d) − b(n,d)) · 1/K Σ_k ∂f(b + (k − ½)/K · (x − b)) / ∂x(n,d)      k = 1 … K
//! ```
//!
//! `x` is what the embedding makes of a text's tokens (with positions, types and norm, where the family has them), `b` what it
//! makes of a text that says nothing, and `f` a weighted sum of the logits. The numbers of all tokens add up to `f(x) − f(b)`
//! but for the coarseness of the steps; `K` is doubled until they do within [`ATTRIBUTION_TOLERANCE`], so far as [`MOST_STEPS`] allows.

use std::ops::Range;

use finetone_backend::{Backend, Real};

use crate::gradients::Gradients;
use crate::packed_batch::PackedBatch;
use crate::params::{ParamTable, Part};
use crate::transformer::{Model, Pass};
use crate::workspace::Workspace;

/// How far the sum may be from the difference it explains, as a share of it.
pub const ATTRIBUTION_TOLERANCE: f64 = 0.01;

/// A difference below this is no smaller to the tolerance.
const LEAST_DIFFERENCE: f64 = 0.1;

const FIRST_STEPS: usize = 16;
/// The most steps that are taken.
pub const MOST_STEPS: usize = 1024;

/// Tokens that are computed at a time.
const TOKEN_BUDGET: usize = 4096;

/// How much each token of a text contributed to a weighted sum of its logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// A number for each token, in the order of the batch.
    pub tokens: Vec<f64>,
    /// `f(x)`: the weighted sum for the text.
    pub text: f64,
    /// `f(b)`: the weighted sum for the text that says nothing.
    pub baseline: f64,
    /// Steps from one to the other.
    pub steps: usize,
}

impl Attribution {
    /// How far the tokens' sum is from `f(x) − f(b)`, as a share of that difference, or of a tenth where it is smaller.
    pub fn gap(&self) -> f64 {
        let difference = self.text - self.baseline;
        (self.tokens.iter().sum::<f64>() - difference).abs() / difference.abs().max(LEAST_DIFFERENCE)
    }
}

/// Explains `Σ_w weights[w] · logit[w]` of one text, which is one sequence or several, by its tokens, with `baseline` for a
/// text of as many tokens that says nothing.
///
/// # Panics
/// For a language model, more than one text, a baseline of another shape, or weights for another number of logits.
pub fn attribute<B: Backend>(
    backend: &B,
    model: &Model<B>,
    text: &PackedBatch,
    baseline: &PackedBatch,
    weights: &[f64],
) -> Attribution {
    assert!(model.config.language.is_none(), "the head of a language model judges tokens, not texts");
    assert_eq!((text.texts(), weights.len()), (1, model.config.head.logits()), "one text, and a weight for each logit");
    assert_eq!((&text.starts, &text.features), (&baseline.starts, &baseline.features), "a baseline of the same shape");
    let path = Path {
        model,
        table: reaching_the_bottom(&model.table),
        from: embedded(backend, model, baseline),
        to: embedded(backend, model, text),
        batch: text,
        weights,
    };
    let ends = path.walk(backend, &[0.0, 1.0], |_| {});
    let mut steps = FIRST_STEPS;
    loop {
        let tokens = path.integrate(backend, steps);
        let found = Attribution { tokens, text: ends[1], baseline: ends[0], steps };
        if found.gap() <= ATTRIBUTION_TOLERANCE || steps == MOST_STEPS {
            return found;
        }
        steps *= 2;
    }
}

/// What the embedding gives for a batch, `[N, D]`.
fn embedded<B: Backend>(backend: &B, model: &Model<B>, batch: &PackedBatch) -> Vec<f64> {
    let size = (batch.tokens(), batch.sequences());
    let mut workspace = Workspace::for_first_blocks(backend, &model.config, size, 0);
    model.transformer.run_blocks(&model.pass(backend, batch, None), &mut workspace);
    read(backend, workspace.states(), 0..batch.tokens() * model.config.hidden_size)
}

fn read<B: Backend>(backend: &B, buffer: &B::Buffer, range: Range<usize>) -> Vec<f64> {
    let mut values = vec![B::Real::default(); range.len()];
    backend.read(&mut values, buffer, range);
    values.into_iter().map(Real::to_f64).collect()
}

/// A table of which the smallest parameter of the first block is trained: backward goes down to it, and makes next to
/// nothing but the gradients that pass through. A model without blocks trains its head.
fn reaching_the_bottom(table: &ParamTable) -> ParamTable {
    let mut table = table.clone();
    let lowest = if table.iter().any(|(_, spec)| spec.part == Part::Block(0)) { Part::Block(0) } else { Part::Head };
    let of_lowest = table.iter().filter(|(_, spec)| spec.part == lowest);
    let smallest = of_lowest.min_by_key(|(_, spec)| spec.shape.len()).map(|(_, spec)| spec.name.clone());
    table.set_trainable(|spec| Some(&spec.name) == smallest.as_ref());
    table
}

/// The straight line from one text to the other.
struct Path<'a, B: Backend> {
    model: &'a Model<B>,
    table: ParamTable,
    /// `[N, D]` each.
    from: Vec<f64>,
    to: Vec<f64>,
    batch: &'a PackedBatch,
    weights: &'a [f64],
}

impl<B: Backend> Path<'_, B> {
    fn integrate(&self, backend: &B, steps: usize) -> Vec<f64> {
        let places: Vec<f64> = (0..steps).map(|k| (k as f64 + 0.5) / steps as f64).collect();
        let width = self.model.config.hidden_size;
        let mut tokens = vec![0.0; self.batch.tokens()];
        self.walk(backend, &places, |gradient| {
            let moved = self.to.iter().zip(&self.from).map(|(to, from)| to - from);
            for (i, (dx, moved)) in gradient.iter().zip(moved).enumerate() {
                tokens[i / width] += dx * moved / steps as f64;
            }
        });
        tokens
    }

    /// Computes `f` at each place, and hands over its gradient `[N, D]` there.
    fn walk(&self, backend: &B, places: &[f64], mut found: impl FnMut(&[f64])) -> Vec<f64> {
        let (tokens, sequences) = (self.batch.tokens(), self.batch.sequences());
        let at_a_time = (TOKEN_BUDGET / tokens).clamp(1, places.len());
        let capacity = (tokens * at_a_time, sequences * at_a_time);
        let mut workspace = Workspace::for_given_states(backend, &self.model.config, capacity);
        let mut gradients = Gradients::new(backend, &self.table);
        let mut values = Vec::with_capacity(places.len());
        for places in places.chunks(at_a_time) {
            let batch = self.batch.repeated(places.len());
            let pass = Pass { table: &self.table, ..self.model.pass(backend, &batch, None) };
            workspace.give_states(backend, |states| places.iter().for_each(|&place| self.append(place, states)));
            self.model.transformer.forward(&pass, &mut workspace);
            let logits = read(backend, workspace.logits(), 0..places.len() * self.weights.len());
            let weighted =
                |row: &[f64]| row.iter().zip(self.weights).map(|(logit, weight)| logit * weight).sum::<f64>();
            values.extend(logits.chunks_exact(self.weights.len()).map(weighted));
            let dlogits: Vec<B::Real> = self.weights.repeat(places.len()).into_iter().map(B::Real::from_f64).collect();
            workspace.give_logits_gradient(backend, &dlogits);
            let dx = self.model.transformer.backward(&pass, &mut gradients, &mut workspace);
            let len = self.from.len();
            (0..places.len()).for_each(|i| found(&read(backend, dx, i * len..(i + 1) * len)));
        }
        values
    }

    fn append(&self, place: f64, states: &mut Vec<B::Real>) {
        let between = self.from.iter().zip(&self.to).map(|(from, to)| from + place * (to - from));
        states.extend(between.map(B::Real::from_f64));
    }
}
