//! Token after token, until one ends the text, an answer is complete, or there were enough.

use std::ops::ControlFlow;

use finetone_backend::Backend;
use finetone_data::split::random::Random;

use crate::choices::{Choices, Next};
use crate::error::GenerateError;
use crate::generator::{Generator, log_probabilities};
use crate::sampling::{Penalties, Sampling, most_probable};

/// What to write.
#[derive(Debug, Clone)]
pub struct Request {
    /// What is continued.
    pub prompt: Vec<u32>,
    /// The most tokens to write.
    pub most: usize,
    /// How they are chosen.
    pub sampling: Sampling,
    /// What is changed about their probabilities before.
    pub penalties: Penalties,
    /// How many texts to write, each with draws of its own.
    pub texts: usize,
    /// Tokens that end a text; they are no part of it.
    pub ends: Vec<u32>,
    /// Where only these answers may be given; with them `ends` has no say.
    pub choices: Option<Choices>,
    /// How many of the most probable tokens to name at each place.
    pub alternatives: usize,
}

/// A token that was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// The token.
    pub id: u32,
    /// The logarithm of its probability among the tokens that could have been written, at a temperature of 1 and without
    /// penalties.
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

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A token of the text.
    Token(Token),
    /// The end of the text; the next event is of the next one.
    End(Finish),
}

/// How far the texts of a request are written. A step computes one token, so that several requests can take turns.
pub(crate) struct Progress<B: Backend> {
    /// The logits behind the prompt, once it was read.
    first: Option<Vec<B::Real>>,
    /// The number of the text that is being written, and its tokens.
    text: usize,
    ids: Vec<u32>,
    random: Random,
    halted: bool,
}

impl<B: Backend> Progress<B> {
    /// Nothing is written yet.
    ///
    /// # Errors
    /// Settings out of range, or answers for which there is no room.
    pub(crate) fn new(generator: &Generator<'_, B>, request: &Request) -> Result<Self, GenerateError> {
        request.sampling.check()?;
        let room = |choices| generator.check_choices(request.prompt.len(), choices);
        request.choices.as_ref().map_or(Ok(()), room)?;
        let random = Random::of(&[request.sampling.seed, 0]);
        Ok(Self { first: None, text: 0, ids: Vec::new(), random, halted: false })
    }

    /// The number of a text and what comes next in it; nothing behind the last one.
    ///
    /// # Errors
    /// A prompt that cannot be read.
    pub(crate) fn next(
        &mut self,
        generator: &mut Generator<'_, B>,
        request: &Request,
    ) -> Result<Option<(usize, Event)>, GenerateError> {
        let text = self.text;
        if text == request.texts {
            return Ok(None);
        }
        let event = if self.halted { Event::End(Finish::Halted) } else { self.step(generator, request)? };
        match &event {
            Event::Token(token) => self.ids.push(token.id),
            Event::End(_) => {
                let random = Random::of(&[request.sampling.seed, text as u64 + 1]);
                *self = Self { first: self.first.take(), text: text + 1, ids: Vec::new(), random, halted: false };
            }
        }
        Ok(Some((text, event)))
    }

    /// Ends the text that is being written.
    pub(crate) fn halt(&mut self) {
        self.halted = true;
    }

    fn step(&mut self, generator: &mut Generator<'_, B>, request: &Request) -> Result<Event, GenerateError> {
        let allowed = match request.choices.as_ref().map(|choices| choices.next(&self.ids)) {
            Some(Next::Complete(_)) => return Ok(Event::End(Finish::Stop)),
            Some(Next::Tokens(allowed)) => Some(allowed),
            None => None,
        };
        let is_full = !self.ids.is_empty() && request.prompt.len() + self.ids.len() > generator.context();
        if self.ids.len() >= request.most || is_full {
            return Ok(Event::End(Finish::Length));
        }
        let possible = log_probabilities(self.logits(generator, request)?, allowed.as_deref());
        let chances = request.penalties.applied(&possible, &self.ids);
        let id = request.sampling.choose(&chances, &mut self.random);
        if request.choices.is_none() && request.ends.contains(&id) {
            return Ok(Event::End(Finish::Stop));
        }
        let log_probability = possible.iter().find(|entry| entry.0 == id).map_or(f64::NAN, |entry| entry.1);
        Ok(Event::Token(Token { id, log_probability, alternatives: most_probable(possible, request.alternatives) }))
    }

    /// The logits of what may follow. The prompt is read once for all texts.
    fn logits<'a>(
        &'a mut self,
        generator: &'a mut Generator<'_, B>,
        request: &Request,
    ) -> Result<&'a [B::Real], GenerateError> {
        if let Some(&last) = self.ids.last() {
            return generator.push(last);
        }
        if self.first.is_none() {
            self.first = Some(generator.read(&request.prompt)?.to_vec());
        }
        generator.rewind(request.prompt.len());
        Ok(self.first.as_deref().unwrap_or_default())
    }
}

impl<B: Backend> Generator<'_, B> {
    /// Writes texts after the prompt, which is read once. `listen` is told the number of the text and each token as it is
    /// written, and may end the text.
    ///
    /// # Errors
    /// A prompt that cannot be read, settings out of range, or answers for which there is no room.
    pub fn write(
        &mut self,
        request: &Request,
        mut listen: impl FnMut(usize, &Token) -> ControlFlow<()>,
    ) -> Result<Vec<Written>, GenerateError> {
        let mut progress = Progress::new(self, request)?;
        let (mut written, mut tokens) = (Vec::with_capacity(request.texts), Vec::new());
        while let Some((text, event)) = progress.next(self, request)? {
            match event {
                Event::Token(token) => {
                    if listen(text, &token).is_break() {
                        progress.halt();
                    }
                    tokens.push(token);
                }
                Event::End(finish) => written.push(Written { tokens: std::mem::take(&mut tokens), finish }),
            }
        }
        Ok(written)
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
