//! The record when something goes wrong.

use super::*;
use crate::store::Database;

async fn traffic(folder: &Path, recording: Recording) -> (Traffic, Store) {
    let store = Store::open(&Database::InFolder, folder).await.unwrap();
    let config = RecordConfig { recording, ..RecordConfig::default() };
    (Traffic::open(config, store.clone(), folder).unwrap(), store)
}

fn judged(text: &str) -> Judged {
    Judged { text: text.into(), label: "good".into(), confidence: 0.75, margin: 0.5, abstained: None }
}

async fn answers(store: &Store) -> i64 {
    store.kept_answers().await.unwrap().iter().map(|kept| kept.answers).sum()
}

#[tokio::test]
async fn a_database_that_fails_loses_notes_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (traffic, store) = traffic(folder.path(), Recording::Hashed).await;
    traffic.note("mood", "pred-1", [judged("a"), judged("b")]);
    traffic.settle().await;
    assert_eq!((answers(&store).await, traffic.lost()), (2, 0));
    // The same id again is as good as a full disk.
    traffic.note("mood", "pred-1", [judged("a"), judged("b")]);
    traffic.settle().await;
    assert_eq!((answers(&store).await, traffic.lost()), (2, 2));
    traffic.note("mood", "pred-2", [judged("c")]);
    traffic.settle().await;
    assert_eq!((answers(&store).await, traffic.lost()), (3, 2));
}

#[tokio::test]
async fn what_was_noted_before_the_end_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (traffic, store) = traffic(folder.path(), Recording::Texts).await;
    for number in 0..1_500 {
        traffic.note("mood", &format!("pred-{number}"), [judged("late\0again")]);
    }
    traffic.close().await;
    assert_eq!(answers(&store).await, 1_500);
    assert_eq!(store.answered_texts("mood", 1).await.unwrap(), ["late\u{FFFD}again"]);
    // Behind the end nothing is written, and nobody waits.
    traffic.note("mood", "pred-x", [judged("a")]);
    traffic.settle().await;
    traffic.close().await;
    assert_eq!((answers(&store).await, traffic.lost()), (1_500, 1));
}

#[tokio::test]
async fn more_than_can_wait_is_lost_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (traffic, store) = traffic(folder.path(), Recording::Texts).await;
    // Nothing is written before this task waits for something.
    let long = "é".repeat(9 << 20);
    for number in 0..5 {
        traffic.note("mood", &format!("pred-{number}"), [judged(&long)]);
    }
    traffic.settle().await;
    assert_eq!((answers(&store).await, traffic.lost()), (3, 2));
    let text = store.answered_texts("mood", 1).await.unwrap().remove(0);
    assert!(text.len() <= LONGEST_TEXT && long.starts_with(&text));
    traffic.note("mood", "pred-9", [judged(&long)]);
    traffic.settle().await;
    assert_eq!((answers(&store).await, traffic.lost()), (4, 2), "there is room again");
}

#[tokio::test]
async fn nothing_is_kept_where_nothing_is_wanted() {
    let folder = tempfile::tempdir().unwrap();
    let (traffic, store) = traffic(folder.path(), Recording::Off).await;
    traffic.note("mood", "pred-1", [judged("a")]);
    traffic.settle().await;
    assert_eq!((answers(&store).await, traffic.lost()), (0, 0));
    assert!(!folder.path().join("record.key").exists());
}
