use super::*;

fn finished(stdout: &str) -> Finished {
    Finished { stdout: stdout.to_owned(), seconds: 12.5, peak_bytes: Some(3e9) }
}

fn contender(side: Side, reading: Reading) -> Contender {
    Contender::new("row", side, Path::new("program"), reading)
}

#[test]
fn a_step_is_read_from_the_last_object() {
    let output = "loading\n{\"note\": 1}\n{\"step_s\": {\"min\": 1, \"median\": 2.5, \"max\": 4}, \"tokens_per_s\": 100, \
                  \"peak_rss_bytes\": 7000}\n";
    let samples = contender(Side::Ours, Reading::Step).read(&finished(output), 0).expect("it is complete");
    assert_eq!(samples[0].name, "row");
    let expected = [(Metric::StepSeconds, 2.5), (Metric::TokensPerSecond, 100.0), (Metric::PeakMemory, 7000.0)];
    assert_eq!(samples[0].values, expected);
}

#[test]
fn what_is_missing_is_named() {
    let step = contender(Side::Ours, Reading::Step);
    let error = step.read(&finished("{\"step_s\": {}}"), 0).expect_err("there is no median");
    assert!(error.to_string().contains("`median`"), "{error}");
    let error = step.read(&finished("Traceback"), 0).expect_err("there is no object");
    assert!(error.to_string().contains("no JSON"), "{error}");
}

#[test]
fn engines_of_a_peer_name_themselves_and_ours_have_the_name_of_the_row() {
    let line = |peer: &str| {
        format!("{{\"peer\": \"{peer}\", \"texts_per_s\": 5, \"tokens_per_s\": 50, \"single_text_median_s\": 0.01}}\n")
    };
    let output = finished(&(line("torch f32") + &line("onnxruntime int8")));
    let names = |side| {
        let samples = contender(side, Reading::Engines).read(&output, 0).expect("it is complete");
        samples.into_iter().map(|sample| sample.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Side::Peer), ["torch f32", "onnxruntime int8"]);
    assert_eq!(names(Side::Ours), ["row", "row"]);
}

#[test]
fn a_product_has_its_rate() {
    let output = finished("{\"shape\": \"2x3x4\", \"gflops\": 9}\n");
    let samples = contender(Side::Ours, Reading::Product).read(&output, 0).expect("it is complete");
    assert_eq!(samples, [Sample { name: "row".to_owned(), values: vec![(Metric::Gigaflops, 9.0)] }]);
}

#[test]
fn the_trainer_counts_real_tokens_and_the_whole_process() {
    let output = "{\"tokens_real\": 600, \"tokens_padded\": 900, \"train_s\": 3, \"peak_rss_bytes\": 1e9, \
                  \"accuracy\": 0.9, \"f1_macro\": 0.8, \"whole_s\": 11}";
    let samples = contender(Side::Peer, Reading::Trainer).read(&finished(output), 0).expect("it is complete");
    assert_eq!(samples[0].values[..2], [(Metric::WholeSeconds, 12.5), (Metric::TokensPerSecond, 200.0)]);
}

#[test]
fn our_run_is_read_from_its_events_and_its_evaluations_are_no_training() {
    let events = "{\"event\": \"step\", \"num_tokens\": 100}\n{\"event\": \"evaluated\", \"seconds\": 2}\n\
                  {\"event\": \"step\", \"num_tokens\": 240}\n{\"event\": \"finished\", \"train_runtime\": 8, \
                  \"metrics\": {\"accuracy\": 0.75, \"f1_macro\": 0.5}}\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = folder.path().join("run-4");
    std::fs::create_dir(&run).expect("a folder for the run");
    std::fs::write(run.join("events.jsonl"), events).expect("events");
    let reading = Reading::Run(folder.path().join("run-{round}"));
    let contender = contender(Side::Ours, reading);
    assert_eq!(contender.leftover(4), Some(run));
    let samples = contender.read(&finished(""), 4).expect("it is complete");
    let value = |metric| samples[0].values.iter().find(|(of, _)| *of == metric).map(|&(_, value)| value);
    assert_eq!(value(Metric::TokensPerSecond), Some(40.0));
    assert_eq!(value(Metric::WholeSeconds), Some(12.5));
    assert_eq!(value(Metric::PeakMemory), Some(3e9));
    assert_eq!((value(Metric::Accuracy), value(Metric::MacroF1)), (Some(0.75), Some(0.5)));
}

#[test]
fn the_round_is_the_seed() {
    let trainer = contender(Side::Peer, Reading::Trainer).words("train.py --seed {round}").path(Path::new("a b"));
    assert_eq!(trainer.arguments_in(2), ["train.py", "--seed", "2", "a b"]);
}
