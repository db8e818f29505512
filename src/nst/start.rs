//! The picture that the optimizer starts from, in closed form.
//!
//! - [`transfer`]: the style's colours, region by region
//! - [`weather`]: fog or night by physics

pub mod transfer;
pub mod weather;
