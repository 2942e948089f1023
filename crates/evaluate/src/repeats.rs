//! The same settings measured again and again, with other seeds or on other folds: every metric with its values and what
//! they say together.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::metric::Metric;
use crate::metrics::Facts;
use crate::{Estimate, EvaluateError, Evaluation, Predictions, Spread};

/// Share of the intervals that hold the true mean.
const CONFIDENCE: f64 = 0.95;

/// Several measurements of the same kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeats {
    /// What each is called, such as `seed 3`, and on how many texts it was measured.
    runs: Vec<(String, usize)>,
    labels: Vec<String>,
    metrics: Vec<RepeatedMetric>,
}

/// One metric in all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct RepeatedMetric {
    /// The metric.
    pub metric: Metric,
    /// Its value in each.
    pub values: Vec<f64>,
    /// Mean, deviation and interval.
    pub spread: Spread,
}

impl RepeatedMetric {
    /// The mean with its interval, which ends where the metric does; the mean alone for a single value.
    pub fn estimate(&self) -> Estimate {
        let mean = self.spread.mean;
        let Estimate { value, low, high } =
            self.spread.interval.unwrap_or(Estimate { value: mean, low: mean, high: mean });
        match self.metric {
            Metric::Loss | Metric::LogLoss => Estimate { value, low: low.max(0.0), high },
            Metric::Mcc => Estimate { value, low: low.max(-1.0), high: high.min(1.0) },
            // The Brier score of several classes reaches two.
            Metric::Brier => Estimate { value, low: low.max(0.0), high: high.min(2.0) },
            _ => Estimate { value, low: low.max(0.0), high: high.min(1.0) },
        }
    }

    fn to_json(&self) -> Value {
        let Estimate { low, high, .. } = self.estimate();
        json!({
            "mean": self.spread.mean,
            "deviation": self.spread.standard_deviation,
            "interval": self.spread.interval.map(|_| [low, high]),
            "values": self.values,
        })
    }
}

impl Repeats {
    /// Runs that differ in their seed, on the same texts: Student's t interval.
    ///
    /// # Errors
    /// No run, or runs of different classes.
    pub fn of_seeds(runs: &[(String, &Predictions)]) -> Result<Self, EvaluateError> {
        Self::new(runs, |values| Spread::of_independent(values, CONFIDENCE))
    }

    /// Runs on the folds of a cross-validation: the interval of Nadeau and Bengio. `test_over_train` is the number of rows
    /// tested on over the number trained on, `1 / (k − 1)` for k folds.
    ///
    /// # Errors
    /// No run, or runs of different classes.
    pub fn of_folds(runs: &[(String, &Predictions)], test_over_train: f64) -> Result<Self, EvaluateError> {
        Self::new(runs, |values| Spread::of_folds(values, test_over_train, CONFIDENCE))
    }

    fn new(
        runs: &[(String, &Predictions)],
        spread: impl Fn(&[f64]) -> Result<Spread, EvaluateError>,
    ) -> Result<Self, EvaluateError> {
        let (_, first) = runs.first().ok_or(EvaluateError::Empty)?;
        if let Some((_, other)) = runs.iter().find(|(_, other)| other.labels() != first.labels()) {
            let [first, second] = [first, other].map(|predictions| predictions.labels().to_vec());
            return Err(EvaluateError::DifferentClasses { first, second });
        }
        let measures: Vec<_> =
            runs.iter().map(|(_, one)| Facts::new(one, true).measure(&vec![1; one.rows()])).collect();
        let mut metrics = Vec::new();
        for metric in Metric::reported(first) {
            let class = metric.class_index(first.labels())?;
            // A metric that has no value in one of the runs has no mean.
            let values: Option<Vec<f64>> = measures.iter().map(|measured| measured.value(&metric, class)).collect();
            if let Some(values) = values.filter(|values| values.iter().all(|value| value.is_finite())) {
                let spread = spread(&values)?;
                metrics.push(RepeatedMetric { metric, values, spread });
            }
        }
        let runs = runs.iter().map(|(name, one)| (name.clone(), one.rows())).collect();
        Ok(Self { runs, labels: first.labels().to_vec(), metrics })
    }

    /// Name and number of texts of each.
    pub fn runs(&self) -> &[(String, usize)] {
        &self.runs
    }

    /// Class names in the model's order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// A metric, where it has a value in all of them.
    pub fn get(&self, metric: &Metric) -> Option<&RepeatedMetric> {
        self.metrics.iter().find(|known| known.metric == *metric)
    }

    /// Metrics by name, those of classes as an object by class; each with mean, deviation, interval and values.
    pub fn to_json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert("runs".into(), self.runs.iter().map(|(name, n)| json!({"name": name, "n": n})).collect());
        object.insert("confidence".into(), json!(CONFIDENCE));
        for repeated in &self.metrics {
            let Metric::Class(class_metric, class) = &repeated.metric else {
                object.insert(repeated.metric.to_string(), repeated.to_json());
                continue;
            };
            let by_class = object.entry(class_metric.key()).or_insert_with(|| json!({}));
            by_class[class.as_str()] = repeated.to_json();
        }
        object
    }
}

impl Serialize for Repeats {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

/// What a cross-validation found: every row judged by models that had not seen it.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossValidation {
    /// Number of folds.
    pub folds: usize,
    /// How often the rows were divided.
    pub divisions: usize,
    /// Each fold by itself.
    pub repeats: Repeats,
    /// What was said about each row; the mean of the probabilities, where the rows were divided several times.
    pub pooled: Predictions,
    /// All rows together.
    pub evaluation: Evaluation,
}

impl Serialize for CrossValidation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = Map::new();
        object.insert("folds".into(), json!(self.folds));
        object.insert("divisions".into(), json!(self.divisions));
        object.extend(self.repeats.to_json());
        object.insert("pooled".into(), self.evaluation.to_json());
        object.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Average, Truth};

    fn predictions(right: usize, of: usize) -> Predictions {
        let labels = vec!["bad".to_owned(), "good".to_owned()];
        let truth = (0..of).map(|row| row % 2).collect();
        let row = |row: usize| if row.is_multiple_of(2) == (row < right) { [0.75, 0.25] } else { [0.25, 0.75] };
        Predictions::new(labels, Truth::Single(truth), (0..of).flat_map(row).collect()).expect("valid")
    }

    fn named(all: &[Predictions]) -> Vec<(String, &Predictions)> {
        all.iter().enumerate().map(|(seed, one)| (format!("seed {seed}"), one)).collect()
    }

    #[test]
    fn every_metric_has_its_values_and_their_mean() {
        let all = [predictions(6, 10), predictions(8, 10), predictions(10, 10)];
        let repeats = Repeats::of_seeds(&named(&all)).unwrap();
        let accuracy = repeats.get(&Metric::Accuracy).unwrap();
        assert_eq!(accuracy.values, [0.6, 0.8, 1.0]);
        assert!((accuracy.spread.mean - 0.8).abs() < 1e-12);
        // scipy.stats.t.interval(0.95, 2, 0.8, 0.2 / 3 ** 0.5) ends at 1.29683, beyond what an accuracy can be.
        assert!((accuracy.estimate().low - 0.303_172_5).abs() < 1e-6 && accuracy.estimate().high == 1.0);
        let json = serde_json::to_value(&repeats).unwrap();
        assert_eq!(json["accuracy"]["values"], json!([0.6, 0.8, 1.0]));
        assert!((json["accuracy"]["deviation"].as_f64().unwrap() - 0.2).abs() < 1e-12);
        assert!(json["f1"]["good"]["mean"].is_number() && json["runs"][2]["name"] == "seed 2");
        let folds = Repeats::of_folds(&named(&all), 0.5).unwrap();
        let f1 = Metric::F1(Average::Macro);
        let width = |repeats: &Repeats| repeats.get(&f1).unwrap().spread.interval.map(|e| e.high - e.low).unwrap();
        assert!(width(&folds) > width(&repeats));
    }

    #[test]
    fn one_run_has_no_interval_and_none_no_mean() {
        let one = [predictions(6, 10)];
        let json = serde_json::to_value(Repeats::of_seeds(&named(&one)).unwrap()).unwrap();
        assert!(json["accuracy"]["deviation"].is_null() && json["accuracy"]["interval"].is_null());
        assert_eq!(Repeats::of_seeds(&[]), Err(EvaluateError::Empty));
    }

    #[test]
    fn what_has_no_value_in_one_fold_is_left_out() {
        let labels = vec!["bad".to_owned(), "good".to_owned()];
        let single = Predictions::new(labels, Truth::Single(vec![0, 0]), vec![0.5, 0.5, 0.9, 0.1]).unwrap();
        let all = [predictions(6, 10), single];
        let repeats = Repeats::of_folds(&named(&all), 0.5).unwrap();
        assert!(repeats.get(&Metric::RocAuc).is_none() && repeats.get(&Metric::Accuracy).is_some());
    }
}
