//! Folds: of scikit-learn's sizes, with copies of a text together, the same for the same seed.

use std::collections::BTreeMap;

use finetone_data::split::comparable;
use finetone_data::{Example, LabelSet, Split, Target, stratified_folds};
use proptest::prelude::*;
use serde_json::Value;

fn example(text: String, class: usize, line: u64) -> Example {
    Example { target: Some(Target::Class(class)), line, ..Example::from_text(&text) }
}

/// `counts` rows of each class, all different, the classes mixed.
fn rows(counts: &[usize]) -> Vec<Example> {
    let mut rows: Vec<(usize, usize)> =
        counts.iter().enumerate().flat_map(|(class, &count)| (0..count).map(move |i| (i, class))).collect();
    rows.sort_unstable();
    rows.iter()
        .enumerate()
        .map(|(line, (i, class))| example(format!("text {i} of {class}"), *class, line as u64))
        .collect()
}

fn labels(count: usize) -> LabelSet {
    LabelSet::from_names((0..count).map(|class| format!("c{class}")))
}

fn class(example: &Example) -> usize {
    example.target.as_ref().and_then(Target::first).expect("a class")
}

/// Rows of each class that each fold holds out.
fn table(examples: &[Example], folds: &[Split], classes: usize) -> Vec<Vec<usize>> {
    let count = |fold: &Split, of: usize| fold.held_out.iter().filter(|&&index| class(&examples[index]) == of).count();
    folds.iter().map(|fold| (0..classes).map(|of| count(fold, of)).collect()).collect()
}

fn sorted(values: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut values: Vec<usize> = values.collect();
    values.sort_unstable();
    values
}

#[test]
fn sizes_are_those_of_scikit_learn() {
    let golden: Value = serde_json::from_str(include_str!("golden/folds.json")).unwrap();
    for case in golden["cases"].as_array().unwrap() {
        let counts: Vec<usize> = serde_json::from_value(case["counts"].clone()).unwrap();
        let examples = rows(&counts);
        let folds = case["folds"].as_u64().unwrap() as usize;
        for seed in 0..3 {
            let folds = stratified_folds(&examples, &labels(counts.len()), folds, seed).unwrap();
            let table = table(&examples, &folds, counts.len());
            let total = sorted(table.iter().map(|row| row.iter().sum()));
            assert_eq!(serde_json::json!(total), case["total"], "{case}");
            for (of, expected) in case["by_class"].as_array().unwrap().iter().enumerate() {
                assert_eq!(&serde_json::json!(sorted(table.iter().map(|row| row[of]))), expected, "{case}");
            }
        }
    }
}

#[test]
fn a_class_too_rare_for_the_folds_is_an_error_with_its_name() {
    // Four rows, but two of them say the same.
    let mut examples = rows(&[20, 3]);
    examples.push(example("TEXT 0  of 1".into(), 1, 99));
    assert!(stratified_folds(&examples, &labels(2), 3, 0).is_ok());
    let error = stratified_folds(&examples, &labels(2), 4, 0).unwrap_err();
    assert_eq!(error.to_string(), "label `c1` has 3 different texts, too few for 4 folds");
    assert!(error.hint().unwrap().contains("at most 3 folds"));
}

#[test]
fn a_seed_is_a_promise() {
    let examples = rows(&[12, 12]);
    let held = |seed| stratified_folds(&examples, &labels(2), 3, seed).unwrap()[0].held_out.clone();
    assert_eq!(held(5), held(5));
    let different = (0..20).map(held).collect::<std::collections::BTreeSet<_>>();
    assert!(different.len() > 15, "{} of 20 seeds differ", different.len());
}

proptest! {
    #[test]
    fn every_row_is_held_out_once_and_copies_stay_together(
        texts in prop::collection::vec((0_usize..25, 0_usize..2), 30..80), folds in 2_usize..6, seed in 0_u64..99
    ) {
        let written = |(line, (text, spelling)): (usize, &(usize, usize))| {
            let text = if *spelling == 0 { format!("text {text}") } else { format!(" TEXT  {text}") };
            (text, line as u64)
        };
        let examples: Vec<Example> =
            texts.iter().enumerate().map(written).map(|(text, line)| example(text, 0, line)).collect();
        let Ok(folds) = stratified_folds(&examples, &labels(1), folds, seed) else { return Ok(()) };
        let mut held = vec![0; examples.len()];
        let mut fold_of: BTreeMap<String, usize> = BTreeMap::new();
        for (number, fold) in folds.iter().enumerate() {
            prop_assert_eq!(fold.train.len() + fold.held_out.len(), examples.len());
            for &index in &fold.held_out {
                prop_assert!(!fold.train.contains(&index));
                held[index] += 1;
                let place = *fold_of.entry(comparable(&examples[index].text)).or_insert(number);
                prop_assert_eq!(place, number);
            }
        }
        prop_assert!(held.iter().all(|&times| times == 1));
    }
}
