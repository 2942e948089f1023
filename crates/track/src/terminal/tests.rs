//! Events in, lines out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use indicatif::{InMemoryTerm, TermLike};

use super::*;

/// A stream whose content can be looked at.
#[derive(Clone, Default)]
struct Sheet(Arc<Mutex<Vec<u8>>>);

impl Write for Sheet {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn events() -> Vec<TrainEvent> {
    let started = TrainEvent::Started {
        run: "runs/reviews-1".into(),
        model: "small".into(),
        backend: "cpu f32 avx2, 2 threads".into(),
        parameters: 1_250_000,
        trainable: 250_000,
        labels: vec!["bad".into(), "good".into()],
        train_rows: 1_200,
        validation_rows: 80,
        test_rows: 0,
        steps: 2,
        epochs: 1.5,
        resumed_from: 0,
    };
    let evaluated = TrainEvent::Evaluated {
        step: 1,
        epoch: 0.75,
        metrics: BTreeMap::from([("eval_loss".to_owned(), 0.5), ("eval_accuracy".to_owned(), 0.8125)]),
        metric: "f1_macro".into(),
        value: 0.75,
        best: true,
    };
    let notice = TrainEvent::Notice { message: "3 texts are cut at 512 tokens".into() };
    let step = |step, loss| TrainEvent::Step {
        step,
        epoch: 0.75 * step as f64,
        loss,
        mean_token_accuracy: 0.5,
        entropy: 0.6,
        grad_norm: 1.0,
        learning_rate: 5e-5,
        num_tokens: 100,
        tokens_per_second: 1_234.4,
    };
    vec![started, notice, step(1, 1.0), evaluated, TrainEvent::Checkpoint { step: 1 }, step(2, 0.5)]
}

fn lines(every: Duration) -> String {
    let sheet = Sheet::default();
    let mut terminal = Terminal::lines(Box::new(sheet.clone()), every);
    events().iter().for_each(|event| terminal.on(event));
    String::from_utf8(sheet.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn plain_lines_tell_the_start_the_steps_and_the_evaluations() {
    let expected = "\
model:  small, 1.2 M parameters, 250.0 K of them trained
device: cpu f32 avx2, 2 threads
texts:  1,200 to train on, 80 validation, 0 test
steps:  2 (1.50 epochs)
run:    runs/reviews-1
note: 3 texts are cut at 512 tokens
step 1/2  epoch 0.75  loss 1.0000  rate 5.0e-5  1,234 tokens/s  0 s left
step 1/2  evaluation: f1_macro 0.7500 (best so far), accuracy 0.8125, loss 0.5000
step 2/2  epoch 1.50  loss 0.7436  rate 5.0e-5  1,234 tokens/s  0 s left
";
    assert_eq!(lines(Duration::ZERO), expected);
}

#[test]
fn steps_are_told_at_most_so_often() {
    let told = lines(Duration::from_secs(3600));
    // The first and the last are told whatever the time.
    assert_eq!(told.lines().filter(|line| line.contains("loss 1.0000") || line.contains("loss 0.7436")).count(), 2);
}

#[test]
fn a_bar_shows_the_last_step_below_the_lines() {
    let screen = InMemoryTerm::new(20, 120);
    let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
    let mut terminal = Terminal::bar(target, false);
    events().iter().for_each(|event| terminal.on(event));
    if let View::Bar(bar) = &terminal.view {
        bar.tick();
    }
    let shown = screen.contents();
    assert!(shown.contains("evaluation: f1_macro 0.7500 (best so far)"), "{shown}");
    let last = shown.lines().last().unwrap();
    assert!(last.starts_with("━━━━━━━━━━━━━━━━━━━━━━━━ 2/2  epoch 1.50  loss 0.7436"), "{shown}");
    assert!(last.ends_with("f1_macro 0.7500"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours were asked for");
    terminal.on(&TrainEvent::Interrupted { step: 2 });
    assert!(!screen.contents().contains("━━━"), "the bar stays when the run ends");
    assert_eq!(screen.width(), 120);
}

#[test]
fn quiet_says_nothing() {
    let mut terminal = Terminal::stderr(true);
    events().iter().for_each(|event| terminal.on(event));
    assert!(matches!(terminal.view, View::Quiet));
}

#[test]
fn a_trial_is_one_line_and_the_first_says_what_all_have_in_common() {
    let sheet = Sheet::default();
    let mut terminal = Terminal::lines(Box::new(sheet.clone()), Duration::from_secs(3600));
    for number in 1..=2 {
        let name = format!("fold {number} of 2");
        terminal.on(&TrainEvent::TrialStarted { name: name.clone() });
        events().iter().for_each(|event| terminal.on(event));
        let metrics = BTreeMap::from([("accuracy".to_owned(), 0.75), ("f1_macro".to_owned(), 0.5)]);
        let (measured_on, seconds) = ("test".to_owned(), 63.0);
        terminal.on(&TrainEvent::TrialFinished { name, metrics, measured_on, seconds, again: number == 2 });
    }
    let told = String::from_utf8(sheet.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<&str> = told.lines().skip_while(|line| !line.starts_with("note:")).collect();
    assert_eq!(lines.len(), 4, "{told}");
    assert!(lines[1].starts_with("step 1/2  fold 1 of 2  epoch 0.75"), "{told}");
    assert_eq!(lines[2], "fold 1 of 2: accuracy 0.7500, f1_macro 0.5000 on the test texts (1 min 03 s)");
    assert_eq!(lines[3], "fold 2 of 2: accuracy 0.7500, f1_macro 0.5000 on the test texts (done before)");
}
