//! Tokenizers opened from folders give the ids of `transformers` (5.23), which made the literals here from the same tiny
//! vocabularies.

use std::fs;
use std::path::Path;

use finetone_data::tokenizer::{Keep, Limit, MOST_WINDOWS, Tokenizer, TokenizerError};
use serde_json::{Map, json};
use tempfile::TempDir;

const ALL: Limit = Limit { max_tokens: 1000, keep: Keep::Head };

const TEXTS: [&str; 5] = [
    "hello world good",
    "Hello world, isn't it <mask> good?</s> x",
    "",
    "The café was BADLY unbad [MASK] good, not-a b!",
    "naïve ☃",
];

/// The 256 letters of a byte-level vocabulary, by code point.
fn byte_alphabet() -> impl Iterator<Item = char> {
    ('!'..='~').chain('¡'..='¬').chain('®'..='\u{143}')
}

/// `vocab.json` and `merges.txt` with 13 merges over all bytes.
fn byte_level_folder(specials: &[&str], model_type: &str) -> TempDir {
    let merges =
        ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "g o", "o d", "go od", "Ġ good"];
    let mut tokens: Vec<String> = specials.iter().map(|token| (*token).to_owned()).collect();
    tokens.extend(byte_alphabet().map(String::from));
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let vocab: Map<_, _> = tokens.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.json"), json!(vocab).to_string()).unwrap();
    fs::write(folder.path().join("merges.txt"), format!("#version: 0.2\n{}\n", merges.join("\n"))).unwrap();
    fs::write(folder.path().join("config.json"), json!({"model_type": model_type}).to_string()).unwrap();
    folder
}

fn bert_folder() -> TempDir {
    let words =
        "[PAD] [UNK] [CLS] [SEP] [MASK] the film was good bad ##ly ##ness not ! , . ' t a ##b ##c un cafe café É";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vocab.txt"), words.replace(' ', "\n") + "\n").unwrap();
    fs::write(folder.path().join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
    folder
}

fn roberta_folder() -> TempDir {
    byte_level_folder(&["<s>", "<pad>", "</s>", "<unk>", "<mask>"], "roberta")
}

fn ids(folder: &Path, text: &str, limit: &Limit) -> Vec<u32> {
    Tokenizer::from_folder(folder).unwrap().encode(text, limit).ids
}

#[test]
fn gpt2_files_give_the_ids_of_transformers() {
    let folder = byte_level_folder(&["<|endoftext|>"], "gpt2");
    let expected: [&[u32]; 5] = [
        &[260, 265, 269],
        &[
            40, 69, 258, 79, 265, 12, 221, 73, 83, 78, 7, 84, 221, 73, 84, 221, 28, 77, 65, 83, 75, 30, 269, 31, 28,
            15, 83, 30, 221, 88,
        ],
        // `transformers` gives no ids at all for the empty text; a model needs one.
        &[0],
        &[
            52, 257, 221, 67, 65, 70, 128, 103, 261, 65, 83, 221, 34, 33, 36, 44, 57, 221, 85, 78, 66, 65, 68, 221, 59,
            45, 33, 51, 43, 61, 269, 12, 221, 78, 79, 84, 13, 65, 221, 66, 1,
        ],
        &[78, 65, 128, 108, 86, 69, 221, 159, 247, 226],
    ];
    for (text, expected) in TEXTS.iter().zip(expected) {
        assert_eq!(ids(folder.path(), text, &ALL), expected, "{text}");
        let cut = &expected[..expected.len().min(6)];
        assert_eq!(ids(folder.path(), text, &Limit::head(6)), cut, "{text}");
    }
}

#[test]
fn roberta_files_give_the_ids_of_transformers() {
    let folder = roberta_folder();
    let expected: [&[u32]; 5] = [
        &[0, 264, 269, 273, 2],
        &[0, 44, 73, 262, 83, 269, 16, 225, 77, 87, 82, 11, 88, 225, 77, 88, 225, 4, 273, 35, 2, 225, 92, 2],
        &[0, 2],
        &[
            0, 56, 261, 225, 71, 69, 74, 132, 107, 265, 69, 87, 225, 38, 37, 40, 48, 61, 225, 89, 82, 70, 69, 72, 225,
            63, 49, 37, 55, 47, 65, 273, 16, 225, 82, 83, 88, 17, 69, 225, 70, 5, 2,
        ],
        &[0, 82, 69, 132, 112, 90, 73, 225, 163, 251, 230, 2],
    ];
    for (text, expected) in TEXTS.iter().zip(expected) {
        assert_eq!(ids(folder.path(), text, &ALL), expected, "{text}");
    }
    assert_eq!(ids(folder.path(), TEXTS[3], &Limit::head(6)), [0, 56, 261, 225, 71, 2]);
}

#[test]
fn bert_files_give_the_ids_of_transformers() {
    let folder = bert_folder();
    let expected: [&[u32]; 5] = [
        &[2, 1, 1, 8, 3],
        &[2, 1, 1, 14, 1, 16, 17, 1, 1, 1, 1, 8, 1, 1, 1, 1, 1, 1, 3],
        &[2, 3],
        &[2, 5, 22, 7, 9, 10, 1, 4, 8, 14, 12, 1, 18, 1, 13, 3],
        &[2, 1, 1, 3],
    ];
    for (text, expected) in TEXTS.iter().zip(expected) {
        assert_eq!(ids(folder.path(), text, &ALL), expected, "{text}");
    }
    assert_eq!(ids(folder.path(), TEXTS[3], &Limit::head(6)), [2, 5, 22, 7, 9, 3]);
}

#[test]
fn a_cased_vocabulary_keeps_case_and_accents() {
    let folder = bert_folder();
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"do_lower_case": false, "model_max_length": 512}"#)
        .unwrap();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.encode("café É The", &ALL).ids, [2, 23, 24, 1, 3]);
    assert_eq!(tokenizer.max_tokens_hint(), Some(512));
}

#[test]
fn special_tokens_always_stay() {
    let folder = bert_folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let text = "the film was good bad not t a";
    let keep = |max_tokens, keep| {
        let encoding = tokenizer.encode(text, &Limit { max_tokens, keep });
        assert!(encoding.truncated);
        encoding.ids
    };
    assert_eq!(keep(6, Keep::Head), [2, 5, 6, 7, 8, 3]);
    assert_eq!(keep(6, Keep::Tail), [2, 9, 12, 17, 18, 3]);
    assert_eq!(keep(6, Keep::HeadTail), [2, 5, 12, 17, 18, 3]);
    assert_eq!(keep(0, Keep::HeadTail), [2, 3]);
    assert!(!tokenizer.encode(text, &Limit::head(10)).truncated);
}

#[test]
fn every_window_has_the_special_tokens_and_nothing_is_left_out() {
    let folder = bert_folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let text = TEXTS[3];
    let whole = tokenizer.encode(text, &ALL).ids;
    let inner = &whole[1..whole.len() - 1];
    for overlap in [0, 1, 2] {
        let limit = Limit { max_tokens: 6, keep: Keep::Windows { overlap } };
        let encoding = tokenizer.encode(text, &limit);
        let mut read: Vec<u32> = Vec::new();
        for (i, window) in limit.sequences(&encoding.ids).enumerate() {
            assert!(window.len() <= 6 && window[0] == 2 && window[window.len() - 1] == 3, "{window:?}");
            read.truncate(read.len() - if i > 0 { overlap } else { 0 });
            read.extend(&window[1..window.len() - 1]);
        }
        assert_eq!((&read[..], encoding.truncated), (inner, false));
    }
    let limit = Limit { max_tokens: 3, keep: Keep::Windows { overlap: 0 } };
    let long = tokenizer.encode(&text.repeat(20), &limit);
    assert_eq!((limit.sequences(&long.ids).len(), long.truncated), (MOST_WINDOWS, true));
}

#[test]
fn stored_truncation_and_padding_are_switched_off_and_the_file_stays_as_it_is() {
    let source = bert_folder();
    Tokenizer::from_folder(source.path()).unwrap().save(source.path()).unwrap();
    let path = source.path().join("tokenizer.json");
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    document["truncation"] = json!({"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0});
    document["padding"] = json!({
        "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    });
    let bytes = format!("{document:#}  \n");
    fs::write(&path, &bytes).unwrap();
    let tokenizer = Tokenizer::from_folder(source.path()).unwrap();
    assert_eq!(tokenizer.encode("the film was", &ALL).ids, [2, 5, 6, 7, 3]);
    assert_eq!(tokenizer.pad_id(), Some(0));
    let target = tempfile::tempdir().unwrap();
    tokenizer.save(target.path()).unwrap();
    assert_eq!(fs::read(target.path().join("tokenizer.json")).unwrap(), bytes.as_bytes());
    assert_eq!(fs::read(target.path().join("vocab.txt")).unwrap(), fs::read(source.path().join("vocab.txt")).unwrap());
}

#[test]
fn tokens_and_sizes_are_those_of_the_vocabulary() {
    let folder = roberta_folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    assert_eq!(tokenizer.vocab_size(), 274);
    assert_eq!(tokenizer.pad_id(), Some(1));
    assert_eq!(tokenizer.token(264).as_deref(), Some("hello"));
    assert_eq!(tokenizer.token(9999), None);
    assert_eq!(tokenizer.max_tokens_hint(), None);
}

#[test]
fn added_tokens_are_never_split() {
    for folder in [roberta_folder(), bert_folder(), byte_level_folder(&["<|endoftext|>"], "gpt2")] {
        let before = Tokenizer::from_folder(folder.path()).unwrap();
        let (size, plain) = (before.vocab_size(), before.encode("the film hello", &ALL).ids);
        let tokenizer = before.with_special_tokens(&["[AGENT]", "[URL]"]).unwrap();
        let (agent, url) = (size as u32, size as u32 + 1);
        assert_eq!(tokenizer.vocab_size(), size + 2);
        assert_eq!(tokenizer.encode("the film hello", &ALL).ids, plain);
        let ids = tokenizer.encode("[AGENT] the[URL] film[AGENT]", &ALL).ids;
        let found: Vec<u32> = ids.iter().copied().filter(|id| *id >= agent).collect();
        assert_eq!(found, [agent, url, agent]);

        let saved = tempfile::tempdir().unwrap();
        tokenizer.save(saved.path()).unwrap();
        let again = Tokenizer::from_folder(saved.path()).unwrap();
        assert_eq!(again.encode("[AGENT] the[URL] film[AGENT]", &ALL).ids, ids);
        let more = again.with_special_tokens(&["[URL]", "[EMAIL]"]).unwrap();
        assert_eq!(more.vocab_size(), size + 3, "what is there already is not added again");
        assert_eq!(more.encode("[AGENT] the[URL] film[AGENT]", &ALL).ids, ids);
    }
}

#[test]
fn a_word_of_the_vocabulary_may_become_special() {
    let folder = bert_folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap().with_special_tokens(&["film", "[NEW]"]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 26);
    assert_eq!(tokenizer.encode("thefilm[NEW]", &ALL).ids, [2, 5, 6, 25, 3]);
}

#[test]
fn a_batch_is_in_order_and_equal_to_one_by_one() {
    let folder = roberta_folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let texts: Vec<String> = (0..500).map(|i| format!("hello {} good", "world ".repeat(i % 40))).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let limit = Limit { max_tokens: 20, keep: Keep::HeadTail };
    let one_by_one: Vec<_> = texts.iter().map(|text| tokenizer.encode(text, &limit)).collect();
    assert_eq!(tokenizer.encode_batch(&texts, &limit), one_by_one);
}

#[test]
fn strange_texts_are_encoded() {
    let long = "a".repeat(1 << 20);
    let spaces = " ".repeat(1 << 20) + "x";
    let marks = "e\u{301}".repeat(200_000);
    let nul = "\0".repeat(1000);
    let texts = ["\0", "\u{feff}", "\u{200d}", "\r\n", "a\0b", "👩‍👩‍👧", &long, &spaces, &marks, &nul];
    for folder in [roberta_folder(), bert_folder(), byte_level_folder(&["<|endoftext|>"], "gpt2")] {
        let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
        for text in texts {
            for keep in [Keep::Head, Keep::Tail, Keep::HeadTail] {
                let encoding = tokenizer.encode(text, &Limit { max_tokens: 128, keep });
                assert!((1..=128).contains(&encoding.ids.len()));
            }
        }
    }
}

#[test]
fn a_long_text_has_the_ids_it_has_when_encoded_whole() {
    let folder = roberta_folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let text = "hello world, good ☃ café\n\n  ".repeat(20_000);
    let whole = tokenizer.encode(&text, &Limit::head(usize::MAX)).ids;
    let inner = &whole[1..whole.len() - 1];
    let ids = |keep| tokenizer.encode(&text, &Limit { max_tokens: 102, keep }).ids;
    assert_eq!(ids(Keep::Head)[1..101], inner[..100]);
    assert_eq!(ids(Keep::Tail)[1..101], inner[inner.len() - 100..]);
    assert_eq!(ids(Keep::HeadTail)[1..26], inner[..25]);
    assert_eq!(ids(Keep::HeadTail)[26..101], inner[inner.len() - 75..]);
}

#[test]
fn faults_say_what_to_do() {
    let open = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let error = Tokenizer::from_folder(folder.path()).unwrap_err();
        assert!(error.hint().is_some());
        error
    };
    assert!(matches!(open(&[]), TokenizerError::Missing { .. }));
    let error = open(&[("sentencepiece.bpe.model", "x")]);
    assert!(matches!(error, TokenizerError::NeedsConversion { .. }));
    assert!(error.hint().unwrap().contains("save_pretrained"));
    let error = open(&[("tokenizer.json", "{\"version\": \"1.0\"")]);
    assert!(error.to_string().contains("tokenizer.json: not a usable tokenizer file"), "{error}");
    let error = open(&[("vocab.txt", "[PAD]\nfilm\n")]);
    assert!(error.to_string().contains("the special token `[CLS]` is not in the vocabulary"), "{error}");
    let error =
        open(&[("vocab.json", r#"{"<|endoftext|>": 0, "a": 1, "b": 2}"#), ("merges.txt", "#version: 0.2\na b\n")]);
    assert!(error.to_string().contains("line 2 needs `ab`"), "{error}");
    let error =
        open(&[("vocab.json", r#"{"a": 1}"#), ("merges.txt", ""), ("config.json", r#"{"model_type": "qwen2"}"#)]);
    assert!(matches!(error, TokenizerError::NeedsConversion { .. }));
    let lying = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,
        "post_processor":null,"decoder":null,"model":{"type":"BPE","vocab":{"a":0,"b":1},"merges":["a b"]}}"#;
    assert!(matches!(open(&[("tokenizer.json", lying)]), TokenizerError::Invalid { .. }));
}
