//! From a JSON object to a chat, with every fault on the way.

use serde_json::{Map, Value as Json};
use unicode_segmentation::UnicodeSegmentation;

use super::fault::{Fault, FaultKind};
use super::message::{Chat, Message, Role};
use crate::reader::kind;

/// Keys of a message that pass through, and whether a message that has one may have no content.
const CALLS: [(&str, bool); 4] =
    [("tool_calls", true), ("function_call", true), ("refusal", true), ("tool_call_id", false)];
/// Keys of an example besides its messages.
const BESIDE: [&str; 4] = ["tools", "functions", "parallel_tool_calls", "weight"];
/// How many foreign keys are named.
const NAMED_KEYS: usize = 5;
/// How many characters of a foreign value are quoted.
const QUOTED: usize = 40;

/// Whether an object is meant as a chat: it has a list of objects with roles or contents as `messages`.
pub(crate) fn is_chat(object: &Map<String, Json>) -> bool {
    let Some(Json::Array(messages)) = object.get("messages") else { return false };
    messages.iter().any(|message| message.get("role").is_some() || message.get("content").is_some())
}

/// The chat of an object, or its faults: at least one, all of which make it unusable.
pub(super) fn chat(object: &Map<String, Json>) -> Result<Chat, Vec<Fault>> {
    let mut faults = Vec::new();
    if object.contains_key("weight") {
        faults.push(Fault::of_example(FaultKind::InvalidWeight, "contains an extra `weight`"));
    }
    let messages = match object.get("messages") {
        Some(Json::Array(messages)) if !messages.is_empty() => messages.as_slice(),
        other => {
            faults.push(Fault::of_example(FaultKind::MissingMessagesList, no_messages(other)));
            &[]
        }
    };
    let read = messages.iter().enumerate().map(|(place, value)| message(value, place + 1, &mut faults));
    let messages: Vec<Option<Message>> = read.collect();
    let tools = object.get("tools").or_else(|| object.get("functions")).filter(|tools| !tools.is_null()).cloned();
    match messages.into_iter().collect::<Option<Vec<Message>>>() {
        Some(messages) if faults.is_empty() => Ok(Chat { messages, tools }),
        _ => Err(faults),
    }
}

/// The keys of an example that are not read, if there are any.
pub(super) fn unread_keys(object: &Map<String, Json>) -> Option<Fault> {
    let names = object.keys().map(String::as_str);
    let unread: Vec<&str> = names.filter(|key| *key != "messages" && !BESIDE.contains(key)).collect();
    let fault = || Fault::of_example(FaultKind::ExampleUnrecognizedKey, format!("contains unread {}", keys(&unread)));
    (!unread.is_empty()).then(fault)
}

/// Whether there are messages at all.
pub(super) fn has_messages(object: &Map<String, Json>) -> bool {
    object.get("messages").and_then(Json::as_array).is_some_and(|messages| !messages.is_empty())
}

/// Whether any message says that it is of one of these roles, whatever else may be wrong with it.
pub(super) fn has_role(object: &Map<String, Json>, wanted: &[Role]) -> bool {
    let messages = object.get("messages").and_then(Json::as_array);
    let role = |message: &Json| message.get("role").and_then(Json::as_str).and_then(Role::from_word);
    messages.into_iter().flatten().filter_map(role).any(|role| wanted.contains(&role))
}

/// The fault of a line that is no object.
pub(super) fn not_an_object() -> Fault {
    Fault::of_example(FaultKind::DataType, "is not a JSON object")
}

fn no_messages(found: Option<&Json>) -> String {
    match found {
        None => "is missing key `messages`".to_owned(),
        Some(Json::Array(_)) => "has an empty list of messages".to_owned(),
        Some(other) => format!("has {} as `messages`, not a list", kind(other)),
    }
}

/// One message. `None` only where a fault was added.
fn message(value: &Json, number: usize, faults: &mut Vec<Fault>) -> Option<Message> {
    let mut add = |kind, detail: String| faults.push(Fault::of_message(kind, number, detail));
    let Json::Object(object) = value else {
        add(FaultKind::DataType, format!("is {}, not an object", kind(value)));
        return None;
    };
    let has = |key: &str| object.get(key).filter(|value| !value.is_null());
    let calls = CALLS.iter().filter_map(|(key, _)| Some(((*key).to_owned(), has(key)?.clone()))).collect();
    let may_be_silent = CALLS.iter().any(|(key, silent)| *silent && has(key).is_some());
    let needed: &[&str] = if may_be_silent { &["role"] } else { &["role", "content"] };
    let missing: Vec<&str> = needed.iter().copied().filter(|key| !object.contains_key(*key)).collect();
    if !missing.is_empty() {
        add(FaultKind::MessageMissingKey, format!("is missing {}", keys(&missing)));
    }
    let known =
        |key: &str| matches!(key, "role" | "content" | "name" | "weight") || CALLS.iter().any(|(call, _)| *call == key);
    let unknown: Vec<&str> = object.keys().map(String::as_str).filter(|key| !known(key)).collect();
    if !unknown.is_empty() {
        add(FaultKind::MessageUnrecognizedKey, format!("contains unrecognized {}", keys(&unknown)));
    }
    let role = role(object.get("role")).map_err(|detail| add(FaultKind::UnrecognizedRole, detail));
    let content = content(object.get("content"), may_be_silent);
    let content = content.map_err(|detail| add(FaultKind::MissingContent, detail));
    let name = name(object.get("name")).map_err(|detail| add(FaultKind::DataType, detail));
    let weight = weight(object.get("weight"), role.ok());
    let weight = weight.map_err(|detail| add(FaultKind::InvalidWeight, detail));
    let role = role.ok()?;
    let trained = weight.ok()? && role == Role::Assistant;
    Some(Message { role, content: content.ok()?, name: name.ok()?, trained, calls })
}

fn role(value: Option<&Json>) -> Result<Role, String> {
    let found = match value {
        None => return Err("has no role".to_owned()),
        Some(value) => value,
    };
    let role = found.as_str().and_then(Role::from_word);
    role.ok_or_else(|| format!("has the unrecognized role {}", quoted(found)))
}

/// A text, or the texts of a list of parts one after the other.
fn content(value: Option<&Json>, may_be_silent: bool) -> Result<String, String> {
    let text = match value {
        None | Some(Json::Null) => String::new(),
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(parts)) => {
            let parts: Result<Vec<&str>, String> = parts.iter().enumerate().map(part).collect();
            parts?.concat()
        }
        Some(other) => return Err(format!("has {} as content, not a text", kind(other))),
    };
    if text.is_empty() && !may_be_silent { Err("has no content".to_owned()) } else { Ok(text) }
}

fn part((place, part): (usize, &Json)) -> Result<&str, String> {
    let kind = part.get("type").unwrap_or(&Json::Null);
    let text = part.get("text").and_then(Json::as_str).filter(|_| kind == "text");
    text.ok_or_else(|| format!("has a part of type {} (part {}), and only text is read", quoted(kind), place + 1))
}

fn name(value: Option<&Json>) -> Result<Option<String>, String> {
    match value {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(name)) => Ok(Some(name.clone())),
        Some(other) => Err(format!("has {} as name, not a text", kind(other))),
    }
}

/// Whether the weight says that the message is learnt from; `role` is `None` where it is not known.
fn weight(value: Option<&Json>, role: Option<Role>) -> Result<bool, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(true) };
    if let Some(role) = role.filter(|role| *role != Role::Assistant) {
        return Err(format!("has a weight, and is the {}'s", role.word()));
    }
    match value.as_f64() {
        Some(0.0) => Ok(false),
        Some(1.0) => Ok(true),
        _ => Err(format!("has the weight {}, which is neither 0 nor 1", quoted(value))),
    }
}

/// ``key `a` ``, ``keys `a`, `b` ``; the first few where there are many.
fn keys(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(NAMED_KEYS).map(|name| format!("`{}`", shortened(name))).collect();
    let plural = if names.len() == 1 { "" } else { "s" };
    let rest = if names.len() > NAMED_KEYS { " …" } else { "" };
    format!("key{plural} {}{rest}", shown.join(", "))
}

fn quoted(value: &Json) -> String {
    format!("`{}`", shortened(value.as_str().unwrap_or(&value.to_string())))
}

/// A foreign text, cut, so that a message stays a message.
fn shortened(text: &str) -> String {
    match text.grapheme_indices(true).nth(QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
