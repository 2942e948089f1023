//! A ladder of made-up answers: its numbers, its sentence and its three forms.

use finetone_evaluate::{Answers, Attempt, Ladder, Predictions, Report, Truth};

/// Answers of two classes, right on the first `right` of 40 texts; the truth alternates.
fn answers(right: usize, detail: &str) -> Answers {
    let labels = vec!["bad".to_owned(), "good".to_owned()];
    let truth: Vec<usize> = (0..40).map(|row| row % 2).collect();
    let said = truth.iter().enumerate().map(|(row, class)| if row < right { *class } else { 1 - class });
    let probabilities = said.flat_map(|class| if class == 0 { [0.75, 0.25] } else { [0.25, 0.75] }).collect();
    let predictions = Predictions::new(labels, Truth::Single(truth), probabilities).expect("valid");
    Answers { predictions, detail: detail.into(), seconds: 12.34 }
}

fn attempt(key: &'static str, answers: Result<Answers, String>) -> Attempt {
    Attempt { key, title: format!("the way of <{key}>"), answers }
}

fn ladder(own: usize) -> Ladder {
    let attempts = vec![
        attempt("majority", Ok(answers(20, "answers bad"))),
        attempt("lexicon", Err("the labels are <others>".into())),
        attempt("tf_idf", Ok(answers(24, "12 words"))),
        attempt("embeddings", Ok(answers(24, "8 numbers"))),
        attempt("fine_tuned", Ok(answers(own, "a model"))),
    ];
    Ladder::new("test", attempts, "fine_tuned").expect("a ladder")
}

#[test]
fn the_model_is_held_against_the_best_of_the_simpler_ways() {
    let better = ladder(38);
    let comparison = better.comparison.as_ref().expect("two ways");
    // Of equally good ways the simpler one.
    assert_eq!(comparison.first, "the way of <tf_idf>");
    assert_eq!(comparison.comparison.only_second.len(), 14);
    let said = better.verdict().remove(0);
    assert!(
        said.starts_with("The way of <fine_tuned> is 35.0 points better than the way of <tf_idf> on 40 rows"),
        "{said}"
    );
    assert!(said.contains("more than chance"));
    let worse = ladder(22).verdict().remove(0);
    assert!(
        worse.starts_with("The way of <tf_idf> is 5.0 points better") && worse.contains("could be chance"),
        "{worse}"
    );
}

#[test]
fn a_model_alone_is_held_against_nothing() {
    let attempts = vec![attempt("lexicon", Err("no".into())), attempt("from_scratch", Ok(answers(30, "")))];
    let alone = Ladder::new("validation", attempts, "from_scratch").expect("a ladder");
    assert_eq!(alone.comparison, None);
    assert_eq!(alone.verdict(), ["There is nothing simpler to hold the model against."]);
}

#[test]
fn json_has_each_rung_by_its_key() {
    let json = serde_json::to_value(ladder(38)).expect("serialises");
    assert_eq!(json["tf_idf"]["accuracy"], 0.6);
    for key in ["accuracy", "f1_macro", "f1_weighted"] {
        let (value, ends) = (&json["fine_tuned"][key], &json["fine_tuned"]["intervals"][key]);
        assert!(value.is_number() && ends[0].is_number() && ends[1].is_number(), "{key}: {json}");
    }
    assert!(json["majority"]["f1"]["good"].is_number() && json["majority"]["intervals"]["f1"]["good"][1].is_number());
    assert_eq!(json["lexicon"]["not_applicable"], "the labels are <others>");
    assert!(json["comparison"]["p_value"].as_f64().expect("a number") < 0.01);
    assert_eq!((&json["measured_on"], &json["tf_idf"]["seconds"]), (&"test".into(), &12.34.into()));
}

#[test]
fn pages_show_every_rung_and_no_markup_of_others() {
    let report = Report { ladder: Some(ladder(38)), ..Report::default() };
    let page = report.to_html().expect("renders");
    // Accuracy and macro F1 of four ways.
    assert_eq!(page.matches("class=\"range\"").count(), 8);
    assert!(page.contains("not applicable") && page.contains("12 words"));
    assert!(!page.contains("<tf_idf>") && !page.contains("<others>"));
    let markdown = report.to_markdown();
    assert!(markdown.contains("| 12 words | 0.600 | 0.446 to 0.737 | 0.600 |"), "{markdown}");
    assert!(markdown.contains("| the labels are &lt;others&gt; | – | – |"), "{markdown}");
    assert!(Report::default().to_json().is_ok_and(|json| !json.contains("ladder")));
}
