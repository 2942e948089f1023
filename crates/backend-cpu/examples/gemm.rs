//! Times `y = x · Wᵀ`, for comparison with other libraries.
//!
//! ```text
//! cargo run --release -p finetone-backend-cpu --example gemm -- f32|bf16|int8 THREADS ROWSxOUTPUTSxINPUTS ...
//! ```
//!
//! Prints a JSON line for each shape: the median of several executions, in 10^9 operations a second. The weight is packed
//! before, as it is once in an optimiser step; `x` is packed each time.

#[path = "../benches/ops/numbers.rs"]
mod numbers;

use std::time::Instant;

use finetone_backend::{Backend, LinearShape, WeightShape};
use finetone_backend_cpu::{Cpu, CpuOptions, Precision};
use numbers::values;

const WARM_UP: usize = 5;
const EXECUTIONS: usize = 51;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: gemm f32|bf16|int8 THREADS ROWSxOUTPUTSxINPUTS ...";
    let name = arguments.next().ok_or(usage)?;
    let known = [Precision::F32, Precision::Bf16, Precision::Int8];
    let precision = known.into_iter().find(|precision| precision.name() == name).ok_or(usage)?;
    let threads = Some(arguments.next().ok_or(usage)?.parse()?);
    let cpu = Cpu::new(CpuOptions { threads, precision, ..CpuOptions::default() })?;
    for text in arguments {
        let sizes: Vec<usize> = text.split('x').map(str::parse).collect::<Result<_, _>>()?;
        let [rows, outputs, inputs] = sizes[..] else { return Err(usage.into()) };
        let shape = LinearShape { rows, inputs, outputs };
        let seconds = cpu.install(|| median_seconds(&cpu, shape));
        let gflops = 2.0 * (rows * inputs * outputs) as f64 / seconds / 1e9;
        println!("{{\"shape\": \"{text}\", \"gflops\": {gflops:.1}}}");
    }
    Ok(())
}

fn median_seconds(cpu: &Cpu, shape: LinearShape) -> f64 {
    let LinearShape { rows, inputs, outputs } = shape;
    let weight = cpu.weight(&values(outputs * inputs), WeightShape { rows: outputs, columns: inputs });
    let (mut x, mut y) = (cpu.zeros(rows * inputs), cpu.zeros(rows * outputs));
    cpu.write(&mut x, &values(rows * inputs));
    let mut execute = || {
        let start = Instant::now();
        cpu.linear_forward(&mut y, &x, &weight, None, shape);
        start.elapsed().as_secs_f64()
    };
    let mut seconds: Vec<f64> = (0..WARM_UP + EXECUTIONS).map(|_| execute()).skip(WARM_UP).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[EXECUTIONS / 2]
}
