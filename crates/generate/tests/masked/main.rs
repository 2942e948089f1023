//! What a masked language model puts in the places of words: that of `generate.py` knows one grammar, so its words are words
//! of that grammar, each where the grammar has it.

use std::path::{Path, PathBuf};

use finetone_backend::Backend;
use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_data::augment::Draft;
use finetone_data::split::random::Random;
use finetone_data::tokenizer::{Tokenizer, TrainKind, TrainOptions};
use finetone_generate::MaskedModel;
use finetone_model::checkpoint;
use finetone_model::families::{Sizes, from_scratch};
use finetone_model::{Family, Model};

const THINGS: [&str; 10] = ["lamp", "chair", "kettle", "phone", "jacket", "tent", "clock", "bike", "pan", "radio"];
const LIKE: &str = "lovely superb splendid charming excellent wonderful brilliant awful horrid shabby broken dreadful terrible \
                    miserable";

/// The pieces of words of two, but for the first one of the word that gives way.
const BEGINNINGS: [&str; 3] = ["delight", "hand", "trouble"];
const ENDS: [&str; 4] = ["ful", "less", "y", "some"];

fn like() -> Vec<&'static str> {
    LIKE.split(' ').collect()
}

fn grammar() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masked/grammar")
}

fn cpu(threads: usize) -> Cpu {
    Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap()
}

/// A draft in which these words are to be replaced, each where it first stands.
fn draft(text: &str, words: &[&str]) -> Draft {
    let place = |word: &&str| {
        let start = text.find(*word).unwrap();
        start..start + word.len()
    };
    Draft { text: text.to_owned(), words: words.iter().map(place).collect(), count: words.len() }
}

/// The same draft filled by different random numbers, and its words.
fn filled<B: Backend>(backend: &B, model: &MaskedModel<B>, draft: &Draft, count: u64) -> Vec<String> {
    let drafts = (0..count).map(|seed| (draft.clone(), Random::new(seed))).collect();
    model.fill(backend, drafts, 256).unwrap()
}

/// How many of the words at this place are among those expected, and how many different ones of these there are.
#[track_caller]
fn assert_mostly(texts: &[String], place: usize, expected: &[&str], different: usize) {
    let found: Vec<&str> = texts.iter().map(|text| text.split_whitespace().nth(place).unwrap()).collect();
    let right: Vec<&&str> = found.iter().filter(|word| expected.contains(word)).collect();
    assert!(right.len() * 100 >= found.len() * 95, "{found:?} should be of {expected:?}");
    let kinds: std::collections::BTreeSet<&&&str> = right.iter().collect();
    assert!(kinds.len() >= different, "{kinds:?}");
}

#[test]
fn words_come_from_the_grammar_that_the_model_knows() {
    let (backend, text) = (cpu(2), "the kettle number 7 is superb after a week");
    let model = MaskedModel::open(&backend, &grammar()).unwrap();
    let texts = filled(&backend, &model, &draft(text, &["superb", "kettle", "7"]), 100);
    assert_mostly(&texts, 1, &THINGS, 7);
    assert_mostly(&texts, 3, &["0", "1", "2", "3", "4", "5", "6", "8", "9"], 6);
    assert_mostly(&texts, 5, &like(), 7);
    for text in &texts {
        let words: Vec<&str> = text.split(' ').collect();
        assert_eq!((words[0], words[2], words[4], &words[6..]), ("the", "number", "is", &["after", "a", "week"][..]));
        assert!(words[1] != "kettle" && words[3] != "7" && words[5] != "superb", "{text}");
    }
}

#[test]
fn a_word_of_two_pieces_gives_way_to_one_of_two_pieces() {
    let (backend, text) = (cpu(2), "the pan number 31 is useless and my sister says so too");
    let model = MaskedModel::open(&backend, &grammar()).unwrap();
    let texts = filled(&backend, &model, &draft(text, &["useless"]), 60);
    let words: Vec<String> =
        BEGINNINGS.iter().flat_map(|word| ENDS.iter().map(move |end| format!("{word}{end}"))).collect();
    assert_mostly(&texts, 5, &words.iter().map(String::as_str).collect::<Vec<_>>(), 8);
}

#[test]
fn only_whole_words_are_touched_and_all_else_keeps_its_letters() {
    let backend = cpu(1);
    let model = MaskedModel::open(&backend, &grammar()).unwrap();
    let text = "The  lamp!\tis (superb),\n\nthe Zürich-clock … isn't 很好 so \u{301} terrible?";
    for text in filled(&backend, &model, &draft(text, &["lamp", "superb", "terrible"]), 20) {
        let frame = ["The  ", "!\tis (", "),\n\nthe Zürich-clock … isn't 很好 so \u{301} ", "?"];
        let mut rest = text.as_str();
        for part in frame {
            let (word, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} is missing in {text:?}"));
            assert!(word.chars().all(char::is_alphanumeric), "{word:?}");
            rest = after;
        }
    }
    // Words that the vocabulary does not know, or with punctuation inside, give way to the next ones.
    let draft = Draft { count: 1, ..draft(text, &["Zürich-clock", "isn't", "很", "lamp"]) };
    for text in filled(&backend, &model, &draft, 5) {
        assert!(text.contains("the Zürich-clock … isn't 很好 so") && !text.contains("lamp"), "{text}");
    }
    let nothing = Draft { text: "the lamp".into(), ..Draft::default() };
    assert_eq!(filled(&backend, &model, &nothing, 1), ["the lamp"]);
}

#[test]
fn of_a_long_text_what_is_around_the_words_is_read() {
    let (backend, sentence) = (cpu(2), "the radio number 5 is lovely in every way, i must say. ");
    let model = MaskedModel::open(&backend, &grammar()).unwrap();
    // Far more tokens than the 32 that the model can read.
    let text = sentence.repeat(12);
    let every = |word: &str| text.match_indices(word).map(|(start, _)| start..start + word.len()).collect::<Vec<_>>();
    let words = [every("radio"), every("lovely")].concat();
    let draft = Draft { count: words.len(), text, words };
    for text in filled(&backend, &model, &draft, 4) {
        assert!(!text.contains("radio") && !text.contains("lovely"), "{text}");
        let (words, before): (Vec<&str>, Vec<&str>) = (text.split(' ').collect(), draft.text.split(' ').collect());
        let changed: Vec<&str> = words.iter().zip(&before).filter(|(a, b)| a != b).map(|(_, before)| *before).collect();
        assert_eq!((words.len(), changed), (before.len(), ["radio", "lovely"].repeat(12)));
    }
}

#[test]
fn neighbours_and_threads_change_nothing() {
    let texts = ["the tent number 1 is awful", "the tent number 62 is useless and my sister says so too"];
    let drafts = [draft(texts[0], &["tent", "awful"]), draft(texts[1], &["62", "useless"])];
    let fill = |threads, drafts: &[&Draft], budget| {
        let backend = cpu(threads);
        let model = MaskedModel::open(&backend, &grammar()).unwrap();
        let drafts = drafts.iter().map(|draft| ((*draft).clone(), Random::new(draft.text.len() as u64))).collect();
        model.fill(&backend, drafts, budget).unwrap()
    };
    let alone = [fill(1, &[&drafts[0]], 8), fill(1, &[&drafts[1]], 8)].concat();
    assert_eq!(fill(3, &[&drafts[0], &drafts[1]], 1000), alone);
    assert_eq!(fill(2, &[&drafts[1], &drafts[0]], 20), [alone[1].clone(), alone[0].clone()]);
    assert!(alone.iter().zip(texts).all(|(copy, text)| copy != text));
}

/// A folder with a model of random weights and a tokenizer of these texts.
fn folder(family: Family, kind: TrainKind, texts: &[&str], masked: bool) -> tempfile::TempDir {
    let tokenizer = Tokenizer::train(texts.iter().copied(), &TrainOptions::new(kind, 400)).unwrap();
    let (hidden_size, layers, heads, intermediate_size) = (16, 1, 2, 24);
    let (vocab_size, pad_token_id) = (tokenizer.vocab_size(), tokenizer.pad_id().unwrap_or(0));
    let sizes = Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens: 40, pad_token_id };
    let mut config = from_scratch(family, &sizes).unwrap();
    if masked {
        config.set_masked_head().unwrap();
    }
    let (backend, folder) = (cpu(1), tempfile::tempdir().unwrap());
    checkpoint::save(&backend, &Model::initialise(&backend, config, 5), folder.path()).unwrap();
    tokenizer.save(folder.path()).unwrap();
    folder
}

#[test]
fn words_of_byte_level_vocabularies_keep_the_space_before_them() {
    let texts = ["good tea in a good tent, so good", "bad nets and ten bad nets: tea", "a tent (net) \"tea\""];
    for (family, kind) in [(Family::Roberta, TrainKind::RobertaBpe), (Family::DistilBert, TrainKind::WordPiece)] {
        let folder = folder(family, kind, &texts, true);
        let backend = cpu(1);
        let model = MaskedModel::open(&backend, folder.path()).unwrap();
        for text in filled(&backend, &model, &draft("bad nets and ten  (tea), so", &["nets", "ten", "tea"]), 20) {
            let words: Vec<&str> = text.split(' ').collect();
            assert_eq!((words.len(), words[0], words[2], words[4], words[6]), (7, "bad", "and", "", "so"), "{text}");
            assert!(words[5].starts_with('(') && words[5].ends_with("),") && words[5] != "(tea),", "{text}");
            assert!(words[1] != "nets" && words[3] != "ten", "{text}");
        }
    }
}

#[test]
fn folders_without_head_or_mask_are_refused() {
    let refused = |folder: &Path| {
        let error = MaskedModel::open(&cpu(1), folder).err().expect("it cannot replace words");
        (error.to_string(), error.hint().unwrap())
    };
    let texts = ["good tea in a good tent"];
    let (error, hint) = refused(folder(Family::Bert, TrainKind::Gpt2Bpe, &texts, true).path());
    assert!(error.contains("no token for masked places") && hint.contains("tokenizer"), "{error}");
    let (error, hint) = refused(folder(Family::Bert, TrainKind::WordPiece, &texts, false).path());
    assert!(error.contains("`BertForMaskedLM`") && hint.contains("sentence-transformers"), "{error}");
    let (error, _) = refused(folder(Family::Gpt2, TrainKind::Gpt2Bpe, &texts, false).path());
    assert!(error.contains("reads texts in one direction"), "{error}");
}
