//! Cross entropy, by the formulas of [`Loss`], one row of logits `z` at a time.
//!
//! Softmax: with `A = -(1-ε) w_y ln p_y` and `f = (1-p_y)^γ`, `dA/dz_c = (1-ε) w_y (p_c - [c = y])` and
//! `df/dz_c = γ (1-p_y)^(γ-1) p_y (p_c - [c = y])`; the smoothed part gives `ε/C (p_c Σ w - w_c)`.
//!
//! Sigmoid: with `σ` the sigmoid of `z` and `q` the probability of the answer `t`, `d BCE/dz = σ - t'` with `t'` the
//! smoothed target, and `d(1-q)^γ/dz = ∓ γ (1-q)^γ q`, minus where the answer is yes.

use super::{part, part_mut, softmax};
use crate::{Loss, Real, Targets};

pub(super) fn cross_entropy<T: Real>(
    losses: &mut [T],
    dlogits: &mut [T],
    logits: &[T],
    targets: Targets<'_>,
    loss: &Loss,
) {
    let classes = loss.classes;
    let sequences = match targets {
        Targets::Classes(targets) => targets.len(),
        Targets::Weighted { classes, weights } => {
            assert!(classes.len() == weights.len(), "{} weights for {} rows", weights.len(), classes.len());
            classes.len()
        }
        Targets::Binary(targets) => {
            assert!(targets.len().is_multiple_of(classes), "{} targets for {classes} logits a row", targets.len());
            targets.len() / classes
        }
    };
    let losses = part_mut("losses", losses, sequences, loss);
    let dlogits = part_mut("dlogits", dlogits, sequences * classes, loss);
    let logits = part("logits", logits, sequences * classes, loss);
    let weights = weights(loss);
    let smoothing = T::from_f64(loss.smoothing);
    let gamma = T::from_f64(loss.focal_gamma);
    for s in 0..sequences {
        let (dz, z) = (&mut dlogits[s * classes..][..classes], &logits[s * classes..][..classes]);
        losses[s] = match targets {
            Targets::Classes(targets) => one_of(dz, z, targets[s] as usize, &weights, smoothing, gamma),
            Targets::Weighted { classes, weights: of_rows } => {
                let value = one_of(dz, z, classes[s] as usize, &weights, smoothing, gamma);
                let weight = T::from_f64(f64::from(of_rows[s]));
                dz.iter_mut().for_each(|dz| *dz *= weight);
                value * weight
            }
            Targets::Binary(targets) => {
                let targets = &targets[s * classes..][..classes];
                (0..classes).map(|c| yes_or_no(&mut dz[c], z[c], targets[c], weights[c], smoothing, gamma)).sum()
            }
        };
        dz.iter_mut().for_each(|dz| *dz /= T::from_f64(loss.normaliser));
    }
}

fn weights<T: Real>(loss: &Loss) -> Vec<T> {
    let Some(weights) = &loss.class_weights else { return vec![T::one(); loss.classes] };
    assert!(weights.len() == loss.classes, "{} class weights for {} classes", weights.len(), loss.classes);
    weights.iter().map(|&weight| T::from_f64(weight)).collect()
}

/// The loss of a row whose class is `y`; `dz` receives its gradient.
fn one_of<T: Real>(dz: &mut [T], z: &[T], y: usize, weights: &[T], smoothing: T, gamma: T) -> T {
    assert!(y < z.len(), "class {y} among {}", z.len());
    let mut p = z.to_vec();
    let log_sum = softmax(&mut p);
    // The sum of the others keeps its digits where `1 - p_y` would lose them all.
    let rest: T = (0..z.len()).filter(|&c| c != y).map(|c| p[c]).sum();
    let (focal, slope) = focal(rest, gamma);
    let share = smoothing / T::from_f64(z.len() as f64);
    let weight = (T::one() - smoothing) * weights[y];
    let surprise = weight * (log_sum - z[y]);
    let total: T = weights.iter().copied().sum();
    let mut value = focal * surprise;
    for c in 0..z.len() {
        let difference = if c == y { -rest } else { p[c] };
        dz[c] = (focal * weight + slope * p[y] * surprise) * difference + share * (p[c] * total - weights[c]);
        value += share * weights[c] * (log_sum - z[c]);
    }
    value
}

/// The loss of one answer `t`, 0 or 1; `dz` receives its gradient.
fn yes_or_no<T: Real>(dz: &mut T, z: T, t: f32, weight: T, smoothing: T, gamma: T) -> T {
    assert!(t == 0.0 || t == 1.0, "a binary target is 0 or 1, not {t}");
    let (zero, one) = (T::zero(), T::one());
    let sigmoid = |z: T| one / (one + (-z).exp());
    let t = T::from_f64(f64::from(t));
    let smooth = t * (one - smoothing) + smoothing / (one + one);
    let sign = if t == zero { -one } else { one };
    let (q, rest) = (sigmoid(sign * z), sigmoid(-sign * z));
    let (focal, slope) = focal(rest, gamma);
    // `max(z, 0) - z t + ln(1 + exp(-|z|))` never overflows.
    let value = z.max(zero) - z * smooth + (-z.abs()).exp().ln_1p();
    *dz = weight * (focal * (sigmoid(z) - smooth) - sign * slope * q * rest * value);
    weight * focal * value
}

/// `r^γ` and `γ r^(γ-1)`, the latter taken as 0 at `r = 0`, where what it is multiplied by vanishes faster.
fn focal<T: Real>(rest: T, gamma: T) -> (T, T) {
    if gamma == T::zero() {
        (T::one(), T::zero())
    } else if rest == T::zero() {
        (T::zero(), T::zero())
    } else {
        (rest.powf(gamma), gamma * rest.powf(gamma - T::one()))
    }
}
