//! The backbone's weights: downloaded, imported, checked, and found by a run.
//!
//! An installed file holds the convolutions alone, under torchvision's names. Its metadata names its source and the
//! SHA-256 of each tensor. So damage is found later, even in weights that this program does not know.
//!
//! - [`install`]: [`pull`] from the Hugging Face Hub and [`import_file`] from other programs, into the cache
//! - [`check`]: [`verify`], tensor by tensor
//! - [`locate`]: which file a run takes
//! - [`file`](mod@file), [`header`], [`tensors`]: `.safetensors` files and the tensors in them
//! - [`digests`]: SHA-256 of tensors and files, and the sets of weights that this program knows
//! - [`hub`]: repositories, their addresses, and the cache that the Hub's programs share
//! - `remote`, `download`, `partial` (feature `download`): bytes over HTTP, and downloads that can be resumed
//! - [`import`]: files of PyTorch and Keras
//! - [`watch`]: the trait that progress is reported to

pub mod check;
pub mod digests;
#[cfg(feature = "download")]
pub mod download;
pub mod file;
pub mod header;
pub mod hub;
pub mod import;
pub mod install;
pub mod locate;
#[cfg(feature = "download")]
pub mod partial;
#[cfg(feature = "download")]
pub mod remote;
pub mod student;
pub mod tensors;
pub mod watch;

pub use check::verify;
pub use install::{InstallOptions, import_file, pull};
