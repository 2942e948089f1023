//! Searches with a judge that knows the answer: promotions, ends, failures, interruptions, several workers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use finetone_evaluate::{ClassMetric, Comparison, Estimate, Metric, Predictions, Truth};
use finetone_search::{
    Confirmation, Confirmed, End, Fold, Found, Judge, Method, Plan, SearchError, SearchEvent, Space, Store, Trial,
    Worker, confirm, search,
};
use finetone_train::{Control, JudgedFold, RunFile, TrainError};

/// Rows of a fold.
const ROWS: usize = 200;

/// Judges by a formula: the nearer the rate is to 1e-3, the more rows are right.
#[derive(Clone, Default)]
struct Formula {
    /// Rate, fold and division of all that was judged, in order; 2 for short trainings.
    judged: Arc<Mutex<Vec<(u64, usize, u32)>>>,
    /// Stops the user's control after so many.
    stop_after: Option<(usize, Control)>,
    seconds: f64,
    /// Real time that a fold takes.
    takes: Duration,
}

impl Judge for Formula {
    fn folds(&self) -> usize {
        5
    }

    fn judge(
        &mut self,
        division: u32,
        recipe: &RunFile,
        (fold, share): (usize, f64),
        control: &Control,
    ) -> Result<Option<JudgedFold>, SearchError> {
        let config = recipe.resolve()?;
        if config.batch_size == 7 {
            let (problem, hint) = ("seven is refused".to_owned(), String::new());
            return Err(TrainError::Setting { problem, hint }.into());
        }
        std::thread::sleep(self.takes);
        if control.is_stopped() {
            return Ok(None);
        }
        let mut judged = self.judged.lock().unwrap();
        // Rates are rounded to a few digits, so that two trials may have the same.
        let settings = config.learning_rate.to_bits() + config.batch_size as u64;
        judged.push((settings, fold, if share < 1.0 { 2 } else { division }));
        if let Some((_, user)) = self.stop_after.as_ref().filter(|(after, _)| *after == judged.len()) {
            user.stop.store(true, Ordering::Relaxed);
        }
        let share = 1.0 / (1.0 + (config.learning_rate / 1e-3).ln().powi(2) / 10.0);
        let right = (share * ROWS as f64) as usize;
        let row = |row: usize| if row.is_multiple_of(2) == (row < right) { [0.9, 0.1] } else { [0.1, 0.9] };
        Ok(Some(JudgedFold { probabilities: (0..ROWS).flat_map(row).collect(), seconds: self.seconds }))
    }

    fn together(&mut self, _division: u32, judged: &[(usize, &[f32])]) -> Result<Predictions, SearchError> {
        let truth = judged.iter().flat_map(|_| (0..ROWS).map(|row| row % 2)).collect();
        let said = judged.iter().flat_map(|(_, said)| said.iter().copied()).collect();
        Ok(Predictions::new(vec!["a".into(), "b".into()], Truth::Single(truth), said)?)
    }
}

fn plan(trials: u64, method: Method) -> Plan {
    let mut base = RunFile::default();
    base.set("train", "a.csv");
    let text = "learning_rate = { low = 1e-6, high = 1e-1, log = true }\nbatch_size = { choices = [7, 8, 16, 32] }";
    let space = Space::parse(text, Path::new("space.toml"), &base).unwrap();
    Plan { base, space, method, metric: Metric::default(), seed: 3, trials: Some(trials), time: None }
}

fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("study.db"), "a formula").unwrap()
}

/// Searches and gives the end and the trials.
fn searched(store: &mut Store, judge: &mut Formula, plan: &Plan, name: &str) -> (End, Vec<Trial>) {
    let user = judge.stop_after.as_ref().map(|(_, user)| user.clone()).unwrap_or_default();
    let mut worker = Worker { name: name.into(), store, judge, user: &user, tell: &mut |_| {} };
    let end = search(&mut worker, plan).unwrap();
    (end, store.trials().unwrap())
}

fn assignments(trials: &[Trial]) -> Vec<(String, Vec<f64>)> {
    trials.iter().map(|trial| (trial.assignment.to_string(), trial.scores.clone())).collect()
}

#[test]
fn a_search_promotes_a_third_and_comes_near_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, mut judge) = (store(&folder), Formula::default());
    let (end, trials) = searched(&mut store, &mut judge, &plan(60, Method::Tpe), "one");
    assert_eq!((end, trials.len()), (End::Trials, 60));
    assert_eq!((trials[0].origin.as_str(), trials[1].origin.as_str()), ("default", "random"));
    assert_eq!(trials[59].origin, "tpe");
    let failed: Vec<&Trial> = trials.iter().filter(|trial| trial.problem.is_some()).collect();
    assert!(!failed.is_empty() && failed.iter().all(|trial| trial.assignment["batch_size"].as_integer() == Some(7)));
    // Successive halving: a third of the trials with all epochs, a third of these in two folds, a third of these in five.
    let on_rung = |rung: usize| trials.iter().filter(|trial| trial.scores.len() > rung).count();
    let [first, second, third, fourth] = [0, 1, 2, 3].map(on_rung);
    assert_eq!(first, 60 - failed.len());
    // Or some more, because those that get better come after others were promoted.
    assert!((first / 3..=first / 2).contains(&second), "{second} of {first}");
    assert!((second / 3..=second / 2).contains(&third), "{third} of {second}");
    assert!((third / 3..=third / 2).contains(&fourth), "{fourth} of {third}");
    assert!(trials.iter().all(|trial| [0, 1, 2, 5].contains(&trial.folds.len())));
    assert_eq!(judge.judged.lock().unwrap().len(), first + second + third + 3 * fourth);
    let found = Found::read(&store, (&plan(60, Method::Tpe), 5), None).unwrap();
    let rate = found.best().assignment["learning_rate"].as_float().unwrap();
    assert!((3e-4..3e-3).contains(&rate) && found.rung_of(found.best()).folds == 5, "{rate}");
    let recipe = found.recipe(Path::new("a.csv"), "finetone search a.csv");
    assert!(recipe.contains("# Found by `finetone search` on a.csv"), "{recipe}");
    let settings = RunFile::parse(&recipe, Path::new("best.toml")).unwrap();
    assert_eq!(settings.table()["learning_rate"].as_float(), Some(rate));
    assert!(!settings.table().contains_key("train"));
    assert!(found.best_so_far.windows(2).all(|pair| pair[0].1 <= pair[1].1 && pair[0].0 <= pair[1].0));
    let html = found.page("a.csv").to_html().unwrap();
    assert!(html.matches("<polyline").count() >= first && html.contains("What mattered"), "{html}");
    assert!(finetone_search::importance(&found.plan.space, &trials)[0].0 == "learning_rate");
}

#[test]
fn an_interrupted_search_goes_on_as_if_it_had_not_been() {
    let whole = tempfile::tempdir().unwrap();
    let (_, expected) = searched(&mut store(&whole), &mut Formula::default(), &plan(16, Method::Tpe), "whole");
    let folder = tempfile::tempdir().unwrap();
    let mut judged = Vec::new();
    for life in 0.. {
        let mut judge = Formula { stop_after: Some((4, Control::default())), ..Formula::default() };
        let (end, _) = searched(&mut store(&folder), &mut judge, &plan(16, Method::Tpe), &format!("life {life}"));
        judged.extend(judge.judged.lock().unwrap().clone());
        if end != End::Interrupted {
            break;
        }
    }
    let trials = store(&folder).trials().unwrap();
    assert_eq!(assignments(&trials), assignments(&expected));
    let all = judged.len();
    judged.sort_unstable();
    judged.dedup();
    assert_eq!(judged.len(), all, "no fold was judged twice");
}

#[test]
fn what_cannot_be_done_in_time_is_not_begun() {
    let folder = tempfile::tempdir().unwrap();
    let mut judge = Formula { seconds: 1000.0, ..Formula::default() };
    let plan = Plan { time: Some(Duration::from_secs(900)), ..plan(50, Method::Random) };
    let (end, trials) = searched(&mut store(&folder), &mut judge, &plan, "one");
    assert_eq!((end, trials.len(), trials[0].scores.len()), (End::Time, 1, 1));
    // What is at work when the time is used up is given up, and not counted.
    let folder = tempfile::tempdir().unwrap();
    let mut judge = Formula { takes: Duration::from_millis(1500), ..Formula::default() };
    let plan = Plan { time: Some(Duration::from_secs(1)), ..plan };
    let (end, trials) = searched(&mut store(&folder), &mut judge, &plan, "one");
    assert_eq!((end, trials.len(), trials[0].scores.len()), (End::Time, 1, 0));
    assert!(trials[0].is_left_lying());
    let error = Found::read(&store(&folder), (&plan, 5), None).unwrap_err();
    assert!(error.to_string().contains("no trial came to an end"), "{error}");
    // The time is used up for the next call as well.
    let (end, trials) = searched(&mut store(&folder), &mut Formula::default(), &plan, "two");
    assert_eq!((end, trials[0].scores.len()), (End::Time, 0));
}

#[test]
fn workers_share_a_study_and_never_a_fold() {
    let folder = tempfile::tempdir().unwrap();
    drop(store(&folder));
    let judge = Formula { takes: Duration::from_millis(3), ..Formula::default() };
    let plan = plan(40, Method::Tpe);
    std::thread::scope(|scope| {
        for name in ["a", "b", "c"] {
            let (mut judge, folder, plan) = (judge.clone(), &folder, &plan);
            scope.spawn(move || searched(&mut store(folder), &mut judge, plan, name));
        }
    });
    let trials = store(&folder).trials().unwrap();
    assert_eq!(trials.len(), 40);
    assert!(trials.iter().all(|trial| trial.worker.is_none() && (trial.problem.is_some() || !trial.scores.is_empty())));
    let mut folds: BTreeMap<(u64, usize, u32), usize> = BTreeMap::new();
    judge.judged.lock().unwrap().iter().for_each(|one| *folds.entry(*one).or_default() += 1);
    assert!(folds.values().all(|times| *times == 1), "{folds:?}");
    let mut different: Vec<String> = trials.iter().map(|trial| trial.assignment.to_string()).collect();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 40, "no two trials have the same settings");
}

#[test]
fn trials_are_judged_by_the_metric_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, mut judge) = (store(&folder), Formula::default());
    let metric = Metric::Class(ClassMetric::Recall, "a".into());
    let plan = Plan { metric: metric.clone(), ..plan(12, Method::Random) };
    let (_, trials) = searched(&mut store, &mut judge, &plan, "one");
    let mut differs = false;
    for trial in trials.iter().filter(|trial| !trial.folds.is_empty()) {
        let folds = store.folds(0, trial.number).unwrap();
        let said = judge.together(0, &folds.iter().map(Fold::part).collect::<Vec<_>>()).unwrap();
        assert_eq!(trial.scores.last().copied(), Some(metric.compute(&said).unwrap()));
        differs |= Metric::default().compute(&said).unwrap() != metric.compute(&said).unwrap();
    }
    assert!(differs, "in these folds the usual metric would have said the same");
    let found = Found::read(&store, (&plan, 5), None).unwrap();
    assert!(found.words()[0].contains("recall of “a”"), "{:?}", found.words());
}

#[test]
fn the_winner_is_judged_on_fresh_folds_and_chooses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, mut judge, plan) = (store(&folder), Formula::default(), plan(12, Method::Random));
    searched(&mut store, &mut judge, &plan, "one");
    let before = store.trials().unwrap();
    let mut told = Vec::new();
    let user = Control::default();
    let mut confirmed = |judge: &mut Formula, user: &Control| {
        let mut tell = |event: &SearchEvent| told.push(event.clone());
        confirm(&mut Worker { name: "one".into(), store: &mut store, judge, user, tell: &mut tell }, &plan).unwrap()
    };
    // Stopped on the way, and gone on with.
    user.stop.store(true, Ordering::Relaxed);
    let mut slow = Formula { takes: Duration::from_millis(300), ..judge.clone() };
    assert_eq!(confirmed(&mut slow, &user), Confirmed::Interrupted);
    let Confirmed::Done(found) = confirmed(&mut judge, &Control::default()) else { panic!("nobody stopped it") };
    let Confirmed::Done(again) = confirmed(&mut judge, &Control::default()) else { panic!("nobody stopped it") };
    assert_eq!(found, again);
    let fresh = judge.judged.lock().unwrap().iter().filter(|(.., division)| *division == 1).count();
    assert_eq!(fresh, 10, "five folds of each, once");
    assert_eq!((found.default_folds.folds.len(), found.winner_folds.folds.len()), (5, 5));
    assert!(
        found.winner_folds.score > found.default_folds.score
            && found.words(&plan.metric)[0].contains("more than chance")
    );
    let with = |lost: usize, p_value: f64| {
        let (only_first, only_second) = ((0..lost).collect(), vec![200]);
        let comparison = Comparison { only_first, only_second, p_value, ..found.comparison.clone() };
        Confirmation { comparison, ..(*found).clone() }.words(&plan.metric)
    };
    assert!(with(20, 0.001)[1].contains("it loses 20 and wins 1"), "{:?}", with(20, 0.001));
    assert_eq!((with(20, 0.3).len(), with(0, 0.001).len()), (1, 1), "nothing is lost by more than chance");
    let rare = |high: f64| {
        let mut comparison = found.comparison.clone();
        let f1 = comparison.differences.iter_mut().find(|one| one.metric == Metric::default()).unwrap();
        f1.difference = Estimate { value: -0.2, low: -0.3, high };
        Confirmation { comparison, ..(*found).clone() }.words(&Metric::Accuracy)
    };
    assert!(rare(-0.1)[1].contains("-0.2000 (95 % interval -0.3000 to -0.1000)"), "{:?}", rare(-0.1));
    assert_eq!(rare(0.1).len(), 1, "macro F1 may be as good");
    assert_eq!(store.trials().unwrap(), before, "no trial knows of it");
    assert_eq!(told.iter().filter(|event| matches!(event, SearchEvent::Confirming { .. })).count(), 11);
}
