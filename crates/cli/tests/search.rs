//! A search from the command line: from the file to a recipe that trains, killed and resumed, shared by two workers, refused.

mod workbench;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use workbench::{BINARY, done, failed, names, reviews, run, stderr, trained};

const SPACE: &str = "learning_rate = { low = 1e-4, high = 1e-2, log = true }\n\
    batch_size = { choices = [4, 8, 16] }\n\
    trained = { bundles = { all = {}, top = { freeze = [\"-1\"] } } }\n\
    read = { bundles = { whole = {}, customer = { conversation = \"customer\" } } }\n";

fn folder_with_data() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("reviews.csv"), reviews(60)).unwrap();
    fs::write(folder.path().join("space.toml"), SPACE).unwrap();
    folder
}

/// A search of a second or two for each trial.
fn line(trials: usize) -> String {
    let model = trained().join("runs/reviews-1/model");
    format!(
        "search reviews.csv --model {} --space space.toml --trials {trials} --folds 2 --threads 1 --set max_steps=8 --out found",
        model.display()
    )
}

/// Trial, fold, time and worker of each fold that was judged in the search, or afterwards.
fn folds(folder: &Path, afterwards: bool) -> Vec<(i64, i64, f64, String)> {
    let Ok(study) = Connection::open(folder.join("found/study.db")) else { return Vec::new() };
    let Ok(mut query) = study
        .prepare("SELECT trial, fold, at, worker FROM fold WHERE (division = 1) = ?1 ORDER BY trial, division, fold")
    else {
        return Vec::new();
    };
    let rows = query.query_map([afterwards], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)));
    rows.and_then(Iterator::collect).unwrap_or_default()
}

fn start(folder: &Path, line: &str) -> Child {
    let mut command = Command::new(BINARY);
    command.current_dir(folder).args(line.split_whitespace()).env("HF_HUB_OFFLINE", "1");
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn a_search_ends_with_a_recipe_that_trains() {
    let folder = folder_with_data();
    let output = run(folder.path(), &line(7));
    assert!(output.status.success(), "{}", stderr(&output));
    let (said, told) = (workbench::stdout(&output), stderr(&output));
    assert!(said.contains("macro F1") && said.contains("the recipe as it stands"), "{said}");
    assert!(said.contains("Of 7 trials the best is number"), "{said}");
    assert!(told.contains("note: not searched: read = customer: ") && told.contains("no speaker is known"), "{told}");
    assert_eq!(names(&folder.path().join("found")), ["best.toml", "report.html", "study.db"]);
    let page = fs::read_to_string(folder.path().join("found/report.html")).unwrap();
    assert_eq!(page.matches("<polyline").count(), 7);
    assert!(!page.contains("<script") && !page.contains("src="), "the page needs nothing from elsewhere");
    let recipe = fs::read_to_string(folder.path().join("found/best.toml")).unwrap();
    assert!(recipe.contains("#   finetone search reviews.csv --model "), "{recipe}");
    done(folder.path(), "train reviews.csv --recipe found/best.toml --set max_steps=2 --threads 1 --quiet");
    let settings = fs::read_to_string(folder.path().join("runs/reviews-1/run.toml")).unwrap();
    for assignment in recipe.lines().filter(|line| line.starts_with("batch_size")) {
        assert!(settings.contains(assignment), "{assignment} in {settings}");
    }
    // Once more, nothing is left to do.
    let before = (folds(folder.path(), false), folds(folder.path(), true));
    done(folder.path(), &line(7));
    assert_eq!((folds(folder.path(), false), folds(folder.path(), true)), before);
}

#[test]
fn another_metric_is_another_search() {
    let folder = folder_with_data();
    let by = |metric: &str| format!("{} --no-confirm --metric {metric}", line(2));
    let output = run(folder.path(), &by("recall.negative"));
    let (said, told) = (workbench::stdout(&output), stderr(&output));
    assert!(output.status.success() && told.contains("recall of “negative”"), "{told}");
    assert!(said.contains("recall of “negative”") && !said.contains("macro F1"), "{said}");
    let other = failed(folder.path(), &by("accuracy"));
    assert!(
        other.contains("begun with `searched for recall.negative`, and this is `searched for accuracy`"),
        "{other}"
    );
    assert!(failed(folder.path(), &by("recall.angry")).contains("known labels: `negative`"));
    let refused = failed(folder.path(), &by("log_loss"));
    assert!(refused.contains("of `log_loss` a lower one is better") && refused.contains("`accuracy`"), "{refused}");
    let misspelt = run(folder.path(), &by("acuracy"));
    assert_eq!(misspelt.status.code(), Some(2));
    assert!(stderr(&misspelt).contains("did you mean `accuracy`?"), "{}", stderr(&misspelt));
}

#[test]
fn a_killed_search_loses_no_finished_fold() {
    let folder = folder_with_data();
    let began = Instant::now();
    let mut child = start(folder.path(), &line(20));
    while folds(folder.path(), false).len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(120), "no fold was judged");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = folds(folder.path(), false);
    done(folder.path(), &line(20));
    let after = folds(folder.path(), false);
    assert!(before.iter().all(|fold| after.contains(fold)), "{before:?}\n{after:?}");
    let trials: Vec<i64> = (0..20).collect();
    let mut judged: Vec<i64> = after.iter().map(|fold| fold.0).collect();
    judged.dedup();
    assert_eq!(judged, trials, "what was at work at the kill was done again");
    let workers = |folds: &[(i64, i64, f64, String)]| folds.iter().map(|fold| fold.3.clone()).collect::<Vec<_>>();
    assert_ne!(workers(&before)[0], workers(&after)[after.len() - 1]);
}

#[test]
fn ctrl_c_saves_what_is_finished() {
    let folder = folder_with_data();
    let child = start(folder.path(), &line(200));
    let began = Instant::now();
    while folds(folder.path(), false).len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(120), "no fold was judged");
        std::thread::sleep(Duration::from_millis(20));
    }
    let told = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = child.wait_with_output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("every fold that was finished is saved") && said.contains("with the same command"), "{said}");
    let judged = folds(folder.path(), false);
    // Nobody has to wait for the worker that let go.
    done(folder.path(), &line(judged.len()));
    assert!(judged.iter().all(|fold| folds(folder.path(), false).contains(fold)));
}

#[test]
fn two_processes_share_a_study() {
    let folder = folder_with_data();
    let workers = [start(folder.path(), &line(40)), start(folder.path(), &line(40))];
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // A fold that is judged a second time could not be kept, and the worker would have failed.
    let judged = folds(folder.path(), false);
    let mut trials: Vec<i64> = judged.iter().map(|fold| fold.0).collect();
    trials.dedup();
    assert_eq!(trials, (0..40).collect::<Vec<i64>>());
    let mut names: Vec<&String> = judged.iter().map(|fold| &fold.3).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 2, "both had something to do");
    assert!(folder.path().join("found/report.html").exists());
    assert!(
        matches!(folds(folder.path(), true).len(), 0 | 4),
        "confirmed once, or the recipe as it stands is the best"
    );
}

#[test]
fn what_cannot_be_searched_is_refused_and_leaves_nothing() {
    let folder = folder_with_data();
    let path = folder.path();
    let rare = reviews(30).replace("0,\"the kettle, number 0, was broken\",negative", "0,one of a kind,rare");
    fs::write(path.join("rare.csv"), rare).unwrap();
    let with = |text: &str| fs::write(path.join("wrong.toml"), text).unwrap();
    with("learning_rat = { low = 1e-4, high = 1e-2 }");
    let said = failed(path, "search reviews.csv --space wrong.toml");
    assert!(said.contains("no setting `learning_rat`") && said.contains("did you mean `learning_rate`?"), "{said}");
    with("learning_rate = { low = 1e-2, high = 1e-4 }");
    assert!(failed(path, "search reviews.csv --space wrong.toml").contains("empty range"));
    assert!(failed(path, "search reviews.csv --space none.toml").contains("none.toml"));
    let said = failed(path, "search rare.csv --space space.toml --folds 3");
    assert!(said.contains("rare") && said.contains("3"), "{said}");
    assert!(failed(path, "search none.csv --space space.toml").contains("none.csv"));
    with("batch_size = { choices = [4, 8] }");
    let said = failed(path, "search reviews.csv --space wrong.toml --set batch_size=4 --out nothing");
    assert!(said.contains("nothing left to search"), "{said}");
    assert_eq!(names(path), ["rare.csv", "reviews.csv", "space.toml", "wrong.toml"]);
}

#[test]
fn another_study_is_refused() {
    let folder = folder_with_data();
    let path = folder.path();
    done(path, &line(1));
    let said = failed(path, &(line(1) + " --set seed=1"));
    assert!(said.contains("study.db: the study was begun with"), "{said}");
    fs::write(path.join("reviews.csv"), reviews(63)).unwrap();
    let said = failed(path, &line(1));
    assert!(said.contains("`data and folds = "), "{said}");
    let said = failed(path, &(line(1) + " --study reviews.csv"));
    assert!(said.contains("no database of a search"), "{said}");
    assert_eq!(fs::read_to_string(path.join("reviews.csv")).unwrap(), reviews(63), "the file is as it was");
}
