//! A study: two ways to a model of the same texts over several seeds, a ladder of baselines, cross-validation, and one test
//! file that is measured at the very end.
//!
//! The order is the point. Everything is trained and chosen on the training file, the way of fine-tuning by folds of it; before that, of the test file only the
//! header and the names of its labels are looked at, so that a file that could not be measured is refused at once and not
//! after hours. When nothing is left to choose, it is read and every model judges it once.

mod candidates;
mod ladder;
mod outcome;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use finetone_data::{Dataset, Preparation, ReadOptions, chat};
use finetone_evaluate::{Candidate, Predictions, Study};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::events::{TrainEvent, Unheard};
use crate::fit::{self, Place, Settings};
use crate::folds::Folds;
use crate::ladder::pretrained_folder;
use crate::material::Texts;
use crate::run::{Outcome, Surroundings, absolute, is_finished};
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::seeds::{Keep, Seeds};
use crate::store::write_whole;
use crate::tracking::Tracking;
pub use candidates::{Written, parse as parse_candidates, read as read_candidates};
use ladder::Baselines;

/// The settings of a study, kept in its folder.
const SETTINGS: &str = "study.toml";

/// What a study is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// The file to measure on at the end.
    pub test: PathBuf,
    /// Folds of the cross-validation that chooses among the candidates.
    pub folds: usize,
    /// How a model is trained from scratch.
    pub scratch: RunConfig,
    /// Ways to fine-tune a pretrained model, at least one; the `seeds` of the chosen one say with how many seeds.
    #[serde(rename = "candidate")]
    pub candidates: Vec<CandidateConfig>,
}

/// A way to fine-tune.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateConfig {
    /// What it is called.
    pub name: String,
    /// In which settings it differs from the others, for people.
    pub detail: String,
    /// All settings.
    pub settings: RunConfig,
}

impl StudyConfig {
    /// Candidates and a variant from scratch on the same training file. Nothing is held out of it for a test, and the folds
    /// are the study's, in which the candidates alone are judged.
    pub fn new(test: PathBuf, folds: usize, candidates: Vec<CandidateConfig>, scratch: RunConfig) -> Self {
        let whole = |config: RunConfig| RunConfig {
            test: None,
            test_fraction: 0.0,
            folds: None,
            repeats: 1,
            track: Tracking::default(),
            ..config
        };
        let in_folds = |config| RunConfig { folds: Some(folds), ..whole(config) };
        let candidates = candidates.into_iter().map(|one| CandidateConfig { settings: in_folds(one.settings), ..one });
        Self { test, folds, candidates: candidates.collect(), scratch: whole(scratch) }
    }

    fn absolute(&self) -> Result<Self, TrainError> {
        let test = std::path::absolute(&self.test).map_err(TrainError::io(&self.test))?;
        let candidate =
            |one: &CandidateConfig| Ok(CandidateConfig { settings: absolute(&one.settings)?, ..one.clone() });
        let candidates = self.candidates.iter().map(candidate).collect::<Result<_, TrainError>>()?;
        Ok(Self { test, candidates, scratch: absolute(&self.scratch)?, folds: self.folds })
    }

    /// How the test file is read: by the columns of the training file, and its chats by the same rule.
    fn test_options(&self) -> Result<ReadOptions, TrainError> {
        let chat = chat::rule_of(&self.scratch.train, &self.scratch.open_options())?;
        Ok(ReadOptions {
            open: Preparation { chat, ..Preparation::default() }.open_options(self.scratch.encoding),
            text_column: self.scratch.text_column.clone(),
            label_column: self.scratch.label_column.clone(),
            multi_label: self.scratch.multi_label,
            ..ReadOptions::default()
        })
    }
}

/// Everything that was trained, before the test file is opened.
struct Trained {
    /// The texts that the fine-tuned variant learns from, with those that choose the checkpoint.
    texts: Texts,
    /// The folds in which the candidates were judged.
    folds: Folds,
    /// The settings of the chosen candidate.
    settings: RunConfig,
    candidates: Vec<Candidate>,
    chosen: usize,
    /// Seconds that the chosen one took in the folds.
    seconds: f64,
    finetuned: Seeds,
    scratch: Seeds,
}

/// Carries out a study in `folder`, or goes on with it there; what is finished is not done again.
///
/// # Errors
/// See [`TrainError`]. A test file without the columns, or with a label that the training file does not have, is refused
/// before the training.
pub fn study<B: Backend>(
    backend: &B,
    config: &StudyConfig,
    folder: &Path,
    mut surroundings: Surroundings<'_>,
) -> Result<Outcome<Study>, TrainError> {
    let config = config.absolute()?;
    check_folder(folder, &config)?;
    let trained = match train_all(backend, &config, folder, &mut surroundings)? {
        Outcome::Finished(trained) => trained,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let start = pretrained_folder(&trained.settings, &mut surroundings)?;
    let how = (&trained.settings, start.as_deref());
    let Surroundings { control, listener, .. } = surroundings;
    listener.on(&TrainEvent::Notice { message: "the baselines, in the same folds and on the whole file".into() });
    let in_folds = match ladder::in_folds(backend, how, (&trained.texts, &trained.folds), control)? {
        Outcome::Finished(in_folds) => in_folds,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let baselines = Baselines::fit(backend, how, &trained.texts, listener)?;
    let study = outcome::measure(backend, &config, trained, (in_folds, baselines), listener)?;
    write_whole(&folder.join("report.html"), &study.to_html()?)?;
    write_whole(&folder.join("report.json"), &study.to_json()?)?;
    Ok(Outcome::Finished(study))
}

/// Whether this study may use the folder: an empty one, or its own.
fn check_folder(folder: &Path, config: &StudyConfig) -> Result<(), TrainError> {
    let path = folder.join(SETTINGS);
    let refused = |problem: &str| TrainError::NoStudy { folder: folder.to_owned(), problem: problem.into() };
    match fs::read_to_string(&path) {
        Ok(text) => match toml::from_str::<StudyConfig>(&text) {
            Ok(_) if is_finished(folder) => Err(refused("the study is finished already")),
            Ok(begun) if begun == *config => Ok(()),
            _ => Err(refused("a study with other settings was begun here")),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let taken = folder.read_dir().is_ok_and(|mut entries| entries.next().is_some());
            if taken { Err(refused("the folder is not empty and holds no study")) } else { Ok(()) }
        }
        Err(error) => Err(TrainError::io(&path)(error)),
    }
}

/// The candidates in folds, then both variants with all their seeds.
fn train_all<B: Backend>(
    backend: &B,
    config: &StudyConfig,
    folder: &Path,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Trained>, TrainError> {
    let candidates = candidates::Read::all(config, surroundings)?;
    // What is to be said about the file was said when the candidates were read.
    let scratch_texts = Texts::read(&config.scratch, surroundings.checkup, &mut Unheard)?;
    check_test(config, candidates.iter().map(|one| &one.texts).chain([&scratch_texts]))?;
    // The variant from scratch comes last; what is wrong with it should be told before the hours of the others.
    let Surroundings { hub, download, control, .. } = surroundings;
    let mut quiet = Surroundings { hub, download: *download, control, listener: &mut Unheard, checkup: None };
    for (config, texts) in candidates.iter().map(candidates::Read::to_fit).chain([(&config.scratch, &scratch_texts)]) {
        fit::check(backend, config, texts, &mut quiet)?;
    }
    let settings = toml::to_string(config).expect("every setting has a TOML form");
    let place = Place {
        folder: folder.to_owned(),
        settings: (folder.join(SETTINGS), Settings::Several(settings)),
        keeps_model: false,
    };
    let judged = match candidates::judge(backend, &candidates, &place.within("cross-validation", false), surroundings)?
    {
        Outcome::Finished(judged) => judged,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let (said, judged): (Vec<_>, Vec<Candidate>) =
        judged.into_iter().map(|one| ((one.as_said, one.seconds), one.candidate)).unzip();
    let chosen = finetone_evaluate::choose(&judged);
    let (settings, texts) = candidates[chosen].to_fit();
    let (as_said, seconds) = &said[chosen];
    if judged.len() > 1 {
        let message = format!("chosen in folds of the training file: {}", judged[chosen].name);
        surroundings.listener.on(&TrainEvent::Notice { message });
    }
    let mut variant = |name: &str, config: &RunConfig, texts: (&Texts, Option<&Predictions>)| {
        let config = RunConfig { epochs: Some(Plan::new(config, texts.0.train.len()).epochs), ..config.clone() };
        surroundings.listener.on(&TrainEvent::Notice { message: format!("{name}: {} seeds", config.seeds) });
        Seeds::train(backend, &config, texts, (&place.within(name, true), Keep::All), surroundings)
    };
    let finetuned = match variant("finetuned", settings, (texts, Some(as_said)))? {
        Outcome::Finished(seeds) => seeds,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let (texts, settings, folds) = (texts.clone(), settings.clone(), candidates[chosen].folds.clone());
    Ok(variant("scratch", &config.scratch, (&scratch_texts, None))?.map(|scratch| Trained {
        texts,
        folds,
        settings,
        candidates: judged,
        chosen,
        seconds: *seconds,
        finetuned,
        scratch,
    }))
}

/// Refuses a test file that could not be measured. Its labels are held against the known names, and forgotten.
fn check_test<'t>(config: &StudyConfig, texts: impl Iterator<Item = &'t Texts>) -> Result<(), TrainError> {
    let (mut columns, mut known): (Vec<String>, _) = (Vec::new(), None);
    for texts in texts {
        // All of them learn from the same file, and have its labels.
        known = Some(texts.labels.clone());
        columns.extend(texts.preparation.columns());
    }
    columns.sort_unstable();
    columns.dedup();
    Dataset::read(&config.test, &ReadOptions { known, columns, ..config.test_options()? })?;
    Ok(())
}
