//! The messages of a request.

use finetone_data::chat::{Message, Role};
use serde_json::Value;

use crate::error::ApiError;
use crate::http::{Fields, invalid_type};

/// Takes the messages from a request.
///
/// # Errors
/// None, or one that is no message.
pub fn messages(fields: &mut Fields) -> Result<Vec<Message>, ApiError> {
    let values = match fields.take("messages") {
        Some(Value::Array(values)) => values,
        Some(other) => return Err(invalid_type("messages", "an array of objects", &other)),
        None => {
            let message = "Missing required parameter: 'messages'.";
            return Err(ApiError::bad_request(message).param("messages").code("missing_required_parameter"));
        }
    };
    if values.is_empty() {
        let message = "Invalid 'messages': empty array. Expected an array with minimum length 1.";
        return Err(ApiError::bad_request(message).param("messages").code("empty_array"));
    }
    values.into_iter().enumerate().map(|(place, value)| message(value, &format!("messages[{place}]"))).collect()
}

fn message(value: Value, name: &str) -> Result<Message, ApiError> {
    let mut fields = Fields::of(value, name)?;
    let word = fields.required_text("role")?;
    let role = Role::from_word(&word).ok_or_else(|| {
        let known = Role::ALL.map(Role::word).join("', '");
        let message = format!("Invalid value: '{word}'. Supported values are: '{known}'.");
        ApiError::bad_request(message).param(fields.name("role")).code("invalid_value")
    })?;
    // An assistant that called a tool says nothing.
    let content = match fields.take("content") {
        Some(content) => text(content, &fields.name("content"))?,
        None if role == Role::Assistant => String::new(),
        None => {
            let name = fields.name("content");
            let message = format!("Missing required parameter: '{name}'.");
            return Err(ApiError::bad_request(message).param(name).code("missing_required_parameter"));
        }
    };
    Ok(Message::new(role, content))
}

/// What a content says: a text, or a list of parts that are texts.
fn text(content: Value, name: &str) -> Result<String, ApiError> {
    match content {
        Value::String(text) => Ok(text),
        Value::Array(parts) => {
            parts.into_iter().enumerate().map(|(place, part)| part_text(part, &format!("{name}[{place}]"))).collect()
        }
        other => Err(invalid_type(name, "a string or an array of parts", &other)),
    }
}

fn part_text(part: Value, name: &str) -> Result<String, ApiError> {
    let mut fields = Fields::of(part, name)?;
    match fields.required_text("type")?.as_str() {
        "text" => fields.required_text("text"),
        other => {
            let message = format!("Invalid value: '{other}'. Only parts of the type 'text' are read by this server.");
            Err(ApiError::bad_request(message).param(fields.name("type")).code("invalid_value"))
        }
    }
}
