//! What must hold for jobs that several want, in both databases.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::*;
use crate::ids;

#[path = "../../../../tests/postgres.rs"]
mod postgres;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3600);
/// Over when it begins.
const NONE: Duration = Duration::ZERO;

fn job(status: Status) -> JobRow {
    JobRow {
        id: ids::with_prefix("ftjob-", 24),
        status,
        model: "small".into(),
        base: Some("/models/small".into()),
        tuned_name: "ft:small:personal::12345678".into(),
        training_file: "file-a".into(),
        validation_file: None,
        suffix: None,
        seed: 7,
        hyperparameters: Hyperparameters::default(),
        metadata: None,
        integrations: None,
        created_at: now(),
        started_at: None,
        finished_at: None,
        estimated_finish: None,
        trained_tokens: None,
        final_step: None,
        result_file: None,
        error: None,
    }
}

/// The ids of so many jobs, in their order.
async fn add(store: &Store, jobs: usize, status: Status) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..jobs {
        let job = job(status);
        store.add_job(&job, &[]).await.unwrap();
        ids.push(job.id);
    }
    ids
}

async fn status(store: &Store, id: &str) -> Status {
    store.job(id).await.unwrap().unwrap().status
}

async fn messages(store: &Store, id: &str) -> Vec<String> {
    let page = Page { after: None, limit: 1000, ascending: true };
    let (events, _) = store.events(id, &page).await.unwrap().unwrap();
    events.into_iter().map(|event| event.message).collect()
}

fn results(job: &str) -> Results {
    let file = FileRow {
        id: ids::with_prefix("file-", 24),
        purpose: "fine-tune-results".into(),
        filename: "a.csv".into(),
        bytes: 1,
        created_at: now(),
        expires_at: None,
        status: "processed".into(),
        status_details: None,
    };
    let model = TunedModel { id: ids::random(8), created_at: now(), job: job.into(), folder: "jobs".into() };
    Results { file, models: vec![model], checkpoints: Vec::new(), events: vec![NewEvent::info("done")] }
}

async fn many_workers_get_different_jobs_and_the_oldest_first(store: Store) {
    let added = add(&store, 24, Status::Queued).await;
    let worker = |store: Store| async move {
        let mut mine = Vec::new();
        while let Some((job, _)) = store.claim_to_train(LONG).await.unwrap() {
            assert_eq!(job.status, Status::Running);
            mine.push(job.id);
        }
        mine
    };
    let workers: Vec<_> = (0..6).map(|_| tokio::spawn(worker(store.clone()))).collect();
    let mut got = Vec::new();
    for worker in workers {
        let mine = worker.await.unwrap();
        let place = |id: &String| added.iter().position(|known| known == id).unwrap();
        assert!(mine.iter().map(place).is_sorted());
        got.extend(mine);
    }
    assert_eq!(got.len(), 24);
    assert_eq!(HashSet::<String>::from_iter(got), HashSet::from_iter(added.iter().cloned()));
    assert_eq!(messages(&store, &added[3]).await, ["Fine-tuning job started"]);
}

async fn a_worker_that_was_given_up_writes_nothing(store: Store) {
    let id = add(&store, 1, Status::Queued).await.remove(0);
    let (_, old) = store.claim_to_train(NONE).await.unwrap().unwrap();
    assert!(store.renew(&old).await.unwrap().is_some(), "nobody else has it yet");
    let (job, new) = store.claim_to_train(LONG).await.unwrap().unwrap();
    assert_eq!(job.id, id);
    assert!(store.claim_to_train(LONG).await.unwrap().is_none());
    let event = NewEvent::metrics(1, "old".into(), json!({}));
    assert!(!store.add_event(&old, &event).await.unwrap() && !store.add_event_once(&old, &event).await.unwrap());
    assert!(!store.keep_progress(&old, 7, 7).await.unwrap() && !store.keep_final_step(&old, 7).await.unwrap());
    assert!(!store.forget_steps_after(&old, 0).await.unwrap() && !store.succeed(&old, &results(&id)).await.unwrap());
    store.fail_job(&old, &json!({"message": "old"})).await.unwrap();
    store.give_back(&old).await.unwrap();
    assert_eq!(store.renew(&old).await.unwrap(), None);
    assert_eq!(store.renew(&new).await.unwrap(), Some(Status::Running));
    assert!(store.add_event(&new, &NewEvent::metrics(1, "new".into(), json!({}))).await.unwrap());
    assert!(store.succeed(&new, &results(&id)).await.unwrap());
    assert!(!store.succeed(&new, &results(&id)).await.unwrap(), "it is over");
    assert_eq!(messages(&store, &id).await, ["Fine-tuning job started", "new", "done"]);
    let job = store.job(&id).await.unwrap().unwrap();
    assert_eq!((job.status, job.trained_tokens, job.final_step), (Status::Succeeded, None, None));
    assert_eq!(store.models().await.unwrap().len(), 1);
}

async fn a_job_that_is_moved_on_stays_claimed_until_its_worker_has_stopped(store: Store) {
    let id = add(&store, 1, Status::Queued).await.remove(0);
    let (_, claim) = store.claim_to_train(LONG).await.unwrap().unwrap();
    let event = NewEvent::info("moved");
    let moved = async |from: Status, to: Status| store.move_job(&id, &[from], to, &event).await.unwrap().is_some();
    assert!(moved(Status::Running, Status::Paused).await && !moved(Status::Running, Status::Paused).await);
    assert_eq!(store.renew(&claim).await.unwrap(), Some(Status::Paused));
    assert!(moved(Status::Paused, Status::Queued).await);
    assert!(store.claim_to_train(LONG).await.unwrap().is_none(), "its worker is still there");
    store.give_back(&claim).await.unwrap();
    let (_, claim) = store.claim_to_train(LONG).await.unwrap().unwrap();
    assert!(store.is_claimed(&id).await.unwrap());
    store.give_back(&claim).await.unwrap();
    assert!(!store.is_claimed(&id).await.unwrap());
    assert_eq!(status(&store, &id).await, Status::Queued);
    assert_eq!(messages(&store, &id).await, ["Fine-tuning job started", "moved", "moved"]);
}

async fn files_are_looked_at_by_one_and_faults_are_told_once(store: Store) {
    let id = add(&store, 1, Status::ValidatingFiles).await.remove(0);
    assert!(store.claim_to_train(LONG).await.unwrap().is_none());
    let (_, old) = store.claim_to_validate(NONE).await.unwrap().unwrap();
    let (_, new) = store.claim_to_validate(LONG).await.unwrap().unwrap();
    assert!(store.claim_to_validate(LONG).await.unwrap().is_none());
    let used = Hyperparameters { n_epochs: Some(3), batch_size: Some(2), learning_rate_multiplier: Some(0.5) };
    store.queue_job(&old, &used, &NewEvent::info("fine")).await.unwrap();
    store.fail_job(&new, &json!({"message": "a fault with \0 in it"})).await.unwrap();
    store.queue_job(&new, &used, &NewEvent::info("fine")).await.unwrap();
    assert_eq!(messages(&store, &id).await, ["a fault with \u{FFFD} in it"]);
    let job = store.job(&id).await.unwrap().unwrap();
    assert!(job.status == Status::Failed && job.finished_at.is_some() && job.hyperparameters.n_epochs.is_none());
}

async fn the_first_process_takes_up_what_was_left(store: Store) {
    let ids = add(&store, 2, Status::Queued).await;
    let (_, claim) = store.claim_to_train(LONG).await.unwrap().unwrap();
    store.end_claims().await.unwrap();
    assert_eq!((status(&store, &ids[0]).await, store.renew(&claim).await.unwrap()), (Status::Queued, None));
    let (job, _) = store.claim_to_train(LONG).await.unwrap().unwrap();
    assert!(job.id == ids[0] && job.started_at.is_some());
    assert_eq!(messages(&store, &ids[0]).await, ["Fine-tuning job started"]);
}

/// The answer to a text at a time.
fn answered(model: &str, number: i64, created_at: i64, text: Option<&str>) -> NewAnswer {
    NewAnswer {
        id: format!("pred-{model}"),
        number,
        model: model.into(),
        created_at,
        text: text.map(str::to_owned),
        hash: text.unwrap_or("-").into(),
        length: 2,
        predicted: "good".into(),
        confidence: 1.0,
        margin: 0.25,
        abstained: (number % 2 == 0).then_some(true),
    }
}

async fn answers_are_kept_labelled_and_forgotten(store: Store) {
    let texts = [Some("late again"), Some("lovely"), Some("late again"), None];
    let rows: Vec<NewAnswer> =
        (0..).zip(texts).map(|(number, text)| answered("mood", number, 100 + number, text)).collect();
    store.add_answers(&rows).await.unwrap();
    // All or none: the second is there already.
    let twice = [answered("other", 0, 100, None), rows[0].clone()];
    assert!(store.add_answers(&twice).await.is_err());
    let kept = store.kept_answers().await.unwrap();
    let mood = KeptAnswers { model: "mood".into(), answers: 4, labelled: 0, texts: 3, since: 100, until: 103 };
    assert_eq!(kept, [mood]);
    let latest = store.answers("mood", 2).await.unwrap();
    let told: Vec<_> = latest.iter().map(|row| (row.created_at, row.abstained, row.confidence)).collect();
    assert_eq!(told, [(102, Some(1), 1.0), (103, None, 1.0)]);
    let open =
        async || store.open_texts("mood", 9).await.unwrap().into_iter().map(|open| open.text).collect::<Vec<_>>();
    assert_eq!(open().await, ["late again", "lovely"]);
    assert!(store.label_answer(("pred-mood", 0), "mood", "bad").await.unwrap());
    assert_eq!(open().await, ["lovely"], "one label does for equal texts");
    assert!(!store.label_answer(("pred-mood", 9), "mood", "bad").await.unwrap());
    assert!(!store.label_answer(("pred-mood", 0), "other", "bad").await.unwrap());
    assert_eq!(store.answers("mood", 9).await.unwrap()[0].label.as_deref(), Some("bad"));
    assert_eq!(store.answered_texts("mood", 2).await.unwrap(), ["late again", "lovely"]);
    store.trim_answers(101, 2).await.unwrap();
    assert_eq!(store.answers("mood", 9).await.unwrap(), latest);
    store.trim_answers(103, 9).await.unwrap();
    assert_eq!(store.forget_answers("mood").await.unwrap(), 1);
    assert!(store.kept_answers().await.unwrap().is_empty());
}

async fn what_a_deleted_model_answered_is_gone_and_stays_gone(store: Store) {
    let id = add(&store, 1, Status::Queued).await.remove(0);
    let (_, claim) = store.claim_to_train(LONG).await.unwrap().unwrap();
    let mut made = results(&id);
    made.models[0].id = "ft:mood".into();
    store.succeed(&claim, &made).await.unwrap();
    store.add_answers(&[answered("ft:mood", 0, now(), None), answered("ft:gone", 1, now(), None)]).await.unwrap();
    let models = async || store.kept_answers().await.unwrap().into_iter().map(|kept| kept.model).collect::<Vec<_>>();
    assert_eq!(models().await, ["ft:mood"], "nothing is kept of a model that is not there");
    store.delete_model("ft:mood").await.unwrap();
    assert!(models().await.is_empty());
    // What was on its way when the model went.
    store.add_answers(&[answered("ft:mood", 2, now(), None)]).await.unwrap();
    assert!(models().await.is_empty());
}

/// Runs every check on a store of its own.
async fn check(open: impl AsyncFn(&str) -> Store) {
    many_workers_get_different_jobs_and_the_oldest_first(open("one").await).await;
    a_worker_that_was_given_up_writes_nothing(open("two").await).await;
    a_job_that_is_moved_on_stays_claimed_until_its_worker_has_stopped(open("three").await).await;
    files_are_looked_at_by_one_and_faults_are_told_once(open("four").await).await;
    the_first_process_takes_up_what_was_left(open("five").await).await;
    answers_are_kept_labelled_and_forgotten(open("six").await).await;
    what_a_deleted_model_answered_is_gone_and_stays_gone(open("seven").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_have_one_worker_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    check(async |name| {
        let folder = folder.path().join(format!("{name} %41?#:é"));
        std::fs::create_dir(&folder).unwrap();
        let store = Store::open(&Database::InFolder, &folder).await.unwrap();
        assert!(folder.join("finetone.sqlite").is_file());
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_have_one_worker_in_postgres() {
    let Some(cluster) = postgres::Cluster::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    check(async |name| Store::open(&cluster.create(name).parse().unwrap(), folder.path()).await.unwrap()).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once_and_without_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let database: Database = "postgres://me:s3cret@127.0.0.1:1/a".parse().unwrap();
    let error = Store::open(&database, folder.path()).await.unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(said.contains("PostgreSQL `a` at 127.0.0.1:1") && !said.contains("s3cret"), "{said}");
    assert!(error.hint().unwrap().contains("--database"));
}
