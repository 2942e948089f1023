//! What of a written chat the assistant says.

use std::ops::Range;
use std::sync::LazyLock;

use minijinja::Value;
use regex::Regex;
use serde_json::json;

use super::super::message::{Chat, Message, Role};
use super::{ChatTemplate, Rendered, TemplateError};

/// The tags around what a model writes, with their signs for white space.
static TAG: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").expect("the pattern is valid"));

/// The variables that write the marks.
const BEGIN: &str = "finetone_generation_begins";
const END: &str = "finetone_generation_ends";

/// The template with marks in place of the tags, which the engine does not know. They stand between two tags that it knows,
/// so that it treats the white space around them as that around the tags.
pub(super) fn with_marks(source: &str) -> String {
    let mark = |tag: &regex::Captures<'_>| {
        let name = if tag.get(2).is_some() { END } else { BEGIN };
        format!("{{%{}if true %}}{{{{ {name} }}}}{{% endif {}%}}", &tag[1], &tag[3])
    };
    TAG.replace_all(source, mark).into_owned()
}

/// Letters that mark where an answer begins and ends; none, for a text without marks.
#[derive(Default)]
pub(super) struct Marks(Option<[char; 2]>);

impl Marks {
    /// Two letters that are in no message: of the 32 which Unicode keeps free for such a use.
    fn absent_from(chat: &Chat) -> Option<Marks> {
        let text = json!({ "messages": chat.messages, "tools": chat.tools }).to_string();
        let mut free = ('\u{FDD0}'..='\u{FDEF}').filter(|&letter| !text.contains(letter));
        Some(Marks(Some([free.next()?, free.next()?])))
    }

    /// What the template writes for them.
    pub fn values(&self) -> impl Iterator<Item = (String, Value)> + use<> {
        let marks = self.0.map(|marks| marks.map(String::from)).unwrap_or_default();
        [BEGIN, END].into_iter().zip(marks).map(|(name, mark)| (name.to_owned(), Value::from(mark)))
    }

    /// The text without marks, and what was between each pair of them.
    fn take_from(&self, marked: &str) -> (String, Vec<Range<usize>>) {
        let Some([begin, end]) = self.0 else { return (marked.to_owned(), Vec::new()) };
        let (mut text, mut spans, mut open) = (String::with_capacity(marked.len()), Vec::new(), None);
        for letter in marked.chars() {
            match letter {
                _ if letter == begin => open = Some(text.len()),
                _ if letter == end => spans.extend(open.take().map(|start| start..text.len())),
                _ => text.push(letter),
            }
        }
        (text, spans)
    }
}

/// Writes a chat and finds its answers.
pub(super) fn render(template: &ChatTemplate, chat: &Chat) -> Result<Rendered, TemplateError> {
    let marks = Marks::absent_from(chat).unwrap_or_default();
    let (text, spans) = marks.take_from(&template.write(&chat.messages, chat.tools.as_ref(), false, &marks)?);
    let answers: Vec<&Message> = chat.messages.iter().filter(|message| message.role == Role::Assistant).collect();
    // Marks say what is an answer where there is a pair of them for each; otherwise the texts have to be compared.
    let mut rendered = match spans.len() == answers.len() {
        true => {
            let trained = spans.into_iter().zip(answers).filter(|(_, answer)| answer.trained);
            Rendered { trained: trained.map(|(span, _)| span).collect(), text }
        }
        false => by_comparison(template, chat, text)?,
    };
    rendered.trained.retain(|span| !span.is_empty());
    Ok(rendered)
}

/// Finds the answers by what the chat up to each has less than the chat to its end.
fn by_comparison(template: &ChatTemplate, chat: &Chat, text: String) -> Result<Rendered, TemplateError> {
    let (messages, tools) = (&chat.messages, chat.tools.as_ref());
    let mut trained = Vec::new();
    for (place, message) in messages.iter().enumerate().filter(|(_, message)| message.trained) {
        let before = template.prompt(&messages[..place], tools)?;
        let to_its_end = template.text(&messages[..=place], tools)?;
        match to_its_end.strip_prefix(&before).filter(|_| text.starts_with(&to_its_end)) {
            Some(answer) => trained.push(before.len()..before.len() + ended(answer, message)),
            None => {
                let is_only = place + 1 == messages.len() && trained.is_empty();
                let joined = is_only.then(|| joined(before, &to_its_end, message)).flatten();
                return joined.ok_or(TemplateError::Unmarked { message: place + 1 });
            }
        }
    }
    Ok(Rendered { text, trained })
}

/// How long an answer is. White space behind the token that ends it is not part of it; without such a token, it is what ends
/// the answer.
fn ended(answer: &str, message: &Message) -> usize {
    let ended = answer.trim_end();
    if ended.ends_with(message.content.trim_end()) { answer.len() } else { ended.len() }
}

/// The question as it waits for its answer, and behind it the answer of the whole chat. `None` where the two texts do not end
/// the question with the same word.
fn joined(before: String, whole: &str, message: &Message) -> Option<Rendered> {
    let content = Some(message.content.trim()).filter(|content| !content.is_empty())?;
    let at = whole.rfind(content)?;
    let (question, asked) = (whole[..at].trim_end(), before.trim_end());
    if question.split_whitespace().last() != asked.split_whitespace().last() {
        return None;
    }
    let gap = whole[question.len()..at].strip_prefix(&before[asked.len()..]).unwrap_or_default();
    let answer = format!("{gap}{}", &whole[at..]);
    let trained = before.len()..before.len() + ended(&answer, message);
    Some(Rendered { text: before + &answer, trained: vec![trained] })
}
