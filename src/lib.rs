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

pub mod backbone;
pub mod bench;
pub mod boxes;
pub mod cli;
pub mod coco;
pub mod commands;
pub mod config;
pub mod crew;
pub mod dataset;
pub mod decode;
pub mod device;
pub mod doctor;
pub mod error;
pub mod fingerprint;
pub mod init;
pub mod labels;
pub mod manifest;
pub mod maps;
pub mod memory;
pub mod merge;
pub mod nst;
pub mod output;
pub mod page;
pub mod plan;
pub mod progress;
pub mod run;
pub mod sheet;
pub mod stop;
pub mod terminal;
pub mod weights;
pub mod work;
pub mod yaml;
