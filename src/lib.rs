//! `augment` turns a YOLO detection dataset into the same dataset under fog, rain, snow, night or any style.
//!
//! Data flows one way:
//!
//! ```text
//! config ─┐
//! dataset ┼─> plan ─> decode ─> nst (stylize) ─> output ─> manifest
//! styles ─┘                        │                          │
//!                     backbone ────┘            progress ─> terminal
//! ```
//!
//! [`run`] is the loop that knows every stage, [`crew`] and [`work`] do several frames of it at once; [`manifest`] and
//! [`fingerprint`] know what is done, [`stop`] when to end. [`nst`] is the engine, which knows pixels only; [`commands`] is
//! what the verbs of the command line do, [`page`] and [`sheet`] what people look at afterwards, [`weights`] where the
//! backbone's numbers come from.

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
