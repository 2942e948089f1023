//! The machine that computes: the only place where a backend is chosen.

use clap::ValueEnum;
use finetone_backend_cpu::{Cpu, CpuOptions, Isa, Precision};
use finetone_train::TrainingPrecision;

use crate::failure::Failure;

/// How to compute.
#[derive(clap::Args, Clone, Copy, Default)]
pub struct DeviceArgs {
    /// Threads to compute with [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl DeviceArgs {
    /// Starts the threads.
    pub fn open(self, precision: Precision) -> Result<Cpu, Failure> {
        Ok(Cpu::new(CpuOptions { threads: self.threads.map(usize::from), precision, ..CpuOptions::default() })?)
    }
}

/// How to compute predictions.
#[derive(clap::Args, Clone, Copy)]
pub struct PredictionArgs {
    /// The numbers that matrix products multiply: `auto` is the fastest of `f32` and `bf16` on this machine, `int8` is smaller
    /// and less exact
    #[arg(long, value_name = "PRECISION", value_enum, default_value_t = Asked::Auto, hide_possible_values = true)]
    precision: Asked,
    #[command(flatten)]
    device: DeviceArgs,
}

impl PredictionArgs {
    /// Starts the threads.
    pub fn open(self) -> Result<Cpu, Failure> {
        self.device.open(match self.precision {
            Asked::Auto => best()?,
            Asked::F32 => Precision::F32,
            Asked::Bf16 => Precision::Bf16,
            Asked::Int8 => Precision::Int8,
        })
    }
}

impl PredictionArgs {
    /// Starts the threads for numbers that have to add up, which those of fewer bits do not.
    pub fn open_exact(self) -> Result<Cpu, Failure> {
        match self.precision {
            Asked::Auto | Asked::F32 => self.device.open(Precision::F32),
            Asked::Bf16 | Asked::Int8 => {
                Err(Failure::usage("explanations are computed in f32", "leave out `--precision`, or `--explain`"))
            }
        }
    }
}

/// The precisions of prediction that can be asked for.
#[derive(Clone, Copy, ValueEnum)]
enum Asked {
    Auto,
    F32,
    Bf16,
    Int8,
}

/// The fastest precision that nothing is lost by. The instruction set decides.
fn best() -> Result<Precision, Failure> {
    Ok(Precision::best(Isa::chosen(None)?))
}

/// The precision of a run: what the user asked for, or this machine's best.
pub fn decide(asked: TrainingPrecision) -> Result<TrainingPrecision, Failure> {
    Ok(match (asked, best()?) {
        (TrainingPrecision::Auto, Precision::Bf16) => TrainingPrecision::Bf16,
        (TrainingPrecision::Auto, _) => TrainingPrecision::F32,
        (asked, _) => asked,
    })
}

/// What the backend calls the precision of a run. A run that says nothing is from the time before there was a choice.
pub fn of_run(decided: TrainingPrecision) -> Precision {
    match decided {
        TrainingPrecision::Bf16 => Precision::Bf16,
        TrainingPrecision::F32 | TrainingPrecision::Auto => Precision::F32,
    }
}
