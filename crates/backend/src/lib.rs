//! The vocabulary of computation.
//!
//! [`Backend`] is the seam of the project: less than thirty operations of a neural network, each with a forward and a
//! backward, between the model above (which knows no instruction set) and the machine below (which knows no model). The
//! [`mod@reference`] implements every operation as the shortest correct loop and is the specification; the
//! [`conformance`] suite holds every other backend to it.
//!
//! Conventions, for every operation:
//! * matrices are row-major, tokens are rows, and a buffer may be longer than the operation needs (it is planned once
//!   for the largest batch), never shorter;
//! * arguments are ordered outputs, then incoming gradients, then inputs, then the shape;
//! * activations and their gradients are overwritten, parameter gradients are accumulated;
//! * a wrong shape is a bug and panics naming both sides; a failing device is reported by [`Backend::synchronize`];
//! * sums have an order that does not depend on the number of threads: the same input gives the same bits.

pub mod conformance;
pub mod dropout;
pub mod reference;
mod shapes;

pub use dropout::Dropout;
pub use reference::Reference;
pub use shapes::{
    Activation, AdamW, AttentionPoolShape, AttentionShape, Columns, ColumnsShape, EmbeddingShape, GatedShape,
    LinearShape, Loss, Mask, NormKind, NormShape, NormSlots, PoolShape, Pooling, Queries, RotaryShape, Segments, Span,
    Targets, Turn, WeightShape,
};

use std::fmt::Debug;
use std::ops::Range;

/// A floating-point number a backend computes in: `f32`, or `f64` for the reference.
pub trait Real:
    num_traits::Float + num_traits::NumAssign + std::iter::Sum + Default + Debug + Send + Sync + 'static
{
    /// The nearest number of this type.
    fn from_f64(value: f64) -> Self;
    /// The number as `f64`, exactly.
    fn to_f64(self) -> f64;
}

impl Real for f32 {
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
    fn to_f64(self) -> f64 {
        self
    }
}

/// A device that failed after it was given work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceError(pub String);

impl std::fmt::Display for DeviceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DeviceError {}

/// The operations of a transformer, on one kind of machine. See the crate's documentation for the conventions.
///
/// Shape letters are those of `NOTATION.md`: N tokens, S sequences, D hidden size, H query heads, K key and value heads,
/// E head size, F mlp, C classes.
pub trait Backend: Clone + Send + Sync + 'static {
    /// The type of numbers on the host side of [`Backend::read`] and [`Backend::write`].
    type Real: Real;
    /// Device memory for activations, gradients and optimiser moments.
    type Buffer: Send + Sync;
    /// A parameter: its master values and whatever packed form this machine likes.
    type Weight: Send + Sync;

    /// A short name with the precision and instruction set in use, such as `cpu f32 avx512`.
    fn name(&self) -> String;

    // ---- memory -------------------------------------------------------------------------------------------------

    /// A buffer of `len` zeros.
    fn zeros(&self, len: usize) -> Self::Buffer;
    /// Number of values that `buffer` can hold.
    fn len(&self, buffer: &Self::Buffer) -> usize;
    /// Copies `values` to the start of `buffer`.
    fn write(&self, buffer: &mut Self::Buffer, values: &[Self::Real]);
    /// Copies `buffer[range]` to `values`, which has the same length, after waiting for pending work on it.
    fn read(&self, values: &mut [Self::Real], buffer: &Self::Buffer, range: Range<usize>);
    /// Sets the first `len` values to zero.
    fn clear(&self, buffer: &mut Self::Buffer, len: usize);
    /// A parameter with these master values, packed for use.
    fn weight(&self, values: &[Self::Real], shape: WeightShape) -> Self::Weight;
    /// Copies the master values at `range`, row by row, to `values`, which has the same length.
    fn read_weight(&self, values: &mut [Self::Real], weight: &Self::Weight, range: Range<usize>);
    /// Replaces the master values; what was packed of the old ones is not used again.
    fn write_weight(&self, weight: &mut Self::Weight, values: &[Self::Real]);
    /// Waits for all work and reports what failed.
    ///
    /// # Errors
    /// A device that failed since the last call.
    fn synchronize(&self) -> Result<(), DeviceError>;

    // ---- linear -------------------------------------------------------------------------------------------------

    /// `y[N, out] = x[N, in] · Wᵀ + b`, with `W[out, in]` and `b[1, out]`.
    fn linear_forward(
        &self,
        y: &mut Self::Buffer,
        x: &Self::Buffer,
        weight: &Self::Weight,
        bias: Option<&Self::Weight>,
        shape: LinearShape,
    );
    /// `dx[N, in] = dy[N, out] · W`.
    fn linear_backward_input(
        &self,
        dx: &mut Self::Buffer,
        dy: &Self::Buffer,
        weight: &Self::Weight,
        shape: LinearShape,
    );
    /// `grads[dweight] += dyᵀ · x`, an `[out, in]` matrix.
    fn linear_backward_weight(
        &self,
        grads: &mut Self::Buffer,
        dweight: Span,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        shape: LinearShape,
    );
    /// `grads[dbias] += Σ_n dy[n, :]`.
    fn linear_backward_bias(&self, grads: &mut Self::Buffer, dbias: Span, dy: &Self::Buffer, shape: LinearShape);

    /// Both at once: [`Backend::linear_backward_weight`] and [`Backend::linear_backward_bias`].
    fn linear_backward_parameters(
        &self,
        grads: &mut Self::Buffer,
        (dweight, dbias): (Span, Span),
        dy: &Self::Buffer,
        x: &Self::Buffer,
        shape: LinearShape,
    ) {
        self.linear_backward_weight(grads, dweight, dy, x, shape);
        self.linear_backward_bias(grads, dbias, dy, shape);
    }

    /// `inner = x · Wᵀ + b` and `y = f(inner)`. Without `keep` what `inner` holds afterwards is unspecified: prediction
    /// has no use for it.
    fn linear_activation_forward(
        &self,
        (y, inner): (&mut Self::Buffer, &mut Self::Buffer),
        x: &Self::Buffer,
        (weight, bias): (&Self::Weight, Option<&Self::Weight>),
        activation: Activation,
        shape: LinearShape,
        keep: bool,
    ) {
        let _ = keep;
        self.linear_forward(inner, x, weight, bias, shape);
        self.activation_forward(y, inner, activation, shape.rows * shape.outputs);
    }
    /// `dinner = (dy · W) · f'(inner)` for the layer after an activation, and `activated = f(inner)` once more, for the
    /// gradient of that layer's weight: so forward need not keep it.
    fn linear_activation_backward(
        &self,
        (dinner, activated): (&mut Self::Buffer, &mut Self::Buffer),
        dy: &Self::Buffer,
        weight: &Self::Weight,
        inner: &Self::Buffer,
        activation: Activation,
        shape: LinearShape,
    ) {
        let len = shape.rows * shape.inputs;
        self.linear_backward_input(activated, dy, weight, shape);
        self.activation_backward(dinner, activated, inner, activation, len);
        self.activation_forward(activated, inner, activation, len);
    }

    // ---- normalisation ------------------------------------------------------------------------------------------

    /// Normalisation of each segment of each row: `y = (x - mean) / sqrt(var + ε) · gain + bias`, or
    /// `y = x / sqrt(⟨x²⟩ + ε) · gain`, for which there is no bias ([`NormKind`]). `stats` receives two numbers for each
    /// segment, interleaved: the mean (0 where none is taken away) and the factor.
    fn norm_forward(
        &self,
        y: &mut Self::Buffer,
        stats: &mut Self::Buffer,
        x: &Self::Buffer,
        gain: &Self::Weight,
        bias: Option<&Self::Weight>,
        shape: NormShape,
    );
    /// Backward of [`Backend::norm_forward`]: overwrites the same segments of `dx`, accumulates the gradients that `slots`
    /// names.
    /// `saved` is `(x, stats)`.
    fn norm_backward(
        &self,
        dx: &mut Self::Buffer,
        grads: (&mut Self::Buffer, NormSlots),
        dy: &Self::Buffer,
        saved: (&Self::Buffer, &Self::Buffer),
        gain: &Self::Weight,
        shape: NormShape,
    );

    // ---- attention ----------------------------------------------------------------------------------------------

    /// Scaled dot-product attention within each packed sequence. `qkv[N, (H + 2 K) E]` holds a token's queries, keys and
    /// values of all heads one after the other; `y[N, H E]`; `log_sums[N, H]` receives the logarithm of each softmax's
    /// denominator. Dropout falls on the probabilities; element `(n, h, j)` of the mask, for query token `n` of the
    /// batch, head `h` and key `j` counted within the sequence, has index `(n H + h) · 2^20 + j`.
    ///
    /// Where only the first or the last token of each sequence asks ([`crate::Queries`]), `y[S, H E]` and
    /// `log_sums[S, H]` have a row for each sequence, with the bits that this token's row would have had among all.
    fn attention_forward(
        &self,
        y: &mut Self::Buffer,
        log_sums: &mut Self::Buffer,
        qkv: &Self::Buffer,
        dropout: Option<Dropout>,
        shape: AttentionShape<'_>,
    );
    /// Backward of [`Backend::attention_forward`], which recomputes the probabilities; `saved` is `(y, log_sums)`, and
    /// `dy` has their rows. Overwrites all of `dqkv[N, (H + 2 K) E]`, with zeros for queries that did not ask and for keys and
    /// values that no query saw.
    fn attention_backward(
        &self,
        dqkv: &mut Self::Buffer,
        dy: &Self::Buffer,
        saved: (&Self::Buffer, &Self::Buffer),
        qkv: &Self::Buffer,
        dropout: Option<Dropout>,
        shape: AttentionShape<'_>,
    );

    /// Rotary positions, in place: the halves `a` and `b` of each head that `shape` names become `a cos - b sin` and
    /// `b cos + a sin`, with the row of `table[P, E]` that `positions` names: E/2 cosines, then E/2 sines. Backward is the
    /// same call on the gradient, with [`Turn::Backward`]. <https://arxiv.org/abs/2104.09864>
    fn rotary(&self, x: &mut Self::Buffer, table: &Self::Buffer, positions: &[u32], shape: RotaryShape);

    // ---- element by element -------------------------------------------------------------------------------------

    /// `y = f(x)` for the first `len` values.
    fn activation_forward(&self, y: &mut Self::Buffer, x: &Self::Buffer, activation: Activation, len: usize);
    /// `dx = dy · f'(x)` for the first `len` values.
    fn activation_backward(
        &self,
        dx: &mut Self::Buffer,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        activation: Activation,
        len: usize,
    );
    /// `y[N, F] = f(gate) · value`, element by element, where a row of `x[N, 2 F]` is the gate followed by the value.
    /// <https://arxiv.org/abs/2002.05202>
    fn gated_forward(&self, y: &mut Self::Buffer, x: &Self::Buffer, activation: Activation, shape: GatedShape);
    /// Backward of [`Backend::gated_forward`]: overwrites `dx[N, 2 F]`. `y` holds its gradient before and the value of
    /// forward after, so that forward need not keep it.
    fn gated_backward(
        &self,
        dx: &mut Self::Buffer,
        y: &mut Self::Buffer,
        x: &Self::Buffer,
        activation: Activation,
        shape: GatedShape,
    );
    /// `y += x` for the first `len` values.
    fn add(&self, y: &mut Self::Buffer, x: &Self::Buffer, len: usize);
    /// `y += factor · x` for some columns of `y` and as many of `x`, in every row: what is computed for a part of a row, such as
    /// the values among queries, keys and values, and taken from one.
    fn add_columns(&self, y: &mut Self::Buffer, x: &Self::Buffer, factor: f64, shape: ColumnsShape);
    /// The first `len` values of `x`, to `y` from the index beside it on.
    fn copy(&self, y: (&mut Self::Buffer, usize), x: &Self::Buffer, len: usize);
    /// Zeroes a share `rate` of the first `len` values and scales the others by `1 / (1 - rate)`. The mask depends on
    /// the key and the index alone, so backward is the same call on the gradient.
    fn dropout(&self, x: &mut Self::Buffer, dropout: Dropout, len: usize);
    /// `y = drop(y) + x` for the first `len` values: the end of a sublayer and its residual sum.
    fn dropout_add(&self, y: &mut Self::Buffer, x: &Self::Buffer, dropout: Option<Dropout>, len: usize) {
        if let Some(dropout) = dropout {
            self.dropout(y, dropout, len);
        }
        self.add(y, x, len);
    }
    /// `y = drop(x)` for the first `len` values: what of a gradient passes through a dropout.
    fn dropout_copy(&self, y: &mut Self::Buffer, x: &Self::Buffer, dropout: Dropout, len: usize) {
        self.copy((&mut *y, 0), x, len);
        self.dropout(y, dropout, len);
    }

    // ---- embedding and pooling ----------------------------------------------------------------------------------

    /// `y[n] = Σ_t table_t[ids_t[n]]` over the given terms (token, position, type).
    fn embedding_forward(&self, y: &mut Self::Buffer, terms: &[(&[u32], &Self::Weight)], shape: EmbeddingShape);
    /// `grads[dtable][ids[n]] += dy[n]`, in the order of `n`.
    fn embedding_backward(
        &self,
        grads: &mut Self::Buffer,
        dtable: Span,
        dy: &Self::Buffer,
        ids: &[u32],
        shape: EmbeddingShape,
    );
    /// One row per sequence: `y[S, D]` from `x[N, D]`.
    fn pool_forward(&self, y: &mut Self::Buffer, x: &Self::Buffer, pooling: Pooling, shape: PoolShape<'_>);
    /// Backward of [`Backend::pool_forward`]: overwrites all of `dx[N, D]`, with zeros where nothing was taken.
    fn pool_backward(&self, dx: &mut Self::Buffer, dy: &Self::Buffer, pooling: Pooling, shape: PoolShape<'_>);
    /// Attention over the last tokens of each sequence with one learned query: `p = softmax(x · q / √D)` over them,
    /// `y[s] = Σ p[n] x[n]`. `probabilities[N]` receives `p`, zero for tokens that are not attended.
    fn attention_pool_forward(
        &self,
        y: &mut Self::Buffer,
        probabilities: &mut Self::Buffer,
        x: &Self::Buffer,
        query: &Self::Weight,
        shape: AttentionPoolShape<'_>,
    );
    /// Backward of [`Backend::attention_pool_forward`]: overwrites all of `dx[N, D]`, accumulates the query's gradient.
    /// `saved` is `(x, probabilities)`.
    fn attention_pool_backward(
        &self,
        dx: &mut Self::Buffer,
        grads: (&mut Self::Buffer, Option<Span>),
        dy: &Self::Buffer,
        saved: (&Self::Buffer, &Self::Buffer),
        query: &Self::Weight,
        shape: AttentionPoolShape<'_>,
    );

    // ---- loss and optimiser -------------------------------------------------------------------------------------

    /// Loss of each row of logits, `losses[S]` (not divided by the normaliser), and its gradient `dlogits[S, C]` (divided).
    fn cross_entropy(
        &self,
        losses: &mut Self::Buffer,
        dlogits: &mut Self::Buffer,
        logits: &Self::Buffer,
        targets: Targets<'_>,
        loss: &Loss,
    );
    /// Euclidean norm of the values at the spans, which do not overlap.
    fn global_norm(&self, grads: &Self::Buffer, spans: &[Span]) -> f64;
    /// One decoupled-weight-decay Adam step on `weight`, whose gradient and moments lie at `span`. On the way the gradient
    /// is set to zero; what was packed of the old values is not used again. <https://arxiv.org/abs/1711.05101>
    ///
    /// `rows`, ascending, says that the gradients and moments of all other rows are zero: these only decay, which gives
    /// the same bits, and their gradients and moments are not looked at.
    fn adamw(
        &self,
        weight: &mut Self::Weight,
        moments: (&mut Self::Buffer, &mut Self::Buffer),
        grads: &mut Self::Buffer,
        span: Span,
        rows: Option<&[u32]>,
        update: &AdamW,
    );
}
