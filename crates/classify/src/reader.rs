//! Rows as a model reads them.

use finetone_data::chat::Message;
use finetone_data::tokenizer::{Encoding, Keep, Tokenizer};
use finetone_data::{Example, Preparation};
use finetone_model::ModelConfig;
use rayon::prelude::*;

use crate::transformer::text_limit;
use crate::{ClassifyError, TextLimit, preparation};

/// How a model reads rows: what is done to each, its tokenizer, and where it cuts. Nothing changes it, so that threads share it
/// freely while the model computes.
#[derive(Debug)]
pub struct TextReader {
    preparation: Preparation,
    columns: Vec<String>,
    tokenizer: Tokenizer,
    limit: TextLimit,
}

/// A text as a model reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// Token ids, special tokens included: what the model computes on.
    pub ids: Vec<u32>,
    /// Numbers beside the text.
    pub features: Vec<f32>,
    /// Whether some of the text's tokens were left out.
    pub truncated: bool,
}

impl AsRef<[u32]> for Reading {
    fn as_ref(&self) -> &[u32] {
        &self.ids
    }
}

impl TextReader {
    /// Reads as the configuration says that the model was trained.
    ///
    /// # Errors
    /// A preparation that is not understood, or gives other numbers than the model reads.
    pub(crate) fn of(config: &ModelConfig, tokenizer: Tokenizer) -> Result<Self, ClassifyError> {
        let preparation = preparation(config)?;
        let (reads, gives) = (config.head.features, preparation.width());
        if reads != gives {
            let problem = format!("it gives {gives} numbers beside each text, and the model reads {reads}");
            return Err(ClassifyError::Preparation { problem });
        }
        let limit = text_limit(config, &tokenizer);
        Ok(Self { columns: preparation.columns(), preparation, tokenizer, limit })
    }

    /// Reads texts that need no preparation.
    pub fn plain(tokenizer: Tokenizer, limit: TextLimit) -> Self {
        Self { preparation: Preparation::default(), columns: Vec::new(), tokenizer, limit }
    }

    /// The text that the messages of a chat are for the model, before the preparation: by the rule that it was trained with, or
    /// else what the user said last. It may be empty.
    pub fn text_of(&self, messages: &[Message]) -> String {
        self.preparation.chat.unwrap_or_default().text(messages)
    }

    /// The columns that each example must bring besides its text, in the order of [`Example::columns`].
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How texts are cut.
    pub fn limit(&self) -> TextLimit {
        self.limit
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Reads examples, whose texts are as in a file, on all threads of the current `rayon` pool. Of a text that is too long
    /// `keep` says what is kept, or else what the model was trained on; where that is windows, they stay.
    pub fn read(&self, examples: &[Example], keep: Option<Keep>) -> Vec<Reading> {
        let limit = match (self.limit.keep, keep) {
            (Keep::Head | Keep::Tail | Keep::HeadTail, Some(keep)) => TextLimit { keep, ..self.limit },
            _ => self.limit,
        };
        let read = |example| {
            let prepared = self.preparation.prepare(example);
            Reading { features: prepared.features, ..self.encode(&prepared.text, &limit) }
        };
        match examples {
            // A pool of threads would only be in the way.
            [one] => vec![read(one)],
            many => many.par_iter().map(read).collect(),
        }
    }

    /// Reads texts that are prepared already.
    pub(crate) fn read_prepared(&self, texts: &[&str]) -> Vec<Reading> {
        texts.par_iter().map(|text| self.encode(text, &self.limit)).collect()
    }

    fn encode(&self, text: &str, limit: &TextLimit) -> Reading {
        let Encoding { ids, truncated } = self.tokenizer.encode(text, limit);
        Reading { ids, features: Vec::new(), truncated }
    }
}
