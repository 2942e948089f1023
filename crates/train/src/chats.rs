//! Chats as a language model learns them: tokens, which of them are learnt, and what the chats have in common.

use std::path::Path;

use finetone_classify::{Asking, ClassifyError, Question};
use finetone_data::chat::template::{ChatTemplate, EncodedChat};
use finetone_data::tokenizer::{Keep, Limit, Tokenizer};
use finetone_data::{Example, LabelSet};
use finetone_generate::ChatNote;

use crate::error::TrainError;
use crate::events::{Listener, TrainEvent};
use crate::material::{Rows, Texts};
use crate::run_config::RunConfig;

/// The most tokens of a chat unless the settings say otherwise; the model may read fewer.
const USUAL_TOKENS: usize = 4096;

/// The most logits that are computed at a time where chats can be kept apart: 64 MiB of numbers.
const MOST_LOGITS: usize = 1 << 24;

/// How chats are read and asked.
#[derive(Clone, Copy)]
pub struct Reading<'a> {
    pub template: &'a ChatTemplate,
    pub tokenizer: &'a Tokenizer,
    pub limit: Limit,
}

/// How long a chat may be. Of a longer one the end is kept, where its answer is.
pub fn limit(config: &RunConfig, tokenizer: &Tokenizer, model_max: usize) -> Limit {
    let usual = tokenizer.max_tokens_hint().unwrap_or(model_max).min(USUAL_TOKENS);
    Limit { max_tokens: config.max_tokens.unwrap_or(usual).min(model_max), keep: Keep::Tail }
}

impl Reading<'_> {
    /// The chats of examples from `file`, all of which have one.
    ///
    /// # Errors
    /// A chat that the template refuses, or of which the limit leaves nothing to learn.
    pub fn rows(&self, examples: &[Example], file: &Path) -> Result<Rows, TrainError> {
        let mut rows = Rows::empty(self.limit);
        for example in examples {
            let Some(chat) = &example.chat else { continue };
            let at =
                |problem: String, hint| TrainError::Chat { path: file.to_owned(), line: example.line, problem, hint };
            let EncodedChat { mut ids, trained } =
                self.template.encode(chat, self.tokenizer).map_err(|error| at(error.to_string(), error.hint()))?;
            let cut = ids.len().saturating_sub(self.limit.max_tokens);
            ids.drain(..cut);
            // Nothing stands before the first token from which it could be foretold.
            let learnt: Vec<u32> =
                (1..ids.len()).filter(|place| trained[cut + place]).map(|place| place as u32).collect();
            if learnt.is_empty() {
                let problem = format!("the last {} tokens of the chat hold nothing to learn", self.limit.max_tokens);
                return Err(at(
                    problem,
                    Some("raise `max_tokens`, or end the chat with the assistant's answer".into()),
                ));
            }
            rows.truncated += usize::from(cut > 0);
            rows.lengths.push(ids.len());
            rows.ids.push(ids);
            rows.learnt.push(learnt);
            rows.lines.push(example.line);
            rows.targets.extend(example.target.clone());
        }
        Ok(rows)
    }

    /// What each chat asks, with the answers that it may be given.
    ///
    /// # Errors
    /// Answers that cannot be told apart as tokens.
    pub fn questions(&self, examples: &[Example], answers: &[String]) -> Result<Vec<Question>, TrainError> {
        let Self { template, tokenizer, limit } = *self;
        let asking = Asking { template, tokenizer, answers, max_tokens: limit.max_tokens };
        let chats = examples.iter().filter_map(|example| example.chat.as_ref());
        let questions = chats.map(|chat| asking.question(chat.prompt(), chat.tools.as_ref()));
        Ok(questions.collect::<Result<_, ClassifyError>>()?)
    }
}

/// Leaves the labels only if every chat is answered with one of at least two: what is said about answers must be about all.
///
/// # Errors
/// A file to measure on that holds no chats.
pub fn settle_labels(texts: &mut Texts, listener: &mut dyn Listener) -> Result<(), TrainError> {
    let mut sets = [&mut texts.train, &mut texts.validation, &mut texts.test];
    if sets.iter().any(|set| set.iter().any(|example| example.chat.is_none())) {
        return Err(TrainError::Setting {
            problem: "the model learns to answer chats, and a file to measure it on holds none".into(),
            hint:
                "give files of chats as `--test` and `--validation` too, or train a classifier by `--set task=classify`"
                    .into(),
        });
    }
    let is_closed = texts.labels.len() > 1 && sets.iter().all(|set| set.iter().all(|example| example.target.is_some()));
    let message = if is_closed {
        format!("the answers are a closed set, on which the model is measured: {}", texts.labels.listing())
    } else {
        texts.labels = LabelSet::default();
        sets.iter_mut().flat_map(|set| set.iter_mut()).for_each(|example| example.target = None);
        "the answers are no closed set: the model is measured by the loss and the accuracy of its tokens".to_owned()
    };
    listener.on(&TrainEvent::Notice { message });
    Ok(())
}

/// What the training chats have in common, for the model's configuration.
pub fn note(texts: &Texts) -> ChatNote {
    let instructions = |example: &Example| {
        let first = example.chat.as_ref()?.messages.first().filter(|message| message.role.instructs())?;
        Some(first.content.clone())
    };
    let first = texts.train.first().and_then(instructions);
    let in_common =
        first.filter(|first| texts.train.iter().all(|example| instructions(example).as_ref() == Some(first)));
    ChatNote { answers: texts.labels.names().to_vec(), instructions: in_common }
}

/// What the chats are as texts, to train a tokenizer on: all that is said, and the words of the template.
///
/// # Errors
/// A chat that the template refuses.
pub fn texts_of(texts: &Texts, template: &ChatTemplate, file: &Path) -> Result<Vec<String>, TrainError> {
    let written = texts.train.iter().filter_map(|example| {
        let chat = example.chat.as_ref()?;
        Some(template.text(&chat.messages, chat.tools.as_ref()).map_err(|error| TrainError::Chat {
            path: file.to_owned(),
            line: example.line,
            problem: error.to_string(),
            hint: error.hint(),
        }))
    });
    written.collect()
}

/// The most tokens to learn that are computed together, with logits over a vocabulary of this size.
pub fn most_learnt(vocabulary: usize) -> usize {
    (MOST_LOGITS / vocabulary).max(1)
}
