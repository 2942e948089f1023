//! What this machine can do at most, measured: multiply-adds in registers, and going through memory.

mod arithmetic;
mod bandwidth;

use std::sync::Barrier;
use std::time::Instant;

use finetone_backend_cpu::{Isa, Precision};

use crate::table::Table;
use bandwidth::Level;

/// Samples of each peak, of which the best counts: a peak is what was reached once.
const SAMPLES: usize = 9;

/// The peaks of one and of all threads.
pub struct Peaks {
    threads: usize,
    arithmetic: Vec<Arithmetic>,
    levels: Vec<Level>,
}

/// Multiply-adds of one precision, in 10^9 operations a second.
struct Arithmetic {
    precision: Precision,
    instruction: &'static str,
    one: f64,
    all: f64,
}

impl Peaks {
    /// Measures, which takes about two seconds.
    pub fn measure(isa: Isa, threads: usize) -> Self {
        let arithmetic = arithmetic::kernels(isa).into_iter().map(|kernel| Arithmetic {
            precision: kernel.precision,
            instruction: kernel.instruction,
            one: kernel.gigaflops(1),
            all: kernel.gigaflops(threads),
        });
        let arithmetic = arithmetic.collect();
        Self { threads, arithmetic, levels: bandwidth::levels(isa, threads) }
    }

    /// What all threads reach in this precision, in GFLOP/s; in f32 where the instruction set has nothing better.
    pub fn arithmetic(&self, precision: Precision) -> f64 {
        let of = |asked| self.arithmetic.iter().find(|peak| peak.precision == asked);
        of(precision).or(of(Precision::F32)).map_or(f64::NAN, |peak| peak.all)
    }

    /// What all threads reach in copying this many bytes, in GB/s: that of the smallest memory that holds them.
    pub fn copying(&self, bytes: f64) -> f64 {
        let level = self.levels.iter().find(|level| bytes <= level.holds).or(self.levels.last());
        level.map_or(f64::NAN, |level| level.copy_all)
    }

    /// The peaks as a table.
    pub fn table(&self) -> Table {
        let all = format!("{} threads", self.threads);
        let mut table = Table::new(&["measured peak", "1 thread", &all]);
        for Arithmetic { precision, instruction, one, all } in &self.arithmetic {
            let title = format!("{}, {instruction}", precision.name());
            table.push(vec![title, format!("{one:.0} GFLOP/s"), format!("{all:.0} GFLOP/s")]);
        }
        for level in &self.levels {
            let rates = [("copy", level.copy_one, level.copy_all), ("read", level.read_one, level.read_all)];
            for (what, one, all) in rates {
                let title = format!("{what}, {}", level.title);
                table.push(vec![title, format!("{one:.0} GB/s"), format!("{all:.0} GB/s")]);
            }
        }
        table
    }
}

/// The best seconds in which `threads` threads at once do `work`, each in its own state. The state is made by the thread
/// that uses it, and `work` runs once before the clock starts.
fn best_seconds<S>(threads: usize, state: impl Fn() -> S + Sync, work: impl Fn(&mut S) + Sync) -> f64 {
    let barrier = Barrier::new(threads);
    let sample = |state: &mut S| {
        barrier.wait();
        let start = Instant::now();
        work(state);
        start.elapsed().as_secs_f64()
    };
    let thread = || {
        let mut state = state();
        work(&mut state);
        (0..SAMPLES).map(|_| sample(&mut state)).collect::<Vec<_>>()
    };
    let samples: Vec<Vec<f64>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(thread)).collect();
        handles.into_iter().map(|handle| handle.join().expect("a thread that measures does not panic")).collect()
    });
    // A sample is over when its slowest thread is.
    let slowest = |sample: usize| samples.iter().map(|thread| thread[sample]).fold(0.0, f64::max);
    (0..SAMPLES).map(slowest).fold(f64::INFINITY, f64::min)
}
