//! A fit in a folder of its own inside a run, one of several: a fold, a seed, a part of a study. It leaves a file with its
//! numbers, so that what is finished is not done again.

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use finetone_evaluate::Predictions;

use crate::error::TrainError;
use crate::events::TrainEvent;
use crate::fit::{Fitted, Measured, Place, fit};
use crate::material::Texts;
use crate::measure;
use crate::run::{Outcome, Surroundings};
use crate::run_config::RunConfig;
use crate::store::{Store, write_whole};

/// The file that a finished trial leaves in its folder.
const RESULT: &str = "trial.json";

/// What to fit, and where.
pub(crate) struct Trial {
    /// What people call it, such as `fold 2 of 5`.
    pub name: String,
    /// Its settings.
    pub config: RunConfig,
    /// Its folder and whether its model is kept there.
    pub place: Place,
}

/// A finished trial.
pub(crate) struct Tried {
    pub name: String,
    pub folder: PathBuf,
    pub fitted: Fitted,
    pub measured: Measured,
}

impl Trial {
    /// Fits, unless that was done before: then its numbers are read. `out_of_fold` is what models of folds said, if they were
    /// asked.
    ///
    /// # Errors
    /// See [`TrainError`]; a result of other data.
    pub fn run<B: Backend>(
        self,
        backend: &B,
        (texts, out_of_fold): (&Texts, Option<&Predictions>),
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Outcome<Tried>, TrainError> {
        surroundings.listener.on(&TrainEvent::TrialStarted { name: self.name.clone() });
        let folder = self.place.folder.clone();
        let path = folder.join(RESULT);
        let before = read(&path, texts)?;
        let again = before.is_some();
        let (fitted, measured) = match before {
            Some(fitted) => {
                let measured = Measured::new(texts, &fitted.sets, fitted.abstention.as_ref())?;
                (fitted, measured)
            }
            None => match fit(backend, &self.config, (texts, out_of_fold), &self.place, surroundings)? {
                Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
                Outcome::Finished(fit) => {
                    let text = serde_json::to_string(&fit.fitted).expect("numbers and names have a JSON form");
                    write_whole(&path, &text)?;
                    (fit.fitted, fit.measured)
                }
            },
        };
        let measured = measured.ok_or_else(|| TrainError::TooFew {
            problem: "there are no texts to measure the model on".into(),
            hint: "the training file needs rows".into(),
        })?;
        // Nothing is there to go on with any more, and checkpoints are large.
        Store::new(&folder).clear()?;
        let metrics = measure::brief(&measured.predictions)?;
        let (name, measured_on, seconds) = (self.name.clone(), measured.name.clone(), fitted.seconds);
        surroundings.listener.on(&TrainEvent::TrialFinished { name, metrics, measured_on, seconds, again });
        Ok(Outcome::Finished(Tried { name: self.name, folder, fitted, measured }))
    }
}

/// The result of an earlier process, if it is there and of the same texts.
fn read(path: &Path, texts: &Texts) -> Result<Option<Fitted>, TrainError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TrainError::io(path)(error)),
    };
    let wrong = |problem: String| TrainError::Checkpoint { path: path.to_owned(), problem };
    let fitted: Fitted = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    if fitted.fingerprint != texts.fingerprint() {
        return Err(wrong("the data have changed since the run was started".into()));
    }
    Ok(Some(fitted))
}
