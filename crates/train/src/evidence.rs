//! What temperature, decisions and abstention of a model are fitted on: what was said about texts that it has not learnt from.

use finetone_evaluate::{Calibration, DecisionRule, Predictions};

use crate::choices::{Calibrate, Decision, NeighbourUse};
use crate::error::TrainError;
use crate::material::Texts;
use crate::run_config::RunConfig;

/// Answers about labelled texts, and where they are from.
#[derive(Clone)]
pub(crate) struct Evidence {
    pub predictions: Predictions,
    /// What a text of them is called.
    pub texts: &'static str,
}

impl Evidence {
    /// What the model said about the validation texts; nothing where there are none.
    ///
    /// # Errors
    /// Numbers that are no probabilities.
    pub fn of_validation(texts: &Texts, sets: &[(String, Vec<f32>)]) -> Result<Option<Self>, TrainError> {
        let said = sets.iter().find(|(name, _)| name == "validation").map(|(_, said)| said.clone());
        let predictions = said.map(|said| texts.judged(&texts.validation, said)).transpose()?;
        Ok(predictions.map(|predictions| Self { predictions, texts: "validation texts" }))
    }

    /// What models that were trained on the other folds said about each text of the training file.
    pub fn out_of_fold(predictions: Predictions) -> Self {
        Self { predictions, texts: "texts, each judged by a model of the other folds" }
    }

    /// Makes the answers as sure as they are right, where the settings ask for it.
    ///
    /// # Errors
    /// None for probabilities of a model that has not diverged.
    pub fn cool(&mut self, config: &RunConfig) -> Result<Option<Calibration>, TrainError> {
        if config.calibrate == Calibrate::None {
            return Ok(None);
        }
        let found = Calibration::fit(&self.predictions)?;
        self.predictions = found.temperature.applied(&self.predictions);
        Ok(Some(found))
    }

    /// Reads decisions from the answers by a rule.
    pub fn decide_by(&mut self, rule: &DecisionRule) {
        self.predictions = rule.applied(&self.predictions);
    }
}

/// The settings of a fold whose answers are evidence: they are left as the model gives them. Only neighbours have what they
/// need in the fold itself, and a temperature that goes with them.
pub(crate) fn as_said(config: &RunConfig) -> RunConfig {
    let calibrate = if config.neighbours == NeighbourUse::On { config.calibrate } else { Calibrate::None };
    RunConfig { calibrate, decision: Decision::Argmax, abstain_cost: None, min_precision: None, ..config.clone() }
}
