//! The operations of finetone-backend in f32 on the machine's processor.
//!
//! [`Cpu`] implements [`finetone_backend::Backend`]. The instruction set is chosen once, at run time ([`Isa`]); kernels
//! are written once over vectors of any width and compiled for each instruction set. Work is cut into pieces whose
//! borders depend on shapes alone and sums are taken in a fixed order, so the number of threads changes no bit.

mod backend;
mod buffer;
mod cpu;
mod gemm;
mod isa;
mod ops;
mod parallel;
mod simd;
mod weight;

pub use buffer::Buffer;
pub use cpu::{Cpu, CpuError, CpuOptions, Precision};
pub use isa::Isa;
pub use weight::Weight;
