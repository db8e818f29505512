//! Everything that is tested from outside, in one program: each further one would link the whole of `augment` again.
//!
//! A test that cannot share a process with others has a file of its own beside this folder, as `allocation.rs` does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod architecture;
mod coco;
mod command_line;
mod conditions;
mod corpus;
mod elsewhere;
mod fuzz_seeds;
mod kills;
mod layouts;
mod learn;
mod look;
mod old_outputs;
mod place;
mod properties;
mod reference_data;
mod resume;
mod verbs;
mod weights;
