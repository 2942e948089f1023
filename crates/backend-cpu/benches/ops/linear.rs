//! Products of matrices: the layers of MiniLM (384) and GPT-2 (768), from a single short text to a full batch.

use std::sync::Arc;

use finetone_backend::{Activation, Backend, LinearShape, Span};
use finetone_backend_cpu::{Precision, Weight};

use crate::case::{Amount, Case, Machines, PRECISIONS};
use crate::memory::{Memory, weight};

const TOKENS: [usize; 6] = [16, 64, 256, 1024, 2048, 4096];
/// Inputs and outputs.
const LAYERS: [(usize, usize); 8] =
    [(384, 384), (384, 1152), (384, 1536), (1536, 384), (768, 768), (768, 2304), (768, 3072), (3072, 768)];

/// Forward and both backward products of every layer; eight bits are for forward alone.
pub fn cases(machines: &Machines, memory: &Memory) -> Vec<Case> {
    let mut cases = Vec::new();
    for (inputs, outputs) in LAYERS {
        for precision in PRECISIONS {
            let cpu = machines.of(precision);
            let weights = Arc::new((weight(cpu, outputs, inputs), weight(cpu, 1, outputs)));
            for rows in TOKENS {
                let layer = Layer { shape: LinearShape { rows, inputs, outputs }, precision };
                cases.push(layer.forward(memory.clone(), weights.clone()));
                if precision != Precision::Int8 {
                    cases.push(layer.backward_input(memory.clone(), weights.clone()));
                    cases.push(layer.backward_weight(memory.clone()));
                }
            }
        }
    }
    cases
}

/// The first layer of the feed-forward part with its gelu.
pub fn fused_cases(machines: &Machines, memory: &Memory) -> Vec<Case> {
    let mut cases = Vec::new();
    for (inputs, outputs) in [(384, 1536), (768, 3072)] {
        for precision in [Precision::F32, Precision::Bf16] {
            let cpu = machines.of(precision);
            let weights = Arc::new((weight(cpu, outputs, inputs), weight(cpu, 1, outputs)));
            let back = Arc::new(weight(cpu, inputs, outputs));
            for rows in [256, 2048] {
                let layer = Layer { shape: LinearShape { rows, inputs, outputs }, precision };
                cases.push(layer.activation_forward(memory.clone(), weights.clone()));
                cases.push(layer.activation_backward(memory.clone(), back.clone()));
            }
        }
    }
    cases
}

#[derive(Clone, Copy)]
struct Layer {
    shape: LinearShape,
    precision: Precision,
}

/// A weight and its bias.
type Weights = Arc<(Weight, Weight)>;

impl Layer {
    fn case(self, operation: &str, work: impl FnMut(&finetone_backend_cpu::Cpu) + Send + 'static) -> Case {
        let LinearShape { rows, inputs, outputs } = self.shape;
        let shape = format!("{rows} x {inputs} -> {outputs}");
        Case::new(operation, shape, Amount::product(rows, inputs, outputs), work).in_precision(self.precision)
    }

    fn forward(self, memory: Memory, weights: Weights) -> Case {
        self.case("linear forward", move |cpu| {
            cpu.linear_forward(&mut memory.out(), &memory.x, &weights.0, Some(&weights.1), self.shape);
        })
    }

    fn backward_input(self, memory: Memory, weights: Weights) -> Case {
        self.case("linear backward input", move |cpu| {
            cpu.linear_backward_input(&mut memory.out(), &memory.dy, &weights.0, self.shape);
        })
    }

    fn backward_weight(self, memory: Memory) -> Case {
        let span = Span { start: 0, len: self.shape.outputs * self.shape.inputs };
        self.case("linear backward weight", move |cpu| {
            cpu.linear_backward_weight(&mut memory.grads(), span, &memory.dy, &memory.x, self.shape);
        })
    }

    fn activation_forward(self, memory: Memory, weights: Weights) -> Case {
        self.case("linear + gelu forward", move |cpu| {
            let (mut y, mut inner) = (memory.out(), memory.second());
            let parameters = (&weights.0, Some(&weights.1));
            let (activation, keep) = (Activation::GeluErf, true);
            cpu.linear_activation_forward((&mut y, &mut inner), &memory.x, parameters, activation, self.shape, keep);
        })
    }

    /// Through the layer that comes after the activation, which goes the other way: `outputs` to `inputs`.
    fn activation_backward(self, memory: Memory, weight: Arc<Weight>) -> Case {
        let shape = LinearShape { rows: self.shape.rows, inputs: self.shape.outputs, outputs: self.shape.inputs };
        Layer { shape, ..self }.case("linear + gelu backward", move |cpu| {
            let (mut dinner, mut activated) = (memory.out(), memory.second());
            let outputs = (&mut *dinner, &mut *activated);
            cpu.linear_activation_backward(outputs, &memory.dy, &weight, &memory.x, Activation::GeluErf, shape);
        })
    }
}
