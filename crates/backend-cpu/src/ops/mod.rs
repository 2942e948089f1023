//! The operations other than matrix products. Slices have the length of the operation, checked by [`crate::backend`].

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod attention_pool;
pub(crate) mod columns;
pub(crate) mod dropout;
pub(crate) mod embedding;
pub(crate) mod gated;
pub(crate) mod loss;
pub(crate) mod math;
pub(crate) mod norm;
pub(crate) mod optimiser;
pub(crate) mod pool;
pub(crate) mod rotary;
pub(crate) mod tile;
