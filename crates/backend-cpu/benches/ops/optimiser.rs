//! The optimiser's way through parameters, gradients and moments.

use std::sync::{Arc, Mutex, PoisonError};

use finetone_backend::{AdamW, Backend, LinearShape, Span};
use finetone_backend_cpu::{Buffer, Cpu, Precision};

use crate::case::{Amount, Case, Machines};
use crate::memory::{Memory, buffer, weight};

/// Rows and columns of a parameter that no cache holds.
const SIDE: usize = 3072;
const LEN: usize = SIDE * SIDE;

pub fn cases(machines: &Machines, memory: &Memory) -> Vec<Case> {
    let cpu = machines.of(Precision::F32);
    let m = memory.clone();
    let norm = Case::new("global norm", format!("{LEN}"), Amount::numbers(LEN), move |cpu| {
        assert!(cpu.global_norm(&m.x, &[Span { start: 0, len: LEN }]) > 0.0);
    });
    let state: State = Arc::new(Mutex::new([buffer(cpu, LEN), cpu.zeros(LEN), cpu.zeros(LEN)]));
    let adamw = |precision| adamw(machines.of(precision), precision, memory, state.clone());
    vec![norm, adamw(Precision::F32), adamw(Precision::Bf16)]
}

/// Gradient and moments.
type State = Arc<Mutex<[Buffer; 3]>>;

/// A step on a weight that products read both ways, so that its packed forms have to be made anew as in training; bytes
/// of these are not counted.
fn adamw(cpu: &Cpu, precision: Precision, memory: &Memory, state: State) -> Case {
    let mut parameter = weight(cpu, SIDE, SIDE);
    let shape = LinearShape { rows: 16, inputs: SIDE, outputs: SIDE };
    cpu.linear_forward(&mut memory.out(), &memory.x, &parameter, None, shape);
    cpu.linear_backward_input(&mut memory.out(), &memory.dy, &parameter, shape);
    let (rate, beta1, beta2, epsilon) = (1e-4, 0.9, 0.999, 1e-8);
    let update = AdamW { rate, beta1, beta2, epsilon, weight_decay: 0.01, step: 3, gradient_scale: 0.5 };
    let span = Span { start: 0, len: LEN };
    let work = move |cpu: &Cpu| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let [grads, first, second] = &mut *state;
        cpu.adamw(&mut parameter, (first, second), grads, span, None, &update);
    };
    Case::new("adamw", format!("{SIDE} x {SIDE}"), Amount::numbers(8 * LEN), work).in_precision(precision)
}
