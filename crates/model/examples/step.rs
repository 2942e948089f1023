//! Times one optimiser step of a classifier with fresh weights: the engine alone, without files, texts and padding.
//!
//! ```text
//! cargo run --release -p finetone-model --example step -- \
//!     gpt2|minilm f32|bf16 BATCH TOKENS [--steps N] [--threads N] [--memory normal]
//! ```
//!
//! Every sequence has TOKENS random tokens and one of three labels; dropout is that of the family, gradients are clipped
//! at 1, and the optimiser is AdamW. Prints one JSON line: seconds per step (min, median, max), tokens per second, peak
//! memory in bytes.

use std::error::Error;
use std::str::FromStr;
use std::time::Instant;

use finetone_backend::{AdamW, Backend, Loss, Targets};
use finetone_backend_cpu::{Buffer, Cpu, CpuOptions, Precision};
use finetone_model::families::{Sizes, from_scratch};
use finetone_model::{DropoutKey, Family, Gradients, Memory, Model, ModelConfig, PackedBatch, Workspace};
use serde_json::json;

/// Steps before the clock starts.
const WARM_UP: u64 = 2;
const CLASSES: usize = 3;

type Fault = Box<dyn Error>;

/// What was typed.
struct Args {
    model: String,
    precision: Precision,
    batch: usize,
    tokens: usize,
    steps: u64,
    threads: Option<usize>,
    memory: Memory,
}

impl Args {
    fn read() -> Result<Self, Fault> {
        let (mut places, mut steps, mut threads, mut memory) = (Vec::new(), 6, None, Memory::Normal);
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "--steps" => steps = value()?.parse()?,
                "--threads" => threads = Some(value()?.parse()?),
                "--memory" => memory = memory_of(&value()?)?,
                _ => places.push(word),
            }
        }
        let [model, precision, batch, tokens] =
            <[String; 4]>::try_from(places).map_err(|_| "give `gpt2|minilm f32|bf16 BATCH TOKENS`")?;
        let precision = [Precision::F32, Precision::Bf16].into_iter().find(|known| known.name() == precision);
        let precision = precision.ok_or("known precisions: `f32`, `bf16`")?;
        let (batch, tokens) = (positive(&batch)?, positive(&tokens)?);
        Ok(Self { model, precision, batch, tokens, steps: steps.max(1), threads, memory })
    }
}

fn positive(text: &str) -> Result<usize, Fault> {
    usize::from_str(text).ok().filter(|&number| number > 0).ok_or_else(|| format!("`{text}` is no count").into())
}

fn memory_of(text: &str) -> Result<Memory, Fault> {
    match text {
        "normal" => Ok(Memory::Normal),
        "low" => Ok(Memory::Low),
        _ => Err("known memories: `normal`, `low`".into()),
    }
}

/// GPT-2 with 124 million parameters, or a BERT with the sizes of MiniLM-L6 (22.7 million).
fn config(model: &str) -> Result<ModelConfig, Fault> {
    let (family, sizes) = match model {
        "gpt2" => (Family::Gpt2, [50_257, 768, 12, 12, 3072, 1024, 50_256]),
        "minilm" => (Family::Bert, [30_522, 384, 6, 12, 1536, 512, 0]),
        _ => return Err("known models: `gpt2`, `minilm`".into()),
    };
    let [vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens, pad] = sizes;
    let pad_token_id = pad as u32;
    let sizes = Sizes { vocab_size, hidden_size, layers, heads, intermediate_size, max_tokens, pad_token_id };
    let mut config = from_scratch(family, &sizes)?;
    config.head.labels = (0..CLASSES).map(|class| format!("class {class}")).collect();
    Ok(config)
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as u32
    }
}

/// Everything that a run owns.
struct Run {
    cpu: Cpu,
    model: Model<Cpu>,
    batch: PackedBatch,
    labels: Vec<u32>,
    workspace: Workspace<Cpu>,
    gradients: Gradients<Cpu>,
    moments: (Buffer, Buffer),
    losses: Vec<f32>,
    loss: Loss,
}

impl Run {
    fn new(cpu: Cpu, args: &Args) -> Result<Self, Fault> {
        let model = Model::initialise(&cpu, config(&args.model)?, 0);
        let mut random = Random(7);
        let vocabulary = model.config.vocab_size - 1;
        let mut sequence = || (0..args.tokens).map(|_| random.below(vocabulary)).collect::<Vec<u32>>();
        let sequences: Vec<Vec<u32>> = (0..args.batch).map(|_| sequence()).collect();
        let batch = PackedBatch::pack(sequences.iter().map(Vec::as_slice), model.config.position_offset);
        let normaliser = args.batch as f64;
        Ok(Self {
            workspace: Workspace::for_training(&cpu, &model.config, (batch.tokens(), batch.sequences()), args.memory),
            gradients: Gradients::new(&cpu, &model.table),
            moments: Gradients::moments(&cpu, &model.table),
            losses: vec![0.0; args.batch],
            labels: (0..args.batch).map(|_| random.below(CLASSES)).collect(),
            loss: Loss { classes: CLASSES, smoothing: 0.0, class_weights: None, focal_gamma: 0.0, normaliser },
            cpu,
            model,
            batch,
        })
    }

    /// Forward, loss, backward, clipping, AdamW; gives the mean loss.
    fn step(&mut self, step: u64) -> f64 {
        let Self { cpu, model, batch, labels, workspace, gradients, moments, losses, loss } = self;
        let pass = model.pass(&*cpu, batch, Some(DropoutKey { seed: 0, step }));
        model.transformer.forward(&pass, workspace);
        model.transformer.loss(&pass, workspace, losses, Targets::Classes(labels), loss);
        model.transformer.backward(&pass, gradients, workspace);
        let norm = gradients.norm(cpu);
        let gradient_scale = (1.0 / (norm + 1e-6)).min(1.0);
        for (id, spec) in model.table.iter() {
            let weight_decay = if spec.decay { 0.01 } else { 0.0 };
            let (rate, beta1, beta2, epsilon) = (5e-5, 0.9, 0.999, 1e-8);
            let update = AdamW { rate, beta1, beta2, epsilon, weight_decay, step, gradient_scale };
            gradients.adamw(cpu, (&model.table, &mut model.parameters), id, moments, &update);
        }
        losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
    }
}

/// The most memory this process has had, in bytes, where the system says.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn main() -> Result<(), Fault> {
    let args = Args::read()?;
    let cpu = Cpu::new(CpuOptions { threads: args.threads, precision: args.precision, ..CpuOptions::default() })?;
    let mut run = Run::new(cpu.clone(), &args)?;
    let (mut loss, mut times) = (0.0, Vec::new());
    cpu.install(|| {
        for step in 1..=WARM_UP + args.steps {
            let start = Instant::now();
            loss = run.step(step);
            if step > WARM_UP {
                times.push(start.elapsed().as_secs_f64());
            }
        }
    });
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let report = json!({
        "peer": format!("finetone {}", env!("CARGO_PKG_VERSION")),
        "backend": cpu.name(),
        "model": args.model,
        "precision": args.precision.name(),
        "batch": args.batch,
        "tokens": args.tokens,
        "step_s": { "min": times[0], "median": median, "max": times[times.len() - 1] },
        "tokens_per_s": (args.batch * args.tokens) as f64 / median,
        "peak_rss_bytes": peak_memory(),
        "loss": loss,
    });
    println!("{report}");
    Ok(())
}
