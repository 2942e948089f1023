//! The neighbours that go with an answer.

use finetone_classify::{Classifier, Neighbour};
use finetone_data::{NewColumn, Value};

use crate::tables;

/// How neighbours are appended to a row.
pub struct Reasons {
    /// How many of them.
    count: usize,
    labels: Vec<String>,
    /// Whether the model keeps their words.
    with_texts: bool,
}

impl Reasons {
    /// Of a classifier that shows so many.
    pub fn new(count: u8, classifier: &dyn Classifier) -> Self {
        Self { count: count.into(), labels: classifier.labels().to_vec(), with_texts: classifier.keeps_texts() }
    }

    /// The columns that are appended.
    pub fn columns(&self) -> Vec<NewColumn> {
        let of_one = |place: usize| {
            let name = |part: &str| format!("neighbour_{place}_{part}");
            let numbers = ["similarity", "line"].map(|part| NewColumn::number(name(part)));
            let text = self.with_texts.then(|| NewColumn::text(name("text")));
            [NewColumn::text(name("label"))].into_iter().chain(numbers).chain(text)
        };
        (1..=self.count).flat_map(of_one).collect()
    }

    /// The values of these columns; where there are fewer neighbours, the last ones are missing.
    pub fn values(&self, near: &[Neighbour]) -> Vec<Value> {
        let of_one = |place: usize| match near.get(place) {
            Some(Neighbour { kept, similarity }) => {
                let text = self.with_texts.then(|| Value::Text(kept.text.clone().unwrap_or_default()));
                let label = tables::joined(&kept.classes, &self.labels);
                // More digits would be those of the machine that computed the vectors.
                let similarity = (f64::from(*similarity) * 1e4).round() / 1e4;
                [Value::Text(label), Value::Number(similarity), Value::Number(kept.line as f64)]
                    .into_iter()
                    .chain(text)
                    .collect()
            }
            None => vec![Value::Missing; 3 + usize::from(self.with_texts)],
        };
        (0..self.count).flat_map(of_one).collect()
    }
}

/// The neighbours of one text as a table.
pub fn listed(text: &str, near: &[Neighbour], labels: &[String]) -> String {
    format!("\nnearest to: {}\n{}", tables::shortened(text), tables::neighbours(near, labels))
}

#[cfg(test)]
mod tests {
    use finetone_classify::Kept;

    use super::*;

    fn neighbour(similarity: f32, classes: &[usize]) -> Neighbour {
        Neighbour { kept: Kept { classes: classes.to_vec(), line: 7, text: Some("so so".into()) }, similarity }
    }

    fn reasons(with_texts: bool) -> Reasons {
        Reasons { count: 2, labels: ["bad", "flat", "good"].map(str::to_owned).to_vec(), with_texts }
    }

    #[test]
    fn there_is_a_value_for_every_column_however_few_neighbours_there_are() {
        for with_texts in [false, true] {
            let reasons = reasons(with_texts);
            for near in [&[][..], &[neighbour(0.5, &[1])], &[neighbour(0.5, &[1]), neighbour(0.25, &[])]] {
                assert_eq!(reasons.values(near).len(), reasons.columns().len());
            }
        }
        let values = reasons(true).values(&[neighbour(0.123_456, &[0, 2])]);
        let first =
            [Value::Text("bad|good".into()), Value::Number(0.1235), Value::Number(7.0), Value::Text("so so".into())];
        assert_eq!(values[..4], first);
        assert!(values[4..].iter().all(|value| *value == Value::Missing));
        let names: Vec<String> = reasons(false).columns().into_iter().map(|column| column.name).collect();
        assert_eq!(names[2..4], ["neighbour_1_line", "neighbour_2_label"]);
    }
}
