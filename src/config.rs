//! The config: a YAML file and `--set` on top of it, read into checked values.
//!
//! [`values::Config`] is what the rest of the program sees. A text becomes one in four steps: [`wire`] takes it key by
//! key, [`kinds`] checks each value, [`draft`] lays it over what is there already, and [`check`] looks at the whole.
//!
//! A key is named in three places: its value and default in [`values`] or [`crate::nst::settings`], its row in [`wire`],
//! and the line of [`draft`] that applies it. If `digest.rs` forgets a key, it does not compile.
//!
//! - [`values`]: `Config` and what it consists of
//! - [`read`]: `Config::load` and `Config::parse`
//! - [`digest`]: `Config::digest`, by which a frame knows whether it was made with this config
//! - [`schema`]: the config's JSON Schema
//! - [`preset`]: the configs that `augment init` writes

mod check;
pub mod digest;
mod draft;
mod keys;
mod kinds;
mod origin;
pub mod preset;
pub mod read;
pub mod schema;
#[cfg(test)]
mod testing;
pub mod values;
mod wire;
