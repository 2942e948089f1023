//! Every metric of one set of predictions, with its interval.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::abstention::RiskCoverage;
use crate::interval::{Replicates, wilson};
use crate::metric::{Average, ClassMetric, Metric};
use crate::metrics::calibration::reliability;
use crate::metrics::confusion::confusion;
use crate::metrics::curves::binary_curves;
use crate::metrics::{Facts, undefined_reason};
use crate::{BinaryCurves, Confusion, Estimate, EvaluateError, IntervalMethod, Predictions, ReliabilityBin};

/// So many row draws are made at most, so that a million rows take seconds and not minutes.
const MOST_DRAWS: usize = 50_000_000;
/// Fewer replicates than this do not give ends of an interval.
const LEAST_RESAMPLES: usize = 200;

/// How to find the intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationOptions {
    /// How often the rows are drawn anew, at least 200. Fewer are made where rows × resamples would exceed 50 million.
    pub resamples: usize,
    /// Start of the random draws; the same seed gives the same intervals on every machine.
    pub seed: u64,
    /// Share of such intervals that hold the true value, between 0 and 1.
    pub confidence: f64,
}

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self { resamples: 1_000, seed: 0, confidence: 0.95 }
    }
}

impl EvaluationOptions {
    /// How often so many rows are drawn anew.
    pub(crate) fn resamples_of(&self, rows: usize) -> usize {
        self.resamples.min(MOST_DRAWS / rows).max(LEAST_RESAMPLES)
    }

    pub(crate) fn check(&self) -> Result<(), EvaluateError> {
        if self.resamples < LEAST_RESAMPLES {
            let found = self.resamples;
            return Err(EvaluateError::Option(format!(
                "{found} resamples are too few, at least {LEAST_RESAMPLES} are needed"
            )));
        }
        check_confidence(self.confidence)
    }
}

/// Refuses what is no share of intervals.
pub(crate) fn check_confidence(confidence: f64) -> Result<(), EvaluateError> {
    if confidence > 0.0 && confidence < 1.0 {
        return Ok(());
    }
    Err(EvaluateError::Option(format!("a confidence of {confidence} is not between 0 and 1")))
}

/// Every metric of one set of predictions, with its interval.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    n: usize,
    labels: Vec<String>,
    multi_label: bool,
    loss: Option<f64>,
    estimates: Vec<(Metric, Estimate)>,
    undefined: Vec<(Metric, String)>,
    support: Vec<u64>,
    confusion: Confusion,
    reliability: Vec<ReliabilityBin>,
    curves: Option<BinaryCurves>,
    risk_coverage: Vec<(f64, f64)>,
    confidence: f64,
    resamples: usize,
    seed: u64,
}

impl Evaluation {
    /// Measures everything and draws the intervals: about 0.1 s for 2,000 rows and 1,000 resamples.
    ///
    /// # Errors
    /// [`EvaluateError::Option`] if an option is out of range.
    pub fn new(predictions: &Predictions, options: &EvaluationOptions) -> Result<Self, EvaluateError> {
        options.check()?;
        let n = predictions.rows();
        let resamples = options.resamples_of(n);
        let metrics = Metric::reported(predictions)
            .into_iter()
            .map(|metric| metric.class_index(predictions.labels()).map(|class| (metric, class)))
            .collect::<Result<Vec<_>, _>>()?;
        let facts = Facts::new(predictions, true);
        let measures = facts.measure(&vec![1; n]);
        let replicates = Replicates::draw(&facts, &metrics, n, resamples, options.seed);
        let (mut estimates, mut undefined) = (Vec::new(), Vec::new());
        for (index, (metric, class)) in metrics.into_iter().enumerate() {
            match measures.value(&metric, class) {
                None => undefined.push((metric.clone(), undefined_reason(predictions, &metric))),
                Some(share) if metric == Metric::Accuracy => {
                    estimates.push((metric, wilson(share, n, options.confidence)));
                }
                Some(value) => {
                    let method = IntervalMethod::of(&metric);
                    let estimate = replicates.interval(index, value, method, options.confidence);
                    estimates.push((metric, estimate));
                }
            }
        }
        let confusion = confusion(predictions);
        Ok(Self {
            n,
            labels: predictions.labels().to_vec(),
            multi_label: predictions.is_multi_label(),
            loss: predictions.loss(),
            estimates,
            undefined,
            support: confusion.class_counts().iter().map(|counts| counts.support).collect(),
            confusion,
            reliability: reliability(predictions),
            curves: binary_curves(predictions),
            risk_coverage: RiskCoverage::new(predictions).shares(),
            confidence: options.confidence,
            resamples,
            seed: options.seed,
        })
    }

    /// Number of texts.
    pub fn n(&self) -> usize {
        self.n
    }

    /// Class names in the model's order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether a text can have several labels.
    pub fn is_multi_label(&self) -> bool {
        self.multi_label
    }

    /// The estimate of a metric, if it is reported and defined here.
    pub fn get(&self, metric: &Metric) -> Option<Estimate> {
        self.estimates.iter().find(|(known, _)| known == metric).map(|(_, estimate)| *estimate)
    }

    /// The estimate of a metric of class number `class`.
    pub fn of_class(&self, metric: ClassMetric, class: usize) -> Option<Estimate> {
        self.get(&Metric::Class(metric, self.labels.get(class)?.clone()))
    }

    /// Share of texts whose labels are all right.
    pub fn accuracy(&self) -> Estimate {
        self.get(&Metric::Accuracy).expect("accuracy is reported for any predictions")
    }

    /// Mean F1 of the classes.
    pub fn f1_macro(&self) -> Estimate {
        self.get(&Metric::F1(Average::Macro)).expect("macro F1 is reported for any predictions")
    }

    /// Every metric with its estimate, in the order of the output.
    pub fn estimates(&self) -> &[(Metric, Estimate)] {
        &self.estimates
    }

    /// Every metric that has no value here, with the reason.
    pub fn undefined(&self) -> &[(Metric, String)] {
        &self.undefined
    }

    /// How many texts have each class.
    pub fn support(&self) -> &[u64] {
        &self.support
    }

    /// What was true against what was predicted.
    pub fn confusion(&self) -> &Confusion {
        &self.confusion
    }

    /// The fifteen bins of the reliability diagram.
    pub fn reliability(&self) -> &[ReliabilityBin] {
        &self.reliability
    }

    /// ROC and precision-recall curves, if there are two classes and both occur.
    pub fn curves(&self) -> Option<&BinaryCurves> {
        self.curves.as_ref()
    }

    /// When only the surest answers are given: the share of the texts that has one, and the share of these answers that is
    /// wrong, from the fewest answers to all.
    pub fn risk_coverage(&self) -> &[(f64, f64)] {
        &self.risk_coverage
    }

    /// How often the rows were drawn anew.
    pub fn resamples(&self) -> usize {
        self.resamples
    }

    /// Share of such intervals that hold the true value.
    pub fn confidence(&self) -> f64 {
        self.confidence
    }

    /// The object that `finetone eval --json` prints; keys are always in the same order.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("n".into(), json!(self.n));
        object.insert("task".into(), json!(if self.multi_label { "multi_label" } else { "single_label" }));
        object.insert("labels".into(), json!(self.labels));
        object.extend(self.nested(|estimate| json!(estimate.value)));
        if let Some(loss) = self.loss {
            object.insert("loss".into(), json!(loss));
        }
        let support = self.labels.iter().zip(&self.support);
        object.insert("support".into(), support.map(|(l, s)| (l.clone(), json!(s))).collect());
        object.insert("confusion".into(), json!(self.confusion));
        object.insert("reliability".into(), json!(self.reliability));
        let intervals = self.nested(|estimate| json!([estimate.low, estimate.high]));
        object.insert("intervals".into(), Value::Object(intervals));
        object.insert("interval_method".into(), self.methods());
        let undefined = self.undefined.iter();
        let undefined: Map<_, _> = undefined.map(|(m, why)| (m.to_string(), json!(why))).collect();
        object.insert("undefined".into(), Value::Object(undefined));
        Value::Object(object)
    }

    /// Metrics by name, those of classes as an object by class; undefined ones are null.
    fn nested(&self, show: impl Fn(&Estimate) -> Value) -> Map<String, Value> {
        let mut object = Map::new();
        let defined = self.estimates.iter().map(|(metric, estimate)| (metric, show(estimate)));
        let undefined = self.undefined.iter().map(|(metric, _)| (metric, Value::Null));
        for (metric, value) in defined.chain(undefined) {
            let Metric::Class(class_metric, class) = metric else {
                object.insert(metric.to_string(), value);
                continue;
            };
            let by_class = object.entry(class_metric.key()).or_insert_with(|| json!({}));
            by_class[class.as_str()] = value;
        }
        object
    }

    fn methods(&self) -> Value {
        let mut object = Map::new();
        for (metric, _) in &self.estimates {
            let method = IntervalMethod::of(metric);
            if method != IntervalMethod::PercentileBootstrap {
                object.insert(metric.to_string(), json!(method));
            }
        }
        object.insert("others".into(), json!(IntervalMethod::PercentileBootstrap));
        object.insert("confidence".into(), json!(self.confidence));
        object.insert("resamples".into(), json!(self.resamples));
        object.insert("seed".into(), json!(self.seed));
        Value::Object(object)
    }
}

impl Serialize for Evaluation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}
