//! The ladder of a run as a black box.

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_classify::hub::HubConfig;
use finetone_evaluate::Report;
use finetone_train::{Control, Listener, Outcome, RunConfig, RunFile, Surroundings, TrainEvent, resume, train};

/// Rows whose label is a word of the text.
fn write_data(folder: &Path) -> PathBuf {
    let path = folder.join("data.csv");
    let row = |i: usize| {
        let (word, label) =
            [("lovely", "positive"), ("dreadful", "negative"), ("superb", "positive"), ("awful", "negative")][i % 4];
        format!("the {} number {i} is {word},{label}\n", ["lamp", "tent", "kettle"][i % 3])
    };
    fs::write(&path, format!("text,label\n{}", (0..60).map(row).collect::<String>())).unwrap();
    path
}

fn config(folder: &Path, model: &str, settings: &[&str]) -> RunConfig {
    let mut file = RunFile::default();
    file.set("train", write_data(folder).to_string_lossy().into_owned());
    file.set("model", model);
    for setting in ["ladder=true", "max_steps=2", "max_tokens=16", "test_fraction=0.3"].iter().chain(settings) {
        file.assign(setting).unwrap();
    }
    file.resolve().unwrap()
}

/// Keeps the notices and what was tried; stops the run when `stop_at` has been tried.
#[derive(Default)]
struct Recorder {
    notices: Vec<String>,
    tried: Vec<String>,
    stop_at: Option<(&'static str, Control)>,
}

impl Listener for Recorder {
    fn on(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Notice { message } => self.notices.push(message.clone()),
            TrainEvent::TrialFinished { name, .. } => {
                if let Some((_, control)) = self.stop_at.as_ref().filter(|(stop, _)| name.contains(stop)) {
                    control.stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
                self.tried.push(name.clone());
            }
            _ => {}
        }
    }
}

fn run(config: &RunConfig, folder: &Path, recorder: &mut Recorder) -> Outcome {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..CpuOptions::default() }).unwrap();
    let control = recorder.stop_at.as_ref().map(|(_, control)| control.clone()).unwrap_or_default();
    let hub = HubConfig { offline: true, ..HubConfig::from_variables(|_| None, None) };
    let surroundings =
        Surroundings { hub: &hub, download: &mut (), control: &control, listener: recorder, checkup: None };
    let outcome = if folder.join("run.toml").exists() {
        resume(&cpu, folder, surroundings)
    } else {
        train(&cpu, config, folder, surroundings)
    };
    outcome.unwrap()
}

fn finished(outcome: Outcome) -> Report {
    let Outcome::Finished(summary) = outcome else { panic!("the run did not finish") };
    summary.report
}

/// Keys of the rungs that have numbers, and of those that have none.
fn rungs(report: &Report) -> (Vec<&str>, Vec<&str>) {
    let rungs = &report.ladder.as_ref().expect("a ladder").rungs;
    let (measured, others): (Vec<_>, Vec<_>) = rungs.iter().partition(|rung| rung.result.is_ok());
    (measured.iter().map(|rung| rung.key).collect(), others.iter().map(|rung| rung.key).collect())
}

#[test]
fn a_fine_tuned_model_has_every_rung_and_a_stopped_ladder_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = folder.path().join("scratch");
    let first = config(folder.path(), "tiny", &["ladder=false"]);
    assert_eq!(finished(run(&first, &scratch, &mut Recorder::default())).ladder, None);

    let start = scratch.join("model").to_string_lossy().into_owned();
    let (config, folder) = (config(folder.path(), &start, &[]), folder.path().join("tuned"));
    let mut recorder = Recorder { stop_at: Some(("TF-IDF", Control::default())), ..Recorder::default() };
    assert!(matches!(run(&config, &folder, &mut recorder), Outcome::Interrupted { step: 2 }));
    assert!(!folder.join("report.json").exists());

    let mut recorder = Recorder::default();
    let report = finished(run(&config, &folder, &mut recorder));
    let all = vec!["majority", "lexicon", "tf_idf", "embeddings", "from_scratch", "fine_tuned"];
    assert_eq!(rungs(&report), (all, vec![]));
    assert_eq!(recorder.tried.len(), 5);
    let ladder = report.ladder.unwrap();
    let accuracy = |key: &str| {
        let rung = ladder.rungs.iter().find(|rung| rung.key == key).unwrap();
        rung.result.as_ref().unwrap().evaluation.accuracy().value
    };
    assert_eq!((accuracy("lexicon"), accuracy("tf_idf")), (1.0, 1.0));
    assert_eq!(accuracy("fine_tuned"), report.evaluations[0].evaluation.accuracy().value);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(json["ladder"]["tf_idf"]["accuracy"], 1.0);
}

#[test]
fn a_model_from_scratch_is_its_own_rung() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "tiny", &[]);
    let mut recorder = Recorder::default();
    let report = finished(run(&config, &folder.path().join("run"), &mut recorder));
    assert_eq!(
        rungs(&report),
        (vec!["majority", "lexicon", "tf_idf", "from_scratch"], vec!["embeddings", "fine_tuned"])
    );
    assert!(recorder.notices.iter().any(|notice| notice.contains("embeddings") && notice.contains("not applicable")));
    let comparison = report.ladder.unwrap().comparison.unwrap();
    assert_eq!(comparison.second, "training from scratch");
}

#[test]
fn without_texts_to_measure_on_there_is_no_ladder() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "tiny", &["test_fraction=0", "validation_fraction=0"]);
    let mut recorder = Recorder::default();
    assert_eq!(finished(run(&config, &folder.path().join("run"), &mut recorder)).ladder, None);
    assert!(recorder.notices.iter().any(|notice| notice.starts_with("there is no ladder")));
}
