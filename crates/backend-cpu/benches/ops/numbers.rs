//! What is multiplied and added; the example `gemm` reads this file too.

/// Numbers between -1 and 1 without a pattern that matters.
pub fn values(len: usize) -> Vec<f32> {
    let mut state = 0x2545_F491_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}
