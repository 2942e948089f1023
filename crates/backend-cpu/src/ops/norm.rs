//! Normalisation of rows or of segments of them, and sums over rows.

use crate::Cpu;
use crate::ops::activation::add_block;
use crate::simd::{Vector, kernel};
use finetone_backend::{NormKind, NormShape, NormSlots};
use std::ops::Range;

/// Rows in a piece of work. Parameter gradients are summed over a piece first, then piece by piece.
const ROWS: usize = 64;
/// Sums of a row that are taken side by side, since each waits for its last addition.
const SUMS: usize = 4;
/// Columns in a piece of a sum over rows.
const COLUMNS: usize = 128;

/// A row cut into whole vectors and a rest, so that sums are the same wherever it lies.
#[inline(always)]
fn sum_of<V: Vector>(x: &[f32], mean: f32, squared: bool) -> f32 {
    let mean = V::splat(mean);
    let term = |v: V| if squared { (v - mean) * (v - mean) } else { v };
    let (fours, vectors) = {
        let fours = x.chunks_exact(SUMS * V::LANES);
        let vectors = fours.remainder().chunks_exact(V::LANES);
        (fours, vectors)
    };
    let rest = vectors.remainder();
    let mut totals = [V::splat(0.0); SUMS];
    for four in fours {
        for (i, total) in totals.iter_mut().enumerate() {
            *total = *total + term(V::load(&four[i * V::LANES..]));
        }
    }
    for (total, v) in totals.iter_mut().zip(vectors) {
        *total = *total + term(V::load(v));
    }
    let mut sum = ((totals[0] + totals[1]) + (totals[2] + totals[3])).sum();
    for &v in rest {
        sum += if squared { (v - mean_of(mean)) * (v - mean_of(mean)) } else { v };
    }
    sum
}

/// The number in the lanes of a splat.
#[inline(always)]
fn mean_of<V: Vector>(v: V) -> f32 {
    let mut lane = [0.0; 1];
    v.store_first(&mut lane);
    lane[0]
}

/// How a kernel normalises.
#[derive(Clone, Copy)]
struct Rule {
    kind: NormKind,
    epsilon: f32,
}

/// Gain, and bias where there is one.
type Params<'a> = (&'a [f32], Option<&'a [f32]>);

#[inline(always)]
fn forward_body<V: Vector>(y: &mut [f32], stats: &mut [f32], x: &[f32], (gain, bias): Params<'_>, rule: Rule) {
    let width = gain.len();
    let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(stats.chunks_exact_mut(2));
    for ((y, x), stats) in rows {
        let mean = match rule.kind {
            NormKind::Layer => sum_of::<V>(x, 0.0, false) / width as f32,
            NormKind::Rms => 0.0,
        };
        let variance = sum_of::<V>(x, mean, true) / width as f32;
        let reciprocal = 1.0 / (variance + rule.epsilon).sqrt();
        stats.copy_from_slice(&[mean, reciprocal]);
        let whole = width - width % V::LANES;
        for c in (0..whole).step_by(V::LANES) {
            let unit = (V::load(&x[c..]) - V::splat(mean)) * V::splat(reciprocal);
            let gain = V::load(&gain[c..]);
            bias.map_or(unit * gain, |bias| unit.fma(gain, V::load(&bias[c..]))).store(&mut y[c..]);
        }
        for c in whole..width {
            y[c] = (x[c] - mean) * reciprocal * gain[c] + bias.map_or(0.0, |bias| bias[c]);
        }
    }
}

kernel!(
    forward_rows(y: &mut [f32], stats: &mut [f32], x: &[f32], params: Params<'_>, rule: Rule) = forward_body
);

/// The runs of neighbouring segments in `len` values of whole rows, each with the place of its statistics: all in one
/// where every segment of a row is meant, otherwise one for each row.
fn runs(shape: NormShape, len: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let NormShape { width, segments, .. } = shape;
    let (row, meant) =
        if segments.count == segments.of { (len, 0..len) } else { (segments.of * width, segments.range(width)) };
    (0..len / row).map(move |n| (n * row + meant.start..n * row + meant.end, n * 2 * segments.count))
}

/// Values and statistics of a piece of work.
fn piece(shape: NormShape) -> (usize, usize) {
    (ROWS * shape.segments.of * shape.width, 2 * ROWS * shape.segments.count)
}

/// Normalises segments; `stats` receives mean and reciprocal deviation of each.
pub(crate) fn forward(cpu: &Cpu, y: &mut [f32], stats: &mut [f32], x: &[f32], params: Params<'_>, shape: NormShape) {
    let (step, stats_step) = piece(shape);
    let rule = Rule { kind: shape.kind, epsilon: shape.epsilon as f32 };
    cpu.chunks([(y, step), (stats, stats_step)], |i, [y, stats]| {
        for (run, at) in runs(shape, y.len()) {
            forward_rows(cpu.isa(), &mut y[run.clone()], &mut stats[at..], &x[i * step..][run], params, rule);
        }
    });
}

/// Segments side by side of a piece of work in backward.
#[derive(Clone, Copy)]
struct Rows<'a> {
    kind: NormKind,
    dy: &'a [f32],
    x: &'a [f32],
    stats: &'a [f32],
    gain: &'a [f32],
}

/// `Σ dy gain` and `Σ dy gain x̂` of one row; adds its shares of the parameter gradients to `partial`.
#[inline(always)]
fn row_sums<V: Vector>(partial: &mut [f32], row: Rows<'_>) -> (f32, f32) {
    let (dgain, dbias) = partial.split_at_mut(row.gain.len());
    let (mean, reciprocal) = (row.stats[0], row.stats[1]);
    let width = row.gain.len();
    let whole = width - width % V::LANES;
    let (mut plain, mut scaled) = (V::splat(0.0), V::splat(0.0));
    for c in (0..whole).step_by(V::LANES) {
        let unit = (V::load(&row.x[c..]) - V::splat(mean)) * V::splat(reciprocal);
        let dy = V::load(&row.dy[c..]);
        dy.fma(unit, V::load(&dgain[c..])).store(&mut dgain[c..]);
        (dy + V::load(&dbias[c..])).store(&mut dbias[c..]);
        let d = dy * V::load(&row.gain[c..]);
        plain = plain + d;
        scaled = d.fma(unit, scaled);
    }
    let (mut plain, mut scaled) = (plain.sum(), scaled.sum());
    for c in whole..width {
        let unit = (row.x[c] - mean) * reciprocal;
        dgain[c] += row.dy[c] * unit;
        dbias[c] += row.dy[c];
        plain += row.dy[c] * row.gain[c];
        scaled += row.dy[c] * row.gain[c] * unit;
    }
    (plain, scaled)
}

#[inline(always)]
fn backward_body<V: Vector>(dx: &mut [f32], partial: &mut [f32], rows: Rows<'_>) {
    let width = rows.gain.len();
    let whole = width - width % V::LANES;
    for (r, dx) in dx.chunks_exact_mut(width).enumerate() {
        let (dy, x, stats) = (&rows.dy[r * width..][..width], &rows.x[r * width..][..width], &rows.stats[2 * r..][..2]);
        let (mean, reciprocal) = (stats[0], stats[1]);
        let (plain, scaled) = row_sums::<V>(partial, Rows { dy, x, stats, ..rows });
        // Where no mean was taken away, none comes back.
        let plain = if rows.kind == NormKind::Layer { plain / width as f32 } else { 0.0 };
        let scaled = scaled / width as f32;
        for c in (0..whole).step_by(V::LANES) {
            let unit = (V::load(&x[c..]) - V::splat(mean)) * V::splat(reciprocal);
            let centred = V::load(&dy[c..]) * V::load(&rows.gain[c..]) - V::splat(plain);
            ((centred - unit * V::splat(scaled)) * V::splat(reciprocal)).store(&mut dx[c..]);
        }
        for c in whole..width {
            let unit = (x[c] - mean) * reciprocal;
            dx[c] = (dy[c] * rows.gain[c] - plain - unit * scaled) * reciprocal;
        }
    }
}

kernel!(backward_rows(dx: &mut [f32], partial: &mut [f32], rows: Rows<'_>) = backward_body);

/// Overwrites `dx`, adds to the gradients of gain and bias. `saved` is `(x, stats)`.
pub(crate) fn backward(
    cpu: &Cpu,
    dx: &mut [f32],
    (grads, slots): (&mut [f32], NormSlots),
    dy: &[f32],
    (x, stats): (&[f32], &[f32]),
    gain: &[f32],
    shape: NormShape,
) {
    let width = gain.len();
    let (step, stats_step) = piece(shape);
    cpu.with_partials(dx.len().div_ceil(step) * 2 * width, |partials| {
        cpu.chunks([(dx, step), (&mut *partials, 2 * width)], |i, [dx, partial]| {
            partial.fill(0.0);
            for (run, at) in runs(shape, dx.len()) {
                let (dy, x) = (&dy[i * step..][run.clone()], &x[i * step..][run.clone()]);
                let rows = Rows { kind: shape.kind, dy, x, stats: &stats[i * stats_step + at..], gain };
                backward_rows(cpu.isa(), &mut dx[run], partial, rows);
            }
        });
        for partial in partials.chunks_exact(2 * width) {
            for (slot, part) in [slots.gain, slots.bias].into_iter().zip(partial.chunks_exact(width)) {
                if let Some(span) = slot {
                    add_block(cpu.isa(), &mut grads[span.range()], part);
                }
            }
        }
    });
}

/// `total[c] += Σ_n rows[n, c]`: rows are summed 64 at a time first, which keeps the rounding small.
pub(crate) fn sum_rows(cpu: &Cpu, total: &mut [f32], rows: &[f32]) {
    let width = total.len();
    cpu.chunks([(total, COLUMNS)], |i, [total]| {
        let first = i * COLUMNS;
        for block in rows.chunks(ROWS * width) {
            let mut sums = [0.0; COLUMNS];
            let sums = &mut sums[..total.len()];
            for row in block.chunks_exact(width) {
                add_block(cpu.isa(), sums, &row[first..first + total.len()]);
            }
            add_block(cpu.isa(), total, sums);
        }
    });
}
