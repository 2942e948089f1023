//! The baselines of a study: made from the training texts, asked about the test texts at the end.
//!
//! They read what the fine-tuned model reads. Where that has other columns as words before the text, those that learn from
//! words learn from the text alone as well, so that it is plain how much of the answer stood in the columns.

use std::path::Path;
use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::Classifier;
use finetone_classify::baselines::{Baseline, Fit};
use finetone_data::{Example, Preparation};
use finetone_evaluate::{Answers, Attempt, Predictions, Rung, Standing};

use super::StudyConfig;
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent, Unheard};
use crate::folds::Folds;
use crate::ladder::School;
use crate::material::Texts;
use crate::measure::{self, MeasuredFile};
use crate::run::Outcome;
use crate::run_config::RunConfig;
use crate::trainer::Control;

/// Baselines that have learnt.
pub(super) struct Baselines(Vec<(Way, Result<Learnt, String>)>);

/// A baseline, and what it reads.
#[derive(Clone, Copy)]
struct Way {
    baseline: Baseline,
    key: &'static str,
    reads: Reads,
}

#[derive(Clone, Copy, PartialEq)]
enum Reads {
    /// What the fine-tuned model reads.
    Same,
    /// The text without the words before it.
    TextAlone,
}

/// One that applies.
struct Learnt {
    classifier: Box<dyn Classifier>,
    detail: String,
    seconds: f64,
}

impl Way {
    /// Those that learn from words, on the text alone.
    const TEXT_ALONE: [Self; 2] = [
        Self { baseline: Baseline::TfIdf, key: "tf_idf_text", reads: Reads::TextAlone },
        Self { baseline: Baseline::Embeddings, key: "embeddings_text", reads: Reads::TextAlone },
    ];

    fn same(baseline: Baseline) -> Self {
        Self { baseline, key: baseline.key(), reads: Reads::Same }
    }

    fn title(self) -> String {
        let alone = if self.reads == Reads::TextAlone { ", on the text alone" } else { "" };
        format!("{}{alone}", self.baseline.title())
    }

    fn learn<B: Backend>(
        self,
        school: &School<'_, B>,
        listener: &mut dyn Listener,
    ) -> Result<Result<Learnt, String>, TrainError> {
        let start = Instant::now();
        let learnt = match school.fit(self.baseline)? {
            Fit::Fitted { classifier, detail } => {
                Ok(Learnt { classifier, detail, seconds: start.elapsed().as_secs_f64() })
            }
            Fit::NotApplicable(reason) => Err(reason),
        };
        let what = learnt.as_ref().map_or_else(Clone::clone, |learnt| learnt.detail.clone());
        let message = format!("baseline: {} ({what})", self.title());
        listener.on(&TrainEvent::Notice { message });
        Ok(learnt)
    }
}

impl Baselines {
    /// Makes all of them from the texts to train on. They choose nothing by the validation texts, so they may learn from those
    /// as well. `start` is the pretrained model of the variant that is fine-tuned.
    ///
    /// # Errors
    /// A pretrained model that cannot be read.
    pub fn fit<B: Backend>(
        backend: &B,
        (config, start): (&RunConfig, Option<&Path>),
        texts: &Texts,
        listener: &mut dyn Listener,
    ) -> Result<Self, TrainError> {
        let examples: Vec<Example> = texts.train.iter().chain(&texts.validation).cloned().collect();
        let text_alone = texts.preparation.text_alone();
        let mut all = Vec::new();
        let mut learn = |preparation: &Preparation, ways: &[Way]| {
            let school = School::new(backend, (config, start), (texts, preparation), &examples);
            for &way in ways {
                all.push((way, way.learn(&school, listener)?));
            }
            Ok::<_, TrainError>(())
        };
        learn(&texts.preparation, &Baseline::ALL.map(Way::same))?;
        if let Some(text_alone) = text_alone {
            learn(&text_alone, &Way::TEXT_ALONE)?;
        }
        Ok(Self(all))
    }

    /// What each says about the test texts; nothing where it does not apply.
    ///
    /// # Errors
    /// A test file that cannot be read any more, a device that failed.
    pub fn judge(self, config: &StudyConfig) -> Result<Vec<(Rung, Option<Predictions>)>, TrainError> {
        let judge = |(way, learnt): (Way, Result<Learnt, String>)| {
            let rung = |result| Rung { key: way.key, title: way.title(), result };
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

/// What every baseline says about each row of the training file, when it has learnt from the other folds: as the candidates
/// were judged.
///
/// # Errors
/// As [`Baselines::fit`]; a device that failed.
pub(super) fn in_folds<B: Backend>(
    backend: &B,
    (config, start): (&RunConfig, Option<&Path>),
    (texts, folds): (&Texts, &Folds),
    control: &Control,
) -> Result<Outcome<Vec<Attempt>>, TrainError> {
    let mut ways: Vec<(Way, Result<InFolds, String>)> = Vec::new();
    for split in folds.splits() {
        if control.is_stopped() {
            return Ok(Outcome::Interrupted { step: 0 });
        }
        let texts = folds.texts(config, texts, split)?;
        let Baselines(learnt) = Baselines::fit(backend, (config, start), &texts, &mut Unheard)?;
        if ways.is_empty() {
            ways = learnt.iter().map(|(way, _)| (*way, Ok(InFolds::default()))).collect();
        }
        for ((_, so_far), (_, learnt)) in ways.iter_mut().zip(learnt) {
            match (&mut *so_far, learnt) {
                (Ok(in_folds), Ok(learnt)) => in_folds.ask(learnt, &texts)?,
                (Ok(_), Err(reason)) => *so_far = Err(reason),
                (Err(_), _) => {}
            }
        }
    }
    let attempt = |(way, found): (Way, Result<InFolds, String>)| {
        let answers = match found {
            Ok(InFolds { said, detail, seconds }) => {
                Ok(Answers { predictions: folds.pooled(texts, &said)?, detail, seconds })
            }
            Err(reason) => Err(reason),
        };
        Ok(Attempt { key: way.key, title: way.title(), answers })
    };
    Ok(Outcome::Finished(ways.into_iter().map(attempt).collect::<Result<_, TrainError>>()?))
}

/// A baseline in the folds so far.
#[derive(Default)]
struct InFolds {
    said: Vec<Predictions>,
    detail: String,
    seconds: f64,
}

impl InFolds {
    fn ask(&mut self, learnt: Learnt, texts: &Texts) -> Result<(), TrainError> {
        let (start, mut classifier) = (Instant::now(), learnt.classifier);
        let (probabilities, _) = measure::answers(classifier.as_mut(), &texts.test)?;
        self.said.push(texts.judged(&texts.test, probabilities)?);
        self.detail = learnt.detail;
        self.seconds += learnt.seconds + start.elapsed().as_secs_f64();
        Ok(())
    }
}
