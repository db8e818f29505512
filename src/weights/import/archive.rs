//! What all formats have in common.

use crate::error::Result;

/// A file that holds tensors under names of its own.
pub trait Archive {
    /// The name and shape of every tensor.
    fn list(&self) -> Vec<(String, Vec<usize>)>;

    /// The values of one tensor; the last index varies fastest.
    ///
    /// # Errors
    /// When they cannot be read or are no floats.
    fn values(&mut self, name: &str) -> Result<Vec<f32>, String>;
}
