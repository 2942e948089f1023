//! Chats and texts as a language model reads them.

use std::collections::BTreeSet;
use std::path::Path;

use finetone_data::chat::template::{ChatTemplate, ClosedPrompt, PLAIN, TemplateError};
use finetone_data::chat::{Message, Role};
use finetone_data::tokenizer::Tokenizer;
use finetone_model::ModelConfig;
use serde_json::Value;

use crate::chat_note::ChatNote;
use crate::choices::Choices;
use crate::error::{FolderError, GenerateError};

/// How a language model reads prompts and where its answers end. Nothing changes it, so that threads share it freely while the
/// model computes.
#[derive(Debug)]
pub struct PromptReader {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    ends: Vec<u32>,
    note: ChatNote,
    context: usize,
    vocabulary: usize,
}

impl PromptReader {
    /// Reads as the folder says.
    ///
    /// # Errors
    /// A tokenizer that belongs to another model, or settings of generation that are no JSON.
    pub(crate) fn new(
        config: &ModelConfig,
        folder: &Path,
        tokenizer: Tokenizer,
        template: ChatTemplate,
    ) -> Result<Self, FolderError> {
        config.check_vocabulary(folder, tokenizer.vocab_size())?;
        let noted = [generation_config(folder)?, Value::Object(config.raw.clone())];
        let noted = noted.iter().flat_map(|config| ids(&config["eos_token_id"]));
        let ends: BTreeSet<u32> = noted.chain(tokenizer.end_id()).collect();
        Ok(Self {
            ends: ends.into_iter().collect(),
            note: ChatNote::of(config)?.unwrap_or_default(),
            context: config.max_tokens(),
            vocabulary: config.vocab_size,
            tokenizer,
            template,
        })
    }

    /// Reads for a model of so many tokens that has no settings of its own, and no token that ends an answer.
    ///
    /// # Errors
    /// None but that of a bug.
    pub fn plain(tokenizer: Tokenizer, context: usize) -> Result<Self, FolderError> {
        let template = ChatTemplate::from_source(PLAIN, Vec::new())?;
        let vocabulary = tokenizer.vocab_size();
        Ok(Self { ends: Vec::new(), note: ChatNote::default(), context, vocabulary, tokenizer, template })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Tokens that end an answer.
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// Whether an answer ends with its line: that of a model without a template or token of its own for that.
    pub fn ends_with_the_line(&self) -> bool {
        self.ends.is_empty() && self.template.is_plain()
    }

    /// The only answers that the model was taught to give, where these are few.
    pub fn answers(&self) -> Option<&[String]> {
        Some(&self.note.answers[..]).filter(|answers| !answers.is_empty())
    }

    /// A text alone as the messages of a chat like those that the model was trained on.
    pub fn messages(&self, text: &str) -> Vec<Message> {
        let instructions = self.note.instructions.iter().map(|said| Message::new(Role::System, said.as_str()));
        instructions.chain([Message::new(Role::User, text)]).collect()
    }

    /// The most tokens that a prompt and what follows it may have.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Whether the model has a prompt's tokens, and room for one more.
    ///
    /// # Errors
    /// None, too many, or one that the model does not know.
    pub fn check(&self, prompt: &[u32]) -> Result<(), GenerateError> {
        match prompt.iter().find(|&&id| id as usize >= self.vocabulary) {
            Some(&id) => Err(GenerateError::UnknownToken { id, vocabulary: self.vocabulary }),
            None if prompt.is_empty() => Err(GenerateError::EmptyPrompt),
            None if prompt.len() > self.context => {
                Err(GenerateError::TooLong { tokens: prompt.len(), context: self.context })
            }
            None => Ok(()),
        }
    }

    /// The tokens after which the model answers these messages.
    ///
    /// # Errors
    /// Messages that the model's template refuses.
    pub fn chat(&self, messages: &[Message]) -> Result<Vec<u32>, TemplateError> {
        Ok(self.tokenizer.content_ids(&self.template.prompt(messages, None)?))
    }

    /// The tokens of a text that is to be continued.
    pub fn text(&self, text: &str) -> Vec<u32> {
        self.tokenizer.beginning_ids(text)
    }

    /// The tokens after which the model answers these messages, and the words as it would write them there, to their end.
    ///
    /// # Errors
    /// Messages that the template refuses; words that the tokens cannot tell apart.
    pub fn closed(&self, messages: &[Message], words: &[String]) -> Result<(Vec<u32>, Choices), FolderError> {
        let ClosedPrompt { prompt, answers } = self.template.encode_closed(messages, None, words, &self.tokenizer)?;
        Ok((prompt, Choices::new(answers)?))
    }
}

/// The file that says how the model generates; nothing where there is none.
fn generation_config(folder: &Path) -> Result<Value, FolderError> {
    let path = folder.join("generation_config.json");
    match std::fs::read(&path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| FolderError::Settings { path, problem: error.to_string() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(error) => Err(FolderError::Settings { path, problem: error.to_string() }),
    }
}

/// A token, or several.
fn ids(value: &Value) -> Vec<u32> {
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    match value {
        Value::Array(values) => values.iter().filter_map(id).collect(),
        one => id(one).into_iter().collect(),
    }
}
