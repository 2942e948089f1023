//! What was written: a table of keys as a recipe, the command line and `--set` wrote them, later ones over earlier ones.

use std::path::{Path, PathBuf};

use finetone_classify::source::BUILT_IN;
use toml::{Table, Value};

use crate::error::TrainError;
use crate::run::saved_config;
use crate::run_config::{DEFAULT_MODEL, RunConfig};

/// Learning rate and epochs of a model from scratch, unless written.
const FROM_SCRATCH_RATE: f64 = 5e-4;
const FROM_SCRATCH_EPOCHS: f64 = 10.0;
/// Learning rate of adapters, unless written: about ten times that of the weights whose place they take, as in
/// <https://arxiv.org/abs/2106.09685>.
const ADAPTER_RATE: f64 = 4e-4;

/// Settings that a run which goes on from another does not take over.
const OWN_OF_A_RUN: [&str; 14] = [
    "train",
    "encoding",
    "test",
    "validation",
    "model",
    "tokenizer",
    "epochs",
    "max_steps",
    "precision",
    "cache",
    "folds",
    "repeats",
    "seeds",
    "ladder",
];

/// Keys and values that a user wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunFile {
    table: Table,
}

impl RunFile {
    /// Reads a recipe.
    ///
    /// # Errors
    /// A file that cannot be read or is not TOML.
    pub fn read(path: &Path) -> Result<Self, TrainError> {
        Self::parse(&std::fs::read_to_string(path).map_err(TrainError::io(path))?, path)
    }

    /// Reads the text of a recipe; `path` is what an error calls it.
    ///
    /// # Errors
    /// A text that is not TOML.
    pub fn parse(text: &str, path: &Path) -> Result<Self, TrainError> {
        let table = text.parse::<Table>().map_err(|error| TrainError::RunFile {
            path: path.to_owned(),
            problem: error.to_string(),
            hint: "a recipe is a TOML file of lines `key = value`".into(),
        })?;
        Ok(Self { table })
    }

    /// The settings of a run, for a run that goes on from it: with its model and its rows, and without what was about its own
    /// files, machine and course.
    ///
    /// # Errors
    /// A folder that is no run.
    pub fn going_on_from(run: &Path) -> Result<Self, TrainError> {
        saved_config(run)?;
        let mut file = Self::read(&run.join("run.toml"))?;
        file.table.retain(|key, _| !OWN_OF_A_RUN.contains(&key));
        for key in ["model", "from"] {
            file.set(key, run.to_string_lossy().into_owned());
        }
        Ok(file)
    }

    /// What was written.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Sets a key, replacing what was written before.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.table.insert(key.to_owned(), value.into());
    }

    /// Sets a key from `key=value` on the command line. A value that is no TOML is a text.
    ///
    /// # Errors
    /// No `=` in the assignment.
    pub fn assign(&mut self, assignment: &str) -> Result<(), TrainError> {
        let (key, value) = assignment.split_once('=').ok_or_else(|| TrainError::Setting {
            problem: format!("`{assignment}` is not of the form `key=value`"),
            hint: "for example `--set learning_rate=3e-5`".into(),
        })?;
        let (key, value) = (key.trim(), value.trim());
        let parsed = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
        self.set(key, parsed.unwrap_or_else(|| Value::String(value.to_owned())));
        Ok(())
    }

    /// Sets who gets the numbers of the run, and leaves what else is written about it.
    pub fn track(&mut self, names: &[String]) {
        let names: Vec<Value> = names.iter().cloned().map(Value::String).collect();
        match self.table.get_mut("track").and_then(Value::as_table_mut) {
            Some(written) => drop(written.insert("to".into(), Value::Array(names))),
            None => self.set("track", names),
        }
    }

    /// Lays another file over this one.
    pub fn overlay(&mut self, other: RunFile) {
        self.table.extend(other.table);
    }

    /// The complete configuration.
    ///
    /// # Errors
    /// An unknown key (the hint names the nearest known one), a value of the wrong type or out of range.
    pub fn resolve(&self) -> Result<RunConfig, TrainError> {
        let known = known_keys();
        if let Some(unknown) = self.table.keys().find(|key| !known.contains(key)) {
            let nearest = known.iter().max_by(|a, b| {
                let score = |key: &str| strsim::jaro_winkler(key, unknown);
                score(a).total_cmp(&score(b))
            });
            return Err(TrainError::Setting {
                problem: format!("there is no setting `{unknown}`"),
                hint: nearest.map_or_else(String::new, |key| format!("did you mean `{key}`?")),
            });
        }
        let mut table = self.table.clone();
        check_precision(&table)?;
        // A model from scratch wants other steps than a pretrained one; what was written goes first.
        let model = table.get("model").and_then(Value::as_str).unwrap_or(DEFAULT_MODEL);
        if BUILT_IN.iter().any(|built_in| built_in.name == model) || model.ends_with(".json") {
            table.entry("learning_rate").or_insert(Value::Float(FROM_SCRATCH_RATE));
            table.entry("epochs").or_insert(Value::Float(FROM_SCRATCH_EPOCHS));
        }
        if table.get("lora_rank").and_then(Value::as_integer).is_some_and(|rank| rank > 0) {
            table.entry("learning_rate").or_insert(Value::Float(ADAPTER_RATE));
        }
        if let Some(Value::Integer(epochs)) = table.get("epochs") {
            let epochs = *epochs as f64;
            table.insert("epochs".into(), Value::Float(epochs));
        }
        let config: RunConfig = table.try_into().map_err(|error: toml::de::Error| TrainError::Setting {
            problem: error.message().to_owned(),
            hint: format!("the settings as written: {}", self.table.to_string().trim().replace('\n', ", ")),
        })?;
        config.check()?;
        Ok(config)
    }
}

/// Names the precisions of training, and says where eight bits have their place.
fn check_precision(table: &Table) -> Result<(), TrainError> {
    let Some(asked) = table.get("precision") else { return Ok(()) };
    let asked = asked.as_str().map_or_else(|| asked.to_string(), str::to_owned);
    let (problem, hint) = match asked.as_str() {
        "auto" | "f32" | "bf16" => return Ok(()),
        "int8" => (
            "`int8` is for prediction, not for training",
            "train with `auto`, then `finetone predict --precision int8`",
        ),
        _ => ("`precision` has an unknown value", "known precisions: `auto`, `f32`, `bf16`"),
    };
    Err(TrainError::Setting { problem: problem.into(), hint: hint.into() })
}

fn known_keys() -> Vec<String> {
    // Every optional key is given a value, so that the table of a full configuration names all keys.
    let full = RunConfig {
        train: PathBuf::from("train.csv"),
        test: Some(PathBuf::new()),
        validation: Some(PathBuf::new()),
        from: Some(PathBuf::new()),
        group_column: Some(String::new()),
        time_column: Some(String::new()),
        text_column: Some(String::new()),
        label_column: Some(String::new()),
        multi_label: Some('|'),
        max_tokens: Some(1),
        feature_template: Some(String::new()),
        tokenizer: Some(PathBuf::new()),
        pooling: Some(String::new()),
        dropout: Some(0.0),
        head_dropout: Some(0.0),
        epochs: Some(1.0),
        max_steps: Some(1),
        epoch_rows: Some(1),
        augment_share: Some(0.5),
        abstain_cost: Some(0.5),
        min_precision: Some(0.5),
        max_layers: Some(1),
        lora_alpha: Some(1.0),
        eval_every: Some(1),
        early_stopping: Some(1),
        metric: Some(String::new()),
        folds: Some(2),
        ..RunConfig::default()
    };
    Table::try_from(full).map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choices::{ClassWeights, Decision, SamplingRule, SplitRule, TrainingPrecision, WeightRule};
    use crate::tracking::Tracker;
    use finetone_data::augment::Change;

    fn resolve(assignments: &[&str]) -> Result<RunConfig, TrainError> {
        let mut file = RunFile::default();
        file.set("train", "reviews.csv");
        for assignment in assignments {
            file.assign(assignment)?;
        }
        file.resolve()
    }

    #[test]
    fn settings_are_parsed_and_the_rest_has_defaults() {
        let config = resolve(&["learning_rate=3e-5", "pooling=attention:100", "class_weights=balanced"]).unwrap();
        assert_eq!(config.learning_rate, 3e-5);
        assert_eq!(config.pooling.as_deref(), Some("attention:100"));
        assert_eq!(config.class_weights, ClassWeights::Named(WeightRule::Balanced));
        assert_eq!(config.batch_size, 16);
    }

    #[test]
    fn a_resolved_configuration_survives_its_file() {
        let config = resolve(&["freeze=[\"embeddings\", \"2\"]", "class_weights={ good = 2.0, bad = 0.5 }"]).unwrap();
        let again: RunConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(config, again);
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        let error = resolve(&["learning_rat=1"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no setting `learning_rat`");
        assert_eq!(error.hint().as_deref(), Some("did you mean `learning_rate`?"));
        assert_eq!(resolve(&["validtion=a"]).unwrap_err().hint().as_deref(), Some("did you mean `validation`?"));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        for wrong in [
            "epochs=0",
            "batch_size=0",
            "dropout=1.0",
            "warmup=-0.1",
            "eval_every=0",
            "layer_decay=0",
            "folds=1",
            "seeds=0",
            "max_layers=0",
            "window_overlap=1",
            "abstain_cost=0",
            "min_precision=1",
            "calibrate=platt",
            "explain_errors=21",
            "neighbours=3",
            "neighbours_texts=true",
        ] {
            assert!(resolve(&[wrong]).is_err(), "{wrong} was accepted");
        }
        assert!(resolve(&["epochs"]).is_err());
        assert!(resolve(&["abstain_cost=0.2", "min_precision=0.9"]).is_err() && resolve(&["abstain_cost=0.2"]).is_ok());
        assert!(resolve(&["neighbours=on", "neighbours_texts=true"]).is_ok());
        assert!(resolve(&["repeats=2"]).is_err() && resolve(&["repeats=2", "folds=5"]).is_ok());
    }

    #[test]
    fn a_split_has_the_column_that_it_needs_and_no_other() {
        assert_eq!(resolve(&["split=group", "group_column=customer"]).unwrap().split, SplitRule::Group);
        assert_eq!(resolve(&["split=time", "time_column=when"]).unwrap().time_column.as_deref(), Some("when"));
        assert_eq!(resolve(&["split=hash"]).unwrap().split, SplitRule::Hash);
        for wrong in [&["split=group"][..], &["split=time", "group_column=a"], &["time_column=when"], &["split=random"]]
        {
            assert!(resolve(wrong).is_err(), "{wrong:?} was accepted");
        }
        let hint = resolve(&["split=group"]).unwrap_err().hint();
        assert_eq!(hint.as_deref(), Some("`group_column` must be given if, and only if, `split` is `group`"));
    }

    #[test]
    fn settings_about_rare_classes_are_parsed_and_their_ranges_kept() {
        let config = resolve(&[
            "sampling=weighted",
            "class_factors={ good = 2 }",
            "epoch_rows=500",
            "augment=[\"delete\", \"mask\"]",
            "augment_share=0.3",
            "decision=uniform-prior",
        ])
        .unwrap();
        assert_eq!((config.sampling, config.class_factors["good"]), (SamplingRule::Weighted, 2.0));
        assert_eq!((config.epoch_rows, config.augment_share), (Some(500), Some(0.3)));
        assert_eq!(
            (config.augment.as_slice(), config.decision),
            (&[Change::Delete, Change::Mask][..], Decision::UniformPrior)
        );
        let again: RunConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(config, again);
        let wrong: [&[&str]; 10] = [
            &["epoch_rows=500"],
            &["sampling=weighted", "epoch_rows=0"],
            &["class_factors={ good = 2 }"],
            &["sampling=weighted", "class_factors={ good = 0 }"],
            &["sampling=oversample", "sampling_ratio=2"],
            &["sampling=undersample", "sampling_ratio=0.5"],
            &["sampling=weighted", "sampling_power=nan"],
            &["sampling=oversample", "multi_label=|"],
            &["augment=[\"shuffle\"]"],
            &["augment_copies=0"],
        ];
        for settings in wrong {
            assert!(resolve(settings).is_err(), "{settings:?} was accepted");
        }
        let error = resolve(&["class_weights=effective"]).unwrap_err();
        assert!(error.to_string().contains("`effective-number`"), "{error}");
    }

    #[test]
    fn adapters_have_a_rate_of_their_own_and_no_settings_without_a_rank() {
        let config = resolve(&["model=bert-base-uncased", "lora_rank=8", "lora_alpha=16"]).unwrap();
        assert_eq!((config.learning_rate, config.lora_alpha), (4e-4, Some(16.0)));
        assert_eq!(resolve(&["model=a", "lora_rank=8", "learning_rate=1e-3"]).unwrap().learning_rate, 1e-3);
        assert_eq!(resolve(&["model=a", "lora_rank=0"]).unwrap(), resolve(&["model=a"]).unwrap());
        let again: RunConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(config, again);
        for wrong in ["lora_alpha=16", "lora_dropout=0.1", "lora_targets=[\"query\"]", "lora_rslora=true"] {
            let error = resolve(&[wrong]).unwrap_err();
            assert!(error.hint().unwrap().ends_with("left out unless `lora_rank` is given"), "{wrong}: {error}");
        }
        for wrong in ["lora_rank=-1", "lora_rank=5000", "lora_alpha=0", "lora_dropout=1"] {
            assert!(resolve(&["lora_rank=2", wrong]).is_err(), "{wrong} was accepted");
        }
    }

    #[test]
    fn preparation_is_a_set_of_words() {
        let plain = resolve(&[]).unwrap();
        assert!(plain.preparation().is_identity());
        let config = resolve(&[
            "conversation=customer",
            "speakers={ agent = [\"Bo\"] }",
            "stage_directions=drop",
            "clean=[\"html\", \"urls\"]",
            "features=[\"customer_words\", \"tier\"]",
            "feature_template={tier}: ",
        ])
        .unwrap();
        assert_eq!((config.speakers.agent.as_slice(), config.clean.steps.len()), (&["Bo".to_owned()][..], 2));
        assert_eq!(config.speakers.customer, plain.speakers.customer);
        let again: RunConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!(config, again);
        assert_eq!(again.preparation().feature_template.as_deref(), Some("{tier}:"));
    }

    #[test]
    fn an_encoding_has_any_of_its_names() {
        assert_eq!(resolve(&[]).unwrap().encoding.to_string(), "UTF-8");
        let config = resolve(&["encoding=latin2"]).unwrap();
        let again: RunConfig = toml::from_str(&config.to_toml()).unwrap();
        assert_eq!((config.encoding.to_string().as_str(), again.encoding), ("ISO-8859-2", config.encoding));
        assert_eq!(config.open_options().encoding, config.encoding);
        let error = resolve(&["encoding=windows1250"]).unwrap_err().to_string();
        assert!(error.contains("did you mean `windows-1250`?"), "{error}");
    }

    #[test]
    fn wrong_preparation_is_refused() {
        let wrong = [
            ("conversation=client", "customer"),
            ("clean=[\"url\"]", "urls"),
            ("speakers={ agents = [] }", "agent"),
            ("features=[\"words\", \"words\"]", "twice"),
            ("feature_template={words", "never closed"),
            ("feature_template={words}", "not among `features`"),
        ];
        for (assignment, told) in wrong {
            let error = resolve(&[assignment]).unwrap_err().to_string();
            assert!(error.contains(told), "{assignment}: {error}");
        }
        assert!(resolve(&["features=[\"words\"]", "features_as=joined"]).is_ok());
    }

    #[test]
    fn trackers_are_a_name_a_list_or_a_table() {
        let to = |setting: &str| resolve(&[setting]).unwrap().track;
        assert_eq!(to("track=wandb").to, [Tracker::Wandb]);
        let both = to("track=[\"tensorboard\", \"mlflow\"]");
        assert_eq!((both.to.as_slice(), both.project()), (&[Tracker::Tensorboard, Tracker::Mlflow][..], "finetone"));
        let table =
            resolve(&["track={ to=[\"mlflow\"], project=\"moods\", mlflow_tracking_uri=\"http://a:5000\" }"]).unwrap();
        assert_eq!(
            (table.track.project(), table.track.mlflow_tracking_uri.as_deref()),
            ("moods", Some("http://a:5000"))
        );
        let again: RunConfig = toml::from_str(&table.to_toml()).unwrap();
        assert_eq!(table, again);
        assert!(resolve(&[]).unwrap().track.to.is_empty());
        for wrong in ["track=[\"wandb\", \"wandb\"]", "track={ name=\" \" }", "track={ names=\"a\" }", "track=7"] {
            assert!(resolve(&[wrong]).is_err(), "{wrong} was accepted");
        }
        let error = resolve(&["track=[\"tensorbord\"]"]).unwrap_err().to_string();
        assert!(error.contains("tensorbord") && error.contains("`tensorboard`"), "{error}");
    }

    #[test]
    fn the_flag_names_trackers_and_leaves_what_a_recipe_says_of_them() {
        let mut file = RunFile::default();
        file.set("train", "reviews.csv");
        file.assign("track={ to=[\"wandb\"], project=\"moods\" }").unwrap();
        file.track(&["tensorboard".into()]);
        let track = file.resolve().unwrap().track;
        assert_eq!((track.to.as_slice(), track.project()), (&[Tracker::Tensorboard][..], "moods"));
        let mut file = RunFile::default();
        file.set("train", "reviews.csv");
        file.track(&["wandb".into(), "tensorboard".into()]);
        assert_eq!(file.resolve().unwrap().track.to.len(), 2);
    }

    #[test]
    fn eight_bits_are_refused_for_training() {
        assert_eq!(resolve(&[]).unwrap().precision, TrainingPrecision::Auto);
        assert_eq!(resolve(&["precision=bf16"]).unwrap().precision, TrainingPrecision::Bf16);
        let error = resolve(&["precision=int8"]).unwrap_err();
        assert_eq!(error.to_string(), "`int8` is for prediction, not for training");
        assert!(error.hint().unwrap().contains("finetone predict --precision int8"));
        assert!(resolve(&["precision=16"]).unwrap_err().hint().unwrap().contains("`bf16`"));
    }
}
