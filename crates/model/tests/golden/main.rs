//! Every family against PyTorch: hidden states, logits, loss, all gradients and ten steps of AdamW on tiny random
//! checkpoints, whose answers `cargo xtask golden` made in f64 with transformers.

mod adapters;
mod case;
mod folders;
mod run;

use std::ops::Range;

use finetone_backend::{Backend, Reference};
use finetone_backend_cpu::{Cpu, CpuOptions, Isa, Precision};
use finetone_model::{DropoutKey, Memory, Workspace};

use case::{Case, MODELS};
use run::Run;

/// How far a backend may be from PyTorch's f64.
struct Tolerance {
    /// Of a hidden state or a logit.
    value: f64,
    /// Of a loss, also along ten steps.
    loss: f64,
    /// Of a gradient, as a share of the largest of its tensor.
    gradient: f64,
    /// Of a parameter after ten steps that may each have moved it by the learning rate, 0.005.
    parameter: f64,
    /// The same for the bias of a key.
    key_bias: f64,
    /// Between a sequence alone and among others.
    packed: f64,
}

/// The answers are rounded to f32, but for the losses.
const F64: Tolerance =
    Tolerance { value: 1e-6, loss: 1e-12, gradient: 1e-6, parameter: 1e-6, key_bias: 1e-6, packed: 0.0 };
/// Rounding that stands for a key bias's gradient moves it by up to a whole learning rate a step, either way.
const F32: Tolerance =
    Tolerance { value: 1e-5, loss: 1e-5, gradient: 1e-4, parameter: 1e-4, key_bias: 0.1, packed: 0.0 };

fn worst(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    // `f64::max` would pass over a NaN.
    ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, |most, x| if x <= most { most } else { x })
}

#[track_caller]
fn assert_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    let worst = worst(ours, theirs);
    assert!(worst <= tolerance, "{what} differs by {worst:.2e}, allowed are {tolerance:.1e}");
}

fn answers_are_pytorchs<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for name in MODELS {
        let case = Case::read(name);
        let mut run = Run::new(backend, &case);
        let (hidden, logits) = run.forward();
        assert_eq!(run.logits(), [logits.clone(), logits.clone()], "{name}: fewer rows, the same bits");
        assert_close(&format!("{name}: hidden"), &hidden, case.answer("hidden"), tolerance.value);
        assert_close(&format!("{name}: logits"), &logits, case.answer("logits"), tolerance.value);
        let loss = run.forward_backward();
        assert_close(&format!("{name}: loss"), &[loss], case.answer("loss"), tolerance.loss);
    }
}

/// The numbers of a tensor that are biases of keys. Such a bias adds one number to all scores of a query, which the
/// softmax does not see: its gradient is nought in theory and rounding in practice.
fn key_biases(tensor: &str, len: usize) -> Range<usize> {
    if tensor.ends_with("key.bias") || tensor.ends_with("k_lin.bias") {
        0..len
    } else if tensor.ends_with("c_attn.bias") {
        len / 3..2 * len / 3
    } else {
        0..0
    }
}

fn gradients_are_pytorchs<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for name in MODELS {
        let case = Case::read(name);
        let mut run = Run::new(backend, &case);
        run.forward_backward();
        case.compare_all("grad", &run.gradients(), |tensor, ours, theirs| {
            let largest = theirs.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
            // Where all of it is rounding there is nothing to be relative to.
            let scale = if key_biases(tensor, ours.len()).len() == ours.len() { 1e-2 } else { largest };
            assert_close(&format!("{name}: gradient of {tensor}"), ours, theirs, tolerance.gradient * scale);
        });
    }
}

fn ten_steps_are_pytorchs<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for name in MODELS {
        let case = Case::read(name);
        let mut run = Run::new(backend, &case);
        for (step, expected) in case.answer("curve").iter().enumerate() {
            let loss = run.forward_backward();
            assert_close(&format!("{name}: loss at step {step}"), &[loss], &[*expected], tolerance.loss);
            run.step();
        }
        case.compare_all("final", &run.weights(), |tensor, ours, theirs| {
            let what = format!("{name}: final {tensor}");
            let keys = key_biases(tensor, ours.len());
            assert_close(&what, &ours[keys.clone()], &theirs[keys.clone()], tolerance.key_bias);
            for others in [0..keys.start, keys.end..ours.len()] {
                assert_close(&what, &ours[others.clone()], &theirs[others], tolerance.parameter);
            }
        });
    }
}

/// The answer for a text does not depend on its neighbours.
fn packed_is_one_by_one<B: Backend>(backend: &B, tolerance: &Tolerance) {
    for name in MODELS {
        let case = Case::read(name);
        let (hidden, logits) = Run::new(backend, &case).forward();
        let model = run::load(backend, name);
        let mut workspace = Workspace::for_hidden_states(backend, &model.config, (20, 20));
        let mut alone = (Vec::new(), Vec::new());
        for s in 0..case.sequences.len() {
            let batch = run::pack(&model, &case, s..s + 1);
            let (hidden, logits) = run::forward(backend, &model, &batch, &mut workspace);
            alone.0.extend(hidden);
            alone.1.extend(logits);
        }
        assert_close(&format!("{name}: packed hidden on {}", backend.name()), &hidden, &alone.0, tolerance.packed);
        assert_close(&format!("{name}: packed logits on {}", backend.name()), &logits, &alone.1, tolerance.packed);
    }
}

/// A promise, kept by every backend.
macro_rules! on_every_backend {
    ($promise:ident, $check:ident) => {
        mod $promise {
            use super::*;
            #[test]
            fn reference_f64() {
                $check(&Reference::<f64>::new(), &F64);
            }
            #[test]
            fn reference_f32() {
                $check(&Reference::<f32>::new(), &F32);
            }
            #[test]
            fn cpu_f32() {
                every_cpu(2).iter().for_each(|cpu| $check(cpu, &F32));
            }
        }
    };
}

on_every_backend!(answers, answers_are_pytorchs);
on_every_backend!(gradients, gradients_are_pytorchs);
on_every_backend!(ten_steps, ten_steps_are_pytorchs);
on_every_backend!(packed, packed_is_one_by_one);

/// The processor with every instruction set that this machine has.
fn every_cpu(threads: usize) -> Vec<Cpu> {
    every_cpu_in(Precision::F32, threads)
}

fn every_cpu_in(precision: Precision, threads: usize) -> Vec<Cpu> {
    let cpu = |isa| Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa), precision }).unwrap();
    Isa::available().into_iter().map(cpu).collect()
}

/// Models this small, at a rate this high, show every rounding: PyTorch's own autocast to bf16 is off by as much as
/// 4.9 % at a step of these curves (by 0.6 % in the mean), where its f32 is off by 0.0 %.
#[test]
fn ten_steps_in_bf16_have_pytorchs_losses_within_one_percent() {
    for cpu in every_cpu_in(Precision::Bf16, 2) {
        let mut all = Vec::new();
        for name in MODELS {
            let case = Case::read(name);
            let mut run = Run::new(&cpu, &case);
            for (step, expected) in case.answer("curve").iter().enumerate() {
                let off = (run.forward_backward() / expected - 1.0).abs();
                assert!(off < 0.05, "{name} on {}: loss at step {step} is off by {:.2} %", cpu.name(), 100.0 * off);
                all.push(off);
                run.step();
            }
        }
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!(mean < 0.01, "{}: losses are off by {:.2} % in the mean", cpu.name(), 100.0 * mean);
    }
}

/// The losses of ten steps and the weights they lead to, as bits.
fn bits_after_ten_steps<B: Backend>(backend: &B, case: &Case) -> (Vec<u64>, Vec<u32>) {
    let mut run = Run::new(backend, case);
    let mut losses = Vec::new();
    for _ in 0..10 {
        losses.push(run.forward_backward().to_bits());
        run.step();
    }
    let weights = run.weights().into_iter().flat_map(|tensor| tensor.values).map(f32::to_bits).collect();
    (losses, weights)
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    for name in MODELS {
        let case = Case::read(name);
        let all = |threads| [every_cpu(threads), every_cpu_in(Precision::Bf16, threads)].concat();
        for (one, three) in all(1).iter().zip(&all(3)) {
            let same = bits_after_ten_steps(one, &case) == bits_after_ten_steps(three, &case);
            assert!(same, "{name} on {}", one.name());
        }
    }
}

#[test]
fn what_is_recomputed_has_the_same_bits() {
    let cpu = Cpu::new(CpuOptions { threads: Some(2), ..CpuOptions::default() }).unwrap();
    for name in MODELS {
        let case = Case::read(name);
        let bits = |memory| {
            let mut run = Run::with_memory(&cpu, &case, memory);
            run.dropout = Some(DropoutKey { seed: 3, step: 5 });
            let loss = run.forward_backward().to_bits();
            let gradients = run.gradients().into_iter().flat_map(|tensor| tensor.values).map(f32::to_bits);
            (loss, gradients.collect::<Vec<_>>())
        };
        let (normal, low) = (bits(Memory::Normal), bits(Memory::Low));
        assert!(normal.1.iter().any(|&bits| bits != 0), "{name}");
        assert!(normal == low, "{name}");
    }
}
