//! What is in a file, found on small files whose contents are known.

use std::path::{Path, PathBuf};

use finetone_data::conversation::Speakers;
use finetone_data::doctor::{TokenLimit, examine};
use finetone_data::explore::{ColumnValues, Exploration, ExploreOptions, explore};
use finetone_data::{DoctorOptions, ReadOptions};

fn explored(path: &Path, tokens: Option<TokenLimit<'_>>) -> Exploration {
    let checkup = examine(path, None, &DoctorOptions::default()).expect("readable");
    let options = ExploreOptions { read: ReadOptions::default(), tokens, speakers: Speakers::default() };
    explore(path, &checkup, &options).expect("readable")
}

fn written(folder: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = folder.path().join("rows.csv");
    std::fs::write(&path, text).expect("written");
    path
}

/// Sixty conversations; the angry ones are short, ask for a refund and shout, and come from one shop.
fn conversations() -> String {
    let mut text = String::from("conversation,label,shop,age,id\n");
    for row in 0..60 {
        let (label, says, shop) = match row % 3 {
            0 => ("Negative", "I WANT a refund now! Really!", "north"),
            _ => (
                "positive",
                "Could you tell me when order will be here? Thank you so much, that is kind of you",
                "south",
            ),
        };
        let (age, names) = (20 + row % 3 * 10, format!("this is about number {row} and {}", row * 7));
        text += &format!("\"Agent: Hello, {names}?\n\nCustomer: {says}\",{label},{shop},{age},id {row}\n");
    }
    text
}

#[test]
fn classes_lengths_manner_and_words_are_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = explored(&written(&folder, &conversations()), None);
    assert_eq!((found.rows, found.conversations), (60, 60));
    let [negative, positive] = found.classes.as_slice() else { panic!("{:?}", found.classes) };
    assert_eq!((negative.label.as_str(), negative.rows, positive.rows), ("Negative", 20, 40));
    assert!(negative.words.quantiles[3] < positive.words.quantiles[3] && negative.tokens.is_none());
    let mean = |class: usize, name: &str| {
        let measured = &found.classes[class].measured;
        measured.iter().find(|(known, _)| *known == name).map(|(_, mean)| *mean).expect(name)
    };
    assert_eq!((mean(0, "customer_exclamations"), mean(1, "customer_exclamations")), (2.0, 0.0));
    assert_eq!((mean(0, "turns"), mean(1, "customer_questions"), mean(0, "agent_questions")), (2.0, 1.0, 1.0));
    let marks = |class: usize, term: &str| found.classes[class].terms.iter().any(|found| found.text == term);
    assert!(marks(0, "refund") && marks(0, "a refund") && marks(1, "kind") && !marks(0, "hello"));
}

#[test]
fn columns_are_ordered_by_how_much_they_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let found = explored(&written(&folder, &conversations()), None);
    let names: Vec<&str> = found.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["shop", "age", "id"]);
    assert!(found.columns[0].strength.is_some_and(|strength| (strength - 1.0).abs() < 1e-9));
    assert!(matches!(&found.columns[1].values, ColumnValues::Numbers(of) if of[0].mean == 20.0 && of[1].mean == 35.0));
    // Sixty different words are few enough to be shown, and corrected for chance they say nothing.
    assert_eq!(found.columns[2].strength, Some(0.0));
    let telling: Vec<bool> = found.columns.iter().map(|column| column.gives_label_away).collect();
    assert_eq!(telling, [true, true, false], "three ages, each beside one label; and names that occur once");
}

#[test]
fn the_limit_counts_what_it_cuts() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = |text: &str| text.split_whitespace().count() + 2;
    let found = explored(&written(&folder, &conversations()), Some(TokenLimit { count: &count, limit: 22 }));
    assert_eq!(found.token_limit, Some(22));
    let cut: Vec<usize> = found.classes.iter().map(|class| class.truncated).collect();
    assert_eq!(cut, [0, 40]);
    assert_eq!(
        found.classes[0].tokens.as_ref().map(|tokens| tokens.quantiles[0]),
        Some(found.classes[0].words.quantiles[0] + 2)
    );
}

#[test]
fn rows_that_the_doctor_names_are_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "text,label\ngood,1\n,1\nbad,\nbad,0,more\nbad,0\nGOOD ,0\n";
    let found = explored(&written(&folder, text), None);
    assert_eq!(found.rows, 3);
    assert_eq!((found.copies.exact, found.copies.exact_contradicting), (1, 1));
    assert_eq!((found.copies.named[0].line, found.copies.named[0].of_line), (7, 2));
}
