//! `augment` turns a YOLO detection dataset into the same dataset under fog, rain, snow, night or any style.
//!
//! Data flows one way:
//!
//! ```text
//! config ──┐
//! dataset ─┼─> plan ──> batch: decode ──> stylize ──> encode ──> output ──> view
//! styles ──┘             (imageio)        (nst)      (imageio)     │    (page, sheet)
//!                                           │                      │
//! weights ───────── backbone ───────────────┘                      └─> manifest: what is done
//! ```
//!
//! A config and a dataset make a plan: which frame becomes which picture, with which style and seed. The batch does the
//! jobs of the plan that the manifest does not know as done. Each becomes a picture, a label and a row of the manifest.
//!
//! # Modules
//!
//! From top to bottom. Each module imports only modules below its own line; `tests/suite/architecture.rs` checks this.
//!
//! | module | job |
//! | --- | --- |
//! | [`cli`] | one file per verb, arguments, terminal, signals, devices by name |
//! | [`batch`] | the loop: pending jobs, workers, provenance, progress events |
//! | [`view`] | what people look at: the page, the sheet, boxes |
//! | [`output`] | the output folder: images, labels, `data.yaml`, annotations, manifest, locks |
//! | [`plan`] | jobs, names, pairing, draws, shards |
//! | [`weights`] | the backbone's weights: found, downloaded, imported, checked |
//! | [`config`] | YAML to checked values: keys, schema, presets, digest |
//! | [`dataset`] | frames, splits, labels, masks, `data.yaml` and COCO files |
//! | [`imageio`] | decoding to upright RGB, and encoding |
//! | [`files`] | atomic writes, digests, fingerprints, paths |
//! | [`nst`] | the engine: neural style transfer, from pixels to pixels |
//! | [`error`](mod@error), [`yaml`], [`units`], [`memory`] | the error type, YAML values, numbers for people, free memory |
//!
//! `src/README.md` follows a frame, a label and a key of the config through these modules.
//!
//! # The engine alone
//!
//! [`nst`] knows no files, datasets or terminals. Its page has an example that stylizes an array.

pub mod batch;
pub mod cli;
pub mod config;
pub mod dataset;
pub mod error;
pub mod files;
pub mod imageio;
pub mod memory;
pub mod nst;
pub mod output;
pub mod plan;
pub mod units;
pub mod view;
pub mod weights;
pub mod yaml;
