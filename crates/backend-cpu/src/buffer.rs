//! Memory for values: aligned to cache lines and zeroed by the operating system, page by page, when first touched.

use memmap2::MmapMut;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Values of a cache line, which is also the widest vector.
const LINE: usize = 16;

/// Values from which on a buffer has pages of its own, which the system gets back as soon as it is dropped: an allocator
/// would keep them, and they would never fit what is asked for next.
const PAGES_FROM: usize = 1 << 18;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[expect(dead_code, reason = "it is read through a pointer")] [f32; LINE]);

/// What owns the values.
#[expect(dead_code, reason = "it is held, not looked at")]
enum Memory {
    Lines(Vec<Line>),
    Pages(MmapMut),
}

/// A fixed number of `f32`, zero at first, at an address divisible by 64.
///
/// Large buffers take no physical memory until they are written, so one may be planned for the largest batch.
pub struct Buffer {
    /// The first value.
    start: NonNull<f32>,
    len: usize,
    _memory: Memory,
}

// SAFETY: the buffer owns its memory alone, as a `Vec<f32>` would.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` zeros.
    ///
    /// # Panics
    /// When the system has no memory for them.
    pub fn zeros(len: usize) -> Self {
        let (memory, start) = if len < PAGES_FROM {
            let mut lines = vec![Line([0.0; LINE]); len.div_ceil(LINE)];
            let start = lines.as_mut_ptr().cast::<f32>();
            (Memory::Lines(lines), start)
        } else {
            let bytes = len.checked_mul(size_of::<f32>()).filter(|&bytes| isize::try_from(bytes).is_ok());
            let bytes = bytes.unwrap_or_else(|| panic!("a buffer of {len} values exceeds the address space"));
            let pages = MmapMut::map_anon(bytes);
            let mut pages = pages.unwrap_or_else(|error| panic!("a buffer of {len} values: {error}"));
            let start = pages.as_mut_ptr().cast::<f32>();
            (Memory::Pages(pages), start)
        };
        let start = NonNull::new(start).expect("memory is nowhere at zero");
        Self { start, len, _memory: memory }
    }

    /// A buffer with these values.
    pub fn from_values(values: &[f32]) -> Self {
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `start` is valid for `len` initialised values, in lines or pages that nothing else looks at.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} values)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zero() {
        for len in [0, 1, 15, 16, 17, 4097, PAGES_FROM - 1, PAGES_FROM, PAGES_FROM + 1] {
            let buffer = Buffer::zeros(len);
            assert_eq!(buffer.len(), len);
            assert!(len == 0 || (buffer.as_ptr() as usize).is_multiple_of(64));
            assert!(buffer.iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "exceeds the address space")]
    fn an_impossible_size_is_refused() {
        Buffer::zeros(usize::MAX / 2);
    }
}
