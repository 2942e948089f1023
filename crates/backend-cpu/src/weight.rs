//! Parameters.

use crate::buffer::Buffer;
use finetone_backend::WeightShape;

/// A parameter: its master values, and the place of the packed forms that matrix products may want.
#[derive(Debug)]
pub struct Weight {
    master: Buffer,
    shape: WeightShape,
}

impl Weight {
    /// A parameter with these master values.
    pub(crate) fn new(values: &[f32], shape: WeightShape) -> Self {
        assert_eq!(values.len(), shape.len(), "{} values for a parameter of {shape:?}", values.len());
        Self { master: Buffer::from_values(values), shape }
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

    /// Rebuilds the packed forms. In f32 the products read the master itself and there is nothing to rebuild.
    pub(crate) fn refresh(&mut self) {}
}
