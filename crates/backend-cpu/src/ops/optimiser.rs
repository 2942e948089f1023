//! The norm of all gradients, and AdamW.

use crate::Cpu;
use crate::parallel::GRAIN;
use crate::simd::{Vector, kernel};
use finetone_backend::AdamW;

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

/// Euclidean norm: a sum for each piece, then the sum of these in order.
pub(crate) fn global_norm(cpu: &Cpu, grads: &[f32]) -> f64 {
    let pieces = grads.len().div_ceil(GRAIN);
    // An `f64` is kept as two values of the shared memory, which holds `f32`.
    cpu.with_partials(2 * pieces, |partials| {
        cpu.chunks([(&mut *partials, 2)], |i, [partial]| {
            let bits = squares(cpu.isa(), &grads[i * GRAIN..((i + 1) * GRAIN).min(grads.len())]).to_bits();
            partial.copy_from_slice(&[f32::from_bits((bits >> 32) as u32), f32::from_bits(bits as u32)]);
        });
        let join = |pair: &[f32]| f64::from_bits((u64::from(pair[0].to_bits()) << 32) | u64::from(pair[1].to_bits()));
        partials.chunks_exact(2).map(join).sum::<f64>().sqrt()
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

#[inline(always)]
fn adamw_body<V: Vector>(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) {
    let whole = w.len() - w.len() % V::LANES;
    for i in (0..whole).step_by(V::LANES) {
        let inputs = [V::load(&w[i..]), V::load(&m[i..]), V::load(&v[i..]), V::load(&g[i..])];
        let [new_w, new_m, new_v] = factors.apply(inputs);
        new_w.store(&mut w[i..]);
        new_m.store(&mut m[i..]);
        new_v.store(&mut v[i..]);
    }
    if whole < w.len() {
        let (w, m, v) = (&mut w[whole..], &mut m[whole..], &mut v[whole..]);
        let inputs = [V::load_first(w), V::load_first(m), V::load_first(v), V::load_first(&g[whole..])];
        let [new_w, new_m, new_v] = factors.apply(inputs);
        new_w.store_first(w);
        new_m.store_first(m);
        new_v.store_first(v);
    }
}

kernel!(adamw_block(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], factors: Factors) = adamw_body);

/// One step on the master values `w`, with moments `m` and `v` and gradient `g` of the same length.
pub(crate) fn adamw(cpu: &Cpu, w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], update: &AdamW) {
    let factors = Factors::new(update);
    cpu.chunks([(w, GRAIN), (m, GRAIN), (v, GRAIN)], |i, [w, m, v]| {
        let g = &g[i * GRAIN..][..w.len()];
        adamw_block(cpu.isa(), w, m, v, g, factors);
    });
}
