//! Means of neighbouring steps, with the noise they have.

/// Fewer steps than this have no tenths that could be compared.
pub const FEWEST_STEPS: usize = 20;

/// Consecutive steps of a noisy number.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Its last step.
    pub end: u64,
    pub mean: f64,
    /// Square of the standard error of the mean.
    variance: f64,
}

impl Window {
    /// The mean of these points and its standard error, as if steps were drawn independently.
    fn new(points: &[(u64, f64)]) -> Self {
        let n = points.len() as f64;
        let mean = points.iter().map(|(_, value)| value).sum::<f64>() / n;
        let squares = points.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>();
        Self { end: points.last().map_or(0, |point| point.0), mean, variance: squares / (n - 1.0).max(1.0) / n }
    }

    /// Whether it lies above another by more than `errors` standard errors of their difference.
    pub fn is_above(&self, other: &Self, errors: f64) -> bool {
        self.mean - other.mean > errors * (self.variance + other.variance).sqrt()
    }
}

/// Ten windows of equal length; what is left over belongs to the first. None for too few points.
pub fn tenths(points: &[(u64, f64)]) -> Vec<Window> {
    if points.len() < FEWEST_STEPS {
        return Vec::new();
    }
    let (length, rest) = (points.len() / 10, points.len() % 10);
    let others = points[length + rest..].chunks_exact(length).map(Window::new);
    std::iter::once(Window::new(&points[..length + rest])).chain(others).collect()
}

/// The middle value; of an even number the upper of both.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
