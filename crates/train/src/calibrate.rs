//! How sure a finished model is: the temperature that its logits are divided by.

use finetone_backend::Backend;
use finetone_classify::with_temperature;
use finetone_evaluate::{Calibration, Section};
use finetone_model::Model;

use crate::choices::Calibrate;
use crate::error::TrainError;
use crate::material::Texts;
use crate::run_config::RunConfig;

/// Divides the model's logits, and what it said about each of `sets`, by the temperature that fits the validation texts best.
/// Gives what a report says about it; nothing where none was wanted or there are no such texts.
///
/// # Errors
/// None for probabilities of a model that has not diverged.
pub fn calibrate<B: Backend>(
    backend: &B,
    config: &RunConfig,
    texts: &Texts,
    model: &mut Model<B>,
    sets: &mut [(String, Vec<f32>)],
) -> Result<Option<Section>, TrainError> {
    with_temperature(&mut model.config, None);
    let said = sets.iter().find(|(name, _)| name == "validation").map(|(_, said)| said.clone());
    let (Some(said), Calibrate::Temperature) = (said, config.calibrate) else { return Ok(None) };
    let found = Calibration::fit(&texts.judged(&texts.validation, said)?)?;
    let temperature = found.temperature;
    model.cool(backend, temperature.value());
    with_temperature(&mut model.config, Some(temperature.value()));
    for (_, said) in sets {
        temperature.apply(said, texts.labels.len(), texts.multi_label);
    }
    Ok(Some(told(&found)))
}

fn told(found: &Calibration) -> Section {
    let Calibration { temperature, texts, error_before, error_after } = found;
    Section::new("Calibration")
        .fact("temperature", format!("{:.3}, which the logits of the model are divided by", temperature.value()))
        .fact("fitted on", format!("{texts} validation texts"))
        .fact("calibration error there", format!("{error_before:.4} before, {error_after:.4} after"))
}
