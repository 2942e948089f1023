//! The suite of every backend, on every instruction set that this machine has.

use finetone_backend::conformance::{self, Tolerance};
use finetone_backend_cpu::{Cpu, CpuOptions, Isa, Precision};

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

#[test]
fn every_instruction_set_passes_the_suite_in_bf16() {
    for isa in Isa::available() {
        println!("{isa:?}, bf16");
        let options = CpuOptions { threads: Some(2), isa: Some(isa), precision: Precision::Bf16 };
        conformance::check(&Cpu::new(options).unwrap(), &Tolerance::BF16);
    }
}
