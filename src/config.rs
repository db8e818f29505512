//! The config: a YAML file and `--set` on top of it, read into checked values.
//!
//! The rest of the program sees [`values::Config`] only. It is made from text in four steps: `wire` reads each key,
//! `kinds` checks each value, `draft` puts it over the values so far, and `check` looks at the config as a whole.
//!
//! A key is named by hand in three places: its value and default in [`values`] or [`crate::nst::settings`], its row in
//! `wire`, and the line of `draft` that applies it. `digest.rs` does not compile if it forgets a key.
//!
//! - [`values`]: `Config` and its parts
//! - [`read`]: `Config::load` and `Config::parse`
//! - [`digest`]: `Config::digest`, which tells whether a frame was made with this config
//! - [`schema`]: the JSON Schema of the config
//! - [`preset`]: the configs that `augment init` writes

pub mod check;
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
