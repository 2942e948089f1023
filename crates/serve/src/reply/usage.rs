//! The number of tokens of a request and its answers.

use serde_json::{Value, json};

/// Tokens that were read and written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the texts, each once, as the model reads them.
    pub prompt: usize,
    /// Of all answers.
    pub completion: usize,
}

impl Usage {
    /// As answers show it.
    pub fn shown(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0, "audio_tokens": 0,
                "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
            },
        })
    }
}
