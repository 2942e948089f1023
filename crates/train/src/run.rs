//! From files to a finished run folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::ClassifyError;
use finetone_classify::hub::{HubConfig, HubProgress};
use finetone_data::Checkup;
use finetone_data::tokenizer::Tokenizer;
use finetone_evaluate::{Evaluation, Metric, NamedEvaluation, Predictions, Report};
use finetone_model::checkpoint;

use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::material::{Rows, Texts};
use crate::measure;
use crate::memory;
use crate::objective::Objective;
use crate::report::{self, CurveRecorder};
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::setup::{Setup, setup};
use crate::store::{Store, persist};
use crate::trainer::{Control, End, Trainer, largest_group, measured_tokens};

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The run folder is complete.
    Finished(Box<Summary>),
    /// The user stopped it; `resume` goes on.
    Interrupted {
        /// After this step.
        step: u64,
    },
}

/// What a finished run has to show.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The run folder.
    pub run: PathBuf,
    /// The step whose weights are the model.
    pub best_step: u64,
    /// Which texts the final numbers are about: `test`, `validation`, or `training` where nothing was held out.
    pub measured_on: String,
    /// The final numbers.
    pub evaluation: Evaluation,
    /// The whole report.
    pub report: Report,
}

/// What a run needs from outside besides its settings.
pub struct Surroundings<'a> {
    /// Where models are downloaded from.
    pub hub: &'a HubConfig,
    /// Hears how a download goes on.
    pub download: &'a mut dyn HubProgress,
    /// Lets the user stop the run.
    pub control: &'a Control,
    /// Hears what happens.
    pub listener: &'a mut dyn Listener,
    /// What the doctor said of the training file and the test file, if it was asked already; else it is asked.
    pub checkup: Option<&'a Checkup>,
}

/// Starts a run in a new folder.
///
/// # Errors
/// See [`TrainError`]. The folder is made only when data and model are fine.
pub fn train<B: Backend>(
    backend: &B,
    config: &RunConfig,
    folder: &Path,
    surroundings: Surroundings<'_>,
) -> Result<Outcome, TrainError> {
    if folder.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        let (folder, resumable) = (folder.to_owned(), folder.join("run.toml").exists());
        return Err(TrainError::FolderTaken { folder, resumable });
    }
    execute(backend, &absolute(config)?, folder, surroundings)
}

/// Goes on with a run from its newest checkpoint, with the settings it was started with; a run that has none yet starts over.
///
/// # Errors
/// See [`TrainError`].
pub fn resume<B: Backend>(backend: &B, folder: &Path, surroundings: Surroundings<'_>) -> Result<Outcome, TrainError> {
    let config = saved_config(folder)?;
    if is_finished(folder) {
        return Err(TrainError::NoRun { folder: folder.to_owned(), problem: "the run is finished already".into() });
    }
    execute(backend, &config, folder, surroundings)
}

/// The settings that a run was started with.
///
/// # Errors
/// A folder without `run.toml`, or one that was changed into something else.
pub fn saved_config(folder: &Path) -> Result<RunConfig, TrainError> {
    let path = folder.join("run.toml");
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            TrainError::NoRun { folder: folder.to_owned(), problem: "there is no `run.toml`".into() }
        }
        _ => TrainError::io(&path)(error),
    })?;
    toml::from_str(&text).map_err(|error| TrainError::RunFile {
        path,
        problem: error.message().to_owned(),
        hint: "the file is written by `finetone train` and not meant to be edited".into(),
    })
}

/// The step from which a run would go on.
///
/// # Errors
/// A folder that is no run.
pub fn resume_point(folder: &Path) -> Result<u64, TrainError> {
    saved_config(folder)?;
    Ok(Store::new(folder).newest()?.unwrap_or(0))
}

/// Whether a run folder is complete: its report is written last.
pub fn is_finished(folder: &Path) -> bool {
    folder.join("report.json").exists()
}

/// A run started in one folder must find its files when it is resumed in another.
fn absolute(config: &RunConfig) -> Result<RunConfig, TrainError> {
    let whole = |path: &PathBuf| std::path::absolute(path).map_err(TrainError::io(path));
    let mut config = config.clone();
    config.train = whole(&config.train)?;
    for path in [&mut config.test, &mut config.validation, &mut config.tokenizer].into_iter().flatten() {
        *path = whole(path)?;
    }
    if Path::new(&config.model).exists() {
        config.model = whole(&PathBuf::from(&config.model))?.to_string_lossy().into_owned();
    }
    Ok(config)
}

fn execute<B: Backend>(
    backend: &B,
    config: &RunConfig,
    folder: &Path,
    surroundings: Surroundings<'_>,
) -> Result<Outcome, TrainError> {
    let start = Instant::now();
    let Surroundings { hub, download, control, listener, checkup } = surroundings;
    let metric: Metric = config.metric.parse()?;
    let texts = Texts::read(config, checkup, listener)?;
    metric.check(texts.labels.names())?;
    let Setup { model, tokenizer, limit } = setup(backend, config, &texts, (hub, download), listener)?;
    let encode = |examples| Rows::encode(examples, &tokenizer, &limit);
    let (train, validation, test) = (encode(&texts.train), encode(&texts.validation), encode(&texts.test));
    check_size(&train)?;
    tell_truncation(&train, limit.max_tokens, listener);
    check_memory::<B>(config, &model, &train, listener)?;
    let plan = Plan::new(config, train.len());
    let config = &RunConfig { epochs: Some(plan.epochs), ..config.clone() };
    let objective =
        Objective::new(config, model.config.head.output, &texts.labels, &train.class_counts(texts.labels.len()))?;
    let mut recorder = CurveRecorder::open(folder, listener);
    let store = Store::new(folder);
    fs::create_dir_all(folder).map_err(TrainError::io(folder))?;
    write(&folder.join("run.toml"), &config.to_toml())?;
    let mut trainer = Trainer::new(backend, config, model, (plan, metric, objective), &train);
    trainer.restore(&store)?;
    recorder.on(&TrainEvent::Started {
        run: folder.to_owned(),
        model: config.model.clone(),
        backend: backend.name(),
        parameters: trainer.model.table.numbers(),
        trainable: trainer.model.table.gradient_len(),
        labels: texts.labels.names().to_vec(),
        train_rows: train.len(),
        validation_rows: validation.len(),
        test_rows: test.len(),
        steps: plan.steps,
        epochs: plan.epoch(plan.steps),
        resumed_from: trainer.progress.step,
    });
    let first_step = trainer.progress.step;
    if trainer.train((&train, &validation), &store, control, &mut recorder)? == End::Interrupted {
        return Ok(Outcome::Interrupted { step: trainer.progress.step });
    }
    let seconds = start.elapsed().as_secs_f64();
    trainer.release();
    if let Some(best) = trainer.progress.best {
        store.load_best(backend, &mut trainer.model, best.step)?;
    }
    let measured = Measured::new(&trainer, [("test", &test), ("validation", &validation), ("training", &train)])?;
    save_model(backend, &trainer, &tokenizer, folder)?;
    let finished = finished_event(&trainer, &measured, first_step, (seconds, train.len()));
    recorder.on(&finished);
    let report = report::build(config, &trainer, &texts, (&train, &test), measured, recorder.curves());
    let summary = finish(folder, report, best_step(&trainer))?;
    store.clear()?;
    Ok(Outcome::Finished(Box::new(summary)))
}

/// The final predictions: on the test texts, or on what else there is.
pub(crate) struct Measured {
    pub name: &'static str,
    pub predictions: Predictions,
    pub all: Vec<NamedEvaluation>,
}

impl Measured {
    fn new<B: Backend>(trainer: &Trainer<'_, B>, sets: [(&'static str, &Rows); 3]) -> Result<Self, TrainError> {
        let mut measured: Option<Self> = None;
        for (name, rows) in sets {
            // The training texts say nothing about new ones; they are measured only where there is nothing else.
            if rows.is_empty() || (name == "training" && measured.is_some()) {
                continue;
            }
            let predictions = trainer.predict(rows, &mut trainer.forward(rows))?;
            let evaluation = measure::evaluate(name, &predictions)?;
            match &mut measured {
                Some(measured) => measured.all.push(evaluation),
                None => measured = Some(Self { name, predictions, all: vec![evaluation] }),
            }
        }
        measured.ok_or_else(|| TrainError::TooFew {
            problem: "there are no texts to measure the model on".into(),
            hint: "the training file needs rows".into(),
        })
    }
}

fn best_step<B: Backend>(trainer: &Trainer<'_, B>) -> u64 {
    trainer.progress.best.map_or(trainer.progress.step, |best| best.step)
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

fn tell_truncation(train: &Rows, limit: usize, listener: &mut dyn Listener) {
    if train.truncated > 0 {
        let share = measure::share(train.truncated, train.len());
        let message = format!(
            "{share} of the training texts are longer than {limit} tokens and are cut (`truncation`, `max_tokens`)"
        );
        listener.on(&TrainEvent::Notice { message });
    }
}

fn check_memory<B: Backend>(
    config: &RunConfig,
    model: &finetone_model::Model<B>,
    train: &Rows,
    listener: &mut dyn Listener,
) -> Result<(), TrainError> {
    let training = largest_group(config, train);
    // The texts that are held out are about as long.
    let longest = train.lengths.iter().copied().max().unwrap_or(1);
    let measured = measured_tokens(config).max(longest);
    let batches = memory::Batches { training, measuring: (measured, measured), memory: config.memory.into() };
    let needed = memory::estimate(&model.config, &model.table, &batches);
    let free = memory::available().map_or_else(|| "unknown".to_owned(), memory::mib);
    let message = format!("training needs about {} of memory ({free} free)", memory::mib(needed));
    listener.on(&TrainEvent::Notice { message });
    memory::check(needed)
}

/// Writes a file whole or not at all.
fn write(path: &Path, text: &str) -> Result<(), TrainError> {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text).and_then(|()| persist(&unfinished, path)).map_err(|error| {
        // The first error is the one to report.
        let _ = fs::remove_file(&unfinished);
        TrainError::io(path)(error)
    })
}

fn save_model<B: Backend>(
    backend: &B,
    trainer: &Trainer<'_, B>,
    tokenizer: &Tokenizer,
    folder: &Path,
) -> Result<(), TrainError> {
    let (unfinished, model) = (folder.join("model.unfinished"), folder.join("model"));
    for old in [&unfinished, &model] {
        if old.exists() {
            fs::remove_dir_all(old).map_err(TrainError::io(old))?;
        }
    }
    fs::create_dir_all(&unfinished).map_err(TrainError::io(&unfinished))?;
    tokenizer.save(&unfinished).map_err(ClassifyError::from)?;
    checkpoint::save(backend, &trainer.model, &unfinished).map_err(ClassifyError::from)?;
    let weights = unfinished.join("model.safetensors");
    fs::File::open(&weights).and_then(|file| file.sync_all()).map_err(TrainError::io(&weights))?;
    fs::rename(&unfinished, &model).map_err(TrainError::io(&model))
}

fn finished_event<B: Backend>(
    trainer: &Trainer<'_, B>,
    measured: &Measured,
    first_step: u64,
    (seconds, rows): (f64, usize),
) -> TrainEvent {
    let step = trainer.progress.step;
    let taken = (step - first_step) as f64;
    let per_step = rows as f64 / trainer.plan.steps_per_epoch as f64;
    TrainEvent::Finished {
        step,
        best_step: best_step(trainer),
        train_runtime: seconds,
        train_samples_per_second: taken * per_step / seconds,
        train_steps_per_second: taken / seconds,
        train_loss: trainer.progress.loss_sum / step.max(1) as f64,
        metrics: measure::final_metrics(&measured.all[0].evaluation),
        measured_on: measured.name.to_owned(),
    }
}

/// Writes the reports, the machine-readable one last: it marks the run as finished.
fn finish(folder: &Path, report: Report, best_step: u64) -> Result<Summary, TrainError> {
    let headline = report.headline().cloned().ok_or_else(|| TrainError::TooFew {
        problem: "there is nothing to report".into(),
        hint: "the test file needs rows".into(),
    })?;
    write(&folder.join("report.html"), &report.to_html()?)?;
    write(&folder.join("report.md"), &report.to_markdown())?;
    write(&folder.join("report.json"), &report.to_json()?)?;
    let (measured_on, evaluation) = (headline.name, headline.evaluation);
    Ok(Summary { run: folder.to_owned(), best_step, measured_on, evaluation, report })
}
