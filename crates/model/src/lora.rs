//! Which layers carry a low-rank adapter, and what becomes of it in the end: `W' = W + s B A`
//!
//! `A[r, in]` and `B[out, r]` are trained while `W[out, in]` stays as it is (<https://arxiv.org/abs/2106.09685>), with
//! `s = α / r`, or `α / √r` where the rank is not to change the size of a step (<https://arxiv.org/abs/2312.03732>). Layers
//! are chosen by the names that Transformers has for them, with PEFT's rule and PEFT's defaults, so that an adapter that is
//! written opens there.

use std::ops::Range;

use finetone_backend::Backend;

use crate::checkpoint::rules_of;
use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::families::Layout;
use crate::params::{ParamId, Part};
use crate::transformer::{Model, Transformer};

/// The name that stands for every linear layer of the blocks.
const ALL_LINEAR: &str = "all-linear";

/// What all adapters of a model have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraSettings {
    /// The rank r.
    pub rank: usize,
    /// α.
    pub alpha: f64,
    /// Whether the scale is `α / √r`, not `α / r`.
    pub rank_stabilised: bool,
    /// Dropout on what enters an adapter.
    pub dropout: f64,
}

impl LoraSettings {
    /// The factor s on what an adapter adds.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rank_stabilised { rank.sqrt() } else { rank }
    }
}

/// A linear layer by Transformers' name, and where it lies in ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoraTarget {
    /// Our layer, such as `blocks.0.attention.qkv`.
    pub layer: String,
    /// Their module, such as `bert.encoder.layer.0.attention.self.query`.
    pub module: String,
    /// The rows of our weight that are theirs.
    pub rows: Range<usize>,
    /// Its inputs.
    pub inputs: usize,
    /// Whether they keep the weight transposed.
    pub transposed: bool,
}

impl LoraTarget {
    /// The last part of the module's name.
    pub fn leaf(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }

    /// PEFT's rule: the whole name, or its last parts.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.module.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    }

    /// Our name of the adapter's matrix `lora_a` or `lora_b`.
    pub(crate) fn parameter(&self, matrix: &str) -> String {
        format!("{}.{}.{matrix}", self.layer, self.leaf())
    }
}

/// The adapters of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Lora {
    /// What they have in common.
    pub settings: LoraSettings,
    /// The layers that carry one.
    pub targets: Vec<LoraTarget>,
}

impl Lora {
    /// The rank, and the most inputs and outputs that a layer with an adapter has.
    pub(crate) fn widths(&self) -> (usize, usize, usize) {
        let most = |size: fn(&LoraTarget) -> usize| self.targets.iter().map(size).max().unwrap_or(0);
        (self.settings.rank, most(|target| target.inputs), most(|target| target.rows.len()))
    }

    /// Values of scratch memory for each token.
    pub(crate) fn scratch_width(&self, training: bool) -> usize {
        let (rank, inputs, outputs) = self.widths();
        rank + outputs + if training { inputs } else { 0 }
    }
}

/// Every linear layer of the blocks that can carry an adapter.
pub(crate) fn linear_layers(config: &ModelConfig) -> Vec<LoraTarget> {
    let plain = ModelConfig { lora: None, ..config.clone() };
    let (_, table) = Transformer::declare(&plain);
    let mut layers = Vec::new();
    for rule in rules_of(&plain, &table, true) {
        let spec = table.find(&rule.ours).map(|id| table.spec(id));
        let (Some(spec), Some(layer)) = (spec, rule.ours.strip_suffix(".weight")) else { continue };
        if !matches!(spec.part, Part::Block(_)) {
            continue;
        }
        let mut start = 0;
        for (name, rows) in rule.parts(spec.shape.rows) {
            layers.push(LoraTarget {
                layer: layer.to_owned(),
                module: name.strip_suffix(".weight").unwrap_or(name).to_owned(),
                rows: start..start + rows,
                inputs: spec.shape.columns,
                transposed: rule.layout == Layout::Transposed,
            });
            start += rows;
        }
    }
    layers
}

impl ModelConfig {
    /// Gives adapters to the linear layers of these names: as PEFT reads them (`query`, `self_attn.q_proj`, `all-linear`), or
    /// PEFT's own choice for the family where there are none.
    ///
    /// # Errors
    /// A name that no linear layer of a block has.
    pub fn set_lora(&mut self, settings: LoraSettings, names: &[String]) -> Result<(), ModelError> {
        let layers = linear_layers(self);
        let defaults = || self.family.spec().lora_targets.iter().map(|&name| name.to_owned()).collect();
        let names = if names.is_empty() { defaults() } else { names.to_vec() };
        let all = names.iter().any(|name| name == ALL_LINEAR);
        let missing = |name: &&String| *name != ALL_LINEAR && !layers.iter().any(|layer| layer.is_called(name));
        if let Some(name) = names.iter().find(missing) {
            let mut known: Vec<String> = layers.iter().map(|layer| layer.leaf().to_owned()).collect();
            known.sort();
            known.dedup();
            return Err(ModelError::NoSuchLayer { name: name.clone(), known });
        }
        let chosen = |layer: &LoraTarget| all || names.iter().any(|name| layer.is_called(name));
        self.lora = Some(Lora { settings, targets: layers.into_iter().filter(chosen).collect() });
        Ok(())
    }
}

impl<B: Backend> Model<B> {
    /// The same model with fresh adapters where `config` says so, which is this model's configuration but for them. Nothing that
    /// it computes changes at first, because B starts as zeros.
    pub fn adapted(self, backend: &B, config: ModelConfig, seed: u64) -> Self {
        let (transformer, table) = Transformer::declare(&config);
        let parameters = self.parameters.with_adapters(backend, &table, seed);
        Self { config, transformer, table, parameters }
    }

    /// The master values of a weight as `f32`, with its adapters merged into it.
    pub fn merged_values(&self, backend: &B, id: ParamId) -> Vec<f32> {
        let read = |id| self.parameters.values(backend, &self.table, id);
        let (mut values, name) = (read(id), &self.table.spec(id).name);
        let Some(Lora { settings, targets }) = &self.config.lora else { return values };
        for target in targets.iter().filter(|target| name.strip_suffix(".weight") == Some(&target.layer)) {
            let [a, b] = ["lora_a", "lora_b"].map(|matrix| {
                read(self.table.find(&target.parameter(matrix)).expect("every target has declared its adapter"))
            });
            add_product(&mut values, target, (&a, &b), settings.scale());
        }
        values
    }
}

/// `W += s B A` in the rows of a target; each sum is rounded once.
pub(crate) fn add_product(values: &mut [f32], target: &LoraTarget, (a, b): (&[f32], &[f32]), scale: f64) {
    let (inputs, rank) = (target.inputs, a.len() / target.inputs);
    let rows = values[target.rows.start * inputs..target.rows.end * inputs].chunks_exact_mut(inputs);
    let mut sums = vec![0.0; inputs];
    for (row, b) in rows.zip(b.chunks_exact(rank)) {
        sums.fill(0.0);
        for (&b, a) in b.iter().zip(a.chunks_exact(inputs)) {
            sums.iter_mut().zip(a).for_each(|(sum, &a)| *sum += f64::from(b) * f64::from(a));
        }
        row.iter_mut().zip(&sums).for_each(|(value, sum)| *value = (f64::from(*value) + scale * sum) as f32);
    }
}
