//! Buffers that all cases share, each as long as the largest case needs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use finetone_backend::{Backend, WeightShape};
use finetone_backend_cpu::{Buffer, Cpu, Weight};

use crate::numbers::values;

/// Numbers in a shared buffer: 4,096 tokens of the widest layer.
const LEN: usize = 4096 * 3072;

/// Two buffers that are read and three that are written; nothing that was written is read as an input, so that numbers
/// stay as they are however often a case repeats.
#[derive(Clone)]
pub struct Memory {
    pub x: Arc<Buffer>,
    pub dy: Arc<Buffer>,
    out: Arc<Mutex<Buffer>>,
    second: Arc<Mutex<Buffer>>,
    grads: Arc<Mutex<Buffer>>,
}

impl Memory {
    pub fn new(cpu: &Cpu) -> Self {
        let written = || Arc::new(Mutex::new(cpu.zeros(LEN)));
        Self {
            x: Arc::new(buffer(cpu, LEN)),
            dy: Arc::new(buffer(cpu, LEN)),
            out: written(),
            second: written(),
            grads: written(),
        }
    }

    /// What a case writes.
    pub fn out(&self) -> MutexGuard<'_, Buffer> {
        lock(&self.out)
    }

    /// What a case writes besides.
    pub fn second(&self) -> MutexGuard<'_, Buffer> {
        lock(&self.second)
    }

    /// Where gradients of parameters add up.
    pub fn grads(&self) -> MutexGuard<'_, Buffer> {
        lock(&self.grads)
    }
}

fn lock(buffer: &Mutex<Buffer>) -> MutexGuard<'_, Buffer> {
    buffer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A buffer of numbers between -1 and 1.
pub fn buffer(cpu: &Cpu, len: usize) -> Buffer {
    let mut buffer = cpu.zeros(len);
    cpu.write(&mut buffer, &values(len));
    buffer
}

/// A parameter of such numbers.
pub fn weight(cpu: &Cpu, rows: usize, columns: usize) -> Weight {
    cpu.weight(&values(rows * columns), WeightShape { rows, columns })
}
