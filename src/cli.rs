//! The command line: arguments, verbs, terminal and signals. Nothing below knows it.

pub mod args;
pub mod batch;
pub mod bench;
pub mod device;
pub mod doctor;
pub mod init;
pub mod manuals;
pub mod measure;
pub mod preview;
pub mod report;
pub mod setup;
pub mod signals;
pub mod terminal;
pub mod transfer;
pub mod weights;
