//! The baselines of a study: made from the training texts, asked about the test texts at the end.
//!
//! They read what the fine-tuned model reads. Where that has other columns as words before the text, those that learn from
//! words learn from the text alone as well, so that it is plain how much of the answer stood in the columns.

use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::baselines::{Baseline, Fit, Lesson, Pretrained};
use finetone_classify::{Classifier, TOKEN_BUDGET};
use finetone_data::{Example, Preparation};
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
        lesson: &Lesson<'_>,
        pretrained: Option<&Pretrained<'_, B>>,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Result<Learnt, String>, TrainError> {
        let start = Instant::now();
        let learnt = match self.baseline.fit(lesson, pretrained)? {
            Fit::Fitted { classifier, detail } => {
                Ok(Learnt { classifier, detail, seconds: start.elapsed().as_secs_f64() })
            }
            Fit::NotApplicable(reason) => Err(reason),
        };
        let what = learnt.as_ref().map_or_else(Clone::clone, |learnt| learnt.detail.clone());
        let message = format!("baseline: {} ({what})", self.title());
        surroundings.listener.on(&TrainEvent::Notice { message });
        Ok(learnt)
    }
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
        let folder = pretrained_folder(config, surroundings)?;
        let limit = |tokenizer: &_, most| {
            text_limit(config, tokenizer, most).expect("the same limit fitted when this model was trained")
        };
        let pretrained =
            folder.as_deref().map(|folder| Pretrained { backend, folder, limit: &limit, token_budget: TOKEN_BUDGET });
        let examples: Vec<Example> = texts.train.iter().chain(&texts.validation).cloned().collect();
        let text_alone = texts.preparation.text_alone();
        let mut all = Vec::new();
        let mut learn = |preparation: &Preparation, ways: &[Way]| {
            let prepared = preparation.prepare_all(&examples);
            let lesson = Lesson {
                preparation,
                texts: &prepared.iter().map(|row| &*row.text).collect::<Vec<_>>(),
                targets: &examples.iter().filter_map(|example| example.target.clone()).collect::<Vec<_>>(),
                labels: texts.labels.names(),
                multi_label: texts.multi_label,
                seed: config.seed,
            };
            for &way in ways {
                all.push((way, way.learn(&lesson, pretrained.as_ref(), surroundings)?));
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
