//! Many settings judged in the same folds of one training file, as a search does it.
//!
//! Nothing is written to the disk, and whatever two trainings have in common is computed once: see `shelf.rs`.

use std::path::Path;
use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::ClassifyError;
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_evaluate::Predictions;

use crate::epochs::{Course, Epochs};
use crate::error::TrainError;
use crate::events::{Listener, Unheard};
use crate::fit::{Prepared, conclude, prepare};
use crate::folds::Folds;
use crate::material::{Texts, fnv_1a};
use crate::run::{Outcome, Surroundings, absolute};
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::shelf::{Recent, Shared, Shelf};
use crate::store::Store;
use crate::task::with_task;
use crate::tracking::Tracking;
use crate::trainer::{End, Trainer};
use crate::{decide, memory};

/// The most bytes of each kind that are kept between trainings, and the share of the free memory that they may take.
const MOST_KEPT: usize = 2 << 30;
const SHARE_KEPT: usize = 8;

/// The folds of a training file, and what the trainings in them share.
pub struct FoldBench<'a, B: Backend> {
    backend: &'a B,
    /// What all settings that are judged have in common with it: the file, its columns, the seed.
    base: RunConfig,
    folds: usize,
    whole: Reading,
    readings: Recent<Reading>,
    shelf: Shelf,
}

/// The texts as some settings read them.
struct Reading {
    texts: Texts,
    folds: Folds,
}

/// What a model says about a fold that it has not seen.
#[derive(Debug, Clone, PartialEq)]
pub struct JudgedFold {
    /// Probabilities of the classes for each row of the fold, row-major `[n, C]`.
    pub probabilities: Vec<f32>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl<'a, B: Backend> FoldBench<'a, B> {
    /// Reads the training file of `base` and divides it by its seed.
    ///
    /// # Errors
    /// What the doctor calls an error, a class with fewer texts than folds, answers that are no closed set, a run to go on from.
    pub fn new(
        backend: &'a B,
        base: &RunConfig,
        folds: usize,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Self, TrainError> {
        if base.from.is_some() {
            return Err(TrainError::Setting {
                problem: "`from` is for a run that goes on from another, and folds are of one file".into(),
                hint: "name the run's model by `model`, and leave out `from`".into(),
            });
        }
        let base = with_task(&absolute(&for_folds(base))?, surroundings.hub, surroundings.download)?;
        let whole = Reading::new(&base, folds, surroundings.listener)?;
        if whole.texts.labels.is_empty() {
            return Err(TrainError::Setting {
                problem: "the answers of the chats are no closed set, so there are no classes to judge by".into(),
                hint: "folds are judged by the labels of their rows".into(),
            });
        }
        let most = memory::available().map_or(MOST_KEPT, |free| (free / SHARE_KEPT).min(MOST_KEPT));
        Ok(Self { backend, base, folds, whole, readings: Recent::new(most), shelf: Shelf::new(most) })
    }

    /// The same bench, which keeps no more than so many bytes of each kind between trainings.
    pub fn keeping_at_most(self, bytes: usize) -> Self {
        Self { readings: Recent::new(bytes), shelf: Shelf::new(bytes), ..self }
    }

    /// Names of the classes.
    pub fn labels(&self) -> &[String] {
        self.whole.texts.labels.names()
    }

    /// A number that changes with the texts, their labels and their folds.
    pub fn fingerprint(&self) -> u64 {
        let held_out = self.whole.folds.splits().iter().flat_map(|split| &split.held_out).map(|&row| row as u64);
        fnv_1a(std::iter::once(self.whole.texts.fingerprint()).chain(held_out))
    }

    /// What is kept between trainings, in bytes.
    pub fn kept_bytes(&self) -> usize {
        self.readings.bytes() + self.shelf.bytes()
    }

    /// Whether settings can be judged, as far as that shows before the first step.
    ///
    /// # Errors
    /// What a training would refuse.
    pub fn check(&mut self, config: &RunConfig, surroundings: &mut Surroundings<'_>) -> Result<(), TrainError> {
        self.with_fold(config, (0, 1.0), surroundings, |backend, config, texts, shared, surroundings| {
            prepare(backend, config, texts, Some(shared), surroundings).map(drop)
        })
    }

    /// Trains with these settings on all folds but `fold`, from 0, for a `share` of the epochs, but at least one, and asks the
    /// model about that fold. The settings are those of the base but for what a search may change.
    ///
    /// # Errors
    /// See [`TrainError`].
    pub fn judge(
        &mut self,
        config: &RunConfig,
        (fold, share): (usize, f64),
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Outcome<JudgedFold>, TrainError> {
        let start = Instant::now();
        let judged = self.with_fold(config, (fold, share), surroundings, train_and_ask)?;
        Ok(judged.map(|probabilities| JudgedFold { probabilities, seconds: start.elapsed().as_secs_f64() }))
    }

    /// What was said about some of the folds, with the truth beside it.
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    pub fn together(&self, judged: &[(usize, &[f32])]) -> Result<Predictions, TrainError> {
        self.whole.folds.judged(&self.whole.texts, 0, judged.iter().copied())
    }

    /// Prepares the texts of a fold for some settings and does something with them.
    fn with_fold<T>(
        &mut self,
        config: &RunConfig,
        (fold, share): (usize, f64),
        surroundings: &mut Surroundings<'_>,
        work: impl FnOnce(&B, &RunConfig, &Texts, &mut Shared<'_>, &mut Surroundings<'_>) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let RunConfig { train, seed, precision, .. } = self.base.clone();
        let config = for_folds(&RunConfig { train, seed, precision, ..absolute(config)? });
        let config = with_task(&config, surroundings.hub, surroundings.download)?;
        let reading = self.readings.get(&reading_name(&config), || {
            let reading = Reading::new(&config, self.folds, &mut Unheard)?;
            let bytes = reading.folds.examples().iter().map(|example| example.text.len()).sum::<usize>();
            // The texts are in there twice.
            Ok((reading, 2 * bytes))
        })?;
        // As a run that judges itself in folds: the number of epochs is that of the whole file.
        let epochs = Plan::new(&config, Epochs::new(&config, &reading.texts)?.rows()).epochs;
        let epochs = (epochs * share).max(epochs.min(1.0));
        let max_steps = config.max_steps.map(|steps| (steps as f64 * share).ceil() as u64);
        let config = RunConfig { epochs: Some(epochs), max_steps, ..config };
        let texts = reading.folds.texts(&config, &reading.texts, &reading.folds.splits()[fold])?;
        let name = tokens_name(&config, &texts, fold, surroundings)?;
        let mut shared = Shared { shelf: &mut self.shelf, all: reading.folds.examples(), name };
        work(self.backend, &config, &texts, &mut shared, surroundings)
    }
}

impl Reading {
    fn new(config: &RunConfig, folds: usize, listener: &mut dyn Listener) -> Result<Self, TrainError> {
        let texts = Texts::read(config, None, listener)?;
        let folds = Folds::new(config, &texts, folds)?;
        Ok(Self { texts, folds })
    }
}

/// Settings without what a fold has no use for.
fn for_folds(config: &RunConfig) -> RunConfig {
    RunConfig {
        test: None,
        test_fraction: 0.0,
        folds: None,
        repeats: 1,
        seeds: 1,
        ladder: false,
        keep_epochs: 0,
        track: Tracking::default(),
        ..config.clone()
    }
}

/// Everything that decides about how the file is read.
fn reading_name(config: &RunConfig) -> String {
    let only = RunConfig {
        train: config.train.clone(),
        validation: config.validation.clone(),
        encoding: config.encoding,
        text_column: config.text_column.clone(),
        label_column: config.label_column.clone(),
        multi_label: config.multi_label,
        task: config.task,
        clean: config.clean.clone(),
        conversation: config.conversation,
        speakers: config.speakers.clone(),
        stage_directions: config.stage_directions,
        features: config.features.clone(),
        features_as: config.features_as,
        feature_template: config.feature_template.clone(),
        ..RunConfig::default()
    };
    only.to_toml()
}

/// Everything that decides about the tokens of a text and what a model's frozen blocks make of them.
fn tokens_name(
    config: &RunConfig,
    texts: &Texts,
    fold: usize,
    surroundings: &mut Surroundings<'_>,
) -> Result<String, TrainError> {
    let model = ModelSource::resolve(&config.model, surroundings.hub, surroundings.download);
    let is_pretrained = matches!(model.map_err(ClassifyError::from)?, ResolvedModel::Folder { .. });
    let learns_tokens = !is_pretrained && config.tokenizer.is_none();
    // Features, and the tokens of a model from scratch, are learnt from the other folds.
    let of_fold = (learns_tokens || !texts.preparation.columns().is_empty() || !config.features.is_empty())
        .then(|| format!("fold {fold}"));
    let tokenizer = config.tokenizer.as_deref().unwrap_or(Path::new("")).display();
    Ok(format!(
        "{} {} {tokenizer} {:?} {:?} {} {of_fold:?}",
        reading_name(config),
        config.model,
        config.max_tokens,
        config.truncation,
        config.window_overlap
    ))
}

/// Trains on the texts and asks about those that are held out.
fn train_and_ask<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    shared: &mut Shared<'_>,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Vec<f32>>, TrainError> {
    let Prepared { model, tokenizer, mut rows, epochs, plan, metric, objective, cache, masked, .. } =
        prepare(backend, config, texts, Some(shared), surroundings)?;
    let of_classes = objective.of_classes();
    let seen = of_classes.map(|of_classes| decide::shares_seen(&epochs, of_classes, texts.labels.len()));
    if let Some(cache) = cache {
        shared.give_states(cache, (backend, &model), (config, texts), &mut rows)?;
    }
    let store = Store::in_memory();
    let mut trainer = Trainer::new(backend, config, model, (plan, metric, objective), (&rows.train, &epochs));
    let (preparation, masked) = (&texts.preparation, masked.as_ref());
    let course = Course { epochs: &epochs, train: &rows.train, tokenizer: &tokenizer, preparation, masked };
    let listener = &mut *surroundings.listener;
    if trainer.train((&course, &rows.validation), &store, surroundings.control, listener)? == End::Interrupted {
        return Ok(Outcome::Interrupted { step: trainer.progress.step });
    }
    let (words, _) = conclude(&mut trainer, (&store, &rows), (texts, seen.as_deref(), None), listener)?;
    let of_fold = words.sets.into_iter().find(|(name, _)| name == "test").map(|(_, probabilities)| probabilities);
    Ok(Outcome::Finished(of_fold.expect("the fold is held out as the test set, and has classes")))
}
