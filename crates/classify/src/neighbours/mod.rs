//! Labelled texts that a model keeps, and which of them are nearest to another text.
//!
//! A text lies where its pooled vector is, the one that the head reads. The mean of the kept vectors is taken from each, so that
//! a direction which all texts share does not drown the others
//! ([Mu and Viswanath 2018](https://arxiv.org/abs/1702.01417)), and how similar two texts are is the cosine of what is left.
//!
//! The search is exact: every kept text is looked at. It is computed here in f32 and not as a product of the backend, which may
//! round to sixteen or eight bits; an order of neighbours does not survive that.

mod file;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod scikit_learn_tests;

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use finetone_evaluate::{Interpolation, Vote};
use rayon::prelude::*;
use serde_json::{Value, json};

pub use file::NEIGHBOURS_FILE;

/// Texts that are searched for together: each block of kept vectors is read once for all of them.
const QUERIES: usize = 32;
/// Kept vectors in a block, few enough to stay in a cache.
const BLOCK: usize = 128;
/// Sums that a product is made of. Their number fixes the order of additions, whatever the machine.
const LANES: usize = 16;

/// A labelled text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Its classes, as numbers of the model's labels.
    pub classes: Vec<usize>,
    /// Where it stands in the file that it was learnt from.
    pub line: u64,
    /// The text itself, where the model keeps it.
    pub text: Option<String>,
}

/// A labelled text near another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbour {
    /// What it is.
    pub kept: Kept,
    /// How similar both are, from −1 to 1.
    pub similarity: f32,
}

impl Neighbour {
    /// The same as JSON; `labels` are the names of the classes.
    pub fn json(&self, labels: &[String]) -> Value {
        let Self { kept: Kept { classes, line, text }, similarity } = self;
        let classes: Vec<&String> = classes.iter().map(|&class| &labels[class]).collect();
        json!({ "labels": classes, "similarity": similarity, "line": line, "text": text })
    }
}

/// The labelled texts of a model, where they lie, and what they have to say in its answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood {
    /// How the model's answers are mixed with theirs.
    pub interpolation: Interpolation,
    /// `[D]`: the mean of the vectors.
    centre: Vec<f32>,
    /// `[N, D]`: the vectors less their mean, of length one.
    vectors: Vec<f32>,
    kept: Vec<Kept>,
}

/// The place of a kept text, and how similar it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    place: usize,
    similarity: f32,
}

impl Eq for Near {}

impl Ord for Near {
    /// The more similar is the greater; of equals the first.
    fn cmp(&self, other: &Self) -> Ordering {
        self.similarity.total_cmp(&other.similarity).then(other.place.cmp(&self.place))
    }
}

impl PartialOrd for Near {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Neighbourhood {
    /// Keeps texts with their pooled vectors `[N, D]`; as yet they have no share in any answer.
    ///
    /// # Panics
    /// Without texts, or when the vectors are no rows of one for each.
    pub fn new(mut vectors: Vec<f32>, kept: Vec<Kept>) -> Self {
        let (numbers, texts) = (vectors.len(), kept.len());
        assert!(texts > 0 && numbers.is_multiple_of(texts), "{numbers} numbers are no vectors of {texts} texts");
        let width = numbers / texts;
        let mut sums = vec![0.0_f64; width];
        for vector in vectors.chunks_exact(width) {
            sums.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        let centre: Vec<f32> = sums.into_iter().map(|sum| (sum / texts as f64) as f32).collect();
        direct(&mut vectors, &centre);
        Self { interpolation: Interpolation::default(), centre, vectors, kept }
    }

    /// Number of texts, N.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether there are none, which there never are.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether the texts themselves are kept.
    pub fn has_texts(&self) -> bool {
        self.kept.iter().all(|kept| kept.text.is_some())
    }

    /// Bytes of the vectors.
    pub fn bytes(&self) -> usize {
        size_of_val(self.vectors.as_slice())
    }

    /// Numbers of a vector, D.
    fn width(&self) -> usize {
        self.centre.len()
    }

    /// For each of the texts with these pooled vectors `[n, D]` the `count` nearest, or all if there are fewer, the nearest
    /// first; of equally near ones the first.
    pub fn nearest(&self, vectors: &[f32], count: usize) -> Vec<Vec<Near>> {
        let mut queries = vectors.to_vec();
        direct(&mut queries, &self.centre);
        let groups = queries.par_chunks(QUERIES * self.width());
        groups.flat_map_iter(|group| self.nearest_to(group, count)).collect()
    }

    fn nearest_to(&self, queries: &[f32], count: usize) -> Vec<Vec<Near>> {
        let width = self.width();
        let mut found: Vec<Nearest> = queries.chunks_exact(width).map(|_| Nearest::new(count)).collect();
        for (block, vectors) in self.vectors.chunks(BLOCK * width).enumerate() {
            for (query, nearest) in queries.chunks_exact(width).zip(&mut found) {
                for (place, vector) in vectors.chunks_exact(width).enumerate() {
                    nearest.offer(Near { place: block * BLOCK + place, similarity: product(query, vector) });
                }
            }
        }
        found.into_iter().map(Nearest::in_order).collect()
    }

    /// The votes of texts that were found.
    pub fn votes_of(&self, near: &[Near]) -> Vec<Vote<'_>> {
        let vote = |near: &Near| Vote { similarity: near.similarity, classes: &self.kept[near.place].classes };
        near.iter().map(vote).collect()
    }

    /// The texts that were found.
    pub fn shown(&self, near: &[Near]) -> Vec<Neighbour> {
        let shown = |near: &Near| Neighbour { kept: self.kept[near.place].clone(), similarity: near.similarity };
        near.iter().map(shown).collect()
    }
}

/// The nearest of what was looked at so far.
struct Nearest {
    count: usize,
    /// The farthest of them first.
    kept: BinaryHeap<Reverse<Near>>,
}

impl Nearest {
    fn new(count: usize) -> Self {
        Self { count, kept: BinaryHeap::new() }
    }

    fn offer(&mut self, near: Near) {
        if self.kept.len() < self.count {
            self.kept.push(Reverse(near));
        } else if let Some(mut farthest) = self.kept.peek_mut()
            && near > farthest.0
        {
            farthest.0 = near;
        }
    }

    fn in_order(self) -> Vec<Near> {
        self.kept.into_sorted_vec().into_iter().map(|Reverse(near)| near).collect()
    }
}

/// Takes the centre from vectors and makes them of length one; one that lies there stays without length.
fn direct(vectors: &mut [f32], centre: &[f32]) {
    for vector in vectors.chunks_exact_mut(centre.len()) {
        vector.iter_mut().zip(centre).for_each(|(value, centre)| *value -= centre);
        let length = vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
    }
}

/// The inner product of two vectors of length one.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut sums = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    (sums.iter().sum::<f32>() + rest).clamp(-1.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(classes: usize) -> Kept {
        Kept { classes: vec![classes], ..Kept::default() }
    }

    /// Four corners of a square around a point far from the origin.
    fn square() -> Neighbourhood {
        let vectors = [[11.0, 10.0], [10.0, 11.0], [9.0, 10.0], [10.0, 9.0]].concat();
        Neighbourhood::new(vectors, (0..4).map(kept).collect())
    }

    fn places(near: &[Near]) -> Vec<usize> {
        near.iter().map(|near| near.place).collect()
    }

    #[test]
    fn directions_from_the_centre_are_compared_and_of_equals_the_first_is_nearer() {
        let square = square();
        let near = square.nearest(&[12.0, 10.0, 10.0, 3.0], 4);
        assert_eq!(places(&near[0]), [0, 1, 3, 2]);
        assert_eq!(near[0].iter().map(|near| near.similarity).collect::<Vec<_>>(), [1.0, 0.0, 0.0, -1.0]);
        assert_eq!(places(&near[1]), [3, 0, 2, 1]);
        assert_eq!(places(&square.nearest(&[12.0, 10.0], 2)[0]), [0, 1]);
        assert_eq!(places(&square.nearest(&[10.0, 10.0], 9)[0]), [0, 1, 2, 3], "no direction, all alike");
        assert_eq!(square.shown(&near[1][..1])[0].kept.classes, [3]);
        assert_eq!(square.votes_of(&near[0][..2])[1].classes, [1]);
    }

    #[test]
    fn neither_the_other_texts_nor_the_threads_change_a_bit() {
        let width = 21;
        let number = |i: usize| ((i * 7919 % 1013) as f32 / 500.0).sin();
        let all: Vec<f32> = (0..300 * width).map(number).collect();
        let hood = Neighbourhood::new(all.clone(), (0..300).map(kept).collect());
        let queries: Vec<f32> = (0..70 * width).map(|i| number(i + 17)).collect();
        let together = hood.nearest(&queries, 10);
        let alone: Vec<Vec<Near>> = queries.chunks_exact(width).flat_map(|query| hood.nearest(query, 10)).collect();
        assert_eq!(together, alone);
        for (query, near) in queries.chunks_exact(width).zip(&together) {
            let mut query = query.to_vec();
            direct(&mut query, &hood.centre);
            let product = |place: usize| product(&query, &hood.vectors[place * width..][..width]);
            let mut every: Vec<Near> = (0..300).map(|place| Near { place, similarity: product(place) }).collect();
            every.sort_by(|a, b| b.cmp(a));
            assert_eq!(*near, every[..10]);
        }
    }
}
