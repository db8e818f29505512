//! Image files: decoding to upright RGB and encoding.

pub mod decode;
pub mod encode;
