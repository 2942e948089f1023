//! A case is one operation at one shape; it is timed on one thread and on all.

use std::time::Instant;

use finetone_backend_cpu::{Cpu, CpuError, CpuOptions, Precision};

use crate::peaks::Peaks;

/// Shorter work is repeated within a sample until it takes this long, in seconds.
const SAMPLE: f64 = 2e-3;

/// The precisions that are compared.
pub const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::Int8];

/// One processor for each precision, with one thread and with all, in the order of [`PRECISIONS`].
pub struct Machines {
    one: Vec<Cpu>,
    /// Those with all threads.
    pub all: Vec<Cpu>,
}

impl Machines {
    pub fn new() -> Result<Self, CpuError> {
        let with = |threads| {
            let open = |precision| Cpu::new(CpuOptions { threads, precision, ..CpuOptions::default() });
            PRECISIONS.into_iter().map(open).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { one: with(Some(1))?, all: with(None)? })
    }

    pub fn threads(&self) -> usize {
        self.all[0].threads()
    }

    /// The processor with all threads that computes in `precision`; weights are made by it.
    pub fn of(&self, precision: Precision) -> &Cpu {
        pick(&self.all, precision)
    }
}

fn pick(cpus: &[Cpu], precision: Precision) -> &Cpu {
    cpus.iter().find(|cpu| cpu.precision() == precision).expect("there is one for each precision")
}

/// How much work a case is.
#[derive(Clone, Copy)]
pub enum Amount {
    /// Additions and multiplications.
    Flops(f64),
    /// Bytes read and written, each buffer counted once.
    Bytes(f64),
}

impl Amount {
    /// Of a product of matrices of these three sizes.
    pub fn product(rows: usize, inputs: usize, outputs: usize) -> Self {
        Self::Flops(2.0 * (rows * inputs * outputs) as f64)
    }

    /// Of going through this many f32 numbers, all buffers together.
    pub fn numbers(count: usize) -> Self {
        Self::Bytes(4.0 * count as f64)
    }
}

/// One operation at one shape.
pub struct Case {
    pub operation: String,
    pub shape: String,
    pub precision: Precision,
    pub amount: Amount,
    pub work: Box<dyn FnMut(&Cpu) + Send>,
}

impl Case {
    /// A case in f32, which says nothing of precision.
    pub fn new(operation: &str, shape: String, amount: Amount, work: impl FnMut(&Cpu) + Send + 'static) -> Self {
        Self { operation: operation.to_owned(), shape, precision: Precision::F32, amount, work: Box::new(work) }
    }

    /// The same in another precision.
    pub fn in_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// What filters look at.
    pub fn title(&self) -> String {
        format!("{} {} {}", self.operation, self.shape, self.precision.name())
    }

    /// Seconds that one execution takes, the mean of `repeat`.
    fn seconds(&mut self, cpu: &Cpu, repeat: usize) -> f64 {
        let work = &mut self.work;
        let spent = cpu.install(|| {
            let start = Instant::now();
            (0..repeat).for_each(|_| work(cpu));
            start.elapsed()
        });
        spent.as_secs_f64() / repeat as f64
    }
}

/// A case and its samples so far.
pub struct Timed {
    case: Case,
    repeat: usize,
    one: Vec<f64>,
    all: Vec<f64>,
}

impl Timed {
    /// Runs the case until buffers and packed forms are there, and finds out how often a sample repeats it.
    pub fn warm(mut case: Case, machines: &Machines) -> Self {
        let precision = case.precision;
        case.seconds(pick(&machines.one, precision), 1);
        let seconds = case.seconds(machines.of(precision), 1);
        let repeat = (SAMPLE / seconds).ceil().clamp(1.0, 1000.0) as usize;
        Self { case, repeat, one: Vec::new(), all: Vec::new() }
    }

    /// One more sample on one thread and on all.
    pub fn sample(&mut self, machines: &Machines) {
        let precision = self.case.precision;
        self.all.push(self.case.seconds(machines.of(precision), self.repeat));
        if machines.threads() > 1 {
            self.one.push(self.case.seconds(pick(&machines.one, precision), self.repeat));
        }
    }

    /// The row of the table.
    pub fn row(&self, peaks: &Peaks) -> Vec<String> {
        let seconds = median(&self.all);
        let (amount, unit, peak) = match self.case.amount {
            Amount::Flops(flops) => (flops, "GFLOP/s", peaks.arithmetic(self.case.precision)),
            Amount::Bytes(bytes) => (bytes, "GB/s", peaks.copying(bytes)),
        };
        let rate = amount / seconds / 1e9;
        let scaling = if self.one.is_empty() { String::new() } else { format!("{:.2}", median(&self.one) / seconds) };
        vec![
            self.case.operation.clone(),
            self.case.shape.clone(),
            self.case.precision.name().to_owned(),
            format!("{:.3}", seconds * 1e3),
            format!("{rate:.1} {unit}"),
            format!("{:.0} %", 100.0 * rate / peak),
            scaling,
        ]
    }
}

/// The middle of the samples, of which there is at least one.
fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}
