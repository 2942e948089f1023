use super::Tolerance;
use super::desk::{Case, Desk, Numbers, Outcome, assert_same_bits, check_case, starts};
use crate::{AttentionShape, Backend, Dropout, Mask, Queries};
use std::ops::Range;

const LENGTHS: [&[usize]; 5] = [&[1], &[2, 1, 17], &[1, 64, 1, 65], &[130, 2], &[17, 65, 130, 1, 2, 64]];
const HEADS: [(usize, usize); 6] = [(2, 4), (1, 8), (3, 16), (2, 32), (3, 64), (1, 80)];

/// Query heads, key and value heads, and the size of a head, where several queries share a key.
const SHARED: [(usize, usize, usize); 4] = [(2, 1, 4), (6, 2, 8), (3, 1, 20), (4, 2, 64)];
/// Windows shorter than a tile, of the size of one, and longer than every sequence.
const WINDOWS: [usize; 5] = [1, 3, 64, 100, 1000];

const QUERIES_AND_RATES: [(Queries, Option<f64>); 7] = [
    (Queries::All, None),
    (Queries::All, Some(0.1)),
    (Queries::All, Some(0.5)),
    (Queries::First, None),
    (Queries::First, Some(0.3)),
    (Queries::Last, None),
    (Queries::Last, Some(0.3)),
];

fn cases() -> Vec<Attention> {
    let mut cases = Vec::new();
    for (heads, head_size) in HEADS {
        for (i, lengths) in LENGTHS.into_iter().enumerate() {
            for mask in [Mask::Bidirectional, Mask::Causal] {
                for (queries, rate) in QUERIES_AND_RATES {
                    // Sharper scores than usual in one of the batches: the softmax must not overflow.
                    let sharpness = if i == 1 { 8.0 } else { 1.0 };
                    let scale = sharpness / (head_size as f64).sqrt();
                    let lengths = lengths.to_vec();
                    cases.push(Attention { lengths, heads, kv_heads: heads, head_size, mask, queries, scale, rate });
                }
            }
        }
    }
    cases.extend(of_decoders());
    cases
}

/// Heads that share keys and values, and windows: what the decoder families add.
fn of_decoders() -> Vec<Attention> {
    let mut cases = Vec::new();
    for (i, (heads, kv_heads, head_size)) in SHARED.into_iter().enumerate() {
        for (j, lengths) in LENGTHS.into_iter().enumerate() {
            let windows = WINDOWS.map(Mask::Window);
            for mask in [Mask::Causal, windows[(i + j) % 5], windows[(i + j + 2) % 5]] {
                for (queries, rate) in [(Queries::All, [None, Some(0.2)][j % 2]), (Queries::Last, None)] {
                    let (lengths, scale) = (lengths.to_vec(), 1.0 / (head_size as f64).sqrt());
                    cases.push(Attention { lengths, heads, kv_heads, head_size, mask, queries, scale, rate });
                }
            }
        }
    }
    cases
}

/// `attention_forward` with every mask, of all and of single queries, with and without dropout.
pub fn attention_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    cases().into_iter().for_each(|case| check_case(&AttentionForward(case), backend, tolerance));
}

/// `attention_backward` with every mask, of all and of single queries, with and without dropout, after the backend's own forward.
pub fn attention_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    cases().into_iter().for_each(|case| check_case(&AttentionBackward(case), backend, tolerance));
}

/// A sequence among others gives the same bits as alone, forward and backward.
pub fn attention_packing<B: Backend>(backend: &B, _tolerance: &Tolerance) {
    let desk = Desk { backend };
    for case in cases().into_iter().filter(|case| case.rate.is_none()) {
        let mut numbers = Numbers::of(&case);
        let (qkv, dy) = (case.queries_keys_values(&mut numbers), case.gradient(&mut numbers));
        let packed = case.run_on(&desk, &qkv, Some(&dy));
        for (s, pair) in starts(&case.lengths).windows(2).enumerate() {
            let tokens = pair[0] as usize..pair[1] as usize;
            let results = if case.queries == Queries::All { tokens.clone() } else { s..s + 1 };
            let alone = Attention { lengths: vec![tokens.len()], ..case.clone() };
            let (qkv, dy) = (rows(&qkv, case.tokens(), &tokens), rows(&dy, case.rows(), &results));
            for (packed, alone) in packed.iter().zip(alone.run_on(&desk, &qkv, Some(&dy))) {
                let name = packed.name;
                let (all, part) = if name == "dqkv" { (case.tokens(), &tokens) } else { (case.rows(), &results) };
                let packed = Outcome { name, values: rows(&packed.values, all, part) };
                assert_same_bits(&format!("{case:?}, tokens {tokens:?} packed and alone"), &packed, &alone);
            }
        }
    }
}

/// The rows in `part` of a matrix that has `all` of them.
fn rows(values: &[f64], all: usize, part: &Range<usize>) -> Vec<f64> {
    let width = values.len() / all;
    values[part.start * width..part.end * width].to_vec()
}

/// A token that asks alone gets the same bits as among all.
pub fn attention_queries<B: Backend>(backend: &B, _tolerance: &Tolerance) {
    let desk = Desk { backend };
    for case in cases().into_iter().filter(|case| case.queries != Queries::All) {
        let qkv = case.queries_keys_values(&mut Numbers::of(&case));
        let among_all = Attention { queries: Queries::All, ..case.clone() }.run_on(&desk, &qkv, None);
        let starts = starts(&case.lengths);
        let asking = starts.windows(2).map(|pair| match case.queries {
            Queries::First => pair[0] as usize,
            _ => pair[1] as usize - 1,
        });
        for (ours, all) in case.run_on(&desk, &qkv, None).iter().zip(among_all) {
            let values = asking.clone().flat_map(|n| rows(&all.values, case.tokens(), &(n..n + 1))).collect();
            assert_same_bits(&format!("{case:?}, alone and among all"), ours, &Outcome { name: all.name, values });
        }
    }
}

#[derive(Debug, Clone)]
struct Attention {
    lengths: Vec<usize>,
    heads: usize,
    kv_heads: usize,
    head_size: usize,
    mask: Mask,
    queries: Queries,
    scale: f64,
    rate: Option<f64>,
}

impl Attention {
    fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Rows of the results.
    fn rows(&self) -> usize {
        if self.queries == Queries::All { self.tokens() } else { self.lengths.len() }
    }

    fn width(&self) -> usize {
        self.heads * self.head_size
    }

    /// Width of queries, keys and values.
    fn qkv_width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_size
    }

    /// Runs both directions and returns `y`, `log_sums` and `dqkv`; without `dy`, forward alone.
    fn run_on<B: Backend>(&self, desk: &Desk<'_, B>, qkv: &[f64], dy: Option<&[f64]>) -> Vec<Outcome> {
        let (rows, width) = (self.rows(), self.width());
        let (mut y, mut log_sums) = (desk.output(rows * width), desk.output(rows * self.heads));
        let qkv = desk.input(qkv);
        let starts = starts(&self.lengths);
        let Self { heads, kv_heads, head_size, mask, queries, scale, .. } = *self;
        let shape = AttentionShape { starts: &starts, heads, kv_heads, head_size, mask, queries, scale };
        let dropout = self.rate.map(|rate| Dropout { seed: 11, step: 5, site: 3, rate });
        desk.backend.attention_forward(&mut y, &mut log_sums, &qkv, dropout, shape);
        let mut outcomes =
            vec![desk.outcome("y", &y, rows * width), desk.outcome("log_sums", &log_sums, rows * self.heads)];
        if let Some(dy) = dy {
            let len = self.tokens() * self.qkv_width();
            let mut dqkv = desk.output(len);
            desk.backend.attention_backward(&mut dqkv, &desk.input(dy), (&y, &log_sums), &qkv, dropout, shape);
            outcomes.push(desk.outcome("dqkv", &dqkv, len));
        }
        outcomes
    }

    fn queries_keys_values(&self, numbers: &mut Numbers) -> Vec<f64> {
        numbers.values(self.tokens() * self.qkv_width())
    }

    fn gradient(&self, numbers: &mut Numbers) -> Vec<f64> {
        numbers.values(self.rows() * self.width())
    }
}

#[derive(Debug)]
struct AttentionForward(Attention);

impl Case for AttentionForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        self.0.run_on(desk, &self.0.queries_keys_values(numbers), None)
    }
}

#[derive(Debug)]
struct AttentionBackward(Attention);

impl Case for AttentionBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (qkv, dy) = (self.0.queries_keys_values(numbers), self.0.gradient(numbers));
        self.0.run_on(desk, &qkv, Some(&dy)).split_off(2)
    }
}
