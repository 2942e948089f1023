//! Memory for values: aligned to cache lines and zeroed by the operating system, page by page, when first touched.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line, which is also the widest vector.
const ALIGNMENT: usize = 64;

/// A fixed number of `f32`, zero at first, at an address divisible by 64.
///
/// Large buffers take no physical memory until they are written, so one may be planned for the largest batch.
pub struct Buffer {
    /// What the allocator gave, and the first address in it divisible by [`ALIGNMENT`].
    memory: *mut u8,
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: the buffer owns its memory alone, as a `Vec<f32>` would.
unsafe impl Send for Buffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A buffer of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self { memory: std::ptr::null_mut(), start: NonNull::dangling(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty, since `len` is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        // SAFETY: the layout has room for the values after the next border.
        let start = unsafe { NonNull::new_unchecked(memory.add(memory.align_offset(ALIGNMENT)).cast::<f32>()) };
        Self { memory, start, len }
    }

    /// A buffer with these values.
    pub fn from_values(values: &[f32]) -> Self {
        let mut buffer = Self::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// Memory in which `len` values begin at a border. The allocator is asked for no more than it aligns anyway: only
    /// then does it pass zeroed pages on from the system instead of writing zeros to all of them.
    fn layout(len: usize) -> Layout {
        let bytes = len.checked_mul(size_of::<f32>()).and_then(|bytes| bytes.checked_add(ALIGNMENT));
        let layout = bytes.and_then(|bytes| Layout::from_size_align(bytes, align_of::<f32>()).ok());
        layout.unwrap_or_else(|| panic!("a buffer of {len} values exceeds the address space"))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the memory came from `alloc_zeroed` with this very layout.
            unsafe { dealloc(self.memory, Self::layout(self.len)) }
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `start` is valid for `len` initialised values (or dangling and aligned for none).
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
        for len in [0, 1, 15, 16, 17, 4097] {
            let buffer = Buffer::zeros(len);
            assert_eq!(buffer.len(), len);
            assert!(len == 0 || (buffer.as_ptr() as usize).is_multiple_of(ALIGNMENT));
            assert!(buffer.iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "exceeds the address space")]
    fn an_impossible_size_is_refused() {
        Buffer::zeros(usize::MAX / 2);
    }
}
