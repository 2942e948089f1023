//! The suite of every backend, on every instruction set that this machine has.

use finetone_backend::conformance::{self, Tolerance};
use finetone_backend_cpu::{Cpu, CpuOptions, Isa};

#[test]
fn every_instruction_set_passes_the_suite_with_one_to_three_threads() {
    for isa in Isa::available() {
        for threads in [1, 2, 3] {
            println!("{isa:?}, {threads} threads");
            let cpu = Cpu::new(CpuOptions { threads: Some(threads), isa: Some(isa), ..CpuOptions::default() }).unwrap();
            conformance::check(&cpu, &Tolerance::F32);
        }
    }
}
