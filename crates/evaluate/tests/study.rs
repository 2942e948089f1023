//! The report of a small fixed study.

use finetone_evaluate::{
    Answers, Attempt, Average, Candidate, ClassMetric, Comparison, CrossValidation, Curve, Evaluation,
    EvaluationOptions, HardTexts, Ladder, Metric, NamedComparison, NamedEvaluation, Panel, Predictions, Published,
    Repeats, Rung, Section, Standing, Study, Training, Truth, Variant, choose,
};
use serde_json::Value;

const LABELS: [&str; 2] = ["<b>bad</b>", "good"];

fn options() -> EvaluationOptions {
    EvaluationOptions { resamples: 200, ..EvaluationOptions::default() }
}

/// Twelve texts, of which the first `right` are judged rightly.
fn predictions(right: usize) -> Predictions {
    let truth: Vec<usize> = (0..12).map(|row| row % 2).collect();
    let said = truth.iter().enumerate().map(|(row, class)| if row < right { *class } else { 1 - class });
    let probabilities = said.flat_map(|class| if class == 0 { [0.75, 0.25] } else { [0.25, 0.75] }).collect();
    Predictions::new(LABELS.map(str::to_owned).to_vec(), Truth::Single(truth), probabilities).expect("valid")
}

fn training(name: &str) -> Training {
    let points = vec![(1, 0.75), (2, 0.5)];
    let curve = |key: &str| Curve::new(key, points.clone());
    Training {
        name: name.into(),
        steps: 2,
        best_step: 2,
        validation: Some(0.5),
        tokens: 1_000,
        seconds: 2.0,
        tokens_per_second: 500.0,
        curves: vec![curve("loss"), curve("eval_loss"), curve("eval_mean_token_accuracy")],
    }
}

fn variant(name: &str, rights: &[usize]) -> Variant {
    let said: Vec<Predictions> = rights.iter().map(|&right| predictions(right)).collect();
    let runs: Vec<(String, &Predictions)> =
        said.iter().enumerate().map(|(seed, one)| (format!("seed {seed}"), one)).collect();
    let evaluation = Evaluation::new(&said[0], &options()).expect("evaluates");
    Variant {
        name: name.into(),
        model: "<script>".into(),
        parameters: 22_700_000,
        repeats: Repeats::of_seeds(&runs).expect("runs"),
        kept: 0,
        evaluation: NamedEvaluation::new("test", &said[0], evaluation).expect("has a baseline"),
        training: runs.iter().map(|(name, _)| training(name)).collect(),
    }
}

/// A candidate whose rows are judged as in the first fold.
fn candidate(name: &str, folds: [Predictions; 2]) -> Candidate {
    let runs: Vec<(String, &Predictions)> =
        folds.iter().enumerate().map(|(fold, one)| (format!("fold {fold}"), one)).collect();
    let cross_validation = CrossValidation {
        folds: 2,
        divisions: 1,
        repeats: Repeats::of_folds(&runs, 1.0).expect("runs"),
        pooled: folds[0].clone(),
        evaluation: Evaluation::new(&folds[0], &options()).expect("evaluates"),
    };
    Candidate { name: name.into(), detail: format!("name = {name}"), cross_validation }
}

/// The chosen candidate beside a baseline that is right on four of the twelve rows.
fn out_of_fold() -> Ladder {
    let attempt = |key, right| Attempt {
        key,
        title: key.replace('_', "-"),
        answers: Ok(Answers { predictions: predictions(right), detail: "<i>".into(), seconds: 0.5 }),
    };
    Ladder::new("out-of-fold", vec![attempt("tf_idf", 4), attempt("fine_tuned", 9)], "fine_tuned").expect("comparable")
}

/// Two seeds, of which one is wrong on the last two texts, beside a baseline that is wrong on the last seven.
fn hard_texts() -> HardTexts {
    let (seeds, baseline) = ([predictions(12), predictions(10)], predictions(5));
    let panel = Panel { name: "fine-tuned".into(), said: seeds.iter().collect() };
    let others = [Panel { name: "<b>words".into(), said: vec![&baseline] }];
    HardTexts::find("test", (&panel, &others), 1, |row| (row as u64 + 2, format!("<b>text {row}")))
}

fn study() -> Study {
    let candidates = vec![
        candidate("two epochs", [predictions(8), predictions(9)]),
        candidate("<i>six", [predictions(9), predictions(10)]),
        candidate("six again", [predictions(9), predictions(12)]),
    ];
    let whole = candidates[1].cross_validation.evaluation.clone();
    let comparison = Comparison::new(&predictions(5), &predictions(12), &options()).expect("comparable");
    let rung = |key: &'static str, evaluation: Option<Evaluation>| Rung {
        key,
        title: format!("the {key}"),
        result: evaluation
            .map(|evaluation| Standing { evaluation, detail: "<i>".into(), seconds: 0.5 })
            .ok_or_else(|| "<i>".into()),
    };
    let named = |first: &str, second: &str| (first.to_owned(), second.to_owned());
    let (first, second) = named("from scratch", "fine-tuned");
    Study {
        title: "a study".into(),
        finetuned: variant("fine-tuned", &[12, 10, 11]),
        scratch: variant("from scratch", &[5]),
        ladder: vec![rung("majority", Some(whole)), rung("lexicon", None)],
        chosen: choose(&candidates),
        candidates,
        out_of_fold: out_of_fold(),
        hard_texts: vec![hard_texts()],
        comparisons: vec![NamedComparison { first, second, comparison, disagreements: Vec::new() }],
        published: vec![Published {
            name: "GPT-2".into(),
            values: vec![
                (Metric::F1(Average::Weighted), 0.898),
                (Metric::Class(ClassMetric::F1, "elsewhere".into()), 0.5),
            ],
        }],
        notices: vec!["2 texts stand in both files".into()],
        facts: vec![Section::new("Data").fact("test texts", 12)],
    }
}

#[test]
fn the_verdict_says_how_sure_each_number_is() {
    let verdict = study().verdict();
    // Of 12, 10 and 11 right of 12 the mean is 0.917; Student's interval with two degrees of freedom ends at one.
    let expected = "Fine-tuned is right on 92 of 100 texts (71 to 100), from scratch on 42 of 100 texts, the best baseline \
                    (the majority) on 75.";
    assert_eq!(verdict.headline, expected);
    assert!(verdict.remarks[0].starts_with("Means of 3 seeds"), "{:?}", verdict.remarks);
    assert!(verdict.remarks[1].starts_with("One text is 8.3 points"), "{:?}", verdict.remarks);
    let [.., compared, in_folds] = verdict.remarks.as_slice() else { panic!("{:?}", verdict.remarks) };
    assert!(compared.starts_with("Fine-tuned is 58.3 points better") && compared.ends_with("p = 0.016."), "{compared}");
    // Five rows of twelve, all of them for the one: 2 · ½⁵.
    let expected = "fine-tuned is 41.7 points better than tf-idf on 12 rows: could be chance, p = 0.062.";
    assert!(in_folds.starts_with("On the training file") && in_folds.ends_with(expected), "{in_folds}");
}

#[test]
fn scripts_find_every_part_by_its_name() {
    let json: Value = serde_json::from_str(&study().to_json().unwrap()).unwrap();
    assert_eq!(json["finetuned"]["accuracy"]["values"].as_array().unwrap().len(), 3);
    assert!(
        json["finetuned"]["f1"]["good"]["mean"].is_number()
            && json["finetuned"]["f1_weighted"]["deviation"].is_number()
    );
    assert!(json["scratch"]["accuracy"]["deviation"].is_null(), "one seed has none");
    assert_eq!(json["ladder"]["majority"]["accuracy"], 0.75);
    assert_eq!(json["ladder"]["lexicon"]["not_applicable"], "<i>");
    assert!(json["cross_validation"]["f1_macro"]["mean"].is_number());
    let chosen: Vec<bool> =
        json["candidates"].as_array().unwrap().iter().map(|one| one["chosen"] == Value::Bool(true)).collect();
    assert_eq!(chosen, [false, true, false], "the best over all rows, and of equals the first");
    assert_eq!(json["candidates"][1]["f1_macro"], json["cross_validation"]["pooled"]["f1_macro"]);
    assert_eq!(json["published"]["GPT-2"]["f1_weighted"], 0.898);
    assert!(json["comparisons"][0]["p_value"].as_f64().unwrap() < 0.05);
    assert_eq!(json["out_of_fold"]["tf_idf"]["accuracy"], 4.0 / 12.0);
    assert_eq!(json["out_of_fold"]["comparison"]["second"], "fine-tuned");
    let hard = &json["hard_texts"][0];
    assert_eq!((&hard["hard"], &hard["all_wrong"], &hard["texts"][0]["line"]), (&2.into(), &0.into(), &12.into()));
    assert_eq!((&hard["others"][0]["right_on_hard"], &hard["others"][0]["wrong_elsewhere"]), (&0.into(), &5.into()));
}

#[test]
fn the_page_loads_nothing_and_escapes_everything() {
    let page = study().to_html().unwrap();
    for part in [
        "2 texts stand in both files",
        "published: GPT-2",
        "0.898",
        "22.7 M parameters",
        "Cross-validation, 2 folds",
        "two epochs",
        "(chosen)",
        "out-of-fold texts",
        "Of 24 answers (2 models, 12 texts) 2 are wrong, on 2 texts",
        "1 of the 2 texts",
        "Line 12: labelled",
    ] {
        assert!(page.contains(part), "`{part}` is missing");
    }
    assert_eq!(page.matches("<svg").count(), 6 + 2 * 4, "curves of both variants, and the figures of both evaluations");
    for evil in ["<script", "<b>bad", "<i>", "http"] {
        assert!(!page.contains(evil), "`{evil}` is in the page");
    }
}
