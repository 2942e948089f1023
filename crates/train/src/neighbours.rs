//! The training texts that a finished classifier keeps, and the share of its answers that they get.

use finetone_backend::Backend;
use finetone_classify::{ClassifyError, Forward, Kept, Near, Neighbourhood, pooled_vectors};
use finetone_data::{Example, Target};
use finetone_evaluate::{Interpolation, InterpolationFit, Predictions, Section, Vote};

use crate::choices::{Calibrate, NeighbourUse};
use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::material::{Rows, Texts};
use crate::run_config::RunConfig;
use crate::sets::Sets;
use crate::trainer::{Trainer, measured_tokens};

/// Refuses neighbours that nothing could choose a share for, before any training has been paid for.
///
/// # Errors
/// No validation texts.
pub(crate) fn check(config: &RunConfig, texts: &Texts) -> Result<(), TrainError> {
    if config.neighbours == NeighbourUse::On && texts.validation.is_empty() {
        return Err(TrainError::TooFew {
            problem: "`neighbours=on` needs validation texts".into(),
            hint: "hold some out (`--set validation_fraction=0.1`) or give a file (`--validation`)".into(),
        });
    }
    Ok(())
}

/// Lets the classifier keep its training texts, and mixes what it said about each of `sets` with the votes of those that are
/// nearest, as is best for the validation texts. Gives what it keeps, and what a report says of it.
///
/// # Errors
/// None for a model that has not diverged on a device that works.
pub(crate) fn keep<B: Backend>(
    trainer: &Trainer<'_, B>,
    (texts, rows): (&Texts, &Sets),
    (sets, on_validation): (&mut [(String, Vec<f32>)], &Predictions),
    listener: &mut dyn Listener,
) -> Result<(Neighbourhood, Section), TrainError> {
    let config = trainer.config;
    let mut kept = Neighbourhood::new(vectors(trainer, &rows.train), remembered(&texts.train, config.neighbours_texts));
    let near = |kept: &Neighbourhood, rows| kept.nearest(&vectors(trainer, rows), Interpolation::MOST_NEIGHBOURS);
    let found = {
        let near = near(&kept, &rows.validation);
        let votes: Vec<Vec<Vote<'_>>> = near.iter().map(|near| kept.votes_of(near)).collect();
        fitted(config, on_validation, &votes)
    };
    kept.interpolation = found.interpolation;
    if found.interpolation.share() > 0.0 {
        let classes = (texts.labels.len(), texts.multi_label);
        for (name, probabilities) in sets {
            let near = near(&kept, rows.named(name));
            found.interpolation.apply(probabilities, &votes(&kept, &near, classes.0), classes);
        }
    }
    trainer.backend.synchronize().map_err(ClassifyError::from)?;
    listener.on(&TrainEvent::Notice { message: told(&found, kept.len()) });
    let about = section(&found, &kept);
    Ok((kept, about))
}

/// The share that is best for the validation texts, and the temperature of both where one is wanted.
fn fitted(config: &RunConfig, predictions: &Predictions, near: &[Vec<Vote<'_>>]) -> InterpolationFit {
    let found = Interpolation::fit(predictions, near);
    match config.calibrate {
        Calibrate::None => found,
        Calibrate::Temperature => {
            InterpolationFit { interpolation: found.interpolation.calibrated(predictions, near), ..found }
        }
    }
}

/// Where texts lie, `[n, D]`.
fn vectors<B: Backend>(trainer: &Trainer<'_, B>, rows: &Rows) -> Vec<f32> {
    let (backend, model, texts) = (trainer.backend, &trainer.model, rows.encoded());
    let mut forward = Forward::for_texts(backend, model, measured_tokens(trainer.config), &texts);
    pooled_vectors(backend, model, &mut forward, &texts)
}

fn remembered(examples: &[Example], with_texts: bool) -> Vec<Kept> {
    let kept = |example: &Example, target: &Target| Kept {
        classes: target.classes().to_vec(),
        line: example.line,
        text: with_texts.then(|| example.text.clone()),
    };
    examples.iter().filter_map(|example| Some(kept(example, example.target.as_ref()?))).collect()
}

/// The votes `[n, C]` of what was found near some texts.
fn votes(kept: &Neighbourhood, near: &[Vec<Near>], classes: usize) -> Vec<f32> {
    near.iter().flat_map(|near| kept.interpolation.votes(&kept.votes_of(near), classes)).collect()
}

fn told(found: &InterpolationFit, kept: usize) -> String {
    let InterpolationFit { interpolation, texts, loss_alone, loss_with } = found;
    if interpolation.share() == 0.0 {
        return format!(
            "neighbours: they did not help by more than chance and are not used, only kept to be shown; log-loss on the \
             {texts} validation texts {loss_alone:.4} without them, {loss_with:.4} at best"
        );
    }
    format!(
        "neighbours: {:.0} % of the answer from the {} nearest of {kept} training texts; log-loss on the {texts} validation \
         texts {loss_alone:.4} → {loss_with:.4}",
        100.0 * interpolation.share(),
        interpolation.neighbours().min(kept)
    )
}

fn section(found: &InterpolationFit, kept: &Neighbourhood) -> Section {
    let InterpolationFit { interpolation, texts, loss_alone, loss_with } = found;
    let words = if kept.has_texts() { "with their words" } else { "without their words" };
    let section = Section::new("Neighbours").fact("training texts kept", format!("{}, {words}", kept.len()));
    let losses = |end: &str| format!("{loss_alone:.4} without neighbours, {loss_with:.4} {end}");
    if interpolation.share() == 0.0 {
        return section
            .fact("share of the answer", "none: they did not help by more than chance")
            .fact("log-loss on the validation texts", losses("at best"));
    }
    section
        .fact("share of the answer", format!("{:.0} %", 100.0 * interpolation.share()))
        .fact("nearest texts that vote", interpolation.neighbours().min(kept.len()))
        .fact("temperature of their votes", interpolation.vote_temperature())
        .fact("chosen on", format!("{texts} validation texts"))
        .fact("log-loss there", losses("with them"))
        .fact("temperature of both together", format!("{:.3}", interpolation.temperature()))
}
