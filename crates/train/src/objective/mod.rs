//! What a run learns to get right: the loss, its targets, and what a step shows of them.

mod classes;
mod judgement;
mod tokens;

use finetone_backend::{Loss, Real, Targets};
use finetone_model::PackedBatch;

use crate::material::Rows;

pub use classes::{ClassObjective, by_label};
pub use judgement::Judgement;
pub use tokens::{TokenObjective, ask, learnt_ids};

/// The loss of a run.
pub enum Objective {
    /// A class for each text, or several.
    Classes(ClassObjective),
    /// The next token, wherever one is to be learnt.
    Tokens(TokenObjective),
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

    /// How these logits, row-major, judge the texts that [`Self::of`] was last given.
    pub fn judge<R: Real>(&self, logits: &[R]) -> Judgement {
        match self {
            Self::Classes(objective) => objective.judge(logits),
            Self::Tokens(objective) => objective.judge(logits),
        }
    }
}
