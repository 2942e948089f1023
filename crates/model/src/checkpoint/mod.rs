//! A Hugging Face folder to a model, and back.
//!
//! `config.json` becomes a [`ModelConfig`], the tensors of `model.safetensors` (one file, or shards with an index) become
//! [`Parameters`] by the rules of the family; an export runs the same rules backwards, so what was
//! imported is exported bit for bit.

mod adapter;
mod adapter_settings;
mod export;
mod growth;
mod tensors;

pub use adapter::{AdapterFolder, BaseModel, save_adapter};
pub use export::{NamedTensor, exported_config, save, to_hugging_face};
pub use tensors::Tensors;

use std::path::{Path, PathBuf};

use finetone_backend::{Backend, Real, WeightShape};
use serde_json::{Map, Value};

use crate::config::{Family, LanguageHead, ModelConfig};
use crate::error::ModelError;
use crate::families::{self, Layout, Rule};
use crate::params::{ParamId, ParamSpec, ParamTable, Parameters, Part};
use crate::transformer::{Model, Transformer};

/// Whether a head that the folder lacks is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadImport {
    /// The folder is a finished classifier: every tensor must be there.
    Required,
    /// The folder is a start for training: what is missing or belongs to other labels starts fresh, from this seed.
    FreshWhereMissing(u64),
}

/// What an import found besides the weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Our names of the head's parameters that start fresh.
    pub fresh: Vec<String>,
    /// Tensors of the folder that the model has no use for, such as a language-model head.
    pub unused: Vec<String>,
}

/// A folder with a readable `config.json`.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    folder: PathBuf,
    config: ModelConfig,
}

impl ModelFolder {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// See [`ModelError`]: no file, no JSON, an unknown `model_type`, a field that is not supported.
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join("config.json");
        let text = std::fs::read(&path).map_err(ModelError::io(&path))?;
        let raw: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| {
            ModelError::config(&path, format!("not a JSON object: {error}"), "download or export the folder again")
        })?;
        Ok(Self { folder: folder.to_owned(), config: families::read_config(&raw, &path)? })
    }

    /// The configuration as read.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Reads the weights of the model that `config` describes: the folder's own configuration, or one with another head. Where
    /// a head may start fresh, the vocabulary may have grown as well (see [`ModelConfig::grow_vocabulary`]).
    ///
    /// # Errors
    /// See [`ModelError`]: no safetensors, a damaged file, a missing tensor, a wrong shape.
    pub fn load<B: Backend>(
        &self,
        backend: &B,
        config: ModelConfig,
        head: HeadImport,
    ) -> Result<(Model<B>, ImportReport), ModelError> {
        let tensors = Tensors::open(&self.folder)?;
        let (transformer, table) = Transformer::declare(&config);
        let same_labels = config.head.labels == self.config.head.labels;
        let importer = Importer::new(&tensors, &config, &table);
        let mut report = ImportReport::default();
        let mut weights = Vec::with_capacity(table.len());
        // Only what the folder lacks is made afresh: nothing is allocated for a size that the weights do not bear out.
        for (id, spec) in table.iter() {
            let rule = importer.rules.iter().find(|rule| rule.ours == spec.name);
            let rule = rule.expect("every parameter of the table has a rule");
            let fresh = match head {
                HeadImport::FreshWhereMissing(seed) if spec.part == Part::Head && !self.has_grown(spec) => {
                    let of_labels = ["head.classifier.", "head.features."];
                    let other_labels = !same_labels && of_labels.iter().any(|name| spec.name.starts_with(name));
                    (other_labels || !importer.fits(rule, spec.shape)).then_some(seed)
                }
                _ => None,
            };
            weights.push(if let Some(seed) = fresh {
                report.fresh.push(spec.name.clone());
                Parameters::<B>::fresh(backend, id, spec, seed)
            } else {
                let values = self.read_grown(&importer, rule, (id, spec), head)?;
                let values: Vec<B::Real> = values.into_iter().map(|v| B::Real::from_f64(f64::from(v))).collect();
                backend.weight(&values, spec.shape)
            });
        }
        let parameters = Parameters::new(weights);
        report.unused = importer.unused();
        Ok((Model { config, transformer, table, parameters }, report))
    }

    /// Reads the masked language model of the folder, which says what stands at masked places.
    ///
    /// # Errors
    /// [`ModelError::NoMaskedModel`] for a family that reads in one direction, [`ModelError::NoMaskedHead`] for weights without
    /// that head, and what [`ModelFolder::load`] refuses.
    pub fn load_masked<B: Backend>(&self, backend: &B) -> Result<Model<B>, ModelError> {
        let mut config = self.config.clone();
        config.set_masked_head()?;
        let head = config.family.spec().masked.as_ref().expect("the configuration was given its head");
        if !Tensors::open(&self.folder)?.contains(&format!("{}.weight", head.dense)) {
            return Err(ModelError::NoMaskedHead { folder: self.folder.clone(), architecture: head.architecture });
        }
        Ok(self.load(backend, config, HeadImport::Required)?.0)
    }

    /// Whether this is a table with a row for each token, of which there are more than the folder knows.
    fn has_grown(&self, spec: &ParamSpec) -> bool {
        growth::TOKEN_TABLES.contains(&spec.name.as_str()) && spec.shape.rows > self.config.vocab_size
    }

    /// One parameter; the table of tokens with fresh rows for those that were added.
    fn read_grown(
        &self,
        importer: &Importer<'_>,
        rule: &Rule,
        (id, spec): (ParamId, &ParamSpec),
        head: HeadImport,
    ) -> Result<Vec<f32>, ModelError> {
        match head {
            HeadImport::FreshWhereMissing(seed) if self.has_grown(spec) => {
                let stored = WeightShape { rows: self.config.vocab_size, ..spec.shape };
                let mut values = importer.read(rule, stored)?;
                growth::add_rows(&mut values, (id, spec), self.config.initializer_range, seed);
                Ok(values)
            }
            _ => importer.read(rule, spec.shape),
        }
    }
}

/// The rules of a model's backbone and head with the names as they stand in a file.
pub(crate) fn rules_of(config: &ModelConfig, table: &ParamTable, prefixed: bool) -> Vec<Rule> {
    let spec = config.family.spec();
    let (mut rules, standard_head) = (spec.rules)(config);
    if prefixed {
        rename(&mut rules, |name| format!("{}{name}", spec.prefix));
    }
    if let Some(LanguageHead { tied, masked }) = config.language {
        match spec.masked.as_ref().filter(|_| masked.is_some()) {
            Some(head) => rules.extend(head.rules(tied)),
            None if tied => {}
            None => rules.push(Rule::same("head.tokens.weight", "lm_head.weight")),
        }
    } else if config.head.standard {
        let mut head = standard_head;
        // A file without prefixes also names the pooler, which is part of BERT's backbone there, without one.
        if !prefixed {
            rename(&mut head, |name| name.strip_prefix(spec.prefix).unwrap_or(name).to_owned());
        }
        rules.extend(head);
    } else {
        let own = table.iter().filter(|(_, spec)| spec.part == Part::Head);
        rules.extend(own.map(|(_, spec)| Rule {
            ours: spec.name.clone(),
            theirs: vec![format!("finetone.{}", spec.name)],
            shares: vec![1],
            layout: Layout::Same,
        }));
    }
    rules
}

fn rename(rules: &mut [Rule], new: impl Fn(&str) -> String) {
    for name in rules.iter_mut().flat_map(|rule| &mut rule.theirs) {
        *name = new(name);
    }
}

/// The names and shapes that the tensors of a rule have in their file; vectors have one dimension.
pub(crate) fn their_shapes(
    rule: &Rule,
    shape: WeightShape,
    is_vector: bool,
) -> impl Iterator<Item = (&str, Vec<usize>)> {
    rule.parts(if is_vector { shape.columns } else { shape.rows }).map(move |(name, rows)| {
        let shape = match (is_vector, rule.layout) {
            (true, _) => vec![rows],
            (false, Layout::Same) => vec![rows, shape.columns],
            (false, Layout::Transposed) => vec![shape.columns, rows],
        };
        (name, shape)
    })
}

struct Importer<'a> {
    tensors: &'a Tensors,
    rules: Vec<Rule>,
    family: Family,
    /// Names of parameters that are vectors: their rules' tensors have one dimension.
    vectors: Vec<String>,
}

impl<'a> Importer<'a> {
    fn new(tensors: &'a Tensors, config: &ModelConfig, table: &ParamTable) -> Self {
        let prefix = config.family.spec().prefix;
        let prefixed = tensors.names().any(|name| name.starts_with(prefix));
        // A vector never decays and a matrix always does; a one-row matrix (one logit) is told apart by just that.
        let vectors = table.iter().filter(|(_, spec)| !spec.decay).map(|(_, spec)| spec.name.clone()).collect();
        Self { tensors, rules: rules_of(config, table, prefixed), family: config.family, vectors }
    }

    fn expected<'r>(&self, rule: &'r Rule, shape: WeightShape) -> impl Iterator<Item = (&'r str, Vec<usize>)> {
        their_shapes(rule, shape, self.vectors.contains(&rule.ours))
    }

    /// The tensor's name in the file: as the rule says, or as checkpoints of the first years call norms, or where the bias of a
    /// masked-language head is also kept.
    fn name<'n>(&self, name: &'n str) -> std::borrow::Cow<'n, str> {
        let others: &[&str] = match name.rsplit_once('.') {
            _ if self.tensors.contains(name) => &[],
            Some((_, "weight")) => &["gamma"],
            Some((_, "bias")) => &["beta", "decoder.bias"],
            _ => &[],
        };
        let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
        let other = others.iter().map(|other| format!("{stem}.{other}")).find(|other| self.tensors.contains(other));
        other.map_or(name.into(), Into::into)
    }

    fn fits(&self, rule: &Rule, shape: WeightShape) -> bool {
        let mut expected = self.expected(rule, shape);
        expected.all(|(name, shape)| self.tensors.shape(&self.name(name)).is_some_and(|found| found == shape))
    }

    fn read(&self, rule: &Rule, shape: WeightShape) -> Result<Vec<f32>, ModelError> {
        let mut values = Vec::new();
        for (name, expected) in self.expected(rule, shape) {
            let part = self.tensors.read(&self.name(name), &expected)?;
            match rule.layout {
                Layout::Same => values.extend(part),
                Layout::Transposed => values.extend(transpose(&part, expected[0], expected[1])),
            }
        }
        Ok(values)
    }

    /// Tensors that no rule names; buffers that are no weights are not worth a word.
    fn unused(&self) -> Vec<String> {
        let used: std::collections::HashSet<_> =
            self.rules.iter().flat_map(|rule| &rule.theirs).map(|name| self.name(name)).collect();
        let buffer = |name: &str| {
            name.ends_with(".position_ids")
                || name.ends_with(".rotary_emb.inv_freq")
                || (self.family == Family::Gpt2
                    && (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias")))
        };
        let mut unused: Vec<String> =
            self.tensors.names().filter(|name| !used.contains(*name) && !buffer(name)).map(str::to_owned).collect();
        unused.sort();
        unused
    }
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}
