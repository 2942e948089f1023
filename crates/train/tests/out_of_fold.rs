//! Temperature, decisions and abstention that are fitted on what models of folds say.

mod workbench;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finetone_data::{Dataset, Example, ReadOptions, Split, stratified_folds};
use finetone_evaluate::{Abstention, Aim, Average, DecisionRule, Metric, Predictions, Temperature, Truth};
use finetone_train::{RunConfig, TrainEvent};
use serde_json::Value;
use workbench::{Recorder, config, cpu, run};

const FOLDS: usize = 3;

fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The rows of a file in the folds of a run on all of them, and what the models of the folds said before anything was fitted.
struct Division {
    rows: Dataset,
    folds: Vec<Split>,
    said: Vec<Vec<f32>>,
}

impl Division {
    fn read(config: &RunConfig, run: &Path) -> Self {
        let rows = Dataset::read(&config.train, &ReadOptions::default()).unwrap();
        let folds = stratified_folds(&rows.examples, &rows.labels, FOLDS, config.seed).unwrap();
        let said = |fold: usize| {
            let trial = json(&run.join(format!("folds/fold-{fold}/trial.json")));
            let (name, said): (String, Vec<f32>) = serde_json::from_value(trial["sets"][0].clone()).unwrap();
            assert_eq!(name, "test");
            said
        };
        Self { rows, folds, said: (1..=FOLDS).map(said).collect() }
    }

    fn examples(&self, fold: usize) -> impl Iterator<Item = &Example> {
        self.folds[fold].held_out.iter().map(|&row| &self.rows.examples[row])
    }

    /// What was said about some folds, with the truth.
    fn of(&self, folds: &[usize]) -> Predictions {
        let truth = folds.iter().flat_map(|&fold| self.examples(fold)).filter_map(Example::only_class).collect();
        let said = folds.iter().flat_map(|&fold| self.said[fold].clone()).collect();
        Predictions::new(self.rows.labels.names().to_vec(), Truth::Single(truth), said).unwrap()
    }

    /// The probabilities of a fold's rows by their lines.
    fn by_line(&self, fold: usize, predictions: &Predictions) -> BTreeMap<u64, Vec<f32>> {
        let rows = self.examples(fold).enumerate();
        rows.map(|(row, example)| (example.line, predictions.row(row).to_vec())).collect()
    }
}

/// The table of a run with folds: the probabilities by the lines of the rows.
fn out_of_fold(run: &Path) -> BTreeMap<u64, Vec<f32>> {
    let mut table = csv::Reader::from_path(run.join("out_of_fold.csv")).unwrap();
    let row = |row: csv::StringRecord| {
        (row[0].parse().unwrap(), row.iter().skip(3).map(|number| number.parse().unwrap()).collect())
    };
    table.records().map(|record| row(record.unwrap())).collect()
}

fn assert_close(found: &BTreeMap<u64, Vec<f32>>, expected: &BTreeMap<u64, Vec<f32>>) {
    assert!(found.keys().eq(expected.keys()), "other rows");
    for (line, expected) in expected {
        let close = found[line].iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close, "line {line}: {:?}, expected {expected:?}", found[line]);
    }
}

/// Notices of a run whose rows are all in folds.
fn judged_in_folds(folder: &Path, name: &str, settings: &[&str]) -> (RunConfig, Vec<String>) {
    let folds = format!("folds={FOLDS}");
    let usual = ["epochs=1", "learning_rate=1e-3", "test_fraction=0", "seed=5", &folds];
    let config = config(folder, 45, &[&usual, settings].concat());
    let mut recorder = Recorder::default();
    run(&cpu(2), &config, &folder.join(name), &mut recorder).unwrap();
    let notice = |event| match event {
        TrainEvent::Notice { message } => Some(message),
        _ => None,
    };
    (config, recorder.events.into_iter().filter_map(notice).collect())
}

#[test]
fn a_fold_is_read_by_the_others_and_the_kept_model_by_all() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["decision=fitted", "abstain_cost=0.2", "validation_fraction=0"];
    let (config, notices) = judged_in_folds(folder.path(), "run", &settings);
    let run = folder.path().join("run");
    let (division, metric) = (Division::read(&config, &run), Metric::F1(Average::Macro));

    let mut expected = BTreeMap::new();
    for fold in 0..FOLDS {
        let others = division.of(&(0..FOLDS).filter(|&other| other != fold).collect::<Vec<_>>());
        let temperature = Temperature::fit(&others);
        let rule = DecisionRule::fit(&temperature.applied(&others), &metric).unwrap();
        expected.extend(division.by_line(fold, &rule.applied(&temperature.applied(&division.of(&[fold])))));
    }
    let found = out_of_fold(&run);
    assert_close(&found, &expected);
    let as_said: BTreeMap<_, _> = (0..FOLDS).flat_map(|fold| division.by_line(fold, &division.of(&[fold]))).collect();
    assert!(found.iter().any(|(line, said)| (said[0] - as_said[line][0]).abs() > 1e-3), "nothing was fitted");

    let all = division.of(&[0, 1, 2]);
    let temperature = Temperature::fit(&all);
    let rule = DecisionRule::fit(&temperature.applied(&all), &metric).unwrap();
    let kept = &json(&run.join("model/config.json"))["finetone"];
    let close = |noted: &Value, expected: f64| {
        assert!((noted.as_f64().unwrap() - expected).abs() < 1e-6, "{noted}, expected {expected}");
    };
    close(&kept["temperature"], temperature.value());
    kept["decision"]["offsets"].as_array().unwrap().iter().zip(rule.offsets()).for_each(|(a, &b)| close(a, b));
    let read = rule.applied(&temperature.applied(&all));
    let abstention = Abstention::fit(&read, Aim::Cost(0.2)).unwrap();
    assert_eq!(kept["abstention"]["least_confidence"].as_f64(), abstention.least_confidence);
    for told in ["decisions are fitted on 45 texts, each judged by a model of the other folds", "go to a person"] {
        assert!(notices.iter().any(|notice| notice.contains(told)), "{notices:#?}");
    }
}

#[test]
fn each_fold_is_corrected_for_the_prior_that_it_was_trained_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["decision=uniform-prior", "calibrate=none", "validation_fraction=0"];
    let (config, _) = judged_in_folds(folder.path(), "run", &settings);
    let run = folder.path().join("run");
    let division = Division::read(&config, &run);
    let found = out_of_fold(&run);
    for fold in 0..FOLDS {
        let learnt = division.folds[fold].train.iter().filter_map(|&row| division.rows.examples[row].only_class());
        let first = learnt.clone().filter(|&class| class == 0).count() as f64;
        let offset = (first / (learnt.count() as f64 - first)).ln();
        let odds = |said: &[f32]| f64::from(said[1] / said[0]).ln();
        for (line, said) in division.by_line(fold, &division.of(&[fold])) {
            let moved = odds(&found[&line]) - odds(&said);
            assert!((moved - offset).abs() < 1e-3, "line {line} by {moved}, expected {offset}");
        }
    }
}

#[test]
fn neighbours_and_their_temperature_stay_with_the_validation_texts() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ["neighbours=on", "decision=fitted", "validation_fraction=0.3"];
    let (_, notices) = judged_in_folds(folder.path(), "run", &settings);
    let told = |start: &str, whose: &str| {
        let notice = notices.iter().rfind(|notice| notice.starts_with(start)).expect(start);
        assert!(notice.contains(whose), "{notice}");
    };
    told("neighbours: ", "validation texts");
    told("decisions are fitted ", "45 texts, each judged by a model of the other folds");
}
