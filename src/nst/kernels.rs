//! The CPU's kernels: SIMD lanes, convolutions, Gram products and sums.

pub mod aligned;
pub mod conv;
pub mod gram;
pub mod parallel;
pub mod simd;
pub mod sums;
