//! The minimum of a smooth convex function by L-BFGS (Nocedal 1980, <https://doi.org/10.2307/2006193>): Newton's method with
//! a curvature that is guessed from the last few steps.

/// Steps whose curvature is remembered.
const MEMORY: usize = 10;
/// A function that needs more steps than this has no minimum worth waiting for.
const MOST_STEPS: usize = 5_000;
/// Trials of one line search; each halves or doubles.
const MOST_TRIALS: usize = 50;
/// A step must gain at least this share of what the slope promises.
const LEAST_GAIN: f64 = 1e-4;
/// A step must leave at most this share of the slope.
const SLOPE_LEFT: f64 = 0.9;

/// A place with the function's value and gradient there.
struct Point {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step that was taken: how far, and how the gradient changed on it.
struct Step {
    distance: Vec<f64>,
    change: Vec<f64>,
    /// `1 / (distance · change)`.
    scale: f64,
}

/// Goes from `start` to where no component of the gradient exceeds `tolerance`, or to where rounding allows no further
/// gain. `function(x, gradient)` returns the value at `x` and overwrites the gradient.
pub(super) fn minimise(
    start: Vec<f64>,
    tolerance: f64,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Vec<f64> {
    let mut gradient = vec![0.0; start.len()];
    let value = function(&start, &mut gradient);
    let mut point = Point { x: start, value, gradient };
    let mut steps: Vec<Step> = Vec::new();
    for _ in 0..MOST_STEPS {
        if point.gradient.iter().all(|g| g.abs() <= tolerance) {
            break;
        }
        let direction = descent(&point.gradient, &steps);
        // Nothing is known of the curvature at first: a step of length one is a guess that the search corrects.
        let length = if steps.is_empty() { 1.0 / dot(&point.gradient, &point.gradient).sqrt() } else { 1.0 };
        let Some(next) = search(&point, &direction, length, &mut function) else { break };
        if steps.len() == MEMORY {
            steps.remove(0);
        }
        steps.extend(Step::between(&point, &next));
        point = next;
    }
    point.x
}

impl Step {
    /// Nothing where rounding ate the curvature.
    fn between(from: &Point, to: &Point) -> Option<Self> {
        let subtract = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
        let (distance, change) = (subtract(&to.x, &from.x), subtract(&to.gradient, &from.gradient));
        let curvature = dot(&distance, &change);
        (curvature > 0.0).then(|| Self { scale: 1.0 / curvature, distance, change })
    }
}

/// The direction of Newton's step by the remembered curvature: the two loops of the paper.
fn descent(gradient: &[f64], steps: &[Step]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = vec![0.0; steps.len()];
    for (step, factor) in steps.iter().zip(&mut factors).rev() {
        *factor = step.scale * dot(&step.distance, &direction);
        add(&mut direction, -*factor, &step.change);
    }
    if let Some(last) = steps.last() {
        let size = 1.0 / (last.scale * dot(&last.change, &last.change));
        direction.iter_mut().for_each(|d| *d *= size);
    }
    for (step, factor) in steps.iter().zip(&factors) {
        let back = step.scale * dot(&step.change, &direction);
        add(&mut direction, factor - back, &step.distance);
    }
    direction
}

/// A point along the direction that meets both of Wolfe's conditions, found by halving and doubling (Lewis and Overton
/// 2013, <https://doi.org/10.1007/s10107-012-0514-2>); nothing where no gain is left.
fn search(
    from: &Point,
    direction: &[f64],
    mut length: f64,
    function: &mut impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Option<Point> {
    let slope = dot(&from.gradient, direction);
    let (mut short, mut long) = (0.0, f64::INFINITY);
    let mut gradient = vec![0.0; direction.len()];
    for _ in 0..MOST_TRIALS {
        let mut x = from.x.clone();
        add(&mut x, length, direction);
        let value = function(&x, &mut gradient);
        // Written so that a value that is no number counts as too far.
        let gains = value <= from.value + LEAST_GAIN * length * slope;
        if gains && dot(&gradient, direction) >= SLOPE_LEFT * slope {
            return Some(Point { x, value, gradient });
        }
        if gains {
            short = length
        } else {
            long = length
        }
        length = if long.is_finite() { (short + long) / 2.0 } else { 2.0 * short };
    }
    None
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(to: &mut [f64], factor: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += factor * what);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_narrow_valley_is_walked_to_its_end() {
        // Curvatures from 1 to 10,000; the minimum is where x_i = i.
        let curvature = |i: usize| 10f64.powf(i as f64 / 5.0);
        let found = minimise(vec![0.0; 21], 1e-9, |x, gradient| {
            let mut value = 0.0;
            for (i, (x, g)) in x.iter().zip(gradient).enumerate() {
                let off = x - i as f64;
                *g = curvature(i) * off;
                value += 0.5 * curvature(i) * off * off;
            }
            value
        });
        assert!(found.iter().enumerate().all(|(i, x)| (x - i as f64).abs() < 1e-8), "{found:?}");
    }

    #[test]
    fn a_function_without_curvature_far_out_is_followed_back() {
        // ln cosh is almost straight far from its minimum, where the first guesses of the curvature are useless.
        let found = minimise(vec![40.0], 1e-9, |x, gradient| {
            gradient[0] = (x[0] - 3.0).tanh();
            (x[0] - 3.0).cosh().ln()
        });
        assert!((found[0] - 3.0).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn a_start_at_the_minimum_stays_there() {
        let found = minimise(vec![2.0], 1e-9, |x, gradient| {
            gradient[0] = x[0] - 2.0;
            0.5 * (x[0] - 2.0).powi(2)
        });
        assert_eq!(found, [2.0]);
    }
}
