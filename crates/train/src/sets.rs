//! What a fit learns from and is measured on, as its model reads it.

use std::path::PathBuf;

use finetone_data::tokenizer::{Limit, Tokenizer};

use crate::chats::Reading;
use crate::error::TrainError;
use crate::material::{Rows, Texts};
use crate::run_config::RunConfig;

/// The rows of each set.
pub struct Sets {
    pub train: Rows,
    pub validation: Rows,
    pub test: Rows,
}

impl Sets {
    /// Of texts to judge.
    pub fn new(texts: &Texts, tokenizer: &Tokenizer, limit: &Limit) -> Self {
        let encode = |examples| Rows::encode(examples, &texts.preparation, tokenizer, limit);
        Self { train: encode(&texts.train), validation: encode(&texts.validation), test: encode(&texts.test) }
    }

    /// Of chats, as a language model learns them; those that are measured with their questions, where the answers are a closed
    /// set.
    ///
    /// # Errors
    /// A chat that cannot be learnt, or asked.
    pub fn of_chats(config: &RunConfig, texts: &Texts, reading: &Reading<'_>) -> Result<Self, TrainError> {
        let file = |of_set: &Option<PathBuf>| of_set.clone().unwrap_or_else(|| config.train.clone());
        let mut sets = Self {
            train: reading.rows(&texts.train, &config.train)?,
            validation: reading.rows(&texts.validation, &file(&config.validation))?,
            test: reading.rows(&texts.test, &file(&config.test))?,
        };
        if !texts.labels.is_empty() {
            let ask = |examples| reading.questions(examples, texts.labels.names());
            (sets.validation.questions, sets.test.questions) = (ask(&texts.validation)?, ask(&texts.test)?);
            if sets.validation.is_empty() && sets.test.is_empty() {
                sets.train.questions = ask(&texts.train)?;
            }
        }
        Ok(sets)
    }

    /// The rows of a set by its name, as [`Texts::set`] gives its examples.
    pub fn named(&self, name: &str) -> &Rows {
        match name {
            "test" => &self.test,
            "validation" => &self.validation,
            _ => &self.train,
        }
    }

    /// The sets to measure. The training texts say nothing about new ones; they are measured only where there is nothing
    /// else.
    pub fn measured(&self) -> Vec<(&'static str, &Rows)> {
        let held_out = [("test", &self.test), ("validation", &self.validation)];
        let held_out: Vec<_> = held_out.into_iter().filter(|(_, rows)| !rows.is_empty()).collect();
        if held_out.is_empty() { vec![("training", &self.train)] } else { held_out }
    }
}
