//! A run as a black box: it learns, it resumes with the same bits, and it stops where it must.

mod workbench;

use std::fs;
use std::path::Path;

use finetone_classify::{Classifier, TransformerClassifier};
use finetone_data::Example;
use finetone_train::{CacheUse, Control, Outcome, TrainError, TrainEvent};
use workbench::{Recorder, THINGS, config, cpu, run, weights, write_data};

fn losses(recorder: &Recorder) -> Vec<f64> {
    let loss = |event: &TrainEvent| if let TrainEvent::Step { loss, .. } = event { Some(*loss) } else { None };
    recorder.events.iter().filter_map(loss).collect()
}

/// How many notices have these words.
fn notices(recorder: &Recorder, words: &str) -> usize {
    let has = |event: &&TrainEvent| matches!(event, TrainEvent::Notice { message } if message.contains(words));
    recorder.events.iter().filter(has).count()
}

#[test]
fn a_small_model_learns_what_is_there_to_learn() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 120, &["epochs=12", "learning_rate=3e-3", "batch_size=8"]);
    let run_folder = folder.path().join("run");
    let outcome = run(&cpu(2), &config, &run_folder, &mut Recorder::default()).unwrap();
    let Outcome::Finished(summary) = outcome else { panic!("the run did not finish") };
    assert_eq!(summary.measured_on, "test");
    let accuracy = summary.evaluation.unwrap().accuracy().value;
    assert!(accuracy > 0.9, "accuracy {accuracy}");
    for file in ["model/config.json", "model/tokenizer.json", "report.html", "report.md", "report.json", "run.toml"] {
        assert!(run_folder.join(file).is_file(), "{file} is missing");
    }
    assert!(!run_folder.join("checkpoints").exists());
}

#[test]
fn thirty_two_rows_are_learnt_by_heart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        "epochs=60",
        "learning_rate=3e-3",
        "batch_size=32",
        "test_fraction=0",
        "validation_fraction=0",
        "dropout=0",
        "head_dropout=0",
    ];
    let config = config(folder.path(), 32, &settings);
    let mut recorder = Recorder::default();
    run(&cpu(1), &config, &folder.path().join("run"), &mut recorder).unwrap();
    let last = *losses(&recorder).last().unwrap();
    assert!(last < 0.02, "the last loss is {last}");
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits_and_with_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 90, &["epochs=3", "batch_size=8", "eval_every=4", "token_budget=64"]);
    let whole = folder.path().join("whole");
    run(&cpu(1), &config, &whole, &mut Recorder::default()).unwrap();
    let parts = folder.path().join("parts");
    for (stop, threads) in [(3, 2), (4, 1), (11, 3), (17, 2)] {
        let mut recorder = Recorder { stop_at: Some((stop, Control::default())), ..Recorder::default() };
        let outcome = run(&cpu(threads), &config, &parts, &mut recorder).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { step } if step == stop), "not stopped at {stop}");
    }
    let outcome = run(&cpu(2), &config, &parts, &mut Recorder::default()).unwrap();
    assert!(matches!(outcome, Outcome::Finished(_)));
    assert!(weights(&whole) == weights(&parts), "the weights differ");
}

#[test]
fn models_of_the_last_epochs_are_kept_where_asked_for_and_the_last_is_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["epochs=4", "batch_size=8", "keep_epochs=2", "test_fraction=0", "validation_fraction=0"];
    let config = config(folder.path(), 24, &settings);
    let run_folder = folder.path().join("run");
    let mut recorder = Recorder { stop_at: Some((7, Control::default())), ..Recorder::default() };
    run(&cpu(1), &config, &run_folder, &mut recorder).unwrap();
    run(&cpu(1), &config, &run_folder, &mut Recorder::default()).unwrap();
    let entries = run_folder.join("epochs").read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["step-00000009", "step-00000012"]);
    let read = |place: &str| std::fs::read(run_folder.join(place).join("model.safetensors")).unwrap();
    assert!(read("epochs/step-00000012") == read("model") && read("epochs/step-00000009") != read("model"));
    TransformerClassifier::open(cpu(1), &run_folder.join("epochs/step-00000009"), 512).unwrap();
}

#[test]
fn a_step_tells_which_share_of_its_batch_was_right() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["epochs=40", "learning_rate=3e-3", "batch_size=32", "test_fraction=0", "validation_fraction=0"];
    let config = config(folder.path(), 32, &settings);
    let mut recorder = Recorder::default();
    run(&cpu(1), &config, &folder.path().join("run"), &mut recorder).unwrap();
    let accuracy = |event: &TrainEvent| match event {
        TrainEvent::Step { mean_token_accuracy, .. } => Some(*mean_token_accuracy),
        _ => None,
    };
    let shares: Vec<f64> = recorder.events.iter().filter_map(accuracy).collect();
    assert_eq!(shares.len(), 40);
    assert!(shares[0] < 0.9 && shares[39] > 0.95, "{shares:?}");
    assert!(shares.iter().all(|share| (share * 32.0).fract() == 0.0));
}

#[test]
fn every_number_of_a_run_has_its_known_name() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 90, &["epochs=1", "token_budget=40"]);
    let mut recorder = Recorder::default();
    run(&cpu(1), &config, &folder.path().join("run"), &mut recorder).unwrap();
    let of = |name: &str| {
        let mut events = recorder.events.iter().map(|event| serde_json::to_value(event).unwrap());
        events.rfind(|event| event["event"] == name).unwrap()
    };
    let (step, evaluated, finished) = (of("step"), of("evaluated"), of("finished"));
    for key in ["loss", "grad_norm", "learning_rate", "epoch", "mean_token_accuracy", "num_tokens", "entropy"] {
        assert!(step[key].is_number(), "{key}: {step}");
    }
    assert!((0.0..=2.0_f64.ln() + 1e-9).contains(&step["entropy"].as_f64().unwrap()), "{step}");
    let metrics = &evaluated["metrics"];
    for key in "loss runtime samples_per_second steps_per_second mean_token_accuracy accuracy f1_macro f1_weighted \
                f1_good f1_bad ece"
        .split(' ')
    {
        assert!(metrics[format!("eval_{key}")].is_number(), "{key}: {metrics}");
    }
    let [seconds, rows, groups] = ["runtime", "samples_per_second", "steps_per_second"]
        .map(|key| metrics[format!("eval_{key}")].as_f64().unwrap());
    assert_eq!((rows * seconds).round(), 8.0, "of 90 rows 9 are the test, and of the rest a tenth is the validation");
    assert!((2.0..=8.0).contains(&(groups * seconds).round()), "forty tokens hold a few of them at a time: {metrics}");
    assert_eq!(metrics["eval_mean_token_accuracy"], metrics["eval_accuracy"], "each text has one label");
    // Two blocks, the norm of the embeddings, the pooler, the classifier; no table of embeddings.
    let block = 4 * (32 * 32 + 32) + (64 * 32 + 64) + (32 * 64 + 32) + 4 * 32;
    let numbers = 2 * block + 2 * 32 + (32 * 32 + 32) + (2 * 32 + 2);
    let tokens = step["num_tokens"].as_f64().unwrap();
    assert_eq!(finished["total_flos"].as_f64().unwrap(), 6.0 * tokens * f64::from(numbers));
    for key in ["train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss"] {
        assert!(finished[key].is_number(), "{key}: {finished}");
    }
}

#[test]
fn a_smaller_token_budget_changes_nothing_but_rounding() {
    let folder = tempfile::tempdir().unwrap();
    let losses_of = |name: &str, budget: &str| {
        let settings = ["epochs=2", "batch_size=16", "dropout=0", "head_dropout=0", "class_weights=balanced", budget];
        let config = config(folder.path(), 90, &settings);
        let mut recorder = Recorder::default();
        run(&cpu(2), &config, &folder.path().join(name), &mut recorder).unwrap();
        losses(&recorder)
    };
    let (whole, parts) = (losses_of("whole", "token_budget=4096"), losses_of("parts", "token_budget=40"));
    assert_eq!(whole.len(), parts.len());
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-5 * a.abs().max(1.0), "{a} against {b}");
    }
}

#[test]
fn accumulated_batches_equal_the_big_batch() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, batch: &str, accumulate: &str| {
        let config = config(folder.path(), 90, &["epochs=2", batch, accumulate]);
        run(&cpu(1), &config, &folder.path().join(name), &mut Recorder::default()).unwrap();
        weights(&folder.path().join(name))
    };
    assert!(weights("big", "batch_size=16", "accumulate=1") == weights("small", "batch_size=4", "accumulate=4"));
}

#[test]
fn low_memory_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let weights = |name: &str, memory: &str| {
        let config = config(folder.path(), 90, &["epochs=2", "batch_size=8", memory]);
        run(&cpu(2), &config, &folder.path().join(name), &mut Recorder::default()).unwrap();
        weights(&folder.path().join(name))
    };
    assert!(weights("normal", "memory=normal") == weights("low", "memory=low"));
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_with_the_rows_of_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["learning_rate=1e36", "schedule=constant", "warmup=0", "max_grad_norm=0", "epochs=5"];
    let config = config(folder.path(), 60, &settings);
    let error = run(&cpu(1), &config, &folder.path().join("run"), &mut Recorder::default()).unwrap_err();
    let TrainError::NotFinite { step, lines, .. } = &error else { panic!("{error}") };
    assert!(*step >= 2 && !lines.is_empty());
    assert!(error.hint().unwrap().contains("learning_rate"));
}

#[test]
fn frozen_parts_keep_their_weights_and_the_rest_moves() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    run(&cpu(1), &config(folder.path(), 60, &["epochs=1"]), &first, &mut Recorder::default()).unwrap();
    let model = format!("model={}", first.display());
    let second = folder.path().join("second");
    let config = config(folder.path(), 60, &["epochs=1", &model, "freeze=[\"1\"]", "weight_decay=0.1"]);
    run(&cpu(1), &config, &second, &mut Recorder::default()).unwrap();
    let (before, after) = (weights(&first), weights(&second));
    let before = safetensors::SafeTensors::deserialize(&before).unwrap();
    let after = safetensors::SafeTensors::deserialize(&after).unwrap();
    for (name, tensor) in before.iter() {
        let same = tensor.data() == after.tensor(name).unwrap().data();
        let frozen = name.starts_with("bert.embeddings") || name.contains("layer.0.");
        assert_eq!(same, frozen, "{name}");
    }
}

/// A small trained model to go on from, and settings that go on from it.
fn pretrained(folder: &Path) -> String {
    let first = folder.join("first");
    run(&cpu(2), &config(folder, 90, &["epochs=1"]), &first, &mut Recorder::default()).unwrap();
    format!("model={}", first.display())
}

#[test]
fn kept_output_of_frozen_blocks_changes_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    let model = pretrained(folder.path());
    let variants: [&[&str]; 4] = [
        &["freeze=[\"1\"]"],
        &["freeze=[\"2\"]", "pooling=first"],
        &["freeze=[\"2\"]", "pooling=mean", "token_budget=40"],
        &["freeze=[\"1\"]", "pooling=mean", "truncation=windows", "max_tokens=8", "window_overlap=2"],
    ];
    for (i, variant) in variants.iter().enumerate() {
        let outcome = |cache: &str| {
            let settings =
                [&["epochs=2", "batch_size=8", "dropout=0", "head_dropout=0", &model, cache], *variant].concat();
            let run_folder = folder.path().join(format!("{cache}-{i}"));
            let mut recorder = Recorder::default();
            run(&cpu(2), &config(folder.path(), 90, &settings), &run_folder, &mut recorder).unwrap();
            (losses(&recorder), weights(&run_folder), notices(&recorder, "computed once and kept"))
        };
        let (kept, computed) = (outcome("cache=auto"), outcome("cache=off"));
        assert_eq!(kept.0, computed.0, "{variant:?}");
        assert!(kept.1 == computed.1, "{variant:?}: the weights differ");
        assert_eq!((kept.2, computed.2), (1, 0), "{variant:?}");
    }
}

#[test]
fn a_stopped_run_keeps_the_same_output_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = pretrained(folder.path());
    let config = config(folder.path(), 90, &["epochs=3", "batch_size=8", "freeze=[\"1\"]", &model]);
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    run(&cpu(1), &config, &whole, &mut Recorder::default()).unwrap();
    let mut recorder = Recorder { stop_at: Some((5, Control::default())), ..Recorder::default() };
    run(&cpu(2), &config, &parts, &mut recorder).unwrap();
    assert_eq!(finetone_train::saved_config(&parts).unwrap().cache, CacheUse::On);
    run(&cpu(1), &config, &parts, &mut Recorder::default()).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
}

#[test]
fn a_long_text_is_judged_whole_whatever_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["epochs=1", "truncation=windows", "max_tokens=8", "window_overlap=2", "pooling=mean"];
    let run_folder = folder.path().join("run");
    let mut recorder = Recorder::default();
    run(&cpu(2), &config(folder.path(), 60, &settings), &run_folder, &mut recorder).unwrap();
    assert_eq!((notices(&recorder, "are read in several windows"), notices(&recorder, "are cut")), (1, 0));
    let beginning = "the lamp number 4 is superb ".repeat(6);
    let texts = [format!("{beginning} and lovely"), format!("{beginning} and dreadful"), "the tent".to_owned()];
    let texts = texts.map(|text| Example::from_text(&text));
    let [narrow, wide] = [4, 4096].map(|token_budget| {
        let mut classifier = TransformerClassifier::open(cpu(2), &run_folder.join("model"), token_budget).unwrap();
        classifier.classify(&texts).unwrap()
    });
    assert_eq!(narrow, wide);
    assert_eq!(narrow.truncated, 0);
    assert_ne!(narrow.probabilities[..2], narrow.probabilities[2..4], "the last words were not read");
}

#[test]
fn windows_that_mostly_repeat_each_other_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 60, &["truncation=windows", "window_overlap=40"]);
    let error = run(&cpu(1), &config, &folder.path().join("run"), &mut Recorder::default()).unwrap_err();
    assert_eq!(error.to_string(), "`window_overlap` is 40, and a window has 64 tokens");
}

#[test]
fn a_model_of_its_first_blocks_is_trained_and_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let model = pretrained(folder.path());
    let run_folder = folder.path().join("cut");
    let settings = ["epochs=2", "max_layers=1", "freeze=[\"-1\"]", "learning_rate=0", "calibrate=none", &model];
    run(&cpu(2), &config(folder.path(), 90, &settings), &run_folder, &mut Recorder::default()).unwrap();
    let classifier = TransformerClassifier::open(cpu(1), &run_folder.join("model"), 512).unwrap();
    assert_eq!(classifier.model().config.num_hidden_layers, 1);
    let (whole, cut) = (weights(&folder.path().join("first")), weights(&run_folder));
    let whole = safetensors::SafeTensors::deserialize(&whole).unwrap();
    let cut = safetensors::SafeTensors::deserialize(&cut).unwrap();
    assert!(cut.names().iter().any(|name| name.contains("layer.0.")));
    for (name, tensor) in cut.iter() {
        assert!(!name.contains("layer.1.") && tensor.data() == whole.tensor(name).unwrap().data(), "{name}");
    }
}

#[test]
fn output_is_kept_only_where_it_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let decision = |name: &str, settings: &[&str]| {
        let run_folder = folder.path().join(name);
        let config = config(folder.path(), 60, settings);
        run(&cpu(2), &config, &run_folder, &mut Recorder::default())?;
        finetone_train::saved_config(&run_folder).map(|config| config.cache)
    };
    let decided = |name, settings: &[&str]| decision(name, settings).unwrap();
    assert_eq!(decided("trained", &["epochs=2", "freeze=[\"embeddings\"]"]), CacheUse::Off);
    assert_eq!(decided("once", &["epochs=1", "freeze=[\"1\"]"]), CacheUse::Off);
    assert_eq!(decided("twice", &["epochs=2", "freeze=[\"1\"]"]), CacheUse::On);
    let error = decision("nothing", &["epochs=2", "cache=on"]).unwrap_err();
    assert_eq!(error.to_string(), "`cache=on`, but the first block of the model is trained");
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    let folder = tempfile::tempdir().unwrap();
    // With a rate of zero no evaluation is better than the first.
    let settings = ["epochs=10", "learning_rate=0", "early_stopping=2", "eval_every=3"];
    let config = config(folder.path(), 60, &settings);
    let mut recorder = Recorder::default();
    run(&cpu(1), &config, &folder.path().join("run"), &mut recorder).unwrap();
    let stopped = recorder.events.iter().find(|event| matches!(event, TrainEvent::StoppedEarly { .. }));
    assert_eq!(stopped, Some(&TrainEvent::StoppedEarly { step: 9, best_step: 3 }));
}

#[test]
fn other_data_are_refused_on_resume() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 60, &["epochs=2", "batch_size=8"]);
    let run_folder = folder.path().join("run");
    let mut recorder = Recorder { stop_at: Some((2, Control::default())), ..Recorder::default() };
    run(&cpu(1), &config, &run_folder, &mut recorder).unwrap();
    write_data(folder.path(), 70);
    let error = run(&cpu(1), &config, &run_folder, &mut Recorder::default()).unwrap_err();
    assert!(error.to_string().contains("the training data have changed"), "{error}");
}

#[test]
fn every_pooling_and_output_learns_and_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let variants: [&[&str]; 6] = [
        &["pooling=last"],
        &["pooling=mean", "output=one-logit", "head_rate=2"],
        &["pooling=attention:5", "layer_decay=0.9", "label_smoothing=0.05"],
        &["pooling=first", "class_weights={ good = 2.0 }", "focal_gamma=1"],
        &["truncation=windows", "max_tokens=8", "window_overlap=1", "pooling=mean"],
        &["multi_label=|", "metric=f1_micro", "truncation=head+tail", "max_tokens=12"],
    ];
    for (i, variant) in variants.iter().enumerate() {
        let settings = [&["epochs=10", "learning_rate=3e-3", "batch_size=8"], *variant].concat();
        let run_folder = folder.path().join(format!("run-{i}"));
        let backend = cpu(2);
        let config = config(folder.path(), 120, &settings);
        let Outcome::Finished(summary) = run(&backend, &config, &run_folder, &mut Recorder::default()).unwrap() else {
            panic!("{variant:?} did not finish")
        };
        let accuracy = summary.evaluation.unwrap().accuracy().value;
        assert!(accuracy > 0.8, "{variant:?}: accuracy {accuracy}");
        let mut classifier = TransformerClassifier::open(backend, &run_folder.join("model"), 512).unwrap();
        assert_eq!(classifier.labels(), ["bad", "good"]);
        let said = classifier
            .classify(&["the lamp number 4 is superb ", "the kettle number 7 is dreadful "].map(Example::from_text))
            .unwrap();
        let good: Vec<f32> = said.probabilities.chunks(2).map(|row| row[1]).collect();
        assert!(good[0] > 0.5 && good[1] < 0.5, "{variant:?}: {good:?}");
    }
}

#[test]
fn the_worst_errors_are_explained_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    // So few steps that some answers are wrong.
    let settings = ["max_steps=2", "validation_fraction=0.2", "test_fraction=0.5", "precision=f32", "explain_errors=3"];
    let config = config(folder.path(), 64, &settings);
    let path = folder.path().join("run");
    run(&cpu(1), &config, &path, &mut Recorder::default()).unwrap();
    let report: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path.join("report.json")).unwrap()).unwrap();
    let errors = report["worst_errors"].as_array().unwrap();
    assert!(errors.len() > 3, "{} errors", errors.len());
    for error in &errors[..3] {
        let why = &error["why"];
        let pieces = why["pieces"].as_array().unwrap();
        let text: String = pieces.iter().map(|piece| piece["text"].as_str().unwrap()).collect();
        assert_eq!(text, error["text"].as_str().unwrap());
        assert_eq!((&why["label"], &why["against"]), (&error["predicted"], &error["truth"]), "of two classes");
        assert!(why["gap"].as_f64().unwrap() <= 0.01 && pieces.iter().any(|piece| piece["adds"].is_number()), "{why}");
    }
    assert!(errors[3..].iter().all(|error| error.get("why").is_none()));
    let page = fs::read_to_string(path.join("report.html")).unwrap();
    assert_eq!((page.matches("class=\"text why\"").count(), page.matches("dotted orange").count()), (3, 3));
    assert!(fs::read_to_string(path.join("report.md")).unwrap().contains(", why for "));
}

#[test]
fn a_report_that_cannot_be_explained_is_written_without_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("tags.csv");
    let row = |i: usize| format!("\"{} {i}\",{}\n", THINGS[i % 10], ["old|new", "new", "old"][i % 3]);
    fs::write(&data, format!("text,label\n{}", (0..60).map(row).collect::<String>())).unwrap();
    let mut config = config(folder.path(), 60, &["max_steps=1", "multi_label=|", "explain_errors=2"]);
    config.train = data;
    let path = folder.path().join("run");
    run(&cpu(1), &config, &path, &mut Recorder::default()).unwrap();
    let report = fs::read_to_string(path.join("report.json")).unwrap();
    assert!(report.contains("the worst errors are not explained: ") && !report.contains("\"why\""), "{report}");
}
