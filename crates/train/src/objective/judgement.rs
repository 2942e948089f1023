//! What logits say besides the loss.

use std::collections::BTreeMap;

use finetone_backend::Real;

/// How a model judges some labels: each text's class, or each yes and no where a text may have several, or each token that a
/// language model learns.
///
/// The means have the names and the meanings that TRL's trainer gives them (<https://huggingface.co/docs/trl/sft_trainer>).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Judgement {
    /// Labels judged.
    pub labels: usize,
    /// How many of them the model thinks likeliest.
    pub right: usize,
    /// Sum of the entropies of the probabilities it gives them, in nats.
    pub entropy: f64,
    /// Sum of `-ln p` of what is right, without any weights.
    pub surprise: f64,
}

impl Judgement {
    /// Of logits of which one is right. With `Z = Σ exp(x)` and `p = exp(x) / Z` the entropy is `ln Z - Σ p x`.
    pub fn of_class<R: Real>(logits: &[R], class: usize) -> Self {
        let greatest = (0..logits.len()).max_by(|&a, &b| Real::to_f64(logits[a]).total_cmp(&Real::to_f64(logits[b])));
        let top = greatest.map_or(0.0, |likeliest| Real::to_f64(logits[likeliest]));
        let (mut sum, mut weighted) = (0.0, 0.0);
        for &logit in logits {
            let shifted = Real::to_f64(logit) - top;
            let power = shifted.exp();
            sum += power;
            weighted += power * shifted;
        }
        Self {
            labels: 1,
            right: usize::from(greatest == Some(class)),
            entropy: sum.ln() - weighted / sum,
            surprise: sum.ln() - (Real::to_f64(logits[class]) - top),
        }
    }

    /// Of one logit, whose sigmoid is the probability of a yes.
    pub fn of_yes(logit: f64, yes: bool) -> Self {
        Self { right: usize::from((logit > 0.0) == yes), ..Self::of_class(&[0.0, logit], usize::from(yes)) }
    }

    /// Mean of the surprises.
    pub fn mean_loss(&self) -> f64 {
        self.surprise / self.labels as f64
    }

    /// Share that is judged right.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.labels as f64
    }

    /// Mean of the entropies.
    pub fn mean_entropy(&self) -> f64 {
        self.entropy / self.labels as f64
    }

    /// The means for tokens by name, with something before each.
    pub fn of_tokens(&self, prefix: &str) -> BTreeMap<String, f64> {
        let means =
            [("loss", self.mean_loss()), ("mean_token_accuracy", self.accuracy()), ("entropy", self.mean_entropy())];
        means.into_iter().map(|(name, mean)| (format!("{prefix}{name}"), mean)).collect()
    }
}

impl std::ops::Add for Judgement {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            labels: self.labels + more.labels,
            right: self.right + more.right,
            entropy: self.entropy + more.entropy,
            surprise: self.surprise + more.surprise,
        }
    }
}

impl std::iter::Sum for Judgement {
    fn sum<I: Iterator<Item = Self>>(judgements: I) -> Self {
        judgements.fold(Self::default(), std::ops::Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_judged_by_hand() {
        // Probabilities 1/2, 1/4, 1/4, whatever is added to all logits.
        let row = [2f64.ln() + 300.0, 300.0, 300.0];
        let found = Judgement::of_class(&row, 1);
        assert!((found.surprise - 4f64.ln()).abs() < 1e-12 && (found.entropy - 1.5 * 2f64.ln()).abs() < 1e-12);
        assert_eq!((found.labels, found.right, Judgement::of_class(&row, 0).right), (1, 0, 1));
        let sure = Judgement::of_class(&[0.0f32, 1e6, 0.0], 1);
        assert_eq!((sure.surprise, sure.entropy, sure.right), (0.0, 0.0, 1));
        // A sigmoid of 3/4 for yes.
        assert!((Judgement::of_yes(3f64.ln(), false).surprise - 4f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn means_are_over_tokens() {
        let both = Judgement::of_class(&[0.0f64, 0.0], 0) + Judgement::of_class(&[0.0f64, 0.0], 1);
        let metrics = both.of_tokens("eval_");
        assert!(
            (metrics["eval_loss"] - 2f64.ln()).abs() < 1e-12 && (metrics["eval_entropy"] - 2f64.ln()).abs() < 1e-12
        );
        assert_eq!(metrics["eval_mean_token_accuracy"], 0.5);
    }
}
