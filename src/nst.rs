//! The engine: pixels in, pixels out. Nothing in here knows files, terminals or datasets.
//!
//! ```text
//! content ─ resize ─ scene ─ regions ─┬─ init ── optimize the pixels ──┬─ render ── blend ── guard ── rain, snow ── result
//!                                     └─ content target ─┘             │
//! style ─── resize ─ scene ─ regions ──── style target ──┘   original ─┘
//! ```
//!
//! [`pixels`] and [`plane`] are the pictures, [`scene`] and [`regions`] what is where in them, [`colour`] and [`weather`]
//! the start, [`vgg`] the network on the kernels of [`conv`] and [`tensor`] the same on a GPU, which [`batcher`] feeds,
//! [`backend`] the choice between them, [`loss`], [`optim`] and [`metric`] the optimization, [`separable`] filters on a GPU,
//! [`schedule`] the sizes that it goes through, [`photoreal`] the render, [`guard`] what keeps labelled objects visible, [`falling`] what
//! falls in front of them, [`weights`] and [`settings`] what is given.

pub mod backend;
pub mod failure;
pub mod kernels;
pub mod layers;
pub mod loss;
pub mod network;
pub mod optim;
pub mod picture;
pub mod random;
pub mod render;
pub mod scene;
pub mod schedule;
pub mod settings;
pub mod start;
pub mod stylizer;
#[cfg(test)]
pub mod testing;
