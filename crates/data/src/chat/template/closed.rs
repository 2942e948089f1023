//! A question with a closed set of answers, as tokens.

use serde_json::Value as Json;

use super::super::message::{Chat, Message, Role};
use super::{ChatTemplate, EncodedChat, TemplateError};
use crate::tokenizer::Tokenizer;

/// What a language model reads before it answers, and the answers that it may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedPrompt {
    /// The tokens that all the answers follow.
    pub prompt: Vec<u32>,
    /// The tokens of each answer behind them, to the end that is learnt with it.
    pub answers: Vec<Vec<u32>>,
}

impl ChatTemplate {
    /// The tokens of messages that wait for an answer, and of each of `answers`: exactly those that a chat with that answer is
    /// learnt as.
    ///
    /// # Errors
    /// As [`ChatTemplate::render`].
    pub fn encode_closed(
        &self,
        messages: &[Message],
        tools: Option<&Json>,
        answers: &[String],
        tokenizer: &Tokenizer,
    ) -> Result<ClosedPrompt, TemplateError> {
        let asked = messages.iter().map(|message| Message { trained: false, ..message.clone() });
        let asked: Vec<Message> = asked.collect();
        let answered = answers.iter().map(|answer| {
            let answer = Message::new(Role::Assistant, answer.as_str());
            let messages = asked.iter().cloned().chain([answer]).collect();
            self.encode(&Chat { messages, tools: tools.cloned() }, tokenizer)
        });
        let answered = answered.collect::<Result<Vec<EncodedChat>, _>>()?;
        // A token may have letters of the question and of the answer, and then differs between them.
        let prompt = answered.iter().map(|chat| shared(chat, &answered[0])).min().unwrap_or(0);
        let ended =
            |chat: &EncodedChat| chat.trained.iter().rposition(|&trained| trained).map_or(prompt, |last| last + 1);
        Ok(ClosedPrompt {
            prompt: answered.first().map(|chat| chat.ids[..prompt].to_vec()).unwrap_or_default(),
            answers: answered.iter().map(|chat| chat.ids[prompt..ended(chat).max(prompt)].to_vec()).collect(),
        })
    }
}

/// Tokens before the answer that a chat has in common with another.
fn shared(chat: &EncodedChat, other: &EncodedChat) -> usize {
    let before = chat.trained.iter().take_while(|&&trained| !trained).count();
    chat.ids.iter().zip(&other.ids).take(before).take_while(|(a, b)| a == b).count()
}
