//! The machine that computes: the only place where a backend is chosen.

use finetone_backend_cpu::{Cpu, CpuOptions};

use crate::failure::Failure;

/// How to compute.
#[derive(clap::Args, Clone, Copy)]
pub struct DeviceArgs {
    /// Threads to compute with [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl DeviceArgs {
    /// Starts the threads.
    pub fn open(self) -> Result<Cpu, Failure> {
        Ok(Cpu::new(CpuOptions { threads: self.threads.map(usize::from), ..CpuOptions::default() })?)
    }
}

/// The precisions that can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// The best there is: f32 for now.
    Auto,
    /// 32-bit floating point.
    F32,
}

/// Reads `--precision`.
pub fn precision(text: &str) -> Result<Precision, String> {
    match text {
        "auto" => Ok(Precision::Auto),
        "f32" => Ok(Precision::F32),
        "bf16" | "f16" | "int8" => Err(format!("`{text}` is not available in this version: use `auto` or `f32`")),
        _ => Err("known precisions: `auto`, `f32`".to_owned()),
    }
}
