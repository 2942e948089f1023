//! A sequence and what the model has computed for it.

use finetone_backend::{Backend, Real};
use finetone_model::{Model, PackedBatch, Workspace};

use crate::choices::Choices;
use crate::error::GenerateError;

/// A language model in the middle of a sequence.
pub struct Generator<'m, B: Backend> {
    backend: &'m B,
    model: &'m Model<B>,
    workspace: Workspace<B>,
    batch: PackedBatch,
    /// Tokens whose keys and values the workspace holds.
    tokens: usize,
    logits: Vec<B::Real>,
}

impl<'m, B: Backend> Generator<'m, B> {
    /// Memory for sequences of at most `context` tokens, and no more than the model can read.
    ///
    /// # Errors
    /// A model without the head of a language model.
    pub fn new(backend: &'m B, model: &'m Model<B>, context: usize) -> Result<Self, GenerateError> {
        if model.config.language.is_none() {
            return Err(GenerateError::NoLanguageHead);
        }
        let workspace = Workspace::for_generation(backend, &model.config, context.clamp(1, model.config.max_tokens()));
        let logits = vec![B::Real::default(); model.config.vocab_size];
        Ok(Self { backend, model, workspace, batch: PackedBatch::default(), tokens: 0, logits })
    }

    /// The most tokens that a sequence may have.
    pub fn context(&self) -> usize {
        self.workspace.max_tokens()
    }

    /// Tokens of the sequence so far.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Begins a sequence with a prompt; returns a logit for each token that may follow it.
    ///
    /// # Errors
    /// A prompt without tokens, with more than there is room for, or with one that the model does not know.
    pub fn read(&mut self, prompt: &[u32]) -> Result<&[B::Real], GenerateError> {
        let last = prompt.len().checked_sub(1).ok_or(GenerateError::EmptyPrompt)?;
        self.check(prompt, prompt.len())?;
        self.batch.repack([prompt], self.model.config.position_offset);
        self.batch.ask([last as u32]);
        Ok(self.run(prompt.len()))
    }

    /// Continues the sequence by a token; returns a logit for each that may follow it.
    ///
    /// # Errors
    /// No sequence to continue, no more room, or a token that the model does not know.
    pub fn push(&mut self, id: u32) -> Result<&[B::Real], GenerateError> {
        if self.tokens == 0 {
            return Err(GenerateError::EmptyPrompt);
        }
        self.check(&[id], self.tokens + 1)?;
        self.batch.repack_next(id, self.tokens, self.model.config.position_offset);
        Ok(self.run(self.tokens + 1))
    }

    /// Goes back to the first tokens of the sequence; the next one follows these.
    ///
    /// # Panics
    /// When the sequence has fewer.
    pub fn rewind(&mut self, tokens: usize) {
        assert!(tokens <= self.tokens, "a sequence of {} tokens cannot go back to {tokens}", self.tokens);
        self.tokens = tokens;
    }

    /// Whether there is room for the answers behind a prompt of so many tokens, and the model knows their tokens. Nothing
    /// needs to be computed behind the last token of an answer, so that one may lie where there is no more room.
    pub(crate) fn check_choices(&self, prompt: usize, choices: &Choices) -> Result<(), GenerateError> {
        choices.answers().iter().try_for_each(|answer| self.check(answer, prompt + answer.len() - 1))
    }

    fn check(&self, ids: &[u32], tokens: usize) -> Result<(), GenerateError> {
        let vocabulary = self.model.config.vocab_size;
        if tokens > self.context() {
            return Err(GenerateError::TooLong { tokens, context: self.context() });
        }
        match ids.iter().find(|&&id| id as usize >= vocabulary) {
            Some(&id) => Err(GenerateError::UnknownToken { id, vocabulary }),
            None => Ok(()),
        }
    }

    fn run(&mut self, tokens: usize) -> &[B::Real] {
        let pass = self.model.pass(self.backend, &self.batch, None);
        self.model.transformer.forward(&pass, &mut self.workspace);
        self.backend.read(&mut self.logits, self.workspace.logits(), 0..self.model.config.vocab_size);
        self.tokens = tokens;
        &self.logits
    }
}

/// Logits as the logarithms of probabilities, over all tokens or over those that are allowed.
pub(crate) fn log_probabilities<R: Real>(logits: &[R], allowed: Option<&[u32]>) -> Vec<(u32, f64)> {
    let value = |id: u32| (id, logits[id as usize].to_f64());
    let mut all: Vec<(u32, f64)> = match allowed {
        Some(ids) => ids.iter().map(|&id| value(id)).collect(),
        None => (0..logits.len() as u32).map(value).collect(),
    };
    let greatest = all.iter().map(|entry| entry.1).fold(f64::NEG_INFINITY, f64::max);
    let log_sum = greatest + all.iter().map(|entry| (entry.1 - greatest).exp()).sum::<f64>().ln();
    all.iter_mut().for_each(|entry| entry.1 -= log_sum);
    all
}
