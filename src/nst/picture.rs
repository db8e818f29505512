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
//! - [`separable`]: both as matrix products on a device
//! - [`lanczos`]: resizing of pictures
//! - [`flood`]: pixels that join each other

pub mod filter;
pub mod flood;
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
