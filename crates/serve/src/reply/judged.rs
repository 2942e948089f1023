//! What a classifier said about a text, for the record of what it is asked.

use finetone_classify::Classes;
use finetone_evaluate::{margins, most_probable};

/// A text and the decision about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The text as the request gave it.
    pub text: String,
    /// The most probable class, whichever was drawn for the answer.
    pub label: String,
    /// Its probability.
    pub confidence: f32,
    /// How far it is ahead of the next class.
    pub margin: f32,
    /// Whether the text should be left to a person, where the model leaves any.
    pub abstained: Option<bool>,
}

impl Judged {
    /// What these probabilities of one class among several say about a text.
    pub fn new(classes: &Classes, text: String, probabilities: &[f32]) -> Self {
        let class = most_probable(probabilities);
        Self {
            text,
            label: classes.labels()[class].clone(),
            confidence: probabilities[class],
            margin: margins(probabilities, probabilities.len())[0],
            abstained: classes.abstention().map(|rule| rule.abstains(probabilities, false)),
        }
    }
}
