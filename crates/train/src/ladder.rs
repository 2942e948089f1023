//! The ladder: the run's model beside simpler ways to answer the same texts, so that it is plain what training it bought.
//!
//! Every way learns from the run's training texts alone and answers the same held-out texts. The baselines take seconds; a
//! small model from scratch is trained as a run of its own with the settings that are usual for one.

use std::path::{Path, PathBuf};
use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::ClassifyError;
use finetone_classify::baselines::{self, Baseline, Lesson, Pretrained};
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_data::{Example, Preparation, Target};
use finetone_evaluate::{Answers, Attempt, Ladder};

use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::fit::{Fitted, Measured, Place};
use crate::material::{Texts, text_limit};
use crate::measure;
use crate::report::model_name;
use crate::run::{Outcome, Surroundings};
use crate::run_config::RunConfig;
use crate::run_file::RunFile;
use crate::trial::{Trial, Tried};

/// The built-in model that is trained from scratch for comparison.
const SMALL_MODEL: &str = "tiny";
const FROM_SCRATCH: &str = "from_scratch";
/// The run's own model, by its name for programs.
pub(crate) const FINE_TUNED: &str = "fine_tuned";

/// Measures every rung, the run's own model last; nothing where it is not asked for or no texts were held out.
///
/// # Errors
/// See [`TrainError`].
pub(crate) fn climb<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    (fitted, measured): (&Fitted, &Measured),
    place: &Place,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Option<Ladder>>, TrainError> {
    if !config.ladder {
        return Ok(Outcome::Finished(None));
    }
    if measured.name == "training" {
        let message = "there is no ladder: no texts were held out to measure on".into();
        surroundings.listener.on(&TrainEvent::Notice { message });
        return Ok(Outcome::Finished(None));
    }
    let start = pretrained_folder(config, surroundings)?;
    let school = School::new(backend, (config, start.as_deref()), (texts, &texts.preparation), &texts.train);
    let rung = Rung { school, texts, set: &measured.name };
    let mut attempts = Vec::new();
    for baseline in Baseline::ALL {
        if surroundings.control.is_stopped() {
            return Ok(Outcome::Interrupted { step: fitted.steps });
        }
        attempts.push(rung.attempt(baseline, surroundings)?);
    }
    let own = own_answers(config, fitted, measured);
    let (scratch, tuned) = if start.is_some() {
        match from_scratch(backend, config, texts, place, surroundings)? {
            Outcome::Interrupted { step } => return Ok(Outcome::Interrupted { step }),
            Outcome::Finished(answers) => (Ok(answers), Ok(own)),
        }
    } else {
        (Ok(own), Err("this model started from random weights; name a pretrained one by `--model`".to_owned()))
    };
    let model = if start.is_some() { FINE_TUNED } else { FROM_SCRATCH };
    attempts.push(Attempt { key: FROM_SCRATCH, title: "training from scratch".into(), answers: scratch });
    attempts.push(Attempt { key: FINE_TUNED, title: "fine-tuning".into(), answers: tuned });
    Ok(Outcome::Finished(Some(Ladder::new(measured.name.clone(), attempts, model)?)))
}

/// The folder that fine-tuning starts from; nothing for a model from scratch.
pub(crate) fn pretrained_folder(
    config: &RunConfig,
    surroundings: &mut Surroundings<'_>,
) -> Result<Option<PathBuf>, TrainError> {
    let resolved = ModelSource::resolve(&config.model, surroundings.hub, surroundings.download);
    Ok(match resolved.map_err(ClassifyError::from)? {
        ResolvedModel::Folder { folder, .. } => Some(folder),
        ResolvedModel::Scratch(_) | ResolvedModel::Config(_) => None,
    })
}

/// Texts that baselines learn from, as the model beside them reads them.
pub(crate) struct School<'a, B> {
    backend: &'a B,
    config: &'a RunConfig,
    /// The pretrained model, if there is one.
    start: Option<&'a Path>,
    labels: &'a [String],
    multi_label: bool,
    preparation: &'a Preparation,
    prepared: Vec<String>,
    targets: Vec<Target>,
}

impl<'a, B: Backend> School<'a, B> {
    /// Prepares `examples`, all of which have a target among the labels of `texts`.
    pub fn new(
        backend: &'a B,
        (config, start): (&'a RunConfig, Option<&'a Path>),
        (texts, preparation): (&'a Texts, &'a Preparation),
        examples: &[Example],
    ) -> Self {
        let prepared = preparation.prepare_all(examples).into_iter().map(|row| row.text.into_owned()).collect();
        let targets = examples.iter().filter_map(|example| example.target.clone()).collect();
        let (labels, multi_label) = (texts.labels.names(), texts.multi_label);
        Self { backend, config, start, labels, multi_label, preparation, prepared, targets }
    }

    /// Fits a baseline.
    ///
    /// # Errors
    /// A pretrained model that cannot be read.
    pub fn fit(&self, baseline: Baseline) -> Result<baselines::Fit, TrainError> {
        let Self { backend, config, .. } = *self;
        let lesson = Lesson {
            preparation: self.preparation,
            texts: &self.prepared.iter().map(String::as_str).collect::<Vec<_>>(),
            targets: &self.targets,
            labels: self.labels,
            multi_label: self.multi_label,
            seed: config.seed,
        };
        let limit = |tokenizer: &_, most| {
            text_limit(config, tokenizer, most).expect("the same limit fitted when this model was trained")
        };
        let token_budget = config.token_budget;
        let pretrained = self.start.map(|folder| Pretrained { backend, folder, limit: &limit, token_budget });
        Ok(baseline.fit(&lesson, pretrained.as_ref())?)
    }
}

/// What a baseline is asked.
struct Rung<'a, B> {
    school: School<'a, B>,
    texts: &'a Texts,
    /// Name of the texts to answer.
    set: &'a str,
}

impl<B: Backend> Rung<'_, B> {
    /// Fits a baseline, lets it answer and tells how good it is.
    fn attempt(&self, baseline: Baseline, surroundings: &mut Surroundings<'_>) -> Result<Attempt, TrainError> {
        let (begin, title) = (Instant::now(), baseline.title().to_owned());
        let answers = match self.school.fit(baseline)? {
            baselines::Fit::NotApplicable(reason) => Err(reason),
            baselines::Fit::Fitted { mut classifier, detail } => {
                let (probabilities, _) = measure::answers(&mut *classifier, self.texts.set(self.set))?;
                let predictions = self.texts.judged(self.texts.set(self.set), probabilities)?;
                Ok(Answers { predictions, detail, seconds: begin.elapsed().as_secs_f64() })
            }
        };
        self.tell(&title, &answers, surroundings.listener)?;
        Ok(Attempt { key: baseline.key(), title, answers })
    }

    fn tell(
        &self,
        title: &str,
        answers: &Result<Answers, String>,
        listener: &mut dyn Listener,
    ) -> Result<(), TrainError> {
        match answers {
            Err(reason) => listener.on(&TrainEvent::Notice { message: format!("{title}: not applicable, {reason}") }),
            Ok(Answers { predictions, seconds, .. }) => {
                let (name, measured_on, seconds) = (title.to_owned(), self.set.to_owned(), *seconds);
                let metrics = measure::brief(predictions)?;
                listener.on(&TrainEvent::TrialStarted { name: name.clone() });
                listener.on(&TrainEvent::TrialFinished { name, metrics, measured_on, seconds, again: false });
            }
        }
        Ok(())
    }
}

/// What the run's own model said already.
fn own_answers(config: &RunConfig, fitted: &Fitted, measured: &Measured) -> Answers {
    let detail = of_size(&model_name(&config.model), fitted.parameters);
    Answers { predictions: measured.predictions.clone(), detail, seconds: fitted.seconds }
}

fn of_size(model: &str, parameters: usize) -> String {
    format!("{model}, {:.1} million parameters", parameters as f64 / 1e6)
}

/// Trains a small model on the same texts with the settings that are usual for one.
fn from_scratch<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    place: &Place,
    surroundings: &mut Surroundings<'_>,
) -> Result<Outcome<Answers>, TrainError> {
    let trial = Trial {
        name: format!("{SMALL_MODEL} from scratch"),
        config: small_config(config)?,
        place: place.within("ladder", false),
    };
    Ok(trial.run(backend, (texts, None), surroundings)?.map(|Tried { fitted, measured, .. }| {
        let detail = of_size(SMALL_MODEL, fitted.parameters);
        Answers { predictions: measured.predictions, detail, seconds: fitted.seconds }
    }))
}

/// The usual settings from scratch, on the run's texts and machine.
fn small_config(config: &RunConfig) -> Result<RunConfig, TrainError> {
    let mut file = RunFile::default();
    file.set("train", config.train.display().to_string());
    file.set("model", SMALL_MODEL);
    Ok(RunConfig {
        multi_label: config.multi_label,
        max_tokens: config.max_tokens,
        truncation: config.truncation,
        window_overlap: config.window_overlap,
        token_budget: config.token_budget,
        memory: config.memory,
        metric: config.metric.clone(),
        precision: config.precision,
        seed: config.seed,
        ..file.resolve()?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_model_has_the_settings_of_one_and_not_those_of_fine_tuning() {
        let config = RunConfig {
            train: "reviews.csv".into(),
            model: "/models/large".into(),
            learning_rate: 1e-5,
            epochs: Some(2.0),
            freeze: vec!["embeddings".into()],
            max_tokens: Some(64),
            seed: 7,
            ladder: true,
            ..RunConfig::default()
        };
        let small = small_config(&config).unwrap();
        assert_eq!((small.model.as_str(), small.learning_rate, small.epochs), ("tiny", 5e-4, Some(10.0)));
        assert_eq!((small.max_tokens, small.seed), (Some(64), 7));
        assert!(small.freeze.is_empty() && !small.ladder);
    }
}
