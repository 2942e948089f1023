//! The body of a request as JSON, its fields taken one by one, and the parameters behind the `?`.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_ENCODING;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// A body that is a JSON object; an empty body is an empty one. The `Content-Type` is not asked for.
pub struct JsonBody(pub Fields);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bytes = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        parse(&bytes).map(Self).map_err(IntoResponse::into_response)
    }
}

/// Lets a request through whose body is what it is. A small body that unpacks to a large one is not even tried.
pub async fn refuse_compressed(request: Request, next: Next) -> Result<Response, ApiError> {
    let encoding = request.headers().get(CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "Send the body as it is: compressed bodies are not read"));
    }
    Ok(next.run(request).await)
}

fn parse(bytes: &[u8]) -> Result<Fields, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Fields::default());
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::bad_request(format!("We could not parse the JSON body of your request: {error}")))?;
    match value {
        Value::Object(map) => Ok(Fields { within: String::new(), map }),
        _ => Err(ApiError::bad_request("The body of your request must be a JSON object")),
    }
}

/// The fields of a JSON object. Taking one removes it, so that what is left at the end is unknown; `null` is as good as absent.
#[derive(Debug, Default)]
pub struct Fields {
    /// How an error names the object: empty, or with a dot behind it.
    within: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of a value that must be an object; `name` is what an error calls it.
    ///
    /// # Errors
    /// Any other value.
    pub fn of(value: Value, name: &str) -> Result<Self, ApiError> {
        match value {
            Value::Object(map) => Ok(Self { within: format!("{name}."), map }),
            other => Err(invalid_type(name, "an object", &other)),
        }
    }

    /// The full name of a field, such as `hyperparameters.n_epochs`.
    pub fn name(&self, key: &str) -> String {
        format!("{}{key}", self.within)
    }

    /// The value of a field.
    pub fn take(&mut self, key: &str) -> Option<Value> {
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    /// The fields of an object within this one.
    ///
    /// # Errors
    /// A value that is no object.
    pub fn object(&mut self, key: &str) -> Result<Option<Self>, ApiError> {
        self.take(key).map(|value| Self::of(value, &self.name(key))).transpose()
    }

    /// A text.
    ///
    /// # Errors
    /// A value that is no text.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid_type(&self.name(key), "a string", &other)),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// None, or a value that is no text.
    pub fn required_text(&mut self, key: &str) -> Result<String, ApiError> {
        self.text(key)?.ok_or_else(|| {
            let name = self.name(key);
            ApiError::bad_request(format!("Missing required parameter: '{name}'."))
                .param(name)
                .code("missing_required_parameter")
        })
    }

    /// True or false.
    ///
    /// # Errors
    /// Any other value.
    pub fn boolean(&mut self, key: &str) -> Result<Option<bool>, ApiError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(invalid_type(&self.name(key), "a boolean", &other)),
        }
    }

    /// A whole number in a range.
    ///
    /// # Errors
    /// Any other value.
    pub fn integer(&mut self, key: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, ApiError> {
        self.take(key).map(|value| integer(&value, &self.name(key), range)).transpose()
    }

    /// A number in a range.
    ///
    /// # Errors
    /// Any other value.
    pub fn decimal(&mut self, key: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, ApiError> {
        self.take(key).map(|value| decimal(&value, &self.name(key), range)).transpose()
    }

    /// What has not been taken.
    pub fn into_map(self) -> Map<String, Value> {
        self.map
    }

    /// Refuses what has not been taken.
    ///
    /// # Errors
    /// A field that is left.
    pub fn refuse_rest(self) -> Result<(), ApiError> {
        match self.map.iter().next() {
            None => Ok(()),
            Some((key, value)) => {
                let (name, value) = (self.name(key), shortened(value));
                Err(ApiError::bad_request(format!("invalid {name}: {value}, extra inputs are not permitted"))
                    .param(name))
            }
        }
    }
}

/// A whole number in a range.
///
/// # Errors
/// Any other value; `name` is what the error calls it.
pub fn integer(value: &Value, name: &str, range: RangeInclusive<i64>) -> Result<i64, ApiError> {
    // Some languages write whole numbers with a fraction of zero.
    let whole = value.as_f64().filter(|number| number.fract() == 0.0);
    let Some(whole) = whole else { return Err(invalid_type(name, "an integer", value)) };
    let number = value.as_i64().unwrap_or(whole as i64);
    if range.contains(&number) {
        return Ok(number);
    }
    Err(out_of_range(name, "integer", &value.to_string(), number > *range.end(), (range.start(), range.end())))
}

/// A number in a range.
///
/// # Errors
/// Any other value; `name` is what the error calls it.
pub fn decimal(value: &Value, name: &str, range: RangeInclusive<f64>) -> Result<f64, ApiError> {
    let number = value.as_f64().ok_or_else(|| invalid_type(name, "a decimal", value))?;
    if range.contains(&number) {
        return Ok(number);
    }
    Err(out_of_range(name, "decimal", &value.to_string(), number > *range.end(), (range.start(), range.end())))
}

fn out_of_range<T: std::fmt::Display>(name: &str, kind: &str, got: &str, above: bool, range: (&T, &T)) -> ApiError {
    let (side, sign, limit) = if above { ("above maximum", "<=", range.1) } else { ("below minimum", ">=", range.0) };
    let code = match (kind, above) {
        ("integer", true) => "integer_above_max_value",
        ("integer", false) => "integer_below_min_value",
        (_, true) => "decimal_above_max_value",
        (_, false) => "decimal_below_min_value",
    };
    let message =
        format!("Invalid '{name}': {kind} {side} value. Expected a value {sign} {limit}, but got {got} instead.");
    ApiError::bad_request(message).param(name).code(code)
}

/// The error for a value of another type than `wanted`.
pub fn invalid_type(name: &str, wanted: &str, got: &Value) -> ApiError {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    let message = format!("Invalid type for '{name}': expected {wanted}, but got {got} instead.");
    ApiError::bad_request(message).param(name).code("invalid_type")
}

/// A value as an error quotes it.
fn shortened(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().take(80).collect()
}

/// What stands behind the `?`, in its order.
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The first value of a name; an empty one is as good as none.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, value)| key == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    /// A whole number in a range, or `usual`.
    ///
    /// # Errors
    /// Any other value.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>, usual: i64) -> Result<i64, ApiError> {
        let Some(text) = self.get(name) else { return Ok(usual) };
        let value = text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
        integer(&value, name, range)
    }

    /// Every name of the form `prefix[key]`, with its value.
    pub fn within<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(move |(name, value)| {
            let key = name.strip_prefix(prefix)?.strip_prefix('[')?.strip_suffix(']')?;
            Some((key, value.as_str()))
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let query = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| ApiError::bad_request(error.body_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Fields {
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn fields_are_taken_and_what_is_left_is_refused() {
        let mut body = fields(r#"{"model": "a", "seed": 7, "suffix": null, "nepochs": 2}"#);
        assert_eq!(body.required_text("model").unwrap(), "a");
        assert_eq!(body.integer("seed", 0..=10).unwrap(), Some(7));
        assert_eq!(body.text("suffix").unwrap(), None);
        let error = body.refuse_rest().unwrap_err();
        assert_eq!(error.message(), "invalid nepochs: 2, extra inputs are not permitted");
    }

    #[test]
    fn numbers_out_of_range_are_told_with_their_limit() {
        let error = fields(r#"{"temperature": 200}"#).decimal("temperature", 0.0..=2.0).unwrap_err();
        let says = "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 200 instead.";
        assert_eq!(error.message(), says);
        let mut body = fields(r#"{"n": 1e30, "whole": 3.0, "m": 1.5, "o": "1", "p": 129}"#);
        assert!(body.integer("n", 1..=128).unwrap_err().message().contains("above maximum"));
        assert_eq!(body.integer("whole", 1..=128).unwrap(), Some(3));
        assert!(body.integer("m", 1..=128).unwrap_err().message().contains("expected an integer"));
        assert!(body.integer("o", 1..=128).unwrap_err().message().contains("but got a string"));
        assert!(body.integer("p", 1..=128).unwrap_err().message().contains("<= 128"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert!(parse(b"").is_ok_and(|fields| fields.map.is_empty()));
        assert!(parse(b"[1]").is_err() && parse(b"{").is_err());
        let deep = "[".repeat(100_000);
        assert!(parse(deep.as_bytes()).is_err());
        assert!(fields(r#"{"a": 1}"#).object("a").is_err());
    }
}
