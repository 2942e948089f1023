//! [`Backend`] for [`Cpu`]: checks lengths, cuts slices to them, and calls the kernels.

use crate::gemm::{DONE, Finish, Left, Onto, Right, Size, multiply};
use crate::ops::{
    activation, attention, attention_pool, columns, dropout, embedding, gated, loss, norm, optimiser, pool, rotary,
};
use crate::parallel::{Disjoint, GRAIN};
use crate::{Buffer, Cpu, Weight};
use finetone_backend::{
    Activation, AdamW, AttentionPoolShape, AttentionShape, Backend, ColumnsShape, DeviceError, Dropout, EmbeddingShape,
    GatedShape, LinearShape, Loss, NormShape, NormSlots, PoolShape, Pooling, RotaryShape, Span, Targets, WeightShape,
};
use std::fmt::Debug;
use std::ops::Range;

/// The first `len` values of a buffer that may be longer, or a panic that names both lengths.
fn cut<'a>(name: &str, values: &'a [f32], len: usize, shape: &dyn Debug) -> &'a [f32] {
    assert!(values.len() >= len, "`{name}` has {} values, but {shape:?} needs {len}", values.len());
    &values[..len]
}

/// As [`cut`], for results.
fn cut_mut<'a>(name: &str, values: &'a mut [f32], len: usize, shape: &dyn Debug) -> &'a mut [f32] {
    assert!(values.len() >= len, "`{name}` has {} values, but {shape:?} needs {len}", values.len());
    &mut values[..len]
}

/// The values of a gradient in the contiguous buffer, `len` of them.
fn at<'a>(grads: &'a mut [f32], span: Span, len: usize, shape: &dyn Debug) -> &'a mut [f32] {
    assert!(span.len == len, "the gradient at {span:?} does not have the {len} values of {shape:?}");
    assert!(span.start + len <= grads.len(), "{span:?} lies beyond the {} gradients", grads.len());
    &mut grads[span.range()]
}

/// The master values of a parameter of this shape.
fn master<'a>(name: &str, weight: &'a Weight, rows: usize, columns: usize) -> &'a [f32] {
    let expected = WeightShape { rows, columns };
    assert!(weight.shape() == expected, "`{name}` is {:?}, not {expected:?}", weight.shape());
    weight.master()
}

/// Number of packed tokens, after checking that the offsets ascend from zero.
fn tokens(starts: &[u32]) -> usize {
    assert!(starts.first() == Some(&0), "sequences must start at token 0: {starts:?}");
    assert!(starts.is_sorted(), "starts of sequences must ascend: {starts:?}");
    starts[starts.len() - 1] as usize
}

/// `dw += dyᵀ · x`, and `db += Σ_n dy[n, :]` where there is a place for it.
fn add_weight_gradient(
    cpu: &Cpu,
    (dw, db): (&mut [f32], Option<Disjoint<'_>>),
    dy: &[f32],
    x: &[f32],
    shape: LinearShape,
) {
    let size = Size { m: shape.outputs, n: shape.inputs, k: shape.rows };
    if shape.rows > 0 {
        let right = Right::Rows(x, cpu.gradient_precision());
        multiply(cpu, dw, Left::Columns(dy, db), right, size, Onto::Itself, DONE);
    }
}

impl Backend for Cpu {
    type Real = f32;
    type Buffer = Buffer;
    type Weight = Weight;

    fn name(&self) -> String {
        let threads = self.threads();
        format!(
            "cpu {} {}, {threads} {}",
            self.precision().name(),
            self.isa().name(),
            if threads == 1 { "thread" } else { "threads" }
        )
    }

    fn zeros(&self, len: usize) -> Buffer {
        Buffer::zeros(len)
    }

    fn len(&self, buffer: &Buffer) -> usize {
        buffer.len()
    }

    fn write(&self, buffer: &mut Buffer, values: &[f32]) {
        cut_mut("buffer", buffer, values.len(), &"the write").copy_from_slice(values);
    }

    fn read(&self, values: &mut [f32], buffer: &Buffer, range: Range<usize>) {
        assert_eq!(values.len(), range.len(), "{} places for the values {range:?}", values.len());
        values.copy_from_slice(&cut("buffer", buffer, range.end, &range)[range]);
    }

    fn clear(&self, buffer: &mut Buffer, len: usize) {
        self.chunks([(cut_mut("buffer", buffer, len, &"the clearing"), 1 << 18)], |_, [values]| values.fill(0.0));
    }

    fn weight(&self, values: &[f32], shape: WeightShape) -> Weight {
        Weight::new(values, shape)
    }

    fn read_weight(&self, values: &mut [f32], weight: &Weight, range: Range<usize>) {
        assert_eq!(values.len(), range.len(), "{} places for the values {range:?}", values.len());
        values.copy_from_slice(&cut("weight", weight.master(), range.end, &range)[range]);
    }

    fn write_weight(&self, weight: &mut Weight, values: &[f32]) {
        assert_eq!(values.len(), weight.master().len(), "values for a parameter of {:?}", weight.shape());
        weight.write(values);
    }

    fn synchronize(&self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn linear_forward(&self, y: &mut Buffer, x: &Buffer, weight: &Weight, bias: Option<&Weight>, shape: LinearShape) {
        let LinearShape { rows, inputs, outputs } = shape;
        let y = cut_mut("y", y, rows * outputs, &shape);
        let x = cut("x", x, rows * inputs, &shape);
        master("weight", weight, outputs, inputs);
        let onto = bias.map_or(Onto::Nothing, |bias| Onto::Bias(master("bias", bias, 1, outputs)));
        let size = Size { m: rows, n: outputs, k: inputs };
        multiply(self, y, Left::Rows(x), weight.transposed(self), size, onto, DONE);
    }

    fn linear_backward_input(&self, dx: &mut Buffer, dy: &Buffer, weight: &Weight, shape: LinearShape) {
        let LinearShape { rows, inputs, outputs } = shape;
        let dx = cut_mut("dx", dx, rows * inputs, &shape);
        let dy = cut("dy", dy, rows * outputs, &shape);
        let w = master("weight", weight, outputs, inputs);
        let size = Size { m: rows, n: inputs, k: outputs };
        let right = Right::Rows(w, self.gradient_precision());
        multiply(self, dx, Left::Rows(dy), right, size, Onto::Nothing, DONE);
    }

    fn linear_backward_weight(&self, grads: &mut Buffer, dweight: Span, dy: &Buffer, x: &Buffer, shape: LinearShape) {
        let LinearShape { rows, inputs, outputs } = shape;
        let dw = at(grads, dweight, outputs * inputs, &shape);
        let (dy, x) = (cut("dy", dy, rows * outputs, &shape), cut("x", x, rows * inputs, &shape));
        add_weight_gradient(self, (dw, None), dy, x, shape);
    }

    fn linear_backward_parameters(
        &self,
        grads: &mut Buffer,
        (dweight, dbias): (Span, Span),
        dy: &Buffer,
        x: &Buffer,
        shape: LinearShape,
    ) {
        let LinearShape { rows, inputs, outputs } = shape;
        at(grads, dweight, outputs * inputs, &shape);
        at(grads, dbias, outputs, &shape);
        let ranges = [dweight.range(), dbias.range()];
        let [dw, db] = grads.get_disjoint_mut(ranges).expect("the gradients of a layer's parameters lie apart");
        let (dy, x) = (cut("dy", dy, rows * outputs, &shape), cut("x", x, rows * inputs, &shape));
        add_weight_gradient(self, (dw, Some(Disjoint::new(db))), dy, x, shape);
    }

    fn linear_backward_bias(&self, grads: &mut Buffer, dbias: Span, dy: &Buffer, shape: LinearShape) {
        let dbias = at(grads, dbias, shape.outputs, &shape);
        norm::sum_rows(self, dbias, cut("dy", dy, shape.rows * shape.outputs, &shape));
    }

    fn linear_activation_forward(
        &self,
        (y, inner): (&mut Buffer, &mut Buffer),
        x: &Buffer,
        (weight, bias): (&Weight, Option<&Weight>),
        activation: Activation,
        shape: LinearShape,
        keep: bool,
    ) {
        let LinearShape { rows, inputs, outputs } = shape;
        let y = cut_mut("y", y, rows * outputs, &shape);
        let inner = cut_mut("inner", inner, rows * outputs, &shape);
        let x = cut("x", x, rows * inputs, &shape);
        master("weight", weight, outputs, inputs);
        let onto = bias.map_or(Onto::Nothing, |bias| Onto::Bias(master("bias", bias, 1, outputs)));
        let (size, right) = (Size { m: rows, n: outputs, k: inputs }, weight.transposed(self));
        let form = activation::Form::of(self, activation);
        if keep {
            let result = Disjoint::new(y);
            let finish = |first: usize, inner: &mut [f32]| {
                // SAFETY: parts of a product do not overlap.
                let y = unsafe { result.slice(first..first + inner.len()) };
                activation::forward_block(self.isa(), y, inner, form);
            };
            multiply(self, inner, Left::Rows(x), right, size, onto, Some(Finish { part: &finish, reads: &[] }));
        } else {
            let finish = |_: usize, y: &mut [f32]| activation::in_place_block(self.isa(), y, form);
            multiply(self, y, Left::Rows(x), right, size, onto, Some(Finish { part: &finish, reads: &[] }));
        }
    }

    fn linear_activation_backward(
        &self,
        (dinner, activated): (&mut Buffer, &mut Buffer),
        dy: &Buffer,
        weight: &Weight,
        inner: &Buffer,
        activation: Activation,
        shape: LinearShape,
    ) {
        let LinearShape { rows, inputs, outputs } = shape;
        let dinner = cut_mut("dinner", dinner, rows * inputs, &shape);
        let activated = Disjoint::new(cut_mut("activated", activated, rows * inputs, &shape));
        let dy = cut("dy", dy, rows * outputs, &shape);
        let inner = cut("inner", inner, rows * inputs, &shape);
        let right = Right::Rows(master("weight", weight, outputs, inputs), self.gradient_precision());
        let form = activation::Form::of(self, activation);
        let finish = |first: usize, dinner: &mut [f32]| {
            // SAFETY: parts of a product do not overlap.
            let activated = unsafe { activated.slice(first..first + dinner.len()) };
            activated.copy_from_slice(dinner);
            activation::both_block(self.isa(), dinner, activated, &inner[first..][..activated.len()], form);
        };
        let size = Size { m: rows, n: inputs, k: outputs };
        let finish = Finish { part: &finish, reads: inner };
        multiply(self, dinner, Left::Rows(dy), right, size, Onto::Nothing, Some(finish));
    }

    fn norm_forward(
        &self,
        y: &mut Buffer,
        stats: &mut Buffer,
        x: &Buffer,
        gain: &Weight,
        bias: Option<&Weight>,
        shape: NormShape,
    ) {
        let len = shape.values();
        let bias = bias.map(|bias| master("bias", bias, 1, shape.width));
        let params = (master("gain", gain, 1, shape.width), bias);
        let y = cut_mut("y", y, len, &shape);
        let stats = cut_mut("stats", stats, shape.stats(), &shape);
        norm::forward(self, y, stats, cut("x", x, len, &shape), params, shape);
    }

    fn norm_backward(
        &self,
        dx: &mut Buffer,
        (grads, slots): (&mut Buffer, NormSlots),
        dy: &Buffer,
        (x, stats): (&Buffer, &Buffer),
        gain: &Weight,
        shape: NormShape,
    ) {
        let len = shape.values();
        for span in [slots.gain, slots.bias].into_iter().flatten() {
            at(grads, span, shape.width, &shape);
        }
        let saved = (cut("x", x, len, &shape), cut("stats", stats, shape.stats(), &shape));
        let (dx, dy) = (cut_mut("dx", dx, len, &shape), cut("dy", dy, len, &shape));
        norm::backward(self, dx, (grads, slots), dy, saved, master("gain", gain, 1, shape.width), shape);
    }

    fn attention_forward(
        &self,
        y: &mut Buffer,
        log_sums: &mut Buffer,
        qkv: &Buffer,
        dropout: Option<Dropout>,
        shape: AttentionShape<'_>,
    ) {
        let (n, rows) = (tokens(shape.starts), shape.rows());
        let width = shape.heads * shape.head_size;
        let y = cut_mut("y", y, rows * width, &shape);
        let log_sums = cut_mut("log_sums", log_sums, rows * shape.heads, &shape);
        attention::forward(self, y, log_sums, cut("qkv", qkv, n * shape.qkv_width(), &shape), dropout, shape);
    }

    fn attention_backward(
        &self,
        dqkv: &mut Buffer,
        dy: &Buffer,
        (y, log_sums): (&Buffer, &Buffer),
        qkv: &Buffer,
        dropout: Option<Dropout>,
        shape: AttentionShape<'_>,
    ) {
        let (n, rows) = (tokens(shape.starts), shape.rows());
        let width = shape.heads * shape.head_size;
        let dqkv = cut_mut("dqkv", dqkv, n * shape.qkv_width(), &shape);
        let saved = (cut("y", y, rows * width, &shape), cut("log_sums", log_sums, rows * shape.heads, &shape));
        let dy = cut("dy", dy, rows * width, &shape);
        attention::backward(self, dqkv, dy, saved, cut("qkv", qkv, n * shape.qkv_width(), &shape), dropout, shape);
    }

    fn rotary(&self, x: &mut Buffer, table: &Buffer, positions: &[u32], shape: RotaryShape) {
        assert!(shape.head_size.is_multiple_of(2), "the halves of a head of {} values", shape.head_size);
        assert!(positions.len() >= shape.tokens, "{} positions for {shape:?}", positions.len());
        let x = cut_mut("x", x, shape.tokens * shape.segments.of * shape.head_size, &shape);
        let positions = &positions[..shape.tokens];
        let rows = positions.iter().max().map_or(0, |&last| last as usize + 1);
        rotary::rotate(self, x, cut("table", table, rows * shape.head_size, &shape), positions, shape);
    }

    fn activation_forward(&self, y: &mut Buffer, x: &Buffer, activation: Activation, len: usize) {
        activation::forward(self, cut_mut("y", y, len, &activation), cut("x", x, len, &activation), activation);
    }

    fn activation_backward(&self, dx: &mut Buffer, dy: &Buffer, x: &Buffer, activation: Activation, len: usize) {
        let (dy, x) = (cut("dy", dy, len, &activation), cut("x", x, len, &activation));
        activation::backward(self, cut_mut("dx", dx, len, &activation), dy, x, activation);
    }

    fn gated_forward(&self, y: &mut Buffer, x: &Buffer, activation: Activation, shape: GatedShape) {
        let len = shape.rows * shape.width;
        gated::forward(self, cut_mut("y", y, len, &shape), cut("x", x, 2 * len, &shape), activation, shape);
    }

    fn gated_backward(&self, dx: &mut Buffer, y: &mut Buffer, x: &Buffer, activation: Activation, shape: GatedShape) {
        let len = shape.rows * shape.width;
        let (dx, y) = (cut_mut("dx", dx, 2 * len, &shape), cut_mut("y", y, len, &shape));
        gated::backward(self, dx, y, cut("x", x, 2 * len, &shape), activation, shape);
    }

    fn add(&self, y: &mut Buffer, x: &Buffer, len: usize) {
        activation::add(self, cut_mut("y", y, len, &"the sum"), cut("x", x, len, &"the sum"));
    }

    fn add_columns(&self, y: &mut Buffer, x: &Buffer, factor: f64, shape: ColumnsShape) {
        let (to, from) = shape.values();
        columns::add(self, cut_mut("y", y, to, &shape), cut("x", x, from, &shape), factor as f32, shape);
    }

    fn copy(&self, y: (&mut Buffer, usize), x: &Buffer, len: usize) {
        let (y, x) = (&mut cut_mut("y", y.0, y.1 + len, &"the copy")[y.1..], cut("x", x, len, &"the copy"));
        self.chunks([(y, GRAIN)], |i, [y]| y.copy_from_slice(&x[i * GRAIN..][..y.len()]));
    }

    fn dropout(&self, x: &mut Buffer, dropout: Dropout, len: usize) {
        dropout::apply(self, cut_mut("x", x, len, &dropout), dropout);
    }

    fn dropout_add(&self, y: &mut Buffer, x: &Buffer, dropout: Option<Dropout>, len: usize) {
        let (y, x) = (cut_mut("y", y, len, &dropout), cut("x", x, len, &dropout));
        match dropout {
            Some(dropout) => dropout::add(self, y, x, dropout),
            None => activation::add(self, y, x),
        }
    }

    fn dropout_copy(&self, y: &mut Buffer, x: &Buffer, dropout: Dropout, len: usize) {
        dropout::copy(self, cut_mut("y", y, len, &dropout), cut("x", x, len, &dropout), dropout);
    }

    fn embedding_forward(&self, y: &mut Buffer, terms: &[(&[u32], &Weight)], shape: EmbeddingShape) {
        let EmbeddingShape { tokens, width } = shape;
        for (ids, table) in terms {
            assert!(ids.len() >= tokens, "{} ids for {shape:?}", ids.len());
            master("table", table, table.shape().rows, width);
        }
        assert!(!terms.is_empty(), "an embedding of no terms for {shape:?}");
        embedding::forward(self, cut_mut("y", y, tokens * width, &shape), terms, shape);
    }

    fn embedding_backward(&self, grads: &mut Buffer, dtable: Span, dy: &Buffer, ids: &[u32], shape: EmbeddingShape) {
        assert!(ids.len() >= shape.tokens, "{} ids for {shape:?}", ids.len());
        let dtable = at(grads, dtable, dtable.len, &shape);
        let dy = cut("dy", dy, shape.tokens * shape.width, &shape);
        embedding::backward(self, dtable, dy, &ids[..shape.tokens], shape);
    }

    fn pool_forward(&self, y: &mut Buffer, x: &Buffer, pooling: Pooling, shape: PoolShape<'_>) {
        let n = tokens(shape.starts);
        let y = cut_mut("y", y, (shape.starts.len() - 1) * shape.width, &shape);
        pool::forward(self, y, cut("x", x, n * shape.width, &shape), pooling, shape);
    }

    fn pool_backward(&self, dx: &mut Buffer, dy: &Buffer, pooling: Pooling, shape: PoolShape<'_>) {
        let n = tokens(shape.starts);
        let dy = cut("dy", dy, (shape.starts.len() - 1) * shape.width, &shape);
        pool::backward(cut_mut("dx", dx, n * shape.width, &shape), dy, pooling, shape);
    }

    fn attention_pool_forward(
        &self,
        y: &mut Buffer,
        probabilities: &mut Buffer,
        x: &Buffer,
        query: &Weight,
        shape: AttentionPoolShape<'_>,
    ) {
        let n = tokens(shape.starts);
        let y = cut_mut("y", y, (shape.starts.len() - 1) * shape.width, &shape);
        let probabilities = cut_mut("probabilities", probabilities, n, &shape);
        let query = master("query", query, 1, shape.width);
        attention_pool::forward(self.isa(), y, probabilities, cut("x", x, n * shape.width, &shape), query, shape);
    }

    fn attention_pool_backward(
        &self,
        dx: &mut Buffer,
        (grads, dquery): (&mut Buffer, Option<Span>),
        dy: &Buffer,
        (x, probabilities): (&Buffer, &Buffer),
        query: &Weight,
        shape: AttentionPoolShape<'_>,
    ) {
        let n = tokens(shape.starts);
        let dx = cut_mut("dx", dx, n * shape.width, &shape);
        let dquery = dquery.map(|span| at(grads, span, shape.width, &shape));
        let dy = cut("dy", dy, (shape.starts.len() - 1) * shape.width, &shape);
        let saved = (cut("x", x, n * shape.width, &shape), cut("probabilities", probabilities, n, &shape));
        attention_pool::backward(self.isa(), dx, dquery, dy, saved, master("query", query, 1, shape.width), shape);
    }

    fn cross_entropy(
        &self,
        losses: &mut Buffer,
        dlogits: &mut Buffer,
        logits: &Buffer,
        targets: Targets<'_>,
        loss: &Loss,
    ) {
        let classes = loss.classes;
        let rows = match targets {
            Targets::Classes(labels) => labels.len(),
            Targets::Weighted { classes, weights } => {
                assert_eq!(classes.len(), weights.len(), "weights for the rows");
                classes.len()
            }
            Targets::Binary(answers) => answers.len() / classes,
        };
        if let Some(weights) = &loss.class_weights {
            assert_eq!(weights.len(), classes, "weights for {classes} classes");
        }
        let losses = cut_mut("losses", losses, rows, loss);
        let dlogits = cut_mut("dlogits", dlogits, rows * classes, loss);
        loss::cross_entropy(self, losses, dlogits, cut("logits", logits, rows * classes, loss), targets, loss);
    }

    fn global_norm(&self, grads: &Buffer, spans: &[Span]) -> f64 {
        let end = spans.iter().map(|span| span.range().end).max().unwrap_or(0);
        optimiser::global_norm(self, cut("grads", grads, end, &"the norm"), spans)
    }

    fn adamw(
        &self,
        weight: &mut Weight,
        (first, second): (&mut Buffer, &mut Buffer),
        grads: &mut Buffer,
        span: Span,
        rows: Option<&[u32]>,
        update: &AdamW,
    ) {
        let shape = weight.shape();
        let [first, second, grads] = [first, second, grads].map(|buffer| at(buffer, span, shape.len(), &shape));
        let values = [weight.train(), first, second, grads];
        match rows {
            None => optimiser::adamw(self, values, update),
            Some(rows) => optimiser::adamw_of_rows(self, values, rows, shape.columns, update),
        }
    }
}
