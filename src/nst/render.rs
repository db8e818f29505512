//! From the optimized picture to the result: the local affine render, the guard and precipitation.

pub mod guard;
pub mod photoreal;
pub mod precipitation;
