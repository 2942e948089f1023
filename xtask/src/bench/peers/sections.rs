//! The comparisons as data: who runs, with which arguments, and what is to be reached.

use super::Name;
use super::contender::{Contender, ROUND, Reading, Side};
use super::prepare::{Prepared, Texts};
use super::results::Metric;

/// What a row is called that has a busy process beside it, after the name of its quiet row.
pub const BUSY: &str = ", busy";

/// A table.
pub struct Section {
    /// Its heading.
    pub title: String,
    /// Who takes part, in the order of a round.
    pub contenders: Vec<Contender>,
    /// Its columns.
    pub metrics: Vec<Metric>,
    /// What is to be reached.
    pub goals: Vec<Goal>,
    /// How often everybody runs.
    pub rounds: usize,
}

/// Something to be reached by ours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// The best of ours is at least this many times better than the best peer.
    TimesBestPeer(Metric, f64),
    /// The first of ours has a median below this.
    Below(Metric, f64),
    /// Beside a busy process ours take at most this many times their quiet time.
    Slowdown(f64),
}

/// The tables of a comparison.
pub fn of(name: Name, prepared: &Prepared) -> Vec<Section> {
    match name {
        Name::Step => {
            vec![step(prepared, "GPT-2", "gpt2", (8, 128), 3.0), step(prepared, "MiniLM", "minilm", (32, 64), 3.5)]
        }
        Name::Infer => vec![infer(prepared)],
        Name::Sst2 => vec![sst2(prepared)],
        Name::Conversations => vec![conversations(prepared)],
        Name::Gemm => ["1024x3072x768", "512x1536x384"].map(|shape| gemm(prepared, shape)).into(),
        Name::Busy => vec![busy(prepared)],
        Name::Start => vec![start(prepared)],
    }
}

impl Prepared {
    fn rounds(&self, rounds: usize) -> usize {
        if self.quick { 1 } else { rounds }
    }

    /// A script of the peers, run by Python.
    fn peer(&self, name: &str, script: &str, reading: Reading) -> Contender {
        Contender::new(name, Side::Peer, &self.python, reading).path(&self.scripts.join(script))
    }

    /// One of our examples.
    fn ours(&self, name: &str, example: &str, reading: Reading) -> Contender {
        Contender::new(name, Side::Ours, &self.example(example), reading)
    }

    /// A step of ours and of PyTorch in one precision.
    fn steps(&self, model: &str, precision: &str, (batch, tokens): (usize, usize)) -> [Contender; 2] {
        let steps = if self.quick { 2 } else { 6 };
        let words = format!("{model} {precision} {batch} {tokens} --steps {steps} --threads {}", self.threads);
        [
            self.ours(&format!("finetone {precision}"), "step", Reading::Step).words(&words),
            self.peer(&format!("torch {precision}"), "step_torch.py", Reading::Step).words(&words),
        ]
    }
}

fn step(prepared: &Prepared, title: &str, model: &str, shape: (usize, usize), least: f64) -> Section {
    let [ours_f32, torch_f32] = prepared.steps(model, "f32", shape);
    let [ours_bf16, torch_bf16] = prepared.steps(model, "bf16", shape);
    let compiled = Contender { name: "torch bf16, compiled".to_owned(), ..torch_bf16.clone() }.words("--compile");
    Section {
        title: format!("One training step, {title}, {} x {} tokens", shape.0, shape.1),
        contenders: vec![ours_bf16, torch_bf16, ours_f32, torch_f32, compiled],
        metrics: vec![Metric::StepSeconds, Metric::TokensPerSecond, Metric::PeakMemory],
        goals: vec![Goal::TimesBestPeer(Metric::StepSeconds, least), Goal::TimesBestPeer(Metric::PeakMemory, 2.0)],
        rounds: prepared.rounds(5),
    }
}

fn infer(prepared: &Prepared) -> Section {
    let texts = prepared.sst2().test;
    let ours = |precision: &str| {
        let contender = prepared.ours(&format!("finetone {precision}"), "infer", Reading::Engines);
        let words = format!("--precision {precision} --threads {}", prepared.threads);
        contender.path(&prepared.classifier).path(&texts).words(&words)
    };
    let peers = prepared.peer("torch and ONNX Runtime", "infer_ort.py", Reading::Engines);
    let peers = peers.path(&prepared.classifier).path(&texts).words(&format!("--threads {}", prepared.threads));
    Section {
        title: "Classifying the test texts of SST-2 with MiniLM".to_owned(),
        contenders: vec![ours("bf16"), ours("int8"), ours("f32"), peers],
        metrics: vec![Metric::TextsPerSecond, Metric::TokensPerSecond, Metric::OneText],
        goals: vec![Goal::TimesBestPeer(Metric::TextsPerSecond, 2.0), Goal::TimesBestPeer(Metric::OneText, 2.0)],
        rounds: prepared.rounds(5),
    }
}

/// The same fine-tuning by us and by the Trainer. Ours looks at `dev` as well, where there is one, to keep the best
/// checkpoint; without one it takes its last.
fn fine_tuning(prepared: &Prepared, name: &str, texts: &Texts, (epochs, tokens): (usize, usize)) -> [Contender; 2] {
    let run = prepared.folder.join(format!("run-{name}-{ROUND}"));
    let ours = Contender::new("finetone", Side::Ours, &prepared.binary("finetone"), Reading::Run(run.clone()));
    let mut ours = ours.words("train").path(&texts.train).words("--test").path(&texts.test);
    ours = match &texts.dev {
        Some(dev) => ours.words("--validation").path(dev),
        None => ours.words("--set validation_fraction=0"),
    };
    let ours = ours.words("--model").path(&prepared.minilm).words("--out").path(&run).words(&format!(
        "--epochs {epochs} --max-tokens {tokens} --seed {ROUND} --threads {} --quiet",
        prepared.threads
    ));
    let trainer = prepared.peer("transformers Trainer, bf16, grouped by length", "train_hf.py", Reading::Trainer);
    let trainer = trainer.path(&prepared.minilm).path(&texts.train).path(&texts.test).words(&format!(
        "--epochs {epochs} --max-length {tokens} --seed {ROUND} --threads {} --bf16 --group-by-length",
        prepared.threads
    ));
    [ours, trainer]
}

fn sst2(prepared: &Prepared) -> Section {
    let epochs = if prepared.quick { 1 } else { 3 };
    Section {
        title: format!("Fine-tuning MiniLM on SST-2, epochs: {epochs}, from process start to test metrics"),
        contenders: fine_tuning(prepared, "sst2", &prepared.sst2(), (epochs, 256)).into(),
        metrics: vec![
            Metric::WholeSeconds,
            Metric::Accuracy,
            Metric::MacroF1,
            Metric::PeakMemory,
            Metric::TokensPerSecond,
        ],
        goals: vec![Goal::TimesBestPeer(Metric::WholeSeconds, 5.0), Goal::TimesBestPeer(Metric::PeakMemory, 2.0)],
        rounds: prepared.rounds(3),
    }
}

fn conversations(prepared: &Prepared) -> Section {
    Section {
        title: "Fine-tuning MiniLM on support conversations, one epoch, at most 512 tokens".to_owned(),
        contenders: fine_tuning(prepared, "conversations", &prepared.conversations(), (1, 512)).into(),
        metrics: vec![Metric::TokensPerSecond, Metric::WholeSeconds, Metric::PeakMemory],
        goals: vec![Goal::TimesBestPeer(Metric::TokensPerSecond, 5.0), Goal::TimesBestPeer(Metric::PeakMemory, 2.0)],
        rounds: prepared.rounds(3),
    }
}

/// Each shape, rows x outputs x inputs, is a table of its own: the best peer is the one at the same shape.
fn gemm(prepared: &Prepared, shape: &str) -> Section {
    let script = prepared.own_scripts.join("gemm_torch.py");
    let words = |precision: &str| format!("{precision} {} {shape}", prepared.threads);
    let ours = |precision: &str| {
        prepared.ours(&format!("finetone {precision}"), "gemm", Reading::Product).words(&words(precision))
    };
    let torch = |precision: &str| {
        let contender = Contender::new(&format!("torch {precision}"), Side::Peer, &prepared.python, Reading::Product);
        contender.path(&script).words(&words(precision))
    };
    Section {
        title: format!("Product of matrices, {shape}"),
        contenders: vec![ours("bf16"), torch("bf16"), ours("f32"), torch("f32")],
        metrics: vec![Metric::Gigaflops],
        goals: vec![Goal::TimesBestPeer(Metric::Gigaflops, 1.0)],
        rounds: prepared.rounds(7),
    }
}

fn busy(prepared: &Prepared) -> Section {
    let quiet = prepared.steps("minilm", "bf16", (32, 64));
    let beside = |contender: &Contender| Contender {
        name: format!("{}{BUSY}", contender.name),
        beside_a_busy_process: true,
        ..contender.clone()
    };
    let [ours, torch] = quiet.each_ref().map(beside);
    let [ours_quiet, torch_quiet] = quiet;
    Section {
        title: "A MiniLM step, 32 x 64 tokens, beside a process that keeps a core busy".to_owned(),
        contenders: vec![ours_quiet, torch_quiet, ours, torch],
        metrics: vec![Metric::StepSeconds],
        goals: vec![Goal::Slowdown(2.2)],
        rounds: prepared.rounds(5),
    }
}

fn start(prepared: &Prepared) -> Section {
    let text = "a_warm_and_funny_film";
    let ours = Contender::new("finetone predict", Side::Ours, &prepared.binary("finetone"), Reading::Process);
    let ours = ours.words("predict").path(&prepared.classifier).words(&format!("--text {text}"));
    let torch = Contender::new("torch and transformers", Side::Peer, &prepared.python, Reading::Process);
    let script = prepared.own_scripts.join("first_prediction.py");
    let torch = torch.path(&script).path(&prepared.classifier).words(&format!("{text} {}", prepared.threads));
    Section {
        title: "From process start to the first prediction, MiniLM".to_owned(),
        contenders: vec![ours, torch],
        metrics: vec![Metric::WholeSeconds, Metric::PeakMemory],
        goals: vec![Goal::Below(Metric::WholeSeconds, 0.25)],
        rounds: prepared.rounds(7),
    }
}
