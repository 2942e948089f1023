//! From a finished classifier to its answers. The order is that of prediction: the model's own temperature, the votes of
//! neighbours with a temperature of both, the rule for decisions, abstention. Each is fitted on what comes of those before it:
//! on what the model says about the validation texts or, where there are folds, on what their models said about all texts.

use finetone_backend::Backend;
use finetone_classify::{Neighbourhood, with_abstention, with_decision};
use finetone_evaluate::{Abstention, Predictions, Section};

use crate::calibrate::calibrate;
use crate::choices::NeighbourUse;
use crate::decide;
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::evidence::Evidence;
use crate::material::Texts;
use crate::neighbours;
use crate::sets::Sets;
use crate::trainer::Trainer;

/// What goes with a finished classifier.
#[derive(Default)]
pub(crate) struct Settled {
    /// What a report says about it.
    pub about: Vec<Section>,
    /// The texts that it keeps, if it keeps any.
    pub neighbourhood: Option<Neighbourhood>,
    /// When a text is left to a person, if any is.
    pub abstention: Option<Abstention>,
}

/// Makes the classifier as sure as it is right, gives neighbours their share, and settles how decisions are read from what it
/// says about the `sets`. `seen` are the class shares of training, `out_of_fold` what models of folds said, if they were asked.
pub(crate) fn settle<B: Backend>(
    (trainer, seen): (&mut Trainer<'_, B>, &[f64]),
    (texts, rows): (&Texts, &Sets),
    (sets, out_of_fold): (&mut [(String, Vec<f32>)], Option<&Predictions>),
    listener: &mut dyn Listener,
) -> Result<Settled, TrainError> {
    let config = trainer.config;
    let out_of_fold = out_of_fold.map(|predictions| Evidence::out_of_fold(predictions.clone()));
    let mut settled = Settled::default();
    let mut evidence = match (config.neighbours, &out_of_fold) {
        (NeighbourUse::Off, Some(evidence)) => Some(evidence.clone()),
        // Neighbours are of this model alone, and so is the temperature that goes with them.
        _ => Evidence::of_validation(texts, sets)?,
    };
    if let Some((found, about)) = calibrate(trainer.backend, config, &mut trainer.model, evidence.as_mut())? {
        let classes = (texts.labels.len(), texts.multi_label);
        sets.iter_mut().for_each(|(_, said)| found.temperature.apply(said, classes.0, classes.1));
        settled.about.push(about);
    }
    if let (NeighbourUse::On, Some(validation)) = (config.neighbours, &evidence) {
        let (kept, about) = neighbours::keep(trainer, (texts, rows), (sets, &validation.predictions), listener)?;
        settled.neighbourhood = Some(kept);
        settled.about.push(about);
        // What the folds say has their own neighbours in it already.
        evidence = match out_of_fold {
            Some(evidence) => Some(evidence),
            None => Evidence::of_validation(texts, sets)?,
        };
    }
    let rule = decide::rule(config, texts, seen, evidence.as_ref())?;
    if let Some((rule, message)) = &rule {
        listener.on(&TrainEvent::Notice { message: message.clone() });
        sets.iter_mut().for_each(|(_, said)| rule.apply(said, texts.multi_label));
        evidence.iter_mut().for_each(|evidence| evidence.decide_by(rule));
    }
    settled.abstention =
        evidence.map(|evidence| decide::abstention(config, &evidence, listener)).transpose()?.flatten();
    let model = &mut trainer.model.config;
    with_decision(model, rule.as_ref().map(|(rule, _)| rule));
    with_abstention(model, settled.abstention.as_ref());
    Ok(settled)
}
