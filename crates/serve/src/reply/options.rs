//! How an answer is to be drawn: the fields that chats and completions share.

use finetone_generate::Penalties;
use serde_json::Value;

use crate::error::ApiError;
use crate::http::{Fields, decimal, invalid_type};

/// The most texts to stop at.
const MOST_STOPS: usize = 4;

/// What a request says about its answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// From 0, the most probable word always, by 1, words as often as they are probable, to 2.
    pub temperature: f64,
    /// The share of the probability that words are drawn from.
    pub top_p: f64,
    /// How many answers.
    pub n: usize,
    /// The most tokens of an answer.
    pub max_tokens: Option<usize>,
    /// Texts before which an answer stops.
    pub stop: Vec<String>,
    /// What makes tokens more or less probable; a label is one token, so a model that judges has no use for it.
    pub penalties: Penalties,
    /// What the draws depend on; the same gives the same.
    pub seed: Option<i64>,
    /// Whether the answer comes as events.
    pub stream: bool,
    /// Whether the last event tells the number of tokens.
    pub include_usage: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            n: 1,
            max_tokens: None,
            stop: Vec::new(),
            penalties: Penalties::default(),
            seed: None,
            stream: false,
            include_usage: false,
        }
    }
}

impl Options {
    /// Takes them from a request, with `fewest` the least value of `max_tokens`.
    ///
    /// # Errors
    /// A value of another type or out of its range.
    pub fn of(fields: &mut Fields, fewest: i64) -> Result<Self, ApiError> {
        let usual = Self::default();
        let max_tokens = fields.integer("max_tokens", fewest..=i64::MAX)?;
        let max_tokens = fields.integer("max_completion_tokens", fewest..=i64::MAX)?.or(max_tokens);
        let stream = fields.boolean("stream")?.unwrap_or(false);
        let include_usage = match fields.object("stream_options")? {
            Some(_) if !stream => {
                let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
                return Err(ApiError::bad_request(message).param("stream_options"));
            }
            Some(mut options) => options.boolean("include_usage")?.unwrap_or(false),
            None => false,
        };
        Ok(Self {
            temperature: fields.decimal("temperature", 0.0..=2.0)?.unwrap_or(usual.temperature),
            top_p: fields.decimal("top_p", 0.0..=1.0)?.unwrap_or(usual.top_p),
            n: fields.integer("n", 1..=128)?.map_or(usual.n, |n| n as usize),
            max_tokens: max_tokens.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            stop: stops(fields)?,
            penalties: penalties(fields)?,
            seed: fields.integer("seed", i64::MIN..=i64::MAX)?,
            stream,
            include_usage,
        })
    }

    /// The seed that the draws depend on: the one that was asked for, or one of the system's.
    pub fn seed(&self) -> u64 {
        let mut bytes = [0; 8];
        self.seed.map_or_else(
            || {
                getrandom::fill(&mut bytes).expect("the system has random numbers");
                u64::from_le_bytes(bytes)
            },
            i64::cast_unsigned,
        )
    }
}

fn penalties(fields: &mut Fields) -> Result<Penalties, ApiError> {
    let mut penalty = |name| fields.decimal(name, -2.0..=2.0).map(|given| given.unwrap_or(0.0));
    let (frequency, presence) = (penalty("frequency_penalty")?, penalty("presence_penalty")?);
    let mut bias = Vec::new();
    for (token, value) in fields.object("logit_bias")?.map(Fields::into_map).unwrap_or_default() {
        let name = format!("logit_bias.{token}");
        let value = decimal(&value, &name, -100.0..=100.0)?;
        let id = token.parse().map_err(|_| {
            let message = format!("Invalid key in 'logit_bias': {token}. The keys are numbers of tokens.");
            ApiError::bad_request(message).param(name).code("invalid_value")
        });
        bias.push((id?, value));
    }
    Ok(Penalties { frequency, presence, bias })
}

fn stops(fields: &mut Fields) -> Result<Vec<String>, ApiError> {
    let stops = match fields.take("stop") {
        None => return Ok(Vec::new()),
        Some(value) => array_of_texts(value, "stop")?,
    };
    if stops.len() > MOST_STOPS {
        let message = format!("Invalid 'stop': array too long. Expected at most {MOST_STOPS} texts.");
        return Err(ApiError::bad_request(message).param("stop").code("array_above_max_length"));
    }
    Ok(stops.into_iter().filter(|stop| !stop.is_empty()).collect())
}

/// A text, or several.
///
/// # Errors
/// Any other value. Arrays of token numbers are among them: they are those of another model's vocabulary.
pub fn array_of_texts(value: Value, name: &str) -> Result<Vec<String>, ApiError> {
    match value {
        Value::String(text) => Ok(vec![text]),
        Value::Array(values) => {
            let text = |(place, value)| match value {
                Value::String(text) => Ok(text),
                other => {
                    Err(invalid_type(&format!("{name}[{place}]"), "a string (token numbers are not read)", &other))
                }
            };
            values.into_iter().enumerate().map(text).collect()
        }
        other => Err(invalid_type(name, "a string or an array of strings", &other)),
    }
}
