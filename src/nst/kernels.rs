//! The CPU's kernels: what an evaluation spends its time in.
//!
//! - [`conv`]: 3x3 convolutions, forward and backward
//! - [`gram`]: Gram matrices, and the gradient through them
//! - [`sums`]: inner products and linear combinations of long slices
//! - [`simd`]: sixteen lanes on the instruction sets of the processor
//! - [`parallel`]: work shared among threads
//! - [`aligned`]: memory that begins on a cache line

pub mod aligned;
pub mod conv;
pub mod gram;
pub mod parallel;
pub mod simd;
pub mod sums;
