use super::desk::{Case, Desk, Numbers, Outcome, assert_same_bits, check_case};
use super::{SIZES, Tolerance};
use crate::{Activation, Backend, Columns, ColumnsShape, Dropout, GatedShape, RotaryShape, Segments, Turn};

const ACTIVATIONS: [Activation; 5] =
    [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh, Activation::Silu];

/// Long enough that a backend which divides its work does so.
fn lengths() -> impl Iterator<Item = usize> {
    SIZES.into_iter().chain([1000, 70_001])
}

/// `activation_forward` of every activation.
pub fn activation_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for len in lengths() {
        ACTIVATIONS.into_iter().for_each(|f| check_case(&ActivationForward(f, len), backend, tolerance));
    }
}

/// `activation_backward` of every activation.
pub fn activation_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for len in lengths() {
        ACTIVATIONS.into_iter().for_each(|f| check_case(&ActivationBackward(f, len), backend, tolerance));
    }
}

/// `gated_forward` of every activation.
pub fn gated_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    gated_shapes().for_each(|(f, shape)| check_case(&GatedForward(f, shape), backend, tolerance));
}

/// `gated_backward` of every activation: the gradients, and the value of forward once more.
pub fn gated_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    gated_shapes().for_each(|(f, shape)| check_case(&GatedBackward(f, shape), backend, tolerance));
}

fn gated_shapes() -> impl Iterator<Item = (Activation, GatedShape)> {
    let shapes = SIZES.into_iter().enumerate().map(|(i, width)| GatedShape { rows: [1, 3, 300][i % 3], width });
    shapes.chain([GatedShape { rows: 2, width: 20_011 }]).flat_map(|shape| ACTIVATIONS.map(|f| (f, shape)))
}

/// `rotary`, both ways, of all heads and of some.
pub fn rotary<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for (i, head_size) in [2, 6, 8, 18, 32, 34, 64, 80, 128].into_iter().enumerate() {
        for tokens in [1, 3, 130] {
            for turn in [Turn::Forward, Turn::Backward] {
                let segments = [(3, 0, 2), (6, 0, 5), (1, 0, 1), (5, 2, 2)][i % 4];
                let segments = Segments { of: segments.0, first: segments.1, count: segments.2 };
                check_case(&Rotary(RotaryShape { tokens, head_size, segments, turn }), backend, tolerance);
            }
        }
    }
}

/// `add`.
pub fn add<B: Backend>(backend: &B, tolerance: &Tolerance) {
    lengths().for_each(|len| check_case(&Add(len), backend, tolerance));
}

/// `add_columns`, of whole rows and of parts, to the start of a row and behind it.
pub fn add_columns<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for (i, count) in SIZES.into_iter().chain([20_011]).enumerate() {
        for (to, from) in [((0, 0), (0, 0)), ((3, 2), (0, 0)), ((0, 4), (5, 1)), ((17, 0), (2, 2))] {
            let columns = |(before, behind)| Columns { of: before + count + behind, first: before };
            let rows = [1, 3, 300][i % 3];
            let shape = ColumnsShape { rows, count, to: columns(to), from: columns(from) };
            check_case(&AddColumns(shape), backend, tolerance);
        }
    }
}

/// `copy`, to the start and behind it.
pub fn copy<B: Backend>(backend: &B, tolerance: &Tolerance) {
    lengths().for_each(|len| check_case(&Copy(len), backend, tolerance));
}

/// `dropout`, whose mask must be that of [`Dropout::keeps`].
pub fn dropout<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for len in lengths() {
        for (site, rate) in [(0, 0.0), (1, 0.1), (2, 0.5), (3, 0.9)] {
            let dropout = Dropout { seed: 0x1234_5678_9abc, step: 7, site, rate };
            check_case(&DropoutCase(dropout, len), backend, tolerance);
            let desk = Desk { backend };
            let mut x = desk.changed(&vec![1.0; len]);
            backend.dropout(&mut x, dropout, len);
            for (i, x) in desk.read(&x, len).into_iter().enumerate() {
                let keeps = dropout.keeps(i as u64);
                assert!((x != 0.0) == keeps, "{dropout:?} made 1 at {i} of {len} a {x}, the mask keeps it: {keeps}");
            }
        }
    }
}

/// `dropout_add` and `dropout_copy`: what the plain operations give one after the other, to the last bit.
pub fn dropout_fused<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for len in lengths() {
        for rate in [None, Some(0.1), Some(0.5)] {
            let case =
                DropoutFused { dropout: rate.map(|rate| Dropout { seed: 5, step: 1 << 33, site: 2, rate }), len };
            check_case(&case, backend, tolerance);
            let desk = Desk { backend };
            let fused = case.run(&desk, &mut Numbers::of(&case));
            for (fused, plain) in fused.iter().zip(&case.compose(&desk, &mut Numbers::of(&case))) {
                assert_same_bits(&format!("{case:?}, fused and composed"), fused, plain);
            }
        }
    }
}

/// Values where an activation bends, and where it is flat or a straight line.
fn arguments(len: usize, numbers: &mut Numbers) -> Vec<f64> {
    let mut x = numbers.scaled(len, 4.0);
    for (x, special) in x.iter_mut().skip(1).step_by(3).zip([0.0, -0.0, 40.0, -40.0, 0.0009765625, -0.0009765625, -9.5])
    {
        *x = special;
    }
    x
}

#[derive(Debug)]
struct ActivationForward(Activation, usize);

impl Case for ActivationForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self(activation, len) = *self;
        let (mut y, x) = (desk.output(len), desk.input(&arguments(len, numbers)));
        desk.backend.activation_forward(&mut y, &x, activation, len);
        vec![desk.outcome("y", &y, len)]
    }
}

#[derive(Debug)]
struct ActivationBackward(Activation, usize);

impl Case for ActivationBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self(activation, len) = *self;
        let (mut dx, x) = (desk.output(len), desk.input(&arguments(len, numbers)));
        let dy = desk.input(&numbers.values(len));
        desk.backend.activation_backward(&mut dx, &dy, &x, activation, len);
        vec![desk.outcome("dx", &dx, len)]
    }
}

#[derive(Debug)]
struct GatedForward(Activation, GatedShape);

impl Case for GatedForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self(activation, shape) = *self;
        let len = shape.rows * shape.width;
        let (mut y, x) = (desk.output(len), desk.input(&arguments(2 * len, numbers)));
        desk.backend.gated_forward(&mut y, &x, activation, shape);
        vec![desk.outcome("y", &y, len)]
    }
}

#[derive(Debug)]
struct GatedBackward(Activation, GatedShape);

impl Case for GatedBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self(activation, shape) = *self;
        let len = shape.rows * shape.width;
        let (mut dx, x) = (desk.output(2 * len), desk.input(&arguments(2 * len, numbers)));
        let mut y = desk.changed(&numbers.values(len));
        desk.backend.gated_backward(&mut dx, &mut y, &x, activation, shape);
        vec![desk.outcome("dx", &dx, 2 * len), desk.outcome("y", &y, len)]
    }
}

#[derive(Debug)]
struct Rotary(RotaryShape);

impl Case for Rotary {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let RotaryShape { tokens, head_size, segments, .. } = self.0;
        let len = tokens * segments.of * head_size;
        // Nothing but the rows that positions name is looked at, so the table may be any numbers.
        let table = desk.input(&numbers.values(9 * head_size));
        let positions = numbers.indices(tokens, 9);
        let mut x = desk.changed(&numbers.values(len));
        desk.backend.rotary(&mut x, &table, &positions, self.0);
        vec![desk.outcome("x", &x, len)]
    }
}

#[derive(Debug)]
struct Add(usize);

impl Case for Add {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (mut y, x) = (desk.changed(&numbers.values(self.0)), desk.input(&numbers.values(self.0)));
        desk.backend.add(&mut y, &x, self.0);
        vec![desk.outcome("y", &y, self.0)]
    }
}

#[derive(Debug)]
struct AddColumns(ColumnsShape);

impl Case for AddColumns {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (to, from) = self.0.values();
        let (mut y, x) = (desk.changed(&numbers.values(to)), desk.input(&numbers.values(from)));
        desk.backend.add_columns(&mut y, &x, -1.25, self.0);
        vec![desk.outcome("y", &y, to)]
    }
}

#[derive(Debug)]
struct Copy(usize);

impl Case for Copy {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (mut y, x) = (desk.output(self.0), desk.input(&numbers.values(self.0)));
        desk.backend.copy((&mut y, 0), &x, self.0);
        // What lies before the place stays as it is.
        let (before, mut all) = (7, desk.changed(&numbers.values(self.0 + 7)));
        desk.backend.copy((&mut all, before), &x, self.0);
        vec![desk.outcome("y", &y, self.0), desk.outcome("all", &all, self.0 + before)]
    }
}

#[derive(Debug)]
struct DropoutCase(Dropout, usize);

impl Case for DropoutCase {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let mut x = desk.changed(&numbers.values(self.1));
        desk.backend.dropout(&mut x, self.0, self.1);
        vec![desk.outcome("x", &x, self.1)]
    }
}

#[derive(Debug)]
struct DropoutFused {
    dropout: Option<Dropout>,
    len: usize,
}

impl Case for DropoutFused {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self { dropout, len } = *self;
        let (mut sum, x) = (desk.changed(&numbers.values(len)), desk.input(&numbers.values(len)));
        desk.backend.dropout_add(&mut sum, &x, dropout, len);
        let mut outcomes = vec![desk.outcome("sum", &sum, len)];
        if let Some(dropout) = dropout {
            let mut copy = desk.output(len);
            desk.backend.dropout_copy(&mut copy, &x, dropout, len);
            outcomes.push(desk.outcome("copy", &copy, len));
        }
        outcomes
    }
}

impl DropoutFused {
    /// The same by `dropout`, `add` and `copy`.
    fn compose<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self { dropout, len } = *self;
        let (mut sum, x) = (desk.changed(&numbers.values(len)), desk.input(&numbers.values(len)));
        let mut copy = desk.output(len);
        desk.backend.copy((&mut copy, 0), &x, len);
        if let Some(dropout) = dropout {
            desk.backend.dropout(&mut sum, dropout, len);
            desk.backend.dropout(&mut copy, dropout, len);
        }
        desk.backend.add(&mut sum, &x, len);
        vec![desk.outcome("sum", &sum, len), desk.outcome("copy", &copy, len)]
    }
}
