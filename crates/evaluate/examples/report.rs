//! Writes the report of an invented model to standard output, to look at while working on the page:
//!
//! ```text
//! cargo run -p finetone-evaluate --example report > report.html
//! cargo run -p finetone-evaluate --example report binary > report.html
//! ```

use finetone_evaluate::{
    Curve, Evaluation, EvaluationOptions, History, NamedEvaluation, Predictions, Report, Section, Truth, WorstError,
};

const TEXTS: [&str; 4] = [
    "The parcel came a day late, but the lamp itself is lovely and I would order it again.",
    "Great. Another update, another three buttons that do nothing.",
    "Agent: Good morning, how can I help?\nCustomer: My invoice shows two subscriptions.\nAgent: I see it.\nCustomer: \
     I have called four times this month about exactly this, and every time somebody promises that it is settled. I am \
     not angry with you, but I want it in writing this time, and I want the money back that was taken in March and April.",
    "It is a kettle. It boils water.",
];

fn predictions(labels: &[&str], rows: usize) -> Predictions {
    let (classes, mut state) = (labels.len(), 11_u64);
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24)
    };
    let (mut truth, mut probabilities) = (Vec::new(), Vec::new());
    for _ in 0..rows {
        let class = ((uniform().powf(1.4)) * classes as f64) as usize;
        let noisy = |c: usize, noise: f64| (4.0 * noise + if c == class { 2.2 } else { 0.0 }).exp();
        let weights: Vec<f64> = (0..classes).map(|c| noisy(c, uniform())).collect();
        let sum: f64 = weights.iter().sum();
        probabilities.extend(weights.iter().map(|weight| (weight / sum) as f32));
        truth.push(class);
    }
    let labels = labels.iter().map(|label| label.to_string()).collect();
    Predictions::new(labels, Truth::Single(truth), probabilities).expect("valid by construction")
}

/// Everything that a run logs; with `overfits`, the validation loss turns half way.
fn history(labels: &[&str], overfits: bool) -> History {
    let wobble = |step: u64| f64::from((step * 7_919 % 101) as u32) / 800.0;
    let steps = |f: &dyn Fn(f64, u64) -> f64| (1..=240).map(|s| (s, f(s as f64, s))).collect::<Vec<_>>();
    let evaluations = |f: &dyn Fn(f64) -> f64| (1..=12).map(|e| (e * 20, f((e * 20) as f64))).collect::<Vec<_>>();
    let rise = if overfits { 0.003 } else { 0.0 };
    let mut curves = vec![
        Curve::new("loss", steps(&|s, i| 0.05 + (-s / 60.0).exp() * 0.95 + wobble(i))),
        Curve::new("mean_token_accuracy", steps(&|s, i| 0.92 - 0.5 * (-s / 50.0).exp() - wobble(i) / 4.0)),
        Curve::new("entropy", steps(&|s, i| 0.1 + (-s / 70.0).exp() * 0.8 + wobble(i) / 2.0)),
        Curve::new("grad_norm", steps(&|s, i| 2.0 + 3.0 * (-s / 40.0).exp() + 9.0 * wobble(i))),
        Curve::new("learning_rate", steps(&|s, _| 5e-5 * (s / 15.0).min(1.0) * (1.0 - s / 250.0))),
        Curve::new("epoch", steps(&|s, _| s / 80.0)),
        Curve::new("num_tokens", steps(&|s, i| s * 1_200.0 + 900.0 * wobble(i))),
        Curve::new("eval_loss", evaluations(&|s| 0.4 + 0.5 * (-s / 40.0).exp() + rise * (s - 120.0).max(0.0))),
        Curve::new("eval_mean_token_accuracy", evaluations(&|s| 0.87 - 0.4 * (-s / 50.0).exp())),
        Curve::new("eval_f1_macro", evaluations(&|s| 0.84 - 0.5 * (-s / 45.0).exp())),
        Curve::new("eval_f1_weighted", evaluations(&|s| 0.86 - 0.5 * (-s / 45.0).exp())),
        Curve::new("eval_ece", evaluations(&|s| 0.04 + 0.1 * (-s / 60.0).exp())),
        Curve::new("eval_runtime", evaluations(&|s| 0.81 + 0.05 * (s / 9.0).sin())),
        Curve::new("eval_samples_per_second", evaluations(&|s| 98.0 - 5.0 * (s / 9.0).sin())),
        Curve::new("eval_steps_per_second", evaluations(&|s| 9.8 - 0.5 * (s / 9.0).sin())),
    ];
    for (class, label) in labels.iter().enumerate() {
        let f1 = |s: f64| (0.9 - 0.25 * class as f64) * (1.0 - (-s / 45.0).exp());
        curves.push(Curve::new(format!("eval_f1_{label}"), evaluations(&f1)));
    }
    let numbers = [("train_runtime", 61.4), ("train_samples_per_second", 117.3), ("train_steps_per_second", 3.91)];
    let numbers = numbers.into_iter().chain([("train_loss", 0.3141), ("total_flos", 2.4e14)]);
    let summary = numbers.map(|(key, value)| Curve::new(key, vec![(240, value)])).collect();
    History::new(curves, summary, Some(200), 0.081)
}

fn main() -> Result<(), finetone_evaluate::EvaluateError> {
    let binary = std::env::args().nth(1).is_some_and(|argument| argument == "binary");
    let labels: &[&str] = if binary { &["negative", "positive"] } else { &["negative", "neutral", "positive"] };
    let named = |name, rows| {
        let predictions = predictions(labels, rows);
        let evaluation = Evaluation::new(&predictions, &EvaluationOptions::default())?;
        NamedEvaluation::new(name, &predictions, evaluation)
    };
    let test = predictions(labels, 640);
    let report = Report {
        title: "reviews: a small model from scratch".into(),
        evaluations: vec![named("validation", 80)?, named("test", 640)?],
        notices: vec!["4 % of the texts were longer than 256 tokens and lost their middle".into()],
        worst_errors: WorstError::rank(&test, 6, |row| (row as u64 + 2, TEXTS[row / 3 % 4].into())),
        history: Some(history(labels, !binary)),
        data: vec![Section::new("Data").fact("training texts", 2_400).fact("duplicates removed", 3)],
        run: vec![Section::new("Run").fact("model", "bert, 4 layers of 128").fact("seed", 1)],
        ..Report::default()
    };
    println!("{}", report.to_html()?);
    Ok(())
}
