//! How often a model is right on texts whose labels nobody knows, by how sure it is.
//!
//! A model that is right as often as it says has the accuracy of its mean confidence. Few are, so the confidence is corrected by
//! what it was off by on texts with labels (the "difference of confidences" of Guillory et al. 2021,
//! <https://arxiv.org/abs/2107.03315>). That is as much as can be known without labels, and it is wrong where the model is as
//! sure as before and right less often: on texts of another kind it usually promises too much.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::Estimate;

/// The share of the fresh texts that is probably right, given their confidences `[m]` and those of `n` texts of which it is known
/// whether the model was right. The interval, which holds the share in `level` of such cases, knows of chance in the reference
/// and in the labels, and not of a change in what a confidence means. Nothing where a side is empty.
pub fn expected_accuracy(reference: (&[f32], &[bool]), fresh: &[f32], level: f64) -> Option<Estimate> {
    let gaps = reference.0.iter().zip(reference.1);
    let gaps: Vec<f64> = gaps.map(|(&sure, &right)| f64::from(u8::from(right)) - f64::from(sure)).collect();
    let (n, m) = (gaps.len() as f64, fresh.len() as f64);
    if gaps.is_empty() || fresh.is_empty() {
        return None;
    }
    let gap = gaps.iter().sum::<f64>() / n;
    let spread = gaps.iter().map(|value| (value - gap).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    let confidence = fresh.iter().map(|&sure| f64::from(sure)).sum::<f64>() / m;
    let labels = fresh.iter().map(|&sure| f64::from(sure) * (1.0 - f64::from(sure))).sum::<f64>() / (m * m);
    let reach = Normal::standard().inverse_cdf(0.5 + level / 2.0) * (spread / n + labels).sqrt();
    let value = (confidence + gap).clamp(0.0, 1.0);
    Some(Estimate { value, low: (value - reach).max(0.0), high: (value + reach).min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    #[test]
    fn a_model_that_is_too_sure_is_corrected_by_as_much() {
        let reference = ([0.9_f32; 100], [[true; 80].as_slice(), &[false; 20]].concat());
        let found = expected_accuracy((&reference.0, &reference.1), &[0.8; 400], 0.95).expect("both sides");
        assert!((found.value - 0.7).abs() < 1e-6, "{found:?}");
        // Deviations 0.4 / √99 of the reference and 0.4 / √400 of the labels.
        let reach = 1.959_964 * (0.16_f64 / 99.0 + 0.16 / 400.0).sqrt();
        assert!((found.high - 0.7 - reach).abs() < 1e-6 && (0.7 - found.low - reach).abs() < 1e-6, "{found:?}");
        assert_eq!(expected_accuracy((&[], &[]), &[0.8], 0.95), None);
    }

    /// Confidences of an honest model that says 1/10 more than it knows, and whether it was right.
    fn drawn(random: &mut SplitMix64, rows: usize, least: f64) -> (Vec<f32>, Vec<bool>) {
        let share = |random: &mut SplitMix64| (random.next() >> 11) as f64 * 2.0_f64.powi(-53);
        let row = |_| {
            let truth = least + (0.9 - least) * share(random);
            ((truth + 0.1) as f32, share(random) < truth)
        };
        (0..rows).map(row).unzip()
    }

    #[test]
    fn the_interval_holds_the_accuracy_as_often_as_it_says() {
        let mut random = SplitMix64::new(3);
        let held = (0..400).filter(|_| {
            let (sure, right) = drawn(&mut random, 300, 0.5);
            let (fresh, answers) = drawn(&mut random, 200, 0.3);
            let accuracy = answers.iter().filter(|right| **right).count() as f64 / 200.0;
            let found = expected_accuracy((&sure, &right), &fresh, 0.95).expect("both sides");
            (found.low..=found.high).contains(&accuracy)
        });
        // 380 are expected; four standard deviations are 17.
        let held = held.count();
        assert!((362..=397).contains(&held), "{held} of 400");
    }
}
