//! Sharing one evaluation's work among threads without letting their number show in the result.
//!
//! Work is cut into numbered pieces; threads take the next piece when they are free. Each piece writes its own part of
//! the output, and each value is computed in the same order of operations wherever the cuts lie, so neither order nor
//! thread count changes a bit. Sums over pieces are cut by the problem's shape alone.

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

/// A slice that the pieces of one [`for_each`] write to, each in its own places.
pub struct Shared<'a, T>(*mut T, usize, PhantomData<&'a mut [T]>);

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

// SAFETY: a `Shared` is only a pointer; every dereference is an unsafe block that says why its places are its own.
unsafe impl<T: Send> Send for Shared<'_, T> {}

unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'a, T> Shared<'a, T> {
    pub fn new(slice: &'a mut [T]) -> Self {
        Self(slice.as_mut_ptr(), slice.len(), PhantomData)
    }

    pub fn len(self) -> usize {
        self.1
    }

    pub fn is_empty(self) -> bool {
        self.1 == 0
    }

    /// The place at `index`.
    ///
    /// # Safety
    /// `index` is inside the slice, and no other piece touches this place meanwhile.
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
