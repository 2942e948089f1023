//! Parallel coordinates as SVG: an axis for each quantity, a line for each thing that was tried.
//!
//! `kuva` draws such a picture of numbers alone; here an axis may have names, a line may leave axes out, and each line says what
//! it is where a pointer rests on it.

use std::fmt::Write;

use super::words::beginning;

/// Between two axes, and around them.
const STEP: f64 = 110.0;
const MARGIN: f64 = 60.0;
const TOP: f64 = 40.0;
const HEIGHT: f64 = 260.0;
/// No picture is drawn smaller than this share of its size; a wide one is moved sideways instead.
const SMALLEST: f64 = 0.8;
/// The longest name beside an axis, in characters.
const LONGEST: usize = 13;

/// Many quantities of many things in one picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParallelAxes {
    /// What it shows.
    pub title: String,
    /// From left to right.
    pub axes: Vec<Axis>,
    /// Those that are drawn over others come last.
    pub threads: Vec<Thread>,
}

/// One quantity.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// Places from 0, at the foot, to 1, and what stands there.
    pub ticks: Vec<(f64, String)>,
}

/// One thing: a line through its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// What it is.
    pub name: String,
    /// Its place on each axis, from 0 to 1; none where it has no value.
    pub places: Vec<Option<f64>>,
    /// How dark it is drawn, from 0 to 1.
    pub strength: f64,
}

impl ParallelAxes {
    /// The picture as an `<svg>` element; every text is escaped.
    pub(super) fn svg(&self) -> String {
        let width = 2.0 * MARGIN + STEP * self.axes.len().saturating_sub(1) as f64;
        let height = TOP + HEIGHT + 20.0;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\" fill=\"none\" font-size=\"13\" \
             style=\"min-width:{}px\">",
            escaped(&self.title),
            (SMALLEST * width).round()
        );
        self.threads.iter().for_each(|thread| line(&mut svg, thread));
        self.axes.iter().enumerate().for_each(|(number, axis)| axis_of(&mut svg, across(number), axis));
        svg + "</svg>"
    }
}

fn across(axis: usize) -> f64 {
    MARGIN + STEP * axis as f64
}

fn down(place: f64) -> f64 {
    TOP + HEIGHT * (1.0 - place.clamp(0.0, 1.0))
}

fn line(svg: &mut String, thread: &Thread) {
    let known = thread.places.iter().enumerate().filter_map(|(axis, place)| Some((axis, (*place)?)));
    let points: Vec<String> = known.map(|(axis, place)| format!("{:.0},{:.1}", across(axis), down(place))).collect();
    let strength = thread.strength.clamp(0.0, 1.0);
    let (opacity, stroke) = (0.12 + 0.8 * strength * strength, 0.8 + 1.4 * strength);
    // Writing to a text cannot fail.
    let _ = write!(
        svg,
        "<polyline points=\"{}\" stroke=\"var(--accent)\" stroke-opacity=\"{opacity:.2}\" stroke-width=\"{stroke:.1}\">\
         <title>{}</title></polyline>",
        points.join(" "),
        escaped(&thread.name)
    );
}

fn axis_of(svg: &mut String, x: f64, axis: &Axis) {
    let _ = write!(
        svg,
        "<line x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"var(--muted)\"/>\
         <text x=\"{x}\" y=\"{}\" text-anchor=\"middle\" fill=\"var(--ink)\" font-weight=\"600\">{}</text>",
        TOP + HEIGHT,
        TOP - 16.0,
        escaped(&beginning(&axis.name, LONGEST).0)
    );
    for (place, said) in &axis.ticks {
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" fill=\"var(--muted)\" stroke=\"var(--page)\" stroke-width=\"3\" paint-order=\"stroke\">{}</text>",
            x + 5.0,
            down(*place) + 4.0,
            escaped(&beginning(said, LONGEST).0)
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_pass_their_axes_at_their_values_and_leave_out_the_others() {
        let axis = |name: &str| Axis { name: name.into(), ticks: vec![(0.0, "<a>".into()), (1.0, "b".into())] };
        let thread = Thread { name: "\"x\" & y".into(), places: vec![Some(0.0), None, Some(1.0)], strength: 1.0 };
        let axes = vec![axis("rate"), axis("a name that is much too long"), axis("score")];
        let svg = ParallelAxes { title: "all".into(), axes, threads: vec![thread] }.svg();
        assert!(svg.contains("points=\"60,300.0 280,40.0\""), "{svg}");
        assert!(svg.contains("<title>&quot;x&quot; &amp; y</title>") && svg.contains("&lt;a&gt;"), "{svg}");
        assert!(svg.contains("a name that i…") && !svg.contains("<a>"), "{svg}");
    }
}
