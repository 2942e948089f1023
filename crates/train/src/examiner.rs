//! What a model says about texts that are measured: by one forward pass over each, and of chats by a question for each as well.

use finetone_backend::Backend;
use finetone_classify::{Forward, probabilities, weigh};
use finetone_data::batching::micro_batches;
use finetone_model::{Capacity, Model, PackedBatch, Workspace};

use crate::error::TrainError;
use crate::material::Rows;
use crate::objective::{Judgement, ask, learnt_ids};

/// The memory to measure a model with.
pub enum Examiner<B: Backend> {
    /// Of a classifier.
    Classes(Forward<B>),
    /// Of a language model.
    Tokens(TokenForward<B>),
}

/// What a model said about some texts.
pub struct Said {
    /// Probabilities of the classes, or of the answers of a closed set, row-major `[n, C]`; none where answers are free.
    pub probabilities: Option<Vec<f32>>,
    /// Of a language model, what it thought of the tokens to learn.
    pub tokens: Option<Judgement>,
}

impl<B: Backend> Examiner<B> {
    /// Memory for these texts, in batches of `token_budget` tokens.
    pub fn new(backend: &B, model: &Model<B>, token_budget: usize, rows: &Rows) -> Self {
        match model.config.language {
            None => Self::Classes(Forward::for_texts(backend, model, token_budget, &rows.encoded())),
            Some(_) => Self::Tokens(TokenForward::new(backend, model, token_budget, rows)),
        }
    }

    /// In how many groups the last texts were computed.
    pub fn groups(&self) -> usize {
        match self {
            Self::Classes(forward) => forward.groups(),
            Self::Tokens(forward) => forward.groups.len(),
        }
    }

    /// What the model says about texts for which this memory was planned.
    ///
    /// # Errors
    /// A device that failed.
    pub fn examine(&mut self, backend: &B, model: &Model<B>, rows: &Rows) -> Result<Said, TrainError> {
        match self {
            Self::Classes(forward) => {
                let probabilities = probabilities(backend, model, forward, &rows.encoded());
                Ok(Said { probabilities: Some(probabilities), tokens: None })
            }
            Self::Tokens(forward) => {
                let tokens = Some(forward.judge(backend, model, rows));
                let closed = !rows.questions.is_empty();
                let probabilities = closed.then(|| weigh(backend, model, &rows.questions)).transpose()?;
                Ok(Said { probabilities, tokens })
            }
        }
    }
}

/// Forward passes of a language model over chats.
pub struct TokenForward<B: Backend> {
    workspace: Workspace<B>,
    batch: PackedBatch,
    logits: Vec<B::Real>,
    groups: Vec<Vec<usize>>,
}

impl<B: Backend> TokenForward<B> {
    fn new(backend: &B, model: &Model<B>, token_budget: usize, rows: &Rows) -> Self {
        let all: Vec<usize> = (0..rows.len()).collect();
        let groups = micro_batches(&all, &rows.costs(token_budget, model.config.logits()), token_budget);
        let answers: Vec<usize> = rows.answers().collect();
        let most = |of: &[usize]| groups.iter().map(|group| group.iter().map(|&i| of[i]).sum()).max().unwrap_or(1);
        let chats = groups.iter().map(Vec::len).max().unwrap_or(1);
        let capacity = Capacity::from((most(&rows.lengths), most(&answers).max(chats)));
        let workspace = Workspace::for_inference(backend, &model.config, capacity);
        Self { workspace, batch: PackedBatch::default(), logits: Vec::new(), groups }
    }

    fn judge(&mut self, backend: &B, model: &Model<B>, rows: &Rows) -> Judgement {
        let width = model.config.logits();
        let mut sum = Judgement::default();
        for group in &self.groups {
            rows.encoded().pack(group, model.config.position_offset, &mut self.batch);
            ask(rows, group, &mut self.batch);
            let pass = model.pass(backend, &self.batch, None);
            model.transformer.forward(&pass, &mut self.workspace);
            self.logits.resize(self.batch.answers() * width, B::Real::default());
            backend.read(&mut self.logits, self.workspace.logits(), 0..self.batch.answers() * width);
            let rows = self.logits.chunks_exact(width).zip(learnt_ids(rows, group));
            sum = sum + rows.map(|(row, id)| Judgement::of_class(row, id as usize)).sum();
        }
        sum
    }
}
