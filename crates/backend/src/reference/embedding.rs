//! Sums of table rows, `y[n] = Σ_t table_t[ids_t[n]]`, so `dtable[ids[n]] += dy[n]`.

use super::{ReferenceWeight, add_scaled, part, part_mut, slot};
use crate::{EmbeddingShape, Real, Span};

pub(super) fn forward<T: Real>(y: &mut [T], terms: &[(&[u32], &ReferenceWeight<T>)], shape: EmbeddingShape) {
    let EmbeddingShape { tokens, width } = shape;
    let y = part_mut("y", y, tokens * width, &shape);
    y.fill(T::zero());
    for (ids, table) in terms {
        assert!(table.shape.columns == width, "a table is {:?}, the operation {shape:?}", table.shape);
        for (n, &id) in part("ids", ids, tokens, &shape).iter().enumerate() {
            assert!((id as usize) < table.shape.rows, "id {id} in a table of {} rows", table.shape.rows);
            add_scaled(&mut y[n * width..][..width], T::one(), &table.values[id as usize * width..][..width]);
        }
    }
}

pub(super) fn backward<T: Real>(grads: &mut [T], dtable: Span, dy: &[T], ids: &[u32], shape: EmbeddingShape) {
    let EmbeddingShape { tokens, width } = shape;
    let dtable = slot("dtable", grads, dtable, dtable.len);
    let dy = part("dy", dy, tokens * width, &shape);
    for (n, &id) in part("ids", ids, tokens, &shape).iter().enumerate() {
        let rows = dtable.len() / width;
        assert!((id as usize) < rows, "id {id} in a gradient of {rows} rows");
        add_scaled(&mut dtable[id as usize * width..][..width], T::one(), &dy[n * width..][..width]);
    }
}
