use super::Tolerance;
use super::desk::{Case, Desk, Numbers, Outcome, check_case};
use crate::{Backend, EmbeddingShape};

fn cases() -> Vec<Embedding> {
    let mut cases = Vec::new();
    for tokens in [1, 2, 17, 65, 130] {
        for width in [1, 3, 8, 17, 33, 48, 64, 72, 129, 384] {
            for terms in 1..=3 {
                cases.push(Embedding { shape: EmbeddingShape { tokens, width }, terms });
            }
        }
    }
    cases
}

/// `embedding_forward` of one, two and three tables.
pub fn embedding_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    cases().into_iter().for_each(|case| check_case(&EmbeddingForward(case), backend, tolerance));
}

/// `embedding_backward`, most ids being repeated.
pub fn embedding_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    cases().into_iter().for_each(|case| check_case(&EmbeddingBackward(case), backend, tolerance));
}

/// Rows of the tables of tokens, positions and types.
const ROWS: [usize; 3] = [37, 130, 2];

#[derive(Debug)]
struct Embedding {
    shape: EmbeddingShape,
    terms: usize,
}

#[derive(Debug)]
struct EmbeddingForward(Embedding);

impl Case for EmbeddingForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let EmbeddingShape { tokens, width } = self.0.shape;
        let mut y = desk.output(tokens * width);
        let rows = &ROWS[..self.0.terms];
        let ids: Vec<_> = rows.iter().map(|&rows| numbers.indices(tokens, rows)).collect();
        let tables: Vec<_> = rows.iter().map(|&rows| desk.weight(&numbers.values(rows * width), rows, width)).collect();
        let terms: Vec<_> = ids.iter().map(Vec::as_slice).zip(&tables).collect();
        desk.backend.embedding_forward(&mut y, &terms, self.0.shape);
        vec![desk.outcome("y", &y, tokens * width)]
    }
}

#[derive(Debug)]
struct EmbeddingBackward(Embedding);

impl Case for EmbeddingBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let EmbeddingShape { tokens, width } = self.0.shape;
        let rows = ROWS[self.0.terms - 1];
        let (mut grads, span) = desk.slot(&numbers.values(rows * width));
        let dy = desk.input(&numbers.values(tokens * width));
        desk.backend.embedding_backward(&mut grads, span, &dy, &numbers.indices(tokens, rows), self.0.shape);
        vec![desk.outcome_at("dtable", &grads, span)]
    }
}
