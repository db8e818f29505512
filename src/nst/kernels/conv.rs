//! Frozen 3x3 convolutions, stride 1, padding 1, forward and backward, with their neighbours fused in.
//!
//! Activations are *blocked*: `[channels / 16][height * width][16]`. Inside a block this is channels-last, so sixteen
//! channels of one pixel are one vector. Between blocks every stride per pixel is constant, which the kernels need and
//! plain channels-last does not have.
//!
//! - [`winograd`]: convolutions of sixteen or more channels
//! - [`first`]: conv1_1, from the three colours
//! - [`adjoint`]: the way back through a convolution and its padding
//! - [`source`]: what a convolution reads, with the ReLU's mask or the pool's inverse fused in
//! - [`sink`]: where its output goes, with bias, ReLU and pool fused in
//! - [`product`]: the matrix product under both convolutions and the Gram gradient

pub mod adjoint;
#[cfg(test)]
mod definition;
pub mod first;
pub mod product;
pub mod sink;
pub mod source;
pub mod winograd;
