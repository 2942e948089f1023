//! The forms in which texts may be given.
//!
//! | JSON | meaning | answer |
//! |---|---|---|
//! | `"a"` | one text | one list |
//! | `["a"]` | one text | one list |
//! | `["a", "b"]` | one pair of texts, as text-embeddings-inference reads it | one list |
//! | `["a", "b", "c"]` and longer | so many texts | a list of lists |
//! | `[["a"], ["b", "c"]]` | so many texts or pairs | a list of lists |
//!
//! The models of this server read one text, so a pair is read as its two texts with a space between them.

use serde_json::Value;

use super::error::TeiError;

/// The most texts of a request, as that server has it.
pub const MOST_TEXTS: usize = 32;

/// Texts, and whether the answer is a list of lists.
#[derive(Debug, PartialEq, Eq)]
pub struct Inputs {
    /// The texts; a pair is one.
    pub texts: Vec<String>,
    /// Whether each text has a list of its own in the answer.
    pub is_batch: bool,
}

impl Inputs {
    /// Reads the value of `inputs`.
    ///
    /// # Errors
    /// Any other form; no text, an empty one, or too many.
    pub fn of(value: Value) -> Result<Self, TeiError> {
        let inputs = match value {
            Value::String(text) => Self { texts: vec![text], is_batch: false },
            Value::Array(values) if values.first().is_some_and(Value::is_array) => {
                let texts = values.into_iter().map(one_or_pair).collect::<Result<_, _>>()?;
                Self { texts, is_batch: true }
            }
            Value::Array(values) if values.len() > 2 => {
                Self { texts: values.into_iter().map(text).collect::<Result<_, _>>()?, is_batch: true }
            }
            Value::Array(values) if values.is_empty() => return Err(TeiError::empty("`inputs` cannot be empty")),
            values @ Value::Array(_) => Self { texts: vec![one_or_pair(values)?], is_batch: false },
            _ => return Err(unknown()),
        };
        if inputs.texts.len() > MOST_TEXTS {
            let given = inputs.texts.len();
            return Err(TeiError::validation(format!("batch size {given} > maximum allowed batch size {MOST_TEXTS}")));
        }
        if inputs.texts.iter().any(|text| text.trim().is_empty()) {
            return Err(TeiError::empty("`inputs` cannot hold an empty text"));
        }
        Ok(inputs)
    }
}

fn one_or_pair(value: Value) -> Result<String, TeiError> {
    match value {
        Value::Array(values) if (1..=2).contains(&values.len()) => {
            let texts = values.into_iter().map(text).collect::<Result<Vec<_>, _>>()?;
            Ok(texts.join(" "))
        }
        _ => Err(unknown()),
    }
}

fn text(value: Value) -> Result<String, TeiError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(unknown()),
    }
}

fn unknown() -> TeiError {
    TeiError::validation("`inputs` must be a text, a pair of texts, or an array of texts or pairs")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_has_its_meaning() {
        for (value, texts, is_batch) in [
            (json!("a"), vec!["a"], false),
            (json!(["a"]), vec!["a"], false),
            (json!(["a", "b"]), vec!["a b"], false),
            (json!(["a", "b", "c"]), vec!["a", "b", "c"], true),
            (json!([["a"]]), vec!["a"], true),
            (json!([["a"], ["b", "c"]]), vec!["a", "b c"], true),
        ] {
            let inputs = Inputs::of(value.clone()).unwrap();
            assert_eq!(
                (inputs.texts, inputs.is_batch),
                (texts.into_iter().map(str::to_owned).collect(), is_batch),
                "{value}"
            );
        }
    }

    #[test]
    fn other_forms_are_refused_by_their_kind() {
        for (value, kind) in [
            (json!([]), "Empty"),
            (json!(""), "Empty"),
            (json!(["a", "b", " "]), "Empty"),
            (json!([[]]), "Validation"),
            (json!([["a", "b", "c"]]), "Validation"),
            (json!([["a"], "b"]), "Validation"),
            (json!(["a", 1]), "Validation"),
            (json!(7), "Validation"),
            (json!(null), "Validation"),
            (json!(vec!["a"; MOST_TEXTS + 1]), "Validation"),
        ] {
            let error = Inputs::of(value.clone()).unwrap_err();
            assert!(format!("{error:?}").contains(kind), "{value}: {error:?}");
        }
        assert_eq!(Inputs::of(json!(vec!["a"; MOST_TEXTS])).unwrap().texts.len(), MOST_TEXTS);
    }
}
