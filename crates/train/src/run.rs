//! From files to a finished run folder.

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use finetone_classify::hub::{HubConfig, HubProgress};
use finetone_data::Checkup;
use finetone_evaluate::{Evaluation, Predictions, Repeats, Report};

use crate::epochs::Epochs;
use crate::error::TrainError;
use crate::events::Listener;
use crate::fit::{Fit, Place, Settings, fit};
use crate::folds::{Folds, Found};
use crate::ladder::climb;
use crate::material::Texts;
use crate::reasons;
use crate::report;
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::seeds::{Keep, Seeds};
use crate::store::{Store, write_whole};
use crate::task::with_task;
use crate::trainer::Control;
use crate::trial::Tried;

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Outcome<T = Box<Summary>> {
    /// It is complete.
    Finished(T),
    /// The user stopped it; `resume` goes on.
    Interrupted {
        /// After this step.
        step: u64,
    },
}

impl<T> Outcome<T> {
    /// The same end with something else to show for it.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Finished(shown) => Outcome::Finished(change(shown)),
            Self::Interrupted { step } => Outcome::Interrupted { step },
        }
    }
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
    /// The final numbers; none of a model that answers in its own words.
    pub evaluation: Option<Evaluation>,
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
pub(crate) fn absolute(config: &RunConfig) -> Result<RunConfig, TrainError> {
    let whole = |path: &PathBuf| std::path::absolute(path).map_err(TrainError::io(path));
    let mut config = config.clone();
    config.train = whole(&config.train)?;
    for path in
        [&mut config.test, &mut config.validation, &mut config.from, &mut config.tokenizer].into_iter().flatten()
    {
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
    mut surroundings: Surroundings<'_>,
) -> Result<Outcome, TrainError> {
    let config = &with_task(config, surroundings.hub, surroundings.download)?;
    let texts = Texts::read(config, surroundings.checkup, surroundings.listener)?;
    // A resumed run keeps the number of epochs, whatever is usual by then.
    let epochs = Plan::new(config, Epochs::new(config, &texts)?.rows()).epochs;
    let config = &RunConfig { epochs: Some(epochs), ..config.clone() };
    let settings = (folder.join("run.toml"), Settings::Run(Box::new(config.clone())));
    let place = Place { folder: folder.to_owned(), settings, keeps_model: true };
    let folds = match cross_validated(backend, config, &texts, &place, &mut surroundings)? {
        Outcome::Finished(found) => found,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let (Fit { fitted, measured_on, measured }, seeds) =
        match fitted(backend, config, (&texts, folds.as_ref().map(|found| &found.as_said)), &place, &mut surroundings)?
        {
            Outcome::Finished(fit) => fit,
            Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
        };
    let ladder = match &measured {
        Some(measured) => climb(backend, config, &texts, (&fitted, measured), &place, &mut surroundings)?,
        None => Outcome::Finished(None),
    };
    let ladder = match ladder {
        Outcome::Finished(ladder) => ladder,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let best_step = fitted.best_step();
    let cross_validation = folds.map(|found| found.cross_validation);
    let mut report = Report { cross_validation, seeds, ladder, ..report::build(config, &texts, fitted, measured) };
    reasons::add(backend, &folder.join("model"), texts.set(&measured_on), config.explain_errors, &mut report);
    let summary = finish(folder, report, best_step, measured_on)?;
    Store::new(folder).clear()?;
    Ok(Outcome::Finished(Box::new(summary)))
}

/// The folds, where they are asked for.
fn cross_validated<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    place: &Place,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Option<Found>>, TrainError> {
    let Some(folds) = config.folds else { return Ok(Outcome::Finished(None)) };
    let folds = Folds::new(config, texts, folds)?;
    let found = folds.cross_validate(backend, config, texts, &place.within("folds", false), surroundings)?;
    if let Outcome::Finished(found) = &found {
        folds.save(&found.cross_validation, &place.folder)?;
    }
    Ok(found.map(Some))
}

/// The model to keep: the one, or the best of several seeds.
fn fitted<B: Backend>(
    backend: &B,
    config: &RunConfig,
    (texts, out_of_fold): (&Texts, Option<&Predictions>),
    place: &Place,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<(Fit, Option<Repeats>)>, TrainError> {
    if config.seeds == 1 {
        return Ok(fit(backend, config, (texts, out_of_fold), place, surroundings)?.map(|fit| (fit, None)));
    }
    let within = (&place.within("seeds", true), Keep::Best);
    Ok(match Seeds::train(backend, config, (texts, out_of_fold), within, surroundings)? {
        Outcome::Interrupted { step } => Outcome::Interrupted { step },
        Outcome::Finished(seeds) => {
            surroundings.listener.on(&seeds.notice());
            let repeats = seeds.repeats()?;
            let Tried { fitted, measured, .. } = seeds.settle(&repeats, &place.folder)?;
            let measured_on = measured.name.clone();
            Outcome::Finished((Fit { fitted, measured_on, measured: Some(measured) }, Some(repeats)))
        }
    })
}

/// Writes the reports, the machine-readable one last: it marks the run as finished.
fn finish(folder: &Path, report: Report, best_step: u64, measured_on: String) -> Result<Summary, TrainError> {
    write_whole(&folder.join("report.html"), &report.to_html()?)?;
    write_whole(&folder.join("report.md"), &report.to_markdown())?;
    write_whole(&folder.join("report.json"), &report.to_json()?)?;
    let evaluation = report.headline().map(|headline| headline.evaluation.clone());
    Ok(Summary { run: folder.to_owned(), best_step, measured_on, evaluation, report })
}
