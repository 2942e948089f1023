//! The baselines of a study: made from the training texts, asked about the test texts at the end.

use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::baselines::{Baseline, Fit, Lesson, Pretrained};
use finetone_classify::{Classifier, TOKEN_BUDGET};
use finetone_data::{Example, Target};
use finetone_evaluate::{Predictions, Rung, Standing};

use super::StudyConfig;
use crate::error::TrainError;
use crate::events::TrainEvent;
use crate::ladder::pretrained_folder;
use crate::material::{Texts, text_limit};
use crate::measure::{self, MeasuredFile};
use crate::run::Surroundings;
use crate::run_config::RunConfig;

/// Baselines that have learnt.
pub(super) struct Baselines(Vec<(Baseline, Result<Learnt, String>)>);

/// One that applies.
struct Learnt {
    classifier: Box<dyn Classifier>,
    detail: String,
    seconds: f64,
}

impl Baselines {
    /// Makes all of them from the texts of the training file. They choose nothing by the validation texts, so they may learn
    /// from those as well.
    ///
    /// # Errors
    /// A pretrained model that cannot be read.
    pub fn fit<B: Backend>(
        backend: &B,
        config: &RunConfig,
        texts: &Texts,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Self, TrainError> {
        let examples: Vec<Example> = texts.train.iter().chain(&texts.validation).cloned().collect();
        let targets: Vec<Target> = examples.iter().filter_map(|example| example.target.clone()).collect();
        let prepared = texts.preparation.prepare_all(&examples);
        let texts_alone: Vec<&str> = prepared.iter().map(|row| &*row.text).collect();
        let lesson = Lesson {
            preparation: &texts.preparation,
            texts: &texts_alone,
            targets: &targets,
            labels: texts.labels.names(),
            multi_label: texts.multi_label,
            seed: config.seed,
        };
        let Some(folder) = pretrained_folder(config, surroundings)? else {
            return Self::learn::<B>(&lesson, None, surroundings);
        };
        let limit = |tokenizer: &_, most| {
            text_limit(config, tokenizer, most).expect("the same limit fitted when this model was trained")
        };
        let pretrained = Pretrained { backend, folder: &folder, limit: &limit, token_budget: TOKEN_BUDGET };
        Self::learn(&lesson, Some(&pretrained), surroundings)
    }

    fn learn<B: Backend>(
        lesson: &Lesson<'_>,
        pretrained: Option<&Pretrained<'_, B>>,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Self, TrainError> {
        let learn = |baseline: Baseline| {
            let start = Instant::now();
            let learnt = match baseline.fit(lesson, pretrained)? {
                Fit::Fitted { classifier, detail } => {
                    Ok(Learnt { classifier, detail, seconds: start.elapsed().as_secs_f64() })
                }
                Fit::NotApplicable(reason) => Err(reason),
            };
            let what = learnt.as_ref().map_or_else(Clone::clone, |learnt| learnt.detail.clone());
            let message = format!("baseline: {} ({what})", baseline.title());
            surroundings.listener.on(&TrainEvent::Notice { message });
            Ok((baseline, learnt))
        };
        Ok(Self(Baseline::ALL.into_iter().map(learn).collect::<Result<_, TrainError>>()?))
    }

    /// What each says about the test texts; nothing where it does not apply.
    ///
    /// # Errors
    /// A test file that cannot be read any more, a device that failed.
    pub fn judge(self, config: &StudyConfig) -> Result<Vec<(Rung, Option<Predictions>)>, TrainError> {
        let judge = |(baseline, learnt): (Baseline, Result<Learnt, String>)| {
            let rung = |result| Rung { key: baseline.key(), title: baseline.title().to_owned(), result };
            let Learnt { mut classifier, detail, seconds } = match learnt {
                Ok(learnt) => learnt,
                Err(reason) => return Ok((rung(Err(reason)), None)),
            };
            let said = MeasuredFile::new(classifier.as_mut(), &config.test, &config.test_options()?)?.predictions;
            let evaluation = measure::evaluate("test", &said)?.evaluation;
            Ok((rung(Ok(Standing { evaluation, detail, seconds })), Some(said)))
        };
        self.0.into_iter().map(judge).collect()
    }
}
