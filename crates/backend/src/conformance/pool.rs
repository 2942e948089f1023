use super::Tolerance;
use super::desk::{Case, Desk, Numbers, Outcome, assert_same_bits, check_case, starts};
use crate::{AttentionPoolShape, Backend, PoolShape, Pooling};

const LENGTHS: [&[usize]; 4] = [&[1], &[2, 1, 17], &[64, 1, 65], &[17, 65, 130, 1, 2, 64]];
const WIDTHS: [usize; 8] = [1, 3, 17, 48, 64, 72, 129, 384];
const HOWS: [How; 7] = [
    How::Plain(Pooling::First),
    How::Plain(Pooling::Last),
    How::Plain(Pooling::Mean),
    How::Attention(1),
    How::Attention(2),
    How::Attention(100),
    How::Attention(1000),
];

fn cases() -> Vec<Pool> {
    let mut cases = Vec::new();
    for lengths in LENGTHS {
        for width in WIDTHS {
            cases.extend(HOWS.map(|how| Pool { lengths: lengths.to_vec(), width, how }));
        }
    }
    cases
}

fn check<B: Backend, C: Case>(backend: &B, tolerance: &Tolerance, plain: bool, wrap: impl Fn(Pool) -> C) {
    let wanted = cases().into_iter().filter(|case| matches!(case.how, How::Plain(_)) == plain);
    wanted.for_each(|case| check_case(&wrap(case), backend, tolerance));
}

/// `pool_forward` by first, last and mean.
pub fn pool_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    check(backend, tolerance, true, PoolForward);
}

/// `pool_backward` by first, last and mean.
pub fn pool_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    check(backend, tolerance, true, PoolBackward);
}

/// `attention_pool_forward`, attending to fewer and to more tokens than there are.
pub fn attention_pool_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    check(backend, tolerance, false, PoolForward);
}

/// `attention_pool_backward`, after the backend's own forward, with the query trained and frozen.
pub fn attention_pool_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    check(backend, tolerance, false, PoolBackward);
    check(backend, tolerance, false, FrozenPoolBackward);
}

/// A sequence among others gives the same bits as alone, forward and backward, for every way of pooling.
pub fn pool_packing<B: Backend>(backend: &B, _tolerance: &Tolerance) {
    let desk = Desk { backend };
    for case in cases() {
        let mut inputs = Inputs::of(&case, &mut Numbers::of(&case));
        inputs.trained = false;
        let packed = case.forward_and_backward(&desk, &inputs);
        for (s, pair) in starts(&case.lengths).windows(2).enumerate() {
            let rows = |values: &[f64]| {
                let width = values.len() / case.tokens();
                values[pair[0] as usize * width..pair[1] as usize * width].to_vec()
            };
            let of_sequence = |values: &[f64]| values[s * case.width..][..case.width].to_vec();
            let alone = Pool { lengths: vec![case.lengths[s]], ..case.clone() };
            let alone_inputs = Inputs { x: rows(&inputs.x), dy: of_sequence(&inputs.dy), ..inputs.clone() };
            for (packed, alone) in packed.iter().zip(alone.forward_and_backward(&desk, &alone_inputs)) {
                let cut = if packed.name == "y" { of_sequence(&packed.values) } else { rows(&packed.values) };
                let packed = Outcome { name: packed.name, values: cut };
                assert_same_bits(&format!("{case:?}, sequence {s} packed and alone"), &packed, &alone);
            }
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum How {
    Plain(Pooling),
    Attention(usize),
}

#[derive(Debug, Clone)]
struct Pool {
    lengths: Vec<usize>,
    width: usize,
    how: How,
}

#[derive(Clone)]
struct Inputs {
    x: Vec<f64>,
    dy: Vec<f64>,
    query: Vec<f64>,
    dquery: Vec<f64>,
    trained: bool,
}

impl Inputs {
    fn of(pool: &Pool, numbers: &mut Numbers) -> Self {
        let x = numbers.values(pool.tokens() * pool.width);
        let dy = numbers.values(pool.lengths.len() * pool.width);
        let (query, dquery) = (numbers.scaled(pool.width, 2.0), numbers.values(pool.width));
        Self { x, dy, query, dquery, trained: true }
    }
}

impl Pool {
    fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// `y`, `dx` and, of attention, the probabilities and, of a trained query, its gradient.
    fn forward_and_backward<B: Backend>(&self, desk: &Desk<'_, B>, inputs: &Inputs) -> Vec<Outcome> {
        let (tokens, width) = (self.tokens(), self.width);
        let (mut y, mut dx) = (desk.output(inputs.dy.len()), desk.output(inputs.x.len()));
        let (x, dy) = (desk.input(&inputs.x), desk.input(&inputs.dy));
        let starts = &starts(&self.lengths);
        let mut more = Vec::new();
        match self.how {
            How::Plain(pooling) => {
                let shape = PoolShape { starts, width };
                desk.backend.pool_forward(&mut y, &x, pooling, shape);
                desk.backend.pool_backward(&mut dx, &dy, pooling, shape);
            }
            How::Attention(last) => {
                let shape = AttentionPoolShape { starts, width, last };
                let query = desk.weight(&inputs.query, 1, width);
                let mut p = desk.output(tokens);
                desk.backend.attention_pool_forward(&mut y, &mut p, &x, &query, shape);
                let (mut grads, span) = desk.slot(&inputs.dquery);
                let slot = inputs.trained.then_some(span);
                desk.backend.attention_pool_backward(&mut dx, (&mut grads, slot), &dy, (&x, &p), &query, shape);
                more.push(desk.outcome("probabilities", &p, tokens));
                more.extend(inputs.trained.then(|| desk.outcome_at("dquery", &grads, span)));
            }
        }
        let mut outcomes = vec![desk.outcome("y", &y, inputs.dy.len()), desk.outcome("dx", &dx, inputs.x.len())];
        outcomes.extend(more);
        outcomes
    }
}

#[derive(Debug)]
struct PoolForward(Pool);

impl Case for PoolForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let mut outcomes = self.0.forward_and_backward(desk, &Inputs::of(&self.0, numbers));
        outcomes.retain(|outcome| !outcome.name.starts_with('d'));
        outcomes
    }
}

#[derive(Debug)]
struct PoolBackward(Pool);

impl Case for PoolBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let mut outcomes = self.0.forward_and_backward(desk, &Inputs::of(&self.0, numbers));
        outcomes.retain(|outcome| outcome.name.starts_with('d'));
        outcomes
    }
}

#[derive(Debug)]
struct FrozenPoolBackward(Pool);

impl Case for FrozenPoolBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let mut inputs = Inputs::of(&self.0, numbers);
        inputs.trained = false;
        let mut outcomes = self.0.forward_and_backward(desk, &inputs);
        outcomes.retain(|outcome| outcome.name.starts_with('d'));
        outcomes
    }
}
