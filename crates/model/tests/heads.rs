//! What the head does that no checkpoint of others has, so that PyTorch's answers cannot hold it: texts of several
//! sequences, and numbers beside a text. Its gradients are held to finite differences.

use finetone_backend::{Backend, Loss, Reference, Targets};
use finetone_model::checkpoint::{self, HeadImport, ModelFolder};
use finetone_model::families::{Sizes, from_scratch};
use finetone_model::{Family, Gradients, HeadPooling, Memory, Model, ModelConfig, PackedBatch, ParamId, Workspace};
use serde_json::json;

type Exact = Reference<f64>;

const POOLINGS: [HeadPooling; 4] =
    [HeadPooling::First, HeadPooling::Last, HeadPooling::Mean, HeadPooling::Attention { last: 3 }];

/// Numbers beside the three texts.
const FEATURES: [[f32; 2]; 3] = [[0.5, -1.0], [0.0, 2.0], [-1.5, 0.25]];

/// Two small blocks with weights large enough that every term of a gradient shows.
fn config(family: Family, pooling: HeadPooling) -> ModelConfig {
    let (vocab_size, hidden_size, layers, heads, intermediate_size) = (20, 8, 2, 2, 12);
    let sizes = Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens: 16, pad_token_id: 0 };
    let mut config = from_scratch(family, &sizes).unwrap();
    config.head.labels = ["bad", "fair", "good"].map(str::to_owned).to_vec();
    config.initializer_range = 0.4;
    config.set_pooling(pooling);
    config
}

/// Texts of two sequences, one and three, with the numbers beside them that the model reads.
fn batch(model: &Model<Exact>) -> PackedBatch {
    let texts: [&[&[u32]]; 3] =
        [&[&[3, 4, 5, 6], &[7, 8, 9]], &[&[10, 11]], &[&[12, 3, 13], &[14], &[15, 16, 3, 4, 5]]];
    let mut batch = PackedBatch::default();
    batch.repack_texts(texts.iter().map(|text| text.iter().copied()), model.config.position_offset);
    batch.features.extend(FEATURES.iter().flat_map(|row| &row[..model.config.head.features]));
    batch
}

fn workspace(model: &Model<Exact>, batch: &PackedBatch) -> Workspace<Exact> {
    Workspace::for_training(&Exact::new(), &model.config, (batch.tokens(), batch.sequences()), Memory::Normal)
}

/// The mean loss of the texts, and its gradient where there is a place for it.
fn loss(model: &Model<Exact>, batch: &PackedBatch, gradients: Option<&mut Gradients<Exact>>) -> f64 {
    let (backend, mut workspace, texts) = (Exact::new(), workspace(model, batch), batch.texts());
    let loss = Loss { classes: 3, smoothing: 0.0, class_weights: None, focal_gamma: 0.0, normaliser: texts as f64 };
    let labels: Vec<u32> = (0..texts as u32).map(|text| 2 - text % 3).collect();
    let pass = model.pass(&backend, batch, None);
    model.transformer.forward(&pass, &mut workspace);
    let mut losses = vec![0.0; texts];
    model.transformer.loss(&pass, &mut workspace, &mut losses, Targets::Classes(&labels), &loss);
    if let Some(gradients) = gradients {
        model.transformer.backward(&pass, gradients, &mut workspace);
    }
    losses.iter().sum::<f64>() / texts as f64
}

/// The loss with one number of one parameter moved.
fn moved(model: &mut Model<Exact>, batch: &PackedBatch, (id, place, by): (ParamId, usize, f64)) -> f64 {
    let backend = Exact::new();
    let mut values = vec![0.0; model.table.spec(id).shape.len()];
    let all = 0..values.len();
    backend.read_weight(&mut values, model.parameters.get(id), all);
    let before = values.clone();
    values[place] += by;
    backend.write_weight(model.parameters.get_mut(id), &values);
    let loss = loss(model, batch, None);
    backend.write_weight(model.parameters.get_mut(id), &before);
    loss
}

/// Holds the gradient of some numbers of every parameter to central differences.
fn gradients_are_slopes(what: &str, model: &mut Model<Exact>, batch: &PackedBatch) {
    const STEP: f64 = 1e-5;
    let mut gradients = Gradients::new(&Exact::new(), &model.table);
    loss(model, batch, Some(&mut gradients));
    let parameters: Vec<(ParamId, String, usize)> =
        model.table.iter().map(|(id, spec)| (id, spec.name.clone(), spec.shape.len())).collect();
    let mut largest = 0.0_f64;
    for (id, name, len) in parameters {
        for place in [0, len / 3, len / 2, len - 1] {
            let slope =
                (moved(model, batch, (id, place, STEP)) - moved(model, batch, (id, place, -STEP))) / (2.0 * STEP);
            let ours = gradients.buffer[model.table.span(id).unwrap().start + place];
            assert!((slope - ours).abs() < 1e-7 * (1.0 + slope.abs()), "{what}, {name}[{place}]: {ours} for {slope}");
            largest = largest.max(slope.abs());
        }
    }
    assert!(largest > 0.01, "{what}: nothing to compare");
}

#[test]
fn gradients_through_the_windows_of_a_text_are_slopes() {
    for family in [Family::Bert, Family::Gpt2] {
        for pooling in POOLINGS {
            let mut model = Model::initialise(&Exact::new(), config(family, pooling), 5);
            let batch = batch(&model);
            gradients_are_slopes(&format!("{family:?}, {pooling:?}"), &mut model, &batch);
        }
    }
}

fn logits(model: &Model<Exact>, batch: &PackedBatch) -> Vec<f64> {
    let mut workspace = workspace(model, batch);
    model.transformer.forward(&model.pass(&Exact::new(), batch, None), &mut workspace);
    workspace.logits()[..3 * batch.texts()].to_vec()
}

#[test]
fn a_text_of_one_sequence_has_the_same_bits_beside_texts_of_several() {
    for pooling in POOLINGS {
        let model = Model::initialise(&Exact::new(), config(Family::Bert, pooling), 5);
        let among_others = logits(&model, &batch(&model));
        let alone = logits(&model, &PackedBatch::pack([&[10, 11][..]], model.config.position_offset));
        assert_eq!(among_others.len(), 9);
        assert_eq!(among_others[3..6], alone, "{pooling:?}");
    }
}

/// A softmax over the mean of two pooled vectors is not the mean of two softmaxes; a linear head, though, is linear.
#[test]
fn the_windows_of_a_text_are_averaged_before_the_classifier() {
    let model = Model::initialise(&Exact::new(), config(Family::Bert, HeadPooling::Mean), 5);
    let together = logits(&model, &batch(&model));
    let windows: [&[u32]; 2] = [&[3, 4, 5, 6], &[7, 8, 9]];
    let apart = logits(&model, &PackedBatch::pack(windows, model.config.position_offset));
    for class in 0..3 {
        let mean = (apart[class] + apart[3 + class]) / 2.0;
        assert!((together[class] - mean).abs() < 1e-12, "class {class}: {} for {mean}", together[class]);
    }
}

#[test]
fn gradients_with_numbers_beside_the_texts_are_slopes() {
    for features in [1, 2] {
        let mut config = config(Family::Roberta, HeadPooling::First);
        config.set_features(features);
        let mut model = Model::initialise(&Exact::new(), config, 5);
        assert!(model.table.find("head.features.weight").is_some());
        let batch = batch(&model);
        gradients_are_slopes(&format!("{features} numbers"), &mut model, &batch);
    }
}

#[test]
fn numbers_beside_a_text_are_part_of_the_linear_layers_input() {
    let mut config = config(Family::Bert, HeadPooling::Mean);
    let without = Model::initialise(&Exact::new(), config.clone(), 5);
    config.set_features(2);
    let model = Model::initialise(&Exact::new(), config, 5);
    let id = model.table.find("head.features.weight").unwrap();
    let mut u = [0.0; 3 * 2];
    Exact::new().read_weight(&mut u, model.parameters.get(id), 0..6);
    let (with, alone) = (logits(&model, &batch(&model)), logits(&without, &batch(&without)));
    for (text, class) in (0..3).flat_map(|text| (0..3).map(move |class| (text, class))) {
        let added: f64 = (0..2).map(|i| u[class * 2 + i] * f64::from(FEATURES[text][i])).sum();
        let (with, alone) = (with[text * 3 + class], alone[text * 3 + class]);
        assert!(added.abs() > 1e-3 || FEATURES[text] == [0.0; 2]);
        assert!((with - alone - added).abs() < 1e-12, "text {text}, class {class}: {with} for {alone} + {added}");
    }
}

#[test]
fn a_head_with_numbers_is_saved_and_opened_again() {
    let mut config = config(Family::Bert, HeadPooling::First);
    config.set_features(2);
    assert!(!config.head.standard);
    let model = Model::initialise(&Exact::new(), config, 5);
    let folder = tempfile::tempdir().unwrap();
    checkpoint::save(&Exact::new(), &model, folder.path()).unwrap();
    let opened = ModelFolder::open(folder.path()).unwrap();
    let (again, report) = opened.load(&Exact::new(), opened.config().clone(), HeadImport::Required).unwrap();
    assert_eq!((report.fresh, report.unused), (vec![], vec![]));
    assert_eq!(again.config.head, model.config.head);
    let id = again.table.find("head.features.weight").unwrap();
    let values = |model: &Model<Exact>| model.parameters.values(&Exact::new(), &model.table, id);
    assert_eq!(values(&model), values(&again));
}

#[test]
fn numbers_that_the_head_has_no_place_for_are_refused() {
    let mut config = config(Family::Bert, HeadPooling::First);
    config.set_features(2);
    let folder = tempfile::tempdir().unwrap();
    for (ours, what) in [
        (json!({"labels": ["a", "b"], "output": "softmax", "features": 2}), "`pooling` beside"),
        (json!({"labels": ["a", "b"], "output": "softmax", "features": 1e9, "pooling": "mean"}), "`features`"),
        (json!({"labels": ["a", "b"], "output": "softmax", "features": -1, "pooling": "mean"}), "`features`"),
    ] {
        config.raw.insert("finetone".into(), ours);
        std::fs::write(folder.path().join("config.json"), json!(config.raw).to_string()).unwrap();
        let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}
