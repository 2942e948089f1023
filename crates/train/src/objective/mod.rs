//! What a run learns to get right: the loss, its targets, and what a step shows of them.

mod classes;
mod tokens;

use finetone_backend::{Loss, Real, Targets};
use finetone_model::PackedBatch;

use crate::material::Rows;

pub use classes::{ClassObjective, by_label};
pub use tokens::{TokenObjective, TokenScores, ask, learnt_ids, score};

/// The loss of a run.
pub enum Objective {
    /// A class for each text, or several.
    Classes(ClassObjective),
    /// The next token, wherever one is to be learnt.
    Tokens(TokenObjective),
}

/// What a group of texts showed, or a batch of groups.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tally {
    /// Sum of the losses.
    pub loss: f64,
    /// How many texts have their likeliest class; none where a text may have several, or has tokens to learn.
    pub right: Option<usize>,
    /// What was thought of the tokens to learn; none where there are classes.
    pub tokens: Option<TokenScores>,
}

impl Tally {
    /// Both together.
    pub fn with(self, other: Self) -> Self {
        let of_tokens = |(a, b): (TokenScores, TokenScores)| a.with(b);
        Self {
            loss: self.loss + other.loss,
            right: self.right.zip(other.right).map(|(a, b)| a + b),
            tokens: self.tokens.zip(other.tokens).map(of_tokens),
        }
    }
}

impl Objective {
    /// The objective of a classifier, where it is one.
    pub fn of_classes(&self) -> Option<&ClassObjective> {
        match self {
            Self::Classes(objective) => Some(objective),
            Self::Tokens(_) => None,
        }
    }

    /// What the losses of these texts are divided by to give their mean.
    pub fn weight(&self, rows: &Rows, batch: &[usize]) -> f64 {
        match self {
            Self::Classes(objective) => objective.weight(batch.iter().map(|&i| &rows.targets[i])),
            Self::Tokens(_) => batch.iter().map(|&i| rows.learnt[i].len()).sum::<usize>() as f64,
        }
    }

    /// Asks the packed batch of these texts for the logits that the loss looks at.
    pub fn ask(&self, rows: &Rows, group: &[usize], batch: &mut PackedBatch) {
        if let Self::Tokens(_) = self {
            ask(rows, group, batch);
        }
    }

    /// Loss and targets of a group of texts within a batch of this total weight.
    pub fn of(&mut self, rows: &Rows, group: &[usize], weight: f64) -> (&Loss, Targets<'_>) {
        match self {
            Self::Classes(objective) => objective.of(group.iter().map(|&i| &rows.targets[i]), weight),
            Self::Tokens(objective) => objective.of(rows, group, weight),
        }
    }

    /// What these losses and logits, row-major, show of the texts that [`Self::of`] was last given.
    pub fn tally<R: Real>(&self, losses: &[R], logits: &[R]) -> Tally {
        let loss = losses.iter().map(|&loss| Real::to_f64(loss)).sum();
        match self {
            Self::Classes(objective) => Tally { loss, right: objective.right(logits), tokens: None },
            Self::Tokens(objective) => Tally { loss, right: None, tokens: Some(objective.scores(logits)) },
        }
    }
}
