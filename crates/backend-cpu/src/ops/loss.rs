//! Cross-entropy: in `f64`, since S × C values are few; of the tokens that follow, where C is a vocabulary, in vectors.

use super::math::exp;
use crate::Cpu;
use crate::simd::{MAX_LANES, Vector, kernel};
use finetone_backend::{Loss, Targets};

/// Rows of a piece of work, where a row is as long as a vocabulary.
const ROWS: usize = 4;
/// Values whose sum is taken in f32, a multiple of every number of lanes.
const SUMMED: usize = 1024;

/// Loss of each row of `logits`, and its gradient divided by the normaliser. The formulas stand at [`Loss`].
pub(crate) fn cross_entropy(
    cpu: &Cpu,
    losses: &mut [f32],
    dlogits: &mut [f32],
    logits: &[f32],
    targets: Targets<'_>,
    loss: &Loss,
) {
    let classes = loss.classes;
    let plain = loss.smoothing == 0.0 && loss.focal_gamma == 0.0 && loss.class_weights.is_none();
    if let (Targets::Weighted { classes: labels, weights }, true) = (targets, plain) {
        cpu.chunks([(dlogits, ROWS * classes), (losses, ROWS)], |i, [dlogits, losses]| {
            for (r, (gradient, value)) in dlogits.chunks_exact_mut(classes).zip(losses).enumerate() {
                let s = i * ROWS + r;
                let scale = weights[s] / loss.normaliser as f32;
                let surprise = token_row(cpu.isa(), gradient, &logits[s * classes..][..classes], labels[s], scale);
                *value = weights[s] * surprise;
            }
        });
        return;
    }
    let rows = losses.iter_mut().zip(dlogits.chunks_exact_mut(classes)).zip(logits.chunks_exact(classes));
    for (s, ((value, gradient), logits)) in rows.enumerate() {
        *value = match targets {
            Targets::Classes(labels) => softmax_row(gradient, logits, labels[s] as usize, loss),
            Targets::Weighted { classes, weights } => {
                let surprise = softmax_row(gradient, logits, classes[s] as usize, loss);
                gradient.iter_mut().for_each(|gradient| *gradient *= weights[s]);
                surprise * f64::from(weights[s])
            }
            Targets::Binary(answers) => {
                let answers = &answers[s * classes..(s + 1) * classes];
                (0..classes).map(|c| binary(&mut gradient[c], logits[c], answers[c], c, loss)).sum::<f64>()
            }
        } as f32;
    }
}

/// `-ln p_label` of one row, and `gradient = scale (p - [c = label])`.
#[inline(always)]
fn token_body<V: Vector>(gradient: &mut [f32], logits: &[f32], label: u32, scale: f32) -> f32 {
    let label = label as usize;
    assert!(label < logits.len(), "class {label} of {} logits", logits.len());
    let whole = logits.len() - logits.len() % V::LANES;
    let mut most = [f32::NEG_INFINITY; MAX_LANES];
    let vectors = logits.chunks_exact(V::LANES).map(V::load);
    vectors.fold(V::splat(f32::NEG_INFINITY), |most, z| z.max(most)).store(&mut most);
    let greatest = most.iter().chain(&logits[whole..]).copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    // Sums in f32 of a few values each, which are then added in f64.
    for first in (0..whole).step_by(SUMMED) {
        let mut sums = V::splat(0.0);
        for c in (first..whole.min(first + SUMMED)).step_by(V::LANES) {
            let p = exp(V::load(&logits[c..]) - V::splat(greatest));
            sums = sums + p;
            p.store(&mut gradient[c..]);
        }
        total += f64::from(sums.sum());
    }
    for c in whole..logits.len() {
        gradient[c] = (logits[c] - greatest).exp();
        total += f64::from(gradient[c]);
    }
    let factor = (f64::from(scale) / total) as f32;
    for p in gradient[..whole].chunks_exact_mut(V::LANES) {
        (V::load(p) * V::splat(factor)).store(p);
    }
    gradient[whole..].iter_mut().for_each(|p| *p *= factor);
    gradient[label] -= scale;
    // A logit that is no number is in the sum, and so in the loss.
    (total.ln() - f64::from(logits[label] - greatest)) as f32
}

kernel!(
    token_row(gradient: &mut [f32], logits: &[f32], label: u32, scale: f32) -> f32 = token_body
);

/// The factor of class `c`.
fn weight(loss: &Loss, c: usize) -> f64 {
    loss.class_weights.as_ref().map_or(1.0, |weights| weights[c])
}

/// One row of [`Targets::Classes`].
fn softmax_row(gradient: &mut [f32], logits: &[f32], label: usize, loss: &Loss) -> f64 {
    assert!(label < logits.len(), "class {label} of {} logits", logits.len());
    let greatest = logits.iter().fold(f64::NEG_INFINITY, |a, &z| a.max(f64::from(z)));
    let total: f64 = logits.iter().map(|&z| (f64::from(z) - greatest).exp()).sum();
    let log_p = |c: usize| f64::from(logits[c]) - greatest - total.ln();
    let others: f64 = (0..logits.len()).filter(|&c| c != label).map(|c| log_p(c).exp()).sum();
    let (gamma, spread) = (loss.focal_gamma, loss.smoothing / logits.len() as f64);
    let scale = (1.0 - loss.smoothing) * weight(loss, label);
    let focal = others.powf(gamma);
    // d/d(ln p_y) of -(1-p_y)^γ ln p_y; the second term vanishes with 1 - p_y.
    let bend = if gamma == 0.0 || others == 0.0 { 0.0 } else { gamma * others.powf(gamma - 1.0) };
    let slope = -scale * (focal - bend * log_p(label).exp() * log_p(label));
    let weights: f64 = (0..logits.len()).map(|c| weight(loss, c)).sum();
    let mut value = -scale * focal * log_p(label);
    for c in 0..logits.len() {
        let p = log_p(c).exp();
        let hit = if c == label { 1.0 } else { 0.0 };
        let smooth = spread * (p * weights - weight(loss, c));
        gradient[c] = ((slope * (hit - p) + smooth) / loss.normaliser) as f32;
        value -= spread * weight(loss, c) * log_p(c);
    }
    value
}

/// One logit of [`Targets::Binary`].
fn binary(gradient: &mut f32, logit: f32, answer: f32, c: usize, loss: &Loss) -> f64 {
    let (z, answer) = (f64::from(logit), f64::from(answer));
    let sign = 2.0 * answer - 1.0;
    let target = answer * (1.0 - loss.smoothing) + loss.smoothing / 2.0;
    let entropy = z.max(0.0) - z * target + (-z.abs()).exp().ln_1p();
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let (right, wrong) = (sigmoid(sign * z), sigmoid(-sign * z));
    let focal = wrong.powf(loss.focal_gamma);
    let slope = sigmoid(z) - target - loss.focal_gamma * right * sign * entropy;
    *gradient = (weight(loss, c) * focal * slope / loss.normaliser) as f32;
    weight(loss, c) * focal * entropy
}
