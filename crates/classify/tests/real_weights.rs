//! Real weights: the hidden states of a BERT that people use are those of transformers, text by text, though here all
//! texts run packed in one batch and there each runs alone.

#[path = "../../../tests/python.rs"]
mod python;

use std::path::Path;

use finetone_backend::Backend;
use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_data::tokenizer::{Limit, Tokenizer};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Model, PackedBatch, Workspace};
use serde::Deserialize;

/// The length that the model was made for.
const MOST_TOKENS: usize = 256;
const TOLERANCE: f32 = 1e-4;

/// What `hidden.py` wrote about one text.
#[derive(Deserialize)]
struct Answer {
    ids: Vec<u32>,
    /// One row for each token.
    hidden: Vec<Vec<f32>>,
}

/// Short, long, empty and strange texts.
fn texts() -> Vec<String> {
    let short = [
        "",
        " ",
        "a",
        ".",
        "\u{200b}",
        "Good.",
        "The kettle arrived late, and its lid does not close.",
        "I've used it for three weeks; it's fine, nothing more.",
        "WORST hotel EVER!!! :-( we left after ONE night…",
        "naïve café, İstanbul, Straße, ﬁne, e\u{301}te\u{301}",
        "東京のホテルはとても良かった",
        "Отличный чайник, рекомендую",
        "الفندق جميل",
        "🙂🙁👍🏽 👨‍👩‍👧",
        "[CLS] not really [SEP] a separator [MASK] [PAD] [UNK]",
        "tabs\tand\nlines\r\n  and   spaces",
        "1234567890 12,50 € 3.14 @someone #topic https://example.com/a?b=c",
        "unseenlyness antidisestablishmentarianistically qqqqzzzzxxxx",
    ];
    let long = [
        "The room was clean, but the street outside was loud until four. ".repeat(30),
        (0..400).map(|i| format!("item {i} ")).collect(),
        "x".repeat(3000),
    ];
    short.into_iter().map(str::to_owned).chain(long).collect()
}

fn answers(python: &Path, model: &Path, texts: &[String]) -> Vec<Answer> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("texts.jsonl"), folder.path().join("hidden.json"));
    let lines: String = texts.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text }))).collect();
    std::fs::write(&input, lines).unwrap();
    let limit = MOST_TOKENS.to_string();
    let arguments = [model.as_os_str(), input.as_ref(), output.as_ref(), "--max-length".as_ref(), limit.as_ref()];
    python::script(python, "hidden.py", &arguments);
    serde_json::from_slice(&std::fs::read(output).unwrap()).unwrap()
}

/// The hidden states of all texts, packed into one batch.
fn hidden(backend: &Cpu, model: &Model<Cpu>, ids: &[Vec<u32>]) -> Vec<f32> {
    let batch = PackedBatch::pack(ids.iter().map(Vec::as_slice), model.config.position_offset);
    let mut workspace = Workspace::for_hidden_states(backend, &model.config, (batch.tokens(), batch.sequences()));
    model.transformer.forward(&model.pass(backend, &batch, None), &mut workspace);
    let mut values = vec![0.0; batch.tokens() * model.config.hidden_size];
    let range = 0..values.len();
    backend.read(&mut values, workspace.hidden(), range);
    values
}

#[test]
fn hidden_states_are_those_of_transformers() {
    let (Some(python), Some(folder)) = (python::interpreter(), python::real_weights()) else { return };
    let texts = texts();
    let answers = answers(&python, &folder, &texts);
    assert_eq!(answers.len(), texts.len());

    let tokenizer = Tokenizer::from_folder(&folder).unwrap();
    let limit = Limit::head(MOST_TOKENS);
    let ids: Vec<Vec<u32>> = texts.iter().map(|text| tokenizer.encode(text, &limit).ids).collect();
    for ((text, ours), theirs) in texts.iter().zip(&ids).zip(&answers) {
        assert_eq!(ours, &theirs.ids, "{text:?}");
    }
    assert!(ids.iter().filter(|ids| ids.len() == MOST_TOKENS).count() >= 2, "some texts reach the limit");

    let backend = Cpu::new(CpuOptions::default()).unwrap();
    let source = ModelFolder::open(&folder).unwrap();
    let (model, _) = source.load(&backend, source.config().clone(), HeadImport::FreshWhereMissing(0)).unwrap();
    let ours = hidden(&backend, &model, &ids);
    let mut rows = ours.chunks_exact(model.config.hidden_size);
    for (text, answer) in texts.iter().zip(&answers) {
        for (token, theirs) in answer.hidden.iter().enumerate() {
            let row = rows.next().expect("a row for each token");
            for (a, b) in row.iter().zip(theirs) {
                // Written so that a NaN fails.
                assert!((a - b).abs() <= TOLERANCE, "token {token} of {text:?}: {a} instead of {b}");
            }
        }
    }
    assert!(rows.next().is_none());
}
