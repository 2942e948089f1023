//! Exported models open in transformers and say there what they say here, and the other way round.

#[path = "../../../tests/python.rs"]
mod python;
mod workbench;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_data::chat::template::ChatTemplate;
use finetone_data::chat::{Message, Role};
use finetone_data::tokenizer::{Limit, Tokenizer};
use serde_json::{Value, json};
use workbench::{done, reviews};

/// Where texts are cut, so that some are.
const MOST_TOKENS: usize = 24;
const THREE: [&str; 3] = ["negative", "neutral", "positive"];
const TWO: [&str; 2] = ["negative", "positive"];

const LANGUAGES: [&str; 4] = ["czech.csv", "polish.csv", "slovak.csv", "hungarian.csv"];
/// One letter of four, alphabets and scripts without letters, from left and from right, and marks on their own.
const FOREIGN: [&str; 12] = [
    "Příšerně žluťoučký kůň",
    "Zażółć gęślą jaźń",
    "Ľúbezný vŕšok, päť ďatľov",
    "Árvíztűrő tükörfúrógép",
    "Kızgın İstanbullu ırmak",
    "Доставили вовремя, спасибо",
    "الخدمة ممتازة، شكراً",
    "השירות היה מצוין!",
    "质量很好，下次还会再来。",
    "とても良い商品です",
    "อาหารอร่อยมาก",
    "नहीं 👨‍👩‍👧 e\u{301}",
];

/// Texts that the training has not seen, some too long, some of other letters; none begins or ends with a space.
fn texts() -> Vec<String> {
    let short = [
        "the kettle was lovely",
        "a",
        "Awful!!! Late, rude & broken :-(",
        "naïve CAFÉ ☃ 東京",
        "two  spaces\tand a tab",
        "🙂",
        // Not at the end: transformers takes padding there for padding even where the text is alone and has none.
        "[SEP] </s> <|endoftext|> are words here",
        "[EMAIL] is a token where it was added [EMAIL]too",
    ];
    let long = "the dinner, number 7, was great value and ".repeat(12);
    short.into_iter().chain([long.trim()]).map(str::to_owned).collect()
}

/// A place with `reviews.csv`, which holds these labels only.
fn place(labels: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let wanted = |line: &&str| labels.iter().any(|label| line.ends_with(&format!(",{label}")));
    let all = reviews(90);
    let lines: Vec<&str> = all.lines().filter(|line| line.starts_with("id,") || wanted(line)).collect();
    fs::write(folder.path().join("reviews.csv"), lines.join("\n") + "\n").unwrap();
    folder
}

/// Trains for a few steps and exports to `exported`.
fn export(folder: &Path, model: &str, settings: &str) -> PathBuf {
    let fixed = format!("--set max_steps=4 --learning-rate 1e-3 --max-tokens {MOST_TOKENS} --threads 1 --quiet");
    done(folder, &format!("train reviews.csv --model {model} --out run {fixed} {settings}"));
    done(folder, "model export run -o exported");
    folder.join("exported")
}

/// What `finetone predict` says about each text in f32, which is what transformers computes in: the label, and the
/// probabilities in the order of `labels`.
fn predictions(folder: &Path, model: &str, texts: &[String], labels: &[&str]) -> Vec<(String, Vec<f64>)> {
    let lines: String = texts.iter().map(|text| format!("{}\n", json!({ "text": text }))).collect();
    fs::write(folder.join("in.jsonl"), lines).unwrap();
    done(folder, &format!("predict {model} in.jsonl -o out.jsonl --precision f32 --quiet"));
    let rows = json_lines(&folder.join("out.jsonl"));
    assert_eq!(rows.len(), texts.len());
    let number = |row: &Value, label: &&str| row[format!("probability_{label}")].as_f64().expect("a probability");
    let answer = |row: &Value| {
        let label = row["label"].as_str().expect("a label").to_owned();
        (label, labels.iter().map(|label| number(row, label)).collect())
    };
    rows.iter().map(answer).collect()
}

fn json_lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Trains a model, exports it, and has transformers compare ids, probabilities and the names in `id2label`.
fn transformers_agrees(model: &str, settings: &str, labels: &[&str], names: &[&str]) {
    let Some(python) = python::interpreter() else { return };
    transformers_agrees_in(&place(labels), &python, (model, settings), &texts(), (labels, names));
}

/// The same in a folder with a `reviews.csv`, about other texts.
fn transformers_agrees_in(
    folder: &tempfile::TempDir,
    python: &Path,
    (model, settings): (&str, &str),
    texts: &[String],
    (labels, names): (&[&str], &[&str]),
) {
    let exported = export(folder.path(), model, settings);
    let answers = predictions(folder.path(), "run", texts, labels);
    let certain = answers.iter().flat_map(|(_, numbers)| numbers).fold(0.0_f64, |most, &p| most.max(p));
    assert!(certain < 0.999, "probabilities at the edge would hide a difference: {certain}");

    let tokenizer = Tokenizer::from_folder(&exported).unwrap();
    let record = |(text, (_, probabilities)): (&String, &(String, Vec<f64>))| {
        let ids = tokenizer.encode(text, &Limit::head(MOST_TOKENS)).ids;
        format!("{}\n", json!({ "text": text, "ids": ids, "probabilities": probabilities }))
    };
    let records: String = texts.iter().zip(&answers).map(record).collect();
    let path = folder.path().join("records.jsonl");
    fs::write(&path, records).unwrap();
    let limit = MOST_TOKENS.to_string();
    let mut arguments = vec![exported.as_os_str(), path.as_ref(), "--max-length".as_ref(), limit.as_ref()];
    arguments.push("--labels".as_ref());
    arguments.extend(names.iter().map(std::ffi::OsStr::new));
    let said = python::script(python, "roundtrip.py", &arguments);
    assert!(said.starts_with(&format!("{} texts, ", texts.len())), "{said}");
}

#[test]
fn an_exported_bert_says_the_same_in_transformers() {
    transformers_agrees("tiny", "", &THREE, &THREE);
}

#[test]
fn an_exported_roberta_says_the_same_in_transformers() {
    transformers_agrees("roberta-tiny", "", &THREE, &THREE);
}

#[test]
fn an_exported_distilbert_says_the_same_in_transformers() {
    transformers_agrees("distilbert-tiny", "", &THREE, &THREE);
}

#[test]
fn an_exported_gpt2_says_the_same_in_transformers() {
    transformers_agrees("gpt2-tiny", "", &THREE, &THREE);
}

/// Without Qwen2: transformers cuts its texts by a pattern of its own, whatever `tokenizer.json` says, so that digits have other
/// ids there under a tokenizer that was trained here. Its numbers are held by the golden files of `model`.
#[test]
fn exported_decoders_say_the_same_in_transformers() {
    for model in ["llama-tiny", "mistral-tiny", "qwen3-tiny"] {
        transformers_agrees(model, "", &THREE, &THREE);
    }
}

#[test]
fn two_classes_say_the_same_in_transformers() {
    transformers_agrees("tiny", "", &TWO, &TWO);
}

#[test]
fn two_classes_with_one_logit_say_the_same_in_transformers() {
    transformers_agrees("tiny", "--set output=one-logit", &TWO, &["positive"]);
}

#[test]
fn tokens_added_to_a_model_say_the_same_in_transformers() {
    for model in ["tiny", "gpt2-tiny"] {
        let place = place(&THREE);
        let start = export(place.path(), model, "");
        transformers_agrees(&start.display().to_string(), r#"--set clean=["emails","urls"]"#, &THREE, &THREE);
    }
}

/// XLM-R as transformers writes it, fine-tuned on reviews in four languages and asked about texts in twelve.
#[test]
fn an_xlm_roberta_of_many_languages_says_the_same_in_transformers() {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = folder.path().join("xlm-roberta");
    let examples = LANGUAGES.map(|name| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/languages").join(name);
        (fs::read_to_string(&path).unwrap(), path)
    });
    let mut arguments = vec![start.as_os_str()];
    arguments.extend(examples.iter().map(|(_, path)| path.as_os_str()));
    python::script(&python, "xlm_roberta.py", &arguments);
    let rows = examples.iter().flat_map(|(text, _)| text.lines().skip(1)).filter(|line| !line.contains(';'));
    let rows: String = rows.map(|row| format!("{row}\n")).collect();
    fs::write(folder.path().join("reviews.csv"), format!("text,label\n{rows}")).unwrap();
    let texts = FOREIGN.map(str::to_owned);
    transformers_agrees_in(&folder, &python, ("xlm-roberta", ""), &texts, (&THREE, &THREE));
}

/// Fine-tunes with transformers and predicts with the command.
fn finetone_agrees(like: &str) {
    let Some(python) = python::interpreter() else { return };
    let folder = place(&THREE);
    let exported = export(folder.path(), like, "");
    let names = ["bad", "good", "so-so"];
    let records = texts().into_iter().enumerate().map(|(i, text)| json!({ "text": text, "label": names[i % 3] }));
    let lines: String = records.map(|record| format!("{record}\n")).collect();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("texts.jsonl"), lines).unwrap();
    let (texts_path, theirs, answers) = (path("texts.jsonl"), path("theirs"), path("answers.jsonl"));
    let arguments = [exported.as_os_str(), texts_path.as_ref(), theirs.as_ref(), answers.as_ref()];
    python::script(&python, "finetune.py", &arguments);

    let ours = predictions(folder.path(), "theirs", &texts(), &names);
    let answers = json_lines(&answers);
    assert_eq!(answers.len(), ours.len());
    for ((label, probabilities), answer) in ours.iter().zip(&answers) {
        assert_eq!(answer["label"], *label, "{answer}");
        let theirs: Vec<f64> = answer["probabilities"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert_eq!(theirs.len(), names.len());
        for (a, b) in probabilities.iter().zip(&theirs) {
            assert!((a - b).abs() <= 1e-4, "{probabilities:?} instead of {theirs:?} for {answer}");
        }
    }
}

#[test]
fn a_bert_of_transformers_says_the_same_here() {
    finetone_agrees("tiny");
}

#[test]
fn a_gpt2_of_transformers_says_the_same_here() {
    finetone_agrees("gpt2-tiny");
}

#[test]
fn a_llama_of_transformers_says_the_same_here() {
    finetone_agrees("llama-tiny");
}

/// Trains a language model on chats, exports it, and has transformers compare the tokens of prompts and the probabilities of
/// answers.
fn transformers_answers_like(model: &str) {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (asked, words) = (texts(), ["Good", "Bad", "So so"]);
    let chat = |(i, text): (usize, &String)| {
        let (instructions, answer) = ("Answer with one of three words.", words[i % 3]);
        json!({ "messages": [
            { "role": "system", "content": instructions },
            { "role": "user", "content": text },
            { "role": "assistant", "content": answer },
        ]})
    };
    let chats: Vec<Value> = asked.iter().enumerate().map(chat).collect();
    let lines: String = chats.iter().cycle().take(27).map(|chat| format!("{chat}\n")).collect();
    fs::write(path("chats.jsonl"), lines).unwrap();
    let settings = "--set max_steps=6 --learning-rate 1e-3 --set test_fraction=0 --threads 1 --quiet";
    done(folder.path(), &format!("train chats.jsonl --model {model} --out run {settings}"));
    done(folder.path(), "model export run -o exported");
    done(folder.path(), "predict run chats.jsonl -o out.jsonl --precision f32 --quiet");

    let template = ChatTemplate::from_folder(&path("exported")).unwrap();
    let tokenizer = Tokenizer::from_folder(&path("exported")).unwrap();
    let said = json_lines(&path("out.jsonl"));
    let record = |(line, said): (&Value, &Value)| {
        let messages = &line["messages"].as_array().unwrap()[..2];
        let read = |message: &Value| {
            let role = Role::from_word(message["role"].as_str().unwrap()).unwrap();
            Message::new(role, message["content"].as_str().unwrap())
        };
        let prompt = template.prompt(&messages.iter().map(read).collect::<Vec<_>>(), None).unwrap();
        let answers = words.map(|word| (word.to_owned(), said[format!("probability_{word}")].clone()));
        let answers: serde_json::Map<String, Value> = answers.into_iter().collect();
        let ids = tokenizer.content_ids(&prompt);
        format!("{}\n", json!({ "messages": messages, "prompt": ids, "answers": answers }))
    };
    let records: String = chats.iter().zip(&said).map(record).collect();
    fs::write(path("records.jsonl"), records).unwrap();
    let (exported, records) = (path("exported"), path("records.jsonl"));
    let said = python::script(&python, "roundtrip_chats.py", &[exported.as_os_str(), records.as_ref()]);
    assert!(said.starts_with(&format!("{} chats, ", asked.len())), "{said}");
}

#[test]
fn exported_language_models_answer_like_in_transformers() {
    for model in ["gpt2-tiny", "llama-tiny"] {
        transformers_answers_like(model);
    }
}
