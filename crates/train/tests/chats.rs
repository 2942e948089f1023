//! A language model learns chats as a black box: it answers with what it learnt, it resumes with the same bits, and what it cannot
//! learn from is refused.

mod workbench;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_classify::{ChatClassifier, Classifier, ClassifyError};
use finetone_data::Example;
use finetone_data::chat::template::ChatTemplate;
use finetone_data::tokenizer::Tokenizer;
use finetone_generate::{ChatNote, Generator, Penalties, Request, Sampling};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_train::{Control, Outcome, RunConfig, RunFile, Summary, TrainError, TrainEvent};
use workbench::{Recorder, THINGS, cpu, run, sentence, weights};

const INSTRUCTIONS: &str = "Answer with one word.";
const SYSTEM: [&str; 1] = ["system: Answer with one word."];

/// A line of a chat file, each message `role: content`, the last with a weight of 0 where it begins with `!`.
fn line(messages: &[&str]) -> String {
    let message = |said: &&str| {
        let (role, content) = said.trim_start_matches('!').split_once(": ").unwrap();
        let mut message = serde_json::json!({"role": role, "content": content});
        if said.starts_with('!') {
            message["weight"] = 0.into();
        }
        message
    };
    let messages: Vec<_> = messages.iter().map(message).collect();
    serde_json::json!({ "messages": messages }).to_string() + "\n"
}

/// Chats about things, which the assistant judges with one of two words.
fn judged(number: usize) -> String {
    let (text, is_good) = sentence(number);
    let answer = if is_good { "assistant: Good" } else { "assistant: Bad" };
    line(&[&SYSTEM[..], &[&format!("user: {text}"), answer]].concat())
}

/// Chats whose answers repeat what was said.
fn echoed(number: usize) -> String {
    let thing = THINGS[number % 10];
    let said = format!("user: I bought the {thing} number {number}");
    line(&[
        &said,
        "!assistant: Oh.",
        "user: Say it again",
        &format!("assistant: You bought the {thing} number {number}"),
    ])
}

fn config(folder: &Path, chats: impl Fn(usize) -> String, rows: usize, settings: &[&str]) -> RunConfig {
    let data = folder.join("chats.jsonl");
    fs::write(&data, (0..rows).map(chats).collect::<String>()).unwrap();
    let mut file = RunFile::default();
    file.set("train", data.to_string_lossy().into_owned());
    file.set("model", model(folder).to_string_lossy().into_owned());
    settings.iter().for_each(|setting| file.assign(setting).unwrap());
    file.resolve().unwrap()
}

/// A very small Llama, as a configuration to start from scratch.
fn model(folder: &Path) -> PathBuf {
    let path = folder.join("micro.json");
    let text = r#"{"model_type": "llama", "vocab_size": 400, "hidden_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64, "max_position_embeddings": 96,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": true}"#;
    fs::write(&path, text).unwrap();
    path
}

fn finished(config: &RunConfig, folder: &Path, recorder: &mut Recorder) -> Box<Summary> {
    match run(&cpu(2), config, folder, recorder).unwrap() {
        Outcome::Finished(summary) => summary,
        Outcome::Interrupted { step } => panic!("interrupted at {step}"),
    }
}

/// What the model writes most probably after the messages, with nothing to choose from.
fn written(folder: &Path, text: &str) -> String {
    let (backend, source) = (cpu(1), ModelFolder::open(folder).unwrap());
    let mut config = source.config().clone();
    config.set_language_head().unwrap();
    let note = ChatNote::of(&config).unwrap().unwrap();
    let (model, _) = source.load(&backend, config, HeadImport::Required).unwrap();
    let (tokenizer, template) = (Tokenizer::from_folder(folder).unwrap(), ChatTemplate::from_folder(folder).unwrap());
    let prompt = tokenizer.content_ids(&template.prompt(&note.messages(text), None).unwrap());
    let mut generator = Generator::new(&backend, &model, 96).unwrap();
    let ends = tokenizer.content_ids("<|endoftext|>");
    let request = Request {
        prompt,
        most: 12,
        sampling: Sampling::GREEDY,
        penalties: Penalties::default(),
        texts: 1,
        ends,
        choices: None,
        alternatives: 0,
    };
    let text = generator.write(&request, |_, _| std::ops::ControlFlow::Continue(())).unwrap();
    text[0].tokens.iter().map(|token| tokenizer.token(token.id).unwrap()).collect::<String>().replace('Ġ', " ")
}

#[test]
fn a_model_from_scratch_learns_to_answer_with_exactly_one_of_the_words() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["epochs=20", "learning_rate=4e-3", "batch_size=8", "weight_decay=0.1"];
    let config = config(folder.path(), judged, 120, &settings);
    let (run_folder, mut recorder) = (folder.path().join("run"), Recorder::default());
    let summary = finished(&config, &run_folder, &mut recorder);
    let evaluation = summary.evaluation.expect("a closed set");
    assert!(evaluation.accuracy().value > 0.9, "accuracy {}", evaluation.accuracy().value);
    let model = run_folder.join("model");
    for (number, word) in [(1000, " Good"), (1001, " Bad"), (1004, " Good"), (1005, " Bad")] {
        let (text, is_good) = sentence(number);
        assert_eq!(is_good, word == " Good");
        assert_eq!(written(&model, &text), word, "{text}");
    }
    let mut classifier = ChatClassifier::open(cpu(1), &model).unwrap();
    assert_eq!(classifier.labels(), ["Bad", "Good"]);
    let said = classifier.classify(&[1000, 1001].map(|number| Example::from_text(&sentence(number).0))).unwrap();
    assert!(said.probabilities[1] > 0.9 && said.probabilities[2] > 0.9, "{said:?}");
    let note = ChatNote::of(ModelFolder::open(&model).unwrap().config()).unwrap().unwrap();
    assert_eq!(note.instructions.as_deref(), Some(INSTRUCTIONS));
}

#[test]
fn steps_and_evaluations_have_the_metrics_of_other_trainers() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), judged, 40, &["epochs=2", "batch_size=8"]);
    let mut recorder = Recorder::default();
    finished(&config, &folder.path().join("run"), &mut recorder);
    let first = recorder.events.iter().find_map(|event| match event {
        TrainEvent::Step { mean_token_accuracy, entropy, .. } => Some((*mean_token_accuracy, *entropy)),
        _ => None,
    });
    // An untrained model expects all of its tokens alike: the logarithm of 300 to 400 of them.
    let (share, entropy) = first.unwrap();
    assert!((0.0..=1.0).contains(&share) && entropy > 5.6 && entropy < 6.0, "{share} {entropy}");
    let evaluated = recorder.events.iter().find_map(|event| match event {
        TrainEvent::Evaluated { metrics, metric, value, .. } => Some((metrics.clone(), metric.clone(), *value)),
        _ => None,
    });
    let (metrics, metric, value) = evaluated.unwrap();
    assert_eq!((metric.as_str(), value), ("loss", metrics["eval_loss"]));
    let names = [
        "eval_mean_token_accuracy",
        "eval_entropy",
        "eval_num_tokens",
        "eval_accuracy",
        "eval_f1_macro",
        "eval_f1_Good",
    ];
    for name in names {
        assert!(metrics.contains_key(name), "{name} is missing in {metrics:?}");
    }
}

#[test]
fn a_stopped_run_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["epochs=3", "batch_size=8", "eval_every=4", "token_budget=128", "dropout=0.1"];
    let config = config(folder.path(), echoed, 40, &settings);
    let whole = folder.path().join("whole");
    run(&cpu(1), &config, &whole, &mut Recorder::default()).unwrap();
    let parts = folder.path().join("parts");
    for (stop, threads) in [(2, 2), (7, 1)] {
        let mut recorder = Recorder { stop_at: Some((stop, Control::default())), ..Recorder::default() };
        let outcome = run(&cpu(threads), &config, &parts, &mut recorder).unwrap();
        assert!(matches!(outcome, Outcome::Interrupted { step } if step == stop), "not stopped at {stop}");
    }
    run(&cpu(3), &config, &parts, &mut Recorder::default()).unwrap();
    assert!(weights(&whole) == weights(&parts), "the weights differ");
}

#[test]
fn free_answers_are_learnt_without_labels() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), echoed, 40, &["epochs=1", "batch_size=8"]);
    let (run_folder, mut recorder) = (folder.path().join("run"), Recorder::default());
    let summary = finished(&config, &run_folder, &mut recorder);
    assert!(summary.evaluation.is_none() && summary.report.evaluations.is_empty());
    assert!(summary.report.run.iter().any(|section| section.title == "Tokens of the answers, test chats"));
    assert!(run_folder.join("report.json").is_file() && run_folder.join("report.html").is_file());
    let finished = recorder.events.iter().find_map(|event| match event {
        TrainEvent::Finished { metrics, measured_on, .. } => Some((metrics.clone(), measured_on.clone())),
        _ => None,
    });
    let (metrics, measured_on) = finished.unwrap();
    assert_eq!(measured_on, "test");
    assert!(metrics.contains_key("mean_token_accuracy") && !metrics.contains_key("accuracy"), "{metrics:?}");
    let refused = ChatClassifier::open(cpu(1), &run_folder.join("model")).err().unwrap();
    assert!(matches!(refused, ClassifyError::FreeAnswers { .. }) && refused.hint().is_some());
}

#[test]
fn what_does_not_fit_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |chats: fn(usize) -> String, settings: &[&str]| -> TrainError {
        let config = config(folder.path(), chats, 30, settings);
        let run_folder = folder.path().join("run");
        let error = run(&cpu(1), &config, &run_folder, &mut Recorder::default()).unwrap_err();
        assert!(error.hint().is_some() && !run_folder.exists(), "{error}");
        error
    };
    type Chats = fn(usize) -> String;
    let cases: [(Chats, &[&str], &str); 7] = [
        (judged, &["task=chat", "model=tiny"], "`tiny` reads texts in both directions"),
        (judged, &["class_weights=balanced"], "`class_weights` is for models that judge texts"),
        (judged, &["folds=3"], "`folds` is for models"),
        (judged, &["neighbours=on"], "`neighbours` is for models that judge texts"),
        (echoed, &["metric=f1_macro"], "the answers of the chats are no closed set"),
        (echoed, &["task=classify"], "different answers"),
        (
            |number| line(&["user: a", "assistant: b", &format!("user: {}", "much ".repeat(50 + number))]),
            &["max_tokens=16"],
            "hold nothing to learn",
        ),
    ];
    for (chats, settings, says) in cases {
        let error = refused(chats, settings).to_string();
        assert!(error.contains(says), "{settings:?}: {error}");
    }
    let table = folder.path().join("data.csv");
    fs::write(&table, "text,label\na,Good\nb,Bad\n").unwrap();
    let error = refused(judged, &[&format!("test={}", table.display())]).to_string();
    assert!(error.contains("holds none"), "{error}");
}

/// Ten steps of PyTorch.
#[derive(serde::Deserialize)]
struct Steps {
    loss: Vec<f64>,
    grad_norm: Vec<f64>,
    mean_token_accuracy: Vec<f64>,
    entropy: Vec<f64>,
}

/// A folder with a model of PyTorch's and a tokenizer.
fn golden_model(folder: &Path, name: &str) -> PathBuf {
    let (tests, model) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), folder.join(name));
    let tokenizer = tests.join("../../../data/tests/chat_templates/tokenizer");
    fs::create_dir(&model).unwrap();
    let files = [
        (tests.join(name), "config.json"),
        (tests.join(name), "model.safetensors"),
        (tests, "tokenizer_config.json"),
        (tokenizer, "tokenizer.json"),
    ];
    for (from, file) in files {
        fs::copy(from.join(file), model.join(file)).unwrap();
    }
    model
}

#[test]
fn ten_steps_are_those_of_pytorch() {
    let (folder, tests) = (tempfile::tempdir().unwrap(), Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"));
    let golden: serde_json::Value = serde_json::from_slice(&fs::read(tests.join("golden.json")).unwrap()).unwrap();
    let backend = cpu(2);
    for name in ["llama", "gpt2"] {
        let expected: Steps = serde_json::from_value(golden[name].clone()).unwrap();
        let mut file = RunFile::default();
        file.set("train", tests.join("chats.jsonl").to_string_lossy().into_owned());
        file.set("model", golden_model(folder.path(), name).to_string_lossy().into_owned());
        let settings = [
            "test_fraction=0",
            "validation_fraction=0",
            "epochs=10",
            "batch_size=6",
            // Several groups, whose gradients add up to those of one.
            "token_budget=100",
            "learning_rate=5e-3",
            "schedule=constant",
            "warmup=0",
            "max_grad_norm=0.5",
        ];
        settings.iter().for_each(|setting| file.assign(setting).unwrap());
        let mut recorder = Recorder::default();
        run(&backend, &file.resolve().unwrap(), &folder.path().join(format!("run-{name}")), &mut recorder).unwrap();
        let mut step = 0;
        for event in &recorder.events {
            let TrainEvent::Step { loss, grad_norm, mean_token_accuracy, entropy, num_tokens, .. } = event else {
                continue;
            };
            let pairs = [
                (*loss, expected.loss[step]),
                (*grad_norm, expected.grad_norm[step]),
                (*mean_token_accuracy, expected.mean_token_accuracy[step]),
                (*entropy, expected.entropy[step]),
            ];
            step += 1;
            for (ours, theirs) in pairs {
                assert!((ours - theirs).abs() < 2e-4 * theirs.abs().max(1.0), "{name}, step {step}: {pairs:?}");
            }
            assert_eq!(*num_tokens, golden["tokens"].as_u64().unwrap() * step as u64, "{name}");
        }
        assert_eq!(step, 10, "{name}");
    }
}
