//! How a finished model's probabilities become decisions: the rule that goes with it.

use finetone_evaluate::{Abstention, Aim, DecisionRule};

use crate::choices::Decision;
use crate::epochs::Epochs;
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::evidence::Evidence;
use crate::material::Texts;
use crate::objective::ClassObjective;
use crate::run_config::RunConfig;

/// The share of each class as the loss saw it: its rows in an epoch, times its weight.
pub fn shares_seen(epochs: &Epochs, objective: &ClassObjective, classes: usize) -> Vec<f64> {
    let mut rows = epochs.class_rows(classes);
    if let Some(weights) = objective.class_weights() {
        rows.iter_mut().zip(weights).for_each(|(rows, weight)| *rows *= weight);
    }
    let sum: f64 = rows.iter().sum();
    rows.iter().map(|rows| rows / sum).collect()
}

/// Refuses a rule that has nothing to go by, before any training has been paid for.
///
/// # Errors
/// A fitted decision without validation texts and without folds, another prior with a class that no training text has.
pub fn check(config: &RunConfig, texts: &Texts) -> Result<(), TrainError> {
    let hold_out = "hold some out (`--set validation_fraction=0.1`), give a file (`--validation`), or let models of folds \
                    judge all texts (`--folds 5`)";
    let has_evidence = !texts.validation.is_empty() || config.folds.is_some();
    if config.decision == Decision::Fitted && !has_evidence {
        return Err(TrainError::TooFew {
            problem: "`decision=fitted` needs validation texts".into(),
            hint: format!("{hold_out}; or take `decision=uniform-prior`, which needs none"),
        });
    }
    if let (Some(aim), false) = (config.aim(), has_evidence) {
        let setting = if matches!(aim, Aim::Cost(_)) { "abstain_cost" } else { "min_precision" };
        return Err(TrainError::TooFew {
            problem: format!("`{setting}` needs validation texts"),
            hint: hold_out.to_owned(),
        });
    }
    let unseen = texts.class_counts().iter().position(|&rows| rows == 0);
    if let (Decision::UniformPrior, Some(class)) = (config.decision, unseen) {
        return Err(TrainError::TooFew {
            problem: format!("`decision=uniform-prior`, but no training text is `{}`", texts.labels.name(class)),
            hint: "add texts of this class, or leave it out".into(),
        });
    }
    Ok(())
}

/// The rule that the settings ask for, with a sentence about it. `seen` are the class shares of training.
///
/// # Errors
/// A metric without a value on the texts of the evidence.
pub(crate) fn rule(
    config: &RunConfig,
    texts: &Texts,
    seen: &[f64],
    evidence: Option<&Evidence>,
) -> Result<Option<(DecisionRule, String)>, TrainError> {
    Ok(match config.decision {
        Decision::Argmax => None,
        Decision::UniformPrior => {
            let rule = DecisionRule::prior(seen, &vec![1.0; seen.len()])?;
            let message = format!("decisions are made as if all classes were equally frequent: {}", told(&rule, texts));
            Some((rule, message))
        }
        Decision::Fitted => Some(fitted(
            config,
            texts,
            evidence.expect("texts to fit decisions on were asked for before the training"),
        )?),
    })
}

fn fitted(config: &RunConfig, texts: &Texts, evidence: &Evidence) -> Result<(DecisionRule, String), TrainError> {
    let Evidence { predictions, texts: whose } = evidence;
    let metric = config.chosen_metric()?;
    let rule = DecisionRule::fit(predictions, &metric)?;
    let (before, after) = (metric.compute(predictions)?, metric.compute(&rule.applied(predictions))?);
    let (rows, told) = (predictions.rows(), told(&rule, texts));
    let message = format!(
        "decisions are fitted on {rows} {whose}: {told}; {metric} there from {before:.4} to {after:.4}, which says little \
         about other texts"
    );
    Ok((rule, message))
}

/// When texts are left to a person, for the aim of the settings and the answers by the rule.
///
/// # Errors
/// None for settings and texts that were checked.
pub(crate) fn abstention(
    config: &RunConfig,
    evidence: &Evidence,
    listener: &mut dyn Listener,
) -> Result<Option<Abstention>, TrainError> {
    let Some(aim) = config.aim() else { return Ok(None) };
    let Evidence { predictions, texts } = evidence;
    let abstention = Abstention::fit(predictions, aim)?;
    let rows = predictions.rows();
    let message = match (abstention.least_confidence, aim) {
        (Some(least), _) => format!(
            "texts with a confidence below {least:.4} go to a person: of {rows} {texts} the model {}",
            abstention.outcome(predictions).told()
        ),
        (None, Aim::Precision(precision)) => format!(
            "all texts go to a person: on {rows} {texts}, no confidence is shown to have a precision of {precision} with \
             95 % certainty; give more of them, or ask for less"
        ),
        (None, Aim::Cost(_)) => {
            format!("all texts go to a person: on {rows} {texts}, that costs less than any answers")
        }
    };
    listener.on(&TrainEvent::Notice { message });
    Ok(Some(abstention))
}

/// Each class with its offset.
fn told(rule: &DecisionRule, texts: &Texts) -> String {
    let each = texts.labels.names().iter().zip(rule.offsets()).map(|(name, offset)| format!("{name} {offset:+.2}"));
    format!("on the logarithmic scale {}", each.collect::<Vec<_>>().join(", "))
}
