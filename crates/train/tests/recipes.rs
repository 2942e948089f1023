//! Every recipe that comes with the project can be used, and is listed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use finetone_train::{CacheUse, ClassWeights, RunConfig, RunFile, Truncation, WeightRule};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes")
}

/// The recipes by name, each resolved as `finetone train data.csv --recipe …` does.
fn recipes() -> BTreeMap<String, RunConfig> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let recipes = files.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    recipes
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let mut file = RunFile::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
            file.set("train", "data.csv");
            let config = file.resolve().unwrap_or_else(|error| panic!("{name}: {error} ({:?})", error.hint()));
            (name, config)
        })
        .collect()
}

#[test]
fn every_recipe_resolves_and_its_metric_exists() {
    let recipes = recipes();
    assert!(recipes.len() >= 4, "only {:?} in {}", recipes.keys(), folder().display());
    for (name, config) in recipes {
        let metric = config.chosen_metric();
        assert!(metric.is_ok(), "{name}: {metric:?}");
    }
}

#[test]
fn recipes_say_what_their_names_promise() {
    let recipes = recipes();
    let fine_tune = &recipes["fine-tune.toml"];
    assert_eq!((fine_tune.learning_rate, fine_tune.step_size(), fine_tune.warmup), (5e-5, 16, 0.06));
    let quick = &recipes["quick.toml"];
    assert_eq!((quick.max_layers, &quick.freeze[..], quick.cache), (Some(4), &["-1".to_owned()][..], CacheUse::Auto));
    let lora = &recipes["lora.toml"];
    assert_eq!((lora.lora_rank, lora.lora_alpha, lora.learning_rate), (8, Some(16.0), 4e-4));
    assert_eq!(recipes["rare-class.toml"].class_weights, ClassWeights::Named(WeightRule::Balanced));
    let study = &recipes["conversation-finetune.toml"];
    assert_eq!(study.pooling.as_deref(), Some("attention:100"));
    assert_eq!((study.step_size(), study.max_steps, study.truncation), (480, Some(2000), Truncation::Tail));
    for reviews in ["gpt2", "bert", "roberta"] {
        assert_eq!(recipes[&format!("reviews-{reviews}.toml")].test_fraction, 0.2);
    }
}

#[test]
fn every_recipe_is_listed_and_says_how_to_run_it() {
    let list = fs::read_to_string(folder().join("README.md")).unwrap();
    for name in recipes().keys() {
        assert!(list.contains(&format!("[`{name}`]({name})")), "recipes/README.md does not list `{name}`");
        let text = fs::read_to_string(folder().join(name)).unwrap();
        let command = format!("--recipe recipes/{name}");
        assert!(text.starts_with("# ") && text.contains(&command), "{name} does not say when and how to use it");
    }
}
