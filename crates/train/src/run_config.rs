//! Every setting of a run: complete, checked, and saved with the run as `run.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use finetone_data::augment::Change;
use finetone_data::cleaning::Cleaning;
use finetone_data::conversation::Speakers;
use finetone_data::features::{check_template, default_template};
use finetone_data::preparation::{ConversationPart, FeatureUse, StageDirections};
use finetone_data::{OpenOptions, Preparation, TextEncoding};
use finetone_evaluate::{Aim, Metric};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::choices::{
    CacheUse, Calibrate, ClassWeights, Decision, MemoryUse, NeighbourUse, OutputKind, SamplingRule, Schedule,
    SplitRule, Task, TrainingPrecision, Truncation, WeightRule,
};
use crate::error::TrainError;
use crate::measure::WORST_ERRORS;
use crate::tracking::Tracking;

/// The model that is trained when none is named.
pub(crate) const DEFAULT_MODEL: &str = "tiny";

/// Every setting of a run, with its default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, SmartDefault)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The file to learn from.
    pub train: PathBuf,
    /// The file to measure on at the end; without it, `test_fraction` of the rows is held out.
    pub test: Option<PathBuf>,
    /// The file that chooses the best checkpoint; without it, `validation_fraction` of the training rows is held out.
    pub validation: Option<PathBuf>,
    /// A run whose rows are learnt from and measured on as well, each for what it was there.
    pub from: Option<PathBuf>,
    /// Share of the rows held out for the test when no test file is given.
    #[default(0.1)]
    pub test_fraction: f64,
    /// Share of the training rows held out for validation when no file is given; 0 trains on all and keeps the last weights.
    #[default(0.1)]
    pub validation_fraction: f64,
    /// The encoding of the files, by a name of the Encoding Standard; a byte-order mark goes before it.
    pub encoding: TextEncoding,
    /// How rows are held out, for the test and for validation.
    pub split: SplitRule,
    /// With `split = "group"`: the column whose values keep rows together.
    pub group_column: Option<String>,
    /// With `split = "time"`: the column that says when a text was written.
    pub time_column: Option<String>,
    /// The column with the texts; found by its name if not given.
    pub text_column: Option<String>,
    /// The column with the labels; found by its name if not given.
    pub label_column: Option<String>,
    /// Several labels in one cell, separated by this character.
    pub multi_label: Option<char>,
    /// The most tokens of a text; the tokenizer's or the model's limit if not given, at most 512.
    pub max_tokens: Option<usize>,
    /// Which part of a longer text is kept.
    pub truncation: Truncation,
    /// With `truncation = "windows"`, how many tokens a window repeats from the end of the one before it.
    pub window_overlap: usize,
    /// What is cleaned from the texts, as a list of steps.
    pub clean: Cleaning,
    /// The part of a conversation that the model reads.
    pub conversation: ConversationPart,
    /// The names of the two sides of a conversation.
    pub speakers: Speakers,
    /// What becomes of stage directions in a conversation.
    pub stage_directions: StageDirections,
    /// Numbers beside the text: what is measured on it, and other columns.
    pub features: Vec<String>,
    /// How they reach the model.
    pub features_as: FeatureUse,
    /// The words around them, with their names between braces; each name and value if not given.
    pub feature_template: Option<String>,

    /// What the model learns to do.
    pub task: Task,
    /// A Hugging Face id, a folder, a run, or the name of a built-in model from scratch.
    #[default(DEFAULT_MODEL.to_owned())]
    pub model: String,
    /// A folder with a tokenizer for a model from scratch; without it one is trained on the training texts.
    pub tokenizer: Option<PathBuf>,
    /// `first`, `last`, `mean` or `attention:N`; the family's own if not given.
    pub pooling: Option<String>,
    /// What the logits mean.
    pub output: OutputKind,
    /// Dropout of the backbone, instead of the model's own.
    pub dropout: Option<f64>,
    /// Dropout of the head, instead of the model's own.
    pub head_dropout: Option<f64>,

    /// Times every training text is seen; from 3 for many texts to 10 for few if not given, so that there are about 400 steps.
    pub epochs: Option<f64>,
    /// Ends the run after this many steps.
    pub max_steps: Option<u64>,
    /// Texts in a batch.
    #[default(16)]
    pub batch_size: usize,
    /// Batches whose gradients add up to one optimiser step.
    #[default(1)]
    pub accumulate: usize,
    /// The most tokens computed at a time; a batch is split to fit, with the same result.
    #[default(4096)]
    pub token_budget: usize,
    /// `low` computes the blocks of the model once more in the backward pass instead of keeping what they save; the
    /// result is the same to the last bit.
    pub memory: MemoryUse,
    /// Whether texts of like length are put into one batch.
    #[default(true)]
    pub group_by_length: bool,
    /// Rate of the backbone.
    #[default(5e-5)]
    pub learning_rate: f64,
    /// The head's rate is this many times the backbone's.
    #[default(1.0)]
    pub head_rate: f64,
    /// Each block's rate is this many times that of the block above it; 1 for all the same.
    #[default(1.0)]
    pub layer_decay: f64,
    /// How the rate runs over the steps.
    pub schedule: Schedule,
    /// Share of the steps in which the rate rises from zero.
    #[default(0.06)]
    pub warmup: f64,
    /// Decoupled weight decay of matrices.
    #[default(0.01)]
    pub weight_decay: f64,
    /// Decay of the first moment.
    #[default(0.9)]
    pub beta1: f64,
    /// Decay of the second moment.
    #[default(0.999)]
    pub beta2: f64,
    /// ε of AdamW.
    #[default(1e-8)]
    pub epsilon: f64,
    /// Gradients with a greater norm are scaled down to it; 0 for no clipping.
    #[default(1.0)]
    pub max_grad_norm: f64,
    /// Share of the target spread over all classes.
    pub label_smoothing: f64,
    /// Weights of the classes in the loss.
    #[default(ClassWeights::Named(WeightRule::None))]
    pub class_weights: ClassWeights,
    /// β of `class_weights = "effective-number"`: the nearer to 1, the nearer to balanced weights.
    #[default(0.999)]
    pub effective_beta: f64,
    /// Focal exponent; 0 for the plain loss.
    pub focal_gamma: f64,
    /// Which rows an epoch takes.
    pub sampling: SamplingRule,
    /// Weighted: a row is drawn in proportion to the rows of its class to the power of minus this; 1 makes classes equally
    /// likely, 0.5 goes half way.
    #[default(1.0)]
    pub sampling_power: f64,
    /// Weighted: times the words of the text to this power.
    pub length_power: f64,
    /// Weighted: times the words of the customer to this power, where the text is a conversation.
    pub customer_length_power: f64,
    /// Weighted: times a factor for each label by its name; 1 for a label that is not named.
    pub class_factors: BTreeMap<String, f64>,
    /// Weighted: draws in an epoch; as many as there are training texts if not given.
    pub epoch_rows: Option<usize>,
    /// Oversampling: the share of the largest class that every class is brought to. Undersampling: the most rows of a class,
    /// as a multiple of the smallest.
    #[default(1.0)]
    pub sampling_ratio: f64,
    /// The changes by which copies of texts of rare classes are made; none for no copies.
    pub augment: Vec<Change>,
    /// A class is rare if it has less than this share of the rows of the largest.
    #[default(0.5)]
    pub augment_below: f64,
    /// Copies of each text of a rare class, in each epoch.
    #[default(1)]
    pub augment_copies: usize,
    /// Instead: as many copies as bring a rare class to this share of the largest.
    pub augment_share: Option<f64>,
    /// Share of the words that a copy deletes, swaps or has replaced.
    #[default(0.1)]
    pub augment_words: f64,
    /// How sure the finished model is made.
    pub calibrate: Calibrate,
    /// Whether the finished model keeps its training texts, the nearest of which then vote in its answers and can be shown.
    pub neighbours: NeighbourUse,
    /// Whether it keeps their words too, and not only where they lie.
    pub neighbours_texts: bool,
    /// How a decision is read from the probabilities of the finished model.
    pub decision: Decision,
    /// What a text that is left to a person costs, where a wrong answer costs 1; the least sure texts are left to one if given.
    pub abstain_cost: Option<f64>,
    /// Instead: the share of the answers that shall be right.
    pub min_precision: Option<f64>,
    /// The most blocks of the model that are used, from the input on; all if not given.
    pub max_layers: Option<usize>,
    /// What is not trained: `embeddings`, a number of blocks from the input (`4`, or `-2` for all but the last two), with the
    /// embeddings, or patterns of parameter names with `*`.
    pub freeze: Vec<String>,
    /// The rank of low-rank adapters (LoRA), which are trained in place of the model's own weights, the head with them; 0 for none.
    pub lora_rank: usize,
    /// What an adapter adds is multiplied by this over the rank; twice the rank if not given.
    pub lora_alpha: Option<f64>,
    /// Dropout on what enters an adapter.
    pub lora_dropout: f64,
    /// The layers that carry one, by the names that Transformers gives them (`query`, `self_attn.q_proj`), or `all-linear`; PEFT's
    /// choice for the family if there are none.
    pub lora_targets: Vec<String>,
    /// Whether `lora_alpha` is divided by the root of the rank, not by the rank.
    pub lora_rslora: bool,
    /// Whether the output of the blocks that `freeze` holds from the input on is computed once for each text and kept. There
    /// is no dropout in these blocks then.
    pub cache: CacheUse,
    /// Steps between evaluations; once an epoch if not given.
    pub eval_every: Option<u64>,
    /// How many of the last epochs leave their model as well, as `epochs/step-N` in the run folder, each a Hugging Face folder.
    pub keep_epochs: usize,
    /// Ends the run after this many evaluations without a better one.
    pub early_stopping: Option<u64>,
    /// The metric that chooses the best checkpoint; `f1_macro` if not given, the loss where the model learns to answer chats.
    pub metric: Option<String>,
    /// The numbers that matrix products multiply.
    pub precision: TrainingPrecision,
    /// Of everything random: split, fresh weights, order, dropout.
    pub seed: u64,
    /// Cross-validation with so many folds before the model to keep is trained; none if not given.
    pub folds: Option<usize>,
    /// How often the rows are divided into folds.
    #[default(1)]
    pub repeats: usize,
    /// Whether simpler ways to answer the test texts are measured as well: baselines, and a small model from scratch.
    pub ladder: bool,
    /// Models trained with as many seeds, from `seed` on; the best on the validation texts is kept.
    #[default(1)]
    pub seeds: usize,
    /// How many of the worst errors the report explains by their words, up to 20; each takes as long as a hundred predictions or
    /// more of its text.
    pub explain_errors: usize,
    /// Who gets the numbers of the run besides its folder, and what they call it.
    pub track: Tracking,
}

impl RunConfig {
    /// Texts of one optimiser step.
    pub fn step_size(&self) -> usize {
        self.batch_size * self.accumulate
    }

    /// What texts are left to a person for, if any are.
    pub fn aim(&self) -> Option<Aim> {
        self.abstain_cost.map(Aim::Cost).or(self.min_precision.map(Aim::Precision))
    }

    /// The metric that chooses the best checkpoint.
    ///
    /// # Errors
    /// A name that no metric has.
    pub fn chosen_metric(&self) -> Result<Metric, TrainError> {
        let usual = if self.task == Task::Chat { "loss" } else { "f1_macro" };
        Ok(self.metric.as_deref().unwrap_or(usual).parse()?)
    }

    /// How its files are opened, before anything is known of their chats.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions { encoding: self.encoding, ..OpenOptions::default() }
    }

    /// What is done to a row, before anything is known of its features.
    pub fn preparation(&self) -> Preparation {
        Preparation {
            clean: self.clean.clone(),
            conversation: self.conversation,
            speakers: self.speakers.clone(),
            stage_directions: self.stage_directions,
            features_as: self.features_as,
            feature_template: self.feature_template.clone(),
            ..Preparation::default()
        }
    }

    /// The file as it is saved with the run.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("every setting has a TOML form")
    }

    pub(crate) fn check(&self) -> Result<(), TrainError> {
        let share = |value: f64| (0.0..1.0).contains(&value);
        let fits = |column: &Option<String>, rule| column.is_some() == (self.split == rule);
        let checks = [
            (!self.train.as_os_str().is_empty(), "train", "a file"),
            (share(self.test_fraction), "test_fraction", "a share from 0 to below 1"),
            (share(self.validation_fraction), "validation_fraction", "a share from 0 to below 1"),
            (fits(&self.group_column, SplitRule::Group), "group_column", "given if, and only if, `split` is `group`"),
            (fits(&self.time_column, SplitRule::Time), "time_column", "given if, and only if, `split` is `time`"),
            (self.max_tokens.is_none_or(|n| n >= 3), "max_tokens", "at least 3"),
            (
                self.window_overlap == 0 || self.truncation == Truncation::Windows,
                "window_overlap",
                "0 unless `truncation` is `windows`",
            ),
            (self.dropout.is_none_or(share), "dropout", "a share from 0 to below 1"),
            (self.head_dropout.is_none_or(share), "head_dropout", "a share from 0 to below 1"),
            (self.epochs.is_none_or(|n| n > 0.0 && n.is_finite()), "epochs", "more than 0"),
            (self.max_steps != Some(0), "max_steps", "at least 1"),
            (self.explain_errors <= WORST_ERRORS, "explain_errors", "at most 20"),
            (self.batch_size > 0, "batch_size", "at least 1"),
            (self.accumulate > 0, "accumulate", "at least 1"),
            (self.token_budget > 0, "token_budget", "at least 1"),
            (self.learning_rate >= 0.0 && self.learning_rate.is_finite(), "learning_rate", "a number from 0"),
            (self.head_rate >= 0.0 && self.head_rate.is_finite(), "head_rate", "a number from 0"),
            (self.layer_decay > 0.0 && self.layer_decay <= 1.0, "layer_decay", "above 0 and at most 1"),
            (share(self.warmup), "warmup", "a share from 0 to below 1"),
            (self.weight_decay >= 0.0, "weight_decay", "a number from 0"),
            (share(self.beta1), "beta1", "from 0 to below 1"),
            (share(self.beta2), "beta2", "from 0 to below 1"),
            (self.epsilon > 0.0, "epsilon", "more than 0"),
            (self.max_grad_norm >= 0.0, "max_grad_norm", "a number from 0"),
            (share(self.label_smoothing), "label_smoothing", "a share from 0 to below 1"),
            (share(self.effective_beta), "effective_beta", "a share from 0 to below 1"),
            (self.focal_gamma >= 0.0, "focal_gamma", "a number from 0"),
            (self.max_layers != Some(0), "max_layers", "at least 1"),
            (self.eval_every != Some(0), "eval_every", "at least 1"),
            (self.early_stopping != Some(0), "early_stopping", "at least 1"),
            (self.track.is_sound(), "track", "names that are not empty, none of them twice"),
            (self.folds.is_none_or(|n| n >= 2), "folds", "at least 2"),
            (self.repeats > 0, "repeats", "at least 1"),
            (self.repeats == 1 || self.folds.is_some(), "repeats", "1 without `folds`"),
            (self.seeds > 0, "seeds", "at least 1"),
            (
                self.neighbours == NeighbourUse::On || !self.neighbours_texts,
                "neighbours_texts",
                "left out unless `neighbours` is `on`",
            ),
            (self.abstain_cost.is_none_or(|c| Aim::Cost(c).check().is_ok()), "abstain_cost", "above 0 and below 1"),
            (
                self.min_precision.is_none_or(|p| Aim::Precision(p).check().is_ok()),
                "min_precision",
                "above 0 and below 1",
            ),
            (
                self.abstain_cost.is_none() || self.min_precision.is_none(),
                "min_precision",
                "left out with `abstain_cost`",
            ),
        ];
        match checks.into_iter().chain(self.balance_checks()).chain(self.lora_checks()).find(|(fine, ..)| !fine) {
            Some((_, key, wanted)) => Err(TrainError::Setting {
                problem: format!("setting `{key}` is out of range"),
                hint: format!("`{key}` must be {wanted}"),
            }),
            None => self.check_features(),
        }
    }

    /// Whether each setting about rare classes is in its range, and has something to act on.
    fn balance_checks(&self) -> [(bool, &'static str, &'static str); 17] {
        let weighted = self.sampling == SamplingRule::Weighted;
        let power = |value: f64, least: f64| (least..=10.0).contains(&value);
        let single = self.multi_label.is_none();
        let only_weighted = "left out unless `sampling` is `weighted`";
        [
            (single || self.sampling == SamplingRule::None, "sampling", "`none` where a text has several labels"),
            (single || self.augment.is_empty(), "augment", "empty where a text has several labels"),
            (single || self.decision != Decision::UniformPrior, "decision", "`argmax` or `fitted` with several labels"),
            (power(self.sampling_power, 0.0), "sampling_power", "a number from 0 to 10"),
            (weighted || self.sampling_power == 1.0, "sampling_power", only_weighted),
            (power(self.length_power, -10.0), "length_power", "a number from -10 to 10"),
            (weighted || self.length_power == 0.0, "length_power", only_weighted),
            (power(self.customer_length_power, -10.0), "customer_length_power", "a number from -10 to 10"),
            (weighted || self.customer_length_power == 0.0, "customer_length_power", only_weighted),
            (
                self.class_factors.values().all(|factor| (1e-6..=1e6).contains(factor)),
                "class_factors",
                "from 1e-6 to 1e6",
            ),
            (self.class_factors.is_empty() || weighted, "class_factors", only_weighted),
            (
                self.epoch_rows.is_none_or(|rows| rows > 0 && weighted),
                "epoch_rows",
                "at least 1, and left out unless `sampling` is `weighted`",
            ),
            (
                self.ratio_fits(),
                "sampling_ratio",
                "a share up to 1 to oversample, a multiple from 1 to undersample, else 1",
            ),
            ((0.0..=1.0).contains(&self.augment_below), "augment_below", "a share from 0 to 1"),
            ((1..=1000).contains(&self.augment_copies), "augment_copies", "from 1 to 1000"),
            (
                self.augment_share.is_none_or(|share| (0.0..=1.0).contains(&share)),
                "augment_share",
                "a share from 0 to 1",
            ),
            ((0.0..1.0).contains(&self.augment_words), "augment_words", "a share from 0 to below 1"),
        ]
    }

    /// Whether each setting about adapters is in its range, and there are adapters.
    fn lora_checks(&self) -> [(bool, &'static str, &'static str); 7] {
        let some = self.lora_rank > 0;
        let only_some = "left out unless `lora_rank` is given";
        [
            (self.lora_rank <= 4096, "lora_rank", "from 0 to 4096"),
            (self.lora_alpha.is_none_or(|alpha| alpha > 0.0 && alpha.is_finite()), "lora_alpha", "more than 0"),
            (some || self.lora_alpha.is_none(), "lora_alpha", only_some),
            ((0.0..1.0).contains(&self.lora_dropout), "lora_dropout", "a share from 0 to below 1"),
            (some || self.lora_dropout == 0.0, "lora_dropout", only_some),
            (some || self.lora_targets.is_empty(), "lora_targets", only_some),
            (some || !self.lora_rslora, "lora_rslora", only_some),
        ]
    }

    fn ratio_fits(&self) -> bool {
        let ratio = self.sampling_ratio;
        match self.sampling {
            SamplingRule::Oversample => ratio > 0.0 && ratio <= 1.0,
            SamplingRule::Undersample => ratio >= 1.0 && ratio.is_finite(),
            SamplingRule::None | SamplingRule::Weighted => ratio == 1.0,
        }
    }

    fn check_features(&self) -> Result<(), TrainError> {
        let wrong = |problem: String, hint: &str| Err(TrainError::Setting { problem, hint: hint.to_owned() });
        if let Some(twice) = self.features.iter().enumerate().find(|(i, name)| self.features[..*i].contains(name)) {
            return wrong(format!("feature `{}` is asked for twice", twice.1), "name each feature once");
        }
        let template = self.feature_template.clone().unwrap_or_else(|| default_template(&self.features));
        check_template(&template, &self.features).or_else(|problem| {
            let hint = "write the names of `features` between braces, such as `{customer_words} words. `";
            wrong(format!("`feature_template`: {problem}"), hint)
        })
    }
}
