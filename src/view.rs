//! What people look at after a run.
//!
//! - [`boxes`]: labelled objects, with what is left of each
//! - [`page`]: the page of a preview or a report
//! - [`sheet`]: one picture of a few frames
//! - [`thumbnail`]: small pictures for both

pub mod boxes;
pub mod page;
pub mod sheet;
pub mod thumbnail;
