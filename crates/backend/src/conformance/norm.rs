use super::desk::{Case, Desk, Numbers, Outcome, check_case};
use super::{SIZES, Tolerance};
use crate::{Backend, NormKind, NormShape, NormSlots, Segments};

fn shapes() -> Vec<NormShape> {
    let mut shapes = Vec::new();
    for rows in [1, 2, 3, 17, 130] {
        for (i, width) in SIZES.into_iter().chain([48, 64, 72, 384]).enumerate() {
            // The gradient of a row of two or three values is all cancellation when ε is small beside its variance.
            let epsilon = if width <= 3 { 0.1 } else { [1e-5, 1e-12][i % 2] };
            let layer = NormShape::layer(rows, width, epsilon);
            shapes.extend([layer, NormShape { kind: NormKind::Rms, ..layer }]);
            // Queries, keys and values of a token, of which some heads are normalised, each alone.
            if rows <= 17 && width <= 100 {
                let segments =
                    [(5, 0, 3), (5, 3, 1), (4, 1, 3)].map(|(of, first, count)| Segments { of, first, count });
                shapes.push(NormShape {
                    kind: [NormKind::Rms, NormKind::Layer][i % 2],
                    segments: segments[i % 3],
                    ..layer
                });
            }
        }
    }
    shapes
}

/// Whether a norm of this shape has a bias.
fn has_bias(shape: NormShape) -> bool {
    shape.kind == NormKind::Layer
}

/// `norm_forward`.
pub fn norm_forward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    shapes().into_iter().for_each(|shape| check_case(&NormForward(shape), backend, tolerance));
}

/// `norm_backward`, with gain and bias trained and frozen.
pub fn norm_backward<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for shape in shapes() {
        let slots = [(true, true), (true, false), (false, true), (false, false)];
        for (gain, bias) in slots.into_iter().filter(|slots| has_bias(shape) || !slots.1) {
            check_case(&NormBackward { shape, gain, bias }, backend, tolerance);
        }
    }
}

/// Rows of different means, none of them nearly constant.
fn rows(shape: NormShape, numbers: &mut Numbers) -> Vec<f64> {
    let mut x = numbers.values(shape.values());
    for (i, x) in x.iter_mut().enumerate() {
        let (row, column) = (i / shape.width, i % shape.width);
        *x += (row % 5) as f64 + if column % 2 == 0 { 1.5 } else { -1.5 };
    }
    x.into_iter().map(|x| f64::from(x as f32)).collect()
}

#[derive(Debug)]
struct NormForward(NormShape);

impl Case for NormForward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let len = self.0.values();
        // What lies beside the segments stays as it is.
        let (mut y, mut stats) = (desk.changed(&numbers.values(len)), desk.output(self.0.stats()));
        let x = desk.input(&rows(self.0, numbers));
        let gain = desk.weight(&numbers.values(self.0.width), 1, self.0.width);
        let bias = desk.weight(&numbers.values(self.0.width), 1, self.0.width);
        let bias = has_bias(self.0).then_some(&bias);
        desk.backend.norm_forward(&mut y, &mut stats, &x, &gain, bias, self.0);
        vec![desk.outcome("y", &y, len), desk.outcome("stats", &stats, self.0.stats())]
    }
}

#[derive(Debug)]
struct NormBackward {
    shape: NormShape,
    gain: bool,
    bias: bool,
}

impl Case for NormBackward {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let (len, width) = (self.shape.values(), self.shape.width);
        let (mut y, mut stats) = (desk.output(len), desk.output(self.shape.stats()));
        let mut dx = desk.changed(&numbers.values(len));
        let x = desk.input(&rows(self.shape, numbers));
        let gain = desk.weight(&numbers.values(width), 1, width);
        let bias = desk.weight(&numbers.values(width), 1, width);
        let dy = desk.input(&numbers.values(len));
        let bias = has_bias(self.shape).then_some(&bias);
        desk.backend.norm_forward(&mut y, &mut stats, &x, &gain, bias, self.shape);
        // Gain and bias lie side by side in one buffer, as they do in training.
        let (mut grads, both) = desk.slot(&numbers.values(2 * width));
        let (first, second) =
            (crate::Span { len: width, ..both }, crate::Span { start: both.start + width, len: width });
        let slots = NormSlots { gain: self.gain.then_some(first), bias: self.bias.then_some(second) };
        desk.backend.norm_backward(&mut dx, (&mut grads, slots), &dy, (&x, &stats), &gain, self.shape);
        vec![desk.outcome("dx", &dx, len), desk.outcome_at("dgain and dbias", &grads, both)]
    }
}
