//! Tokenizers trained on text are the same every time and open in `transformers` with the same ids.

#[path = "../../../tests/python.rs"]
mod python;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use finetone_data::tokenizer::{Limit, Tokenizer, TokenizerError, TrainKind, TrainOptions};

const KINDS: [TrainKind; 3] = [TrainKind::Gpt2Bpe, TrainKind::RobertaBpe, TrainKind::WordPiece];

const TEXTS: [&str; 6] = [
    "The kettle wasn't late, but its lid rattled.",
    "",
    "naïve CAFÉ ☃ 東京 \t two  spaces \n",
    "<mask> [MASK] <|endoftext|> </s>",
    "unseenlyness 12345 @someone #topic :-)",
    "e\u{301}te\u{301} İstanbul ﬁne",
];

/// A text of words made from syllables, with counts that differ.
fn corpus() -> Vec<String> {
    let heads = ["ket", "lam", "ratt", "qui", "ser", "win", "Bro", "é", "zo", "th"];
    let tails = ["tle", "p", "led", "et", "ving", "dow", "ken", "tude", "om", "e"];
    (0..3000_usize)
        .map(|i| {
            let word = |k: usize| format!("{}{}", heads[(i * k + k) % 10], tails[(i / 3 + k * k) % 10]);
            format!("{} {}, {} {}!", word(1), word(3), word(7), i % 97)
        })
        .collect()
}

fn train(options: &TrainOptions) -> Tokenizer {
    let corpus = corpus();
    Tokenizer::train(corpus.iter().map(String::as_str), options).unwrap()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())).collect()
}

#[test]
fn training_twice_gives_the_same_bytes() {
    for kind in KINDS {
        let mut first = None;
        for _ in 0..4 {
            let folder = tempfile::tempdir().unwrap();
            train(&TrainOptions::new(kind, 600)).save(folder.path()).unwrap();
            let files = files(folder.path());
            assert_eq!(first.get_or_insert_with(|| files.clone()), &files, "{kind:?}");
        }
    }
}

#[test]
fn a_saved_tokenizer_opens_with_the_same_ids() {
    for kind in KINDS {
        let options = TrainOptions { max_tokens: Some(128), ..TrainOptions::new(kind, 500) };
        let tokenizer = train(&options);
        let folder = tempfile::tempdir().unwrap();
        tokenizer.save(folder.path()).unwrap();
        let again = Tokenizer::from_folder(folder.path()).unwrap();
        assert_eq!(again.max_tokens_hint(), Some(128));
        assert_eq!(again.pad_id(), tokenizer.pad_id());
        assert!(again.pad_id().is_some());
        assert!(again.vocab_size() <= 500);
        for text in TEXTS {
            assert_eq!(again.encode(text, &Limit::head(64)), tokenizer.encode(text, &Limit::head(64)));
        }
    }
}

#[test]
fn training_learns_the_words_of_the_text() {
    for kind in KINDS {
        let tokenizer = train(&TrainOptions::new(kind, 600));
        let letters = Tokenizer::train(
            ["x"].into_iter().chain(corpus().iter().take(40).map(String::as_str)),
            &TrainOptions::new(kind, 300),
        )
        .unwrap();
        let text = "kettle rattled serving window";
        let ids = |tokenizer: &Tokenizer| tokenizer.encode(text, &Limit::head(100)).ids.len();
        assert!(ids(&tokenizer) <= 10, "{kind:?}: {}", ids(&tokenizer));
        assert!(ids(&tokenizer) < ids(&letters), "{kind:?}");
    }
}

#[test]
fn lowercase_merges_the_cases() {
    for kind in KINDS {
        let options = |lowercase| TrainOptions { lowercase, ..TrainOptions::new(kind, 500) };
        let ids = |lowercase, text| train(&options(lowercase)).encode(text, &Limit::head(64)).ids;
        assert_eq!(ids(true, "KETTLE"), ids(true, "kettle"));
        assert_ne!(ids(false, "KETTLE"), ids(false, "kettle"));
    }
}

#[test]
fn too_small_a_vocabulary_and_too_little_text_are_refused() {
    for kind in KINDS {
        let small = Tokenizer::train(["a text"].into_iter(), &TrainOptions::new(kind, 50)).unwrap_err();
        assert!(small.to_string().contains("a vocabulary of 50 is too small"), "{small}");
        let empty = Tokenizer::train([""; 3].into_iter(), &TrainOptions::new(kind, 500)).unwrap_err();
        assert!(matches!(empty, TokenizerError::Train { .. }));
        assert!(empty.hint().is_some());
    }
}

/// Runs only where Python has `transformers`; see the file that is included above.
#[test]
fn transformers_gives_the_same_ids() {
    let Some(python) = python::interpreter() else { return };
    let script = "import json, sys; from transformers import AutoTokenizer; texts = json.loads(sys.argv[1]); \
                  print(json.dumps([[t(x, truncation=True, max_length=16)['input_ids'] for x in texts] \
                  for t in map(AutoTokenizer.from_pretrained, sys.argv[2:])]))";
    let cased = KINDS.map(|kind| TrainOptions { lowercase: false, ..TrainOptions::new(kind, 600) });
    let lower = KINDS.map(|kind| TrainOptions { lowercase: true, ..TrainOptions::new(kind, 600) });
    let trained: Vec<_> = cased.iter().chain(&lower).map(|options| (options, train(options))).collect();
    let folders: Vec<_> = trained.iter().map(|_| tempfile::tempdir().unwrap()).collect();
    for ((_, tokenizer), folder) in trained.iter().zip(&folders) {
        tokenizer.save(folder.path()).unwrap();
    }
    let texts = serde_json::to_string(&TEXTS).unwrap();
    let paths = folders.iter().map(|folder| folder.path());
    let printed = python::run(Command::new(&python).args(["-c", script]).arg(texts).args(paths));
    let expected: Vec<Vec<Vec<u32>>> = serde_json::from_str(printed.lines().last().unwrap_or_default()).unwrap();
    for ((options, tokenizer), expected) in trained.iter().zip(expected) {
        for (text, expected) in TEXTS.iter().zip(expected) {
            let ids = tokenizer.encode(text, &Limit::head(16)).ids;
            // The empty text of a model without special tokens has no ids in Python.
            let ids = if text.is_empty() && options.kind == TrainKind::Gpt2Bpe { vec![] } else { ids };
            assert_eq!(ids, expected, "{options:?} {text}");
        }
    }
}
