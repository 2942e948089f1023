//! Work in pieces whose borders depend on the shape alone, so that results do not depend on the number of threads.

use crate::buffer::Buffer;
use crate::cpu::Cpu;
use rayon::prelude::*;
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Values in a piece of an element-wise operation: enough work to pay for handing it out, little enough for a cache.
pub(crate) const GRAIN: usize = 16 * 1024;

/// Values of scratch memory that a thread starts with: what matrix products need, and attention up to some hundred
/// tokens.
const SCRATCH_AT_START: usize = 1 << 18;

thread_local! {
    /// Memory for the tiles of one piece of work, kept by its thread.
    static SCRATCH: RefCell<Buffer> = RefCell::new(Buffer::zeros(SCRATCH_AT_START));
}

/// Provides this thread with scratch memory, so that its first piece of work need not.
pub(crate) fn prepare_thread() {
    SCRATCH.with_borrow(|scratch| debug_assert!(scratch.len() >= SCRATCH_AT_START));
}

/// Lends `len` values of unspecified content to `work`, which starts no other work that asks for scratch memory.
pub(crate) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    SCRATCH.with_borrow_mut(|scratch| {
        if scratch.len() < len {
            *scratch = Buffer::zeros(len);
        }
        work(&mut scratch[..len])
    })
}

/// A slice that several threads write to, each in its own places.
#[derive(Clone, Copy)]
pub(crate) struct Disjoint<'a> {
    start: *mut f32,
    len: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is a `&mut [f32]` in pieces, and every access promises that its piece is nobody else's.
unsafe impl Send for Disjoint<'_> {}
// SAFETY: as above.
unsafe impl Sync for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    /// Takes the slice until the end of its borrow.
    pub(crate) fn new(values: &'a mut [f32]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), borrow: PhantomData }
    }

    /// The values in `range`.
    ///
    /// # Safety
    /// While the result lives no other one overlaps it.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &mut [f32] {
        assert!(range.start <= range.end && range.end <= self.len, "{range:?} of {} values", self.len);
        // SAFETY: the range lies in the slice, whose exclusive borrow this type holds; the caller keeps ranges apart.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// Where the value at `index` lies, for reading and writing places that nobody else touches.
    pub(crate) fn pointer(&self, index: usize) -> *mut f32 {
        assert!(index < self.len, "value {index} of {}", self.len);
        // SAFETY: the index lies in the slice.
        unsafe { self.start.add(index) }
    }
}

impl Cpu {
    /// Calls `work(0..pieces)`, each once, in any order and on any thread; pieces are started in ascending order.
    pub(crate) fn parallel(&self, pieces: usize, work: impl Fn(usize) + Sync) {
        let workers = self.threads().min(pieces);
        if workers <= 1 {
            return (0..pieces).for_each(work);
        }
        let next = AtomicUsize::new(0);
        let drain = |_| {
            loop {
                let piece = next.fetch_add(1, Ordering::Relaxed);
                if piece >= pieces {
                    break;
                }
                work(piece);
            }
        };
        self.install(|| (0..workers).into_par_iter().with_max_len(1).for_each(drain));
    }

    /// Cuts every array into chunks of the size beside it, the last of which may be short, and calls `work(i, chunks)`
    /// with the `i`-th chunk of each. All arrays have the same number of chunks.
    pub(crate) fn chunks<const K: usize>(
        &self,
        arrays: [(&mut [f32], usize); K],
        work: impl Fn(usize, [&mut [f32]; K]) + Sync,
    ) {
        let pieces = arrays[0].0.len().div_ceil(arrays[0].1.max(1));
        let arrays = arrays.map(|(values, size)| {
            assert_eq!(values.len().div_ceil(size.max(1)), pieces, "chunks of {size} in {} values", values.len());
            (values.len(), size, Disjoint::new(values))
        });
        self.parallel(pieces, |i| {
            let chunks = arrays.each_ref().map(|(len, size, values)| {
                // SAFETY: each piece is handed out once, and chunks of different pieces do not overlap.
                unsafe { values.slice(i * size..((i + 1) * size).min(*len)) }
            });
            work(i, chunks);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuOptions;

    #[test]
    fn every_chunk_is_visited_once_with_any_number_of_threads() {
        for threads in [1, 2, 3] {
            let cpu = Cpu::new(CpuOptions { threads: Some(threads), ..CpuOptions::default() }).unwrap();
            for len in [0, 1, 15, 16, 17, 1000] {
                let (mut a, mut b) = (vec![0.0; len], vec![0.0; len.div_ceil(16)]);
                cpu.chunks([(&mut a, 16), (&mut b, 1)], |i, [a, b]| {
                    a.iter_mut().for_each(|v| *v += i as f32);
                    b[0] += i as f32;
                });
                assert!(a.iter().enumerate().all(|(i, &v)| v == (i / 16) as f32), "{a:?}");
                assert!(b.iter().enumerate().all(|(i, &v)| v == i as f32), "{b:?}");
            }
        }
    }
}
