//! From the optimized picture to the result.
//!
//! - [`photoreal`]: the original under affine maps of its colours, fitted to the optimized picture
//! - [`guard`]: gives labelled objects back the detail that they lost
//! - [`precipitation`]: rain and snow in front of the camera

pub mod guard;
pub mod photoreal;
pub mod precipitation;
