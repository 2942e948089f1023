//! Parameters.

use crate::Cpu;
use crate::buffer::Buffer;
use crate::gemm::Panels;
use finetone_backend::WeightShape;
use std::sync::OnceLock;

/// A parameter: its master values, and the panels that matrix products read.
#[derive(Debug)]
pub struct Weight {
    master: Buffer,
    shape: WeightShape,
    /// The transpose in panels, from the first product that asks for it: tables and norms never do.
    panels: OnceLock<Panels>,
}

impl Weight {
    /// A parameter with these master values.
    pub(crate) fn new(values: &[f32], shape: WeightShape) -> Self {
        assert_eq!(values.len(), shape.len(), "{} values for a parameter of {shape:?}", values.len());
        Self { master: Buffer::from_values(values), shape, panels: OnceLock::new() }
    }

    /// Rows and columns.
    pub fn shape(&self) -> WeightShape {
        self.shape
    }

    /// The master values, row by row.
    pub fn master(&self) -> &[f32] {
        &self.master
    }

    /// The master values, for the optimiser; [`Weight::refresh`] follows.
    pub(crate) fn master_mut(&mut self) -> &mut [f32] {
        &mut self.master
    }

    /// The transpose in panels, in the precision of the first product that asks for it. Callers on other threads wait
    /// for the first one, which packs on its own: work shared with the pool could come back to this weight while it is
    /// being packed.
    pub(crate) fn panels(&self, cpu: &Cpu) -> &Panels {
        self.panels.get_or_init(|| Panels::new(cpu.isa(), cpu.precision(), &self.master, self.shape.columns))
    }

    /// The master values and the panels, if any product has asked for them: the optimiser changes both.
    pub(crate) fn parts_mut(&mut self) -> (&mut [f32], Option<&mut Panels>) {
        (&mut self.master, self.panels.get_mut())
    }

    /// Rebuilds the panels, if any product has asked for them.
    pub(crate) fn refresh(&mut self, cpu: &Cpu) {
        if let Some(panels) = self.panels.get_mut() {
            panels.refresh(cpu, &mut self.master);
        }
    }
}
