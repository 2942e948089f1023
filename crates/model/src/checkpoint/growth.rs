//! Rows for tokens that were added to a vocabulary.

use finetone_backend::WeightShape;

use crate::initialise;
use crate::params::{Init, ParamId, ParamSpec};

/// Our names of the tables that have a row for each token.
pub(super) const TOKEN_TABLES: [&str; 2] = ["embeddings.token", "head.tokens.weight"];

/// Deviation of a fresh row from the mean, as a share of the deviation that fresh weights have.
const NOISE: f64 = 0.1;

/// Appends the rows that `spec` has and `values` lacks: the mean of the rows that are there, so that a new token is none that
/// the model has never seen the like of ([Hewitt 2021](https://nlp.stanford.edu/~johnhew/vocab-expansion.html)), and a little
/// noise, so that two of them differ.
pub(super) fn add_rows(values: &mut Vec<f32>, (id, spec): (ParamId, &ParamSpec), deviation: f64, seed: u64) {
    let WeightShape { columns, .. } = spec.shape;
    let rows = values.len() / columns;
    let mut mean = vec![0.0; columns];
    for row in values.chunks_exact(columns) {
        mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value) / rows as f64);
    }
    let missing = spec.shape.len() - values.len();
    let noise = initialise::values(Init::Normal(NOISE * deviation), missing, seed, id.0 as u64);
    values.extend(noise.zip(mean.iter().cycle()).map(|(noise, mean)| (mean + noise) as f32));
}
