use super::desk::{Case, Desk, Numbers, Outcome, check_case};
use super::{SIZES, Tolerance};
use crate::{AdamW, Backend, LinearShape};

/// `global_norm`.
pub fn global_norm<B: Backend>(backend: &B, tolerance: &Tolerance) {
    SIZES.into_iter().chain([1000, 70_001]).for_each(|len| check_case(&GlobalNorm(len), backend, tolerance));
}

/// Three steps of `adamw`, after which the products must use the new values.
pub fn adamw<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for (rows, columns) in [(1, 1), (1, 3), (7, 17), (16, 16), (33, 65), (129, 31), (384, 48)] {
        for weight_decay in [0.0, 0.1] {
            check_case(&AdamWCase { rows, columns, weight_decay }, backend, tolerance);
        }
    }
}

#[derive(Debug)]
struct GlobalNorm(usize);

impl Case for GlobalNorm {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let grads = desk.input(&numbers.values(self.0));
        vec![Outcome { name: "norm", values: vec![desk.backend.global_norm(&grads, self.0)] }]
    }
}

#[derive(Debug)]
struct AdamWCase {
    rows: usize,
    columns: usize,
    weight_decay: f64,
}

impl Case for AdamWCase {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let Self { rows, columns, weight_decay } = *self;
        let len = rows * columns;
        let mut weight = desk.weight(&numbers.values(len), rows, columns);
        let (mut first, span) = desk.slot(&vec![0.0; len]);
        let (mut second, _) = desk.slot(&vec![0.0; len]);
        for step in 1..=3 {
            // Away from zero, where the first steps amplify the rounding of the gradient to that of its sign.
            let away = |g: f64| if g < 0.0 { g - 0.25 } else { g + 0.25 };
            let (grads, _) = desk.slot(&numbers.values(len).into_iter().map(away).collect::<Vec<_>>());
            let rates =
                AdamW { rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, step, gradient_scale: 0.5 };
            desk.backend.adamw(&mut weight, (&mut first, &mut second), &grads, span, &rates);
        }
        let shape = LinearShape { rows: 3, inputs: columns, outputs: rows };
        let (mut y, mut dx) = (desk.output(3 * rows), desk.output(3 * columns));
        let (x, dy) = (desk.input(&numbers.values(3 * columns)), desk.input(&numbers.values(3 * rows)));
        desk.backend.linear_forward(&mut y, &x, &weight, None, shape);
        desk.backend.linear_backward_input(&mut dx, &dy, &weight, shape);
        vec![
            desk.outcome_of_weight("weight", &weight, len),
            desk.outcome_at("first moment", &first, span),
            desk.outcome_at("second moment", &second, span),
            desk.outcome("y after the step", &y, 3 * rows),
            desk.outcome("dx after the step", &dx, 3 * columns),
        ]
    }
}
