//! How sure a finished model is: the temperature that its logits are divided by.

use finetone_backend::Backend;
use finetone_classify::with_temperature;
use finetone_evaluate::{Calibration, Section};
use finetone_model::Model;

use crate::error::TrainError;
use crate::evidence::Evidence;
use crate::run_config::RunConfig;

/// Divides the model's logits by the temperature that fits the evidence best, which then is what the model would have said.
/// Gives what was found; nothing where none was wanted or there is no evidence.
///
/// # Errors
/// None for probabilities of a model that has not diverged.
pub(crate) fn calibrate<B: Backend>(
    backend: &B,
    config: &RunConfig,
    model: &mut Model<B>,
    evidence: Option<&mut Evidence>,
) -> Result<Option<(Calibration, Section)>, TrainError> {
    with_temperature(&mut model.config, None);
    let Some(evidence) = evidence else { return Ok(None) };
    let Some(found) = evidence.cool(config)? else { return Ok(None) };
    let temperature = found.temperature.value();
    model.cool(backend, temperature);
    with_temperature(&mut model.config, Some(temperature));
    Ok(Some((found, told(&found, evidence.texts))))
}

fn told(found: &Calibration, whose: &str) -> Section {
    let Calibration { temperature, texts, error_before, error_after } = found;
    Section::new("Calibration")
        .fact("temperature", format!("{:.3}, which the logits of the model are divided by", temperature.value()))
        .fact("fitted on", format!("{texts} {whose}"))
        .fact("calibration error there", format!("{error_before:.4} before, {error_after:.4} after"))
}
