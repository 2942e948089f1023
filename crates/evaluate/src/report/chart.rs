//! Line charts as SVG, drawn by `kuva`; nothing else in this crate knows that library.
//!
//! Colours are CSS variables of the page, so that one drawing serves light and dark. Titles stand in the page and not in the
//! drawing.

use kuva::backend::svg::SvgBackend;
use kuva::plot::{LinePlot, MarkerShape, ScatterPlot};
use kuva::render::layout::{AxisLabelOverlap, Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;
use kuva::render::theme::Theme;

const INK: &str = "var(--muted)";
const GRID: &str = "var(--line)";
const ACCENT: &str = "var(--accent)";
const WARNING: &str = "var(--warn)";
const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 280.0;
/// A chart of this width shows no more points than this.
const MOST_POINTS: usize = 500;

/// What stands along the axes and how far they reach.
pub(super) struct Axes<'a> {
    /// What the chart shows, for readers who do not see it.
    pub(super) description: &'a str,
    pub(super) x: &'a str,
    pub(super) y: &'a str,
    pub(super) scale: Scale,
}

/// How far axes reach.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// As far as there are points.
    Free,
    /// The vertical axis from 0 as far as there are points, or to 1 where all of them are 0.
    FromZero,
    /// The vertical axis from 0 to 1.
    Shares,
    /// Both axes from 0 to 1.
    UnitSquare,
}

/// One line.
pub(super) struct Line {
    pub(super) points: Vec<(f64, f64)>,
    /// Radius of the mark of each point, or nothing where all are alike.
    pub(super) marks: Vec<f64>,
    pub(super) look: Look,
}

impl Line {
    pub(super) fn new(points: Vec<(f64, f64)>, look: Look) -> Self {
        Self { points, marks: Vec::new(), look }
    }
}

/// How a line is drawn.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Look {
    /// The data.
    Solid,
    /// The data, few enough that each point has a mark.
    Marked,
    /// Something to compare with.
    Dashed,
    /// Something to beware of.
    Dotted,
    /// Data that others are shown before.
    Faint,
}

/// The chart as an `<svg>` element, or nothing if there is no point to draw.
pub(super) fn line_chart(axes: &Axes, lines: Vec<Line>) -> Option<String> {
    let lines: Vec<Line> = lines.into_iter().map(drawable).filter(|l| !l.points.is_empty()).collect();
    if lines.iter().all(|line| matches!(line.look, Look::Dashed | Look::Dotted)) {
        return None;
    }
    let most = |of: fn(&(f64, f64)) -> f64| lines.iter().flat_map(|line| &line.points).map(of).fold(0.0, f64::max);
    let (steps, highest) = (most(|point| point.0), most(|point| point.1));
    let plots: Vec<Plot> = lines.into_iter().flat_map(plots).collect();
    let mut layout = Layout::auto_from_plots(&plots)
        .with_width(WIDTH)
        .with_height(HEIGHT)
        .with_x_label(axes.x)
        .with_y_label(axes.y)
        .with_theme(theme())
        .with_label_size(13)
        .with_tick_size(12)
        .with_axis_line_width(1.0)
        .with_grid_line_width(1.0)
        .with_x_label_overlap(AxisLabelOverlap::Thin);
    layout = match axes.scale {
        Scale::Free => layout,
        Scale::FromZero if highest > 0.0 => layout.with_y_axis_min(0.0),
        Scale::FromZero | Scale::Shares | Scale::UnitSquare => {
            layout.with_y_axis_min(0.0).with_y_axis_max(1.0).with_y_tick_step(0.2)
        }
    };
    layout = if axes.scale == Scale::UnitSquare {
        let layout = layout.with_x_axis_min(0.0).with_x_axis_max(1.0).with_x_tick_step(0.2);
        layout.with_tick_format(TickFormat::Fixed(1))
    } else {
        let layout = layout.with_x_axis_min(0.0).with_x_axis_max(steps.max(1.0)).with_ticks(5);
        layout.with_y_tick_format(TickFormat::Custom(std::sync::Arc::new(tick)))
    };
    let svg = SvgBackend::new().render_scene(&render_multiple(plots, layout));
    Some(embedded(&svg, axes.description))
}

/// Only finite points, and not more than can be seen.
fn drawable(mut line: Line) -> Line {
    line.points.retain(|(x, y)| x.is_finite() && y.is_finite());
    let last = line.points.len().saturating_sub(1);
    if last >= MOST_POINTS {
        let kept = (0..MOST_POINTS).map(|i| line.points[i * last / (MOST_POINTS - 1)]);
        line.points = kept.collect();
    }
    line
}

fn plots(line: Line) -> Vec<Plot> {
    let path = LinePlot::new().with_data(line.points.iter().copied());
    if line.look == Look::Dashed {
        let path = path.with_color(INK).with_stroke_width(1.2).with_dashed();
        return vec![Plot::Line(path)];
    }
    if line.look == Look::Dotted {
        return vec![Plot::Line(path.with_color(WARNING).with_stroke_width(1.6).with_dotted())];
    }
    if line.look == Look::Faint {
        return vec![Plot::Line(path.with_color(INK).with_stroke_width(0.8))];
    }
    let mut plots = vec![Plot::Line(path.with_color(ACCENT).with_stroke_width(2.0))];
    // A line of one point would not be seen.
    if line.look == Look::Marked || line.points.len() == 1 {
        let mut marks = ScatterPlot::new().with_data(line.points).with_color(ACCENT).with_size(3.5);
        if !line.marks.is_empty() {
            marks = marks.with_sizes(line.marks);
        }
        plots.push(Plot::Scatter(marks.with_marker(MarkerShape::Circle)));
    }
    plots
}

fn theme() -> Theme {
    let (ink, grid) = (INK.to_owned(), GRID.to_owned());
    Theme {
        background: "none".into(),
        axis_color: grid.clone(),
        grid_color: grid.clone(),
        tick_color: grid,
        text_color: ink,
        font_family: Some("inherit".into()),
        ..Theme::light()
    }
}

/// A number as short as it can be said, so that learning rates and losses both fit beside an axis.
fn tick(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if value.abs() < 1e-3 || value.abs() >= 1e5 {
        let text = format!("{value:.1e}");
        return text.replace(".0e", "e");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The drawing with a size that follows the page and a description.
fn embedded(svg: &str, description: &str) -> String {
    let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
    let body = without(&without(body, "<defs>", "</defs>"), " clip-path=\"", "\"");
    let description = description.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
    let open =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{description}\" fill=\"{INK}\">");
    open + &body
}

/// Everything but what lies between the two marks, marks included. The library clips every plot by a number that counts all
/// plots of the process: the same report would be another file each time, and a mark at the edge of a plot would be halved.
fn without(text: &str, from: &str, to: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(from) {
        kept.push_str(&rest[..start]);
        let after = &rest[start + from.len()..];
        rest = after.find(to).map_or("", |end| &after[end + to.len()..]);
    }
    kept + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short() {
        let said = [0.0, 0.00005, 0.25, 1.0, 1.5e-5, 250_000.0].map(tick);
        assert_eq!(said, ["0", "5e-5", "0.25", "1", "1.5e-5", "2.5e5"]);
    }

    #[test]
    fn what_cannot_be_drawn_is_left_out() {
        let axes = Axes { description: "\"<x>", x: "step", y: "loss", scale: Scale::Free };
        let line = |points: &[(f64, f64)]| vec![Line::new(points.to_vec(), Look::Solid)];
        assert_eq!(line_chart(&axes, line(&[(1.0, f64::NAN)])), None);
        let svg = line_chart(&axes, line(&[(1.0, 0.5), (2.0, f64::INFINITY)])).expect("one point");
        assert!(svg.contains("<circle") && svg.contains("aria-label=\"&quot;&lt;x>\""));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn an_axis_from_zero_has_a_range_whatever_the_points() {
        let axes = Axes { description: "", x: "share", y: "share", scale: Scale::FromZero };
        for (points, greatest) in [([(0.5, 0.0), (1.0, 0.0)], ">1</text>"), ([(0.5, 0.0), (1.0, 0.02)], ">0.02</text>")]
        {
            let svg = line_chart(&axes, vec![Line::new(points.to_vec(), Look::Solid)]).expect("two points");
            assert!(svg.contains(">0</text>") && svg.contains(greatest), "{svg}");
            assert!(!svg.contains(">-") && !svg.contains(">\u{2212}"), "an axis below zero: {svg}");
        }
    }

    #[test]
    fn the_same_chart_is_the_same_text() {
        let axes = Axes { description: "", x: "step", y: "loss", scale: Scale::Free };
        let chart = || line_chart(&axes, vec![Line::new(vec![(1.0, 2.0), (2.0, 1.0)], Look::Marked)]);
        assert_eq!(chart(), chart());
        assert_eq!(without("a<x>b</x>c<x>", "<x>", "</x>"), "ac");
    }
}
