//! What the importers share.

use crate::error::Result;

/// A file that holds tensors under names of its own.
pub trait Archive {
    /// Names and shapes.
    fn list(&self) -> Vec<(String, Vec<usize>)>;
    /// The numbers of one of them, the last index fastest.
    ///
    /// # Errors
    /// When they cannot be read or are no floats.
    fn values(&mut self, name: &str) -> Result<Vec<f32>, String>;
}
