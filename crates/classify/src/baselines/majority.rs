//! The same answer for every text: how frequent each class is in the training texts.

use super::{Fit, Lesson, TextClassifier};
use crate::{Classified, ClassifyError};

struct Majority {
    shares: Vec<f32>,
}

/// Counts.
pub(super) fn fit(lesson: &Lesson<'_>) -> Fit {
    let mut counts = vec![0_usize; lesson.labels.len()];
    lesson.targets.iter().flat_map(|target| target.classes()).for_each(|&class| counts[class] += 1);
    let texts = lesson.targets.len() as f32;
    let shares: Vec<f32> = counts.iter().map(|&count| count as f32 / texts).collect();
    let frequent = (0..counts.len()).max_by_key(|&class| (counts[class], std::cmp::Reverse(class)));
    let detail = match frequent {
        Some(class) if !lesson.multi_label => format!("answers “{}”", lesson.labels[class]),
        _ => "answers the labels that at least half of the texts have".to_owned(),
    };
    Fit::of(Majority { shares }, detail, lesson)
}

impl TextClassifier for Majority {
    fn classify(&mut self, texts: &[&str]) -> Result<Classified, ClassifyError> {
        Ok(Classified { probabilities: self.shares.repeat(texts.len()), truncated: 0, ..Classified::default() })
    }
}
