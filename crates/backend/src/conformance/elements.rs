use super::desk::{Case, Desk, Numbers, Outcome, assert_same_bits, check_case};
use super::{SIZES, Tolerance};
use crate::{Activation, Backend, Dropout};

const ACTIVATIONS: [Activation; 4] = [Activation::GeluErf, Activation::GeluTanh, Activation::Relu, Activation::Tanh];

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

/// `add`.
pub fn add<B: Backend>(backend: &B, tolerance: &Tolerance) {
    lengths().for_each(|len| check_case(&Add(len), backend, tolerance));
}

/// `copy`.
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
struct Add(usize);

impl Case for Add {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (mut y, x) = (desk.changed(&numbers.values(self.0)), desk.input(&numbers.values(self.0)));
        desk.backend.add(&mut y, &x, self.0);
        vec![desk.outcome("y", &y, self.0)]
    }
}

#[derive(Debug)]
struct Copy(usize);

impl Case for Copy {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (mut y, x) = (desk.output(self.0), desk.input(&numbers.values(self.0)));
        desk.backend.copy(&mut y, &x, self.0);
        vec![desk.outcome("y", &y, self.0)]
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
        desk.backend.copy(&mut copy, &x, len);
        if let Some(dropout) = dropout {
            desk.backend.dropout(&mut sum, dropout, len);
            desk.backend.dropout(&mut copy, dropout, len);
        }
        desk.backend.add(&mut sum, &x, len);
        vec![desk.outcome("sum", &sum, len), desk.outcome("copy", &copy, len)]
    }
}
