//! What the curves of made-up runs say: overfit, diverging, one class, healthy, and runs near the border between them.

use finetone_evaluate::{Curve, Finding, History};

const STEPS: u64 = 200;

/// A made-up run: losses of steps and of evaluations, as functions of the share of the run that is over.
struct Run {
    loss: fn(f64) -> f64,
    noise: f64,
    norm: fn(u64) -> f64,
    eval_loss: fn(f64) -> f64,
    f1: [f64; 3],
    truncated: f64,
}

const HEALTHY: Run = Run {
    loss: |t| 0.2 + 0.9 * (-4.0 * t).exp(),
    noise: 0.2,
    norm: |_| 2.0,
    eval_loss: |t| 0.35 + 0.6 * (-4.0 * t).exp(),
    f1: [0.9, 0.8, 0.7],
    truncated: 0.0,
};

/// Noise without a generator: the same every time, of mean 0, between -1 and 1.
fn noise(step: u64) -> f64 {
    2.0 * (step as f64 * 0.618_033_988_75).fract() - 1.0
}

impl Run {
    fn history(&self, steps: u64) -> History {
        let share = |step: u64| step as f64 / steps as f64;
        let of_steps = |f: &dyn Fn(u64) -> f64| (1..=steps).map(|step| (step, f(step))).collect::<Vec<_>>();
        let every = (steps / 10).max(1) as usize;
        let evaluations = |f: &dyn Fn(f64) -> f64| {
            (1..=steps)
                .filter(|step| (*step as usize).is_multiple_of(every))
                .map(|step| (step, f(share(step))))
                .collect::<Vec<_>>()
        };
        let mut curves = vec![
            Curve::new("loss", of_steps(&|step| (self.loss)(share(step)) + self.noise * noise(step))),
            Curve::new("grad_norm", of_steps(&|step| (self.norm)(step))),
            Curve::new("eval_loss", evaluations(&self.eval_loss)),
            Curve::new("eval_f1_macro", evaluations(&|_| 0.0)),
        ];
        for (label, f1) in ["negative", "neutral", "positive"].iter().zip(self.f1) {
            curves.push(Curve::new(format!("eval_f1_{label}"), evaluations(&|_| f1)));
        }
        History::new(curves, Vec::new(), Some(steps), self.truncated)
    }

    fn titles(&self) -> Vec<&'static str> {
        self.history(STEPS).findings.iter().map(Finding::title).collect()
    }
}

#[test]
fn a_healthy_run_is_called_healthy() {
    let history = HEALTHY.history(STEPS);
    let [finding @ Finding::Healthy { first, last, lowest: Some((200, _)) }] = history.findings.as_slice() else {
        panic!("{:?}", history.findings)
    };
    assert!((0.9..1.0).contains(first) && (0.2..0.25).contains(last), "{finding:?}");
    assert!(!finding.is_warning() && history.overfits_from().is_none());
}

#[test]
fn an_overfit_run_names_the_step_from_which_it_was() {
    let run = Run { eval_loss: |t| 0.4 + (t - 0.4).powi(2), ..HEALTHY };
    let history = run.history(STEPS);
    assert_eq!(history.overfits_from(), Some(80));
    let [Finding::Overfits { from: 80, lowest, last }] = history.findings.as_slice() else {
        panic!("{:?}", history.findings)
    };
    assert!((lowest - 0.4).abs() < 1e-9 && (last - 0.76).abs() < 1e-9);
    let sentence = history.findings[0].sentence();
    assert!(sentence.starts_with("After step 80 the validation loss rose from 0.400 to 0.760"), "{sentence}");
}

#[test]
fn a_diverging_run_has_too_high_a_rate() {
    // The loss falls for a quarter of the run and then goes above where it began, on both sets.
    let loss = |t: f64| if t < 0.25 { 1.1 - 2.0 * t } else { 0.6 + 1.2 * (t - 0.25) };
    let run = Run { loss, eval_loss: loss, ..HEALTHY };
    let history = run.history(STEPS);
    let [Finding::Diverged { from, lowest, last }] = history.findings.as_slice() else {
        panic!("{:?}", history.findings)
    };
    assert!((40..=80).contains(from) && *lowest < 0.75 && *last > 1.3, "{:?}", history.findings);
    // The loss may stay below where it began, and still have given back half of what was learnt.
    let half = Run { loss: |t| 0.3 + (0.8 - 1.6 * t).abs(), noise: 0.1, ..HEALTHY };
    assert_eq!(half.titles(), ["Rate too high"]);
}

#[test]
fn a_run_that_finds_one_class_only_says_which() {
    let history = Run { f1: [0.0, 0.72, 0.0], ..HEALTHY }.history(STEPS);
    let expected =
        Finding::NeverRecognised { labels: vec!["negative".into(), "positive".into()], only: Some("neutral".into()) };
    assert_eq!(history.findings, [expected]);
    assert_eq!(history.findings[0].title(), "One class only");
    let one_missed = Run { f1: [0.9, 0.72, 0.0], ..HEALTHY }.history(STEPS);
    let sentence = one_missed.findings[0].sentence();
    assert!(sentence.starts_with("Not one validation text of “positive” was recognised"), "{sentence}");
    assert_eq!(Run { f1: [0.9, 0.72, 0.01], ..HEALTHY }.titles(), ["Healthy"]);
}

#[test]
fn only_the_weights_that_were_kept_are_blamed() {
    let curves = |f1: [f64; 2]| {
        let losses = (1..=40).map(|step| (step, 1.0 / step as f64)).collect();
        vec![Curve::new("loss", losses), Curve::new("eval_f1_bad", vec![(20, f1[0]), (40, f1[1])])]
    };
    let titles = |f1, best| {
        let history = History::new(curves(f1), Vec::new(), best, 0.0);
        history.findings.iter().map(Finding::title).collect::<Vec<_>>()
    };
    assert_eq!(titles([0.5, 0.0], Some(20)), ["Healthy"]);
    assert_eq!(titles([0.5, 0.0], Some(40)), ["Class never recognised"]);
    assert_eq!(titles([0.0, 0.5], None), ["Healthy"], "without a choice the last weights are kept");
}

#[test]
fn a_small_rise_of_the_validation_loss_is_no_overfitting() {
    // The lowest value is 0.4 at the eighth evaluation of ten.
    type Loss = fn(f64) -> f64;
    let rises: [(Loss, _); 3] = [
        (|t| 0.4 + (t - 0.8).max(0.0) * 0.19, "Healthy"),
        (|t| 0.4 + (t - 0.8).max(0.0) * 0.21, "Overfitting"),
        // A rise of a half, but of a loss that is almost nothing.
        (|t| 0.03 + (t - 0.8).max(0.0) * 0.075, "Healthy"),
    ];
    for (eval_loss, title) in rises {
        assert_eq!(Run { eval_loss, ..HEALTHY }.titles(), [title]);
    }
}

#[test]
fn a_wobble_at_the_end_is_no_divergence() {
    let wobble: fn(f64) -> f64 = |t| 0.2 + 0.9 * (-8.0 * t).exp() + if t > 0.9 { 0.08 } else { 0.0 };
    assert_eq!(Run { loss: wobble, noise: 0.05, ..HEALTHY }.titles(), ["Healthy"]);
    // As large a rise as would count, lost in noise.
    let rise: fn(f64) -> f64 = |t| if t > 0.9 { 0.55 } else { 0.3 + 0.8 * (-8.0 * t).exp() };
    assert_eq!(Run { loss: rise, noise: 0.02, ..HEALTHY }.titles(), ["Rate too high"]);
    assert_eq!(Run { loss: rise, noise: 1.0, ..HEALTHY }.titles(), ["Hardly learnt"], "neither way is clear");
}

#[test]
fn a_loss_that_stays_says_so_unless_there_was_nothing_to_learn() {
    let flat: fn(f64) -> f64 = |t| 0.7 - 0.01 * t;
    assert_eq!(Run { loss: flat, eval_loss: flat, noise: 0.05, ..HEALTHY }.titles(), ["Hardly learnt"]);
    let known: fn(f64) -> f64 = |_| 0.05;
    assert_eq!(Run { loss: known, eval_loss: known, noise: 0.01, ..HEALTHY }.titles(), ["Healthy"]);
}

#[test]
fn gradients_are_unstable_if_some_are_far_above_the_usual_and_the_first() {
    let titles = |norm| Run { norm, ..HEALTHY }.titles();
    assert_eq!(titles(|step| if step % 40 == 39 { 25.0 } else { 2.0 }), ["Unstable gradients"]);
    assert_eq!(titles(|step| if step % 40 == 39 { 19.0 } else { 2.0 }), ["Healthy"]);
    assert_eq!(titles(|step| if step == 99 || step == 150 { 500.0 } else { 2.0 }), ["Healthy"], "two odd texts");
    // At the end of a run the usual norm is small, and a hard text is far above it.
    assert_eq!(
        titles(|step| if step < 21 {
            2.0
        } else if step % 40 == 39 {
            5.0
        } else {
            0.05
        }),
        ["Healthy"]
    );
}

#[test]
fn short_runs_and_cut_texts_are_told() {
    let titles = |history: History| history.findings.iter().map(Finding::title).collect::<Vec<_>>();
    assert_eq!(titles(HEALTHY.history(19)), ["Too short to judge"]);
    assert_eq!(titles(HEALTHY.history(20)), ["Healthy"]);
    let cut = Run { truncated: 0.12, ..HEALTHY }.history(STEPS);
    assert!(cut.findings[1].sentence().starts_with("12 % of the texts"), "{:?}", cut.findings);
    assert_eq!(titles(Run { truncated: 0.049, ..HEALTHY }.history(STEPS)), ["Healthy"]);
    assert!(History::new(Vec::new(), Vec::new(), None, 1.0).findings.is_empty(), "nothing was trained");
}

#[test]
fn a_class_may_have_any_name() {
    let curve = |key: &str| Curve::new(key, Vec::new());
    assert_eq!(curve("eval_f1_very good").class(), Some("very good"));
    assert_eq!(curve("eval_f1_weighted").class(), None);
    assert_eq!(curve("eval_loss").unit, "nats");
    assert_eq!(curve("unheard_of").name, "unheard_of");
}

#[test]
fn numbers_that_are_none_are_passed_over() {
    let losses = (1..=40).map(|step| (step, if step % 7 == 0 { f64::NAN } else { 1.0 / step as f64 })).collect();
    let curves = vec![Curve::new("loss", losses), Curve::new("eval_loss", vec![(20, f64::NAN), (40, 0.3)])];
    let history = History::new(curves, Vec::new(), None, 0.0);
    assert_eq!(history.findings.iter().map(Finding::title).collect::<Vec<_>>(), ["Healthy"]);
}
