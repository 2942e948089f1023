//! Parameters.

use crate::buffer::Buffer;
use crate::gemm::{Panels, Right};
use crate::{Cpu, Precision};
use finetone_backend::WeightShape;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A parameter: its master values, and the panels that matrix products read.
#[derive(Debug)]
pub struct Weight {
    master: Buffer,
    shape: WeightShape,
    /// The transpose in panels, from the second product of the same values on: tables and norms never ask for it.
    panels: OnceLock<Panels>,
    /// Whether these values were multiplied before.
    multiplied: AtomicBool,
    /// Whether an optimiser has changed it: panels would not last until the next step, and those of the best values would be
    /// a surprise for the memory when a long training ends.
    trained: bool,
}

impl Weight {
    /// A parameter with these master values.
    pub(crate) fn new(values: &[f32], shape: WeightShape) -> Self {
        assert_eq!(values.len(), shape.len(), "{} values for a parameter of {shape:?}", values.len());
        let (panels, multiplied) = (OnceLock::new(), AtomicBool::new(false));
        Self { master: Buffer::from_values(values), shape, panels, multiplied, trained: false }
    }

    /// Rows and columns.
    pub fn shape(&self) -> WeightShape {
        self.shape
    }

    /// The master values, row by row.
    pub fn master(&self) -> &[f32] {
        &self.master
    }

    /// The master values, for the optimiser.
    pub(crate) fn train(&mut self) -> &mut [f32] {
        self.panels.take();
        self.trained = true;
        &mut self.master
    }

    /// Replaces the master values.
    pub(crate) fn write(&mut self, values: &[f32]) {
        self.master.copy_from_slice(values);
        self.panels.take();
        self.multiplied = AtomicBool::new(false);
    }

    /// The transpose, as the right matrix of a product. It is packed for this product alone once an optimiser has changed
    /// it, and the first time that it is asked for, which may be the last; then in panels that are kept. Callers on other
    /// threads wait for the one that packs them, on its own: work shared with the pool could come back to this weight
    /// meanwhile.
    pub(crate) fn transposed(&self, cpu: &Cpu) -> Right<'_> {
        let again = self.multiplied.swap(true, Ordering::Relaxed);
        // Eight bits have scales, which only kept panels have.
        if (self.trained || !again) && cpu.precision() != Precision::Int8 {
            return Right::Columns(&self.master, cpu.precision());
        }
        let panels = || Panels::new(cpu.isa(), cpu.precision(), &self.master, self.shape.columns);
        Right::Panels(self.panels.get_or_init(panels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuOptions;

    #[test]
    fn panels_are_kept_from_the_second_product_on_but_for_trained_weights() {
        let cpu = Cpu::new(CpuOptions { precision: Precision::Bf16, ..CpuOptions::default() }).unwrap();
        let mut weight = Weight::new(&[1.0; 6], WeightShape { rows: 2, columns: 3 });
        let kept = |weight: &Weight| matches!(weight.transposed(&cpu), Right::Panels(_));
        assert_eq!([kept(&weight), kept(&weight), kept(&weight)], [false, true, true]);
        weight.write(&[2.0; 6]);
        assert_eq!([kept(&weight), kept(&weight)], [false, true]);
        weight.train().fill(3.0);
        assert_eq!([kept(&weight), kept(&weight)], [false, false]);
        weight.write(&[4.0; 6]);
        assert_eq!([kept(&weight), kept(&weight)], [false, false]);
    }
}
