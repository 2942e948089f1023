//! The report of a small fixed case, in its three forms.

use finetone_evaluate::{
    Axis, Cell, Chart, Comparison, Curve, Disagreement, Evaluation, EvaluationOptions, History, NamedComparison,
    NamedEvaluation, Page, PageSection, PageTable, ParallelAxes, Predictions, Report, Section, Thread, Truth, Why,
    WhyPiece, WhyTurn, WorstError, verdict,
};
use serde_json::Value;

const TEXTS: [&str; 4] = ["It broke <b>twice</b> & nobody cared.", "Fine | I guess", "Lovely", "Meh"];

fn small(labels: [&str; 2]) -> Predictions {
    let truth = Truth::Single(vec![0, 0, 1, 1, 0, 1, 1, 0, 0, 0]);
    let second = [0.25, 0.75, 0.75, 0.875, 0.125, 0.5, 0.625, 0.0, 0.25, 0.125_f32];
    let probabilities = second.iter().flat_map(|p| [1.0 - p, *p]).collect();
    Predictions::new(labels.map(str::to_owned).to_vec(), truth, probabilities).expect("valid")
}

fn evaluated(name: &str, predictions: &Predictions) -> NamedEvaluation {
    let options = EvaluationOptions { resamples: 200, ..EvaluationOptions::default() };
    let evaluation = Evaluation::new(predictions, &options).expect("evaluates");
    NamedEvaluation::new(name, predictions, evaluation).expect("has a baseline")
}

fn report(labels: [&str; 2]) -> Report {
    let predictions = small(labels);
    let curve = |key: &str| Curve::new(key, vec![(10, 0.75), (20, 0.5), (30, f64::NAN)]);
    let curves = vec![curve("loss"), curve("learning_rate"), Curve::new("eval_loss", vec![(30, 0.625)])];
    let summary = vec![Curve::new("train_runtime", vec![(30, 12.5)])];
    Report {
        title: "reviews".into(),
        evaluations: vec![evaluated("test", &predictions)],
        notices: vec!["3 texts were cut".into()],
        worst_errors: WorstError::rank(&predictions, 5, |row| (row as u64 + 2, TEXTS[row % 4].into())),
        history: Some(History::new(curves, summary, Some(30), 0.0)),
        data: vec![Section::new("Data").fact("rows", 10)],
        run: vec![Section::new("Run").fact("seed", 7)],
        ..Report::default()
    }
}

/// Six significant decimals: the last bits of a logarithm are the machine's.
fn rounded(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().expect("a float");
            *value = Value::from((number * 1e6).round() / 1e6);
        }
        Value::Array(values) => values.iter_mut().for_each(rounded),
        Value::Object(values) => values.values_mut().for_each(rounded),
        _ => {}
    }
}

#[test]
fn markdown() {
    insta::assert_snapshot!(report(["negative", "positive"]).to_markdown());
}

#[test]
fn json() {
    let text = report(["negative", "positive"]).to_json().expect("serialises");
    let mut value: Value = serde_json::from_str(&text).expect("is JSON");
    rounded(&mut value);
    insta::assert_snapshot!(serde_json::to_string_pretty(&value).expect("serialises"));
}

#[test]
fn the_json_of_an_evaluation_is_what_scripts_rely_on() {
    let named = evaluated("test", &small(["negative", "positive"]));
    let json = serde_json::to_value(&named.evaluation).expect("serialises");
    for key in ["accuracy", "f1_macro", "f1_weighted", "log_loss", "roc_auc", "ece"] {
        let (value, ends) = (&json[key], &json["intervals"][key]);
        assert!(value.is_number() && ends[0].is_number() && ends[1].is_number(), "{key}: {json}");
    }
    assert_eq!(json["n"], 10);
    assert!(json["f1"]["negative"].is_number() && json["intervals"]["f1"]["positive"][1].is_number());
    assert_eq!(json["support"]["negative"], 6);
    assert_eq!(json["confusion"], serde_json::json!([[5, 1], [1, 3]]));
}

#[test]
fn the_page_has_its_parts_and_loads_nothing() {
    let page = report(["negative", "positive"]).to_html().expect("renders");
    for part in ["Right on 80 of 100 texts", "By class", "Confusion", "Worst errors", "Training", "Data"] {
        assert!(page.contains(part), "{part} is missing");
    }
    // Reliability, risk and coverage, ROC, precision-recall and two training curves; a single validation is a number.
    assert_eq!(page.matches("<svg").count(), 6);
    assert!(page.contains("validation loss at step 30</th><td>0.625 nats</td>") && page.contains("12.5 seconds"));
    assert_eq!(page.matches("<td class=\"right\"").count(), 2);
    for load in ["http:", "https:", "src=", "href=", "url(", "@import", "<link", "<script", "NaN"] {
        assert!(!page.contains(load), "the page has {load}");
    }
    assert_eq!(page.matches("<section>").count(), page.matches("</section>").count());
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("width=device-width"));
}

#[test]
fn nothing_from_a_user_becomes_markup() {
    let evil = "<script>alert(1)</script>\"'&";
    let mut report = report([evil, "positive"]);
    report.title = evil.into();
    report.notices = vec![evil.into()];
    report.evaluations[0].name = evil.into();
    report.worst_errors[0].text = evil.repeat(2_000);
    let pieces = vec![WhyPiece { text: evil.into(), adds: Some(1.0) }, WhyPiece { text: evil.into(), adds: None }];
    let turns = vec![WhyTurn { turn: 1, speaker: Some(evil.into()), adds: 1.0 }; 2];
    report.worst_errors[0].why = Some(Why { label: evil.into(), against: evil.into(), pieces, turns, gap: 0.5 });
    let points = vec![(1, 0.5), (2, 0.0)];
    let mut curves = vec![Curve::new("loss", points.clone()), Curve::new(format!("eval_f1_{evil}"), points.clone())];
    curves[0].unit = evil.into();
    curves.push(Curve::new(evil, points));
    report.history = Some(History::new(curves, vec![Curve::new(evil, vec![(2, 1.0)])], None, 0.5));
    report.data = vec![Section::new(evil).fact(evil, evil)];
    let page = report.to_html().expect("renders");
    assert!(!page.contains("<script") && !page.contains("\"'&\""), "markup came through");
    assert!(page.contains("<summary>whole text</summary>") && page.len() < 400_000);
    let markdown = report.to_markdown();
    assert!(!markdown.contains("<script") && markdown.contains("&lt;script&gt;"));
}

#[test]
fn worst_errors_are_the_costliest_first() {
    let errors = WorstError::rank(&small(["negative", "positive"]), 1, |row| (row as u64, String::new()));
    let said: Vec<_> = errors.iter().map(|e| (e.line, e.predicted.as_str(), e.confidence)).collect();
    assert_eq!(said, [(1, "positive", 0.75)]);
}

#[test]
fn several_labels_have_a_report_too() {
    let labels = ["billing", "delay", "praise"].map(str::to_owned).to_vec();
    let truth = Truth::Multi(vec![vec![0, 1], vec![], vec![2], vec![0]]);
    let probabilities = vec![0.9, 0.2, 0.1, 0.1, 0.3, 0.2, 0.2, 0.1, 0.8, 0.7, 0.4, 0.6];
    let predictions = Predictions::new(labels, truth, probabilities).expect("valid");
    let errors = WorstError::rank(&predictions, 9, |row| (row as u64, String::new()));
    assert_eq!(errors[0].truth, "billing, delay");
    assert!((errors[0].confidence - 0.8).abs() < 1e-6);
    let named = evaluated("validation", &predictions);
    let words = verdict(&named);
    assert!(words.headline.starts_with("All labels right on 50 of 100 texts (15 to 85); "), "{words:?}");
    let remarks = words.remarks.join(" ");
    assert!(remarks.contains("also chose the checkpoint") && remarks.contains("4 texts are few"));
    assert!(remarks.contains("not clearly better"));
    let report = Report { evaluations: vec![named], ..Report::default() };
    assert!(report.to_html().expect("renders").contains("invented"));
    assert!(report.to_markdown().contains("| billing | 2 | 0 | 0 | 2 |"));
}

#[test]
fn the_most_frequent_confusions_are_said() {
    let labels = ["bad", "fair", "good"].map(str::to_owned).to_vec();
    let (truth, said) = ([0, 0, 0, 1, 2, 1], [1, 1, 0, 2, 2, 1]);
    let certain = said.iter().flat_map(|&s| (0..3).map(move |c| f32::from(u8::from(c == s))));
    let truth = Truth::Single(truth.to_vec());
    let predictions = Predictions::new(labels, truth, certain.collect()).expect("valid");
    let report = Report { evaluations: vec![evaluated("test", &predictions)], ..Report::default() };
    let words = "Most frequent: “bad” was taken for “fair” 2 times; “fair” was taken for “good” once.";
    assert!(report.to_html().expect("renders").contains(words));
}

#[test]
fn no_mistake_is_not_called_certainty() {
    let labels = ["bad", "good"].map(str::to_owned).to_vec();
    let certain = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0];
    let predictions = Predictions::new(labels, Truth::Single(vec![0, 1, 0]), certain).expect("valid");
    let words = verdict(&evaluated("test", &predictions));
    assert!(words.headline.starts_with("Right on 100 of 100 texts (44 to 100); "), "{words:?}");
    let remarks = words.remarks.join(" ");
    assert!(remarks.contains("3 texts are few") && remarks.contains("trust that of the accuracy"));
}

#[test]
fn an_empty_report_is_still_a_page() {
    assert!(Report::default().to_html().expect("renders").ends_with("</html>\n"));
}

/// Two models whose names would be markup, the second of which is right where the first is not.
fn compared(first_right: &[bool], second_right: &[bool]) -> Report {
    let truth: Vec<usize> = (0..first_right.len()).map(|row| row % 2).collect();
    let predictions = [first_right, second_right].map(|right| {
        let said = right.iter().zip(&truth).map(|(right, truth)| if *right { *truth } else { 1 - truth });
        let probabilities = said.flat_map(|class| if class == 0 { [0.8, 0.2] } else { [0.2, 0.8] }).collect();
        let labels = ["bad", "<i>good"].map(str::to_owned).to_vec();
        Predictions::new(labels, Truth::Single(truth.clone()), probabilities).expect("valid")
    });
    let options = EvaluationOptions { resamples: 200, ..EvaluationOptions::default() };
    let comparison = Comparison::new(&predictions[0], &predictions[1], &options).expect("comparable");
    let source = |row: usize| (row as u64 + 2, TEXTS[row % 4].to_owned());
    let disagreements = Disagreement::list(&comparison, predictions.each_ref(), 3, source);
    let (first, second) = ("<b>one".to_owned(), "two".to_owned());
    Report {
        title: "comparison".into(),
        evaluations: vec![evaluated(&first, &predictions[0]), evaluated(&second, &predictions[1])],
        comparison: Some(NamedComparison { first, second, comparison, disagreements }),
        ..Report::default()
    }
}

#[test]
fn one_sentence_says_which_model_is_better_and_whether_that_is_chance() {
    let said = |first: &[bool], second: &[bool]| compared(first, second).verdict().expect("a verdict");
    let (mut first, second) = (vec![true; 30], vec![true; 30]);
    first[..3].fill(false);
    let chance = said(&first, &second);
    assert_eq!(chance.headline, "two is 10.0 points better than <b>one on 30 rows: could be chance, p = 0.25.");
    assert!(chance.remarks.join(" ").contains("on so few rows that no difference could be told"), "{chance:?}");
    first[..12].fill(false);
    let clear = said(&second, &first);
    assert_eq!(clear.headline, "<b>one is 40.0 points better than two on 30 rows: more than chance, p < 0.001.");
    let counts = "Only <b>one is right on 12, only two on 0; both on 18, neither on 0.";
    assert_eq!(clear.remarks, [counts, "As a successor: keep <b>one; two is not shown to be better."]);
    let successor = |verdict: finetone_evaluate::Verdict| verdict.remarks.last().cloned();
    assert_eq!(successor(said(&first, &second)).as_deref(), Some("As a successor: replace <b>one by two."));
    assert!(successor(chance).expect("a remark").contains("keep <b>one"), "a difference by chance replaces nothing");
    assert!(said(&second, &second).headline.starts_with("No difference: <b>one and two are right on the same"));
}

#[test]
fn macro_f1_speaks_up_where_the_accuracy_hides_a_rare_class() {
    // Of a hundred rows the last eight are of a rare class that only the second model finds, at eight other rows' cost.
    let truth: Vec<usize> = (0..100).map(|row| usize::from(row >= 92)).collect();
    let said = [vec![0; 100], (0..100).map(|row| usize::from(row >= 84)).collect::<Vec<usize>>()];
    let predictions = said.map(|said| {
        let certain = said.iter().flat_map(|class| if *class == 0 { [1.0, 0.0] } else { [0.0, 1.0] }).collect();
        let labels = ["usual", "rare"].map(str::to_owned).to_vec();
        Predictions::new(labels, Truth::Single(truth.clone()), certain).expect("valid")
    });
    let comparison =
        Comparison::new(&predictions[0], &predictions[1], &EvaluationOptions::default()).expect("same rows");
    let named = NamedComparison { first: "A".into(), second: "B".into(), comparison, disagreements: Vec::new() };
    let verdict = named.verdict();
    assert_eq!(verdict.headline, "No difference: A and B are right on as many of 100 rows.");
    assert!(verdict.remarks.iter().any(|remark| remark.contains("B is ahead of A")), "{verdict:?}");
}

#[test]
fn a_comparison_has_its_page_and_its_markdown() {
    let (mut first, second) = (vec![true; 30], vec![true; 30]);
    first[..12].fill(false);
    let report = compared(&first, &second);
    let page = report.to_html().expect("renders");
    for part in ["40.0 points better", "Side by side", "Where only one is right <small>3 of 12", "Results on two"] {
        assert!(page.contains(part), "{part} is missing");
    }
    // Both evaluations are folded away.
    assert_eq!(page.matches("<details class=\"set\">").count(), 2);
    assert!(!page.contains("<b>one") && !page.contains("<i>good") && !page.contains("NaN"));
    let markdown = report.to_markdown();
    assert!(markdown.contains("| Accuracy | 0.600 | 1.000 | +0.400 |"), "{markdown}");
    assert!(markdown.contains("| 3 | &lt;i&gt;good | bad | &lt;i&gt;good | Fine"), "{markdown}");
    let json = report.to_json().expect("serialises");
    assert!(json.contains("\"only_second\": 12") && json.contains("\"p_value\": 0.000488"));
}

#[test]
fn a_page_of_tables_and_charts_escapes_everything_and_loads_nothing() {
    let evil = "<script>\"'&".to_owned();
    let chart = |points| Chart {
        title: evil.clone(),
        x: "words".into(),
        y: "share".into(),
        points,
        meaning: evil.clone(),
        ..Chart::default()
    };
    let axis = Axis { name: evil.clone(), ticks: vec![(0.5, evil.clone())] };
    let thread = Thread { name: evil.clone(), places: vec![Some(0.5)], strength: 1.0 };
    let section = PageSection {
        title: evil.clone(),
        meaning: evil.clone(),
        tables: vec![PageTable {
            title: evil.clone(),
            header: vec![evil.clone(), "share".into()],
            rows: vec![
                vec![Cell::text(&evil), Cell::bar(0.5)],
                vec![Cell::text("b"), Cell::number(3).shaded(0.25)],
                vec![Cell::text("c"), Cell::range(0.25, 0.5, 2.0)],
            ],
        }],
        charts: vec![chart(vec![(1.0, 0.5), (2.0, 0.25)]), chart(Vec::new())],
        parallel: vec![ParallelAxes { title: evil.clone(), axes: vec![axis], threads: vec![thread] }],
    };
    let (headline, remarks) = (evil.clone(), vec![evil.clone()]);
    let page = Page { title: evil.clone(), headline, remarks, notices: vec![evil.clone()], sections: vec![section] };
    let html = page.to_html().expect("renders");
    assert!(!html.contains("<script") && !html.contains("http:") && !html.contains("src="));
    assert!(html.contains("left:0%;width:50%") && html.contains("--share:0.250"), "{html}");
    // A mark beyond the scale ends at it, and a chart without points is left out.
    assert!(html.contains("left:25%;width:75%"));
    assert_eq!(html.matches("<svg").count(), 2);
}
