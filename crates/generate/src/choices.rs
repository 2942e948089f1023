//! A closed set of answers, each a sequence of tokens.

use crate::error::GenerateError;

/// Answers of which none is the beginning of another, so that each is complete at a token of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    answers: Vec<Vec<u32>>,
}

/// What may follow the tokens that were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// One of these tokens, ascending.
    Tokens(Vec<u32>),
    /// Nothing: this answer is complete.
    Complete(usize),
}

impl Choices {
    /// A set of answers; their numbers are their places in it.
    ///
    /// # Errors
    /// No answers, an empty one, or one that is the beginning of another or the same.
    pub fn new(answers: Vec<Vec<u32>>) -> Result<Self, GenerateError> {
        if answers.is_empty() || answers.iter().any(Vec::is_empty) {
            return Err(GenerateError::NoChoices);
        }
        for (longer, answer) in answers.iter().enumerate() {
            let is_beginning = |(i, other): &(usize, &Vec<u32>)| *i != longer && answer.starts_with(other);
            if let Some((shorter, _)) = answers.iter().enumerate().find(is_beginning) {
                return Err(GenerateError::PrefixOfAnother { shorter, longer });
            }
        }
        Ok(Self { answers })
    }

    /// The answers.
    pub fn answers(&self) -> &[Vec<u32>] {
        &self.answers
    }

    /// What may follow these tokens, which begin an answer.
    pub fn next(&self, written: &[u32]) -> Next {
        if let Some(complete) = self.answers.iter().position(|answer| answer == written) {
            return Next::Complete(complete);
        }
        let begun = self.answers.iter().filter(|answer| answer.starts_with(written));
        let mut tokens: Vec<u32> = begun.map(|answer| answer[written.len()]).collect();
        tokens.sort_unstable();
        tokens.dedup();
        Next::Tokens(tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tokens_that_lead_to_an_answer_may_follow() {
        let choices = Choices::new(vec![vec![5, 6, 9], vec![5, 7, 9], vec![3, 9]]).unwrap();
        assert_eq!(choices.next(&[]), Next::Tokens(vec![3, 5]));
        assert_eq!(choices.next(&[5]), Next::Tokens(vec![6, 7]));
        assert_eq!(choices.next(&[5, 7]), Next::Tokens(vec![9]));
        assert_eq!(choices.next(&[5, 7, 9]), Next::Complete(1));
    }

    #[test]
    fn answers_that_could_not_be_told_apart_are_refused() {
        let refused = |answers: &[&[u32]]| Choices::new(answers.iter().map(|a| a.to_vec()).collect()).unwrap_err();
        assert_eq!(refused(&[]), GenerateError::NoChoices);
        assert_eq!(refused(&[&[1], &[]]), GenerateError::NoChoices);
        assert_eq!(refused(&[&[1, 2], &[1]]), GenerateError::PrefixOfAnother { shorter: 1, longer: 0 });
        assert!(matches!(refused(&[&[4], &[4]]), GenerateError::PrefixOfAnother { .. }));
    }
}
