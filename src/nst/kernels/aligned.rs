//! Memory for vectors of sixteen floats.

use crate::nst::kernels::simd::LANES;
use std::ops::{Deref, DerefMut};

/// Sixteen floats on one cache line of 64 bytes.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; LANES]);

/// A `Vec<f32>` that begins on a cache line. The allocator puts a large `Vec` 16 bytes behind one, and then each load
/// and store of a vector touches two lines.
#[derive(Clone, Default)]
pub struct Aligned(Vec<Line>);

impl Aligned {
    /// # Panics
    /// When `len` is no multiple of 16.
    pub fn zeros(len: usize) -> Self {
        let mut zeros = Self::default();
        zeros.grow(len);
        zeros
    }

    /// Makes this at least `len` floats long. The new ones are zeros.
    ///
    /// # Panics
    /// When `len` is no multiple of 16.
    pub fn grow(&mut self, len: usize) {
        assert!(len.is_multiple_of(LANES), "whole lines only");
        if self.len() < len {
            // No spare capacity: these buffers are large, and their final length is known.
            self.0.reserve_exact(len / LANES - self.0.len());
            self.0.resize(len / LANES, Line([0.0; LANES]));
        }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a `Line` is sixteen initialized floats without padding, so the lines are that many floats in a row.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LANES) }
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and the lines are borrowed mutably with `self`.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LANES) }
    }
}
