//! Integrated gradients beside Captum: the cases of `generate.py`.

use std::path::Path;

use finetone_backend::Reference;
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{Attribution, Model, PackedBatch, attribute};
use serde_json::Value;

type Exact = Reference<f64>;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn load(name: &str) -> Model<Exact> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
    let source = ModelFolder::open(&folder).unwrap();
    source.load(&Exact::new(), source.config().clone(), HeadImport::Required).unwrap().0
}

/// The ids with this one in the place of all but the first and the last.
fn silent(ids: &[u32], pad: u32) -> Vec<u32> {
    let last = ids.len() - 1;
    ids.iter().enumerate().map(|(i, &id)| if i == 0 || i == last { id } else { pad }).collect()
}

fn explain(model: &Model<Exact>, ids: &[u32], pad: u32) -> Attribution {
    let offset = model.config.position_offset;
    let [text, baseline] = [ids, &silent(ids, pad)].map(|ids| PackedBatch::pack([ids], offset));
    let weights: &[f64] = if model.config.head.logits() == 1 { &[1.0] } else { &[-1.0, 1.0, 0.0] };
    attribute(&Exact::new(), model, &text, &baseline, weights)
}

#[test]
fn tokens_contribute_what_captum_says_and_add_up() {
    let golden: Value = serde_json::from_str(include_str!("attribution.json")).unwrap();
    let ids: Vec<u32> = numbers(&golden["ids"]).into_iter().map(|id| id as u32).collect();
    for case in golden["cases"].as_array().unwrap() {
        let name = case["model"].as_str().unwrap();
        let found = explain(&load(name), &ids, case["pad"].as_u64().unwrap() as u32);
        for (key, ours) in [("text", found.text), ("baseline", found.baseline)] {
            assert!((ours - case[key].as_f64().unwrap()).abs() < 1e-5, "{name}: {key} {ours}");
        }
        assert!(found.gap() <= 0.01, "{name}: {} after {} steps", found.gap(), found.steps);
        let difference = (found.text - found.baseline).abs();
        for (ours, theirs) in found.tokens.iter().zip(numbers(&case["tokens"])) {
            assert!((ours - theirs).abs() < 0.01 * difference, "{name}: {ours} against {theirs}");
        }
        assert!(found.tokens[0].abs() < 1e-9, "{name}: what is the same in both texts explains nothing");
    }
}

#[test]
fn a_text_of_several_sequences_is_explained_as_one() {
    let (model, backend) = (load("bert"), Exact::new());
    let (windows, pad) = ([&[3, 17, 29, 5][..], &[3, 8, 41, 5]], 0);
    let batch = |windows: &[Vec<u32>]| {
        let mut batch = PackedBatch::default();
        batch.repack_texts([windows.iter().map(Vec::as_slice)], model.config.position_offset);
        batch
    };
    let text = batch(&windows.map(<[u32]>::to_vec));
    let baseline = batch(&windows.map(|window| silent(window, pad)));
    let found = attribute(&backend, &model, &text, &baseline, &[-1.0, 1.0, 0.0]);
    assert!(found.gap() <= 0.01 && found.tokens.len() == 8, "{found:?}");
    assert!([1, 2, 5, 6].iter().all(|&i: &usize| found.tokens[i].abs() > 1e-6), "{found:?}");
}
