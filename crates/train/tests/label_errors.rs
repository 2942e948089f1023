//! Suspected labels, in a small file and in a real one.

#[path = "../../../tests/real_data.rs"]
mod real_data;

use std::fs;
use std::path::{Path, PathBuf};

use finetone_backend::Reference;
use finetone_data::ReadOptions;
use finetone_data::split::random::Random;
use finetone_evaluate::by_margin;
use finetone_train::{CheckedLabels, TrainError};

fn check(file: &Path, options: &ReadOptions) -> Result<CheckedLabels, TrainError> {
    CheckedLabels::new::<Reference<f32>>(file, options, None)
}

/// Writes rows of which the ones in `wrong` have the other label.
fn written(folder: &Path, rows: usize, wrong: &[usize]) -> PathBuf {
    let (path, words) = (folder.join("rows.csv"), [["superb", "lovely", "splendid"], ["dreadful", "awful", "broken"]]);
    let row = |i: usize| {
        let label = if wrong.contains(&i) { 1 - i % 2 } else { i % 2 };
        format!("\"the thing, number {i}, is {}\",{}\n", words[i % 2][i / 2 % 3], ["good", "bad"][label])
    };
    fs::write(&path, format!("text,label\n{}", (0..rows).map(row).collect::<String>())).unwrap();
    path
}

#[test]
fn wrong_labels_are_suspected_and_written_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let checked = check(&written(folder.path(), 120, &[7, 40]), &ReadOptions::default()).unwrap();
    let rows: Vec<usize> = checked.found.suspects.iter().map(|suspect| suspect.row).collect();
    assert!(rows.len() == 2 && rows.contains(&7) && rows.contains(&40), "{rows:?}");
    let table = checked.table();
    let mut lines = csv::Reader::from_reader(table.as_bytes());
    assert_eq!(lines.headers().unwrap().iter().next_back(), Some("corrected"));
    let records: Vec<csv::StringRecord> = lines.records().map(Result::unwrap).collect();
    let of_seven = records.iter().find(|record| &record[0] == "9").expect("row 7 is on line 9");
    assert_eq!((&of_seven[1], &of_seven[2], &of_seven[3]), ("the thing, number 7, is dreadful", "good", "bad"));
    assert!(of_seven[6].is_empty() && of_seven[4].parse::<f64>().unwrap() < 0.5, "{of_seven:?}");
}

#[test]
fn files_that_say_too_little_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |rows, options: &ReadOptions| {
        let error = check(&written(folder.path(), rows, &[]), options).err().expect("an error");
        (error.to_string(), error.hint().unwrap())
    };
    assert_eq!(refused(9, &ReadOptions::default()).0, "9 texts with 2 labels are too few to find label errors");
    let several = ReadOptions { multi_label: Some('|'), ..ReadOptions::default() };
    assert!(refused(40, &several).1.contains("`--label-errors`"));
}

/// Five in a hundred labels of a real file are turned over; half of them must be in the first tenth of the rows.
#[test]
fn half_of_the_flipped_labels_of_a_real_file_are_in_the_first_tenth() {
    let Some(path) = real_data::present("sst2/train.csv") else { return };
    let rows = finetone_data::Dataset::read(&path, &ReadOptions::default()).unwrap();
    let mut order: Vec<usize> = (0..rows.examples.len()).collect();
    Random::new(20_260_401).shuffle(&mut order);
    let flipped = &order[..order.len() / 20];
    let folder = tempfile::tempdir().unwrap();
    let mut table = csv::Writer::from_path(folder.path().join("flipped.csv")).unwrap();
    table.write_record(["text", "label"]).unwrap();
    for (row, example) in rows.examples.iter().enumerate() {
        let class = example.only_class().unwrap();
        let class = if flipped.contains(&row) { 1 - class } else { class };
        table.write_record([example.text.as_str(), rows.labels.name(class)]).unwrap();
    }
    table.flush().unwrap();
    let checked = check(&folder.path().join("flipped.csv"), &ReadOptions::default()).unwrap();
    let ranked = by_margin(&checked.predictions).unwrap();
    let found = ranked[..ranked.len() / 10].iter().filter(|row| flipped.contains(row)).count();
    println!("{found} of {} flipped labels are in the first tenth; {}", flipped.len(), checked.detail);
    assert!(2 * found >= flipped.len(), "{found} of {}", flipped.len());
}
