//! What a client may ask of a job, every field checked.

use serde_json::Value;

use super::integrations;
use crate::app::App;
use crate::error::ApiError;
use crate::http::{Fields, decimal, integer, invalid_type};
use crate::ids;
use crate::models::Resolved;
use crate::store::{Hyperparameters, JobRow, Status, now};
use crate::upload::FINE_TUNE;

const MOST_PAIRS: usize = 16;
const LONGEST_KEY: usize = 64;
const LONGEST_VALUE: usize = 512;
const LONGEST_SUFFIX: usize = 64;

/// The organisation of whoever uses this server, as names of models have it.
const ORGANISATION: &str = "personal";

/// The job that a body asks for.
///
/// # Errors
/// 400 with the name of the field.
pub async fn read(app: &App, mut body: Fields) -> Result<JobRow, ApiError> {
    let begins_with = model(app, &body.required_text("model")?).await?;
    let training_file = body.required_text("training_file")?;
    check_file(app, "training_file", &training_file).await?;
    let validation_file = body.text("validation_file")?;
    if let Some(file) = &validation_file {
        check_file(app, "validation_file", file).await?;
    }
    let suffix = body.text("suffix")?.map(checked_suffix).transpose()?;
    let seed = body.integer("seed", 0..=i64::from(i32::MAX))?.unwrap_or_else(ids::seed);
    let outer = body.object("hyperparameters")?.map(hyperparameters).transpose()?;
    let hyperparameters = body.object("method")?.map(method).transpose()?.flatten().or(outer).unwrap_or_default();
    let metadata = body.object("metadata")?.map(metadata).transpose()?;
    let integrations = integrations::read(&mut body)?;
    body.refuse_rest()?;
    Ok(JobRow {
        id: ids::with_prefix("ftjob-", 24),
        status: Status::ValidatingFiles,
        tuned_name: name(&begins_with.name, suffix.as_deref()),
        base: begins_with.source.to_str().filter(|_| begins_with.is_base).map(str::to_owned),
        model: begins_with.name,
        training_file,
        validation_file,
        suffix,
        seed,
        hyperparameters,
        metadata,
        integrations,
        created_at: now(),
        started_at: None,
        finished_at: None,
        estimated_finish: None,
        trained_tokens: None,
        final_step: None,
        result_file: None,
        error: None,
    })
}

/// The model to begin with.
async fn model(app: &App, name: &str) -> Result<Resolved, ApiError> {
    let resolved = app.models.resolve(name, &app.store, &app.folder).await;
    resolved.map_err(|_| {
        let message = format!("Model {name} is not available for fine-tuning or does not exist.");
        ApiError::bad_request(message).param("model").code("model_not_available")
    })
}

/// The name of a new model: its base, the organisation, the suffix and what makes it unique.
pub fn name(model: &str, suffix: Option<&str>) -> String {
    let base = model.strip_prefix("ft:").and_then(|rest| rest.split(':').next()).unwrap_or(model);
    format!("ft:{base}:{ORGANISATION}:{}:{}", suffix.unwrap_or_default(), ids::random(8))
}

async fn check_file(app: &App, field: &str, id: &str) -> Result<(), ApiError> {
    let wrong = |message: String| ApiError::bad_request(message).param(field);
    let file = app.store.file(id).await?.ok_or_else(|| wrong(format!("invalid {field}: {id}")))?;
    if file.purpose != FINE_TUNE {
        return Err(wrong(format!("invalid {field}: {id}: its purpose is '{}', not '{FINE_TUNE}'", file.purpose)));
    }
    Ok(())
}

fn checked_suffix(suffix: String) -> Result<String, ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    if suffix.is_empty() || suffix.len() > LONGEST_SUFFIX || !suffix.chars().all(plain) {
        let message = format!("'suffix' must be 1 to {LONGEST_SUFFIX} letters, digits, '_' and '-'");
        return Err(ApiError::bad_request(message).param("suffix").code("invalid_value"));
    }
    Ok(suffix)
}

fn hyperparameters(mut fields: Fields) -> Result<Hyperparameters, ApiError> {
    let is_auto = |value: &Value| value == "auto";
    let mut take = |key: &str| (fields.name(key), fields.take(key).filter(|value| !is_auto(value)));
    let (epochs, batch, rate) = (take("n_epochs"), take("batch_size"), take("learning_rate_multiplier"));
    fields.refuse_rest()?;
    let whole =
        |(name, value): (String, Option<Value>), most| value.map(|value| integer(&value, &name, 1..=most)).transpose();
    let (name, value) = rate;
    let learning_rate_multiplier = value.map(|value| decimal(&value, &name, f64::MIN_POSITIVE..=1e4)).transpose()?;
    Ok(Hyperparameters { n_epochs: whole(epochs, 50)?, batch_size: whole(batch, 256)?, learning_rate_multiplier })
}

/// The hyperparameters that a `method` names, if it does.
fn method(mut fields: Fields) -> Result<Option<Hyperparameters>, ApiError> {
    let kind = fields.text("type")?.unwrap_or_else(|| "supervised".into());
    if kind != "supervised" {
        let message = format!("The method '{kind}' is not available here: only 'supervised' is");
        return Err(ApiError::bad_request(message).param("method").code("invalid_value"));
    }
    let Some(mut supervised) = fields.object("supervised")? else {
        return fields.refuse_rest().map(|()| None);
    };
    fields.refuse_rest()?;
    let found = supervised.object("hyperparameters")?.map(hyperparameters).transpose()?;
    supervised.refuse_rest().map(|()| found)
}

/// Texts of texts, as a JSON object.
fn metadata(fields: Fields) -> Result<String, ApiError> {
    let wrong = |message: String| Err(ApiError::bad_request(message).param("metadata").code("invalid_value"));
    let map = fields.into_map();
    if map.len() > MOST_PAIRS {
        return wrong(format!("'metadata' has {} pairs; at most {MOST_PAIRS} are kept", map.len()));
    }
    for (key, value) in &map {
        let Some(text) = value.as_str() else {
            return Err(invalid_type(&format!("metadata.{key}"), "a string", value));
        };
        if key.chars().count() > LONGEST_KEY || text.chars().count() > LONGEST_VALUE {
            return wrong(format!(
                "'metadata' has keys of at most {LONGEST_KEY} and values of at most {LONGEST_VALUE} characters"
            ));
        }
    }
    Ok(Value::Object(map).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(value: Value) -> Fields {
        Fields::of(value, "hyperparameters").unwrap()
    }

    #[test]
    fn hyperparameters_are_numbers_or_auto() {
        let asked = json!({"n_epochs": 3, "batch_size": "auto", "learning_rate_multiplier": 1.8});
        let expected = Hyperparameters { n_epochs: Some(3), batch_size: None, learning_rate_multiplier: Some(1.8) };
        assert_eq!(hyperparameters(fields(asked)).unwrap(), expected);
        for wrong in [
            json!({"n_epochs": 0}),
            json!({"n_epochs": 51}),
            json!({"n_epochs": "three"}),
            json!({"batch_size": 257}),
            json!({"learning_rate_multiplier": 0}),
            json!({"learning_rate_multiplier": -1.0}),
            json!({"nepochs": 2}),
        ] {
            assert!(hyperparameters(fields(wrong.clone())).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_supervised_methods_are_taken() {
        let asked = json!({"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}});
        assert_eq!(method(fields(asked)).unwrap().unwrap().n_epochs, Some(2));
        assert_eq!(method(fields(json!({"type": "supervised"}))).unwrap(), None);
        let error = method(fields(json!({"type": "dpo", "dpo": {}}))).unwrap_err();
        assert!(error.message().contains("'dpo' is not available"));
    }

    #[test]
    fn a_name_keeps_its_base_and_its_form() {
        let first = name("minilm", Some("mood"));
        assert!(first.starts_with("ft:minilm:personal:mood:") && first.len() == 32, "{first}");
        assert!(name(&first, None).starts_with("ft:minilm:personal::"));
        assert!(checked_suffix("a b".into()).is_err() && checked_suffix("a:b".into()).is_err());
        assert!(checked_suffix("x".repeat(65)).is_err() && checked_suffix("x_1-Y".into()).is_ok());
    }
}
