//! The baselines as a caller sees them.

use std::path::Path;

use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_classify::baselines::{Baseline, Fit, Lesson, Pretrained};
use finetone_classify::{Classifier, TextLimit};
use finetone_data::{Example, Preparation, Target};

const GOOD: [&str; 4] = ["a lovely lamp", "great tent and great price", "I love this kettle", "happy with the chair"];
const BAD: [&str; 4] = ["an awful lamp", "the tent broke", "I hate this kettle", "sad about the horrible chair"];

fn names(labels: &[&str]) -> Vec<String> {
    labels.iter().map(|label| (*label).to_owned()).collect()
}

fn examples(texts: &[&str]) -> Vec<Example> {
    texts.iter().map(|text| Example::from_text(text)).collect()
}

/// 24 texts, twice as many bad ones as good ones.
fn reviews() -> (Vec<&'static str>, Vec<Target>) {
    let texts = (0..24).map(|i| if i % 3 == 0 { GOOD[i / 3 % 4] } else { BAD[i % 4] });
    (texts.collect(), (0..24).map(|i| Target::Class(usize::from(i % 3 == 0))).collect())
}

/// What a baseline is to learn: one label for each text.
fn lesson<'a>(
    preparation: &'a Preparation,
    (texts, targets): (&'a [&'a str], &'a [Target]),
    labels: &'a [String],
) -> Lesson<'a> {
    Lesson { preparation, texts, targets, labels, multi_label: false, seed: 0 }
}

fn fitted(baseline: Baseline, lesson: &Lesson<'_>) -> (Box<dyn Classifier>, String) {
    match baseline.fit::<Cpu>(lesson, None).unwrap() {
        Fit::Fitted { classifier, detail } => (classifier, detail),
        Fit::NotApplicable(reason) => panic!("{baseline:?}: {reason}"),
    }
}

fn refused(baseline: Baseline, lesson: &Lesson<'_>) -> String {
    match baseline.fit::<Cpu>(lesson, None).unwrap() {
        Fit::Fitted { detail, .. } => panic!("{baseline:?} was fitted: {detail}"),
        Fit::NotApplicable(reason) => reason,
    }
}

#[test]
fn each_answers_in_the_order_of_the_labels() {
    let ((texts, targets), labels) = (reviews(), names(&["negative", "positive"]));
    let preparation = Preparation::default();
    let lesson = lesson(&preparation, (&texts, &targets), &labels);
    for (baseline, rights) in [(Baseline::Majority, 4), (Baseline::Lexicon, 7), (Baseline::TfIdf, 8)] {
        let (mut classifier, detail) = fitted(baseline, &lesson);
        assert_eq!((classifier.labels(), classifier.is_multi_label()), (labels.as_slice(), false));
        let said = classifier.classify(&examples(&[GOOD, BAD].concat())).unwrap().probabilities;
        assert!(said.chunks_exact(2).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-6), "{said:?}");
        let right = said.chunks_exact(2).enumerate().filter(|(row, p)| (p[1] > p[0]) == (*row < 4)).count();
        assert!(right >= rights, "{baseline:?}: {right} right, {detail}");
    }
    let (mut majority, detail) = fitted(Baseline::Majority, &lesson);
    assert_eq!(detail, "answers “negative”");
    assert!((majority.classify(&examples(&["x"])).unwrap().probabilities[0] - 2.0 / 3.0).abs() < 1e-6);
}

#[test]
fn what_has_no_meaning_says_so() {
    let (texts, targets) = reviews();
    let labels = names(&["delivery", "price"]);
    let preparation = Preparation::default();
    let lesson = lesson(&preparation, (&texts, &targets), &labels);
    assert!(refused(Baseline::Lexicon, &lesson).contains("“delivery”, “price”"));
    assert!(refused(Baseline::Embeddings, &lesson).contains("random weights"));
}

#[test]
fn several_labels_are_several_questions() {
    let texts: Vec<&str> = (0..40).map(|i| ["late parcel", "late and broken", "broken cup", "fine"][i % 4]).collect();
    let targets: Vec<Target> =
        (0..40).map(|i| Target::Classes([vec![0], vec![0, 1], vec![1], vec![]][i % 4].clone())).collect();
    let labels = names(&["delay", "damage"]);
    let preparation = Preparation::default();
    let lesson = Lesson { multi_label: true, ..lesson(&preparation, (&texts, &targets), &labels) };
    assert!(refused(Baseline::Lexicon, &lesson).contains("several"));
    let (mut words, _) = fitted(Baseline::TfIdf, &lesson);
    assert!(words.is_multi_label());
    let said: Vec<bool> =
        words.classify(&examples(&texts[..4])).unwrap().probabilities.iter().map(|p| *p >= 0.5).collect();
    assert_eq!(said, [true, false, true, true, false, true, false, false]);
    let (mut majority, _) = fitted(Baseline::Majority, &lesson);
    assert_eq!(majority.classify(&examples(&["x"])).unwrap().probabilities, [0.5, 0.5]);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let ((texts, targets), labels) = (reviews(), names(&["bad", "good"]));
    let preparation = Preparation::default();
    let lesson = lesson(&preparation, (&texts, &targets), &labels);
    let with = |threads| {
        let cpu = Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap();
        cpu.install(|| fitted(Baseline::TfIdf, &lesson).0.classify(&examples(&texts)).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_folder_that_is_no_model_is_an_error() {
    let ((texts, targets), labels) = (reviews(), names(&["bad", "good"]));
    let preparation = Preparation::default();
    let lesson = lesson(&preparation, (&texts, &targets), &labels);
    let backend = Cpu::new(CpuOptions::default()).unwrap();
    let folder = Path::new("/nowhere");
    let pretrained = Pretrained { backend: &backend, folder, limit: &|_, _| TextLimit::head(16), token_budget: 64 };
    let Err(error) = Baseline::Embeddings.fit(&lesson, Some(&pretrained)) else { panic!("it was fitted") };
    assert!(error.to_string().contains("/nowhere") && error.hint().is_some(), "{error}");
}
