//! What a job may give to Weights & Biases: an offline run in its own folder. Nothing is sent anywhere.

use finetone_train::{Tracker, Tracking};
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::http::{Fields, invalid_type};
use crate::store::JobRow;

const LONGEST_NAME: usize = 128;
const MOST_TAGS: usize = 20;

/// The integration that a body asks for, if it does, as JSON in the form in which clients see the list.
///
/// # Errors
/// 400 with the name of the field.
pub fn read(body: &mut Fields) -> Result<Option<String>, ApiError> {
    let mut list = match body.take("integrations") {
        None => return Ok(None),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(invalid_type("integrations", "an array", &other)),
    };
    if list.len() > 1 {
        let message = "Only one integration is possible here: the offline run of Weights & Biases";
        return Err(ApiError::bad_request(message).param("integrations").code("invalid_value"));
    }
    list.pop().map(|one| wandb(Fields::of(one, "integrations[0]")?)).transpose()
}

fn wandb(mut fields: Fields) -> Result<String, ApiError> {
    let kind = fields.required_text("type")?;
    if kind != "wandb" {
        let message = format!("The integration '{kind}' is not available here: only 'wandb' is");
        return Err(ApiError::bad_request(message).param("integrations[0].type").code("invalid_value"));
    }
    let within = fields.name("wandb");
    let mut asked = fields.object("wandb")?.unwrap_or(Fields::of(json!({}), &within)?);
    fields.refuse_rest()?;
    let project = asked.required_text("project")?;
    let (name, entity, tags) = (asked.text("name")?, asked.text("entity")?, tags(&mut asked)?);
    asked.refuse_rest()?;
    let texts = [Some(&project), name.as_ref(), entity.as_ref()];
    if texts.into_iter().flatten().chain(&tags).any(|text| !is_name(text)) || tags.len() > MOST_TAGS {
        let message = format!(
            "'{within}' has names of 1 to {LONGEST_NAME} characters without control characters, and at most {MOST_TAGS} tags"
        );
        return Err(ApiError::bad_request(message).param(within).code("invalid_value"));
    }
    let wandb = json!({"project": project, "name": name, "entity": entity, "tags": tags});
    Ok(json!([{"type": "wandb", "wandb": wandb}]).to_string())
}

fn tags(asked: &mut Fields) -> Result<Vec<String>, ApiError> {
    let name = asked.name("tags");
    let wrong = |value: &Value| invalid_type(&name, "an array of strings", value);
    match asked.take("tags") {
        None => Ok(Vec::new()),
        Some(Value::Array(tags)) => {
            tags.iter().map(|tag| tag.as_str().map(str::to_owned).ok_or_else(|| wrong(tag))).collect()
        }
        Some(other) => Err(wrong(&other)),
    }
}

fn is_name(text: &str) -> bool {
    !text.trim().is_empty() && text.chars().count() <= LONGEST_NAME && !text.chars().any(char::is_control)
}

/// Who gets the numbers of a job; the run is called as the job if it was given no name.
pub fn tracking(job: &JobRow) -> Tracking {
    let asked = job.integrations.as_ref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    let Some(asked) = asked.map(|list| list[0]["wandb"].clone()) else { return Tracking::default() };
    let text = |key: &str| asked[key].as_str().map(str::to_owned);
    let tags = asked["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Tracking {
        to: vec![Tracker::Wandb],
        project: text("project"),
        name: text("name").or_else(|| Some(job.id.clone())),
        tags: tags.collect(),
        entity: text("entity"),
        mlflow_tracking_uri: None,
    }
}
