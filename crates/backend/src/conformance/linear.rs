use super::desk::{Case, Desk, Numbers, Outcome, check_case};
use super::{SIZES, Tolerance};
use crate::{Activation, Backend, LinearShape, Span};

/// Every size as number of rows beside three pairs of other sizes as widths, and the widths of real models.
fn shapes() -> Vec<LinearShape> {
    let size = |i: usize| SIZES[i % SIZES.len()];
    let mut shapes = Vec::new();
    for i in 0..SIZES.len() {
        for k in 0..3 {
            shapes.push((size(i), size(i + 5 * k + 1), size(3 * i + 9 * k + 2)));
        }
    }
    shapes.extend([(17, 384, 1152), (130, 384, 48), (129, 64, 384), (1, 384, 3), (2, 72, 2), (33, 384, 384)]);
    shapes.into_iter().map(|(rows, inputs, outputs)| LinearShape { rows, inputs, outputs }).collect()
}

/// `linear_forward`, with and without bias.
pub fn linear_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for shape in shapes() {
        check_case(&LinearForward { shape, bias: true }, backend, tolerance);
        check_case(&LinearForward { shape, bias: false }, backend, tolerance);
    }
}

/// `linear_backward_input`.
pub fn linear_backward_input<B: Backend>(backend: &B, tolerance: &Tolerance) {
    shapes().into_iter().for_each(|shape| check_case(&LinearBackwardInput(shape), backend, tolerance));
}

/// `linear_backward_weight`.
pub fn linear_backward_weight<B: Backend>(backend: &B, tolerance: &Tolerance) {
    shapes().into_iter().for_each(|shape| check_case(&LinearBackwardWeight(shape), backend, tolerance));
}

/// `linear_backward_bias`.
pub fn linear_backward_bias<B: Backend>(backend: &B, tolerance: &Tolerance) {
    shapes().into_iter().for_each(|shape| check_case(&LinearBackwardBias(shape), backend, tolerance));
}

/// `linear_backward_parameters`.
pub fn linear_backward_parameters<B: Backend>(backend: &B, tolerance: &Tolerance) {
    shapes().into_iter().for_each(|shape| check_case(&LinearBackwardParameters(shape), backend, tolerance));
}

/// `linear_activation_forward`, with what lies before the activation kept and not.
pub fn linear_activation_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for shape in shapes() {
        for (activation, keep) in [(Activation::GeluErf, true), (Activation::GeluTanh, false), (Activation::Relu, true)]
        {
            check_case(&LinearActivationForward { shape, activation, keep }, backend, tolerance);
        }
    }
}

/// `linear_activation_backward`.
pub fn linear_activation_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for shape in shapes() {
        for activation in [Activation::GeluErf, Activation::GeluTanh] {
            check_case(&LinearActivationBackward { shape, activation }, backend, tolerance);
        }
    }
}

#[derive(Debug)]
struct LinearActivationForward {
    shape: LinearShape,
    activation: Activation,
    keep: bool,
}

impl Case for LinearActivationForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let LinearShape { rows, inputs, outputs } = self.shape;
        let len = rows * outputs;
        let (mut y, mut inner) = (desk.output(len), desk.output(len));
        let x = desk.input(&numbers.values(rows * inputs));
        let weight = desk.weight(&numbers.values(outputs * inputs), outputs, inputs);
        let bias = desk.weight(&numbers.values(outputs), 1, outputs);
        let (outputs, weights) = ((&mut y, &mut inner), (&weight, Some(&bias)));
        desk.backend.linear_activation_forward(outputs, &x, weights, self.activation, self.shape, self.keep);
        let kept = self.keep.then(|| desk.outcome("inner", &inner, len));
        [desk.outcome("y", &y, len)].into_iter().chain(kept).collect()
    }
}

#[derive(Debug)]
struct LinearActivationBackward {
    shape: LinearShape,
    activation: Activation,
}

impl Case for LinearActivationBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let LinearShape { rows, inputs, outputs } = self.shape;
        let len = rows * inputs;
        let (mut dinner, mut activated) = (desk.output(len), desk.output(len));
        let dy = desk.input(&numbers.values(rows * outputs));
        let weight = desk.weight(&numbers.values(outputs * inputs), outputs, inputs);
        let inner = desk.input(&numbers.scaled(len, 3.0));
        let outputs = (&mut dinner, &mut activated);
        desk.backend.linear_activation_backward(outputs, &dy, &weight, &inner, self.activation, self.shape);
        vec![desk.outcome("dinner", &dinner, len), desk.outcome("activated", &activated, len)]
    }
}

#[derive(Debug)]
struct LinearForward {
    shape: LinearShape,
    bias: bool,
}

impl Case for LinearForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let LinearShape { rows, inputs, outputs } = self.shape;
        let mut y = desk.output(rows * outputs);
        let x = desk.input(&numbers.values(rows * inputs));
        let weight = desk.weight(&numbers.values(outputs * inputs), outputs, inputs);
        let bias = self.bias.then(|| desk.weight(&numbers.values(outputs), 1, outputs));
        desk.backend.linear_forward(&mut y, &x, &weight, bias.as_ref(), self.shape);
        vec![desk.outcome("y", &y, rows * outputs)]
    }
}

#[derive(Debug)]
struct LinearBackwardInput(LinearShape);

impl Case for LinearBackwardInput {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let LinearShape { rows, inputs, outputs } = self.0;
        let mut dx = desk.output(rows * inputs);
        let dy = desk.input(&numbers.values(rows * outputs));
        let weight = desk.weight(&numbers.values(outputs * inputs), outputs, inputs);
        desk.backend.linear_backward_input(&mut dx, &dy, &weight, self.0);
        vec![desk.outcome("dx", &dx, rows * inputs)]
    }
}

#[derive(Debug)]
struct LinearBackwardWeight(LinearShape);

impl Case for LinearBackwardWeight {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let LinearShape { rows, inputs, outputs } = self.0;
        let (mut grads, span) = desk.slot(&numbers.values(outputs * inputs));
        let dy = desk.input(&numbers.values(rows * outputs));
        let x = desk.input(&numbers.values(rows * inputs));
        desk.backend.linear_backward_weight(&mut grads, span, &dy, &x, self.0);
        vec![desk.outcome_at("dweight", &grads, span)]
    }
}

#[derive(Debug)]
struct LinearBackwardParameters(LinearShape);

impl Case for LinearBackwardParameters {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let LinearShape { rows, inputs, outputs } = self.0;
        let (mut grads, both) = desk.slot(&numbers.values(outputs * inputs + outputs));
        let dweight = Span { len: outputs * inputs, ..both };
        let dbias = Span { start: both.start + dweight.len, len: outputs };
        let dy = desk.input(&numbers.values(rows * outputs));
        let x = desk.input(&numbers.values(rows * inputs));
        desk.backend.linear_backward_parameters(&mut grads, (dweight, dbias), &dy, &x, self.0);
        vec![desk.outcome_at("dweight and dbias", &grads, both)]
    }
}

#[derive(Debug)]
struct LinearBackwardBias(LinearShape);

impl Case for LinearBackwardBias {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (mut grads, span) = desk.slot(&numbers.values(self.0.outputs));
        let dy = desk.input(&numbers.values(self.0.rows * self.0.outputs));
        desk.backend.linear_backward_bias(&mut grads, span, &dy, self.0);
        vec![desk.outcome_at("dbias", &grads, span)]
    }
}
