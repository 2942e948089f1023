//! How a case is run on a backend and compared with the reference.

use std::fmt::Debug;

use super::Tolerance;
use crate::{Backend, Real, Reference, Span, WeightShape};

/// One call of an operation with given sizes. The inputs are drawn from `numbers`, so that every backend sees the same.
pub(super) trait Case: Debug {
    /// Runs the operation and returns what it wrote.
    fn run<B: Backend>(&self, desk: &Desk<'_, B>, numbers: &mut Numbers) -> Vec<Outcome>;
}

/// One output of an operation.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) name: &'static str,
    pub(super) values: Vec<f64>,
}

/// What a buffer holds behind the part in use.
const BEHIND: f64 = -77.0;
/// How many values that is; odd, so that no vector width divides it.
const MARGIN: usize = 19;
/// How many values precede a parameter's gradient.
const BEFORE: usize = 5;

/// Makes and reads the buffers of one backend.
pub(super) struct Desk<'a, B: Backend> {
    pub(super) backend: &'a B,
}

impl<B: Backend> Desk<'_, B> {
    fn buffer(&self, values: &[f64], behind: f64) -> B::Buffer {
        let mut all: Vec<_> = values.iter().map(|&value| B::Real::from_f64(value)).collect();
        all.extend([B::Real::from_f64(behind); MARGIN]);
        let mut buffer = self.backend.zeros(all.len());
        self.backend.write(&mut buffer, &all);
        buffer
    }

    /// A buffer with these values, which the operation only reads.
    pub(super) fn input(&self, values: &[f64]) -> B::Buffer {
        self.buffer(values, f64::NAN)
    }

    /// A buffer with these values, which the operation changes.
    pub(super) fn changed(&self, values: &[f64]) -> B::Buffer {
        self.buffer(values, BEHIND)
    }

    /// A buffer of NaN, `len` of which the operation overwrites.
    pub(super) fn output(&self, len: usize) -> B::Buffer {
        self.buffer(&vec![f64::NAN; len], BEHIND)
    }

    /// A parameter.
    pub(super) fn weight(&self, values: &[f64], rows: usize, columns: usize) -> B::Weight {
        self.backend.weight(&self.reals(values), WeightShape { rows, columns })
    }

    /// The values in the backend's type.
    pub(super) fn reals(&self, values: &[f64]) -> Vec<B::Real> {
        values.iter().map(|&value| B::Real::from_f64(value)).collect()
    }

    /// A buffer of parameter gradients or moments with these values at the span, and others around it.
    pub(super) fn slot(&self, values: &[f64]) -> (B::Buffer, Span) {
        let mut all = vec![BEHIND; BEFORE];
        all.extend(values);
        (self.changed(&all), Span { start: BEFORE, len: values.len() })
    }

    /// All values of a buffer.
    pub(super) fn read(&self, buffer: &B::Buffer, len: usize) -> Vec<f64> {
        let mut values = vec![B::Real::default(); len];
        self.backend.read(&mut values, buffer, 0..len);
        values.into_iter().map(Real::to_f64).collect()
    }

    /// The master values of a parameter.
    pub(super) fn outcome_of_weight(&self, name: &'static str, weight: &B::Weight, len: usize) -> Outcome {
        let mut values = vec![B::Real::default(); len];
        self.backend.read_weight(&mut values, weight, 0..len);
        Outcome { name, values: values.into_iter().map(Real::to_f64).collect() }
    }

    /// The first `len` values, which the operation wrote, after a look at those behind.
    pub(super) fn outcome(&self, name: &'static str, buffer: &B::Buffer, len: usize) -> Outcome {
        let mut values = self.read(buffer, len + MARGIN);
        let behind = values.split_off(len);
        assert!(behind.iter().all(|&v| v == BEHIND), "`{name}` was written behind its {len} values: {behind:?}");
        Outcome { name, values }
    }

    /// The values at the span, after a look at those around.
    pub(super) fn outcome_at(&self, name: &'static str, buffer: &B::Buffer, span: Span) -> Outcome {
        let Outcome { mut values, .. } = self.outcome(name, buffer, span.range().end);
        let at = values.split_off(span.start);
        assert!(values.iter().all(|&v| v == BEHIND), "`{name}` was written before its span {span:?}: {values:?}");
        Outcome { name, values: at }
    }
}

/// Runs a case twice on the backend and once on the reference and compares.
pub(super) fn check_case<B: Backend>(case: &impl Case, backend: &B, tolerance: &Tolerance) {
    let desk = Desk { backend };
    let outcomes = case.run(&desk, &mut Numbers::of(case));
    let again = case.run(&desk, &mut Numbers::of(case));
    let reference = case.run(&Desk { backend: &Reference::<f64>::new() }, &mut Numbers::of(case));
    if let Err(error) = backend.synchronize() {
        panic!("{case:?}: {error}");
    }
    assert_eq!(outcomes.len(), reference.len(), "{case:?}: the number of outcomes");
    for ((ours, again), wanted) in outcomes.iter().zip(&again).zip(&reference) {
        assert_same_bits(&format!("{case:?}, run twice"), ours, again);
        assert_close(case, ours, wanted, tolerance);
    }
}

fn assert_close(case: &impl Debug, ours: &Outcome, wanted: &Outcome, tolerance: &Tolerance) {
    let name = ours.name;
    assert_eq!(ours.values.len(), wanted.values.len(), "{case:?}: the length of `{name}`");
    let scale = wanted.values.iter().fold(0.0, |max: f64, v| max.max(v.abs()));
    let bound = tolerance.absolute + tolerance.relative * scale;
    for (i, (a, b)) in ours.values.iter().zip(&wanted.values).enumerate() {
        let off = (a - b).abs();
        assert!(off <= bound, "{case:?}: `{name}`[{i}] is {a}, the reference says {b}: off by {off:e} > {bound:e}");
    }
}

/// Both outcomes are the same numbers to the last bit.
pub(super) fn assert_same_bits(what: &str, ours: &Outcome, other: &Outcome) {
    let name = ours.name;
    assert_eq!(ours.values.len(), other.values.len(), "{what}: the length of `{name}`");
    for (i, (a, b)) in ours.values.iter().zip(&other.values).enumerate() {
        assert!(a.to_bits() == b.to_bits(), "{what}: `{name}`[{i}] is {a} and {b}");
    }
}

/// A stream of numbers by SplitMix64 (<https://doi.org/10.1145/2714064.2660195>).
pub(crate) struct Numbers(u64);

impl Numbers {
    /// The stream of a case: its text, hashed by FNV-1a.
    pub(crate) fn of(case: &impl Debug) -> Self {
        let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(format!("{case:?}").bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Numbers in `[-scale, scale)` that `f32` holds exactly, for every power of two as scale.
    pub(crate) fn scaled(&mut self, len: usize, scale: f64) -> Vec<f64> {
        (0..len).map(|_| ((self.next() >> 41) as f64 / 4_194_304.0 - 1.0) * scale).collect()
    }

    /// Numbers in `[-1, 1)`.
    pub(crate) fn values(&mut self, len: usize) -> Vec<f64> {
        self.scaled(len, 1.0)
    }

    /// Indices below `bound`; with few values or a small bound, many are repeated.
    pub(crate) fn indices(&mut self, len: usize, bound: usize) -> Vec<u32> {
        (0..len).map(|_| (self.next() % bound as u64) as u32).collect()
    }
}

/// The offsets of sequences with these lengths.
pub(crate) fn starts(lengths: &[usize]) -> Vec<u32> {
    let mut starts = vec![0];
    for &length in lengths {
        starts.push(starts[starts.len() - 1] + length as u32);
    }
    starts
}
