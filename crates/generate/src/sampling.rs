//! Which token follows: the most probable one, or one drawn among the probable ones.

use finetone_data::split::random::Random;

use crate::error::GenerateError;

/// How tokens are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// What logits are divided by; at 0 the most probable token is taken, of equals the first.
    pub temperature: f64,
    /// The share of probability that the tokens have among which one is drawn, the most probable ones
    /// (<https://arxiv.org/abs/1904.09751>); at 1 all of them.
    pub top_p: f64,
    /// Seed of the draws.
    pub seed: u64,
}

impl Sampling {
    /// Always the most probable token.
    pub const GREEDY: Self = Self { temperature: 0.0, top_p: 1.0, seed: 0 };

    /// Checks the ranges.
    ///
    /// # Errors
    /// A temperature or share out of its range.
    pub fn check(&self) -> Result<(), GenerateError> {
        let setting = |name, value, wanted| Err(GenerateError::Setting { name, value, wanted });
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return setting("temperature", self.temperature, "a number from 0 on");
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return setting("top_p", self.top_p, "a number above 0 and at most 1");
        }
        Ok(())
    }

    /// One of the tokens, which have these logarithms of probabilities at a temperature of 1.
    pub(crate) fn choose(&self, tokens: &[(u32, f64)], random: &mut Random) -> (u32, f64) {
        if self.temperature == 0.0 {
            let better = |best: (u32, f64), token: &(u32, f64)| if token.1 > best.1 { *token } else { best };
            return tokens.iter().fold(tokens[0], better);
        }
        let mut best: Vec<(u32, f64)> = tokens.to_vec();
        by_probability(&mut best);
        let scaled: Vec<f64> = best.iter().map(|entry| ((entry.1 - best[0].1) / self.temperature).exp()).collect();
        let nucleus = self.top_p * scaled.iter().sum::<f64>();
        let mut kept = 0.0;
        let count = 1 + scaled
            .iter()
            .take_while(|&&p| {
                kept += p;
                kept < nucleus
            })
            .count();
        let count = count.min(best.len());
        let mut place = random.share() * scaled[..count].iter().sum::<f64>();
        let drawn = scaled[..count].iter().position(|&p| {
            place -= p;
            place < 0.0
        });
        best[drawn.unwrap_or(count - 1)]
    }
}

/// The most probable tokens first, and of equals the first one.
pub(crate) fn by_probability(tokens: &mut [(u32, f64)]) {
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(p: &[f64]) -> Vec<(u32, f64)> {
        p.iter().enumerate().map(|(id, p)| (id as u32, p.ln())).collect()
    }

    /// How often each token is drawn in 20,000 draws.
    fn shares(sampling: Sampling, p: &[f64]) -> Vec<f64> {
        let (tokens, mut random, mut counts) = (logs(p), Random::new(sampling.seed), vec![0.0; p.len()]);
        for _ in 0..20_000 {
            counts[sampling.choose(&tokens, &mut random).0 as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    #[track_caller]
    fn assert_near(shares: &[f64], wanted: &[f64]) {
        // Four deviations of a share of a half.
        shares.iter().zip(wanted).for_each(|(a, b)| assert!((a - b).abs() < 0.015, "{shares:?}, not {wanted:?}"));
    }

    #[test]
    fn draws_have_the_probabilities_of_the_model_of_the_temperature_and_of_the_nucleus() {
        let p = [0.1, 0.5, 0.15, 0.25];
        let plain = Sampling { temperature: 1.0, top_p: 1.0, seed: 5 };
        assert_near(&shares(plain, &p), &p);
        let squares: f64 = p.iter().map(|p| p * p).sum();
        let colder = shares(Sampling { temperature: 0.5, ..plain }, &p);
        assert_near(&colder, &p.map(|p| p * p / squares));
        // 0.5 and 0.25 make up 0.7; 0.5 alone makes up a half.
        assert_near(&shares(Sampling { top_p: 0.7, ..plain }, &p), &[0.0, 2.0 / 3.0, 0.0, 1.0 / 3.0]);
        assert_eq!(shares(Sampling { top_p: 0.5, ..plain }, &p)[1].round(), 1.0);
        assert_eq!(shares(Sampling { temperature: 1e-6, ..plain }, &p)[1].round(), 1.0);
    }

    #[test]
    fn greedy_takes_the_first_of_equals_and_settings_out_of_range_are_refused() {
        let choice = Sampling::GREEDY.choose(&logs(&[0.2, 0.4, 0.4]), &mut Random::new(0));
        assert_eq!(choice, (1, 0.4_f64.ln()));
        for (temperature, top_p) in [(-0.1, 1.0), (f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, 0.0), (1.0, 1.1)] {
            let error = Sampling { temperature, top_p, seed: 0 }.check().unwrap_err();
            assert!(error.hint().is_some(), "{error}");
        }
    }
}
