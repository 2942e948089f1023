//! From texts to a fitted model: the part of a run that can be done again and again, for folds, seeds and studies.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use finetone_backend::Backend;
use finetone_data::tokenizer::{MOST_WINDOWS, Tokenizer};
use finetone_evaluate::{Abstention, Curve, Metric, NamedEvaluation, Predictions, Section};
use finetone_generate::MaskedModel;
use finetone_model::Model;
use finetone_model::checkpoint::BaseModel;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::chats::Reading;
use crate::choices::CacheUse;
use crate::decide;
use crate::epochs::{Course, Epochs};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::masked;
use crate::material::{Rows, Texts};
use crate::measure;
use crate::neighbours;
use crate::objective::{ClassObjective, Judgement, Objective, TokenObjective};
use crate::report::{self, CurveRecorder, Recorded, run_sections};
use crate::run::{Outcome, Surroundings};
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::sets::Sets;
use crate::settle::{Settled, settle};
use crate::setup::{Setup, setup};
use crate::shelf::Shared;
use crate::store::{Best, Store, save_adapter, save_model, write_whole};
use crate::trainer::{End, Trainer};

/// Where a fit leaves its files.
pub(crate) struct Place {
    /// The folder of checkpoints, events and the model.
    pub folder: PathBuf,
    /// A file with the settings of the whole, written before anything else.
    pub settings: (PathBuf, Settings),
    /// Whether the model is kept, as `model` in the folder.
    pub keeps_model: bool,
}

/// The settings that a place keeps.
#[derive(Clone)]
pub(crate) enum Settings {
    /// Those of a run. What is decided about its cache is written with them: a run that goes on must not decide anew, in
    /// other memory.
    Run(Box<RunConfig>),
    /// Those of several runs, as their file has them.
    Several(String),
}

/// What is known of a model once it is fitted, beside the model itself.
pub(crate) struct Fit {
    pub fitted: Fitted,
    /// The set that the final numbers are about.
    pub measured_on: String,
    /// None of a model that answers in its own words.
    pub measured: Option<Measured>,
}

/// What there is to say about a fitted model without loading it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fitted {
    /// Of everything random but the split.
    pub seed: u64,
    /// What the model says about the test texts, the validation texts, or the training texts where there are no others:
    /// name of the set and probabilities, row-major.
    pub sets: Vec<(String, Vec<f32>)>,
    /// When a text is left to a person, if any is.
    #[serde(default)]
    pub abstention: Option<Abstention>,
    /// The share of each class as the loss saw it; none of a model that answers in its own words.
    #[serde(default)]
    pub seen: Vec<f64>,
    /// The evaluation that chose the weights; none where the last ones are kept.
    pub best: Option<Best>,
    /// Steps taken.
    pub steps: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Seconds of training and measuring, in the process that finished it.
    pub seconds: f64,
    /// Tokens trained on in each of these seconds.
    pub tokens_per_second: f64,
    /// Numbers in the model.
    pub parameters: usize,
    /// How many training and test texts were cut at the limit.
    pub truncated: usize,
    /// Of the texts, so that the numbers are not taken for those of others.
    pub fingerprint: u64,
    pub curves: Vec<Curve>,
    /// The numbers of the whole training.
    pub summary: Vec<Curve>,
    pub notices: Vec<String>,
    /// Facts about model and training for the report.
    pub facts: Vec<Section>,
}

impl Fitted {
    /// The step whose weights are the model.
    pub fn best_step(&self) -> u64 {
        self.best.map_or(self.steps, |best| best.step)
    }
}

/// The final predictions: on the test texts, or on what else there is.
pub(crate) struct Measured {
    pub name: String,
    pub predictions: Predictions,
    pub all: Vec<NamedEvaluation>,
}

impl Measured {
    /// Measures what a model said about the sets of `texts`; nothing where it said nothing that could be right.
    pub fn new(
        texts: &Texts,
        sets: &[(String, Vec<f32>)],
        abstention: Option<&Abstention>,
    ) -> Result<Option<Self>, TrainError> {
        let mut measured: Option<Self> = None;
        for (name, probabilities) in sets {
            let predictions = texts.judged(texts.set(name), probabilities.clone())?;
            let evaluation = measure::evaluate_with(abstention, name, &predictions)?;
            match &mut measured {
                Some(measured) => measured.all.push(evaluation),
                None => measured = Some(Self { name: name.clone(), predictions, all: vec![evaluation] }),
            }
        }
        Ok(measured)
    }
}

/// Everything that a trainer is made of.
pub(crate) struct Prepared<B: Backend> {
    pub model: Model<B>,
    pub tokenizer: Tokenizer,
    pub rows: Sets,
    pub epochs: Epochs,
    pub plan: Plan,
    pub metric: Metric,
    pub objective: Objective,
    pub cache: Option<Cache>,
    /// What the model's adapters are for.
    pub base: Option<BaseModel>,
    /// What replaces words of copies.
    pub masked: Option<MaskedModel<B>>,
}

/// Trains a model on `texts`, or goes on with it from its newest checkpoint in `place`, and measures it. Where models of folds
/// were asked before, what they said `out_of_fold` is what its temperature and its decisions are fitted on.
///
/// # Errors
/// See [`TrainError`]. Nothing is written before data, model and memory were found to be fine.
pub(crate) fn fit<B: Backend>(
    backend: &B,
    config: &RunConfig,
    (texts, out_of_fold): (&Texts, Option<&Predictions>),
    place: &Place,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Fit>, TrainError> {
    let start = Instant::now();
    let Prepared { model, tokenizer, mut rows, epochs, plan, metric, objective, cache, base, masked } =
        prepare(backend, config, texts, None, surroundings)?;
    let of_classes = objective.of_classes();
    let seen = of_classes.map(|of_classes| decide::shares_seen(&epochs, of_classes, texts.labels.len()));
    let mut recorder = CurveRecorder::open(&place.folder, surroundings.listener);
    place.make(CacheUse::decided(cache.is_some()))?;
    if let Some(cache) = cache {
        cache.fill(backend, config, &model, [&mut rows.train, &mut rows.validation]);
    }
    let store = Store::new(&place.folder);
    let mut trainer = Trainer::new(backend, config, model, (plan, metric, objective), (&rows.train, &epochs));
    trainer.restore(&store)?;
    recorder.on(&started_event(&trainer, texts, &rows, place));
    let from = (trainer.progress.step, trainer.progress.num_tokens);
    let (preparation, masked) = (&texts.preparation, masked.as_ref());
    let course = Course { epochs: &epochs, train: &rows.train, tokenizer: &tokenizer, preparation, masked };
    if trainer.train((&course, &rows.validation), &store, surroundings.control, &mut recorder)? == End::Interrupted {
        return Ok(Outcome::Interrupted { step: trainer.progress.step });
    }
    let seconds = start.elapsed().as_secs_f64();
    let (LastWords { sets, tokens }, Settled { about, neighbourhood, abstention }) =
        conclude(&mut trainer, (&store, &rows), (texts, seen.as_deref(), out_of_fold), &mut recorder)?;
    let measured = Measured::new(texts, &sets, abstention.as_ref())?;
    if place.keeps_model {
        if let Some(base) = &base {
            save_adapter(backend, &trainer.model, &tokenizer, base, &place.folder.join("adapter"))?;
        }
        save_model(backend, (&trainer.model, neighbourhood.as_ref()), &tokenizer, &place.folder.join("model"))?;
    }
    let measured_on = rows.measured()[0].0.to_owned();
    let mut metrics = measured.as_ref().map(|measured| measure::final_metrics(&measured.all[0].evaluation));
    if let Some((_, judged)) = tokens.first() {
        metrics.get_or_insert_default().extend(judged.of_tokens(""));
    }
    let metrics = (measured_on.clone(), metrics.unwrap_or_default());
    recorder.on(&finished_event(&trainer, metrics, from.0, (seconds, epochs.rows())));
    if surroundings.control.is_abandoned() {
        return Ok(Outcome::Interrupted { step: trainer.progress.step });
    }
    let tokens_per_second = (trainer.progress.num_tokens - from.1) as f64 / seconds;
    let mut fitted = Fitted::new(&trainer, sets, (seconds, tokens_per_second), recorder.recorded());
    fitted.facts.extend(tokens.iter().map(|(name, judged)| report::token_section(name, judged)));
    fitted.facts.extend(about);
    fitted.abstention = abstention;
    fitted.seen = seen.unwrap_or_default();
    fitted.truncated = rows.train.truncated + rows.test.truncated;
    fitted.fingerprint = texts.fingerprint();
    Ok(Outcome::Finished(Fit { fitted, measured_on, measured }))
}

/// Goes back to the best weights of a finished training, hears what the model says about the sets, and settles how decisions
/// are read from that, or from what models of folds said. `seen` are the class shares of training.
pub(crate) fn conclude<B: Backend>(
    trainer: &mut Trainer<'_, B>,
    (store, rows): (&Store, &Sets),
    (texts, seen, out_of_fold): (&Texts, Option<&[f64]>, Option<&Predictions>),
    listener: &mut dyn Listener,
) -> Result<(LastWords, Settled), TrainError> {
    trainer.release();
    if let Some(best) = trainer.progress.best {
        store.load_best(trainer.backend, &mut trainer.model, best.step)?;
    }
    let mut words = LastWords::of(trainer, rows)?;
    let settled = match seen {
        Some(seen) => settle((trainer, seen), (texts, rows), (&mut words.sets, out_of_fold), listener)?,
        None => Settled::default(),
    };
    Ok((words, settled))
}

/// What the finished model says about each set that is measured, by the set's name.
#[derive(Default)]
pub(crate) struct LastWords {
    /// Probabilities of the classes, or of the answers of a closed set.
    pub sets: Vec<(String, Vec<f32>)>,
    /// What a language model thinks of the tokens to learn.
    tokens: Vec<(String, Judgement)>,
}

impl LastWords {
    fn of<B: Backend>(trainer: &Trainer<'_, B>, rows: &Sets) -> Result<Self, TrainError> {
        let mut words = Self::default();
        for (name, rows) in rows.measured() {
            let said = trainer.said(rows, &mut trainer.examiner(rows))?;
            words.sets.extend(said.probabilities.map(|probabilities| (name.to_owned(), probabilities)));
            words.tokens.extend(said.tokens.map(|judged| (name.to_owned(), judged)));
        }
        Ok(words)
    }
}

/// Whether a fit could begin, without beginning it.
///
/// # Errors
/// What [`fit`] would refuse before its first step.
pub(crate) fn check<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    surroundings: &mut Surroundings<'_>,
) -> Result<(), TrainError> {
    prepare(backend, config, texts, None, surroundings).map(drop)
}

/// Finds the model, encodes the texts, unless others did and share their tokens, and sees to it that they fit each other, the
/// settings and the machine.
pub(crate) fn prepare<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    shared: Option<&mut Shared<'_>>,
    surroundings: &mut Surroundings<'_>,
) -> Result<Prepared<B>, TrainError> {
    let Surroundings { hub, download, listener, .. } = surroundings;
    let metric = config.chosen_metric()?;
    check_metric(&metric, texts)?;
    let masked = masked::open(backend, config, (hub, *download))?;
    let Setup { model, tokenizer, limit, template, base, .. } =
        setup(backend, config, texts, (hub, *download), *listener)?;
    let rows = match (&template, shared) {
        (Some(template), _) => Sets::of_chats(config, texts, &Reading { template, tokenizer: &tokenizer, limit })?,
        (None, Some(shared)) => shared.sets((config, texts), &tokenizer, &limit)?,
        (None, None) => Sets::new(texts, &tokenizer, &limit),
    };
    check_size(&rows.train)?;
    tell_truncation(&rows.train, *listener);
    let epochs = Epochs::new(config, texts)?;
    if let Some(message) = epochs.notice(&texts.labels) {
        listener.on(&TrainEvent::Notice { message });
    }
    let masked = masked.filter(|_| epochs.have_copies());
    if let Some(masked) = &masked {
        masked::tell(backend, config, (masked, &epochs), *listener)?;
    }
    decide::check(config, texts)?;
    neighbours::check(config, texts)?;
    let plan = Plan::new(config, epochs.rows());
    let beside = masked.as_ref().map_or(0, |masked| masked::bytes(config, masked));
    let cache = Cache::decide(config, (&model, &plan, beside), (&rows.train, &rows.validation, &epochs), *listener)?;
    let objective = match model.config.language {
        Some(_) => Objective::Tokens(TokenObjective::new(model.config.logits())),
        None => {
            let (output, counts) = (model.config.head.output, texts.class_counts());
            Objective::Classes(ClassObjective::new(config, output, &texts.labels, &counts)?)
        }
    };
    Ok(Prepared { model, tokenizer, rows, epochs, plan, metric, objective, cache, base, masked })
}

impl Place {
    /// A folder within this one.
    pub fn within(&self, name: &str, keeps_model: bool) -> Self {
        Self { folder: self.folder.join(name), settings: self.settings.clone(), keeps_model }
    }

    /// Makes the folder and writes the settings of the whole, unless they are there already.
    fn make(&self, cache: CacheUse) -> Result<(), TrainError> {
        fs::create_dir_all(&self.folder).map_err(TrainError::io(&self.folder))?;
        let (path, settings) = &self.settings;
        let text = match settings {
            Settings::Run(config) => RunConfig { cache, ..(**config).clone() }.to_toml(),
            Settings::Several(text) => text.clone(),
        };
        if fs::read_to_string(path).is_ok_and(|written| written == text) { Ok(()) } else { write_whole(path, &text) }
    }
}

impl Fitted {
    fn new<B: Backend>(
        trainer: &Trainer<'_, B>,
        sets: Vec<(String, Vec<f32>)>,
        (seconds, tokens_per_second): (f64, f64),
        Recorded { curves, summary, notices }: Recorded,
    ) -> Self {
        Self {
            seed: trainer.config.seed,
            sets,
            best: trainer.progress.best,
            steps: trainer.progress.step,
            tokens: trainer.progress.num_tokens,
            seconds,
            tokens_per_second,
            parameters: trainer.model.table.numbers(),
            abstention: None,
            seen: Vec::new(),
            truncated: 0,
            fingerprint: 0,
            curves,
            summary,
            notices,
            facts: run_sections(trainer.config, trainer),
        }
    }
}

fn started_event<B: Backend>(trainer: &Trainer<'_, B>, texts: &Texts, rows: &Sets, place: &Place) -> TrainEvent {
    let (table, plan) = (&trainer.model.table, &trainer.plan);
    TrainEvent::Started {
        run: place.folder.clone(),
        model: trainer.config.model.clone(),
        backend: trainer.backend.name(),
        parameters: table.numbers(),
        trainable: table.gradient_len(),
        labels: texts.labels.names().to_vec(),
        train_rows: rows.train.len(),
        validation_rows: rows.validation.len(),
        test_rows: rows.test.len(),
        steps: plan.steps,
        epochs: plan.epoch(plan.steps),
        resumed_from: trainer.progress.step,
    }
}

/// Refuses a metric that has nothing to be computed from.
fn check_metric(metric: &Metric, texts: &Texts) -> Result<(), TrainError> {
    if texts.labels.is_empty() && *metric != Metric::Loss {
        return Err(TrainError::Setting {
            problem: format!("`metric` is `{metric}`, and the answers of the chats are no closed set"),
            hint: "leave it out: the best model is then the one with the least loss".into(),
        });
    }
    Ok(metric.check(texts.labels.names())?)
}

fn check_size(train: &Rows) -> Result<(), TrainError> {
    if train.len() < 2 {
        return Err(TrainError::TooFew {
            problem: format!("{} rows are left to train on", train.len()),
            hint: "a model needs at least some dozens of labelled rows; give more, or hold out less \
                   (`--set test_fraction=0 --set validation_fraction=0`)"
                .into(),
        });
    }
    Ok(())
}

fn tell_truncation(train: &Rows, listener: &mut dyn Listener) {
    let limit = train.limit.max_tokens;
    let in_windows = train.sequences().filter(|&sequences| sequences > 1).count();
    let windows = (in_windows, format!("{limit} tokens and are read in several windows (`truncation`, `max_tokens`)"));
    let most = if in_windows > 0 { format!("{MOST_WINDOWS} windows of {limit}") } else { limit.to_string() };
    let cut = (train.truncated, format!("{most} tokens and are cut (`truncation`, `max_tokens`)"));
    for (texts, than) in [windows, cut].into_iter().filter(|(texts, _)| *texts > 0) {
        let share = measure::share(texts, train.len());
        let message = format!("{share} of the training texts are longer than {than}");
        listener.on(&TrainEvent::Notice { message });
    }
}

fn finished_event<B: Backend>(
    trainer: &Trainer<'_, B>,
    (measured_on, metrics): (String, BTreeMap<String, f64>),
    first_step: u64,
    (seconds, rows): (f64, usize),
) -> TrainEvent {
    let step = trainer.progress.step;
    let taken = (step - first_step) as f64;
    let per_step = rows as f64 / trainer.plan.steps_per_epoch as f64;
    TrainEvent::Finished {
        step,
        best_step: trainer.progress.best.map_or(step, |best| best.step),
        train_runtime: seconds,
        train_samples_per_second: taken * per_step / seconds,
        train_steps_per_second: taken / seconds,
        train_loss: trainer.progress.loss_sum / step.max(1) as f64,
        total_flos: 6.0 * trainer.progress.num_tokens as f64 * trainer.model.table.numbers_without_embeddings() as f64,
        metrics,
        measured_on,
    }
}
