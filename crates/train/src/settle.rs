//! From a finished classifier to its answers. The order is that of prediction: the model's own temperature, the votes of
//! neighbours with a temperature of both, the rule for decisions, abstention. Each is fitted on what comes of those before it.

use finetone_backend::Backend;
use finetone_classify::{Neighbourhood, with_abstention, with_decision};
use finetone_evaluate::{Abstention, Section};

use crate::calibrate::calibrate;
use crate::decide;
use crate::error::TrainError;
use crate::events::Listener;
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
/// says about the `sets`. `seen` are the class shares of training.
pub(crate) fn settle<B: Backend>(
    (trainer, seen): (&mut Trainer<'_, B>, &[f64]),
    (texts, rows): (&Texts, &Sets),
    sets: &mut [(String, Vec<f32>)],
    listener: &mut dyn Listener,
) -> Result<Settled, TrainError> {
    let config = trainer.config;
    let calibration = calibrate(trainer.backend, config, texts, &mut trainer.model, sets)?;
    let (neighbourhood, about) = neighbours::keep(trainer, (texts, rows), sets, listener)?.unzip();
    let rule = decide::rule(config, texts, seen, sets, listener)?;
    if let Some(rule) = &rule {
        sets.iter_mut().for_each(|(_, probabilities)| rule.apply(probabilities, texts.multi_label));
    }
    let abstention = decide::abstention(config, texts, sets, listener)?;
    let model = &mut trainer.model.config;
    with_decision(model, rule.as_ref());
    with_abstention(model, abstention.as_ref());
    Ok(Settled { about: calibration.into_iter().chain(about).collect(), neighbourhood, abstention })
}
