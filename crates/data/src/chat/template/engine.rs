//! The template engine, with what templates of chat models call.

use std::path::Path;

use jiff::civil::DateTime;
use jiff::fmt::strtime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use serde_json::{Map, Value as Json};

use super::super::message::Message;
use super::{DEFAULT, TemplateError};
use crate::tokenizer::{TokenizerError, token};

/// Steps of the engine for one chat. A template that wants more turns in circles.
const MOST_STEPS: u64 = 5_000_000;

/// The special tokens that templates know by name.
const SPECIALS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/// The token around the texts of GPT-2, whose folders do not name it.
const GPT2_TOKEN: &str = "<|endoftext|>";

/// Templates by name, and special tokens by name.
pub(super) type Sources = (Vec<(String, String)>, Vec<(String, String)>);

/// What a model folder says of chats.
pub(super) fn read(folder: &Path) -> Result<Sources, TemplateError> {
    let [config, names, model] =
        ["tokenizer_config.json", "special_tokens_map.json", "config.json"].map(|name| object(&folder.join(name)));
    let (config, names, model) = (config?, names?, model?);
    let path = folder.join("chat_template.jinja");
    let sources = match crate::tokenizer::read_optional(&path)? {
        Some(bytes) => {
            let source = String::from_utf8(bytes).map_err(|error| TokenizerError::invalid(&path, error))?;
            vec![(DEFAULT.to_owned(), source)]
        }
        None => sources(config.get("chat_template"))?,
    };
    let is_gpt2 = model.get("model_type").is_some_and(|kind| kind == "gpt2");
    let special = |name: &&str| {
        let named = [&config, &names].into_iter().find_map(|map| token(map.get(*name)?));
        let usual = || (is_gpt2 && ["bos_token", "eos_token"].contains(name)).then(|| GPT2_TOKEN.to_owned());
        Some(((*name).to_owned(), named.or_else(usual)?))
    };
    Ok((sources, SPECIALS.iter().filter_map(special).collect()))
}

/// The object in a file; an empty one where there is no file.
fn object(path: &Path) -> Result<Map<String, Json>, TokenizerError> {
    crate::tokenizer::read_optional(path)?
        .map_or_else(|| Ok(Map::new()), |bytes| crate::tokenizer::object(path, &bytes))
}

/// One template, or a list of named ones.
fn sources(value: Option<&Json>) -> Result<Vec<(String, String)>, TemplateError> {
    let invalid = || TemplateError::Invalid {
        problem: "`chat_template` is neither a text nor a list of `{\"name\": …, \"template\": …}`".to_owned(),
    };
    match value {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::String(source)) => Ok(vec![(DEFAULT.to_owned(), source.clone())]),
        Some(Json::Array(list)) => {
            let text = |entry: &Json, key: &str| entry.get(key).and_then(Json::as_str).map(str::to_owned);
            let named = list.iter().map(|entry| Some((text(entry, "name")?, text(entry, "template")?)));
            named.collect::<Option<Vec<_>>>().ok_or_else(invalid)
        }
        Some(_) => Err(invalid()),
    }
}

/// An engine that reads templates as `transformers` sets up its own.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the usual delimiters are valid"));
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_fuel(Some(MOST_STEPS));
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_filter("tojson", to_json);
    environment
}

/// Gives templates a clock that stands still.
pub(super) fn set_clock(environment: &mut Environment<'static>, now: DateTime) {
    environment.add_function("strftime_now", move |format: String| {
        strtime::format(&format, now).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
    });
}

/// What every template is given, besides special tokens.
pub(super) fn context(
    messages: &[Message],
    tools: Option<&Json>,
    add_generation_prompt: bool,
) -> impl Iterator<Item = (String, Value)> {
    let messages: Vec<Value> = messages.iter().map(|message| value(&serde_json::json!(message))).collect();
    let given = [
        ("messages", Value::from(messages)),
        ("tools", tools.map_or(Value::from(()), value)),
        ("documents", Value::from(())),
        ("add_generation_prompt", Value::from(add_generation_prompt)),
    ];
    given.into_iter().map(|(name, value)| (name.to_owned(), value))
}

/// JSON as the engine has it. Numbers keep their kind, which they would lose on the way through `serde`: here they keep their
/// digits instead.
fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::from(whole),
            (None, Some(real)) => Value::from(real),
            (None, None) => Value::from(number.to_string()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(list) => Value::from(list.iter().map(value).collect::<Vec<Value>>()),
        Json::Object(map) => Value::from_pairs(map.iter().map(|(key, of_key)| (key.as_str(), value(of_key)))),
    }
}

/// `json.dumps` of Python: a space behind commas and colons, other letters than ASCII as they are; pretty with `indent`.
fn to_json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?;
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false);
    options.assert_all_used()?;
    if ascii {
        return Err(Error::new(ErrorKind::InvalidOperation, "`tojson` cannot escape letters (`ensure_ascii`)"));
    }
    let mut bytes = Vec::new();
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, Spaced)),
        Some(width) => {
            let indent = " ".repeat(width);
            value
                .serialize(&mut Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent.as_bytes())))
        }
    };
    let failure = |error: String| Error::new(ErrorKind::BadSerialization, error);
    written.map_err(|error| failure(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failure(error.to_string()))
}

/// JSON on one line as Python writes it.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}

/// What the engine says, without its own words around what a template says.
pub(super) fn problem(error: &Error) -> String {
    let line = error.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
    match error.detail() {
        Some(detail) => format!("{detail}{line}"),
        None => format!("{}{line}", error.kind()),
    }
}
