//! Token after token, until one ends the text, an answer is complete, or there were enough.

use std::ops::ControlFlow;

use finetone_backend::Backend;
use finetone_data::split::random::Random;

use crate::choices::{Choices, Next};
use crate::error::GenerateError;
use crate::generator::{Generator, log_probabilities};
use crate::sampling::{Sampling, by_probability};

/// What to write.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What is continued.
    pub prompt: &'a [u32],
    /// The most tokens to write.
    pub most: usize,
    /// How they are chosen.
    pub sampling: Sampling,
    /// How many texts to write, each with draws of its own.
    pub texts: usize,
    /// Tokens that end a text; they are no part of it.
    pub ends: &'a [u32],
    /// Where only these answers may be given; with them `ends` has no say.
    pub choices: Option<&'a Choices>,
    /// How many of the most probable tokens to name at each place.
    pub alternatives: usize,
}

/// A token that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// The token.
    pub id: u32,
    /// The logarithm of its probability among the tokens that could have been written, at a temperature of 1.
    pub log_probability: f64,
    /// The most probable ones with the logarithms of theirs.
    pub alternatives: Vec<(u32, f64)>,
}

/// Why a text ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// By a token that ends a text, or with a complete answer.
    Stop,
    /// There were as many tokens as were asked for, or as there is room for.
    Length,
    /// The listener wanted no more.
    Halted,
}

/// A text that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// Its tokens.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub finish: Finish,
}

impl<B: Backend> Generator<'_, B> {
    /// Writes texts after the prompt, which is read once. `listen` is told the number of the text and each token as it is
    /// written, and may end the text.
    ///
    /// # Errors
    /// A prompt that cannot be read, settings out of range, or answers for which there is no room.
    pub fn write(
        &mut self,
        request: &Request<'_>,
        mut listen: impl FnMut(usize, &Token) -> ControlFlow<()>,
    ) -> Result<Vec<Written>, GenerateError> {
        request.sampling.check()?;
        request.choices.map_or(Ok(()), |choices| self.check_choices(request.prompt.len(), choices))?;
        let first = self.read(request.prompt)?.to_vec();
        (0..request.texts)
            .map(|text| {
                self.rewind(request.prompt.len());
                self.write_one(request, text, first.clone(), &mut |token| listen(text, token))
            })
            .collect()
    }

    fn write_one(
        &mut self,
        request: &Request<'_>,
        text: usize,
        mut logits: Vec<B::Real>,
        listen: &mut dyn FnMut(&Token) -> ControlFlow<()>,
    ) -> Result<Written, GenerateError> {
        let mut random = Random::of(&[request.sampling.seed, text as u64]);
        let (mut ids, mut tokens) = (Vec::new(), Vec::new());
        let finish = loop {
            let allowed = match request.choices.map(|choices| choices.next(&ids)) {
                Some(Next::Complete(_)) => break Finish::Stop,
                Some(Next::Tokens(allowed)) => Some(allowed),
                None => None,
            };
            if ids.len() >= request.most {
                break Finish::Length;
            }
            let possible = log_probabilities(&logits, allowed.as_deref());
            let (id, log_probability) = request.sampling.choose(&possible, &mut random);
            if request.choices.is_none() && request.ends.contains(&id) {
                break Finish::Stop;
            }
            let alternatives = most_probable(possible, request.alternatives);
            let token = Token { id, log_probability, alternatives };
            let flow = listen(&token);
            ids.push(id);
            tokens.push(token);
            if flow.is_break() {
                break Finish::Halted;
            }
            if self.is_behind(request, &ids) {
                continue;
            }
            if self.tokens() == self.context() {
                break Finish::Length;
            }
            logits.copy_from_slice(self.push(id)?);
        };
        Ok(Written { tokens, finish })
    }

    /// Whether nothing will be chosen behind these tokens, so that no logits are needed there.
    fn is_behind(&self, request: &Request<'_>, ids: &[u32]) -> bool {
        let complete = |choices: &Choices| matches!(choices.next(ids), Next::Complete(_));
        ids.len() >= request.most || request.choices.is_some_and(complete)
    }

    /// The probability of each answer after the prompt, among the answers: the product of those of its tokens, as a share of
    /// the sum of all answers' products. Tokens that answers have in common are run once where they are neighbours.
    ///
    /// # Errors
    /// A prompt that cannot be read, or answers for which there is no room.
    pub fn weigh(&mut self, prompt: &[u32], choices: &Choices) -> Result<Vec<f64>, GenerateError> {
        self.check_choices(prompt.len(), choices)?;
        let first = log_probabilities(self.read(prompt)?, None);
        let mut order: Vec<usize> = (0..choices.answers().len()).collect();
        order.sort_by_key(|&answer| &choices.answers()[answer]);
        let mut weights = vec![0.0; order.len()];
        // Of the answer before: its tokens that have been run, and what may follow the prompt and each of them.
        let (mut run, mut behind): (Vec<u32>, _) = (Vec::new(), vec![first]);
        for answer in order {
            let ids = &choices.answers()[answer];
            let shared = run.iter().zip(ids).take_while(|(a, b)| a == b).count().min(ids.len() - 1);
            run.truncate(shared);
            behind.truncate(shared + 1);
            self.rewind(prompt.len() + shared);
            for &id in &ids[shared..ids.len() - 1] {
                behind.push(log_probabilities(self.push(id)?, None));
                run.push(id);
            }
            weights[answer] = ids.iter().zip(&behind).map(|(&id, logs)| logs[id as usize].1).sum();
        }
        let greatest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = weights.iter().map(|weight| (weight - greatest).exp()).sum();
        Ok(weights.into_iter().map(|weight| (weight - greatest).exp() / total).collect())
    }
}

fn most_probable(mut tokens: Vec<(u32, f64)>, count: usize) -> Vec<(u32, f64)> {
    if count == 0 {
        return Vec::new();
    }
    by_probability(&mut tokens);
    tokens.truncate(count);
    tokens
}
