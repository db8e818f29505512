//! Shares the work of one evaluation among threads without changing a bit of the result.
//!
//! Work is cut into numbered pieces, and a thread that is free takes the next one. Each piece writes its own part of
//! the output, and each value is computed in one order of operations wherever the cuts are. So neither the order of the
//! pieces nor the number of threads changes a bit. Sums over pieces are cut by the shape of the problem alone.

use rayon::prelude::*;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Calls `work(scratch, piece)` once for each of `pieces`, with as many threads as there are scratch values.
pub fn for_each<S: Send>(scratch: &mut [S], pieces: usize, work: impl Fn(&mut S, usize) + Sync) {
    let next = AtomicUsize::new(0);
    scratch.par_iter_mut().with_max_len(1).for_each(|own| {
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= pieces {
                break;
            }
            work(own, piece);
        }
    });
}

/// [`for_each`] for work that needs no scratch.
pub fn each(pieces: usize, work: impl Fn(usize) + Sync) {
    for_each(&mut vec![(); rayon::current_num_threads()], pieces, |(), piece| work(piece));
}

/// A slice that the pieces of one [`for_each`] write to, each in places of its own.
pub struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    slice: PhantomData<&'a mut [T]>,
}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: this is a pointer to values that may go to another thread. Whoever dereferences it vouches that no other
// thread touches the same place.
unsafe impl<T: Send> Send for Shared<'_, T> {}

// SAFETY: as for `Send`: a shared reference gives nothing but the pointer.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    pub fn len(self) -> usize {
        self.len
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// A pointer to the value at `index`.
    ///
    /// # Safety
    /// `index` is inside the slice. While the pointer is used, no other piece touches the values that are reached by
    /// it.
    #[inline(always)]
    pub unsafe fn at(self, index: usize) -> *mut T {
        debug_assert!(index < self.len);
        // SAFETY: `index` is inside the slice.
        unsafe { self.start.add(index) }
    }
}
