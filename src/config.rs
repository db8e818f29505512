//! The config: YAML text in, checked values out.
//!
//! - [`values`]: [`Config`](values::Config) as the rest of the program sees it, and the defaults
//! - [`keys`]: names, bounds and choices of the keys, each said once
//! - [`wire`]: the keys as a text has them, with the docs that the schema and `augment init` print
//! - [`read`]: the file and every `--set`, checked and laid over the defaults
//! - [`digest`]: what can change a pixel or a file name, as sixteen hex digits
//! - [`schema`]: the JSON Schema for editors
//! - [`preset`]: the configs and styles that the program holds

pub mod digest;
pub mod keys;
pub mod preset;
pub mod read;
pub mod schema;
pub mod values;
pub mod wire;
