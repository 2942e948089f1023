//! Settings judged in folds without a run folder: with the same bits as a run, and in bounded memory.

mod workbench;

use std::fs;
use std::path::Path;

use finetone_classify::hub::HubConfig;
use finetone_train::{Control, FoldBench, Outcome, RunConfig, Surroundings, Unheard};
use workbench::{Recorder, config, cpu, run};

fn with_surroundings<T>(work: impl FnOnce(&mut Surroundings<'_>) -> T) -> T {
    let hub = HubConfig { offline: true, ..HubConfig::from_variables(|_| None, None) };
    work(&mut Surroundings {
        hub: &hub,
        download: &mut (),
        control: &Control::default(),
        listener: &mut Unheard,
        checkup: None,
    })
}

/// All rows' probabilities of the first class, in ascending order.
fn judged(config: &RunConfig, folds: usize, most: usize) -> Vec<f32> {
    with_surroundings(|surroundings| {
        let cpu = cpu(1);
        let mut bench = FoldBench::new(&cpu, config, folds, surroundings).unwrap().keeping_at_most(most);
        let mut said = Vec::new();
        for fold in 0..folds {
            let Outcome::Finished(judged) = bench.judge(config, (fold, 1.0), surroundings).unwrap() else {
                panic!("nobody stopped it")
            };
            said.push((fold, judged.probabilities));
        }
        let parts: Vec<_> = said.iter().map(|(fold, said)| (*fold, said.as_slice())).collect();
        let all = bench.together(&parts).unwrap();
        sorted((0..all.rows()).map(|row| all.row(row)[0]).collect())
    })
}

fn sorted(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_by(f32::total_cmp);
    values
}

/// The same from the file that a run with `folds` leaves.
fn of_run(folder: &Path) -> Vec<f32> {
    let table = fs::read_to_string(folder.join("out_of_fold.csv")).unwrap();
    sorted(table.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse().unwrap()).collect())
}

#[test]
fn folds_are_judged_with_the_bits_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    // With folds a temperature is fitted across them, which one fold by itself knows nothing of.
    let settings = ["calibrate=none", "folds=2", "test_fraction=0", "learning_rate=1e-3", "batch_size=4", "seed=3"];
    let scratch = config(folder.path(), 40, &[&settings[..], &["epochs=2"]].concat());
    run(&cpu(1), &scratch, &folder.path().join("scratch"), &mut Recorder::default()).unwrap();
    assert_eq!(judged(&scratch, 2, 1 << 20), of_run(&folder.path().join("scratch")));

    // A pretrained model with a frozen block, whose states are shared; and without room for sharing.
    let model = folder.path().join("scratch/model").display().to_string();
    let frozen = RunConfig { model, freeze: vec!["1".into()], validation_fraction: 0.2, ..scratch };
    run(&cpu(1), &frozen, &folder.path().join("frozen"), &mut Recorder::default()).unwrap();
    let expected = of_run(&folder.path().join("frozen"));
    for most in [1 << 20, 0] {
        assert_eq!(judged(&frozen, 2, most), expected, "with {most} bytes");
    }
}

#[test]
fn a_share_of_the_epochs_is_as_many_steps() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), 40, &["epochs=3", "test_fraction=0", "learning_rate=1e-3", "seed=3"]);
    let after = |config: &RunConfig, share: f64| {
        with_surroundings(|surroundings| {
            let cpu = cpu(1);
            let mut bench = FoldBench::new(&cpu, config, 2, surroundings).unwrap();
            let Outcome::Finished(judged) = bench.judge(config, (1, share), surroundings).unwrap() else {
                panic!("nobody stopped it")
            };
            judged.probabilities
        })
    };
    let of = |epochs: f64| RunConfig { epochs: Some(epochs), ..config.clone() };
    let two_thirds = 2.0 / 3.0;
    assert_eq!(after(&config, two_thirds), after(&of(2.0), 1.0));
    assert_ne!(after(&config, two_thirds), after(&config, 1.0));
    // Every text is seen once at least, unless the settings themselves say less.
    assert_eq!(after(&config, 0.1), after(&of(1.0), 1.0));
    assert_eq!(after(&of(0.5), 0.1), after(&of(0.5), 1.0));
}

#[test]
fn memory_does_not_grow_with_the_number_of_settings() {
    let folder = tempfile::tempdir().unwrap();
    let base = config(folder.path(), 24, &["epochs=1", "max_steps=1", "test_fraction=0"]);
    run(&cpu(1), &base, &folder.path().join("base"), &mut Recorder::default()).unwrap();
    let model = folder.path().join("base/model").display().to_string();
    let most = 40_000;
    with_surroundings(|surroundings| {
        let cpu = cpu(1);
        let base = RunConfig { model, freeze: vec!["1".into()], epochs: Some(2.0), max_steps: None, ..base };
        let mut bench = FoldBench::new(&cpu, &base, 2, surroundings).unwrap().keeping_at_most(most);
        let mut kept = Vec::new();
        for trial in 0..200 {
            // Other tokens, other states and another reading each time.
            let config = RunConfig {
                max_tokens: Some(4 + trial % 40),
                freeze: vec![["embeddings", "1"][trial % 2].into()],
                feature_template: None,
                text_column: [None, Some("text".to_owned())][trial / 2 % 2].clone(),
                max_steps: Some(1),
                ..base.clone()
            };
            bench.judge(&config, (trial % 2, 1.0), surroundings).unwrap();
            kept.push(bench.kept_bytes());
        }
        assert!(kept.iter().all(|&bytes| bytes <= 3 * most), "{kept:?}");
        assert!(kept[20..].iter().any(|&bytes| bytes > most), "something is kept: {kept:?}");
    });
}
