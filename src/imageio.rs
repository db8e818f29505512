//! Image files.
//!
//! - [`container`]: whether a file is complete, and what else it holds
//! - [`decode`]: a file to upright 8-bit RGB, within limits
//! - [`encode`]: 8-bit RGB to jpg, png, webp, bmp and tiff
//! - [`jpeg`]: JPEGs as the decoder of [`image`] wants them
//! - [`tiff`]: TIFFs as OpenCV reads them

pub mod container;
pub mod decode;
pub mod encode;
pub mod jpeg;
pub mod tiff;
