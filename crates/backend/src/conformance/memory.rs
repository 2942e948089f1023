use super::desk::{Desk, Numbers};
use super::{SIZES, Tolerance};
use crate::{Backend, WeightShape};

/// Buffers and weights give back exactly what was written; `clear` and `write` leave the rest alone.
pub fn memory<B: Backend>(backend: &B, _tolerance: &Tolerance) {
    let desk = Desk { backend };
    for len in SIZES {
        let values = Numbers::of(&("memory", len)).values(len + 3);
        let fresh = backend.zeros(len);
        assert_eq!(backend.len(&fresh), len, "length of a buffer of {len} values");
        assert_eq!(desk.read(&fresh, len), vec![0.0; len], "`zeros` of {len} values");

        let mut buffer = backend.zeros(len + 3);
        backend.write(&mut buffer, &desk.reals(&values));
        backend.write(&mut buffer, &desk.reals(&values[3..][..len]));
        let mut wanted = [&values[3..], &values[len..]].concat();
        assert_eq!(desk.read(&buffer, len + 3), wanted, "`write` of {len} values over {}", len + 3);
        backend.clear(&mut buffer, len);
        wanted[..len].fill(0.0);
        assert_eq!(desk.read(&buffer, len + 3), wanted, "`clear` of {len} values of {}", len + 3);

        let mut middle = desk.reals(&[9.0]);
        backend.read(&mut middle, &buffer, len..len + 1);
        assert_eq!(middle, desk.reals(&wanted[len..len + 1]), "`read` of one value at {len}");
        weight(&desk, &values, len + 3);
    }
}

fn weight<B: Backend>(desk: &Desk<'_, B>, values: &[f64], len: usize) {
    let shapes = [WeightShape { rows: 1, columns: len }, WeightShape { rows: len, columns: 1 }];
    for shape in shapes {
        let mut weight = desk.backend.weight(&desk.reals(values), shape);
        let read = |weight: &B::Weight| desk.outcome_of_weight("weight", weight, len).values;
        assert_eq!(read(&weight), values, "`weight` of {shape:?}");
        let reversed: Vec<f64> = values.iter().rev().copied().collect();
        desk.backend.write_weight(&mut weight, &desk.reals(&reversed));
        assert_eq!(read(&weight), reversed, "`write_weight` of {shape:?}");
        let mut last = desk.reals(&[9.0]);
        desk.backend.read_weight(&mut last, &weight, len - 1..len);
        assert_eq!(last, desk.reals(&values[..1]), "`read_weight` of the last value of {shape:?}");
    }
}
