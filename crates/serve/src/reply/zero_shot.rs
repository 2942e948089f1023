//! Answers of a model that was not trained to give any.
//!
//! The text and each word that may be answered become vectors, and the words are the more probable the more theirs resemble
//! the text's: a softmax of 20 times the cosine, the factor that models of sentence vectors are commonly trained with
//! ([Reimers and Gurevych 2019](https://arxiv.org/abs/1908.10084) and their library's ranking loss). It shows what a base model
//! knows before it is tuned, which is little: the probabilities say how alike vectors are, not how often such an answer is right.

use super::{Distribution, Format, Judgement, Question, ask, words};
use crate::engine::OpenModel;
use crate::error::ApiError;
use crate::models::Resolved;
use crate::workplace::Workplace;

/// What a cosine is multiplied by before the softmax.
const SCALE: f64 = 20.0;
/// The most words that are compared with a text.
const MOST_WORDS: usize = 100;

/// Compares each text with the words that are offered for it.
pub async fn judge(
    place: &Workplace,
    open: &OpenModel,
    texts: Vec<String>,
    offered: &[Vec<String>],
) -> Result<Vec<Judgement>, ApiError> {
    let asked =
        texts.into_iter().zip(offered).flat_map(|(text, words)| std::iter::once(text).chain(words.iter().cloned()));
    let answers = ask(place, open, asked.collect()).await?;
    let (mut rest, mut judgements) = (answers.as_slice(), Vec::with_capacity(offered.len()));
    for words in offered {
        let (own, others) = rest.split_at(1 + words.len());
        let (text, tokens) = &own[0];
        let scores: Vec<f64> = own[1..].iter().map(|(word, _)| SCALE * cosine(&text.row, &word.row)).collect();
        judgements.push(Judgement {
            distribution: softmax(words, &scores),
            tokens: *tokens,
            abstained: None,
            judged: None,
        });
        rest = others;
    }
    Ok(judgements)
}

/// The words that an answer may be: those of its form, or those that the instructions offer.
pub fn offered(question: &Question, model: &Resolved, format: &Format) -> Result<Vec<String>, ApiError> {
    let words = format.allowed().map_or_else(|| words::offered(&question.instructions()), <[String]>::to_vec);
    if (1..=MOST_WORDS).contains(&words.len()) {
        return Ok(words);
    }
    let message = format!(
        "The model '{}' has not been trained to classify, and the request does not say which words it may answer with. Fine-tune \
         it, or list the words in the system message (for example: Positive, Negative or Neutral)",
        model.name
    );
    Err(ApiError::bad_request(message).param("messages"))
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let lengths = (product(a, a) * product(b, b)).sqrt();
    if lengths > 0.0 { product(a, b) / lengths } else { 0.0 }
}

fn softmax(words: &[String], scores: &[f64]) -> Distribution {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
    Distribution::new(words, &weights)
}

#[cfg(test)]
mod tests {
    use finetone_data::chat::{Message, Role};

    use super::*;

    #[test]
    fn the_word_that_is_most_alike_is_most_probable() {
        assert!((cosine(&[1.0, 1.0], &[2.0, 2.0]) - 1.0).abs() < 1e-12);
        assert!(cosine(&[1.0, 0.0], &[0.0, 3.0]).abs() < 1e-12);
        assert_eq!(cosine(&[0.0, 0.0], &[0.0, 3.0]), 0.0);
        let words = ["a".to_owned(), "b".to_owned()];
        let distribution = softmax(&words, &[SCALE * 0.5, SCALE * 0.6]);
        // Odds of e² for a tenth more of the cosine.
        assert!((distribution.log_probability(1) - distribution.log_probability(0) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn words_come_from_the_form_or_the_instructions() {
        let model = Resolved { name: "base".into(), source: "folder".into(), is_base: true };
        let asked = |system: &str, user: &str| {
            let question = Question::Chat(vec![Message::new(Role::System, system), Message::new(Role::User, user)]);
            offered(&question, &model, &Format::default())
        };
        assert_eq!(asked("Say Yes or No", "tea or coffee?").unwrap(), ["Yes", "No"]);
        let error = asked("Be helpful", "tea or coffee?").unwrap_err();
        assert!(error.message().contains("'base'") && error.message().contains("system message"), "{error:?}");
        let prompt = offered(&Question::Text("tea or coffee?".into()), &model, &Format::default());
        assert_eq!(prompt.unwrap(), ["tea", "coffee"]);
    }
}
