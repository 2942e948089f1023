//! Shapes, enumerations and settings of the operations: plain data without behaviour of a machine.

use std::ops::Range;

/// Where a parameter's gradient and moments lie in their contiguous buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index of the first value.
    pub start: usize,
    /// Number of values.
    pub len: usize,
}

impl Span {
    /// The span as a range of indices.
    pub fn range(self) -> Range<usize> {
        self.start..self.start + self.len
    }
}

/// Rows and columns of a parameter; a vector has one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightShape {
    /// Rows: outputs of a linear layer, entries of an embedding table.
    pub rows: usize,
    /// Columns: inputs of a linear layer, width of an embedding.
    pub columns: usize,
}

impl WeightShape {
    /// Number of values.
    pub fn len(self) -> usize {
        self.rows * self.columns
    }
    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// `x[rows, inputs]` to `y[rows, outputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearShape {
    /// Rows: N tokens, or S sequences in a head.
    pub rows: usize,
    /// Width of `x`.
    pub inputs: usize,
    /// Width of `y`.
    pub outputs: usize,
}

/// Which parts of a row an operation is for. A row is `of` segments of the same width, such as the heads of queries, keys
/// and values; those from `first` on are meant, `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    /// Segments of a row.
    pub of: usize,
    /// The first one that is meant.
    pub first: usize,
    /// How many are meant.
    pub count: usize,
}

impl Segments {
    /// The row as one segment.
    pub const WHOLE: Self = Self { of: 1, first: 0, count: 1 };

    /// Where the segments that are meant lie in a row, each `width` wide.
    pub fn range(self, width: usize) -> Range<usize> {
        self.first * width..(self.first + self.count) * width
    }
}

/// What a norm makes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// The mean is taken away, what is left is divided by its deviation. <https://arxiv.org/abs/1607.06450>
    Layer,
    /// The row is divided by the root of its mean square; there is no bias. <https://arxiv.org/abs/1910.07467>
    Rms,
}

/// Segments of `width` values, each normalised alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NormShape {
    /// Number of rows.
    pub rows: usize,
    /// Values that are normalised together.
    pub width: usize,
    /// Added to the variance, or to the mean square.
    pub epsilon: f64,
    /// What becomes of the values.
    pub kind: NormKind,
    /// Which segments of a row are normalised; the others are neither read nor written.
    pub segments: Segments,
}

impl NormShape {
    /// Layer normalisation of whole rows.
    pub fn layer(rows: usize, width: usize, epsilon: f64) -> Self {
        Self { rows, width, epsilon, kind: NormKind::Layer, segments: Segments::WHOLE }
    }

    /// Values of the rows: what a buffer must hold.
    pub fn values(&self) -> usize {
        self.rows * self.segments.of * self.width
    }

    /// Number of statistics, two for each segment that is normalised.
    pub fn stats(&self) -> usize {
        2 * self.rows * self.segments.count
    }
}

/// Segments of `head_size` values whose halves are turned against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotaryShape {
    /// Number of rows.
    pub tokens: usize,
    /// Size E of a head, an even number.
    pub head_size: usize,
    /// Which heads of a row are turned.
    pub segments: Segments,
    /// Which way.
    pub turn: Turn,
}

/// The direction of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// That of forward.
    Forward,
    /// The transposed matrix: what becomes of a gradient.
    Backward,
}

/// Rows of a gate and a value, `2 width` values, to rows of `width` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatedShape {
    /// Number of rows.
    pub rows: usize,
    /// Width F of the gate, of the value and of the result.
    pub width: usize,
}

/// Where the gradients of a norm's gain and bias go; `None` for a frozen one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NormSlots {
    /// Gradient of the gain.
    pub gain: Option<Span>,
    /// Gradient of the bias.
    pub bias: Option<Span>,
}

/// Which keys a query sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mask {
    /// Every key of the sequence.
    Bidirectional,
    /// The keys at or before the query.
    Causal,
    /// The query and the keys before it, at most this many together and at least one.
    Window(usize),
}

/// Whose attention is asked for: of a block's last layer a classifier that takes one token needs no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queries {
    /// That of every token; results have N rows.
    All,
    /// That of each sequence's first token; results have S rows.
    First,
    /// That of each sequence's last token; results have S rows.
    Last,
}

/// Packed sequences for attention. Sequence `s` is the tokens `starts[s]..starts[s + 1]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionShape<'a> {
    /// S + 1 rising offsets, the first 0 and the last N: no sequence is empty.
    pub starts: &'a [u32],
    /// Number of query heads H.
    pub heads: usize,
    /// Number of key and value heads K, a divisor of H. Query head `h` reads key and value head `h / (H / K)`.
    pub kv_heads: usize,
    /// Head size E.
    pub head_size: usize,
    /// Which keys a query sees.
    pub mask: Mask,
    /// Which tokens ask: the rows of `y`, `log_sums` and `dy`. Keys and values are always those of all tokens.
    pub queries: Queries,
    /// Factor on the scores, usually `1 / √E`.
    pub scale: f64,
}

impl AttentionShape<'_> {
    /// Rows of `y`, `log_sums` and `dy`: N, or S where one token of each sequence asks.
    pub fn rows(&self) -> usize {
        match self.queries {
            Queries::All => self.starts.last().map_or(0, |&end| end as usize),
            Queries::First | Queries::Last => self.starts.len().saturating_sub(1),
        }
    }

    /// Width of a row of queries, keys and values: `(H + 2 K) E`.
    pub fn qkv_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_size
    }
}

/// Columns of one matrix, and as many of another with as many rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ColumnsShape {
    /// Number of rows.
    pub rows: usize,
    /// How many columns.
    pub count: usize,
    /// Those of the matrix that is added to.
    pub to: Columns,
    /// Those of the matrix that is added.
    pub from: Columns,
}

/// Where columns lie in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Width of a row.
    pub of: usize,
    /// The first of the columns.
    pub first: usize,
}

impl Columns {
    /// Whole rows of this width.
    pub fn whole(of: usize) -> Self {
        Self { of, first: 0 }
    }
}

impl ColumnsShape {
    /// Values that the matrix added to and the one added have.
    ///
    /// # Panics
    /// When a row is too short for its columns.
    pub fn values(&self) -> (usize, usize) {
        let fits = |columns: Columns| columns.first + self.count <= columns.of;
        assert!(fits(self.to) && fits(self.from), "the columns lie beyond a row in {self:?}");
        (self.rows * self.to.of, self.rows * self.from.of)
    }
}

/// Element-wise functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)` by the error function.
    GeluErf,
    /// The tanh approximation of gelu: `x/2 (1 + tanh(√(2/π) (x + 0.044715 x³)))`.
    GeluTanh,
    /// `max(x, 0)`, with slope 0 at 0, and NaN for NaN: a run that has diverged must show it.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
    /// `x σ(x)` with the logistic sigmoid, also called swish.
    Silu,
}

/// Embedding rows looked up for `tokens` tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmbeddingShape {
    /// Number of ids.
    pub tokens: usize,
    /// Width of a row.
    pub width: usize,
}

/// How a sequence becomes one row without parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The first token.
    First,
    /// The last token.
    Last,
    /// The mean of all tokens.
    Mean,
}

/// Packed sequences of rows of `width` values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShape<'a> {
    /// S + 1 rising offsets, the first 0 and the last N: no sequence is empty.
    pub starts: &'a [u32],
    /// Width D of a row.
    pub width: usize,
}

/// Packed sequences, of each of which the last `last` tokens are attended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttentionPoolShape<'a> {
    /// S + 1 rising offsets, the first 0 and the last N: no sequence is empty.
    pub starts: &'a [u32],
    /// Width D of a row.
    pub width: usize,
    /// How many tokens at the end of a sequence take part; shorter sequences take part whole.
    pub last: usize,
}

/// What the logits should have been, for S rows of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Targets<'a> {
    /// One class per row: softmax over C logits. S class indices.
    Classes(&'a [u32]),
    /// One class per row, such as the token that follows, whose loss and gradient are multiplied by the row's weight.
    Weighted {
        /// S class indices.
        classes: &'a [u32],
        /// S weights, 0 or more.
        weights: &'a [f32],
    },
    /// Independent yes/no answers: a sigmoid per logit. S × C values, 0 or 1.
    Binary(&'a [f32]),
}

/// The loss and how it is weighted. The formulas are those of PyTorch's `CrossEntropyLoss` (for classes) and
/// `BCEWithLogitsLoss` with `reduction="none"`; the focal factor follows <https://arxiv.org/abs/1708.02002>.
///
/// For classes, with `p = softmax(logits)`, smoothing ε and weights `w`:
/// `loss = (1-p_y)^γ · [ -(1-ε) w_y ln p_y ] - ε/C · Σ_c w_c ln p_c`.
/// For binary targets, smoothed to `t (1-ε) + ε/2`, summed over the C logits, with `q` the probability of the unsmoothed
/// answer: `loss = Σ_c w_c (1-q_c)^γ · BCE(logit_c, t_c)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// Number of logits C.
    pub classes: usize,
    /// Share of the target spread over all classes, in `[0, 1)`.
    pub smoothing: f64,
    /// A factor for each class, or none for all ones.
    pub class_weights: Option<Vec<f64>>,
    /// Focal exponent γ; 0 is the plain loss.
    pub focal_gamma: f64,
    /// What the gradient is divided by: the total weight of the whole optimiser batch, so that micro-batches add up to
    /// the big batch.
    pub normaliser: f64,
}

/// Settings of one AdamW step on one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay; the weight shrinks by `rate · weight_decay` first.
    pub weight_decay: f64,
    /// Number of this step, from 1, for the bias correction.
    pub step: u64,
    /// Factor on the gradient: what clipping leaves of it.
    pub gradient_scale: f64,
}
