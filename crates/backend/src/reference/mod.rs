//! Every operation as the shortest correct loop: the specification.
//!
//! A file is a topic and holds the forward and the backward of its operations as functions over slices; this one only
//! binds them to [`Backend`]. Nothing here is fast on purpose. In `f64` the loops are sharp enough for finite
//! differences, in `f32` they show what rounding alone does.

mod activation;
mod attention;
mod embedding;
#[cfg(test)]
mod gradient_tests;
mod linear;
mod loss;
mod norm;
mod optimiser;
mod pool;
#[cfg(test)]
mod pytorch_tests;
mod rotary;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Range;

use crate::{
    Activation, AdamW, AttentionPoolShape, AttentionShape, Backend, ColumnsShape, DeviceError, Dropout, EmbeddingShape,
    GatedShape, LinearShape, Loss, NormShape, NormSlots, PoolShape, Pooling, Real, RotaryShape, Span, Targets,
    WeightShape,
};

/// The backend of plain loops, in the arithmetic of `T`.
#[derive(Debug, Clone, Default)]
pub struct Reference<T: Real> {
    real: PhantomData<T>,
}

impl<T: Real> Reference<T> {
    /// The backend; it has no state.
    pub fn new() -> Self {
        Self { real: PhantomData }
    }
}

/// A parameter of the reference: the master values, and no packed form.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceWeight<T> {
    /// The master values, row by row.
    pub values: Vec<T>,
    /// Rows and columns.
    pub shape: WeightShape,
}

/// The first `len` values of `buffer`, which the operation knows as `name`.
fn part<'a, T>(name: &str, buffer: &'a [T], len: usize, shape: &impl Debug) -> &'a [T] {
    assert!(buffer.len() >= len, "`{name}` holds {} values, {shape:?} needs {len}", buffer.len());
    &buffer[..len]
}

/// The first `len` values of `buffer`, which the operation knows as `name`, to write to.
fn part_mut<'a, T>(name: &str, buffer: &'a mut [T], len: usize, shape: &impl Debug) -> &'a mut [T] {
    assert!(buffer.len() >= len, "`{name}` holds {} values, {shape:?} needs {len}", buffer.len());
    &mut buffer[..len]
}

/// The values of `buffer` at `span`, of which the operation needs `len`.
fn slot<'a, T>(name: &str, buffer: &'a mut [T], span: Span, len: usize) -> &'a mut [T] {
    assert!(span.len == len, "`{name}` has a span of {} values, its parameter has {len}", span.len);
    let held = buffer.len();
    assert!(span.range().end <= held, "`{name}` lies at {:?} of a buffer of {held} values", span.range());
    &mut buffer[span.range()]
}

/// Master values of `weight`, which must have this shape.
fn matrix<'a, T>(name: &str, weight: &'a ReferenceWeight<T>, rows: usize, columns: usize) -> &'a [T] {
    let wanted = WeightShape { rows, columns };
    assert!(weight.shape == wanted, "`{name}` is {:?}, the operation needs {wanted:?}", weight.shape);
    &weight.values
}

/// Master values of `weight`, which must be a vector of `len` values.
fn vector<'a, T>(name: &str, weight: &'a ReferenceWeight<T>, len: usize) -> &'a [T] {
    matrix(name, weight, 1, len)
}

/// The tokens of each packed sequence.
fn sequences(starts: &[u32]) -> impl Iterator<Item = Range<usize>> + '_ {
    assert!(starts.first() == Some(&0), "`starts` begins with {:?}, not with 0", starts.first());
    starts.windows(2).map(|pair| {
        assert!(pair[0] < pair[1], "`starts` goes from {} to {}, a sequence has at least one token", pair[0], pair[1]);
        pair[0] as usize..pair[1] as usize
    })
}

/// Number of tokens of all packed sequences together.
fn tokens(starts: &[u32]) -> usize {
    starts.last().map_or(0, |&end| end as usize)
}

/// The inner product, summed from the left.
fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

/// `y += factor x`.
fn add_scaled<T: Real>(y: &mut [T], factor: T, x: &[T]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += factor * x;
    }
}

/// Replaces scores by their softmax and returns the logarithm of its denominator.
fn softmax<T: Real>(scores: &mut [T]) -> T {
    let max = scores.iter().copied().fold(T::neg_infinity(), T::max);
    let mut sum = T::zero();
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
        sum += *score;
    }
    for score in scores.iter_mut() {
        *score /= sum;
    }
    max + sum.ln()
}

impl<T: Real> Backend for Reference<T> {
    type Real = T;
    type Buffer = Vec<T>;
    type Weight = ReferenceWeight<T>;

    fn name(&self) -> String {
        format!("reference {}", std::any::type_name::<T>())
    }

    fn zeros(&self, len: usize) -> Vec<T> {
        vec![T::zero(); len]
    }

    fn len(&self, buffer: &Vec<T>) -> usize {
        buffer.len()
    }

    fn write(&self, buffer: &mut Vec<T>, values: &[T]) {
        part_mut("buffer", buffer, values.len(), &"`write`").copy_from_slice(values);
    }

    fn read(&self, values: &mut [T], buffer: &Vec<T>, range: Range<usize>) {
        assert!(range.end <= buffer.len(), "`buffer` holds {} values, {range:?} was asked for", buffer.len());
        assert!(values.len() == range.len(), "`values` has length {}, {range:?} was asked for", values.len());
        values.copy_from_slice(&buffer[range]);
    }

    fn clear(&self, buffer: &mut Vec<T>, len: usize) {
        part_mut("buffer", buffer, len, &"`clear`").fill(T::zero());
    }

    fn weight(&self, values: &[T], shape: WeightShape) -> ReferenceWeight<T> {
        assert!(values.len() == shape.len(), "{} values for a weight of {shape:?}", values.len());
        ReferenceWeight { values: values.to_vec(), shape }
    }

    fn read_weight(&self, values: &mut [T], weight: &ReferenceWeight<T>, range: Range<usize>) {
        self.read(values, &weight.values, range);
    }

    fn write_weight(&self, weight: &mut ReferenceWeight<T>, values: &[T]) {
        assert!(values.len() == weight.values.len(), "{} values for a weight of {:?}", values.len(), weight.shape);
        weight.values.copy_from_slice(values);
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn linear_forward(
        &self,
        y: &mut Vec<T>,
        x: &Vec<T>,
        weight: &ReferenceWeight<T>,
        bias: Option<&ReferenceWeight<T>>,
        shape: LinearShape,
    ) {
        linear::forward(y, x, weight, bias, shape);
    }

    fn linear_backward_input(&self, dx: &mut Vec<T>, dy: &Vec<T>, weight: &ReferenceWeight<T>, shape: LinearShape) {
        linear::backward_input(dx, dy, weight, shape);
    }

    fn linear_backward_weight(&self, grads: &mut Vec<T>, dweight: Span, dy: &Vec<T>, x: &Vec<T>, shape: LinearShape) {
        linear::backward_weight(grads, dweight, dy, x, shape);
    }

    fn linear_backward_bias(&self, grads: &mut Vec<T>, dbias: Span, dy: &Vec<T>, shape: LinearShape) {
        linear::backward_bias(grads, dbias, dy, shape);
    }

    fn norm_forward(
        &self,
        y: &mut Vec<T>,
        stats: &mut Vec<T>,
        x: &Vec<T>,
        gain: &ReferenceWeight<T>,
        bias: Option<&ReferenceWeight<T>>,
        shape: NormShape,
    ) {
        norm::forward(y, stats, x, gain, bias, shape);
    }

    fn norm_backward(
        &self,
        dx: &mut Vec<T>,
        grads: (&mut Vec<T>, NormSlots),
        dy: &Vec<T>,
        saved: (&Vec<T>, &Vec<T>),
        gain: &ReferenceWeight<T>,
        shape: NormShape,
    ) {
        norm::backward(dx, grads, dy, saved, gain, shape);
    }

    fn attention_forward(
        &self,
        y: &mut Vec<T>,
        log_sums: &mut Vec<T>,
        qkv: &Vec<T>,
        dropout: Option<Dropout>,
        shape: AttentionShape<'_>,
    ) {
        attention::forward(y, log_sums, qkv, dropout, shape);
    }

    fn attention_backward(
        &self,
        dqkv: &mut Vec<T>,
        dy: &Vec<T>,
        saved: (&Vec<T>, &Vec<T>),
        qkv: &Vec<T>,
        dropout: Option<Dropout>,
        shape: AttentionShape<'_>,
    ) {
        attention::backward(dqkv, dy, saved, qkv, dropout, shape);
    }

    fn rotary(&self, x: &mut Vec<T>, table: &Vec<T>, positions: &[u32], shape: RotaryShape) {
        rotary::rotate(x, table, positions, shape);
    }

    fn activation_forward(&self, y: &mut Vec<T>, x: &Vec<T>, activation: Activation, len: usize) {
        activation::forward(y, x, activation, len);
    }

    fn activation_backward(&self, dx: &mut Vec<T>, dy: &Vec<T>, x: &Vec<T>, activation: Activation, len: usize) {
        activation::backward(dx, dy, x, activation, len);
    }

    fn gated_forward(&self, y: &mut Vec<T>, x: &Vec<T>, activation: Activation, shape: GatedShape) {
        activation::gated_forward(y, x, activation, shape);
    }

    fn gated_backward(&self, dx: &mut Vec<T>, y: &mut Vec<T>, x: &Vec<T>, activation: Activation, shape: GatedShape) {
        activation::gated_backward(dx, y, x, activation, shape);
    }

    fn add(&self, y: &mut Vec<T>, x: &Vec<T>, len: usize) {
        activation::add(y, x, len);
    }

    fn add_columns(&self, y: &mut Vec<T>, x: &Vec<T>, factor: f64, shape: ColumnsShape) {
        activation::add_columns(y, x, factor, shape);
    }

    fn copy(&self, y: (&mut Vec<T>, usize), x: &Vec<T>, len: usize) {
        activation::copy((&mut *y.0, y.1), x, len);
    }

    fn dropout(&self, x: &mut Vec<T>, dropout: Dropout, len: usize) {
        activation::dropout(x, dropout, len);
    }

    fn embedding_forward(&self, y: &mut Vec<T>, terms: &[(&[u32], &ReferenceWeight<T>)], shape: EmbeddingShape) {
        embedding::forward(y, terms, shape);
    }

    fn embedding_backward(&self, grads: &mut Vec<T>, dtable: Span, dy: &Vec<T>, ids: &[u32], shape: EmbeddingShape) {
        embedding::backward(grads, dtable, dy, ids, shape);
    }

    fn pool_forward(&self, y: &mut Vec<T>, x: &Vec<T>, pooling: Pooling, shape: PoolShape<'_>) {
        pool::forward(y, x, pooling, shape);
    }

    fn pool_backward(&self, dx: &mut Vec<T>, dy: &Vec<T>, pooling: Pooling, shape: PoolShape<'_>) {
        pool::backward(dx, dy, pooling, shape);
    }

    fn attention_pool_forward(
        &self,
        y: &mut Vec<T>,
        probabilities: &mut Vec<T>,
        x: &Vec<T>,
        query: &ReferenceWeight<T>,
        shape: AttentionPoolShape<'_>,
    ) {
        pool::attention_forward(y, probabilities, x, query, shape);
    }

    fn attention_pool_backward(
        &self,
        dx: &mut Vec<T>,
        grads: (&mut Vec<T>, Option<Span>),
        dy: &Vec<T>,
        saved: (&Vec<T>, &Vec<T>),
        query: &ReferenceWeight<T>,
        shape: AttentionPoolShape<'_>,
    ) {
        pool::attention_backward(dx, grads, dy, saved, query, shape);
    }

    fn cross_entropy(
        &self,
        losses: &mut Vec<T>,
        dlogits: &mut Vec<T>,
        logits: &Vec<T>,
        targets: Targets<'_>,
        loss: &Loss,
    ) {
        loss::cross_entropy(losses, dlogits, logits, targets, loss);
    }

    fn global_norm(&self, grads: &Vec<T>, spans: &[Span]) -> f64 {
        optimiser::global_norm(grads, spans)
    }

    fn adamw(
        &self,
        weight: &mut ReferenceWeight<T>,
        moments: (&mut Vec<T>, &mut Vec<T>),
        grads: &mut Vec<T>,
        span: Span,
        rows: Option<&[u32]>,
        update: &AdamW,
    ) {
        optimiser::adamw(weight, moments, grads, span, rows, update);
    }
}
