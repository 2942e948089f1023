//! The form that an answer shall have: the word alone, or JSON around it.

use serde_json::Value;

use super::Distribution;
use crate::error::ApiError;
use crate::http::Fields;

/// What stands around the word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Before it.
    pub before: String,
    /// Behind it.
    pub after: String,
}

/// The form of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Format {
    frame: Frame,
    /// The words that are allowed; none for those of the model.
    allowed: Option<Vec<String>>,
    /// Whether the word stands in a JSON text.
    escaped: bool,
}

/// The property of an answer where only JSON is asked for.
const PROPERTY: &str = "label";
/// What the request calls the schema.
const SCHEMA: &str = "response_format.json_schema.schema";
/// The longest chain of references in a schema that is followed.
const REFERENCES: usize = 16;

impl Format {
    /// The form that a request asks for.
    ///
    /// # Errors
    /// A form that is not known; a schema for more than one word.
    pub fn of(fields: &mut Fields) -> Result<Self, ApiError> {
        let Some(mut format) = fields.object("response_format")? else { return Ok(Self::default()) };
        match format.required_text("type")?.as_str() {
            "text" => Ok(Self::default()),
            "json_object" => Self::json(&Value::Null, Some(PROPERTY)),
            "json_schema" => {
                let schema = format.object("json_schema")?.and_then(|mut schema| schema.take("schema"));
                Self::of_schema(&schema.ok_or_else(|| refused("a schema is needed"))?)
            }
            other => {
                let message = format!(
                    "Invalid value: '{other}'. Supported values are: 'text', 'json_object', and 'json_schema'."
                );
                Err(ApiError::bad_request(message).param("response_format.type").code("invalid_value"))
            }
        }
    }

    /// The form of a schema: a text or number, or an object with one.
    fn of_schema(schema: &Value) -> Result<Self, ApiError> {
        let whole = resolved(schema, schema);
        let Some(properties) = whole.get("properties").and_then(Value::as_object) else {
            return Self::json(whole, None);
        };
        let required: Vec<&str> =
            whole.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let name = match (required.as_slice(), properties.keys().next()) {
            (&[name], _) => name,
            (&[], Some(name)) if properties.len() == 1 => name,
            _ => {
                return Err(refused(
                    "a classifier gives one answer, and the schema asks for another number of properties",
                ));
            }
        };
        let property = properties.get(name).ok_or_else(|| refused("a required property is not described"))?;
        Self::json(resolved(property, schema), Some(name))
    }

    /// JSON whose one value is of this kind: by itself, or as a property.
    fn json(kind: &Value, property: Option<&str>) -> Result<Self, ApiError> {
        let values = match (kind.get("enum"), kind.get("const")) {
            (Some(Value::Array(values)), _) => Some(values.as_slice()),
            (_, Some(value)) => Some(std::slice::from_ref(value)),
            _ => None,
        };
        let is_text = match values {
            Some(values) if !values.is_empty() && values.iter().all(Value::is_string) => true,
            Some(values) if !values.is_empty() && values.iter().all(Value::is_number) => false,
            None if kind.is_null() || kind.get("type").is_some_and(|name| name == "string") => true,
            _ => {
                return Err(refused(
                    "a classifier answers with one of several texts or numbers: describe them by `enum`",
                ));
            }
        };
        let said = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let quote = if is_text { "\"" } else { "" };
        let (before, after) = match property {
            Some(name) => (format!("{{{}:{quote}", Value::from(name)), format!("{quote}}}")),
            None => (quote.to_owned(), quote.to_owned()),
        };
        let allowed = values.map(|values| values.iter().map(said).collect());
        Ok(Self { frame: Frame { before, after }, allowed, escaped: is_text })
    }

    /// What stands around the word.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Whether any text has it.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// The words that are allowed, where it says so.
    pub fn allowed(&self) -> Option<&[String]> {
        self.allowed.as_deref()
    }

    /// The distribution over the words that are allowed, as they are written in the answer. Upper and lower case are the same.
    ///
    /// # Errors
    /// No word of the model is allowed.
    pub fn restrict(&self, distribution: &Distribution) -> Result<Distribution, ApiError> {
        let words = distribution.words();
        let mut kept: Vec<(usize, String)> = Vec::new();
        match &self.allowed {
            None => kept.extend(words.iter().map(|word| self.written(word)).enumerate()),
            Some(allowed) => {
                for name in allowed {
                    let place = words.iter().position(|word| word.to_lowercase() == name.to_lowercase());
                    // A schema may allow a word in two spellings; the first one is written.
                    if let Some(place) = place.filter(|place| kept.iter().all(|(other, _)| other != place)) {
                        kept.push((place, self.written(name)));
                    }
                }
            }
        }
        distribution.only(&kept).ok_or_else(|| {
            let known = words.join("', '");
            refused(&format!("the model answers with '{known}', and the schema allows none of them"))
        })
    }

    fn written(&self, word: &str) -> String {
        let quoted = Value::from(word).to_string();
        if self.escaped { quoted[1..quoted.len() - 1].to_owned() } else { word.to_owned() }
    }
}

/// A schema, or the one that it refers to in `root`.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut found = schema;
    for _ in 0..REFERENCES {
        let reference =
            found.get("$ref").and_then(Value::as_str).and_then(|name| root.pointer(name.strip_prefix('#')?));
        match reference.or_else(|| found.get("allOf").filter(|all| all[1].is_null()).map(|all| &all[0])) {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

fn refused(problem: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid '{SCHEMA}': {problem}.")).param(SCHEMA).code("invalid_value")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn format(schema: Value) -> Result<Format, ApiError> {
        Format::of_schema(&schema)
    }

    /// What the model says in this form when it says `good`.
    fn answer(format: &Format) -> String {
        let distribution = Distribution::new(&["bad".to_owned(), "good".to_owned()], &[0.25, 0.75]);
        let restricted = format.restrict(&distribution).unwrap();
        let Frame { before, after } = format.frame();
        format!("{before}{}{after}", restricted.words()[restricted.ranking()[0]])
    }

    #[test]
    fn an_answer_is_valid_for_its_schema() {
        let labels = json!({"type": "string", "enum": ["Good", "Bad", "Odd"]});
        for (schema, expected) in [
            (json!({"type": "object", "properties": {"mood": labels}, "required": ["mood"]}), r#"{"mood":"Good"}"#),
            (
                json!({"properties": {"mood": labels, "why": {"type": "string"}}, "required": ["mood"]}),
                r#"{"mood":"Good"}"#,
            ),
            (json!({"properties": {"m": {"$ref": "#/$defs/Mood"}}, "$defs": {"Mood": labels}}), r#"{"m":"Good"}"#),
            (
                json!({"properties": {"m": {"allOf": [{"$ref": "#/$defs/Mood"}]}}, "$defs": {"Mood": labels}}),
                r#"{"m":"Good"}"#,
            ),
            (json!({"properties": {"m": {"type": "string"}}}), r#"{"m":"good"}"#),
            (json!({"properties": {"m": {"const": "bad"}}}), r#"{"m":"bad"}"#),
            (labels.clone(), r#""Good""#),
        ] {
            assert_eq!(answer(&format(schema.clone()).unwrap()), expected, "{schema}");
        }
    }

    #[test]
    fn numbers_and_awkward_names_are_written_as_json_has_them() {
        let stars = format(json!({"properties": {"stars": {"enum": [1, 2]}}})).unwrap();
        let distribution = Distribution::new(&["1".to_owned(), "2".to_owned()], &[0.25, 0.75]);
        assert_eq!(stars.restrict(&distribution).unwrap().words(), ["1", "2"]);
        assert_eq!(stars.frame(), &Frame { before: "{\"stars\":".into(), after: "}".into() });
        let odd = format(json!({"properties": {"a\"b": {"type": "string"}}})).unwrap();
        let distribution = Distribution::new(&["x\"y".to_owned(), "z".to_owned()], &[0.75, 0.25]);
        let restricted = odd.restrict(&distribution).unwrap();
        let whole = format!("{}{}{}", odd.frame().before, restricted.words()[0], odd.frame().after);
        assert_eq!(serde_json::from_str::<Value>(&whole).unwrap(), json!({"a\"b": "x\"y"}));
    }

    #[test]
    fn what_a_classifier_cannot_answer_is_refused() {
        for schema in [
            json!({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a", "b"]}),
            json!({"properties": {"a": {"type": "array"}}}),
            json!({"properties": {"a": {"enum": []}}}),
            json!({"properties": {"a": {"enum": ["x", 1]}}}),
            json!({"properties": {}}),
            json!({"properties": {}, "required": ["a"]}),
            json!({"$ref": "#"}),
            json!(7),
        ] {
            assert!(format(schema.clone()).is_err(), "{schema}");
        }
        let twice = format(json!({"enum": ["Good", "good", "BAD"]})).unwrap();
        let both = Distribution::new(&["bad".to_owned(), "good".to_owned()], &[0.25, 0.75]);
        assert_eq!(twice.restrict(&both).unwrap(), Distribution::new(&["Good".into(), "BAD".into()], &[0.75, 0.25]));
        let other = format(json!({"enum": ["happy", "sad"]})).unwrap();
        assert!(other.restrict(&Distribution::new(&["good".to_owned()], &[1.0])).is_err());
    }
}
