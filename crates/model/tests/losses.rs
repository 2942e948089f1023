//! The extras of the loss (smoothing, class weights, focal factor) against PyTorch's values and gradients.

use finetone_backend::{Backend, Loss, Real, Reference, Targets};
use finetone_backend_cpu::{Cpu, CpuOptions, Isa};
use serde::Deserialize;

#[derive(Deserialize)]
struct Entry {
    targets: String,
    smoothing: f64,
    focal_gamma: f64,
    class_weights: Option<Vec<f64>>,
    logits: Vec<Vec<f64>>,
    labels: serde_json::Value,
    losses: Vec<f64>,
    gradient: Vec<Vec<f64>>,
}

fn entries() -> Vec<Entry> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/losses/losses.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

impl Entry {
    fn describe(&self) -> String {
        let Self { targets, smoothing, focal_gamma, class_weights, .. } = self;
        format!("{targets}, smoothing {smoothing}, gamma {focal_gamma}, weights {class_weights:?}")
    }

    fn loss(&self, normaliser: f64) -> Loss {
        Loss {
            classes: self.logits[0].len(),
            smoothing: self.smoothing,
            class_weights: self.class_weights.clone(),
            focal_gamma: self.focal_gamma,
            normaliser,
        }
    }

    /// Losses and gradient of this entry on a backend.
    fn run<B: Backend>(&self, backend: &B, loss: &Loss) -> (Vec<f64>, Vec<f64>) {
        let logits: Vec<B::Real> = self.logits.concat().into_iter().map(B::Real::from_f64).collect();
        let mut buffers = [self.losses.len(), logits.len(), logits.len()].map(|len| backend.zeros(len));
        let [losses, gradient, input] = &mut buffers;
        backend.write(input, &logits);
        if self.targets == "classes" {
            let classes: Vec<u32> = serde_json::from_value(self.labels.clone()).unwrap();
            backend.cross_entropy(losses, gradient, input, Targets::Classes(&classes), loss);
        } else {
            let answers: Vec<Vec<f32>> = serde_json::from_value(self.labels.clone()).unwrap();
            backend.cross_entropy(losses, gradient, input, Targets::Binary(&answers.concat()), loss);
        }
        (read(backend, losses, self.losses.len()), read(backend, gradient, logits.len()))
    }
}

fn read<B: Backend>(backend: &B, buffer: &B::Buffer, len: usize) -> Vec<f64> {
    let mut values = vec![B::Real::default(); len];
    backend.read(&mut values, buffer, 0..len);
    values.into_iter().map(Real::to_f64).collect()
}

#[track_caller]
fn assert_close(what: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}: {a} instead of {b}");
    }
}

fn losses_are_pytorchs<B: Backend>(backend: &B, tolerance: f64) {
    let entries = entries();
    assert_eq!(entries.len(), 48);
    for entry in &entries {
        let what = format!("{} on {}", entry.describe(), backend.name());
        let (losses, gradient) = entry.run(backend, &entry.loss(1.0));
        assert_close(&format!("losses, {what}"), &losses, &entry.losses, tolerance);
        assert_close(&format!("gradient, {what}"), &gradient, &entry.gradient.concat(), tolerance);
    }
}

#[test]
fn the_reference_is_pytorch() {
    losses_are_pytorchs(&Reference::<f64>::new(), 1e-12);
    losses_are_pytorchs(&Reference::<f32>::new(), 2e-6);
}

#[test]
fn the_processor_is_pytorch() {
    for isa in Isa::available() {
        losses_are_pytorchs(
            &Cpu::new(CpuOptions { threads: Some(1), isa: Some(isa), ..CpuOptions::default() }).unwrap(),
            2e-6,
        );
    }
}

#[test]
fn the_normaliser_divides_the_gradient_and_not_the_losses() {
    let (backend, entry) = (Reference::<f64>::new(), &entries()[5]);
    let (losses, gradient) = entry.run(&backend, &entry.loss(4.0));
    let quarter: Vec<f64> = entry.gradient.concat().iter().map(|value| value / 4.0).collect();
    assert_close("losses", &losses, &entry.losses, 1e-12);
    assert_close("gradient", &gradient, &quarter, 1e-12);
}
