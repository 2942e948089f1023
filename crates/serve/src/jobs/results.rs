//! What a trained job leaves for clients.

use std::path::PathBuf;

use serde_json::Value;

use super::fault::JobFault;
use super::request;
use super::tally::Tally;
use crate::ids;
use crate::routes::RESULTS;
use crate::store::{CheckpointRow, Claim, EventRow, FileRow, JobRow, NewEvent, Results, TunedModel, now};
use crate::workplace::Workplace;

/// The columns of the result file, and where a step's data have them.
const COLUMNS: [(&str, &str); 5] = [
    ("step", "step"),
    ("train_loss", "train_loss"),
    ("train_accuracy", "train_mean_token_accuracy"),
    ("valid_loss", "valid_loss"),
    ("valid_mean_token_accuracy", "valid_mean_token_accuracy"),
];

/// A model on disk.
struct Kept {
    step: i64,
    /// Below the data folder.
    folder: String,
    is_final: bool,
}

/// Where a job's run lies, below the data folder.
fn run(job: &str) -> String {
    format!("jobs/{job}/run")
}

/// Where a job's run lies.
pub fn run_folder(place: &Workplace, job: &str) -> PathBuf {
    place.folder.join(&run(job))
}

/// Puts everything together that a trained job has to show, and ends the job with it.
pub async fn collect(place: &Workplace, job: &JobRow, claim: &Claim) -> Result<(), JobFault> {
    let internal = |what: &dyn std::fmt::Display| JobFault::internal(job, what);
    // What is kept of a job has changed while it was trained.
    let job = &place.store.job(&job.id).await.map_err(|error| internal(&error))?.unwrap_or_else(|| job.clone());
    let steps = place.store.steps(&job.id).await.map_err(|error| internal(&error))?;
    let file = write_numbers(place, &steps).map_err(|error| internal(&error))?;
    let kept = kept(place, job).map_err(|error| internal(&error))?;
    let mut results = results(job, file, &kept, &steps);
    // A model that cannot be asked is a model all the same.
    if let Ok(tally) = Tally::take(place, job, &run_folder(place, &job.id).join("model")).await {
        results.events.insert(0, tally.event());
    }
    place.store.succeed(claim, &results).await.map_err(|error| internal(&error))?;
    Ok(())
}

/// The final model and those of the epochs before it, by their steps.
///
/// Clients count on the last checkpoint to be the final model. Where a validation file chose that, it may be of an earlier epoch
/// than the last: the models of later ones, which did worse, are removed.
fn kept(place: &Workplace, job: &JobRow) -> std::io::Result<Vec<Kept>> {
    let run = run(&job.id);
    let last = job.final_step.unwrap_or_default();
    let mut kept = vec![Kept { step: last, folder: format!("{run}/model"), is_final: true }];
    let epochs = match place.folder.join(&run).join("epochs").read_dir() {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>()?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    for name in epochs.iter().filter_map(|entry| entry.file_name().into_string().ok()) {
        let Some(step) = name.strip_prefix("step-").and_then(|step| step.parse().ok()) else { continue };
        let folder = format!("{run}/epochs/{name}");
        if step < last {
            kept.push(Kept { step, folder, is_final: false });
        } else if step > last {
            std::fs::remove_dir_all(place.folder.join(&folder))?;
        }
    }
    kept.sort_by_key(|kept| kept.step);
    Ok(kept)
}

fn results(job: &JobRow, file: FileRow, kept: &[Kept], steps: &[EventRow]) -> Results {
    let created_at = now();
    let name = |kept: &Kept| match kept.is_final {
        true => job.tuned_name.clone(),
        false => format!("{}:ckpt-step-{}", request::name(&job.model, job.suffix.as_deref()), kept.step),
    };
    let named: Vec<(String, &Kept)> = kept.iter().map(|kept| (name(kept), kept)).collect();
    let models = named.iter().map(|(name, kept)| TunedModel {
        id: name.clone(),
        created_at,
        job: job.id.clone(),
        folder: kept.folder.clone(),
    });
    let checkpoints = named.iter().map(|(name, kept)| {
        let step = steps.iter().find(|event| event.step == Some(kept.step));
        let metrics = step.and_then(|event| event.data.clone()).unwrap_or_else(|| "{}".into());
        CheckpointRow { id: ids::with_prefix("ftckpt_", 24), created_at, model: name.clone(), step: kept.step, metrics }
    });
    let mut events: Vec<NewEvent> = named
        .iter()
        .map(|(name, kept)| {
            NewEvent::info(format!("Checkpoint created at step {} with Snapshot ID: {name}", kept.step))
        })
        .collect();
    events.push(NewEvent::info(format!("New fine-tuned model created: {}", job.tuned_name)));
    events.push(NewEvent::info("The job has successfully completed"));
    Results { file, models: models.collect(), checkpoints: checkpoints.collect(), events }
}

/// Writes the numbers of every step as a file.
fn write_numbers(place: &Workplace, steps: &[EventRow]) -> std::io::Result<FileRow> {
    let bytes = numbers(steps)?;
    let id = ids::with_prefix("file-", 24);
    let path = place.folder.file(&id);
    std::fs::write(&path, &bytes)?;
    std::fs::File::open(&path)?.sync_all()?;
    Ok(FileRow {
        id,
        purpose: RESULTS.into(),
        filename: "step_metrics.csv".into(),
        bytes: bytes.len() as i64,
        created_at: now(),
        expires_at: None,
        status: "processed".into(),
        status_details: None,
    })
}

/// A row for each step; what was not measured is empty.
fn numbers(steps: &[EventRow]) -> std::io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(COLUMNS.map(|(name, _)| name))?;
    for event in steps {
        let data: Value = event.data.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        rows.write_record(COLUMNS.map(|(_, key)| cell(&data[key])))?;
    }
    rows.into_inner().map_err(|error| error.into_error())
}

/// At most five decimals.
fn cell(value: &Value) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(whole), _) => whole.to_string(),
        (None, Some(number)) => {
            let text = format!("{number:.5}");
            let text = text.trim_end_matches('0');
            if text.ends_with('.') { format!("{text}0") } else { text.to_owned() }
        }
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_have_five_decimals_and_gaps_where_nothing_was_measured() {
        let event = |step: i64, data: Value| EventRow {
            id: String::new(),
            created_at: 0,
            level: "info".into(),
            message: String::new(),
            data: Some(data.to_string()),
            step: Some(step),
        };
        let steps = [
            event(1, json!({"step": 1, "train_loss": 1.523_466_9, "train_mean_token_accuracy": 0.0})),
            event(2, json!({"step": 2, "train_loss": 0.5, "valid_loss": 0.25, "valid_mean_token_accuracy": 1.0})),
        ];
        let text = String::from_utf8(numbers(&steps).unwrap()).unwrap();
        let expected = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n\
                        1,1.52347,0.0,,\n2,0.5,,0.25,1.0\n";
        assert_eq!(text, expected);
    }
}
