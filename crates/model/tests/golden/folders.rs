//! Folders of transformers, in and out again.

use std::collections::BTreeMap;

use finetone_backend::Reference;
use finetone_model::checkpoint::{self, HeadImport, ModelFolder, NamedTensor};
use finetone_model::{Model, Workspace};

use crate::case::{Case, MODELS, folder, tensors};
use crate::{assert_close, run};

type Bits = BTreeMap<String, (Vec<usize>, Vec<u32>)>;

fn backend() -> Reference<f32> {
    Reference::new()
}

fn bits(tensors: Vec<NamedTensor>) -> Bits {
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    tensors.into_iter().map(|tensor| (tensor.name, (tensor.shape, bits(tensor.values)))).collect()
}

/// The tensors of a `model.safetensors` as they lie there.
fn bits_of_file(path: &std::path::Path) -> Bits {
    let as_f32 = |values: Vec<f64>| values.into_iter().map(|value| (value as f32).to_bits()).collect();
    tensors(path).into_iter().map(|(name, (shape, values))| (name, (shape, as_f32(values)))).collect()
}

#[test]
fn what_is_imported_is_exported_bit_for_bit() {
    for name in MODELS {
        let model = run::load(&backend(), name);
        let original = bits_of_file(&folder(name).join("model.safetensors"));
        assert!(bits(run::weights(&backend(), &model)) == original, "{name}: in memory");
        let out = tempfile::tempdir().unwrap();
        checkpoint::save(&backend(), &model, out.path()).unwrap();
        assert!(bits_of_file(&out.path().join("model.safetensors")) == original, "{name}: in the file");
    }
}

#[test]
fn an_exported_folder_is_the_same_model() {
    for name in MODELS {
        let model = run::load(&backend(), name);
        let out = tempfile::tempdir().unwrap();
        checkpoint::save(&backend(), &model, out.path()).unwrap();
        let again = ModelFolder::open(out.path()).unwrap();
        let (again, report) = again.load(&backend(), run::config(&again, name), HeadImport::Required).unwrap();
        assert_eq!((report.fresh, report.unused), (vec![], vec![]), "{name}");
        assert_eq!((&again.config.head, &again.table), (&model.config.head, &model.table), "{name}");
        assert!(bits(run::weights(&backend(), &again)) == bits(run::weights(&backend(), &model)), "{name}");
    }
}

#[test]
fn shards_are_one_model() {
    let (whole, shards) = (run::load(&backend(), "gpt2"), run::load(&backend(), "gpt2-sharded"));
    assert!(!folder("gpt2-sharded").join("model.safetensors").exists());
    assert!(bits(run::weights(&backend(), &whole)) == bits(run::weights(&backend(), &shards)));
}

/// A bare encoder, as sentence encoders are published: no prefix, no classifier, but a pooler.
#[test]
fn a_backbone_without_a_head_gives_pytorchs_hidden_states() {
    let case = Case::read("bert-backbone");
    let opened = ModelFolder::open(&folder(case.name)).unwrap();
    let (model, report): (Model<Reference<f32>>, _) =
        opened.load(&backend(), opened.config().clone(), HeadImport::FreshWhereMissing(1)).unwrap();
    assert_eq!(report.fresh, ["head.classifier.weight", "head.classifier.bias"]);
    assert_eq!(report.unused, Vec::<String>::new());
    let batch = run::pack(&model, &case, 0..case.sequences.len());
    let mut workspace = Workspace::for_hidden_states(&backend(), &model.config, (batch.tokens(), batch.sequences()));
    let (hidden, _) = run::forward(&backend(), &model, &batch, &mut workspace);
    assert_close("hidden", &hidden, case.answer("hidden"), 1e-5);

    let mut exported = bits(run::weights(&backend(), &model));
    exported.retain(|name, _| !name.starts_with("classifier"));
    let bare = exported.into_iter().map(|(name, tensor)| (name.trim_start_matches("bert.").to_owned(), tensor));
    assert!(bare.collect::<Bits>() == bits_of_file(&folder(case.name).join("model.safetensors")));
}

#[test]
fn added_tokens_have_rows_near_the_mean_of_the_others() {
    for (name, tables) in [
        ("bert", &["bert.embeddings.word_embeddings.weight"][..]),
        ("gpt2", &["transformer.wte.weight"]),
        ("llama-language", &["model.embed_tokens.weight", "lm_head.weight"]),
    ] {
        let opened = ModelFolder::open(&folder(name)).unwrap();
        let mut config = run::config(&opened, name);
        let (old, width) = (config.vocab_size, config.hidden_size);
        config.grow_vocabulary(old + 3);
        assert_eq!(config.raw["vocab_size"], old + 3, "{name}");
        let fresh = || HeadImport::FreshWhereMissing(5);
        let load = |head| opened.load(&backend(), config.clone(), head);
        let before = bits(run::weights(&backend(), &run::load(&backend(), name)));
        let grown = bits(run::weights(&backend(), &load(fresh()).unwrap().0));
        assert!(grown == bits(run::weights(&backend(), &load(fresh()).unwrap().0)), "{name}: not the same twice");
        for (tensor, (shape, values)) in &grown {
            let (old_shape, old_values) = &before[tensor];
            if !tables.contains(&tensor.as_str()) {
                assert!((shape, values) == (old_shape, old_values), "{tensor}");
                continue;
            }
            assert_eq!((shape, old_shape), (&vec![old + 3, width], &vec![old, width]));
            assert!(values[..old * width] == old_values[..], "{name}: the old rows have changed");
            let value = |row: usize, column: usize| f64::from(f32::from_bits(values[row * width + column]));
            for column in 0..width {
                let mean = (0..old).map(|row| value(row, column)).sum::<f64>() / old as f64;
                for row in old..old + 3 {
                    // Ten deviations of the noise, so that it is not the seed that decides.
                    assert!((value(row, column) - mean).abs() < config.initializer_range, "{name}: row {row}");
                }
                assert_ne!(value(old, column), value(old + 1, column), "{name}");
            }
        }
        assert!(load(HeadImport::Required).is_err(), "{name}: a finished classifier has all its rows");
    }
}

#[test]
fn a_finished_classifier_may_not_lack_its_head() {
    let opened = ModelFolder::open(&folder("bert-backbone")).unwrap();
    let error = opened.load(&backend(), opened.config().clone(), HeadImport::Required).err().unwrap();
    assert!(error.to_string().contains("`classifier.weight` is missing"), "{error}");
}
