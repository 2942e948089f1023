//! After two steps of warm-up a training step allocates nothing.
//!
//! The counter counts the whole process, so this file has one test.

use std::alloc::System;
use std::path::Path;

use finetone_backend::{AdamW, Backend, Loss, Targets};
use finetone_backend_cpu::{Cpu, CpuOptions};
use finetone_model::checkpoint::{HeadImport, ModelFolder};
use finetone_model::{DropoutKey, Gradients, LoraSettings, Memory, Model, Moments, PackedBatch, Workspace};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Everything that a run owns.
struct Run<'a> {
    cpu: &'a Cpu,
    model: Model<Cpu>,
    batch: PackedBatch,
    workspace: Workspace<Cpu>,
    gradients: Gradients<Cpu>,
    moments: Moments<Cpu>,
    losses: Vec<f32>,
    loss: Loss,
    labels: Vec<u32>,
}

impl<'a> Run<'a> {
    fn new(cpu: &'a Cpu, (name, has_adapters): (&str, bool)) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden").join(name);
        let folder = ModelFolder::open(&folder).unwrap();
        let (mut model, _) = folder.load(cpu, folder.config().clone(), HeadImport::Required).unwrap();
        if has_adapters {
            let (mut config, rank_stabilised) = (model.config.clone(), false);
            let settings = LoraSettings { rank: 2, alpha: 4.0, rank_stabilised, dropout: 0.1 };
            config.set_lora(settings, &["all-linear".to_owned()]).unwrap();
            model = model.adapted(cpu, config, 1);
        }
        let sequences: Vec<Vec<u32>> = [5_u32, 1, 14, 9].into_iter().map(|length| (1..=length).collect()).collect();
        let batch = PackedBatch::pack(sequences.iter().map(Vec::as_slice), model.config.position_offset);
        let classes = model.config.head.logits();
        Self {
            cpu,
            workspace: Workspace::for_training(cpu, &model.config, (batch.tokens(), batch.sequences()), Memory::Normal),
            gradients: Gradients::new(cpu, &model.table),
            moments: Gradients::moments(cpu, &model.table),
            losses: vec![0.0; batch.sequences()],
            loss: Loss { classes, smoothing: 0.1, class_weights: None, focal_gamma: 0.0, normaliser: 4.0 },
            labels: (0..batch.sequences()).map(|s| (s % classes) as u32).collect(),
            model,
            batch,
        }
    }

    /// Forward, loss, backward, clipping and AdamW.
    fn step(&mut self, step: u64) {
        let Self { cpu, model, batch, workspace, gradients, moments, losses, loss, labels } = self;
        let pass = model.pass(cpu, batch, Some(DropoutKey { seed: 1, step }));
        model.transformer.forward(&pass, workspace);
        model.transformer.loss(&pass, workspace, losses, Targets::Classes(labels), loss);
        model.transformer.backward(&pass, gradients, workspace);
        let gradient_scale = 1.0 / gradients.norm(cpu).max(1.0);
        for (id, _) in model.table.iter() {
            let (rate, beta1, beta2, epsilon, weight_decay) = (1e-3, 0.9, 0.999, 1e-8, 0.01);
            let update = AdamW { rate, beta1, beta2, epsilon, weight_decay, step, gradient_scale };
            gradients.adamw(cpu, (&model.table, &mut model.parameters), id, moments, &update);
        }
    }
}

/// Steps that are counted, and how many of them may see an allocation: the harness and a pool's threads that start
/// late have a few of their own, while what a step allocates it allocates every time.
const COUNTED: u64 = 20;
const FOREIGN: usize = 3;

#[test]
fn a_step_allocates_nothing_after_warm_up() {
    let pools = [1, 2].map(|threads| Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap());
    for cpu in &pools {
        let names = ["bert", "gpt2", "distilbert", "roberta", "llama", "qwen3"].map(|name| (name, false));
        for (name, has_adapters) in names.into_iter().chain([("bert", true), ("llama", true)]) {
            let mut run = Run::new(cpu, (name, has_adapters));
            let mut counts = [(0, 0); COUNTED as usize];
            cpu.install(|| {
                (1..=2).for_each(|step| run.step(step));
                for (step, count) in (3..).zip(&mut counts) {
                    let region = Region::new(ALLOCATOR);
                    run.step(step);
                    let change = region.change();
                    *count = (change.allocations, change.reallocations);
                }
            });
            assert!(run.losses.iter().all(|loss| loss.is_finite()), "{name}: {:?}", run.losses);
            let allocating = counts.iter().filter(|&&count| count != (0, 0)).count();
            assert!(allocating <= FOREIGN, "{name} on {}: {counts:?}", cpu.name());
        }
    }
}
