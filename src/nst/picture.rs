//! Pictures as numbers: pixels, planes, their geometry and filters.

pub mod filter;
pub mod geometry;
pub mod letterbox;
pub mod luma;
pub mod pixels;
pub mod plane;
pub mod separable;
pub mod statistics;
