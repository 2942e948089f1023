//! Which texts to label next: those that the model is unsure about, and of these such as differ from each other.
//!
//! Uncertainty is the margin between the two most probable classes (Scheffer, Decomain and Wrobel 2001); many uncertain texts are
//! alike, and one label would do for all of them. So of the least certain those are chosen that lie furthest from each other:
//! the greedy solution of the k-centre problem (Gonzalez 1985; Sener and Savarese 2018, <https://arxiv.org/abs/1708.00489>).

/// How far the most probable class is ahead of the next, row by row of probabilities `[n, C]`.
pub fn margins(probabilities: &[f32], classes: usize) -> Vec<f32> {
    let margin = |row: &[f32]| {
        let (mut first, mut second) = (f32::NEG_INFINITY, f32::NEG_INFINITY);
        for &value in row {
            (first, second) = if value > first { (value, first) } else { (first, second.max(value)) };
        }
        first - second
    };
    probabilities.chunks_exact(classes).map(margin).collect()
}

/// The rows with the smallest margins, at most `most`, the smallest first; of equals the earlier.
pub fn least_certain(margins: &[f32], most: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..margins.len()).collect();
    rows.sort_by(|&a, &b| margins[a].total_cmp(&margins[b]).then(a.cmp(&b)));
    rows.truncate(most);
    rows
}

/// Rows of vectors `[n, width]` that lie far from each other, at most `most`: first the first, then again and again the one
/// whose nearest among the chosen is furthest away. Of rows with equal vectors one is enough, so there may be fewer.
pub fn far_apart(vectors: &[f32], width: usize, most: usize) -> Vec<usize> {
    let vector = |row: usize| &vectors[row * width..(row + 1) * width];
    let squared = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
    let mut nearest = vec![f64::INFINITY; vectors.len() / width];
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let further = |best: usize, row: usize| if nearest[row] > nearest[best] { row } else { best };
        let Some(next) = (0..nearest.len()).reduce(further).filter(|&row| nearest[row] > 0.0) else { break };
        chosen.push(next);
        nearest.iter_mut().enumerate().for_each(|(row, near)| *near = near.min(squared(vector(row), vector(next))));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_certain_come_first() {
        let margins = margins(&[0.5, 0.3, 0.2, 0.2, 0.75, 0.05, 0.4, 0.2, 0.4], 3);
        let expected = [0.2, 0.55, 0.0];
        assert!(margins.iter().zip(expected).all(|(ours, by_hand)| (ours - by_hand).abs() < 1e-6), "{margins:?}");
        assert_eq!(least_certain(&margins, 2), [2, 0]);
        assert_eq!(least_certain(&margins, 9), [2, 0, 1]);
    }

    #[test]
    fn chosen_rows_are_different() {
        // Two heaps and a point between them; the middle comes last.
        let vectors = [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 9.0, 0.0, 9.1, 0.0, 4.5, 0.0];
        assert_eq!(far_apart(&vectors, 2, 3), [0, 4, 5]);
        assert_eq!(far_apart(&vectors, 2, 9).len(), 5, "the third row is the first again");
        assert!(far_apart(&[], 2, 3).is_empty());
    }
}
