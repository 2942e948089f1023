//! What the curves of a training say, as rules with thresholds: a function of the recorded numbers and of nothing else.
//!
//! A loss of single steps is noisy, so tenths of the run are compared: a difference counts if it is greater than the noise
//! (standard errors of the two means) and large enough to matter. Thresholds are round numbers, and each says why it is where
//! it is.

use serde::{Deserialize, Serialize};

use super::History;
use super::windows::{FEWEST_STEPS, Window, median, tenths};
use crate::report::{percent, quoted};

/// A rise of the loss by so many standard errors is no noise: by chance one of ten windows does it in about one run of a
/// hundred.
const SURE: f64 = 3.0;
/// A loss that has fallen at all does so by more than this.
const LIKELY: f64 = 2.0;
/// A rising loss has given back more than this share of its fall. The noise of an epoch's last batches gives back less.
const GIVEN_BACK: f64 = 0.25;
/// Besides, the rise is a tenth of the loss the run began with: who has learnt almost everything has little to lose.
const RISE_OF_FIRST: f64 = 0.1;
/// A model that learns loses more than this share of its first loss.
const FALL_OF_FIRST: f64 = 0.02;
/// Below this loss, in nats, an answer has a probability of 0.9: there was little to learn.
const NOTHING_TO_LEARN: f64 = 0.1;
/// A norm that is so many times the usual one: norms of healthy batches differ by factors of two or three.
const SPIKE: f64 = 10.0;
/// Besides, it is above the first norms by this factor: at the end of a run the usual norm is small, and a single hard text
/// is far above it without harm.
const SPIKE_OF_FIRST: f64 = 3.0;
/// One or two spikes may be two odd texts; a hundredth of all steps is the rate, the data or the precision.
const FEWEST_SPIKES: usize = 3;
const SHARE_OF_SPIKES: f64 = 0.01;
/// The validation loss ends above its lowest value by this share; below, it is what other validation texts would change.
const RISE_OF_LOWEST: f64 = 0.1;
/// And by this many nats, so that a model that is almost always right is not blamed for the last digit.
const LEAST_RISE: f64 = 0.02;
/// From this share of cut texts on, the limit is part of what the model learns.
const MANY_CUT: f64 = 0.05;

/// Something that the curves say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// The training loss rose again: the rate is too high.
    Diverged {
        /// The step from which it rose.
        from: u64,
        /// The training loss around that step.
        lowest: f64,
        /// The training loss at the end.
        last: f64,
    },
    /// The training loss has hardly fallen.
    NotLearning {
        /// At the beginning.
        first: f64,
        /// At the end.
        last: f64,
    },
    /// Again and again a gradient is far above the others.
    UnstableGradients {
        /// How many steps.
        steps: usize,
        /// Of how many.
        of: usize,
        /// The norm that half of the steps are below.
        usual: f64,
        /// The greatest norm.
        greatest: f64,
    },
    /// The validation loss rises while the training loss falls.
    Overfits {
        /// The step with the lowest validation loss.
        from: u64,
        /// That loss.
        lowest: f64,
        /// The validation loss at the end.
        last: f64,
    },
    /// Of some classes not one validation text was found by the weights that were kept.
    NeverRecognised {
        /// The classes.
        labels: Vec<String>,
        /// The only class that was, if it is one.
        only: Option<String>,
    },
    /// Many texts were cut.
    Truncated {
        /// Their share.
        share: f64,
    },
    /// There are too few steps to compare.
    TooShort {
        /// How many.
        steps: usize,
    },
    /// Nothing of the above but cut texts: the training loss fell, and the validation loss with it.
    Healthy {
        /// The training loss at the beginning.
        first: f64,
        /// At the end.
        last: f64,
        /// Step and value of the lowest validation loss.
        lowest: Option<(u64, f64)>,
    },
}

/// Everything that a history says, the gravest first.
pub fn of(history: &History) -> Vec<Finding> {
    let losses = history.finite("loss");
    if losses.is_empty() {
        return Vec::new();
    }
    let windows = tenths(&losses);
    let found = [
        diverged(&windows).or_else(|| not_learning(&windows)),
        unstable(&history.finite("grad_norm")),
        overfits(&history.finite("eval_loss"), &losses),
        never_recognised(history),
    ];
    let mut findings: Vec<Finding> = found.into_iter().flatten().collect();
    if let (true, [first, .., last]) = (findings.is_empty(), windows.as_slice()) {
        let lowest = lowest(&history.finite("eval_loss"));
        findings.push(Finding::Healthy { first: first.mean, last: last.mean, lowest });
    }
    if windows.is_empty() {
        findings.push(Finding::TooShort { steps: losses.len() });
    }
    if history.truncated >= MANY_CUT {
        findings.push(Finding::Truncated { share: history.truncated });
    }
    findings
}

fn diverged(windows: &[Window]) -> Option<Finding> {
    let (first, last) = (windows.first()?, windows.last()?);
    let lowest = windows.iter().min_by(|a, b| a.mean.total_cmp(&b.mean))?;
    let rise = last.mean - lowest.mean;
    let far = rise > GIVEN_BACK * (first.mean - lowest.mean) && rise > RISE_OF_FIRST * first.mean;
    (far && last.is_above(lowest, SURE)).then_some(Finding::Diverged {
        from: lowest.end,
        lowest: lowest.mean,
        last: last.mean,
    })
}

fn not_learning(windows: &[Window]) -> Option<Finding> {
    let (first, last) = (windows.first()?, windows.last()?);
    let fell = first.is_above(last, LIKELY) && first.mean - last.mean > FALL_OF_FIRST * first.mean;
    (!fell && last.mean > NOTHING_TO_LEARN).then_some(Finding::NotLearning { first: first.mean, last: last.mean })
}

fn unstable(norms: &[(u64, f64)]) -> Option<Finding> {
    if norms.len() < FEWEST_STEPS {
        return None;
    }
    let values = |points: &[(u64, f64)]| points.iter().map(|point| point.1).collect::<Vec<_>>();
    let (first, rest) = norms.split_at(norms.len() / 10);
    let (first, usual) = (median(values(first).into_iter())?, median(values(rest).into_iter())?);
    let limit = (SPIKE * usual).max(SPIKE_OF_FIRST * first);
    let steps = norms.iter().filter(|(_, norm)| *norm > limit).count();
    let enough = steps >= FEWEST_SPIKES && steps as f64 >= SHARE_OF_SPIKES * norms.len() as f64;
    let greatest = norms.iter().map(|point| point.1).fold(0.0, f64::max);
    enough.then_some(Finding::UnstableGradients { steps, of: norms.len(), usual, greatest })
}

fn overfits(validation: &[(u64, f64)], losses: &[(u64, f64)]) -> Option<Finding> {
    let (from, lowest) = lowest(validation)?;
    let last = validation.last()?.1;
    let rises = last - lowest > (RISE_OF_LOWEST * lowest).max(LEAST_RISE);
    // A training loss that rises as well is another illness.
    let (before, after): (Vec<_>, Vec<_>) = losses.iter().partition(|(step, _)| *step <= from);
    let length = (losses.len() / 10).max(1);
    let end = |points: &[(u64, f64)]| {
        let last = &points[points.len().saturating_sub(length)..];
        last.iter().map(|point| point.1).sum::<f64>() / last.len() as f64
    };
    (rises && end(&after) < end(&before)).then_some(Finding::Overfits { from, lowest, last })
}

/// The first of the lowest points.
fn lowest(points: &[(u64, f64)]) -> Option<(u64, f64)> {
    points.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1))
}

fn never_recognised(history: &History) -> Option<Finding> {
    let kept = |points: Vec<(u64, f64)>| match history.best_step {
        Some(best) => points.into_iter().find(|(step, _)| *step == best),
        None => points.last().copied(),
    };
    let classes = history.curves.iter().filter_map(|curve| Some((curve.class()?, kept(curve.finite())?.1)));
    let (never, ever): (Vec<_>, Vec<_>) = classes.partition(|(_, f1)| *f1 == 0.0);
    let labels = |classes: &[(&str, f64)]| classes.iter().map(|(label, _)| (*label).to_owned()).collect::<Vec<_>>();
    let only = if let [(only, _)] = ever.as_slice() { Some((*only).to_owned()) } else { None };
    (!never.is_empty()).then(|| Finding::NeverRecognised { labels: labels(&never), only })
}

impl Finding {
    /// In a word or two.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Diverged { .. } => "Rate too high",
            Self::NotLearning { .. } => "Hardly learnt",
            Self::UnstableGradients { .. } => "Unstable gradients",
            Self::Overfits { .. } => "Overfitting",
            Self::NeverRecognised { only: Some(_), .. } => "One class only",
            Self::NeverRecognised { only: None, .. } => "Class never recognised",
            Self::Truncated { .. } => "Texts cut",
            Self::TooShort { .. } => "Too short to judge",
            Self::Healthy { .. } => "Healthy",
        }
    }

    /// Whether something should be done about it.
    pub fn is_warning(&self) -> bool {
        !matches!(self, Self::Healthy { .. } | Self::TooShort { .. })
    }

    /// What was seen, and what helps.
    pub fn sentence(&self) -> String {
        match self {
            Self::Diverged { from, lowest, last } => format!(
                "The training loss rose from {lowest:.3} after step {from} to {last:.3} at the end. A lower learning rate \
                 or a longer warm-up helps; a third of the rate is a good next try."
            ),
            Self::NotLearning { first, last } => format!(
                "The training loss began at {first:.3} and ended at {last:.3}, which is no clear fall. Try more steps or \
                 another learning rate, and look whether the labels follow from the texts."
            ),
            Self::UnstableGradients { steps, of, usual, greatest } => format!(
                "In {steps} of {of} steps the gradient was more than ten times its usual norm of {usual:.3} (up to \
                 {greatest:.3}). Clipping has tamed these steps; a lower rate, larger batches or a look at odd texts helps."
            ),
            Self::Overfits { from, lowest, last } => format!(
                "After step {from} the validation loss rose from {lowest:.3} to {last:.3} while the training loss fell: the \
                 model learns these texts by heart. Fewer epochs or more texts help; early stopping ends such a run by itself."
            ),
            Self::NeverRecognised { labels, only } => never_recognised_sentence(labels, only.as_deref()),
            Self::Truncated { share } => format!(
                "{} of the texts were longer than the limit and lost a part. A higher limit, or reading them in \
                 windows, shows the model all of them.",
                percent(*share)
            ),
            Self::TooShort { steps } => {
                format!("{steps} steps are too few to see a course in their noise; {FEWEST_STEPS} are needed.")
            }
            Self::Healthy { first, last, lowest } => {
                let validation = lowest.map_or_else(String::new, |(step, loss)| {
                    format!(", and the validation loss stayed near its lowest value, {loss:.3} at step {step}")
                });
                format!("The training loss fell from {first:.3} to {last:.3}{validation}.")
            }
        }
    }
}

fn never_recognised_sentence(labels: &[String], only: Option<&str>) -> String {
    let missed: Vec<String> = labels.iter().map(|label| quoted(label)).collect();
    let found = match only {
        Some(only) => format!("Only texts of {} were recognised, none of {}", quoted(only), missed.join(", ")),
        None => format!("Not one validation text of {} was recognised", missed.join(" or ")),
    };
    found + ". Where there are such texts, balanced class weights or sampling, more steps or more of them help."
}
