//! VADER (Hutto and Gilbert 2014, <https://doi.org/10.1609/icwsm.v8i1.14550>): a lexicon of English words with rules for
//! negation, emphasis and emoticons. It learns nothing; it only has to be told which label means what.

use finetone_data::explore::words;
use vader_parity::SentimentIntensityAnalyzer;

use super::{Fit, Lesson, TextClassifier};
use crate::{Classified, ClassifyError};

/// Scores nearer to zero than this are neutral, as the authors have it.
const NEUTRAL: f64 = 0.05;
/// Scores have four digits; half of the last one makes an answer of two classes that have the same score.
const LEAST: f64 = 5e-5;

/// Words that are looked up to see whether the texts are English.
const MOST_HEARD: usize = 10_000;
/// A smaller share of known words means that they are not: of the words of English reviews and conversations it knows 6 to 10 in
/// 100, of those of other languages fewer than 3 by accident.
const LEAST_KNOWN: f64 = 0.04;

/// Which class is which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Meaning {
    negative: usize,
    neutral: Option<usize>,
    positive: usize,
}

struct Lexicon {
    analyzer: SentimentIntensityAnalyzer,
    meaning: Meaning,
}

impl Meaning {
    /// Number of classes.
    fn classes(self) -> usize {
        2 + usize::from(self.neutral.is_some())
    }
}

/// Finds out what the labels mean, or says why it cannot.
pub(super) fn fit(lesson: &Lesson<'_>) -> Fit {
    if lesson.multi_label {
        return Fit::NotApplicable("it gives a text one label, and here a text may have several".into());
    }
    let Some(meaning) = meaning(lesson.labels) else {
        let labels: Vec<String> = lesson.labels.iter().take(6).map(|label| format!("“{label}”")).collect();
        return Fit::NotApplicable(format!(
            "it knows negative, neutral and positive, and the labels are others: {}",
            labels.join(", ")
        ));
    };
    let analyzer = SentimentIntensityAnalyzer::new();
    let known = known_share(&analyzer, lesson.texts);
    let mut detail = format!(
        "English words; “{}” is the negative label, “{}” the positive one",
        lesson.labels[meaning.negative], lesson.labels[meaning.positive]
    );
    if known < LEAST_KNOWN {
        let of_100 = 100.0 * known;
        detail += &format!("; it knows {of_100:.1} of 100 words of these texts, which are hardly English");
    }
    Fit::of(Lexicon { analyzer, meaning }, detail, lesson)
}

/// The share of the first words of the texts that the lexicon has a score for.
fn known_share(analyzer: &SentimentIntensityAnalyzer, texts: &[&str]) -> f64 {
    let heard: Vec<String> = texts.iter().flat_map(|text| words(text)).take(MOST_HEARD).collect();
    let known = heard.iter().filter(|word| analyzer.polarity_scores(word).compound != 0.0).count();
    known as f64 / heard.len().max(1) as f64
}

/// By name, or by value where the labels are the numbers that files of sentiment have.
fn meaning(labels: &[String]) -> Option<Meaning> {
    const NEGATIVE: [&str; 4] = ["negative", "neg", "bad", "unsatisfied"];
    const NEUTRAL: [&str; 4] = ["neutral", "neu", "mixed", "ok"];
    const POSITIVE: [&str; 4] = ["positive", "pos", "good", "satisfied"];
    let called = |names: &[&str]| labels.iter().position(|label| names.contains(&label.trim().to_lowercase().as_str()));
    let numbers: Vec<&str> = labels.iter().map(|label| label.trim()).collect();
    let (negative, neutral, positive) = match numbers.as_slice() {
        ["0", "1"] | ["-1", "1"] => (Some(0), None, Some(1)),
        ["-1", "0", "1"] | ["0", "1", "2"] => (Some(0), Some(1), Some(2)),
        _ => (called(&NEGATIVE), called(&NEUTRAL), called(&POSITIVE)),
    };
    let meaning = Meaning { negative: negative?, neutral, positive: positive? };
    (meaning.classes() == labels.len()).then_some(meaning)
}

impl Lexicon {
    /// Probabilities from a score between −1 and 1. VADER gives none: the class that it names gets the more the further the
    /// score is from where another would be named, the others share the rest.
    fn probabilities(&self, score: f64) -> Vec<f32> {
        let sides = if score < 0.0 { self.meaning.negative } else { self.meaning.positive };
        let (class, strength) = match self.meaning.neutral {
            Some(neutral) if score.abs() < NEUTRAL => (neutral, 1.0 - score.abs() / NEUTRAL),
            _ => (sides, score.abs()),
        };
        let classes = self.meaning.classes();
        let others = (1.0 - strength.max(LEAST)) / classes as f64;
        let mut row = vec![others as f32; classes];
        row[class] = (others + strength.max(LEAST)) as f32;
        row
    }
}

impl TextClassifier for Lexicon {
    fn classify(&mut self, texts: &[&str]) -> Result<Classified, ClassifyError> {
        let score = |text: &&str| self.analyzer.polarity_scores(text).compound;
        let probabilities = texts.iter().flat_map(|text| self.probabilities(score(text))).collect();
        Ok(Classified { probabilities, truncated: 0, ..Classified::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(labels: &[&str]) -> Option<Meaning> {
        meaning(&labels.iter().map(|label| (*label).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn labels_are_known_by_what_they_mean() {
        let two = Meaning { negative: 1, neutral: None, positive: 0 };
        assert_eq!(named(&["Good", "bad"]), Some(two));
        let three = Meaning { negative: 0, neutral: Some(1), positive: 2 };
        assert_eq!(named(&["NEG", "neutral", "Positive"]), Some(three));
        assert_eq!(named(&["-1", "0", "1"]), Some(three));
        assert_eq!(named(&["0", "1"]), Some(Meaning { negative: 0, neutral: None, positive: 1 }));
        for other in
            [&["1", "2", "3", "4", "5"][..], &["billing", "delay"], &["negative", "neutral"], &["bad", "good", "awful"]]
        {
            assert_eq!(named(other), None, "{other:?}");
        }
    }

    #[test]
    fn texts_of_other_languages_have_hardly_a_known_word() {
        let analyzer = SentimentIntensityAnalyzer::new();
        let known = |texts: &[&str]| known_share(&analyzer, texts);
        assert_eq!(known(&["Great, good!", "the worst of all"]), 0.5);
        assert_eq!(known(&["很好，下次还来", "الخدمة ممتازة", "příšerné jídlo"]), 0.0);
        assert_eq!(known(&[]), 0.0);
    }

    #[test]
    fn the_class_that_the_thresholds_name_is_the_most_probable() {
        let lexicon = |neutral| Lexicon {
            analyzer: SentimentIntensityAnalyzer::new(),
            meaning: Meaning { negative: 0, neutral, positive: if neutral.is_some() { 2 } else { 1 } },
        };
        let most = |row: Vec<f32>| {
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            (0..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
        };
        let three = lexicon(Some(1));
        let said = [-1.0, -0.05, -0.0499, 0.0, 0.0499, 0.05, 1.0].map(|score| most(three.probabilities(score)));
        assert_eq!(said, [0, 0, 1, 1, 1, 2, 2]);
        let two = lexicon(None);
        assert_eq!([-0.5, -0.0001, 0.0, 0.0001].map(|score| most(two.probabilities(score))), [0, 0, 1, 1]);
    }
}
