//! Cross-entropy in `f64`: S × C values are few.

use finetone_backend::{Loss, Targets};

/// Loss of each row of `logits`, and its gradient divided by the normaliser. The formulas stand at [`Loss`].
pub(crate) fn cross_entropy(
    losses: &mut [f32],
    dlogits: &mut [f32],
    logits: &[f32],
    targets: Targets<'_>,
    loss: &Loss,
) {
    let classes = loss.classes;
    let rows = losses.iter_mut().zip(dlogits.chunks_exact_mut(classes)).zip(logits.chunks_exact(classes));
    for (s, ((value, gradient), logits)) in rows.enumerate() {
        *value = match targets {
            Targets::Classes(labels) => softmax_row(gradient, logits, labels[s] as usize, loss),
            Targets::Binary(answers) => {
                let answers = &answers[s * classes..(s + 1) * classes];
                (0..classes).map(|c| binary(&mut gradient[c], logits[c], answers[c], c, loss)).sum::<f64>()
            }
        } as f32;
    }
}

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
