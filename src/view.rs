//! The pages and pictures that show the result of a run.
//!
//! - [`boxes`]: labelled objects, with the contrast and edges that are left
//! - [`comparison`]: one picture that compares pictures of the same frames
//! - [`page`]: the page of a preview or a report
//! - [`sheet`]: one picture that shows a few frames
//! - [`thumbnail`]: small pictures for pages and sheets

pub mod boxes;
pub mod comparison;
pub mod page;
pub mod sheet;
pub mod thumbnail;
