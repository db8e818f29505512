//! The config: YAML text in, checked values out.

pub mod digest;
pub mod keys;
pub mod preset;
pub mod read;
pub mod schema;
pub mod values;
pub mod wire;
