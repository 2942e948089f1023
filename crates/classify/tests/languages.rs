//! A tiny XLM-R, written by transformers with a tokenizer of four languages, says the same here about texts in twelve.

#[path = "../../../tests/foreign.rs"]
mod foreign;
#[path = "../../../tests/python.rs"]
mod python;

use std::fs;

use finetone_backend::Reference;
use finetone_classify::{Classifier, TransformerClassifier};
use finetone_data::Example;
use finetone_data::tokenizer::Limit;
use foreign::{FOREIGN, examples};
use serde_json::Value;

#[test]
fn an_xlm_roberta_of_transformers_says_the_same_here() {
    let Some(python) = python::interpreter() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (model, texts, answers) =
        (folder.path().join("model"), folder.path().join("texts.json"), folder.path().join("answers.json"));
    fs::write(&texts, serde_json::to_string(&FOREIGN).unwrap()).unwrap();
    let files = examples();
    let mut arguments = vec![model.as_os_str(), texts.as_ref(), answers.as_ref()];
    arguments.extend(files.iter().map(|file| file.as_os_str()));
    python::script(&python, "xlm_roberta.py", &arguments);

    let answers: Vec<Value> = serde_json::from_slice(&fs::read(&answers).unwrap()).unwrap();
    let mut classifier = TransformerClassifier::open(Reference::<f64>::new(), &model, 100).unwrap();
    assert_eq!(classifier.labels(), ["negative", "neutral", "positive"]);
    for (text, answer) in FOREIGN.iter().zip(&answers) {
        let numbers =
            |key: &str| answer[key].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect::<Vec<_>>();
        let ids = classifier.reader().tokenizer().encode(text, &Limit::head(100)).ids;
        assert_eq!(ids.iter().map(|&id| f64::from(id)).collect::<Vec<_>>(), numbers("ids"), "{text}");
        let ours = classifier.classify(&[Example::from_text(text)]).unwrap().probabilities;
        for (our, their) in ours.iter().zip(numbers("probabilities")) {
            assert!((f64::from(*our) - their).abs() < 1e-5, "{text}: {ours:?}, not {answer}");
        }
    }
}
