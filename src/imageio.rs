//! Image files.
//!
//! - [`container`]: whether a file is complete, and what else it holds
//! - [`decode`]: a file to upright 8-bit RGB, within limits
//! - [`encode`]: 8-bit RGB to jpg, png, webp, bmp and tiff

pub mod container;
pub mod decode;
pub mod encode;
