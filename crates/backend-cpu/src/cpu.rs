//! The handle: a pool of threads, an instruction set, and memory that operations reuse.

use crate::buffer::Buffer;
use crate::isa::{Isa, VARIABLE};
use crate::parallel::prepare_thread;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The numbers that matrix products multiply. Sums, norms, softmax, losses, masters and moments are f32 throughout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Precision {
    /// Both operands as they are.
    #[default]
    F32,
    /// Both operands rounded to bf16 where they are packed, sums in f32.
    Bf16,
    /// In forward, weights in eight bits with a scale for each output and activations in eight bits with a scale for
    /// each row; for prediction alone.
    Int8,
}

impl Precision {
    /// The fastest one that training loses nothing by on this instruction set: bf16 where it has instructions for it.
    pub fn best(isa: Isa) -> Self {
        if isa >= Isa::Avx512Bf16 { Self::Bf16 } else { Self::F32 }
    }

    /// The name that a user types.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// How to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct CpuOptions {
    /// Number of threads; as many as the process may use if none.
    pub threads: Option<usize>,
    /// Instruction set; that of `FINETONE_ISA`, else the best there is, if none.
    pub isa: Option<Isa>,
    /// Precision of matrix products; f32 by default, which is what [`Precision::best`] is compared with.
    pub precision: Precision,
}

/// Why there is no [`Cpu`].
#[derive(Debug, thiserror::Error)]
pub enum CpuError {
    /// The instruction set asked for is unknown or not available.
    #[error("the instruction set `{name}` is not available on this machine")]
    UnavailableIsa {
        /// What was asked for.
        name: String,
        /// What there is, each between backticks.
        available: String,
    },
    /// Zero threads were asked for.
    #[error("the number of threads is 0")]
    NoThreads,
    /// The operating system gave no threads.
    #[error("starting {threads} threads failed: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// In the words of the system.
        reason: String,
    },
}

impl CpuError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnavailableIsa { available, .. } => Some(format!("available for `{VARIABLE}`: {available}")),
            Self::NoThreads => Some("ask for at least one thread, or leave the choice open".to_owned()),
            Self::Threads { .. } => Some("ask for fewer threads".to_owned()),
        }
    }
}

/// The processor: a cheap handle to a pool of threads.
///
/// Every operation runs in the pool; code that calls many of them runs faster inside [`Cpu::install`]. Results have the
/// same bits for every number of threads, on the same instruction set.
#[derive(Clone)]
pub struct Cpu {
    inner: Arc<Inner>,
}

struct Inner {
    pool: rayon::ThreadPool,
    isa: Isa,
    precision: Precision,
    /// Partial results of reductions, kept from call to call.
    partials: Mutex<Vec<Buffer>>,
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cpu").field("isa", &self.isa()).field("threads", &self.threads()).finish()
    }
}

impl Cpu {
    /// Starts the threads.
    ///
    /// # Errors
    /// An instruction set that is not there, no threads asked for, or none to be had.
    pub fn new(options: CpuOptions) -> Result<Self, CpuError> {
        let isa = Isa::chosen(options.isa)?;
        let threads = match options.threads {
            Some(0) => return Err(CpuError::NoThreads),
            Some(threads) => threads,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("compute {i}"));
        let pool = pool.start_handler(|_| prepare_thread()).build();
        let pool = pool.map_err(|error| CpuError::Threads { threads, reason: error.to_string() })?;
        Ok(Self { inner: Arc::new(Inner { pool, isa, precision: options.precision, partials: Mutex::default() }) })
    }

    /// Runs `work` on a thread of the pool and waits for it. Operations called from there start without a hand-over.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.inner.pool.install(work)
    }

    /// The instruction set in use.
    pub fn isa(&self) -> Isa {
        self.inner.isa
    }

    /// The precision of matrix products.
    pub fn precision(&self) -> Precision {
        self.inner.precision
    }

    /// The precision of the products of gradients: eight bits are for forward alone.
    pub(crate) fn gradient_precision(&self) -> Precision {
        if self.precision() == Precision::Int8 { Precision::Bf16 } else { self.precision() }
    }

    /// The number of threads in the pool.
    pub fn threads(&self) -> usize {
        self.inner.pool.current_num_threads()
    }

    /// Lends `len` values of unspecified content, kept for the next call; unlike scratch memory it may be shared among
    /// the pieces of parallel work.
    pub(crate) fn with_partials<R>(&self, len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
        let lock = || self.inner.partials.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values = lock().pop().unwrap_or_else(|| Buffer::zeros(0));
        if values.len() < len {
            values = Buffer::zeros(len);
        }
        let result = work(&mut values[..len]);
        lock().push(values);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_threads_are_refused_with_a_hint() {
        let error = Cpu::new(CpuOptions { threads: Some(0), ..CpuOptions::default() }).unwrap_err();
        assert_eq!(error.to_string(), "the number of threads is 0");
        assert!(error.hint().is_some());
    }
}
