//! A question to a model, over the API of its server.

use serde::Serialize;
use serde_json::{Value, json};

use super::Args;
use crate::api::Client;
use crate::failure::Failure;

/// The most alternatives of a token that can be asked for.
const ALTERNATIVES: usize = 20;
/// Alternatives that have so much of the probability are all that matter.
const NEARLY_ALL: f64 = 0.999;

/// What a model said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Where the answer is one word among few: how probable each is, the most probable first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probabilities: Vec<(String, f64)>,
}

/// A question and how it is asked.
pub struct Asker<'a> {
    /// The server.
    pub client: &'a Client,
    /// What was typed.
    pub args: &'a Args,
    /// What was said before, in the form of the API, and the question.
    pub messages: &'a [Value],
}

impl Asker<'_> {
    /// What was typed last.
    pub fn question(&self) -> &Value {
        self.messages.last().map_or(&Value::Null, |message| &message["content"])
    }

    fn request(&self, model: &str) -> Value {
        json!({
            "model": model, "messages": self.messages, "temperature": self.args.temperature, "n": self.args.repeat,
            "max_tokens": self.args.max_tokens, "seed": self.args.seed, "logprobs": true, "top_logprobs": ALTERNATIVES,
        })
    }

    /// All the answers of a model.
    pub fn whole(&self, model: &str) -> Result<Vec<Answer>, Failure> {
        let said = self.client.post("/chat/completions", &self.request(model))?;
        let choices = said["choices"].as_array().map_or(&[][..], Vec::as_slice);
        let answer = |choice: &Value| Answer {
            text: choice["message"]["content"].as_str().unwrap_or_default().to_owned(),
            probabilities: probabilities(choice["logprobs"]["content"].as_array().map_or(&[][..], Vec::as_slice)),
        };
        Ok(choices.iter().map(answer).collect())
    }

    /// The answer of a model, told piece by piece.
    pub fn stream(&self, model: &str, mut tell: impl FnMut(&str) -> Result<(), Failure>) -> Result<Answer, Failure> {
        let mut request = self.request(model);
        request["stream"] = true.into();
        let (mut answer, mut tokens) = (Answer::default(), Vec::new());
        for event in self.client.events("/chat/completions", &request)? {
            let event = event?;
            let choice = &event["choices"][0];
            let text = choice["delta"]["content"].as_str().unwrap_or_default();
            tell(text)?;
            answer.text.push_str(text);
            tokens.extend(choice["logprobs"]["content"].as_array().cloned().unwrap_or_default());
        }
        answer.probabilities = probabilities(&tokens);
        Ok(answer)
    }
}

/// The alternatives of an answer that is one token, where there are few.
fn probabilities(tokens: &[Value]) -> Vec<(String, f64)> {
    let [token] = tokens else { return Vec::new() };
    let tops = token["top_logprobs"].as_array().map_or(&[][..], Vec::as_slice);
    let probability = |top: &Value| Some((top["token"].as_str()?.to_owned(), top["logprob"].as_f64()?.exp()));
    let all: Vec<(String, f64)> = tops.iter().filter_map(probability).collect();
    if all.iter().map(|word| word.1).sum::<f64>() > NEARLY_ALL { all } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_word_among_few_has_probabilities() {
        let token = |logs: &[f64]| {
            let tops: Vec<Value> = logs.iter().map(|log| json!({"token": format!("{log}"), "logprob": log})).collect();
            json!({"token": "x", "logprob": logs[0], "top_logprobs": tops})
        };
        let few = token(&[0.75_f64.ln(), 0.25_f64.ln()]);
        let found = probabilities(std::slice::from_ref(&few));
        assert!(found.len() == 2 && (found[0].1 - 0.75).abs() < 1e-12, "{found:?}");
        assert!(probabilities(&[few.clone(), few]).is_empty());
        assert!(probabilities(&[token(&[0.5_f64.ln(), 0.25_f64.ln()])]).is_empty());
        assert!(probabilities(&[]).is_empty());
    }
}
