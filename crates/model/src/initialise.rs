//! Fresh weights from a seed.
//!
//! SplitMix64 (Steele, Lea and Flood 2014) and the Box-Muller transform, written out so that a seed means the same
//! weights in every version of every dependency.

use crate::params::Init;

/// `len` values for the parameter number `stream` of a model with this seed.
pub fn values(init: Init, len: usize, seed: u64, stream: u64) -> impl ExactSizeIterator<Item = f64> {
    let mut state = seed ^ stream.wrapping_add(1).wrapping_mul(0xD1B5_4A32_D192_ED03);
    (0..len).map(move |_| match init {
        Init::Zeros => 0.0,
        Init::Ones => 1.0,
        Init::Normal(deviation) => deviation * normal(&mut state),
        Init::Uniform(bound) => bound * (2.0 * uniform(&mut state) - 1.0),
    })
}

fn normal(state: &mut u64) -> f64 {
    // 1 - u lies in (0, 1], so the logarithm is finite.
    let radius = (-2.0 * (1.0 - uniform(state)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(state)).cos()
}

fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_values_have_the_deviation_asked_for() {
        let v: Vec<f64> = values(Init::Normal(0.02), 50_000, 1, 0).collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let deviation = (v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64).sqrt();
        assert!(mean.abs() < 5e-4 && (deviation - 0.02).abs() < 5e-4, "mean {mean} deviation {deviation}");
    }

    #[test]
    fn uniform_values_fill_their_range() {
        let v: Vec<f64> = values(Init::Uniform(0.5), 50_000, 1, 0).collect();
        let mean = v.iter().sum::<f64>() / v.len() as f64;
        let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / v.len() as f64;
        assert!(mean.abs() < 5e-3 && (variance - 1.0 / 12.0).abs() < 1e-3, "mean {mean} variance {variance}");
        assert!(v.iter().all(|x| (-0.5..0.5).contains(x)));
    }

    #[test]
    fn streams_and_seeds_differ() {
        let v = |seed, stream| values(Init::Normal(1.0), 4, seed, stream).collect::<Vec<f64>>();
        assert_eq!(v(1, 0), v(1, 0));
        assert_ne!(v(1, 0), v(1, 1));
        assert_ne!(v(1, 0), v(2, 0));
    }
}
