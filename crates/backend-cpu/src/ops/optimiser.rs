//! The norm of all gradients, and AdamW.

use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel, prefetch};
use finetone_backend::{AdamW, Span};

/// Sum of squares in `f64`, in sixteen interleaved parts.
#[inline(always)]
fn squares_body<V: Vector>(x: &[f32]) -> f64 {
    let mut parts = [0.0; 16];
    let vectors = x.chunks_exact(16);
    let rest = vectors.remainder();
    for x in vectors {
        for lane in 0..16 {
            let value = f64::from(x[lane]);
            parts[lane] += value * value;
        }
    }
    parts.iter().sum::<f64>() + rest.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>()
}

kernel!(squares(x: &[f32]) -> f64 = squares_body);

/// Euclidean norm: a sum for each piece, then the sum of these in order. A long span is cut into pieces; the short ones
/// are taken by the dozen.
pub(crate) fn global_norm(cpu: &Cpu, grads: &[f32], spans: &[Span]) -> f64 {
    let is_long = |span: &&Span| span.len > GRAIN;
    let long = spans.iter().filter(is_long).map(|span| {
        let values = &grads[span.range()];
        sum_of_pieces(cpu, values.len().div_ceil(GRAIN), |i| {
            squares(cpu.isa(), &values[i * GRAIN..((i + 1) * GRAIN).min(values.len())])
        })
    });
    let short = sum_of_pieces(cpu, spans.len().div_ceil(SPANS), |i| {
        let spans = spans[i * SPANS..].iter().take(SPANS);
        spans.filter(|span| !is_long(span)).map(|span| squares(cpu.isa(), &grads[span.range()])).sum()
    });
    (long.sum::<f64>() + short).sqrt()
}

/// Spans in a piece of the norm.
const SPANS: usize = 32;

/// The sum of what `piece` gives for `0..pieces`, in this order.
fn sum_of_pieces(cpu: &Cpu, pieces: usize, piece: impl Fn(usize) -> f64 + Sync) -> f64 {
    // An `f64` is kept as two values of the shared memory, which holds `f32`.
    cpu.with_partials(2 * pieces, |partials| {
        cpu.chunks([(&mut *partials, 2)], |i, [partial]| {
            let bits = piece(i).to_bits();
            partial.copy_from_slice(&[f32::from_bits((bits >> 32) as u32), f32::from_bits(bits as u32)]);
        });
        let join = |pair: &[f32]| f64::from_bits((u64::from(pair[0].to_bits()) << 32) | u64::from(pair[1].to_bits()));
        partials.chunks_exact(2).map(join).sum()
    })
}

/// The factors of one step, all computed in `f64`.
#[derive(Clone, Copy)]
struct Factors {
    shrink: f32,
    beta1: f32,
    beta2: f32,
    keep1: f32,
    keep2: f32,
    rate: f32,
    root: f32,
    epsilon: f32,
    gradient: f32,
}

impl Factors {
    fn new(update: &AdamW) -> Self {
        let correction = |beta: f64| 1.0 - beta.powf(update.step as f64);
        Self {
            shrink: (1.0 - update.rate * update.weight_decay) as f32,
            beta1: update.beta1 as f32,
            beta2: update.beta2 as f32,
            keep1: (1.0 - update.beta1) as f32,
            keep2: (1.0 - update.beta2) as f32,
            rate: (update.rate / correction(update.beta1)) as f32,
            root: (1.0 / correction(update.beta2).sqrt()) as f32,
            epsilon: update.epsilon as f32,
            gradient: update.gradient_scale as f32,
        }
    }

    /// New weight and moments of a vector of parameters.
    #[inline(always)]
    fn apply<V: Vector>(&self, [w, m, v, g]: [V; 4]) -> [V; 3] {
        let g = g * V::splat(self.gradient);
        let m = m.fma(V::splat(self.beta1), g * V::splat(self.keep1));
        let v = v.fma(V::splat(self.beta2), g * g * V::splat(self.keep2));
        let denominator = v.sqrt().fma(V::splat(self.root), V::splat(self.epsilon));
        let step = V::splat(self.rate) * (m / denominator);
        [w * V::splat(self.shrink) - step, m, v]
    }
}

/// One step on some of the parameters; the gradient is set to zero.
#[inline(always)]
fn adamw_body<V: Vector>([w, m, v, g]: [&mut [f32]; 4], factors: &Factors) {
    let whole = w.len() - w.len() % V::LANES;
    for i in (0..whole).step_by(V::LANES) {
        let inputs = [V::load(&w[i..]), V::load(&m[i..]), V::load(&v[i..]), V::load(&g[i..])];
        let [new_w, new_m, new_v] = factors.apply(inputs);
        new_w.store(&mut w[i..]);
        new_m.store(&mut m[i..]);
        new_v.store(&mut v[i..]);
        V::splat(0.0).store(&mut g[i..]);
    }
    if whole < w.len() {
        let (w, m, v, g) = (&mut w[whole..], &mut m[whole..], &mut v[whole..], &mut g[whole..]);
        let inputs = [V::load_first(w), V::load_first(m), V::load_first(v), V::load_first(g)];
        let [new_w, new_m, new_v] = factors.apply(inputs);
        new_w.store_first(w);
        new_m.store_first(m);
        new_v.store_first(v);
        g.fill(0.0);
    }
}

kernel!(adamw_block(values: [&mut [f32]; 4], factors: &Factors) = adamw_body);

/// One step on the master values, the moments and the gradient, which have the same length.
pub(crate) fn adamw(cpu: &Cpu, values: [&mut [f32]; 4], update: &AdamW) {
    let factors = Factors::new(update);
    cpu.chunks(values.map(|values| (values, GRAIN)), |_, values| adamw_block(cpu.isa(), values, &factors));
}

/// The same on a table with rows of `width` values, all but the given ones having neither a gradient nor moments: of
/// these rows nothing but the master values is read or written.
pub(crate) fn adamw_of_rows(cpu: &Cpu, values: [&mut [f32]; 4], rows: &[u32], width: usize, update: &AdamW) {
    assert!(rows.is_sorted_by(|a, b| a < b), "the rows of an optimiser step ascend");
    let factors = Factors::new(update);
    let in_piece = (GRAIN / width).max(1);
    cpu.chunks(values.map(|values| (values, in_piece * width)), |i, [w, m, v, g]| {
        let (first, end) = (i * in_piece, i * in_piece + w.len() / width);
        let place = |row: u32| rows.partition_point(|&other| other < row);
        let rows = &rows[place(first as u32)..place(end as u32)];
        let at = |row: u32| (row as usize - first) * width..(row as usize - first + 1) * width;
        let mut done = 0;
        for (i, &row) in rows.iter().enumerate() {
            // Rows lie apart, so the machine does not guess where the next one begins.
            if let Some(&ahead) = rows.get(i + AHEAD) {
                [&*m, v, g].into_iter().for_each(|values| prefetch(values[at(ahead)].as_ptr(), width));
            }
            decay(&mut w[done..at(row).start], factors.shrink);
            let values = [&mut w[at(row)], &mut m[at(row)], &mut v[at(row)], &mut g[at(row)]];
            adamw_block(cpu.isa(), values, &factors);
            done = at(row).end;
        }
        decay(&mut w[done..], factors.shrink);
    });
}

/// How many rows before its turn a row is asked for.
const AHEAD: usize = 2;

/// What is left of a step without a gradient: `w · shrink - rate · 0`.
fn decay(w: &mut [f32], shrink: f32) {
    if shrink != 1.0 {
        w.iter_mut().for_each(|w| *w *= shrink);
    }
}
