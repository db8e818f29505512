//! The frozen VGG19, up to the deepest tap that a loss reads.
//!
//! - [`backbone`]: its kernels, from a file or built in
//! - [`trunk`]: forward and backward on the CPU's kernels
//! - [`tensors`]: the same on Candle's tensors

pub mod backbone;
pub mod shapes;
pub mod tensors;
pub mod trunk;
