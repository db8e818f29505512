//! Pictures as numbers.
//!
//! - [`pixels`]: RGB pictures ([`pixels::Pixels`])
//! - [`plane`]: one value per pixel ([`plane::Plane`])
//! - [`geometry`]: sizes, crops and areas
//! - [`letterbox`]: the bars around a letterboxed picture
//! - [`luma`]: luma and chroma
//! - [`light`]: sRGB's encoding, linear light and luminance
//! - [`statistics`]: mean and covariance of colours
//! - [`matrix`]: 3x3 matrices
//! - [`filter`]: box mean and bilinear resizing on the CPU
//! - [`lanczos`]: resizing of pictures
//! - [`separable`]: the same two as matrix products on a device

pub mod filter;
pub mod geometry;
pub mod lanczos;
pub mod letterbox;
pub mod light;
pub mod luma;
pub mod matrix;
pub mod pixels;
pub mod plane;
pub mod separable;
pub mod statistics;
