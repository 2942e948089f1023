//! What went on during training, as the report shows it: what the curves say, the curves, and numbers where there is one only.

use super::chart::{Axes, Line, Look, Scale, line_chart};
use super::html::Figure;
use crate::{Curve, Finding, History};

/// Curves of F1 for more classes would hide the others.
const MOST_CLASSES: usize = 8;
/// Up to here each point has a mark.
const MARKED: usize = 30;
/// Logged for programs; people have the same from other curves.
const NOT_DRAWN: [&str; 2] = ["tokens_per_second", "eval_accuracy"];

/// What stands on the page.
pub(super) struct View<'a> {
    pub(super) findings: &'a [Finding],
    /// What the upright lines mean.
    pub(super) legend: Option<String>,
    /// Titles and curves.
    pub(super) figures: Vec<(&'static str, Vec<Figure>)>,
    pub(super) numbers: Vec<Number>,
}

/// A number that there is once.
pub(super) struct Number {
    pub(super) name: String,
    pub(super) value: String,
    /// The name it is logged under.
    pub(super) key: String,
}

/// Puts a history into words and drawings.
pub(super) fn view(history: &History) -> View<'_> {
    let drawn = drawn(history);
    let of = |validation: bool| {
        let curves = drawn.iter().filter(|curve| curve.is_of_validation() == validation);
        curves.filter_map(|curve| figure(curve, history)).collect::<Vec<_>>()
    };
    let figures = [("While learning", of(false)), ("On the validation texts", of(true))];
    let figures: Vec<_> = figures.into_iter().filter(|(_, figures)| !figures.is_empty()).collect();
    let legend = if figures.is_empty() { None } else { legend(history) };
    View { findings: &history.findings, legend, figures, numbers: numbers(history) }
}

/// The curves in the order of the names that every run logs, then those of the classes, if these are few.
fn drawn(history: &History) -> Vec<&Curve> {
    let classes = history.curves.iter().filter(|curve| curve.class().is_some()).count();
    let shown = |curve: &&Curve| {
        !NOT_DRAWN.contains(&curve.key.as_str()) && (curve.class().is_none() || classes <= MOST_CLASSES)
    };
    let mut curves: Vec<&Curve> = history.curves.iter().filter(shown).collect();
    curves.sort_by_key(|curve| curve.place().unwrap_or(usize::MAX));
    curves
}

/// Numbers of the whole training, and curves of one point, which would show nothing.
pub(super) fn numbers(history: &History) -> Vec<Number> {
    let single = drawn(history).into_iter().filter(|curve| curve.points.len() == 1);
    let number = |curve: &Curve, at: String| {
        let value = curve.points.last()?.1;
        let unit = if curve.unit.is_empty() { String::new() } else { format!(" {}", curve.unit) };
        Some(Number { name: curve.name.clone() + &at, value: short(value) + &unit, key: curve.key.clone() })
    };
    let single = single.filter_map(|curve| number(curve, format!(" at step {}", curve.points[0].0)));
    single.chain(history.summary.iter().filter_map(|curve| number(curve, String::new()))).collect()
}

fn legend(history: &History) -> Option<String> {
    let best = history.best_step.map(|step| format!("Dashed: step {step}, whose weights were kept."));
    let over = history.overfits_from().map(|step| format!("Dotted: step {step}, from which the model overfits."));
    let lines: Vec<String> = best.into_iter().chain(over).collect();
    (!lines.is_empty()).then(|| lines.join(" "))
}

/// A curve with lines at the best step and at the beginning of overfitting.
fn figure(curve: &Curve, history: &History) -> Option<Figure> {
    let points: Vec<(f64, f64)> = curve.points.iter().map(|&(step, y)| (step as f64, y)).collect();
    if points.len() < 2 {
        return None;
    }
    let finite = || curve.points.iter().filter(|point| point.1.is_finite());
    let (last, values) = (finite().next_back()?, || finite().map(|point| point.1));
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    let upright = |step: u64, look| Line::new(vec![(step as f64, low), (step as f64, high)], look);
    let best = history.best_step.map(|step| upright(step, Look::Dashed));
    let over = history.overfits_from().map(|step| upright(step, Look::Dotted));
    let look = if points.len() <= MARKED { Look::Marked } else { Look::Solid };
    let lines = best.into_iter().chain(over).chain([Line::new(points, look)]).collect();
    let description = format!("{} over training steps", curve.name);
    // The axis names the unit; names come from programs and are short, but a drawing must hold no markup.
    let unit = if curve.unit.is_empty() { &curve.name } else { &curve.unit };
    let axes = Axes { description: &description, x: "step", y: unit, scale: Scale::Free };
    let svg = line_chart(&axes, lines)?;
    let meaning = format!("{}: {} at step {}", curve.key, short(last.1), last.0);
    Some(Figure { title: curve.name.clone(), svg, meaning })
}

/// A number in as few digits as say enough, whatever its size.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e9).contains(&size) => format!("{value:.2e}"),
        size if size >= 1e3 => format!("{value:.0}"),
        _ => format!("{value:.4}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}
