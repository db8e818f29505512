//! Where the optimizer starts: the colour transfer or the weather.

pub mod transfer;
pub mod weather;
