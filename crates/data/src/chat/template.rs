//! From a chat to the one text that a language model reads and goes on writing.
//!
//! A model folder brings its template, in the language of Jinja, as `chat_template.jinja` or in `tokenizer_config.json`; the
//! engine gives it what `transformers` gives it: the special tokens, `raise_exception`, `strftime_now`, `tojson` as Python
//! writes JSON, the methods of Python's texts, lists and dictionaries, and `{% generation %}`
//! (<https://huggingface.co/docs/transformers/chat_templating>). A folder without one gets [`PLAIN`].
//!
//! What a model learns of a chat is what the assistant says in it. Where a template does not mark that by `{% generation %}`,
//! it is found by writing the chat up to each answer and up to its end: what the second text has more is the answer.

mod closed;
mod engine;
mod spans;

use std::ops::Range;
use std::path::Path;

use jiff::civil::DateTime;
use minijinja::Environment;
use serde_json::Value as Json;

use super::message::{Chat, Message};
use crate::tokenizer::{Tokenizer, TokenizerError};
pub use closed::ClosedPrompt;
use spans::Marks;

/// The template of models that bring none: a line for each message, the assistant's ended by the end-of-text token. Of a model
/// without such a token the end of the line is learnt in its place.
pub const PLAIN: &str = "\
{{- bos_token -}}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- 'Assistant:' }}
        {%- generation %}{{ ' ' + message.content | trim }}{{ eos_token or '\\n' }}{% endgeneration %}
        {{- '\\n' if eos_token }}
    {%- else %}
        {{- message.role | capitalize + ': ' + message.content | trim + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- 'Assistant:' }}
{%- endif %}";

/// The name of the one template of a folder, and of the usual one among several.
const DEFAULT: &str = "default";
/// The name of the template for chats with tools, in a folder with several.
const TOOLS: &str = "tool_use";

/// What stops a chat from becoming a text.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The files of the tokenizer cannot be read or understood.
    #[error(transparent)]
    Folder(#[from] TokenizerError),
    /// The template is not in the language, or has no place for what it needs.
    #[error("the chat template cannot be read: {problem}")]
    Invalid {
        /// What the engine met.
        problem: String,
    },
    /// The template refuses the chat, or fails on it.
    #[error("the chat template refuses the chat: {problem}")]
    Refused {
        /// What it says.
        problem: String,
    },
    /// Where the answers are cannot be told from what the template writes.
    #[error("the chat template writes message {message} in another way when more follows it")]
    Unmarked {
        /// The message, counting from 1.
        message: usize,
    },
}

impl TemplateError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            TemplateError::Folder(error) => return error.hint(),
            TemplateError::Invalid { .. } => {
                "mend `chat_template` in `tokenizer_config.json`, or `chat_template.jinja`".to_owned()
            }
            TemplateError::Refused { .. } => {
                "bring the messages into the order that the model knows: mostly user and assistant by turns".to_owned()
            }
            TemplateError::Unmarked { .. } => {
                "set `{% generation %}` and `{% endgeneration %}` around the answers in the template, or train on chats with one \
                 answer"
                    .to_owned()
            }
        })
    }
}

/// How a model writes chats.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    /// The special tokens by the names they have in templates.
    specials: Vec<(String, String)>,
    is_plain: bool,
}

/// A chat as a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// All of it, special tokens included.
    pub text: String,
    /// The bytes of what is learnt, in order and apart from each other.
    pub trained: Vec<Range<usize>>,
}

/// A chat as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChat {
    /// The ids.
    pub ids: Vec<u32>,
    /// For each, whether it is learnt.
    pub trained: Vec<bool>,
}

impl ChatTemplate {
    /// The template of a model folder; [`PLAIN`] where it has none.
    ///
    /// # Errors
    /// Files that cannot be read, a template that is no template.
    pub fn from_folder(folder: &Path) -> Result<ChatTemplate, TemplateError> {
        let (sources, specials) = engine::read(folder)?;
        ChatTemplate::new(&sources, specials)
    }

    /// The template with this source and these special tokens (`bos_token`, `eos_token` …).
    ///
    /// # Errors
    /// A template that is no template.
    pub fn from_source(source: &str, specials: Vec<(String, String)>) -> Result<ChatTemplate, TemplateError> {
        ChatTemplate::new(&[(DEFAULT.to_owned(), source.to_owned())], specials)
    }

    /// [`PLAIN`] with these special tokens.
    ///
    /// # Errors
    /// None: it is a template.
    pub fn plain(specials: Vec<(String, String)>) -> Result<ChatTemplate, TemplateError> {
        ChatTemplate::new(&[], specials)
    }

    fn new(sources: &[(String, String)], specials: Vec<(String, String)>) -> Result<ChatTemplate, TemplateError> {
        let plain = [(DEFAULT.to_owned(), PLAIN.to_owned())];
        let (is_plain, sources) = if sources.is_empty() { (true, &plain[..]) } else { (false, sources) };
        let mut environment = engine::environment();
        for (name, source) in sources {
            let added = environment.add_template_owned(name.clone(), spans::with_marks(source));
            added.map_err(|error| TemplateError::Invalid { problem: engine::problem(&error) })?;
        }
        if environment.get_template(DEFAULT).is_err() {
            let problem = "there are several, and none is called `default`".to_owned();
            return Err(TemplateError::Invalid { problem });
        }
        Ok(ChatTemplate { environment, specials, is_plain })
    }

    /// Whether the model brought no template of its own.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// The same template for a day: `strftime_now`, which templates that name the day call, tells it. Without one there is no
    /// such function, and they name the day that they have built in, so that a chat is the same text on every day.
    pub fn on(mut self, now: DateTime) -> ChatTemplate {
        engine::set_clock(&mut self.environment, now);
        self
    }

    /// These messages as they are, answered or not.
    ///
    /// # Errors
    /// [`TemplateError::Refused`].
    pub fn text(&self, messages: &[Message], tools: Option<&Json>) -> Result<String, TemplateError> {
        self.write(messages, tools, false, &Marks::default())
    }

    /// The text after which a model answers these messages.
    ///
    /// # Errors
    /// [`TemplateError::Refused`].
    pub fn prompt(&self, messages: &[Message], tools: Option<&Json>) -> Result<String, TemplateError> {
        self.write(messages, tools, true, &Marks::default())
    }

    /// The whole chat, and what of it is learnt: the answers whose weight is not 0.
    ///
    /// Some templates write a question that waits for its answer with more words than one that has it (Mistral's: with the
    /// instructions). Where the last answer alone is learnt, the question is then written as it will be asked.
    ///
    /// # Errors
    /// [`TemplateError::Refused`]; [`TemplateError::Unmarked`] where an answer cannot be told from the rest.
    pub fn render(&self, chat: &Chat) -> Result<Rendered, TemplateError> {
        spans::render(self, chat)
    }

    /// The tokens of the whole chat, and which of them are learnt: those that have a letter of what is learnt.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn encode(&self, chat: &Chat, tokenizer: &Tokenizer) -> Result<EncodedChat, TemplateError> {
        let Rendered { text, trained } = self.render(chat)?;
        let (ids, places) = tokenizer.content_places(&text);
        let is_learnt = |place: &Range<usize>| {
            let last = place.end.max(place.start + 1);
            trained.iter().any(|span| place.start < span.end && span.start < last)
        };
        Ok(EncodedChat { ids, trained: places.iter().map(is_learnt).collect() })
    }

    /// Writes messages, with marks around the answers where the template sets them.
    fn write(
        &self,
        messages: &[Message],
        tools: Option<&Json>,
        add_generation_prompt: bool,
        marks: &Marks,
    ) -> Result<String, TemplateError> {
        let name = if tools.is_some() && self.environment.get_template(TOOLS).is_ok() { TOOLS } else { DEFAULT };
        let refused = |error: minijinja::Error| TemplateError::Refused { problem: engine::problem(&error) };
        let template = self.environment.get_template(name).map_err(refused)?;
        let context = engine::context(messages, tools, add_generation_prompt);
        let specials = self.specials.iter().map(|(name, token)| (name.clone(), token.as_str().into()));
        template.render(minijinja::Value::from_pairs(context.chain(specials).chain(marks.values()))).map_err(refused)
    }
}
