//! Chats from the outside: what is read, what is told, and what a classifier gets of it.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use finetone_data::chat::{self, ChatText, Fault, FaultKind, Role, TokenRule, Validation, validate, validate_stream};
use finetone_data::split::random::Random;
use finetone_data::{DataError, Dataset, Format, Notice, OpenOptions, Preparation, ReadOptions, Target, TextEncoding};
use proptest::prelude::*;

use crate::Scratch;

/// One example with these messages, each `role: content`.
fn chat(messages: &[&str]) -> String {
    let message = |said: &&str| {
        let (role, content) = said.split_once(": ").expect("a role and what it says");
        serde_json::json!({"role": role, "content": content})
    };
    let messages: Vec<_> = messages.iter().map(message).collect();
    serde_json::json!({ "messages": messages }).to_string() + "\n"
}

fn checked(content: impl AsRef<[u8]>) -> Validation {
    let stream = Box::new(Cursor::new(content.as_ref().to_vec()));
    validate_stream(Path::new("chats.jsonl"), stream, &TokenRule::default()).expect("a file that can be checked")
}

/// The faults as the API would tell them.
fn told(found: &Validation) -> Vec<String> {
    found.faults.iter().map(ToString::to_string).collect()
}

/// How the file is read for training, with the rule that it asks for.
fn options(path: &Path) -> ReadOptions {
    let preparation =
        Preparation { chat: chat::rule_of(path, &OpenOptions::default()).expect("a rule"), ..Preparation::default() };
    ReadOptions { open: preparation.open_options(TextEncoding::default()), ..ReadOptions::default() }
}

const SYSTEM: &str = "system: One word.";

#[test]
fn counts_are_those_of_the_cookbook() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chats");
    let expected = std::fs::read_to_string(folder.join("faults.json")).expect("the golden file");
    let expected: BTreeMap<String, usize> = serde_json::from_str(&expected).expect("numbers by name");
    let found = validate(&folder.join("faults.jsonl"), &OpenOptions::default(), &TokenRule::default()).expect("a file");
    // What the cookbook has no check for is not compared.
    let ours = |kind: &FaultKind| !matches!(kind, FaultKind::ExampleUnrecognizedKey | FaultKind::InvalidJson);
    let counts = found.counts.iter().filter(|(kind, _)| ours(kind));
    let counts: BTreeMap<String, usize> = counts.map(|(kind, count)| (kind.name().to_owned(), *count)).collect();
    assert_eq!((counts, found.examples), (expected, 150));
}

#[test]
fn every_fault_has_its_line_and_message() {
    let file = [
        r#"{"messages": [{"content": "a"}, {"role": "user"}, {"role": "assistant", "content": "b"}]}"#,
        "{\"messages\": [",
        "",
        r#"{"prompt": "a"}"#,
        r#"{"messages": [], "weight": 1}"#,
        r#"{"messages": [{"role": "users", "content": "a", "text": "b", "label": 1}, "c"]}"#,
        r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "image_url"}]},
            {"role": "assistant", "content": "b", "weight": 2}]}"#,
        r#"{"messages": [{"role": "system", "content": "s", "weight": 0}, {"role": "user", "content": null}]}"#,
        "[1]",
        r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "refusal": "r"},
            {"role": "tool", "tool_call_id": "1", "content": null}]}"#,
    ];
    let file: Vec<String> = file.iter().map(|line| line.replace('\n', " ")).collect();
    let found = checked(file.join("\n"));
    assert_eq!(
        told(&found),
        [
            "Example 1, message 1 is missing key `role`",
            "Example 1, message 1 has no role",
            "Example 1, message 2 is missing key `content`",
            "Example 1, message 2 has no content",
            "Example 1 has no message of the system",
            "Example 2 cannot be parsed. Error: line contains invalid json: EOF while parsing a list (character 14) (line 2)",
            "Example 3 is missing key `messages`",
            "Example 3 contains unread key `prompt`",
            "Example 4 contains an extra `weight`",
            "Example 4 has an empty list of messages",
            "Example 5, message 1 contains unrecognized keys `text`, `label`",
            "Example 5, message 1 has the unrecognized role `users`",
            "Example 5, message 2 is a string, not an object",
            "Example 5 has no message of the assistant",
            "Example 5 has no message of the system",
            "Example 5 has no message of the user",
            "Example 6, message 2 has a part of type `image_url` (part 1), and only text is read",
            "Example 6, message 3 has the weight `2`, which is neither 0 nor 1",
            "Example 7, message 1 has a weight, and is the system's",
            "Example 7, message 2 has no content",
            "Example 7 has no message of the assistant",
            "Example 8 is not a JSON object",
            "Example 9, message 4 has no content",
        ]
    );
    let places: Vec<(u64, usize)> = found.faults.iter().map(|fault| (fault.line, fault.example)).collect();
    assert_eq!((places[0], places[6], places[21]), ((1, 1), (4, 3), (9, 8)));
    assert_eq!((found.examples, found.has_errors(), found.has_too_few()), (9, true, true));
    let json = serde_json::to_value(&found.faults[0]).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({"line": 1, "example": 1, "kind": "message_missing_key", "message": 1, "detail": "is missing key `role`"})
    );
}

#[test]
fn what_the_api_takes_has_no_faults() {
    let mut file = String::from("\u{FEFF}");
    file += r#"{"messages": [{"role": "developer", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "Ann"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}], "weight": 0}, {"role": "tool", "content": "3", "tool_call_id": "1"}, {"role": "assistant", "content": "Positive", "weight": 1}], "tools": [{"type": "function"}], "parallel_tool_calls": false}"#;
    file += "\r\n\r\n";
    file += r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"c"},{"role":"assistant","function_call":{"name":"f"}}],"functions":[]}"#;
    file += "\r\n  \r\n\r\n";
    let found = checked(&file);
    assert_eq!((told(&found).as_slice(), found.examples), (&[][..] as &[String], 2));
    assert_eq!(
        found.roles,
        [(Role::System, 1), (Role::Developer, 1), (Role::User, 2), (Role::Assistant, 3), (Role::Tool, 1)].into()
    );
    let scratch = Scratch::new();
    let chats: Vec<chat::Chat> =
        chat::read(&scratch.file("a.jsonl", file)).expect("a file").collect::<Result<_, _>>().expect("chats");
    let first = &chats[0];
    assert_eq!((first.messages[1].content.as_str(), first.messages[1].name.as_deref()), ("ab", Some("Ann")));
    let trained: Vec<bool> = first.messages.iter().map(|message| message.trained).collect();
    assert_eq!(trained, [false, false, false, false, true]);
    assert!(first.tools.is_some() && first.messages[2].calls.contains_key("tool_calls"));
    assert_eq!(first.answer().map(|answer| answer.content.as_str()), Some("Positive"));
    assert_eq!((first.prompt().len(), chats[1].messages[2].content.as_str()), (4, ""));
}

#[test]
fn tokens_are_counted_as_in_the_cookbook() {
    let rule = TokenRule { count: &|text| text.split_whitespace().count(), limit: 20 };
    let file = chat(&["system: be brief", "user: how was it", "assistant: fine"])
        + &chat(&["user: a b c d e f g h i j k l m n", "assistant: x"]);
    let found = validate_stream(Path::new("c"), Box::new(Cursor::new(file)), &rule).expect("a file");
    // Three around the whole; for each message three, its role, and its words.
    assert_eq!((found.tokens.least, found.tokens.greatest), (3 + 3 * 4 + 6, 3 + 2 * 4 + 15));
    assert_eq!((found.tokens_in_epoch, found.trained_tokens.greatest, found.default_epochs), (20 + 20, 1, 25));
    assert_eq!((found.default_steps(), found.default_trained_tokens()), (50, 1000));
    let long = [
        "Example 1 has 21 tokens, more than the limit of 20",
        "Example 2 has no message of the system",
        "Example 2 has 26 tokens, more than the limit of 20",
    ];
    assert_eq!(told(&found), [long[0], long[2], long[1]]);
    assert!(!found.has_errors());
}

#[test]
fn nothing_and_strange_things_are_told() {
    for empty in ["", "\n\n", "\u{FEFF}\n"] {
        let found = checked(empty);
        assert_eq!((found.examples, found.faults.len(), found.has_too_few()), (0, 0, true), "{empty:?}");
    }
    let deep = format!("{{\"messages\": {}", "[".repeat(200_000));
    assert_eq!(checked(deep).counts[&FaultKind::InvalidJson], 1);
    let long = format!("{{\"messages\": \"{}\"}}\n{}", "a".repeat(17 << 20), chat(&["user: a", "assistant: b"]));
    assert_eq!(checked(long).faults[0].fault.kind, FaultKind::InvalidJson);
    let refused = |content: &[u8]| {
        let stream = Box::new(Cursor::new(content.to_vec()));
        validate_stream(Path::new("c"), stream, &TokenRule::default()).expect_err("no text").to_string()
    };
    assert!(refused(b"PK\x03\x04aaaa").contains("zip archive") && refused(b"PAR1aaaa").contains("Parquet"));
    let many = "{}\n".repeat(30_000);
    let found = checked(many);
    assert_eq!((found.counts[&FaultKind::MissingMessagesList], found.faults.len()), (30_000, 10_000));
}

#[test]
fn the_rule_keeps_all_that_differs() {
    let rule = |chats: &[&[&str]]| {
        let scratch = Scratch::new();
        let path = scratch.file("a.jsonl", chats.iter().map(|messages| chat(messages)).collect::<String>());
        chat::rule_of(&path, &OpenOptions::default()).expect("a file")
    };
    let one: &[&str] = &[SYSTEM, "user: Fine.", "assistant: Positive"];
    assert_eq!(rule(&[one, &[SYSTEM, "user: Bad.", "assistant: Negative"]]), Some(ChatText::LastUser));
    assert_eq!(rule(&[&one[1..], &["user: Bad.", "assistant: Negative"]]), Some(ChatText::LastUser));
    let two: &[&str] = &[SYSTEM, "user: Hm.", "assistant: Neutral", "user: Bad.", "assistant: Negative"];
    assert_eq!(rule(&[one, two]), Some(ChatText::Turns));
    assert_eq!(rule(&[one, &["system: Judge.", "user: Bad.", "assistant: Negative"]]), Some(ChatText::SystemAndTurns));
    assert_eq!(rule(&[one, &one[1..]]), Some(ChatText::SystemAndTurns));
    let scratch = Scratch::new();
    assert_eq!(
        chat::rule_of(&scratch.file("a.csv", "text,label\na,b\n"), &OpenOptions::default()).expect("a file"),
        None
    );
    let messages = |said: &[&str]| {
        let path = scratch.file("b.jsonl", chat(said));
        chat::read(&path).expect("a file").next().expect("a chat").expect("sound").messages
    };
    let (two, other) = (messages(two), messages(&["system: Judge.", "system: Be fair.", "user:  So so. "]));
    let text = |rule: ChatText| [rule.text(&two), rule.text(&other)];
    assert_eq!(text(ChatText::LastUser), ["Bad.", "So so."]);
    assert_eq!(
        text(ChatText::Turns),
        ["User: Hm.\nAssistant: Neutral\nUser: Bad.\nAssistant: Negative", "User: So so."]
    );
    assert_eq!(text(ChatText::SystemAndTurns)[1], "System: Judge.\nSystem: Be fair.\nUser: So so.");
    assert_eq!(ChatText::LastUser.text(&two[..1]), "");
}

#[test]
fn a_file_of_chats_is_a_labelled_file() {
    let answers = [("Fine.", "Positive"), ("Bad.", " Negative\n"), ("It is.", "Neutral"), ("Left out.", "Silly")];
    let scratch = Scratch::new();
    let mut content: String = answers
        .iter()
        .map(|(text, label)| chat(&[SYSTEM, &format!("user: {text}"), &format!("assistant: {label}")]))
        .collect();
    content = content.replace("\"Silly\"", "\"Silly\",\"weight\":0");
    let path = scratch.file("chats.jsonl", &content);
    let dataset = Dataset::read(&path, &options(&path)).expect("sound");
    assert_eq!(dataset.labels.names(), ["Negative", "Neutral", "Positive"]);
    let rows: Vec<(&str, Option<usize>, u64)> = dataset
        .examples
        .iter()
        .map(|example| (example.text.as_str(), example.target.as_ref().and_then(Target::first), example.line))
        .collect();
    assert_eq!(rows, [("Fine.", Some(2), 1), ("Bad.", Some(0), 2), ("It is.", Some(1), 3)]);
    assert_eq!((dataset.text_column.as_str(), dataset.label_column.as_deref()), ("prompt", Some("answer")));
    assert_eq!(dataset.notices, [Notice::LeftOut { rows: 1, lines: vec![4] }]);
    let unanswered = scratch.file("b.jsonl", content + &chat(&[SYSTEM, "user: Well?"]));
    let error = Dataset::read(&unanswered, &options(&unanswered)).expect_err("an answer is missing");
    assert_eq!(scratch.plain(&error), "b.jsonl:5: the label is missing (column `answer`)");
    let faulty =
        scratch.file("c.jsonl", chat(&[SYSTEM, "user: a", "assistant: b"]) + &chat(&["users: a", "assistant: b"]));
    let error = Dataset::read(&faulty, &options(&faulty)).expect_err("a role is wrong");
    assert_eq!(scratch.plain(&error), "c.jsonl:2: message 1 has the unrecognized role `users`");
    assert!(error.hint().expect("a hint").contains("`user`"));
}

#[test]
fn answers_that_are_no_labels_are_refused() {
    let scratch = Scratch::new();
    let read = |rows: usize, answers: &dyn Fn(usize) -> usize| {
        let chats =
            (0..rows).map(|row| chat(&[&format!("user: Row {row}."), &format!("assistant: Answer {}", answers(row))]));
        let path = scratch.file("a.jsonl", chats.collect::<String>());
        Dataset::read(&path, &options(&path)).map(|dataset| dataset.labels.len())
    };
    assert_eq!(read(9, &|row| row).expect("few rows"), 9);
    assert_eq!(read(100, &|row| row % 50).expect("fifty labels"), 50);
    let error = read(102, &|row| row % 51).expect_err("one label more");
    assert_eq!(scratch.plain(&error), "a.jsonl: 51 different answers in 102 chats are no closed set of labels");
    assert!(error.hint().expect("a hint").contains("few answers"));
    assert!(matches!(read(20, &|row| row.min(11)), Err(DataError::OpenAnswers { answers: 12, rows: 20, .. })));
    assert_eq!(read(20, &|row| row.min(10)).expect("half of them once"), 11);
}

#[test]
fn other_json_lines_are_no_chats() {
    let scratch = Scratch::new();
    for line in
        [r#"{"messages": "a", "label": "b"}"#, r#"{"messages": ["a"], "label": "b"}"#, r#"{"text": "a", "label": "b"}"#]
    {
        let path = scratch.file("a.jsonl", line);
        let reader = crate::open(&path).expect("a file");
        assert_eq!((reader.source().chat, reader.source().format), (None, Format::Jsonl), "{line}");
    }
}

#[test]
fn damaged_chats_are_read_or_refused() {
    let file = chat(&[SYSTEM, "user: Fine, \"truly\" fine.", "assistant: Positive"]).repeat(4);
    let mut random = Random::new(11);
    let (mut faults, mut sound) = (0, 0);
    for _ in 0..1500 {
        let bytes = crate::hostile::damage(&mut random, file.as_bytes());
        let stream = Box::new(Cursor::new(bytes));
        if let Ok(found) = validate_stream(Path::new("c"), stream, &TokenRule::default()) {
            faults += usize::from(found.has_errors());
            sound += usize::from(!found.has_errors());
            assert!(found.faults.iter().all(|located| located.line >= 1 && located.example >= 1));
        }
    }
    assert!(faults > 300 && sound > 20, "{faults} faulty files and {sound} sound ones");
}

/// Any value, so that every place of a chat meets every kind.
fn anything() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-2i64..3).prop_map(Into::into),
        prop_oneof![Just("user"), Just("assistant"), Just("text"), Just("")].prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        let key = prop_oneof![
            Just("messages"),
            Just("role"),
            Just("content"),
            Just("weight"),
            Just("name"),
            Just("type"),
            Just("text"),
            Just("tools"),
            Just("function_call"),
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            proptest::collection::vec((key, inner), 0..4).prop_map(|pairs| pairs
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    /// What the checks pass can be read, and what can be read they pass, but for a missing assistant.
    #[test]
    fn reading_and_checking_agree(messages in proptest::collection::vec(anything(), 0..4)) {
        let line = serde_json::json!({ "messages": messages }).to_string() + "\n";
        let errors: Vec<Fault> = checked(&line).errors().map(|located| located.fault.clone()).collect();
        let scratch = Scratch::new();
        let path = scratch.file("a.jsonl", line);
        let read = chat::read(&path).unwrap().next().unwrap();
        match read {
            Ok(_) => prop_assert!(errors.iter().all(|fault| fault.kind == FaultKind::ExampleMissingAssistantMessage)),
            Err(DataError::NoChat { fault, .. }) => prop_assert_eq!(Some(&fault), errors.first()),
            Err(other) => prop_assert!(false, "{}", other),
        }
    }
}
