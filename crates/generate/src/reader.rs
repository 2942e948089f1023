//! Chats and texts as a language model reads them.

use std::collections::BTreeSet;
use std::path::Path;

use finetone_data::chat::template::{ChatTemplate, PLAIN, TemplateError};
use finetone_data::chat::{Message, Role};
use finetone_data::tokenizer::Tokenizer;
use finetone_model::ModelConfig;
use serde_json::Value;

use crate::choices::Choices;
use crate::error::{FolderError, GenerateError};

/// How a language model reads prompts and where its answers end. Nothing changes it, so that threads share it freely while the
/// model computes.
#[derive(Debug)]
pub struct PromptReader {
    tokenizer: Tokenizer,
    template: ChatTemplate,
    ends: Vec<u32>,
    answers: Option<Vec<String>>,
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
        let (tokens, rows) = (tokenizer.vocab_size(), config.vocab_size);
        if tokens > rows {
            return Err(FolderError::VocabularyMismatch { folder: folder.to_owned(), tokens, rows });
        }
        let noted = [generation_config(folder)?, Value::Object(config.raw.clone())];
        let noted = noted.iter().flat_map(|config| ids(&config["eos_token_id"]));
        let ends: BTreeSet<u32> = noted.chain(tokenizer.end_id()).collect();
        Ok(Self {
            ends: ends.into_iter().collect(),
            answers: noted_answers(config),
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
        Ok(Self { ends: Vec::new(), answers: None, context, vocabulary, tokenizer, template })
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
        self.answers.as_deref()
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

    /// The tokens after which the model answers these messages, and the words as it would write them there, with the token that
    /// ends an answer.
    ///
    /// # Errors
    /// Messages that the template refuses; words that the tokens cannot tell apart.
    pub fn closed(&self, messages: &[Message], words: &[String]) -> Result<(Vec<u32>, Choices), FolderError> {
        let asked = self.template.prompt(messages, None)?;
        let before = self.tokenizer.content_ids(&asked);
        let answer = |word: &String| {
            let answered = [messages, &[Message::new(Role::Assistant, word.as_str())]].concat();
            let whole = self.template.text(&answered, None)?;
            let ids = self.tokenizer.content_ids(&whole);
            let ids = match ids.strip_prefix(&before[..]) {
                Some(ids) => ids.to_vec(),
                // A template that writes the question in another way once it is answered, or a token across the border.
                None => self.tokenizer.content_ids(whole.strip_prefix(&asked).unwrap_or(word)),
            };
            Ok(self.ended(ids))
        };
        let answers = words.iter().map(answer).collect::<Result<Vec<_>, TemplateError>>()?;
        Ok((before, Choices::new(answers)?))
    }

    /// An answer up to the first token that ends it, which is there at all events where the model has one.
    fn ended(&self, mut ids: Vec<u32>) -> Vec<u32> {
        match ids.iter().position(|id| self.ends.contains(id)) {
            Some(end) => ids.truncate(end + 1),
            None => ids.extend(self.tokenizer.end_id().or(self.ends.first().copied())),
        }
        ids
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

/// What a configuration notes of the chats that the model was trained on.
fn noted_answers(config: &ModelConfig) -> Option<Vec<String>> {
    let answers = config.raw.get("finetone")?.get("chat")?.get("answers")?.as_array()?;
    let answers: Option<Vec<String>> = answers.iter().map(|answer| answer.as_str().map(str::to_owned)).collect();
    answers.filter(|answers| !answers.is_empty())
}
