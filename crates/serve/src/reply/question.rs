//! What is asked of a model.

use finetone_data::chat::{Message, Role};
use serde_json::json;

use crate::engine::OpenModel;
use crate::error::ApiError;
use crate::http::invalid_type;

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// The answer to these messages.
    Chat(Vec<Message>),
    /// What follows a text; of a model that judges, or that was taught a few answers, its answer to it.
    Text(String),
    /// What follows these tokens. An error calls them by the name of the field.
    Tokens(Vec<u32>, String),
}

impl Question {
    /// The messages that it is, or that it amounts to.
    ///
    /// # Errors
    /// Token numbers.
    pub fn messages(&self) -> Result<Vec<Message>, ApiError> {
        match self {
            Self::Chat(messages) => Ok(messages.clone()),
            Self::Text(text) => Ok(vec![Message::new(Role::User, text.as_str())]),
            Self::Tokens(ids, name) => {
                Err(invalid_type(name, "a string (this model does not read token numbers)", &json!(ids)))
            }
        }
    }

    /// What a model is to judge.
    ///
    /// # Errors
    /// Nothing that the user says, and token numbers.
    pub fn text(&self, open: &OpenModel) -> Result<String, ApiError> {
        let text = open.reader().text_of(&self.messages()?);
        if text.is_empty() {
            let problem = "The messages hold nothing that the user says";
            return Err(ApiError::bad_request(problem).param("messages").code("invalid_value"));
        }
        Ok(text)
    }

    /// What says which words a model without labels of its own may answer with: the instructions, or without any the text.
    pub fn instructions(&self) -> String {
        let messages = self.messages().unwrap_or_default();
        let has_any = messages.iter().any(|message| message.role.instructs());
        let said = messages.iter().filter(|message| message.role.instructs() || !has_any);
        said.map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The field of the request that holds it.
    pub fn field(&self) -> &'static str {
        if matches!(self, Self::Chat(_)) { "messages" } else { "prompt" }
    }
}
