//! How many pictures a batch holds.

use crate::nst::picture::geometry::Size;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The limits of a batch, from the memory that was free at the start.
#[derive(Debug)]
pub struct BatchLimit {
    /// The largest number of pictures.
    pictures: usize,
    /// The largest number of pixels of all pictures together. It shrinks whenever memory turns out to be too short.
    pixels: AtomicUsize,
}

impl BatchLimit {
    /// A batch holds at least one picture, of any size.
    pub fn new(pictures: usize, pixels: usize) -> Self {
        Self { pictures: pictures.max(1), pixels: AtomicUsize::new(pixels) }
    }

    /// The number of pictures of `size` that a batch holds.
    pub fn pictures(&self, size: Size) -> usize {
        (self.pixels.load(Ordering::Relaxed) / size.pixels()).clamp(1, self.pictures)
    }

    /// No batch shall hold more than so many pictures of `size`.
    pub fn shrink(&self, pictures: usize, size: Size) {
        self.pixels.fetch_min(pictures * size.pixels(), Ordering::Relaxed);
    }
}
