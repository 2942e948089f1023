//! The ways of fine-tuning among which a study chooses: written as differences from a recipe, judged in folds of the training
//! file.

use std::path::Path;

use finetone_backend::Backend;
use finetone_evaluate::{Candidate, Predictions};
use toml::{Table, Value};

use super::{CandidateConfig, StudyConfig};
use crate::error::TrainError;
use crate::events::{TrainEvent, Unheard};
use crate::fit::Place;
use crate::folds::{Folds, Found};
use crate::material::Texts;
use crate::run::{Outcome, Surroundings};
use crate::run_config::RunConfig;
use crate::run_file::RunFile;

/// What the study gives to all candidates alike.
const OF_THE_STUDY: [&str; 7] = ["train", "test", "test_fraction", "folds", "repeats", "seeds", "precision"];

/// A candidate as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// What it is called.
    pub name: String,
    /// In which settings it differs from the recipe.
    pub detail: String,
    /// The recipe with the differences.
    pub file: RunFile,
}

/// Reads a file of candidates, see [`parse`].
///
/// # Errors
/// A file that cannot be read, and those of [`parse`].
pub fn read(path: &Path, recipe: &RunFile) -> Result<Vec<Written>, TrainError> {
    parse(&std::fs::read_to_string(path).map_err(TrainError::io(path))?, path, recipe)
}

/// Parses candidates: tables `[[candidate]]` with a `name` and the settings that differ from the recipe. `path` is what an
/// error calls the file.
///
/// # Errors
/// A text that is not TOML or holds no such tables, a name that is missing or given twice, a setting that is the study's.
pub fn parse(text: &str, path: &Path, recipe: &RunFile) -> Result<Vec<Written>, TrainError> {
    let refused = |problem: String| TrainError::RunFile {
        path: path.to_owned(),
        problem,
        hint: "a file of candidates has tables `[[candidate]]`, each with a `name` and the settings that differ".into(),
    };
    let mut file = text.parse::<Table>().map_err(|error| refused(error.to_string()))?;
    let tables = file.remove("candidate");
    let Some(Value::Array(tables)) = tables.filter(|_| file.is_empty()) else {
        return Err(refused("there is something else than candidates, or none of them".into()));
    };
    let mut read: Vec<Written> = Vec::new();
    for table in tables {
        let Value::Table(mut settings) = table else { return Err(refused("a candidate is no table".into())) };
        let Some(Value::String(name)) = settings.remove("name") else {
            return Err(refused("a candidate has no `name`".into()));
        };
        if read.iter().any(|known| known.name == name) {
            return Err(refused(format!("two candidates are called `{name}`")));
        }
        if let Some(key) = settings.keys().find(|key| OF_THE_STUDY.contains(&key.as_str())) {
            return Err(refused(format!("`{name}`: `{key}` is for the study to set, not for a candidate")));
        }
        let detail = settings.to_string().trim().replace('\n', ", ");
        let mut file = recipe.clone();
        settings.into_iter().for_each(|(key, value)| file.set(&key, value));
        read.push(Written { name, detail, file });
    }
    if read.is_empty() { Err(refused("there is no candidate".into())) } else { Ok(read) }
}

/// A candidate with the texts as it reads them and their folds.
pub(super) struct Read<'a> {
    config: &'a CandidateConfig,
    pub texts: Texts,
    pub folds: Folds,
}

/// A candidate in the folds.
pub(super) struct Judged {
    pub candidate: Candidate,
    /// What the models of its folds said, before anything was fitted on it.
    pub as_said: Predictions,
    /// Seconds that all of them took to train.
    pub seconds: f64,
}

impl<'a> Read<'a> {
    /// Reads the training file for each candidate; what is to be said about it is said once.
    ///
    /// # Errors
    /// What the doctor calls an error; a class too rare for the folds.
    pub fn all(config: &'a StudyConfig, surroundings: &mut Surroundings<'_>) -> Result<Vec<Self>, TrainError> {
        let mut read = Vec::with_capacity(config.candidates.len());
        for (number, candidate) in config.candidates.iter().enumerate() {
            let texts = match number {
                0 => Texts::read(&candidate.settings, surroundings.checkup, surroundings.listener)?,
                _ => Texts::read(&candidate.settings, surroundings.checkup, &mut Unheard)?,
            };
            let folds = Folds::new(&candidate.settings, &texts, config.folds)?;
            read.push(Self { config: candidate, texts, folds });
        }
        Ok(read)
    }

    /// Settings and texts.
    pub fn to_fit(&self) -> (&RunConfig, &Texts) {
        (&self.config.settings, &self.texts)
    }
}

/// Judges all candidates in the same folds.
///
/// # Errors
/// See [`TrainError`].
pub(super) fn judge<B: Backend>(
    backend: &B,
    candidates: &[Read<'_>],
    place: &Place,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Vec<Judged>>, TrainError> {
    let mut judged = Vec::with_capacity(candidates.len());
    for (number, Read { config, texts, folds }) in candidates.iter().enumerate() {
        let place = place.within(&format!("candidate-{}", number + 1), false);
        let detail = if config.detail.is_empty() { String::new() } else { format!(" ({})", config.detail) };
        let message = format!("in folds of the training file: {}{detail}", config.name);
        surroundings.listener.on(&TrainEvent::Notice { message });
        match folds.cross_validate(backend, &config.settings, texts, &place, surroundings)? {
            Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
            Outcome::Finished(Found { cross_validation, as_said, seconds }) => {
                folds.save(&cross_validation, &place.folder)?;
                let (name, detail) = (config.name.clone(), config.detail.clone());
                judged.push(Judged { candidate: Candidate { name, detail, cross_validation }, as_said, seconds });
            }
        }
    }
    Ok(Outcome::Finished(judged))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Written>, TrainError> {
        let mut recipe = RunFile::default();
        recipe.set("train", "a.csv");
        recipe.set("epochs", 3);
        parse(text, Path::new("candidates.toml"), &recipe)
    }

    #[test]
    fn a_candidate_is_the_recipe_with_its_differences() {
        let found = parsed("[[candidate]]\nname = \"short\"\n[[candidate]]\nname = \"long\"\nepochs = 6\n").unwrap();
        let epochs: Vec<Option<f64>> = found.iter().map(|one| one.file.resolve().unwrap().epochs).collect();
        assert_eq!(epochs, [Some(3.0), Some(6.0)]);
        assert_eq!((found[0].detail.as_str(), found[1].detail.as_str()), ("", "epochs = 6"));
    }

    #[test]
    fn what_is_no_list_of_candidates_is_refused() {
        for (text, told) in [
            ("epochs = 3", "something else"),
            ("candidate = []", "no candidate"),
            ("[[candidate]]\nepochs = 3", "no `name`"),
            ("[[candidate]]\nname = \"a\"\n[[candidate]]\nname = \"a\"", "two candidates"),
            ("[[candidate]]\nname = \"a\"\nseeds = 2", "`seeds` is for the study"),
            ("[[candidate]\n", "candidates.toml"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
