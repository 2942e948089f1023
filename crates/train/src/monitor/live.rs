//! A model that is being asked: the answers that a server keeps, against the texts that the run kept for validation.
//!
//! It is the same watch as that over files, but for what a server has no time or no right to look at: the meaning of texts is left
//! out, their words are looked at only where the texts are kept, and the accuracy only where somebody says what was right.

use std::collections::BTreeMap;
use std::path::Path;

use finetone_backend::Backend;
use finetone_evaluate::{Drift, DriftSample, Estimate, FallDetector, expected_accuracy, far_apart, least_certain};

use super::judged::word_numbers;
use super::reference::{Reference, ReferenceFacts};
use super::{CONFIDENCE, Record, SEED, UNCERTAIN, Watch, history, mean, vectors};
use crate::error::TrainError;

/// Answers that are held against the reference together: the latest.
const LATEST: usize = 500;
/// With fewer answers nothing is said about a change: it would have to be very large to be more than chance.
pub const FEWEST_ANSWERS: usize = 30;
/// Where no run kept anything, so many first answers are what later ones are held against.
const FIRST: usize = 200;
/// Numbers that a text becomes to find such texts as differ.
const BUCKETS: usize = 256;

/// An answer that a model gave, as far as it was kept.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveAnswer {
    /// Seconds since 1970.
    pub at: i64,
    /// Words of the text.
    pub length: u32,
    /// The most probable class.
    pub predicted: String,
    /// Its probability.
    pub confidence: f32,
    /// The right class, where somebody has said it.
    pub label: Option<String>,
}

/// How answers are put together over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveWindows {
    /// Those of so many seconds, such as of an hour.
    Seconds(u32),
    /// So many one after the other.
    Answers(u32),
}

/// What answers are held against.
pub struct LiveReference {
    /// Names of the classes.
    labels: Vec<String>,
    reference: Reference,
    /// How many of the answers it is made of; none where a run kept it.
    first: usize,
}

/// What a watch over answers has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    /// The latest answers, where there are enough of them: the same numbers as a call of [`super::monitor`] has.
    pub latest: Option<Record>,
    /// Every window in which there are answers: when it begins, in seconds since 1970, and its numbers.
    pub windows: Vec<(i64, Record)>,
    /// Whether the answers are few, in a sentence; what they show, where they are not.
    pub headline: String,
}

impl LiveReference {
    /// The rows that a run kept for validation, which are read and judged once and then kept as numbers in the folder `kept`.
    ///
    /// # Errors
    /// A model of several labels for a text, a run whose rows are gone, a device that failed.
    pub fn of_run<B: Backend>(watch: &mut Watch<'_, B>, kept: &Path) -> Result<Self, TrainError> {
        super::refuse_several_labels(watch.classifier)?;
        std::fs::create_dir_all(kept).map_err(TrainError::io(kept))?;
        let Watch { run, classifier, embedder } = watch;
        let reference = Reference::of_run(*classifier, &mut |examples| vectors(embedder, examples), run, kept)?;
        Ok(Self { labels: classifier.labels().to_vec(), reference, first: 0 })
    }

    /// The first of the answers themselves, for a model whose run is not here.
    pub fn of_first(answers: &[LiveAnswer]) -> Self {
        let mut labels: Vec<String> = answers.iter().map(|answer| answer.predicted.clone()).collect();
        labels.sort_unstable();
        labels.dedup();
        let first = answers.len().min(FIRST);
        let sample = sample(&labels, &answers[..first], Vec::new());
        let confidence = mean(&sample.confidences);
        let source = "first answers in the record".to_owned();
        let facts = ReferenceFacts { source, rows: first, accuracy: None, confidence };
        Self { labels, reference: Reference::of_numbers(facts, sample), first }
    }

    /// Holds answers, which come in their order, against the reference; `texts` are those of the latest, where they are kept.
    ///
    /// # Errors
    /// None but that of a bug.
    pub fn watch(&self, answers: &[LiveAnswer], texts: &[String], by: LiveWindows) -> Result<Live, TrainError> {
        let others = &answers[self.first.min(answers.len())..];
        let latest = &others[others.len().saturating_sub(LATEST)..];
        let mut found = None;
        if latest.len() >= FEWEST_ANSWERS {
            let words = texts.iter().map(|text| word_numbers(text)).collect();
            found = Some(Record { stream: self.stream(answers), ..self.record(latest, words)? });
        }
        let windows = windows(answers, by).into_iter().map(|(from, part)| Ok((from, self.record(part, Vec::new())?)));
        let headline = found.as_ref().map_or_else(|| self.too_few(others.len()), Record::headline);
        Ok(Live { latest: found, windows: windows.collect::<Result<_, TrainError>>()?, headline })
    }

    /// Which rows they are, and how good the model was on them.
    pub fn facts(&self) -> &ReferenceFacts {
        &self.reference.facts
    }

    /// How often each class was predicted in the reference.
    pub fn shares(&self) -> BTreeMap<String, f64> {
        shares(&self.labels, &self.reference.sample)
    }

    fn too_few(&self, answers: usize) -> String {
        let facts = &self.reference.facts;
        format!(
            "Too few answers to say anything about: {answers}, where at least {FEWEST_ANSWERS} are held against the {} {}.",
            facts.rows, facts.source
        )
    }

    fn record(&self, answers: &[LiveAnswer], words: Vec<Vec<u32>>) -> Result<Record, TrainError> {
        let fresh = sample(&self.labels, answers, words);
        let known = self.reference.right.as_ref();
        let expected = known.and_then(|right| {
            expected_accuracy((&self.reference.sample.confidences, right), &fresh.confidences, CONFIDENCE)
        });
        let right: Vec<bool> = right(answers).collect();
        Ok(Record {
            at: history::time(answers.last().map_or(0, |answer| answer.at)),
            file: "answers of the server".into(),
            fingerprint: String::new(),
            rows: answers.len(),
            labelled: right.len(),
            reference: self.reference.facts.clone(),
            accuracy: Estimate::of_share(right.iter().filter(|right| **right).count(), right.len(), CONFIDENCE),
            f1_macro: None,
            expected_accuracy: expected,
            confidence: mean(&fresh.confidences),
            shares: shares(&self.labels, &fresh),
            // A class that the reference does not know counts as one more.
            drift: Drift::new((&self.reference.sample, &fresh), self.labels.len() + 1, &[], SEED)?,
            stream: None,
        })
    }

    /// The watch over the accuracy, from the first answer of which somebody has said what was right.
    fn stream(&self, answers: &[LiveAnswer]) -> Option<FallDetector> {
        let mut detector = self.reference.detector()?;
        right(answers).for_each(|right| detector.see(right));
        Some(detector)
    }
}

/// Whether each answer is right of which that is known.
fn right(answers: &[LiveAnswer]) -> impl Iterator<Item = bool> {
    answers.iter().filter_map(|answer| Some(*answer.label.as_ref()? == answer.predicted))
}

fn sample(labels: &[String], answers: &[LiveAnswer], words: Vec<Vec<u32>>) -> DriftSample {
    let class = |answer: &LiveAnswer| labels.iter().position(|label| *label == answer.predicted);
    DriftSample {
        lengths: answers.iter().map(|answer| answer.length).collect(),
        words,
        predicted: answers.iter().map(|answer| class(answer).unwrap_or(labels.len())).collect(),
        confidences: answers.iter().map(|answer| answer.confidence).collect(),
    }
}

fn shares(labels: &[String], sample: &DriftSample) -> BTreeMap<String, f64> {
    let count = |class| sample.predicted.iter().filter(|predicted| **predicted == class).count() as f64;
    let all = sample.predicted.len().max(1) as f64;
    labels.iter().enumerate().map(|(class, label)| (label.clone(), count(class) / all)).collect()
}

/// Answers by windows, with the beginning of each; windows without answers are left out.
fn windows(answers: &[LiveAnswer], by: LiveWindows) -> Vec<(i64, &[LiveAnswer])> {
    match by {
        LiveWindows::Answers(most) => answers.chunks(most.max(1) as usize).map(|part| (part[0].at, part)).collect(),
        LiveWindows::Seconds(length) => {
            let start = |answer: &LiveAnswer| answer.at - answer.at.rem_euclid(i64::from(length.max(1)));
            let parts = answers.chunk_by(|one, next| start(one) == start(next));
            parts.map(|part| (start(&part[0]), part)).collect()
        }
    }
}

/// Which of the texts to label next, at most `most`: such as the model is unsure about, with the smallest `margins`, and of these
/// such as have different words.
pub fn live_worth_labelling(texts: &[String], margins: &[f32], most: usize) -> Vec<usize> {
    let uncertain = least_certain(margins, UNCERTAIN.saturating_mul(most));
    let heaps: Vec<f32> = uncertain.iter().flat_map(|&row| heap(&texts[row])).collect();
    far_apart(&heaps, BUCKETS, most).into_iter().map(|place| uncertain[place]).collect()
}

/// A text as a direction: how many of its words fall into each of so many buckets (feature hashing, Weinberger et al. 2009,
/// <https://arxiv.org/abs/0902.2206>), at length one.
fn heap(text: &str) -> [f32; BUCKETS] {
    let mut heap = [0.0; BUCKETS];
    word_numbers(text).into_iter().for_each(|word| heap[word as usize % BUCKETS] += 1.0);
    let length = heap.iter().map(|count| count * count).sum::<f32>().sqrt();
    heap.map(|count| if length > 0.0 { count / length } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use finetone_data::split::random::Random;

    use super::*;

    const HOUR: LiveWindows = LiveWindows::Seconds(3600);

    /// So many answers, one a minute: positive as often as `positive` says, with confidences above `least`.
    fn answers(count: usize, positive: f64, least: f64, seed: u64) -> Vec<LiveAnswer> {
        let mut random = Random::of(&[seed]);
        let answer = |minute: usize| LiveAnswer {
            at: 60 * minute as i64,
            length: 5 + (random.share() * 30.0) as u32,
            predicted: if random.share() < positive { "positive" } else { "negative" }.into(),
            confidence: (least + (1.0 - least) * random.share()) as f32,
            label: None,
        };
        (0..count).map(answer).collect()
    }

    /// Validation rows with such answers, of which nine in ten were right.
    fn reference(rows: usize) -> LiveReference {
        let rows = answers(rows, 0.6, 0.5, 1);
        let labels = ["negative", "positive"].map(str::to_owned).to_vec();
        let sample = sample(&labels, &rows, Vec::new());
        let facts = ReferenceFacts {
            source: "validation rows of the run".into(),
            rows: rows.len(),
            accuracy: Some(0.9),
            confidence: mean(&sample.confidences),
        };
        let mut reference = Reference::of_numbers(facts, sample);
        reference.right = Some((0..rows.len()).map(|row| row % 10 != 0).collect());
        LiveReference { labels, reference, first: 0 }
    }

    #[test]
    fn what_has_not_changed_is_left_in_peace_and_what_has_is_found() {
        let reference = reference(400);
        let clear = |seed| {
            let live = reference.watch(&answers(300, 0.6, 0.5, seed), &[], HOUR).unwrap();
            live.latest.unwrap().drift.clear().count()
        };
        // One in a hundred is stated.
        assert!((2..202).filter(|&seed| clear(seed) > 0).count() < 10);
        let live = reference.watch(&answers(300, 0.2, 0.5, 9), &[], HOUR).unwrap();
        assert!(live.headline.contains("have changed") && live.headline.contains("predictions"), "{}", live.headline);
        let (sure, unsure) = (answers(300, 0.6, 0.5, 9), answers(300, 0.6, 0.2, 9));
        let expected = |answers: &[LiveAnswer]| {
            reference.watch(answers, &[], HOUR).unwrap().latest.unwrap().expected_accuracy.unwrap().value
        };
        assert!(expected(&sure) > expected(&unsure) + 0.1);
    }

    #[test]
    fn few_answers_are_not_judged_but_shown() {
        let live = reference(100).watch(&answers(29, 0.0, 0.5, 3), &[], HOUR).unwrap();
        assert!(live.latest.is_none() && live.headline.starts_with("Too few answers"), "{}", live.headline);
        assert_eq!((live.windows.len(), live.windows[0].1.rows), (1, 29));
        assert_eq!(live.windows[0].1.shares["negative"], 1.0);
        let none = LiveReference::of_first(&[]).watch(&[], &[], HOUR).unwrap();
        assert!(none.windows.is_empty() && none.latest.is_none());
    }

    #[test]
    fn windows_are_hours_or_so_many_answers() {
        let all = answers(150, 0.5, 0.5, 4);
        let live = reference(100).watch(&all, &[], HOUR).unwrap();
        let told: Vec<(i64, usize)> = live.windows.iter().map(|(from, record)| (*from, record.rows)).collect();
        assert_eq!(told, [(0, 60), (3600, 60), (7200, 30)]);
        let live = reference(100).watch(&all, &[], LiveWindows::Answers(100)).unwrap();
        let told: Vec<(i64, usize)> = live.windows.iter().map(|(from, record)| (*from, record.rows)).collect();
        assert_eq!(told, [(0, 100), (6000, 50)]);
    }

    #[test]
    fn labels_that_come_back_count_and_a_fall_is_found() {
        let mut all = answers(600, 0.6, 0.5, 5);
        for (place, answer) in all.iter_mut().enumerate().filter(|(place, _)| place % 2 == 0) {
            let right = place < 200 || place % 4 == 0;
            answer.label = Some(if right { answer.predicted.clone() } else { "neutral".into() });
        }
        let latest = reference(800).watch(&all, &[], HOUR).unwrap().latest.unwrap();
        assert_eq!((latest.rows, latest.labelled), (500, 250));
        assert!((latest.accuracy.unwrap().value - 0.6).abs() < 0.01, "{:?}", latest.accuracy);
        let fall = latest.stream.unwrap().alarm().expect("half of the answers became wrong");
        assert!((95..140).contains(&fall.since), "{fall:?}");
    }

    #[test]
    fn without_a_run_later_answers_are_held_against_the_first() {
        let mut all = answers(220, 0.6, 0.5, 6);
        let of = |all: &[LiveAnswer]| LiveReference::of_first(all).watch(all, &[], HOUR).unwrap();
        assert!(of(&all).latest.is_none() && of(&all).headline.contains("200 first answers"), "{}", of(&all).headline);
        all.extend(answers(100, 0.05, 0.5, 7));
        let latest = of(&all).latest.unwrap();
        assert_eq!((latest.rows, latest.expected_accuracy, latest.stream), (120, None, None));
        assert!(latest.drift.clear().count() > 0);
    }

    #[test]
    fn words_are_looked_at_where_texts_are_kept() {
        let (mut reference, all) = (reference(100), answers(100, 0.6, 0.5, 8));
        reference.reference.sample.words =
            (0..100).map(|row| word_numbers(&format!("late parcel {}", row % 7))).collect();
        let other: Vec<String> = (0..100).map(|row| format!("lovely kettle {}", row % 5)).collect();
        let kinds = |texts: &[String]| {
            let latest = reference.watch(&all, texts, HOUR).unwrap().latest.unwrap();
            latest.drift.clear().map(|found| found.kind.name()).collect::<Vec<_>>()
        };
        assert!(kinds(&[]).is_empty());
        assert_eq!(kinds(&other), ["vocabulary"]);
    }

    #[test]
    fn texts_worth_labelling_are_unsure_and_different() {
        let texts = ["late again", "late again again", "lovely day", "so so"].map(str::to_owned);
        let chosen = live_worth_labelling(&texts, &[0.1, 0.2, 0.3, 0.4], 2);
        assert!(chosen[0] == 0 && chosen[1] != 1, "{chosen:?}");
        // The second has the same words as the first, and one label does for both.
        assert_eq!(live_worth_labelling(&texts, &[0.2, 0.1, 0.9, 0.3], 9).len(), 3);
        assert!(live_worth_labelling(&[], &[], 5).is_empty());
    }
}
