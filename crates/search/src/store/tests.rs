//! Claims, what survives, what is refused, and how time is counted.

use super::*;

fn begun() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("study.db"), "rows = 3\nfolds = 2").unwrap();
    (folder, store)
}

fn begin(trials: &[Trial]) -> Option<Task> {
    let value = toml::Value::Integer(trials.len() as i64);
    Some(Task::Begin(Assignment::from_iter([("x".to_owned(), value)]), "random"))
}

fn fold(fold: usize) -> Fold {
    Fold { fold, value: 0.5, seconds: 2.0, probabilities: vec![0.25, 0.75] }
}

#[test]
fn what_was_written_is_there_for_the_next_process() {
    let (folder, mut store) = begun();
    let trial = store.claim("a", begin).unwrap().unwrap();
    assert_eq!((trial.number, trial.target, trial.worker.as_deref()), (0, 1, Some("a")));
    assert!(store.keep_fold("a", (SEARCHED, 0), &fold(0)).unwrap() && store.keep_score("a", 0, (0, 0.5)).unwrap());
    store.let_go("a", 0, None).unwrap();
    drop(store);
    let mut store = Store::open(&folder.path().join("study.db"), "rows = 3\nfolds = 2").unwrap();
    let trials = store.trials().unwrap();
    assert_eq!((trials[0].scores.as_slice(), trials[0].seconds, &trials[0].worker), (&[0.5][..], 2.0, &None));
    assert_eq!(trials[0].assignment["x"].as_integer(), Some(0));
    assert_eq!(store.folds(SEARCHED, 0).unwrap(), [fold(0)]);
    let taken = store.claim("b", |_| Some(Task::Take(0, 2))).unwrap().unwrap();
    assert_eq!((taken.target, taken.is_left_lying()), (2, false));
}

#[test]
fn a_trial_is_one_workers_until_its_claim_lapses() {
    let (_folder, mut store) = begun();
    let mut other = store.again().unwrap();
    assert_eq!(store.claim("a", begin).unwrap().unwrap().number, 0);
    assert_eq!(other.claim("b", |_| Some(Task::Take(0, 1))).unwrap(), None);
    assert_eq!(other.claim("b", begin).unwrap().unwrap().number, 1);
    assert!(store.renew("a", Some(0)).unwrap() && !other.renew("b", Some(0)).unwrap());
    // As if nobody had renewed it for a while.
    store.connection.execute("UPDATE trial SET seen = seen - 100 WHERE number = 0", []).unwrap();
    assert_eq!(other.claim("b", |_| Some(Task::Take(0, 1))).unwrap().unwrap().worker.as_deref(), Some("b"));
    // What the first worker finds out now is not written.
    assert!(!store.keep_fold("a", (SEARCHED, 0), &fold(0)).unwrap() && !store.keep_score("a", 0, (0, 0.5)).unwrap());
    store.let_go("a", 0, Some("late")).unwrap();
    assert!(!store.has_silent_claims("a").unwrap());
    store.connection.execute("UPDATE trial SET seen = seen - 5", []).unwrap();
    assert!(store.has_silent_claims("a").unwrap());
    let trial = &store.trials().unwrap()[0];
    assert_eq!((trial.problem.as_deref(), trial.worker.as_deref()), (None, Some("b")));
}

#[test]
fn other_studies_and_other_files_are_refused() {
    let (folder, store) = begun();
    let path = folder.path().join("study.db");
    let error = Store::open(&path, "rows = 4\nfolds = 2").err().unwrap();
    assert!(error.to_string().contains("begun with `rows = 3`, and this is `rows = 4`"), "{error}");
    drop(store);
    let text = folder.path().join("a.csv");
    std::fs::write(&text, "text,label\n".repeat(1000)).unwrap();
    let error = Store::open(&text, "").err().unwrap();
    assert!(error.hint().unwrap().contains("no database of a search"), "{error}");
    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE a (b)").unwrap();
    let error = Store::open(&other, "").err().unwrap();
    assert!(error.to_string().contains("something else"), "{error}");
    let error = Store::open(&folder.path().join("none/study.db"), "").err().unwrap();
    assert!(error.hint().unwrap().contains("write to"), "{error}");
}

#[test]
fn one_worker_confirms_when_nobody_is_at_a_trial() {
    let (_folder, mut store) = begun();
    store.claim("a", begin).unwrap().unwrap();
    assert!(!store.claim_confirmation("b").unwrap(), "the other one is not done");
    store.let_go("a", 0, None).unwrap();
    assert!(store.claim_confirmation("b").unwrap() && !store.claim_confirmation("a").unwrap());
    store.end_confirmation("b").unwrap();
    assert!(store.claim_confirmation("a").unwrap());
}

#[test]
fn time_counts_once_however_many_work() {
    assert_eq!(united(&[(0.0, 10.0), (2.0, 5.0), (9.0, 12.0), (20.0, 21.0)]), [(0.0, 12.0), (20.0, 21.0)]);
    let (_folder, mut store) = begun();
    store.renew("a", None).unwrap();
    let sql = "UPDATE worker SET began = 100, seen = 160; INSERT INTO worker VALUES ('b', 150, 170)";
    store.connection.execute_batch(sql).unwrap();
    assert_eq!((store.elapsed().unwrap(), store.elapsed_until(120.0).unwrap()), (70.0, 20.0));
}
