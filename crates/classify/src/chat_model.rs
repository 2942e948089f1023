//! A language model that answers chats with one of a closed set of answers, as a classifier.
//!
//! The probability of an answer is the product of the probabilities of its tokens, as a share of the sum over all answers: what
//! the model would write if it could write nothing else.

use std::path::Path;

use finetone_backend::Backend;
use finetone_data::Example;
use finetone_data::chat::Message;
use finetone_data::chat::template::{ChatTemplate, ClosedPrompt};
use finetone_data::tokenizer::Tokenizer;
use finetone_generate::{ChatNote, Choices, Generator};
use finetone_model::Model;
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use serde_json::Value;

use crate::transformer::text_limit;
use crate::{Classified, Classifier, ClassifyError};

/// How a language model is asked.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// How it reads chats.
    pub template: &'a ChatTemplate,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The answers that it may give.
    pub answers: &'a [String],
    /// The most tokens of a question and its answer.
    pub max_tokens: usize,
}

/// A question with its possible answers, as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    prompt: Vec<u32>,
    choices: Choices,
    /// Whether it was too long, so that its beginning was left out.
    pub truncated: bool,
}

impl Asking<'_> {
    /// The question that messages ask.
    ///
    /// # Errors
    /// Messages that the template refuses; answers that cannot be told apart, because one is the beginning of another.
    pub fn question(&self, messages: &[Message], tools: Option<&Value>) -> Result<Question, ClassifyError> {
        let ClosedPrompt { mut prompt, answers } =
            self.template.encode_closed(messages, tools, self.answers, self.tokenizer)?;
        let longest = answers.iter().map(Vec::len).max().unwrap_or(0);
        let room = self.max_tokens.saturating_sub(longest).max(1);
        let excess = prompt.len().saturating_sub(room);
        prompt.drain(..excess);
        Ok(Question { prompt, choices: Choices::new(answers)?, truncated: excess > 0 })
    }
}

impl Question {
    /// Tokens of the question and its longest answer.
    fn tokens(&self) -> usize {
        self.prompt.len() + self.choices.answers().iter().map(Vec::len).max().unwrap_or(0)
    }
}

/// The probabilities of the answers to each question, row-major `[n, C]`.
///
/// # Errors
/// A model without the head of a language model, a question for which it has no room, a device that failed.
pub fn weigh<B: Backend>(backend: &B, model: &Model<B>, questions: &[Question]) -> Result<Vec<f32>, ClassifyError> {
    let room = questions.iter().map(Question::tokens).max().unwrap_or(1);
    let mut generator = Generator::new(backend, model, room)?;
    let mut all = Vec::new();
    for question in questions {
        let probabilities = generator.weigh(&question.prompt, &question.choices)?;
        all.extend(probabilities.into_iter().map(|p| p as f32));
    }
    backend.synchronize()?;
    Ok(all)
}

/// A finished language model with a closed set of answers.
pub struct ChatClassifier<B: Backend> {
    backend: B,
    model: Model<B>,
    template: ChatTemplate,
    tokenizer: Tokenizer,
    note: ChatNote,
    max_tokens: usize,
}

impl<B: Backend> ChatClassifier<B> {
    /// Opens a folder that holds a language model which was trained on chats.
    ///
    /// # Errors
    /// A folder that lacks files, or whose parts do not fit together; a model without a closed set of answers.
    pub fn open(backend: B, folder: &Path) -> Result<Self, ClassifyError> {
        let source = ModelFolder::open(folder)?;
        let mut config = source.config().clone();
        let note = ChatNote::of(&config)?.unwrap_or_default();
        if note.answers.is_empty() {
            return Err(ClassifyError::FreeAnswers { folder: folder.to_owned() });
        }
        config.set_language_head()?;
        let (template, tokenizer) = (ChatTemplate::from_folder(folder)?, Tokenizer::from_folder(folder)?);
        config.check_vocabulary(folder, tokenizer.vocab_size())?;
        let max_tokens = text_limit(&config, &tokenizer).max_tokens;
        let (model, _) = source.load(&backend, config, HeadImport::Required)?;
        Ok(Self { backend, model, template, tokenizer, note, max_tokens })
    }

    fn question(&self, example: &Example) -> Result<Question, ClassifyError> {
        let Self { template, tokenizer, max_tokens, .. } = self;
        let asking = Asking { template, tokenizer, answers: &self.note.answers, max_tokens: *max_tokens };
        match &example.chat {
            Some(chat) => asking.question(chat.prompt(), chat.tools.as_ref()),
            None => asking.question(&self.note.messages(&example.text), None),
        }
    }
}

impl<B: Backend> Classifier for ChatClassifier<B> {
    fn labels(&self) -> &[String] {
        &self.note.answers
    }

    fn is_multi_label(&self) -> bool {
        false
    }

    fn reads_chats(&self) -> bool {
        true
    }

    fn classify(&mut self, examples: &[Example]) -> Result<Classified, ClassifyError> {
        let questions = examples.iter().map(|example| self.question(example));
        let questions = questions.collect::<Result<Vec<_>, _>>()?;
        let truncated = questions.iter().filter(|question| question.truncated).count();
        Ok(Classified {
            probabilities: weigh(&self.backend, &self.model, &questions)?,
            truncated,
            ..Classified::default()
        })
    }
}
