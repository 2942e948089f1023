//! BERTweet's files give the ids of `transformers` (5.23), which made the literals here from the same tiny vocabulary.

use std::fs;

use finetone_data::tokenizer::{Limit, Tokenizer, TokenizerError};
use tempfile::TempDir;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let codes = "l o 50\nlo w</w> 40\ng o 30\ngo o 20\ngoo d</w> 10\nn e 9\nne w</w> 8\n";
    let vocab = "low 90\ngood 80\nlo@@ 70\nne@@ 5\nn@@ 5\ne@@ 4\nw 4\ns 3\na 2\n@USER 2\n! 1\n";
    fs::write(folder.path().join("bpe.codes"), codes).unwrap();
    fs::write(folder.path().join("vocab.txt"), vocab).unwrap();
    folder
}

#[test]
fn the_ids_are_those_of_transformers() {
    let folder = folder();
    let tokenizer = Tokenizer::from_folder(folder.path()).unwrap();
    let cases: [(&str, &[u32]); 6] = [
        ("low good new", &[0, 4, 5, 3, 2]),
        ("lows goodness <mask> a", &[0, 6, 3, 11, 3, 3, 7, 3, 11, 15, 12, 2]),
        ("a\nlow ! @USER ☃", &[0, 3, 3, 4, 14, 3, 3, 3, 3, 3, 3, 2]),
        ("", &[0, 2]),
        ("newlow lo go", &[0, 7, 3, 4, 3, 3, 3, 3, 2]),
        ("x <mask>low", &[0, 3, 15, 4, 2]),
    ];
    for (text, expected) in cases {
        assert_eq!(tokenizer.encode(text, &Limit::head(100)).ids, expected, "{text}");
    }
    assert_eq!(tokenizer.vocab_size(), 16);
    assert_eq!(tokenizer.pad_id(), Some(1));
    let saved = tempfile::tempdir().unwrap();
    tokenizer.save(saved.path()).unwrap();
    let again = Tokenizer::from_folder(saved.path()).unwrap();
    assert_eq!(again.encode("lows", &Limit::head(9)), tokenizer.encode("lows", &Limit::head(9)));
}

#[test]
fn normalization_of_raw_tweets_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"normalization": true}"#).unwrap();
    let error = Tokenizer::from_folder(folder.path()).unwrap_err();
    assert!(matches!(error, TokenizerError::Unsupported { .. }));
    assert!(error.hint().unwrap().contains("@USER"));
}

#[test]
fn added_tokens_are_refused() {
    let open = || Tokenizer::from_folder(folder().path()).unwrap();
    assert_eq!(open().with_special_tokens(&[]).unwrap().vocab_size(), 16);
    let error = open().with_special_tokens(&["[AGENT]"]).unwrap_err();
    assert!(error.to_string().contains("`[AGENT]`") && error.hint().is_some(), "{error}");
}

#[test]
fn a_broken_line_is_named() {
    let folder = folder();
    fs::write(folder.path().join("bpe.codes"), "l o 5\nlo\n").unwrap();
    let error = Tokenizer::from_folder(folder.path()).unwrap_err();
    assert!(error.to_string().contains("line 2 is not two pieces and a count"), "{error}");
}
