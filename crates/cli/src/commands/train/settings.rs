//! The flags that are settings of the run.

use std::path::PathBuf;

use finetone_train::{RunFile, TrainError};

use crate::failure::Failure;
use crate::found::ReadingArgs;

/// Settings as flags; each has the name of its key in a recipe.
#[derive(clap::Args, Clone)]
pub struct SettingArgs {
    /// The file to learn from: CSV, TSV, JSON lines or Parquet
    #[arg(required_unless_present_any = ["resume", "recipe"])]
    pub file: Option<PathBuf>,
    /// The file to measure on at the end [default: a tenth of the rows is held out]
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// The file that chooses the best checkpoint [default: a tenth of the training rows is held out]
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// A Hugging Face id, a model folder, a run, or a built-in name (`finetone model list`) [default: tiny]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Go on with the model of this run, on its rows and those of FILE, with its settings
    #[arg(long, value_name = "RUN", conflicts_with_all = ["model", "resume"])]
    from: Option<PathBuf>,
    /// How often every text is seen [default: 3, up to 10 for small files]
    #[arg(long, value_name = "N")]
    epochs: Option<f64>,
    /// Seed of everything random; the same seed gives the same model [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// Learning rate of the model [default: 5e-5; 5e-4 from scratch]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Texts in a batch [default: 16]
    #[arg(long, value_name = "N")]
    batch_size: Option<u32>,
    /// The most tokens of a text; longer ones are cut [default: the model's limit, at most 512]
    #[arg(long, value_name = "N")]
    max_tokens: Option<u32>,
    /// `low` takes less memory and about a third more time, with the same result [default: normal]
    #[arg(long, value_name = "normal|low")]
    memory: Option<String>,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Several labels in one cell, separated by this character [default separator: |]
    #[arg(long, value_name = "SEPARATOR", num_args = 0..=1, require_equals = true, default_missing_value = "|")]
    multi_label: Option<char>,
    /// The numbers that matrix products multiply: `f32`, `bf16`, or the faster of both here [default: auto]
    #[arg(long, value_name = "PRECISION")]
    precision: Option<String>,
    /// Leave the least sure texts to a person, who costs this share of a wrong answer
    #[arg(long, value_name = "COST")]
    abstain_cost: Option<f64>,
    /// Leave the least sure texts to a person, so that this share of the answers is right
    #[arg(long, value_name = "SHARE", conflicts_with = "abstain_cost")]
    min_precision: Option<f64>,
    /// Cross-validation with so many folds first; the model to keep is trained afterwards, as without
    #[arg(long, value_name = "K")]
    folds: Option<u32>,
    /// How often the rows are divided into folds, anew each time [default: 1]
    #[arg(long, value_name = "N")]
    repeats: Option<u32>,
    /// Models with as many seeds, from `--seed` on; the best on the validation texts is kept [default: 1]
    #[arg(long, value_name = "N")]
    seeds: Option<u32>,
    /// Measure simpler ways on the same test texts: what did training buy?
    #[arg(long)]
    ladder: bool,
    /// Give the numbers to `tensorboard`, `mlflow` or `wandb` as well; can be given several times
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    track: Vec<String>,
    /// A file of settings, `key = value` on each line
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Any other setting; can be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Wrong settings are wrong usage.
pub fn usage(error: TrainError) -> Failure {
    match Failure::from(error) {
        Failure::Error { message, hint, .. } => Failure::Error { message, hint, code: 2 },
        other => other,
    }
}

impl SettingArgs {
    /// Lays the settings of `--from`, the recipe, the flags and `--set` over `base`, in this order. Says whether anything was given.
    pub fn lay_over(&self, base: &mut RunFile) -> Result<bool, Failure> {
        let before = base.clone();
        if let Some(run) = &self.from {
            base.overlay(RunFile::going_on_from(run)?);
        }
        if let Some(recipe) = &self.recipe {
            base.overlay(RunFile::read(recipe)?);
        }
        self.flags(base);
        for assignment in &self.set {
            base.assign(assignment).map_err(usage)?;
        }
        Ok(*base != before)
    }

    fn flags(&self, file: &mut RunFile) {
        for (key, path) in [("train", &self.file), ("test", &self.test), ("validation", &self.validation)] {
            if let Some(path) = path {
                file.set(key, path.display().to_string());
            }
        }
        let texts = [
            ("model", &self.model),
            ("memory", &self.memory),
            ("precision", &self.precision),
            ("multi_label", &self.multi_label.map(String::from)),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                file.set(key, text.clone());
            }
        }
        self.reading.write_to(file);
        if self.ladder {
            file.set("ladder", true);
        }
        if !self.track.is_empty() {
            file.track(&self.track);
        }
        let numbers = [
            ("epochs", self.epochs),
            ("learning_rate", self.learning_rate),
            ("abstain_cost", self.abstain_cost),
            ("min_precision", self.min_precision),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                file.set(key, number);
            }
        }
        let whole = [
            ("seed", self.seed),
            ("batch_size", self.batch_size),
            ("max_tokens", self.max_tokens),
            ("folds", self.folds),
            ("repeats", self.repeats),
            ("seeds", self.seeds),
        ];
        for (key, number) in whole {
            if let Some(number) = number {
                file.set(key, i64::from(number));
            }
        }
    }
}
