//! Chats as texts and tokens: by templates in the styles of model families, held to what `transformers` makes of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use finetone_data::chat::template::{ChatTemplate, EncodedChat, Rendered, TemplateError};
use finetone_data::chat::{self, Chat, Message, Role};
use finetone_data::tokenizer::Tokenizer;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    templates: BTreeMap<String, String>,
    chats: BTreeMap<String, Value>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    chat: String,
    text: Option<String>,
    prompt: Option<String>,
    ids: Option<Vec<u32>>,
    mask: Option<Vec<u8>>,
    refused: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chat_templates")
}

fn golden() -> Golden {
    let text = fs::read_to_string(folder().join("cases.json")).expect("the golden file");
    serde_json::from_str(&text).expect("the golden file is JSON")
}

fn specials() -> Vec<(String, String)> {
    [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, token)| (name.to_owned(), token.to_owned())).to_vec()
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::from_source(source, specials()).expect("a template")
}

/// The chat of a line, as it is read from a file.
fn read(chat: &Value) -> Chat {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("chat.jsonl");
    fs::write(&path, format!("{chat}\n")).expect("a small file");
    chat::read(&path).expect("a file").next().expect("a chat").expect("a sound one")
}

fn learnt(rendered: &Rendered) -> Vec<&str> {
    rendered.trained.iter().map(|span| &rendered.text[span.clone()]).collect()
}

fn said(messages: &[(Role, &str)]) -> Chat {
    Chat { messages: messages.iter().map(|(role, content)| Message::new(*role, *content)).collect(), tools: None }
}

#[test]
fn texts_are_those_of_transformers() {
    let golden = golden();
    for case in &golden.cases {
        let place = format!("`{}` on `{}`", case.template, case.chat);
        let (template, chat) = (template(&golden.templates[&case.template]), read(&golden.chats[&case.chat]));
        let prompt = template.prompt(&chat.messages, chat.tools.as_ref());
        if let Some(refused) = &case.refused {
            let error = prompt.expect_err(&place);
            assert!(error.to_string().contains(refused.as_str()) && error.hint().is_some(), "{place}: {error}");
            continue;
        }
        assert_eq!(Some(prompt.expect(&place)), case.prompt, "{place}");
        assert_eq!(Some(template.text(&chat.messages, chat.tools.as_ref()).expect(&place)), case.text, "{place}");
    }
}

#[test]
fn marked_answers_are_those_of_transformers() {
    let (golden, tokenizer) = (golden(), Tokenizer::from_folder(&folder().join("tokenizer")).expect("a tokenizer"));
    let mut compared = 0;
    for case in &golden.cases {
        let (Some(ids), Some(mask)) = (&case.ids, &case.mask) else { continue };
        let template = template(&golden.templates[&case.template]);
        let found = template.encode(&read(&golden.chats[&case.chat]), &tokenizer).expect("a chat");
        let expected = EncodedChat { ids: ids.clone(), trained: mask.iter().map(|&bit| bit == 1).collect() };
        assert_eq!(found, expected, "`{}` on `{}`", case.template, case.chat);
        compared += mask.iter().filter(|&&bit| bit == 1).count();
    }
    assert!(compared > 60, "only {compared} tokens were compared");
}

#[test]
fn answers_are_found_without_marks() {
    let golden = golden();
    let several = read(&golden.chats["several turns"]);
    let of = |name: &str| template(&golden.templates[name]).render(&several).expect("a chat");
    let thought = "<think>\nlet me see\n</think>\n\nNeutral";
    assert_eq!(learnt(&of("turns")), ["  Hello!\n<|im_end|>", &format!("{thought}<|im_end|>"), "Positive<|im_end|>"]);
    assert_eq!(learnt(&of("heads")), ["Hello!<|eot|>", &format!("{thought}<|eot|>"), "Positive<|eot|>"]);
    // The answers of this style depend on what follows a question, and say so.
    let error = template(&golden.templates["brackets"]).render(&several).expect_err("the system message moves");
    assert!(matches!(error, TemplateError::Unmarked { message: 3 }), "{error}");
    let one = template(&golden.templates["brackets"]).render(&read(&golden.chats["no system"])).expect("a chat");
    assert_eq!(learnt(&one), [" Positive</s>"]);
    // With the same turns in both, marks and comparison find the same but for the white space that the template marks.
    let marked = template(&golden.templates["marked"]).render(&several).expect("a chat");
    let marked: Vec<&str> = learnt(&marked).into_iter().map(str::trim_end).collect();
    assert_eq!(marked, learnt(&of("turns")));
}

#[test]
fn a_last_answer_is_learnt_behind_the_question_as_it_is_asked() {
    let golden = golden();
    let brackets = template(&golden.templates["brackets"]);
    let one = read(&golden.chats["one turn"]);
    let rendered = brackets.render(&one).expect("a chat");
    let asked = brackets.prompt(one.prompt(), None).expect("a prompt");
    assert_eq!(rendered.text, format!("{asked} Negative</s>"));
    assert!(asked.contains("Answer in one word."));
    assert_eq!(learnt(&rendered), [" Negative</s>"]);
    let mut several = read(&golden.chats["several turns"]);
    several.messages[2].trained = false;
    several.messages[4].trained = false;
    assert_eq!(learnt(&brackets.render(&several).expect("a chat")), [" Positive</s>"]);
}

#[test]
fn weights_choose_the_answers() {
    let golden = golden();
    let mut chat = read(&golden.chats["several turns"]);
    chat.messages[4].trained = false;
    for name in ["turns", "marked"] {
        let rendered = template(&golden.templates[name]).render(&chat).expect("a chat");
        let learnt: Vec<&str> = learnt(&rendered).into_iter().map(str::trim_end).collect();
        assert_eq!(learnt, ["  Hello!\n<|im_end|>", "Positive<|im_end|>"], "{name}");
    }
    chat.messages.iter_mut().for_each(|message| message.trained = false);
    assert!(template(&golden.templates["turns"]).render(&chat).expect("a chat").trained.is_empty());
}

#[test]
fn a_model_without_a_template_gets_a_plain_one() {
    let template = ChatTemplate::from_folder(&folder().join("tokenizer")).expect("a folder");
    assert!(template.is_plain());
    let chat = said(&[(Role::System, "Judge."), (Role::User, " Fine. "), (Role::Assistant, "Positive")]);
    let rendered = template.render(&chat).expect("a chat");
    assert_eq!(rendered.text, "<s>System: Judge.\nUser: Fine.\nAssistant: Positive</s>\n");
    assert_eq!(learnt(&rendered), [" Positive</s>"]);
    let prompt = template.prompt(chat.prompt(), None).expect("a prompt");
    assert_eq!(prompt, "<s>System: Judge.\nUser: Fine.\nAssistant:");
    assert!(rendered.text.starts_with(&prompt));
    let bare = ChatTemplate::from_source(chat::template::PLAIN, Vec::new())
        .expect("a template")
        .render(&chat)
        .expect("a chat");
    assert_eq!(
        (bare.text.as_str(), learnt(&bare)),
        ("System: Judge.\nUser: Fine.\nAssistant: Positive\n", vec![" Positive\n"])
    );
}

#[test]
fn special_tokens_are_looked_for_where_folders_have_them() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prompt = || ChatTemplate::from_folder(folder.path()).expect("a folder").prompt(&[], None).expect("a prompt");
    assert_eq!(prompt(), "Assistant:");
    fs::write(folder.path().join("config.json"), r#"{"model_type": "gpt2"}"#).unwrap();
    assert_eq!(prompt(), "<|endoftext|>Assistant:");
    fs::write(folder.path().join("special_tokens_map.json"), r#"{"bos_token": {"content": "<a>"}}"#).unwrap();
    assert_eq!(prompt(), "<a>Assistant:");
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"bos_token": "<b>"}"#).unwrap();
    assert_eq!(prompt(), "<b>Assistant:");
}

#[test]
fn templates_are_found_in_a_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = folder.path().join("tokenizer_config.json");
    let prompt = |tools: Option<&Value>| {
        let template = ChatTemplate::from_folder(folder.path())?;
        template.prompt(&said(&[(Role::User, "Hm")]).messages, tools)
    };
    let write = |value: Value| fs::write(&config, serde_json::json!({ "chat_template": value }).to_string()).unwrap();
    write("one {{ messages[0].content }}".into());
    assert_eq!(prompt(None).unwrap(), "one Hm");
    write(serde_json::json!([{"name": "default", "template": "some"}, {"name": "tool_use", "template": "tools"}]));
    assert_eq!([prompt(None).unwrap(), prompt(Some(&Value::Array(Vec::new()))).unwrap()], ["some", "tools"]);
    write(serde_json::json!([{"name": "rag", "template": "x"}]));
    assert!(prompt(None).unwrap_err().to_string().contains("none is called `default`"));
    for wrong in [Value::from(3), serde_json::json!([{"name": "default"}]), "{% if %}".into(), "{{ ".into()] {
        write(wrong.clone());
        let error = prompt(None).unwrap_err();
        assert!(matches!(error, TemplateError::Invalid { .. }) && error.hint().is_some(), "{wrong}: {error}");
    }
    // A file of its own goes over what the configuration says.
    fs::write(folder.path().join("chat_template.jinja"), "file\n").unwrap();
    assert_eq!(prompt(None).unwrap(), "file");
    fs::write(&config, "[").unwrap();
    assert!(matches!(prompt(None).unwrap_err(), TemplateError::Folder(_)));
}

#[test]
fn the_day_is_that_of_the_caller() {
    let golden = golden();
    let heads = template(&golden.templates["heads"]).on(jiff::civil::date(2026, 3, 9).at(10, 0, 0, 0));
    let prompt = heads.prompt(&said(&[(Role::User, "Hm")]).messages, None).expect("a prompt");
    assert!(prompt.contains("Today: 09 Mar 2026\n"), "{prompt}");
}

#[test]
fn hostile_templates_and_chats_end() {
    let messages = said(&[(Role::User, "Hm")]).messages;
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}";
    for source in [
        endless,
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ messages[0].content.nothing() }}",
        "{{ 1 / 0 }}",
    ] {
        let error = template(source).prompt(&messages, None).expect_err(source);
        assert!(matches!(error, TemplateError::Refused { .. }), "{source}: {error}");
    }
    // Letters that could be taken for marks, and what looks like a template, are letters of a message.
    let marks: String = ('\u{FDD0}'..='\u{FDEF}').collect();
    for content in ["\u{FDD0}\u{FDD1}\0", marks.as_str(), "{{ 1 + 1 }}{% generation %}", "<|im_end|>"] {
        let chat = said(&[(Role::User, content), (Role::Assistant, content)]);
        let plain = ChatTemplate::from_source(chat::template::PLAIN, specials()).expect("a template");
        let rendered = plain.render(&chat).expect("a chat");
        assert_eq!(rendered.text, format!("<s>User: {content}\nAssistant: {content}</s>\n"));
        assert_eq!(learnt(&rendered), [format!(" {content}</s>")]);
    }
}

#[test]
fn a_closed_set_of_answers_has_the_tokens_that_chats_with_them_are_learnt_as() {
    let tokenizer = Tokenizer::from_folder(&folder().join("tokenizer")).expect("a tokenizer");
    let template = ChatTemplate::from_source(chat::template::PLAIN, tokenizer.special_tokens()).expect("a template");
    let messages = [
        Message::new(Role::User, "Is it good?"),
        Message::new(Role::Assistant, "Yes"),
        Message::new(Role::User, "Very good?"),
    ];
    let answers = ["Yes", "Yes, very", "No"].map(str::to_owned);
    let closed = template.encode_closed(&messages, None, &answers, &tokenizer).expect("a prompt");
    for (answer, tokens) in answers.iter().zip(&closed.answers) {
        let answered = messages.iter().cloned().chain([Message::new(Role::Assistant, answer.as_str())]);
        let chat = Chat { messages: answered.collect(), tools: None };
        let whole = template.encode(&chat, &tokenizer).expect("a chat").ids;
        assert!(whole.starts_with(&[closed.prompt.clone(), tokens.clone()].concat()), "{answer}");
    }
    // The first is the beginning of the second but for the token that ends it.
    assert!(!closed.answers[1].starts_with(&closed.answers[0]));
    assert_eq!(closed.prompt, tokenizer.content_ids(&template.prompt(&messages, None).expect("a text")));
}
