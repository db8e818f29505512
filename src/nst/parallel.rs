//! Sharing one evaluation's work among threads without letting their number show in the result.
//!
//! Work is cut into numbered pieces by the problem's shape alone; threads take the next piece when they are free.
//! Each piece writes its own part of the output, so neither order nor thread count changes a bit.

use rayon::prelude::*;
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

/// A slice that the pieces of one [`for_each`] write to, each in its own places.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T, usize);

// SAFETY: a `Shared` is only a pointer; every dereference is an unsafe block that says why its places are its own.
unsafe impl<T: Send> Send for Shared<T> {}
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn new(slice: &mut [T]) -> Self {
        Self(slice.as_mut_ptr(), slice.len())
    }

    /// The place at `index`.
    ///
    /// # Safety
    /// `index` is inside the slice, the slice outlives the use, and no other piece touches this place meanwhile.
    #[inline(always)]
    pub unsafe fn at(self, index: usize) -> *mut T {
        debug_assert!(index < self.1);
        unsafe { self.0.add(index) }
    }
}

/// [`for_each`] for work that needs no scratch.
pub fn each(pieces: usize, work: impl Fn(usize) + Sync) {
    for_each(&mut vec![(); rayon::current_num_threads()], pieces, |(), piece| work(piece));
}
