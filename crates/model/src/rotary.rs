//! Rotary positions: by which angles the pairs of a head are turned at each position.
//!
//! Pair `i` of E/2 is turned by `p fᵢ` at position `p`, with `fᵢ = θ^(-2i/E)` (<https://arxiv.org/abs/2104.09864>), stretched
//! where a model was extended to longer texts. The angles are computed in f64; transformers computes them in f32, which at
//! position 1,000 is off by up to 6e-5.

use std::f64::consts::TAU;

/// Rotary positions of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotary {
    /// θ, the base of the frequencies.
    pub theta: f64,
    /// How the frequencies are stretched.
    pub scaling: RotaryScaling,
}

/// How frequencies are changed for longer texts than a model was first trained on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RotaryScaling {
    /// They are not.
    None,
    /// All are divided by a factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Those of long waves are divided by a factor, those of short ones stay, and between them it is a mixture
    /// (Llama 3.1, <https://arxiv.org/abs/2407.21783>).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Waves longer than the original length divided by this are long.
        low: f64,
        /// Waves shorter than the original length divided by this are short.
        high: f64,
        /// The length of the texts that the model was first trained on.
        original: f64,
    },
}

impl RotaryScaling {
    fn scaled(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low, high, original } => {
                let waves = original * frequency / TAU;
                let kept = ((waves - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
        }
    }
}

impl Rotary {
    /// `[positions, head_size]`: for each position the cosines of its angles, then their sines.
    pub fn table(&self, positions: usize, head_size: usize) -> Vec<f64> {
        let half = head_size / 2;
        let frequency = |i: usize| self.scaling.scaled(self.theta.powf(-2.0 * i as f64 / head_size as f64));
        let frequencies: Vec<f64> = (0..half).map(frequency).collect();
        let mut table = Vec::with_capacity(positions * head_size);
        for position in 0..positions {
            let angles = frequencies.iter().map(|frequency| position as f64 * frequency);
            table.extend(angles.clone().map(f64::cos));
            table.extend(angles.map(f64::sin));
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pair_turns_by_one_and_the_last_nearly_by_one_over_theta() {
        let rotary = Rotary { theta: 10_000.0, scaling: RotaryScaling::None };
        let table = rotary.table(4, 4);
        let angles = [3.0_f64, 0.03];
        let expected = [angles[0].cos(), angles[1].cos(), angles[0].sin(), angles[1].sin()];
        table[12..].iter().zip(expected).for_each(|(ours, theirs)| assert!((ours - theirs).abs() < 1e-15));
        assert_eq!(table[..4], [1.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn long_waves_are_stretched_short_ones_kept_and_between_them_it_is_continuous() {
        let scaling = RotaryScaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let of_waves = |waves: f64| scaling.scaled(waves * TAU / 8192.0) / (waves * TAU / 8192.0);
        assert_eq!((of_waves(0.5), of_waves(5.0)), (0.125, 1.0));
        assert!((of_waves(1.0 + 1e-9) - 0.125).abs() < 1e-8 && (of_waves(4.0 - 1e-9) - 1.0).abs() < 1e-8);
        assert!((of_waves(2.5) - 0.5625).abs() < 1e-15);
    }
}
