//! Words and how probable each is.

use finetone_data::split::random::Random;

/// The least log-probability that an answer tells: JSON has no infinity.
const FLOOR: f64 = -9999.0;

/// A log-probability that can be told.
pub fn at_least(log: f64) -> f64 {
    log.max(FLOOR)
}

/// The words that an answer may be, and their probabilities, which sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    words: Vec<String>,
    probabilities: Vec<f64>,
}

impl Distribution {
    /// Words and weights, of which at least one is above zero.
    pub fn new<W: Into<f64> + Copy>(words: &[String], weights: &[W]) -> Self {
        let sum: f64 = weights.iter().map(|&weight| weight.into()).sum();
        let probabilities = weights.iter().map(|&weight| weight.into() / sum).collect();
        Self { words: words.to_vec(), probabilities }
    }

    /// The words.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The same with only some of the words, in this order and under these names. `None` where none of them has a chance.
    pub fn only(&self, kept: &[(usize, String)]) -> Option<Self> {
        let weights: Vec<f64> = kept.iter().map(|(word, _)| self.probabilities[*word]).collect();
        let words: Vec<String> = kept.iter().map(|(_, name)| name.clone()).collect();
        (weights.iter().sum::<f64>() > 0.0).then(|| Self::new(&words, &weights))
    }

    /// The logarithm of a word's probability.
    pub fn log_probability(&self, word: usize) -> f64 {
        at_least(self.probabilities[word].ln())
    }

    /// The words from the most to the least probable; of equals the first comes first.
    pub fn ranking(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.words.len()).collect();
        order.sort_by(|&a, &b| self.probabilities[b].total_cmp(&self.probabilities[a]));
        order
    }

    /// A word drawn from `p^(1/T)`; at temperature 0 the most probable one. Of these only the most probable ones that together
    /// have at least the share `top_p` ([Holtzman et al. 2020](https://arxiv.org/abs/1904.09751)).
    pub fn draw(&self, temperature: f64, top_p: f64, random: &mut Random) -> usize {
        let ranking = self.ranking();
        if temperature == 0.0 {
            return ranking[0];
        }
        let top = self.probabilities[ranking[0]].ln();
        let weight = |word: usize| ((self.probabilities[word].ln() - top) / temperature).exp();
        let weights: Vec<f64> = ranking.iter().map(|&word| weight(word)).collect();
        let wanted = top_p * weights.iter().sum::<f64>();
        let mut kept = 0.0;
        let nucleus = weights.iter().position(|weight| {
            kept += weight;
            kept >= wanted
        });
        let weights = &weights[..=nucleus.unwrap_or(weights.len() - 1)];
        let mut left = random.share() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // Rounding may leave a crumb behind the last one.
        ranking[drawn.unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(weights: &[f64]) -> Distribution {
        let words: Vec<String> = (0..weights.len()).map(|i| format!("w{i}")).collect();
        Distribution::new(&words, weights)
    }

    /// How often each word is drawn in a thousand times.
    fn tally(distribution: &Distribution, temperature: f64, top_p: f64) -> Vec<usize> {
        let mut counts = vec![0; distribution.words().len()];
        for seed in 0..1000 {
            counts[distribution.draw(temperature, top_p, &mut Random::of(&[seed]))] += 1;
        }
        counts
    }

    #[test]
    fn words_come_as_often_as_they_are_probable() {
        let three = distribution(&[1.0, 7.0, 2.0]);
        let counts = tally(&three, 1.0, 1.0);
        // Four standard deviations of the share with the greatest variance.
        assert!([100, 700, 200].iter().zip(&counts).all(|(wanted, got)| got.abs_diff(*wanted) < 60), "{counts:?}");
        // p^(1/T) with T = 1/2 squares: 1, 49, 4 of 54; with T = 2 it takes roots.
        let cold = tally(&three, 0.5, 1.0);
        assert!(cold[1].abs_diff(907) < 40 && cold[0].abs_diff(19) < 18, "{cold:?}");
        let warm = tally(&three, 2.0, 1.0);
        assert!(warm[1].abs_diff(523) < 64, "{warm:?}");
    }

    #[test]
    fn cold_or_narrow_the_most_probable_word_comes_always() {
        let three = distribution(&[1.0, 7.0, 2.0]);
        for (temperature, top_p) in [(0.0, 1.0), (1.0, 0.0), (1.0, 0.69), (1e-9, 1.0)] {
            assert_eq!(tally(&three, temperature, top_p), [0, 1000, 0], "{temperature} {top_p}");
        }
        assert_eq!(tally(&three, 1.0, 0.8)[0], 0);
        assert_eq!(tally(&distribution(&[0.0, 1.0]), 2.0, 1.0), [0, 1000]);
        assert_eq!(distribution(&[1.0, 1.0]).draw(0.0, 1.0, &mut Random::of(&[])), 0);
    }

    #[test]
    fn logarithms_have_a_floor_and_sum_to_one() {
        let three = distribution(&[0.0, 3.0, 1.0]);
        assert_eq!(three.log_probability(0), FLOOR);
        let sum: f64 = (0..3).map(|word| three.log_probability(word).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12);
        assert_eq!(three.ranking(), [1, 2, 0]);
    }

    #[test]
    fn a_part_is_a_distribution_again() {
        let three = distribution(&[1.0, 7.0, 2.0]);
        let part = three.only(&[(2, "Z".into()), (0, "A".into())]).unwrap();
        assert_eq!(part.words(), ["Z", "A"]);
        assert!((part.log_probability(0).exp() - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(distribution(&[0.0, 1.0]).only(&[(0, "A".into())]), None);
        assert_eq!(three.only(&[]), None);
    }
}
