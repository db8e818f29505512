//! The command line. No other folder depends on it.
//!
//! - [`args`]: all arguments, as clap reads them
//! - [`batch`], [`preview`], [`report`], [`learn`], [`mod@bench`], [`init`], [`doctor`], [`weights`], [`manuals`]: one verb each,
//!   or several small ones
//! - [`run`]: chooses the verb, and reports its error
//! - [`setup`]: the first steps of every verb that computes
//! - [`device`]: devices and precisions by name
//! - [`measure`]: how long an evaluation and a frame take
//! - [`signals`]: Ctrl-C and SIGTERM ask the run to stop
//! - [`terminal`], [`transfer`]: everything that is printed, and progress bars

pub mod args;
pub mod batch;
pub mod bench;
pub mod device;
pub mod doctor;
pub mod init;
pub mod learn;
pub mod manuals;
pub mod measure;
pub mod preview;
pub mod report;
pub mod run;
pub mod setup;
pub mod signals;
pub mod terminal;
pub mod transfer;
pub mod weights;
