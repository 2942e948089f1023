use super::desk::{Case, Desk, Numbers, Outcome, assert_same_bits, check_case};
use super::{SIZES, Tolerance};
use crate::{AdamW, Backend, LinearShape, Span};

/// `global_norm` of everything, and of spans with gaps between them.
pub fn global_norm<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for len in SIZES.into_iter().chain([1000, 70_001]) {
        for pieces in [1, 2, 7, 300] {
            check_case(&GlobalNorm { len, pieces }, backend, tolerance);
        }
    }
}

/// Three steps of `adamw`, after which the products must use the new values.
pub fn adamw<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for (rows, columns) in [(1, 1), (1, 3), (7, 17), (16, 16), (33, 65), (129, 31), (384, 48)] {
        for weight_decay in [0.0, 0.1] {
            check_case(&AdamWCase { rows, columns, weight_decay }, backend, tolerance);
        }
    }
}

/// `adamw` on a table of which only some rows ever have a gradient: to leave the others out changes no bit.
pub fn adamw_of_rows<B: Backend>(backend: &B, _tolerance: &Tolerance) {
    let desk = Desk { backend };
    for (rows, columns) in [(1, 1), (9, 17), (700, 48), (40, 16_385)] {
        for weight_decay in [0.0, 0.1] {
            let table = Table { rows, columns, weight_decay };
            let [all, some] = [false, true].map(|leave_out| table.train(&desk, leave_out));
            for (all, some) in all.iter().zip(&some) {
                assert_same_bits(&format!("{table:?}, rows left out"), some, all);
            }
        }
    }
}

#[derive(Debug)]
struct GlobalNorm {
    len: usize,
    pieces: usize,
}

impl Case for GlobalNorm {
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome> {
        let mut values = numbers.values(self.len);
        let mut spans = Vec::new();
        let stride = self.len.div_ceil(self.pieces);
        for start in (0..self.len).step_by(stride) {
            let len = stride.min(self.len - start);
            // The last value of a piece is not asked for, unless it is the only one.
            let taken = if self.pieces > 1 && len > 1 { len - 1 } else { len };
            values[start + taken..start + len].fill(f64::NAN);
            spans.push(Span { start, len: taken });
        }
        let grads = desk.input(&values);
        vec![Outcome { name: "norm", values: vec![desk.backend.global_norm(&grads, &spans)] }]
    }
}

/// One step of a table's training.
fn update(step: u64, weight_decay: f64) -> AdamW {
    AdamW { rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay, step, gradient_scale: 0.5 }
}

#[derive(Debug)]
struct Table {
    rows: usize,
    columns: usize,
    weight_decay: f64,
}

impl Table {
    /// Six steps, each with gradients in up to three rows; with `leave_out` the optimiser is told of the rows so far.
    fn train<B: Backend>(&self, desk: &Desk<'_, B>, leave_out: bool) -> Vec<Outcome> {
        let Self { rows, columns, weight_decay } = *self;
        let (len, mut numbers) = (rows * columns, Numbers::of(self));
        let mut weight = desk.weight(&numbers.values(len), rows, columns);
        let [mut first, mut second, mut grads] = [(); 3].map(|()| desk.slot(&vec![0.0; len]).0);
        let span = desk.slot(&vec![0.0; len]).1;
        let mut touched = Vec::new();
        for step in 1..=6 {
            let mut gradient = vec![0.0; len];
            // The fourth step has none at all.
            for row in numbers.indices(if step == 4 { 0 } else { 3 }, rows) {
                gradient[row as usize * columns..][..columns].copy_from_slice(&numbers.values(columns));
                touched.push(row);
            }
            touched.sort_unstable();
            touched.dedup();
            // What AdamW cleared is zero, so this is the gradient of a backward pass.
            let before = desk.outcome_at("gradient", &grads, span);
            assert!(before.values.iter().all(|&g| g == 0.0), "{self:?}: the gradient is not cleared");
            grads = desk.slot(&gradient).0;
            let told = leave_out.then_some(touched.as_slice());
            let update = update(step, weight_decay);
            desk.backend.adamw(&mut weight, (&mut first, &mut second), &mut grads, span, told, &update);
        }
        vec![
            desk.outcome_of_weight("weight", &weight, len),
            desk.outcome_at("first moment", &first, span),
            desk.outcome_at("second moment", &second, span),
            desk.outcome_at("gradient", &grads, span),
        ]
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
        let mut grads = desk.backend.zeros(0);
        for step in 1..=3 {
            // Away from zero, where the first steps amplify the rounding of the gradient to that of its sign.
            let away = |g: f64| if g < 0.0 { g - 0.25 } else { g + 0.25 };
            (grads, _) = desk.slot(&numbers.values(len).into_iter().map(away).collect::<Vec<_>>());
            let update = update(step, weight_decay);
            desk.backend.adamw(&mut weight, (&mut first, &mut second), &mut grads, span, None, &update);
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
            desk.outcome_at("gradient", &grads, span),
            desk.outcome("y after the step", &y, 3 * rows),
            desk.outcome("dx after the step", &dx, 3 * columns),
        ]
    }
}
