//! Writes the report of an invented model to standard output, to look at while working on the page:
//!
//! ```text
//! cargo run -p finetone-evaluate --example report > report.html
//! cargo run -p finetone-evaluate --example report binary > report.html
//! ```

use finetone_evaluate::{
    Curve, Evaluation, EvaluationOptions, NamedEvaluation, Predictions, Report, Section, Truth, WorstError,
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

fn curves() -> Vec<Curve> {
    let steps = 1..=240_u64;
    let wobble = |step: u64| f64::from((step * 7_919 % 101) as u32) / 800.0;
    let curve = |name: &str, unit: &str, points| Curve { name: name.into(), unit: unit.into(), points };
    let loss = steps.clone().map(|s| (s, 0.25 + (-(s as f64) / 60.0).exp() * 0.85 + wobble(s)));
    let f1 = steps.clone().step_by(24).map(|s| (s, 0.84 - 0.5 * (-(s as f64) / 45.0).exp()));
    let rate = steps.map(|s| (s, 5e-5 * (s as f64 / 15.0).min(1.0) * (1.0 - s as f64 / 250.0)));
    vec![
        curve("training loss", "nats per text", loss.collect()),
        curve("validation f1_macro", "", f1.collect()),
        curve("learning rate", "per step", rate.collect()),
    ]
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
        curves: curves(),
        data: vec![Section::new("Data").fact("training texts", 2_400).fact("duplicates removed", 3)],
        run: vec![Section::new("Run").fact("model", "bert, 4 layers of 128").fact("seed", 1)],
        ..Report::default()
    };
    println!("{}", report.to_html()?);
    Ok(())
}
