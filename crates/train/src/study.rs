//! A study: two ways to a model of the same texts over several seeds, a ladder of baselines, cross-validation, and one test
//! file that is measured at the very end.
//!
//! The order is the point. Everything is trained and chosen on the training file; before that, of the test file only the
//! header and the names of its labels are looked at, so that a file that could not be measured is refused at once and not
//! after hours. When nothing is left to choose, it is read and every model judges it once.

mod ladder;
mod outcome;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use finetone_data::{Dataset, Preparation, ReadOptions, chat};
use finetone_evaluate::{CrossValidation, Study};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::fit::{self, Place, Settings};
use crate::folds::Folds;
use crate::material::Texts;
use crate::run::{Outcome, Surroundings, absolute, is_finished};
use crate::run_config::RunConfig;
use crate::schedule::Plan;
use crate::seeds::{Keep, Seeds};
use crate::store::write_whole;
use ladder::Baselines;

/// The settings of a study, kept in its folder.
const SETTINGS: &str = "study.toml";

/// What a study is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// The file to measure on at the end.
    pub test: PathBuf,
    /// Folds of the cross-validation of the fine-tuned variant.
    pub folds: usize,
    /// How a pretrained model is fine-tuned; its `seeds` say with how many seeds.
    pub finetuned: RunConfig,
    /// How a model is trained from scratch.
    pub scratch: RunConfig,
}

impl StudyConfig {
    /// Two variants on the same training file. Nothing is held out of it for a test, and the folds are the study's.
    pub fn new(test: PathBuf, folds: usize, finetuned: RunConfig, scratch: RunConfig) -> Self {
        let whole = |config: RunConfig| RunConfig { test: None, test_fraction: 0.0, folds: None, repeats: 1, ..config };
        Self { test, folds, finetuned: whole(finetuned), scratch: whole(scratch) }
    }

    fn absolute(&self) -> Result<Self, TrainError> {
        let test = std::path::absolute(&self.test).map_err(TrainError::io(&self.test))?;
        Ok(Self { test, finetuned: absolute(&self.finetuned)?, scratch: absolute(&self.scratch)?, folds: self.folds })
    }

    /// How the test file is read: by the columns of the training file, and its chats by the same rule.
    fn test_options(&self) -> Result<ReadOptions, TrainError> {
        let chat = chat::rule_of(&self.finetuned.train)?;
        Ok(ReadOptions {
            open: Preparation { chat, ..Preparation::default() }.open_options(),
            text_column: self.finetuned.text_column.clone(),
            label_column: self.finetuned.label_column.clone(),
            multi_label: self.finetuned.multi_label,
            ..ReadOptions::default()
        })
    }
}

/// Everything that was trained, before the test file is opened.
struct Trained {
    /// The texts that both variants learn from, with those that choose the checkpoint.
    texts: Texts,
    finetuned: Seeds,
    scratch: Seeds,
    cross_validation: CrossValidation,
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
    let baselines = Baselines::fit(backend, &config, &trained.texts, &mut surroundings)?;
    let study = outcome::measure(backend, &config, trained, baselines, surroundings.listener)?;
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

/// Both variants with all their seeds, and the folds.
fn train_all<B: Backend>(
    backend: &B,
    config: &StudyConfig,
    folder: &Path,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Trained>, TrainError> {
    let texts = Texts::read(&config.finetuned, surroundings.checkup, surroundings.listener)?;
    // Both variants learn from the same file, and what is to be said about it was said.
    let scratch_texts = Texts::read(&config.scratch, surroundings.checkup, &mut Unheard)?;
    let folds = Folds::new(&config.finetuned, &texts, config.folds)?;
    check_test(config, &texts)?;
    // The variant from scratch comes last; what is wrong with it should be told before the hours of the other.
    let Surroundings { hub, download, control, .. } = surroundings;
    let mut quiet = Surroundings { hub, download: *download, control, listener: &mut Unheard, checkup: None };
    fit::check(backend, &config.scratch, &scratch_texts, &mut quiet)?;
    let settings = toml::to_string(config).expect("every setting has a TOML form");
    let place = Place {
        folder: folder.to_owned(),
        settings: (folder.join(SETTINGS), Settings::Several(settings)),
        keeps_model: false,
    };
    let mut variant = |name: &str, config: &RunConfig, texts: &Texts| {
        let config = RunConfig { epochs: Some(Plan::new(config, texts.train.len()).epochs), ..config.clone() };
        surroundings.listener.on(&TrainEvent::Notice { message: format!("{name}: {} seeds", config.seeds) });
        Seeds::train(backend, &config, texts, (&place.within(name, true), Keep::All), surroundings)
    };
    let finetuned = match variant("finetuned", &config.finetuned, &texts)? {
        Outcome::Finished(seeds) => seeds,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let scratch = match variant("scratch", &config.scratch, &scratch_texts)? {
        Outcome::Finished(seeds) => seeds,
        Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
    };
    let place = place.within("cross-validation", false);
    let found = folds.cross_validate(backend, &config.finetuned, &texts, &place, surroundings)?;
    if let Outcome::Finished(found) = &found {
        folds.save(found, &place.folder)?;
    }
    Ok(found.map(|cross_validation| Trained { texts, finetuned, scratch, cross_validation }))
}

/// Refuses a test file that could not be measured. Its labels are held against the known names, and forgotten.
fn check_test(config: &StudyConfig, texts: &Texts) -> Result<(), TrainError> {
    let known = Some(texts.labels.clone());
    let columns = texts.preparation.columns();
    Dataset::read(&config.test, &ReadOptions { known, columns, ..config.test_options()? })?;
    Ok(())
}

/// A listener for what was told already.
struct Unheard;

impl Listener for Unheard {
    fn on(&mut self, _event: &TrainEvent) {}
}
