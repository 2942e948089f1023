//! The baselines of a study: made from the training texts, asked about the test texts at the end.

use std::time::Instant;

use finetone_backend::Backend;
use finetone_classify::baselines::{Baseline, Fit, Lesson, Pretrained};
use finetone_classify::source::{ModelSource, ResolvedModel};
use finetone_classify::{Classifier, ClassifyError, TOKEN_BUDGET};
use finetone_data::tokenizer::Tokenizer;
use finetone_data::{Example, Target};
use finetone_evaluate::{Predictions, Rung};
use finetone_model::checkpoint::ModelFolder;

use super::StudyConfig;
use crate::error::TrainError;
use crate::events::TrainEvent;
use crate::material::{Texts, text_limit};
use crate::measure::{self, MeasuredFile};
use crate::run::Surroundings;

/// Baselines that have learnt.
pub(super) struct Baselines(Vec<(Rung, Option<Box<dyn Classifier>>)>);

impl Baselines {
    /// Makes all of them from the texts of the training file. They choose nothing by the validation texts, so they may learn
    /// from those as well.
    ///
    /// # Errors
    /// A pretrained model that cannot be read.
    pub fn fit<B: Backend>(
        backend: &B,
        config: &StudyConfig,
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
            seed: config.finetuned.seed,
        };
        let source = ModelSource::resolve(&config.finetuned.model, surroundings.hub, surroundings.download);
        let ResolvedModel::Folder { folder, .. } = source.map_err(ClassifyError::from)? else {
            return Self::learn::<B>(&lesson, None, surroundings);
        };
        let tokenizer = Tokenizer::from_folder(&folder).map_err(ClassifyError::from)?;
        let most = ModelFolder::open(&folder).map_err(ClassifyError::from)?.config().max_tokens();
        let limit = text_limit(&config.finetuned, &tokenizer, most)?;
        let pretrained = Pretrained { backend, folder: &folder, limit, token_budget: TOKEN_BUDGET };
        Self::learn(&lesson, Some(&pretrained), surroundings)
    }

    fn learn<B: Backend>(
        lesson: &Lesson<'_>,
        pretrained: Option<&Pretrained<'_, B>>,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<Self, TrainError> {
        let learn = |baseline: Baseline| {
            let start = Instant::now();
            let (detail, classifier) = match baseline.fit(lesson, pretrained)? {
                Fit::Fitted { classifier, detail } => (detail, Some(classifier)),
                Fit::NotApplicable(reason) => (reason, None),
            };
            let message = format!("baseline: {} ({detail})", baseline.title());
            surroundings.listener.on(&TrainEvent::Notice { message });
            let (key, name) = (baseline.key().to_owned(), baseline.title().to_owned());
            let rung = Rung { key, name, detail, evaluation: None, seconds: start.elapsed().as_secs_f64() };
            Ok((rung, classifier))
        };
        Ok(Self(Baseline::ALL.into_iter().map(learn).collect::<Result<_, TrainError>>()?))
    }

    /// What each says about the test texts; nothing where it does not apply.
    ///
    /// # Errors
    /// A test file that cannot be read any more, a device that failed.
    pub fn judge(self, config: &StudyConfig) -> Result<Vec<(Rung, Option<Predictions>)>, TrainError> {
        let judge = |(rung, classifier): (Rung, Option<Box<dyn Classifier>>)| {
            let Some(mut classifier) = classifier else { return Ok((rung, None)) };
            let said = MeasuredFile::new(classifier.as_mut(), &config.test, &config.test_options())?.predictions;
            let evaluation = Some(measure::evaluate("test", &said)?.evaluation);
            Ok((Rung { evaluation, ..rung }, Some(said)))
        };
        self.0.into_iter().map(judge).collect()
    }
}
