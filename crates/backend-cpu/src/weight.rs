//! Parameters.

use crate::Cpu;
use crate::buffer::Buffer;
use crate::gemm::{pack_transposed, pack_transposed_together, panels_len};
use finetone_backend::WeightShape;
use std::sync::OnceLock;

/// A parameter: its master values, and the panels that matrix products read.
#[derive(Debug)]
pub struct Weight {
    master: Buffer,
    shape: WeightShape,
    /// The transpose in panels, from the first product that asks for it: tables and norms never do.
    panels: OnceLock<Buffer>,
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

    /// The transpose in panels. Callers on other threads wait for the first one, which packs on its own: work shared
    /// with the pool could come back to this weight while it is being packed.
    pub(crate) fn panels(&self) -> &[f32] {
        self.panels.get_or_init(|| {
            let mut panels = Buffer::zeros(panels_len(self.shape.columns, self.shape.rows));
            pack_transposed(&mut panels, &self.master, self.shape.columns);
            panels
        })
    }

    /// Rebuilds the panels, if any product has asked for them.
    pub(crate) fn refresh(&mut self, cpu: &Cpu) {
        if let Some(panels) = self.panels.get_mut() {
            pack_transposed_together(cpu, panels, &self.master, self.shape.columns);
        }
    }
}
